//! How the metric responds to settings: to the two most important ones together, and to each by itself.

use super::super::markup::escape;
use super::super::number::{count, counted};
use super::super::svg::share;
use super::axes::DimensionAxis;
use super::opening::metric_words;
use super::parallel::tones;
use super::plot::{Ground, anchor, dots};
use super::{Sweep, TONES, known};
use crate::metrics::quantile;
use crate::rundir::{TrialStatus, TrialSummary};

/// Parts of an interval on the map.
const PARTS: usize = 7;
/// Choices beyond make no map.
const MOST_PARTS: usize = 12;
/// Pixels of the cells.
const HEIGHT: f64 = 320.0;
/// With fewer finished trials most cells are empty.
const FEWEST: usize = 10;

/// The two settings with the highest importance of which both can be divided into parts.
fn most_important<'a, 'b>(sweep: &'b Sweep<'a>) -> Option<[&'b DimensionAxis<'a>; 2]> {
    let mut known: Vec<_> = sweep
        .dimensions
        .iter()
        .filter(|dimension| dimension.parts(PARTS) <= MOST_PARTS)
        .filter_map(|dimension| Some((dimension, dimension.summary.importance?)))
        .collect();
    known.sort_by(|left, right| right.1.total_cmp(&left.1));
    match known[..] {
        [first, second, ..] if sweep.ranked.len() >= FEWEST => Some([first.0, second.0]),
        _ => None,
    }
}

/// What is on the map.
pub(super) fn map_note(sweep: &Sweep<'_>) -> String {
    let Some([across, up]) = most_important(sweep) else { return String::new() };
    format!(
        "Medians of the {} of the finished trials: <b>{}</b> to the right, <b>{}</b> upwards. A cell's colour is the fifth in which \
         its median lies; the small number is how many trials it has, where it is more than one. No trial was finished in an empty cell.",
        escape(&metric_words(&sweep.summary.metric)),
        escape(&across.name),
        escape(&up.name)
    )
}

/// The map; nothing where two settings cannot be told to matter.
pub(super) fn map(sweep: &Sweep<'_>) -> String {
    let Some([across, up]) = most_important(sweep) else { return String::new() };
    let (columns, rows) = (across.parts(PARTS), up.parts(PARTS));
    let mut cells: Vec<Vec<f64>> = vec![Vec::new(); columns * rows];
    for position in &sweep.ranked {
        let trial = &sweep.summary.trials[*position];
        let part = |place: f64, parts: usize| ((place * parts as f64) as usize).min(parts - 1);
        if let (Some(right), Some(high), Some(value)) = (across.of(trial), up.of(trial), known(trial)) {
            cells[part(right, columns) + columns * part(high, rows)].push(value);
        }
    }
    let mut html = String::from("<div class=\"map\">\n<div class=\"map-rows\">\n");
    for row in (0..rows).rev() {
        html += &format!("<span>{}</span>\n", escape(&up.part_label(row, rows)));
    }
    let height = HEIGHT / rows as f64;
    html += &format!(
        "</div>\n<svg class=\"map-cells\" width=\"100%\" height=\"{}\" role=\"img\" aria-label=\"Median value by {} and {}\">\n",
        HEIGHT + 24.0,
        escape(&across.name),
        escape(&up.name)
    );
    for (cell, values) in cells.iter_mut().enumerate() {
        let (column, row) = (cell % columns, cell / columns);
        values.sort_by(f64::total_cmp);
        let [left, width] = [column as f64, 1.0].map(|size| share(size / columns as f64));
        let top = height * (rows - 1 - row) as f64;
        let median = quantile(values, 0.5);
        let tone = median.map_or_else(|| "void".to_owned(), |median| format!("v{}", tone_of(sweep, median)));
        html += &format!(
            "<rect class=\"cell {tone}\" x=\"{left}\" y=\"{top:.1}\" width=\"{width}\" height=\"{height:.1}\"/>\n"
        );
        let Some(median) = median else { continue };
        let (x, y) = (share((column as f64 + 0.5) / columns as f64), top + height / 2.0 + 4.0);
        let many = if values.len() > 1 {
            format!("<tspan class=\"times\" x=\"{x}\" dy=\"13\">{}</tspan>", count(values.len()))
        } else {
            String::new()
        };
        html += &format!(
            "<text class=\"cell-value {tone}\" x=\"{x}\" y=\"{:.1}\" text-anchor=\"middle\">{}{many}</text>\n",
            y - if many.is_empty() { 0.0 } else { 5.0 },
            sweep.values.text(median)
        );
    }
    for (index, (place, text)) in across.part_ticks(columns).iter().enumerate() {
        let minor = if index % 2 == 1 { " minor" } else { "" };
        html += &format!(
            "<text class=\"tick{minor}\" x=\"{}\" y=\"{}\" text-anchor=\"{}\">{}</text>\n",
            share(*place),
            HEIGHT + 16.0,
            anchor(*place),
            escape(text)
        );
    }
    html + "</svg>\n</div>\n"
}

/// The fifth of the finished trials in which a value lies.
fn tone_of(sweep: &Sweep<'_>, value: f64) -> usize {
    let better = |other: f64| if sweep.summary.minimize { other < value } else { other > value };
    let ahead =
        sweep.ranked.iter().filter(|position| known(&sweep.summary.trials[**position]).is_some_and(better));
    let rank = ahead.count();
    TONES - 1 - (TONES * rank / sweep.ranked.len().max(1)).min(TONES - 1)
}

/// How to read the slices.
pub(super) fn slices_note(sweep: &Sweep<'_>) -> String {
    let mut text = format!(
        "A dot a trial: the setting to the right, the {} upwards, all on one scale.",
        escape(&metric_words(&sweep.summary.metric))
    );
    if sweep.dimensions.iter().any(DimensionAxis::is_choice) {
        text += " Dots of a choice stand beside each other only to be seen.";
    }
    if sweep.values.cut {
        text += " Values far worse than most lie on the edge.";
    }
    text
}

/// A small plot a setting.
pub(super) fn slices(sweep: &Sweep<'_>) -> String {
    if sweep.dimensions.is_empty() || !sweep.summary.trials.iter().any(|trial| known(trial).is_some()) {
        return String::new();
    }
    let plots: String = sweep.dimensions.iter().map(|dimension| slice(sweep, dimension)).collect();
    format!("{}<div class=\"multiples slices\">\n{plots}</div>\n", tones(sweep))
}

fn slice(sweep: &Sweep<'_>, dimension: &DimensionAxis<'_>) -> String {
    // A trial's number times the golden ratio: neighbours in time stand apart.
    let beside = |trial: &TrialSummary| (trial.number as f64 * 0.618_034).fract() - 0.5;
    let width = if dimension.is_choice() { 0.6 / dimension.parts(1) as f64 } else { 0.0 };
    let place = |position: usize| {
        let trial = &sweep.summary.trials[position];
        let right = dimension.of(trial)? + width * beside(trial);
        Some((0.02 + 0.96 * right, sweep.values.place(known(trial)?)))
    };
    let all = 0..sweep.summary.trials.len();
    let tones: Vec<String> = all.clone().map(|position| sweep.tone(position)).collect();
    let mut content = String::new();
    for class in ["faint", "v0", "v1", "v2", "v3", "v4", "lead"] {
        content += &dots(class, all.clone().filter(|position| tones[*position] == class).filter_map(place));
    }
    let without =
        sweep.ranked.iter().filter(|position| dimension.of(&sweep.summary.trials[**position]).is_none());
    let without = match without.count() {
        0 => String::new(),
        some => format!(" <small>not in {}</small>", counted(some, "finished trial")),
    };
    let ground = Ground {
        height: 168.0,
        label: format!("Value by {}", dimension.name),
        values: &sweep.values.axis,
        ticks: dimension.ticks(5).into_iter().map(|(place, text)| (0.02 + 0.96 * place, text)).collect(),
        gutter: sweep.values.axis.gutter(),
    };
    format!(
        "<figure>\n<figcaption title=\"{}\"><b>{}</b>{without}</figcaption>\n{}</figure>\n",
        escape(&dimension.summary.path),
        escape(&dimension.name),
        ground.draw(&content)
    )
}

/// Whether a trial is drawn as one that was not trained to the end.
pub(super) fn is_faint(trial: &TrialSummary) -> bool {
    trial.status != TrialStatus::Complete
}
