//! Cost: the distance of bid and ask.

use super::columns::{CostColumns, add, known};
use super::{Cost, CostConfig, CostRates, not_negative};
use crate::table::SymbolBars;
use crate::units::BASIS_POINT;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Bars are taken as mid prices, so each side pays half of the spread. Give `bps`, or a `column` of the data that holds the
/// spread in basis points.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Spread {
    /// The full spread in basis points of the mid price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0, max = 10000.0))]
    pub bps: Option<f64>,
    /// The extra column that holds the full spread in basis points of the mid price, bar by bar.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// By which the column is multiplied: 10000 where it holds a ratio. Default 1.
    #[serde(default = "super::columns::one", skip_serializing_if = "super::columns::is_one")]
    #[schemars(range(min = 0.0))]
    pub multiple: f64,
}

impl Default for Spread {
    fn default() -> Self {
        Spread { bps: Some(2.0), column: None, multiple: 1.0 }
    }
}

impl fmt::Display for Spread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.bps, &self.column) {
            (Some(bps), _) => write!(f, "spread of {bps} bps, half of it each way"),
            (None, Some(column)) => write!(f, "spread from the column {column}, half of it each way"),
            (None, None) => write!(f, "no spread"),
        }
    }
}

impl Cost for Spread {
    fn check(&self) -> Result<(), String> {
        if self.bps.is_some() == self.column.is_some() {
            return Err("costs: spread wants one of spread.bps and spread.column".into());
        }
        not_negative("spread.multiple", self.multiple, "")?;
        if self.bps.is_some() && self.multiple != 1.0 {
            return Err(format!(
                "costs: spread.multiple is {} beside spread.bps; it is for a column",
                self.multiple
            ));
        }
        self.bps.map_or(Ok(()), |bps| not_negative("spread.bps", bps, " basis points"))
    }

    fn lower(&self, rates: &mut CostRates) {
        if let Some(bps) = self.bps {
            rates.taker.slippage_rate += bps * 0.5 * BASIS_POINT;
            rates.spread_rate += bps * 0.5 * BASIS_POINT;
        } else {
            rates.beyond_linear.push("spread");
        }
    }

    fn columns(&self, symbol: &SymbolBars, columns: &mut CostColumns) -> Result<(), String> {
        if let Some(column) = &self.column {
            let spread = known(symbol, "spread.column", column)?;
            add(&mut columns.spread_rate, spread.iter().map(|bps| bps * self.multiple * 0.5 * BASIS_POINT));
        }
        Ok(())
    }

    fn scaled(&self, multiple: f64) -> CostConfig {
        CostConfig::Spread(match self.bps {
            Some(bps) => Spread { bps: Some(bps * multiple), ..self.clone() },
            None => Spread { multiple: self.multiple * multiple, ..self.clone() },
        })
    }
}
