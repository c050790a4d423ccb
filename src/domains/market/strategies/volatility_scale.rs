//! Positions scaled to a wanted volatility.

use super::at_least;
use crate::domains::market::rolling;
use crate::table::{Bars, NULL};
use crate::units::YEAR_NANOSECONDS;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How large a position is for a wanted volatility: `annual` over the measured one, at most 1. The measured one is the
/// sample standard deviation of the log returns of the last `lookback_bars` bars, this one included, times the root of
/// the bars a year.
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
    /// Bars a year, where markets rest: 252 for daily bars of shares. Left out: a year of 365 days over the length of a
    /// bar.
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
        let counted = YEAR_NANOSECONDS as f64 / bars.interval() as f64;
        let root = self.bars_per_year.unwrap_or(counted).sqrt();
        let sizes = bars.symbols().iter().map(|symbol| {
            let returns: Vec<f64> = symbol.close().windows(2).map(|pair| (pair[1] / pair[0]).ln()).collect();
            let size = |moments: rolling::Moments| match moments.sample_deviation() * root {
                volatility if volatility > 0.0 && volatility.is_finite() => {
                    (self.annual / volatility).min(1.0)
                }
                _ => NULL,
            };
            let sizes: Vec<f64> =
                rolling::moments(&returns, self.lookback_bars).into_iter().map(size).collect();
            rolling::padded(symbol.len(), sizes)
        });
        sizes.collect()
    }
}
