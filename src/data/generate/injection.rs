//! Crashes put into real bars: prices are multiplied by the path of the falls, and columns of a made-up book announce them.
//!
//! Places, depths and stress are drawn from the seed and the symbol's name alone, never from prices: a place that was
//! chosen because the market was wild there would be betrayed by it. So no bar depends on what comes after it. Falls stay
//! in the prices except for the parts that are recovered; a drift pays for them on average over many crashes, since
//! otherwise whoever stays out of the market would earn without any forecast.

use super::crash_process::{BARS, Course, CrashProcess};
use super::depth_book::Book;
use super::depth_crashes::truth;
use super::metadata::{GeneratedMetadata, write_metadata};
use crate::data::depth::book_columns;
use crate::data::{DataConfig, DataError, load, write_bars};
use crate::seed::Seed;
use crate::table::{BarColumns, BarError, Bars, SymbolBars};
use crate::units::YEAR_NANOSECONDS;
use std::path::{Path, PathBuf};

/// Settings of an injection.
#[derive(Clone, Debug, PartialEq)]
pub struct CrashInjection {
    /// Parquet file, folder or glob of bars, as `data.path` of an experiment; with the usual names of columns.
    pub bars: PathBuf,
    /// Mean number of crashes in a year of bars, for each symbol.
    pub crashes_per_year: f64,
    /// From which every random number is drawn.
    pub seed: u64,
}

impl CrashInjection {
    /// Writes the bars with crashes to `output`, with the columns `buy_volume`, `sell_volume` and `blr` beside them, and
    /// what made them next to it. `command` is what the user has to type to get them again.
    ///
    /// # Errors
    /// Bars that do not load, a rate out of its range, or a file that cannot be written.
    pub fn write(&self, output: &Path, command: &str) -> Result<GeneratedMetadata, DataError> {
        let loaded = load(&DataConfig::of(self.bars.to_string_lossy()))?;
        let interval = loaded.bars.interval();
        let bars_a_year = YEAR_NANOSECONDS as f64 / interval.max(1) as f64;
        let mut symbols = Vec::new();
        let (mut crashes, mut false_starts) = (Vec::new(), Vec::new());
        for bars in loaded.bars.symbols() {
            let seed = Seed(self.seed).child(bars.symbol(), 0);
            let process = CrashProcess::new(BARS, self.crashes_per_year / bars_a_year, seed);
            let process = process.map_err(|most| {
                let remedy = format!("choose a number above 0 and up to {:.1}", most * bars_a_year);
                DataError::setting("crashes-per-year", self.crashes_per_year.to_string(), remedy)
            })?;
            let course = process.course(bars.len());
            let (fallen, passed) = truth(&course, bars.symbol(), bars.time());
            crashes.extend(fallen);
            false_starts.extend(passed);
            symbols.push(injected(bars, &course, -process.mean_change(), seed).map_err(unexpected)?);
        }
        let bars = Bars::new(symbols).map_err(unexpected)?;
        write_bars(&bars, output)?;
        let planted = format!(
            "crashes: {}; stress of the book that came to nothing: {}; in the bars of {}, with a drift that pays \
             for the falls on average",
            crashes.len(),
            false_starts.len(),
            self.bars.display()
        );
        let metadata = GeneratedMetadata {
            columns: Some(book_columns()),
            crashes,
            false_starts,
            ..GeneratedMetadata::of(&bars, self.seed, &planted, command)
        };
        write_metadata(&metadata, output)?;
        Ok(metadata)
    }
}

fn unexpected(error: BarError) -> DataError {
    DataError::setting("bars", error.to_string(), "please report it")
}

/// The bars of one symbol with its crashes and a drift a bar. Within a bar the factor goes from that of the close before to that of its own
/// close, and high and low are multiplied by the larger and the smaller of the two, so that they stay the extremes.
fn injected(bars: &SymbolBars, course: &Course, drift: f64, seed: Seed) -> Result<SymbolBars, BarError> {
    let mut columns = BarColumns::default();
    let mut before = 1.0_f64;
    for (row, log_factor) in course.log_factor.iter().enumerate() {
        let now = (log_factor + drift * (row + 1) as f64).exp();
        columns.open.push(bars.open()[row] * before);
        columns.high.push(bars.high()[row] * before.max(now));
        columns.low.push(bars.low()[row] * before.min(now));
        columns.close.push(bars.close()[row] * now);
        before = now;
    }
    columns.time = bars.time().to_vec();
    columns.volume = bars.volume().to_vec();
    let book = Book::of(&course.stress, seed);
    let extras = [("blr", book.blr), ("buy_volume", book.buy), ("sell_volume", book.sell)];
    bars.with_columns(columns)?.with_extras(extras.map(|(name, values)| (name.to_owned(), values)).into())
}
