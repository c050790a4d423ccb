//! Exponential moving average.

use super::{Indicator, at_least, price_level, stem};
use crate::domains::market::rolling;
use crate::table::Bars;
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
}

/// The exponential mean of every row from `period - 1` on, so element i belongs to row `i + period - 1`: first the
/// simple mean of `period` values, then `mean += 2 / (period + 1) * (value - mean)`. Empty where there are fewer values,
/// or for a period of 0.
pub fn exponential_mean(values: &[f64], period: usize) -> Vec<f64> {
    if period == 0 || values.len() < period {
        return Vec::new();
    }
    let weight = 2.0 / (period as f64 + 1.0);
    let (first, rest) = values.split_at(period);
    let mut mean = first.iter().sum::<f64>() / period as f64;
    let mut means = vec![mean];
    for value in rest {
        mean += weight * (value - mean);
        means.push(mean);
    }
    means
}
