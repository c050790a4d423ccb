//! Simple moving average.

use super::{Bar, Indicator, Memory, Recursion, at_least, price_level, stem};
use crate::kernels::running_sums::RunningSums;
use crate::table::{Bars, NULL};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Arithmetic mean of the last closes (TA-Lib: SMA).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sma {
    /// Bars in the mean, at least 1.
    #[schemars(range(min = 1))]
    pub period: usize,
    /// `false`: in quote currency. `true`: the distance from the row's close as a share of that close, so that
    /// symbols of different price can be pooled.
    pub relative: bool,
}

impl Default for Sma {
    fn default() -> Self {
        Sma { period: 20, relative: false }
    }
}

impl Indicator for Sma {
    fn names(&self) -> Vec<String> {
        vec![stem(format!("sma_{}", self.period), self.relative)]
    }

    fn warm_up(&self) -> usize {
        self.period.saturating_sub(1)
    }

    fn check(&self) -> Result<(), String> {
        at_least(1, "period", self.period)
    }

    fn compute(&self, bars: &Bars) -> Vec<Vec<Vec<f64>>> {
        let column = |close: &[f64]| {
            let mut means = vec![NULL; close.len()];
            RunningSums::new(close).means(self.period, 0, &mut means);
            price_level(means, close, self.relative)
        };
        bars.symbols().iter().map(|symbol| vec![column(symbol.close())]).collect()
    }

    fn memory(&self) -> Memory {
        Memory::recursion(RunningMean { settings: self.clone(), sums: RunningSums::default() })
    }
}

/// The mean of a growing column.
struct RunningMean {
    settings: Sma,
    sums: RunningSums,
}

impl Recursion for RunningMean {
    fn next(&mut self, bar: &Bar) -> Vec<f64> {
        let period = self.settings.period;
        self.sums.extend(&[bar.close]);
        let row = self.sums.rows() - 1;
        let mut mean = vec![NULL];
        self.sums.means(period, row, &mut mean);
        self.sums.forget_before((row + 1).saturating_sub(period));
        price_level(mean, &[bar.close], self.settings.relative)
    }
}
