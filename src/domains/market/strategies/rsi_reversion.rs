//! Mean reversion by the relative strength index (Wilder).

use super::{Direction, Strategy, World, at_least};
use crate::domains::market::indicators::{Indicator, rsi::Rsi};
use crate::table::Positions;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Buys when the index falls below `lower` and leaves when it rises above `upper`, where it goes short if it may, until
/// the index falls below `lower` again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RsiReversion {
    /// Bars of the index, at least 2. Default 14.
    #[schemars(range(min = 2))]
    pub period: usize,
    /// Oversold below this. Default 30.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub lower: f64,
    /// Overbought above this, more than `lower`. Default 70.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub upper: f64,
    /// Whether it may go short. Default `long_only`.
    pub direction: Direction,
}

impl Default for RsiReversion {
    fn default() -> Self {
        RsiReversion { period: 14, lower: 30.0, upper: 70.0, direction: Direction::default() }
    }
}

impl Strategy for RsiReversion {
    fn check(&self) -> Result<(), String> {
        at_least(2, "period", self.period)?;
        if !(self.lower >= 0.0 && self.lower < self.upper && self.upper <= 100.0) {
            return Err(format!(
                "lower is {} and upper is {}, expected 0 <= lower < upper <= 100",
                self.lower, self.upper
            ));
        }
        Ok(())
    }

    fn decide(&self, world: &World) -> Result<Positions, String> {
        self.check()?;
        let columns = Rsi { period: self.period }.compute(world.bars);
        let levels = world.bars.symbols().iter().zip(&columns).map(|(symbol, columns)| {
            let mut level = 0.0;
            let mut moved = false;
            let follow = columns[0].iter().zip(symbol.close()).map(|(index, close)| {
                // The index of a price that has never moved is 0 by convention, which says nothing about overselling.
                moved |= *close != symbol.close()[0];
                if *index < self.lower && moved {
                    level = 1.0;
                } else if *index > self.upper {
                    level = self.direction.level(-1.0);
                }
                level
            });
            follow.collect()
        });
        Positions::levels(world.bars, levels.collect())
    }
}
