//! MACD: the difference of two exponential means against its own mean (Appel).

use super::{Direction, Strategy, World, cross};
use crate::domains::market::indicators::{Indicator, macd};
use crate::table::Positions;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Long while the MACD line is above its signal line, otherwise flat, or short where it is below.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Macd {
    /// Bars of the fast mean, at least 2. Default 12.
    #[schemars(range(min = 2))]
    pub fast: usize,
    /// Bars of the slow mean, more than `fast`. Default 26.
    #[schemars(range(min = 2))]
    pub slow: usize,
    /// Bars of the signal line, at least 1. Default 9.
    #[schemars(range(min = 1))]
    pub signal: usize,
    /// Whether it may go short. Default `long_only`.
    pub direction: Direction,
}

impl Default for Macd {
    fn default() -> Self {
        Macd { fast: 12, slow: 26, signal: 9, direction: Direction::default() }
    }
}

impl Strategy for Macd {
    fn check(&self) -> Result<(), String> {
        self.indicator().check()
    }

    fn decide(&self, world: &World) -> Result<Positions, String> {
        self.check()?;
        let columns = self.indicator().compute(world.bars);
        let levels = world
            .bars
            .symbols()
            .iter()
            .zip(&columns)
            .map(|(symbol, columns)| cross(&columns[0], &columns[1], symbol.close(), self.direction));
        Positions::levels(world.bars, levels.collect())
    }
}

impl Macd {
    fn indicator(&self) -> macd::Macd {
        macd::Macd { fast: self.fast, slow: self.slow, signal: self.signal, ..Default::default() }
    }
}
