//! Relative strength index.

use super::{Bar, Indicator, Memory, Recursion, at_least};
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

    fn memory(&self) -> Memory {
        Memory::recursion(RelativeStrength::new(self.period))
    }
}

fn strength(close: &[f64], period: usize) -> Vec<f64> {
    let mut strength = RelativeStrength::new(period);
    close.iter().map(|close| strength.next_close(*close)).collect()
}

/// The index, close by close.
#[derive(Clone, Debug)]
struct RelativeStrength {
    period: usize,
    /// Closes so far, counted up to `period + 1`.
    closes: usize,
    last: f64,
    gain: f64,
    loss: f64,
}

impl RelativeStrength {
    fn new(period: usize) -> RelativeStrength {
        RelativeStrength { period, closes: 0, last: NULL, gain: 0.0, loss: 0.0 }
    }

    fn next_close(&mut self, close: f64) -> f64 {
        let (bars, change) = (self.period as f64, close - std::mem::replace(&mut self.last, close));
        if self.closes == 0 {
            self.closes = 1;
            return NULL;
        }
        let (rise, fall) = (change.max(0.0), (-change).max(0.0));
        if self.closes <= self.period {
            self.closes += 1;
            self.gain += rise / bars;
            self.loss += fall / bars;
        } else {
            self.gain += (rise - self.gain) / bars;
            self.loss += (fall - self.loss) / bars;
        }
        let movement = self.gain + self.loss;
        match () {
            () if self.closes <= self.period => NULL,
            () if movement == 0.0 => 0.0,
            () => 100.0 * self.gain / movement,
        }
    }
}

impl Recursion for RelativeStrength {
    fn next(&mut self, bar: &Bar) -> Vec<f64> {
        vec![self.next_close(bar.close)]
    }
}
