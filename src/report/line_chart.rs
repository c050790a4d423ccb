//! Curves over time that stretch with the page: text keeps its size, lines keep their width, the rest is shares.

use super::markup::escape;
use super::svg::{Axis, WIDTH, decimate, path, share};
use crate::units::Time;

/// One curve.
pub(super) struct Line<'a> {
    /// Ties the curve to its entry in the legend.
    pub(super) series: usize,
    /// The class that gives it colour: `model`, `baseline`, `other`, `run0` ...
    pub(super) class: String,
    pub(super) times: &'a [Time],
    /// Ratios, shown as per cent; as many as times.
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

/// Curves with one axis of ratios and one of time.
pub(super) struct LineChart<'a> {
    /// Read aloud in place of the picture.
    pub(super) label: String,
    /// In pixels.
    pub(super) height: u32,
    /// Drawn in this order, so the last lies on top.
    pub(super) lines: Vec<Line<'a>>,
    pub(super) bands: Vec<Band>,
}

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
        let values = self.lines.iter().flat_map(|line| line.values.iter().copied());
        let axis = Axis::covering(values.chain([0.0]), 5).padded(0.03);
        let inner = self.height - TOP - BOTTOM;
        let mut svg = format!(
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
        // Above the curves, so that these do not cross them out.
        let mut labels = String::new();
        for tick in &axis.ticks {
            let y = f64::from(TOP) + f64::from(inner) * (1.0 - axis.share(*tick));
            labels += &format!(
                "<text class=\"tick halo\" x=\"2\" y=\"{:.1}\">{}</text>\n",
                y - 3.0,
                axis.percent_label(*tick)
            );
            let class = if *tick == 0.0 { "zero" } else { "grid" };
            svg += &format!("<line class=\"{class}\" x1=\"0\" x2=\"100%\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\n");
        }
        svg += &format!(
            "<svg x=\"0\" y=\"{TOP}\" width=\"100%\" height=\"{inner}\" viewBox=\"0 0 2000 1000\" preserveAspectRatio=\"none\">\n"
        );
        for line in &self.lines {
            let rows = decimate(&line.values, line.buckets).into_iter();
            let points = rows.map(|row| (WIDTH * across(line.times[row]), axis.down(line.values[row])));
            svg += &format!(
                "<path class=\"line {}\" data-series=\"{}\" d=\"{}\"/>\n",
                line.class,
                line.series,
                path(points)
            );
        }
        svg += "</svg>\n";
        svg += &labels;
        svg += &dates(start, end, self.height);
        svg += &format!(
            "<line class=\"cross\" x1=\"0\" x2=\"0\" y1=\"{TOP}\" y2=\"{}\"/>\n</svg>\n",
            TOP + inner
        );
        svg
    }
}

/// Round dates below the curves; every second one is left out on narrow screens.
fn dates(start: Time, end: Time, height: u32) -> String {
    let length = ((end.0 - start.0) as f64).max(1.0);
    let mut svg = String::new();
    for (index, (time, text)) in round_dates(start, end).iter().enumerate() {
        let place = (time.0 - start.0) as f64 / length;
        let anchor = if place < 0.04 {
            "start"
        } else if place > 0.96 {
            "end"
        } else {
            "middle"
        };
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
