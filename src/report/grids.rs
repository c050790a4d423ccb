//! Grids: every book at a glance, and what is left of the best of them after so many were tried.

use super::books::GridBooks;
use super::histogram::{Mark, histogram};
use super::markup::{escape, number_cell, number_heading, scrolling};
use super::number::{NONE, SPACE, count, counted, decimal, maybe, percent, signed_percent};
use super::run_files::RunFiles;
use super::{grid_line, grid_map, selection};
use crate::metrics::quantile;
use crate::rundir::GridSummary;

/// Rows of the table of best books.
const SHOWN: usize = 10;

/// Neighbours with at least this share of the best Sharpe ratio make a plateau; below the other share, a spike.
const PLATEAU: f64 = 0.8;
const SPIKE: f64 = 0.5;

/// A part a grid.
pub(super) fn grids(files: &RunFiles) -> String {
    let numbered = files.summary.grids.iter().enumerate();
    numbered.map(|(index, summary)| grid(files, index, summary)).collect()
}

fn grid(files: &RunFiles, index: usize, summary: &GridSummary) -> String {
    let books = files.grids.get(index).filter(|books| books.len() > 0);
    let ranked = books.map(GridBooks::ranked).unwrap_or_default();
    let best = ranked.first().copied();
    let (class, word) = selection::conclusion(&files.summary, summary);
    let mut html = format!("<article class=\"grid\">\n{}", heading(summary));
    html += &format!(
        "<p class=\"claim\">{}: <span class=\"conclusion {class}\">{word}</span>.</p>\n<div class=\"beside\">\n<div>\n",
        escape(&selection::claim(&files.summary, summary))
    );
    if let (Some(books), Some(best)) = (books, best) {
        let id = format!("grid-{index}");
        html += &match books.axes.len() {
            0 => String::new(),
            1 => grid_line::line(&id, books, best, summary.selection.luck_sharpe),
            _ => grid_map::map(&id, books, best),
        };
    }
    html += &format!("</div>\n{}</div>\n", truth(files, summary));
    if let (Some(books), Some(best)) = (books, best) {
        html += &spread(books, summary, best);
        html += &table(books, &ranked, &summary.name);
    }
    html + "</article>\n"
}

fn heading(summary: &GridSummary) -> String {
    let axes: Vec<String> = summary
        .axes
        .iter()
        .map(|axis| format!("{}{SPACE}{}", count(axis.values.len()), escape(&axis.parameter)))
        .collect();
    let mut facts = vec![escape(&summary.strategy), counted(summary.books, "book"), axes.join(" \u{d7} ")];
    facts.retain(|fact| !fact.is_empty());
    if summary.skipped > 0 {
        facts.push(format!("{} left out as senseless", counted(summary.skipped, "combination")));
    }
    facts.push(format!("run by the {} loop", escape(&summary.engine)));
    format!("<h3>{} <small>{}</small></h3>\n", escape(&summary.name), facts.join(", "))
}

/// Each check with its figure and what it means for money.
fn truth(files: &RunFiles, summary: &GridSummary) -> String {
    let mut html = String::from("<div>\n<dl class=\"truth\">\n");
    for (title, figure, sentence, against) in selection::checks(&files.summary, summary) {
        let class = if against { " class=\"against\"" } else { "" };
        html +=
            &format!("<div{class}><dt>{title} <b class=\"num\">{figure}</b></dt><dd>{sentence}</dd></div>\n");
    }
    html + &format!(
        "</dl>\n<p class=\"counted\">Trials counted: {}, every book that was ever tried on this data in this folder of runs.</p>\n</div>\n",
        count(summary.selection.trials)
    )
}

/// The Sharpe ratios of all books, and whether the best one stands on a plateau.
fn spread(books: &GridBooks, summary: &GridSummary, best: usize) -> String {
    let sharpe = books.figure("sharpe");
    let mut marks = vec![Mark { class: "best-mark", name: "best", value: sharpe[best] }];
    marks.extend(summary.selection.luck_sharpe.map(|value| Mark {
        class: "luck",
        name: "luck alone",
        value,
    }));
    let [low, _, median, _, high] = summary.sharpe_quantiles;
    let mut text = format!(
        "Median {}, 5th to 95th percentile {} to {}.",
        decimal(median, 2),
        decimal(low, 2),
        decimal(high, 2)
    );
    if let Some(luck) = summary.selection.luck_sharpe {
        let above = sharpe.iter().filter(|value| **value > luck).count();
        let books = match above {
            0 => "No book shows".to_owned(),
            1 => "One book shows".to_owned(),
            _ => format!("{} show", counted(above, "book")),
        };
        text += &format!(" {books} more than luck alone would as the best of all.");
    }
    format!(
        "<figure>\n<figcaption><h4>Sharpe ratios of all {}</h4> {text} {}</figcaption>\n{}</figure>\n",
        counted(books.len(), "book"),
        neighbourhood(books, best),
        histogram(sharpe, &marks)
    )
}

/// Whether books with nearly the same parameters are good too. A book without a Sharpe ratio counts as 0.
fn neighbourhood(books: &GridBooks, best: usize) -> String {
    let sharpe = books.figure("sharpe");
    let defined = |book: &usize| if sharpe[*book].is_finite() { sharpe[*book] } else { 0.0 };
    let mut around: Vec<f64> = books.neighbours(best).iter().map(defined).collect();
    around.sort_by(f64::total_cmp);
    let Some(median) = quantile(&around, 0.5) else {
        return "The best book has no neighbours to compare it with.".to_owned();
    };
    let share = median / sharpe[best];
    let kind = if sharpe[best] <= 0.0 {
        "the best book loses money"
    } else if share >= PLATEAU {
        "a plateau: the result does not hang on the exact parameters"
    } else if share < SPIKE {
        "a spike: a small change of the parameters loses most of it, as luck does"
    } else {
        "a slope: part of the result hangs on the exact parameters"
    };
    let of_best =
        if sharpe[best] > 0.0 { format!(", {} of the best", percent(Some(share), 0)) } else { String::new() };
    format!(
        "Around the best book, one step away, {} of {}{of_best}: <b>{kind}</b>.",
        match around.len() {
            1 => "its only neighbour has a ratio".to_owned(),
            several => format!("{several}{SPACE}neighbours have a median"),
        },
        maybe(Some(median), 2)
    )
}

/// The best books with their parameters.
fn table(books: &GridBooks, ranked: &[usize], name: &str) -> String {
    let shown = &ranked[..SHOWN.min(ranked.len())];
    let mut table = String::from("<table class=\"books\">\n<thead><tr><th scope=\"col\">Rank</th>");
    for axis in &books.axes {
        table += &number_heading(&escape(&axis.name));
    }
    for title in ["Sharpe", "Return", "CAGR", "Max drawdown", "Trades", "Win rate", "Time in market", "Fees"]
    {
        table += &number_heading(title);
    }
    table += "</tr></thead>\n<tbody>\n";
    for (rank, book) in shown.iter().enumerate() {
        let value = |column: &str| books.figure(column)[*book];
        let part = |column: &str| percent(Some(value(column)), 1);
        table += &format!("<tr><th scope=\"row\">{}</th>", rank + 1);
        for (axis, places) in books.axes.iter().zip(&books.places) {
            table += &number_cell(&escape(&axis.labels[places[*book]]));
        }
        let gain = |column: &str| {
            if value(column).is_finite() { signed_percent(value(column), 1) } else { NONE.to_owned() }
        };
        table += &[
            decimal(value("sharpe"), 2),
            gain("total_return"),
            gain("cagr"),
            part("max_drawdown"),
            decimal(value("trades"), 0),
            part("win_rate"),
            part("exposure"),
            decimal(value("fees"), 0),
        ]
        .map(|text| number_cell(&text))
        .concat();
        table += "</tr>\n";
    }
    let title = match shown.len() {
        SHOWN => format!("The ten best of {}", counted(books.len(), "book")),
        few => format!("The best {few}{SPACE}of {}", counted(books.len(), "book")),
    };
    let label = format!("The best books of {name}");
    format!("<h4>{title}</h4>\n{}", scrolling(&label, &(table + "</tbody>\n</table>\n")))
}
