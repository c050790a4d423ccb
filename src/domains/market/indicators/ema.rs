//! Exponential moving average.

use super::{Bar, Indicator, Memory, Recursion, at_least, price_level, stem};
use crate::domains::market::rolling;
use crate::table::{Bars, NULL};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Exponential mean of the closes with weight 2 / (period + 1) for the newest (TA-Lib: EMA). It starts at the simple
/// mean of the first `period` closes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Ema {
    /// Bars that set the weight, at least 1.
    #[schemars(range(min = 1))]
    pub period: usize,
    /// `false`: in quote currency. `true`: the distance from the row's close as a share of that close, so that
    /// symbols of different price can be pooled.
    pub relative: bool,
}

impl Default for Ema {
    fn default() -> Self {
        Ema { period: 20, relative: false }
    }
}

impl Indicator for Ema {
    fn names(&self) -> Vec<String> {
        vec![stem(format!("ema_{}", self.period), self.relative)]
    }

    fn warm_up(&self) -> usize {
        self.period.saturating_sub(1)
    }

    fn check(&self) -> Result<(), String> {
        at_least(1, "period", self.period)
    }

    fn compute(&self, bars: &Bars) -> Vec<Vec<Vec<f64>>> {
        let column = |close: &[f64]| {
            let average = rolling::padded(close.len(), exponential_mean(close, self.period));
            price_level(average, close, self.relative)
        };
        bars.symbols().iter().map(|symbol| vec![column(symbol.close())]).collect()
    }

    fn memory(&self) -> Memory {
        Memory::recursion(RunningEma { settings: self.clone(), mean: ExponentialMean::new(self.period) })
    }
}

/// The exponential mean of every row from `period - 1` on, so element i belongs to row `i + period - 1`; see
/// `ExponentialMean`. Empty where there are fewer values, or for a period of 0.
pub fn exponential_mean(values: &[f64], period: usize) -> Vec<f64> {
    let mut mean = ExponentialMean::new(period);
    values.iter().filter_map(|value| mean.next(*value)).collect()
}

/// An exponential mean, value by value: first the simple mean of `period` values, then
/// `mean += 2 / (period + 1) * (value - mean)`.
#[derive(Clone, Debug)]
pub(super) struct ExponentialMean {
    period: usize,
    weight: f64,
    /// Values of the simple mean that are there already.
    seen: usize,
    /// The sum of those, then the mean.
    state: f64,
}

impl ExponentialMean {
    pub(super) fn new(period: usize) -> ExponentialMean {
        // The sum of no number at all is -0, to which any number can be added unchanged.
        ExponentialMean { period, weight: 2.0 / (period as f64 + 1.0), seen: 0, state: -0.0 }
    }

    /// The mean with the next value, once there are `period` of them.
    pub(super) fn next(&mut self, value: f64) -> Option<f64> {
        if self.seen < self.period {
            self.seen += 1;
            self.state += value;
            if self.seen < self.period {
                return None;
            }
            self.state /= self.period as f64;
        } else if self.period == 0 {
            return None;
        } else {
            self.state += self.weight * (value - self.state);
        }
        Some(self.state)
    }
}

/// The average of a growing column.
struct RunningEma {
    settings: Ema,
    mean: ExponentialMean,
}

impl Recursion for RunningEma {
    fn next(&mut self, bar: &Bar) -> Vec<f64> {
        let mean = self.mean.next(bar.close).unwrap_or(NULL);
        price_level(vec![mean], &[bar.close], self.settings.relative)
    }
}
