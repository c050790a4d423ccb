//! Average true range.

use super::{Bar, Indicator, Memory, Recursion, at_least, price_difference, stem};
use crate::domains::market::rolling;
use crate::table::{Bars, NULL, SymbolBars};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Wilder's mean of the true range, which is the bar's range together with the previous close; it starts at the simple
/// mean of the first `period` true ranges (TA-Lib: ATR).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Atr {
    /// Bars of the Wilder mean, at least 1.
    #[schemars(range(min = 1))]
    pub period: usize,
    /// `false`: in quote currency. `true`: as a share of the row's close, so that symbols of different price can be
    /// pooled.
    pub relative: bool,
}

impl Default for Atr {
    fn default() -> Self {
        Atr { period: 14, relative: false }
    }
}

impl Indicator for Atr {
    fn names(&self) -> Vec<String> {
        vec![stem(format!("atr_{}", self.period), self.relative)]
    }

    fn warm_up(&self) -> usize {
        self.period
    }

    fn check(&self) -> Result<(), String> {
        at_least(1, "period", self.period)
    }

    fn compute(&self, bars: &Bars) -> Vec<Vec<Vec<f64>>> {
        bars.symbols().iter().map(|symbol| vec![self.column(symbol)]).collect()
    }

    fn memory(&self) -> Memory {
        Memory::recursion(RunningAtr {
            settings: self.clone(),
            before: None,
            mean: WilderMean::new(self.period),
        })
    }
}

impl Atr {
    fn column(&self, bars: &SymbolBars) -> Vec<f64> {
        let average = wilder_mean(&true_ranges(bars), self.period);
        price_difference(rolling::padded(bars.len(), average), bars.close(), self.relative)
    }
}

/// max(high, previous close) - min(low, previous close) of every bar but the first, which has no previous close.
pub fn true_ranges(bars: &SymbolBars) -> Vec<f64> {
    let (high, low, close) = (bars.high(), bars.low(), bars.close());
    (1..bars.len()).map(|t| true_range(high[t], low[t], close[t - 1])).collect()
}

pub(super) fn true_range(high: f64, low: f64, close_before: f64) -> f64 {
    high.max(close_before) - low.min(close_before)
}

/// Wilder's mean of every value from `period - 1` on; see `WilderMean`. Empty where there are fewer values, or for a
/// period of 0.
pub fn wilder_mean(values: &[f64], period: usize) -> Vec<f64> {
    let mut mean = WilderMean::new(period);
    values.iter().filter_map(|value| mean.next(*value)).collect()
}

/// Wilder's mean, value by value: first the simple mean of `period` values, then `mean += (value - mean) / period`.
#[derive(Clone, Debug)]
pub(super) struct WilderMean {
    period: usize,
    /// Values of the simple mean that are there already.
    seen: usize,
    /// The sum of those, then the mean.
    state: f64,
}

impl WilderMean {
    pub(super) fn new(period: usize) -> WilderMean {
        WilderMean { period, seen: 0, state: -0.0 }
    }

    /// The mean with the next value, once there are `period` of them.
    pub(super) fn next(&mut self, value: f64) -> Option<f64> {
        let bars = self.period as f64;
        if self.seen < self.period {
            self.seen += 1;
            self.state += value;
            if self.seen < self.period {
                return None;
            }
            self.state /= bars;
        } else if self.period == 0 {
            return None;
        } else {
            self.state += (value - self.state) / bars;
        }
        Some(self.state)
    }
}

/// The range of a growing column.
struct RunningAtr {
    settings: Atr,
    /// The close before.
    before: Option<f64>,
    mean: WilderMean,
}

impl Recursion for RunningAtr {
    fn next(&mut self, bar: &Bar) -> Vec<f64> {
        let range = self.before.replace(bar.close).map(|before| true_range(bar.high, bar.low, before));
        let mean = range.and_then(|range| self.mean.next(range)).unwrap_or(NULL);
        price_difference(vec![mean], &[bar.close], self.settings.relative)
    }
}
