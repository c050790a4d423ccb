//! Many books of moving-average crosses over the same bars, side by side.
//!
//! The rows are cut into tiles that stay in the cache. In a tile every mean is computed once; each book then compares its
//! two means 64 rows at a time and acts only where its level changes; what lies between two fills is taken in at once
//! ([`BatchBook::hold`]). The work is hence a fraction of an instruction a bar and a fixed amount a fill. Nothing depends
//! on which books share a pass.

use super::batch_book::{BatchBook, BookRules, Market};
use super::cross_words::{WORD, exceeding};
use super::instructions::for_each_instructions;
use super::range_extremes::RangeExtremes;
use super::running_sums::RunningSums;

/// Rows of a tile: the means of fifty windows fit into a second-level cache of one MiB.
pub const TILE: usize = 1024;

const WORDS: usize = TILE / WORD;

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
    /// Sums of the closes of the whole history, which begins `first_row` rows before the span.
    pub sums: &'a RunningSums,
    /// `[row of the history]`: the distance of two means up to which they count as equal.
    pub ties: &'a [f64],
    /// The span's first row in the history.
    pub first_row: usize,
    /// Rows between a decision and its fill: 1 where fills are at opens, 0 where at closes.
    pub lag: usize,
    /// Lengths of the means.
    pub windows: &'a [usize],
    /// What fills obey.
    pub rules: &'a BookRules,
    /// The books.
    pub books: &'a mut [CrossBook],
    /// `[book][sample + 1]`: sampled equity; the last of each book is scratch.
    pub samples: &'a mut [f64],
}

/// What the books of a pass share in one tile.
struct Tile {
    start: usize,
    rows: usize,
    /// `[window][TILE]`: means by which the orders filled in each row were decided; NaN where there is none.
    means: Vec<f64>,
    ties: [f64; TILE],
    extremes: RangeExtremes,
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
        start: 0,
        rows: 0,
        means: vec![f64::NAN; pass.windows.len() * TILE],
        ties: [0.0; TILE],
        extremes: RangeExtremes::default(),
    };
    let mut changes = Changes { count: 0, rows: [0; TILE + WORD], up: [0; WORDS], down: [0; WORDS] };
    let stride = pass.samples.len() / pass.books.len().max(1);
    for start in (0..rows).step_by(TILE) {
        tile.fill(&pass, start, (rows - start).min(TILE));
        for (book, samples) in pass.books.iter_mut().zip(pass.samples.chunks_exact_mut(stride)) {
            changes.find::<KIND>(&tile, book);
            follow(&changes, &tile, (pass.market, pass.fill_prices, pass.rules), book, samples);
        }
    }
}

for_each_instructions! {
    /// Runs every book over all rows.
    pub fn run_crosses(pass: CrossPass) = run_body;
}

impl Tile {
    #[inline(always)]
    fn fill(&mut self, pass: &CrossPass, start: usize, rows: usize) {
        (self.start, self.rows) = (start, rows);
        // The row of the history whose close decided what is filled in the tile's first row, if there is one.
        let undecided = pass.lag.saturating_sub(pass.first_row + start).min(rows);
        let first = (pass.first_row + start + undecided) - pass.lag;
        for (window, means) in pass.windows.iter().zip(self.means.chunks_exact_mut(TILE)) {
            means[..undecided].fill(f64::NAN);
            pass.sums.means(*window, first, &mut means[undecided..rows]);
        }
        self.ties[undecided..rows].copy_from_slice(&pass.ties[first..first + rows - undecided]);
        self.extremes.fill(&pass.market.close[start..start + rows]);
    }

    #[inline(always)]
    fn means(&self, window: usize) -> &[f64; TILE] {
        // The chunk has this length; the array lets the compiler drop all later checks.
        self.means[window * TILE..].first_chunk().unwrap_or(&[f64::NAN; TILE])
    }
}

#[inline(always)]
fn word(values: &[f64; TILE], number: usize) -> &[f64; WORD] {
    values[number * WORD..].first_chunk().unwrap_or(&[f64::NAN; WORD])
}

impl Changes {
    /// Compares the two means of a book over the tile.
    #[inline(always)]
    fn find<const KIND: u8>(&mut self, tile: &Tile, book: &mut CrossBook) {
        self.count = 0;
        let (fast, slow) = (tile.means(book.fast), tile.means(book.slow));
        let mut before = [u64::from(book.level > 0.0), u64::from(book.level < 0.0)];
        for number in 0..tile.rows.div_ceil(WORD) {
            let pair = (word(fast, number), word(slow, number), word(&tile.ties, number));
            let up = exceeding::<KIND>(pair.0, pair.1, pair.2);
            let down = if book.short { exceeding::<KIND>(pair.1, pair.0, pair.2) } else { 0 };
            (self.up[number], self.down[number]) = (up, down);
            let left = tile.rows - number * WORD;
            let valid = if left < WORD { (1 << left) - 1 } else { u64::MAX };
            let changed = (up ^ (up << 1 | before[0])) | (down ^ (down << 1 | before[1]));
            self.push(number * WORD, changed & valid);
            before = [up >> (WORD - 1), down >> (WORD - 1)];
        }
        if let Some(last) = self.count.checked_sub(1) {
            book.level = self.level(self.rows[last] as usize);
        }
    }

    /// Notes the rows of the bits that are set.
    #[inline(always)]
    fn push(&mut self, first: usize, mut bits: u64) {
        let count = bits.count_ones() as usize;
        // Two rows are written whether they are there or not: which of nought, one and two it is cannot be guessed.
        for number in 0..2 {
            self.rows[self.count + number] = (first + bits.trailing_zeros() as usize) as u16;
            bits &= bits.wrapping_sub(1);
        }
        for number in 2..count {
            self.rows[self.count + number] = (first + bits.trailing_zeros() as usize) as u16;
            bits &= bits.wrapping_sub(1);
        }
        self.count += count;
    }

    #[inline(always)]
    fn level(&self, row: usize) -> f64 {
        let bit = |words: &[u64; WORDS]| (words[row / WORD] >> (row % WORD) & 1) as f64;
        bit(&self.up) - bit(&self.down)
    }
}

/// Trades at every change of a tile, and takes in the rows between.
#[inline(always)]
fn follow(
    changes: &Changes,
    tile: &Tile,
    (market, fill_prices, rules): (&Market, &[f64], &BookRules),
    cross: &mut CrossBook,
    samples: &mut [f64],
) {
    let book = &mut cross.book;
    for change in &changes.rows[..changes.count] {
        let row = tile.start + *change as usize;
        if row > book.marked {
            let start = book.marked;
            let range = || tile.extremes.of(start - tile.start, row - tile.start);
            book.hold(market, row, range, samples, rules);
        }
        if !book.bankrupt {
            book.trade(changes.level(*change as usize), fill_prices[row], rules);
        }
    }
    let (start, end) = (book.marked, tile.start + tile.rows);
    if end > start {
        book.hold(market, end, || tile.extremes.of(start - tile.start, tile.rows), samples, rules);
    }
}
