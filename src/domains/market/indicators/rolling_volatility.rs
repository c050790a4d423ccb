//! Rolling volatility.

use super::log_return::log_returns;
use super::{Indicator, Memory, at_least};
use crate::domains::market::rolling;
use crate::table::Bars;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Sample standard deviation of the last one-bar logarithmic returns of the close, a bar, not annualised.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RollingVolatility {
    /// Returns in the window, at least 2.
    #[schemars(range(min = 2))]
    pub period: usize,
}

impl Default for RollingVolatility {
    fn default() -> Self {
        RollingVolatility { period: 20 }
    }
}

impl Indicator for RollingVolatility {
    fn names(&self) -> Vec<String> {
        vec![format!("rolling_volatility_{}", self.period)]
    }

    fn warm_up(&self) -> usize {
        self.period
    }

    fn check(&self) -> Result<(), String> {
        at_least(2, "period", self.period)
    }

    fn compute(&self, bars: &Bars) -> Vec<Vec<Vec<f64>>> {
        bars.symbols().iter().map(|symbol| vec![volatility(symbol.close(), self.period)]).collect()
    }

    fn memory(&self) -> Memory {
        Memory::rows(self.period + 1).in_blocks_of(self.period)
    }
}

/// Sample standard deviation of the last `period` one-bar logarithmic returns, row by row; null in the first `period`
/// rows, and everywhere for a period below 2.
pub fn volatility(prices: &[f64], period: usize) -> Vec<f64> {
    let returns = log_returns(prices, 1);
    let windows = rolling::moments(returns.get(1..).unwrap_or_default(), period);
    rolling::padded(prices.len(), windows.into_iter().map(rolling::Moments::sample_deviation))
}
