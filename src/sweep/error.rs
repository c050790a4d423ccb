//! What can stop a sweep, by the exit code that it deserves.

use crate::run::{RunError, run_dir_exit_code};
use crate::rundir::RunDirError;

/// A sweep that could not be finished. What was finished before stays in its directory.
#[derive(Debug, thiserror::Error)]
pub enum SweepError {
    /// Loading the bars, or the run of the best trial.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The sweep's directory.
    #[error(transparent)]
    RunDir(#[from] RunDirError),
    /// A split without an order in time.
    #[error(
        "`split: purged_k_fold` cannot be swept: the validation bars of a fold are test bars of others, so the best trial \
         would be chosen by test data; use walk_forward or holdout"
    )]
    NoOrder,
    /// More folds are to judge than there are.
    #[error("`folds: {asked}` of the sweep, but the split has {found}; lower it")]
    TooFewFolds {
        /// Folds that shall judge.
        asked: usize,
        /// Folds of the split.
        found: usize,
    },
    /// Settings that a sweep cannot judge by.
    #[error("{0}")]
    Judging(String),
    /// Something changed since the sweep began.
    #[error(
        "the {what} is not what this sweep began with (found {found}, expected {expected}); start a new sweep, or restore it"
    )]
    Changed {
        /// The data, the program, the device.
        what: &'static str,
        /// What is there now.
        found: String,
        /// What the sweep began with.
        expected: String,
    },
    /// The ledger holds another search.
    #[error(
        "job {job} of the ledger is not the one that the search gives now, so the sweep was begun with other settings or \
         another program; start a new sweep"
    )]
    OtherSearch {
        /// From 0.
        job: usize,
    },
    /// A search that neither gives work nor ends.
    #[error(
        "the search waits although no job is under way; this is a fault of the program, please report it"
    )]
    Stuck,
    /// The operating system gave no thread.
    #[error("cannot start a worker thread: {0}; use fewer --threads")]
    Thread(String),
    /// A CUDA device failed.
    #[error("{0}")]
    Broken(String),
    /// A CUDA device failed; trials that it had are not judged.
    #[error(
        "{reason}; what was found is kept: continue with `candlewick sweep --resume {sweep_dir}` when the device works again"
    )]
    Device {
        /// The device's words.
        reason: String,
        /// Where to continue.
        sweep_dir: String,
    },
    /// The user stopped it.
    #[error("interrupted")]
    Stopped,
    /// The user stopped it; it can be continued.
    #[error("interrupted; continue with `candlewick sweep --resume {sweep_dir}`")]
    Interrupted {
        /// Where to continue.
        sweep_dir: String,
    },
    /// No trial could be computed.
    #[error("none of {trials} trials could be computed; {count} of them failed since {reason}")]
    AllFailed {
        /// Trials that were begun.
        trials: usize,
        /// Trials with this reason.
        count: usize,
        /// The commonest reason.
        reason: String,
    },
    /// The time was too short.
    #[error(
        "no trial was trained to the end within the sweep's `time`; give it more, or lower `train.epochs`"
    )]
    NoneFinished,
}

impl SweepError {
    /// The process exit code: 1 work failed, 2 configuration, 3 data, 5 resources, 6 locked, 130 interrupted.
    pub fn exit_code(&self) -> u8 {
        match self {
            SweepError::Run(error) => error.exit_code(),
            SweepError::RunDir(error) => run_dir_exit_code(error),
            SweepError::NoOrder | SweepError::TooFewFolds { .. } | SweepError::Judging(_) => 2,
            SweepError::Changed { .. } | SweepError::OtherSearch { .. } => 3,
            SweepError::Thread(_) | SweepError::Broken(_) | SweepError::Device { .. } => 5,
            SweepError::Stopped | SweepError::Interrupted { .. } => 130,
            SweepError::Stuck | SweepError::AllFailed { .. } | SweepError::NoneFinished => 1,
        }
    }
}
