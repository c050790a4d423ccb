//! Which setting mattered among the trials that were trained to the end.

use crate::metrics::{Factor, importance};
use crate::rundir::{DimensionSummary, SweepSummary, TrialStatus, TrialSummary};

/// Fills in the importance of every dimension.
pub(super) fn measure(summary: &mut SweepSummary) {
    let finished = summary.trials.iter().filter(|trial| trial.status == TrialStatus::Complete);
    let finished: Vec<&TrialSummary> = finished.filter(|trial| trial.value.is_some()).collect();
    let outcomes: Vec<f64> = finished.iter().filter_map(|trial| trial.value).collect();
    let factors: Vec<Factor> = summary.space.iter().map(|dimension| factor(dimension, &finished)).collect();
    let found = importance(&factors, &outcomes);
    for (dimension, share) in summary.space.iter_mut().zip(found) {
        dimension.importance = share;
    }
}

/// A setting's value in every trial: its order for an interval, its place among the choices of a list.
fn factor(dimension: &DimensionSummary, trials: &[&TrialSummary]) -> Factor {
    let values = trials.iter().map(|trial| trial.settings.get(&dimension.path));
    if dimension.interval.is_some() {
        return Factor::Ordered(
            values.map(|value| value.and_then(serde_json::Value::as_f64).unwrap_or(f64::NAN)).collect(),
        );
    }
    let place = |value: &serde_json::Value| dimension.values.iter().position(|choice| choice == value);
    Factor::Choices(values.map(|value| value.and_then(place)).collect())
}
