//! The ten best trials.

use super::super::markup::{escape, scrolling};
use super::super::number::{NONE, count, counted, decimal, maybe, significant};
use super::axes::setting;
use super::opening::{metric_words, run_report};
use super::{Sweep, known};
use crate::rundir::TrialSummary;

/// Rows.
const SHOWN: usize = 10;

/// What the columns are.
pub(super) fn note(sweep: &Sweep<'_>) -> String {
    if sweep.ranked.is_empty() {
        return String::new();
    }
    let mut text = format!(
        "The {} with the best {} of {} trained to the end. Press a heading to sort.",
        counted(SHOWN.min(sweep.ranked.len()), "trial"),
        escape(&metric_words(&sweep.summary.metric)),
        count(sweep.ranked.len())
    );
    if sweep.summary.folds * sweep.summary.seeds > 1 {
        text += " Below a value stand the lowest and the highest of its folds and seeds: a lead smaller than that spread is \
                 none.";
    }
    text
}

/// The table; a sentence where no trial was finished.
pub(super) fn leaderboard(sweep: &Sweep<'_>) -> String {
    if sweep.ranked.is_empty() {
        return "<p>No trial was trained to the end with a value. The table of all trials says why.</p>\n"
            .to_owned();
    }
    let shown: Vec<&TrialSummary> =
        sweep.ranked.iter().take(SHOWN).map(|position| &sweep.summary.trials[*position]).collect();
    let (trades, link) =
        (shown.iter().any(|trial| trial.validation_sharpe.is_some()), run_report(sweep.summary));
    let button = |title: &str| format!("<button type=\"button\">{title}</button>");
    let mut table = String::from("<table class=\"sortable leaders\">\n<thead><tr>");
    table += &format!("<th scope=\"col\">{}</th>", button("Trial"));
    table += &format!(
        "<th scope=\"col\" class=\"n\">{}</th>",
        button(&escape(&metric_words(&sweep.summary.metric)))
    );
    for dimension in &sweep.dimensions {
        let class = if dimension.is_choice() { "" } else { " class=\"n\"" };
        table += &format!(
            "<th scope=\"col\"{class} title=\"{}\">{}</th>",
            escape(&dimension.summary.path),
            button(&escape(&dimension.name).replace('_', "_<wbr>"))
        );
    }
    let sharpe = if trades { "Validation Sharpe" } else { "" };
    for title in
        [sharpe, "Parameters", "Epochs", "Processor, s"].into_iter().filter(|title| !title.is_empty())
    {
        table += &format!("<th scope=\"col\" class=\"n\">{}</th>", button(title));
    }
    table += "</tr></thead>\n<tbody>\n";
    for trial in shown {
        table += &row(sweep, trial, trades, link.as_deref());
    }
    scrolling("Leaderboard", &(table + "</tbody>\n</table>\n"))
}

fn row(sweep: &Sweep<'_>, trial: &TrialSummary, trades: bool, link: Option<&str>) -> String {
    let winner = sweep.summary.winner.as_ref().filter(|winner| winner.trial == trial.number);
    let link = match winner.zip(link) {
        Some((_, link)) => format!(" <small><a href=\"{}\">its run</a></small>", escape(link)),
        None => String::new(),
    };
    let best = sweep.best().is_some_and(|best| best.number == trial.number);
    let class = if best { " class=\"model\"" } else { "" };
    let reused = if trial.reused { " <small>taken from an earlier sweep</small>" } else { "" };
    let mut html = format!(
        "<tr{class} data-trial=\"{0}\"><th scope=\"row\" data-value=\"{0:09}\">{0}{link}{reused}</th>",
        trial.number
    );
    html += &figure_cell(known(trial), &(sweep.values.maybe(known(trial)) + &spread(sweep, trial)));
    for dimension in &sweep.dimensions {
        let value = trial.settings.get(&dimension.summary.path);
        let text = value.map_or_else(|| NONE.to_owned(), |value| escape(&setting(value)));
        html += &match value.and_then(serde_json::Value::as_f64).filter(|_| !dimension.is_choice()) {
            Some(number) => figure_cell(Some(number), &text),
            None if dimension.is_choice() => format!("<td>{text}</td>"),
            None => figure_cell(None, &text),
        };
    }
    if trades {
        html += &figure_cell(trial.validation_sharpe, &maybe(trial.validation_sharpe, 2));
    }
    html += &figure_cell(Some(trial.parameters as f64), &count(trial.parameters));
    html += &figure_cell(Some(trial.epochs as f64), &decimal(trial.epochs as f64, 0));
    // Who took its outcome from an earlier sweep spent nothing.
    let spent = if trial.reused { NONE.to_owned() } else { significant(trial.cpu_seconds) };
    html + &figure_cell(Some(trial.cpu_seconds), &spent) + "</tr>\n"
}

/// The lowest and the highest value of the folds and seeds.
fn spread(sweep: &Sweep<'_>, trial: &TrialSummary) -> String {
    let mut values: Vec<f64> = trial.values.iter().copied().filter(|value| value.is_finite()).collect();
    values.sort_by(f64::total_cmp);
    match values[..] {
        [low, .., high] => {
            format!("<span class=\"ends\">{} to {}</span>", sweep.values.text(low), sweep.values.text(high))
        }
        _ => String::new(),
    }
}

fn figure_cell(value: Option<f64>, text: &str) -> String {
    match value.filter(|value| value.is_finite()) {
        Some(value) => format!("<td class=\"n\" data-value=\"{value}\">{text}</td>"),
        None => format!("<td class=\"n\">{text}</td>"),
    }
}
