//! Volatility-scaled return: the forward return in units of the volatility known at the row.

use super::horizons::{self, Horizons};
use super::{Label, by_horizon, trailing_volatility};
use crate::table::{Bars, LabelKind, Labels, NULL};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Simple return of the close over `horizon` bars divided by (volatility of one bar * sqrt(horizon)). The volatility is the
/// sample standard deviation of the last one-bar logarithmic returns up to the row's close, so the scale is known when
/// the forecast is made. Null while it is not known, and where the close has not moved at all.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VolatilityScaledReturn {
    /// Horizons in bars, each at least 1: one, a list, or a range such as `1..96`.
    #[serde(with = "horizons")]
    #[schemars(with = "Horizons")]
    pub horizons_bars: Vec<u32>,
    /// One-bar returns from which the volatility is estimated, at least 2.
    #[schemars(range(min = 2))]
    pub volatility_bars: usize,
}

impl Default for VolatilityScaledReturn {
    fn default() -> Self {
        VolatilityScaledReturn { horizons_bars: vec![1], volatility_bars: 20 }
    }
}

impl Label for VolatilityScaledReturn {
    fn kind(&self) -> LabelKind {
        LabelKind::Scaled
    }

    fn horizons(&self) -> Vec<u32> {
        self.horizons_bars.clone()
    }

    fn compute(&self, bars: &Bars) -> Result<Labels, String> {
        let volatility = trailing_volatility(bars, self.volatility_bars)?;
        by_horizon(self, bars, |symbol, row, later| {
            let close = bars.symbols()[symbol].close();
            let scale = volatility[symbol][row] * ((later - row) as f64).sqrt();
            if scale == 0.0 { NULL } else { (close[later] - close[row]) / close[row] / scale }
        })
    }
}
