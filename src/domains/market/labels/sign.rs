//! Sign: whether close(t + horizon) is above close(t).

use super::horizons::{self, Horizons};
use super::{Label, by_horizon};
use crate::table::{Bars, LabelKind, Labels};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// 1 where the close `horizon` bars later is above the row's close, 0 where it is equal or below.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sign {
    /// Horizons in bars, each at least 1: one, a list, or a range such as `1..96`.
    #[serde(with = "horizons")]
    #[schemars(with = "Horizons")]
    pub horizons_bars: Vec<u32>,
}

impl Default for Sign {
    fn default() -> Self {
        Sign { horizons_bars: vec![1] }
    }
}

impl Label for Sign {
    fn kind(&self) -> LabelKind {
        LabelKind::Class
    }

    fn horizons(&self) -> Vec<u32> {
        self.horizons_bars.clone()
    }

    fn compute(&self, bars: &Bars) -> Result<Labels, String> {
        by_horizon(self, bars, |symbol, row, later| {
            let close = bars.symbols()[symbol].close();
            f64::from(u8::from(close[later] > close[row]))
        })
    }
}
