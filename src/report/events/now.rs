//! The risk at the last row: the chance within each horizon, which is the distribution of the time to the event.

use crate::report::markup::{escape, number_cell, number_heading, scrolling};
use crate::report::number::{NONE, decimal, percent, signed_percent, significant};
use crate::rundir::{RiskStatus, Summary};

/// The sentences above the table.
pub(super) const NOTE: &str = "The chance of the event within each horizon, as the newest forecast sees it: together the distribution of \
    the time to the event. Critical is at or above the threshold that validation chose, warning at or above the configured \
    share of it.";

/// A row a symbol and model, a group of columns a horizon.
pub(super) fn now(summary: &Summary) -> String {
    let Some(first) = summary.status.first() else { return String::new() };
    let mut html =
        format!("<p class=\"finding\">At the close of the bar of <b>{}</b>", escape(&first.timestamp));
    for (name, value) in &first.columns {
        html += &format!(", <span class=\"span\">{} {}</span>", escape(name), significant(*value));
    }
    html += ".</p>\n";
    let several = summary.data.symbols.len() > 1;
    let rows =
        summary.status.chunk_by(|one, other| (&one.model, &one.symbol) == (&other.model, &other.symbol));
    let mut table = String::from("<table class=\"grouped\">\n<thead><tr><th></th>");
    for horizon in super::horizons(summary) {
        table += &format!("<th scope=\"colgroup\" colspan=\"4\">within {horizon} bars</th>");
    }
    table += "</tr>\n<tr><th scope=\"col\">Model</th>";
    for _ in super::horizons(summary) {
        for title in ["Risk", "Alarm at", "24 h change", "Status"] {
            table += &number_heading(title);
        }
    }
    table += "</tr></thead>\n<tbody>\n";
    for row in rows {
        let symbol =
            if several { format!(" <small>{}</small>", escape(&row[0].symbol)) } else { String::new() };
        table += &format!("<tr><th scope=\"row\">{}{symbol}</th>", escape(&row[0].model));
        for status in row {
            table += &cells(status);
        }
        table += "</tr>\n";
    }
    table += "</tbody>\n</table>\n";
    html + &scrolling("Risk at the last row", &table)
}

fn cells(status: &RiskStatus) -> String {
    let level = status
        .status
        .map_or_else(|| NONE.to_owned(), |level| format!("<span class=\"level {level}\">{level}</span>"));
    let change = match (status.change_24h, status.change_24h_percent) {
        (Some(change), relative) => {
            let relative = relative.map_or(String::new(), |share| {
                format!("<small class=\"ends\">{}</small>", signed_percent(share / 100.0, 0))
            });
            let sign = if change > 0.0 { "+" } else { "" };
            format!("{sign}{}{relative}", decimal(change, 3))
        }
        (None, _) => NONE.to_owned(),
    };
    [percent(Some(status.risk), 1), percent(status.alarm_at, 1), change, level]
        .map(|cell| number_cell(&cell))
        .concat()
}
