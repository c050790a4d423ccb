//! What can be wrong with data, said so that the reader can mend it.

use crate::rundir::RunDirError;
use std::path::PathBuf;

/// Data that cannot be read, or that break what was promised about them.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum DataError {
    /// A file or folder as a whole.
    #[error("{path}: {found}; {remedy}")]
    File { path: PathBuf, found: String, remedy: String },
    /// A column that is missing or has a type that cannot be read.
    #[error("{path}, column `{column}`: {found}; {remedy}")]
    Column { path: PathBuf, column: String, found: String, remedy: String },
    /// A single row (counted from 0) or line (counted from 1).
    #[error("{path}, {place}, column `{column}`: {found}; {remedy}")]
    Row { path: PathBuf, place: String, column: String, found: String, remedy: String },
    /// The bars of one symbol, or of all.
    #[error("{subject}: {found}; {remedy}")]
    Bars { subject: String, found: String, remedy: String },
    /// Files that were described, but do not load as bars, for this reason.
    #[error("{0}")]
    NotBars(String),
    /// A setting that makes no sense.
    #[error("`{setting}`: {found}; {remedy}")]
    Setting { setting: String, found: String, remedy: String },
    /// A file could not be written.
    #[error(transparent)]
    Write(#[from] RunDirError),
    /// Standard output could not be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] std::io::Error),
}

impl DataError {
    pub(super) fn file(
        path: &std::path::Path,
        found: impl Into<String>,
        remedy: impl Into<String>,
    ) -> DataError {
        DataError::File { path: path.to_owned(), found: found.into(), remedy: remedy.into() }
    }

    pub(super) fn setting(setting: &str, found: impl Into<String>, remedy: impl Into<String>) -> DataError {
        DataError::Setting { setting: setting.into(), found: found.into(), remedy: remedy.into() }
    }
}
