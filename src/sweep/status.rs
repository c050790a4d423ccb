//! How far a sweep is, read from its ledger alone, while it runs or afterwards.

use super::executor::Ended;
use super::facts::Fact;
use super::history::{History, LEDGER};
use super::ranking::{Ranking, Rules, rank};
use crate::config::SweepPlan;
use crate::rundir::{Ledger, RunDir, RunDirError, TrialStatus, TrialSummary};
use serde::Serialize;
use std::path::Path;

/// How far a sweep is.
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// Where the sweep's files are.
    pub sweep_dir: String,
    /// `complete`, `running` or `unfinished`.
    pub state: &'static str,
    /// Trials that were asked for.
    pub trials: usize,
    /// Trained to the end.
    pub complete: usize,
    /// Given up early, or waiting to be trained on.
    pub pruned: usize,
    /// Their loss was no longer a number.
    pub diverged: usize,
    /// They could not be computed.
    pub failed: usize,
    /// At work now.
    pub running: usize,
    /// Taken from earlier sweeps.
    pub reused: usize,
    /// What judges.
    pub metric: String,
    /// The best trial that was trained to the end.
    pub best: Option<Best>,
    /// Seconds of all sittings, to the last moment that was written down.
    pub seconds: f64,
    /// Seconds that are left if trials go on taking as long as they did.
    pub seconds_left: Option<f64>,
}

/// The best trial so far.
#[derive(Clone, Debug, Serialize)]
pub struct Best {
    /// Its number.
    pub trial: usize,
    /// Its value.
    pub value: f64,
    /// Its settings.
    pub settings: crate::search::Settings,
}

/// Ranks what the ledger of a sweep holds so far.
///
/// # Errors
/// A ledger that cannot be read.
pub fn ranking_so_far(plan: &SweepPlan, directory: &Path) -> Result<Ranking, RunDirError> {
    let history = history(directory)?;
    let ended = RunDir::manifest(directory)?.map(|_| Ended::Completed);
    Ok(rank(&history, Rules { epochs: plan.epochs, minimize: plan.minimize() }, ended))
}

/// How far the sweep in a directory is.
///
/// # Errors
/// A ledger or a manifest that cannot be read.
pub fn status(plan: &SweepPlan, directory: &Path) -> Result<Status, RunDirError> {
    let (history, ranking) = (history(directory)?, ranking_so_far(plan, directory)?);
    let sealed = RunDir::manifest(directory)?.is_some();
    let works = !sealed && RunDir::is_claimed(directory);
    let count = |status: TrialStatus| ranking.trials.iter().filter(|trial| trial.status == status).count();
    let done = |trial: &&TrialSummary| !matches!(trial.status, TrialStatus::Unfinished);
    let running = if works { history.open().count() } else { 0 };
    // While a sweep goes on nobody knows whether a trial that waits will be trained on.
    let paused = |trial: &&TrialSummary| trial.status == TrialStatus::Unfinished && trial.value.is_some();
    let paused = ranking.trials.iter().filter(paused).count();
    let finished = ranking.trials.iter().filter(done).count();
    let (seconds, asked) = (history.seconds(), plan.trials());
    let told = finished + paused;
    let left = |rest: usize| seconds / told as f64 * rest as f64;
    let best = ranking.best.and_then(|best| ranking.trials.iter().find(|trial| trial.number == best));
    Ok(Status {
        sweep_dir: directory.display().to_string(),
        state: match (sealed, works) {
            (true, _) => "complete",
            (false, true) => "running",
            (false, false) => "unfinished",
        },
        trials: asked,
        complete: count(TrialStatus::Complete),
        pruned: count(TrialStatus::Pruned) + paused,
        diverged: count(TrialStatus::Diverged),
        failed: count(TrialStatus::Failed),
        running,
        reused: ranking.trials.iter().filter(|trial| trial.reused).count(),
        metric: plan.config.metric.name().into(),
        best: best.and_then(|trial| {
            let settings = trial.settings.clone();
            Some(Best { trial: trial.number, value: trial.value?, settings })
        }),
        seconds,
        seconds_left: (works && told > 0).then(|| left(asked.saturating_sub(told))),
    })
}

fn history(directory: &Path) -> Result<History, RunDirError> {
    let ledger = directory.join(LEDGER);
    let facts: Vec<Fact> = if ledger.exists() { Ledger::read(&ledger)? } else { Vec::new() };
    Ok(History::new(facts))
}
