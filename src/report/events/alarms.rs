//! What alarms catch and when: recall against false alarms of all models, and how long before the strike they came.

use crate::report::markup::escape;
use crate::report::number::{counted, decimal, percent};
use crate::report::svg::{Axis, scale, share};
use crate::rundir::{EventSummary, ModelSummary, Summary};

/// The sentences above the charts.
pub(super) const NOTE: &str = "Curves: the share of events caught with the best threshold for so many false alarms a day on these test \
    rows, which is hindsight. Dots: what the threshold that validation chose reached; as it differs from fold to fold \
    and the curve has one for all, a dot can lie above its curve. Histograms: bars from the first alarm to \
    the strike of each event that this threshold caught.";

/// Pixels of a chart, and of the part with the curves.
const HEIGHT: f64 = 240.0;
const CURVES: f64 = 200.0;

/// Bars of a histogram.
const BINS: usize = 20;

/// A chart a horizon, then the histograms.
pub(super) fn alarms(summary: &Summary) -> String {
    let mut html = String::from("<p class=\"parts\">");
    for model in &summary.models {
        let hue = super::hue(summary, &model.name);
        html += &format!("<span class=\"{hue}\"><span class=\"key\"></span> {}</span> ", escape(&model.name));
    }
    html += "</p>\n<div class=\"multiples wide\">\n";
    for place in 0..super::horizons(summary).len() {
        html += &curves(summary, place);
    }
    html += "</div>\n<h3>Leads of alarms</h3>\n<div class=\"multiples\">\n";
    for (place, _) in super::horizons(summary).iter().enumerate() {
        for (model, events) in super::ranked(summary, place) {
            html += &leads(model, events);
        }
    }
    html + "</div>\n"
}

/// Recall against false alarms a day, on a logarithmic axis.
fn curves(summary: &Summary, place: usize) -> String {
    let ranked = super::ranked(summary, place);
    let Some((_, any)) = ranked.first().filter(|(_, events)| events.test.events > 0) else {
        return String::new();
    };
    let rates: Vec<f64> = any.test.hindsight.iter().map(|point| point.false_alarms_per_day).collect();
    let [low, high] = [rates.first(), rates.last()].map(|rate| rate.copied().unwrap_or(1.0).ln());
    let across = |rate: f64| 0.03 + 0.94 * ((rate.ln() - low) / (high - low)).clamp(0.0, 1.0);
    let down = |recall: f64| 8.0 + (CURVES - 8.0) * (1.0 - recall);
    let mut svg = format!(
        "<svg class=\"chart\" width=\"100%\" height=\"{HEIGHT}\" role=\"img\" aria-label=\"Recall against false alarms a day\">\n"
    );
    let levels = [0.0, 0.25, 0.5, 0.75, 1.0];
    for level in levels {
        let y = down(level);
        svg += &format!("<line class=\"grid\" x1=\"0\" x2=\"100%\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\n");
    }
    for rate in &rates {
        let (x, y) = (share(across(*rate)), CURVES + 16.0);
        let digits = usize::from(*rate < 1.0);
        svg += &format!(
            "<text class=\"tick\" x=\"{x}\" y=\"{y}\" text-anchor=\"middle\">{}</text>\n",
            decimal(*rate, digits)
        );
    }
    svg += &format!(
        "<text class=\"tick\" x=\"50%\" y=\"{}\" text-anchor=\"middle\">false alarms a day</text>\n",
        HEIGHT - 6.0
    );
    for (model, events) in ranked.iter().rev() {
        let hue = super::hue(summary, &model.name);
        let points: Vec<(f64, f64)> = events
            .test
            .hindsight
            .iter()
            .filter_map(|point| Some((across(point.false_alarms_per_day), down(point.recall?))))
            .collect();
        for pair in points.windows(2) {
            let [(x1, y1), (x2, y2)] = [pair[0], pair[1]];
            let (x1, x2) = (share(x1), share(x2));
            svg += &format!(
                "<line class=\"line {hue}\" x1=\"{x1}\" x2=\"{x2}\" y1=\"{y1:.1}\" y2=\"{y2:.1}\"/>\n"
            );
        }
        let Some(alarms) = &events.test.alarms else { continue };
        if let Some((rate, recall)) = alarms.false_alarms_per_day.zip(alarms.recall) {
            svg += &format!(
                "<circle class=\"chosen-point {hue}\" cx=\"{}\" cy=\"{:.1}\" r=\"5\"><title>{}: {} caught, {} false alarms a \
                 day</title></circle>\n",
                share(across(rate.max(1e-9))),
                down(recall),
                escape(&model.name),
                percent(Some(recall), 0),
                decimal(rate, 2)
            );
        }
    }
    svg += "</svg>\n";
    let labels = levels.iter().map(|level| (down(*level), percent(Some(*level), 0)));
    let scale = scale(48, HEIGHT, labels);
    let caption = format!("within {} bars, {}", any.horizon, counted(any.test.events, "event"));
    format!("<figure>\n<div class=\"plot\">{scale}{svg}</div><figcaption>{caption}</figcaption>\n</figure>\n")
}

/// How long before the strike the alarms came.
fn leads(model: &ModelSummary, events: &EventSummary) -> String {
    let Some(alarms) = events.test.alarms.as_ref().filter(|alarms| alarms.caught > 0) else {
        return String::new();
    };
    let horizon = events.horizon as usize;
    let width = horizon.div_ceil(BINS).max(1);
    let mut bins = vec![0_usize; horizon.div_ceil(width)];
    for lead in &alarms.leads {
        bins[((*lead as usize).saturating_sub(1) / width).min(horizon.div_ceil(width) - 1)] += 1;
    }
    let axis = Axis::covering([0.0, *bins.iter().max().unwrap_or(&1) as f64].into_iter(), 3);
    let (height, bottom) = (120.0, 96.0);
    let down = |count: f64| 6.0 + (bottom - 6.0) * (1.0 - axis.share(count));
    let mut svg = format!(
        "<svg class=\"chart\" width=\"100%\" height=\"{height}\" role=\"img\" aria-label=\"Leads of {}\">\n",
        escape(&model.name)
    );
    for tick in axis.ticks.iter().filter(|tick| tick.fract() == 0.0) {
        let y = down(*tick);
        svg += &format!("<line class=\"grid\" x1=\"0\" x2=\"100%\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\n");
    }
    for (bin, count) in bins.iter().enumerate().filter(|(_, count)| **count > 0) {
        let y = down(*count as f64);
        svg += &format!(
            "<rect class=\"with-event\" x=\"{}\" width=\"{}\" y=\"{y:.1}\" height=\"{:.1}\"/>\n",
            share(bin as f64 / bins.len() as f64),
            share(0.86 / bins.len() as f64),
            bottom - y
        );
    }
    let y = height - 6.0;
    svg += &format!(
        "<text class=\"tick\" x=\"0\" y=\"{y}\">1 bar</text><text class=\"tick\" x=\"100%\" y=\"{y}\" text-anchor=\"end\">{horizon} \
         bars</text>\n</svg>\n"
    );
    let labels =
        axis.ticks.iter().filter(|tick| tick.fract() == 0.0).map(|tick| (down(*tick), decimal(*tick, 0)));
    let scale = scale(axis.gutter(), height, labels);
    let median =
        alarms.median_lead.map_or(String::new(), |lead| format!(", median {} bars", decimal(lead, 1)));
    let caption = format!("{}, within {horizon} bars: {} caught{median}", escape(&model.name), alarms.caught);
    format!("<figure>\n<div class=\"plot\">{scale}{svg}</div><figcaption>{caption}</figcaption>\n</figure>\n")
}
