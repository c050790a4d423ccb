//! Cash: what doing nothing earns.

use super::{Strategy, World};
use crate::table::{NULL, Positions};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Never trades. The yardstick of markets that fall: a strategy that loses less than the market is no better than this.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Cash {}

impl Strategy for Cash {
    fn decide(&self, world: &World) -> Result<Positions, String> {
        let nothing = world.bars.symbols().iter().map(|bars| vec![NULL; bars.len()]);
        Positions::orders(world.bars, nothing.collect())
    }
}
