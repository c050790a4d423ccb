//! The costs of one book, ready for its loop over bars.

use super::columns::borrow_rates;
use super::tiered::TrailingNotional;
use super::{CarryRates, CostColumns, CostConfig, CostRates, rates};
use crate::kernels::backtest_step::CostParameters;
use crate::kernels::fill_costs::FillCosts;
use crate::table::{Bars, SymbolBars};
use crate::units::Time;
use std::ops::Range;

/// The costs of one book over some symbols, with what the book traded.
#[derive(Clone, Debug)]
pub struct PreparedCosts {
    rates: CostRates,
    /// Of each symbol of the book.
    columns: Vec<CostColumns>,
    carry: Vec<CarryRates>,
    traded: TrailingNotional,
    varies: bool,
    carries: bool,
}

impl PreparedCosts {
    /// Reads what the costs need of the bars. `periods_per_year` as for [`super::carry_rates`].
    ///
    /// # Errors
    /// A column that is not there, or holds what is no such cost.
    pub fn new(
        costs: &[CostConfig],
        bars: &Bars,
        symbols: Range<usize>,
        periods_per_year: Option<f64>,
    ) -> Result<PreparedCosts, String> {
        let symbols = &bars.symbols()[symbols];
        let of = |symbol: &SymbolBars| CostColumns::new(costs, symbol);
        let mut columns: Vec<CostColumns> = symbols.iter().map(of).collect::<Result<_, _>>()?;
        let rates = rates(costs);
        let varies = !rates.tiers.is_empty() || columns.iter().any(CostColumns::price_fills);
        let funding = columns.iter_mut().map(|columns| std::mem::take(&mut columns.funding));
        let carry = symbols.iter().zip(funding).map(|(symbol, funding)| CarryRates {
            funding,
            borrow: borrow_rates(rates.borrow_rate, symbol.time(), periods_per_year),
        });
        let carry: Vec<CarryRates> = carry.collect();
        let carries = carry.iter().any(|rates| !rates.funding.is_empty() || !rates.borrow.is_empty());
        Ok(PreparedCosts { rates, columns, carry, traded: TrailingNotional::default(), varies, carries })
    }

    /// No costs.
    pub fn none(symbols: usize) -> PreparedCosts {
        PreparedCosts {
            rates: CostRates::default(),
            columns: vec![CostColumns::default(); symbols],
            carry: vec![CarryRates::default(); symbols],
            traded: TrailingNotional::default(),
            varies: false,
            carries: false,
        }
    }

    /// Whether [`PreparedCosts::fill_costs`] changes from bar to bar.
    pub fn varies(&self) -> bool {
        self.varies
    }

    /// Whether holding a position can cost anything.
    pub fn carries(&self) -> bool {
        self.carries
    }

    /// Funding (negative where it is received) and borrowing of a position of the book's symbol `index` that is worth
    /// `worth` (signed) at the close of this row of the symbol.
    pub fn carry(&self, index: usize, row: usize, worth: f64) -> (f64, f64) {
        let rates = &self.carry[index];
        let at = |column: &[f64]| column.get(row).copied().unwrap_or(0.0);
        let borrow = if worth < 0.0 { -worth * at(&rates.borrow) } else { 0.0 };
        (worth * at(&rates.funding), borrow)
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
