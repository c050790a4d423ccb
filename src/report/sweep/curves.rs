//! Learning curves: the validation loss of every trial by epoch.

use super::super::number::{count, counted};
use super::super::svg::Axis;
use super::axes::{bounded, reach};
use super::plot::{Ground, dots, legend, line, whole_ticks};
use super::response::is_faint;
use super::{Sweep, known};
use crate::rundir::TrialSummary;

/// Curves that are drawn at most, and the best ranks that always are.
const LINES: usize = 200;
const BEST: usize = 10;

/// Epochs of one curve that are drawn at most.
const POINTS: usize = 60;

/// Trials to be drawn: those with a curve, the best last.
fn drawn<'a>(sweep: &Sweep<'a>) -> Vec<&'a TrialSummary> {
    let mut order: Vec<usize> = sweep.drawn(usize::MAX, BEST);
    let silent = (0..sweep.summary.trials.len()).filter(|at| known(&sweep.summary.trials[*at]).is_none());
    order.splice(0..0, silent);
    order.retain(|position| points(&sweep.summary.trials[*position]).next().is_some());
    let room = LINES - BEST;
    let (others, best) = order.split_at(order.len().saturating_sub(BEST));
    let kept = others.len().min(room);
    let others = (0..kept).map(|index| others[index * others.len() / kept]);
    others.chain(best.iter().copied()).map(|position| &sweep.summary.trials[position]).collect()
}

fn points(trial: &TrialSummary) -> impl Iterator<Item = (u64, f64)> {
    let finite = trial.curve.iter().filter(|(_, loss)| loss.is_finite());
    finite.map(|(epoch, loss)| (*epoch, bounded(*loss)))
}

/// How to read them.
pub(super) fn note(sweep: &Sweep<'_>) -> String {
    let there = sweep.summary.trials.iter().filter(|trial| points(trial).next().is_some()).count();
    let drawn = drawn(sweep).len();
    let mut text =
        "Mean validation loss by epoch. The curve of a trial that was given up ends with a dot. Losses far \
                    above most lie on the upper edge."
            .to_owned();
    if drawn < there {
        text += &format!(" Of {} {} are drawn, the best always.", counted(there, "curve"), count(drawn));
    }
    if !sweep.summary.metric.ends_with("loss") {
        text += " The best trial was chosen by another figure, so its loss need not be the lowest.";
    }
    text
}

/// The curves; nothing where no trial has one.
pub(super) fn curves(sweep: &Sweep<'_>) -> String {
    let shown = drawn(sweep);
    if shown.is_empty() {
        return String::new();
    }
    let mut losses: Vec<f64> = shown.iter().flat_map(|trial| points(trial).map(|point| point.1)).collect();
    losses.sort_by(f64::total_cmp);
    let limit = reach(&losses).unwrap_or(f64::INFINITY);
    let axis = Axis::covering(losses.iter().map(|loss| loss.min(limit)), 5).padded(0.03);
    let epochs = || shown.iter().flat_map(|trial| points(trial).map(|point| point.0));
    let (first, last) = (epochs().min().unwrap_or(1), epochs().max().unwrap_or(1));
    let best = sweep.best().map(|best| best.number);
    let across = |epoch: u64| if last > first { (epoch - first) as f64 / (last - first) as f64 } else { 0.5 };
    let (mut content, mut ends) = (String::new(), Vec::new());
    for trial in &shown {
        let class = match best {
            Some(number) if number == trial.number => "lead",
            _ if is_faint(trial) => "faint",
            _ => "v2",
        };
        let all: Vec<(u64, f64)> = points(trial).collect();
        let step = all.len().div_ceil(POINTS).max(1);
        let end = all.len() - 1;
        if class == "faint" {
            ends.push((across(all[end].0), axis.share(all[end].1).clamp(0.0, 1.0)));
        }
        let kept = all.iter().enumerate().filter(|(index, _)| index % step == 0 || *index == end);
        let places = kept.map(|(_, (epoch, loss))| (across(*epoch), axis.share(*loss).clamp(0.0, 1.0)));
        content += &format!(
            "<path class=\"trial {class}\" data-trial=\"{}\" d=\"{}\"/>\n",
            trial.number,
            line(places)
        );
    }
    content += &dots("faint", ends.into_iter());
    let ground = Ground {
        height: 300.0,
        label: format!("Validation losses of {}", counted(shown.len(), "trial")),
        values: &axis,
        ticks: whole_ticks(first, last, 10),
        gutter: axis.gutter(),
    };
    let mut keys = vec![("v2", "trained to the end".to_owned())];
    if let Some(number) = best {
        keys.insert(0, ("lead", format!("best, trial\u{a0}{number}")));
    }
    if shown.iter().any(|trial| is_faint(trial)) {
        keys.push(("faint", "not trained to the end".to_owned()));
    }
    format!("{}{}<p class=\"under\">epoch</p>\n", legend(&keys), ground.draw(&content))
}
