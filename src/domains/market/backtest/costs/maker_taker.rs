//! Cost: fees of makers and takers.

use super::{Cost, CostConfig, CostRates, not_negative};
use crate::units::BASIS_POINT;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// A fill pays its fee on `quantity x fill price`. Orders of strategies, stops and time exits take liquidity; only the
/// target of an exit is an order that rests.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MakerTaker {
    /// Fee of a resting order in basis points of the notional.
    #[schemars(range(min = 0.0, max = 10000.0))]
    pub maker_bps: f64,
    /// Fee of a market order in basis points of the notional.
    #[schemars(range(min = 0.0, max = 10000.0))]
    pub taker_bps: f64,
}

impl Default for MakerTaker {
    fn default() -> Self {
        MakerTaker { maker_bps: 2.0, taker_bps: 5.0 }
    }
}

impl fmt::Display for MakerTaker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "fee of {} bps of the notional for market orders, {} bps for resting ones",
            self.taker_bps, self.maker_bps
        )
    }
}

impl Cost for MakerTaker {
    fn check(&self) -> Result<(), String> {
        not_negative("maker_taker.maker_bps", self.maker_bps, " basis points")?;
        not_negative("maker_taker.taker_bps", self.taker_bps, " basis points")
    }

    fn lower(&self, rates: &mut CostRates) {
        rates.taker.fee_rate += self.taker_bps * BASIS_POINT;
        rates.maker_fee_rate += self.maker_bps * BASIS_POINT;
    }

    fn scaled(&self, multiple: f64) -> CostConfig {
        let (maker_bps, taker_bps) = (self.maker_bps * multiple, self.taker_bps * multiple);
        CostConfig::MakerTaker(MakerTaker { maker_bps, taker_bps })
    }

    fn doubt(&self) -> Option<String> {
        (self.taker_bps <= self.maker_bps).then(|| {
            format!(
                "market orders pay the maker's fee or less ({} bps, makers {} bps): they take liquidity",
                self.taker_bps, self.maker_bps
            )
        })
    }
}
