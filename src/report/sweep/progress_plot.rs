//! The best value so far, trial by trial: whether going on would have helped.

use super::super::number::count;
use super::plot::{Ground, dots, line, whole_ticks};
use super::{Sweep, known};
use crate::rundir::TrialStatus;

/// Where the search stood after each finished trial: the trial's number and the best value until then.
fn steps(sweep: &Sweep<'_>) -> Vec<(usize, f64)> {
    let mut found: Vec<(usize, f64)> = Vec::new();
    for trial in &sweep.summary.trials {
        let Some(value) = known(trial).filter(|_| trial.status == TrialStatus::Complete) else { continue };
        let better = found.last().is_none_or(|(_, best)| match sweep.summary.minimize {
            true => value < *best,
            false => value > *best,
        });
        if better {
            found.push((trial.number, value));
        }
    }
    found
}

/// When the last step came.
pub(super) fn note(sweep: &Sweep<'_>) -> String {
    let trials = sweep.summary.trials.len();
    let Some((last, _)) = steps(sweep).last().copied() else { return String::new() };
    format!(
        "The line is the best value of any finished trial until then. It last moved at trial {} of {}.",
        count(last),
        count(trials)
    )
}

/// The plot; nothing without two finished trials.
pub(super) fn progress(sweep: &Sweep<'_>) -> String {
    let last = sweep.summary.trials.iter().map(|trial| trial.number).max().unwrap_or(0);
    if sweep.ranked.len() < 2 {
        return String::new();
    }
    let across = |number: usize| number as f64 / last.max(1) as f64;
    let steps = steps(sweep);
    let mut places: Vec<(f64, f64)> = Vec::new();
    for (number, value) in &steps {
        if let Some((_, before)) = places.last().copied() {
            places.push((across(*number), before));
        }
        places.push((across(*number), sweep.values.place(*value)));
    }
    if let Some((_, best)) = places.last().copied() {
        places.push((1.0, best));
    }
    let trials = &sweep.summary.trials;
    let place = |finished: bool| {
        trials
            .iter()
            .filter(move |trial| (trial.status == TrialStatus::Complete) == finished)
            .filter_map(|trial| Some((across(trial.number), sweep.values.place(known(trial)?))))
    };
    let content = dots("faint", place(false))
        + &dots("v2", place(true))
        + &format!("<path class=\"trial lead\" d=\"{}\"/>\n", line(places.into_iter()));
    let ground = Ground {
        height: 240.0,
        label: "Best value so far by trial".to_owned(),
        values: &sweep.values.axis,
        ticks: whole_ticks(0, last as u64, 10),
        gutter: sweep.values.axis.gutter(),
    };
    ground.draw(&content) + "<p class=\"under\">trial</p>\n"
}
