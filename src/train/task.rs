//! What a fit is asked for, what it reports, how it fails.

use super::{ChosenPrecision, TrainConfig};
use crate::kernels::gpu::GpuError;
use crate::progress::Progress;
use crate::rundir::RunDirError;
use crate::seed::Seed;
use crate::table::{LabelKind, Windows};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// One model of one fold to be fitted.
#[derive(Clone)]
pub struct FitTask<'a> {
    /// "fold 2 lstm": names the task in progress and errors.
    pub label: String,
    /// Windows to learn from.
    pub train: Arc<Windows>,
    /// Windows that decide when to stop; never learned from.
    pub validation: Arc<Windows>,
    /// What the targets mean.
    pub kind: LabelKind,
    /// `[H]`: how many bars ahead each target lies.
    pub horizons: Arc<[u32]>,
    /// How networks are trained.
    pub config: Arc<TrainConfig>,
    /// From which the model's random streams come; differs from task to task.
    pub seed: Seed,
    /// Whether it will be trained on a CUDA device, together with others.
    pub cuda: bool,
    /// The file by which a killed fit continues; none if it need not.
    pub checkpoint: Option<PathBuf>,
    /// Set when the user wants to stop: the fit then ends with [`FitError::Interrupted`]; its checkpoint is that of the
    /// last whole epoch.
    pub stop: &'a AtomicBool,
    /// Who is told how far it is.
    pub progress: &'a dyn Progress,
}

/// How far a training has come after a slice of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Advance {
    /// In the middle of an epoch.
    Stepping,
    /// An epoch ended, the last one included; the next call says whether there is another.
    Epoch(EpochRecord),
    /// There is nothing left to do.
    Done(StopReason),
}

/// What a fit did.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FitReport {
    /// Numbers that were fitted.
    pub parameters: usize,
    /// Windows that passed forward and backward, over all epochs; 0 for a closed form.
    pub samples: u64,
    /// In which numbers the products of its steps were computed; none for a closed form.
    pub precision: Option<ChosenPrecision>,
    /// Wall time at work, over all sittings of a resumed fit.
    pub seconds: f64,
    /// Time of the fitting thread on a core, over all sittings.
    pub cpu_seconds: f64,
    /// Wall time of the optimiser steps alone: gathering, forward, backward, moving; without validation.
    pub step_seconds: f64,
    /// The same on a core.
    pub step_cpu_seconds: f64,
    /// Seconds from the start of the process to the end of the fit's first step; none for a closed form.
    pub seconds_to_first_step: Option<f64>,
    /// One row an epoch; empty for a closed form.
    pub epochs: Vec<EpochRecord>,
    /// The epoch (from 1) whose weights were kept; none where the last ones were.
    pub best_epoch: Option<u64>,
    /// Why it ended.
    pub stop_reason: StopReason,
    /// Where it was trained on a device; none on the CPU.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub population: Option<PopulationRecord>,
}

/// How a network was trained on a device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PopulationRecord {
    /// Networks that trained at once.
    pub members: usize,
    /// Windows of a pass.
    pub micro_batch: usize,
    /// What the device had no room for, if anything.
    pub note: Option<String>,
}

/// One epoch. Losses are means over windows and horizons, in units of the scaled targets.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EpochRecord {
    /// From 1.
    pub epoch: u64,
    /// Mean over the epoch's batches, each before its step, with dropout.
    pub training_loss: f64,
    /// After the epoch, without dropout.
    pub validation_loss: f64,
    /// Learning rate of the epoch's last step.
    pub learning_rate: f64,
}

/// Why a fit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StopReason {
    /// All epochs were run.
    AllEpochs,
    /// The validation loss stopped falling.
    EarlyStopping,
    /// The loss was no longer a number; the weights are those of the best whole epoch before.
    Diverged,
    /// It was ended before it was done.
    Early,
    /// The solution is a formula.
    ClosedForm,
}

/// Where a loss stopped being a number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Divergence {
    /// From 1.
    pub epoch: u64,
    /// From 1, over all epochs.
    pub step: u64,
    /// What the loss became.
    pub loss: f64,
}

/// A model could not be fitted, saved, loaded or asked.
#[derive(Debug, thiserror::Error)]
pub enum FitError {
    /// A setting that makes no sense.
    #[error("{0}")]
    Settings(String),
    /// A part of the fold holds no window.
    #[error(
        "there is no {part} window; make `split` give the {part} part more bars than the window and the horizon need"
    )]
    NoWindows {
        /// Which fit.
        task: String,
        /// training or validation.
        part: &'static str,
    },
    /// Windows that do not fit the model.
    #[error(
        "the model expects windows of {expected_length} bars and {expected_features} features, but was given {length} bars and {features} features"
    )]
    Shape {
        /// T of the model.
        expected_length: usize,
        /// F of the model.
        expected_features: usize,
        /// T of the windows.
        length: usize,
        /// F of the windows.
        features: usize,
    },
    /// The loss is no longer a number.
    #[error(
        "the loss became {loss} in epoch {epoch}, step {step}; use a lower learning rate or a `gradient_clip`, and look for extreme feature values"
    )]
    Diverged {
        /// Which fit.
        task: String,
        /// From 1.
        epoch: u64,
        /// From 1, over all epochs.
        step: u64,
        /// What it became.
        loss: f64,
    },
    /// The normal equations have no unique solution.
    #[error("the features depend on each other linearly; give the model a larger `penalty`, such as 1.0")]
    Singular {
        /// Which fit.
        task: String,
    },
    /// The user stopped the run.
    #[error("interrupted; continue the run with `candlewick run --resume`")]
    Interrupted,
    /// A member cannot take over another one's state.
    #[error("{task} cannot take over the state of {other}: {reason}")]
    Adopt {
        /// Which fit.
        task: String,
        /// Whose state.
        other: String,
        /// Why not.
        reason: &'static str,
    },
    /// A model whose forecast is more than a function of one window.
    #[error(
        "it cannot be exported: its forecast is no function of a window of scaled features alone; lstm, transformer, patch_transformer, linear, logistic and naive are"
    )]
    NoGraph,
    /// A CUDA device failed.
    #[error("{0}")]
    Gpu(#[from] GpuError),
    /// A tensor operation failed.
    #[error("{0}")]
    Tensor(String),
    /// A file failed.
    #[error(transparent)]
    Files(#[from] RunDirError),
}

impl FitError {
    /// The same for another network that failed with it.
    pub(super) fn copied(&self) -> FitError {
        match self {
            FitError::Gpu(error) => FitError::Gpu(error.clone()),
            other => FitError::Tensor(other.to_string()),
        }
    }
}

impl From<candle_core::Error> for FitError {
    fn from(error: candle_core::Error) -> Self {
        // candle puts a back trace behind the first line of its errors.
        FitError::Tensor(error.to_string().lines().next().unwrap_or_default().to_owned())
    }
}
