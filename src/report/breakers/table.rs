//! The figures of every circuit breaker, in a table and as a line of the terminal.

use crate::metrics::BreakerMetrics;
use crate::report::markup::{escape, keyed, number_cell, number_heading, scrolling};
use crate::report::number::{NONE, count, counted, decimal, maybe, percent, signed_percent};
use crate::report::run_files::RunFiles;
use crate::rundir::{BreakerSummary, StrategySummary, Summary};

/// The books that are breakers, in the order of the summary.
pub(super) fn breakers(summary: &Summary) -> impl Iterator<Item = (&StrategySummary, &BreakerSummary)> {
    summary.strategies.iter().filter_map(|book| Some((book, book.breaker.as_ref()?)))
}

/// The colour of a breaker: its place among them.
pub(super) fn hue(place: usize) -> String {
    format!("hue{}", place % 8)
}

const HEADINGS: [&str; 11] = [
    "Net effect",
    "Stops",
    "Events avoided",
    "Red before events",
    "Time out",
    "Mean stop",
    "Loss avoided",
    "Gains missed",
    "Elsewhere",
    "Extra costs",
    "Worst drawdown",
];

/// A row a breaker; nothing without one.
pub(super) fn table(files: &RunFiles) -> String {
    let mut rows = String::new();
    for (place, (book, breaker)) in breakers(&files.summary).enumerate() {
        rows += &row(&hue(place), book, breaker, files.cash());
    }
    if rows.is_empty() {
        return rows;
    }
    let headings: String = HEADINGS.iter().map(|title| number_heading(title)).collect();
    let head = format!("<thead><tr><th scope=\"col\">Breaker</th>{headings}</tr></thead>");
    scrolling(
        "Circuit breakers",
        &format!("<table class=\"events\">\n{head}\n<tbody>\n{rows}</tbody>\n</table>\n"),
    )
}

fn row(hue: &str, book: &StrategySummary, breaker: &BreakerSummary, cash: f64) -> String {
    let figures = &breaker.figures;
    let share = |amount: Option<f64>| percent(amount.map(|amount| amount / cash), 1);
    let guards = match &breaker.guards {
        Some(name) => format!("guards {}", escape(name)),
        None => "guards buy and hold".to_owned(),
    };
    let avoided = match (figures.events_avoided, figures.events) {
        (Some(avoided), Some(events)) => format!("{} of {}", count(avoided), count(events)),
        _ => NONE.to_owned(),
    };
    let net = figures.net_effect.map_or_else(|| NONE.to_owned(), |net| signed_percent(net / cash, 1));
    let below = |text: Option<String>| match text {
        Some(text) => format!("<small class=\"ends\">{text}</small>"),
        None => String::new(),
    };
    let wrong = false_stops(figures);
    let within = figures.event_horizon.map(|bars| format!("within {}", bars_of(f64::from(bars))));
    let lead = figures.median_lead_bars.map(|bars| format!("median lead {}", bars_of(bars)));
    let by_chance = figures.base_rate.map(|share| format!("all bars {}", percent(Some(share), 1)));
    let longest = figures.mean_stop_bars.map(|_| format!("longest {}", count(figures.longest_stop_bars)));
    let without = format!("without {}", percent(Some(figures.guarded_max_drawdown), 1));
    let cells = [
        format!("<b>{net}</b>"),
        count(figures.stops) + &below(wrong),
        avoided + &below(within) + &below(lead),
        percent(figures.red_before_event, 1) + &below(by_chance),
        percent(Some(figures.red_share), 1),
        figures.mean_stop_bars.map_or_else(|| NONE.to_owned(), bars_of) + &below(longest),
        share(figures.loss_avoided),
        share(figures.gains_missed),
        share(figures.elsewhere),
        share(figures.extra_costs),
        percent(Some(figures.max_drawdown), 1) + &below(Some(without)),
    ];
    let cells: String = cells.iter().map(|cell| number_cell(cell)).collect();
    let name = keyed(&format!("{} <small>{guards}</small>", escape(&book.name)));
    format!("<tr class=\"{hue}\"><th scope=\"row\">{name}</th>{cells}</tr>\n")
}

/// A number of bars that need not be whole.
fn bars_of(bars: f64) -> String {
    let digits = usize::from(bars.fract() != 0.0);
    let unit = if bars == 1.0 { "bar" } else { "bars" };
    format!("{}\u{a0}{unit}", decimal(bars, digits))
}

/// `2 false`, or `2 of 6 judged false` where the outcome of some stops is not known; nothing where the target is no event.
fn false_stops(figures: &BreakerMetrics) -> Option<String> {
    let wrong = count(figures.false_stops?);
    match figures.judged_stops {
        Some(judged) if judged < figures.stops => Some(format!("{wrong} of {} judged false", count(judged))),
        _ => Some(format!("{wrong} false")),
    }
}

/// A breaker in a sentence: `Breaker rule: 7 stops, 2 false, 5 of 9 events avoided with a median lead of 12 bars, an event ahead
/// of 31.0 % of red bars and 4.0 % of all, out 3.1 % of the time; avoided 12.3 %, missed 2.1 %, elsewhere +0.1 %, extra costs
/// 0.5 %: +9.8 % of the cash against the book that it guards.`
pub(in crate::report) fn line(summary: &Summary, book: &StrategySummary) -> Option<String> {
    let BreakerSummary { guards, figures } = book.breaker.as_ref()?;
    let cash = summary.backtest.as_ref()?.cash;
    let share = |amount: Option<f64>| percent(amount.map(|amount| amount / cash), 1);
    let elsewhere = match figures.elsewhere.map(|amount| signed_percent(amount / cash, 1)) {
        Some(text) if text.contains(|digit| ('1'..='9').contains(&digit)) => format!(", elsewhere {text}"),
        _ => String::new(),
    };
    Some(format!(
        "Breaker {}: {}{}{}, out {} of the time; avoided {}, missed {}{}, extra costs {}: {} of the cash against {}.",
        book.name,
        counted(figures.stops, "stop"),
        false_stops(figures).map_or_else(String::new, |wrong| format!(", {wrong}")),
        events(figures),
        percent(Some(figures.red_share), 1),
        share(figures.loss_avoided),
        share(figures.gains_missed),
        elsewhere,
        share(figures.extra_costs),
        figures.net_effect.map_or_else(|| NONE.to_owned(), |net| signed_percent(net / cash, 1)),
        guards.as_deref().unwrap_or("buy and hold"),
    ))
}

/// `, 31 of 55 events avoided with a median lead of 12 bars, an event ahead of 31.0 % of red bars and 4.0 % of all`; nothing
/// where the target is no event.
fn events(figures: &BreakerMetrics) -> String {
    let (Some(avoided), Some(all)) = (figures.events_avoided, figures.events) else { return String::new() };
    let lead = match figures.median_lead_bars {
        Some(_) => format!(" with a median lead of {} bars", maybe(figures.median_lead_bars, 0)),
        None => String::new(),
    };
    let ahead = match figures.red_before_event {
        Some(_) => format!(
            ", an event ahead of {} of red bars and {} of all",
            percent(figures.red_before_event, 1),
            percent(figures.base_rate, 1)
        ),
        None => String::new(),
    };
    format!(", {} of {} avoided{lead}{ahead}", count(avoided), counted(all, "event"))
}
