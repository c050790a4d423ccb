//! A book with its whole curve, reduced to what is kept of one of thousands.

use super::equity_curve::equity_curve;
use super::trades::round_trips;
use crate::table::{BookFigures, BookResult};

/// The figures of a book that the ledger ran. The batch gives the same ones without a curve.
pub fn book_figures(book: &BookResult) -> BookFigures {
    let equity = &book.equity.equity;
    let curve = equity_curve(equity, book.starting_cash);
    let deviation = curve.and_then(|curve| curve.moments).map_or(0.0, |moments| moments.deviation);
    let trips = round_trips(&book.fills);
    BookFigures {
        bars: equity.len(),
        starting_cash: book.starting_cash,
        final_equity: equity.last().copied().unwrap_or(book.starting_cash),
        mean_return: curve.map_or(0.0, |curve| curve.mean),
        return_deviation: deviation,
        max_drawdown: curve.map_or(0.0, |curve| curve.drawdowns.deepest),
        fills: book.fills.len(),
        trades: trips.len(),
        winning_trades: trips.iter().filter(|trip| trip.profit > 0.0).count(),
        fees: book.fills.iter().map(|fill| fill.fee).sum(),
        slippage_cost: book
            .fills
            .iter()
            .map(|fill| fill.quantity * (fill.price - fill.reference_price).abs())
            .sum(),
        held_bars: book.equity.exposure.iter().filter(|exposure| **exposure != 0.0).count(),
        bankrupt: book.bankrupt_at.is_some(),
    }
}

/// The book's returns over `stretches` equal parts of its bars, which must be at most as many; the first is against the
/// starting cash. Stretch `i` ends with the last bar before `(i + 1) x bars / stretches`.
pub fn stretch_returns(book: &BookResult, stretches: usize) -> Vec<f32> {
    let equity = &book.equity.equity;
    let mut before = book.starting_cash;
    let ends =
        (1..=stretches).map(|stretch| (stretch as u128 * equity.len() as u128 / stretches as u128) as usize);
    ends.map(|end| {
        let worth = end.checked_sub(1).map_or(before, |row| equity[row]);
        let change = if before > 0.0 { worth / before - 1.0 } else { 0.0 };
        before = worth;
        change as f32
    })
    .collect()
}
