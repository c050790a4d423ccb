//! The ground on which the plots of a sweep are drawn: values upwards, something to the right, marks that keep their size
//! however the page is stretched.

use super::super::markup::escape;
use super::super::svg::{self, Axis, path, scale, share};

/// Pixels above and below the drawing.
const TOP: f64 = 8.0;
const BOTTOM: f64 = 24.0;

/// A plot without its content.
pub(super) struct Ground<'a> {
    /// In pixels.
    pub(super) height: f64,
    /// Read aloud in place of the picture.
    pub(super) label: String,
    /// Upwards.
    pub(super) values: &'a Axis,
    /// Places to the right from 0 to 1, with their labels.
    pub(super) ticks: Vec<(f64, String)>,
    /// Pixels that the labels of the values take; the same in plots that stand side by side.
    pub(super) gutter: u32,
}

impl Ground<'_> {
    /// The plot around `content`, shapes in the steps of [`svg::WIDTH`] and [`svg::HEIGHT`].
    pub(super) fn draw(&self, content: &str) -> String {
        let inner = self.height - TOP - BOTTOM;
        let down = |value: f64| TOP + inner * (1.0 - self.values.share(value));
        let labels = self.values.ticks.iter().map(|tick| (down(*tick), self.values.label(*tick)));
        let mut html = format!("<div class=\"plot\">{}", scale(self.gutter, self.height, labels));
        html += &format!(
            "<svg class=\"chart\" width=\"100%\" height=\"{}\" role=\"img\" aria-label=\"{}\">\n",
            self.height,
            escape(&self.label)
        );
        for tick in &self.values.ticks {
            let y = down(*tick);
            html += &format!("<line class=\"grid\" x1=\"0\" x2=\"100%\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\n");
        }
        html +=
            &format!("<svg y=\"{TOP}\" width=\"100%\" height=\"{inner}\" {STRETCHED}>\n{content}</svg>\n");
        for (index, (place, text)) in self.ticks.iter().enumerate() {
            let minor = if index % 2 == 1 { " minor" } else { "" };
            html += &format!(
                "<text class=\"tick{minor}\" x=\"{}\" y=\"{}\" text-anchor=\"{}\">{}</text>\n",
                share(*place),
                self.height - 7.0,
                anchor(*place),
                escape(text)
            );
        }
        html + "</svg></div>\n"
    }
}

/// The attributes of a drawing that is stretched to its place.
pub(super) const STRETCHED: &str = "viewBox=\"0 0 2000 1000\" preserveAspectRatio=\"none\"";

/// How a label stands at its place without leaving the drawing.
pub(super) fn anchor(place: f64) -> &'static str {
    match place {
        _ if place < 0.06 => "start",
        _ if place > 0.94 => "end",
        _ => "middle",
    }
}

/// Round dots at places from 0 to 1 (right, up), as one shape of a class. Dots that would hide each other are one.
pub(super) fn dots(class: &str, places: impl Iterator<Item = (f64, f64)>) -> String {
    let mut points: Vec<(i64, i64)> = places
        .filter(|(right, up)| right.is_finite() && up.is_finite())
        .map(|(right, up)| {
            (
                (svg::WIDTH * right / 4.0).round() as i64 * 4,
                (svg::HEIGHT * (1.0 - up) / 4.0).round() as i64 * 4,
            )
        })
        .collect();
    points.sort_unstable();
    points.dedup();
    if points.is_empty() {
        return String::new();
    }
    let marks: String = points.iter().map(|(x, y)| format!("M{x} {y}h0")).collect();
    format!("<path class=\"dots {class}\" d=\"{marks}\"/>\n")
}

/// A line through places from 0 to 1 (right, up).
pub(super) fn line(places: impl Iterator<Item = (f64, f64)>) -> String {
    path(places.map(|(right, up)| (svg::WIDTH * right, svg::HEIGHT * (1.0 - up))))
}

/// A legend: the class of each mark and what it stands for, as HTML.
pub(super) fn legend(entries: &[(&str, String)]) -> String {
    let entries: String = entries
        .iter()
        .map(|(class, text)| format!("<li><span class=\"mark-key {class}\"></span>{text}</li>\n"))
        .collect();
    format!("<ul class=\"marks\">\n{entries}</ul>\n")
}

/// At most `most` whole numbers from `first` to `last` at round steps, with their share of the way.
pub(super) fn whole_ticks(first: u64, last: u64, most: u64) -> Vec<(f64, String)> {
    if last <= first {
        return vec![(0.5, first.to_string())];
    }
    let span = last - first;
    let step = (0..19)
        .flat_map(|power| [1, 2, 5].map(|digit| digit * 10_u64.pow(power)))
        .find(|step| span / step <= most)
        .unwrap_or(span);
    (first.div_ceil(step)..=last / step)
        .map(|index| {
            let number = index * step;
            ((number - first) as f64 / span as f64, super::super::number::decimal(number as f64, 0))
        })
        .collect()
}
