//! Average true range.

use super::{Indicator, at_least, price_difference, stem};
use crate::domains::market::rolling;
use crate::table::{Bars, SymbolBars};
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
    (1..bars.len()).map(|t| high[t].max(close[t - 1]) - low[t].min(close[t - 1])).collect()
}

/// Wilder's mean of every value from `period - 1` on: first the simple mean of `period` values, then
/// `mean += (value - mean) / period`. Empty where there are fewer values, or for a period of 0.
pub fn wilder_mean(values: &[f64], period: usize) -> Vec<f64> {
    if period == 0 || values.len() < period {
        return Vec::new();
    }
    let bars = period as f64;
    let (first, rest) = values.split_at(period);
    let mut mean = first.iter().sum::<f64>() / bars;
    let mut means = vec![mean];
    for value in rest {
        mean += (value - mean) / bars;
        means.push(mean);
    }
    means
}
