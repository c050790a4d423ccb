//! The costs of one book, ready for its loop over bars.

use super::tiered::TrailingNotional;
use super::{CostColumns, CostConfig, CostRates, rates};
use crate::kernels::backtest_step::CostParameters;
use crate::kernels::fill_costs::FillCosts;
use crate::table::Bars;
use crate::units::Time;
use std::ops::Range;

/// The costs of one book over some symbols, with what the book traded.
#[derive(Clone, Debug)]
pub struct PreparedCosts {
    rates: CostRates,
    /// Of each symbol of the book.
    columns: Vec<CostColumns>,
    traded: TrailingNotional,
    varies: bool,
}

impl PreparedCosts {
    /// Reads what the costs need of the bars.
    ///
    /// # Errors
    /// A column that is not there, or holds what is no such cost.
    pub fn new(costs: &[CostConfig], bars: &Bars, symbols: Range<usize>) -> Result<PreparedCosts, String> {
        let columns: Vec<CostColumns> = bars.symbols()[symbols]
            .iter()
            .map(|symbol| CostColumns::new(costs, symbol))
            .collect::<Result<_, _>>()?;
        let rates = rates(costs);
        let varies = !rates.tiers.is_empty() || columns.iter().any(CostColumns::price_fills);
        Ok(PreparedCosts { rates, columns, traded: TrailingNotional::default(), varies })
    }

    /// Costs that nobody knows: every fill makes the equity not a number, rather than free.
    pub fn unknown(symbols: usize) -> PreparedCosts {
        let taker = CostParameters { fee_rate: f64::NAN, slippage_rate: f64::NAN };
        PreparedCosts {
            rates: CostRates { taker, maker_fee_rate: f64::NAN, ..CostRates::default() },
            columns: vec![CostColumns::default(); symbols],
            traded: TrailingNotional::default(),
            varies: false,
        }
    }

    /// Whether [`PreparedCosts::fill_costs`] changes from bar to bar.
    pub fn varies(&self) -> bool {
        self.varies
    }

    /// Moves to a bar: the tier of the fee is that of what was traded before it.
    pub fn begin(&mut self, time: Time) {
        if !self.rates.tiers.is_empty() {
            self.traded.advance(time);
        }
    }

    /// Remembers what was traded.
    pub fn trade(&mut self, notional: f64) {
        if !self.rates.tiers.is_empty() {
            self.traded.add(notional);
        }
    }

    /// What a market order of the book's symbol `index` costs, `row` being the last row of the symbol that is closed.
    pub fn fill_costs(&self, index: usize, row: usize) -> FillCosts {
        let columns = &self.columns[index];
        let at = |column: &[f64]| column.get(row).copied().unwrap_or(0.0);
        let rates = &self.rates;
        FillCosts {
            rates: CostParameters {
                fee_rate: rates.taker.fee_rate + self.traded.fee_rate(&rates.tiers),
                slippage_rate: rates.taker.slippage_rate + at(&columns.spread_rate),
            },
            spread_rate: rates.spread_rate + at(&columns.spread_rate),
            fixed_fee: rates.fixed_fee,
            gas: at(&columns.gas),
            linear_slippage: at(&columns.linear_slippage),
            quadratic_slippage: at(&columns.quadratic_slippage),
            square_root_impact: at(&columns.square_root_impact),
            pool_reserve: columns.pool_reserve.get(row).copied().unwrap_or(f64::INFINITY),
            pool_fee_rate: rates.pool_fee_rate,
        }
    }

    /// Fee over notional of an order that rests until the market comes to it.
    pub fn maker_fee_rate(&self) -> f64 {
        self.rates.maker_fee_rate + self.traded.fee_rate(&self.rates.tiers)
    }
}
