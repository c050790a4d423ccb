//! Ground: one event type for all that takes long, and the sinks that show or store it.
//!
//! Rooms below `run` report what happened; they never print. `indicatif` is known to this file alone.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::sync::Mutex;

/// What happened. Names are those the user wrote.
#[derive(Clone, Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[expect(missing_docs, reason = "the comment of each variant says what its fields are")]
pub enum Event {
    /// A stage of the story begins; `verb` reads "Loaded", "Trained" once it is done.
    StageStarted { name: &'static str },
    /// A stage ended; `detail` is one line for people.
    StageDone { name: &'static str, verb: &'static str, detail: String, seconds: f64 },
    /// A model of a fold starts with this many steps (optimiser steps over all epochs).
    FitStarted { task: String, steps: u64 },
    /// So many of its steps are done.
    FitStepped { task: String, step: u64 },
    /// An epoch of a model ended. Losses are per sample in units of the scaled target.
    Epoch { task: String, epoch: u64, training_loss: f64, validation_loss: f64 },
    /// A model of a fold is fitted.
    FitDone { task: String, detail: String },
    /// So many of all books are done.
    BooksDone { done: u64, total: u64 },
    /// So many of all trials of a sweep are done; `best` says how good the best one is so far.
    TrialsDone { done: u64, total: u64, best: String },
    /// A line that people must see: a fallback that was chosen, a repair, a doubtful setting.
    Warning { text: String },
}

/// Takes events. Called from several threads at once.
pub trait Progress: Send + Sync {
    /// Takes one event; must be quick and must not fail.
    fn on(&self, event: &Event);
}

/// Shows nothing.
pub struct Silent;

impl Progress for Silent {
    fn on(&self, _: &Event) {}
}

/// Hands each event to every one of its sinks.
pub struct Tee<'a>(pub Vec<&'a dyn Progress>);

impl Progress for Tee<'_> {
    fn on(&self, event: &Event) {
        for sink in &self.0 {
            sink.on(event);
        }
    }
}

/// Right-aligned verbs on stderr, with bars where stderr is a terminal.
pub struct Console {
    bars: MultiProgress,
    running: Mutex<BTreeMap<String, ProgressBar>>,
    /// When the trials of a sweep were told last, and how many were done.
    told: Mutex<Option<(std::time::Instant, u64)>>,
    terminal: bool,
    colour: bool,
}

impl Default for Console {
    fn default() -> Self {
        let terminal = std::io::stderr().is_terminal();
        let colour = terminal && std::env::var_os("NO_COLOR").is_none();
        Console {
            bars: MultiProgress::new(),
            running: Mutex::default(),
            told: Mutex::default(),
            terminal,
            colour,
        }
    }
}

impl Console {
    /// Prints `verb` right-aligned in green, then the text, above any running bar.
    pub fn line(&self, verb: &str, text: &str) {
        self.print(32, verb, text);
    }

    fn print(&self, colour: u8, verb: &str, text: &str) {
        let head =
            if self.colour { format!("\x1b[1;{colour}m{verb:>12}\x1b[0m") } else { format!("{verb:>12}") };
        // `suspend` keeps bars and lines from writing over each other; a closed stderr is not our failure.
        self.bars.suspend(|| {
            use std::io::Write;
            let _ = writeln!(std::io::stderr(), "{head} {text}");
        });
    }

    fn bar(&self, key: &str, length: u64, template: &str) {
        if !self.terminal {
            return;
        }
        let bar = self.bars.add(ProgressBar::new(length));
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style.progress_chars("━╸ "));
        }
        bar.set_message(key.to_owned());
        if let Ok(mut running) = self.running.lock() {
            running.insert(key.to_owned(), bar);
        }
    }

    /// One bar for all trials of a sweep; without a terminal a line now and then.
    fn trials(&self, done: u64, total: u64, best: &str) {
        let Ok(mut told) = self.told.lock() else { return };
        if self.terminal {
            if told.is_none() {
                self.bar("trials", total, TRIAL_BAR);
            }
            self.with("trials", |bar| {
                bar.set_position(done);
                bar.set_prefix(best.to_owned());
            });
        } else {
            let last = told.map_or(0, |(_, last)| last);
            let recently = told.is_some_and(|(when, _)| when.elapsed() < TRIALS_TOLD_EVERY);
            if recently && !(done == total && last < total) {
                return;
            }
            let best = if best.is_empty() { String::new() } else { format!(", {best}") };
            self.line("Tried", &format!("{done} of {total} trials{best}"));
        }
        *told = Some((std::time::Instant::now(), done));
    }

    fn with(&self, key: &str, action: impl FnOnce(&ProgressBar)) {
        if let Ok(running) = self.running.lock()
            && let Some(bar) = running.get(key)
        {
            action(bar);
        }
    }

    fn finish(&self, key: &str) {
        if let Ok(mut running) = self.running.lock()
            && let Some(bar) = running.remove(key)
        {
            bar.finish_and_clear();
        }
    }
}

const FIT_BAR: &str = "{spinner:>12} {msg:28} {bar:32} {pos:>6}/{len} steps  {eta:>4} left  {prefix}";
const TRIAL_BAR: &str = "{spinner:>12} {msg:28} {bar:32} {pos:>6}/{len}  {eta:>4} left  {prefix}";
const TRIALS_TOLD_EVERY: std::time::Duration = std::time::Duration::from_secs(5);
const BOOK_BAR: &str = "{spinner:>12} {msg:28} {bar:32} {pos:>6}/{len}";

impl Progress for Console {
    fn on(&self, event: &Event) {
        match event {
            Event::StageStarted { .. } => {}
            Event::StageDone { verb, detail, seconds, .. } => {
                self.finish("books");
                self.finish("trials");
                self.line(verb, &format!("{detail}  {seconds:.2}s"));
            }
            Event::FitStarted { task, steps } => self.bar(task, *steps, FIT_BAR),
            Event::FitStepped { task, step } => self.with(task, |bar| bar.set_position(*step)),
            Event::Epoch { task, epoch, validation_loss, .. } => {
                self.with(task, |bar| {
                    bar.set_prefix(format!("epoch {epoch}, validation {validation_loss:.4}"))
                });
            }
            Event::FitDone { task, detail } => {
                self.finish(task);
                self.line("Fitted", &format!("{task}: {detail}"));
            }
            Event::BooksDone { done, total } => {
                if *done == 0 {
                    self.bar("books", *total, BOOK_BAR);
                }
                self.with("books", |bar| bar.set_position(*done));
            }
            Event::TrialsDone { done, total, best } => self.trials(*done, *total, best),
            Event::Warning { text } => self.print(33, "Warning", text),
        }
    }
}

/// Writes each event, without the steps of an epoch, as one line of JSON with the seconds since the start.
pub struct JsonLines {
    file: Mutex<std::fs::File>,
    start: std::time::Instant,
}

impl JsonLines {
    /// Appends to an open file.
    pub fn new(file: std::fs::File) -> JsonLines {
        JsonLines { file: Mutex::new(file), start: std::time::Instant::now() }
    }
}

impl Progress for JsonLines {
    fn on(&self, event: &Event) {
        if matches!(event, Event::FitStepped { .. } | Event::BooksDone { .. } | Event::TrialsDone { .. }) {
            return;
        }
        let line = serde_json::json!({"seconds": self.start.elapsed().as_secs_f64(), "what": event});
        if let Ok(mut file) = self.file.lock() {
            use std::io::Write;
            // The log is for people who look back; a disk too full for it must not end a run that still fits.
            let _ = writeln!(file, "{line}");
        }
    }
}
