//! The gradient loop: optimiser, schedule, early stopping, checkpoints. Knows networks, but no model by name.

mod checkpoint;
mod clock;
mod config;
mod network;
mod optimizer;
mod parts;
mod population;
mod resident;
mod room;
mod tables;
mod targets;
mod task;
mod together;
mod training;

pub(crate) use checkpoint::{bytes, floats};
pub(crate) use clock::Clock;
pub use config::{
    AdamWConfig, ChosenPrecision, EarlyStopping, OptimizerConfig, PrecisionConfig, ScheduleConfig,
    TrainConfig,
};
pub use network::{Network, evaluate};
pub use population::{Recipe, Until};
pub use room::train_on;
pub use targets::{TargetScaling, balance};
pub use task::{
    Advance, Divergence, EpochRecord, FitError, FitReport, FitTask, PopulationRecord, StopReason,
};
pub use training::Training;
