//! Z-score of the close.

use super::{Indicator, Memory, at_least, ratio};
use crate::domains::market::rolling;
use crate::table::Bars;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Distance of the close from the mean of the last closes, itself included, in their population standard deviations
/// (those of the Bollinger bands). Null where all closes of the window are equal.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ZScore {
    /// Bars of the window, at least 2.
    #[schemars(range(min = 2))]
    pub period: usize,
}

impl Default for ZScore {
    fn default() -> Self {
        ZScore { period: 20 }
    }
}

impl Indicator for ZScore {
    fn names(&self) -> Vec<String> {
        vec![format!("z_score_{}", self.period)]
    }

    fn warm_up(&self) -> usize {
        self.period.saturating_sub(1)
    }

    fn check(&self) -> Result<(), String> {
        at_least(2, "period", self.period)
    }

    fn compute(&self, bars: &Bars) -> Vec<Vec<Vec<f64>>> {
        bars.symbols().iter().map(|symbol| vec![scores(symbol.close(), self.period)]).collect()
    }

    fn memory(&self) -> Memory {
        Memory::rows(self.period).in_blocks_of(self.period)
    }
}

fn scores(close: &[f64], period: usize) -> Vec<f64> {
    let windows = rolling::moments(close, period);
    let closes = &close[close.len() - windows.len()..];
    let scores = windows
        .iter()
        .zip(closes)
        .map(|(moments, close)| ratio(close - moments.mean(), moments.population_deviation()));
    rolling::padded(close.len(), scores.collect::<Vec<_>>())
}
