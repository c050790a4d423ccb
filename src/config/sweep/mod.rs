//! A sweep as the user writes it: which experiment, what varies, how it is searched, what judges.

mod load;
mod plan;
mod relevance;
mod trial;

pub use load::{load_sweep, sweep_schema_text};
pub use plan::SweepPlan;

use crate::data::BarDuration;
use crate::metrics::ForecastMetrics;
use crate::search::{MethodConfig, Space, Tpe};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One sweep as the user writes it: an experiment, trained again and again with other settings. Trials are judged on
/// validation rows alone; the best one is then run once on the test rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SweepConfig {
    /// Name of the sweep: letters, digits, dots, dashes and underscores. It names the sweep's directory.
    pub name: String,
    /// The experiment that is varied: a YAML file, named from the folder of the sweep's file.
    pub experiment: String,
    /// Changes to the experiment for the whole sweep, by path: `train.epochs: 6`.
    #[serde(default)]
    pub set: IndexMap<String, serde_json::Value>,
    /// From which the search's random numbers are derived; the networks' come from the experiment's own seed.
    #[serde(default)]
    pub seed: u64,
    /// How the space is searched, `tpe` if left out: a name such as `random`, or a name with settings such as
    /// `{asha: {reduction: 3}}`.
    #[serde(default = "default_method", deserialize_with = "MethodConfig::by_name_or_settings")]
    #[schemars(schema_with = "MethodConfig::schema_by_name_or_settings")]
    pub method: MethodConfig,
    /// What judges a trial, always on validation rows.
    #[serde(default)]
    pub metric: JudgedFigure,
    /// Whether small or large values of the metric are good; follows the metric if left out.
    #[serde(default)]
    pub goal: Option<Goal>,
    /// The model whose figure it is; may be left out if the experiment has only one.
    #[serde(default)]
    pub model: Option<String>,
    /// The strategy whose book on the validation rows gives the Sharpe ratio; may be left out if only one trades on the
    /// model.
    #[serde(default)]
    pub strategy: Option<String>,
    /// Exactly so many trials, unless the space holds fewer or the time is up. For a grid it may be left out: all its
    /// combinations.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub trials: Option<usize>,
    /// After so long no new work is begun: `90s`, `10m`, `4h`, `1d`. No limit if left out.
    #[serde(default)]
    pub time: Option<BarDuration>,
    /// Networks a trial and fold, which differ in their seed; the trial's value is their mean.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub seeds: usize,
    /// Folds whose validation rows judge: the first so many. The validation rows of a later fold are test rows of earlier
    /// ones, so the best trial is tested on the last of these folds and on later ones only.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub folds: usize,
    /// Whether trials of equal tensor shape are trained together. Changes no result.
    #[serde(default)]
    pub fuse: Fuse,
    /// What varies: for each path of the experiment its `values`, or its `min` and `max`.
    pub space: Space,
}

fn default_method() -> MethodConfig {
    MethodConfig::Tpe(Tpe::default())
}

fn one() -> usize {
    1
}

/// A figure by which trials are judged, on validation rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum JudgedFigure {
    /// The loss that the training makes small.
    #[default]
    #[serde(rename = "validation.loss")]
    Loss,
    /// Mean squared error of the forecasts, which of probabilities is the Brier score; for changes, in units of each
    /// symbol's own standard deviation.
    #[serde(rename = "validation.mse")]
    MeanSquaredError,
    /// Mean absolute error of the forecasts; for changes, in units of each symbol's own standard deviation.
    #[serde(rename = "validation.mae")]
    MeanAbsoluteError,
    /// Correlation of forecasts and outcomes.
    #[serde(rename = "validation.ic")]
    InformationCoefficient,
    /// Correlation of the ranks of forecasts and outcomes.
    #[serde(rename = "validation.rank_ic")]
    RankInformationCoefficient,
    /// Share of forecasts with the right sign.
    #[serde(rename = "validation.hit_rate")]
    HitRate,
    /// Area under the receiver operating characteristic, the mean over horizons; for targets that are 0 or 1.
    #[serde(rename = "validation.auc")]
    AreaUnderCurve,
    /// Average precision, the mean over horizons; for targets that are 0 or 1.
    #[serde(rename = "validation.average_precision")]
    AveragePrecision,
    /// Annualised Sharpe ratio of the strategy's book after costs.
    #[serde(rename = "validation.sharpe")]
    SharpeRatio,
}

impl JudgedFigure {
    /// As it is written: `validation.rank_ic`.
    pub fn name(self) -> &'static str {
        match self {
            JudgedFigure::Loss => "validation.loss",
            JudgedFigure::MeanSquaredError => "validation.mse",
            JudgedFigure::MeanAbsoluteError => "validation.mae",
            JudgedFigure::InformationCoefficient => "validation.ic",
            JudgedFigure::RankInformationCoefficient => "validation.rank_ic",
            JudgedFigure::HitRate => "validation.hit_rate",
            JudgedFigure::AreaUnderCurve => "validation.auc",
            JudgedFigure::AveragePrecision => "validation.average_precision",
            JudgedFigure::SharpeRatio => "validation.sharpe",
        }
    }

    /// It among the figures of forecasts; none where it is no such figure, or is not defined for them.
    ///
    /// Errors of series of different scales are those in units of each series, as benchmarks state them. A forecast that
    /// never varies has no correlation with what came; that counts as 0.
    pub fn of(self, metrics: &ForecastMetrics) -> Option<f64> {
        match self {
            JudgedFigure::Loss | JudgedFigure::SharpeRatio => None,
            JudgedFigure::MeanSquaredError => metrics.scaled_mse.or(metrics.mse),
            JudgedFigure::MeanAbsoluteError => metrics.scaled_mae.or(metrics.mae),
            JudgedFigure::InformationCoefficient => Some(metrics.ic.unwrap_or(0.0)),
            JudgedFigure::RankInformationCoefficient => Some(metrics.rank_ic.unwrap_or(0.0)),
            JudgedFigure::HitRate => metrics.directional_accuracy,
            JudgedFigure::AreaUnderCurve => metrics.auc,
            JudgedFigure::AveragePrecision => metrics.average_precision,
        }
    }

    /// Whether small values are good.
    pub fn natural_goal(self) -> Goal {
        match self {
            JudgedFigure::Loss | JudgedFigure::MeanSquaredError | JudgedFigure::MeanAbsoluteError => {
                Goal::Minimize
            }
            _ => Goal::Maximize,
        }
    }
}

/// Which values of a metric are good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Goal {
    /// Small ones.
    Minimize,
    /// Large ones.
    Maximize,
}

/// Whether trials of equal tensor shape are trained together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fuse {
    /// Wherever their shapes are equal.
    #[default]
    Auto,
    /// One after the other.
    Off,
}
