//! An append-only ledger: one line a fact, each line chained to the one before by its checksum.
//!
//! A line reads `{"check":"0123456789abcdef","fact":{...}}`. The check is the beginning of the SHA-256 over the check of
//! the line before and the bytes of the fact, so a line that was changed, removed or put elsewhere is noticed. A process
//! that is killed leaves at most one torn line, the last; it is dropped, since its fact was never relied on.

use super::atomic::{RunDirError, write_error};
use super::manifest::sha256_hex;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Hexadecimal digits of a check.
const CHECK_DIGITS: usize = 16;

/// What stands before and after the check, and at the end of a line.
const HEAD: &str = "{\"check\":\"";
const MIDDLE: &str = "\",\"fact\":";
const TAIL: &str = "}";

/// A killed process loses nothing, for what was written belongs to the operating system; against a power cut the disk is
/// asked to keep it, at most this often.
const SYNC_EVERY: Duration = Duration::from_secs(1);

/// A ledger that this process appends to. Its folder must be claimed.
#[derive(Debug)]
pub struct Ledger {
    file: File,
    path: PathBuf,
    /// The check of the last line.
    last: String,
    synced: Instant,
}

impl Ledger {
    /// Opens a ledger, or begins one, and reads what it holds. A torn last line is cut off.
    ///
    /// # Errors
    /// A file that cannot be read or written; a line in the middle that is damaged, or a fact of another form.
    pub fn open<T: DeserializeOwned>(path: &Path) -> Result<(Ledger, Vec<T>), RunDirError> {
        let found = if path.exists() { read(path)? } else { Found::default() };
        let write = |source| write_error(path, 0, source);
        let file = File::options().create(true).append(true).open(path).map_err(write)?;
        file.set_len(found.length).map_err(write)?;
        let ledger = Ledger { file, path: path.to_owned(), last: found.last, synced: Instant::now() };
        Ok((ledger, found.facts))
    }

    /// Reads a ledger that another process may be appending to.
    ///
    /// # Errors
    /// As [`Ledger::open`].
    pub fn read<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, RunDirError> {
        Ok(read(path)?.facts)
    }

    /// Adds a fact.
    ///
    /// # Errors
    /// A full disk apart from every other failure.
    pub fn append<T: Serialize>(&mut self, fact: &T) -> Result<(), RunDirError> {
        let fact = serde_json::to_string(fact).map_err(|error| RunDirError::Damaged {
            path: self.path.clone(),
            reason: error.to_string(),
            remedy: "this is a fault of the program; please report it",
        })?;
        let check = check(&self.last, &fact);
        let line = format!("{HEAD}{check}{MIDDLE}{fact}{TAIL}\n");
        // One call for the whole line: two processes never share a ledger, but a killed one leaves half of it at most.
        self.file.write_all(line.as_bytes()).map_err(|source| write_error(&self.path, line.len(), source))?;
        self.last = check;
        if self.synced.elapsed() >= SYNC_EVERY { self.sync() } else { Ok(()) }
    }

    /// Asks the disk to keep what was written.
    ///
    /// # Errors
    /// A disk that fails.
    pub fn sync(&mut self) -> Result<(), RunDirError> {
        self.synced = Instant::now();
        self.file.sync_data().map_err(|source| write_error(&self.path, 0, source))
    }
}

fn check(last: &str, fact: &str) -> String {
    let mut check = sha256_hex(format!("{last}{fact}").as_bytes());
    check.truncate(CHECK_DIGITS);
    check
}

/// What a ledger holds.
struct Found<T> {
    facts: Vec<T>,
    last: String,
    /// Bytes of the whole lines.
    length: u64,
}

impl<T> Default for Found<T> {
    fn default() -> Self {
        Found { facts: Vec::new(), last: String::new(), length: 0 }
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Found<T>, RunDirError> {
    let bytes = std::fs::read(path).map_err(|source| RunDirError::Read { path: path.into(), source })?;
    let mut found = Found::default();
    let mut rest = &bytes[..];
    let mut number = 0;
    while !rest.is_empty() {
        number += 1;
        let end = rest.iter().position(|byte| *byte == b'\n').map_or(rest.len(), |end| end + 1);
        let (line, after) = rest.split_at(end);
        match parsed(line, &found.last) {
            Ok((fact, check)) => {
                found.facts.push(fact);
                found.last = check;
                found.length += line.len() as u64;
            }
            Err(Fault::Torn) if after.is_empty() => break,
            Err(fault) => {
                return Err(RunDirError::Damaged {
                    path: path.into(),
                    reason: format!("line {number} {}", fault.reason()),
                    remedy: "restore the file from a copy, or start the sweep again",
                });
            }
        }
        rest = after;
    }
    Ok(found)
}

/// What is wrong with a line.
enum Fault {
    /// It is not whole, or not what was written.
    Torn,
    /// It is what was written, but this program does not know such a fact.
    Unknown(String),
}

impl Fault {
    fn reason(&self) -> String {
        match self {
            Fault::Torn => "is not what was written there (its check does not fit)".into(),
            Fault::Unknown(reason) => format!("holds a fact that this version does not know: {reason}"),
        }
    }
}

fn parsed<T: DeserializeOwned>(line: &[u8], last: &str) -> Result<(T, String), Fault> {
    let text = std::str::from_utf8(line).map_err(|_| Fault::Torn)?;
    let body = text.strip_suffix('\n').and_then(|text| text.strip_prefix(HEAD)?.strip_suffix(TAIL));
    let (written, fact) = body.and_then(|body| body.split_once(MIDDLE)).ok_or(Fault::Torn)?;
    if written != check(last, fact) {
        return Err(Fault::Torn);
    }
    let fact = serde_json::from_str(fact).map_err(|error| Fault::Unknown(error.to_string()))?;
    Ok((fact, written.to_owned()))
}
