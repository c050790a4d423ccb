//! Settings that flatter a backtest.

use super::config::{BacktestConfig, FillTime};
use super::costs::CostConfig;
use super::costs::gas::{Gas, GasSource};
use super::exits::Intrabar;
use crate::table::{BookResult, Side};

/// A sentence for each setting that makes a book look better than its market would.
pub fn optimistic(config: &BacktestConfig) -> Vec<String> {
    let mut doubts: Vec<String> = Vec::new();
    if config.costs.is_empty() {
        doubts.push(
            "the backtest has no costs: no fee, no spread, no slippage; real trading has all three".into(),
        );
    } else {
        let any = |wanted: fn(&CostConfig) -> bool| config.costs.iter().any(wanted);
        if !any(is_fee) {
            doubts.push("the backtest has no fee: hardly a market trades for nothing".into());
        }
        if !any(worsens_price) {
            doubts.push(
                "orders are filled at the bar's own price: no spread, no slippage, no impact; real orders pay the \
                 spread and move the price"
                    .into(),
            );
        }
        doubts.extend(config.costs.iter().filter_map(|cost| cost.build().doubt()));
    }
    if config.fill == FillTime::SameClose {
        doubts.push(
            "orders are filled at the very close that decided them, which real trading cannot do".into(),
        );
    }
    if config.exits.intrabar == Intrabar::BestFirst
        && config.exits.has_stop()
        && config.exits.take_profit_percent.is_some()
    {
        doubts.push(
            "where a bar touched stop and target both, the target is taken to have come first: the better case, always"
                .into(),
        );
    }
    let funded = config.costs.iter().any(|cost| matches!(cost, CostConfig::Funding(_)));
    if config.leverage() > 1.0 && !funded {
        doubts.push(format!(
            "a book may hold {} times its equity and pays no interest on what it borrows for that; `borrow` charges only \
             what is sold short, and `funding` is not set",
            config.leverage()
        ));
    }
    doubts
}

/// Of the books of a grid the settings that flatter most, put together of all of them: the values of a grid are combined
/// freely, so that one of its books has them. `None` without a book.
pub fn most_optimistic(books: impl Iterator<Item = BacktestConfig>) -> Option<BacktestConfig> {
    books.reduce(|mut all, book| {
        if book.leverage() > all.leverage() {
            all.sizing = book.sizing;
        }
        let (exits, others) = (&mut all.exits, book.exits);
        exits.stop_loss_percent = exits.stop_loss_percent.or(others.stop_loss_percent);
        exits.take_profit_percent = exits.take_profit_percent.or(others.take_profit_percent);
        exits.trailing_stop_percent = exits.trailing_stop_percent.or(others.trailing_stop_percent);
        if others.intrabar == Intrabar::BestFirst {
            exits.intrabar = Intrabar::BestFirst;
        }
        all
    })
}

/// Part of the starting cash below which a short position is rounding.
const ROUNDING: f64 = 1e-9;

/// Whether the book was ever short.
pub fn sells_short(book: &BookResult) -> bool {
    let symbols = book.fills.iter().map(|fill| fill.symbol as usize + 1).max().unwrap_or(0);
    let mut held = vec![0.0; symbols];
    book.fills.iter().any(|fill| {
        let position = &mut held[fill.symbol as usize];
        *position += if fill.side == Side::Buy { fill.quantity } else { -fill.quantity };
        *position * fill.price < -ROUNDING * book.starting_cash
    })
}

fn is_fee(cost: &CostConfig) -> bool {
    match cost {
        CostConfig::Proportional(fee) => fee.fee_bps > 0.0,
        CostConfig::Fixed(fee) => fee.fee > 0.0,
        CostConfig::Tiered(fee) => fee.tiers.iter().any(|tier| tier.fee_bps > 0.0),
        CostConfig::MakerTaker(fee) => fee.taker_bps > 0.0,
        CostConfig::ConstantProductPool(pool) => pool.fee_bps > 0.0,
        CostConfig::Gas(gas) => charges(gas),
        _ => false,
    }
}

/// Whether a transaction pays anything; what a column holds is taken to be more than nothing.
fn charges(gas: &Gas) -> bool {
    let pays = |source: &Option<GasSource>| match source {
        Some(GasSource::Constant(value)) => *value > 0.0,
        source => source.is_some(),
    };
    let by_units = gas.units.is_some_and(|units| units > 0.0) && pays(&gas.price) && pays(&gas.token_price);
    gas.multiple > 0.0 && (pays(&gas.cost) || by_units)
}

fn worsens_price(cost: &CostConfig) -> bool {
    match cost {
        CostConfig::Slippage(slippage) => slippage.bps > 0.0,
        CostConfig::Spread(spread) => spread.bps.unwrap_or(spread.multiple) > 0.0,
        CostConfig::LinearSlippage(slippage) => slippage.coefficient > 0.0,
        CostConfig::QuadraticSlippage(slippage) => slippage.coefficient > 0.0,
        CostConfig::SquareRootImpact(impact) => impact.coefficient > 0.0,
        CostConfig::ConstantProductPool(_) => true,
        _ => false,
    }
}
