//! What is written beside a generated file, so that it can be made again, loaded and judged.

use crate::data::{BarDuration, ColumnsConfig, DataError, fingerprint};
use crate::metrics::NoiseFloor;
use crate::rundir::write_atomic;
use crate::table::Bars;
use crate::units::Time;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// What is written beside a generated file, so that it can be made again and compared. What a generator does not plant is
/// left out.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeneratedMetadata {
    /// The command that makes the file.
    pub command: String,
    /// Its seed.
    pub seed: u64,
    /// Bars of all symbols.
    pub rows: usize,
    /// Names of the symbols.
    pub symbols: Vec<String>,
    /// First bar, RFC 3339.
    pub start: String,
    /// Last bar, RFC 3339.
    pub end: String,
    /// `data.columns` with which the file loads; left out where the names are the usual ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub columns: Option<ColumnsConfig>,
    /// What is predictable, in words.
    pub planted: String,
    /// The asked information coefficient of a market.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub information_coefficient: Option<f64>,
    /// `c` of the documentation of [`super::MarketGenerator`].
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub coefficient: Option<f64>,
    /// What the best forecast of a process reaches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub noise_floor: Option<NoiseFloor>,
    /// Every crash, by symbol, then time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub crashes: Vec<PlantedCrash>,
    /// Every stress of the book that passed without a fall, by symbol, then time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub false_starts: Vec<PlantedFalseStart>,
    /// [`fingerprint`] of the bars.
    pub sha256: String,
    /// Version of this program.
    pub version: String,
}

/// One crash. A bar belongs to the fall if the fall moves its close; noise comes on top of the numbers here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlantedCrash {
    /// Whose crash it is.
    pub symbol: String,
    /// Whether the book showed stress before the fall.
    pub warned: bool,
    /// First bar of that stress, RFC 3339; left out where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warning: Option<String>,
    /// Bars from the first stress to the first bar of the fall; 0 without a warning.
    pub lead_bars: usize,
    /// First bar of the fall, RFC 3339.
    pub start: String,
    /// Last bar of the fall, RFC 3339.
    pub bottom: String,
    /// Bars of the fall.
    pub fall_bars: usize,
    /// The fall in per cent of the price before it.
    pub depth_percent: f64,
    /// How much of the fall, in per cent of its logarithm, comes back after the bottom.
    pub recovered_percent: f64,
}

/// Stress of the book that passed without a fall.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlantedFalseStart {
    /// Whose book it was.
    pub symbol: String,
    /// First bar of the stress, RFC 3339.
    pub start: String,
    /// The bar from which on the stress passes, RFC 3339.
    pub peak: String,
}

impl GeneratedMetadata {
    /// What is true of every generated file.
    pub(super) fn of(bars: &Bars, seed: u64, planted: &str, command: &str) -> GeneratedMetadata {
        let times = bars.timeline().times();
        let text = |time: Option<&Time>| time.map_or_else(String::new, Time::to_string);
        GeneratedMetadata {
            command: command.into(),
            seed,
            rows: bars.rows(),
            symbols: bars.names().into_iter().map(str::to_owned).collect(),
            start: text(times.first()),
            end: text(times.last()),
            columns: None,
            planted: planted.into(),
            information_coefficient: None,
            coefficient: None,
            noise_floor: None,
            crashes: Vec::new(),
            false_starts: Vec::new(),
            sha256: fingerprint(bars),
            version: env!("CARGO_PKG_VERSION").into(),
        }
    }
}

/// Writes what made `output` to the same name with the ending `.metadata.json`.
pub(super) fn write_metadata(metadata: &GeneratedMetadata, output: &Path) -> Result<(), DataError> {
    let text = serde_json::to_string_pretty(metadata)
        .map_err(|error| DataError::file(output, error.to_string(), "please report it"))?;
    Ok(write_atomic(&output.with_extension("metadata.json"), (text + "\n").as_bytes())?)
}

/// Refuses bars that end after the last moment that can be written.
pub(super) fn span_fits(
    setting: &str,
    bars: usize,
    interval: BarDuration,
    start: Time,
) -> Result<(), DataError> {
    let span = i64::try_from(bars).ok().and_then(|bars| bars.checked_mul(interval.nanoseconds()));
    if bars > u32::MAX as usize || span.and_then(|span| start.0.checked_add(span)).is_none() {
        let found = format!("{bars} bars of {interval}");
        return Err(DataError::setting(setting, found, "let them end before the year 2262"));
    }
    Ok(())
}
