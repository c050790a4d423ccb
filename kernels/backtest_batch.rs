//! Many books of moving-average crosses over the same bars, side by side.
//!
//! The rows are cut into tiles that stay in the cache. In a tile every mean is computed once; each book then compares its
//! two means 64 rows at a time and acts only where its level changes; what lies between two fills is taken in at once
//! ([`BatchBook::hold`]). The work is hence a fraction of an instruction a bar and a fixed amount a fill. Nothing depends
//! on which books share a pass.

use super::batch_book::{BatchBook, BookRules, Market, TILE, TileSums, View};
use super::batch_exits::{Orders, advance};
use super::cross_words::{WORD, exceeding};
use super::exit_rules::ExitParameters;
use super::instructions::for_each_instructions;
use super::range_extremes::RangeExtremes;
use super::running_sums::RunningSums;

const WORDS: usize = TILE / WORD;

/// A column of a tile, cut into words.
type Column = [[f64; WORD]; WORDS];

/// One book and the means that it compares.
#[derive(Clone, Debug)]
pub struct CrossBook {
    /// Its state.
    pub book: BatchBook,
    /// Index of the fast mean among the windows.
    pub fast: usize,
    /// Index of the slow mean.
    pub slow: usize,
    /// Whether it goes short where the fast mean is below.
    pub short: bool,
    /// The level that was ordered last: 1, 0 or -1.
    pub level: f64,
}

/// Books over the same rows.
pub struct CrossPass<'a> {
    /// The rows of the span.
    pub market: &'a Market<'a>,
    /// Prices at which orders are filled: opens or closes of the span.
    pub fill_prices: &'a [f64],
    /// Closes from `first_row` rows before the span on, at least to its end.
    pub history: &'a [f64],
    /// The span's first row in the history.
    pub first_row: usize,
    /// Two means closer than this share of the close are equal.
    pub tie: f64,
    /// Rows between a decision and its fill: 1 where fills are at opens, 0 where at closes.
    pub lag: usize,
    /// Lengths of the means.
    pub windows: &'a [usize],
    /// What fills obey.
    pub rules: &'a BookRules,
    /// `[book]`: exits; empty where no book has any and nothing is paid for holding.
    pub exits: &'a [ExitParameters],
    /// The books.
    pub books: &'a mut [CrossBook],
    /// `[book][sample + 1]`: sampled equity; the last of each book is scratch.
    pub samples: &'a mut [f64],
}

/// What the books of a pass share in one tile.
struct Tile {
    sums: TileSums,
    extremes: RangeExtremes,
    history: RunningSums,
    /// `[window]`: means by which the orders filled in each row were decided; NaN where there is none.
    means: Vec<Column>,
    ties: Column,
}

/// The rows of a tile at which a book's level changes, and which level it is from each row on.
struct Changes {
    count: usize,
    rows: [u16; TILE + WORD],
    up: [u64; WORDS],
    down: [u64; WORDS],
}

#[inline(always)]
fn run_body<const KIND: u8>(pass: CrossPass) {
    let rows = pass.market.close.len();
    let mut tile = Tile {
        sums: TileSums::empty(),
        extremes: RangeExtremes::default(),
        history: RunningSums::default(),
        means: vec![[[f64::NAN; WORD]; WORDS]; pass.windows.len()],
        ties: [[0.0; WORD]; WORDS],
    };
    let mut changes = Changes { count: 0, rows: [0; TILE + WORD], up: [0; WORDS], down: [0; WORDS] };
    let stride = pass.samples.len() / pass.books.len().max(1);
    for start in (0..rows).step_by(TILE) {
        tile.fill(&pass, start);
        let view = View { market: pass.market, sums: &tile.sums, rules: pass.rules };
        let books = pass.books.iter_mut().zip(pass.samples.chunks_exact_mut(stride));
        for (number, (book, samples)) in books.enumerate() {
            changes.find::<KIND>(&tile, book);
            if let Some(exits) = pass.exits.get(number) {
                let orders = Orders {
                    rows: &changes.rows[..changes.count],
                    target: |row| changes.level(row),
                    range: |start, end| tile.extremes.of(start - tile.sums.start, end - tile.sums.start),
                };
                advance(&mut book.book, view, &orders, exits, samples);
            } else {
                follow(&changes, view, (pass.fill_prices, &tile.extremes), book, samples);
            }
        }
    }
}

for_each_instructions! {
    /// Runs every book over all rows.
    pub fn run_crosses(pass: CrossPass) = run_body;
}

impl Tile {
    #[inline(always)]
    fn fill(&mut self, pass: &CrossPass, start: usize) {
        self.sums.fill(pass.market, start);
        let rows = self.sums.rows;
        self.extremes.fill(&pass.market.close[start..start + rows]);
        // The row of the history whose close decided what is filled in the tile's first row, if there is one.
        let undecided = pass.lag.saturating_sub(pass.first_row + start).min(rows);
        let first = (pass.first_row + start + undecided) - pass.lag;
        let end = first + rows - undecided;
        let longest = pass.windows.iter().max().copied().unwrap_or(0);
        self.history.forget_before((first + 1).saturating_sub(longest));
        self.history.extend(&pass.history[self.history.rows()..end]);
        for (window, means) in pass.windows.iter().zip(&mut self.means) {
            let means = means.as_flattened_mut();
            means[..undecided].fill(f64::NAN);
            self.history.means(*window, first, &mut means[undecided..rows]);
        }
        let ties = &mut self.ties.as_flattened_mut()[undecided..rows];
        for (tie, close) in ties.iter_mut().zip(&pass.history[first..end]) {
            *tie = pass.tie * close;
        }
    }
}

impl Changes {
    /// Compares the two means of a book over the tile.
    #[inline(always)]
    fn find<const KIND: u8>(&mut self, tile: &Tile, book: &mut CrossBook) {
        self.count = 0;
        let mut before = [u64::from(book.level > 0.0), u64::from(book.level < 0.0)];
        let (fast, slow) = (&tile.means[book.fast], &tile.means[book.slow]);
        let columns = fast.iter().zip(slow).zip(&tile.ties);
        let words = self.up.iter_mut().zip(&mut self.down).zip(columns).zip(valid_bits(tile.sums.rows));
        let rows = &mut self.rows;
        for (number, (((up, down), ((fast, slow), tie)), valid)) in words.enumerate() {
            *up = exceeding::<KIND>(fast, slow, tie);
            *down = if book.short { exceeding::<KIND>(slow, fast, tie) } else { 0 };
            let changed = (*up ^ (*up << 1 | before[0])) | (*down ^ (*down << 1 | before[1]));
            self.count += push(&mut rows[self.count..], number * WORD, changed & valid);
            before = [*up >> (WORD - 1), *down >> (WORD - 1)];
        }
        if let Some(last) = self.count.checked_sub(1) {
            book.level = self.level(self.rows[last] as usize);
        }
    }

    #[inline(always)]
    fn level(&self, row: usize) -> f64 {
        let bit = |words: &[u64; WORDS]| (words[row / WORD] >> (row % WORD) & 1) as f64;
        bit(&self.up) - bit(&self.down)
    }
}

/// For each word of a tile the bits that are rows of it.
#[inline(always)]
fn valid_bits(rows: usize) -> impl Iterator<Item = u64> {
    let valid = move |number: usize| {
        let left = rows.saturating_sub(number * WORD);
        if left < WORD { (1 << left) - 1 } else { u64::MAX }
    };
    (0..rows.div_ceil(WORD)).map(valid)
}

/// Writes the rows of the bits that are set, and says how many there are.
#[inline(always)]
fn push(rows: &mut [u16], first: usize, mut bits: u64) -> usize {
    let count = bits.count_ones() as usize;
    // Two rows are written whether they are there or not: which of nought, one and two it is cannot be guessed.
    for slot in &mut rows[..count.max(2)] {
        *slot = (first + bits.trailing_zeros() as usize) as u16;
        bits &= bits.wrapping_sub(1);
    }
    count
}

/// Trades at every change of a tile, and takes in the rows between.
#[inline(always)]
fn follow(
    changes: &Changes,
    view: View,
    (fill_prices, extremes): (&[f64], &RangeExtremes),
    cross: &mut CrossBook,
    samples: &mut [f64],
) {
    let (book, tile) = (&mut cross.book, view.sums.start);
    for change in &changes.rows[..changes.count] {
        let row = tile + *change as usize;
        if row > book.marked {
            let start = book.marked;
            book.hold(view, row, || extremes.of(start - tile, row - tile), samples);
        }
        if !book.bankrupt {
            book.trade(changes.level(*change as usize), fill_prices[row], view.rules);
        }
    }
    let (start, end) = (book.marked, tile + view.sums.rows);
    if end > start {
        book.hold(view, end, || extremes.of(start - tile, end - tile), samples);
    }
}
