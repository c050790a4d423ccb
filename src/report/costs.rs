//! What trading cost every book, and what it would have earned without.

use super::markup::{escape, keyed, number_cell, number_heading, scrolling};
use super::number::{NONE, count, decimal, percent, signed_percent};
use super::run_files::RunFiles;
use super::strategy_table::ranked;
use crate::units::BASIS_POINT;

/// A row a book.
pub(super) fn costs(files: &RunFiles) -> String {
    let books = ranked(&files.summary);
    if books.is_empty() || files.summary.backtest.is_none() {
        return String::new();
    }
    let cash = files.cash();
    let mut table = String::from("<table>\n<thead><tr><th scope=\"col\">Strategy</th>");
    for title in [
        "Before costs",
        "Fees",
        "Slippage",
        "After costs",
        "Fills",
        "Traded",
        "Fee rate",
        "Break-even fee",
        "Turnover",
    ] {
        table += &number_heading(title);
    }
    table += "</tr></thead>\n<tbody>\n";
    for book in books {
        let (fees, slippage) = (book.metrics.fees / cash, book.metrics.slippage_cost / cash);
        let gain = book.metrics.total_return;
        let fills = files.fills.get(&book.name).copied().unwrap_or_default();
        table += &format!(
            "<tr class=\"{}\"><th scope=\"row\">{}</th>",
            files.role(&book.name),
            keyed(&escape(&book.name))
        );
        table +=
            &number_cell(&gain.map_or(NONE.to_owned(), |gain| signed_percent(gain + fees + slippage, 1)));
        table += &number_cell(&percent(Some(fees), 1));
        table += &number_cell(&percent(Some(slippage), 1));
        table += &number_cell(&gain.map_or(NONE.to_owned(), |gain| signed_percent(gain, 1)));
        table += &number_cell(&count(fills.fills));
        table += &number_cell(&decimal(fills.notional, 0));
        table += &number_cell(&points(book.metrics.fees, fills.notional));
        table += &number_cell(
            &gain.map_or(NONE.to_owned(), |gain| points(gain * cash + book.metrics.fees, fills.notional)),
        );
        table += &number_cell(
            &book.metrics.turnover.map_or(NONE.to_owned(), |value| format!("{}\u{d7}", decimal(value, 1))),
        );
        table += "</tr>\n";
    }
    scrolling("Costs", &(table + "</tbody>\n</table>\n"))
}

/// An amount in basis points of the traded notional; nothing where it is negative.
fn points(amount: f64, notional: f64) -> String {
    if notional > 0.0 && amount >= 0.0 {
        format!("{}{}bps", decimal(amount / notional / BASIS_POINT, 1), super::number::SPACE)
    } else {
        NONE.to_owned()
    }
}
