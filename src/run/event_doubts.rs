//! What people should know of forecasts of rare events before they trust their figures.

use super::fit::{Fitted, ModelRecord};
use crate::metrics::order_violations;

/// With fewer events a recall says little.
const FEW_EVENTS: usize = 10;

/// A share of rows in which the risks of horizons contradict each other that is worth a word.
const NOTICED_VIOLATIONS: f64 = 0.05;

/// A sentence for horizons with few or no events, folds without a threshold, and models whose risks contradict each other.
pub(super) fn event_doubts(fitted: &Fitted) -> Vec<String> {
    // Horizons hold the same events for all models but for the longer window of some.
    let mut doubts: Vec<String> = fitted.models.first().map(few_events).unwrap_or_default();
    for (record, predictions) in fitted.models.iter().zip(&fitted.predictions.0) {
        let name = &record.name;
        if let Some(share) = order_violations(predictions).filter(|share| *share > NOTICED_VIOLATIONS) {
            doubts.push(format!(
                "{name}: in {:.0} % of the test rows the risk of a longer horizon is below that of a shorter one, which \
                 cannot be; do not read them as the time to the event",
                100.0 * share
            ));
        }
    }
    doubts
}

fn few_events(record: &ModelRecord) -> Vec<String> {
    let mut doubts = Vec::new();
    for summary in &record.events {
        let (bars, events) = (summary.horizon, summary.test.events);
        if events == 0 {
            doubts.push(format!(
                "within {bars} bars: the test rows hold no event that could be seen coming, so there is no recall and no lead"
            ));
        } else if events < FEW_EVENTS {
            doubts.push(format!(
                "within {bars} bars: the test rows hold {events} events only; a recall of so few says little"
            ));
        }
        let without = summary.thresholds.iter().filter(|threshold| threshold.is_none()).count();
        if without > 0 {
            doubts.push(format!(
                "within {bars} bars: the validation rows of {without} of {} folds hold no event to choose a threshold by, so \
                 no alarm is raised in their test rows; lengthen the validation part",
                summary.thresholds.len()
            ));
        }
    }
    doubts
}
