//! Forecasts of levels, step by step: errors and accuracy of every model and horizon beside the noise floor.

use super::markup::{escape, number_cell, number_heading};
use super::number::{NONE, SPACE, count, counted, decimal, maybe, percent};
use super::terminal_text::{cut, paint, plain};
use crate::metrics::{Excess, ForecastMetrics, NORMAL_975};
use crate::ruled_table::ruled_table;
use crate::rundir::{ModelSummary, Summary};
use crate::table::LabelKind;
use comfy_table::CellAlignment;

/// Names are cut to so many characters where the terminal is narrow.
const SHORTEST_NAME: usize = 12;

/// One of the three figures of a forecast.
struct Figure {
    title: &'static str,
    floor: Option<f64>,
    of: fn(&ForecastMetrics) -> Option<f64>,
    error: fn(&ForecastMetrics) -> Option<f64>,
    excess: fn(&ForecastMetrics) -> Option<Excess>,
    /// A share, shown in per cent.
    share: bool,
}

/// Whether a run is judged step by step, by errors alone: levels have no direction, and a floor is one of errors.
pub(super) fn judged_by_errors(summary: &Summary) -> bool {
    summary.target == Some(LabelKind::Value) || summary.noise_floor.is_some()
}

/// The figures that at least one model has.
fn figures(summary: &Summary) -> Vec<Figure> {
    let floor = summary.noise_floor.unwrap_or_default();
    let all = [
        Figure {
            title: "MSE",
            floor: floor.mse,
            of: |metrics| metrics.mse,
            error: |metrics| metrics.standard_errors?.mse,
            excess: |metrics| metrics.above_floor?.mse,
            share: false,
        },
        Figure {
            title: "MAE",
            floor: floor.mae,
            of: |metrics| metrics.mae,
            error: |metrics| metrics.standard_errors?.mae,
            excess: |metrics| metrics.above_floor?.mae,
            share: false,
        },
        Figure {
            title: "Accuracy",
            floor: floor.accuracy,
            of: |metrics| metrics.rounded_accuracy,
            error: |metrics| metrics.standard_errors?.rounded_accuracy,
            excess: |metrics| metrics.above_floor?.accuracy,
            share: true,
        },
    ];
    let any = |figure: &Figure| summary.models.iter().any(|model| (figure.of)(&model.metrics).is_some());
    all.into_iter().filter(any).collect()
}

impl Figure {
    /// The number, to the digits of the floor or of its own size.
    fn text(&self, value: Option<f64>, size: Option<f64>) -> String {
        if self.share { percent(value, 1) } else { maybe(value, places(size)) }
    }

    /// The heading of the column beside the figure.
    fn beside(&self) -> &'static str {
        match (self.floor, self.share) {
            (None, _) => "95 %",
            (Some(_), false) => "above floor, 95 %",
            (Some(_), true) => "below floor, 95 %",
        }
    }

    /// What stands beside the figure: by how much it is worse than the floor, or without a floor nothing, and half the
    /// width of its 95 % interval.
    fn beside_text(&self, metrics: &ForecastMetrics) -> String {
        let size = (self.of)(metrics);
        let excess = (self.excess)(metrics);
        let stored = excess.and_then(|excess| excess.interval).map(|[low, high]| 0.5 * (high - low));
        let half = stored.or((self.error)(metrics).map(|error| NORMAL_975 * error));
        let half = half.map(|half| format!("\u{b1}{SPACE}{}", self.text(Some(half), size)));
        let excess = excess.map(|excess| self.text(Some(excess.value), size));
        match (excess, half) {
            (None, None) => NONE.to_owned(),
            (excess, half) => {
                excess.into_iter().chain(half).collect::<Vec<String>>().join(&SPACE.to_string())
            }
        }
    }
}

/// Digits after the point that show four figures of a number of this size.
fn places(size: Option<f64>) -> usize {
    let size = size.map(f64::abs).filter(|size| *size > 0.0 && size.is_finite());
    size.map_or(3, |size| (3 - size.log10().floor() as i32).clamp(0, 12) as usize)
}

/// Every horizon of a model in words with its figures, then all horizons together.
fn steps(model: &ModelSummary) -> impl Iterator<Item = (String, &ForecastMetrics)> {
    let horizons = model.horizons.iter().map(|bars| counted(*bars as usize, "bar")).zip(&model.by_horizon);
    horizons.chain((model.horizons.len() != 1).then(|| ("all".to_owned(), &model.metrics)))
}

/// The table of the page.
pub(super) fn table(summary: &Summary) -> String {
    let figures = figures(summary);
    let mut table = String::from(
        "<table class=\"steps\">\n<thead><tr><th scope=\"col\">Model</th><th scope=\"col\">Ahead</th>",
    );
    table += &number_heading("Rows");
    for figure in &figures {
        table += &(number_heading(figure.title) + &number_heading(figure.beside()));
    }
    table += "</tr></thead>\n<tbody>\n";
    if summary.noise_floor.is_some() {
        table +=
            "<tr class=\"first floor\"><th scope=\"row\">noise floor</th><td>each</td><td class=\"n\"></td>";
        for figure in &figures {
            table += &(number_cell(&figure.text(figure.floor, figure.floor)) + &number_cell(""));
        }
        table += "</tr>\n";
    }
    for model in &summary.models {
        for (index, (ahead, metrics)) in steps(model).enumerate() {
            let first = if index == 0 { " class=\"first\"" } else { "" };
            let name = if index == 0 { escape(&model.name) } else { String::new() };
            table += &format!("<tr{first}><th scope=\"row\">{name}</th><td>{ahead}</td>");
            table += &number_cell(&count(metrics.rows));
            for figure in &figures {
                let value = (figure.of)(metrics);
                table += &number_cell(&figure.text(value, value));
                table += &number_cell(&marked(figure, metrics));
            }
            table += "</tr>\n";
        }
    }
    table + "</tbody>\n</table>\n"
}

/// The distance from the floor: marked where it may be nothing, red where it is better than is possible.
fn marked(figure: &Figure, metrics: &ForecastMetrics) -> String {
    let text = figure.beside_text(metrics);
    match (figure.excess)(metrics) {
        Some(excess) if excess.leaks => format!("<b class=\"bad\">{text}</b>"),
        Some(Excess { interval: Some([low, high]), .. }) if low <= 0.0 && high >= 0.0 => {
            format!("<b class=\"best\">{text}</b>")
        }
        _ => text,
    }
}

/// The note above the table.
pub(super) fn note(summary: &Summary) -> String {
    let mut note = String::from(
        "Test rows only, errors in units of the series. Intervals are 95 % of the sampling error of the figure over the test \
         rows, with outcomes that overlap taken as dependent.",
    );
    if figures(summary).iter().any(|figure| figure.share) {
        note += " Accuracy is the share of forecasts that equal the outcome after rounding.";
    }
    if summary.noise_floor.is_some() {
        note += " The noise floor is the best that any forecast of this process can reach: marked figures are not \
                 distinguishable from it, and one that is better by more than three standard errors, in red, has seen \
                 the outcome.";
    }
    note
}

/// The table of the terminal, in at most `width` columns where names can be cut: a line a model and horizon, and the leaks
/// in red.
pub(super) fn terminal_table(summary: &Summary, width: usize, colour: bool) -> String {
    let figures = figures(summary);
    let longest = summary.models.iter().map(|model| model.name.chars().count()).max().unwrap_or(0);
    let text = lines(summary, &figures, longest);
    let over = text.lines().map(|line| line.chars().count()).max().unwrap_or(0).saturating_sub(width);
    let text = lines(summary, &figures, longest.saturating_sub(over).max(SHORTEST_NAME));
    // A rule, the heading, another rule and perhaps the floor stand above the first model.
    let above = 3 + usize::from(summary.noise_floor.is_some());
    let leaks: Vec<bool> = summary
        .models
        .iter()
        .flat_map(steps)
        .map(|(_, metrics)| metrics.above_floor.is_some_and(|floor| floor.leaks().next().is_some()))
        .collect();
    let mut painted = String::new();
    for (line, row) in text.lines().enumerate() {
        let leaks = line.checked_sub(above).and_then(|index| leaks.get(index)).copied().unwrap_or(false);
        painted += &(paint(row, "1;31", colour && leaks) + "\n");
    }
    painted
}

fn lines(summary: &Summary, figures: &[Figure], name_length: usize) -> String {
    let mut table = ruled_table(None);
    let headings = figures.iter().flat_map(|figure| {
        let beside = match (figure.floor, figure.share) {
            (None, _) => "95%",
            (Some(_), false) => "over floor",
            (Some(_), true) => "below floor",
        };
        [figure.title.to_owned(), beside.to_owned()]
    });
    table.set_header(["model".to_owned(), "ahead".to_owned()].into_iter().chain(headings));
    if summary.noise_floor.is_some() {
        let floors =
            figures.iter().flat_map(|figure| [figure.text(figure.floor, figure.floor), String::new()]);
        table.add_row(
            ["noise floor".to_owned(), "each".to_owned()].into_iter().chain(floors.map(|text| plain(&text))),
        );
    }
    for model in &summary.models {
        for (ahead, metrics) in steps(model) {
            let cells = figures.iter().flat_map(|figure| {
                let value = (figure.of)(metrics);
                [figure.text(value, value), figure.beside_text(metrics)]
            });
            let start = [cut(&model.name, name_length), ahead];
            table.add_row(start.into_iter().chain(cells).map(|text| plain(&text)));
        }
    }
    for index in 2..2 + 2 * figures.len() {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string() + "\n"
}

/// Whether a model was trained step by step.
fn is_network(model: &ModelSummary) -> bool {
    model.precision.is_some() || model.samples_per_second.is_some()
}

/// The network and the simple model with the lowest squared error on the validation rows, as far as there are such.
pub(super) fn best_by_validation(summary: &Summary) -> [Option<&ModelSummary>; 2] {
    [true, false].map(|network| {
        let models = summary.models.iter().filter(|model| is_network(model) == network);
        let error = |model: &ModelSummary| model.validation_metrics.mse.unwrap_or(f64::INFINITY);
        models.min_by(|one, other| error(one).total_cmp(&error(other)))
    })
}

/// `lstm, chosen on validation, forecasts with an MSE of 2.330, above the noise floor: the difference is 0.077, 95 % interval
/// 0.034 to 0.120`, not yet escaped; of the network or simple model with the lowest validation error.
pub(super) fn claim(summary: &Summary) -> Option<String> {
    let error = |model: &&ModelSummary| model.validation_metrics.mse.unwrap_or(f64::INFINITY);
    let best = best_by_validation(summary).into_iter().flatten();
    let model = best.min_by(|one, other| error(one).total_cmp(&error(other)))?;
    let value = model.metrics.mse?;
    let digits = places(Some(value));
    let start =
        format!("{}, chosen on validation, forecasts with an MSE of {}", model.name, decimal(value, digits));
    let excess = model.metrics.above_floor.and_then(|floor| floor.mse);
    Some(match excess {
        Some(Excess { value, interval: Some([low, high]), .. }) => {
            let place = match (low <= 0.0, high >= 0.0) {
                (true, true) => "not told apart from the noise floor",
                (true, false) => "below the noise floor",
                (false, _) => "above the noise floor",
            };
            format!(
                "{start}, {place}: the difference is {}, 95{SPACE}% interval {} to {}",
                decimal(value, digits),
                decimal(low, digits),
                decimal(high, digits)
            )
        }
        _ => start,
    })
}
