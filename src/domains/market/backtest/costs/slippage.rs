//! Cost: a fixed slippage.

use super::{Cost, CostConfig, CostRates, not_negative};
use crate::units::BASIS_POINT;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Fills are worse than the bar's price by `bps x 0.0001` of it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Slippage {
    /// Distance from the bar's price in basis points, each way.
    #[schemars(range(min = 0.0, max = 10000.0))]
    pub bps: f64,
}

impl Default for Slippage {
    fn default() -> Self {
        Slippage { bps: 5.0 }
    }
}

impl fmt::Display for Slippage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slippage of {} bps, each way", self.bps)
    }
}

impl Cost for Slippage {
    fn check(&self) -> Result<(), String> {
        not_negative("slippage.bps", self.bps, " basis points")
    }

    fn lower(&self, rates: &mut CostRates) {
        rates.taker.slippage_rate += self.bps * BASIS_POINT;
    }

    fn scaled(&self, multiple: f64) -> CostConfig {
        CostConfig::Slippage(Slippage { bps: self.bps * multiple })
    }
}
