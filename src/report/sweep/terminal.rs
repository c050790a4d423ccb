//! The table that is printed after a sweep.

use super::super::number::{NONE, counted, percent};
use super::super::terminal_text::{cut, paint, plain, wrapped};
use super::axes::setting;
use super::opening::{fates, metric_words};
use super::{Sweep, known};
use crate::ruled_table::ruled_table;
use crate::rundir::{Conclusion, SweepSummary, TrialSummary};
use comfy_table::CellAlignment;

/// Rows of the table.
const SHOWN: usize = 5;
/// Letters of a setting at most.
const LETTERS: usize = 18;

/// The best trials as a table of at most `width` columns, the most important settings first, and what is left of the best
/// one. Settings are dropped where the terminal is narrow. Without `colour` there is no escape sequence in it.
pub fn sweep_terminal(summary: &SweepSummary, width: usize, colour: bool) -> String {
    let sweep = Sweep::new(summary);
    let mut text = if sweep.ranked.is_empty() { String::new() } else { fitted(&sweep, width, colour) };
    text += &(wrapped(
        &plain(&format!("{}: {}.", counted(summary.trials.len(), "trial"), fates(summary))),
        width,
    ) + "\n");
    text += &(wrapped(&plain(&outcome(&sweep)), width) + "\n");
    text + &judgement(&sweep, width, colour)
}

/// The table with as many columns as fit.
fn fitted(sweep: &Sweep<'_>, width: usize, colour: bool) -> String {
    let mut order: Vec<usize> = (0..sweep.dimensions.len()).collect();
    let importance = |index: &usize| sweep.dimensions[*index].summary.importance.unwrap_or(-1.0);
    order.sort_by(|left, right| importance(right).total_cmp(&importance(left)));
    let fits = |text: &String| text.lines().all(|line| line.chars().count() <= width);
    let most = 4 + order.len();
    let text = (2..=most).rev().map(|columns| table(sweep, &order, columns)).find(fits);
    let text = text.unwrap_or_else(|| table(sweep, &order, 2));
    if !colour {
        return text;
    }
    // A rule, the heading and another rule stand above the best trial.
    let lines = text.lines().enumerate();
    lines
        .map(|(line, row)| if line == 3 { paint(row, "1;36", true) } else { row.to_owned() } + "\n")
        .collect()
}

/// The first `columns` of: number, metric, epochs, processor time, settings in the order of `dimensions`.
fn table(sweep: &Sweep<'_>, dimensions: &[usize], columns: usize) -> String {
    let mut table = ruled_table(None);
    let metric = cut(&metric_words(&sweep.summary.metric), LETTERS);
    let mut header = vec!["trial".to_owned(), metric, "epochs".to_owned(), "CPU s".to_owned()];
    header.extend(dimensions.iter().map(|index| cut(&sweep.dimensions[*index].name, LETTERS)));
    table.set_header(header.into_iter().take(columns));
    for position in sweep.ranked.iter().take(SHOWN) {
        let trial = &sweep.summary.trials[*position];
        let mut row = vec![
            trial.number.to_string(),
            plain(&sweep.values.maybe(known(trial))),
            trial.epochs.to_string(),
            format!("{:.1}", trial.cpu_seconds),
        ];
        row.extend(dimensions.iter().map(|index| written(sweep, trial, *index)));
        table.add_row(row.into_iter().take(columns));
    }
    for index in 0..columns {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string() + "\n"
}

fn written(sweep: &Sweep<'_>, trial: &TrialSummary, dimension: usize) -> String {
    let value = trial.settings.get(&sweep.dimensions[dimension].summary.path);
    plain(&value.map_or_else(|| NONE.to_owned(), |value| cut(&setting(value), LETTERS)))
}

/// `Best: trial 41, validation loss 0.0123, against 0.0135 at the median and 0.0141 of the first trial.`
fn outcome(sweep: &Sweep<'_>) -> String {
    let Some(best) = sweep.best() else {
        return "No trial was trained to the end with a value: there is no best one.".to_owned();
    };
    let metric = metric_words(&sweep.summary.metric);
    let mut text = format!("Best: trial {}, {metric} {}", best.number, sweep.values.maybe(known(best)));
    let mut rivals = Vec::new();
    if let Some(median) = sweep.value_at(0.5).filter(|_| sweep.ranked.len() > 1) {
        rivals.push(format!("{} at the median", sweep.values.text(median)));
    }
    if let Some(first) = sweep.trial(0).filter(|first| first.number != best.number).and_then(known) {
        rivals.push(format!("{} of the first trial", sweep.values.text(first)));
    }
    if !rivals.is_empty() {
        text += &format!(", against {}", rivals.join(" and "));
    }
    if let Some(share) = sweep.summary.overfitting_probability {
        text += &format!("; PBO {}", percent(Some(share), 0));
    }
    cut(&(text + "."), usize::MAX)
}

/// What the test bars say.
fn judgement(sweep: &Sweep<'_>, width: usize, colour: bool) -> String {
    let winner = sweep.summary.winner.as_ref();
    let Some(verdict) = winner.and_then(|winner| winner.verdict.as_ref()) else {
        return "Verdict: none, the best trial was not judged on test bars.\n".to_owned();
    };
    let deflated = winner.and_then(|winner| winner.deflated_sharpe);
    let deflated = deflated.map_or(String::new(), |probability| {
        let trials = counted(sweep.summary.trials.len(), "trial");
        format!(" Deflated by {trials}: {}.", percent(Some(probability), 0))
    });
    let code = match verdict.conclusion {
        Conclusion::Proven => "1;32",
        Conclusion::NotProven => "1;33",
        Conclusion::Worse => "1;31",
    };
    let start = format!("Verdict: {}.", verdict.conclusion);
    let claim = cut(&super::super::verdict::claim(verdict), usize::MAX);
    let sentence = wrapped(&plain(&format!("{start} {claim}.{deflated}")), width);
    match sentence.strip_prefix(&start) {
        Some(rest) => format!("{}{rest}\n", paint(&start, code, colour)),
        None => sentence + "\n",
    }
}
