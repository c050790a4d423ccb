//! Forecast against truth: the reliability of probabilities, and the forecasts of rows with and without an event.

use crate::metrics::CalibrationBin;
use crate::report::markup::escape;
use crate::report::number::{count, counted, maybe, percent};
use crate::report::run_files::{Forecasts, RunFiles};
use crate::report::svg::{Axis, scale, share};
use crate::rundir::{EventSummary, ModelSummary};

/// The sentences above the charts.
pub(super) const NOTE: &str = "Left: the share of rows with an event against the mean forecast, in up to ten bins of equally many test \
    rows; on the dashes a probability means what it says. Whiskers are 95\u{a0}% intervals that count as many rows as the horizon \
    has bars as one. Right: how the forecasts of rows with an event (filled) and without one (outlined) are spread, each as shares of \
    its own rows.";

/// Pixels of a chart, and of its upper part.
const HEIGHT: f64 = 190.0;
const CURVES: f64 = 166.0;

/// Bars of the two histograms.
const BINS: usize = 24;

/// Two charts a model and horizon.
pub(super) fn reliability(files: &RunFiles) -> String {
    let mut html = String::new();
    for (place, horizon) in super::horizons(&files.summary).iter().enumerate() {
        html += &format!("<h3>within {horizon} bars</h3>\n<div class=\"multiples pairs\">\n");
        for (model, events) in super::ranked(&files.summary, place) {
            let own = |group: &&Forecasts| group.model == model.name && group.horizon == i64::from(*horizon);
            html += &diagram(model, events);
            html += &files.forecasts.iter().find(own).map(|group| spread(model, group)).unwrap_or_default();
        }
        html += "</div>\n";
    }
    html
}

/// The reliability diagram.
fn diagram(model: &ModelSummary, events: &EventSummary) -> String {
    let bins = &events.test.calibration;
    if bins.is_empty() {
        return String::new();
    }
    let reach = bins.iter().map(|bin| bin.risk.max(bin.observed)).fold(0.0, f64::max);
    let axis = Axis::covering([0.0, (1.15 * reach).clamp(1e-6, 1.0)].into_iter(), 4);
    let down = |value: f64| 4.0 + (CURVES - 4.0) * (1.0 - axis.share(value.min(axis.high)));
    let across = |value: f64| share(0.02 + 0.95 * axis.share(value));
    let mut svg = format!(
        "<svg class=\"chart\" width=\"100%\" height=\"{HEIGHT}\" role=\"img\" aria-label=\"Reliability of {}\">\n",
        escape(&model.name)
    );
    for tick in &axis.ticks {
        let (x, y) = (across(*tick), down(*tick));
        svg += &format!(
            "<line class=\"grid\" x1=\"0\" x2=\"100%\" y1=\"{y:.1}\" y2=\"{y:.1}\"/><text class=\"tick\" x=\"{x}\" y=\"{}\" \
             text-anchor=\"middle\">{}</text>\n",
            HEIGHT - 6.0,
            axis.percent_label(*tick)
        );
    }
    svg += &format!(
        "<line class=\"diagonal\" x1=\"{}\" y1=\"{:.1}\" x2=\"{}\" y2=\"{:.1}\"/>\n",
        across(0.0),
        down(0.0),
        across(axis.high),
        down(axis.high)
    );
    let point = |bin: &CalibrationBin| {
        let x = across(bin.risk);
        format!(
            "<line class=\"error\" x1=\"{x}\" x2=\"{x}\" y1=\"{:.1}\" y2=\"{:.1}\"/><circle class=\"outcome\" cx=\"{x}\" cy=\"{:.1}\" \
             r=\"3.5\"><title>{} forecast, {} of {} rows had an event</title></circle>\n",
            down(bin.interval[0]),
            down(bin.interval[1]),
            down(bin.observed),
            percent(Some(bin.risk), 2),
            percent(Some(bin.observed), 2),
            count(bin.rows)
        )
    };
    svg += &bins.iter().map(point).collect::<String>();
    svg += "</svg>\n";
    let scale = scale(56, HEIGHT, axis.ticks.iter().map(|tick| (down(*tick), axis.percent_label(*tick))));
    let rows = || bins.iter().map(|bin| bin.rows);
    let [fewest, most] = [rows().min(), rows().max()].map(|rows| count(rows.unwrap_or(0)));
    let rows = if fewest == most { most } else { format!("{fewest} to {most}") };
    let caption = format!(
        "{}: {} of {rows} rows, calibration error {}",
        escape(&model.name),
        counted(bins.len(), "bin"),
        maybe(events.test.calibration_error, 3)
    );
    format!("<figure>\n<div class=\"plot\">{scale}{svg}</div><figcaption>{caption}</figcaption>\n</figure>\n")
}

/// The forecasts of rows with and without an event.
fn spread(model: &ModelSummary, group: &Forecasts) -> String {
    let highest = group.pairs.iter().map(|pair| pair.0).fold(0.0, f64::max);
    let axis = Axis::covering([0.0, highest.max(1e-6)].into_iter(), 4);
    let mut shares = [[0.0; BINS]; 2];
    let mut rows = [0_usize; 2];
    for (risk, actual) in &group.pairs {
        let kind = usize::from(*actual > 0.5);
        rows[kind] += 1;
        shares[kind][((axis.share(*risk) * BINS as f64) as usize).min(BINS - 1)] += 1.0;
    }
    for (shares, rows) in shares.iter_mut().zip(rows) {
        shares.iter_mut().for_each(|share| *share /= (rows as f64).max(1.0));
    }
    let tallest = shares.iter().flatten().copied().fold(0.0, f64::max);
    let down = |value: f64| 4.0 + (CURVES - 4.0) * (1.0 - value / tallest.max(1e-12));
    let mut svg = format!(
        "<svg class=\"chart\" width=\"100%\" height=\"{HEIGHT}\" role=\"img\" aria-label=\"Forecasts of {} with and without an \
         event\">\n<line class=\"grid\" x1=\"0\" x2=\"100%\" y1=\"{CURVES}\" y2=\"{CURVES}\"/>\n",
        escape(&model.name)
    );
    for (kind, class) in [(1, "with-event"), (0, "without-event")] {
        for (bin, value) in shares[kind].iter().enumerate().filter(|(_, value)| **value > 0.0) {
            let y = down(*value);
            svg += &format!(
                "<rect class=\"{class}\" x=\"{}\" width=\"{}\" y=\"{y:.1}\" height=\"{:.1}\"/>\n",
                share(0.02 + 0.95 * bin as f64 / BINS as f64),
                share(0.95 * 0.9 / BINS as f64),
                CURVES - y
            );
        }
    }
    for tick in &axis.ticks {
        svg += &format!(
            "<text class=\"tick\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
            share(0.02 + 0.95 * axis.share(*tick)),
            HEIGHT - 6.0,
            axis.percent_label(*tick)
        );
    }
    svg += "</svg>\n";
    let caption = format!(
        "{}: {} with an event, {} without",
        escape(&model.name),
        counted(rows[1], "row"),
        count(rows[0])
    );
    format!("<figure>\n<div class=\"plot\">{svg}</div><figcaption>{caption}</figcaption>\n</figure>\n")
}
