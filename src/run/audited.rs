//! The look-ahead proof of a plan: the very functions of a run, put to the audit.

use super::fit::{self, folds, test_span};
use super::stages::{Stages, process_seconds};
use super::{RunError, fit::prepare};
use crate::audit::{Decider, Depth, Execution, Forecast, Learning, Part, Pipeline, Tables, prove};
use crate::config::Plan;
use crate::data::{Fold, SplitConfig};
use crate::domains::market::backtest::{BacktestConfig, Exits, run_books};
use crate::domains::market::indicators;
use crate::domains::market::strategies::{BookConfig, StrategyEntry, World, decide_guarded};
use crate::model::{FitTask, ModelConfig};
use crate::progress::{Progress, Silent};
use crate::rundir::{AuditCheck, AuditSummary};
use crate::seed::Seed;
use crate::table::{Bars, Features, Labels, ModelPredictions, Positions, Predictions};
use crate::units::counted;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Proves that nothing in the plan knows the future of these bars, or says what does.
///
/// # Errors
/// A part of the plan that cannot be computed on the bars at all.
pub fn audit(
    plan: &Plan,
    bars: &Bars,
    depth: Depth,
    progress: &dyn Progress,
) -> Result<AuditSummary, RunError> {
    let mut stages = Stages::new(progress);
    stages.time("audit", "Audited", || audit_plan(plan, bars, depth), describe)
}

pub(super) fn describe(audit: &AuditSummary) -> String {
    let failed = audit.checks.iter().filter(|check| !check.passed).count();
    match failed {
        0 => format!(
            "{} at {}: nothing knows the future",
            counted(audit.checks.len(), "part"),
            counted(audit.moments, "moment")
        ),
        _ => format!("{failed} of {} may know the future", counted(audit.checks.len(), "part")),
    }
}

/// The lines that must be read before any number of a run that did not pass.
pub(super) fn warnings(audit: Option<&AuditSummary>) -> Vec<String> {
    let failed = audit.into_iter().flat_map(|audit| &audit.checks).filter(|check| !check.passed);
    failed.map(|check| format!("LOOK-AHEAD in {}: {}", check.part, check.finding)).collect()
}

/// The short audit of a run. What cannot be proved must not end a run that is done, nor pass.
pub(super) fn audit_run(plan: &Plan, bars: &Bars) -> AuditSummary {
    audit_plan(plan, bars, Depth::Short).unwrap_or_else(|error| AuditSummary {
        passed: false,
        depth: Depth::Short.name().into(),
        moments: 0,
        checks: vec![AuditCheck {
            part: "audit".into(),
            passed: false,
            compared: 0,
            finding: format!("nothing could be proved: {error}"),
        }],
        cpu_seconds: 0.0,
    })
}

fn audit_plan(plan: &Plan, bars: &Bars, depth: Depth) -> Result<AuditSummary, RunError> {
    let before = process_seconds();
    let pipeline = pipeline(plan, bars, depth)?;
    let proof = prove(&pipeline, bars, depth)?;
    Ok(AuditSummary {
        passed: proof.passed(),
        depth: depth.name().into(),
        moments: proof.moments,
        checks: proof.checks,
        cpu_seconds: process_seconds() - before,
    })
}

/// The plan as functions of bars.
fn pipeline<'a>(plan: &'a Plan, bars: &Bars, depth: Depth) -> Result<Pipeline<'a>, RunError> {
    let experiment = &plan.experiment;
    let folds = folds(plan, bars)?;
    let times = bars.timeline().times();
    let steps = test_span(&folds, bars);
    let span = times[steps.start]..times.get(steps.end).copied().unwrap_or(crate::units::Time(i64::MAX));
    let models = !experiment.models.is_empty();
    let features: Part<Features> = Box::new(|bars| indicators::compute(&experiment.features, bars));
    let labels: Part<Labels> = Box::new(|bars| {
        let target = experiment.target.as_ref().ok_or("there is no `target`")?;
        target.build().compute(bars)
    });
    Ok(Pipeline {
        features: models.then_some(features),
        labels: models.then_some(labels),
        learning: models.then(|| learning(plan, &folds, depth)),
        strategies: experiment
            .strategies
            .iter()
            .flat_map(|(name, entry)| deciders(plan, name, entry))
            .collect(),
        execution: (!experiment.strategies.is_empty()).then(|| execution(experiment.backtest.clone())),
        span: Some(span),
        seed: Seed(experiment.seed).child("audit", 0),
    })
}

fn learning<'a>(plan: &'a Plan, true_folds: &[Fold], depth: Depth) -> Learning<'a> {
    let experiment = &plan.experiment;
    let trains_on_later_bars = matches!(experiment.split, Some(SplitConfig::PurgedKFold(_)));
    let quick = experiment.models.values().any(closed_form) && depth == Depth::Full;
    let forecast: Forecast = Box::new(|bars, fold| forecast_anew(plan, bars, fold));
    Learning {
        split: Box::new(|bars| folds(plan, bars).map_err(|error| error.to_string())),
        models: experiment.models.keys().cloned().collect(),
        prepare: Box::new(|tables, fold, model| {
            let (name, config) = experiment.models.get_index(model).ok_or("there is no such model")?;
            prepare(plan, tables, fold, (name, config)).map_err(|error| error.to_string())
        }),
        trains_on_later_bars,
        // Without an order in time no model is chosen and no verdict reached.
        choice: true_folds.first().filter(|_| !trains_on_later_bars).map(|fold| fold.validation.clone()),
        forecast: quick.then_some(forecast),
    }
}

/// Whether a model is trained in an instant.
fn closed_form(config: &ModelConfig) -> bool {
    config.build().is_closed_form()
}

fn forecast_anew(plan: &Plan, bars: &Bars, fold: &Fold) -> Result<Vec<ModelPredictions>, String> {
    let experiment = &plan.experiment;
    let (features, labels) = fit::tables(plan, bars).map_err(|error| error.to_string())?;
    let tables = Tables { bars, features: &features, labels: &labels };
    let stop = AtomicBool::new(false);
    let mut all = Vec::new();
    for (name, config) in experiment.models.iter().filter(|(_, config)| closed_form(config)) {
        let prepared = prepare(plan, &tables, fold, (name, config)).map_err(|error| error.to_string())?;
        let task = FitTask {
            label: name.clone(),
            train: prepared.train,
            validation: prepared.validation,
            kind: labels.kind(),
            horizons: labels.horizons().into(),
            config: Arc::new(experiment.train.clone()),
            seed: Seed(experiment.seed).child(&format!("model {name}"), fold.index as u64),
            cuda: false,
            checkpoint: None,
            stop: &stop,
            progress: &Silent,
        };
        let fit = config.build().fit(task).map_err(|error| error.to_string())?;
        let values = fit.model.predict(&prepared.test).map_err(|error| error.to_string())?;
        all.push(ModelPredictions {
            model: name.clone(),
            kind: labels.kind(),
            horizons: labels.horizons().to_vec(),
            samples: prepared.test.samples().to_vec(),
            fold: vec![fold.index as u32; prepared.test.len()],
            actual: Vec::new(),
            alarm_at: Vec::new(),
            units: Vec::new(),
            values,
        });
    }
    Ok(all)
}

/// Books of one grid that are looked at: enough to meet each of its parameters at several values.
const BOOKS_OF_A_GRID: usize = 6;

/// A strategy, or a few books of its grid, drawn from the seed.
fn deciders<'a>(plan: &'a Plan, name: &'a str, entry: &'a StrategyEntry) -> Vec<Decider<'a>> {
    if !entry.is_grid() {
        return vec![decider(plan, name, name.to_owned(), entry.first().clone())];
    }
    let mut stream = Seed(plan.experiment.seed).stream("books of the audit", 0);
    let mut books: Vec<usize> = (0..BOOKS_OF_A_GRID).map(|_| stream.below(entry.len().max(1))).collect();
    books.sort_unstable();
    books.dedup();
    let books = books.into_iter().filter(|book| *book < entry.len());
    let one = |book: usize| decider(plan, name, format!("{name}[{}]", entry.label(book)), entry.config(book));
    books.map(one).collect()
}

fn decider<'a>(plan: &'a Plan, entry: &'a str, name: String, book: BookConfig) -> Decider<'a> {
    let common = &plan.experiment.backtest;
    let settings = book.settings(common);
    let config = book.strategy;
    let yardstick = config.build().books() > 1 || config.build().matches().is_some();
    let seed = Seed(plan.experiment.seed).child(entry, 0);
    let (all, root) = (&plan.experiment.strategies, Seed(plan.experiment.seed));
    let decide = move |bars: &Bars, predictions: &Predictions, span: Range<usize>| {
        let world = World { bars, predictions, span, seed, reference: None, book: 0 };
        decide_guarded(all, &config, &world, root)
    };
    let reason = "its random books are drawn over the whole test span to show what luck earns, a yardstick that nobody \
                  trades";
    Decider {
        name,
        decide: Box::new(decide),
        exempt: yardstick.then(|| reason.to_owned()),
        execution: (settings != *common).then(|| execution(settings)),
    }
}

/// The ledger with these settings. The batch that runs most books of a grid is not under the proof itself: what it finds of
/// a book is what the ledger finds, to the bit, which the tests hold it to.
fn execution<'a>(settings: BacktestConfig) -> Execution<'a> {
    Execution {
        fill: settings.fill,
        resting_exits: settings.leverage() > 1.0 || settings.exits != Exits::default(),
        run: Box::new(move |bars: &Bars, positions: &Positions, span: Range<usize>| {
            run_books(bars, &[("audit".to_owned(), positions.clone())], &settings, span, &Silent)
        }),
    }
}
