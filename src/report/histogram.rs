//! How many values lie where, with a few of them marked.

use super::markup::escape;
use super::svg::{Axis, share};

const BINS: usize = 40;

/// A value that is pointed out.
pub(super) struct Mark<'a> {
    /// The class that gives it colour.
    pub(super) class: &'static str,
    pub(super) name: &'a str,
    pub(super) value: f64,
}

/// The drawing, 120 pixels high, with room for the names of two marks above the bars. Hidden from screen readers: the
/// caption must say what it shows.
pub(super) fn histogram(values: &[f64], marks: &[Mark<'_>]) -> String {
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let axis = Axis::covering(finite().chain(marks.iter().map(|mark| mark.value)), 6).padded(0.02);
    let mut bins = [0_usize; BINS];
    for value in finite() {
        bins[((axis.share(value) * BINS as f64) as usize).min(BINS - 1)] += 1;
    }
    let tallest = bins.iter().max().copied().unwrap_or(1).max(1) as f64;
    let mut svg = String::from("<svg class=\"spread\" width=\"100%\" height=\"120\" aria-hidden=\"true\">\n");
    for (bin, count) in bins.iter().enumerate().filter(|(_, count)| **count > 0) {
        let height = 72.0 * *count as f64 / tallest;
        svg += &format!(
            "<rect class=\"bin\" x=\"{}\" width=\"{}\" y=\"{:.1}\" height=\"{height:.1}\"/>",
            share(bin as f64 / BINS as f64),
            share(0.85 / BINS as f64),
            100.0 - height
        );
    }
    for tick in &axis.ticks {
        let x = share(axis.share(*tick));
        svg += &format!(
            "<text class=\"tick\" x=\"{x}\" y=\"116\" text-anchor=\"middle\">{}</text>\n",
            axis.label(*tick)
        );
    }
    for (row, mark) in marks.iter().enumerate() {
        let place = axis.share(mark.value);
        let (x, anchor) = (share(place), if place > 0.7 { "end" } else { "start" });
        let (y, nudge) = (10 + 14 * row, if place > 0.7 { -6 } else { 6 });
        svg += &format!(
            "<line class=\"mark {class}\" x1=\"{x}\" x2=\"{x}\" y1=\"{row_top}\" y2=\"100\"/><text class=\"mark {class}\" x=\"{x}\" \
             dx=\"{nudge}\" y=\"{y}\" text-anchor=\"{anchor}\">{}</text>\n",
            escape(mark.name),
            class = mark.class,
            row_top = 14 * row
        );
    }
    svg + "</svg>\n"
}
