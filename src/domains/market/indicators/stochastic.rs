//! Stochastic oscillator.

use super::{Indicator, Memory, at_least};
use crate::domains::market::rolling;
use crate::table::{Bars, SymbolBars};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where the close stands between the lowest low and the highest high of the last `k` bars (0 to 100), smoothed by a
/// simple mean (column `k`), and the simple mean of that (column `d`): TA-Lib's STOCH. Where high and low of the whole
/// window are equal the unsmoothed value is 0, as in TA-Lib; both columns are null until `d` exists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Stochastic {
    /// Bars of the range, at least 1.
    #[schemars(range(min = 1))]
    pub k: usize,
    /// Bars of the mean that smooths the position; 1 gives the fast oscillator.
    #[schemars(range(min = 1))]
    pub smoothing: usize,
    /// Bars of the mean of the smoothed position, at least 1.
    #[schemars(range(min = 1))]
    pub d: usize,
}

impl Default for Stochastic {
    fn default() -> Self {
        Stochastic { k: 14, smoothing: 3, d: 3 }
    }
}

impl Indicator for Stochastic {
    fn names(&self) -> Vec<String> {
        ["k", "d"]
            .iter()
            .map(|column| format!("stochastic_{}_{}_{}_{column}", self.k, self.smoothing, self.d))
            .collect()
    }

    fn warm_up(&self) -> usize {
        self.k.saturating_add(self.smoothing).saturating_add(self.d).saturating_sub(3)
    }

    fn check(&self) -> Result<(), String> {
        at_least(1, "k", self.k)?;
        at_least(1, "smoothing", self.smoothing)?;
        at_least(1, "d", self.d)
    }

    fn compute(&self, bars: &Bars) -> Vec<Vec<Vec<f64>>> {
        bars.symbols().iter().map(|symbol| self.columns(symbol)).collect()
    }

    fn memory(&self) -> Memory {
        Memory::rows(self.warm_up() + 1)
            .in_blocks_of(self.k)
            .in_blocks_of(self.smoothing)
            .in_blocks_of(self.d)
    }
}

impl Stochastic {
    fn columns(&self, bars: &SymbolBars) -> Vec<Vec<f64>> {
        let highest = rolling::fold(bars.high(), self.k, f64::max);
        let lowest = rolling::fold(bars.low(), self.k, f64::min);
        let closes = &bars.close()[bars.len() - highest.len()..];
        let position: Vec<f64> = closes
            .iter()
            .zip(highest.iter().zip(&lowest))
            .map(|(close, (high, low))| if high == low { 0.0 } else { 100.0 * (close - low) / (high - low) })
            .collect();
        let mean = |values: &[f64], period: usize| -> Vec<f64> {
            let sums = rolling::fold(values, period, |earlier, later| earlier + later);
            sums.into_iter().map(|sum| sum / period as f64).collect()
        };
        let mut smoothed = mean(&position, self.smoothing);
        let average = mean(&smoothed, self.d);
        smoothed.drain(..smoothed.len() - average.len());
        [smoothed, average].into_iter().map(|column| rolling::padded(bars.len(), column)).collect()
    }
}
