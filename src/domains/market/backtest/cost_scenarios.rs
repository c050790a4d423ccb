//! A book at other costs: what it would have earned if everything had cost nothing, twice or four times as much, and how
//! much dearer it could have been.

use super::books::{listed, run_compact, run_one};
use super::config::BacktestConfig;
use super::costs::scaled;
use crate::metrics::{EquityCurve, TradingMetrics, compact_curve, equity_curve};
use crate::rundir::CostScenario;
use crate::table::{Bars, Positions};
use std::ops::Range;

/// By which costs are multiplied in a report.
const MULTIPLES: [f64; 4] = [0.0, 1.0, 2.0, 4.0];

/// Beyond so many times its costs nobody needs to know where a book breaks even.
const LARGEST_MULTIPLE: f64 = 100.0;

/// How exactly a break-even is found, relative to it.
const PRECISION: f64 = 1e-3;

/// The book at 0, 1, 2 and 4 times all its costs but funding, which a market pays as well as takes and which stays as it
/// is, with the same positions wanted; sizes follow from the equity that is left. Arguments are those of [`super::run_book`]; with `symbol` it is that symbol's own book, over the part of the
/// span in which it is listed. One book is in memory at a time.
pub fn cost_scenarios(
    bars: &Bars,
    positions: &Positions,
    config: &BacktestConfig,
    span: &Range<usize>,
    symbol: Option<usize>,
) -> Vec<CostScenario> {
    let times = symbol.map_or_else(|| span.clone(), |symbol| listed(bars, symbol, span));
    let all = bars.timeline().times();
    let times = all.get(times.start..times.end.min(all.len())).unwrap_or_default();
    let scenario = |multiple: f64| {
        let mut metrics = TradingMetrics::default();
        if let Some(curve) = at_costs(bars, positions, config, span, (symbol, multiple)) {
            metrics.set_curve(&curve, config.annual_periods(times));
        }
        CostScenario {
            multiple,
            total_return: metrics.total_return,
            sharpe: metrics.sharpe,
            max_drawdown: metrics.max_drawdown,
        }
    };
    MULTIPLES.into_iter().map(scenario).collect()
}

/// By which number all costs but funding may be multiplied until the book earns nothing, to a thousandth of it; `None` where it earns
/// nothing without costs, or still earns at 100 times its costs. Arguments as for [`cost_scenarios`].
///
/// The profit falls with the multiple, but for the few trades that another size of the book makes or breaks; where it
/// crosses zero several times one of the crossings is found, always the same.
pub fn break_even_multiple(
    bars: &Bars,
    positions: &Positions,
    config: &BacktestConfig,
    span: &Range<usize>,
    symbol: Option<usize>,
) -> Option<f64> {
    let profit = |multiple: f64| {
        let last = last_equity(bars, positions, config, span, (symbol, multiple));
        last.map_or(0.0, |last| last - config.cash)
    };
    let free = profit(0.0);
    if config.costs.is_empty() || free <= 0.0 {
        return None;
    }
    let (mut earning, mut losing) = ((0.0, free), None);
    for multiple in [1.0, 4.0, LARGEST_MULTIPLE] {
        match (multiple, profit(multiple)) {
            above @ (_, worth) if worth > 0.0 => earning = above,
            below => {
                losing = Some(below);
                break;
            }
        }
    }
    Some(crossing(profit, earning, losing?))
}

/// Where a profit that falls from above 0 to 0 or below crosses it, between two `(multiple, profit)`: the chord's crossing
/// and the middle in turns, so that it is soon found where profits fall evenly and still found where they jump.
fn crossing(profit: impl Fn(f64) -> f64, mut earning: (f64, f64), mut losing: (f64, f64)) -> f64 {
    let mut by_chord = true;
    while losing.0 - earning.0 > PRECISION * losing.0 && losing.0 > PRECISION * PRECISION {
        let (width, margin) = (losing.0 - earning.0, 0.4 * PRECISION * losing.0);
        let chord = earning.0 + width * earning.1 / (earning.1 - losing.1);
        // A little beyond the crossing, towards the nearer end, so that both ends close in.
        let chord = if chord - earning.0 < 0.5 * width { chord + margin } else { chord - margin };
        let inside = chord > earning.0 && chord < losing.0;
        let next = if by_chord && inside { chord } else { 0.5 * (earning.0 + losing.0) };
        let worth = profit(next);
        if worth > 0.0 {
            earning = (next, worth);
        } else {
            losing = (next, worth);
        }
        by_chord = !by_chord || losing.0 - earning.0 < 0.5 * width;
    }
    0.5 * (earning.0 + losing.0)
}

/// The curve of the book at a multiple of its costs.
fn at_costs(
    bars: &Bars,
    positions: &Positions,
    config: &BacktestConfig,
    span: &Range<usize>,
    (symbol, multiple): (Option<usize>, f64),
) -> Option<EquityCurve> {
    let config = BacktestConfig { costs: scaled(&config.costs, multiple), ..config.clone() };
    if let Some(book) = run_compact(bars, positions, &config, span.clone(), symbol) {
        return compact_curve(&book);
    }
    let book = run_one(bars, ("", positions), &config, span.clone(), symbol);
    equity_curve(&book.equity.equity, book.starting_cash)
}

/// Its equity at the end.
fn last_equity(
    bars: &Bars,
    positions: &Positions,
    config: &BacktestConfig,
    span: &Range<usize>,
    (symbol, multiple): (Option<usize>, f64),
) -> Option<f64> {
    let config = BacktestConfig { costs: scaled(&config.costs, multiple), ..config.clone() };
    if let Some(book) = run_compact(bars, positions, &config, span.clone(), symbol) {
        let (last, close) = book.balances.last().zip(book.close.last())?;
        return Some(last.cash + last.quantity * close);
    }
    let book = run_one(bars, ("", positions), &config, span.clone(), symbol);
    book.equity.equity.last().copied()
}
