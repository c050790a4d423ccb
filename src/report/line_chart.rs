//! Curves over time that stretch with the page: text keeps its size, lines keep their width, the rest is shares.

use super::markup::escape;
use super::svg::{Axis, WIDTH, decimate, path, scale, share};
use crate::units::Time;
use std::borrow::Cow;

/// One curve.
pub(super) struct Line<'a> {
    /// Ties the curve to its entry in the legend.
    pub(super) series: usize,
    /// The class that gives it colour: `model`, `baseline`, `other`, `run0` ...
    pub(super) class: String,
    pub(super) times: &'a [Time],
    /// As many as times.
    pub(super) values: Vec<f64>,
    /// Parts of the curve of which the lowest and highest value are drawn.
    pub(super) buckets: usize,
}

/// A shaded part of the time axis with its name.
pub(super) struct Band {
    pub(super) start: Time,
    pub(super) end: Time,
    pub(super) name: String,
}

/// How the values of an axis are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unit {
    /// Ratios as per cent.
    Percent,
    Plain,
}

/// Curves with one axis of values and one of time.
pub(super) struct LineChart<'a> {
    /// Read aloud in place of the picture.
    pub(super) label: String,
    /// In pixels.
    pub(super) height: u32,
    /// Drawn in this order, so the last lies on top.
    pub(super) lines: Vec<Line<'a>>,
    pub(super) bands: Vec<Band>,
    /// Equal factors of growth, instead of equal differences, are equally high; values below [`LOWEST_FACTOR`] of the
    /// start lie on the lower edge.
    pub(super) logarithmic: bool,
    pub(super) unit: Unit,
}

/// What is left of the start where a logarithmic axis ends.
pub(super) const LOWEST_FACTOR: f64 = 0.02;

/// Pixels to the left of the curves for the values of the axis: fits `10,000 %`. The same for all charts, so that charts
/// one above the other share their dates.
pub(super) const GUTTER: u32 = 56;

/// Pixels above and below the curves, for the names of bands and the dates.
const TOP: u32 = 18;
const BOTTOM: u32 = 22;

impl LineChart<'_> {
    /// First and last moment of any curve.
    pub(super) fn span(&self) -> (Time, Time) {
        let moments = || self.lines.iter().flat_map(|line| line.times.iter().copied());
        (moments().min().unwrap_or_default(), moments().max().unwrap_or_default())
    }

    /// The drawing.
    pub(super) fn draw(&self) -> String {
        let (start, end) = self.span();
        let length = ((end.0 - start.0) as f64).max(1.0);
        let across = |time: Time| (time.0 - start.0) as f64 / length;
        let scaled: Vec<Cow<'_, [f64]>> = self.lines.iter().map(|line| self.scaled(&line.values)).collect();
        let values = scaled.iter().flat_map(|values| values.iter().copied()).chain([0.0]);
        let axis =
            if self.logarithmic { Axis::factors(values) } else { Axis::covering(values, 5) }.padded(0.03);
        let inner = self.height - TOP - BOTTOM;
        let mut svg = format!("<div class=\"plot\">{}", self.labels(&axis));
        svg += &format!(
            "<svg class=\"chart\" width=\"100%\" height=\"{}\" role=\"img\" aria-label=\"{}\">\n",
            self.height,
            escape(&self.label)
        );
        for (index, band) in self.bands.iter().enumerate() {
            let (left, right) = (across(band.start).clamp(0.0, 1.0), across(band.end).clamp(0.0, 1.0));
            if right <= left {
                continue;
            }
            let tone = if index % 2 == 0 { "even" } else { "odd" };
            svg += &format!(
                "<rect class=\"band {tone}\" x=\"{}\" width=\"{}\" y=\"0\" height=\"{}\"/><text class=\"tick band-name\" \
                 x=\"{}\" y=\"12\" text-anchor=\"middle\">{}</text>\n",
                share(left),
                share(right - left),
                TOP + inner,
                share(f64::midpoint(left, right)),
                escape(&band.name)
            );
        }
        for tick in &axis.ticks {
            let y = self.down(&axis, *tick);
            let class = if *tick == 0.0 { "zero" } else { "grid" };
            svg += &format!("<line class=\"{class}\" x1=\"0\" x2=\"100%\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\n");
        }
        svg += &format!(
            "<svg x=\"0\" y=\"{TOP}\" width=\"100%\" height=\"{inner}\" viewBox=\"0 0 2000 1000\" preserveAspectRatio=\"none\">\n"
        );
        for (line, values) in self.lines.iter().zip(&scaled) {
            let rows = decimate(values, line.buckets).into_iter();
            let points = rows.map(|row| (WIDTH * across(line.times[row]), axis.down(values[row])));
            svg += &format!(
                "<path class=\"line {}\" data-series=\"{}\" d=\"{}\"/>\n",
                line.class,
                line.series,
                path(points)
            );
        }
        svg += "</svg>\n";
        svg += &dates(start, end, self.height);
        svg += &format!(
            "<line class=\"cross\" x1=\"0\" x2=\"0\" y1=\"{TOP}\" y2=\"{}\"/>\n</svg></div>\n",
            TOP + inner
        );
        svg
    }

    /// Growth as the axis measures it: itself, or the decimal logarithm of its factor.
    fn scaled<'values>(&self, values: &'values [f64]) -> Cow<'values, [f64]> {
        if self.logarithmic {
            values.iter().map(|value| factor(*value).log10()).collect()
        } else {
            values.into()
        }
    }

    /// Pixels from the top of the drawing to a value of the axis.
    fn down(&self, axis: &Axis, tick: f64) -> f64 {
        f64::from(TOP) + f64::from(self.height - TOP - BOTTOM) * (1.0 - axis.share(tick))
    }

    /// The values of the axis, beside the curves so that neither crosses out the other.
    fn labels(&self, axis: &Axis) -> String {
        let labels = axis.ticks.iter().map(|tick| {
            let text = match self.unit {
                _ if self.logarithmic => axis.factor_label(*tick),
                Unit::Percent => axis.percent_label(*tick),
                Unit::Plain => axis.label(*tick),
            };
            (self.down(axis, *tick), text)
        });
        scale(GUTTER, f64::from(self.height), labels)
    }
}

/// Whether growth spans more than a factor of 5, so that a logarithmic axis shows more than a linear one.
pub(super) fn wide<'values>(growth: impl Iterator<Item = &'values f64>) -> bool {
    let factors = growth.filter(|value| value.is_finite()).map(|value| factor(*value));
    let [low, high] = factors.fold([1.0_f64; 2], |[low, high], value| [low.min(value), high.max(value)]);
    high > 5.0 * low
}

/// What growth makes of 1, at least [`LOWEST_FACTOR`]; NaN stays.
fn factor(growth: f64) -> f64 {
    let factor = 1.0 + growth;
    if factor < LOWEST_FACTOR { LOWEST_FACTOR } else { factor }
}

/// Round dates below the curves; every second one is left out on narrow screens.
fn dates(start: Time, end: Time, height: u32) -> String {
    let length = ((end.0 - start.0) as f64).max(1.0);
    let mut svg = String::new();
    for (index, (time, text)) in round_dates(start, end).iter().enumerate() {
        let place = (time.0 - start.0) as f64 / length;
        // To the left of the curves there is room.
        let anchor = if place > 0.96 { "end" } else { "middle" };
        let minor = if index % 2 == 1 { " minor" } else { "" };
        svg += &format!(
            "<text class=\"tick{minor}\" x=\"{}\" y=\"{}\" text-anchor=\"{anchor}\">{text}</text>\n",
            share(place),
            height - 6
        );
    }
    svg
}

const DAY: i64 = 86_400_000_000_000;

/// At most nine moments at which a month, a day or an hour begins.
fn round_dates(start: Time, end: Time) -> Vec<(Time, String)> {
    let days = (end.0 - start.0) / DAY;
    if days > 60 {
        let months = days / 30;
        let step = [1, 2, 3, 6, 12, 24, 60, 120].into_iter().find(|step| months / step <= 8).unwrap_or(240);
        return month_starts(start, end, step);
    }
    let hours = ((end.0 - start.0) / (DAY / 24)).max(1);
    let step = [1, 2, 3, 6, 12, 24, 48, 72, 120, 168, 240].into_iter().find(|step| hours / step <= 8);
    let step = step.unwrap_or(240) * (DAY / 24);
    let first = start.0.div_euclid(step) + i64::from(start.0.rem_euclid(step) > 0);
    let pattern = if step < DAY { "%b %-d %H:%M" } else { "%b %-d" };
    (first..)
        .map(|index| Time(index * step))
        .take_while(|time| *time <= end)
        .map(|time| (time, time.civil().strftime(pattern).to_string()))
        .collect()
}

fn month_starts(start: Time, end: Time, step: i64) -> Vec<(Time, String)> {
    let civil = start.civil();
    let mut month = i64::from(civil.year()) * 12 + i64::from(civil.month()) - 1;
    let mut found = Vec::new();
    loop {
        let (year, number) = (month.div_euclid(12), month.rem_euclid(12) + 1);
        // A year out of the range of `Time` ends the axis.
        let Ok(time) = Time::parse(&format!("{year:04}-{number:02}-01")) else { return found };
        if time > end {
            return found;
        }
        if time >= start && month.rem_euclid(step) == 0 {
            let pattern = if step >= 12 { "%Y" } else { "%b %Y" };
            found.push((time, time.civil().strftime(pattern).to_string()));
        }
        month += 1;
    }
}
