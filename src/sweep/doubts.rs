//! What people should know before they trust a sweep: of its plan, and of the values that it found.

use super::history::History;
use crate::config::SweepPlan;
use crate::rundir::{TrialStatus, TrialSummary};
use crate::units::counted;

/// What is doubtful before anything is tried.
pub(super) fn of_plan(plan: &SweepPlan) -> impl Iterator<Item = String> {
    of_goal(plan).into_iter().chain(of_copies(plan))
}

/// A goal against the nature of the metric: the worst trial would win.
pub fn of_goal(plan: &SweepPlan) -> Option<String> {
    let (metric, natural) = (plan.config.metric, plan.config.metric.natural_goal());
    let against = plan.config.goal.is_some_and(|goal| goal != natural);
    against.then(|| {
        let (good, taken) = if plan.minimize() { ("large", "smallest") } else { ("small", "largest") };
        format!(
            "{good} values of {} are good, but `goal` takes the {taken}: the worst trial wins; leave `goal` out",
            metric.name()
        )
    })
}

/// What the whole run of a trial cannot repeat.
fn of_copies(plan: &SweepPlan) -> Option<String> {
    super::copies(plan).then(|| {
        "population based training changed settings while networks trained; the winner's run trains anew with the settings \
         that the best trial had at its end"
            .into()
    })
}

/// Several trials were trained to the end and all have the same value.
pub(super) fn of_values(trials: &[TrialSummary], metric: &str) -> Option<String> {
    let finished = trials.iter().filter(|trial| trial.status == TrialStatus::Complete);
    let values: Vec<f64> = finished.filter_map(|trial| trial.value).collect();
    let (first, rest) = values.split_first()?;
    (!rest.is_empty() && rest.iter().all(|value| value == first)).then(|| {
        format!(
            "all {} have the same value of {metric}, {first}: the metric cannot choose, and the first of them is taken",
            counted(values.len(), "finished trial")
        )
    })
}

/// That trials were judged on different rows.
pub(super) fn of_rows(history: &History) -> Option<String> {
    let judged = history.outcomes().filter(|outcome| outcome.found.value.is_some());
    let windows: Vec<usize> = judged.map(|outcome| outcome.found.windows.iter().sum()).collect();
    let (least, most) = (windows.iter().min()?, windows.iter().max()?);
    (least < most).then(|| {
        format!(
            "trials were judged on different numbers of validation windows, from {least} to {most}: longer windows and \
             warm-ups leave out the first rows of symbols that were listed late; their values are not quite comparable"
        )
    })
}
