//! What trading costs.

use crate::kernels::backtest_step::CostParameters;
use crate::units::BASIS_POINT;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// One cost of trading. Several of a kind add up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Cost {
    /// A fee in proportion to the traded notional (quantity times fill price), paid on each side of a round trip.
    Proportional {
        /// Fee in basis points of the notional.
        #[schemars(range(min = 0.0, max = 10000.0))]
        fee_bps: f64,
    },
    /// Fills are worse than the bar's price by a fixed share of it.
    Slippage {
        /// Distance from the bar's price in basis points, each way.
        #[schemars(range(min = 0.0, max = 10000.0))]
        bps: f64,
    },
    /// The distance of bid and ask. Bars are taken as mid prices, so each side pays half.
    Spread {
        /// The full spread in basis points of the mid price.
        #[schemars(range(min = 0.0, max = 10000.0))]
        bps: f64,
    },
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Cost::Proportional { fee_bps } => write!(f, "fee of {fee_bps} bps of the notional, each way"),
            Cost::Slippage { bps } => write!(f, "slippage of {bps} bps, each way"),
            Cost::Spread { bps } => write!(f, "spread of {bps} bps, half of it each way"),
        }
    }
}

/// The costs as the two rates of the bar step.
///
/// # Errors
/// A cost that is negative or not finite, or costs that add up to the whole price.
pub fn lower(costs: &[Cost]) -> Result<CostParameters, String> {
    let mut lowered = CostParameters::default();
    for cost in costs {
        let (name, bps, rate, share) = match cost {
            Cost::Proportional { fee_bps } => ("proportional.fee_bps", *fee_bps, &mut lowered.fee_rate, 1.0),
            Cost::Slippage { bps } => ("slippage.bps", *bps, &mut lowered.slippage_rate, 1.0),
            Cost::Spread { bps } => ("spread.bps", *bps, &mut lowered.slippage_rate, 0.5),
        };
        if !(bps.is_finite() && bps >= 0.0) {
            return Err(format!(
                "costs: {name} is {bps}, expected 0 or more basis points; remove it to trade without"
            ));
        }
        *rate += bps * share * BASIS_POINT;
    }
    for (name, rate) in [("fees", lowered.fee_rate), ("slippage and half the spread", lowered.slippage_rate)]
    {
        if rate >= 1.0 {
            return Err(format!(
                "costs: {name} add up to {} bps, expected less than 10000; 1 bps is 0.01 per cent",
                rate / BASIS_POINT
            ));
        }
    }
    Ok(lowered)
}
