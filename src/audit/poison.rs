//! Futures that did not happen: everything after a moment is replaced, everything up to it is kept to the bit.

use crate::seed::{Seed, Stream};
use crate::table::{BarColumns, Bars, NULL, SymbolBars};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

/// What becomes of the bars after a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Poison {
    /// Noise around four times the last price, with another volume.
    Rise,
    /// Noise around a quarter of the last price.
    Fall,
    /// As [`Poison::Fall`], and the next bar comes more than a year later: the calendar of the future is another one.
    Gap,
    /// The bars that followed, in reversed order.
    Reversed,
    /// The bars that followed, in random order.
    Shuffled,
    /// The bars that followed at a thousand times their prices and volumes; forecasts become null.
    Jump,
    /// Nothing: the world ends.
    Cut,
}

impl fmt::Display for Poison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Poison::Rise => "became noise at four times the price",
            Poison::Fall => "became noise at a quarter of the price",
            Poison::Gap => "came a year later, as noise at a quarter of the price",
            Poison::Reversed => "came in reversed order",
            Poison::Shuffled => "were shuffled",
            Poison::Jump => "jumped to a thousand times their values",
            Poison::Cut => "were cut off",
        })
    }
}

/// How a future is made.
#[derive(Clone, Copy, Debug)]
pub(super) struct Future {
    /// The last step of the timeline that is kept.
    pub step: usize,
    /// What comes after it.
    pub poison: Poison,
    /// Most bars a symbol that come after it. What is only evaluated up to the moment needs no long future, and a short
    /// one makes many moments cheap: a number that uses later bars sees them vanish.
    pub tail: usize,
    /// Whether the first bar after the moment keeps its open and volume: what a fill at that open may know.
    pub keeps_open: bool,
}

/// Bars of a future that are enough to be seen.
pub(super) const TAIL: usize = 32;

/// A gap that no calendar hides.
const GAP_NANOSECONDS: i64 = 400 * 86_400 * 1_000_000_000;

/// The bars with another future. A symbol that is not listed yet keeps one bar of the future, replaced like all others:
/// the list of symbols is the user's choice.
///
/// # Errors
/// Prices that leave the finite.
pub(super) fn poisoned(bars: &Bars, future: &Future, seed: Seed) -> Result<Bars, String> {
    let end = bars.timeline().times()[future.step];
    let interval = bars.interval().max(1);
    let shift =
        if future.poison == Poison::Gap { GAP_NANOSECONDS / interval * interval + interval } else { 0 };
    let mut symbols = Vec::with_capacity(bars.symbols().len());
    for (index, symbol) in bars.symbols().iter().enumerate() {
        let known = symbol.time().partition_point(|time| *time <= end);
        let wanted = if future.poison == Poison::Cut { 0 } else { future.tail };
        let later = known..symbol.len().min(known.saturating_add(wanted).max(1));
        let mut columns = rows(symbol.columns(), 0..known);
        let mut stream =
            seed.stream(&format!("poison {}", future.poison), (future.step * 1000 + index) as u64);
        let replaced = replacement(symbol, later.clone(), future.poison, &mut stream);
        append(&mut columns, &replaced);
        if future.keeps_open && !later.is_empty() {
            keep_open(&mut columns, symbol.columns(), known);
        }
        for (time, original) in columns.time[known..].iter_mut().zip(&symbol.time()[later]) {
            time.0 = original.0.saturating_add(shift);
        }
        let extras = other_extras(symbol, known..columns.time.len(), future.poison, &mut stream);
        let checked = symbol.with_columns(columns).and_then(|bars| bars.with_extras(extras));
        symbols.push(checked.map_err(|error| error.to_string())?);
    }
    Ok(bars.with_symbols(symbols))
}

/// Some rows of all columns.
fn rows(columns: &BarColumns, rows: Range<usize>) -> BarColumns {
    BarColumns {
        time: columns.time[rows.clone()].to_vec(),
        open: columns.open[rows.clone()].to_vec(),
        high: columns.high[rows.clone()].to_vec(),
        low: columns.low[rows.clone()].to_vec(),
        close: columns.close[rows.clone()].to_vec(),
        volume: columns.volume[rows].to_vec(),
    }
}

fn append(columns: &mut BarColumns, more: &BarColumns) {
    columns.time.extend(&more.time);
    columns.open.extend(&more.open);
    columns.high.extend(&more.high);
    columns.low.extend(&more.low);
    columns.close.extend(&more.close);
    columns.volume.extend(&more.volume);
}

/// What stands in the place of some rows; times are those of the rows.
fn replacement(symbol: &SymbolBars, later: Range<usize>, poison: Poison, stream: &mut Stream) -> BarColumns {
    let mut order: Vec<usize> = later.clone().collect();
    let level = symbol.close()[later.start.saturating_sub(1)];
    match poison {
        Poison::Rise => noise(symbol, later, (4.0 * level, 1e6), stream),
        Poison::Fall | Poison::Gap | Poison::Cut => noise(symbol, later, (0.25 * level, 1.0), stream),
        Poison::Reversed => {
            order.reverse();
            picked(symbol.columns(), &order)
        }
        Poison::Shuffled => {
            stream.shuffle(&mut order);
            picked(symbol.columns(), &order)
        }
        Poison::Jump => {
            let mut columns = rows(symbol.columns(), later);
            let prices = [&mut columns.open, &mut columns.high, &mut columns.low, &mut columns.close];
            for column in prices.into_iter().chain([&mut columns.volume]) {
                column.iter_mut().for_each(|value| *value *= 1000.0);
            }
            columns
        }
    }
}

/// Bars around a price whose open and close have nothing to do with each other.
fn noise(
    symbol: &SymbolBars,
    later: Range<usize>,
    (level, volume): (f64, f64),
    stream: &mut Stream,
) -> BarColumns {
    let mut columns = BarColumns { time: symbol.time()[later.clone()].to_vec(), ..BarColumns::default() };
    for _ in later {
        let (open, close) = (level * (0.1 * stream.normal()).exp(), level * (0.1 * stream.normal()).exp());
        columns.open.push(open);
        columns.close.push(close);
        let (high, low) = (open.max(close), open.min(close));
        // By the absolute value, since a series that nobody trades may be negative.
        columns.high.push(high + high.abs() * 0.05 * stream.uniform());
        columns.low.push(low - low.abs() * 0.05 * stream.uniform());
        columns.volume.push(volume * stream.uniform());
    }
    columns
}

/// The extra columns with values from anywhere else in them at the rows `later`, so that a price of gas stays one; or with
/// nulls there, but for a first row, which costs may need.
fn other_extras(
    symbol: &SymbolBars,
    later: Range<usize>,
    poison: Poison,
    stream: &mut Stream,
) -> BTreeMap<String, Vec<f64>> {
    let mut other = |values: &Vec<f64>| {
        let mut changed = values[..later.start].to_vec();
        for row in later.clone() {
            let drawn = values[stream.below(values.len())];
            let keeps = row == 0 && (poison == Poison::Jump || drawn.is_nan());
            let changes = if poison == Poison::Jump { NULL } else { drawn };
            changed.push(if keeps { values[row] } else { changes });
        }
        changed
    };
    symbol.extras().iter().map(|(name, values)| (name.clone(), other(values))).collect()
}

fn picked(columns: &BarColumns, order: &[usize]) -> BarColumns {
    let mut all = BarColumns::default();
    for row in order {
        append(&mut all, &rows(columns, *row..row + 1));
    }
    all
}

/// Gives the row its open and volume back, and a high and low that hold them.
fn keep_open(columns: &mut BarColumns, original: &BarColumns, row: usize) {
    columns.open[row] = original.open[row];
    columns.volume[row] = original.volume[row];
    columns.high[row] = columns.high[row].max(columns.open[row]);
    columns.low[row] = columns.low[row].min(columns.open[row]);
}

/// So many moments of a range, one drawn from each of equal parts of it, ascending.
pub(super) fn spread(range: Range<usize>, count: usize, stream: &mut Stream) -> Vec<usize> {
    let length = range.len();
    let count = count.min(length);
    let mut moments: Vec<usize> = (0..count)
        .map(|part| {
            let (start, end) = (part * length / count, (part + 1) * length / count);
            range.start + start + stream.below((end - start).max(1))
        })
        .collect();
    moments.dedup();
    moments
}

/// Some rows of a symbol; `None` where there are none.
fn part_of(symbol: &SymbolBars, range: Range<usize>) -> Option<SymbolBars> {
    let extras = symbol.extras().iter().map(|(name, values)| (name.clone(), values[range.clone()].to_vec()));
    let part = symbol.with_columns(rows(symbol.columns(), range.clone())).ok()?;
    part.with_extras(extras.collect()).ok()
}

/// The last `steps` steps before `end`, or everything before it where a symbol would lose all its bars.
pub(super) fn stretch(bars: &Bars, end: usize, steps: usize) -> Bars {
    let times = bars.timeline().times();
    let cut = |start: usize| -> Option<Vec<SymbolBars>> {
        let (first, last) = (*times.get(start)?, *times.get(end.checked_sub(1)?)?);
        let part = |symbol: &SymbolBars| {
            let from = symbol.time().partition_point(|time| *time < first);
            let to = symbol.time().partition_point(|time| *time <= last);
            part_of(symbol, from..to)
        };
        bars.symbols().iter().map(part).collect()
    };
    let symbols = cut(end.saturating_sub(steps)).or_else(|| cut(0));
    symbols.map_or_else(|| bars.clone(), |symbols| bars.with_symbols(symbols))
}

/// The bars from a step on; `None` where a symbol would lose all its bars.
pub(super) fn begun_at(bars: &Bars, step: usize) -> Option<Bars> {
    let first = bars.timeline().times()[step];
    let part = |symbol: &SymbolBars| {
        let from = symbol.time().partition_point(|time| *time < first);
        part_of(symbol, from..symbol.len())
    };
    let symbols: Option<Vec<SymbolBars>> = bars.symbols().iter().map(part).collect();
    symbols.map(|symbols| bars.with_symbols(symbols))
}
