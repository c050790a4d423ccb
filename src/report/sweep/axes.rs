//! Where settings and values lie on their axes, and how they are written.

use super::super::number::{decimal, significant};
use super::super::svg::Axis;
use crate::metrics::quantile;
use crate::rundir::{DimensionSummary, SweepSummary, TrialSummary};
use serde_json::Value;

/// Letters of a choice on an axis.
const LABEL: usize = 14;

/// Values farther from the best than so many times the distance of the better three quarters lie on the edge.
const REACH: f64 = 3.0;

/// Numbers beyond are drawn as if they lay here: the difference of two of them is still a number.
const EXTREME: f64 = 1e100;

/// The axis of one dimension.
pub(super) struct DimensionAxis<'a> {
    pub(super) summary: &'a DimensionSummary,
    /// The end of its path, as long as tells it from the other dimensions.
    pub(super) name: String,
    places: Places<'a>,
}

enum Places<'a> {
    Choices(&'a [Value]),
    /// An axis of values, or of their decimal logarithms.
    Interval(Axis, bool),
}

/// An axis for each dimension of a sweep.
pub(super) fn dimension_axes(summary: &SweepSummary) -> Vec<DimensionAxis<'_>> {
    let paths: Vec<&str> = summary.space.iter().map(|dimension| dimension.path.as_str()).collect();
    summary
        .space
        .iter()
        .map(|dimension| {
            let places = if dimension.values.is_empty() {
                interval(dimension, &summary.trials)
            } else {
                Places::Choices(&dimension.values)
            };
            DimensionAxis { summary: dimension, name: short_name(&dimension.path, &paths), places }
        })
        .collect()
}

/// The last parts of a path that no other path ends with.
fn short_name(path: &str, paths: &[&str]) -> String {
    let starts = path.rmatch_indices('.').map(|(dot, _)| dot + 1).chain([0]);
    for start in starts {
        let end = &path[start..];
        let ends_so =
            |other: &&&str| **other == end || other.strip_suffix(end).is_some_and(|rest| rest.ends_with('.'));
        if paths.iter().filter(ends_so).count() < 2 {
            return end.to_owned();
        }
    }
    path.to_owned()
}

fn interval<'a>(dimension: &DimensionSummary, trials: &[TrialSummary]) -> Places<'a> {
    let logarithmic = dimension.scale == "log";
    let scaled = |value: f64| if logarithmic { value.log10() } else { value };
    let tried = || trials.iter().filter_map(|trial| trial.settings.get(&dimension.path)?.as_f64());
    let ends: Vec<f64> = match dimension.interval {
        Some(ends) => ends.map(scaled).to_vec(),
        None => tried().map(scaled).collect(),
    };
    let mut axis =
        if logarithmic { Axis::factors(ends.into_iter()) } else { Axis::covering(ends.into_iter(), 4) };
    if dimension.int && !logarithmic {
        axis.ticks.retain(|tick| tick.fract() == 0.0);
    }
    Places::Interval(axis, logarithmic)
}

impl DimensionAxis<'_> {
    /// Where a value lies, from 0 to 1; none for what is no value of this dimension.
    pub(super) fn place(&self, value: &Value) -> Option<f64> {
        match &self.places {
            Places::Choices(values) => {
                let index = values.iter().position(|other| same(other, value))?;
                Some((index as f64 + 0.5) / values.len() as f64)
            }
            Places::Interval(axis, logarithmic) => {
                let number = value.as_f64()?;
                let place = axis.share(if *logarithmic { number.log10() } else { number });
                place.is_finite().then(|| place.clamp(0.0, 1.0))
            }
        }
    }

    /// Where a trial lies; none where the dimension does not exist for it.
    pub(super) fn of(&self, trial: &TrialSummary) -> Option<f64> {
        self.place(trial.settings.get(&self.summary.path)?)
    }

    /// At most `most` places with their labels, rising.
    pub(super) fn ticks(&self, most: usize) -> Vec<(f64, String)> {
        let all: Vec<(f64, String)> = match &self.places {
            Places::Choices(values) => values
                .iter()
                .enumerate()
                .map(|(index, value)| ((index as f64 + 0.5) / values.len() as f64, short(&setting(value))))
                .collect(),
            Places::Interval(axis, logarithmic) => axis
                .ticks
                .iter()
                .map(|tick| {
                    let value = if *logarithmic { 10_f64.powf(*tick) } else { *tick };
                    (axis.share(*tick), figure(value))
                })
                .collect(),
        };
        let step = all.len().div_ceil(most.max(1)).max(1);
        all.into_iter().step_by(step).collect()
    }

    /// Equal parts of the axis that tell its values apart: every choice, every whole number of few, else `most`.
    pub(super) fn parts(&self, most: usize) -> usize {
        match &self.places {
            Places::Choices(values) => values.len().max(1),
            Places::Interval(axis, false) if self.summary.int => {
                most.min((axis.high - axis.low).round() as usize + 1).max(1)
            }
            Places::Interval(..) => most,
        }
    }

    /// What a part of the axis stands for: a choice, or where it begins and ends.
    pub(super) fn part_label(&self, part: usize, parts: usize) -> String {
        match &self.places {
            Places::Choices(values) => {
                values.get(part).map(|value| short(&setting(value))).unwrap_or_default()
            }
            Places::Interval(axis, logarithmic) if self.counts(axis, *logarithmic, parts) => {
                figure((axis.low + part as f64).round())
            }
            Places::Interval(axis, logarithmic) => {
                let [low, high] = [part, part + 1].map(|edge| value_at(axis, *logarithmic, edge, parts));
                format!("{}\u{2009}\u{2013}\u{2009}{}", rough(low), rough(high))
            }
        }
    }

    /// Places at which the parts of the axis are labelled: choices and whole numbers in their middle, else the edges.
    pub(super) fn part_ticks(&self, parts: usize) -> Vec<(f64, String)> {
        let single = |part: usize| self.part_label(part, parts);
        match &self.places {
            Places::Interval(axis, logarithmic) if !self.counts(axis, *logarithmic, parts) => (0..=parts)
                .map(|edge| (edge as f64 / parts as f64, rough(value_at(axis, *logarithmic, edge, parts))))
                .collect(),
            _ => (0..parts).map(|part| ((part as f64 + 0.5) / parts as f64, single(part))).collect(),
        }
    }

    /// Whether every part is one whole number.
    fn counts(&self, axis: &Axis, logarithmic: bool, parts: usize) -> bool {
        self.summary.int && !logarithmic && parts as f64 > (axis.high - axis.low).round()
    }

    /// Whether it is a list of choices.
    pub(super) fn is_choice(&self) -> bool {
        matches!(self.places, Places::Choices(_))
    }
}

/// The value at an edge of `parts` equal parts of an axis.
fn value_at(axis: &Axis, logarithmic: bool, edge: usize, parts: usize) -> f64 {
    let place = axis.low + edge as f64 / parts as f64 * (axis.high - axis.low);
    if logarithmic { 10_f64.powf(place) } else { place }
}

/// Whether two values are the same; 32 and 32.0 are.
fn same(left: &Value, right: &Value) -> bool {
    left == right || left.as_f64().zip(right.as_f64()).is_some_and(|(left, right)| left == right)
}

/// A setting as it would be written: `0.001`, `adamw`, `[32, 16]`.
pub(super) fn setting(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.as_f64().map_or_else(|| number.to_string(), figure),
        other => other.to_string().replace(',', ", "),
    }
}

fn short(label: &str) -> String {
    if label.chars().count() <= LABEL {
        return label.to_owned();
    }
    label.chars().take(LABEL - 1).collect::<String>() + "\u{2026}"
}

/// Three significant digits without empty ones at the end; whole numbers whole: `0.001`, `2.5e−5`, `48`.
pub(super) fn figure(value: f64) -> String {
    digits(value, 3)
}

/// The same with two digits.
fn rough(value: f64) -> String {
    digits(value, 2)
}

fn digits(value: f64, digits: usize) -> String {
    if !value.is_finite() || value == 0.0 || (value.fract() == 0.0 && value.abs() < 1e6) {
        return decimal(value, 0);
    }
    let magnitude = value.abs().log10().floor() as i32;
    if (-3..6).contains(&magnitude) {
        let places = (digits as i32 - 1 - magnitude).clamp(0, 9) as usize;
        return trimmed(&decimal(value, places)).to_owned();
    }
    let text = format!("{value:.*e}", digits - 1);
    let (number, power) = text.split_once('e').unwrap_or((&text, "0"));
    format!("{}e{power}", trimmed(number)).replace('-', "\u{2212}")
}

fn trimmed(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

/// The axis of the metric. Values that are far worse than most lie on its edge.
pub(super) struct ValueAxis {
    pub(super) axis: Axis,
    /// Whether some value lies on the edge although it is worse.
    pub(super) cut: bool,
    /// Digits after the point that tell values apart; none where they are too small for that.
    digits: Option<usize>,
}

impl ValueAxis {
    /// `finished` are the values of finished trials, best first; `all` those of every trial.
    pub(super) fn new(finished: &[f64], all: &[f64], minimize: bool) -> ValueAxis {
        let sign = if minimize { 1.0 } else { -1.0 };
        let mut costs: Vec<f64> = all.iter().map(|value| sign * bounded(*value)).collect();
        costs.sort_by(f64::total_cmp);
        let limit = reach(&costs);
        let cut = limit.is_some_and(|limit| costs.iter().any(|cost| *cost > limit));
        let shown = costs.iter().map(|cost| sign * limit.map_or(*cost, |limit| cost.min(limit)));
        let axis = Axis::covering(shown, 4).padded(0.03);
        let middle = finished.get(finished.len() / 2).copied();
        ValueAxis { axis, cut, digits: digits_for(finished.first().copied(), middle) }
    }

    /// Where a value lies, from 0 at the lowest to 1 at the highest.
    pub(super) fn place(&self, value: f64) -> f64 {
        self.axis.share(bounded(value)).clamp(0.0, 1.0)
    }

    /// A value with as many digits as tell the best from the middle.
    pub(super) fn text(&self, value: f64) -> String {
        self.digits.map_or_else(|| significant(value), |digits| decimal(value, digits))
    }

    /// As [`ValueAxis::text`], for a value that may not be there.
    pub(super) fn maybe(&self, value: Option<f64>) -> String {
        value.map_or_else(|| super::super::number::NONE.to_owned(), |value| self.text(value))
    }
}

/// A number with which one can draw.
pub(super) fn bounded(value: f64) -> f64 {
    value.clamp(-EXTREME, EXTREME)
}

/// The largest cost that is drawn where it is, given sorted costs; none for no costs.
pub(super) fn reach(costs: &[f64]) -> Option<f64> {
    let (low, most) = (*costs.first()?, quantile(costs, 0.75)?);
    let room = if most > low { most - low } else { 0.1 * low.abs().max(1e-9) };
    Some(most + REACH * room)
}

fn digits_for(best: Option<f64>, middle: Option<f64>) -> Option<usize> {
    let (best, middle) = best.zip(middle)?;
    let size = best.abs().max(middle.abs());
    if !(1e-4..1e9).contains(&size) {
        return None;
    }
    let apart = (bounded(middle) - bounded(best)).abs();
    // Equal values: four digits of their size.
    let digits = if apart > 1e-6 * size { 2.0 - apart.log10().floor() } else { 3.0 - size.log10().floor() };
    Some(digits.clamp(2.0, 8.0) as usize)
}
