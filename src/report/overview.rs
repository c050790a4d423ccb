//! The strip of facts under the verdict, and what people must know before they trust the numbers.

use super::markup::{escape, warning_list};
use super::number::{count, counted, date, decimal, duration};
use crate::rundir::Summary;

/// Facts that frame every number below.
pub(super) fn facts(summary: &Summary) -> String {
    let data = &summary.data;
    let mut facts = vec![
        ("Data", span(&data.start, &data.end)),
        ("Symbols", symbols(&data.symbols)),
        ("Bars", format!("{} of {}", count(data.rows), duration(data.interval_seconds))),
    ];
    if let Some(backtest) = &summary.backtest {
        let span = span(&backtest.start, &backtest.end);
        let costs: Vec<String> = backtest.costs.iter().map(|cost| escape(cost)).collect();
        let costs = if costs.is_empty() { "none".to_owned() } else { costs.join("<br>") };
        let lines = |of: &[&String]| {
            let lines: Vec<String> =
                of.iter().filter(|line| !line.is_empty()).map(|line| escape(line)).collect();
            lines.join("<br>")
        };
        facts.extend([
            ("Test", format!("{span}<br>{}", counted(backtest.bars, "bar"))),
            ("Costs", costs),
            ("Fill", fill(&backtest.fill)),
            (
                "Starting cash",
                lines(&[
                    &decimal(backtest.cash, 0),
                    &format!("sizing: {}", backtest.sizing),
                    &backtest.margin,
                ]),
            ),
            (
                "Annualised with",
                format!("{} a year", counted(backtest.periods_per_year.round() as usize, "bar")),
            ),
        ]);
    }
    if let Some(backtest) = summary.backtest.as_ref().filter(|backtest| !backtest.exits.is_empty()) {
        facts.push(("Exits", escape(&backtest.exits)));
    }
    let mut html = String::from("<dl class=\"facts\">\n");
    for (name, value) in facts {
        html += &format!("<div><dt>{name}</dt><dd>{value}</dd></div>\n");
    }
    html + "</dl>\n"
}

/// Two dates, each kept in one piece where the line is short.
fn span(start: &str, end: &str) -> String {
    let piece = |moment: &str| format!("<span class=\"span\">{}</span>", escape(date(moment)));
    format!("{} to {}", piece(start), piece(end))
}

fn symbols(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(6).map(|name| escape(name)).collect();
    let rest = names.len().saturating_sub(shown.len());
    let rest = if rest > 0 { format!(" and {} more", count(rest)) } else { String::new() };
    format!("{}: {}{rest}", count(names.len()), shown.join(", "))
}

fn fill(rule: &str) -> String {
    match rule {
        "next_open" => "at the next bar\u{2019}s open".to_owned(),
        "same_close" => "at the close that decided".to_owned(),
        other => escape(other),
    }
}

/// Warnings and repairs; nothing where there are none.
pub(super) fn warnings(summary: &Summary) -> String {
    let repairs = summary.data.repairs.iter().map(|repair| format!("Data repaired: {}", escape(repair)));
    let lines: Vec<String> = summary.warnings.iter().map(|text| escape(text)).chain(repairs).collect();
    warning_list(&lines)
}
