//! Logarithmic return: ln(close(t) / close(t - lag)).

use super::Indicator;
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

    fn compute(&self, bars: &Bars) -> Vec<Vec<Vec<f64>>> {
        let of = |close: &[f64], lag: usize| {
            (0..close.len()).map(|t| if t < lag { NULL } else { (close[t] / close[t - lag]).ln() }).collect()
        };
        bars.symbols()
            .iter()
            .map(|symbol| self.lags.iter().map(|lag| of(symbol.close(), *lag)).collect())
            .collect()
    }
}
