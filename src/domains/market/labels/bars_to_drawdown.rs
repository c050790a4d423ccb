//! Bars to a drawdown: how long until the close has fallen by a share of itself.

use super::{Label, by_horizon, check_fall};
use crate::table::{Bars, LabelKind, Labels};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bars from the row to the first later close that lies by `fall_percent` or more below the row's close; one more than
/// `limit_bars` where none of the next `limit_bars` closes does (the time is censored there). Known when the limit is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BarsToDrawdown {
    /// The longest time that is told apart, in bars, at least 1.
    #[schemars(range(min = 1))]
    pub limit_bars: u32,
    /// The fall in per cent of the row's close, above 0 and below 100.
    #[schemars(extend("exclusiveMinimum" = 0.0, "exclusiveMaximum" = 100.0))]
    pub fall_percent: f64,
}

impl Default for BarsToDrawdown {
    fn default() -> Self {
        BarsToDrawdown { limit_bars: 60, fall_percent: 5.0 }
    }
}

impl Label for BarsToDrawdown {
    fn kind(&self) -> LabelKind {
        LabelKind::Value
    }

    fn horizons(&self) -> Vec<u32> {
        vec![self.limit_bars]
    }

    fn check(&self) -> Result<(), String> {
        if self.limit_bars == 0 {
            return Err("`limit_bars` is 0, which is no forecast; write a number of at least 1".into());
        }
        check_fall(self.fall_percent)
    }

    fn compute(&self, bars: &Bars) -> Result<Labels, String> {
        let kept = 1.0 - self.fall_percent / 100.0;
        by_horizon(self, bars, |symbol, row, later| {
            let close = bars.symbols()[symbol].close();
            let limit = close[row] * kept;
            let first = close[row + 1..=later].iter().position(|close| *close <= limit);
            first.map_or(f64::from(self.limit_bars) + 1.0, |first| (first + 1) as f64)
        })
    }
}
