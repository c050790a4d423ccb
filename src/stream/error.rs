//! What can stop a stream.

use crate::data::DataError;
use crate::model::FitError;
use crate::run::{RunError, run_dir_exit_code};
use crate::rundir::RunDirError;
use crate::units::Time;
use std::path::PathBuf;

/// A stream that cannot begin or go on.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the message of each variant says what its fields are")]
pub enum StreamError {
    /// A run that has not ended.
    #[error("{} is not finished; continue it with `candlewick run --resume {}`", .0.display(), .0.display())]
    Unfinished(PathBuf),
    /// A plain backtest.
    #[error("the run has no model to stream through; choose a run of an experiment with `models`")]
    NoModels,
    /// The data changed since the run.
    #[error(
        "{path} does not hold the bars of the run any more; restore it, or replay it as other data with --data {path}"
    )]
    OtherBars { path: String },
    /// Another file with other symbols.
    #[error(
        "the data holds the symbols {found}, but the model learned {expected}; give it data of the same symbols"
    )]
    OtherSymbols { found: String, expected: String },
    /// No bar from the wanted time on.
    #[error(
        "there is no tick to replay; choose a time from {first} to {last} with --from, and at least one of --ticks"
    )]
    NoTick { first: Time, last: Time },
    /// Bars of which no feature can be computed.
    #[error("computing features: {0}")]
    Features(String),
    /// Bars of which no label can be computed.
    #[error("computing labels: {0}")]
    Labels(String),
    /// Loading the bars.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The run directory.
    #[error(transparent)]
    RunDir(#[from] RunDirError),
    /// The saved model, or a name that no model has.
    #[error(transparent)]
    Run(#[from] RunError),
    /// A forecast.
    #[error("forecasting: {0}")]
    Forecast(#[from] FitError),
}

impl StreamError {
    /// The process exit code: 1 work failed, 2 usage, 3 data, 5 resources.
    pub fn exit_code(&self) -> u8 {
        match self {
            StreamError::Unfinished(_) | StreamError::NoModels | StreamError::NoTick { .. } => 2,
            StreamError::OtherBars { .. } | StreamError::OtherSymbols { .. } | StreamError::Data(_) => 3,
            StreamError::RunDir(error) => run_dir_exit_code(error),
            StreamError::Run(error) => error.exit_code(),
            StreamError::Features(_) | StreamError::Labels(_) | StreamError::Forecast(_) => 1,
        }
    }
}
