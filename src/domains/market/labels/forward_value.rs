//! Forward value: close(t + horizon).

use super::horizons::{self, Horizons};
use super::{Label, by_horizon};
use crate::table::{Bars, LabelKind, Labels};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The close `horizon` bars later itself, in the unit of the series: for series that swing about a fixed level, such as a
/// load or a sensor. Prices have no such level; use `forward_return` for them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ForwardValue {
    /// Horizons in bars, each at least 1: one, a list, or a range such as `1..5`.
    #[serde(with = "horizons")]
    #[schemars(with = "Horizons")]
    pub horizons_bars: Vec<u32>,
}

impl Default for ForwardValue {
    fn default() -> Self {
        ForwardValue { horizons_bars: vec![1] }
    }
}

impl Label for ForwardValue {
    fn kind(&self) -> LabelKind {
        LabelKind::Value
    }

    fn horizons(&self) -> Vec<u32> {
        self.horizons_bars.clone()
    }

    fn compute(&self, bars: &Bars) -> Result<Labels, String> {
        by_horizon(self, bars, |symbol, _, later| bars.symbols()[symbol].close()[later])
    }
}
