//! The table that is printed after a run.

use super::number::{NONE, count, decimal, maybe, percent};
use super::strategy_table::ranked;
use super::terminal_text::{cut, paint, plain, wrapped};
use super::verdict::claim;
use super::{audit, forecast_steps, selection};
use crate::ruled_table::ruled_table;
use crate::rundir::{Conclusion, GridSummary, StrategyKind, StrategySummary, Summary};
use comfy_table::CellAlignment;

/// Columns after the name; costs are all that trading and holding took, over the starting cash.
/// the lower the rank, the longer a column stays where the terminal is narrow.
const COLUMNS: [(&str, u8); 6] =
    [("Sharpe", 0), ("95% interval", 1), ("return", 2), ("max DD", 3), ("trades", 5), ("costs/cash", 4)];

/// Names are cut to so many characters where the terminal is narrow.
const SHORTEST_NAME: usize = 12;

/// The strategies as a table of at most `width` columns, models first, and the verdict as the last line. Columns are
/// dropped where the terminal is narrow. Without `colour` there is no escape sequence in it.
pub fn terminal(summary: &Summary, width: usize, colour: bool) -> String {
    let mut text = String::new();
    let books = ranked(summary);
    if !books.is_empty() {
        text += &fitted(summary, &books, width, colour);
    }
    let by_errors = !summary.models.is_empty() && forecast_steps::judged_by_errors(summary);
    if by_errors {
        text += &forecast_steps::terminal_table(summary, width, colour);
    }
    for model in summary.models.iter().filter(|_| books.is_empty() && !by_errors) {
        let (ic, right) = (maybe(model.metrics.ic, 3), percent(model.metrics.directional_accuracy, 1));
        let scaled = match model.metrics.scaled_mse.zip(model.metrics.scaled_mae) {
            Some((squared, absolute)) => {
                format!("scaled MSE {}, MAE {}, ", maybe(Some(squared), 4), maybe(Some(absolute), 4))
            }
            None => String::new(),
        };
        text += &plain(&format!("{}: {scaled}IC {ic}, direction right {right}\n", model.name));
    }
    for grid in &summary.grids {
        text += &(wrapped(&plain(&grid_line(summary, grid)), width) + "\n");
    }
    text += &audit_line(summary, width, colour);
    if let Some(verdict) = &summary.verdict {
        let code = match verdict.conclusion {
            Conclusion::Proven => "1;32",
            Conclusion::NotProven => "1;33",
            Conclusion::Worse => "1;31",
        };
        let conclusion = verdict.conclusion.to_string();
        let start = format!("Verdict: {conclusion}.");
        let sentence = wrapped(&format!("{start} {}.", plain(&claim(verdict))), width);
        text += &match sentence.strip_prefix(&start) {
            Some(rest) => format!("{}{rest}", paint(&start, code, colour)),
            None => sentence,
        };
        text.push('\n');
    }
    text
}

/// A grid's best book, and what is left of it: `Grid sma, 10,000 books: best sma[fast=10] Sharpe 1.90, luck alone 1.71,
/// deflated 62%, PBO 41%`.
fn grid_line(summary: &Summary, grid: &GridSummary) -> String {
    let found = &grid.selection;
    let best = grid.best.as_deref().unwrap_or(NONE);
    format!(
        "Grid {}, {} books: best {} Sharpe {}, luck alone {}, deflated {}, PBO {}.",
        cut(&grid.name, usize::MAX),
        count(grid.books),
        cut(best, usize::MAX),
        maybe(selection::best_sharpe(summary, grid), 2),
        maybe(found.luck_sharpe, 2),
        percent(found.deflated_sharpe, 0),
        percent(found.overfitting, 0)
    )
}

/// Whether anything knew the future, red where it did; nothing without an audit.
fn audit_line(summary: &Summary, width: usize, colour: bool) -> String {
    let Some(audit) = &summary.audit else { return String::new() };
    let finding = cut(&audit::finding(audit), usize::MAX);
    let lines = wrapped(&plain(&format!("Look-ahead audit: {finding}.")), width);
    let painted = |line: &str| paint(line, "1;31", colour && !audit.passed) + "\n";
    lines.lines().map(painted).collect()
}

/// The table with as many columns as fit.
fn fitted(summary: &Summary, books: &[&StrategySummary], width: usize, colour: bool) -> String {
    let cash = summary.backtest.as_ref().map(|backtest| backtest.cash);
    let longest = books.iter().map(|book| book.name.chars().count()).max().unwrap_or(0);
    let fits = |text: &str| text.lines().all(|line| line.chars().count() <= width);
    for columns in (1..=COLUMNS.len() as u8).rev() {
        let text = table(books, cash, columns, longest);
        if fits(&text) {
            return coloured(summary, books, &text, colour);
        }
        // Before a column goes, long names are cut.
        let over = text.lines().map(|line| line.chars().count()).max().unwrap_or(0).saturating_sub(width);
        let cut = longest.saturating_sub(over).max(SHORTEST_NAME);
        let text = table(books, cash, columns, cut);
        if fits(&text) {
            return coloured(summary, books, &text, colour);
        }
    }
    coloured(summary, books, &table(books, cash, 1, SHORTEST_NAME), colour)
}

fn table(books: &[&StrategySummary], cash: Option<f64>, columns: u8, name_length: usize) -> String {
    let shown: Vec<usize> = (0..COLUMNS.len()).filter(|index| COLUMNS[*index].1 < columns).collect();
    let mut table = ruled_table(None);
    table.set_header(std::iter::once("strategy").chain(shown.iter().map(|index| COLUMNS[*index].0)));
    for book in books {
        let cells = cells(book, cash);
        table.add_row(
            std::iter::once(cut(&book.name, name_length))
                .chain(shown.iter().map(|index| cells[*index].clone())),
        );
    }
    for index in 1..=shown.len() {
        if let Some(column) = table.column_mut(index) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    table.to_string() + "\n"
}

fn cells(book: &StrategySummary, cash: Option<f64>) -> [String; 6] {
    let metrics = &book.metrics;
    let interval =
        book.sharpe_interval.map(|[low, high]| format!("{} to {}", decimal(low, 2), decimal(high, 2)));
    [
        maybe(metrics.sharpe, 2),
        interval.unwrap_or_else(|| super::number::NONE.to_owned()),
        percent(metrics.total_return, 1),
        percent(metrics.max_drawdown, 1),
        decimal(metrics.trades as f64, 0),
        percent(cash.map(|cash| metrics.all_costs() / cash), 1),
    ]
    .map(|text| plain(&text))
}

/// Colours whole lines, so that widths stay true: books on models stand out, the chosen one most.
fn coloured(summary: &Summary, books: &[&StrategySummary], text: &str, colour: bool) -> String {
    if !colour {
        return text.to_owned();
    }
    let chosen = summary.verdict.as_ref().map(|verdict| verdict.best_model.as_str());
    // A rule, the heading and another rule stand above the first book.
    let mut painted = String::new();
    for (line, row) in text.lines().enumerate() {
        let book = line.checked_sub(3).and_then(|index| books.get(index));
        painted += &match book {
            Some(book) if chosen == Some(book.name.as_str()) => paint(row, "1;36", true),
            Some(book) if book.kind == StrategyKind::Model => paint(row, "36", true),
            _ => row.to_owned(),
        };
        painted.push('\n');
    }
    painted
}
