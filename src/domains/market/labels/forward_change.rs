//! Forward change: close(t + horizon) - close(t).

use super::horizons::{self, Horizons};
use super::{Label, by_horizon};
use crate::table::{Bars, LabelKind, Labels};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Change of the close from the row's close to the close `horizon` bars later, in the unit of the series: for series that
/// may be 0 or negative, of which no return can be told. Models learn it in units of the symbol's own standard deviation
/// over the training rows, so that series of large numbers do not drown the small ones; to forecast 0 is to repeat the
/// last value.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ForwardChange {
    /// Horizons in bars, each at least 1: one, a list, or a range such as `1..96`.
    #[serde(with = "horizons")]
    #[schemars(with = "Horizons")]
    pub horizons_bars: Vec<u32>,
}

impl Default for ForwardChange {
    fn default() -> Self {
        ForwardChange { horizons_bars: vec![1] }
    }
}

impl Label for ForwardChange {
    fn kind(&self) -> LabelKind {
        LabelKind::Change
    }

    fn horizons(&self) -> Vec<u32> {
        self.horizons_bars.clone()
    }

    fn compute(&self, bars: &Bars) -> Result<Labels, String> {
        by_horizon(self, bars, |symbol, row, later| {
            let close = bars.symbols()[symbol].close();
            close[later] - close[row]
        })
    }
}
