//! The worst falls of every book: when, how deep, and how long until the money was back.

use super::markup::{escape, number_cell, number_heading, scrolling};
use super::number::{NONE, count, percent};
use super::run_files::{Curve, RunFiles};
use super::strategy_table::ranked;
use crate::metrics::{DrawdownPeriod, worst_drawdowns};
use crate::units::Time;

/// Rows of a table.
const SHOWN: usize = 5;

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
        let table = table(&worst_drawdowns(&curve.equity, files.cash(), SHOWN), &files.times, &name);
        tables += &format!("<div class=\"choice\" data-choice=\"{index}\"{hidden}>\n{table}</div>\n");
    }
    format!(
        "<p class=\"chooser\"><label>Strategy <select data-chooser=\"falls\">\n{options}</select></label></p>\n\
         <div id=\"falls\">\n{tables}</div>\n"
    )
}

fn table(falls: &[DrawdownPeriod], times: &[Time], name: &str) -> String {
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
    for (rank, fall) in falls.iter().enumerate() {
        table += &format!("<tr><th scope=\"row\">{}</th>", rank + 1);
        table += &number_cell(&percent(Some(fall.depth), 1));
        // The high stands one bar before the first below it; before the first of all stands the cash.
        table += &fall.start.checked_sub(1).map_or_else(|| "<td class=\"span\">start</td>".to_owned(), day);
        table += &day(fall.trough);
        table += &fall.recovery.map_or_else(|| "<td class=\"span\">not yet</td>".to_owned(), day);
        table += &number_cell(&count(fall.trough + 1 - fall.start));
        table += &number_cell(&fall.recovery.map_or(NONE.to_owned(), |row| count(row + 1 - fall.start)));
        table += "</tr>\n";
    }
    scrolling("Worst drawdowns", &(table + "</tbody>\n</table>\n"))
}
