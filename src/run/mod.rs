//! THE STORY of one experiment, to be read from top to bottom.

mod audited;
mod books;
mod breakers;
mod doubts;
mod error;
mod event_doubts;
mod events;
mod exported;
mod fit;
mod grids;
mod members;
mod memory;
mod populations;
mod preview;
mod results;
mod saved;
mod score;
mod selection;
mod shelf;
mod stages;
mod tables;
mod together;
mod trial;
mod verdict;

pub use audited::audit;
pub use error::{RunError, audit_exit_code, run_dir_exit_code};
pub use exported::{OnnxChoice, OnnxExport, export_onnx};
pub use preview::{FoldPreview, GridPreview, ModelPreview, Preview, preview};
pub use saved::{SavedModel, SavedPlace, named_model};
pub use selection::ChosenAmong;
pub use tables::renamed_feature;
pub use together::Course;
pub use trial::{Before, Figures, Judging, Network, Trial, Workshop};

use crate::config::Plan;
use crate::data::{self, Loaded};
use crate::device::ChosenDevice;
use crate::domains::market::backtest::check_columns;
use crate::domains::market::strategies::StrategyEntry;
use crate::progress::Progress;
use crate::report;
use crate::rundir::{RunDir, Summary};
use crate::seed::Seed;
use crate::units::counted;
use stages::Stages;
use std::sync::atomic::AtomicBool;

/// What a run is given besides its plan.
pub struct Context<'a> {
    /// Where networks train.
    pub device: &'a ChosenDevice,
    /// Threads of the pool in which the run is called, for the record.
    pub threads: usize,
    /// Whether the short look-ahead proof is made.
    pub audit: bool,
    /// Whether `report.html` is written.
    pub report: bool,
    /// Set when the user wants to stop; the run then ends resumable.
    pub stop: &'a AtomicBool,
    /// Hears what happens.
    pub progress: &'a dyn Progress,
}

/// Runs the plan in its directory, from bars to a sealed run. A directory that holds parts of an interrupted run of the
/// same plan is continued, and ends with the same bits.
///
/// # Errors
/// The stage that failed and why; what was finished stays in the directory.
pub fn run(plan: &Plan, directory: &RunDir, context: &Context) -> Result<Summary, RunError> {
    let experiment = &plan.experiment;
    let seed = Seed(experiment.seed);
    let mut stages = Stages::new(context.progress);
    let mut outcome = results::Outcome::new(plan, directory, context);

    let loaded = stages.time("load", "Loaded", || load(&outcome), describe_bars)?;
    let bars = &loaded.bars;
    outcome.data_sha256.clone_from(&loaded.sha256);
    results::warn_all(context.progress, &loaded);

    check_columns(&experiment.backtest.costs, bars).map_err(RunError::Costs)?;
    preview::check_symbols(plan, bars)?;
    let span = fit::test_span(&fit::folds(plan, bars)?, bars);
    memory::check(plan, bars, &span, context.threads)?;

    let fitted = if experiment.models.is_empty() {
        fit::Fitted::none(plan, bars)?
    } else {
        let (features, labels) = stages.time(
            "features",
            "Computed",
            || fit::tables(plan, bars),
            |(features, labels)| {
                format!(
                    "{}, {}",
                    counted(features.names().len(), "feature"),
                    counted(labels.horizons().len(), "horizon")
                )
            },
        )?;
        let work = fit::Work { plan, bars, features: &features, labels: &labels, directory, context, seed };
        stages.time("train", "Trained", || fit::fit_and_predict(&work), fit::Fitted::describe)?
    };

    if !experiment.strategies.is_empty() {
        let gpus = &context.device.gpus;
        let world = books::Market { plan, bars, fitted: &fitted, progress: context.progress, seed, gpus };
        compare(&world, &mut stages, &mut outcome)?;
    }

    if context.audit {
        let audit = || Ok(audited::audit_run(plan, bars));
        outcome.audit = Some(stages.time("audit", "Audited", audit, audited::describe)?);
        outcome.warn_of_look_ahead();
    }

    outcome.forecasts = results::judge_forecasts(bars, &fitted, plan.experiment.noise_floor.as_ref());
    outcome.warn_of_leaks(&fitted);
    stages.time("write", "Wrote", || outcome.write(&loaded, &fitted), |()| "the results".into())?;
    let summary = outcome.summary(&loaded, &fitted, stages.done())?;
    directory.write_json("summary.json", &summary)?;
    if context.report {
        report::render(directory.path())?;
    }
    outcome.seal(&loaded)?;
    Ok(summary)
}

/// Every strategy decides, model-driven and ordinary alike; all books are run on the test bars, scored, and compared.
fn compare(
    world: &books::Market,
    stages: &mut Stages,
    outcome: &mut results::Outcome,
) -> Result<(), RunError> {
    let choose = || books::choose_on_validation(world);
    let chosen = match world.plan.experiment.models.is_empty() {
        true => choose()?,
        false => stages.time("choose", "Chose", choose, books::Choice::describe)?,
    };
    let books = stages.time(
        "decide",
        "Decided",
        || books::decide(world, chosen.strategy()),
        |books| books::describe(books),
    )?;
    let mut backtested = stages.time(
        "backtest",
        "Backtested",
        || books::backtest(world, books),
        |books| format!("{} strategies over {} bars", books.len(), world.fitted.span.len()),
    )?;
    let grids = if world.plan.experiment.strategies.values().any(StrategyEntry::is_grid) {
        let run = || grids::run_grids(world);
        stages.time("grids", "Backtested", run, |grids| grids::describe(grids))?
    } else {
        Vec::new()
    };
    backtested.extend(grids::best_books(world, &grids)?);
    let mut scored = stages.time(
        "score",
        "Scored",
        || score::score(world, backtested, &chosen),
        |scored| counted(scored.strategies.len(), "book"),
    )?;
    outcome.own = selection::own_and_chosen(outcome.directory, (&grids, &scored, &chosen))?;
    outcome.tried = selection::count(outcome, world.bars)?;
    outcome.grids = stages.time(
        "select",
        "Judged",
        || {
            Ok(selection::judge(
                &grids,
                &mut scored,
                outcome.tried,
                &world.plan.experiment.backtest,
                world.seed,
            ))
        },
        |_| format!("{} tried on these bars", counted(outcome.tried.books, "book")),
    )?;
    outcome.write_grids(&grids)?;
    outcome.why_no_verdict = chosen.why_none;
    outcome.books = Some(scored);
    outcome.verdict = verdict::reach(outcome, &chosen, world.seed);
    Ok(())
}

fn load(outcome: &results::Outcome) -> Result<Loaded, RunError> {
    let loaded = data::load(&outcome.plan.experiment.data)?;
    results::same_as_it_began(outcome, &loaded)?;
    Ok(loaded)
}

fn describe_bars(loaded: &Loaded) -> String {
    let bars = &loaded.bars;
    let times = bars.timeline().times();
    let span = match (times.first(), times.last()) {
        (Some(first), Some(last)) => format!(", {} to {}", first.minute(), last.minute()),
        _ => String::new(),
    };
    format!("{} bars of {}{span}", bars.rows(), counted(bars.symbols().len(), "symbol"))
}
