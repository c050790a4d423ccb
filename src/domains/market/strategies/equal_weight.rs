//! Equal weight: hold everything, and bring it back to equal parts from time to time.

use super::{Strategy, World, at_least};
use crate::table::{NULL, Positions};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Holds every symbol at an equal share of the book and restores the shares every `rebalance_bars` bars. `portfolio`
/// does it by the calendar or with a turnover limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EqualWeight {
    /// Steps of the timeline between two rebalances, at least 1. A symbol without a bar then follows at its next one.
    /// Default 24.
    #[schemars(range(min = 1))]
    pub rebalance_bars: usize,
}

impl Default for EqualWeight {
    fn default() -> Self {
        EqualWeight { rebalance_bars: 24 }
    }
}

impl Strategy for EqualWeight {
    fn check(&self) -> Result<(), String> {
        at_least(1, "rebalance_bars", self.rebalance_bars)
    }

    fn decide(&self, world: &World) -> Result<Positions, String> {
        self.check()?;
        let orders = |symbol: usize| {
            let mut last = None;
            world.bars.timeline().steps(symbol).iter().map(move |step| {
                let period = Some(*step as usize / self.rebalance_bars);
                let due = period != last;
                last = period;
                if due { 1.0 } else { NULL }
            })
        };
        let columns = (0..world.bars.symbols().len()).map(|symbol| orders(symbol).collect()).collect();
        Positions::orders(world.bars, columns)
    }
}
