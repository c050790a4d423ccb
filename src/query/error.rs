//! What can be wrong with a question.

use crate::rundir::RunDirError;
use crate::suggest::unknown;
use std::path::PathBuf;

/// A question that cannot be answered.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum QueryError {
    /// A table or column that is not there.
    #[error("there is no {what} {name}")]
    Unknown { what: String, name: String },
    /// A condition that cannot be read, or compares with what the column does not hold.
    #[error("{0}")]
    Condition(String),
    /// The bars and features were not kept.
    #[error(
        "{} has no history.parquet, since its experiment did not keep it; run it again with `keep_history: true` (or --set \
         keep_history=true)", .0.display()
    )]
    NoHistory(PathBuf),
    /// A forecast that was not made.
    #[error("{0}")]
    NoForecast(String),
    /// A window of a run of several symbols that names none.
    #[error("the run has {count} symbols; choose one with --symbol: {names}")]
    SymbolOpen { count: usize, names: String },
    /// A table that is missing or damaged.
    #[error(transparent)]
    RunDir(#[from] RunDirError),
}

impl QueryError {
    /// A name that is not among the known ones.
    pub(super) fn unknown(what: impl Into<String>, name: &str, known: &[&str]) -> QueryError {
        QueryError::Unknown { what: what.into(), name: unknown(name, known) }
    }
}
