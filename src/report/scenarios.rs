//! Every book at other costs: what it earns where trading is free, and where it costs more than was assumed.

use super::markup::{breakable, escape, keyed, number_cell, number_heading, scrolling};
use super::number::{NONE, SPACE, decimal, maybe, signed_percent};
use super::run_files::RunFiles;
use super::strategy_table::ranked;
use super::svg::{Axis, HEIGHT, WIDTH, path, scale, share};
use crate::rundir::{CostScenario, StrategySummary};

/// Pixels of a chart, and of the part with the line.
const TALL: f64 = 118.0;
const LINE: f64 = 96.0;

/// A chart a strategy and a table of all; nothing where the run has no scenarios.
pub(super) fn scenarios(files: &RunFiles) -> String {
    let mut books = ranked(&files.summary);
    books.retain(|book| !book.cost_scenarios.is_empty());
    if books.is_empty() {
        return String::new();
    }
    let mut multiples: Vec<f64> = Vec::new();
    for scenario in books.iter().flat_map(|book| &book.cost_scenarios) {
        if !multiples.contains(&scenario.multiple) {
            multiples.push(scenario.multiple);
        }
    }
    multiples.sort_by(f64::total_cmp);
    let returns = books.iter().flat_map(|book| &book.cost_scenarios).filter_map(|at| at.total_return);
    let axis = Axis::covering(returns.chain([0.0]), 3).padded(0.08);
    let charts: String = books.iter().map(|book| chart(files, book, &multiples, &axis)).collect();
    format!(
        "<h3>If costs were different</h3>\n<p class=\"note\">Return with all costs but funding multiplied, the same positions wanted; every \
         chart has the same scale. A book that lives on cheap trading falls to the right. Break-even: by how much those costs \
         may grow until nothing is left.</p>\n<div class=\"multiples\">\n{charts}</div>\n{}",
        table(files, &books, &multiples)
    )
}

/// `2×`.
fn times(multiple: f64) -> String {
    let text = format!("{multiple}");
    format!("{text}\u{d7}")
}

/// What the costs may be multiplied by, in a word where that is no number.
fn break_even(book: &StrategySummary) -> String {
    let free = book.cost_scenarios.iter().find(|at| at.multiple == 0.0).and_then(|at| at.total_return);
    match (book.break_even_cost_multiple, free) {
        (Some(multiple), _) => format!("{}\u{d7}", decimal(multiple, if multiple < 1.0 { 2 } else { 1 })),
        (None, Some(gain)) if gain > 0.0 => "above 100\u{d7}".to_owned(),
        (None, Some(_)) => "none".to_owned(),
        (None, None) => NONE.to_owned(),
    }
}

fn chart(files: &RunFiles, book: &StrategySummary, multiples: &[f64], axis: &Axis) -> String {
    let last = multiples.last().copied().unwrap_or(1.0).max(f64::MIN_POSITIVE);
    let across = |multiple: f64| 0.04 + 0.92 * multiple / last;
    let down = |value: f64| LINE * (1.0 - axis.share(value));
    let mut points: Vec<(f64, f64)> =
        book.cost_scenarios.iter().filter_map(|at| Some((at.multiple, at.total_return?))).collect();
    points.sort_by(|left, right| left.0.total_cmp(&right.0));
    let name = escape(&book.name);
    let mut svg = format!(
        "<svg class=\"chart\" width=\"100%\" height=\"{TALL}\" role=\"img\" aria-label=\"Return of {name} by multiple of its costs\">\n"
    );
    for tick in &axis.ticks {
        let (y, class) = (down(*tick), if *tick == 0.0 { "zero" } else { "grid" });
        svg += &format!("<line class=\"{class}\" x1=\"0\" x2=\"100%\" y1=\"{y:.1}\" y2=\"{y:.1}\"/>\n");
    }
    let role = files.role(&book.name);
    let steps = points.iter().map(|(multiple, value)| (WIDTH * across(*multiple), axis.down(*value)));
    svg += &format!(
        "<svg width=\"100%\" height=\"{LINE}\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" preserveAspectRatio=\"none\"><path class=\"line {role}\" \
         d=\"{}\"/></svg>\n",
        path(steps)
    );
    for (multiple, value) in &points {
        svg += &format!(
            "<circle class=\"point {role}\" cx=\"{}\" cy=\"{:.1}\" r=\"3\"/>",
            share(across(*multiple)),
            down(*value)
        );
    }
    for multiple in multiples {
        svg += &format!(
            "<text class=\"tick\" x=\"{}\" y=\"{}\" text-anchor=\"middle\">{}</text>\n",
            share(across(*multiple)),
            TALL - 6.0,
            times(*multiple)
        );
    }
    let labels: Vec<(f64, String)> =
        axis.ticks.iter().map(|tick| (down(*tick), axis.percent_label(*tick))).collect();
    let longest = labels.iter().map(|(_, text)| text.chars().count()).max().unwrap_or(1);
    format!(
        "<figure>\n<div class=\"plot\">{}{svg}</svg></div><figcaption class=\"{role}\">{}</figcaption>\n</figure>\n",
        scale(7 * longest as u32 + 8, TALL, labels.into_iter()),
        keyed(&format!("{} <small>break-even{SPACE}{}</small>", breakable(&book.name), break_even(book)))
    )
}

/// One block of columns: its title, and how a scenario is shown in it.
type Block = (&'static str, fn(&CostScenario) -> String);

fn table(files: &RunFiles, books: &[&StrategySummary], multiples: &[f64]) -> String {
    let gain = |value: Option<f64>| value.map_or(NONE.to_owned(), |value| signed_percent(value, 1));
    let blocks: [Block; 3] = [
        ("Return", |at| at.total_return.map_or(NONE.to_owned(), |value| signed_percent(value, 1))),
        ("Sharpe", |at| maybe(at.sharpe, 2)),
        ("Max drawdown", |at| super::number::percent(at.max_drawdown, 1)),
    ];
    let mut table = String::from(
        "<table class=\"grouped blocks\">\n<thead><tr><th scope=\"col\" rowspan=\"2\">Strategy</th>\
         <th scope=\"col\" rowspan=\"2\" class=\"n\">Break-even</th>",
    );
    for (title, _) in blocks {
        table += &format!("<th scope=\"colgroup\" colspan=\"{}\">{title}</th>", multiples.len());
    }
    table += "</tr><tr>";
    let headings: String = multiples.iter().map(|multiple| number_heading(&times(*multiple))).collect();
    table += &headings.repeat(blocks.len());
    table += "</tr></thead>\n<tbody>\n";
    for book in books {
        table += &format!(
            "<tr class=\"{}\"><th scope=\"row\">{}</th>",
            files.role(&book.name),
            keyed(&breakable(&book.name))
        );
        table += &number_cell(&break_even(book));
        for (_, shown) in blocks {
            for multiple in multiples {
                let at = book.cost_scenarios.iter().find(|at| at.multiple == *multiple);
                table += &number_cell(&at.map_or(gain(None), shown));
            }
        }
        table += "</tr>\n";
    }
    scrolling("Results at other costs", &(table + "</tbody>\n</table>\n"))
}
