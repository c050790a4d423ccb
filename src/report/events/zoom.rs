//! A closer look at a few events and alarms: caught, missed, and false.

use super::files::RiskSeries;
use crate::report::number::counted;
use crate::report::svg::{Axis, HEIGHT as STEPS, WIDTH, path, scale, share};
use crate::units::Time;

/// Panels of each kind.
const PANELS: usize = 2;

/// Pixels of a panel, and of its curves.
const HEIGHT: f64 = 150.0;
const CURVES: f64 = 128.0;

/// Panels of events that were caught, events that were missed, and false alarms: those in the middle of each list.
pub(super) fn zooms(series: &RiskSeries) -> String {
    let mut panels = String::new();
    for missed in [false, true] {
        let events: Vec<_> = series.events.iter().filter(|event| event.lead.is_nan() == missed).collect();
        for event in middle(&events) {
            let what = match missed {
                true => "missed".to_owned(),
                false => format!("caught {} before", counted(event.lead as usize, "bar")),
            };
            panels +=
                &panel(series, event.strike, &format!("Event {what}, strike {}", event.strike.minute()));
        }
    }
    let alarms: Vec<_> = series.alarms.iter().filter(|alarm| alarm.is_false).collect();
    for alarm in middle(&alarms) {
        panels += &panel(series, alarm.raised, &format!("False alarm, {}", alarm.raised.minute()));
    }
    if panels.is_empty() { panels } else { format!("<div class=\"multiples wide\">\n{panels}</div>\n") }
}

/// Some of the list at equal distances.
fn middle<T>(list: &[T]) -> impl Iterator<Item = &T> {
    let shown = list.len().min(PANELS);
    (0..shown).map(move |index| &list[(2 * index + 1) * list.len() / (2 * shown)])
}

/// The rows around a moment.
fn panel(series: &RiskSeries, moment: Time, caption: &str) -> String {
    let reach = (3 * series.horizon.max(1) as usize).clamp(20, 120);
    let centre =
        series.times.partition_point(|time| *time < moment).min(series.times.len().saturating_sub(1));
    let rows = centre.saturating_sub(reach)..(centre + reach / 2 + 1).min(series.times.len());
    if rows.len() < 2 {
        return String::new();
    }
    let times = &series.times[rows.clone()];
    let length = (times[times.len() - 1].0 - times[0].0).max(1) as f64;
    let across = |time: Time| (time.0 - times[0].0) as f64 / length;
    let reach = series.risk[rows.clone()].iter().chain(&series.alarm_at[rows.clone()]).copied();
    let axis = Axis::covering(reach.chain([0.0]), 3).padded(0.05);
    let price = Axis::covering(series.close[rows.clone()].iter().copied(), 3).padded(0.08);
    let down = |value: f64| CURVES * (1.0 - axis.share(value));
    let mut svg = format!(
        "<svg class=\"chart\" width=\"100%\" height=\"{HEIGHT}\" role=\"img\" aria-label=\"{caption}\">\n"
    );
    for event in &series.events {
        let [left, right] = [event.first, event.strike].map(|time| across(time).clamp(0.0, 1.0));
        if right > left {
            let (x, width) = (share(left), share(right - left));
            svg +=
                &format!("<rect class=\"band\" x=\"{x}\" width=\"{width}\" y=\"0\" height=\"{CURVES}\"/>\n");
        }
    }
    for tick in &axis.ticks {
        let y = down(*tick);
        svg += &format!("<line class=\"grid\" x1=\"0\" x2=\"100%\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\n");
    }
    svg += &format!(
        "<svg width=\"100%\" height=\"{CURVES}\" viewBox=\"0 0 {WIDTH} {STEPS}\" preserveAspectRatio=\"none\">\n"
    );
    for (class, values, axis) in [
        ("price-line", &series.close, &price),
        ("threshold", &series.alarm_at, &axis),
        ("risk-line", &series.risk, &axis),
    ] {
        let points = rows.clone().filter(|row| !values[*row].is_nan());
        let points = points.map(|row| (WIDTH * across(series.times[row]), axis.down(values[row])));
        svg += &format!("<path class=\"line {class}\" d=\"{}\"/>\n", path(points));
    }
    svg += "</svg>\n";
    for alarm in series.alarms.iter().filter(|alarm| (0.0..=1.0).contains(&across(alarm.raised))) {
        let class = if alarm.is_false { "false-alarm" } else { "right-alarm" };
        let x = share(across(alarm.raised));
        svg += &format!("<circle class=\"{class}\" cx=\"{x}\" cy=\"{}\" r=\"3.5\"/>\n", CURVES + 8.0);
    }
    svg += "</svg>\n";
    let labels = axis.ticks.iter().map(|tick| (down(*tick), axis.percent_label(*tick)));
    let scale = scale(52, HEIGHT, labels);
    format!("<figure>\n<div class=\"plot\">{scale}{svg}</div><figcaption>{caption}</figcaption>\n</figure>\n")
}
