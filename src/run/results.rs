//! What a run found: scored, written as tables, summed up, sealed.

use super::books::{Backtested, Choice, Market};
use super::fit::{Fitted, metrics_by_horizon};
use super::{Context, RunError};
use crate::config::Plan;
use crate::data::Loaded;
use crate::domains::market::backtest::optimistic;
use crate::metrics::{returns, sharpe_interval, trading_metrics};
use crate::progress::{Event, Progress};
use crate::rundir::{
    AuditSummary, BacktestSummary, Column, DataSummary, Manifest, ModelSummary, RunDir, Stage,
    StrategySummary, Summary, TableFile, Verdict, read_json,
};
use crate::table::{Bars, BookResult, Fill, Side};
use crate::units::Time;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What is found so far.
pub(super) struct Outcome<'a> {
    pub plan: &'a Plan,
    pub directory: &'a RunDir,
    context: &'a Context<'a>,
    pub data_sha256: String,
    /// Books on models that this run compares.
    pub trials: usize,
    /// Why there is no verdict, if there is none.
    pub why_no_verdict: Option<&'static str>,
    pub books: Option<Scored>,
    pub verdict: Option<Verdict>,
    /// The look-ahead proof, where it was asked for.
    pub audit: Option<AuditSummary>,
}

/// Every strategy with its figures, and the one book of each that is shown.
pub(super) struct Scored {
    pub strategies: Vec<StrategySummary>,
    pub shown: Vec<BookResult>,
    pub decided: Vec<(String, crate::table::Positions)>,
    pub periods_per_year: f64,
}

/// `began.json`: what the run began with, so that a resume cannot mix two data sets, plans, programs or devices.
#[derive(Serialize, Deserialize)]
struct Beginning {
    data_sha256: String,
    plan_sha256: String,
    version: String,
    device: String,
}

/// Remembers what a run begins with at its first start, and refuses anything else when it is resumed.
pub(super) fn same_as_it_began(outcome: &Outcome, loaded: &Loaded) -> Result<(), RunError> {
    let now = Beginning {
        data_sha256: loaded.sha256.clone(),
        plan_sha256: outcome.plan.sha256.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
        device: outcome.context.device.name.clone(),
    };
    let file = outcome.directory.file("began.json");
    if !file.exists() {
        return Ok(outcome.directory.write_json("began.json", &now)?);
    }
    let before: Beginning = read_json(&file)?;
    for (what, found, expected) in [
        ("data", now.data_sha256, before.data_sha256),
        ("plan", now.plan_sha256, before.plan_sha256),
        ("version of the program", now.version, before.version),
        ("device", now.device, before.device),
    ] {
        if found != expected {
            return Err(RunError::Changed { what, found, expected });
        }
    }
    Ok(())
}

/// Tells people what was repaired and what is doubtful.
pub(super) fn warn_all(progress: &dyn Progress, loaded: &Loaded) {
    for text in loaded.repairs.iter().chain(&loaded.warnings) {
        progress.on(&Event::Warning { text: text.clone() });
    }
}

/// The figures of every book that is shown.
pub(super) fn score(market: &Market, backtested: Vec<Backtested>, choice: &Choice) -> Scored {
    let settings = &market.plan.experiment.backtest;
    let periods = settings.annual_periods(&market.bars.timeline().times()[market.fitted.span.clone()]);
    let mut scored =
        Scored { strategies: Vec::new(), shown: Vec::new(), decided: Vec::new(), periods_per_year: periods };
    for strategy in backtested {
        for (book, spread) in strategy.shown.iter().zip(strategy.spreads) {
            scored.strategies.push(StrategySummary {
                name: book.strategy.clone(),
                kind: strategy.decided.kind(),
                strategy: strategy.decided.config.name().into(),
                model: strategy.decided.config.build().model().map(|(model, _)| model.to_owned()),
                metrics: trading_metrics(book, settings.annual_periods(&book.equity.time)),
                sharpe_interval: None,
                validation_sharpe: choice.sharpe_of(&book.strategy),
                spread,
                bankrupt_at: book.bankrupt_at.map(|time| time.to_string()),
                intervals: None,
                probabilistic_sharpe: None,
                deflated_sharpe: None,
                cost_scenarios: Vec::new(),
                break_even_cost_multiple: None,
                grid: None,
            });
        }
        // What a distribution wanted differs from book to book; only single books' orders are kept.
        if strategy.decided.config.build().books() == 1 {
            scored.decided.push((strategy.decided.name.clone(), strategy.decided.positions));
        }
        scored.shown.extend(strategy.shown);
    }
    let intervals: Vec<Option<[f64; 2]>> = scored
        .shown
        .par_iter()
        .map(|book| {
            let periods = settings.annual_periods(&book.equity.time);
            sharpe_interval(&returns(book), periods, market.seed.child("sharpe interval", 0))
        })
        .collect();
    for (strategy, interval) in scored.strategies.iter_mut().zip(intervals) {
        strategy.sharpe_interval = interval;
    }
    scored
}

impl<'a> Outcome<'a> {
    pub(super) fn new(plan: &'a Plan, directory: &'a RunDir, context: &'a Context<'a>) -> Outcome<'a> {
        Outcome {
            plan,
            directory,
            context,
            data_sha256: String::new(),
            trials: 0,
            why_no_verdict: None,
            books: None,
            verdict: None,
            audit: None,
        }
    }

    /// Tells people what knows the future.
    pub(super) fn warn_of_look_ahead(&self) {
        for text in super::audited::warnings(self.audit.as_ref()) {
            self.context.progress.on(&Event::Warning { text });
        }
    }

    /// Writes every result table.
    pub(super) fn write(&self, loaded: &Loaded, fitted: &Fitted) -> Result<(), RunError> {
        let bars = &loaded.bars;
        if !fitted.models.is_empty() {
            predictions_table(bars, fitted).write(&self.directory.file("predictions.parquet"))?;
            folds_table(fitted).write(&self.directory.file("folds.parquet"))?;
            training_table(fitted).write(&self.directory.file("training.parquet"))?;
        }
        if let Some(scored) = &self.books {
            let times = &bars.timeline().times()[fitted.span.clone()];
            equity_table(times, &scored.shown).write(&self.directory.file("equity.parquet"))?;
            fills_table(bars, &scored.shown).write(&self.directory.file("fills.parquet"))?;
            positions_table(bars, scored).write(&self.directory.file("positions.parquet"))?;
            metrics_table(&scored.strategies).write(&self.directory.file("metrics.parquet"))?;
        }
        Ok(())
    }

    /// The document that `--json` prints.
    pub(super) fn summary(
        &self,
        loaded: &Loaded,
        fitted: &Fitted,
        stages: Vec<Stage>,
    ) -> Result<Summary, RunError> {
        let (bars, experiment) = (&loaded.bars, &self.plan.experiment);
        let times = bars.timeline().times();
        let moment = |step: usize| times.get(step).map(ToString::to_string).unwrap_or_default();
        let settings = &experiment.backtest;
        let look_ahead = super::audited::warnings(self.audit.as_ref());
        let warnings =
            look_ahead.into_iter().chain(loaded.warnings.iter().cloned()).chain(self.doubts()).collect();
        Ok(Summary {
            run_dir: self.directory.path().display().to_string(),
            name: experiment.name.clone(),
            seed: experiment.seed,
            version: env!("CARGO_PKG_VERSION").into(),
            plan_sha256: self.plan.sha256.clone(),
            device: self.context.device.name.clone(),
            device_reason: self.context.device.reason.clone(),
            threads: self.context.threads,
            data: DataSummary {
                path: experiment.data.path.clone(),
                rows: bars.rows(),
                symbols: bars.names().into_iter().map(str::to_owned).collect(),
                start: moment(0),
                end: moment(times.len() - 1),
                sha256: loaded.sha256.clone(),
                interval_seconds: bars.interval() as f64 * 1e-9,
                repairs: loaded.repairs.clone(),
            },
            stages,
            models: self.models(bars, fitted),
            strategies: self.books.as_ref().map(|scored| scored.strategies.clone()).unwrap_or_default(),
            grids: Vec::new(),
            audit: self.audit.clone(),
            verdict: self.verdict.clone(),
            backtest: self.books.as_ref().map(|scored| BacktestSummary {
                start: moment(fitted.span.start),
                end: moment(fitted.span.end - 1),
                bars: fitted.span.len(),
                cash: settings.cash,
                fill: settings.fill.name().into(),
                costs: settings.costs.iter().map(ToString::to_string).collect(),
                sizing: settings.sizing.to_string(),
                periods_per_year: scored.periods_per_year,
            }),
            warnings,
        })
    }

    /// Settings that flatter.
    fn doubts(&self) -> Vec<String> {
        let mut doubts: Vec<String> = self.why_no_verdict.map(str::to_owned).into_iter().collect();
        if self.books.is_some() {
            doubts.extend(optimistic(&self.plan.experiment.backtest));
        }
        doubts
    }

    fn models(&self, bars: &Bars, fitted: &Fitted) -> Vec<ModelSummary> {
        let of = |(record, predictions): (&super::fit::ModelRecord, &crate::table::ModelPredictions)| {
            let samples: u64 = record.fits.iter().map(|fit| fit.samples).sum();
            let rate = |seconds: f64| (samples > 0 && seconds > 0.0).then(|| samples as f64 / seconds);
            let (metrics, by_horizon) = metrics_by_horizon(bars, predictions);
            ModelSummary {
                name: record.name.clone(),
                kind: record.kind.into(),
                parameters: record.fits.first().map_or(0, |fit| fit.parameters),
                samples_per_second: rate(record.fits.iter().map(|fit| fit.seconds).sum()),
                samples_per_cpu_second: rate(record.fits.iter().map(|fit| fit.cpu_seconds).sum()),
                training_windows: record.training_windows,
                metrics,
                by_horizon,
                horizons: predictions.horizons.clone(),
                validation_metrics: record.validation.clone(),
            }
        };
        fitted.models.iter().zip(&fitted.predictions.0).map(of).collect()
    }

    /// Closes the run for good.
    pub(super) fn seal(&self, loaded: &Loaded) -> Result<(), RunError> {
        let experiment = &self.plan.experiment;
        Ok(self.directory.seal(Manifest {
            version: env!("CARGO_PKG_VERSION").into(),
            name: experiment.name.clone(),
            seed: experiment.seed,
            plan_sha256: self.plan.sha256.clone(),
            data_sha256: loaded.sha256.clone(),
            device: self.context.device.name.clone(),
            device_reason: self.context.device.reason.clone(),
            trials: self.trials,
            stop_reason: "completed".into(),
            files: std::collections::BTreeMap::new(),
        })?)
    }
}

fn predictions_table(bars: &Bars, fitted: &Fitted) -> TableFile {
    let (mut model, mut symbol) = (Vec::new(), Vec::new());
    let (mut fold, mut horizon, mut time) = (Vec::new(), Vec::new(), Vec::new());
    let (mut prediction, mut actual) = (Vec::new(), Vec::new());
    let symbols = shared_names(bars);
    for predictions in &fitted.predictions.0 {
        let name: Arc<str> = predictions.model.as_str().into();
        for (index, sample) in predictions.samples.iter().enumerate() {
            let source = &bars.symbols()[sample.symbol as usize];
            for (output, bars_ahead) in predictions.horizons.iter().enumerate() {
                let place = index * predictions.horizons.len() + output;
                model.push(name.clone());
                symbol.push(symbols[sample.symbol as usize].clone());
                fold.push(i64::from(predictions.fold[index]));
                horizon.push(i64::from(*bars_ahead));
                time.push(source.time()[sample.row as usize]);
                prediction.push(predictions.values[place]);
                actual.push(predictions.actual[place]);
            }
        }
    }
    TableFile::default()
        .with("model", Column::Text(model))
        .with("fold", Column::Integer(fold))
        .with("symbol", Column::Text(symbol))
        .with("timestamp", Column::Time(time))
        .with("horizon", Column::Integer(horizon))
        .with("prediction", Column::Float(prediction))
        .with("actual", Column::Float(actual))
}

fn folds_table(fitted: &Fitted) -> TableFile {
    let folds = &fitted.folds;
    let time = |of: fn(&crate::data::Fold) -> crate::units::Time| {
        Column::Time(folds.iter().map(|(fold, _)| of(fold)).collect())
    };
    let count =
        |part: usize| Column::Integer(folds.iter().map(|(_, windows)| windows[part] as i64).collect());
    TableFile::default()
        .with("fold", Column::Integer(folds.iter().map(|(fold, _)| fold.index as i64).collect()))
        .with("train_start", time(|fold| fold.train.first().map_or(fold.test.start, |range| range.start)))
        .with("train_end", time(|fold| fold.train.last().map_or(fold.test.start, |range| range.end)))
        .with("validation_start", time(|fold| fold.validation.start))
        .with("validation_end", time(|fold| fold.validation.end))
        .with("test_start", time(|fold| fold.test.start))
        .with("test_end", time(|fold| fold.test.end))
        .with("train_windows", count(0))
        .with("validation_windows", count(1))
        .with("test_windows", count(2))
}

fn training_table(fitted: &Fitted) -> TableFile {
    let (mut model, mut fold, mut epoch) = (Vec::new(), Vec::new(), Vec::new());
    let (mut training, mut validation, mut rate) = (Vec::new(), Vec::new(), Vec::new());
    for record in &fitted.models {
        let name: Arc<str> = record.name.as_str().into();
        for (index, fit) in record.fits.iter().enumerate() {
            for row in &fit.epochs {
                model.push(name.clone());
                fold.push(index as i64);
                epoch.push(row.epoch as i64);
                training.push(row.training_loss);
                validation.push(row.validation_loss);
                rate.push(row.learning_rate);
            }
        }
    }
    TableFile::default()
        .with("model", Column::Text(model))
        .with("fold", Column::Integer(fold))
        .with("epoch", Column::Integer(epoch))
        .with("training_loss", Column::Float(training))
        .with("validation_loss", Column::Float(validation))
        .with("learning_rate", Column::Float(rate))
}

/// A row a book and step of the span. A book of one symbol that is listed later, or not to the end, waits in cash.
fn equity_table(times: &[Time], books: &[BookResult]) -> TableFile {
    let (mut name, mut time) = (Vec::new(), Vec::new());
    let (mut equity, mut cash, mut exposure, mut drawdown) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for book in books {
        let book_name: Arc<str> = book.strategy.as_str().into();
        let own = &book.equity;
        let first = own.time.first().map_or(times.len(), |first| times.partition_point(|time| time < first));
        let rest = times.len() - first - own.time.len();
        let last = |values: &[f64], none: f64| values.last().copied().unwrap_or(none);
        let padded = |all: &mut Vec<f64>, values: &[f64], before: f64| {
            all.extend(std::iter::repeat_n(before, first));
            all.extend(values);
            all.extend(std::iter::repeat_n(last(values, before), rest));
        };
        name.extend(std::iter::repeat_n(book_name, times.len()));
        time.extend_from_slice(times);
        padded(&mut equity, &own.equity, book.starting_cash);
        padded(&mut cash, &own.cash, book.starting_cash);
        padded(&mut exposure, &own.exposure, 0.0);
        padded(&mut drawdown, &own.drawdown(book.starting_cash), 0.0);
    }
    TableFile::default()
        .with("strategy", Column::Text(name))
        .with("timestamp", Column::Time(time))
        .with("equity", Column::Float(equity))
        .with("cash", Column::Float(cash))
        .with("exposure", Column::Float(exposure))
        .with("drawdown", Column::Float(drawdown))
}

fn fills_table(bars: &Bars, books: &[BookResult]) -> TableFile {
    let symbols = shared_names(bars);
    let sides = [Side::Buy, Side::Sell].map(|side| Arc::<str>::from(side.name()));
    let fills: Vec<&Fill> = books.iter().flat_map(|book| &book.fills).collect();
    let names = books
        .iter()
        .flat_map(|book| std::iter::repeat_n(Arc::<str>::from(book.strategy.as_str()), book.fills.len()));
    let float = |of: fn(&Fill) -> f64| Column::Float(fills.iter().map(|fill| of(fill)).collect());
    let text = |of: &dyn Fn(&Fill) -> Arc<str>| Column::Text(fills.iter().map(|fill| of(fill)).collect());
    TableFile::default()
        .with("strategy", Column::Text(names.collect()))
        .with("symbol", text(&|fill| symbols[fill.symbol as usize].clone()))
        .with("timestamp", Column::Time(fills.iter().map(|fill| fill.time).collect()))
        .with("side", text(&|fill| sides[usize::from(fill.side == Side::Sell)].clone()))
        .with("quantity", float(|fill| fill.quantity))
        .with("price", float(|fill| fill.price))
        .with("reference_price", float(|fill| fill.reference_price))
        .with("fee", float(|fill| fill.fee))
        .with("gas", float(|fill| fill.gas))
        .with("spread", float(|fill| fill.spread))
        .with("slippage", float(|fill| fill.slippage))
        .with("impact", float(|fill| fill.impact))
}

/// The names of the symbols, to be shared by the rows of a table.
fn shared_names(bars: &Bars) -> Vec<Arc<str>> {
    bars.names().into_iter().map(Arc::from).collect()
}

fn positions_table(bars: &Bars, scored: &Scored) -> TableFile {
    let (mut strategy, mut symbol, mut time, mut target) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let symbols = shared_names(bars);
    for (name, positions) in &scored.decided {
        let name: Arc<str> = name.as_str().into();
        for (index, source) in bars.symbols().iter().enumerate() {
            for (row, value) in
                positions.targets(index).iter().enumerate().filter(|(_, value)| !value.is_nan())
            {
                strategy.push(name.clone());
                symbol.push(symbols[index].clone());
                time.push(source.time()[row]);
                target.push(*value);
            }
        }
    }
    TableFile::default()
        .with("strategy", Column::Text(strategy))
        .with("symbol", Column::Text(symbol))
        .with("timestamp", Column::Time(time))
        .with("target", Column::Float(target))
}

fn metrics_table(strategies: &[StrategySummary]) -> TableFile {
    let (mut name, mut metric, mut value) = (Vec::new(), Vec::new(), Vec::new());
    for strategy in strategies {
        // The figures' own names, so that a new figure needs no line here.
        let figures = serde_json::to_value(&strategy.metrics).unwrap_or_default();
        for (key, figure) in figures.as_object().into_iter().flatten() {
            name.push(Arc::from(strategy.name.as_str()));
            metric.push(Arc::from(key.as_str()));
            value.push(figure.as_f64().unwrap_or(f64::NAN));
        }
    }
    TableFile::default()
        .with("strategy", Column::Text(name))
        .with("metric", Column::Text(metric))
        .with("value", Column::Float(value))
}
