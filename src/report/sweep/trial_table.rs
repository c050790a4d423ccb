//! Every trial, in the fewest bytes: a thousand rows are most of the page.

use super::super::markup::{escape, folded, scrolling};
use super::super::number::{NONE, counted, decimal, maybe, significant};
use super::axes::setting;
use super::opening::metric_words;
use super::{Sweep, known, status_words};
use crate::rundir::TrialSummary;

/// The folded table in the order of the trials' numbers.
pub(super) fn trials(sweep: &Sweep<'_>) -> String {
    let all = &sweep.summary.trials;
    if all.is_empty() {
        return "<p>No trial was started.</p>\n".to_owned();
    }
    let (trades, reasons) = (
        all.iter().any(|trial| trial.validation_sharpe.is_some()),
        all.iter().any(|trial| trial.reason.is_some()),
    );
    let heading = |title: &str, number: bool| {
        let class = if number { " class=\"n\"" } else { "" };
        format!("<th scope=\"col\"{class}><button type=\"button\">{title}</button></th>")
    };
    let mut table = String::from("<table class=\"sortable every\">\n<thead><tr>");
    table += &heading("Trial", true);
    table += &heading("Ended", false);
    table += &heading(&escape(&metric_words(&sweep.summary.metric)), true);
    for dimension in &sweep.dimensions {
        table += &heading(&escape(&dimension.name).replace('_', "_<wbr>"), true);
    }
    if trades {
        table += &heading("Validation Sharpe", true);
    }
    for title in ["Parameters", "Epochs", "Processor seconds"] {
        table += &heading(title, true);
    }
    if reasons {
        table += &heading("Why", false);
    }
    table += "</tr></thead>\n<tbody>\n";
    for trial in all {
        table += &row(sweep, trial, trades, reasons);
    }
    let table = scrolling("All trials", &(table + "</tbody>\n</table>\n"));
    folded(&format!("{} with their settings", counted(all.len(), "trial")), &table)
}

fn row(sweep: &Sweep<'_>, trial: &TrialSummary, trades: bool, reasons: bool) -> String {
    let (word, _) = status_words(trial.status);
    let reused = if trial.reused { ", reused" } else { "" };
    let mut html = format!("<tr data-trial=\"{0}\"><td>{0}</td><td>{word}{reused}</td>", trial.number);
    let mut cell = |text: &str| html += &format!("<td>{text}</td>");
    cell(&sweep.values.maybe(known(trial)));
    for dimension in &sweep.dimensions {
        let value = trial.settings.get(&dimension.summary.path);
        cell(&value.map(|value| escape(&setting(value))).unwrap_or_default());
    }
    if trades {
        cell(&maybe(trial.validation_sharpe, 2));
    }
    cell(&trial.parameters.to_string());
    cell(&decimal(trial.epochs as f64, 0));
    cell(&if trial.reused { NONE.to_owned() } else { significant(trial.cpu_seconds) });
    if reasons {
        cell(&escape(trial.reason.as_deref().unwrap_or_default()));
    }
    html + "</tr>\n"
}
