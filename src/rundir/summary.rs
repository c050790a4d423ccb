//! `summary.json`: what a run found, the document that `--json` prints and from which reports are drawn.

use super::event_summary::{EventSummary, RiskStatus};
use crate::metrics::{BenchmarkMetrics, BreakerMetrics, ForecastMetrics, NoiseFloor, TradingMetrics};
use crate::table::LabelKind;
use serde::{Deserialize, Serialize};

/// The outcome of one run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Summary {
    /// Where the run's files are.
    pub run_dir: String,
    /// The experiment's name.
    pub name: String,
    /// The experiment's seed.
    pub seed: u64,
    /// Version of the program.
    pub version: String,
    /// Fingerprint of the resolved plan.
    pub plan_sha256: String,
    /// `cpu` or `cuda:0`.
    pub device: String,
    /// Why it was that device.
    pub device_reason: String,
    /// Threads that worked.
    pub threads: usize,
    /// What was loaded.
    pub data: DataSummary,
    /// The stages of the story in order.
    pub stages: Vec<Stage>,
    /// What the models forecast; absent without models, and in runs of older versions.
    #[serde(default)]
    pub target: Option<LabelKind>,
    /// The figures of the best possible forecast, where the experiment knows them: the same for each horizon.
    #[serde(default)]
    pub noise_floor: Option<NoiseFloor>,
    /// Every model, in the order of the configuration.
    pub models: Vec<ModelSummary>,
    /// The newest forecast of every model, symbol and shown horizon, where the target is an event.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub status: Vec<RiskStatus>,
    /// From the start of the process to the end of its first training step, up to 10 ms too many; absent where no network
    /// was trained.
    #[serde(default)]
    pub seconds_to_first_step: Option<f64>,
    /// Every book, in the order of the configuration.
    pub strategies: Vec<StrategySummary>,
    /// Every strategy with ranges of parameters, in the order of the configuration.
    #[serde(default)]
    pub grids: Vec<GridSummary>,
    /// The look-ahead proof; absent where it was not asked for.
    #[serde(default)]
    pub audit: Option<AuditSummary>,
    /// Absent where there is no model or no baseline to compare.
    pub verdict: Option<Verdict>,
    /// How the books were run.
    pub backtest: Option<BacktestSummary>,
    /// What people should know before they trust the numbers: repairs, fallbacks, doubtful settings.
    pub warnings: Vec<String>,
}

impl Summary {
    /// Takes out what is no number, since JSON cannot say it and the summary could not be read any more: amounts of
    /// money become 0, figures undefined. A warning names each book and what it lost.
    pub fn keep_finite(&mut self) {
        for strategy in &mut self.strategies {
            let lost = strategy.keep_finite();
            if !lost.is_empty() {
                self.warnings.push(format!(
                    "{}: {} left the range of numbers and is not shown; do not trust this book",
                    strategy.name,
                    lost.join(", ")
                ));
            }
        }
        for grid in &mut self.grids {
            if !keep_numbers(&mut grid.sharpe_quantiles) {
                self.warnings.push(format!("{}: a Sharpe quantile left the range of numbers: 0", grid.name));
            }
        }
        let number = |verdict: &Verdict| {
            verdict.sharpe_difference.is_finite() && verdict.interval.iter().all(|end| end.is_finite())
        };
        if self.verdict.take_if(|verdict| !number(verdict)).is_some() {
            self.warnings.push("there is no verdict: a Sharpe ratio left the range of numbers".into());
        }
    }
}

/// Makes 0 of what is no number; whether all were numbers.
fn keep_numbers(values: &mut [f64]) -> bool {
    let mut all = true;
    for value in values.iter_mut().filter(|value| !value.is_finite()) {
        (*value, all) = (0.0, false);
    }
    all
}

impl StrategySummary {
    /// As [`Summary::keep_finite`]; the names of what was taken out.
    fn keep_finite(&mut self) -> Vec<&'static str> {
        let mut lost = Vec::new();
        let metrics = &mut self.metrics;
        for (name, amount) in [
            ("fees", &mut metrics.fees),
            ("slippage_cost", &mut metrics.slippage_cost),
            ("spread_cost", &mut metrics.spread_cost),
            ("impact_cost", &mut metrics.impact_cost),
            ("gas_cost", &mut metrics.gas_cost),
            ("funding_cost", &mut metrics.funding_cost),
            ("borrow_cost", &mut metrics.borrow_cost),
        ] {
            if !keep_numbers(std::slice::from_mut(amount)) {
                lost.push(name);
            }
        }
        let mut none = HeadlineIntervals::default();
        let headline = self.intervals.as_mut().unwrap_or(&mut none);
        for (name, interval) in [
            ("sharpe_interval", &mut self.sharpe_interval),
            ("total_return", &mut headline.total_return),
            ("cagr", &mut headline.cagr),
            ("volatility", &mut headline.volatility),
            ("sortino", &mut headline.sortino),
            ("max_drawdown", &mut headline.max_drawdown),
        ] {
            if interval.take_if(|ends| !ends.iter().all(|end| end.is_finite())).is_some() {
                lost.push(name);
            }
        }
        if self.breaker.take_if(|breaker| !breaker.figures.is_finite()).is_some() {
            lost.push("breaker");
        }
        if let Some(spread) = &mut self.spread
            && !(keep_numbers(&mut spread.sharpe_quantiles) & keep_numbers(&mut spread.sharpes))
        {
            lost.push("spread");
        }
        lost
    }
}

/// What was loaded.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DataSummary {
    /// The configured path.
    pub path: String,
    /// Bars of all symbols.
    pub rows: usize,
    /// Names of the symbols.
    pub symbols: Vec<String>,
    /// First bar, RFC 3339.
    pub start: String,
    /// Last bar, RFC 3339.
    pub end: String,
    /// Over the loaded bars (after selection and repair), so that equal numbers have equal fingerprints.
    pub sha256: String,
    /// Length of a bar in seconds.
    pub interval_seconds: f64,
    /// What the configuration asked to repair, and how often it was done: "2 duplicate bars dropped".
    pub repairs: Vec<String>,
}

/// Time spent on a part of the story.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Stage {
    /// The stage's name.
    pub name: String,
    /// Wall clock.
    pub seconds: f64,
    /// Processor time of all threads of the process.
    pub cpu_seconds: f64,
}

/// One model over all folds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ModelSummary {
    /// The user's name.
    pub name: String,
    /// The registry's name: `lstm`.
    pub kind: String,
    /// Trained numbers of one fold's model.
    pub parameters: usize,
    /// Training windows that passed forward and backward in a second of wall clock, all folds together; absent for
    /// closed-form models.
    pub samples_per_second: Option<f64>,
    /// The same in a second of processor time. Both count the optimiser steps alone: gathering, forward, backward, moving.
    pub samples_per_cpu_second: Option<f64>,
    /// Networks a fold, whose mean is the forecast.
    #[serde(default = "one")]
    pub seeds: usize,
    /// In which numbers the products of a training step were computed: `f32` or `bf16`; absent for closed-form models.
    #[serde(default)]
    pub precision: Option<String>,
    /// Why in these.
    #[serde(default)]
    pub precision_reason: Option<String>,
    /// Windows trained on, summed over folds.
    pub training_windows: usize,
    /// Over the test rows of all folds and all horizons.
    pub metrics: ForecastMetrics,
    /// The same for each horizon, in the order of `horizons`.
    pub by_horizon: Vec<ForecastMetrics>,
    /// Horizons in bars; of more than twelve some at equal distances, the first and the last among them.
    pub horizons: Vec<u32>,
    /// Over the validation rows of all folds.
    pub validation_metrics: ForecastMetrics,
    /// Where the target is an event: the figures of each horizon, in the order of `horizons`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<EventSummary>,
    /// Share of test rows in which the risk of a longer horizon is below that of a shorter one, although the one holds the
    /// other; absent where the target is no event or has one horizon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub risk_order_violations: Option<f64>,
}

fn one() -> usize {
    1
}

/// Whether a book trades on forecasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StrategyKind {
    /// Trades on the forecasts of a model.
    Model,
    /// An ordinary strategy.
    Baseline,
}

/// One book; of a distribution of books the one with the median Sharpe ratio.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StrategySummary {
    /// The user's name.
    pub name: String,
    /// Model or baseline.
    pub kind: StrategyKind,
    /// The registry's name: `sma_cross`.
    pub strategy: String,
    /// The model it trades on.
    pub model: Option<String>,
    /// Over the test bars.
    pub metrics: TradingMetrics,
    /// 95 % stationary-bootstrap interval of the Sharpe ratio.
    pub sharpe_interval: Option<[f64; 2]>,
    /// The Sharpe ratio on the validation bars, for books that trade on a model.
    pub validation_sharpe: Option<f64>,
    /// Where the strategy is many random books: their spread.
    pub spread: Option<SpreadSummary>,
    /// When the book's equity was used up, RFC 3339.
    pub bankrupt_at: Option<String>,
    /// 95 % stationary-bootstrap intervals of the other headline figures.
    #[serde(default)]
    pub intervals: Option<HeadlineIntervals>,
    /// Probability that the true Sharpe ratio is above what the best of all trials would show by luck (Bailey and Lopez de
    /// Prado 2014).
    #[serde(default)]
    pub deflated_sharpe: Option<f64>,
    /// The book at 0, 1, 2 and 4 times all its costs but funding, which stays as it is.
    #[serde(default)]
    pub cost_scenarios: Vec<CostScenario>,
    /// By which number all costs but funding may be multiplied until the book earns nothing; absent where it earns nothing without
    /// costs, or still earns at 100 times its costs.
    #[serde(default)]
    pub break_even_cost_multiple: Option<f64>,
    /// The grid whose best book this is.
    #[serde(default)]
    pub grid: Option<String>,
    /// The book beside the run's first `buy_and_hold` of the same symbols; absent without one.
    #[serde(default)]
    pub benchmark: Option<BenchmarkMetrics>,
    /// What a circuit breaker was worth; absent for other strategies.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub breaker: Option<BreakerSummary>,
}

/// A circuit breaker beside the book that it guards, which is run on the same bars at the same costs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BreakerSummary {
    /// The strategy that it guards; absent where that is to buy every symbol and hold.
    pub guards: Option<String>,
    /// The figures.
    pub figures: BreakerMetrics,
}

/// 95 % intervals, each from the 2.5 % to the 97.5 % quantile of the resamples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HeadlineIntervals {
    /// Of the total return.
    pub total_return: Option<[f64; 2]>,
    /// Of the compound annual growth rate.
    pub cagr: Option<[f64; 2]>,
    /// Of the annual volatility.
    pub volatility: Option<[f64; 2]>,
    /// Of the Sortino ratio.
    pub sortino: Option<[f64; 2]>,
    /// Of the maximum drawdown.
    pub max_drawdown: Option<[f64; 2]>,
}

/// A book at other costs, with the same positions wanted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CostScenario {
    /// By which all costs are multiplied, but for funding: a flow of the market and no charge, it is the same in each.
    pub multiple: f64,
    /// Last equity over starting cash, minus 1.
    pub total_return: Option<f64>,
    /// Annualised.
    pub sharpe: Option<f64>,
    /// 0 or negative.
    pub max_drawdown: Option<f64>,
}

/// A strategy with ranges of parameters: many books, of which only figures are kept. `books.parquet` has a row a book.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GridSummary {
    /// The user's name.
    pub name: String,
    /// The registry's name: `sma_cross`.
    pub strategy: String,
    /// The parameters that vary, in the order of the settings: the strategy's own, then exits, then sizing.
    pub axes: Vec<GridAxisSummary>,
    /// Books that were run.
    pub books: usize,
    /// Combinations that make no sense and were left out, such as a fast mean above a slow one.
    pub skipped: usize,
    /// `batch` or `ledger`: which loop ran the books. Both give the same money.
    pub engine: String,
    /// Sharpe ratios of the books at 5, 25, 50, 75 and 95 per cent; those without one count as 0.
    pub sharpe_quantiles: [f64; 5],
    /// The name of the book with the best Sharpe ratio, which is among the strategies: `sma[fast=10,slow=60]`.
    pub best: Option<String>,
    /// What the best book is worth after so many were tried.
    pub selection: SelectionSummary,
}

/// A parameter that varies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GridAxisSummary {
    /// Its name, a path where it is not the strategy's own: `fast`, `exits.stop_loss_percent`.
    pub parameter: String,
    /// Its values as they would be written, in order; a column of this name is in `books.parquet`.
    pub values: Vec<serde_json::Value>,
}

/// What is left of the best of many trials. `None` where a figure is not defined (too few books or bars).
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SelectionSummary {
    /// Books that were ever tried on overlapping bars of these symbols in this folder of runs, this run's included.
    pub trials: usize,
    /// Annualised Sharpe ratio that the best of so many trials without any skill is expected to show, given how far the better
    /// half of them spreads.
    pub luck_sharpe: Option<f64>,
    /// Probability that the best book's true Sharpe ratio is above that (the deflated Sharpe ratio).
    pub deflated_sharpe: Option<f64>,
    /// Probability of backtest overfitting, by combinatorially symmetric cross-validation (Bailey et al. 2017).
    pub overfitting: Option<f64>,
    /// p-value of White's reality check against doing nothing.
    pub reality_check: Option<f64>,
    /// p-value of Hansen's test of superior predictive ability (consistent variant) against doing nothing.
    pub superior_ability: Option<f64>,
    /// The same against the run's `buy_and_hold`; absent without one.
    #[serde(default)]
    pub superior_to_holding: Option<f64>,
}

/// What the look-ahead proof found.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditSummary {
    /// Whether nothing knew the future.
    pub passed: bool,
    /// `short` or `full`.
    pub depth: String,
    /// Moments after which the future was poisoned.
    pub moments: usize,
    /// One line a part of the pipeline.
    pub checks: Vec<AuditCheck>,
    /// Processor seconds that it took.
    pub cpu_seconds: f64,
}

/// One part of the pipeline under the proof.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AuditCheck {
    /// `features`, `labels`, `split`, `scaler`, `model inputs`, `forecasts`, `choice`, `decisions`, `fills`, `streaming`,
    /// `warm-up`.
    pub part: String,
    /// Whether it passed.
    pub passed: bool,
    /// How many values were compared bit by bit.
    pub compared: usize,
    /// What was found, in a sentence: the first value that knew the future, or what was proved.
    pub finding: String,
}

/// A distribution of books.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SpreadSummary {
    /// How many books.
    pub books: usize,
    /// Their Sharpe ratios at 5, 25, 50, 75 and 95 per cent.
    pub sharpe_quantiles: [f64; 5],
    /// Every book's Sharpe ratio, sorted.
    pub sharpes: Vec<f64>,
}

/// How the books were run.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct BacktestSummary {
    /// First bar of the books, RFC 3339.
    pub start: String,
    /// Last bar of the books, RFC 3339.
    pub end: String,
    /// Steps of the timeline.
    pub bars: usize,
    /// Cash at the start.
    pub cash: f64,
    /// `next_open` or `same_close`.
    pub fill: String,
    /// Each cost in a line.
    pub costs: Vec<String>,
    /// Sizing in a line.
    pub sizing: String,
    /// Exits in a line; empty without any. A strategy may have its own, and its own sizing.
    #[serde(default)]
    pub exits: String,
    /// Margin in a line; empty where nothing is borrowed.
    #[serde(default)]
    pub margin: String,
    /// Bars a year by which ratios are annualised.
    pub periods_per_year: f64,
}

/// The honest answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Verdict {
    /// The book on a model that the validation bars before the first test bar chose.
    pub best_model: String,
    /// The baseline with the best Sharpe ratio on the test bars; `cash` where every one is below 0.
    pub best_baseline: String,
    /// Sharpe ratio of the one minus that of the other, on the test bars.
    pub sharpe_difference: f64,
    /// Its 95 % stationary-bootstrap interval.
    pub interval: [f64; 2],
    /// p-value of the test of equal Sharpe ratios, two-sided (Ledoit and Wolf 2008).
    #[serde(default)]
    pub p_value: Option<f64>,
    /// Books on models that were ever tried on overlapping bars of these symbols in this folder of runs, this run's included.
    pub trials: usize,
    /// The answer.
    pub conclusion: Conclusion,
    /// How the model was chosen, in a sentence.
    pub choice: String,
}

/// What the interval says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Conclusion {
    /// The whole interval is above 0.
    #[serde(rename = "proven")]
    Proven,
    /// The interval holds 0.
    #[serde(rename = "not proven")]
    NotProven,
    /// The whole interval is below 0.
    #[serde(rename = "worse")]
    Worse,
}

impl std::fmt::Display for Conclusion {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Conclusion::Proven => "proven",
            Conclusion::NotProven => "not proven",
            Conclusion::Worse => "worse",
        })
    }
}
