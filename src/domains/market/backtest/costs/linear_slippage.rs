//! Cost: slippage, linear in the share of the volume.

use super::columns::{CostColumns, add, available_volume};
use super::{Cost, CostConfig, CostRates, not_negative};
use crate::table::SymbolBars;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Fills are worse than the bar's price by `coefficient x traded / available` of it. What is available is the volume of the
/// last closed bar that had any: the volume of the bar in which an order is filled is not known when it is sent.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LinearSlippage {
    /// Slippage as a ratio of the price where an order is as large as the whole volume of a bar: 0.1 is 10 per cent.
    #[schemars(range(min = 0.0))]
    pub coefficient: f64,
}

impl Default for LinearSlippage {
    fn default() -> Self {
        LinearSlippage { coefficient: 0.1 }
    }
}

impl fmt::Display for LinearSlippage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "slippage of {} times traded over available volume", self.coefficient)
    }
}

impl Cost for LinearSlippage {
    fn check(&self) -> Result<(), String> {
        not_negative("linear_slippage.coefficient", self.coefficient, "")
    }

    fn lower(&self, rates: &mut CostRates) {
        rates.beyond_linear.push("linear_slippage");
    }

    fn columns(&self, symbol: &SymbolBars, columns: &mut CostColumns) -> Result<(), String> {
        let value = self.coefficient;
        let volumes = available_volume(symbol, "linear_slippage")?;
        add(&mut columns.linear_slippage, volumes.iter().map(|volume| value / volume));
        Ok(())
    }

    fn scaled(&self, multiple: f64) -> CostConfig {
        CostConfig::LinearSlippage(LinearSlippage { coefficient: self.coefficient * multiple })
    }
}
