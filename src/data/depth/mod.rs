//! The depth of an order book: how much is wanted and for sale close to the price, measured from snapshots of the book or
//! taken from a crawler that measured it.

mod counts;
mod intervals;
mod levels;
mod records;
mod table;

pub use table::depth_columns;
pub(super) use table::{DepthTable, book_columns};

use super::config::{DataConfig, TimeUnit};
use super::rows::Names;
use super::{BarDuration, DataError, files, load};
use crate::units::{Time, counted};
use counts::Counts;
use std::path::{Path, PathBuf};

/// What to read, and how.
#[derive(Clone, Debug)]
pub struct DepthOptions {
    /// Parquet files, folders or globs with the levels of a book (`bid_px_1, bid_qty_1, ask_px_1, ask_qty_1, bid_px_2` ...,
    /// from the best level on), or CSV, JSON lines or JSON arrays of a crawler (`timestamp, mid_price, buy_volume,
    /// sell_volume` and, if it is there, `blr`; also as `midPrice` and so on; other fields are passed over). All inputs
    /// together are one set of data.
    pub inputs: Vec<String>,
    /// The Parquet file to write.
    pub output: PathBuf,
    /// Levels count up to so many per cent from the mid price; a crawler has made its choice before.
    pub within_percent: f64,
    /// Length of an interval; intervals are aligned to midnight UTC.
    pub every: BarDuration,
    /// The symbol where no column says it; the input's name without its ending if left out.
    pub symbol: Option<String>,
    /// What numeric times count; must be said for integers in Parquet, is guessed by their size in text.
    pub unit: Option<TimeUnit>,
    /// Whether an output that exists already is replaced.
    pub force: bool,
}

/// What was written.
#[derive(Clone, Debug, serde::Serialize)]
pub struct IngestedDepth {
    /// The Parquet file.
    pub output: String,
    /// Intervals with a snapshot, of all symbols.
    pub rows: usize,
    /// Names of the symbols.
    pub symbols: Vec<String>,
    /// First interval, RFC 3339.
    pub start: String,
    /// Last interval, RFC 3339.
    pub end: String,
    /// Snapshots that were read.
    pub snapshots: usize,
    /// Snapshots that were dropped because the best bid is not below the best ask.
    pub crossed: usize,
    /// Snapshots that were dropped because a side of the book, or both volumes, are empty.
    pub empty: usize,
    /// Snapshots whose deepest levels lie closer to the mid price than `within_percent`.
    pub shallow: usize,
    /// Rows without `blr`, because nothing is for sale.
    pub null_blr: usize,
    /// Intervals between a symbol's first and last that have no snapshot, and so no row.
    pub missing_intervals: usize,
    /// What people should know.
    pub warnings: Vec<String>,
    /// Fingerprint of the rows as bars.
    pub sha256: String,
}

/// The state of one book at one moment.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Snapshot {
    /// Nanoseconds since 1970-01-01 UTC.
    time: i64,
    /// Code of the symbol.
    symbol: u32,
    mid_price: f64,
    buy_volume: f64,
    sell_volume: f64,
}

/// All snapshots of all inputs, in the order in which they were read.
#[derive(Default)]
struct Snapshots {
    names: Names,
    rows: Vec<Snapshot>,
    counts: Counts,
}

/// Reads books and writes `timestamp, symbol, mid_price, buy_volume, sell_volume, blr`: a row for each interval in which
/// there is a snapshot, with the last one of the interval, stamped at the interval's start like a bar. `mid_price` is the
/// mean of best bid and best ask, a volume the sum of a side's quantities within the percentage of it (both limits
/// included), `blr` the buy volume by the sell volume, and null, not 0, where nothing is for sale.
///
/// Snapshots without a bid or an ask, and such whose best bid is not below the best ask, are dropped and counted; more than
/// 5 % of them are an error.
///
/// # Errors
/// Names the file, the row (from 0; of text the line, from 1) and the column, what was found and what to do.
pub fn ingest_depth(options: &DepthOptions) -> Result<IngestedDepth, DataError> {
    if options.output.exists() && !options.force {
        let remedy = "choose another --output, or replace it with --force";
        return Err(DataError::file(&options.output, "the output exists already", remedy));
    }
    if !(options.within_percent > 0.0 && options.within_percent < 100.0) {
        let found = format!("{} %", options.within_percent);
        return Err(DataError::setting("within-percent", found, "choose a number above 0 and below 100"));
    }
    let mut snapshots = Snapshots::default();
    for input in &options.inputs {
        let path = Path::new(input);
        if path.is_file() && records::is_text(path) {
            records::read(path, options, &mut snapshots)?;
            continue;
        }
        for file in files::parquet_files(input)? {
            levels::read(&file, options, &mut snapshots)?;
        }
    }
    snapshots.counts.check()?;
    let gathered = intervals::gather(&snapshots, options.every);
    let null_blr = gathered.table.blr.iter().filter(|blr| blr.is_nan()).count();
    gathered.table.write(&options.output)?;
    let config = DataConfig { columns: depth_columns(), ..DataConfig::of(options.output.to_string_lossy()) };
    let loaded = load(&config)?;
    let times = loaded.bars.timeline().times();
    let text = |time: Option<&Time>| time.map_or_else(String::new, Time::to_string);
    let counts = &snapshots.counts;
    let mut warnings = counts.warnings(options.within_percent);
    if gathered.repeated > 0 {
        let again = counted(gathered.repeated, "snapshot");
        warnings.push(format!(
            "{again} at a time that another snapshot has: of each time the last one read counts"
        ));
    }
    Ok(IngestedDepth {
        output: options.output.display().to_string(),
        rows: loaded.bars.rows(),
        symbols: loaded.bars.names().into_iter().map(str::to_owned).collect(),
        start: text(times.first()),
        end: text(times.last()),
        snapshots: counts.read,
        crossed: counts.crossed,
        empty: counts.empty,
        shallow: counts.shallow,
        null_blr,
        missing_intervals: gathered.missing,
        warnings,
        sha256: loaded.sha256,
    })
}

/// The symbol of a file that does not say it.
fn default_symbol(path: &Path, options: &DepthOptions) -> String {
    let stem = || path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    options.symbol.clone().unwrap_or_else(stem)
}
