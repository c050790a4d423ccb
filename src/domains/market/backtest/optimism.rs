//! Settings that flatter a backtest.

use super::config::{BacktestConfig, FillTime};
use super::costs::CostConfig;

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
    doubts
}

fn is_fee(cost: &CostConfig) -> bool {
    match cost {
        CostConfig::Proportional(fee) => fee.fee_bps > 0.0,
        CostConfig::Fixed(fee) => fee.fee > 0.0,
        CostConfig::Tiered(fee) => fee.tiers.iter().any(|tier| tier.fee_bps > 0.0),
        CostConfig::MakerTaker(fee) => fee.taker_bps > 0.0,
        CostConfig::ConstantProductPool(pool) => pool.fee_bps > 0.0,
        CostConfig::Gas(_) => true,
        _ => false,
    }
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
