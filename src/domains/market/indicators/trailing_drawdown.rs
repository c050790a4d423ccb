//! Trailing drawdown: how far the close has already fallen.

use super::{Indicator, Memory, at_least, ratio};
use crate::domains::market::rolling;
use crate::table::Bars;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The close over the highest close of the last bars, itself included, less 1: 0 at a new high, -0.05 at 5 per cent below
/// it. Null where that highest close is 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TrailingDrawdown {
    /// Bars of which the highest close is taken, at least 1.
    #[schemars(range(min = 1))]
    pub period: usize,
}

impl Default for TrailingDrawdown {
    fn default() -> Self {
        TrailingDrawdown { period: 60 }
    }
}

impl Indicator for TrailingDrawdown {
    fn names(&self) -> Vec<String> {
        vec![format!("trailing_drawdown_{}", self.period)]
    }

    fn warm_up(&self) -> usize {
        self.period.saturating_sub(1)
    }

    fn check(&self) -> Result<(), String> {
        at_least(1, "period", self.period)
    }

    fn compute(&self, bars: &Bars) -> Vec<Vec<Vec<f64>>> {
        let column = |close: &[f64]| {
            let highest = rolling::highest(close, self.period);
            close.iter().zip(highest).map(|(close, highest)| ratio(*close, highest) - 1.0).collect()
        };
        bars.symbols().iter().map(|symbol| vec![column(symbol.close())]).collect()
    }

    fn memory(&self) -> Memory {
        Memory::rows(self.period).in_blocks_of(self.period)
    }
}
