//! States of circuit breakers and the books that they guard, as the files of a run hold them.

use crate::report::ReportError;
use crate::report::run_files::Source;
use crate::units::Time;
use std::path::Path;

/// What is drawn over time; empty without a breaker.
#[derive(Default)]
pub(in crate::report) struct BreakerFiles {
    /// In the order of breakers and symbols.
    pub(in crate::report) watches: Vec<WatchSeries>,
    /// In the order of breakers.
    pub(in crate::report) guarded: Vec<GuardedCurve>,
}

/// One symbol under one breaker.
pub(in crate::report) struct WatchSeries {
    pub(in crate::report) strategy: String,
    pub(in crate::report) symbol: String,
    pub(in crate::report) times: Vec<Time>,
    pub(in crate::report) close: Vec<f64>,
    /// 0 green, 1 yellow, 2 red.
    pub(in crate::report) state: Vec<i64>,
    /// 1 where an event lies ahead, null where nobody knows.
    pub(in crate::report) event: Vec<f64>,
}

/// The guarded book of one breaker.
pub(in crate::report) struct GuardedCurve {
    pub(in crate::report) strategy: String,
    pub(in crate::report) times: Vec<Time>,
    pub(in crate::report) equity: Vec<f64>,
}

/// Reads `breakers.parquet` and `guarded.parquet`.
pub(in crate::report) fn read_breakers(folder: &Path) -> Result<BreakerFiles, ReportError> {
    let mut files = BreakerFiles::default();
    let columns = ["strategy", "symbol", "timestamp", "close", "state", "event"];
    if let Some(source) = Source::read(folder, "breakers.parquet", &columns)? {
        let (names, symbols) = (source.text("strategy")?, source.text("symbol")?);
        let (times, state) = (source.time("timestamp")?, source.integer("state")?);
        let (close, event) = (source.float("close")?, source.float("event")?);
        for rows in parts(names.len(), |row| (&names[row], &symbols[row])) {
            files.watches.push(WatchSeries {
                strategy: names[rows.start].to_string(),
                symbol: symbols[rows.start].to_string(),
                times: times[rows.clone()].to_vec(),
                close: close[rows.clone()].to_vec(),
                state: state[rows.clone()].to_vec(),
                event: event[rows].to_vec(),
            });
        }
    }
    if let Some(source) = Source::read(folder, "guarded.parquet", &["strategy", "timestamp", "equity"])? {
        let (names, times) = (source.text("strategy")?, source.time("timestamp")?);
        let equity = source.float("equity")?;
        for rows in parts(names.len(), |row| &names[row]) {
            files.guarded.push(GuardedCurve {
                strategy: names[rows.start].to_string(),
                times: times[rows.clone()].to_vec(),
                equity: equity[rows].to_vec(),
            });
        }
    }
    Ok(files)
}

/// Maximal ranges of rows with the same key.
fn parts<K: PartialEq>(rows: usize, key: impl Fn(usize) -> K) -> Vec<std::ops::Range<usize>> {
    let ends: Vec<usize> = (1..=rows).filter(|row| *row == rows || key(*row) != key(row - 1)).collect();
    let starts = std::iter::once(0).chain(ends.iter().copied());
    starts.zip(&ends).map(|(start, end)| start..*end).collect()
}
