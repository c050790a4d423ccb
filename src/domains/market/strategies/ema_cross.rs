//! Crossing of two exponential moving averages.

use super::{Direction, Strategy, World, cross, fast_below_slow};
use crate::domains::market::indicators::{Indicator, ema::Ema};
use crate::table::Positions;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Long while the fast exponential mean of the closes is above the slow one, otherwise flat, or short where it is below.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct EmaCross {
    /// Bars of the fast mean, at least 1. Default 12.
    #[schemars(range(min = 1))]
    pub fast: usize,
    /// Bars of the slow mean, more than `fast`. Default 26.
    #[schemars(range(min = 2))]
    pub slow: usize,
    /// Whether it may go short. Default `long_only`.
    pub direction: Direction,
}

impl Default for EmaCross {
    fn default() -> Self {
        EmaCross { fast: 12, slow: 26, direction: Direction::default() }
    }
}

impl Strategy for EmaCross {
    fn check(&self) -> Result<(), String> {
        fast_below_slow(self.fast, self.slow)
    }

    fn decide(&self, world: &World) -> Result<Positions, String> {
        self.check()?;
        let fast = Ema { period: self.fast, relative: false }.compute(world.bars);
        let slow = Ema { period: self.slow, relative: false }.compute(world.bars);
        let levels = world
            .bars
            .symbols()
            .iter()
            .zip(fast.iter().zip(&slow))
            .map(|(symbol, (fast, slow))| cross(&fast[0], &slow[0], symbol.close(), self.direction));
        Positions::levels(world.bars, levels.collect())
    }
}
