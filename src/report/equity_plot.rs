//! Equity and drawdown over time, one above the other, with one legend and one crosshair.

use super::line_chart::{Band, LOWEST_FACTOR, Line, LineChart, Unit, wide};
use super::markup::{breakable, escape_json};
use super::number::{SPACE, decimal, percent, signed_percent};
use super::run_files::{Curve, RunFiles};
use crate::units::Time;

/// Bars at which the crosshair stops.
const STOPS: usize = 240;

/// Letters of a name that fit into the narrow columns of the legend.
const SHORT_NAME: usize = 20;

/// The growth of every curve since the start.
fn growth(files: &RunFiles) -> Vec<Vec<f64>> {
    let cash = files.cash();
    let of = |curve: &Curve| curve.equity.iter().map(|equity| equity / cash - 1.0).collect();
    files.curves.iter().map(of).collect()
}

/// The sentences above the charts.
pub(super) fn caption(files: &RunFiles) -> String {
    let mut text = String::from("After all costs. ");
    let growth = growth(files);
    if wide(growth.iter().flatten()) {
        text += "Growth is on a logarithmic axis: equal factors are equally high. ";
        if growth.iter().flatten().any(|value| 1.0 + value < LOWEST_FACTOR) {
            let lowest = decimal(100.0 * (1.0 - LOWEST_FACTOR), 0);
            text += &format!("A book that lost more than {lowest}{SPACE}% lies on its lower edge. ");
        }
    }
    if !files.folds.is_empty() {
        text += "Shaded parts are the test parts of the folds. ";
    }
    text + "Press a name to hide its curve."
}

/// Both charts with their legend, and the values that the crosshair shows.
pub(super) fn equity(files: &RunFiles) -> String {
    if files.curves.is_empty() || files.times.is_empty() {
        return String::new();
    }
    let growth = growth(files);
    let chart = |label: &str, height, values: &dyn Fn(usize) -> Vec<f64>| LineChart {
        label: label.to_owned(),
        height,
        lines: lines(files, values),
        bands: bands(files),
        logarithmic: false,
        unit: Unit::Percent,
    };
    let top = chart("Growth of every book since the start", 340, &|index| growth[index].clone());
    let bottom = chart("Drawdown of every book", 190, &|index| files.curves[index].drawdown.clone());
    let mut html = String::from("<div class=\"linked\" data-curves=\"curves\">\n");
    html += &legend(files, &growth);
    html += "<div class=\"panes\" tabindex=\"0\" aria-label=\"Curves; the left and right arrow keys move the crosshair\">\n";
    let logarithmic = wide(growth.iter().flatten());
    html += &format!("<h3>Growth since the start</h3>\n{}", LineChart { logarithmic, ..top }.draw());
    html += &format!(
        "<h3>Drawdown</h3>\n{}</div>\n",
        LineChart { bands: unnamed(bands(files)), ..bottom }.draw()
    );
    html += &format!(
        "<script type=\"application/json\" id=\"curves\">{}</script>\n</div>\n",
        escape_json(&stops(&files.times, &growth, &files.curves))
    );
    html
}

/// The books with the least important first, so that the two of the verdict lie on top.
fn lines<'a>(files: &'a RunFiles, values: &dyn Fn(usize) -> Vec<f64>) -> Vec<Line<'a>> {
    files
        .order()
        .into_iter()
        .rev()
        .map(|series| {
            let role = files.role(&files.curves[series].strategy);
            Line {
                series,
                class: role.to_owned(),
                times: &files.times,
                values: values(series),
                buckets: if role == "other" { 180 } else { 420 },
            }
        })
        .collect()
}

fn bands(files: &RunFiles) -> Vec<Band> {
    files
        .folds
        .iter()
        .map(|fold| Band { start: fold.start[2], end: fold.end[2], name: format!("fold {}", fold.number) })
        .collect()
}

fn unnamed(bands: Vec<Band>) -> Vec<Band> {
    bands.into_iter().map(|band| Band { name: String::new(), ..band }).collect()
}

fn legend(files: &RunFiles, growth: &[Vec<f64>]) -> String {
    let longest = files.curves.iter().map(|curve| curve.strategy.chars().count()).max().unwrap_or(0);
    let wide = if longest > SHORT_NAME { " wide" } else { "" };
    let last = files.times.last().copied().unwrap_or_default();
    let mut html = format!(
        "<p class=\"legend-note\">Growth and drawdown at <span class=\"moment\">{}</span></p>\n<ul class=\"legend{wide}\">\n",
        last.minute()
    );
    for index in files.order() {
        let curve = &files.curves[index];
        let value = growth[index].last().copied().unwrap_or(f64::NAN);
        let fall = curve.drawdown.last().copied();
        html += &format!(
            "<li><button type=\"button\" aria-pressed=\"true\" class=\"{}\" data-series=\"{index}\"><span class=\"key\"></span>\
             <span class=\"name\">{}</span><span class=\"now\">{}</span><span class=\"fall\">{}</span></button></li>\n",
            files.role(&curve.strategy),
            breakable(&curve.strategy),
            signed_percent(value, 1),
            percent(fall, 1)
        );
    }
    html + "</ul>\n"
}

/// `{"at": [share of the width], "time": [text], "growth": [[per cent]], "fall": [[per cent]]}` at up to [`STOPS`] bars.
fn stops(times: &[Time], growth: &[Vec<f64>], curves: &[Curve]) -> String {
    let count = times.len().min(STOPS);
    let row = |stop: usize| if count < 2 { 0 } else { stop * (times.len() - 1) / (count - 1) };
    let (start, end) = (times[0], times[times.len() - 1]);
    let length = ((end.0 - start.0) as f64).max(1.0);
    let list = |text: &dyn Fn(usize) -> String| {
        let items: Vec<String> = (0..count).map(|stop| text(row(stop))).collect();
        format!("[{}]", items.join(","))
    };
    let per_cent = |values: &[f64]| {
        list(&|row| {
            let value = 100.0 * values[row];
            if value.is_finite() { format!("{value:.1}") } else { "null".to_owned() }
        })
    };
    let joined = |lists: Vec<String>| format!("[{}]", lists.join(","));
    format!(
        "{{\"at\":{},\"time\":{},\"growth\":{},\"fall\":{}}}",
        list(&|row| format!("{:.4}", (times[row].0 - start.0) as f64 / length)),
        list(&|row| format!("\"{}\"", times[row].minute())),
        joined(growth.iter().map(|values| per_cent(values)).collect()),
        joined(curves.iter().map(|curve| per_cent(&curve.drawdown)).collect())
    )
}
