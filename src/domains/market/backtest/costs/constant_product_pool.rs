//! Cost: swaps against a pool with a constant product.

use super::columns::{CostColumns, known};
use super::{Cost, CostConfig, CostRates, not_negative};
use crate::table::SymbolBars;
use crate::units::BASIS_POINT;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Each fill swaps against reserves `x` of the asset and `y` of the quote currency with `x y = k`, at the bar's price
/// `P = y / x`: a purchase of `q` pays `P q x / (x - q)` over `1 - fee`, a sale of `q` brings `P q' x / (x + q')` with
/// `q' = q (1 - fee)`, as in Uniswap v2. After the swap the pool is taken to be back at the market's price. The reserve is
/// that of the last closed bar. A unit costs at most a million times the bar's price more than it: a short that is larger
/// than the reserve is covered at that price, which ruins the book, and the book is closed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConstantProductPool {
    /// How deep the pool is.
    pub depth: PoolDepth,
    /// Fee in basis points of what goes in.
    #[schemars(range(min = 0.0, max = 10000.0))]
    pub fee_bps: f64,
    /// By which depths are multiplied, to make units of them: 1e-18 where a column counts the smallest part of a token
    /// with 18 decimals. Default 1.
    #[serde(default = "super::columns::one", skip_serializing_if = "super::columns::is_one")]
    #[schemars(range(min = 0.0))]
    pub depth_multiple: f64,
}

/// How deep a pool is. Each is a number or, with `_column`, an extra column of the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PoolDepth {
    /// Units of the asset in the pool.
    Reserve(f64),
    /// Units of the asset in the pool.
    ReserveColumn(String),
    /// Liquidity `sqrt(x y)`; the reserve is `liquidity / sqrt(close)`. With concentrated liquidity, that of the current
    /// range: the result is exact as long as a swap stays in the range.
    Liquidity(f64),
    /// Liquidity `sqrt(x y)`, bar by bar.
    LiquidityColumn(String),
    /// Worth of both reserves in quote currency; the reserve is half of it over the close.
    ValueLocked(f64),
    /// Worth of both reserves in quote currency, bar by bar.
    ValueLockedColumn(String),
}

impl Default for ConstantProductPool {
    fn default() -> Self {
        let depth = PoolDepth::ValueLocked(10_000_000.0);
        ConstantProductPool { depth, fee_bps: 30.0, depth_multiple: 1.0 }
    }
}

impl fmt::Display for PoolDepth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PoolDepth::Reserve(units) => write!(f, "with {units} units"),
            PoolDepth::Liquidity(liquidity) => write!(f, "of liquidity {liquidity}"),
            PoolDepth::ValueLocked(worth) => write!(f, "worth {worth}"),
            PoolDepth::ReserveColumn(column) => write!(f, "with the units of the column {column}"),
            PoolDepth::LiquidityColumn(column) => write!(f, "of the liquidity of the column {column}"),
            PoolDepth::ValueLockedColumn(column) => write!(f, "worth the column {column}"),
        }
    }
}

impl fmt::Display for ConstantProductPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "swaps in a constant-product pool {}, with a fee of {} bps", self.depth, self.fee_bps)
    }
}

impl Cost for ConstantProductPool {
    fn check(&self) -> Result<(), String> {
        not_negative("constant_product_pool.fee_bps", self.fee_bps, " basis points")?;
        if self.fee_bps >= 10_000.0 {
            return Err(format!(
                "costs: constant_product_pool.fee_bps is {}, expected less than 10000",
                self.fee_bps
            ));
        }
        let positive = |key: &str, value: f64| {
            if value.is_finite() && value > 0.0 {
                return Ok(());
            }
            Err(format!("costs: constant_product_pool.{key} is {value}, expected a number above 0"))
        };
        positive("depth_multiple", self.depth_multiple)?;
        match &self.depth {
            PoolDepth::Reserve(value) => positive("depth.reserve", *value),
            PoolDepth::Liquidity(value) => positive("depth.liquidity", *value),
            PoolDepth::ValueLocked(value) => positive("depth.value_locked", *value),
            _ => Ok(()),
        }
    }

    fn lower(&self, rates: &mut CostRates) {
        rates.pool_fee_rate += self.fee_bps * BASIS_POINT;
        rates.beyond_linear.push("constant_product_pool");
    }

    fn columns(&self, symbol: &SymbolBars, columns: &mut CostColumns) -> Result<(), String> {
        let key = "constant_product_pool.depth";
        let depths = match &self.depth {
            PoolDepth::Reserve(value) | PoolDepth::Liquidity(value) | PoolDepth::ValueLocked(value) => {
                vec![*value; symbol.len()]
            }
            PoolDepth::ReserveColumn(column)
            | PoolDepth::LiquidityColumn(column)
            | PoolDepth::ValueLockedColumn(column) => known(symbol, key, column)?,
        };
        if let Some(row) = depths.iter().position(|depth| *depth == 0.0) {
            return Err(format!(
                "costs: {key}: the pool of {} is empty at row {row} ({}); choose a range in which it is not",
                symbol.symbol(),
                symbol.time()[row]
            ));
        }
        let reserve = |(depth, close): (f64, &f64)| {
            let depth = depth * self.depth_multiple;
            match self.depth {
                PoolDepth::Reserve(_) | PoolDepth::ReserveColumn(_) => depth,
                PoolDepth::Liquidity(_) | PoolDepth::LiquidityColumn(_) => depth / close.sqrt(),
                PoolDepth::ValueLocked(_) | PoolDepth::ValueLockedColumn(_) => 0.5 * depth / close,
            }
        };
        columns.pool_reserve = depths.into_iter().zip(symbol.close()).map(reserve).collect();
        Ok(())
    }

    /// A pool so many times shallower, with so many times the fee.
    fn scaled(&self, multiple: f64) -> CostConfig {
        let (fee_bps, depth_multiple) = (self.fee_bps * multiple, self.depth_multiple / multiple);
        CostConfig::ConstantProductPool(ConstantProductPool { fee_bps, depth_multiple, ..self.clone() })
    }
}
