//! What a stream tells: the documents of `candlewick stream --json`, one a line.
//!
//! The first line is [`Opening`] with `"type": "start"`, then comes [`FeedForecast`] with `"type": "forecast"` for every
//! forecast (or every K-th), at last [`FeedSummary`] with `"type": "summary"`.

use super::score::{Figures, RecurrenceFigures};
use crate::rundir::RiskLevel;
use crate::table::LabelKind;
use crate::units::Time;
use indexmap::IndexMap;
use serde::{Serialize, Serializer};

/// One line of the feed.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub enum FeedLine<'a> {
    /// What is going to be replayed.
    Start(&'a Opening),
    /// A forecast as it was made.
    Forecast(&'a FeedForecast),
    /// What became of all.
    Summary(&'a FeedSummary),
}

/// What is going to be replayed.
#[derive(Clone, Debug, Serialize)]
pub struct Opening {
    /// The user's name of the model.
    pub model: String,
    /// In the order of their numbers.
    pub symbols: Vec<String>,
    /// In bars, in the order of every list of forecasts.
    pub horizons: Vec<u32>,
    /// What a forecast means.
    pub kind: LabelKind,
    /// Ticks to come.
    pub ticks: usize,
    /// The time of the first tick, RFC 3339.
    pub first: String,
    /// The time of the last.
    pub last: String,
    /// From one bar to the next.
    pub interval_seconds: f64,
}

/// A forecast for one symbol, made when its bar had arrived.
#[derive(Clone, Debug, Serialize)]
pub struct FeedForecast {
    /// From 1.
    pub tick: usize,
    /// Start of the bar, RFC 3339.
    #[serde(serialize_with = "moment")]
    pub timestamp: Time,
    /// The symbol.
    pub symbol: String,
    /// The last price of the bar, or the value of the series.
    pub close: f64,
    /// The features of the bar by name, not scaled.
    pub features: IndexMap<String, f64>,
    /// The user's name of the model.
    pub model: String,
    /// The same as in `predictions.parquet`.
    pub model_version: String,
    /// The fold whose model it is.
    pub fold: Option<usize>,
    /// A value a horizon, in units of the label.
    pub forecast: Vec<f64>,
    /// Of labels that are events: the risk from which on there is an alarm, a number a horizon.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub alarm_at: Option<Vec<f64>>,
    /// The levels of those risks, a horizon each; null where there is no threshold.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<Vec<Option<RiskLevel>>>,
    /// Whether the run's own forecast has the same bits; null where there is none.
    pub identical: Option<bool>,
    /// How good the forecasts so far turned out, a horizon each; outcomes that came with this bar are in.
    pub scores: Vec<Figures>,
    /// Of forecasts of levels: what became of values that were said to recur.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recurrence: Option<RecurrenceFigures>,
    /// From the arrival of the bar to the forecasts of all symbols.
    pub latency_microseconds: f64,
}

/// A whole replay.
#[derive(Clone, Debug, Serialize)]
pub struct FeedSummary {
    /// Moments that were replayed.
    pub ticks: usize,
    /// Forecasts that were made.
    pub forecasts: usize,
    /// Whether it was stopped before the last tick.
    pub interrupted: bool,
    /// A horizon each.
    pub scores: Vec<Figures>,
    /// Of forecasts of levels: what became of values that were said to recur.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub recurrence: Option<RecurrenceFigures>,
    /// From the arrival of a tick to its forecasts.
    pub latency: Latency,
    /// Wall clock, from the first tick to the end of the last.
    pub seconds: f64,
    /// Ticks over seconds.
    pub ticks_per_second: Option<f64>,
    /// The speed that was asked for.
    pub speed: String,
    /// How late the latest tick came; 0 at speed max, where none has a time to come.
    pub latest_milliseconds: f64,
    /// Forecasts that the run made, too.
    pub compared: usize,
    /// Those of them that have the same bits.
    pub identical: usize,
    /// Bars that are remembered at the end: all that the features of further ticks need.
    pub bars_remembered: usize,
}

/// Quantiles, to 2 %.
#[derive(Clone, Copy, Debug, Serialize)]
#[expect(missing_docs, reason = "the names say it")]
pub struct Latency {
    pub median_microseconds: Option<f64>,
    pub p95_microseconds: Option<f64>,
    pub p99_microseconds: Option<f64>,
}

fn moment<S: Serializer>(time: &Time, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(time)
}
