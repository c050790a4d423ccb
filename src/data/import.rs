//! From CSV or JSON lines to a Parquet file of bars.

use super::config::{BadRows, DataConfig, Duplicates, ExtraColumn, Resampling, TimeUnit, Unsorted};
use super::rows::{NO_SYMBOL, NO_TIME, NUMBERS, Origin, Rows};
use super::text_table::{Record, Wanted, read_csv, read_json_lines};
use super::text_time::instant;
use super::time_zone::Zone;
use super::{DataError, clean, write_bars};
use crate::table::NULL;
use crate::units::Time;
use std::path::PathBuf;

/// What to read, and how where the file does not say.
#[derive(Clone, Debug)]
pub struct ImportOptions {
    /// A CSV file (`,` `;` tab or `|` between fields, found by itself; a header, or the order timestamp, open, high, low,
    /// close, volume), or JSON lines if it ends in `.json`, `.jsonl` or `.ndjson`.
    pub input: PathBuf,
    /// The Parquet file to write.
    pub output: PathBuf,
    /// The symbol where no column says it; the input's name without its ending if left out.
    pub symbol: Option<String>,
    /// Pairs of a part of a bar (`timestamp`, `symbol`, `open` ...) and the name of its column, where that is not usual.
    pub columns: Vec<(String, String)>,
    /// Names of further numeric columns that are kept under their names, for costs and strategies that read them. The
    /// others are left out, and a warning names them.
    pub keep: Vec<String>,
    /// What numeric times count; left out: guessed by their size.
    pub unit: Option<TimeUnit>,
    /// IANA zone of times without one.
    pub time_zone: String,
    /// What to do with two bars of the same time.
    pub duplicates: Duplicates,
    /// What to do with rows that are no bars.
    pub bad_rows: BadRows,
    /// Whether an output that exists already is replaced.
    pub force: bool,
}

/// What was written.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Imported {
    /// The Parquet file.
    pub output: String,
    /// Bars of all symbols.
    pub rows: usize,
    /// Names of the symbols.
    pub symbols: Vec<String>,
    /// First bar, RFC 3339.
    pub start: String,
    /// Last bar, RFC 3339.
    pub end: String,
    /// What was mended.
    pub repairs: Vec<String>,
    /// What people should know.
    pub warnings: Vec<String>,
    /// Fingerprint of the bars.
    pub sha256: String,
}

/// Reads text, checks and sorts the bars, and writes them as Parquet, whole or not at all.
///
/// # Errors
/// Names the line (from 1) and the column, what was found and what to do.
pub fn import(options: &ImportOptions) -> Result<Imported, DataError> {
    if options.output.exists() && !options.force {
        let remedy = "choose another --output, or replace it with --force";
        return Err(DataError::file(&options.output, "the output exists already", remedy));
    }
    let zone = Zone::named(&options.time_zone)?;
    let stem = options.input.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut rows = Rows { files: vec![options.input.clone()], origin: Origin::Text, ..Rows::default() };
    let mut keep = options.keep.clone();
    // In the order of names, as the bars have them.
    keep.sort_unstable();
    keep.dedup();
    rows.extras.resize(keep.len(), Vec::new());
    let default = options.symbol.clone().unwrap_or(stem);
    let mut importer = Importer { options, zone, default, keep: keep.clone(), rows: &mut rows };
    let wanted = Wanted { columns: &options.columns, keep: &keep };
    let ending = options.input.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    let left_out = match ending.as_str() {
        "json" | "jsonl" | "ndjson" => {
            read_json_lines(&options.input, &wanted, |record| importer.take(record))?
        }
        _ => read_csv(&options.input, &wanted, |record| importer.take(record))?,
    };
    let mut config = DataConfig::of(options.input.display().to_string());
    config.quality.unsorted = Unsorted::Sort;
    config.quality.duplicates = options.duplicates;
    config.quality.bad_rows = options.bad_rows;
    let extra = |name: String| (name.clone(), ExtraColumn { column: name, resample: Resampling::Last });
    config.columns.extra = keep.into_iter().map(extra).collect();
    let mut loaded = clean::clean(rows, &config)?;
    if !left_out.is_empty() {
        loaded.warnings.push(format!(
            "these columns were left out: {}; keep one with --keep COLUMN",
            left_out.join(", ")
        ));
    }
    write_bars(&loaded.bars, &options.output)?;
    let times = loaded.bars.timeline().times();
    let text = |time: Option<&Time>| time.map_or_else(String::new, Time::to_string);
    Ok(Imported {
        output: options.output.display().to_string(),
        rows: loaded.bars.rows(),
        symbols: loaded.bars.names().into_iter().map(str::to_owned).collect(),
        start: text(times.first()),
        end: text(times.last()),
        repairs: loaded.repairs,
        warnings: loaded.warnings,
        sha256: loaded.sha256,
    })
}

struct Importer<'a> {
    options: &'a ImportOptions,
    zone: Zone,
    default: String,
    /// Kept columns in the order of their names.
    keep: Vec<String>,
    rows: &'a mut Rows,
}

impl Importer<'_> {
    fn take(&mut self, record: &Record<'_>) -> Result<(), DataError> {
        let start = self.rows.time.len();
        let time = match record.timestamp {
            None => NO_TIME,
            Some(text) => match instant(text, self.options.unit, &self.zone) {
                Ok(time) => time,
                Err(found) => {
                    self.rows.time_problems.push((start, found));
                    NO_TIME
                }
            },
        };
        let name = if record.symbol_column { record.symbol } else { Some(self.default.as_str()) };
        let code = name.map_or(NO_SYMBOL, |name| self.rows.names.code(name));
        self.rows.time.push(time);
        self.rows.symbol.push(code);
        self.rows.file.push(0);
        self.rows.row.push(record.line);
        self.rows.closes_only = record.closes_only;
        self.rows.has_volume = record.has_volume;
        for (column, text) in record.numbers.iter().enumerate() {
            let value = match text {
                None if column == 4 && !record.has_volume => 0.0,
                None => NULL,
                Some(text) => self.number(text, NUMBERS[column], record.line)?,
            };
            self.rows.numbers[column].push(value);
        }
        for (column, text) in record.kept.iter().enumerate() {
            let value = text.map_or(Ok(NULL), |text| self.number(text, &self.keep[column], record.line))?;
            self.rows.extras[column].push(value);
        }
        Ok(())
    }

    fn number(&self, text: &str, column: &str, line: u64) -> Result<f64, DataError> {
        match text.parse::<f64>() {
            Ok(value) => Ok(value),
            Err(_) if self.options.bad_rows == BadRows::Drop => Ok(NULL),
            Err(_) => Err(DataError::Row {
                path: self.options.input.clone(),
                place: format!("line {line}"),
                column: column.into(),
                found: format!("`{text}` is no number (a point before decimals, nothing between thousands)"),
                remedy: "mend the file, or drop such lines with --bad-rows drop".into(),
            }),
        }
    }
}
