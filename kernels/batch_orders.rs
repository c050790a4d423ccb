//! A book of any orders over all rows: tile after tile the orders are found 64 rows at a time.

use super::batch_book::{BatchBook, BookRules, Market, TILE, TileSums, View};
use super::batch_exits::{Orders, advance};
use super::cross_words::{WORD, numbers};
use super::exit_rules::ExitParameters;
use super::instructions::for_each_instructions;
use super::range_extremes::extremes;

/// One book and its orders.
pub struct OrderPass<'a> {
    /// The rows of the span.
    pub market: &'a Market<'a>,
    /// Its tiles.
    pub tiles: &'a [TileSums],
    /// `[row of the history]`: orders, NaN where there is none.
    pub targets: &'a [f64],
    /// The span's first row in the history.
    pub first_row: usize,
    /// What fills obey.
    pub rules: &'a BookRules,
    /// Exits, and by `fills_at_open` when orders are filled.
    pub exits: &'a ExitParameters,
    /// The book.
    pub book: &'a mut BatchBook,
    /// `[sample + 1]`: sampled equity; the last is scratch.
    pub samples: &'a mut [f64],
}

#[inline(always)]
fn run_body<const KIND: u8>(pass: OrderPass) {
    let lag = usize::from(pass.exits.fills_at_open);
    // The order in hand at the start of the span.
    let before = pass.targets[..pass.first_row].iter().rev().copied().find(|target| !target.is_nan());
    let mut rows = [0_u16; TILE];
    let mut targets = [f64::NAN; TILE];
    for sums in pass.tiles {
        // Orders by the row in which they are filled.
        let first = (pass.first_row + sums.start).checked_sub(lag);
        let decided = match first {
            Some(first) => &pass.targets[first..first + sums.rows],
            None => &pass.targets[..sums.rows - 1],
        };
        let undecided = sums.rows - decided.len();
        targets[..undecided].fill(f64::NAN);
        targets[undecided..sums.rows].copy_from_slice(decided);
        targets[sums.rows..].fill(f64::NAN);
        if sums.start == 0 && (lag == 1 || targets[0].is_nan()) {
            targets[0] = before.unwrap_or(f64::NAN);
        }
        let count = find::<KIND>(&targets, &mut rows);
        let orders = Orders {
            rows: &rows[..count],
            target: |row: usize| targets[row],
            range: |start: usize, end: usize| extremes(&pass.market.close[start..end]),
        };
        let view = View { market: pass.market, sums, rules: pass.rules };
        advance(pass.book, view, &orders, pass.exits, pass.samples);
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
