//! The table that is printed after a sweep.

use super::super::number::{NONE, count, counted, decimal, duration, percent, significant};
use super::super::terminal_text::{cut, paint, plain, wrapped};
use super::axes::setting;
use super::opening::{SHARPE, fates, is_of_swept, metric_words, reasons_found};
use super::{Sweep, known};
use crate::ruled_table::ruled_table;
use crate::rundir::{Conclusion, SweepSummary, TrialSummary, WinnerSummary};
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
    for line in [stop(summary), reason(summary), outcome(&sweep)].into_iter().filter(|line| !line.is_empty())
    {
        text += &(wrapped(&plain(&line), width) + "\n");
    }
    text + &judgement(&sweep, width, colour)
}

/// `Stopped after its 10 minutes; 189 of 100,000 trials.` where the time ended it.
fn stop(summary: &SweepSummary) -> String {
    if summary.stop_reason != "time" {
        return String::new();
    }
    let allowed = summary.seconds_allowed.map_or_else(|| "time".to_owned(), duration);
    format!(
        "Stopped after its {allowed}; {} of {}.",
        count(summary.trials.len()),
        counted(summary.trials_asked, "trial")
    )
}

/// The commonest reason for which trials failed or diverged.
fn reason(summary: &SweepSummary) -> String {
    reasons_found(summary).first().map_or_else(String::new, |(reason, times)| {
        let sentence =
            format!("Without a value: {}, as {}.", counted(*times, "trial"), reason.trim_end_matches('.'));
        cut(&sentence, usize::MAX)
    })
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
            if trial.reused { NONE.to_owned() } else { plain(&significant(trial.cpu_seconds)) },
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
    if let Some(median) = sweep.median().filter(|_| sweep.ranked.len() > 1) {
        rivals.push(format!("{} at the median", sweep.values.text(median)));
    }
    if let Some(first) = sweep.trial(0).filter(|first| first.number != best.number).and_then(known) {
        rivals.push(format!("{} of the first trial", sweep.values.text(first)));
    }
    if !rivals.is_empty() {
        text += &format!(", against {}", rivals.join(" and "));
    }
    text += ".";
    if let Some(share) = sweep.summary.overfitting_probability {
        text += &format!(
            " PBO {}: the share of the ways to halve the validation bars in which the best of one half is not above the median \
             of the other",
            percent(Some(share), 0)
        );
        text += if sweep.summary.metric == SHARPE {
            "."
        } else {
            ", by the Sharpe ratios of the trials' books, not by the metric."
        };
    }
    cut(&text, usize::MAX)
}

/// What the test bars say.
fn judgement(sweep: &Sweep<'_>, width: usize, colour: bool) -> String {
    let Some(winner) = &sweep.summary.winner else {
        return "Verdict: none, the best trial was not judged on test bars.\n".to_owned();
    };
    let swept = wrapped(&plain(&swept_book(sweep.summary, winner)), width) + "\n";
    let Some(verdict) = &winner.verdict else {
        return swept + "Verdict: none, its run has no model and baseline to compare.\n";
    };
    let code = match verdict.conclusion {
        Conclusion::Proven => "1;32",
        Conclusion::NotProven => "1;33",
        Conclusion::Worse => "1;31",
    };
    let about = if is_of_swept(winner, verdict) {
        "Verdict".to_owned()
    } else {
        cut(&format!("The run's verdict is about {}", verdict.best_model), usize::MAX)
    };
    let start = format!("{about}: {}.", verdict.conclusion);
    let claim = cut(&super::super::verdict::claim(verdict), usize::MAX);
    let sentence = wrapped(&plain(&format!("{start} {claim}.")), width);
    match sentence.strip_prefix(&start) {
        Some(rest) => format!("{swept}{}{rest}\n", paint(&start, code, colour)),
        None => swept + &sentence + "\n",
    }
}

/// `Test bars: the book of trial 17, lstm_signal, has a Sharpe ratio of 1.61. Deflated by 24 trials: 29%.`
fn swept_book(summary: &SweepSummary, winner: &WinnerSummary) -> String {
    let Some(sharpe) = winner.sharpe else {
        return "Test bars: the swept model has no book of its own with a Sharpe ratio there.".to_owned();
    };
    let book = winner.book.as_ref().map_or_else(String::new, |book| format!(", {book},"));
    let mut text = format!(
        "Test bars: the book of trial {}{book} has a Sharpe ratio of {}.",
        winner.trial,
        decimal(sharpe, 2)
    );
    if let Some(probability) = winner.deflated_sharpe {
        let trials = counted(summary.trials.len(), "trial");
        text += &format!(" Deflated by {trials}: {}.", percent(Some(probability), 0));
    }
    cut(&text, usize::MAX)
}
