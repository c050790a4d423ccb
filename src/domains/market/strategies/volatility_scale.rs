//! Positions scaled to a wanted volatility.

use super::at_least;
use crate::domains::market::backtest::bars_a_year;
use crate::domains::market::rolling;
use crate::table::{Bars, NULL};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How large a position is for a wanted volatility: `annual` over the measured one, at most 1. The measured one is the
/// sample standard deviation of the log returns of the last `lookback_bars` bars, this one included, times the root of
/// the bars a year, which are counted as sizing does it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct VolatilityScale {
    /// Wanted volatility a year as a ratio, above 0: 0.2 is 20 per cent.
    #[serde(default = "fifth")]
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub annual: f64,
    /// Returns from which volatility is measured, at least 2.
    #[serde(default = "hundred")]
    #[schemars(range(min = 2))]
    pub lookback_bars: usize,
    /// Bars a year. Left out: counted from the symbol's bars up to the decision, a year having 365 days; nights and
    /// weekends lower it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub bars_per_year: Option<f64>,
}

fn fifth() -> f64 {
    0.2
}

fn hundred() -> usize {
    100
}

impl VolatilityScale {
    pub(super) fn check(&self) -> Result<(), String> {
        at_least(2, "lookback_bars", self.lookback_bars)?;
        let numbers = [("annual", Some(self.annual)), ("bars_per_year", self.bars_per_year)];
        for (name, value) in numbers {
            if let Some(value) = value.filter(|value| !(value.is_finite() && *value > 0.0)) {
                return Err(format!("{name} is {value}, expected a number above 0"));
            }
        }
        Ok(())
    }

    /// `[symbol][row]`: the size, null before there are enough bars and where the price stood still, which says nothing
    /// about how far it will move.
    pub(super) fn sizes(&self, bars: &Bars) -> Vec<Vec<f64>> {
        let sizes = bars.symbols().iter().map(|symbol| {
            let returns: Vec<f64> = symbol.close().windows(2).map(|pair| (pair[1] / pair[0]).ln()).collect();
            let time = symbol.time();
            let size = |(window, moments): (usize, rolling::Moments)| {
                // The row of the close that ends the window of returns.
                let row = window + self.lookback_bars;
                let periods = self.bars_per_year.unwrap_or_else(|| bars_a_year(row + 1, time[0], time[row]));
                match moments.sample_deviation() * periods.sqrt() {
                    volatility if volatility > 0.0 && volatility.is_finite() => {
                        (self.annual / volatility).min(1.0)
                    }
                    _ => NULL,
                }
            };
            let moments = rolling::moments(&returns, self.lookback_bars);
            rolling::padded(symbol.len(), moments.into_iter().enumerate().map(size).collect::<Vec<f64>>())
        });
        sizes.collect()
    }
}
