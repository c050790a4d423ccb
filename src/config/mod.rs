//! From YAML to a plan. The settings themselves live beside the things that they configure; this room composes them.

pub mod diagnostic;
mod load;
mod resolve;
mod schema;
mod sweep;
mod tree;

pub use diagnostic::{ConfigError, Diagnostic};
pub use load::{Text, load, schema_text};
pub use resolve::Plan;
pub use sweep::{Fuse, Goal, JudgedFigure, SweepConfig, SweepPlan, load_sweep, sweep_schema_text};

use crate::data::DataConfig;
use crate::data::SplitConfig;
use crate::device::DeviceChoice;
use crate::domains::market::backtest::BacktestConfig;
use crate::domains::market::indicators::IndicatorConfig;
use crate::domains::market::labels::LabelConfig;
use crate::domains::market::strategies::StrategyEntry;
use crate::metrics::{AlarmConfig, NoiseFloor};
use crate::model::ModelConfig;
use crate::table::ScalerConfig;
use crate::train::TrainConfig;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One experiment as the user writes it. Sections that are not needed may be left out: no `models` gives a plain
/// backtest, no `strategies` a plain forecast.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExperimentConfig {
    /// Name of the experiment: lower-case letters, digits, dots, dashes and underscores. It names the run directory.
    pub name: String,
    /// From which all random numbers are derived.
    #[serde(default)]
    pub seed: u64,
    /// Where networks train: auto, cpu, cuda or cuda:N.
    #[serde(default)]
    pub device: DeviceChoice,
    /// Which bars are loaded.
    pub data: DataConfig,
    /// What models see, in the order of the list.
    #[serde(default)]
    pub features: Vec<IndicatorConfig>,
    /// What models forecast.
    #[serde(default)]
    pub target: Option<LabelConfig>,
    /// The figures of the best possible forecast, where the process is known; every model is shown beside them, and one
    /// that scores better than is possible is reported as a leak.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise_floor: Option<NoiseFloor>,
    /// From which risk on there is an alarm; only where the target is an event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alarms: Option<AlarmConfig>,
    /// How features are scaled; fitted on the training rows of each fold.
    #[serde(default)]
    pub scaler: ScalerConfig,
    /// How the bars are cut into training, validation and test parts.
    #[serde(default)]
    pub split: Option<SplitConfig>,
    /// Models under names of your choice; strategies refer to them.
    #[serde(default)]
    pub models: IndexMap<String, ModelConfig>,
    /// How networks are trained.
    #[serde(default)]
    pub train: TrainConfig,
    /// Strategies under names of your choice; each becomes a book, or with lists and ranges of parameters many.
    #[serde(default)]
    pub strategies: IndexMap<String, StrategyEntry>,
    /// How books are run.
    #[serde(default)]
    pub backtest: BacktestConfig,
    /// Whether the run keeps its bars and features in `history.parquet`, for `candlewick query` and for other programs.
    #[serde(default)]
    pub keep_history: bool,
}
