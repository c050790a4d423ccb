//! What came beside what was forecast: a panel a horizon, over the first test rows.

use super::forecast_steps::best_by_validation;
use super::markup::escape;
use super::number::{counted, significant};
use super::run_files::{Forecasts, RunFiles};
use super::svg::{self, Axis, path, scale, share};
use crate::rundir::ModelSummary;
use crate::table::LabelKind;

/// Test rows that a panel shows: more are not told apart.
pub(super) const ROWS: usize = 100;

/// Pixels of a panel's curves, and below the last one of the axis.
const HEIGHT: f64 = 116.0;
const FOOT: f64 = 40.0;

/// One panel: what each drawn model forecast so many bars ahead.
struct Panel<'a> {
    horizon: i64,
    /// The role of the model as a class of the style sheet, and its forecasts.
    models: Vec<(&'static str, &'a ModelSummary, &'a Forecasts)>,
}

/// Whether forecasts of this run can be drawn beside what came.
pub(super) fn drawable(target: Option<LabelKind>) -> bool {
    matches!(target, Some(LabelKind::Value | LabelKind::Change))
}

/// The panels of the best network and the best simple model by validation; nothing where there is nothing to draw.
pub(super) fn panels(files: &RunFiles) -> String {
    if !drawable(files.summary.target) {
        return String::new();
    }
    let chosen: Vec<(&'static str, &ModelSummary)> = ["model", "baseline"]
        .into_iter()
        .zip(best_by_validation(&files.summary))
        .filter_map(|(role, model)| Some((role, model?)))
        .collect();
    let panels: Vec<Panel> = horizons(files, &chosen)
        .into_iter()
        .map(|horizon| Panel { horizon, models: of_horizon(files, &chosen, horizon) })
        .collect();
    let drawn = panels.iter().flat_map(|panel| &panel.models);
    let rows = drawn.clone().map(|(_, _, forecasts)| forecasts.leading).max().unwrap_or(0);
    if rows < 2 {
        return String::new();
    }
    let values = drawn.flat_map(|(_, _, forecasts)| {
        forecasts.pairs[..forecasts.leading].iter().flat_map(|(forecast, outcome)| [*forecast, *outcome])
    });
    let up = Axis::covering(values, 4).padded(0.06);
    let last = panels.iter().map(|panel| panel.horizon).max().unwrap_or(0) + rows as i64 - 1;
    let across = Axis::covering([0.0, last as f64].into_iter(), 10).padded(0.01);
    let mut html = legend(files, &chosen);
    for (index, panel) in panels.iter().enumerate() {
        html += &drawing(panel, (&up, &across), index + 1 == panels.len());
    }
    format!("<div class=\"steps-panels\">\n{html}</div>\n")
}

/// The horizons of the forecasts of the chosen models, rising.
fn horizons(files: &RunFiles, chosen: &[(&'static str, &ModelSummary)]) -> Vec<i64> {
    let ours = |group: &&Forecasts| chosen.iter().any(|(_, model)| model.name == group.model);
    let mut horizons: Vec<i64> = files.forecasts.iter().filter(ours).map(|group| group.horizon).collect();
    horizons.sort_unstable();
    horizons.dedup();
    horizons
}

fn of_horizon<'a>(
    files: &'a RunFiles,
    chosen: &[(&'static str, &'a ModelSummary)],
    horizon: i64,
) -> Vec<(&'static str, &'a ModelSummary, &'a Forecasts)> {
    let find =
        |name: &str| files.forecasts.iter().find(|group| group.model == name && group.horizon == horizon);
    chosen.iter().filter_map(|(role, model)| Some((*role, *model, find(&model.name)?))).collect()
}

fn legend(files: &RunFiles, chosen: &[(&'static str, &ModelSummary)]) -> String {
    let series = files.summary.data.symbols.first().map_or_else(String::new, |name| escape(name));
    let what = if files.summary.target == Some(LabelKind::Change) { "change of " } else { "" };
    let mut html = format!(
        "<h3>Forecast against outcome</h3>\n<p class=\"note\">The first {} of {what}{series} that the test part forecasts, \
         each drawn over the bar of its outcome. Of the networks and of the simple models the one with the lowest \
         validation error.</p>\n<p class=\"parts\"><span class=\"swatch actual\"></span>outcome",
        counted(ROWS, "value")
    );
    for (role, model) in chosen {
        let kind = if *role == "model" { "best network" } else { "best simple model" };
        html +=
            &format!(" <span class=\"swatch {role}\"></span>{} <small>({kind})</small>", escape(&model.name));
    }
    html + "</p>\n"
}

fn drawing(panel: &Panel, (up, across): (&Axis, &Axis), last: bool) -> String {
    let down = |value: f64| HEIGHT * (1.0 - up.share(value));
    let height = if last { HEIGHT + FOOT } else { HEIGHT };
    let ahead = counted(panel.horizon.unsigned_abs() as usize, "bar");
    let mut svg = format!(
        "<svg class=\"chart\" width=\"100%\" height=\"{height}\" role=\"img\" aria-label=\"Forecast and outcome {ahead} ahead\">\n"
    );
    for tick in &up.ticks {
        let (y, class) = (down(*tick), if *tick == 0.0 { "zero" } else { "grid" });
        svg += &format!("<line class=\"{class}\" x1=\"0\" x2=\"100%\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\n");
    }
    svg += &format!(
        "<svg width=\"100%\" height=\"{HEIGHT}\" viewBox=\"0 0 {} {}\" preserveAspectRatio=\"none\">\n",
        svg::WIDTH,
        svg::HEIGHT
    );
    let place = |row: usize| across.share((row as i64 + panel.horizon) as f64);
    let curve = |values: &[f64]| {
        path(values.iter().enumerate().map(|(row, value)| (svg::WIDTH * place(row), up.down(*value))))
    };
    let outcomes: Vec<f64> = panel.models.first().map_or_else(Vec::new, |(_, _, forecasts)| {
        forecasts.pairs[..forecasts.leading].iter().map(|pair| pair.1).collect()
    });
    svg += &format!("<path class=\"line\" d=\"{}\"/>\n", curve(&outcomes));
    for (role, _, forecasts) in &panel.models {
        let values: Vec<f64> = forecasts.pairs[..forecasts.leading].iter().map(|pair| pair.0).collect();
        svg += &format!("<path class=\"line {role}\" d=\"{}\"/>\n", curve(&values));
    }
    svg += "</svg>\n";
    for (row, value) in outcomes.iter().enumerate() {
        let (x, y) = (share(place(row)), down(*value));
        svg += &format!("<circle class=\"actual\" cx=\"{x}\" cy=\"{y:.1}\" r=\"2.2\"/>");
    }
    if last {
        svg += &foot(across);
    }
    svg += "\n</svg>\n";
    let scale = scale(up.gutter(), height, up.ticks.iter().map(|tick| (down(*tick), up.label(*tick))));
    let errors = panel.models.iter().filter_map(|(_, model, forecasts)| {
        let place = model.horizons.iter().position(|bars| i64::from(*bars) == forecasts.horizon)?;
        Some(format!("{} {}", escape(&model.name), significant(model.by_horizon.get(place)?.mse?)))
    });
    let errors = errors.collect::<Vec<String>>().join(", ");
    format!(
        "<figure>\n<figcaption><b>{ahead} ahead</b> <small>MSE of all test rows: {errors}</small></figcaption>\n\
         <div class=\"plot\">{scale}{svg}</div>\n</figure>\n"
    )
}

/// The axis below the last panel.
fn foot(across: &Axis) -> String {
    let mut svg = String::new();
    for tick in &across.ticks {
        svg += &format!(
            "<text class=\"tick\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
            share(across.share(*tick)),
            HEIGHT + 16.0,
            across.label(*tick)
        );
    }
    svg + &format!(
        "<text class=\"tick\" x=\"50%\" y=\"{}\" text-anchor=\"middle\">bars from the first test bar to the outcome</text>",
        HEIGHT + 34.0
    )
}
