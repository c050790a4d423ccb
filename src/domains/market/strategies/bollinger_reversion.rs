//! Mean reversion by Bollinger bands.

use super::{Direction, Strategy, World, at_least};
use crate::domains::market::indicators::{Indicator, bollinger::Bollinger};
use crate::table::Positions;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Buys when the close falls below the lower band, sells short above the upper band if it may, and leaves when the close
/// is back at the middle band.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BollingerReversion {
    /// Bars of the bands, at least 2. Default 20.
    #[schemars(range(min = 2))]
    pub period: usize,
    /// Half the width of the bands in standard deviations, above 0. Default 2.
    #[schemars(range(min = 0.0))]
    pub width: f64,
    /// Whether it may go short. Default `long_only`.
    pub direction: Direction,
}

impl Default for BollingerReversion {
    fn default() -> Self {
        BollingerReversion { period: 20, width: 2.0, direction: Direction::default() }
    }
}

impl Strategy for BollingerReversion {
    fn check(&self) -> Result<(), String> {
        at_least(2, "period", self.period)?;
        if !(self.width.is_finite() && self.width > 0.0) {
            return Err(format!("width is {}, expected a number above 0", self.width));
        }
        Ok(())
    }

    fn decide(&self, world: &World) -> Result<Positions, String> {
        self.check()?;
        let bands =
            Bollinger { period: self.period, width: self.width, ..Bollinger::default() }.compute(world.bars);
        let levels = world.bars.symbols().iter().zip(&bands).map(|(symbol, bands)| {
            let mut level = 0.0;
            let follow = symbol.close().iter().enumerate().map(|(row, close)| {
                let (upper, middle, lower) = (bands[0][row], bands[1][row], bands[2][row]);
                if *close < lower {
                    level = 1.0;
                } else if *close > upper {
                    level = self.direction.level(-1.0);
                } else if (level > 0.0 && *close >= middle) || (level < 0.0 && *close <= middle) {
                    level = 0.0;
                }
                level
            });
            follow.collect()
        });
        Positions::levels(world.bars, levels.collect())
    }
}
