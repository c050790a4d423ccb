//! The rows of a batch of books on a CUDA device: columns of the market, and what of them is added up or compared once for all
//! books.

use super::backtest_batch::CrossPass;
use super::batch_book::{BookRules, TILE};
use super::exit_rules::ExitParameters;
use super::gpu::{Address, Argument, Gpu, GpuError, Launch, Memory};
use super::running_sums::RunningSums;

/// Levels of the extremes of ranges, of which the longest has [`TILE`] rows.
const LEVELS: usize = TILE.ilog2() as usize + 1;

/// Flags of a book's exits; `batch_exits.cuh` has the same numbers.
const WORST_FIRST: u32 = 1;
const FILLS_AT_OPEN: u32 = 2;

/// What all books read.
pub(super) struct Rows {
    pub(super) count: usize,
    pub(super) end_step: usize,
    pub(super) close: Memory<f64>,
    pub(super) fill_prices: Memory<f64>,
    /// `[row]`: sums of returns and of their squares from the tile's first row on.
    pub(super) returns: Memory<f64>,
    pub(super) squares: Memory<f64>,
    /// `[level][row]`: highest and lowest close of the 2^level rows from this one on.
    pub(super) extremes: [Memory<f64>; 2],
    pub(super) samples_before: Memory<u32>,
    pub(super) sample_rows: Memory<u32>,
    /// Empty where there are no gaps.
    pub(super) steps: Memory<u32>,
    /// `[row]`: distance below which two means are equal.
    pub(super) ties: Memory<f64>,
    /// Running sums of the closes that decide, and of their errors.
    pub(super) sums: [Memory<f64>; 2],
    /// How many closes decide up to row 0, itself included; it may be one that is not there.
    pub(super) values_before: usize,
    pub(super) windows: Memory<i32>,
}

impl Rows {
    pub(super) fn upload(gpu: &Gpu, pass: &CrossPass) -> Result<Rows, GpuError> {
        let (market, count) = (pass.market, pass.market.close.len());
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
            extremes: extremes(gpu, [market.close; 2])?,
            samples_before: gpu.upload(&samples_before(pass))?,
            sample_rows: gpu.upload(&market.sample_rows)?,
            steps: gpu.upload(market.steps)?,
            ties: gpu.upload(&ties.collect::<Vec<f64>>())?,
            sums: [gpu.upload(high)?, gpu.upload(low)?],
            values_before: pass.first_row + 1 - pass.lag,
            windows: gpu.upload(&windows)?,
        };
        let columns = [&rows.close, &rows.returns, &rows.squares].map(place);
        let blocks = count.div_ceil(TILE).div_ceil(32);
        gpu.launch(of("tile_returns", [blocks, 1, 1], 32), &[&columns[..], &[count.into()]].concat())?;
        Ok(rows)
    }
}

/// `[level][row]`: the highest of the one column and the lowest of the other in ranges of rows.
fn extremes(gpu: &Gpu, columns: [&[f64]; 2]) -> Result<[Memory<f64>; 2], GpuError> {
    let rows = columns[0].len();
    let (mut highest, mut lowest) = (gpu.zeros(LEVELS * rows)?, gpu.zeros(LEVELS * rows)?);
    gpu.write(&mut highest, 0, columns[0])?;
    gpu.write(&mut lowest, 0, columns[1])?;
    for level in (1..LEVELS).take_while(|level| rows >> level > 0) {
        let blocks = (rows + 1 - (1 << level)).div_ceil(256);
        gpu.launch(
            of("range_extremes", [blocks, 1, 1], 256),
            &[place(&highest), place(&lowest), level.into(), rows.into()],
        )?;
    }
    Ok([highest, lowest])
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

/// What books with exits, or payments for holding, read beside.
pub(super) struct Watch {
    open: Memory<f64>,
    /// `[level][row]`: highest high and lowest low.
    extremes: [Memory<f64>; 2],
    /// Empty where nothing is paid.
    funding: Memory<f64>,
    borrow: Memory<f64>,
    /// `[row]`: the first row from this one on at which funding is paid.
    next_paid: Memory<u32>,
    /// `[3][book]`: stop, target, trailing stop.
    exits: Memory<f64>,
    /// `[2][book]`: most bars, flags.
    limits: Memory<u32>,
}

impl Watch {
    /// `None` where nothing can happen to a position without an order.
    pub(super) fn upload(gpu: &Gpu, pass: &CrossPass) -> Result<Option<Watch>, GpuError> {
        let (market, exits) = (pass.market, pass.exits);
        if exits.is_empty() {
            return Ok(None);
        }
        let level = |of: fn(&ExitParameters) -> f64| exits.iter().map(of);
        let stops = level(|exits| exits.stop_loss);
        let levels = stops.chain(level(|exits| exits.take_profit)).chain(level(|exits| exits.trailing_stop));
        let flags = |exits: &ExitParameters| {
            u32::from(exits.worst_first) * WORST_FIRST + u32::from(exits.fills_at_open) * FILLS_AT_OPEN
        };
        let limits = exits.iter().map(|exits| exits.max_bars).chain(exits.iter().map(flags));
        let mut next = market.funding.len() as u32;
        let mut next_paid = vec![0; market.funding.len()];
        for (row, rate) in market.funding.iter().enumerate().rev() {
            next = if *rate == 0.0 { next } else { row as u32 };
            next_paid[row] = next;
        }
        Ok(Some(Watch {
            open: gpu.upload(market.open)?,
            extremes: extremes(gpu, [market.high, market.low])?,
            funding: gpu.upload(market.funding)?,
            borrow: gpu.upload(market.borrow)?,
            next_paid: gpu.upload(&next_paid)?,
            exits: gpu.upload(&levels.collect::<Vec<f64>>())?,
            limits: gpu.upload(&limits.collect::<Vec<u32>>())?,
        }))
    }

    /// What the kernel takes beside the arguments of all books.
    pub(super) fn arguments(&self, rules: &BookRules) -> [Argument; 10] {
        let [highs, lows] = self.extremes.each_ref().map(place);
        [
            place(&self.open),
            highs,
            lows,
            place_or_none(&self.funding),
            place_or_none(&self.borrow),
            place(&self.next_paid),
            place(&self.exits),
            place(&self.limits),
            rules.resting.fee_rate.into(),
            rules.resting.slippage_rate.into(),
        ]
    }
}

pub(super) fn of(name: &'static str, grid: [usize; 3], threads: usize) -> Launch {
    Launch { kernel: ("backtest_batch", name), grid, threads, shared_bytes: 0 }
}

pub(super) fn place<T>(memory: &Memory<T>) -> Argument {
    memory.address().into()
}

/// A null pointer where there is nothing.
pub(super) fn place_or_none<T>(memory: &Memory<T>) -> Argument {
    if memory.is_empty() { Address::NONE.into() } else { place(memory) }
}
