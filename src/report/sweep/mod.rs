//! What a sweep found, for people: one HTML page, and the table in the terminal. Both read `sweep.json` only.
//!
//! A thousand trials are more than a page can show: lines and points that nobody could tell apart are thinned out, never
//! the best ones, and each caption says how many are drawn. The table holds every trial.

mod axes;
mod curves;
mod facts;
mod importance_bars;
mod leaderboard;
mod opening;
mod parallel;
mod plot;
mod progress_plot;
mod response;
mod terminal;
mod time_line;
mod trial_table;

pub use terminal::sweep_terminal;

use super::ReportError;
use super::frame::{Part, frame, sections};
use super::markup::{escape, warning_list};
use crate::rundir::{SweepSummary, TrialStatus, TrialSummary, read_json, write_atomic};
use axes::{DimensionAxis, ValueAxis, dimension_axes};
use std::path::Path;

/// Colours of values, from the worst fifth of the finished trials to the best.
const TONES: usize = 5;

/// A sweep with what every part of its page needs.
struct Sweep<'a> {
    summary: &'a SweepSummary,
    /// In the order of the configuration.
    dimensions: Vec<DimensionAxis<'a>>,
    /// Positions of the trials that were trained to the end and have a value, best first.
    ranked: Vec<usize>,
    /// The axis of the metric.
    values: ValueAxis,
}

impl Sweep<'_> {
    fn new(summary: &SweepSummary) -> Sweep<'_> {
        let ranked = ranked(summary);
        let finished: Vec<f64> =
            ranked.iter().filter_map(|position| known(&summary.trials[*position])).collect();
        let all: Vec<f64> = summary.trials.iter().filter_map(known).collect();
        Sweep {
            summary,
            dimensions: dimension_axes(summary),
            values: ValueAxis::new(&finished, &all, summary.minimize),
            ranked,
        }
    }

    /// The best trial that was trained to the end: the sweep's own choice where it made one.
    fn best(&self) -> Option<&TrialSummary> {
        let chosen = self.summary.best.and_then(|number| self.trial(number));
        chosen.or_else(|| self.ranked.first().map(|position| &self.summary.trials[*position]))
    }

    fn trial(&self, number: usize) -> Option<&TrialSummary> {
        self.summary.trials.iter().find(|trial| trial.number == number)
    }

    /// The class of a trial's colour: `v0` to `v4` by the fifth of the finished trials in which its value lies, `lead` for
    /// the best, `faint` for those that were not finished.
    fn tone(&self, position: usize) -> String {
        let trial = &self.summary.trials[position];
        if self.best().is_some_and(|best| best.number == trial.number) {
            return "lead".to_owned();
        }
        match self.ranked.iter().position(|ranked| *ranked == position) {
            Some(rank) => format!("v{}", fifth(rank, self.ranked.len())),
            None => "faint".to_owned(),
        }
    }

    /// The finished value at a share of the ranking, 0 being the best.
    fn value_at(&self, share: f64) -> Option<f64> {
        let rank = (share * self.ranked.len().saturating_sub(1) as f64).round() as usize;
        self.ranked.get(rank).and_then(|position| known(&self.summary.trials[*position]))
    }

    /// The median of the finished values; of an even number the mean of the two in the middle.
    fn median(&self) -> Option<f64> {
        let last = self.ranked.len().checked_sub(1)?;
        let at = |rank: usize| known(&self.summary.trials[self.ranked[rank]]);
        // Halves first: the sum of two huge values is no number.
        Some(at(last / 2)? / 2.0 + at(last.div_ceil(2))? / 2.0)
    }

    /// Positions of the trials with a value, those to be seen best last, at most `most`: the `best` first ranks always, of
    /// the others every so manieth.
    fn drawn(&self, most: usize, best: usize) -> Vec<usize> {
        let trials = &self.summary.trials;
        let unfinished = (0..trials.len())
            .filter(|position| trials[*position].status != TrialStatus::Complete)
            .filter(|position| known(&trials[*position]).is_some());
        let best = best.min(self.ranked.len());
        let mut order: Vec<usize> = unfinished.collect();
        order.extend(self.ranked[best..].iter().rev());
        let room = most.saturating_sub(best);
        if order.len() > room {
            order = (0..room).map(|index| order[index * order.len() / room]).collect();
        }
        order.extend(self.ranked[..best].iter().rev());
        order
    }
}

/// The value of a trial that is a number.
fn known(trial: &TrialSummary) -> Option<f64> {
    trial.value.filter(|value| value.is_finite())
}

/// Positions of finished trials, best first; equal ones in their own order.
fn ranked(summary: &SweepSummary) -> Vec<usize> {
    let mut found: Vec<(usize, f64)> = summary
        .trials
        .iter()
        .enumerate()
        .filter(|(_, trial)| trial.status == TrialStatus::Complete)
        .filter_map(|(position, trial)| known(trial).map(|value| (position, value)))
        .collect();
    let sign = if summary.minimize { 1.0 } else { -1.0 };
    found.sort_by(|left, right| (sign * left.1).total_cmp(&(sign * right.1)));
    found.into_iter().map(|(position, _)| position).collect()
}

/// In which fifth a rank lies: 4 for the best, 0 for the worst.
fn fifth(rank: usize, count: usize) -> usize {
    TONES - 1 - (TONES * rank / count.max(1)).min(TONES - 1)
}

/// What a status is called on the page, and its class.
fn status_words(status: TrialStatus) -> (&'static str, &'static str) {
    match status {
        TrialStatus::Complete => ("complete", "finished"),
        TrialStatus::Pruned => ("pruned", "pruned"),
        TrialStatus::Diverged => ("diverged", "diverged"),
        TrialStatus::Failed => ("failed", "failed"),
        TrialStatus::Unfinished => ("unfinished", "unfinished"),
    }
}

/// Draws `report.html` of the sweep in `directory` from its `sweep.json`. The same file gives the same page.
///
/// # Errors
/// A `sweep.json` that is missing or damaged, or a page that cannot be written.
pub fn render_sweep(directory: &Path) -> Result<(), ReportError> {
    let summary: SweepSummary = read_json(&directory.join("sweep.json"))?;
    write_atomic(&directory.join("report.html"), page(&Sweep::new(&summary)).as_bytes())?;
    Ok(())
}

fn page(sweep: &Sweep<'_>) -> String {
    let summary = sweep.summary;
    let mut body = format!(
        "<header>\n<p class=\"eyebrow\"><b>Candlewick</b> sweep {}<span>of {}</span></p>\n",
        escape(&summary.name),
        escape(&summary.experiment)
    );
    body += &opening::opening(sweep);
    body += "</header>\n";
    body += &facts::facts(sweep);
    let warnings: Vec<String> = summary.warnings.iter().map(|text| escape(text)).collect();
    body += &warning_list(&warnings);
    body += &format!("<div class=\"sweep\">\n{}</div>\n", sections(&parts(sweep)));
    frame(&format!("{}: candlewick sweep", summary.name), &body)
}

fn parts(sweep: &Sweep<'_>) -> Vec<Part> {
    vec![
        ("leaderboard", "Leaderboard", leaderboard::note(sweep), leaderboard::leaderboard(sweep)),
        ("parallel", "Settings and outcome", parallel::note(sweep), parallel::parallel(sweep)),
        ("importance", "What mattered", importance_bars::note(sweep), importance_bars::importance(sweep)),
        ("map", "The two most important settings", response::map_note(sweep), response::map(sweep)),
        ("slices", "Setting by setting", response::slices_note(sweep), response::slices(sweep)),
        ("curves", "Learning curves", curves::note(sweep), curves::curves(sweep)),
        ("progress", "Best value so far", progress_plot::note(sweep), progress_plot::progress(sweep)),
        ("time", "Time line", time_line::note(sweep), time_line::time_line(sweep)),
        ("trials", "All trials", String::new(), trial_table::trials(sweep)),
        ("provenance", "Provenance", String::new(), facts::provenance(sweep)),
    ]
}
