//! Logarithmic return: ln(close(t) / close(t - lag)).

use super::{Indicator, Memory, check_lags};
use crate::table::{Bars, NULL};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Logarithmic return of the close over a number of bars, one column a lag.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct LogReturn {
    /// Distances in bars, each at least 1.
    #[schemars(inner(range(min = 1)))]
    pub lags: Vec<usize>,
}

impl Default for LogReturn {
    fn default() -> Self {
        LogReturn { lags: vec![1] }
    }
}

impl Indicator for LogReturn {
    fn names(&self) -> Vec<String> {
        self.lags.iter().map(|lag| format!("log_return_{lag}")).collect()
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
            .map(|symbol| self.lags.iter().map(|lag| log_returns(symbol.close(), *lag)).collect())
            .collect()
    }

    fn memory(&self) -> Memory {
        Memory::rows(self.warm_up() + 1)
    }
}

/// ln(price(t) / price(t - lag)), row by row; null in the first `lag` rows.
pub fn log_returns(prices: &[f64], lag: usize) -> Vec<f64> {
    (0..prices.len()).map(|t| if t < lag { NULL } else { (prices[t] / prices[t - lag]).ln() }).collect()
}
