//! Cost: a fee in proportion to the traded notional.

use super::{Cost, CostConfig, CostRates, not_negative};
use crate::units::BASIS_POINT;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Each fill pays `fee_bps x 0.0001 x quantity x fill price`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Proportional {
    /// Fee in basis points of the notional.
    #[schemars(range(min = 0.0, max = 10000.0))]
    pub fee_bps: f64,
}

impl Default for Proportional {
    fn default() -> Self {
        Proportional { fee_bps: 10.0 }
    }
}

impl fmt::Display for Proportional {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fee of {} bps of the notional, each way", self.fee_bps)
    }
}

impl Cost for Proportional {
    fn check(&self) -> Result<(), String> {
        not_negative("proportional.fee_bps", self.fee_bps, " basis points")
    }

    fn lower(&self, rates: &mut CostRates) {
        rates.taker.fee_rate += self.fee_bps * BASIS_POINT;
        rates.maker_fee_rate += self.fee_bps * BASIS_POINT;
    }

    fn scaled(&self, multiple: f64) -> CostConfig {
        CostConfig::Proportional(Proportional { fee_bps: self.fee_bps * multiple })
    }
}
