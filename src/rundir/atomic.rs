//! Writing a file so that a reader, a crash or a full disk sees the old file or the new one, never a part.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// A file or folder of a run could not be written, read or claimed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum RunDirError {
    /// The disk is full, or a quota is.
    #[error("the disk is full: {path} needs {bytes} bytes; free some space")]
    DiskFull { path: PathBuf, bytes: usize },
    /// Any other failure to write.
    #[error("cannot write {path}: {source}")]
    Write { path: PathBuf, source: io::Error },
    /// A file is missing or unreadable.
    #[error("cannot read {path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    /// A file is there but is not what this program wrote.
    #[error("{path} is damaged: {reason}; {remedy}")]
    Damaged { path: PathBuf, reason: String, remedy: &'static str },
    /// Another process works in the directory.
    #[error("the directory {path} is in use by another process; wait for it to end, or start a new run")]
    Locked { path: PathBuf },
    /// There is no such run.
    #[error("{path} is not a run directory: {reason}")]
    NotARun { path: PathBuf, reason: String },
    /// There is no such sweep.
    #[error("{path} is not a sweep directory: {reason}")]
    NotASweep { path: PathBuf, reason: String },
}

/// Writes `bytes` to `path`: a temporary file beside it, fsync, rename, fsync of the folder. A failure leaves the old
/// file as it was and removes the temporary one.
///
/// # Errors
/// A full disk apart from every other failure.
pub fn write_atomic(path: &Path, bytes: &[u8]) -> Result<(), RunDirError> {
    let folder = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let temporary = folder.join(format!(".{name}.{}.tmp", std::process::id()));
    let written = (|| {
        fs::create_dir_all(folder)?;
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        File::open(folder)?.sync_all()
    })();
    written.map_err(|source| {
        // Best effort: the failure that is reported is the one that brought us here.
        let _ = fs::remove_file(&temporary);
        write_error(path, bytes.len(), source)
    })
}

pub(super) fn write_error(path: &Path, bytes: usize, source: io::Error) -> RunDirError {
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            RunDirError::DiskFull { path: path.into(), bytes }
        }
        _ => RunDirError::Write { path: path.into(), source },
    }
}

/// Removes temporary files that a killed process left below `folder`.
///
/// # Errors
/// A folder that cannot be read or a file that cannot be removed.
pub fn remove_leftovers(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if entry.file_type()?.is_dir() {
            remove_leftovers(&entry.path())?;
        } else if is_temporary(&name) {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

/// Whether a file has a name that [`write_atomic`] gives: `.summary.json.1234.tmp`.
fn is_temporary(name: &str) -> bool {
    let stem = name.strip_prefix('.').and_then(|rest| rest.strip_suffix(".tmp"));
    let process = stem.and_then(|stem| stem.rsplit_once('.')).map(|(_, process)| process);
    process.is_some_and(|process| !process.is_empty() && process.bytes().all(|byte| byte.is_ascii_digit()))
}
