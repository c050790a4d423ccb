//! From features and labels to forecasts: what every model is given on every fold, and what all of them forecast.

use super::events::{Thresholds, Truth};
use super::members::{self, Forecasts, Part, Place};
use super::saved;
use super::{Context, RunError};
use crate::audit::{Prepared, Tables};
use crate::config::Plan;
use crate::data::Fold;
use crate::domains::market::indicators;
use crate::metrics::{
    ForecastMetrics, area_under_curve, average_precision, forecast_metrics, ic_interval, scaled_errors,
    standard_errors,
};
use crate::model::{FitReport, ModelConfig};
use crate::rundir::{EventSummary, RunDir};
use crate::seed::Seed;
use crate::table::{
    Bars, Features, LabelKind, Labels, ModelPredictions, Predictions, Sample, Scaler, ScalerRows, Windows,
};
use crate::units::Time;
use rayon::prelude::*;
use std::collections::BTreeSet;
use std::ops::Range;

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
    /// What is true of the events, where the target is one.
    pub truth: Option<Truth>,
    /// Steps of the timeline on which books run: from the first test bar to the last.
    pub span: Range<usize>,
}

/// One model over all folds.
pub(super) struct ModelRecord {
    pub name: String,
    pub kind: &'static str,
    /// Every network of every fold.
    pub fits: Vec<(Place, FitReport)>,
    pub training_windows: usize,
    pub validation: ForecastMetrics,
    /// The figures of the shown horizons, where the target is an event.
    pub events: Vec<EventSummary>,
    /// Of each fold: see [`super::saved::version`].
    pub versions: Vec<String>,
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
            truth: None,
            span,
        })
    }

    /// What devices had no room for, each once.
    pub(super) fn device_notes(&self) -> Vec<String> {
        let note = |record: &ModelRecord| -> BTreeSet<String> {
            let notes = record.fits.iter().filter_map(|(_, fit)| fit.population.as_ref()?.note.clone());
            notes.map(|note| format!("{}: {note}", record.name)).collect()
        };
        self.models.iter().flat_map(note).collect()
    }

    pub(super) fn describe(&self) -> String {
        let models = format!("{} models on {} folds", self.models.len(), self.folds.len());
        match self.company() {
            Some(company) => format!("{models}, {company}"),
            None => models,
        }
    }

    /// How many networks of each model trained at once, where they did on CUDA devices.
    pub(super) fn company(&self) -> Option<String> {
        let most = |record: &ModelRecord| {
            let members = record.fits.iter().filter_map(|(_, fit)| Some(fit.population.as_ref()?.members));
            members.max().map(|members| format!("{} {members} at once", record.name))
        };
        let models: Vec<String> = self.models.iter().filter_map(most).collect();
        (!models.is_empty()).then(|| models.join(", "))
    }
}

/// Fits every model on every fold. A part that an earlier, interrupted run finished is read instead.
pub(super) fn fit_and_predict(work: &Work) -> Result<Fitted, RunError> {
    let folds = folds(work.plan, work.bars)?;
    let parts = members::fit_all(work, &folds)?;
    let span = test_span(&folds, work.bars);
    let truth = Truth::of(work, &folds)?;
    let mut fitted = Fitted {
        folds: folds.into_iter().map(|fold| (fold, [0; 3])).collect(),
        predictions: Predictions::default(),
        first_validation: Predictions::default(),
        models: Vec::new(),
        truth,
        span,
    };
    for (index, (name, config)) in work.plan.experiment.models.iter().enumerate() {
        let of_model: Vec<_> = parts.iter().filter(|(place, _)| place.model == index).collect();
        let of_fold = |fold: usize| {
            let of_fold = of_model.iter().filter(move |(place, _)| place.fold == fold);
            of_fold.map(|(_, part)| part).collect::<Vec<_>>()
        };
        let by_fold: Vec<Vec<&Part>> = (0..fitted.folds.len()).map(of_fold).collect();
        for ((_, windows), parts) in fitted.folds.iter_mut().zip(&by_fold) {
            for (most, count) in windows.iter_mut().zip(parts[0].record.windows) {
                *most = (*most).max(count);
            }
        }
        let average = |of: fn(&Part) -> &Forecasts| {
            let one = |parts: &Vec<&Part>| Forecasts::mean(parts.iter().map(|part| of(part)));
            by_fold.iter().map(one).collect::<Vec<Forecasts>>()
        };
        let validation = average(|part| &part.validation);
        let mut first = joined(work, name, &validation[..validation.len().min(1)]);
        let mut validation = joined(work, name, &validation);
        let mut test = joined(work, name, &average(|part| &part.test));
        if let Some(alarms) = &work.plan.experiment.alarms {
            let chosen = Thresholds::choose(alarms, &validation, work.bars);
            [&mut first, &mut validation, &mut test].into_iter().for_each(|forecasts| chosen.set(forecasts));
        }
        let events = fitted.truth.as_ref().map(|truth| truth.summaries(work.bars, &test, &validation));
        fitted.predictions.0.push(test);
        fitted.first_validation.0.push(first);
        fitted.models.push(ModelRecord {
            name: name.clone(),
            kind: config.name(),
            fits: of_model.iter().map(|(place, part)| (*place, part.record.report.clone())).collect(),
            training_windows: by_fold.iter().map(|parts| parts[0].record.windows[0]).sum(),
            validation: metrics_by_horizon(work.bars, &validation).0,
            events: events.unwrap_or_default(),
            versions: versions(work, &fitted.folds, (name, config))?,
        });
    }
    Ok(fitted)
}

/// The version of a model on each fold.
fn versions(
    work: &Work,
    folds: &[(Fold, [usize; 3])],
    (name, config): (&str, &ModelConfig),
) -> Result<Vec<String>, RunError> {
    let networks = members::networks(config, &work.plan.experiment.train);
    let of = |(fold, _): &(Fold, _)| {
        let folders = members::folders(work.directory.path(), fold.index, name, networks);
        Ok(saved::version(&folders)?)
    };
    folds.iter().map(of).collect()
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
    Ok(Prepared { scaler, train: train.into(), validation: validation.into(), test: test.into() })
}

/// Forecasts of several folds as one table.
fn joined(work: &Work, name: &str, parts: &[Forecasts]) -> ModelPredictions {
    let labels = work.labels;
    let mut all = ModelPredictions {
        model: name.to_owned(),
        kind: labels.kind(),
        horizons: labels.horizons().to_vec(),
        samples: Vec::new(),
        fold: Vec::new(),
        values: Vec::new(),
        actual: Vec::new(),
        alarm_at: Vec::new(),
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
    let times = times_of(bars, predictions);
    let column =
        |values: &[f64]| values.iter().skip(horizon).step_by(horizons).copied().collect::<Vec<f64>>();
    let (values, actual) = (column(&predictions.values), column(&predictions.actual));
    let mut metrics = forecast_metrics(&times, predictions.kind, &values, &actual);
    let ahead = predictions.horizons[horizon] as usize;
    metrics.ic_interval = ic_interval(&times, &values, &actual, ahead);
    let one = &predictions.horizons[horizon..=horizon];
    metrics.standard_errors = standard_errors(&times, predictions.kind, &values, &actual, one);
    if predictions.kind.is_probability() {
        let known: Vec<usize> =
            (0..actual.len()).filter(|row| !actual[*row].is_nan() && !values[*row].is_nan()).collect();
        let fold: Vec<u32> = known.iter().map(|row| predictions.fold[*row]).collect();
        let (risk, happens): (Vec<f64>, Vec<bool>) =
            known.iter().map(|row| (values[*row], actual[*row] > 0.5)).unzip();
        metrics.auc = area_under_curve(&fold, &risk, &happens);
        metrics.average_precision = average_precision(&fold, &risk, &happens);
    }
    if let Some((squared, absolute)) =
        scaled_errors(&predictions.units, &predictions.values, &predictions.actual, horizon)
    {
        (metrics.scaled_mse, metrics.scaled_mae) = (Some(squared), Some(absolute));
    }
    metrics
}

/// When each forecast was made.
fn times_of(bars: &Bars, predictions: &ModelPredictions) -> Vec<Time> {
    let time = |sample: &Sample| bars.symbols()[sample.symbol as usize].time()[sample.row as usize];
    predictions.samples.iter().map(time).collect()
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
    let mut all = ForecastMetrics::mean(&each);
    let ModelPredictions { kind, horizons, values, actual, .. } = predictions;
    all.standard_errors = standard_errors(&times_of(bars, predictions), *kind, values, actual, horizons);
    (all, each)
}
