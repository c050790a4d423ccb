//! Who won: trials in order of their values on validation rows, and how far luck explains the best of them.

use super::executor::Ended;
use super::facts::{Ending, Outcome};
use super::history::History;
use crate::metrics::{overfitting_probability, trial_variance};
use crate::rundir::{PopulationSummary, TrialStatus, TrialSummary};
use crate::table::ReturnMatrix;
use std::collections::BTreeMap;

/// All trials of a sweep and their order.
pub struct Ranking {
    /// Every trial in the order of its number.
    pub trials: Vec<TrialSummary>,
    /// The best trial that was trained to the end; of equal ones the first.
    pub best: Option<usize>,
    /// Networks by shape.
    pub populations: Vec<PopulationSummary>,
    /// Probability of backtest overfitting over the trials' books on the first fold's validation bars.
    pub overfitting_probability: Option<f64>,
    /// Variance of the trials' annualised Sharpe ratios there.
    pub sharpe_variance: Option<f64>,
}

/// How trials are compared.
#[derive(Clone, Copy, Debug)]
pub struct Rules {
    /// Epochs of a trial that is trained to the end.
    pub epochs: u64,
    /// Whether small values are good.
    pub minimize: bool,
}

/// Ranks what is known so far. `ended` is none while the sweep goes on.
pub fn rank(history: &History, rules: Rules, ended: Option<Ended>) -> Ranking {
    let mut jobs: BTreeMap<usize, Vec<&Outcome>> = BTreeMap::new();
    for outcome in history.outcomes() {
        jobs.entry(outcome.trial).or_default().push(outcome);
    }
    let open: Vec<usize> = history.open().map(|(_, trial)| trial).collect();
    let mut trials: Vec<TrialSummary> = jobs
        .iter()
        .map(|(trial, outcomes)| {
            let waits = ended.is_none() || open.contains(trial);
            summary(outcomes, rules, waits)
        })
        .collect();
    let begun = open.iter().filter(|trial| !jobs.contains_key(trial));
    trials.extend(begun.map(|trial| unfinished(*trial)));
    trials.sort_by_key(|trial| trial.number);
    trials.dedup_by_key(|trial| trial.number);
    let best = best(&trials, rules.minimize);
    let last: Vec<&Outcome> = jobs.values().filter_map(|outcomes| outcomes.last().copied()).collect();
    let sharpes: Vec<f64> = last.iter().filter_map(|outcome| outcome.found.sharpe).collect();
    Ranking {
        populations: populations(&last),
        overfitting_probability: overfitting(&last),
        sharpe_variance: trial_variance(&sharpes),
        best,
        trials,
    }
}

/// The first of the best among trials that were trained to the end.
fn best(trials: &[TrialSummary], minimize: bool) -> Option<usize> {
    let finished = trials.iter().filter(|trial| trial.status == TrialStatus::Complete);
    let valued = finished.filter_map(|trial| Some((trial.number, trial.value?)));
    let better = |best: f64, next: f64| if minimize { next < best } else { next > best };
    valued.reduce(|best, next| if better(best.1, next.1) { next } else { best }).map(|(number, _)| number)
}

fn summary(outcomes: &[&Outcome], rules: Rules, waits: bool) -> TrialSummary {
    // A trial is in the map because it has an outcome.
    let last = outcomes[outcomes.len() - 1];
    let status = match last.ending {
        Ending::Failed | Ending::Broken => TrialStatus::Failed,
        Ending::Diverged => TrialStatus::Diverged,
        Ending::Done if last.epochs >= rules.epochs => TrialStatus::Complete,
        Ending::Done if waits => TrialStatus::Unfinished,
        Ending::Done => TrialStatus::Pruned,
    };
    TrialSummary {
        number: last.trial,
        id: last.id.clone(),
        status,
        settings: last.settings.clone(),
        value: last.found.value,
        values: last.found.values.clone(),
        // A closed form has no curve, and early stopping may have ended the training before the epochs asked for.
        epochs: match (last.ending, last.found.curve.len() as u64) {
            (Ending::Done, 0) => last.epochs,
            (_, trained) => trained,
        },
        parameters: last.found.parameters,
        curve: last.found.curve.clone(),
        validation_sharpe: last.found.sharpe,
        spans: outcomes.iter().flat_map(|outcome| outcome.spans.iter().copied()).collect(),
        cpu_seconds: outcomes.iter().map(|outcome| outcome.cpu_seconds).sum(),
        reused: outcomes.iter().all(|outcome| outcome.reused),
        reason: last.reason.clone(),
    }
}

/// A trial that was begun and of which nothing is known.
fn unfinished(number: usize) -> TrialSummary {
    TrialSummary {
        number,
        id: String::new(),
        status: TrialStatus::Unfinished,
        settings: Default::default(),
        value: None,
        values: Vec::new(),
        epochs: 0,
        parameters: 0,
        curve: Vec::new(),
        validation_sharpe: None,
        spans: Vec::new(),
        cpu_seconds: 0.0,
        reused: false,
        reason: None,
    }
}

fn populations(last: &[&Outcome]) -> Vec<PopulationSummary> {
    let mut found: Vec<PopulationSummary> = Vec::new();
    for outcome in last.iter().filter(|outcome| !outcome.found.shape.is_empty()) {
        let members = outcome.found.values.len();
        match found.iter_mut().find(|population| population.shape == outcome.found.shape) {
            Some(population) => population.members += members,
            None => found.push(PopulationSummary { shape: outcome.found.shape.clone(), members }),
        }
    }
    found.sort_by_key(|population| std::cmp::Reverse(population.members));
    found
}

/// Over the books of all trials that traded the same bars.
fn overfitting(last: &[&Outcome]) -> Option<f64> {
    let periods = last.iter().map(|outcome| outcome.found.returns.len()).max()?;
    let books = last.iter().map(|outcome| &outcome.found.returns).filter(|returns| returns.len() == periods);
    overfitting_probability(&ReturnMatrix::new(periods, books.flatten().copied().collect())?)
}

/// The commonest reason for which trials failed or diverged, and how often it was.
pub fn commonest_reason(trials: &[TrialSummary]) -> Option<(usize, String)> {
    let mut reasons: Vec<(usize, &str)> = Vec::new();
    for reason in trials.iter().filter_map(|trial| trial.reason.as_deref()) {
        match reasons.iter_mut().find(|(_, known)| *known == reason) {
            Some((count, _)) => *count += 1,
            None => reasons.push((1, reason)),
        }
    }
    // The first of equally common ones.
    let commonest = reasons.into_iter().reduce(|best, next| if next.0 > best.0 { next } else { best });
    commonest.map(|(count, reason)| (count, reason.to_owned()))
}
