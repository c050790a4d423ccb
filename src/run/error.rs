//! What can stop a run, by the exit code that it deserves.

use crate::audit::AuditError;
use crate::data::DataError;
use crate::model::FitError;
use crate::report::ReportError;
use crate::rundir::{AuditSummary, RunDirError};

/// A run that could not be finished. What was finished before stays in its directory.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Loading the bars.
    #[error(transparent)]
    Data(#[from] DataError),
    /// Computing features.
    #[error("computing features: {0}")]
    Features(String),
    /// Computing labels.
    #[error("computing labels: {0}")]
    Labels(String),
    /// Cutting the bars into folds.
    #[error("splitting into folds: {0}")]
    Split(String),
    /// A fold leaves a model nothing to learn or forecast.
    #[error("fold {fold}, model {model}: {reason}")]
    Fold {
        /// From 0, as in the names of folders and in `folds.parquet`.
        fold: usize,
        /// The user's name.
        model: String,
        /// What is missing and what to change.
        reason: String,
    },
    /// Training a model.
    #[error("training {task}: {source}")]
    Fit {
        /// "fold 2 lstm".
        task: String,
        /// Why.
        source: FitError,
    },
    /// Costs that read what the bars do not have.
    #[error("backtest.{0}")]
    Costs(String),
    /// A strategy's decision.
    #[error("strategy {strategy}: {reason}")]
    Strategy {
        /// The user's name.
        strategy: String,
        /// Why.
        reason: String,
    },
    /// The look-ahead proof, where a part cannot be computed at all.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// The run directory.
    #[error(transparent)]
    RunDir(#[from] RunDirError),
    /// Drawing the report.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// Something changed since the run began.
    #[error(
        "the {what} is not what this run began with (found {found}, expected {expected}); start a new run, or restore it"
    )]
    Changed {
        /// The data, the plan, the program, the device.
        what: &'static str,
        /// What is there now.
        found: String,
        /// What the run began with.
        expected: String,
    },
    /// The run would not fit into memory.
    #[error(
        "the run needs about {} MB of memory, but {} MB are free; use smaller models, a smaller `train.batch_size`, \
         fewer --threads, or a shorter range of the data",
        needed / 1_000_000, available / 1_000_000
    )]
    Memory {
        /// Bytes.
        needed: usize,
        /// Bytes.
        available: usize,
    },
    /// A name that no model of the experiment has.
    #[error("the run has no model {0}")]
    NoSuchModel(String),
    /// A model that cannot be exported, or is not the only one that is meant.
    #[error("{0}")]
    Export(String),
    /// The user stopped it.
    #[error("interrupted; continue with `candlewick run --resume {run_dir}`")]
    Interrupted {
        /// Where to continue.
        run_dir: String,
    },
}

impl RunError {
    /// The process exit code: 1 work failed, 2 configuration, 3 data, 5 resources, 6 locked, 130 interrupted.
    pub fn exit_code(&self) -> u8 {
        match self {
            RunError::Data(DataError::Setting { .. }) => 2,
            RunError::Data(DataError::Write(error)) => run_dir_exit_code(error),
            RunError::Data(DataError::Output(_)) => 5,
            RunError::Data(_) | RunError::Split(_) | RunError::Fold { .. } | RunError::Changed { .. } => 3,
            RunError::Features(_)
            | RunError::Labels(_)
            | RunError::Costs(_)
            | RunError::Strategy { .. }
            | RunError::NoSuchModel(_)
            | RunError::Export(_)
            | RunError::Audit(_) => 2,
            RunError::RunDir(error) => run_dir_exit_code(error),
            RunError::Report(ReportError::RunDir(error)) => run_dir_exit_code(error),
            RunError::Report(_) => 1,
            RunError::Fit { source, .. } => match source {
                FitError::Files(error) => run_dir_exit_code(error),
                FitError::Gpu(_) => 5,
                _ => 1,
            },
            RunError::Memory { .. } => 5,
            RunError::Interrupted { .. } => 130,
        }
    }
}

/// The exit code of a run or an audit that is done: 4 where something knows the future, or could not be proved not to.
pub fn audit_exit_code(audit: Option<&AuditSummary>) -> u8 {
    if audit.is_none_or(|audit| audit.passed) { 0 } else { 4 }
}

/// The exit code of a failure of a run directory.
pub fn run_dir_exit_code(error: &RunDirError) -> u8 {
    match error {
        RunDirError::DiskFull { .. } | RunDirError::Write { .. } => 5,
        RunDirError::Locked { .. } => 6,
        RunDirError::NotARun { .. } | RunDirError::NotASweep { .. } => 2,
        RunDirError::Read { .. } | RunDirError::Damaged { .. } => 1,
    }
}
