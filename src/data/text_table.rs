//! Lines of CSV or JSON, taken apart into the parts of a bar.

use super::DataError;
use crate::suggest::closest;
use arrow::array::{Array, AsArray, StringArray};
use arrow::csv::ReaderBuilder;
use arrow::datatypes::{DataType, Field, Schema};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

/// The parts of one bar as text.
pub(super) struct Record<'a> {
    /// From 1.
    pub(super) line: u64,
    pub(super) timestamp: Option<&'a str>,
    /// Whether symbols have a column.
    pub(super) symbol_column: bool,
    pub(super) symbol: Option<&'a str>,
    /// Open, high, low, close, volume.
    pub(super) numbers: [Option<&'a str>; 5],
    /// Kept columns in the order in which they were asked for.
    pub(super) kept: Vec<Option<&'a str>>,
    pub(super) closes_only: bool,
    pub(super) has_volume: bool,
}

/// What to take from each line.
pub(super) struct Wanted<'a> {
    /// Pairs of a part of a bar and the name of its column.
    pub(super) columns: &'a [(String, String)],
    /// Names of columns that are kept beside the parts of a bar.
    pub(super) keep: &'a [String],
}

/// Parts of a bar and the names under which they usually stand.
const PARTS: [(&str, &[&str]); 7] = [
    ("timestamp", &["timestamp", "datetime", "open_time", "time", "date", "ts", "unix", "t"]),
    ("symbol", &["symbol", "ticker", "pair", "asset", "instrument"]),
    ("open", &["open", "o"]),
    ("high", &["high", "h"]),
    ("low", &["low", "l"]),
    ("close", &["close", "price", "c"]),
    ("volume", &["volume", "vol", "v"]),
];

/// Which column holds which part.
#[derive(Clone, Debug, PartialEq)]
struct Parts {
    columns: [Option<usize>; 7],
    kept: Vec<usize>,
    closes_only: bool,
}

impl Parts {
    fn of(path: &Path, names: &[String], wanted: &Wanted) -> Result<Parts, DataError> {
        let plain: Vec<String> = names.iter().map(|name| plain(name)).collect();
        let mut columns = [None; 7];
        for (part, name) in wanted.columns {
            let Some(index) = PARTS.iter().position(|(known, _)| known == part) else {
                let known: Vec<&str> = PARTS.iter().map(|(known, _)| *known).collect();
                let remedy = format!("write one of {}", known.join(", "));
                return Err(DataError::setting("column", format!("`{part}` is no part of a bar"), remedy));
            };
            let found = names.iter().position(|other| other.trim() == name);
            columns[index] = Some(found.ok_or_else(|| missing(path, name, part, names))?);
        }
        for (index, (_, usual)) in PARTS.iter().enumerate() {
            if columns[index].is_none() {
                columns[index] = usual.iter().find_map(|name| plain.iter().position(|other| other == name));
            }
        }
        let closes_only = columns[5].is_some() && columns[2..5].iter().all(Option::is_none);
        let needed: &[usize] = if closes_only { &[0, 5] } else { &[0, 2, 3, 4, 5] };
        for index in needed {
            if columns[*index].is_none() {
                return Err(missing(path, PARTS[*index].0, PARTS[*index].0, names));
            }
        }
        let kept = kept(path, names, wanted.keep, &columns)?;
        if closes_only {
            let close = columns[5];
            columns[2..5].fill(close);
        }
        Ok(Parts { columns, kept, closes_only })
    }

    /// The columns that are neither a part of a bar nor kept.
    fn left_out(&self, names: &[String]) -> Vec<String> {
        let taken = |index: usize| self.columns.contains(&Some(index)) || self.kept.contains(&index);
        (0..names.len()).filter(|index| !taken(*index)).map(|index| names[index].trim().to_owned()).collect()
    }

    fn record<'a>(&self, line: u64, value: impl Fn(usize) -> Option<&'a str>) -> Record<'a> {
        let text =
            |column: usize| value(column).map(str::trim).filter(|text| !text.is_empty() && !is_null(text));
        let part = |index: usize| self.columns[index].and_then(&text);
        Record {
            line,
            timestamp: part(0),
            symbol_column: self.columns[1].is_some(),
            symbol: part(1),
            numbers: std::array::from_fn(|number| part(number + 2)),
            kept: self.kept.iter().map(|column| text(*column)).collect(),
            closes_only: self.closes_only,
            has_volume: self.columns[6].is_some(),
        }
    }
}

/// Where the kept columns stand. None may be a part of a bar, nor have the name of one in the file that is written.
fn kept(
    path: &Path,
    names: &[String],
    keep: &[String],
    columns: &[Option<usize>; 7],
) -> Result<Vec<usize>, DataError> {
    let place = |name: &String| {
        let found = names.iter().position(|other| other.trim() == name);
        let index = found.ok_or_else(|| {
            let found = format!("there is no such column; the file has {}", names.join(", "));
            let remedy = "keep one of those, or leave out --keep".to_owned();
            DataError::Column { path: path.into(), column: name.clone(), found, remedy }
        })?;
        if columns.contains(&Some(index)) || PARTS.iter().any(|(part, _)| part == name) {
            let remedy = "leave out --keep for it; parts of a bar are always kept";
            return Err(DataError::setting("keep", format!("`{name}` is a part of a bar"), remedy));
        }
        Ok(index)
    };
    keep.iter().map(place).collect()
}

fn is_null(text: &str) -> bool {
    ["null", "nan", "na", "n/a", "none"].contains(&text.to_lowercase().as_str())
}

/// `<OPEN>` and ` Open` are `open`.
fn plain(name: &str) -> String {
    let name = name.trim_matches(|letter: char| letter.is_whitespace() || "<>\u{feff}\"".contains(letter));
    name.to_lowercase().replace(' ', "_")
}

fn missing(path: &Path, name: &str, part: &str, names: &[String]) -> DataError {
    let remedy = match closest(name, names.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`? Say so with --column {part}={near}"),
        None => format!("name the right one with --column {part}=..."),
    };
    let found = format!("there is no such column; the file has {}", names.join(", "));
    DataError::Column { path: path.into(), column: name.into(), found, remedy }
}

pub(super) fn unreadable(path: &Path, error: &std::io::Error) -> DataError {
    DataError::file(path, format!("it cannot be read: {error}"), "check the path; the text must be UTF-8")
}

/// A CSV file whose header was read. Fields may be quoted, but not hold a line break: then the lines of errors would be
/// wrong.
pub(super) struct CsvFile<'a> {
    path: &'a Path,
    file: BufReader<File>,
    delimiter: u8,
    has_header: bool,
    /// Names of the columns.
    pub(super) names: Vec<String>,
}

impl CsvFile<'_> {
    /// Reads the header, or takes the usual names where there is none.
    pub(super) fn open(path: &Path) -> Result<CsvFile<'_>, DataError> {
        let fail = |error: std::io::Error| unreadable(path, &error);
        let mut file = BufReader::new(File::open(path).map_err(fail)?);
        let mut first = String::new();
        file.by_ref().take(1 << 20).read_line(&mut first).map_err(fail)?;
        if first.trim().is_empty() {
            return Err(DataError::file(
                path,
                "the first line is empty",
                "write a header: timestamp,open,high,low,close,volume",
            ));
        }
        let delimiter = [b',', b';', b'\t', b'|']
            .into_iter()
            .rev()
            .max_by_key(|candidate| first.bytes().filter(|byte| byte == candidate).count());
        let delimiter = delimiter.unwrap_or(b',');
        let fields: Vec<String> = first
            .trim_end()
            .split(char::from(delimiter))
            .map(|field| field.trim_matches(['"', '\u{feff}']).to_owned())
            .collect();
        let has_header = fields.iter().any(|field| {
            field.trim().parse::<f64>().is_err()
                && !field.trim().starts_with(|letter: char| letter.is_ascii_digit())
        });
        let names: Vec<String> = match has_header {
            true => fields,
            false => {
                let usual = ["timestamp", "open", "high", "low", "close", "volume"];
                let number = |index: usize| format!("column {}", index + 1);
                (0..fields.len())
                    .map(|index| usual.get(index).map_or_else(|| number(index), |name| (*name).to_owned()))
                    .collect()
            }
        };
        file.seek(SeekFrom::Start(0)).map_err(fail)?;
        Ok(CsvFile { path, file, delimiter, has_header, names })
    }

    /// Hands over each line with its number, counted from 1, and its fields by the number of their column.
    pub(super) fn lines(
        self,
        mut take: impl for<'v> FnMut(u64, &dyn Fn(usize) -> Option<&'v str>) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let fields: Vec<Field> =
            self.names.iter().map(|name| Field::new(name, DataType::Utf8, true)).collect();
        let reader = ReaderBuilder::new(Arc::new(Schema::new(fields)))
            .with_header(self.has_header)
            .with_delimiter(self.delimiter)
            .build(self.file);
        let wrong = |error: arrow::error::ArrowError| {
            DataError::file(
                self.path,
                format!("it is no clean CSV: {error}"),
                "mend that line; every line has as many fields as the header",
            )
        };
        let mut line = 1 + u64::from(self.has_header);
        for batch in reader.map_err(wrong)? {
            let batch = batch.map_err(wrong)?;
            let columns: Vec<&StringArray> =
                batch.columns().iter().map(|column| column.as_string::<i32>()).collect();
            for row in 0..batch.num_rows() {
                take(line, &|index| columns[index].is_valid(row).then(|| columns[index].value(row)))?;
                line += 1;
            }
        }
        Ok(())
    }
}

/// Reads CSV and names the columns that are left out.
pub(super) fn read_csv(
    path: &Path,
    wanted: &Wanted,
    mut take: impl FnMut(&Record<'_>) -> Result<(), DataError>,
) -> Result<Vec<String>, DataError> {
    let file = CsvFile::open(path)?;
    let parts = Parts::of(path, &file.names, wanted)?;
    let left_out = parts.left_out(&file.names);
    file.lines(|line, value| take(&parts.record(line, value)))?;
    Ok(left_out)
}

/// Reads one JSON object a line and names the columns that are left out. Numbers keep the digits with which they were written.
pub(super) fn read_json_lines(
    path: &Path,
    wanted: &Wanted,
    mut take: impl FnMut(&Record<'_>) -> Result<(), DataError>,
) -> Result<Vec<String>, DataError> {
    let mut parts: Option<(Parts, Vec<String>)> = None;
    json_lines(path, |line, object| {
        // The first line says which keys there are; later lines may leave some out.
        if parts.is_none() {
            let names: Vec<String> = object.keys().cloned().collect();
            parts = Some((Parts::of(path, &names, wanted)?, names));
        }
        if let Some((parts, names)) = &parts {
            let values: Vec<Option<String>> =
                names.iter().map(|name| object.get(name).and_then(scalar)).collect();
            take(&parts.record(line, |index| values[index].as_deref()))?;
        }
        Ok(())
    })?;
    Ok(parts.map_or_else(Vec::new, |(parts, names)| parts.left_out(&names)))
}

/// Hands over the objects of a file with one JSON object a line, each with its line, counted from 1.
pub(super) fn json_lines(
    path: &Path,
    mut take: impl FnMut(u64, &serde_json::Map<String, serde_json::Value>) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let file = BufReader::new(File::open(path).map_err(|error| unreadable(path, &error))?);
    for (index, text) in file.lines().enumerate() {
        let text = text.map_err(|error| unreadable(path, &error))?;
        if text.trim().is_empty() {
            continue;
        }
        let line = index as u64 + 1;
        let object: serde_json::Map<String, serde_json::Value> = serde_json::from_str(&text).map_err(|error| {
            let remedy = "write one JSON object a line, for example {\"timestamp\": \"2021-03-04T05:00:00Z\", \"close\": 1.5}";
            DataError::file(path, format!("line {line} is no JSON object ({error})"), remedy)
        })?;
        take(line, &object)?;
    }
    Ok(())
}

/// A JSON value as text; null is nothing.
pub(super) fn scalar(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}
