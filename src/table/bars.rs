//! Price bars of one or many symbols, checked once.

use crate::units::Time;
use std::collections::BTreeMap;

/// The columns of one symbol as they were read, before they are checked. Prices in quote currency.
#[derive(Clone, Debug, Default)]
pub struct BarColumns {
    /// Start of each bar.
    pub time: Vec<Time>,
    /// First price of the bar.
    pub open: Vec<f64>,
    /// Highest price of the bar.
    pub high: Vec<f64>,
    /// Lowest price of the bar.
    pub low: Vec<f64>,
    /// Last price of the bar.
    pub close: Vec<f64>,
    /// Traded volume in units of the asset; zeros where the source has none.
    pub volume: Vec<f64>,
}

/// The bars of one symbol: at least one, times strictly rising, prices finite and positive,
/// `low <= open, close <= high`, volume finite and not negative. Beside them there may be extra columns (a funding rate, a
/// price of gas) with a value a bar, NaN where there is none; like a close, each is known at the close of its bar.
/// A series that nobody trades (a temperature, a load) has the same columns, but its values may be 0 and negative.
#[derive(Clone, Debug)]
pub struct SymbolBars {
    symbol: String,
    columns: BarColumns,
    traded: bool,
    extras: BTreeMap<String, Vec<f64>>,
}

/// A bar that breaks the promise of [`SymbolBars`]. Rows count from 0 within the symbol.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("symbol {symbol}, row {row} ({time}): {found}; expected {expected}")]
pub struct BarError {
    /// Whose bar it is.
    pub symbol: String,
    /// Which bar of that symbol.
    pub row: usize,
    /// The bar's time, or the epoch where there is none.
    pub time: Time,
    /// What is there.
    pub found: String,
    /// What should be there.
    pub expected: &'static str,
}

impl SymbolBars {
    /// Checks every row and takes the columns over.
    ///
    /// # Errors
    /// The first bar that breaks the promise, with its row and time.
    pub fn new(symbol: impl Into<String>, columns: BarColumns) -> Result<SymbolBars, BarError> {
        SymbolBars::checked(symbol.into(), columns, true)
    }

    /// As [`SymbolBars::new`], of a series that nobody trades: values are finite, but need not be positive.
    ///
    /// # Errors
    /// The first row that breaks the promise, with its time.
    pub fn untraded(symbol: impl Into<String>, columns: BarColumns) -> Result<SymbolBars, BarError> {
        SymbolBars::checked(symbol.into(), columns, false)
    }

    /// The same symbol with other columns, held to the same promise; without extra columns.
    ///
    /// # Errors
    /// The first row that breaks the promise, with its time.
    pub fn with_columns(&self, columns: BarColumns) -> Result<SymbolBars, BarError> {
        SymbolBars::checked(self.symbol.clone(), columns, self.traded)
    }

    fn checked(symbol: String, columns: BarColumns, traded: bool) -> Result<SymbolBars, BarError> {
        let fail = |row: usize, found: String, expected| {
            let time = columns.time.get(row).copied().unwrap_or_default();
            Err(BarError { symbol: symbol.clone(), row, time, found, expected })
        };
        let rows = columns.time.len();
        for (name, length) in [
            ("open", columns.open.len()),
            ("high", columns.high.len()),
            ("low", columns.low.len()),
            ("close", columns.close.len()),
            ("volume", columns.volume.len()),
        ] {
            if length != rows {
                return fail(
                    rows.min(length),
                    format!("{length} values of {name}"),
                    "as many values as times",
                );
            }
        }
        if rows == 0 {
            return fail(0, "no bar".into(), "at least one bar");
        }
        for row in 0..rows {
            if row > 0 && columns.time[row] <= columns.time[row - 1] {
                return fail(
                    row,
                    format!("a bar that follows {}", columns.time[row - 1]),
                    "strictly rising times",
                );
            }
            let [open, high, low, close] =
                [columns.open[row], columns.high[row], columns.low[row], columns.close[row]];
            for (name, price) in [("open", open), ("high", high), ("low", low), ("close", close)] {
                if !price.is_finite() || (traded && price <= 0.0) {
                    let expected = if traded { "a finite, positive price" } else { "a finite number" };
                    return fail(row, format!("{name} = {price}"), expected);
                }
            }
            if low > open.min(close) || high < open.max(close) {
                let found = format!("open = {open}, high = {high}, low = {low}, close = {close}");
                return fail(row, found, "low <= open, close <= high");
            }
            let volume = columns.volume[row];
            if !(volume.is_finite() && volume >= 0.0) {
                return fail(row, format!("volume = {volume}"), "a finite volume, not negative");
            }
        }
        Ok(SymbolBars { symbol, columns, traded, extras: BTreeMap::new() })
    }

    /// Whether these are prices; `false` for a series that nobody trades.
    pub fn is_traded(&self) -> bool {
        self.traded
    }

    /// The symbol's name.
    pub fn symbol(&self) -> &str {
        &self.symbol
    }

    /// Number of bars, at least 1.
    #[expect(clippy::len_without_is_empty, reason = "never empty by construction")]
    pub fn len(&self) -> usize {
        self.columns.time.len()
    }

    /// Start of each bar.
    pub fn time(&self) -> &[Time] {
        &self.columns.time
    }

    /// First price of each bar.
    pub fn open(&self) -> &[f64] {
        &self.columns.open
    }

    /// Highest price of each bar.
    pub fn high(&self) -> &[f64] {
        &self.columns.high
    }

    /// Lowest price of each bar.
    pub fn low(&self) -> &[f64] {
        &self.columns.low
    }

    /// Last price of each bar.
    pub fn close(&self) -> &[f64] {
        &self.columns.close
    }

    /// Traded volume of each bar.
    pub fn volume(&self) -> &[f64] {
        &self.columns.volume
    }

    /// All columns, to be copied and changed.
    pub fn columns(&self) -> &BarColumns {
        &self.columns
    }

    /// The same bars with these extra columns, by name.
    ///
    /// # Errors
    /// A column that does not have a value a bar.
    pub fn with_extras(mut self, extras: BTreeMap<String, Vec<f64>>) -> Result<SymbolBars, BarError> {
        if let Some((name, values)) = extras.iter().find(|(_, values)| values.len() != self.len()) {
            return Err(BarError {
                symbol: self.symbol,
                row: values.len().min(self.columns.time.len()),
                time: Time::default(),
                found: format!("{} values of {name}", values.len()),
                expected: "as many values as times",
            });
        }
        self.extras = extras;
        Ok(self)
    }

    /// The extra columns by name, each with a value a bar, NaN where there is none.
    pub fn extras(&self) -> &BTreeMap<String, Vec<f64>> {
        &self.extras
    }

    /// The extra column of this name.
    pub fn extra(&self, name: &str) -> Option<&[f64]> {
        self.extras.get(name).map(Vec::as_slice)
    }

    /// The first `rows` bars: what was known at that row's close. `rows` must be in `1..=len`.
    pub fn head(&self, rows: usize) -> SymbolBars {
        let cut = |values: &[f64]| values[..rows].to_vec();
        SymbolBars {
            symbol: self.symbol.clone(),
            traded: self.traded,
            columns: BarColumns {
                time: self.columns.time[..rows].to_vec(),
                open: cut(self.open()),
                high: cut(self.high()),
                low: cut(self.low()),
                close: cut(self.close()),
                volume: cut(self.volume()),
            },
            extras: self.extras.iter().map(|(name, values)| (name.clone(), cut(values))).collect(),
        }
    }
}

/// The bars of all symbols, with the union of their times. All bars are equally long and start at the same moments, since
/// bars of one step must be known at one time.
#[derive(Clone, Debug)]
pub struct Bars {
    symbols: Vec<SymbolBars>,
    timeline: Timeline,
    interval: i64,
}

impl Bars {
    /// Puts symbols together, in the given order, which stays the order of symbols everywhere. There must be at least
    /// one and names must be unique.
    ///
    /// # Errors
    /// A symbol that appears twice, or none at all.
    pub fn new(symbols: Vec<SymbolBars>) -> Result<Bars, BarError> {
        let fail = |symbol: &str, found: String, expected| {
            Err(BarError { symbol: symbol.to_owned(), row: 0, time: Time::default(), found, expected })
        };
        if symbols.is_empty() {
            return fail("(none)", "no symbol".into(), "at least one symbol");
        }
        for (index, bars) in symbols.iter().enumerate() {
            if symbols[..index].iter().any(|earlier| earlier.symbol == bars.symbol) {
                return fail(&bars.symbol, "the symbol twice".into(), "each symbol once");
            }
        }
        let timeline = Timeline::of(&symbols);
        let interval = common_interval(&symbols, &timeline)?;
        Ok(Bars { symbols, timeline, interval })
    }

    /// Each symbol's bars.
    pub fn symbols(&self) -> &[SymbolBars] {
        &self.symbols
    }

    /// Names of the symbols, in order.
    pub fn names(&self) -> Vec<&str> {
        self.symbols.iter().map(SymbolBars::symbol).collect()
    }

    /// The union of all symbols' times.
    pub fn timeline(&self) -> &Timeline {
        &self.timeline
    }

    /// The most frequent distance of two bars of a symbol, in nanoseconds: the length of a bar, equal for all symbols. A
    /// bar is known at its start plus this. 0 where there is only one bar.
    pub fn interval(&self) -> i64 {
        self.interval
    }

    /// All bars of all symbols.
    pub fn rows(&self) -> usize {
        self.symbols.iter().map(SymbolBars::len).sum()
    }

    /// The same world with other bars of some of its symbols: the length of a bar stays, also where the bars are too few to
    /// show it. There must be at least one symbol, and names must be unique.
    pub fn with_symbols(&self, symbols: Vec<SymbolBars>) -> Bars {
        let timeline = Timeline::of(&symbols);
        Bars { symbols, timeline, interval: self.interval }
    }

    /// The world as it was known at the close of timeline step `step`: later bars are cut off, symbols without a bar
    /// so far are left out.
    pub fn known_at(&self, step: usize) -> Option<Bars> {
        let end = self.timeline.times[step];
        let symbols: Vec<SymbolBars> = self
            .symbols
            .iter()
            .filter_map(|bars| {
                let rows = bars.time().partition_point(|time| *time <= end);
                (rows > 0).then(|| bars.head(rows))
            })
            .collect();
        // A part of checked bars needs no check, and keeps the length of a bar even where it is too short to show it.
        (!symbols.is_empty()).then(|| self.with_symbols(symbols))
    }
}

/// The sorted union of all symbols' times, and where each symbol's bars lie on it.
#[derive(Clone, Debug)]
pub struct Timeline {
    times: Vec<Time>,
    /// `[symbol][row]`: the step of that bar.
    steps: Vec<Vec<u32>>,
}

impl Timeline {
    fn of(symbols: &[SymbolBars]) -> Timeline {
        let mut times: Vec<Time> = symbols.iter().flat_map(|bars| bars.time().iter().copied()).collect();
        times.sort_unstable();
        times.dedup();
        let steps = symbols
            .iter()
            .map(|bars| {
                let mut step = 0;
                bars.time()
                    .iter()
                    .map(|time| {
                        while times[step] < *time {
                            step += 1;
                        }
                        step as u32
                    })
                    .collect()
            })
            .collect();
        Timeline { times, steps }
    }

    /// Every moment at which at least one symbol has a bar.
    pub fn times(&self) -> &[Time] {
        &self.times
    }

    /// `[row]`: on which step each bar of this symbol lies; strictly rising.
    pub fn steps(&self, symbol: usize) -> &[u32] {
        &self.steps[symbol]
    }

    /// The first step that is not before `time`.
    pub fn step_at(&self, time: Time) -> usize {
        self.times.partition_point(|candidate| *candidate < time)
    }
}

/// Bars from which on the most frequent distance tells the length of a bar, gaps or not.
const ENOUGH_BARS: usize = 20;

/// The length of a bar, after checking that the symbols agree on it and on when bars start.
fn common_interval(symbols: &[SymbolBars], timeline: &Timeline) -> Result<i64, BarError> {
    let disagree = |bars: &SymbolBars, found: String| {
        let expected = "bars of one length that start at the same moments; give `resample` one length for all, or load \
                        the symbols apart";
        Err(BarError { symbol: bars.symbol.clone(), row: 0, time: bars.time()[0], found, expected })
    };
    let seconds = |nanoseconds: i64| nanoseconds as f64 * 1e-9;
    let mut agreed = 0;
    for bars in symbols.iter().filter(|bars| bars.len() >= ENOUGH_BARS) {
        let interval = most_frequent(steps_of(bars.time()));
        if agreed == 0 {
            agreed = interval;
        } else if interval != agreed {
            let found = format!("bars of {} s beside bars of {} s", seconds(interval), seconds(agreed));
            return disagree(bars, found);
        }
    }
    // Bars that start between the bars of other symbols shorten the steps of the union.
    let step = most_frequent(steps_of(&timeline.times));
    if step < agreed {
        let found = format!(
            "bars of {} s that start {} s apart from those of other symbols",
            seconds(agreed),
            seconds(step)
        );
        return disagree(&symbols[symbols.len() - 1], found);
    }
    Ok(if agreed == 0 { step } else { agreed })
}

fn steps_of(times: &[Time]) -> impl Iterator<Item = i64> {
    times.windows(2).map(|pair| pair[1].0 - pair[0].0)
}

/// The most frequent number; of equally frequent ones the smallest.
fn most_frequent(numbers: impl Iterator<Item = i64>) -> i64 {
    let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
    for number in numbers {
        *counts.entry(number).or_default() += 1;
    }
    counts.iter().rev().max_by_key(|(_, count)| **count).map_or(0, |(number, _)| *number)
}
