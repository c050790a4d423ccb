//! `sweep.json`: what a sweep found, the document that `--json` prints and from which its report is drawn.

use super::Verdict;
use crate::metrics::{Factor, importance};
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// The outcome of one sweep.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SweepSummary {
    /// Where the sweep's files are.
    pub sweep_dir: String,
    /// The sweep's name.
    pub name: String,
    /// The experiment that it varies.
    pub experiment: String,
    /// The sweep's seed.
    pub seed: u64,
    /// Version of the program.
    pub version: String,
    /// Fingerprint of the loaded bars.
    pub data_sha256: String,
    /// `cpu` or `cuda:0`.
    pub device: String,
    /// Threads that worked.
    pub threads: usize,
    /// The name of the method: `tpe`.
    pub method: String,
    /// `validation.loss`, `validation.rank_ic`, ...
    pub metric: String,
    /// Whether small values are good.
    pub minimize: bool,
    /// Trials that were asked for.
    pub trials_asked: usize,
    /// Seconds that were allowed, where the time was a budget.
    pub seconds_allowed: Option<f64>,
    /// Epochs of a trial that is trained to the end.
    pub epochs: u64,
    /// Folds whose validation parts judge a trial.
    pub folds: usize,
    /// Networks a trial and fold, which differ in their seed.
    pub seeds: usize,
    /// Wall clock over all sittings.
    pub seconds: f64,
    /// Processor time of all threads over all sittings.
    pub cpu_seconds: f64,
    /// What was varied, in the order of the configuration.
    pub space: Vec<DimensionSummary>,
    /// Every trial in the order of its number.
    pub trials: Vec<TrialSummary>,
    /// Trials of equal tensor shape, which were trained together.
    pub populations: Vec<PopulationSummary>,
    /// The number of the best trial that was trained to the end.
    pub best: Option<usize>,
    /// Probability that the best trial of one half of the validation bars is not above the median on the other
    /// (Bailey et al. 2017); absent where trials trade on nothing.
    pub overfitting_probability: Option<f64>,
    /// The best trial as a whole run on the test bars; absent where none was finished or it was not asked for.
    pub winner: Option<WinnerSummary>,
    /// Why it ended: "completed", "time", "interrupted".
    pub stop_reason: String,
    /// What people should know before they trust the numbers.
    pub warnings: Vec<String>,
}

impl SweepSummary {
    /// Fills in how important each dimension was ([`importance`]), by the trials that were trained to the end.
    pub fn measure_importance(&mut self) {
        let finished: Vec<&TrialSummary> =
            self.trials.iter().filter(|trial| trial.status == TrialStatus::Complete).collect();
        let outcomes: Vec<f64> = finished.iter().map(|trial| trial.value.unwrap_or(f64::NAN)).collect();
        let factors: Vec<Factor> = self.space.iter().map(|dimension| dimension.factor(&finished)).collect();
        let shares = importance(&factors, &outcomes);
        for (dimension, share) in self.space.iter_mut().zip(shares) {
            dimension.importance = share;
        }
    }
}

/// One dimension of the space.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DimensionSummary {
    /// The setting's path.
    pub path: String,
    /// `choice`, `linear` or `log`.
    pub scale: String,
    /// Whether it takes whole numbers only.
    pub int: bool,
    /// The choices; empty for an interval.
    pub values: Vec<serde_json::Value>,
    /// The ends of an interval.
    pub interval: Option<[f64; 2]>,
    /// Share of the variance of the metric over the trials that this dimension explains; absent for too few trials.
    pub importance: Option<f64>,
}

impl DimensionSummary {
    /// Its value in each trial. Numbers are ordered, choices of anything else are not.
    fn factor(&self, trials: &[&TrialSummary]) -> Factor {
        let values = trials.iter().map(|trial| trial.settings.get(&self.path));
        if self.values.iter().all(serde_json::Value::is_number) {
            let number = |value: Option<&serde_json::Value>| value.and_then(serde_json::Value::as_f64);
            return Factor::Ordered(values.map(|value| number(value).unwrap_or(f64::NAN)).collect());
        }
        Factor::Choices(
            values.map(|value| self.values.iter().position(|other| Some(other) == value)).collect(),
        )
    }
}

/// What became of a trial.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TrialStatus {
    /// Trained to the end.
    Complete,
    /// Given up early, since others were better.
    Pruned,
    /// Its loss was no longer a number.
    Diverged,
    /// It could not be computed; `reason` says why.
    Failed,
    /// The sweep ended first.
    Unfinished,
}

/// One trial.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TrialSummary {
    /// From 0, in the order of their start.
    pub number: usize,
    /// Hash of its resolved configuration and the data.
    pub id: String,
    /// What became of it.
    pub status: TrialStatus,
    /// What it was given, by path.
    pub settings: IndexMap<String, serde_json::Value>,
    /// The metric on the validation bars, as it was told last.
    pub value: Option<f64>,
    /// The same for each fold and seed.
    pub values: Vec<f64>,
    /// Epochs that it was trained.
    pub epochs: u64,
    /// Numbers that were fitted in one of its networks.
    pub parameters: usize,
    /// Epoch and mean validation loss, epoch by epoch.
    pub curve: Vec<(u64, f64)>,
    /// The Sharpe ratio of its book on the validation bars of the first fold; absent where it trades on nothing.
    pub validation_sharpe: Option<f64>,
    /// When it was at work and on which core: start and end in seconds since the sweep began.
    pub spans: Vec<TrialSpan>,
    /// Processor time.
    pub cpu_seconds: f64,
    /// Whether its outcome was taken from an earlier sweep.
    pub reused: bool,
    /// Why it failed or diverged.
    pub reason: Option<String>,
}

/// A time at which a trial was at work.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialSpan {
    /// The core's number, from 0.
    pub core: usize,
    /// Seconds since the sweep began.
    pub start: f64,
    /// Seconds since the sweep began.
    pub end: f64,
}

/// Trials that could be trained together, since their tensors have equal shapes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct PopulationSummary {
    /// The shape in words: "lstm [100, 50], 60 bars, 6 features".
    pub shape: String,
    /// Members that were in it.
    pub members: usize,
}

/// The best trial, run on the test bars.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WinnerSummary {
    /// The trial's number.
    pub trial: usize,
    /// Its run directory.
    pub run_dir: String,
    /// The swept model's book, which the Sharpe ratios are of; absent where it trades on nothing.
    #[serde(default)]
    pub book: Option<String>,
    /// Sharpe ratio of that book on the test bars.
    pub sharpe: Option<f64>,
    /// Probability that its true Sharpe ratio is above what the best of all trials would show by luck.
    pub deflated_sharpe: Option<f64>,
    /// The metric of the sweep on the test bars.
    pub test_value: Option<f64>,
    /// The run's verdict; it may be about a book on another model.
    pub verdict: Option<Verdict>,
}
