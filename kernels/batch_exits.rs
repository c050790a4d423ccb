//! A book with stops, targets, time limits and payments for holding: the bars at which something may happen are found by
//! their extremes and worked off one by one, in the order of [`super::exit_rules`]; the bars between are taken in at once.

use super::batch_book::{BatchBook, Market, View};
use super::exit_rules::{Exit, ExitParameters};
use super::range_extremes::{extremes_of_16, larger, smaller};

/// The orders of a book in a tile.
pub struct Orders<'a, T, R> {
    /// Rows of the tile in which an order is filled, rising.
    pub rows: &'a [u16],
    /// The target of the order in a row of the tile.
    pub target: T,
    /// Highest and lowest close of the rows `start..end` of the market.
    pub range: R,
}

/// Runs a book through a tile.
#[inline(always)]
pub fn advance<T: Fn(usize) -> f64, R: Fn(usize, usize) -> (f64, f64)>(
    book: &mut BatchBook,
    view: View,
    orders: &Orders<T, R>,
    exits: &ExitParameters,
    samples: &mut [f64],
) {
    let (tile, end) = (view.sums.start, view.sums.start + view.sums.rows);
    let mut waiting = orders.rows.iter().map(|row| tile + *row as usize).peekable();
    let mut row = book.marked;
    loop {
        let next = waiting.peek().copied().unwrap_or(end);
        let eventful = if book.bankrupt { end } else { quiet_until(book, view, row..next, exits) };
        let start = book.marked;
        if eventful > start {
            book.hold(view, eventful, || (orders.range)(start, eventful), samples);
        }
        if eventful == end {
            return;
        }
        // The equity may have been used up on the way.
        if !book.bankrupt {
            let order = (eventful == next).then(|| (orders.target)(eventful - tile));
            work_off(book, view, eventful, order, exits);
        }
        if eventful == next {
            waiting.next();
        }
        row = eventful + 1;
    }
}

/// One bar in full, but for its mark: orders, exits, payments.
#[inline(always)]
fn work_off(book: &mut BatchBook, view: View, row: usize, order: Option<f64>, exits: &ExitParameters) {
    let View { market, .. } = view;
    let (open, close) = (market.open[row], market.close[row]);
    let mut traded = false;
    if let Some(target) = order
        && exits.fills_at_open
    {
        traded = trade(book, view, target, open, row);
    }
    if book.quantity != 0.0 {
        let exit = exits.at_open(&book.position, row as u32, open, traded);
        close_position(book, view, exit);
    }
    if book.quantity != 0.0 {
        let exit = exits.within_bar(&book.position, open, market.high[row], market.low[row]);
        close_position(book, view, exit);
    }
    if book.quantity != 0.0 {
        book.position = book.position.survived(market.high[row], market.low[row]);
        pay(book, market, row);
        let exit = exits.at_close(&book.position, row as u32, close);
        close_position(book, view, exit);
    }
    if let Some(target) = order
        && !exits.fills_at_open
    {
        trade(book, view, target, close, row);
    }
}

/// Fills an order; whether anything was traded.
#[inline(always)]
fn trade(book: &mut BatchBook, view: View, target: f64, reference: f64, row: usize) -> bool {
    let held = book.quantity;
    let Some(execution) = book.trade(target, reference, view.rules) else { return false };
    book.position = book.position.after_fill(held, book.last_change, execution.price, reference, row as u32);
    true
}

#[inline(always)]
fn close_position(book: &mut BatchBook, view: View, exit: Option<Exit>) {
    if let Some(exit) = exit {
        let costs = if exit.reason.rests() { &view.rules.resting } else { &view.rules.costs };
        book.fill(-book.quantity, exit.reference, costs);
    }
}

/// Funding and borrowing at the close of a bar.
#[inline(always)]
fn pay(book: &mut BatchBook, market: &Market, row: usize) {
    let worth = book.quantity * market.close[row];
    if let Some(rate) = market.funding.get(row) {
        book.cash -= worth * rate;
    }
    if let Some(rate) = market.borrow.get(row)
        && book.quantity < 0.0
    {
        book.cash -= worth.abs() * rate;
    }
}

/// The first of the rows at which an exit or a payment may happen, or their end. The position takes in the highs and lows
/// of the rows before it.
#[inline(always)]
fn quiet_until(
    book: &mut BatchBook,
    view: View,
    rows: std::ops::Range<usize>,
    exits: &ExitParameters,
) -> usize {
    if book.quantity == 0.0 || rows.is_empty() {
        return rows.end;
    }
    let market = view.market;
    let (start, mut end) = (rows.start, rows.end);
    if exits.max_bars > 0 {
        end = end.min((book.position.entry_row as usize + exits.max_bars as usize).max(start));
    }
    if book.quantity < 0.0 && !market.borrow.is_empty() {
        return start;
    }
    if !market.funding.is_empty() {
        end = end.min(view.sums.next_paid(start));
    }
    if exits.trailing_stop.is_nan() {
        let (stop, target) = (exits.stop_level(&book.position).0, exits.target_level(&book.position));
        return start + untouched(market, start..end, book.position.direction, (stop, target));
    }
    trail(book, market, start..end, exits)
}

/// How many rows come before the first one whose low or high comes to one of two fixed levels, be it only a touch.
#[inline(always)]
fn untouched(
    market: &Market,
    rows: std::ops::Range<usize>,
    direction: f64,
    (stop, target): (f64, f64),
) -> usize {
    const BLOCK: usize = 32;
    if stop.is_nan() && target.is_nan() {
        return rows.len();
    }
    // For a short position the target lies below and the stop above.
    let (below, above) = if direction > 0.0 { (stop, target) } else { (target, stop) };
    let (low, high) = (&market.low[rows.clone()], &market.high[rows]);
    let touches = |(low, high): (&f64, &f64)| (*low <= below) | (*high >= above);
    let mut passed = 0;
    for (low, high) in low.chunks(BLOCK).zip(high.chunks(BLOCK)) {
        if low.iter().zip(high).fold(false, |any, bar| any | touches(bar)) {
            return passed + low.iter().zip(high).position(touches).unwrap_or(low.len());
        }
        passed += low.len();
    }
    passed
}

/// The first row at which the trailing stop, or another level, may be touched, or the end. Sixteen rows are passed over
/// where even the stop behind their best price stays out of reach of their worst.
#[inline(always)]
fn trail(
    book: &mut BatchBook,
    market: &Market,
    rows: std::ops::Range<usize>,
    exits: &ExitParameters,
) -> usize {
    let mut row = rows.start;
    let touches = |stop: f64, target: f64, high: f64, low: f64, long: bool| {
        if long { low <= stop || high >= target } else { high >= stop || low <= target }
    };
    let target = exits.target_level(&book.position);
    let long = book.position.direction > 0.0;
    while row < rows.end {
        if let (Some(high), Some(low)) =
            (market.high[row..rows.end].first_chunk(), market.low[row..rows.end].first_chunk())
        {
            let (high, low) = (extremes_of_16(high).0, extremes_of_16(low).1);
            let after = book.position.survived(high, low);
            if !touches(exits.stop_level(&after).0, target, high, low, long) {
                book.position = after;
                row += 16;
                continue;
            }
        }
        for row in row..rows.end.min(row + 16) {
            let (high, low) = (market.high[row], market.low[row]);
            if touches(exits.stop_level(&book.position).0, target, high, low, long) {
                return row;
            }
            let extreme = book.position.extreme;
            book.position.extreme = if long { larger(extreme, high) } else { smaller(extreme, low) };
        }
        row += 16;
    }
    rows.end
}
