//! Simple return: close(t) / close(t - lag) - 1.

use super::{Indicator, Memory, check_lags};
use crate::table::{Bars, NULL};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Simple return of the close over a number of bars, one column a lag.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SimpleReturn {
    /// Distances in bars, each at least 1.
    #[schemars(inner(range(min = 1)))]
    pub lags: Vec<usize>,
}

impl Default for SimpleReturn {
    fn default() -> Self {
        SimpleReturn { lags: vec![1] }
    }
}

impl Indicator for SimpleReturn {
    fn names(&self) -> Vec<String> {
        self.lags.iter().map(|lag| format!("simple_return_{lag}")).collect()
    }

    fn warm_up(&self) -> usize {
        self.lags.iter().copied().max().unwrap_or(0)
    }

    fn check(&self) -> Result<(), String> {
        check_lags(&self.lags)
    }

    fn compute(&self, bars: &Bars) -> Vec<Vec<Vec<f64>>> {
        bars.symbols()
            .iter()
            .map(|symbol| self.lags.iter().map(|lag| simple_returns(symbol.close(), *lag)).collect())
            .collect()
    }

    fn memory(&self) -> Memory {
        Memory::rows(self.warm_up() + 1)
    }
}

/// (price(t) - price(t - lag)) / price(t - lag), row by row; null in the first `lag` rows. The difference of two near
/// prices is exact, so small returns keep all their digits, which `price(t) / price(t - lag) - 1` would lose.
pub fn simple_returns(prices: &[f64], lag: usize) -> Vec<f64> {
    let change = |t: usize| (prices[t] - prices[t - lag]) / prices[t - lag];
    (0..prices.len()).map(|t| if t < lag { NULL } else { change(t) }).collect()
}
