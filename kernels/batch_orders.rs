//! Books of any orders over all rows: the orders of each are listed once, then all books go through tile after tile.

use super::batch_book::{BatchBook, BookRules, Market, TILE, TileSums, View};
use super::batch_exits::{Orders, advance};
use super::cross_words::{WORD, numbers};
use super::exit_rules::ExitParameters;
use super::instructions::for_each_instructions;
use super::range_extremes::{RangeExtremes, extremes};

/// From so many books on a table of the extremes of a tile costs less than looking for them.
const TABLE_BOOKS: usize = 8;

/// An order, and the row in which it is filled.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ListedOrder {
    /// Row of the market.
    pub row: u32,
    /// Target.
    pub target: f64,
}

/// A column of orders and what of it is filled.
#[derive(Clone, Copy, Debug)]
pub struct OrderColumn<'a> {
    /// `[row of the history]`: orders, NaN where there is none.
    pub targets: &'a [f64],
    /// The span's first row in the history.
    pub first_row: usize,
    /// Rows of the span.
    pub rows: usize,
    /// Rows between a decision and its fill: 1 for the next open, 0 for the same close.
    pub lag: usize,
}

/// One book, its orders and its exits.
#[derive(Clone, Debug)]
pub struct OrderBook {
    /// Its state.
    pub book: BatchBook,
    /// Its orders by rising rows, at most one a row.
    pub orders: Vec<ListedOrder>,
    /// Exits, and by `fills_at_open` when orders are filled.
    pub exits: ExitParameters,
}

/// Books over the same rows.
pub struct OrderPass<'a> {
    /// The rows of the span.
    pub market: &'a Market<'a>,
    /// What fills obey.
    pub rules: &'a BookRules,
    /// The books.
    pub books: &'a mut [OrderBook],
    /// `[book][sample + 1]`: sampled equity; the last of each book is scratch.
    pub samples: &'a mut [f64],
}

#[inline(always)]
fn run_body<const KIND: u8>(pass: OrderPass) {
    let stride = pass.samples.len() / pass.books.len().max(1);
    let mut listed = vec![0; pass.books.len()];
    let mut rows = [0_u16; TILE];
    let mut targets = [f64::NAN; TILE];
    let mut sums = TileSums::empty();
    let mut table = RangeExtremes::default();
    let tabled = pass.books.len() >= TABLE_BOOKS;
    for start in (0..pass.market.close.len()).step_by(TILE) {
        sums.fill(pass.market, start);
        if tabled {
            table.fill(&pass.market.close[start..start + sums.rows]);
        }
        let view = View { market: pass.market, sums: &sums, rules: pass.rules };
        let books = pass.books.iter_mut().zip(&mut listed);
        for ((book, listed), samples) in books.zip(pass.samples.chunks_exact_mut(stride)) {
            let waiting =
                book.orders[*listed..].iter().map(|order| (order.row as usize - start, order.target));
            let mut count = 0;
            for (row, target) in waiting.take_while(|(row, _)| *row < sums.rows) {
                (rows[count], targets[row]) = (row as u16, target);
                count += 1;
            }
            *listed += count;
            let range = |from: usize, end: usize| {
                if tabled {
                    table.of(from - start, end - start)
                } else {
                    extremes(&pass.market.close[from..end])
                }
            };
            let orders = Orders { rows: &rows[..count], target: |row: usize| targets[row], range };
            advance(&mut book.book, view, &orders, &book.exits, samples);
        }
    }
}

for_each_instructions! {
    /// Runs the books over all rows.
    pub fn run_orders(pass: OrderPass) = run_body;
}

#[inline(always)]
fn list_body<const KIND: u8>(column: OrderColumn) -> Vec<ListedOrder> {
    let OrderColumn { targets, first_row, rows, lag } = column;
    let mut orders = Vec::new();
    // The order in hand at the start of the span, unless one of the first close comes after it.
    if lag == 1 || rows == 0 || targets[first_row].is_nan() {
        let mut before = targets[..first_row].iter().rev().copied();
        let target = before.find(|target| !target.is_nan());
        orders.extend(target.filter(|_| rows > 0).map(|target| ListedOrder { row: 0, target }));
    }
    let decided = &targets[first_row..first_row + rows.saturating_sub(lag)];
    let (words, rest) = decided.as_chunks::<WORD>();
    let mut last = [f64::NAN; WORD];
    last[..rest.len()].copy_from_slice(rest);
    for (number, word) in words.iter().chain([&last]).enumerate() {
        let mut bits = numbers::<KIND>(word);
        while bits != 0 {
            let row = bits.trailing_zeros() as usize;
            orders.push(ListedOrder { row: (number * WORD + row + lag) as u32, target: word[row] });
            bits &= bits - 1;
        }
    }
    orders
}

for_each_instructions! {
    /// The orders of a column that are filled in the span.
    pub fn list_orders(column: OrderColumn) -> Vec<ListedOrder> = list_body;
}
