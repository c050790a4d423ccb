//! A question about a table, and its answer as text, CSV or JSON.

use super::{Condition, QueryError};
use crate::report::{fixed, readable};
use crate::ruled_table::ruled_table;
use crate::rundir::{Column, RunDirError, TableFile};
use comfy_table::CellAlignment;
use serde_json::Value;
use std::cmp::Ordering;
use std::path::Path;

/// A table of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Outline {
    /// The name of the file without its ending; below `models/` with its folder.
    pub table: String,
    /// Number of rows.
    pub rows: usize,
    /// Names of the columns.
    pub columns: Vec<String>,
}

/// The tables of a run by name: those of the run first, then those of single networks below `models/`.
///
/// # Errors
/// A folder or file that cannot be read.
pub fn tables(run: &Path) -> Result<Vec<Outline>, QueryError> {
    let outline = |table: String| {
        let (rows, columns) = TableFile::outline(&file(run, &table))?;
        Ok(Outline { table, rows, columns })
    };
    names(run)?.into_iter().map(outline).collect()
}

/// See [`tables`].
fn names(run: &Path) -> Result<Vec<String>, QueryError> {
    let mut names = Vec::new();
    let mut folders = vec![run.to_owned()];
    while let Some(folder) = folders.pop() {
        let read = |source| RunDirError::Read { path: folder.clone(), source };
        for entry in std::fs::read_dir(&folder).map_err(read)? {
            let path = entry.map_err(read)?.path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ending| ending == "parquet") {
                let name = path.strip_prefix(run).unwrap_or(&path).with_extension("");
                names.push(name.to_string_lossy().into_owned());
            }
        }
    }
    names.sort_by_key(|name| (name.contains('/'), name.clone()));
    Ok(names)
}

fn file(run: &Path, table: &str) -> std::path::PathBuf {
    run.join(format!("{table}.parquet"))
}

/// Which rows and columns of a table.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// See [`Outline::table`].
    pub table: String,
    /// All of them must hold.
    pub conditions: Vec<Condition>,
    /// The columns in this order; left out: all.
    pub columns: Option<Vec<String>>,
    /// The column to sort by, with a `-` in front from the largest to the smallest; nulls come last.
    pub sort: Option<String>,
    /// At most so many rows; left out: all.
    pub limit: Option<usize>,
}

/// Rows of a table.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// Where they come from.
    pub table: String,
    /// Rows that meet the conditions.
    pub matching: usize,
    /// The first of those rows.
    pub rows: TableFile,
}

/// Answers a question about a run.
///
/// # Errors
/// Names that are not there, with those that are; values of another kind than their column's.
pub fn ask(run: &Path, question: &Question) -> Result<Answer, QueryError> {
    // Only names that are listed: others could lead out of the run.
    let tables = names(run)?;
    if !tables.contains(&question.table) {
        let known: Vec<&str> = tables.iter().map(String::as_str).filter(|name| !name.contains('/')).collect();
        return Err(QueryError::unknown("table", &question.table, &known));
    }
    let path = file(run, &question.table);
    let (count, names) = TableFile::outline(&path)?;
    let known: Vec<&str> = names.iter().map(String::as_str).collect();
    let shown: Vec<&str> = match &question.columns {
        Some(columns) => columns.iter().map(String::as_str).collect(),
        None => known.clone(),
    };
    let sort = question.sort.as_deref().map(|sort| match sort.strip_prefix('-') {
        Some(column) => (column, true),
        None => (sort, false),
    });
    let mut needed = shown.clone();
    needed.extend(question.conditions.iter().map(|condition| condition.column.as_str()));
    needed.extend(sort.map(|(column, _)| column));
    if let Some(missing) = needed.iter().find(|name| !known.contains(name)) {
        return Err(QueryError::unknown(format!("column of {}", question.table), missing, &known));
    }
    let table = TableFile::read_columns(&path, &needed)?;
    let mut rows: Vec<usize> = (0..count).collect();
    for condition in &question.conditions {
        condition.keep(column(&table, &condition.column), &mut rows)?;
    }
    if let Some((name, falling)) = sort {
        let values = column(&table, name);
        rows.sort_by(|one, other| ordered(values, (*one, *other), falling));
    }
    let matching = rows.len();
    rows.truncate(question.limit.unwrap_or(usize::MAX));
    let taken = |answer: TableFile, name: &&str| answer.with(name, taken(column(&table, name), &rows));
    let rows = shown.iter().fold(TableFile::default(), taken);
    Ok(Answer { table: question.table.clone(), matching, rows })
}

/// The column of that name; an empty one where there is none, which was ruled out before.
fn column<'a>(table: &'a TableFile, name: &str) -> &'a Column {
    const NONE: &Column = &Column::Float(Vec::new());
    table.columns().find(|(other, _)| *other == name).map_or(NONE, |(_, column)| column)
}

/// The order of two rows, nulls last in both directions.
fn ordered(column: &Column, (one, other): (usize, usize), falling: bool) -> Ordering {
    let order = match column {
        Column::Float(values) => match (values[one].is_nan(), values[other].is_nan()) {
            (false, false) => values[one].total_cmp(&values[other]),
            (one, other) => return one.cmp(&other),
        },
        Column::Integer(values) => values[one].cmp(&values[other]),
        Column::Time(values) => values[one].cmp(&values[other]),
        Column::Text(values) => values[one].cmp(&values[other]),
    };
    if falling { order.reverse() } else { order }
}

/// These rows of a column.
pub(super) fn taken(column: &Column, rows: &[usize]) -> Column {
    match column {
        Column::Float(values) => Column::Float(rows.iter().map(|row| values[*row]).collect()),
        Column::Integer(values) => Column::Integer(rows.iter().map(|row| values[*row]).collect()),
        Column::Time(values) => Column::Time(rows.iter().map(|row| values[*row]).collect()),
        Column::Text(values) => Column::Text(rows.iter().map(|row| values[*row].clone()).collect()),
    }
}

impl Answer {
    /// Rows that are here.
    pub fn len(&self) -> usize {
        self.rows.columns().next().map_or(0, |(_, column)| column.len())
    }

    /// Whether no row is here.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// A table for people, `width` columns wide, and a line on what is not shown.
    pub fn text(&self, width: Option<usize>) -> String {
        let count = |number: usize| fixed(number as f64, 0);
        let shown = match self.len() {
            all if all == self.matching && all == 1 => "1 row".to_owned(),
            all if all == self.matching => format!("{} rows", count(all)),
            some => format!("{} of {} rows", count(some), count(self.matching)),
        };
        format!("{}\n{shown}\n", ruled(&self.rows, width))
    }

    /// Comma-separated values under the names of the columns; numbers with all their digits, nulls empty.
    pub fn csv(&self) -> String {
        let columns: Vec<(&str, &Column)> = self.rows.columns().collect();
        let mut text = columns.iter().map(|(name, _)| quoted(name)).collect::<Vec<_>>().join(",") + "\n";
        for row in 0..self.len() {
            let cells = columns.iter().map(|(_, column)| match exact(column, row) {
                Value::Null => String::new(),
                Value::String(text) => quoted(&text),
                number => number.to_string(),
            });
            text += &(cells.collect::<Vec<_>>().join(",") + "\n");
        }
        text
    }

    /// The rows as objects, with the number of those that meet the conditions.
    pub fn json(&self) -> Value {
        serde_json::json!({"table": self.table, "matching": self.matching, "rows": objects(&self.rows)})
    }
}

/// A table of terminals.
pub(super) fn ruled(rows: &TableFile, width: Option<usize>) -> String {
    let mut table = ruled_table(width);
    table.set_header(rows.columns().map(|(name, _)| name));
    let cells: Vec<Vec<String>> = rows.columns().map(|(_, column)| shown(column)).collect();
    for row in 0..cells.first().map_or(0, Vec::len) {
        table.add_row(cells.iter().map(|column| column[row].as_str()));
    }
    for (place, (_, column)) in table.column_iter_mut().zip(rows.columns()) {
        if matches!(column, Column::Float(_) | Column::Integer(_)) {
            place.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string()
}

/// Digits that people read.
const DIGITS: usize = 6;

/// Numbers of one size get equal decimals, so that their points stand below each other.
fn shown(column: &Column) -> Vec<String> {
    match column {
        Column::Float(values) => {
            let sizes = || values.iter().map(|value| value.abs()).filter(|size| *size > 0.0);
            let (most, least) = (sizes().fold(0.0, f64::max), sizes().fold(f64::INFINITY, f64::min));
            let whole = values.iter().all(|value| value.is_nan() || value.fract() == 0.0);
            let decimals = (DIGITS as i32 - 1 - most.log10().floor() as i32).clamp(0, 9) as usize;
            let alike = most <= least * 1e3 && (1e-4..1e12).contains(&most);
            let of = |value: &f64| match () {
                () if whole && most < 1e12 => fixed(*value, 0),
                () if alike => fixed(*value, decimals),
                () => readable(*value, DIGITS),
            };
            values.iter().map(of).collect()
        }
        Column::Integer(values) => values.iter().map(|value| fixed(*value as f64, 0)).collect(),
        Column::Time(values) => {
            let to_seconds = values.iter().all(|time| time.0 % 1_000_000_000 == 0);
            let form = if to_seconds { "%Y-%m-%d %H:%M:%S" } else { "%Y-%m-%d %H:%M:%S%.f" };
            values.iter().map(|time| time.civil().strftime(form).to_string()).collect()
        }
        Column::Text(values) => values.iter().map(|text| text.to_string()).collect(),
    }
}

/// One cell with all its digits.
fn exact(column: &Column, row: usize) -> Value {
    match column {
        // JSON has no word for what is not finite; it becomes null.
        Column::Float(values) => values[row].into(),
        Column::Integer(values) => values[row].into(),
        Column::Time(values) => values[row].to_string().into(),
        Column::Text(values) => (*values[row]).into(),
    }
}

/// The rows of a table as JSON objects.
pub(super) fn objects(rows: &TableFile) -> Vec<Value> {
    let count = rows.columns().next().map_or(0, |(_, column)| column.len());
    let object = |row: usize| {
        let cells = rows.columns().map(|(name, column)| (name.to_owned(), exact(column, row)));
        Value::Object(cells.collect())
    };
    (0..count).map(object).collect()
}

/// A cell of CSV, in quotes where it needs them (RFC 4180).
fn quoted(text: &str) -> String {
    if text.contains([',', '"', '\n', '\r']) {
        format!("\"{}\"", text.replace('"', "\"\""))
    } else {
        text.to_owned()
    }
}
