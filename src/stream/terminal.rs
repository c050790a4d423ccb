//! The stream as people read it: one line a forecast, and a table at the end.

use super::feed::{FeedForecast, FeedSummary, Opening};
use super::score::Figures;
use crate::report::{fixed, readable};
use crate::ruled_table::ruled_table;
use crate::rundir::RiskLevel;
use crate::table::LabelKind;
use comfy_table::CellAlignment;
use std::fmt::Write;

/// Horizons that a line has room for.
const MOST_HORIZONS: usize = 5;

/// Writes the lines of one stream, all with the same columns.
#[derive(Clone, Debug)]
pub struct Lines {
    horizons: Vec<u32>,
    /// Places of the horizons that are shown.
    shown: Vec<usize>,
    event: bool,
    level: bool,
    /// Width of the symbols' column; 0 where there is one symbol.
    symbol: usize,
    /// Digits after the point and width of a number, once the first forecast is known.
    form: Option<(usize, usize)>,
}

impl Lines {
    /// Of this stream.
    pub fn new(opening: &Opening) -> Lines {
        let count = opening.horizons.len();
        let parts = MOST_HORIZONS.min(count).saturating_sub(1).max(1);
        let mut shown: Vec<usize> = (0..=parts).map(|part| part * count.saturating_sub(1) / parts).collect();
        shown.dedup();
        let longest = opening.symbols.iter().map(|symbol| symbol.chars().count()).max().unwrap_or(0);
        Lines {
            horizons: opening.horizons.clone(),
            shown,
            event: opening.kind.is_probability(),
            level: opening.kind == LabelKind::Value,
            symbol: if opening.symbols.len() > 1 { longest.max(6) } else { 0 },
            form: None,
        }
    }

    /// The heads of the columns, for lines that look like that of this forecast.
    pub fn head(&mut self, first: &FeedForecast) -> String {
        let (_, width) = self.form(first);
        let mut line = format!("{:<19}", "time");
        if self.symbol > 0 {
            let _ = write!(line, "  {:<1$}", "symbol", self.symbol);
        }
        let _ = write!(line, "  {:>width$}", "now");
        for place in &self.shown {
            let _ = write!(line, "  {:>width$}", format!("+{}", self.horizons[*place]));
        }
        let _ = write!(line, "  {:>9}", if self.event { "Brier" } else { "MSE" });
        if self.event {
            return line + "  status";
        }
        let _ = write!(line, "  {:>9}", "MAE");
        if self.level {
            let _ = write!(line, "  {:>6}  {:>18}", "exact", "recurrence");
        }
        line
    }

    /// One forecast: the last value, what is forecast, and how good forecasts were so far (means over the horizons).
    pub fn line(&mut self, forecast: &FeedForecast) -> String {
        let (digits, width) = self.form(forecast);
        let mut line = forecast.timestamp.civil().strftime("%Y-%m-%d %H:%M:%S").to_string();
        if self.symbol > 0 {
            let _ = write!(line, "  {:<1$}", forecast.symbol, self.symbol);
        }
        let now_digits =
            if self.level { digits } else { 5_usize.saturating_sub(whole_digits(forecast.close)) };
        let _ = write!(line, "  {:>width$.now_digits$}", forecast.close);
        for place in &self.shown {
            let _ = write!(line, "  {:>width$.digits$}", forecast.forecast[*place]);
        }
        let means = Means::of(&forecast.scores);
        let _ = write!(line, "  {:>9}", figure(means.mse));
        if self.event {
            let _ = write!(line, "  {}", status(forecast.status.as_deref()));
            return line;
        }
        let _ = write!(line, "  {:>9}", figure(means.mae));
        if self.level {
            let exact = means.exact.map_or_else(none, |exact| format!("{exact:.3}"));
            let recurrence = forecast.recurrence.map_or_else(none, |figures| {
                let share = figures.right as f64 / figures.judged as f64;
                if figures.judged == 0 {
                    none()
                } else {
                    format!("{share:.3} ({}/{})", figures.right, figures.judged)
                }
            });
            let _ = write!(line, "  {exact:>6}  {recurrence:>18}");
        }
        line
    }

    /// Digits and width that suit the first forecast: about three significant digits.
    fn form(&mut self, first: &FeedForecast) -> (usize, usize) {
        let (event, level) = (self.event, self.level);
        *self.form.get_or_insert_with(|| {
            let size = first.forecast.iter().fold(0.0_f64, |size, value| size.max(value.abs()));
            let size = if level { size.max(first.close.abs()) } else { size };
            let digits =
                if event { 3 } else { 3_usize.saturating_sub(whole_digits(size)) + small_digits(size) };
            (digits, (whole_digits(size.max(first.close.abs())) + digits + 2).max(8))
        })
    }

    /// All that became of the stream.
    pub fn summary(&self, summary: &FeedSummary, width: Option<usize>) -> String {
        let mut table = ruled_table(width);
        let mut head = vec!["horizon", "scored", if self.event { "Brier" } else { "MSE" }, "MAE"];
        let exact = summary.scores.iter().any(|figures| figures.exact.is_some());
        head.extend(exact.then_some("exact after rounding"));
        table.set_header(head.clone());
        for figures in &summary.scores {
            let mut row = vec![
                format!("+{}", figures.horizon),
                grouped(figures.scored),
                figure(figures.mse),
                figure(figures.mae),
            ];
            row.extend(figures.exact.filter(|_| exact).map(|exact| format!("{exact:.4}")));
            table.add_row(row);
        }
        for column in table.column_iter_mut() {
            column.set_cell_alignment(CellAlignment::Right);
        }
        let mut text = format!("{table}\n");
        if let Some(figures) = summary.recurrence {
            let _ = writeln!(text, "{}", recurrence(figures.right, figures.judged));
        }
        let _ = writeln!(
            text,
            "Ticks: {}, forecasts: {}, {} ticks a second at speed {}{}.",
            grouped(summary.ticks),
            grouped(summary.forecasts),
            figure(summary.ticks_per_second),
            summary.speed,
            if summary.interrupted { "; stopped before the end" } else { "" }
        );
        let latency = &summary.latency;
        let _ = writeln!(
            text,
            "Time from a tick to its forecasts: median {}, 95 % within {}, 99 % within {}{}.",
            microseconds(latency.median_microseconds),
            microseconds(latency.p95_microseconds),
            microseconds(latency.p99_microseconds),
            match summary.latest_milliseconds {
                late if late >= 1.0 =>
                    format!("; the latest tick came {} late", microseconds(Some(late * 1e3))),
                _ => String::new(),
            }
        );
        text + &identity(summary)
    }
}

fn identity(summary: &FeedSummary) -> String {
    if summary.compared == 0 {
        return "The run made none of these forecasts, so there is nothing to compare them with.\n".into();
    }
    let (same, all) = (grouped(summary.identical), grouped(summary.compared));
    match summary.identical == summary.compared {
        true => format!("Identical to the batch, bit for bit: {same} of {all}.\n"),
        false => format!("NOT identical to the batch: only {same} of {all} forecasts have the same bits.\n"),
    }
}

fn recurrence(right: usize, judged: usize) -> String {
    if judged == 0 {
        return "Recurrence rule: no value was said to recur.".into();
    }
    let share = right as f64 / judged as f64;
    format!(
        "Recurrence rule: {share:.4} ({} of {} values that were said to come again did).",
        grouped(right),
        grouped(judged)
    )
}

/// The worst level of the horizons that have a threshold, and at how many of them.
fn status(levels: Option<&[Option<RiskLevel>]>) -> String {
    let Some(levels) = levels else { return none() };
    let known: Vec<RiskLevel> = levels.iter().copied().flatten().collect();
    let Some(worst) = known.iter().max() else { return "no threshold".into() };
    match known.iter().filter(|level| *level == worst).count() {
        all if all == known.len() => worst.to_string(),
        some => format!("{worst} at {some} of {}", known.len()),
    }
}

/// Means over those horizons that have a figure.
struct Means {
    mse: Option<f64>,
    mae: Option<f64>,
    exact: Option<f64>,
}

impl Means {
    fn of(figures: &[Figures]) -> Means {
        let mean = |of: fn(&Figures) -> Option<f64>| {
            let values: Vec<f64> = figures.iter().filter_map(of).collect();
            (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
        };
        Means {
            mse: mean(|figures| figures.mse),
            mae: mean(|figures| figures.mae),
            exact: mean(|figures| figures.exact),
        }
    }
}

fn none() -> String {
    "-".into()
}

/// Digits before the point, at least 1.
fn whole_digits(value: f64) -> usize {
    if value.abs() >= 10.0 { value.abs().log10() as usize + 1 } else { 1 }
}

/// Zeros behind the point of a number below 1: 2 for 0.00123.
fn small_digits(value: f64) -> usize {
    if value > 1e-9 && value < 1.0 { (-value.log10()) as usize + 1 } else { 0 }
}

/// Four significant digits; a dash where there is no figure.
fn figure(value: Option<f64>) -> String {
    readable(value.unwrap_or(f64::NAN), 4)
}

/// A length of time in the unit in which it reads best.
fn microseconds(value: Option<f64>) -> String {
    match value {
        None => none(),
        Some(value) if value < 1e3 => format!("{} us", readable(value, 3)),
        Some(value) if value < 1e6 => format!("{} ms", readable(value * 1e-3, 3)),
        Some(value) => format!("{} s", readable(value * 1e-6, 3)),
    }
}

fn grouped(count: usize) -> String {
    fixed(count as f64, 0)
}
