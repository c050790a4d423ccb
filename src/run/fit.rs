//! Windows -> fit -> save -> predict, fold by fold and model by model, each kept as soon as it is done.

use super::{Context, RunError};
use crate::audit::{Prepared, Tables};
use crate::config::Plan;
use crate::data::Fold;
use crate::domains::market::indicators;
use crate::metrics::{ForecastMetrics, forecast_metrics, ic_interval, scaled_errors};
use crate::model::{Fit, FitError, FitReport, FitTask, ModelConfig};
use crate::rundir::{Column, RunDir, RunDirError, TableFile, read_json};
use crate::seed::Seed;
use crate::table::{
    Bars, Features, LabelKind, Labels, ModelPredictions, Predictions, Sample, Scaler, ScalerRows, Windows,
};
use crate::units::Time;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::path::Path;
use std::sync::atomic::Ordering;

/// All that fitting needs.
pub(super) struct Work<'a> {
    pub plan: &'a Plan,
    pub bars: &'a Bars,
    pub features: &'a Features,
    pub labels: &'a Labels,
    pub directory: &'a RunDir,
    pub context: &'a Context<'a>,
    pub seed: Seed,
}

/// What fitting leaves for the rest of the story.
pub(super) struct Fitted {
    /// The folds with the windows of the longest model in each part; empty in a plain backtest.
    pub folds: Vec<(Fold, [usize; 3])>,
    /// Out-of-sample forecasts of the test rows.
    pub predictions: Predictions,
    /// Forecasts of the first fold's validation rows: all that may choose a model.
    pub first_validation: Predictions,
    /// Each model's record over its folds, in the order of the configuration.
    pub models: Vec<ModelRecord>,
    /// Steps of the timeline on which books run: from the first test bar to the last.
    pub span: Range<usize>,
}

/// One model over all folds.
pub(super) struct ModelRecord {
    pub name: String,
    pub kind: &'static str,
    pub fits: Vec<FitReport>,
    pub training_windows: usize,
    pub validation: ForecastMetrics,
}

/// The features and labels of a plan that has models.
pub(super) fn tables(plan: &Plan, bars: &Bars) -> Result<(Features, Labels), RunError> {
    let experiment = &plan.experiment;
    let features = indicators::compute(&experiment.features, bars).map_err(RunError::Features)?;
    let target = experiment.target.as_ref().ok_or_else(|| RunError::Labels("there is no `target`".into()))?;
    let labels = target.build().compute(bars).map_err(RunError::Labels)?;
    Ok((features, labels))
}

/// The folds of a plan on these bars.
pub(super) fn folds(plan: &Plan, bars: &Bars) -> Result<Vec<Fold>, RunError> {
    match &plan.experiment.split {
        Some(split) => split.folds(bars.timeline().times(), bars.interval()).map_err(RunError::Split),
        None => Ok(Vec::new()),
    }
}

/// Steps from the first test bar to the last; all bars where there are no folds.
pub(super) fn test_span(folds: &[Fold], bars: &Bars) -> Range<usize> {
    let start = folds.iter().map(|fold| fold.test.start).min();
    let end = folds.iter().map(|fold| fold.test.end).max();
    match (start, end) {
        (Some(start), Some(end)) => bars.timeline().step_at(start)..bars.timeline().step_at(end),
        _ => 0..bars.timeline().times().len(),
    }
}

impl Fitted {
    /// Of a plan without models: books run on the test bars of the split, or on all bars.
    pub(super) fn none(plan: &Plan, bars: &Bars) -> Result<Fitted, RunError> {
        let folds = folds(plan, bars)?;
        let span = test_span(&folds, bars);
        Ok(Fitted {
            folds: Vec::new(),
            predictions: Predictions::default(),
            first_validation: Predictions::default(),
            models: Vec::new(),
            span,
        })
    }

    pub(super) fn describe(&self) -> String {
        format!("{} models on {} folds", self.models.len(), self.folds.len())
    }
}

/// Fits every model on every fold, in parallel. A part that an earlier, interrupted run finished is read instead.
pub(super) fn fit_and_predict(work: &Work) -> Result<Fitted, RunError> {
    let folds = folds(work.plan, work.bars)?;
    let models: Vec<(&String, &ModelConfig)> = work.plan.experiment.models.iter().collect();
    // Networks before quick models, so that no thread ends alone with a long one.
    let mut tasks: Vec<(usize, usize)> =
        (0..folds.len()).flat_map(|fold| (0..models.len()).map(move |model| (fold, model))).collect();
    tasks.sort_by_key(|(_, model)| std::cmp::Reverse(models[*model].1.build().window()));
    let mut parts: Vec<((usize, usize), Part)> = tasks
        .into_par_iter()
        .with_max_len(1)
        .map(|(fold, model)| Ok(((model, fold), fit_one(work, &folds[fold], models[model])?)))
        .collect::<Result<_, RunError>>()?;
    parts.sort_by_key(|(place, _)| *place);

    let span = test_span(&folds, work.bars);
    let mut fitted = Fitted {
        folds: folds.into_iter().map(|fold| (fold, [0; 3])).collect(),
        predictions: Predictions::default(),
        first_validation: Predictions::default(),
        models: Vec::new(),
        span,
    };
    for (index, (name, config)) in models.iter().enumerate() {
        let parts: Vec<&Part> =
            parts.iter().filter(|((model, _), _)| *model == index).map(|(_, part)| part).collect();
        for ((_, windows), part) in fitted.folds.iter_mut().zip(&parts) {
            for (most, count) in windows.iter_mut().zip(part.record.windows) {
                *most = (*most).max(count);
            }
        }
        fitted.predictions.0.push(joined(work, name, parts.iter().map(|part| &part.test)));
        fitted.first_validation.0.push(joined(work, name, parts.iter().take(1).map(|part| &part.validation)));
        let validation = joined(work, name, parts.iter().map(|part| &part.validation));
        fitted.models.push(ModelRecord {
            name: (*name).clone(),
            kind: config.name(),
            fits: parts.iter().map(|part| part.record.report.clone()).collect(),
            training_windows: parts.iter().map(|part| part.record.windows[0]).sum(),
            validation: metrics_by_horizon(work.bars, &validation).0,
        });
    }
    Ok(fitted)
}

/// What one model learned on one fold.
struct Part {
    record: Record,
    validation: Forecasts,
    test: Forecasts,
}

/// `fit.json`: written last, it says that the part is whole.
#[derive(Clone, Serialize, Deserialize)]
struct Record {
    report: FitReport,
    /// Training, validation and test windows.
    windows: [usize; 3],
}

/// Forecast rows of one fold.
struct Forecasts {
    fold: u32,
    samples: Vec<Sample>,
    /// `[N]`, or empty: see [`ModelPredictions::units`].
    units: Vec<f64>,
    /// `[N, H]` row-major.
    values: Vec<f64>,
}

fn fit_one(work: &Work, fold: &Fold, (name, config): (&String, &ModelConfig)) -> Result<Part, RunError> {
    let folder = work.directory.file(&format!("models/fold-{}/{name}", fold.index));
    let record_file = folder.join("fit.json");
    if record_file.exists() {
        let scaler: Scaler = read_json(&folder.join("scaler.json"))?;
        return Ok(Part {
            record: read_json(&record_file)?,
            validation: Forecasts::read(&folder.join("validation.parquet"), fold.index, &scaler)?,
            test: Forecasts::read(&folder.join("test.parquet"), fold.index, &scaler)?,
        });
    }
    let task = format!("fold {} {name}", fold.index);
    let tables = Tables { bars: work.bars, features: work.features, labels: work.labels };
    let prepared = prepare(work.plan, &tables, fold, (name, config))?;
    let checkpoint = folder.join("checkpoint.safetensors");
    let member = fold.index as u64;
    let fit = config.build().fit(&FitTask {
        label: task.clone(),
        train: &prepared.train,
        validation: &prepared.validation,
        kind: work.labels.kind(),
        config: &work.plan.experiment.train,
        seed: work.seed.child(&format!("model {name}"), member),
        device: &work.context.device.device,
        checkpoint: Some(&checkpoint),
        stop: work.context.stop,
        progress: work.context.progress,
    });
    let fit = fit.map_err(|source| failed(work, &task, source))?;
    if work.context.stop.load(Ordering::Relaxed) {
        return Err(interrupted(work));
    }
    let part = keep(work, fold, &folder, &prepared, fit).map_err(|error| match error {
        RunError::Fit { source, .. } => failed(work, &task, source),
        other => other,
    })?;
    // The part is whole now; what was needed to resume it is in the way.
    let _ = std::fs::remove_file(&checkpoint);
    Ok(part)
}

fn failed(work: &Work, task: &str, source: FitError) -> RunError {
    match source {
        FitError::Interrupted => interrupted(work),
        source => RunError::Fit { task: task.to_owned(), source },
    }
}

fn interrupted(work: &Work) -> RunError {
    RunError::Interrupted { run_dir: work.directory.path().display().to_string() }
}

/// What a model is given on a fold. The audit proves this very function.
pub(super) fn prepare(
    plan: &Plan,
    tables: &Tables,
    fold: &Fold,
    (name, config): (&str, &ModelConfig),
) -> Result<Prepared, RunError> {
    let fail = |reason: String| RunError::Fold { fold: fold.index, model: name.to_owned(), reason };
    let (bars, features, labels, window) =
        (tables.bars, tables.features, tables.labels, config.build().window());
    let stride = plan.experiment.train.stride_bars;
    let train = fold.train_samples(bars, features, labels, window, stride).map_err(fail)?;
    let validation = fold.validation_samples(bars, features, labels, window).map_err(fail)?;
    let test = fold.test_samples(bars, features, window).map_err(fail)?;
    let config = plan.experiment.scaler;
    let whole = match config.rows {
        ScalerRows::Windows => None,
        ScalerRows::Part => Some(fold.train_rows(bars, features).map_err(fail)?),
    };
    let rows = whole.as_ref().unwrap_or(&train);
    let mut scaler = Scaler::fit(config, features, rows).map_err(fail)?;
    if labels.kind() == LabelKind::Change {
        scaler = scaler.with_target_units(bars, rows);
    }
    let targets = |samples: &[Sample]| -> Vec<f32> {
        let of = |sample: &Sample| {
            let (symbol, row) = (sample.symbol as usize, sample.row as usize);
            let unit = scaler.target_unit(symbol).unwrap_or(1.0);
            (0..labels.horizons().len())
                .map(|horizon| (labels.column(symbol, horizon)[row] / unit) as f32)
                .collect::<Vec<f32>>()
        };
        samples.iter().flat_map(of).collect()
    };
    let train_targets = targets(train.samples());
    let train =
        Windows::new(features, &scaler, window, train.samples().to_vec(), train_targets).map_err(fail)?;
    let validation_targets = targets(&validation);
    let validation = train.with_samples(validation, validation_targets).map_err(fail)?;
    let test = train.with_samples(test, Vec::new()).map_err(fail)?;
    Ok(Prepared { scaler, train, validation, test })
}

/// Forecasts and saves; the record comes last.
fn keep(work: &Work, fold: &Fold, folder: &Path, prepared: &Prepared, fit: Fit) -> Result<Part, RunError> {
    let device = &work.context.device.device;
    let predict = |windows: &Windows| -> Result<Forecasts, RunError> {
        let mut values = fit
            .model
            .predict(windows, device)
            .map_err(|source| RunError::Fit { task: String::new(), source })?;
        let samples = windows.samples().to_vec();
        let units = units_of(&prepared.scaler, &samples);
        let horizons = values.len().checked_div(samples.len()).unwrap_or(0).max(1);
        for (row, unit) in values.chunks_exact_mut(horizons).zip(&units) {
            row.iter_mut().for_each(|value| *value *= unit);
        }
        Ok(Forecasts { fold: fold.index as u32, samples, units, values })
    };
    let (validation, test) = (predict(&prepared.validation)?, predict(&prepared.test)?);
    fit.model.save(folder)?;
    validation.write(&folder.join("validation.parquet"))?;
    test.write(&folder.join("test.parquet"))?;
    let write_json = |file: &str, json: serde_json::Result<String>| {
        let path = folder.join(file);
        let json = json.map_err(|error| damaged(&path, error.to_string()))?;
        crate::rundir::write_atomic(&path, json.as_bytes())
    };
    write_json("scaler.json", serde_json::to_string_pretty(&prepared.scaler))?;
    let windows = [prepared.train.len(), prepared.validation.len(), prepared.test.len()];
    let record = Record { report: fit.report, windows };
    write_json("fit.json", serde_json::to_string_pretty(&record))?;
    Ok(Part { record, validation, test })
}

/// The unit of each sample's target; empty where targets are in units of the label.
fn units_of(scaler: &Scaler, samples: &[Sample]) -> Vec<f64> {
    samples.iter().filter_map(|sample| scaler.target_unit(sample.symbol as usize)).collect()
}

fn damaged(path: &Path, reason: String) -> RunDirError {
    RunDirError::Damaged {
        path: path.into(),
        reason,
        remedy: "remove its folder and continue with `candlewick run --resume`",
    }
}

impl Forecasts {
    fn outputs(&self) -> usize {
        self.values.len().checked_div(self.samples.len()).unwrap_or(0)
    }

    fn write(&self, path: &Path) -> Result<(), RunDirError> {
        let outputs = self.outputs();
        let mut table = TableFile::default()
            .with(
                "symbol",
                Column::Integer(self.samples.iter().map(|sample| i64::from(sample.symbol)).collect()),
            )
            .with("row", Column::Integer(self.samples.iter().map(|sample| i64::from(sample.row)).collect()));
        for output in 0..outputs {
            let column = self.values.iter().skip(output).step_by(outputs).copied().collect();
            table = table.with(&format!("output_{output}"), Column::Float(column));
        }
        table.write(path)
    }

    fn read(path: &Path, fold: usize, scaler: &Scaler) -> Result<Forecasts, RunDirError> {
        let table = TableFile::read(path)?;
        let missing = || damaged(path, "it lacks a column".into());
        let symbols = table.integer("symbol").ok_or_else(missing)?;
        let rows = table.integer("row").ok_or_else(missing)?;
        let samples: Vec<Sample> = symbols
            .iter()
            .zip(rows)
            .map(|(symbol, row)| Sample { symbol: *symbol as u32, row: *row as u32 })
            .collect();
        let columns: Vec<&[f64]> =
            (0..).map_while(|output| table.float(&format!("output_{output}"))).collect();
        let values = (0..rows.len()).flat_map(|row| columns.iter().map(move |column| column[row])).collect();
        Ok(Forecasts { fold: fold as u32, units: units_of(scaler, &samples), samples, values })
    }
}

fn joined<'a>(work: &Work, name: &str, parts: impl Iterator<Item = &'a Forecasts>) -> ModelPredictions {
    let labels = work.labels;
    let mut all = ModelPredictions {
        model: name.to_owned(),
        kind: labels.kind(),
        horizons: labels.horizons().to_vec(),
        samples: Vec::new(),
        fold: Vec::new(),
        values: Vec::new(),
        actual: Vec::new(),
        units: Vec::new(),
    };
    for part in parts {
        all.samples.extend(&part.samples);
        all.fold.extend(std::iter::repeat_n(part.fold, part.samples.len()));
        all.values.extend(&part.values);
        all.units.extend(&part.units);
        for sample in &part.samples {
            let actual = |horizon: usize| labels.column(sample.symbol as usize, horizon)[sample.row as usize];
            all.actual.extend((0..labels.horizons().len()).map(actual));
        }
    }
    all
}

/// The figures of one horizon.
pub(super) fn metrics_of(bars: &Bars, predictions: &ModelPredictions, horizon: usize) -> ForecastMetrics {
    let horizons = predictions.horizons.len();
    let time = |sample: &Sample| bars.symbols()[sample.symbol as usize].time()[sample.row as usize];
    let times: Vec<Time> = predictions.samples.iter().map(time).collect();
    let column =
        |values: &[f64]| values.iter().skip(horizon).step_by(horizons).copied().collect::<Vec<f64>>();
    let (values, actual) = (column(&predictions.values), column(&predictions.actual));
    let mut metrics = forecast_metrics(&times, predictions.kind, &values, &actual);
    let ahead = predictions.horizons[horizon] as usize;
    metrics.ic_interval = ic_interval(&times, &values, &actual, ahead);
    if let Some((squared, absolute)) =
        scaled_errors(&predictions.units, &predictions.values, &predictions.actual, horizon)
    {
        (metrics.scaled_mse, metrics.scaled_mae) = (Some(squared), Some(absolute));
    }
    metrics
}

/// The figures of each horizon, and their means.
pub(super) fn metrics_by_horizon(
    bars: &Bars,
    predictions: &ModelPredictions,
) -> (ForecastMetrics, Vec<ForecastMetrics>) {
    let each: Vec<ForecastMetrics> = (0..predictions.horizons.len())
        .into_par_iter()
        .map(|horizon| metrics_of(bars, predictions, horizon))
        .collect();
    (ForecastMetrics::mean(&each), each)
}
