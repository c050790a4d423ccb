//! Triple barrier: which of two prices is reached first, within a time limit (Lopez de Prado 2018, chapter 3).

use super::{Label, close_time, trailing_volatility};
use crate::table::{Bars, LabelKind, Labels, NULL, SymbolBars};
use crate::units::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// 1 where the price reaches the upper barrier first, -1 the lower one, 0 where neither is reached within `limit_bars`
/// bars. The barriers stand at close * exp(upper * volatility) and close * exp(-lower * volatility), where the volatility
/// is that of one bar, known at the row's close. High and low of the bars after the row decide; a bar that reaches both
/// counts as the lower one, the worse for a buyer, for nobody knows which came first. The label is known at the close of
/// the bar that reaches a barrier, else at the time limit; null while the volatility is not known or zero, and where
/// the data end before a barrier or the limit.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TripleBarrier {
    /// Distance of the upper barrier in volatilities of one bar, above 0.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub upper: f64,
    /// Distance of the lower barrier in volatilities of one bar, above 0.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub lower: f64,
    /// Bars after which the label is 0, at least 1.
    #[schemars(range(min = 1))]
    pub limit_bars: u32,
    /// One-bar returns from which the volatility is estimated, at least 2.
    #[schemars(range(min = 2))]
    pub volatility_bars: usize,
}

impl Default for TripleBarrier {
    fn default() -> Self {
        TripleBarrier { upper: 2.0, lower: 2.0, limit_bars: 20, volatility_bars: 20 }
    }
}

impl Label for TripleBarrier {
    fn kind(&self) -> LabelKind {
        LabelKind::Direction
    }

    fn horizons(&self) -> Vec<u32> {
        vec![self.limit_bars]
    }

    fn compute(&self, bars: &Bars) -> Result<Labels, String> {
        self.check()?;
        let volatility = trailing_volatility(bars, self.volatility_bars)?;
        let mut values = Vec::new();
        let mut known_at = Vec::new();
        for (symbol, columns) in bars.symbols().iter().enumerate() {
            let outcomes =
                (0..columns.len()).map(|row| match self.outcome(columns, row, volatility[symbol][row]) {
                    Some((direction, last)) => (direction, Some(close_time(bars, symbol, last))),
                    None => (NULL, None),
                });
            let (directions, known): (Vec<f64>, Vec<Option<Time>>) = outcomes.unzip();
            values.push(vec![directions]);
            known_at.push(known);
        }
        Labels::new(self.kind(), self.horizons(), values, known_at)
    }
}

impl TripleBarrier {
    fn check(&self) -> Result<(), String> {
        for (name, distance) in [("upper", self.upper), ("lower", self.lower)] {
            if !(distance.is_finite() && distance > 0.0) {
                return Err(format!("`{name}` is {distance}; write a number of volatilities above 0"));
            }
        }
        if self.limit_bars == 0 {
            return Err("`limit_bars` is 0, which is no forecast; write a number of at least 1".into());
        }
        Ok(())
    }

    /// The label of a row and the last bar that decides it, or `None` where it has none.
    fn outcome(&self, bars: &SymbolBars, row: usize, volatility: f64) -> Option<(f64, usize)> {
        if volatility.is_nan() || volatility == 0.0 {
            return None;
        }
        let upper = bars.close()[row] * (self.upper * volatility).exp();
        let lower = bars.close()[row] * (-self.lower * volatility).exp();
        let limit = row + self.limit_bars as usize;
        for later in row + 1..bars.len().min(limit + 1) {
            if bars.low()[later] <= lower {
                return Some((-1.0, later));
            }
            if bars.high()[later] >= upper {
                return Some((1.0, later));
            }
        }
        (limit < bars.len()).then_some((0.0, limit))
    }
}
