//! Lines as SVG: fewer points without losing an extreme, round axis values, short paths.

use super::number::decimal;

/// Steps of a drawing across and down; shapes are stretched to their place, so these are not pixels.
pub(super) const WIDTH: f64 = 2000.0;
/// See [`WIDTH`].
pub(super) const HEIGHT: f64 = 1000.0;

/// Rows that keep the look of a curve: in each of `buckets` equal parts the lowest and the highest value, and the two
/// ends. NaN is passed over.
pub(super) fn decimate(values: &[f64], buckets: usize) -> Vec<usize> {
    if values.len() <= 2 * buckets {
        return (0..values.len()).filter(|row| !values[*row].is_nan()).collect();
    }
    let mut kept = Vec::with_capacity(2 * buckets + 2);
    for bucket in 0..buckets {
        let rows = bucket * values.len() / buckets..(bucket + 1) * values.len() / buckets;
        let mut extremes: Option<(usize, usize)> = None;
        for row in rows.filter(|row| !values[*row].is_nan()) {
            let (low, high) = extremes.unwrap_or((row, row));
            extremes = Some((
                if values[row] < values[low] { row } else { low },
                if values[row] > values[high] { row } else { high },
            ));
        }
        if let Some((low, high)) = extremes {
            kept.extend([low.min(high), low.max(high)]);
        }
    }
    if !values[0].is_nan() {
        kept.push(0);
    }
    if !values[values.len() - 1].is_nan() {
        kept.push(values.len() - 1);
    }
    kept.sort_unstable();
    kept.dedup();
    kept
}

/// A path through the points, as relative whole steps: `M0 500l3-5 2 1`.
pub(super) fn path(points: impl Iterator<Item = (f64, f64)>) -> String {
    let mut text = String::new();
    let mut last: Option<(i64, i64)> = None;
    for (x, y) in points {
        let here = (x.round() as i64, y.round() as i64);
        match last {
            None => text += &format!("M{} {}l0 0", here.0, here.1),
            Some(before) if before == here => continue,
            Some(before) => {
                for step in [here.0 - before.0, here.1 - before.1] {
                    if step >= 0 {
                        text.push(' ');
                    }
                    text += &step.to_string();
                }
            }
        }
        last = Some(here);
    }
    text
}

/// A range of values and the round values inside it at which an axis is marked.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    /// Lowest value drawn.
    pub low: f64,
    /// Highest value drawn, above `low`.
    pub high: f64,
    /// Round values inside the range, rising.
    pub ticks: Vec<f64>,
    /// Digits after the point that tell the ticks apart.
    digits: usize,
}

impl Axis {
    /// Covers every finite value, with about `wanted` ticks.
    pub(super) fn covering(values: impl Iterator<Item = f64>, wanted: usize) -> Axis {
        let (mut low, mut high) = values
            .filter(|value| value.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
        if low > high {
            (low, high) = (0.0, 1.0);
        }
        if high - low <= 1e-12 * high.abs().max(low.abs()) || high == low {
            let room = if high == 0.0 { 1.0 } else { 0.1 * high.abs() };
            (low, high) = (low - room, high + room);
        }
        let step = round_step((high - low) / wanted as f64);
        let first = (low / step).ceil() as i64;
        let last = (high / step).floor() as i64;
        let digits = (-step.log10().floor()).max(0.0) as usize;
        Axis { low, high, ticks: (first..=last).map(|index| index as f64 * step).collect(), digits }
    }

    /// Covers decimal logarithms of factors; the ticks are round factors, as fine as keeps them below eight.
    pub(super) fn factors(logarithms: impl Iterator<Item = f64>) -> Axis {
        let axis = Axis::covering(logarithms, 4);
        let decades = axis.low.floor() as i32..=axis.high.ceil() as i32;
        let grids: [&[f64]; 3] = [&[1.0, 1.5, 2.0, 3.0, 5.0, 7.0], &[1.0, 2.0, 5.0], &[1.0]];
        for grid in grids {
            let ticks = decades
                .clone()
                .flat_map(|decade| grid.iter().map(move |step| step.log10() + f64::from(decade)));
            let ticks: Vec<f64> = ticks.filter(|tick| (axis.low..=axis.high).contains(tick)).collect();
            if (2..8).contains(&ticks.len()) {
                return Axis { ticks, ..axis };
            }
        }
        // Less than a grid step or more than seven decades: whole or part decades, as they come.
        axis
    }

    /// The same axis with room of `share` of its range above and below the curves.
    pub(super) fn padded(mut self, share: f64) -> Axis {
        let room = share * (self.high - self.low);
        self.low -= room;
        self.high += room;
        self
    }

    /// Where a value lies, 0 at the low end and 1 at the high end.
    pub(super) fn share(&self, value: f64) -> f64 {
        (value - self.low) / (self.high - self.low)
    }

    /// The distance of `value` from the top in the steps of [`HEIGHT`].
    pub(super) fn down(&self, value: f64) -> f64 {
        HEIGHT * (1.0 - self.share(value))
    }

    /// A tick as text.
    pub(super) fn label(&self, tick: f64) -> String {
        decimal(tick, self.digits)
    }

    /// Pixels to the left of a small chart that hold the longest label.
    pub(super) fn gutter(&self) -> u32 {
        let longest = self.ticks.iter().map(|tick| self.label(*tick).chars().count()).max().unwrap_or(0);
        7 * longest as u32 + 8
    }

    /// A tick of [`Axis::factors`] as growth in per cent.
    pub(super) fn factor_label(&self, tick: f64) -> String {
        format!("{}{}%", decimal(100.0 * (10_f64.powf(tick) - 1.0), 0), super::number::SPACE)
    }

    /// A tick of a ratio as per cent.
    pub(super) fn percent_label(&self, tick: f64) -> String {
        format!("{}{}%", decimal(100.0 * tick, self.digits.saturating_sub(2)), super::number::SPACE)
    }
}

/// The values of an axis beside the curves, so that neither crosses out the other: a drawing of `width` by `height`
/// pixels with each text at its distance from the top.
pub(super) fn scale(width: u32, height: f64, labels: impl Iterator<Item = (f64, String)>) -> String {
    let mut svg =
        format!("<svg class=\"scale\" width=\"{width}\" height=\"{height}\" aria-hidden=\"true\">\n");
    for (y, text) in labels {
        svg += &format!(
            "<text class=\"tick\" x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{text}</text>\n",
            width - 6,
            y + 4.0
        );
    }
    svg + "</svg>"
}

/// The 1, 2, 5 or 10 times a power of ten that is nearest to `rough`.
fn round_step(rough: f64) -> f64 {
    let power = 10_f64.powf(rough.log10().floor());
    let factor = rough / power;
    power
        * match factor {
            _ if factor < 1.5 => 1.0,
            _ if factor < 3.5 => 2.0,
            _ if factor < 7.5 => 5.0,
            _ => 10.0,
        }
}

/// A share of the width or height as an SVG length: `37.5%`.
pub(super) fn share(value: f64) -> String {
    let text = format!("{:.2}", 100.0 * value);
    let text = text.trim_end_matches('0').trim_end_matches('.');
    format!("{}%", if text == "-0" { "0" } else { text })
}
