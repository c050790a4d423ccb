//! A description as people read it in a terminal.

use super::describe::{Description, FileDescription, SymbolDescription};
use super::duration::duration_text;
use crate::ruled_table::ruled_table;
use comfy_table::{CellAlignment, Table};
use std::fmt::Write;

/// Rows of a table beyond which people stop reading.
const SHOWN: usize = 24;

impl Description {
    /// Several tables and the verdict, as text. `--json` has what is cut off here. Why the files do not load is left to the
    /// error that follows.
    pub fn table(&self) -> String {
        let mut text = String::new();
        for file in self.files.iter().take(SHOWN) {
            text += &file_line(file);
        }
        text += &more(self.files.len(), "files");
        let mut schemas: Vec<&FileDescription> = Vec::new();
        for file in self.files.iter().filter(|file| !file.columns.is_empty()) {
            let kinds = |file: &FileDescription| -> Vec<(String, String)> {
                file.columns.iter().map(|column| (column.name.clone(), column.kind.clone())).collect()
            };
            if schemas.iter().all(|other| kinds(other) != kinds(file)) {
                schemas.push(file);
            }
        }
        for file in schemas.iter().take(3) {
            text += &columns(file, schemas.len() > 1);
        }
        text += &symbols(&self.symbols);
        for warning in &self.warnings {
            let stop = if warning.ends_with('?') { "" } else { "." };
            let _ = writeln!(text, "Warning: {warning}{stop}");
        }
        match &self.problem {
            None => text += "These files load as bars.\n",
            Some(_) => text += "These files do not load as bars.\n",
        }
        text
    }
}

fn file_line(file: &FileDescription) -> String {
    match &file.problem {
        Some(problem) => format!("{problem}\n"),
        None => format!(
            "{}  {} row{}, {}, {} row group{}, {}\n",
            file.path,
            thousands(file.rows),
            if file.rows == 1 { "" } else { "s" },
            size(file.bytes),
            file.row_groups,
            if file.row_groups == 1 { "" } else { "s" },
            file.compression
        ),
    }
}

fn more(count: usize, things: &str) -> String {
    if count > SHOWN {
        format!("... and {} more {things}; --json has all\n", count - SHOWN)
    } else {
        String::new()
    }
}

fn table(header: &[&str], right_from: usize) -> Table {
    let mut table = ruled_table(None);
    table.set_header(header.to_vec());
    for index in right_from..header.len() {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table
}

fn columns(file: &FileDescription, several: bool) -> String {
    let mut table = table(&["column", "type", "nulls"], 2);
    for column in file.columns.iter().take(SHOWN) {
        table.add_row(vec![column.name.clone(), column.kind.clone(), thousands(column.nulls as i64)]);
    }
    let head = if several { format!("\n{}\n", file.path) } else { "\n".into() };
    format!("{head}{table}\n{}", more(file.columns.len(), "columns"))
}

fn symbols(all: &[SymbolDescription]) -> String {
    if all.is_empty() {
        return "\n".into();
    }
    let mut spans =
        table(&["symbol", "rows", "first", "last", "interval", "gaps", "longest gap", "begins after"], 1);
    for symbol in all.iter().take(SHOWN) {
        let gap = symbol.longest_gap.as_ref();
        spans.add_row(vec![
            symbol.symbol.clone(),
            thousands(symbol.rows as i64),
            symbol.start.as_deref().map_or("-".into(), minute),
            symbol.end.as_deref().map_or("-".into(), minute),
            seconds(symbol.interval_seconds),
            thousands(symbol.gaps as i64),
            gap.map_or("-".into(), |gap| seconds(gap.seconds)),
            gap.map_or("-".into(), |gap| minute(&gap.after)),
        ]);
    }
    let header = [
        "symbol",
        "duplicates",
        "unsorted",
        "bad rows",
        "zero volume",
        "longest constant",
        "jumps",
        "largest",
        "at",
    ];
    let mut quality = table(&header, 1);
    for symbol in all.iter().take(SHOWN) {
        let jump = symbol.largest_jump.as_ref();
        quality.add_row(vec![
            symbol.symbol.clone(),
            thousands(symbol.duplicates as i64),
            thousands(symbol.unsorted as i64),
            thousands(symbol.bad_rows as i64),
            symbol.zero_volume.map_or("-".into(), |count| thousands(count as i64)),
            symbol.longest_constant_run.map_or("-".into(), |run| thousands(run as i64)),
            symbol.jumps.map_or("-".into(), |jumps| thousands(jumps as i64)),
            jump.map_or("-".into(), |jump| format!("{:+.2} %", 100.0 * jump.change)),
            jump.map_or("-".into(), |jump| minute(&jump.at)),
        ]);
    }
    let mut text = format!("\n{spans}\n\n{quality}\n{}", more(all.len(), "symbols"));
    for symbol in all.iter().filter(|symbol| symbol.first_bad_row.is_some()).take(3) {
        let _ = writeln!(
            text,
            "First bad row of {}: {}.",
            symbol.symbol,
            symbol.first_bad_row.as_deref().unwrap_or_default()
        );
    }
    text + "Times are UTC. A jump is a return further than 10 robust standard deviations from the median.\n\n"
}

/// `2021-03-04T05:06:07.5Z` to `2021-03-04 05:06`.
fn minute(text: &str) -> String {
    text.get(..16).unwrap_or(text).replace('T', " ")
}

fn seconds(value: f64) -> String {
    let exact = duration_text((value * 1e9).round() as i64);
    match value {
        0.0 => "-".into(),
        172_800.0.. => format!("{:.1}d", value / 86_400.0),
        _ if exact.len() <= 6 => exact,
        3600.0.. => format!("{:.1}h", value / 3600.0),
        _ => format!("{value:.3}s"),
    }
}

fn thousands(value: i64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

fn size(bytes: u64) -> String {
    if bytes >= 1_000_000 {
        format!("{:.1} MB", bytes as f64 / 1e6)
    } else {
        format!("{:.1} kB", bytes as f64 / 1e3)
    }
}
