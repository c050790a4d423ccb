//! Forward return: close(t + horizon) / close(t) - 1.

use super::horizons::{self, Horizons};
use super::{Label, by_horizon};
use crate::table::{Bars, LabelKind, Labels};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Simple return of the close from the row's close to the close `horizon` bars later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ForwardReturn {
    /// Horizons in bars, each at least 1: one, a list, or a range such as `1..96`.
    #[serde(with = "horizons")]
    #[schemars(with = "Horizons")]
    pub horizons_bars: Vec<u32>,
}

impl Default for ForwardReturn {
    fn default() -> Self {
        ForwardReturn { horizons_bars: vec![1] }
    }
}

impl Label for ForwardReturn {
    fn kind(&self) -> LabelKind {
        LabelKind::Return
    }

    fn horizons(&self) -> Vec<u32> {
        self.horizons_bars.clone()
    }

    fn compute(&self, bars: &Bars) -> Result<Labels, String> {
        by_horizon(self, bars, |symbol, row, later| {
            let close = bars.symbols()[symbol].close();
            (close[later] - close[row]) / close[row]
        })
    }
}
