//! Relative strength index.

use super::{Indicator, at_least};
use crate::table::{Bars, NULL};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Wilder's relative strength index, 0 to 100: 100 * gain / (gain + loss), where gain and loss are Wilder means of the
/// rises and of the falls of the close, each started at the simple mean of the first `period` changes (TA-Lib: RSI).
/// While the close has never moved there is nothing to divide by; TA-Lib then says 0, and so do we.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Rsi {
    /// Bars of the Wilder mean, at least 2.
    #[schemars(range(min = 2))]
    pub period: usize,
}

impl Default for Rsi {
    fn default() -> Self {
        Rsi { period: 14 }
    }
}

impl Indicator for Rsi {
    fn names(&self) -> Vec<String> {
        vec![format!("rsi_{}", self.period)]
    }

    fn warm_up(&self) -> usize {
        self.period
    }

    fn check(&self) -> Result<(), String> {
        at_least(2, "period", self.period)
    }

    fn compute(&self, bars: &Bars) -> Vec<Vec<Vec<f64>>> {
        bars.symbols().iter().map(|symbol| vec![strength(symbol.close(), self.period)]).collect()
    }
}

fn strength(close: &[f64], period: usize) -> Vec<f64> {
    let mut column = vec![NULL; close.len()];
    let (mut gain, mut loss) = (0.0, 0.0);
    let bars = period as f64;
    for t in 1..close.len() {
        let change = close[t] - close[t - 1];
        let (rise, fall) = (change.max(0.0), (-change).max(0.0));
        if t <= period {
            gain += rise / bars;
            loss += fall / bars;
        } else {
            gain += (rise - gain) / bars;
            loss += (fall - loss) / bars;
        }
        if t >= period {
            let movement = gain + loss;
            column[t] = if movement == 0.0 { 0.0 } else { 100.0 * gain / movement };
        }
    }
    column
}
