//! The forecast rows of one horizon, cut into stretches, and the events and alarms in them.

use super::row_set::Reached;
use crate::table::{Bars, ModelPredictions, Sample};
use crate::units::{DAY_NANOSECONDS, Time};
use std::ops::Range;

/// The risks of one horizon, as a model or anybody else gives them, beside what came.
#[derive(Clone, Debug)]
pub struct RiskRows<'a> {
    /// `[N]`: which rows, in the order of fold, symbol and row.
    pub samples: &'a [Sample],
    /// `[N]`: the fold that each belongs to.
    pub fold: &'a [u32],
    /// `[N]`: probability of the event; null where there is none.
    pub risk: Vec<f64>,
    /// `[N]`: 1 where the event came, 0 where it did not, null where that is not known.
    pub actual: Vec<f64>,
    /// Bars within which the event counts.
    pub horizon: u32,
}

impl<'a> RiskRows<'a> {
    /// The horizon that stands at `output` among those of the predictions.
    pub fn of(predictions: &'a ModelPredictions, output: usize) -> RiskRows<'a> {
        let column = |values: &[f64]| {
            values.iter().copied().skip(output).step_by(predictions.horizons.len()).collect()
        };
        RiskRows {
            samples: &predictions.samples,
            fold: &predictions.fold,
            risk: column(&predictions.values),
            actual: column(&predictions.actual),
            horizon: predictions.horizons[output],
        }
    }
}

/// The rows of one horizon whose forecast and outcome are known, in the order of fold, symbol and row.
#[derive(Clone, Debug)]
pub struct EventRows {
    /// `[R]`: places among the samples of the rows that they were made of.
    places: Vec<usize>,
    /// `[R]`: the fold whose model made the forecast.
    pub(super) fold: Vec<u32>,
    /// `[R]`: the probability that was forecast.
    pub(super) risk: Vec<f64>,
    /// `[R]`: whether the event came.
    pub(super) happens: Vec<bool>,
    /// The rows of `happens` as a set.
    with_event: Reached,
    /// Rows that follow each other.
    stretches: Vec<Range<usize>>,
    /// Bars within which an event counts.
    pub(super) horizon: usize,
    /// Days of the calendar that the bars of these rows fill: the times of each fold times the length of a bar. Symbols that
    /// have a bar at one time share it, so that what is counted a day is counted over all symbols together.
    pub(super) days: f64,
}

/// An alarm: the rows from the one that raised it to the last for which it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// Rows for which it stands, as numbers within [`EventRows`].
    pub rows: Range<usize>,
    /// Whether none of its rows at or above the threshold has label 1. So an alarm is right, too, that comes a little before
    /// the first label or after the strike, as long as one of its rows still has an event ahead of it.
    pub is_false: bool,
}

/// An event, as the rows before it could have seen it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RareEvent {
    /// From the first to the last row with label 1, as numbers within [`EventRows`].
    pub rows: Range<usize>,
    /// Bars from its first row to the one that completes it; from 1 to the horizon.
    pub bars_to_strike: usize,
}

impl RareEvent {
    /// The rows whose alarm comes in time.
    fn in_time(&self) -> Range<usize> {
        self.rows.start..self.rows.end.min(self.rows.start + self.bars_to_strike)
    }
}

impl EventRows {
    /// The rows of one fold or of all, which are rows of these bars.
    pub fn new(rows: &RiskRows, fold: Option<u32>, bars: &Bars) -> EventRows {
        let known = |place: &usize| {
            fold.is_none_or(|fold| rows.fold[*place] == fold)
                && !rows.risk[*place].is_nan()
                && !rows.actual[*place].is_nan()
        };
        let places: Vec<usize> = (0..rows.samples.len()).filter(known).collect();
        let happens: Vec<bool> = places.iter().map(|place| rows.actual[*place] > 0.5).collect();
        let follows = |before: usize, after: usize| {
            let (one, other) = (rows.samples[before], rows.samples[after]);
            rows.fold[before] == rows.fold[after] && (one.symbol, one.row + 1) == (other.symbol, other.row)
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
            risk: places.iter().map(|place| rows.risk[*place]).collect(),
            with_event: Reached::of(&happens),
            happens,
            stretches,
            horizon: rows.horizon as usize,
            days: times_of_folds(rows, &places, bars) as f64 * bars.interval() as f64
                / DAY_NANOSECONDS as f64,
            fold: places.iter().map(|place| rows.fold[*place]).collect(),
            places,
        }
    }

    /// `[R]`: places among the samples of the [`RiskRows`].
    pub fn places(&self) -> &[usize] {
        &self.places
    }

    /// The rows at or above the threshold of each row, `alarm_at[row]`; none where that is null.
    pub fn reaching(&self, alarm_at: impl Fn(usize) -> f64) -> Reached {
        let reaches = (0..self.risk.len()).map(|row| self.risk[row] >= alarm_at(row));
        Reached::of(&reaches.collect::<Vec<bool>>())
    }

    /// The alarms that these rows raise, in order.
    pub fn alarms(&self, rows: &Reached) -> Vec<Alarm> {
        let mut alarms = Vec::new();
        for stretch in &self.stretches {
            let mut next = stretch.start;
            while let Some(first) = rows.first_in(next..stretch.end) {
                next = (first + self.horizon).min(stretch.end);
                let is_false = !rows.meets(&self.with_event, first..next);
                alarms.push(Alarm { rows: first..next, is_false });
            }
        }
        alarms
    }

    /// The events, in order. `bars_to_event` gives for a place among the samples the bars from its row to the one that
    /// completes the event of its label; null, or more than the horizon, counts as the horizon.
    pub fn events(&self, bars_to_event: impl Fn(usize) -> f64) -> Vec<RareEvent> {
        let mut events: Vec<RareEvent> = Vec::new();
        for stretch in &self.stretches {
            let mut runs: Vec<Range<usize>> = Vec::new();
            for row in stretch.clone().filter(|row| self.happens[*row]) {
                match runs.last_mut() {
                    Some(run) if row - (run.end - 1) < self.horizon.max(2) => run.end = row + 1,
                    _ => runs.push(row..row + 1),
                }
            }
            for rows in runs.into_iter().filter(|rows| rows.start > stretch.start) {
                let bars = bars_to_event(self.places[rows.start]).min(self.horizon as f64);
                let bars_to_strike = if bars >= 1.0 { bars as usize } else { self.horizon };
                events.push(RareEvent { rows, bars_to_strike });
            }
        }
        events
    }

    /// Bars from the first row of the set that sees the event in time to its strike; `None` where it is missed.
    pub fn lead(&self, event: &RareEvent, rows: &Reached) -> Option<usize> {
        let first = rows.first_in(event.in_time())?;
        Some(event.rows.start + event.bars_to_strike - first)
    }
}

/// How many times the rows at these places have, each once a fold.
fn times_of_folds(rows: &RiskRows, places: &[usize], bars: &Bars) -> usize {
    let moment = |place: &usize| {
        let sample = rows.samples[*place];
        (rows.fold[*place], bars.symbols()[sample.symbol as usize].time()[sample.row as usize])
    };
    let mut moments: Vec<(u32, Time)> = places.iter().map(moment).collect();
    moments.sort_unstable();
    moments.dedup();
    moments.len()
}
