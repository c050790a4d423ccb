//! The worst falls of every book: when, how deep, and how long until the money was back.

use super::markup::{escape, number_cell, number_heading, scrolling};
use super::number::{NONE, count, percent};
use super::run_files::{Curve, RunFiles};
use super::strategy_table::ranked;
use crate::units::Time;

/// Rows of a table.
const SHOWN: usize = 5;

/// A fall from a high until the high is reached again. Rows are bars; the high before the first bar is the cash.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Fall {
    high: Option<usize>,
    lowest: usize,
    back: Option<usize>,
    /// Lowest equity over the high, minus 1.
    depth: f64,
}

/// A table a strategy, one shown at a time, first that of the chosen model.
pub(super) fn worst(files: &RunFiles) -> String {
    if files.times.is_empty() {
        return String::new();
    }
    let names: Vec<&str> = ranked(&files.summary).iter().map(|book| book.name.as_str()).collect();
    let mut curves: Vec<&Curve> = files.curves.iter().collect();
    curves.sort_by_key(|curve| names.iter().position(|name| *name == curve.strategy).unwrap_or(usize::MAX));
    let chosen = files.best_model().and_then(|name| curves.iter().position(|curve| curve.strategy == name));
    let (mut options, mut tables) = (String::new(), String::new());
    for (index, curve) in curves.iter().enumerate() {
        let name = escape(&curve.strategy);
        let (selected, hidden) =
            if index == chosen.unwrap_or(0) { (" selected", "") } else { ("", " hidden") };
        options += &format!("<option value=\"{index}\"{selected}>{name}</option>\n");
        let table = table(&falls(&curve.equity, files.cash()), &files.times, &name);
        tables += &format!("<div class=\"choice\" data-choice=\"{index}\"{hidden}>\n{table}</div>\n");
    }
    format!(
        "<p class=\"chooser\"><label>Strategy <select data-chooser=\"falls\">\n{options}</select></label></p>\n\
         <div id=\"falls\">\n{tables}</div>\n"
    )
}

/// All falls, deepest first; equal ones by time.
fn falls(equity: &[f64], cash: f64) -> Vec<Fall> {
    let mut found: Vec<Fall> = Vec::new();
    let (mut high, mut high_row) = (cash, None);
    let mut open: Option<Fall> = None;
    for (row, value) in equity.iter().copied().enumerate() {
        if value >= high {
            found.extend(open.take().map(|fall| Fall { back: Some(row), ..fall }));
            (high, high_row) = (value, Some(row));
            continue;
        }
        let depth = value / high - 1.0;
        let fall = open.get_or_insert(Fall { high: high_row, lowest: row, back: None, depth });
        if depth < fall.depth {
            (fall.lowest, fall.depth) = (row, depth);
        }
    }
    found.extend(open);
    found.sort_by(|left, right| left.depth.total_cmp(&right.depth));
    found
}

fn table(falls: &[Fall], times: &[Time], name: &str) -> String {
    if falls.is_empty() {
        return format!("<p>{name} never fell below an earlier high.</p>\n");
    }
    let day = |row: usize| format!("<td class=\"span\">{}</td>", times[row].date());
    let mut table = format!(
        "<table class=\"narrow falls\">\n<caption>{name}</caption>\n<thead><tr><th scope=\"col\">Rank</th>{}<th scope=\"col\">High</th>\
         <th scope=\"col\">Lowest</th><th scope=\"col\">Back at the high</th>{}{}</tr></thead>\n<tbody>\n",
        number_heading("Depth"),
        number_heading("Bars down"),
        number_heading("Bars under water")
    );
    for (rank, fall) in falls.iter().take(SHOWN).enumerate() {
        table += &format!("<tr><th scope=\"row\">{}</th>", rank + 1);
        table += &number_cell(&percent(Some(fall.depth), 1));
        table += &fall.high.map_or_else(|| "<td class=\"span\">start</td>".to_owned(), day);
        table += &day(fall.lowest);
        table += &fall.back.map_or_else(|| "<td class=\"span\">not yet</td>".to_owned(), day);
        // The cash stands one bar before the first.
        let bars = |row: usize| fall.high.map_or(row + 1, |high| row - high);
        table += &number_cell(&count(bars(fall.lowest)));
        table += &number_cell(&fall.back.map_or(NONE.to_owned(), |row| count(bars(row))));
        table += "</tr>\n";
    }
    scrolling("Worst drawdowns", &(table + "</tbody>\n</table>\n"))
}
