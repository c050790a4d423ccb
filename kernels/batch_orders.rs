//! A book of any orders over all rows: tile after tile the orders are found 64 rows at a time.

use super::batch_book::{BatchBook, BookRules, Market, TILE, TileSums, View};
use super::batch_exits::{Orders, advance};
use super::cross_words::{WORD, numbers};
use super::exit_rules::ExitParameters;
use super::instructions::for_each_instructions;
use super::range_extremes::extremes;

/// One book, its orders and its exits.
#[derive(Clone, Debug)]
pub struct OrderBook<'a> {
    /// Its state.
    pub book: BatchBook,
    /// `[row of the history]`: orders, NaN where there is none.
    pub targets: &'a [f64],
    /// Exits, and by `fills_at_open` when orders are filled.
    pub exits: ExitParameters,
}

/// Books over the same rows.
pub struct OrderPass<'a, 'b> {
    /// The rows of the span.
    pub market: &'a Market<'a>,
    /// The span's first row in the history.
    pub first_row: usize,
    /// What fills obey.
    pub rules: &'a BookRules,
    /// The books.
    pub books: &'a mut [OrderBook<'b>],
    /// `[book][sample + 1]`: sampled equity; the last of each book is scratch.
    pub samples: &'a mut [f64],
}

#[inline(always)]
fn run_body<const KIND: u8>(pass: OrderPass) {
    let stride = pass.samples.len() / pass.books.len().max(1);
    let mut rows = [0_u16; TILE];
    let mut targets = [f64::NAN; TILE];
    let mut sums = TileSums::empty();
    for start in (0..pass.market.close.len()).step_by(TILE) {
        sums.fill(pass.market, start);
        let view = View { market: pass.market, sums: &sums, rules: pass.rules };
        for (book, samples) in pass.books.iter_mut().zip(pass.samples.chunks_exact_mut(stride)) {
            gather(&mut targets, &sums, book, pass.first_row);
            let count = find::<KIND>(&targets, &mut rows);
            let orders = Orders {
                rows: &rows[..count],
                target: |row: usize| targets[row],
                range: |start: usize, end: usize| extremes(&pass.market.close[start..end]),
            };
            advance(&mut book.book, view, &orders, &book.exits, samples);
        }
    }
}

/// The orders of a book by the row of the tile in which they are filled.
#[inline(always)]
fn gather(targets: &mut [f64; TILE], sums: &TileSums, book: &OrderBook, first_row: usize) {
    let lag = usize::from(book.exits.fills_at_open);
    let decided = match (first_row + sums.start).checked_sub(lag) {
        Some(first) => &book.targets[first..first + sums.rows],
        None => &book.targets[..sums.rows - 1],
    };
    let undecided = sums.rows - decided.len();
    targets[..undecided].fill(f64::NAN);
    targets[undecided..sums.rows].copy_from_slice(decided);
    targets[sums.rows..].fill(f64::NAN);
    if sums.start == 0 && (lag == 1 || targets[0].is_nan()) {
        // The order in hand at the start of the span.
        let mut before = book.targets[..first_row].iter().rev().copied();
        targets[0] = before.find(|target| !target.is_nan()).unwrap_or(f64::NAN);
    }
}

for_each_instructions! {
    /// Runs the book over all rows.
    pub fn run_orders(pass: OrderPass) = run_body;
}

/// Notes the rows that hold a number, and says how many there are.
#[inline(always)]
fn find<const KIND: u8>(targets: &[f64; TILE], rows: &mut [u16; TILE]) -> usize {
    let mut count = 0;
    for (number, word) in targets.as_chunks::<WORD>().0.iter().enumerate() {
        let mut bits = numbers::<KIND>(word);
        while bits != 0 {
            rows[count] = (number * WORD + bits.trailing_zeros() as usize) as u16;
            bits &= bits - 1;
            count += 1;
        }
    }
    count
}
