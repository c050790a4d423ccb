//! The winner as one whole run: the only thing of a sweep that sees test rows.

use super::facts::Fact;
use super::history::History;
use super::ranking::Ranking;
use super::{Context, SweepError};
use crate::config::{JudgedFigure, Plan, SweepPlan};
use crate::run::{self, ChosenAmong, RunError};
use crate::rundir::{Ledger, RunDir, Summary, TrialSummary, WinnerSummary, read_json};
use std::path::Path;

/// The experiment of a trial, on the folds whose test rows judged no trial.
///
/// # Errors
/// Settings that make no sense together, in words.
pub fn experiment_of(plan: &SweepPlan, trial: &TrialSummary) -> Result<Plan, SweepError> {
    let fail = |reason: String| SweepError::Judging(format!("trial {}: {reason}", trial.number));
    let experiment = plan.plan_of(&trial.settings).map_err(|error| fail(error.to_string()))?;
    experiment.from_fold(plan.config.folds - 1).map_err(fail)
}

/// Runs the best trial, or continues its run, or reads what it found.
pub(super) fn run_winner(
    plan: &SweepPlan,
    directory: &RunDir,
    (ranking, history): (&Ranking, &mut History),
    ledger: &mut Ledger,
    context: &Context,
) -> Result<Option<WinnerSummary>, SweepError> {
    let Some(best) = ranking.best.and_then(|best| ranking.trials.iter().find(|trial| trial.number == best))
    else {
        return Ok(None);
    };
    let experiment = experiment_of(plan, best)?;
    let known = history.winner().filter(|(trial, _)| *trial == best.number);
    let known = known.filter(|(_, run)| Path::new(run).join("resolved.yaml").is_file());
    let summary = match known {
        Some((_, run)) if RunDir::manifest(Path::new(run))?.is_some() => {
            read_json(&Path::new(run).join("summary.json"))?
        }
        Some((_, run)) => run_in(&experiment, &RunDir::open(Path::new(run))?, directory, context)?,
        None => {
            let run =
                RunDir::create(context.runs, context.date, &experiment.experiment.name, &experiment.sha256)?;
            run.write("resolved.yaml", &experiment.resolved)?;
            run.write("config.yaml", &experiment.resolved)?;
            let chosen = ChosenAmong {
                sweep_dir: directory.path().display().to_string(),
                trial: best.number,
                trials: history.settings_tried(),
                sharpe_variance: ranking.sharpe_variance,
            };
            chosen.write(&run)?;
            let fact = Fact::Winner { trial: best.number, run_dir: run.path().display().to_string() };
            ledger.append(&fact)?;
            history.add(fact);
            run_in(&experiment, &run, directory, context)?
        }
    };
    Ok(Some(summarize(plan, best.number, &summary)))
}

fn run_in(experiment: &Plan, run: &RunDir, sweep: &RunDir, context: &Context) -> Result<Summary, SweepError> {
    let of_run = run::Context {
        device: context.device,
        threads: context.threads,
        audit: context.audit,
        report: context.report,
        stop: context.stop,
        progress: context.progress,
    };
    run::run(experiment, run, &of_run).map_err(|error| match error {
        RunError::Interrupted { .. } => {
            SweepError::Interrupted { sweep_dir: sweep.path().display().to_string() }
        }
        error => SweepError::Run(error),
    })
}

fn summarize(plan: &SweepPlan, trial: usize, summary: &Summary) -> WinnerSummary {
    let model = summary.models.iter().find(|model| model.name == plan.model());
    let wanted = plan.config.strategy.as_deref();
    let book = summary.strategies.iter().find(|book| {
        let name = book.name.split('@').next().unwrap_or(&book.name);
        wanted.map_or(book.model.as_deref() == Some(plan.model()), |wanted| name == wanted)
    });
    let sharpe = book.and_then(|book| book.metrics.sharpe);
    WinnerSummary {
        trial,
        run_dir: summary.run_dir.clone(),
        book: book.map(|book| book.name.clone()),
        sharpe,
        deflated_sharpe: book.and_then(|book| book.deflated_sharpe),
        test_value: match plan.config.metric {
            JudgedFigure::SharpeRatio => sharpe,
            _ => model.and_then(|model| plan.config.metric.of(&model.metrics)),
        },
        verdict: summary.verdict.clone(),
    }
}
