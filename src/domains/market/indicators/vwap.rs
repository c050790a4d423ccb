//! Volume-weighted average price.

use super::{Indicator, Memory, at_least, price_level, ratio, stem};
use crate::domains::market::rolling;
use crate::table::{Bars, SymbolBars};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Mean of the typical prices (high + low + close) / 3 of the last bars, weighted by their volume. A rolling window, not
/// one that restarts with a trading day. Null where nothing was traded in the whole window.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Vwap {
    /// Bars of the window, at least 1.
    #[schemars(range(min = 1))]
    pub period: usize,
    /// `false`: in quote currency. `true`: the distance from the row's close as a share of that close, so that
    /// symbols of different price can be pooled.
    pub relative: bool,
}

impl Default for Vwap {
    fn default() -> Self {
        Vwap { period: 20, relative: false }
    }
}

impl Indicator for Vwap {
    fn names(&self) -> Vec<String> {
        vec![stem(format!("vwap_{}", self.period), self.relative)]
    }

    fn warm_up(&self) -> usize {
        self.period.saturating_sub(1)
    }

    fn check(&self) -> Result<(), String> {
        at_least(1, "period", self.period)
    }

    fn compute(&self, bars: &Bars) -> Vec<Vec<Vec<f64>>> {
        bars.symbols().iter().map(|symbol| vec![self.column(symbol)]).collect()
    }

    fn memory(&self) -> Memory {
        Memory::rows(self.period).in_blocks_of(self.period)
    }
}

impl Vwap {
    fn column(&self, bars: &SymbolBars) -> Vec<f64> {
        let typical = |t: usize| (bars.high()[t] + bars.low()[t] + bars.close()[t]) / 3.0;
        let traded: Vec<f64> = (0..bars.len()).map(|t| typical(t) * bars.volume()[t]).collect();
        let volume = rolling::sum(bars.volume(), self.period);
        let traded = rolling::sum(&traded, self.period);
        let average = traded.iter().zip(&volume).map(|(traded, volume)| ratio(*traded, *volume)).collect();
        price_level(average, bars.close(), self.relative)
    }
}
