//! From the `data:` section to bars.

use super::config::DataConfig;
use super::{DataError, clean, doubts, files, read};
use crate::table::Bars;
use sha2::{Digest, Sha256};
use std::path::PathBuf;

/// Bars with the story of how they became clean.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The bars.
    pub bars: Bars,
    /// What the configuration asked to repair, and how often it was done: "2 duplicate bars dropped".
    pub repairs: Vec<String>,
    /// What people should know: a column that was not there, a symbol without bars, jumps that look like splits, too few
    /// bars.
    pub warnings: Vec<String>,
    /// [`fingerprint`] of the bars.
    pub sha256: String,
}

/// Loads the bars that the configuration means.
///
/// # Errors
/// Names the file, the column and the row (counted from 0), what was found and what to do.
pub fn load(config: &DataConfig) -> Result<Loaded, DataError> {
    let files = files::parquet_files(&config.path)?;
    let mut loaded = load_files(config, &files)?;
    loaded.warnings.extend(files.iter().filter_map(|file| doubts::planted_crashes(file)));
    Ok(loaded)
}

/// As [`load`], from these files.
pub(super) fn load_files(config: &DataConfig, files: &[PathBuf]) -> Result<Loaded, DataError> {
    if let (Some(start), Some(end)) = (config.range.start, config.range.end)
        && start >= end
    {
        let found = format!("it starts at {start} and ends before {end}");
        return Err(DataError::setting("data.range", found, "let the start be earlier than the end"));
    }
    let mut loaded = clean::clean(read::read_rows(config, files)?, config)?;
    loaded.warnings.extend(doubts::too_few(&loaded.bars));
    Ok(loaded)
}

/// SHA-256 in lower-case hexadecimal over each symbol's name (its length as u64, then its bytes), its number of bars
/// (u64), and its columns time (i64 nanoseconds), open, high, low, close, volume (f64), little-endian; then, where there are
/// extra columns, the name (in the same form) and the values of each. Equal numbers have equal fingerprints, whatever file they came from.
pub fn fingerprint(bars: &Bars) -> String {
    let mut hasher = Sha256::new();
    let mut bytes = Vec::new();
    for symbol in bars.symbols() {
        let name = symbol.symbol().as_bytes();
        hasher.update((name.len() as u64).to_le_bytes());
        hasher.update(name);
        hasher.update((symbol.len() as u64).to_le_bytes());
        bytes.clear();
        bytes.extend(symbol.time().iter().flat_map(|time| time.0.to_le_bytes()));
        hasher.update(&bytes);
        for column in [symbol.open(), symbol.high(), symbol.low(), symbol.close(), symbol.volume()] {
            bytes.clear();
            bytes.extend(column.iter().flat_map(|value| value.to_le_bytes()));
            hasher.update(&bytes);
        }
        for (name, values) in symbol.extras() {
            hasher.update((name.len() as u64).to_le_bytes());
            hasher.update(name.as_bytes());
            bytes.clear();
            bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
            hasher.update(&bytes);
        }
    }
    crate::rundir::hexadecimal(&hasher.finalize())
}
