//! Time-series momentum: the sign of the past return (Moskowitz, Ooi, Pedersen: "Time series momentum", 2012).

use super::{Direction, Strategy, World, at_least, cross};
use crate::table::{NULL, Positions};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Long while the close is above the close `lookback_bars` earlier, otherwise flat, or short where it is below. The
/// scaling of the paper is `sizing: {volatility_target: ...}` in the backtest.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TimeSeriesMomentum {
    /// Bars over which the return is taken, at least 1. Default 168, a week of hourly bars.
    #[schemars(range(min = 1))]
    pub lookback_bars: usize,
    /// Whether it may go short. Default `long_only`.
    pub direction: Direction,
}

impl Default for TimeSeriesMomentum {
    fn default() -> Self {
        TimeSeriesMomentum { lookback_bars: 168, direction: Direction::default() }
    }
}

impl Strategy for TimeSeriesMomentum {
    fn check(&self) -> Result<(), String> {
        at_least(1, "lookback_bars", self.lookback_bars)
    }

    fn decide(&self, world: &World) -> Result<Positions, String> {
        self.check()?;
        let levels = world.bars.symbols().iter().map(|symbol| {
            let mut past = vec![NULL; self.lookback_bars.min(symbol.len())];
            past.extend(&symbol.close()[..symbol.len() - past.len()]);
            cross(symbol.close(), &past, symbol.close(), self.direction)
        });
        Positions::levels(world.bars, levels.collect())
    }
}
