//! Many books of moving-average crosses on a CUDA device: the device's half of [`backtest_batch`](super::backtest_batch), in
//! `backtest_batch.cu` and `batch_book.cuh`. Every number has the bits of the CPU, the sums of returns included: f64 all
//! through, the same operations in the same order, nothing fused. Exits and payments for holding are in `batch_exits.cuh`.
//!
//! The running sums behind the means are made by the CPU, everything else on the device. Rows pass in stretches of whole
//! tiles, so that the room for means and comparisons does not grow with them.

use super::backtest_batch::{CrossBook, CrossPass};
use super::backtest_rows::{Rows, Watch, of, place, place_or_none};
use super::batch_book::{BookRules, Size, TILE};
use super::exit_rules::OpenPosition;
use super::gpu::{Argument, Gpu, GpuError, Memory};

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
const COLUMNS: usize = 22;

/// Whether the device can run these books: not where there are more of them, of rows or of windows than its grids can count.
pub fn runs(pass: &CrossPass) -> bool {
    let small = |count: usize| i32::try_from(count).is_ok();
    small(2 * pass.history.len() + TILE)
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
    let (rows, watch) = (Rows::upload(gpu, &pass)?, Watch::upload(gpu, &pass)?);
    let books = Books::upload(gpu, &pass, stretch_bytes)?;
    for first in (0..pass.market.close.len()).step_by(books.stretch) {
        if stop() {
            return Ok(false);
        }
        let count = books.stretch.min(pass.market.close.len() - first);
        books.compare(gpu, &rows, first, count)?;
        books.follow(gpu, (&rows, watch.as_ref()), &pass, (first, count))?;
        gpu.wait()?;
    }
    books.download(gpu, pass, keep)?;
    Ok(true)
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
        (rows, watch): (&Rows, Option<&Watch>),
        pass: &CrossPass,
        (first, count): (usize, usize),
    ) -> Result<(), GpuError> {
        let BookRules { costs, size, .. } = pass.rules;
        let (size, in_units) = match *size {
            Size::Share(share) => (share, 0),
            Size::Units(units) => (units, 1),
        };
        let [highest, lowest] = rows.extremes.each_ref().map(place);
        let mut arguments = vec![
            place(&rows.close),
            place(&rows.fill_prices),
            place(&rows.returns),
            place(&rows.squares),
            highest,
            lowest,
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
        ];
        arguments.extend(watch.iter().flat_map(|watch| watch.arguments(pass.rules)));
        let kernel = if watch.is_some() { "watched_cross_books" } else { "cross_books" };
        gpu.launch(of(kernel, [self.count.div_ceil(64), 1, 1], 64), &arguments)
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
        book.position.direction,
        book.position.entry_price,
        book.position.extreme,
        f64::from(book.position.entry_row),
    ]
}

fn restore(cross: &mut CrossBook, columns: [f64; COLUMNS], marked: usize) {
    let book = &mut cross.book;
    let [
        money @ ..,
        fills,
        trades,
        winning_trades,
        held_steps,
        bankrupt,
        level,
        direction,
        entry_price,
        extreme,
        entry_row,
    ] = columns;
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
    book.position = OpenPosition { direction, entry_price, extreme, entry_row: entry_row as u32 };
    cross.level = level;
}
