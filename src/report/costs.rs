//! What trading cost every book, and what it would have earned without.

use super::markup::{breakable, keyed, number_cell, number_heading, scrolling};
use super::number::{NONE, count, decimal, percent, signed_percent};
use super::run_files::RunFiles;
use super::strategy_table::ranked;
use crate::rundir::StrategySummary;
use crate::units::BASIS_POINT;

/// The sentences above the table.
pub(super) const NOTE: &str = "In per cent of the starting cash. Slippage is what the fills lost against the bar\u{2019}s price; spread and impact stand \
     apart where a book paid them. Break-even fee: the fee per traded notional at which the book would have earned nothing, \
     with the same trades and slippage; a dash where it earned nothing even without fees.";

/// What a book may have paid. Parts that no book paid have no column, but the first two.
const PARTS: [&str; 7] = ["Fees", "Slippage", "Spread", "Impact", "Gas", "Funding", "Borrow"];
const ALWAYS: usize = 2;

/// What a book paid, by [`PARTS`], in quote currency; the metrics of old runs know fewer of them, which are 0.
fn paid(book: &StrategySummary) -> [f64; PARTS.len()] {
    let metrics = serde_json::to_value(&book.metrics).unwrap_or_default();
    let of = |key: &str| metrics[key].as_f64().unwrap_or(0.0);
    let (spread, impact) = (of("spread_cost"), of("impact_cost"));
    // What fills lost against the bar's price holds the spread and the impact.
    let slippage = of("slippage_cost") - spread - impact;
    [of("fees"), slippage, spread, impact, of("gas_cost"), of("funding_cost"), of("borrow_cost")]
}

/// A row a book.
pub(super) fn costs(files: &RunFiles) -> String {
    let books = ranked(&files.summary);
    if books.is_empty() || files.summary.backtest.is_none() {
        return String::new();
    }
    let all: Vec<_> = books.iter().map(|book| paid(book)).collect();
    let parts: Vec<usize> =
        (0..PARTS.len()).filter(|part| *part < ALWAYS || all.iter().any(|paid| paid[*part] != 0.0)).collect();
    let mut table = String::from("<table>\n<thead><tr><th scope=\"col\">Strategy</th>");
    table += &number_heading("Before costs");
    table += &parts.iter().map(|part| number_heading(PARTS[*part])).collect::<String>();
    table += &["After costs", "Fills", "Traded", "Fee rate", "Break-even fee", "Turnover"]
        .map(number_heading)
        .concat();
    table += "</tr></thead>\n<tbody>\n";
    for (book, paid) in books.iter().zip(&all) {
        table += &row(files, book, paid, &parts);
    }
    scrolling("Costs", &(table + "</tbody>\n</table>\n"))
}

fn row(files: &RunFiles, book: &StrategySummary, paid: &[f64; PARTS.len()], parts: &[usize]) -> String {
    let (cash, gain) = (files.cash(), book.metrics.total_return);
    let fills = files.fills.get(&book.name).copied().unwrap_or_default();
    let whole = paid.iter().sum::<f64>() / cash;
    let signed = |value: Option<f64>| value.map_or(NONE.to_owned(), |value| signed_percent(value, 1));
    let mut cells = vec![signed(gain.map(|gain| gain + whole))];
    cells.extend(parts.iter().map(|part| percent(Some(paid[*part] / cash), 1)));
    cells.extend([
        signed(gain),
        count(fills.fills),
        decimal(fills.notional, 0),
        points(book.metrics.fees, fills.notional),
        gain.map_or(NONE.to_owned(), |gain| points(gain * cash + book.metrics.fees, fills.notional)),
        book.metrics.turnover.map_or(NONE.to_owned(), |value| format!("{}\u{d7}", decimal(value, 1))),
    ]);
    format!(
        "<tr class=\"{}\"><th scope=\"row\">{}</th>{}</tr>\n",
        files.role(&book.name),
        keyed(&breakable(&book.name)),
        cells.iter().map(|text| number_cell(text)).collect::<String>()
    )
}

/// An amount in basis points of the traded notional; nothing where it is negative.
fn points(amount: f64, notional: f64) -> String {
    if notional > 0.0 && amount >= 0.0 {
        format!("{}{}bps", decimal(amount / notional / BASIS_POINT, 1), super::number::SPACE)
    } else {
        NONE.to_owned()
    }
}
