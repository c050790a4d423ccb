//! Every book and its figures, sortable, with the interval of the Sharpe ratio drawn in the row.

use super::histogram::{Mark, histogram};
use super::markup::{breakable, escape, folded, keyed, number_cell, scrolling};
use super::number::{NONE, SPACE, counted, decimal, maybe, percent};
use super::run_files::RunFiles;
use super::svg::{Axis, share};
use crate::rundir::{HeadlineIntervals, SpreadSummary, StrategyKind, StrategySummary, Summary};
use serde_json::Value;

/// One column of figures.
struct Figure {
    title: &'static str,
    explained: &'static str,
    value: fn(&StrategySummary) -> Option<f64>,
    shown: fn(f64) -> String,
    /// Whether the highest value is marked as the best.
    best: bool,
    /// Its 95 % interval.
    interval: fn(&HeadlineIntervals) -> Option<[f64; 2]>,
}

const FIGURES: &[Figure] = &[
    Figure {
        title: "Return",
        explained: "last equity over starting cash, minus 1",
        value: |book| book.metrics.total_return,
        shown: share_of_one,
        best: true,
        interval: |found| found.total_return,
    },
    Figure {
        title: "CAGR",
        explained: "return a year, compounded",
        value: |book| book.metrics.cagr,
        shown: share_of_one,
        best: true,
        interval: |found| found.cagr,
    },
    Figure {
        title: "Volatility",
        explained: "standard deviation of the returns, annualised",
        value: |book| book.metrics.volatility,
        shown: share_of_one,
        best: false,
        interval: |found| found.volatility,
    },
    Figure {
        title: "Sortino",
        explained: "mean return over downside deviation, annualised",
        value: |book| book.metrics.sortino,
        shown: two_digits,
        best: true,
        interval: |found| found.sortino,
    },
    Figure {
        title: "Max drawdown",
        explained: "deepest fall from a high",
        value: |book| book.metrics.max_drawdown,
        shown: share_of_one,
        best: true,
        interval: |found| found.max_drawdown,
    },
    Figure {
        title: "Calmar",
        explained: "CAGR over the maximum drawdown",
        value: |book| book.metrics.calmar,
        shown: two_digits,
        best: true,
        interval: |_| None,
    },
    Figure {
        title: "Turnover",
        explained: "traded notional over mean equity, a year",
        value: |book| book.metrics.turnover,
        shown: |value| format!("{}\u{d7}", decimal(value, 1)),
        best: false,
        interval: |_| None,
    },
    Figure {
        title: "Trades",
        explained: "closed round trips",
        value: |book| Some(book.metrics.trades as f64),
        shown: |value| decimal(value, 0),
        best: false,
        interval: |_| None,
    },
    Figure {
        title: "Win rate",
        explained: "closed round trips that earned money after costs",
        value: |book| book.metrics.win_rate,
        shown: share_of_one,
        best: true,
        interval: |_| None,
    },
    Figure {
        title: "Time in market",
        explained: "bars with a position",
        value: |book| book.metrics.exposure,
        shown: share_of_one,
        best: false,
        interval: |_| None,
    },
    Figure {
        title: "Exposure",
        explained: "mean of gross holdings over equity",
        value: |book| book.metrics.gross_exposure,
        shown: share_of_one,
        best: false,
        interval: |_| None,
    },
];

/// Title, explanation and value of a probability about the Sharpe ratio.
type Probability = (&'static str, &'static str, fn(&StrategySummary) -> Option<f64>);

/// Columns that old runs do not have.
const PROBABILITIES: [Probability; 2] = [
    ("Above 0", "probability that the true Sharpe ratio is above 0 (probabilistic Sharpe ratio)", |book| {
        book.metrics.probabilistic_sharpe
    }),
    (
        "Above luck",
        "probability that it is above what the best of all trials would show by luck (deflated Sharpe ratio)",
        |book| book.deflated_sharpe,
    ),
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
    let mut probabilities = PROBABILITIES.to_vec();
    probabilities.retain(|(_, _, value)| books.iter().any(|book| value(book).is_some()));
    let mut table = String::from("<table class=\"sortable\">\n<thead><tr>\n");
    table += "<th scope=\"col\"><button type=\"button\">Strategy</button></th>\n";
    table += &heading("Sharpe", "mean over standard deviation of the returns, annualised");
    table += &format!("<th scope=\"col\" class=\"n\">95{}% interval</th>\n", SPACE);
    for (title, explained, _) in &probabilities {
        table += &heading(title, explained);
    }
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
        table += &format!("<tr class=\"{}\">\n{}", files.role(&book.name), name_cell(&files.summary, book));
        table += &figure_cell(book.metrics.sharpe, two_digits, best_sharpe);
        table += &format!("<td class=\"n whiskers\">{}</td>\n", whisker(book, &axis));
        for (_, _, value) in &probabilities {
            table += &figure_cell(value(book), share_of_one, None);
        }
        for (figure, best) in FIGURES.iter().zip(&best) {
            let cell = figure_cell((figure.value)(book), figure.shown, best.filter(|_| figure.best));
            table += &with_interval(cell, book.intervals.as_ref().and_then(figure.interval), figure);
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
    if files.summary.strategies.iter().any(|book| book.deflated_sharpe.is_some()) {
        text += "Above 0 and above luck: probability that the true Sharpe ratio is above 0, and above what the best of all \
                 trials shows by luck. ";
    }
    text + "Intervals hold 95\u{a0}% of a stationary bootstrap. The best value of a column is marked; press a heading to sort."
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

/// The cell with the interval of its figure on a second line, exact in its tooltip.
fn with_interval(cell: String, interval: Option<[f64; 2]>, figure: &Figure) -> String {
    let Some([low, high]) = interval.filter(|ends| ends.iter().all(|end| end.is_finite())) else {
        return cell;
    };
    let exact = format!("95{SPACE}% interval: {} to {}", (figure.shown)(low), (figure.shown)(high));
    let ratio = (figure.shown)(0.0).ends_with('%');
    let digits = usize::from(low.abs().max(high.abs()) < if ratio { 0.1 } else { 10.0 });
    let (scale, unit) = if ratio { (100.0, "%") } else { (1.0, "") };
    let [low, high] = [low, high].map(|end| decimal(scale * end, digits));
    let line = format!("<small class=\"ends\" title=\"{exact}\">{low} to {high}{unit}</small></td>");
    cell.replacen("</td>", &line, 1)
}

fn name_cell(summary: &Summary, book: &StrategySummary) -> String {
    let grid = book.grid.as_ref().map(|name| {
        let books =
            summary.grids.iter().find(|grid| grid.name == *name).map(|grid| counted(grid.books, "book"));
        let of = books.map_or(String::new(), |books| format!(" of {books}"));
        format!("<span class=\"chosen\">best{of}</span> in {}", escape(name))
    });
    let what = match (&book.model, &book.spread) {
        (None, None) if grid.is_some() => grid.clone().unwrap_or_default(),
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
    format!(
        "<th scope=\"row\" data-value=\"{name}\">{}</th>\n",
        keyed(&format!("{}{what}", breakable(&book.name)))
    )
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
    let spread = book.spread.as_ref().filter(|spread| !spread.sharpes.is_empty())?;
    let marks: Vec<Mark<'_>> = [("model", files.best_model()), ("baseline", files.best_baseline())]
        .into_iter()
        .filter_map(|(class, name)| {
            let found = super::run_files::strategy(&files.summary, name?)?;
            Some(Mark { class, name: &found.name, value: found.metrics.sharpe? })
        })
        .collect();
    let sentences: Vec<String> = marks
        .iter()
        .map(|mark| {
            let beats = percent(beaten(spread, mark.value), 0);
            format!("<b class=\"{}\">{}</b> beats {beats}", mark.class, escape(mark.name))
        })
        .collect();
    let [low, _, median, _, high] = spread.sharpe_quantiles;
    let against =
        if sentences.is_empty() { String::new() } else { format!(" {} of them.", sentences.join("; ")) };
    Some(format!(
        "<figure>\n<figcaption><h3>Against {}</h3> Sharpe ratios of <em>{}</em>: median {}, 5th to 95th \
         percentile {} to {}.{against}</figcaption>\n{}</figure>\n",
        counted(spread.books, "random book"),
        escape(&book.name),
        decimal(median, 2),
        decimal(low, 2),
        decimal(high, 2),
        histogram(&spread.sharpes, &marks)
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
    let of = |book: &StrategySummary| {
        let mut metrics = serde_json::to_value(&book.metrics).unwrap_or_default();
        let benchmark = serde_json::to_value(book.benchmark.unwrap_or_default()).unwrap_or_default();
        for (name, value) in benchmark.as_object().into_iter().flatten() {
            metrics[format!("{name} to holding")] = value.clone();
        }
        metrics
    };
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
