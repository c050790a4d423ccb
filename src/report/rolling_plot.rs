//! Sharpe ratio and volatility over a sliding window: whether a result was earned all along or once.

use super::line_chart::{Line, LineChart, Unit};
use super::markup::breakable;
use super::number::counted;
use super::run_files::{Curve, RunFiles};
use crate::metrics::{rolling_sharpe, rolling_volatility};

/// Parts of a curve of which the lowest and highest value are drawn.
const BUCKETS: usize = 220;
/// Curves without a verdict: more than the best few hide each other.
const CURVES: usize = 4;
/// Bars below which a window says nothing.
const SHORTEST: usize = 30;

/// Bars of the window: a quarter of a year, at most a third of the test. `None` where the test is too short.
fn window(files: &RunFiles) -> Option<usize> {
    let quarter = (files.summary.backtest.as_ref()?.periods_per_year / 4.0).round() as usize;
    let longest = files.times.len() / 3;
    (longest >= SHORTEST).then(|| quarter.clamp(SHORTEST, longest))
}

/// The sentence above the charts.
pub(super) fn note(files: &RunFiles) -> String {
    let Some(window) = window(files) else { return String::new() };
    let whose = match shown(files).len() {
        1 => "the book".to_owned(),
        2 if files.best_model().is_some() => "the two books of the verdict".to_owned(),
        several => format!("the first {several} books of the table"),
    };
    format!(
        "Sharpe ratio and volatility of the last {} at every moment, annualised, of {whose}. A ratio that was high once and \
         low since is not one to expect.",
        counted(window, "bar")
    )
}

/// The curves that are drawn: the two of the verdict, without one the first few.
fn shown(files: &RunFiles) -> Vec<usize> {
    let most = if files.best_model().is_some() { 2 } else { CURVES };
    files.order().into_iter().take(most).collect()
}

/// Both charts.
pub(super) fn rolling(files: &RunFiles) -> String {
    let (Some(window), Some(backtest)) = (window(files), files.summary.backtest.as_ref()) else {
        return String::new();
    };
    let shown = shown(files);
    if shown.is_empty() {
        return String::new();
    }
    let mut legend = String::from("<ul class=\"legend plain\">\n");
    for index in &shown {
        let name = &files.curves[*index].strategy;
        legend += &format!(
            "<li><button type=\"button\" aria-pressed=\"true\" class=\"{}\" data-series=\"{index}\"><span class=\"key\"></span>\
             <span class=\"name\">{}</span></button></li>\n",
            files.role(name),
            breakable(name)
        );
    }
    let chart = |label: &str, unit: Unit, figure: fn(&[f64], usize, f64) -> Vec<f64>| {
        let line = |index: &usize| {
            let curve = &files.curves[*index];
            Line {
                series: *index,
                class: format!("rolling {}", files.role(&curve.strategy)),
                times: &files.times,
                values: figure(&returns(curve, files.cash()), window, backtest.periods_per_year),
                buckets: BUCKETS,
            }
        };
        LineChart {
            label: format!("{label} of the best books over a sliding window"),
            height: 200,
            lines: shown.iter().rev().map(line).collect(),
            bands: Vec::new(),
            logarithmic: false,
            unit,
        }
        .draw()
    };
    format!(
        "<div class=\"linked\">\n{legend}</ul>\n<div class=\"panes\">\n<h3>Sharpe ratio</h3>\n{}<h3>Volatility</h3>\n{}</div>\n</div>\n",
        chart("Sharpe ratio", Unit::Plain, rolling_sharpe),
        chart("Volatility", Unit::Percent, rolling_volatility)
    )
}

/// Simple returns a bar, the first against the cash.
fn returns(curve: &Curve, cash: f64) -> Vec<f64> {
    let before = std::iter::once(cash).chain(curve.equity.iter().copied());
    curve.equity.iter().zip(before).map(|(equity, before)| equity / before - 1.0).collect()
}
