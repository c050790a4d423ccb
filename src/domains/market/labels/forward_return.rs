//! Forward return: close(t + horizon) / close(t) - 1.

use super::Label;
use crate::table::{Bars, LabelKind, Labels, NULL};
use crate::units::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Simple return of the close from the row's close to the close `horizon` bars later.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ForwardReturn {
    /// Horizons in bars, each at least 1.
    #[schemars(inner(range(min = 1)))]
    pub horizons_bars: Vec<u32>,
}

impl Default for ForwardReturn {
    fn default() -> Self {
        ForwardReturn { horizons_bars: vec![1] }
    }
}

impl Label for ForwardReturn {
    fn kind(&self) -> LabelKind {
        LabelKind::Return
    }

    fn horizons(&self) -> Vec<u32> {
        self.horizons_bars.clone()
    }

    fn compute(&self, bars: &Bars) -> Result<Labels, String> {
        let longest = self.horizons_bars.iter().copied().max().unwrap_or(0) as usize;
        let mut values = Vec::new();
        let mut known_at = Vec::new();
        for symbol in bars.symbols() {
            let close = symbol.close();
            let forward = |horizon: usize| {
                (0..close.len())
                    .map(|t| close.get(t + horizon).map_or(NULL, |later| later / close[t] - 1.0))
                    .collect()
            };
            values.push(self.horizons_bars.iter().map(|horizon| forward(*horizon as usize)).collect());
            // A bar that starts at `time` closes, and is known, one interval later.
            let known = |t: usize| symbol.time().get(t + longest).map(|time| Time(time.0 + bars.interval()));
            known_at.push((0..close.len()).map(known).collect());
        }
        Labels::new(self.kind(), self.horizons(), values, known_at)
    }
}
