//! Costs: what trading and holding take. One file each; see `registry.rs` for how one joins.
//!
//! A cost speaks twice: it lowers what is the same for every symbol and bar to plain numbers ([`CostRates`]), and it
//! computes what changes from bar to bar once for each symbol ([`CostColumns`]). What prices a fill is then plain old
//! data ([`crate::kernels::fill_costs::FillCosts`]), so that no loop over bars sees a cost as an object.
//!
//! A fill uses what was known before it: at an open, and within a bar, the columns and the volume of the last closed bar;
//! at a close those of the bar that closes. A null in a column means the value of the bar before it; a column that begins
//! with a null is refused. A funding rate is different: it is paid at its bar, and a null pays nothing.

use crate::kernels::backtest_step::CostParameters;
use crate::table::{Bars, SymbolBars};
use crate::units::BASIS_POINT;
use std::fmt;

mod columns;
mod prepared;

pub mod borrow;
pub mod constant_product_pool;
pub mod fixed;
pub mod funding;
pub mod gas;
pub mod linear_slippage;
pub mod maker_taker;
pub mod proportional;
pub mod quadratic_slippage;
pub mod slippage;
pub mod spread;
pub mod square_root_impact;
pub mod tiered;

pub use columns::{CarryRates, CostColumns};
pub use prepared::PreparedCosts;

/// One cost of trading. Its `Display` is its line in the report.
pub trait Cost: fmt::Display {
    /// Whether the settings make sense.
    ///
    /// # Errors
    /// Names the setting, what it is and what is expected.
    fn check(&self) -> Result<(), String>;

    /// Adds what is the same for every symbol and bar. Settings have passed [`Cost::check`].
    fn lower(&self, rates: &mut CostRates);

    /// Adds what changes from bar to bar.
    ///
    /// # Errors
    /// A column that is not there, or holds what is no such cost.
    fn columns(&self, _symbol: &SymbolBars, _columns: &mut CostColumns) -> Result<(), String> {
        Ok(())
    }

    /// The same cost with its charge multiplied: 0 is free, and more is never cheaper.
    fn scaled(&self, multiple: f64) -> CostConfig;

    /// Why these settings flatter, in a sentence.
    fn doubt(&self) -> Option<String> {
        None
    }
}

crate::registry! {
    /// A cost by name. Several of a kind add up.
    CostConfig => dyn Cost;
    /// A fee in proportion to the traded notional (quantity times fill price), paid on each side of a round trip.
    proportional: Proportional,
    /// A fee of each fill, whatever its size.
    fixed: Fixed,
    /// A fee in proportion to the traded notional, lower for books that traded more in the last 30 days.
    tiered: Tiered,
    /// Two fees in proportion to the traded notional: for orders that take liquidity, and for those that rest.
    maker_taker: MakerTaker,
    /// The distance of bid and ask. Bars are taken as mid prices, so each side pays half.
    spread: Spread,
    /// Fills are worse than the bar's price by a fixed share of it.
    slippage: Slippage,
    /// Fills are worse in proportion to the share of the volume that they take.
    linear_slippage: LinearSlippage,
    /// Fills are worse in proportion to the square of the share of the volume that they take.
    quadratic_slippage: QuadraticSlippage,
    /// Fills are worse by volatility times the square root of the share of the volume that they take.
    square_root_impact: SquareRootImpact,
    /// A fee for what is borrowed to be sold short, by time.
    borrow: Borrow,
    /// Funding of perpetual futures, from a column of the data.
    funding: Funding,
    /// Gas of each transaction.
    gas: Gas,
    /// Fills are swaps against a pool of two tokens whose reserves have a constant product.
    constant_product_pool: ConstantProductPool,
}

impl fmt::Display for CostConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.build().fmt(f)
    }
}

/// What costs are the same for every symbol and bar, added up.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CostRates {
    /// Fee over notional of a market order, and slippage with half the spread over the reference price.
    pub taker: CostParameters,
    /// Fee over notional of an order that rests until the market comes to it.
    pub maker_fee_rate: f64,
    /// The part of `taker.slippage_rate` that is half the spread.
    pub spread_rate: f64,
    /// Fee of a fill in quote currency.
    pub fixed_fee: f64,
    /// Fee over what goes into a pool.
    pub pool_fee_rate: f64,
    /// Fee a year over the worth of what is sold short.
    pub borrow_rate: f64,
    /// Tiers of fees: each list from the lowest volume in quote currency upwards, with its fee over notional.
    pub tiers: Vec<Vec<(f64, f64)>>,
    /// Costs that [`LinearCosts`] cannot say, by name.
    pub beyond_linear: Vec<&'static str>,
}

/// Costs of a fill in proportion to its notional, and costs of carrying: what a batch of many books understands.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LinearCosts {
    /// Of a market order.
    pub taker: CostParameters,
    /// Of a resting limit order: no slippage, no spread, the maker's fee.
    pub maker: CostParameters,
    /// Fee a year over the worth of what is sold short; [`carry_rates`] has it by bar, with funding.
    pub borrow_rate: f64,
}

impl CostRates {
    /// The same as a few rates, where they say all; funding, which [`carry_rates`] has, aside.
    pub fn linear(&self) -> Option<LinearCosts> {
        let maker = CostParameters { fee_rate: self.maker_fee_rate, slippage_rate: 0.0 };
        let linear = LinearCosts { taker: self.taker, maker, borrow_rate: self.borrow_rate };
        self.beyond_linear.is_empty().then_some(linear)
    }
}

/// Checks the costs and adds up what is the same for every symbol and bar.
///
/// # Errors
/// A cost that is out of its range, or costs that add up to the whole price.
pub fn lower(costs: &[CostConfig]) -> Result<CostRates, String> {
    for cost in costs {
        cost.build().check()?;
    }
    let rates = rates(costs);
    let slippage = ("slippage and half the spread", rates.taker.slippage_rate);
    for (name, rate) in [("fees", rates.taker.fee_rate.max(rates.maker_fee_rate)), slippage] {
        if rate >= 1.0 {
            return Err(format!(
                "costs: {name} add up to {} bps, expected less than 10000; 1 bps is 0.01 per cent",
                rate / BASIS_POINT
            ));
        }
    }
    if costs.iter().filter(|cost| matches!(cost, CostConfig::ConstantProductPool(_))).count() > 1 {
        return Err(
            "costs: constant_product_pool stands twice; a fill goes through one pool, whose reserve is \
                    the sum where an order is split over several"
                .into(),
        );
    }
    Ok(rates)
}

/// As [`lower`], for costs that were checked before they were scaled.
fn rates(costs: &[CostConfig]) -> CostRates {
    let mut rates = CostRates::default();
    for cost in costs {
        cost.build().lower(&mut rates);
    }
    rates
}

/// The costs with every charge multiplied. 0 is free trading and 1 changes nothing; more is never cheaper. Every charge
/// is in proportion to the multiple, but for [`constant_product_pool`], which becomes so many times shallower. Funding is a
/// flow of the market and no charge; it stays as it is.
pub fn scaled(costs: &[CostConfig], multiple: f64) -> Vec<CostConfig> {
    costs.iter().map(|cost| cost.build().scaled(multiple)).collect()
}

/// What carrying a symbol takes at each of its bars. Bars a year are `periods_per_year`, or else counted over the bars
/// that are known at each bar.
///
/// # Errors
/// A column that is not there.
pub fn carry_rates(
    costs: &[CostConfig],
    symbol: &SymbolBars,
    periods_per_year: Option<f64>,
) -> Result<CarryRates, String> {
    let mut columns = CostColumns::default();
    for cost in costs.iter().filter(|cost| matches!(cost, CostConfig::Funding(_))) {
        cost.build().columns(symbol, &mut columns)?;
    }
    let borrow = columns::borrow_rates(rates(costs).borrow_rate, symbol.time(), periods_per_year);
    Ok(CarryRates { funding: columns.funding, borrow })
}

/// Checks that the bars have what the costs read.
///
/// # Errors
/// Names the cost, the column, the symbol and the bar, and what to do.
pub fn check_columns(costs: &[CostConfig], bars: &Bars) -> Result<(), String> {
    PreparedCosts::new(costs, bars, 0..bars.symbols().len(), None).map(|_| ())
}

/// Refuses a number that is negative or not finite. `key` is the setting, as in `proportional.fee_bps`.
fn not_negative(key: &str, value: f64, unit: &str) -> Result<(), String> {
    if value.is_finite() && value >= 0.0 {
        return Ok(());
    }
    Err(format!("costs: {key} is {value}, expected 0 or more{unit}; remove it to trade without"))
}
