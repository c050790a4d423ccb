//! Every book and its figures, sortable, with the interval of the Sharpe ratio drawn in the row.

use super::markup::{escape, folded, keyed, number_cell, scrolling};
use super::number::{NONE, counted, decimal, maybe, percent};
use super::run_files::RunFiles;
use super::svg::{Axis, share};
use crate::rundir::{SpreadSummary, StrategyKind, StrategySummary, Summary};
use serde_json::Value;

/// One column of figures.
struct Figure {
    title: &'static str,
    explained: &'static str,
    value: fn(&StrategySummary) -> Option<f64>,
    shown: fn(f64) -> String,
    /// Whether the highest value is marked as the best.
    best: bool,
}

const FIGURES: &[Figure] = &[
    Figure {
        title: "Return",
        explained: "last equity over starting cash, minus 1",
        value: |book| book.metrics.total_return,
        shown: share_of_one,
        best: true,
    },
    Figure {
        title: "CAGR",
        explained: "return a year, compounded",
        value: |book| book.metrics.cagr,
        shown: share_of_one,
        best: true,
    },
    Figure {
        title: "Volatility",
        explained: "standard deviation of the returns, annualised",
        value: |book| book.metrics.volatility,
        shown: share_of_one,
        best: false,
    },
    Figure {
        title: "Sortino",
        explained: "mean return over downside deviation, annualised",
        value: |book| book.metrics.sortino,
        shown: two_digits,
        best: true,
    },
    Figure {
        title: "Max drawdown",
        explained: "deepest fall from a high",
        value: |book| book.metrics.max_drawdown,
        shown: share_of_one,
        best: true,
    },
    Figure {
        title: "Calmar",
        explained: "CAGR over the maximum drawdown",
        value: |book| book.metrics.calmar,
        shown: two_digits,
        best: true,
    },
    Figure {
        title: "Turnover",
        explained: "traded notional over mean equity, a year",
        value: |book| book.metrics.turnover,
        shown: |value| format!("{}\u{d7}", decimal(value, 1)),
        best: false,
    },
    Figure {
        title: "Trades",
        explained: "closed round trips",
        value: |book| Some(book.metrics.trades as f64),
        shown: |value| decimal(value, 0),
        best: false,
    },
    Figure {
        title: "Win rate",
        explained: "closed round trips that earned money after costs",
        value: |book| book.metrics.win_rate,
        shown: share_of_one,
        best: true,
    },
    Figure {
        title: "Time in market",
        explained: "bars with a position",
        value: |book| book.metrics.exposure,
        shown: share_of_one,
        best: false,
    },
    Figure {
        title: "Exposure",
        explained: "mean of gross holdings over equity",
        value: |book| book.metrics.gross_exposure,
        shown: share_of_one,
        best: false,
    },
];

fn share_of_one(value: f64) -> String {
    percent(Some(value), 1)
}

fn two_digits(value: f64) -> String {
    decimal(value, 2)
}

/// Models before baselines, each by falling Sharpe ratio; books without one come last.
pub(super) fn ranked(summary: &Summary) -> Vec<&StrategySummary> {
    let mut books: Vec<&StrategySummary> = summary.strategies.iter().collect();
    let sharpe = |book: &StrategySummary| book.metrics.sharpe.unwrap_or(f64::NEG_INFINITY);
    books.sort_by(|left, right| {
        let kinds = (left.kind == StrategyKind::Baseline).cmp(&(right.kind == StrategyKind::Baseline));
        kinds.then(sharpe(right).total_cmp(&sharpe(left)))
    });
    books
}

/// Per cent of the random books whose Sharpe ratio is below `sharpe`.
pub(super) fn beaten(spread: &SpreadSummary, sharpe: f64) -> Option<f64> {
    let below = spread.sharpes.iter().filter(|other| **other < sharpe).count();
    (!spread.sharpes.is_empty()).then(|| below as f64 / spread.sharpes.len() as f64)
}

/// The table, the spread of random books, and the further metrics.
pub(super) fn strategies(files: &RunFiles) -> String {
    let books = ranked(&files.summary);
    if books.is_empty() {
        return String::new();
    }
    let spread = books.iter().find_map(|book| book.spread.as_ref());
    let axis = whisker_axis(&books);
    let mut table = String::from("<table class=\"sortable\">\n<thead><tr>\n");
    table += "<th scope=\"col\"><button type=\"button\">Strategy</button></th>\n";
    table += &heading("Sharpe", "mean over standard deviation of the returns, annualised");
    table += &format!("<th scope=\"col\" class=\"n\">95{}% interval</th>\n", super::number::SPACE);
    for figure in FIGURES {
        table += &heading(figure.title, figure.explained);
    }
    if spread.is_some() {
        table += &heading("Beats random", "random books with a lower Sharpe ratio");
    }
    table += "</tr></thead>\n<tbody>\n";
    let best: Vec<Option<f64>> = FIGURES.iter().map(|figure| highest(&books, figure.value)).collect();
    let best_sharpe = highest(&books, |book| book.metrics.sharpe);
    for book in &books {
        table += &format!("<tr class=\"{}\">\n{}", files.role(&book.name), name_cell(book));
        table += &figure_cell(book.metrics.sharpe, two_digits, best_sharpe);
        table += &format!("<td class=\"n whiskers\">{}</td>\n", whisker(book, &axis));
        for (figure, best) in FIGURES.iter().zip(&best) {
            table += &figure_cell((figure.value)(book), figure.shown, best.filter(|_| figure.best));
        }
        if let Some(spread) = spread {
            let share = book.metrics.sharpe.and_then(|sharpe| beaten(spread, sharpe));
            table += &figure_cell(share, |value| percent(Some(value), 0), None);
        }
        table += "</tr>\n";
    }
    table += "</tbody>\n</table>\n";
    let mut html = scrolling("Strategies and their metrics", &table);
    html += &books.iter().filter_map(|book| spread_plot(files, book)).collect::<String>();
    html + &more_metrics(&books)
}

/// The sentence above the table: units and conventions.
pub(super) fn conventions(files: &RunFiles) -> String {
    let bars = if files.folds.is_empty() { "all bars of the backtest" } else { "the test bars" };
    let mut text = format!("Over {bars}, after costs, with a risk-free rate of 0. ");
    if let Some(backtest) = &files.summary.backtest {
        let bars = counted(backtest.periods_per_year.round() as usize, "bar");
        text += &format!("Ratios are annualised with {bars} a year. ");
    }
    text + "Intervals are from a stationary bootstrap. The best value of a column is marked; press a heading to sort."
}

fn heading(title: &str, explained: &str) -> String {
    format!(
        "<th scope=\"col\" class=\"n\"><button type=\"button\" title=\"{explained}\">{title}</button></th>\n"
    )
}

/// The highest value among books that ever had a position: doing nothing wins no column. `None` where all are equal.
fn highest(books: &[&StrategySummary], value: fn(&StrategySummary) -> Option<f64>) -> Option<f64> {
    let moved =
        books.iter().filter(|book| book.metrics.volatility.is_some_and(|volatility| volatility > 0.0));
    let values: Vec<f64> = moved.filter_map(|book| value(book)).collect();
    let highest = values.iter().copied().max_by(f64::total_cmp)?;
    values.iter().any(|value| *value < highest).then_some(highest)
}

/// A cell whose attribute holds the number as `summary.json` has it, by which the script sorts.
fn figure_cell(value: Option<f64>, shown: fn(f64) -> String, best: Option<f64>) -> String {
    let Some(value) = value.filter(|value| value.is_finite()) else {
        return format!("<td class=\"n\">{NONE}</td>\n");
    };
    let text = shown(value);
    let text = if best == Some(value) { format!("<b class=\"best\">{text}</b>") } else { text };
    format!("<td class=\"n\" data-value=\"{value}\">{text}</td>\n")
}

fn name_cell(book: &StrategySummary) -> String {
    let what = match (&book.model, &book.spread) {
        (Some(model), _) => format!("model {}", escape(model)),
        (None, Some(spread)) => {
            format!("{}, median of {}", escape(&book.strategy), counted(spread.books, "book"))
        }
        (None, None) => escape(&book.strategy),
    };
    let what = match &book.bankrupt_at {
        Some(moment) => {
            format!("{what}, <em class=\"bad\">bankrupt {}</em>", escape(super::number::date(moment)))
        }
        None => what,
    };
    let what = if what == book.name { String::new() } else { format!("<small>{what}</small>") };
    let name = escape(&book.name);
    format!("<th scope=\"row\" data-value=\"{name}\">{}</th>\n", keyed(&format!("{name}{what}")))
}

fn whisker_axis(books: &[&StrategySummary]) -> Axis {
    let ends = books.iter().flat_map(|book| {
        let [low, high] = book.sharpe_interval.unwrap_or([0.0, 0.0]);
        [low, high, book.metrics.sharpe.unwrap_or(0.0)]
    });
    Axis::covering(ends, 4).padded(0.04)
}

fn whisker(book: &StrategySummary, axis: &Axis) -> String {
    let Some([low, high]) = book.sharpe_interval else { return NONE.to_owned() };
    let at = |value: f64| share(axis.share(value));
    let (zero, left, right) = (at(0.0), at(low), at(high));
    let dot = book.metrics.sharpe.map_or(String::new(), |sharpe| {
        format!("<circle class=\"dot\" cx=\"{}\" cy=\"8\" r=\"3.5\"/>", at(sharpe))
    });
    format!(
        "<svg width=\"96\" height=\"16\" aria-hidden=\"true\"><line class=\"zero\" x1=\"{zero}\" x2=\"{zero}\" y1=\"0\" \
         y2=\"16\"/><line class=\"whisker\" x1=\"{left}\" x2=\"{right}\" y1=\"8\" y2=\"8\"/>{dot}</svg><span>{} to {}</span>",
        decimal(low, 2),
        decimal(high, 2)
    )
}

/// The Sharpe ratios of the random books as a histogram, with the two books of the verdict marked.
fn spread_plot(files: &RunFiles, book: &StrategySummary) -> Option<String> {
    const BINS: usize = 40;
    let spread = book.spread.as_ref().filter(|spread| !spread.sharpes.is_empty())?;
    let marked: Vec<(&'static str, &str, f64)> =
        [("model", files.best_model()), ("baseline", files.best_baseline())]
            .into_iter()
            .filter_map(|(role, name)| {
                let found = super::run_files::strategy(&files.summary, name?)?;
                Some((role, found.name.as_str(), found.metrics.sharpe?))
            })
            .collect();
    let values = spread.sharpes.iter().copied();
    let axis = Axis::covering(values.clone().chain(marked.iter().map(|mark| mark.2)), 6).padded(0.02);
    let mut bins = [0_usize; BINS];
    for value in values.filter(|value| value.is_finite()) {
        bins[((axis.share(value) * BINS as f64) as usize).min(BINS - 1)] += 1;
    }
    let tallest = bins.iter().max().copied().unwrap_or(1).max(1) as f64;
    let mut svg = String::from("<svg class=\"spread\" width=\"100%\" height=\"120\" aria-hidden=\"true\">\n");
    for (bin, books) in bins.iter().enumerate().filter(|(_, books)| **books > 0) {
        let height = 76.0 * *books as f64 / tallest;
        svg += &format!(
            "<rect class=\"bin\" x=\"{}\" width=\"{}\" y=\"{:.1}\" height=\"{height:.1}\"/>",
            share(bin as f64 / BINS as f64),
            share(0.85 / BINS as f64),
            100.0 - height
        );
    }
    for tick in &axis.ticks {
        let x = share(axis.share(*tick));
        svg += &format!(
            "<text class=\"tick\" x=\"{x}\" y=\"116\" text-anchor=\"middle\">{}</text>\n",
            axis.label(*tick)
        );
    }
    let mut sentences = Vec::new();
    for (row, (role, name, sharpe)) in marked.iter().enumerate() {
        let place = axis.share(*sharpe);
        let (x, anchor) = (share(place), if place > 0.7 { "end" } else { "start" });
        let (y, nudge) = (10 + 14 * row, if place > 0.7 { -6 } else { 6 });
        svg += &format!(
            "<line class=\"mark {role}\" x1=\"{x}\" x2=\"{x}\" y1=\"{row_top}\" y2=\"100\"/><text class=\"mark {role}\" x=\"{x}\" \
             dx=\"{nudge}\" y=\"{y}\" text-anchor=\"{anchor}\">{}</text>\n",
            escape(name),
            row_top = 14 * row
        );
        let beats = percent(beaten(spread, *sharpe), 0);
        sentences.push(format!("<b class=\"{role}\">{}</b> beats {beats}", escape(name)));
    }
    svg += "</svg>\n";
    let [low, _, median, _, high] = spread.sharpe_quantiles;
    let against =
        if sentences.is_empty() { String::new() } else { format!(" {} of them.", sentences.join("; ")) };
    Some(format!(
        "<figure>\n<figcaption><h3>Against {}</h3> Sharpe ratios of <em>{}</em>: median {}, 5th to 95th \
         percentile {} to {}.{against}</figcaption>\n{svg}</figure>\n",
        counted(spread.books, "random book"),
        escape(&book.name),
        decimal(median, 2),
        decimal(low, 2),
        decimal(high, 2)
    ))
}

const SHOWN: [&str; 12] = [
    "total_return",
    "cagr",
    "volatility",
    "sharpe",
    "sortino",
    "max_drawdown",
    "calmar",
    "turnover",
    "trades",
    "win_rate",
    "exposure",
    "gross_exposure",
];

/// Metrics that have no column of their own, under the names that `summary.json` gives them.
fn more_metrics(books: &[&StrategySummary]) -> String {
    let of = |book: &StrategySummary| serde_json::to_value(&book.metrics).unwrap_or_default();
    let Some(Value::Object(first)) = books.first().map(|book| of(book)) else { return String::new() };
    let names: Vec<&String> = first
        .iter()
        .filter(|(name, value)| !SHOWN.contains(&name.as_str()) && !value.is_array() && !value.is_object())
        .map(|(name, _)| name)
        .collect();
    let mut table = String::from(
        "<table class=\"sortable\">\n<thead><tr><th scope=\"col\"><button type=\"button\">Strategy</button></th>",
    );
    table += "<th scope=\"col\" class=\"n\"><button type=\"button\">validation sharpe</button></th>";
    for name in &names {
        let title = escape(&name.replace('_', " "));
        table += &format!("<th scope=\"col\" class=\"n\"><button type=\"button\">{title}</button></th>");
    }
    table += "</tr></thead>\n<tbody>\n";
    for book in books {
        let name = escape(&book.name);
        let validation = maybe(book.validation_sharpe, 2);
        table +=
            &format!("<tr><th scope=\"row\" data-value=\"{name}\">{name}</th>{}", number_cell(&validation));
        let metrics = of(book);
        for name in &names {
            table += &match metrics.get(name.as_str()) {
                Some(Value::Number(number)) => figure_cell(number.as_f64(), super::number::significant, None),
                Some(Value::String(text)) => format!("<td>{}</td>", escape(text)),
                Some(Value::Bool(truth)) => format!("<td>{truth}</td>"),
                _ => number_cell(NONE),
            };
        }
        table += "</tr>\n";
    }
    table += "</tbody>\n</table>\n";
    folded("More metrics, as named in summary.json", &scrolling("More metrics", &table))
}
