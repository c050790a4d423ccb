//! Many books of moving-average crosses on a CUDA device: the device's half of [`backtest_batch`](super::backtest_batch), in
//! `backtest_batch.cu` and `batch_book.cuh`. Every number has the bits of the CPU, the sums of returns included: f64 all
//! through, the same operations in the same order, nothing fused.
//!
//! The running sums behind the means are made by the CPU, everything else on the device. Rows pass in stretches of whole
//! tiles, so that the room for means and comparisons does not grow with them.

use super::backtest_batch::{CrossBook, CrossPass};
use super::batch_book::{BookRules, Size, TILE};
use super::gpu::{Address, Argument, Gpu, GpuError, Launch, Memory};
use super::running_sums::RunningSums;

/// Levels of the extremes of ranges, of which the longest has [`TILE`] rows.
const LEVELS: usize = TILE.ilog2() as usize + 1;

/// Room for the means and comparisons of a stretch: enough rows to keep a device busy, few enough for its second cache to
/// help.
pub const STRETCH_BYTES: usize = 128 << 20;

/// Books whose comparisons a block makes; a multiple of [`LANES`].
const GROUP: usize = 256;

/// Books whose comparisons are stored at once.
const LANES: usize = 32;

/// Returns that are read at once.
const READ_RETURNS: usize = 1 << 22;

/// Numbers of a book in the table of the device; the `.cuh` has the same number.
const COLUMNS: usize = 18;

/// Whether the device can run these books: not where anything may happen to a position without an order.
pub fn runs(pass: &CrossPass) -> bool {
    let small = |count: usize| i32::try_from(count).is_ok();
    pass.exits.is_empty()
        && small(2 * pass.history.len() + TILE)
        && small(2 * pass.books.len() + LANES)
        && pass.books.len().div_ceil(GROUP) <= 65_535
        && pass.windows.len() <= 65_535
        && small(pass.market.sample_rows.len())
}

/// Runs every book over all rows, as [`run_crosses`](super::backtest_batch::run_crosses), and says whether it came to the
/// end: `stop` is asked now and then, between stretches of as many tiles as have room in `stretch_bytes`, at least one, which
/// changes no bit. Once all books are done they are written, and `keep` is given the number of each and its returns from sample
/// to sample, the first one against the equity at the start; 0 where nothing was left. The samples of the pass are not touched.
///
/// # Errors
/// A device without room, or one that fails. The books may then hold anything.
///
/// # Panics
/// Where [`runs`] says no: a fault of the caller.
pub fn run_crosses_on(
    gpu: &Gpu,
    pass: CrossPass,
    stretch_bytes: usize,
    stop: &dyn Fn() -> bool,
    keep: &mut dyn FnMut(usize, &[f32]),
) -> Result<bool, GpuError> {
    assert!(runs(&pass), "these books are not for the device");
    if pass.books.is_empty() || pass.market.close.is_empty() {
        return Ok(true);
    }
    let rows = Rows::upload(gpu, &pass)?;
    let books = Books::upload(gpu, &pass, stretch_bytes)?;
    for first in (0..pass.market.close.len()).step_by(books.stretch) {
        if stop() {
            return Ok(false);
        }
        let count = books.stretch.min(pass.market.close.len() - first);
        books.compare(gpu, &rows, first, count)?;
        books.follow(gpu, &rows, &pass, (first, count))?;
        gpu.wait()?;
    }
    books.download(gpu, pass, keep)?;
    Ok(true)
}

/// What all books read.
struct Rows {
    count: usize,
    end_step: usize,
    close: Memory<f64>,
    fill_prices: Memory<f64>,
    /// `[row]`: sums of returns and of their squares from the tile's first row on.
    returns: Memory<f64>,
    squares: Memory<f64>,
    /// `[level][row]`
    highest: Memory<f64>,
    lowest: Memory<f64>,
    samples_before: Memory<u32>,
    sample_rows: Memory<u32>,
    /// Empty where there are no gaps.
    steps: Memory<u32>,
    /// `[row]`: distance below which two means are equal.
    ties: Memory<f64>,
    /// Running sums of the closes that decide, and of their errors.
    sums: [Memory<f64>; 2],
    /// How many closes decide up to row 0, itself included; it may be one that is not there.
    values_before: usize,
    windows: Memory<i32>,
}

impl Rows {
    fn upload(gpu: &Gpu, pass: &CrossPass) -> Result<Rows, GpuError> {
        let (market, count) = (pass.market, pass.market.close.len());
        let levels = || gpu.zeros(LEVELS * count);
        let (mut highest, mut lowest) = (levels()?, levels()?);
        gpu.write(&mut highest, 0, market.close)?;
        gpu.write(&mut lowest, 0, market.close)?;
        // The close that decides row r is number first_row + r - lag of the history.
        let decided = (pass.first_row + count) - pass.lag;
        let ties = (0..count).map(|row| match (pass.first_row + row).checked_sub(pass.lag) {
            Some(place) => pass.tie * pass.history[place],
            None => 0.0,
        });
        let sums = RunningSums::new(&pass.history[..decided]);
        let (high, low) = sums.columns().unwrap_or_default();
        let windows: Vec<i32> =
            pass.windows.iter().map(|window| i32::try_from(*window).unwrap_or(i32::MAX)).collect();
        let rows = Rows {
            count,
            end_step: market.end_step,
            close: gpu.upload(market.close)?,
            fill_prices: gpu.upload(pass.fill_prices)?,
            returns: gpu.zeros(count)?,
            squares: gpu.zeros(count)?,
            highest,
            lowest,
            samples_before: gpu.upload(&samples_before(pass))?,
            sample_rows: gpu.upload(&market.sample_rows)?,
            steps: gpu.upload(market.steps)?,
            ties: gpu.upload(&ties.collect::<Vec<f64>>())?,
            sums: [gpu.upload(high)?, gpu.upload(low)?],
            values_before: pass.first_row + 1 - pass.lag,
            windows: gpu.upload(&windows)?,
        };
        rows.prepare(gpu)?;
        Ok(rows)
    }

    /// Sums and extremes of tiles.
    fn prepare(&self, gpu: &Gpu) -> Result<(), GpuError> {
        let launch = |name, blocks, threads| of(name, [blocks, 1, 1], threads);
        let [close, returns, squares] = [&self.close, &self.returns, &self.squares].map(place);
        let tiles = self.count.div_ceil(TILE);
        gpu.launch(
            launch("tile_returns", tiles.div_ceil(32), 32),
            &[close, returns, squares, self.count.into()],
        )?;
        let [highest, lowest] = [&self.highest, &self.lowest].map(place);
        for level in (1..LEVELS).take_while(|level| self.count >> level > 0) {
            let rows = self.count + 1 - (1 << level);
            gpu.launch(
                launch("range_extremes", rows.div_ceil(256), 256),
                &[highest, lowest, level.into(), self.count.into()],
            )?;
        }
        Ok(())
    }
}

/// `[row]`, one more than rows: samples that are taken before it.
fn samples_before(pass: &CrossPass) -> Vec<u32> {
    let market = pass.market;
    let mut sample = market.unlisted_samples;
    (0..=market.close.len())
        .map(|row| {
            while market.sample_rows.get(sample).is_some_and(|next| (*next as usize) < row) {
                sample += 1;
            }
            sample as u32
        })
        .collect()
}

/// The books and their room.
struct Books {
    count: usize,
    /// The same, filled up to whole words of lanes.
    padded: usize,
    /// Rows of a stretch.
    stretch: usize,
    /// `[book][2]`: windows.
    pairs: Memory<i32>,
    /// `[book]`: whether it goes short.
    shorts: Memory<i32>,
    /// `[COLUMNS][book]`
    table: Memory<f64>,
    /// `[book][sample + 1]`: the equity before and that at each sample.
    equity: Memory<f64>,
    /// `[book][sample]`: from sample to sample.
    returns: Memory<f32>,
    samples: usize,
    /// `[window][row of the stretch]`
    means: Memory<f64>,
    /// `[word of the stretch][book]`
    up: Memory<u32>,
    /// The same, empty where no book goes short.
    down: Memory<u32>,
}

impl Books {
    fn upload(gpu: &Gpu, pass: &CrossPass, stretch_bytes: usize) -> Result<Books, GpuError> {
        let (books, rows, samples) = (&*pass.books, pass.market.close.len(), pass.market.sample_rows.len());
        let padded = books.len().next_multiple_of(LANES);
        let kinds = if books.iter().any(|book| book.short) { 2 } else { 1 };
        let tile_bytes = TILE * (pass.windows.len() * size_of::<f64>() + kinds * padded / 8);
        let stretch = TILE * (stretch_bytes / tile_bytes).clamp(1, rows.div_ceil(TILE));
        let words = stretch / 32 * padded;
        let mut pairs = vec![0; 2 * padded];
        for (pair, book) in pairs.chunks_exact_mut(2).zip(books) {
            pair.copy_from_slice(&[book.fast as i32, book.slow as i32]);
        }
        let columns: Vec<[f64; COLUMNS]> = books.iter().map(columns).collect();
        let table: Vec<f64> =
            (0..COLUMNS).flat_map(|column| columns.iter().map(move |book| book[column])).collect();
        Ok(Books {
            count: books.len(),
            padded,
            stretch,
            pairs: gpu.upload(&pairs)?,
            shorts: gpu.upload(&books.iter().map(|book| i32::from(book.short)).collect::<Vec<_>>())?,
            table: gpu.upload(&table)?,
            equity: gpu.zeros(books.len() * (samples + 1))?,
            returns: gpu.zeros(books.len() * samples)?,
            samples,
            means: gpu.zeros(pass.windows.len() * stretch)?,
            up: gpu.zeros(words)?,
            down: gpu.zeros(if kinds == 2 { words } else { 0 })?,
        })
    }

    /// Means and comparisons of the rows from `first` on.
    fn compare(&self, gpu: &Gpu, rows: &Rows, first: usize, count: usize) -> Result<(), GpuError> {
        let [high, low] = rows.sums.each_ref().map(place);
        let stretch = self.stretch.into();
        let (start, length) = (first.into(), count.into());
        gpu.launch(
            of("cross_means", [count.div_ceil(256), rows.windows.len(), 1], 256),
            &[
                high,
                low,
                place(&rows.windows),
                place(&self.means),
                rows.values_before.into(),
                start,
                length,
                stretch,
            ],
        )?;
        gpu.launch(
            of("cross_words", [count.div_ceil(256), self.padded.div_ceil(GROUP), 1], 256),
            &[
                place(&self.means),
                place(&rows.ties),
                place(&self.pairs),
                place(&self.up),
                place_or_none(&self.down),
                start,
                length,
                stretch,
                self.padded.into(),
                GROUP.into(),
            ],
        )
    }

    /// Takes the books through these rows.
    fn follow(
        &self,
        gpu: &Gpu,
        rows: &Rows,
        pass: &CrossPass,
        (first, count): (usize, usize),
    ) -> Result<(), GpuError> {
        let BookRules { costs, size, .. } = pass.rules;
        let (size, in_units) = match *size {
            Size::Share(share) => (share, 0),
            Size::Units(units) => (units, 1),
        };
        gpu.launch(
            of("cross_books", [self.count.div_ceil(64), 1, 1], 64),
            &[
                place(&rows.close),
                place(&rows.fill_prices),
                place(&rows.returns),
                place(&rows.squares),
                place(&rows.highest),
                place(&rows.lowest),
                place(&rows.samples_before),
                place(&rows.sample_rows),
                place_or_none(&rows.steps),
                (rows.end_step as u64).into(),
                rows.count.into(),
                place(&self.up),
                place_or_none(&self.down),
                self.padded.into(),
                place(&self.shorts),
                place(&self.table),
                place(&self.equity),
                self.samples.into(),
                pass.market.unlisted_samples.into(),
                self.count.into(),
                first.into(),
                count.into(),
                costs.fee_rate.into(),
                costs.slippage_rate.into(),
                size.into(),
                Argument::Int(in_units),
            ],
        )
    }

    /// Writes what was found into the books of the pass and hands out their returns.
    fn download(
        &self,
        gpu: &Gpu,
        pass: CrossPass,
        keep: &mut dyn FnMut(usize, &[f32]),
    ) -> Result<(), GpuError> {
        let table = gpu.read(&self.table, 0, COLUMNS * self.count)?;
        for (number, book) in pass.books.iter_mut().enumerate() {
            let columns = std::array::from_fn(|column| table[column * self.count + number]);
            restore(book, columns, pass.market.close.len());
        }
        if self.samples == 0 {
            (0..self.count).for_each(|book| keep(book, &[]));
            return Ok(());
        }
        let items = self.count * self.samples;
        gpu.launch(
            of("sampled_returns", [items.div_ceil(256), 1, 1], 256),
            &[place(&self.equity), place(&self.returns), self.samples.into(), (items as u64).into()],
        )?;
        let at_once = (READ_RETURNS / self.samples).max(1);
        for first in (0..self.count).step_by(at_once) {
            let count = at_once.min(self.count - first);
            let found = gpu.read(&self.returns, first * self.samples, count * self.samples)?;
            for (number, returns) in found.chunks_exact(self.samples).enumerate() {
                keep(first + number, returns);
            }
        }
        Ok(())
    }
}

/// A book as the device keeps it. Counts are below 2^53.
fn columns(cross: &CrossBook) -> [f64; COLUMNS] {
    let book = &cross.book;
    [
        book.cash,
        book.quantity,
        book.before,
        book.high,
        book.trough,
        book.deepest,
        book.profit,
        book.fees,
        book.slippage_cost,
        book.last_change,
        book.sum,
        book.squares,
        book.fills as f64,
        book.trades as f64,
        book.winning_trades as f64,
        book.held_steps as f64,
        f64::from(u8::from(book.bankrupt)),
        cross.level,
    ]
}

fn restore(cross: &mut CrossBook, columns: [f64; COLUMNS], marked: usize) {
    let book = &mut cross.book;
    let [money @ .., fills, trades, winning_trades, held_steps, bankrupt, level] = columns;
    [
        book.cash,
        book.quantity,
        book.before,
        book.high,
        book.trough,
        book.deepest,
        book.profit,
        book.fees,
        book.slippage_cost,
        book.last_change,
        book.sum,
        book.squares,
    ] = money;
    book.fills = fills as usize;
    book.trades = trades as usize;
    book.winning_trades = winning_trades as usize;
    book.held_steps = held_steps as usize;
    book.bankrupt = bankrupt != 0.0;
    book.marked = marked;
    cross.level = level;
}

fn of(name: &'static str, grid: [usize; 3], threads: usize) -> Launch {
    Launch { kernel: ("backtest_batch", name), grid, threads, shared_bytes: 0 }
}

fn place<T>(memory: &Memory<T>) -> Argument {
    memory.address().into()
}

/// A null pointer where there is nothing.
fn place_or_none<T>(memory: &Memory<T>) -> Argument {
    if memory.is_empty() { Address::NONE.into() } else { place(memory) }
}
