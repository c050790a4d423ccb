//! Cost: the square-root law of market impact.

use super::columns::{CostColumns, add, available_volume, trailing_mean};
use super::{Cost, CostConfig, CostRates, not_negative};
use crate::domains::market::rolling::{self, Moments};
use crate::table::SymbolBars;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Fills are worse than the bar's price by `coefficient x volatility x sqrt(traded / mean volume)` of it (Torre 1997;
/// Almgren, Thum, Hauptmann and Li 2005 measure an exponent near it). Volatility is the sample standard deviation of the
/// log returns of the last `lookback_bars` closed bars, and the mean volume is theirs, both a bar: for a day both would
/// be larger, by the root and by the whole number of bars a day, and the law would say the same. As long as there are fewer
/// bars, what there is counts; before there are two returns there is no impact.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SquareRootImpact {
    /// Impact in units of volatility where an order is as large as the mean volume. Default 1.
    #[schemars(range(min = 0.0))]
    pub coefficient: f64,
    /// Bars by which volatility and volume are measured, at least 2. Default 100.
    #[schemars(range(min = 2))]
    pub lookback_bars: usize,
}

impl Default for SquareRootImpact {
    fn default() -> Self {
        SquareRootImpact { coefficient: 1.0, lookback_bars: 100 }
    }
}

impl fmt::Display for SquareRootImpact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "impact of {} times volatility times the root of traded over mean volume, by the last {} bars",
            self.coefficient, self.lookback_bars
        )
    }
}

impl Cost for SquareRootImpact {
    fn check(&self) -> Result<(), String> {
        if self.lookback_bars < 2 {
            return Err(format!(
                "costs: square_root_impact.lookback_bars is {}, expected 2 or more",
                self.lookback_bars
            ));
        }
        not_negative("square_root_impact.coefficient", self.coefficient, "")
    }

    fn lower(&self, rates: &mut CostRates) {
        rates.beyond_linear.push("square_root_impact");
    }

    fn columns(&self, symbol: &SymbolBars, columns: &mut CostColumns) -> Result<(), String> {
        let available = available_volume(symbol, "square_root_impact")?;
        let mut volumes = trailing_mean(symbol.volume(), self.lookback_bars);
        for (mean, available) in volumes.iter_mut().zip(available) {
            // A window without any trade knows no mean.
            if *mean == 0.0 {
                *mean = available;
            }
        }
        let volatilities = trailing_volatility(symbol.close(), self.lookback_bars);
        let rates = volatilities.iter().zip(&volumes);
        add(
            &mut columns.square_root_impact,
            rates.map(|(volatility, volume)| self.coefficient * volatility / volume.sqrt()),
        );
        Ok(())
    }

    fn scaled(&self, multiple: f64) -> CostConfig {
        let coefficient = self.coefficient * multiple;
        CostConfig::SquareRootImpact(SquareRootImpact { coefficient, ..self.clone() })
    }
}

/// Sample deviation of the last `bars` log returns at each row; of those there are where they are fewer, and 0 where they
/// are fewer than two.
fn trailing_volatility(close: &[f64], bars: usize) -> Vec<f64> {
    let returns: Vec<f64> = close.windows(2).map(|pair| (pair[1] / pair[0]).ln()).collect();
    let mut volatilities = vec![0.0; 2.min(close.len())];
    let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
    for (index, value) in returns.iter().take(bars - 1).enumerate() {
        count += 1.0;
        let distance = value - mean;
        mean += distance / count;
        squares += distance * (value - mean);
        if index > 0 {
            volatilities.push((squares / (count - 1.0)).sqrt());
        }
    }
    volatilities.extend(rolling::moments(&returns, bars).into_iter().map(Moments::sample_deviation));
    volatilities
}
