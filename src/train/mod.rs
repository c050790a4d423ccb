//! The gradient loop: optimiser, schedule, early stopping, checkpoints. Knows networks, but no model by name.

mod checkpoint;
mod config;
mod optimizer;
mod run;
mod targets;
mod task;

pub(crate) use checkpoint::{bytes, floats};
pub use config::{AdamWConfig, EarlyStopping, OptimizerConfig, ScheduleConfig, TrainConfig};
pub(crate) use run::thread_seconds;
pub use run::{Network, evaluate, train};
pub use targets::TargetScaling;
pub use task::{EpochRecord, FitError, FitReport, FitTask, StopReason};
