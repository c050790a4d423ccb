//! Cost: a fee of each fill.

use super::{Cost, CostConfig, CostRates, not_negative};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Each fill pays `fee`, whatever its size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Fixed {
    /// Fee of a fill in quote currency.
    #[schemars(range(min = 0.0))]
    pub fee: f64,
}

impl Default for Fixed {
    fn default() -> Self {
        Fixed { fee: 1.0 }
    }
}

impl fmt::Display for Fixed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fee of {} a fill", self.fee)
    }
}

impl Cost for Fixed {
    fn check(&self) -> Result<(), String> {
        not_negative("fixed.fee", self.fee, "")
    }

    fn lower(&self, rates: &mut CostRates) {
        rates.fixed_fee += self.fee;
        rates.beyond_linear.push("fixed");
    }

    fn scaled(&self, multiple: f64) -> CostConfig {
        CostConfig::Fixed(Fixed { fee: self.fee * multiple })
    }
}
