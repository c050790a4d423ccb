//! The price with events shaded above a strip of states for each breaker, and the equity of breakers and guarded books.

use super::files::WatchSeries;
use super::table::{breakers, hue};
use crate::report::line_chart::{Band, GUTTER, Line, LineChart, Unit, wide};
use crate::report::markup::{escape, keyed};
use crate::report::run_files::RunFiles;
use crate::report::svg::{scale, share};
use crate::units::Time;

/// Symbols whose prices are drawn; a page is to be read.
const MOST_SYMBOLS: usize = 4;

/// Parts of a strip; each shows its worst state.
const PARTS: usize = 600;

/// Parts of a curve of which the lowest and highest value are drawn.
const BUCKETS: usize = 420;

/// An event is drawn at least so wide, as a share of the time.
const NARROWEST: f64 = 0.0015;

/// All charts.
pub(super) fn charts(files: &RunFiles) -> String {
    let watches = &files.breakers.watches;
    let mut symbols: Vec<&str> = Vec::new();
    for watch in watches {
        if !symbols.contains(&watch.symbol.as_str()) {
            symbols.push(&watch.symbol);
        }
    }
    symbols.truncate(MOST_SYMBOLS);
    let mut html = String::new();
    for symbol in symbols {
        let own: Vec<&WatchSeries> = watches.iter().filter(|watch| watch.symbol == symbol).collect();
        html += &stops(files, symbol, &own);
    }
    html + &equity(files)
}

/// The price of one symbol, and below it a strip of states for each breaker.
fn stops(files: &RunFiles, symbol: &str, watches: &[&WatchSeries]) -> String {
    let Some(first) = watches.first() else { return String::new() };
    let Some((start, end)) = first.times.first().zip(first.times.last()) else { return String::new() };
    let length = ((end.0 - start.0) as f64).max(1.0);
    let across = |time: Time| (time.0 - start.0) as f64 / length;
    let growth: Vec<f64> = first.close.iter().map(|close| close / first.close[0] - 1.0).collect();
    let events = events(first, (length * NARROWEST) as i64);
    let shaded = if events.is_empty() { "" } else { "; shaded: events of the target" };
    let chart = LineChart {
        label: format!("Price of {symbol} since the start"),
        height: 240,
        logarithmic: wide(growth.iter()),
        lines: vec![Line {
            series: 0,
            class: "price-line".into(),
            times: &first.times,
            values: growth,
            buckets: BUCKETS,
        }],
        bands: events,
        unit: Unit::Percent,
    };
    let mut html = format!(
        "<h3>{} <small>price since the start{shaded}. Below: when each breaker was <span class=\"level warning\">yellow</span> \
         and <span class=\"level critical\">red</span></small></h3>\n<div class=\"risk\">{}</div>\n",
        escape(symbol),
        chart.draw()
    );
    let order: Vec<String> = breakers(&files.summary).map(|(book, _)| book.name.clone()).collect();
    for watch in watches {
        let place = order.iter().position(|name| *name == watch.strategy).unwrap_or(0);
        html += &format!(
            "<p class=\"strip-name {}\">{}</p>\n<div class=\"plot\">{}{}</div>\n",
            hue(place),
            keyed(&escape(&watch.strategy)),
            scale(GUTTER, 12.0, std::iter::empty()),
            strip(watch, &across)
        );
    }
    html
}

/// Runs of rows before events.
fn events(watch: &WatchSeries, narrowest: i64) -> Vec<Band> {
    let ahead = |row: usize| watch.event.get(row).is_some_and(|event| *event > 0.5);
    let rows = watch.times.len();
    let starts = (0..rows).filter(|row| ahead(*row) && (*row == 0 || !ahead(row - 1)));
    let band = |start: usize| {
        let end = (start..rows).find(|row| !ahead(*row)).unwrap_or(rows - 1);
        let least = Time(watch.times[start].0.saturating_add(narrowest));
        Band { start: watch.times[start], end: watch.times[end].max(least), name: String::new() }
    };
    starts.map(band).collect()
}

/// The states over time: in each of [`PARTS`] equal parts the worst one.
fn strip(watch: &WatchSeries, across: &dyn Fn(Time) -> f64) -> String {
    let mut worst = [0; PARTS];
    for (time, state) in watch.times.iter().zip(&watch.state) {
        let part = ((across(*time) * PARTS as f64) as usize).min(PARTS - 1);
        worst[part] = worst[part].max(*state);
    }
    let mut svg = format!(
        "<svg class=\"chart strip\" width=\"100%\" height=\"12\" role=\"img\" aria-label=\"States of {}\">\n\
         <rect class=\"green-state\" x=\"0\" width=\"100%\" y=\"0\" height=\"12\"/>\n",
        escape(&watch.strategy)
    );
    let mut start = 0;
    for run in worst.chunk_by(|one, next| one == next) {
        let class = ["", "yellow-state", "red-state"][run[0].clamp(0, 2) as usize];
        if !class.is_empty() {
            svg += &format!(
                "<rect class=\"{class}\" x=\"{}\" width=\"{}\" y=\"0\" height=\"12\"/>\n",
                share(start as f64 / PARTS as f64),
                share(run.len() as f64 / PARTS as f64)
            );
        }
        start += run.len();
    }
    svg + "</svg>"
}

/// Growth of every breaker in its colour, and of the books that they guard in grey.
fn equity(files: &RunFiles) -> String {
    let cash = files.cash();
    let growth = |equity: &[f64]| -> Vec<f64> { equity.iter().map(|equity| equity / cash - 1.0).collect() };
    let line = |class: String, times, values| Line { series: 0, class, times, values, buckets: BUCKETS };
    let mut lines = Vec::new();
    let mut drawn: Vec<(Option<&str>, &[f64])> = Vec::new();
    for (_, breaker) in breakers(&files.summary).zip(&files.breakers.guarded) {
        let guards = breakers(&files.summary).find(|(book, _)| book.name == breaker.strategy);
        let key = (guards.and_then(|(_, one)| one.guards.as_deref()), breaker.equity.as_slice());
        if !drawn.contains(&key) {
            drawn.push(key);
            lines.push(line("price-line".into(), breaker.times.as_slice(), growth(&breaker.equity)));
        }
    }
    for (place, (book, _)) in breakers(&files.summary).enumerate() {
        if let Some(curve) = files.curve(&book.name) {
            lines.push(line(hue(place), files.times.as_slice(), growth(&curve.equity)));
        }
    }
    let logarithmic = wide(lines.iter().flat_map(|line| &line.values));
    let chart = LineChart {
        label: "Growth of breakers and of the books that they guard".into(),
        height: 260,
        lines,
        bands: Vec::new(),
        logarithmic,
        unit: Unit::Percent,
    };
    let on_log = if logarithmic { ", on a logarithmic axis" } else { "" };
    format!(
        "<h3>Growth since the start <small>after all costs{on_log}; colours as in the table, grey: what is guarded</small></h3>\n{}",
        chart.draw()
    )
}
