//! Breakout from a Donchian channel: the turtle rule.

use super::{Direction, Strategy, World, at_least};
use crate::domains::market::rolling;
use crate::table::{NULL, Positions, SymbolBars};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Buys when the close is above the highest high of the `entry` bars before it, and leaves when the close is below the
/// lowest low of the `exit` bars before it. Short entries, where allowed, are the mirror image.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DonchianBreakout {
    /// Bars of the channel that is to be left, at least 1. Default 20.
    #[schemars(range(min = 1))]
    pub entry: usize,
    /// Bars of the channel that ends a position, at least 1. Default 10.
    #[schemars(range(min = 1))]
    pub exit: usize,
    /// Whether it may go short. Default `long_only`.
    pub direction: Direction,
}

impl Default for DonchianBreakout {
    fn default() -> Self {
        DonchianBreakout { entry: 20, exit: 10, direction: Direction::default() }
    }
}

impl Strategy for DonchianBreakout {
    fn check(&self) -> Result<(), String> {
        at_least(1, "entry", self.entry)?;
        at_least(1, "exit", self.exit)
    }

    fn decide(&self, world: &World) -> Result<Positions, String> {
        self.check()?;
        let levels = world.bars.symbols().iter().map(|symbol| self.levels(symbol)).collect();
        Positions::levels(world.bars, levels)
    }
}

impl DonchianBreakout {
    fn levels(&self, bars: &SymbolBars) -> Vec<f64> {
        let highest = |period| highest_before(bars.high(), period);
        let lows: Vec<f64> = bars.low().iter().map(|low| -low).collect();
        let lowest = |period| highest_before(&lows, period);
        let (above, below) = (highest(self.entry), lowest(self.entry));
        let (leave_short, leave_long) = (highest(self.exit), lowest(self.exit));
        let mut level = 0.0;
        let follow = bars.close().iter().enumerate().map(|(row, close)| {
            if *close > above[row] {
                level = 1.0;
            } else if -close > below[row] {
                level = self.direction.level(-1.0);
            } else if (level > 0.0 && -close > leave_long[row]) || (level < 0.0 && *close > leave_short[row])
            {
                level = 0.0;
            }
            level
        });
        follow.collect()
    }
}

/// The highest of the `period` values before each row, null where there are fewer.
fn highest_before(values: &[f64], period: usize) -> Vec<f64> {
    let mut column = vec![NULL; values.len().min(1)];
    column.extend(&rolling::highest(values, period)[..values.len() - column.len()]);
    column
}
