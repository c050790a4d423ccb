//! Cost: the fee for borrowing what is sold short.

use super::{Cost, CostConfig, CostRates, not_negative};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// At each close a short position pays `annual_percent / 100 / bars a year x |quantity| x close`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Borrow {
    /// Fee a year in per cent of the worth of what is sold short.
    #[schemars(range(min = 0.0))]
    pub annual_percent: f64,
}

impl Default for Borrow {
    fn default() -> Self {
        Borrow { annual_percent: 3.0 }
    }
}

impl fmt::Display for Borrow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "borrowing of {} % a year of what is sold short", self.annual_percent)
    }
}

impl Cost for Borrow {
    fn check(&self) -> Result<(), String> {
        not_negative("borrow.annual_percent", self.annual_percent, " per cent a year")
    }

    fn lower(&self, rates: &mut CostRates) {
        rates.borrow_rate += self.annual_percent * 0.01;
    }

    fn scaled(&self, multiple: f64) -> CostConfig {
        CostConfig::Borrow(Borrow { annual_percent: self.annual_percent * multiple })
    }
}
