//! The forecast rows of one horizon, cut into stretches.

use super::row_set::RowSet;
use crate::table::ModelPredictions;
use std::ops::Range;

/// Nanoseconds of a day.
const DAY: f64 = 86_400.0 * 1e9;

/// The rows of one horizon whose forecast and outcome are known, in the order of fold, symbol and row.
#[derive(Clone, Debug)]
pub struct EventRows {
    /// `[R]`: places among the samples of the predictions.
    pub(super) places: Vec<usize>,
    /// `[R]`: the probability that was forecast.
    pub(super) risk: Vec<f64>,
    /// `[R]`: whether the event came.
    pub(super) happens: Vec<bool>,
    /// The rows of `happens` as a set.
    pub(super) events: RowSet,
    /// Rows that follow each other.
    pub(super) stretches: Vec<Range<usize>>,
    /// Bars within which an event counts.
    pub(super) horizon: usize,
    /// Days of all rows together: rows times the length of a bar.
    pub(super) days: f64,
}

/// An alarm: the rows from the one that raised it up to the last for which it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Alarm {
    /// Rows for which it stands.
    pub(super) rows: Range<usize>,
    /// Whether none of its rows at or above the threshold has label 1.
    pub(super) is_false: bool,
}

impl EventRows {
    /// The rows of the horizon that stands at `output` among those of the predictions, of one fold or of all. `interval` is
    /// the length of a bar in nanoseconds.
    pub fn new(predictions: &ModelPredictions, output: usize, fold: Option<u32>, interval: i64) -> EventRows {
        let outputs = predictions.horizons.len();
        let known = |place: &usize| {
            let cell = place * outputs + output;
            fold.is_none_or(|fold| predictions.fold[*place] == fold)
                && !predictions.values[cell].is_nan()
                && !predictions.actual[cell].is_nan()
        };
        let places: Vec<usize> = (0..predictions.samples.len()).filter(known).collect();
        let column = |values: &[f64]| -> Vec<f64> {
            places.iter().map(|place| values[place * outputs + output]).collect()
        };
        let happens: Vec<bool> = column(&predictions.actual).iter().map(|actual| *actual > 0.5).collect();
        let follows = |before: usize, after: usize| {
            let (one, other) = (predictions.samples[before], predictions.samples[after]);
            predictions.fold[before] == predictions.fold[after]
                && (one.symbol, one.row + 1) == (other.symbol, other.row)
        };
        let mut stretches = Vec::new();
        let mut start = 0;
        for end in 1..=places.len() {
            if end == places.len() || !follows(places[end - 1], places[end]) {
                stretches.push(start..end);
                start = end;
            }
        }
        EventRows {
            risk: column(&predictions.values),
            events: RowSet::of(&happens),
            happens,
            stretches,
            horizon: predictions.horizons[output] as usize,
            days: places.len() as f64 * interval as f64 / DAY,
            places,
        }
    }

    /// Days of all rows together.
    pub fn days(&self) -> f64 {
        self.days
    }

    /// The alarms that these rows raise, in order.
    pub(super) fn alarms(&self, rows: &RowSet) -> Vec<Alarm> {
        let mut alarms = Vec::new();
        for stretch in &self.stretches {
            let mut next = stretch.start;
            while let Some(first) = rows.first_in(next..stretch.end) {
                next = (first + self.horizon).min(stretch.end);
                let is_false = !rows.meets(&self.events, first..next);
                alarms.push(Alarm { rows: first..next, is_false });
            }
        }
        alarms
    }
}
