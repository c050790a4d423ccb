//! The walk-forward split: how the two books of the verdict did in each test part, and where the parts lie.

use super::markup::{escape, number_cell, number_heading, scrolling};
use super::number::{count, counted, decimal, maybe, signed_percent};
use super::run_files::{Curve, Fold, RunFiles};
use super::svg::{Axis, share};
use crate::metrics;
use crate::table::{BookResult, Equity};
use crate::units::Time;
use std::ops::Range;

/// A row a fold: returns drawn from zero, and Sharpe ratios, of the model and the best baseline.
pub(super) fn strip(files: &RunFiles) -> String {
    let (Some(model), Some(baseline)) = (
        files.best_model().and_then(|name| files.curve(name)),
        files.best_baseline().and_then(|name| files.curve(name)),
    ) else {
        return String::new();
    };
    let parts: Vec<(&Fold, Range<usize>)> = files
        .folds
        .iter()
        .map(|fold| (fold, rows(&files.times, fold)))
        .filter(|(_, range)| !range.is_empty())
        .collect();
    if parts.is_empty() {
        return String::new();
    }
    let (cash, year) =
        (files.cash(), files.summary.backtest.as_ref().map(|backtest| backtest.periods_per_year));
    let pairs: Vec<[f64; 2]> =
        parts.iter().map(|(_, range)| [model, baseline].map(|curve| growth(curve, range, cash))).collect();
    let ahead = pairs.iter().filter(|[left, right]| left > right).count();
    let axis = Axis::covering(pairs.iter().flatten().copied().chain([0.0]), 4).padded(0.02);
    let mut table = String::from(
        "<table class=\"strip\">\n<thead><tr><th scope=\"col\">Fold</th><th scope=\"col\">Test part</th><th scope=\"col\">Return</th>",
    );
    table += &number_heading("Model");
    table += &number_heading("Baseline");
    table += &number_heading("Sharpe, model");
    table += &number_heading("Sharpe, baseline");
    table += "</tr></thead>\n<tbody>\n";
    for ((fold, range), pair) in parts.iter().zip(&pairs) {
        let span = format!("{} to {}", files.times[range.start].date(), files.times[range.end - 1].date());
        table += &format!(
            "<tr><th scope=\"row\">{}</th><td class=\"span\">{span}</td><td class=\"bars\">{}</td>",
            fold.number,
            bars(*pair, &axis)
        );
        table += &pair.map(|value| number_cell(&signed_percent(value, 1))).concat();
        for curve in [model, baseline] {
            table += &number_cell(&maybe(year.and_then(|year| sharpe(curve, range, cash, year)), 2));
        }
        table += "</tr>\n";
    }
    table += "</tbody>\n</table>\n";
    format!(
        "<p class=\"finding\"><b class=\"model\">{}</b> earned more than <b class=\"baseline\">{}</b> in {ahead} of {}.</p>\n{}",
        escape(&model.strategy),
        escape(&baseline.strategy),
        counted(parts.len(), "fold"),
        scrolling("Results by fold", &table)
    )
}

/// The bars of a fold's test part.
fn rows(times: &[Time], fold: &Fold) -> Range<usize> {
    times.partition_point(|time| *time < fold.start[2])..times.partition_point(|time| *time <= fold.end[2])
}

fn before(curve: &Curve, start: usize, cash: f64) -> f64 {
    if start == 0 { cash } else { curve.equity[start - 1] }
}

fn growth(curve: &Curve, range: &Range<usize>, cash: f64) -> f64 {
    curve.equity[range.end - 1] / before(curve, range.start, cash) - 1.0
}

/// The Sharpe ratio of a part, from [`metrics::returns`] of its equity as a book of its own.
fn sharpe(curve: &Curve, range: &Range<usize>, cash: f64, periods_per_year: f64) -> Option<f64> {
    let book = BookResult {
        strategy: String::new(),
        starting_cash: before(curve, range.start, cash),
        fills: Vec::new(),
        equity: Equity { equity: curve.equity[range.clone()].to_vec(), ..Equity::default() },
        carried: crate::table::Carried::default(),
        bankrupt_at: None,
    };
    metrics::sharpe(&metrics::returns(&book), periods_per_year)
}

fn bars(pair: [f64; 2], axis: &Axis) -> String {
    let zero = axis.share(0.0);
    let mut svg = String::from("<svg width=\"100%\" height=\"26\" aria-hidden=\"true\">");
    for (row, (value, role)) in pair.into_iter().zip(["model", "baseline"]).enumerate() {
        let place = axis.share(value);
        if !place.is_finite() {
            continue;
        }
        svg += &format!(
            "<rect class=\"bar {role}\" x=\"{}\" width=\"{}\" y=\"{}\" height=\"10\" rx=\"1.5\"/>",
            share(place.min(zero)),
            share((place - zero).abs()),
            2 + 12 * row
        );
    }
    let zero = share(zero);
    svg + &format!("<line class=\"zero\" x1=\"{zero}\" x2=\"{zero}\" y1=\"0\" y2=\"26\"/></svg>")
}

/// Dates and windows of every fold, with the parts drawn to scale.
pub(super) fn table(files: &RunFiles) -> String {
    const PARTS: [&str; 3] = ["train", "validation", "test"];
    let folds = &files.folds;
    let (Some(first), Some(last)) =
        (folds.iter().flat_map(|fold| fold.start).min(), folds.iter().flat_map(|fold| fold.end).max())
    else {
        return String::new();
    };
    let length = ((last.0 - first.0) as f64).max(1.0);
    let mut html = String::from("<p class=\"parts\">");
    for part in PARTS {
        html += &format!("<span class=\"part {part}\"></span>{part} ");
    }
    html += "</p>\n";
    let mut table = String::from(
        "<table class=\"folds\">\n<thead><tr><th scope=\"col\">Fold</th><th scope=\"col\">Timeline</th>",
    );
    for part in ["Train", "Validation", "Test"] {
        table += &format!("<th scope=\"col\">{part}</th>{}", number_heading("windows"));
    }
    table += "</tr></thead>\n<tbody>\n";
    for fold in folds {
        let mut svg = String::from("<svg width=\"100%\" height=\"14\" aria-hidden=\"true\">");
        let mut cells = String::new();
        for (index, part) in PARTS.iter().enumerate() {
            let (start, end) = (fold.start[index], fold.end[index]);
            let place = (start.0 - first.0) as f64 / length;
            let width = (end.0 - start.0) as f64 / length;
            svg += &format!(
                "<rect class=\"part {part}\" x=\"{}\" width=\"{}\" y=\"2\" height=\"10\"/>",
                share(place),
                share(width.max(0.0))
            );
            let windows = usize::try_from(fold.windows[index]).map_or_else(|_| decimal(f64::NAN, 0), count);
            cells += &format!(
                "<td class=\"span\">{} to {}</td>{}",
                start.date(),
                end.date(),
                number_cell(&windows)
            );
        }
        table += &format!(
            "<tr><th scope=\"row\">{}</th><td class=\"bars\">{svg}</svg></td>{cells}</tr>\n",
            fold.number
        );
    }
    html + &scrolling("Folds", &(table + "</tbody>\n</table>\n"))
}
