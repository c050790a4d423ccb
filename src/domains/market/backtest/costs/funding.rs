//! Cost: funding of perpetual futures.

use super::columns::{CostColumns, add, require};
use super::{Cost, CostConfig, CostRates, not_negative};
use crate::table::SymbolBars;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// At each close a position pays `quantity x close x rate`: a long position pays a positive rate and a short one receives
/// it. A bar whose rate is null pays nothing. Where bars are resampled, map the column with `resample: sum`. Funding is a
/// flow of the market, as often received as paid, and no charge: where costs are multiplied it stays as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Funding {
    /// The extra column of rates, each for its bar: 0.0001 is one basis point of the position.
    pub column: String,
    /// By which the column is multiplied: 0.0001 where it holds basis points. Default 1.
    #[serde(default = "super::columns::one", skip_serializing_if = "super::columns::is_one")]
    #[schemars(range(min = 0.0))]
    pub multiple: f64,
}

impl Default for Funding {
    fn default() -> Self {
        Funding { column: "funding_rate".into(), multiple: 1.0 }
    }
}

impl fmt::Display for Funding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "funding from the column {}", self.column)
    }
}

impl Cost for Funding {
    fn check(&self) -> Result<(), String> {
        not_negative("funding.multiple", self.multiple, "")
    }

    fn lower(&self, _rates: &mut CostRates) {}

    fn columns(&self, symbol: &SymbolBars, columns: &mut CostColumns) -> Result<(), String> {
        let rates = require(symbol, "funding.column", &self.column)?;
        if let Some(row) = rates.iter().position(|rate| rate.is_infinite()) {
            return Err(format!(
                "costs: funding.column: {} of {} is infinite at row {row} ({}); mend the data",
                self.column,
                symbol.symbol(),
                symbol.time()[row]
            ));
        }
        let paid = |rate: &f64| if rate.is_nan() { 0.0 } else { rate * self.multiple };
        add(&mut columns.funding, rates.iter().map(paid));
        Ok(())
    }

    /// The same at every multiple: dearer trading must not multiply what a position receives.
    fn scaled(&self, _multiple: f64) -> CostConfig {
        CostConfig::Funding(self.clone())
    }
}
