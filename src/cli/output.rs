//! Where words go. The only file of the program, with `progress.rs`, that prints.

use super::failure::Failure;
use std::io::{IsTerminal, Write};
use std::process::ExitCode;

/// The two streams of a verb.
pub(super) struct Output {
    json: bool,
    colour: bool,
}

impl Output {
    pub(super) fn new(json: bool) -> Output {
        Output { json, colour: std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none() }
    }

    /// Whether stdout carries one JSON document.
    pub(super) fn json(&self) -> bool {
        self.json
    }

    /// Whether stdout is a terminal that may be coloured.
    pub(super) fn colour(&self) -> bool {
        std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none()
    }

    /// Columns of the terminal; 100 where there is none.
    pub(super) fn width(&self) -> usize {
        self.terminal_width().unwrap_or(100)
    }

    /// Columns of the terminal, if stdout is one. Without one a table takes what it needs, so that programs can read it.
    pub(super) fn terminal_width(&self) -> Option<usize> {
        let size = rustix::termios::tcgetwinsize(std::io::stdout()).ok()?;
        Some(usize::from(size.ws_col).max(40))
    }

    /// A document or a table on stdout. A reader that went away is success.
    ///
    /// # Errors
    /// A full disk behind a redirected stdout.
    pub(super) fn print(&self, text: &str) -> Result<(), Failure> {
        let end = if text.ends_with('\n') { "" } else { "\n" };
        self.write(&format!("{text}{end}"))
    }

    fn write(&self, text: &str) -> Result<(), Failure> {
        let mut stdout = std::io::stdout().lock();
        let written = stdout.write_all(text.as_bytes());
        match written.and_then(|()| stdout.flush()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(Failure::new(5, format!("cannot write to standard output: {error}")))
            }
            _ => Ok(()),
        }
    }

    /// A line of the terminal in place of the one before, cut at its width.
    ///
    /// # Errors
    /// As [`Output::print`].
    pub(super) fn redraw(&self, line: &str) -> Result<(), Failure> {
        let room = self.width().saturating_sub(1);
        let line: String = line.chars().take(room).collect();
        self.write(&format!("\r{line}\x1b[K"))
    }

    /// One JSON document on stdout.
    ///
    /// # Errors
    /// As [`Output::print`].
    pub(super) fn document<T: serde::Serialize>(&self, value: &T) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value).map_err(|error| Failure::new(1, error.to_string()))?;
        self.print(&text)
    }

    /// A line for people on stderr.
    pub(super) fn say(&self, text: &str) {
        // A closed stderr must not turn a finished run into a failure.
        let _ = writeln!(std::io::stderr(), "{text}");
    }

    /// The failure on stderr and, where a document was asked for, on stdout as well.
    pub(super) fn fail(&self, failure: &Failure) -> ExitCode {
        if self.json && !failure.documented {
            let _ = self.document(&failure.to_json());
        }
        self.say(&failure.render(self.colour));
        ExitCode::from(failure.code)
    }
}
