//! Buy and hold: what anybody earns without an opinion.

use super::{Strategy, World};
use crate::table::{Bars, NULL, Positions};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Buys every symbol at its first bar of the backtest and keeps it to the end.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BuyAndHold {}

impl Strategy for BuyAndHold {
    fn decide(&self, world: &World) -> Result<Positions, String> {
        BuyAndHold::positions(world.bars)
    }
}

impl BuyAndHold {
    /// Every symbol bought at its first bar.
    pub(super) fn positions(bars: &Bars) -> Result<Positions, String> {
        let levels = bars.symbols().iter().map(|bars| {
            let mut column = vec![NULL; bars.len()];
            column[0] = 1.0;
            column
        });
        Positions::levels(bars, levels.collect())
    }
}
