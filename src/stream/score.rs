//! How good forecasts turned out, kept up to date as outcomes arrive.

use serde::Serialize;
use std::collections::VecDeque;

/// Errors of one horizon so far. Sums run in the order of ticks, and within a tick in that of symbols: the order of the
/// run's own figures, whose bits they have where all symbols have a bar at every tick.
#[derive(Clone, Copy, Debug, Default)]
struct Errors {
    count: usize,
    squares: f64,
    absolute: f64,
    exact: usize,
}

/// Figures of one horizon so far.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Figures {
    /// In bars.
    pub horizon: u32,
    /// Forecasts whose outcome has arrived.
    pub scored: usize,
    /// Mean squared error, in squared units of the label.
    pub mse: Option<f64>,
    /// Mean absolute error, in units of the label.
    pub mae: Option<f64>,
    /// Share of forecasts that equal the outcome once they are rounded; only where all outcomes are whole numbers.
    pub exact: Option<f64>,
}

/// Forecasts that wait for their outcomes, and the figures of those that have them.
#[derive(Clone, Debug)]
pub struct Scores {
    horizons: Vec<u32>,
    errors: Vec<Errors>,
    /// `[symbol]`: the row of each forecast and its values, oldest first.
    waiting: Vec<VecDeque<(usize, Vec<f64>)>>,
    /// Whether all outcomes so far are whole numbers.
    whole: bool,
}

impl Scores {
    /// Of forecasts of these horizons for so many symbols. `levels` says whether labels are levels, which may be whole
    /// numbers by their nature; 0 and 1 of classes are not meant.
    pub fn new(horizons: &[u32], symbols: usize, levels: bool) -> Scores {
        Scores {
            horizons: horizons.to_vec(),
            errors: vec![Errors::default(); horizons.len()],
            waiting: vec![VecDeque::new(); symbols],
            whole: levels,
        }
    }

    /// Remembers the forecast that was made at this row of a symbol, a value a horizon.
    pub fn expect(&mut self, symbol: usize, row: usize, values: Vec<f64>) {
        self.waiting[symbol].push_back((row, values));
    }

    /// Row `row` of the symbol has arrived: everything that was forecast for it is scored. `outcome(row, horizon)` gives
    /// what came of a forecast, null where nothing did.
    pub fn arrive(&mut self, symbol: usize, row: usize, outcome: impl Fn(usize, usize) -> f64) {
        let waiting = &mut self.waiting[symbol];
        for (made, values) in waiting.iter() {
            let due = self.horizons.iter().position(|horizon| made + *horizon as usize == row);
            let Some(horizon) = due else { continue };
            let actual = outcome(*made, horizon);
            if actual.is_nan() {
                continue;
            }
            let (errors, error) = (&mut self.errors[horizon], values[horizon] - actual);
            errors.count += 1;
            errors.squares += error * error;
            errors.absolute += error.abs();
            errors.exact += usize::from(values[horizon].round() == actual);
            self.whole &= actual.fract() == 0.0;
        }
        let furthest = self.horizons.iter().max().map_or(0, |horizon| *horizon as usize);
        while waiting.front().is_some_and(|(made, _)| made + furthest <= row) {
            waiting.pop_front();
        }
    }

    /// The figures of each horizon.
    pub fn figures(&self) -> Vec<Figures> {
        let of = |(horizon, errors): (&u32, &Errors)| {
            let mean = |sum: f64| (errors.count > 0).then(|| sum / errors.count as f64);
            Figures {
                horizon: *horizon,
                scored: errors.count,
                mse: mean(errors.squares),
                mae: mean(errors.absolute),
                exact: mean(errors.exact as f64).filter(|_| self.whole),
            }
        };
        self.horizons.iter().zip(&self.errors).map(of).collect()
    }
}

/// A rule that scores only recurrences. It exists for comparison: systems that judge one recurrence a forecast, and nothing
/// else, report this share as their accuracy, and beside the accuracy of all forecasts it shows what such a share is worth.
///
/// Where the last value, rounded, occurs in the rounded forecast, it is expected to
/// come again at that horizon, and is judged at the first later tick at which that many bars of time have passed. It says
/// how often a value that was said to recur did so, not how good the forecasts are.
#[derive(Clone, Debug, Default)]
pub struct Recurrences {
    /// Due time in nanoseconds and rounded value, `[symbol]`.
    pending: Vec<Vec<(i64, f64)>>,
    judged: usize,
    right: usize,
}

/// What became of values that were said to recur.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct RecurrenceFigures {
    /// Recurrences whose time has come.
    pub judged: usize,
    /// Those that came true.
    pub right: usize,
}

impl Recurrences {
    /// For so many symbols.
    pub fn new(symbols: usize) -> Recurrences {
        Recurrences { pending: vec![Vec::new(); symbols], ..Recurrences::default() }
    }

    /// Judges what is due at this time (nanoseconds), when the symbol's value is `actual`.
    pub fn arrive(&mut self, symbol: usize, now: i64, actual: f64) {
        let (judged, right) = (&mut self.judged, &mut self.right);
        self.pending[symbol].retain(|(due, value)| {
            if now < *due {
                return true;
            }
            *judged += 1;
            *right += usize::from(actual.round() == *value);
            false
        });
    }

    /// A forecast made now, when the symbol's value is `actual`; `times` are its horizons in nanoseconds.
    pub fn expect(&mut self, symbol: usize, (now, actual): (i64, f64), forecast: &[f64], times: &[i64]) {
        let value = actual.round();
        let recurs = forecast.iter().position(|forecast| forecast.round() == value);
        if let Some(ahead) = recurs.and_then(|place| times.get(place)) {
            self.pending[symbol].push((now.saturating_add(*ahead), value));
        }
    }

    /// The figures so far.
    pub fn figures(&self) -> RecurrenceFigures {
        RecurrenceFigures { judged: self.judged, right: self.right }
    }
}
