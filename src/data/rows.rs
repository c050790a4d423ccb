//! Rows as they were read, before anyone trusts them.

use super::DataError;
use std::collections::HashMap;
use std::path::PathBuf;

/// The code of a symbol that is missing.
pub(super) const NO_SYMBOL: u32 = u32::MAX;

/// The time of a row whose time is missing or cannot be told.
pub(super) const NO_TIME: i64 = i64::MIN;

/// Columns of all files, one below the other. A missing number is NaN.
#[derive(Debug, Default)]
pub(super) struct Rows {
    /// Where the rows come from.
    pub(super) files: Vec<PathBuf>,
    /// What kind of files they are.
    pub(super) origin: Origin,
    /// Names by code.
    pub(super) names: Names,
    pub(super) symbol: Vec<u32>,
    /// Nanoseconds since 1970-01-01 UTC, or [`NO_TIME`].
    pub(super) time: Vec<i64>,
    /// Open, high, low, close, volume.
    pub(super) numbers: [Vec<f64>; 5],
    /// Extra columns in the order of their names.
    pub(super) extras: Vec<Vec<f64>>,
    /// Index of the file.
    pub(super) file: Vec<u32>,
    /// Row or line within the file.
    pub(super) row: Vec<u64>,
    /// What is wrong with the time of a row, in the order of rows; a row with [`NO_TIME`] and no word here has a null.
    pub(super) time_problems: Vec<(usize, String)>,
    /// Whether only closes are there.
    pub(super) closes_only: bool,
    /// Whether volumes are there.
    pub(super) has_volume: bool,
    /// Whether the rows are those of series that nobody trades, whose values may be 0 and negative.
    pub(super) series: bool,
}

/// Names of columns in the order of [`Rows::numbers`].
pub(super) const NUMBERS: [&str; 5] = ["open", "high", "low", "close", "volume"];

impl Rows {
    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        self.time.len()
    }

    /// Forgets the rows, but neither the files nor the names.
    pub(super) fn clear(&mut self) {
        self.symbol.clear();
        self.time.clear();
        self.file.clear();
        self.row.clear();
        self.time_problems.clear();
        for column in self.numbers.iter_mut().chain(&mut self.extras) {
            column.clear();
        }
    }

    /// An error at a row.
    pub(super) fn error(&self, index: usize, column: &str, found: String, remedy: &str) -> DataError {
        DataError::Row {
            path: self.files[self.file[index] as usize].clone(),
            place: self.place(index),
            column: column.into(),
            found,
            remedy: remedy.into(),
        }
    }

    /// `row 17` or `line 18`.
    pub(super) fn place(&self, index: usize) -> String {
        format!("{} {}", self.origin.counted(), self.row[index])
    }
}

/// From which kind of file rows come, which decides the words of errors: each repair is asked for in its own way.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) enum Origin {
    /// Parquet, loaded with the settings of an experiment. Rows are counted from 0.
    #[default]
    Parquet,
    /// Text, imported with options of the command line. Lines are counted from 1.
    Text,
}

impl Origin {
    fn counted(self) -> &'static str {
        match self {
            Origin::Parquet => "row",
            Origin::Text => "line",
        }
    }

    /// How to leave bad rows out.
    pub(super) fn drop_bad_rows(self) -> &'static str {
        match self {
            Origin::Parquet => "set data.quality: {bad_rows: drop}",
            Origin::Text => "leave such lines out with --bad-rows drop",
        }
    }

    /// How to keep one of two bars with the same time.
    pub(super) fn keep_one_duplicate(self) -> &'static str {
        match self {
            Origin::Parquet => "set data.quality: {duplicates: keep_first} or keep_last",
            Origin::Text => "choose with --duplicates keep_first or keep_last",
        }
    }
}

/// Names and the small numbers that stand for them.
#[derive(Debug, Default)]
pub(super) struct Names {
    by_code: Vec<String>,
    codes: HashMap<String, u32>,
}

impl Names {
    /// The number of a name, a new one if it is new.
    pub(super) fn code(&mut self, name: &str) -> u32 {
        if let Some(code) = self.codes.get(name) {
            return *code;
        }
        let code = self.by_code.len() as u32;
        self.by_code.push(name.to_owned());
        self.codes.insert(name.to_owned(), code);
        code
    }

    /// All names, in the order of their numbers.
    pub(super) fn all(&self) -> &[String] {
        &self.by_code
    }
}
