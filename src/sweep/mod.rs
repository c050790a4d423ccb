//! Sweeps: one experiment becomes hundreds of trials, chosen on validation bars, the best of them judged on test bars.

mod clock;
mod crew;
mod doubts;
mod error;
mod executor;
mod facts;
mod history;
mod laboratory;
mod ranking;
mod status;
mod table;
mod winner;

pub use clock::SweepClock;
pub use doubts::of_goal as doubt_of_goal;
pub use error::SweepError;
pub use executor::{Ended, Laboratory, Leg, PartFinding, Resolved, Work, Worked, execute};
pub use facts::{Ending, Fact, Finding, Outcome, Sitting};
pub use history::{History, LEDGER};
pub use laboratory::join;
pub use ranking::{Ranking, Rules, commonest_reason, rank};
pub use status::{Best, Status, ranking_so_far, status};
pub use winner::experiment_of;

use crate::config::{Fuse, SweepPlan};
use crate::data::{self, Loaded, SplitConfig};
use crate::device::ChosenDevice;
use crate::kernels::instructions::Instructions;
use crate::progress::{Event, Progress};
use crate::report;
use crate::run::{Judging, RunError, Workshop};
use crate::rundir::{DimensionSummary, Ledger, Manifest, RunDir, SweepSummary};
use crate::search::MethodConfig;
use crate::units::counted;
use laboratory::Experiments;
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::AtomicBool;

/// What a sweep is given besides its plan.
pub struct Context<'a> {
    /// Where networks train.
    pub device: &'a ChosenDevice,
    /// Worker threads, and threads of the pool in which the sweep is called.
    pub threads: usize,
    /// Whether the winner's run proves that nothing knows the future.
    pub audit: bool,
    /// Whether `report.html` is written.
    pub report: bool,
    /// The folder in which the winner's run is made.
    pub runs: &'a Path,
    /// Today, which names that run.
    pub date: &'a str,
    /// Whether trials that failed are tried again.
    pub retry: bool,
    /// Set when the user wants to stop; the sweep then ends resumable.
    pub stop: &'a AtomicBool,
    /// Hears what happens.
    pub progress: &'a dyn Progress,
}

/// Sweeps in a directory, from bars to a sealed sweep. A directory that holds parts of a sweep of the same plan is
/// continued, and ends with the same trials, values and winner, bit for bit.
///
/// # Errors
/// What failed and why; what was finished stays in the directory. No trial that could be computed is an error as well.
pub fn sweep(plan: &SweepPlan, directory: &RunDir, context: &Context) -> Result<SweepSummary, SweepError> {
    let loaded = data::load(&plan.experiment.experiment.data).map_err(RunError::from)?;
    check_folds(plan, &loaded)?;
    let (mut ledger, facts) = Ledger::open(&directory.file(LEDGER))?;
    let mut history = History::new(facts);
    let sitting = Sitting {
        offset: history.seconds(),
        threads: context.threads,
        version: env!("CARGO_PKG_VERSION").into(),
        data_sha256: loaded.sha256.clone(),
        device: context.device.name.clone(),
        instructions: Instructions::fingerprint(),
    };
    same_as_it_began(&history, &sitting)?;
    let parent = directory.path().parent().unwrap_or(Path::new("."));
    history.remember(parent, directory.path())?;
    let clock = SweepClock::start(sitting.offset);
    ledger.append(&Fact::Sitting(sitting.clone()))?;
    history.add(Fact::Sitting(sitting));

    let mut summary = blank(plan, directory, &loaded, context);
    context.progress.on(&Event::StageStarted { name: "search" });
    let ended = search(plan, loaded, (&mut ledger, &mut history), (context, &clock));
    ledger.sync()?;
    let (ended, notes) = ended.map_err(|error| match error {
        SweepError::Stopped => SweepError::Interrupted { sweep_dir: directory.path().display().to_string() },
        SweepError::Broken(reason) => {
            SweepError::Device { reason, sweep_dir: directory.path().display().to_string() }
        }
        error => error,
    })?;
    let rules = Rules { epochs: plan.epochs, minimize: plan.minimize() };
    let ranking = rank(&history, rules, Some(ended));
    context.progress.on(&Event::StageDone {
        name: "search",
        verb: "Searched",
        detail: counted(ranking.trials.len(), "trial"),
        // As it stands in the summary.
        seconds: history.seconds(),
    });
    table::trials_table(&ranking.trials).write(&directory.file("trials.parquet"))?;
    judge_of_all(&ranking)?;
    summary.warnings.extend(notes.into_iter().map(|note| format!("trials: {note}")));
    summary.warnings.extend(doubts::of_rows(&history));
    (summary.seconds, summary.cpu_seconds) = (history.seconds(), history.cpu_seconds());
    summary.stop_reason = match ended {
        Ended::Completed => "completed".into(),
        Ended::Time => "time".into(),
    };
    summary.winner = winner::run_winner(plan, directory, (&ranking, &mut history), &mut ledger, context)?;
    summary.best = ranking.best;
    summary.warnings.extend(doubts::of_values(&ranking.trials, &summary.metric));
    summary.overfitting_probability = ranking.overfitting_probability;
    summary.populations = ranking.populations;
    summary.trials = ranking.trials;
    summary.measure_importance();
    ledger.sync()?;
    directory.write_json("sweep.json", &summary)?;
    if context.report {
        report::render_sweep(directory.path()).map_err(RunError::from)?;
    }
    seal(plan, directory, &summary, context)?;
    Ok(summary)
}

/// Carries out all trials; how it ended, and what devices had no room for.
fn search(
    plan: &SweepPlan,
    loaded: Loaded,
    (ledger, history): (&mut Ledger, &mut History),
    (context, clock): (&Context, &SweepClock),
) -> Result<(Ended, Vec<String>), SweepError> {
    let config = &plan.config;
    let judging = Judging {
        model: plan.model().to_owned(),
        strategy: config.strategy.clone(),
        metric: config.metric,
        folds: config.folds,
        seeds: config.seeds,
    };
    let fused = config.fuse == Fuse::Auto;
    let workshop = Workshop::new(judging, (context.device, context.threads), context.stop, fused);
    workshop.bring(&plan.experiment, loaded);
    if fused && let Ok(trial) = workshop.trial(plan.experiment.clone()) {
        // With all threads, while nobody else works. What is wrong with the experiment itself its trials will say.
        let _ = workshop.prepare(&trial);
    }
    let copies = copies(plan);
    let laboratory = Experiments { plan, workshop, copies };
    let mut board = Scoreboard::new(plan);
    for outcome in history.outcomes() {
        board.after(outcome);
    }
    let board = Mutex::new(board);
    let told = |outcome: &Outcome| {
        if let Ok(mut board) = board.lock() {
            context.progress.on(&board.after(outcome));
        }
    };
    let work = Work {
        threads: context.threads,
        devices: context.device.gpus.len(),
        epochs: plan.epochs,
        copies,
        fused,
        retry: context.retry,
        seconds: config.time.map(|time| time.nanoseconds() as f64 * 1e-9),
        minimize: plan.minimize(),
        clock,
        stop: context.stop,
        told: &told,
    };
    let mut search = config.method.build().start(plan.task());
    let ended = execute(&laboratory, &mut *search, (ledger, history), &work)?;
    Ok((ended, laboratory.workshop.notes()))
}

/// A winner must not be chosen by test bars.
fn check_folds(plan: &SweepPlan, loaded: &Loaded) -> Result<(), SweepError> {
    let Some(split) = &plan.experiment.experiment.split else { return Ok(()) };
    if matches!(split, SplitConfig::PurgedKFold(_)) {
        return Err(SweepError::NoOrder);
    }
    let bars = &loaded.bars;
    let folds = split.folds(bars.timeline().times(), bars.interval()).map_err(RunError::Split)?;
    match folds.len() {
        found if found < plan.config.folds => {
            Err(SweepError::TooFewFolds { asked: plan.config.folds, found })
        }
        _ => Ok(()),
    }
}

/// Refuses to mix two data sets, programs or devices in one sweep.
fn same_as_it_began(history: &History, now: &Sitting) -> Result<(), SweepError> {
    let Some(before) = history.sittings().first() else { return Ok(()) };
    for (what, found, expected) in [
        ("data", &now.data_sha256, &before.data_sha256),
        ("version of the program", &now.version, &before.version),
        ("device", &now.device, &before.device),
        ("instruction set of the processor", &now.instructions, &before.instructions),
    ] {
        if found != expected {
            return Err(SweepError::Changed { what, found: found.clone(), expected: expected.clone() });
        }
    }
    Ok(())
}

/// A sweep in which nothing could be judged has no winner.
fn judge_of_all(ranking: &Ranking) -> Result<(), SweepError> {
    if ranking.best.is_some() {
        return Ok(());
    }
    match commonest_reason(&ranking.trials) {
        Some((count, reason)) => Err(SweepError::AllFailed { trials: ranking.trials.len(), count, reason }),
        None => Err(SweepError::NoneFinished),
    }
}

/// Counts trials for the progress.
struct Scoreboard {
    seen: std::collections::BTreeSet<usize>,
    best: Option<(f64, usize)>,
    epochs: u64,
    total: u64,
    minimize: bool,
    metric: &'static str,
}

impl Scoreboard {
    fn new(plan: &SweepPlan) -> Scoreboard {
        Scoreboard {
            seen: std::collections::BTreeSet::new(),
            best: None,
            epochs: plan.epochs,
            total: plan.trials() as u64,
            minimize: plan.minimize(),
            metric: plan.config.metric.name(),
        }
    }

    fn after(&mut self, outcome: &Outcome) -> Event {
        self.seen.insert(outcome.trial);
        let value = outcome.found.value.filter(|_| outcome.epochs >= self.epochs);
        let better = |value: f64, best: f64| if self.minimize { value < best } else { value > best };
        if let Some(value) = value.filter(|value| self.best.is_none_or(|(best, _)| better(*value, best))) {
            self.best = Some((value, outcome.trial));
        }
        let best = self.best.map(|(value, trial)| format!("best {} {value:.6} (trial {trial})", self.metric));
        let done = self.seen.len() as u64;
        Event::TrialsDone { done, total: self.total.max(done), best: best.unwrap_or_default() }
    }
}

/// The summary before anything is found.
fn blank(plan: &SweepPlan, directory: &RunDir, loaded: &Loaded, context: &Context) -> SweepSummary {
    let config = &plan.config;
    let dimension = |(path, dimension): (&String, &crate::search::Dimension)| DimensionSummary {
        path: path.clone(),
        scale: serde_json::to_value(dimension.scale())
            .ok()
            .and_then(|scale| scale.as_str().map(str::to_owned))
            .unwrap_or_default(),
        int: dimension.int,
        values: dimension.values.clone().unwrap_or_default(),
        interval: dimension.min.zip(dimension.max).map(|(min, max)| [min, max]),
        importance: None,
    };
    SweepSummary {
        sweep_dir: directory.path().display().to_string(),
        name: config.name.clone(),
        experiment: plan.experiment.experiment.name.clone(),
        seed: config.seed,
        version: env!("CARGO_PKG_VERSION").into(),
        data_sha256: loaded.sha256.clone(),
        device: context.device.name.clone(),
        threads: context.threads,
        method: config.method.name().into(),
        metric: config.metric.name().into(),
        minimize: plan.minimize(),
        trials_asked: plan.trials(),
        seconds_allowed: config.time.map(|time| time.nanoseconds() as f64 * 1e-9),
        epochs: plan.epochs,
        folds: config.folds,
        seeds: config.seeds,
        seconds: 0.0,
        cpu_seconds: 0.0,
        space: plan.space.iter().map(dimension).collect(),
        trials: Vec::new(),
        populations: Vec::new(),
        best: None,
        overfitting_probability: None,
        winner: None,
        stop_reason: String::new(),
        warnings: loaded.warnings.iter().cloned().chain(doubts::of_plan(plan)).collect(),
    }
}

/// Whether trials take over the state of others.
fn copies(plan: &SweepPlan) -> bool {
    matches!(plan.config.method, MethodConfig::Pbt(_))
}

/// Closes the sweep for good.
fn seal(
    plan: &SweepPlan,
    directory: &RunDir,
    summary: &SweepSummary,
    context: &Context,
) -> Result<(), SweepError> {
    Ok(directory.seal(Manifest {
        version: summary.version.clone(),
        name: summary.name.clone(),
        seed: summary.seed,
        plan_sha256: plan.sha256.clone(),
        data_sha256: summary.data_sha256.clone(),
        device: context.device.name.clone(),
        device_reason: context.device.reason.clone(),
        // The winner's run counts the trials; who counted them here again would count them twice.
        trials: 0,
        books: 0,
        sharpe_variance: None,
        symbols: Vec::new(),
        bars: [String::new(), String::new()],
        stop_reason: summary.stop_reason.clone(),
        files: std::collections::BTreeMap::new(),
    })?)
}
