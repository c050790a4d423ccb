//! Forecasts against what came: the mean outcome in each tenth of the forecasts, and the forecast metrics.

use super::markup::{escape, folded, number_cell, number_heading, scrolling};
use super::number::{count, counted, maybe, percent, significant};
use super::run_files::{Forecasts, RunFiles};
use super::svg::{Axis, scale, share};
use super::{forecast_panels, forecast_steps};
use rayon::prelude::*;

/// What the charts of the tenths show.
const TENTHS: &str = "Dots are the mean outcome in each tenth of the forecasts, whiskers two standard errors with \
    rows taken as independent (too narrow where horizons overlap), dashes the mean forecast. Dots that rise from \
    left to right are skill.";

const BINS: usize = 10;
/// Pixels of a chart.
const HEIGHT: f64 = 164.0;

/// One tenth of the forecasts, from the lowest.
#[derive(Clone, Copy, Debug, Default)]
struct Bin {
    forecast: f64,
    outcome: f64,
    /// Of the mean outcome, with rows taken as independent.
    standard_error: f64,
}

/// The sentences above the charts.
pub(super) fn note(files: &RunFiles) -> String {
    if forecast_steps::judged_by_errors(&files.summary) {
        return forecast_steps::note(&files.summary);
    }
    format!(
        "Test rows only. {TENTHS} Direction right is marked where it is above the base rate, what always guessing the more \
         frequent side reaches."
    )
}

/// The metrics of every model and horizon, what came beside what was forecast, and the charts of the tenths.
pub(super) fn forecasts(files: &RunFiles) -> String {
    if files.summary.models.is_empty() {
        return String::new();
    }
    let by_errors = forecast_steps::judged_by_errors(&files.summary);
    let table = if by_errors { forecast_steps::table(&files.summary) } else { metrics(files) };
    let html = scrolling("Forecast metrics", &table) + &forecast_panels::panels(files);
    let tenths = tenths(files);
    if !by_errors || tenths.is_empty() {
        return html + &tenths;
    }
    let note = format!("<p class=\"note\">{TENTHS}</p>\n");
    html + &folded("Mean outcome by tenth of the forecast", &(note + &tenths))
}

/// A chart a model and horizon.
fn tenths(files: &RunFiles) -> String {
    let binned: Vec<Option<[Bin; BINS]>> =
        files.forecasts.par_iter().map(|group| bins(&group.pairs)).collect();
    let mut html = String::new();
    for model in &files.summary.models {
        let charts: String = files
            .forecasts
            .iter()
            .zip(&binned)
            .filter(|(group, _)| group.model == model.name)
            .map(|(group, bins)| chart(group, bins.as_ref()))
            .collect();
        if !charts.is_empty() {
            html += &format!("<h3>{}</h3>\n<div class=\"multiples\">\n{charts}</div>\n", escape(&model.name));
        }
    }
    html
}

fn metrics(files: &RunFiles) -> String {
    let mut table =
        String::from("<table>\n<thead><tr><th scope=\"col\">Model</th><th scope=\"col\">Horizon</th>");
    let scaled = files.summary.models.iter().any(|model| model.metrics.scaled_mse.is_some());
    for title in ["Rows", "IC", "IC, 95 %", "Rank IC", "Direction right", "Base rate", "MSE", "MAE"] {
        table += &number_heading(title);
    }
    for title in ["Scaled MSE", "Scaled MAE"].iter().filter(|_| scaled) {
        table += &number_heading(title);
    }
    table += "</tr></thead>\n<tbody>\n";
    for model in &files.summary.models {
        let horizons =
            model.horizons.iter().map(|bars| counted(*bars as usize, "bar")).zip(&model.by_horizon);
        let all = (model.horizons.len() != 1).then(|| ("all".to_owned(), &model.metrics));
        for (index, (horizon, metrics)) in horizons.chain(all).enumerate() {
            let first = if index == 0 { " class=\"first\"" } else { "" };
            let name = if index == 0 { escape(&model.name) } else { String::new() };
            table += &format!("<tr{first}><th scope=\"row\">{name}</th><td>{horizon}</td>");
            table += &number_cell(&count(metrics.rows));
            table += &number_cell(&maybe(metrics.ic, 3));
            let interval = metrics.ic_interval.map(|ends| ends.map(|end| maybe(Some(end), 3)).join(" to "));
            table += &number_cell(&interval.unwrap_or_else(|| maybe(None, 0)));
            table += &number_cell(&maybe(metrics.rank_ic, 3));
            let right = percent(metrics.directional_accuracy, 1);
            let better = metrics.directional_accuracy > metrics.directional_base_rate;
            table += &number_cell(&if better { format!("<b class=\"best\">{right}</b>") } else { right });
            table += &number_cell(&percent(metrics.directional_base_rate, 1));
            table += &number_cell(&metrics.mse.map_or_else(|| maybe(None, 0), significant));
            table += &number_cell(&metrics.mae.map_or_else(|| maybe(None, 0), significant));
            for figure in [metrics.scaled_mse, metrics.scaled_mae].iter().filter(|_| scaled) {
                table += &number_cell(&maybe(*figure, 3));
            }
            table += "</tr>\n";
        }
    }
    table + "</tbody>\n</table>\n"
}

/// Tenths of equal size by rank of the forecast; equal forecasts keep the order of the file. `None` with fewer than two
/// rows a tenth, or where all forecasts are equal.
fn bins(pairs: &[(f64, f64)]) -> Option<[Bin; BINS]> {
    let first = pairs.first()?.0;
    if pairs.len() < 2 * BINS || pairs.iter().all(|pair| pair.0 == first) {
        return None;
    }
    let mut sorted = pairs.to_vec();
    sorted.sort_by(|left, right| left.0.total_cmp(&right.0));
    Some(std::array::from_fn(|bin| {
        let part = &sorted[bin * pairs.len() / BINS..(bin + 1) * pairs.len() / BINS];
        let rows = part.len() as f64;
        let outcome = part.iter().map(|pair| pair.1).sum::<f64>() / rows;
        let squares: f64 = part.iter().map(|pair| (pair.1 - outcome).powi(2)).sum();
        Bin {
            forecast: part.iter().map(|pair| pair.0).sum::<f64>() / rows,
            outcome,
            standard_error: (squares / (rows - 1.0) / rows).sqrt(),
        }
    }))
}

fn chart(group: &Forecasts, bins: Option<&[Bin; BINS]>) -> String {
    let horizon = counted(group.horizon.unsigned_abs() as usize, "bar");
    let Some(bins) = bins else {
        let caption = format!("{horizon} ahead: no ranking to draw, the forecasts are equal or too few");
        return format!("<figure><figcaption>{caption}</figcaption></figure>\n");
    };
    let reach = bins.iter().flat_map(|bin| {
        let error = 2.0 * bin.standard_error;
        [bin.outcome - error, bin.outcome + error, bin.forecast, 0.0]
    });
    let axis = Axis::covering(reach, 4).padded(0.04);
    let down = |value: f64| 4.0 + (HEIGHT - 28.0) * (1.0 - axis.share(value));
    let across = |bin: f64| share(0.05 + 0.9 * bin / (BINS - 1) as f64);
    let mut svg = format!(
        "<svg class=\"chart\" width=\"100%\" height=\"{HEIGHT}\" role=\"img\" aria-label=\"Mean outcome by tenth of the forecast, \
         {horizon} ahead\">\n"
    );
    for tick in &axis.ticks {
        let (y, class) = (down(*tick), if *tick == 0.0 { "zero" } else { "grid" });
        svg += &format!("<line class=\"{class}\" x1=\"0\" x2=\"100%\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\n");
    }
    for (index, bin) in bins.iter().enumerate() {
        let place = index as f64;
        let (x, left, right) = (across(place), across(place - 0.3), across(place + 0.3));
        let error = 2.0 * bin.standard_error;
        svg += &format!(
            "<line class=\"error\" x1=\"{x}\" x2=\"{x}\" y1=\"{:.1}\" y2=\"{:.1}\"/><circle class=\"outcome\" cx=\"{x}\" \
             cy=\"{:.1}\" r=\"3.5\"/><line class=\"forecast\" x1=\"{left}\" x2=\"{right}\" y1=\"{y:.1}\" \
             y2=\"{y:.1}\"/>\n",
            down(bin.outcome + error),
            down(bin.outcome - error),
            down(bin.outcome),
            y = down(bin.forecast)
        );
    }
    let y = HEIGHT - 6.0;
    svg += &format!("<text class=\"tick\" x=\"{}\" y=\"{y}\">lowest</text>", across(-0.4));
    svg += &format!("<text class=\"tick\" x=\"100%\" y=\"{y}\" text-anchor=\"end\">highest</text>\n</svg>\n");
    let rows = counted(group.pairs.len(), "forecast");
    let labels = axis.ticks.iter().map(|tick| (down(*tick), axis.label(*tick)));
    let scale = scale(axis.gutter(), HEIGHT, labels);
    format!(
        "<figure>\n<div class=\"plot\">{scale}{svg}</div><figcaption>{horizon} ahead, {rows}</figcaption>\n</figure>\n"
    )
}
