//! Sharpe ratio and volatility over a sliding window: whether a result was earned all along or once.

use super::line_chart::{Line, LineChart, Unit};
use super::markup::breakable;
use super::number::counted;
use super::run_files::{Curve, RunFiles};
use crate::units::Time;

/// Points of a curve.
const POINTS: usize = 400;
/// Curves: more than the best few hide each other.
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
    format!(
        "Sharpe ratio and volatility of the last {} at every moment, annualised, of the books that matter most. A ratio that \
         was high once and low since is not one to expect.",
        counted(window, "bar")
    )
}

/// Both charts.
pub(super) fn rolling(files: &RunFiles) -> String {
    let (Some(window), Some(backtest)) = (window(files), files.summary.backtest.as_ref()) else {
        return String::new();
    };
    let shown: Vec<usize> = files.order().into_iter().take(CURVES).collect();
    if shown.is_empty() {
        return String::new();
    }
    let rows = rows(files.times.len(), window);
    // The first bar holds the place of the dates, so that they lie below those of the equity curves.
    let times: Vec<Time> = [0].iter().chain(&rows).map(|row| files.times[*row]).collect();
    let figures: Vec<Figures> = shown
        .iter()
        .map(|index| {
            let curve = &files.curves[*index];
            Figures::of(curve, files.cash(), &rows, window, backtest.periods_per_year)
        })
        .collect();
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
    let chart = |label: &str, unit: Unit, values: &dyn Fn(&Figures) -> Vec<f64>| {
        let drawn = shown.iter().zip(&figures).rev().map(|(index, found)| Line {
            series: *index,
            class: format!("rolling {}", files.role(&files.curves[*index].strategy)),
            times: &times,
            values: values(found),
            buckets: POINTS,
        });
        LineChart {
            label: format!("{label} of the best books over a sliding window"),
            height: 200,
            lines: drawn.collect(),
            bands: Vec::new(),
            logarithmic: false,
            unit,
        }
        .draw()
    };
    format!(
        "<div class=\"linked\">\n{legend}</ul>\n<div class=\"panes\">\n<h3>Sharpe ratio</h3>\n{}<h3>Volatility</h3>\n{}</div>\n</div>\n",
        chart("Sharpe ratio", Unit::Plain, &|found| found.sharpe.clone()),
        chart("Volatility", Unit::Percent, &|found| found.volatility.clone())
    )
}

/// The last rows of the windows, evenly spread up to the last bar.
fn rows(bars: usize, window: usize) -> Vec<usize> {
    let room = bars - window;
    let points = POINTS.min(room + 1);
    (0..points).map(|point| window - 1 + point * room / (points - 1).max(1)).collect()
}

/// Figures at the first bar, where no window ends, and at each of the rows.
struct Figures {
    sharpe: Vec<f64>,
    volatility: Vec<f64>,
}

impl Figures {
    /// Mean and sample deviation of every window from running sums of the returns less their mean, which keeps the sums
    /// small beside the squares.
    fn of(curve: &Curve, cash: f64, rows: &[usize], window: usize, periods_per_year: f64) -> Figures {
        let before = std::iter::once(cash).chain(curve.equity.iter().copied());
        let returns: Vec<f64> =
            curve.equity.iter().zip(before).map(|(equity, before)| equity / before - 1.0).collect();
        let centre = returns.iter().sum::<f64>() / returns.len() as f64;
        let (mut sum, mut squares) = (vec![0.0], vec![0.0]);
        for value in &returns {
            let distance = value - centre;
            sum.push(sum[sum.len() - 1] + distance);
            squares.push(squares[squares.len() - 1] + distance * distance);
        }
        let mut found = Figures { sharpe: vec![f64::NAN], volatility: vec![f64::NAN] };
        for row in rows {
            let (end, start, length) = (row + 1, row + 1 - window, window as f64);
            let mean = (sum[end] - sum[start]) / length;
            let variance = (squares[end] - squares[start] - length * mean * mean) / (length - 1.0);
            // Equal returns leave the rounding of the sums instead of 0.
            let moved = variance > 1e-12 * squares[end] / length;
            let deviation = variance.max(0.0).sqrt();
            found.volatility.push(if moved { deviation * periods_per_year.sqrt() } else { 0.0 });
            let sharpe = (centre + mean) / deviation * periods_per_year.sqrt();
            found.sharpe.push(if moved { sharpe } else { f64::NAN });
        }
        found
    }
}
