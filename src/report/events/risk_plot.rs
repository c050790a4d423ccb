//! The risk over the whole test span with events shaded and alarms marked, and a closer look at a few of them.

use super::files::RiskSeries;
use super::zoom;
use crate::report::line_chart::{Band, GUTTER, Line, LineChart, Unit};
use crate::report::markup::escape;
use crate::report::number::counted;
use crate::report::run_files::RunFiles;
use crate::report::svg::{scale, share};
use crate::units::Time;

/// The sentences above the charts.
pub(super) const NOTE: &str = "The forecast risk on the test rows. Shaded: events, from the first row that could see one coming to its \
    strike. Dashes: the threshold that validation chose for the fold. Marks below: alarms, filled where an event came, hollow where \
    they were false. Below the whole span a closer look at some events and alarms, with the price in grey.";

/// More are not drawn: a page is to be read.
const MOST_SERIES: usize = 12;

/// Parts of the whole span of which the lowest and highest risk are drawn.
const BUCKETS: usize = 420;

/// An event is drawn at least so wide, as a share of the whole span.
const NARROWEST: f64 = 0.002;

/// A chart a model, horizon and symbol, one shown at a time.
pub(super) fn risk(files: &RunFiles) -> String {
    let mut order: Vec<&RiskSeries> = Vec::new();
    for place in 0..super::horizons(&files.summary).len() {
        for (model, events) in super::ranked(&files.summary, place) {
            let own = |series: &&RiskSeries| {
                series.model == model.name && series.horizon == i64::from(events.horizon)
            };
            order.extend(files.events.series.iter().filter(own));
        }
    }
    // The horizon with the most events first; a stable sort keeps its best model first.
    order.sort_by_key(|series| std::cmp::Reverse(series.events.len()));
    order.truncate(MOST_SERIES);
    let (mut options, mut charts) = (String::new(), String::new());
    let several = files.summary.data.symbols.len() > 1;
    for (index, series) in order.iter().enumerate() {
        let symbol = if several { format!(", {}", series.symbol) } else { String::new() };
        let name = escape(&format!("{}, within {} bars{symbol}", series.model, series.horizon));
        let (selected, hidden) = if index == 0 { (" selected", "") } else { ("", " hidden") };
        options += &format!("<option value=\"{index}\"{selected}>{name}</option>\n");
        charts += &format!(
            "<div class=\"choice risk\" data-choice=\"{index}\"{hidden}>\n{}{}{}</div>\n",
            whole(series),
            marks(series),
            zoom::zooms(series)
        );
    }
    if charts.is_empty() {
        return charts;
    }
    format!(
        "<p class=\"chooser\"><label>Forecast <select data-chooser=\"risks\">\n{options}</select></label></p>\n\
         <div id=\"risks\">\n{charts}</div>\n"
    )
}

/// First and last moment.
fn span(series: &RiskSeries) -> (Time, Time) {
    let moments = || series.times.iter().copied();
    (moments().min().unwrap_or_default(), moments().max().unwrap_or_default())
}

fn whole(series: &RiskSeries) -> String {
    let (start, end) = span(series);
    let narrowest = ((end.0 - start.0) as f64 * NARROWEST) as i64;
    let band = |event: &super::files::DrawnEvent| Band {
        start: event.first,
        end: event.strike.max(Time(event.first.0.saturating_add(narrowest))),
        name: String::new(),
    };
    let line = |class: &str, values: &[f64], buckets| Line {
        series: 0,
        class: class.to_owned(),
        times: &series.times,
        values: values.to_vec(),
        buckets,
    };
    LineChart {
        label: format!("Risk of {} within {} bars", series.model, series.horizon),
        height: 260,
        lines: vec![line("threshold", &series.alarm_at, BUCKETS), line("risk-line", &series.risk, BUCKETS)],
        bands: series.events.iter().map(band).collect(),
        logarithmic: false,
        unit: Unit::Percent,
    }
    .draw()
}

/// A mark an alarm, below the curve.
fn marks(series: &RiskSeries) -> String {
    let (start, end) = span(series);
    let length = ((end.0 - start.0) as f64).max(1.0);
    let mut svg = String::from("<svg class=\"chart\" width=\"100%\" height=\"14\" aria-hidden=\"true\">\n");
    for alarm in &series.alarms {
        let class = if alarm.is_false { "false-alarm" } else { "right-alarm" };
        let x = share((alarm.raised.0 - start.0) as f64 / length);
        svg += &format!("<circle class=\"{class}\" cx=\"{x}\" cy=\"7\" r=\"3.5\"/>\n");
    }
    svg += "</svg>\n";
    let wrong = series.alarms.iter().filter(|alarm| alarm.is_false).count();
    let caught = series.events.iter().filter(|event| !event.lead.is_nan()).count();
    format!(
        "<div class=\"plot\">{}{svg}</div>\n<p class=\"parts\">{}, {caught} caught; {}, {wrong} of them false</p>\n",
        scale(GUTTER, 14.0, std::iter::empty()),
        counted(series.events.len(), "event"),
        counted(series.alarms.len(), "alarm")
    )
}
