//! Parallel coordinates: an axis a setting, the metric last, a line a trial.

use super::super::markup::escape;
use super::super::number::{SPACE, count, counted};
use super::super::svg::{self, share};
use super::opening::metric_words;
use super::plot::{STRETCHED, anchor, legend};
use super::{Sweep, TONES, known};

/// Lines that are drawn at most, and the best ranks that always are.
const LINES: usize = 240;
const BEST: usize = 24;

/// Pixels: all, above the axes for their names, and the axes.
const HEIGHT: u32 = 372;
const TOP: u32 = 40;
const AXES: u32 = 316;

/// Room to the left of the first and to the right of the last axis, as a share.
const MARGIN: f64 = 0.03;

/// A line stops so far before an axis that does not exist for it, in distances of two axes.
const GAP: f64 = 0.14;

/// How to read it.
pub(super) fn note(sweep: &Sweep<'_>) -> String {
    if valued(sweep) == 0 {
        return String::new();
    }
    let mut text = "A line a trial, from its settings to the metric on the last axis. Point at a line, or at a row of the \
                    leaderboard, to follow one trial."
        .to_owned();
    let (there, drawn) = (valued(sweep), sweep.drawn(LINES, BEST).len());
    if drawn < there {
        text += &format!(" Of {} {} are drawn, the best always.", counted(there, "trial"), count(drawn));
    }
    if sweep.values.cut {
        text += " Values far worse than most lie on the edge of their axis.";
    }
    let conditional = sweep.dimensions.iter().any(|dimension| {
        sweep.summary.trials.iter().any(|trial| !trial.settings.contains_key(&dimension.summary.path))
    });
    if conditional {
        text += " A line passes under an axis of a setting that its trial does not have.";
    }
    text
}

fn valued(sweep: &Sweep<'_>) -> usize {
    sweep.summary.trials.iter().filter(|trial| known(trial).is_some()).count()
}

/// The drawing; nothing without a setting.
pub(super) fn parallel(sweep: &Sweep<'_>) -> String {
    if sweep.dimensions.is_empty() {
        return String::new();
    }
    if valued(sweep) == 0 {
        return "<p>No trial has a value to draw.</p>\n".to_owned();
    }
    let count = sweep.dimensions.len() + 1;
    let size = match count {
        ..=4 => "few",
        5..=8 => "some",
        9..=14 => "many",
        _ => "crowd",
    };
    let mut html = tones(sweep);
    html += "<p class=\"readout\" aria-live=\"polite\"></p>\n";
    html += &format!(
        "<div class=\"scroller\"><div class=\"scroll\" role=\"region\" tabindex=\"0\" aria-label=\"Parallel \
         coordinates\">\n<svg class=\"parallel {size}\" width=\"100%\" height=\"{HEIGHT}\" role=\"img\" aria-label=\"Settings and \
         values of {}\">\n",
        counted(valued(sweep), "trial")
    );
    html += &format!("<svg class=\"lines\" y=\"{TOP}\" width=\"100%\" height=\"{AXES}\" {STRETCHED}>\n");
    for position in sweep.drawn(LINES, BEST) {
        html += &line(sweep, position);
    }
    html += "</svg>\n";
    for (index, dimension) in sweep.dimensions.iter().enumerate() {
        let low = count > 8 && index % 2 == 1;
        html += &axis(at(index, count), &dimension.name, low, &dimension.ticks(9));
    }
    let values = &sweep.values.axis;
    let ticks: Vec<(f64, String)> =
        values.ticks.iter().map(|tick| (values.share(*tick), values.label(*tick))).collect();
    html += &axis(at(count - 1, count), &metric_words(&sweep.summary.metric), false, &ticks);
    html + "</svg>\n</div></div>\n"
}

/// The legend of the colours of values.
pub(super) fn tones(sweep: &Sweep<'_>) -> String {
    let finished = sweep.ranked.len();
    let mut entries = Vec::new();
    if let Some(best) = sweep.best() {
        entries.push(("lead", format!("best, trial{SPACE}{}", best.number)));
    }
    let keys = ["v0", "v1", "v2", "v3", "v4"];
    for tone in (0..TONES).rev().filter(|_| finished > TONES) {
        let text = match tone {
            4 => format!("best fifth, to {}", sweep.values.maybe(sweep.value_at(0.2))),
            0 => format!("worst fifth, from {}", sweep.values.maybe(sweep.value_at(0.8))),
            3 => "second".to_owned(),
            2 => "third".to_owned(),
            _ => "fourth".to_owned(),
        };
        entries.push((keys[tone], text));
    }
    if valued(sweep) > finished {
        entries.push(("faint", "not trained to the end".to_owned()));
    }
    legend(&entries)
}

fn at(index: usize, count: usize) -> f64 {
    MARGIN + (1.0 - 2.0 * MARGIN) * index as f64 / (count - 1).max(1) as f64
}

/// The line of a trial, with a gap around every axis between its first and its last that it does not have.
fn line(sweep: &Sweep<'_>, position: usize) -> String {
    let trial = &sweep.summary.trials[position];
    let Some(value) = known(trial) else { return String::new() };
    let count = sweep.dimensions.len() + 1;
    let places = sweep.dimensions.iter().map(|dimension| dimension.of(trial));
    let places: Vec<(usize, f64)> = places
        .chain([Some(sweep.values.place(value))])
        .enumerate()
        .filter_map(|(index, place)| Some((index, place?)))
        .collect();
    let point = |index: f64, place: f64| {
        let right = MARGIN + (1.0 - 2.0 * MARGIN) * index / (count - 1) as f64;
        format!("{:.0} {:.0}", svg::WIDTH * right, svg::HEIGHT * (1.0 - place))
    };
    let mut text = format!("M{}", point(places[0].0 as f64, places[0].1));
    for pair in places.windows(2) {
        let ((first, from), (last, to)) = (pair[0], pair[1]);
        let between = |index: f64| from + (to - from) * (index - first as f64) / (last - first) as f64;
        for missing in first + 1..last {
            let [before, after] = [missing as f64 - GAP, missing as f64 + GAP];
            text += &format!("L{}M{}", point(before, between(before)), point(after, between(after)));
        }
        text += &format!("L{}", point(last as f64, to));
    }
    format!("<path class=\"trial {}\" data-trial=\"{}\" d=\"{text}\"/>\n", sweep.tone(position), trial.number)
}

/// An axis with its name; neighbours of many have their names at two heights.
fn axis(right: f64, name: &str, low: bool, ticks: &[(f64, String)]) -> String {
    let x = share(right);
    let mut svg = format!(
        "<line class=\"axis\" x1=\"{x}\" x2=\"{x}\" y1=\"{TOP}\" y2=\"{}\"/><text class=\"axis-name\" x=\"{x}\" y=\"{}\" \
         text-anchor=\"{}\">{}</text>\n",
        TOP + AXES,
        if low { 31 } else { 16 },
        anchor(right),
        escape(name)
    );
    // At the right edge there is room to the left of the axis only.
    let (nudge, side) = if right > 0.9 { (-7, "end") } else { (7, "start") };
    for (place, text) in ticks {
        let y = f64::from(TOP) + f64::from(AXES) * (1.0 - place);
        svg += &format!(
            "<text class=\"axis-tick\" x=\"{x}\" dx=\"{nudge}\" y=\"{:.1}\" text-anchor=\"{side}\">{}</text>\n",
            y + 4.0,
            escape(text)
        );
    }
    svg
}
