//! Buy and hold at a wanted volatility.

use super::schedule::Rebalance;
use super::volatility_scale::VolatilityScale;
use super::{Strategy, World};
use crate::table::{NULL, Positions};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Holds every symbol, the less of it the more it moves: the share is the wanted volatility over the measured one, at
/// most 1, and is ordered anew at each rebalance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct VolatilityTarget {
    /// Wanted volatility a year as a ratio, above 0. Default 0.2, which is 20 per cent.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub annual: f64,
    /// Log returns from which volatility is measured, at least 2. Default 100.
    #[schemars(range(min = 2))]
    pub lookback_bars: usize,
    /// Bars a year. Default: counted from the symbol's bars up to the decision, a year having 365 days; nights and
    /// weekends lower it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub bars_per_year: Option<f64>,
    /// When the share is ordered anew. Default every 24 bars.
    pub rebalance: Rebalance,
}

impl Default for VolatilityTarget {
    fn default() -> Self {
        VolatilityTarget {
            annual: 0.2,
            lookback_bars: 100,
            bars_per_year: None,
            rebalance: Rebalance::Bars(24),
        }
    }
}

impl Strategy for VolatilityTarget {
    fn check(&self) -> Result<(), String> {
        self.rebalance.check()?;
        self.scale().check()
    }

    fn decide(&self, world: &World) -> Result<Positions, String> {
        self.check()?;
        let (mut sizes, due) = (self.scale().sizes(world.bars), self.rebalance.due_rows(world.bars));
        for (size, due) in sizes.iter_mut().flatten().zip(due.iter().flatten()) {
            if !due {
                *size = NULL;
            }
        }
        Positions::orders(world.bars, sizes)
    }
}

impl VolatilityTarget {
    fn scale(&self) -> VolatilityScale {
        VolatilityScale {
            annual: self.annual,
            lookback_bars: self.lookback_bars,
            bars_per_year: self.bars_per_year,
        }
    }
}
