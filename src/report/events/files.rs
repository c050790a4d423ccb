//! The forecasts of events, the events and the alarms, as the files of a run hold them.

use crate::report::ReportError;
use crate::report::run_files::Source;
use crate::units::Time;
use std::path::Path;

/// What is drawn over time; empty where the target is no event.
#[derive(Default)]
pub(in crate::report) struct EventFiles {
    /// In the order of models, horizons and symbols.
    pub(in crate::report) series: Vec<RiskSeries>,
}

/// One horizon of one model on one symbol.
pub(in crate::report) struct RiskSeries {
    pub(in crate::report) model: String,
    pub(in crate::report) horizon: i64,
    pub(in crate::report) symbol: String,
    pub(in crate::report) times: Vec<Time>,
    pub(in crate::report) risk: Vec<f64>,
    /// Null where the future is not there yet.
    pub(in crate::report) actual: Vec<f64>,
    /// Null where there is no threshold.
    pub(in crate::report) alarm_at: Vec<f64>,
    pub(in crate::report) close: Vec<f64>,
    pub(in crate::report) events: Vec<DrawnEvent>,
    pub(in crate::report) alarms: Vec<DrawnAlarm>,
}

/// An event over time.
pub(in crate::report) struct DrawnEvent {
    pub(in crate::report) first: Time,
    pub(in crate::report) strike: Time,
    /// Bars from the first alarm to the strike; null where it was missed.
    pub(in crate::report) lead: f64,
}

/// An alarm over time.
pub(in crate::report) struct DrawnAlarm {
    pub(in crate::report) raised: Time,
    pub(in crate::report) is_false: bool,
}

/// The place of a series.
fn find(series: &[RiskSeries], key: (&str, i64, &str)) -> Option<usize> {
    series.iter().position(|other| (other.model.as_str(), other.horizon, other.symbol.as_str()) == key)
}

/// Reads `predictions.parquet`, `events.parquet` and `alarms.parquet`.
pub(in crate::report) fn read_events(folder: &Path) -> Result<EventFiles, ReportError> {
    let mut files = EventFiles::default();
    if !folder.join("events.parquet").exists() {
        return Ok(files);
    }
    read_series(folder, &mut files.series)?;
    let columns = ["model", "symbol", "horizon", "first_row", "strike", "lead_bars"];
    if let Some(source) = Source::read(folder, "events.parquet", &columns)? {
        let (first, strike) = (source.time("first_row")?, source.time("strike")?);
        let lead = source.float("lead_bars")?;
        place(&source, &mut files.series, |series, row| {
            series.events.push(DrawnEvent { first: first[row], strike: strike[row], lead: lead[row] });
        })?;
    }
    let columns = ["model", "symbol", "horizon", "raised", "false_alarm"];
    if let Some(source) = Source::read(folder, "alarms.parquet", &columns)? {
        let (raised, is_false) = (source.time("raised")?, source.integer("false_alarm")?);
        place(&source, &mut files.series, |series, row| {
            series.alarms.push(DrawnAlarm { raised: raised[row], is_false: is_false[row] != 0 });
        })?;
    }
    Ok(files)
}

/// Gives each row of a table to its series.
fn place(
    source: &Source,
    series: &mut [RiskSeries],
    mut add: impl FnMut(&mut RiskSeries, usize),
) -> Result<(), ReportError> {
    let (models, symbols) = (source.text("model")?, source.text("symbol")?);
    let horizons = source.integer("horizon")?;
    for row in 0..models.len() {
        if let Some(place) = find(series, (&models[row], horizons[row], &symbols[row])) {
            add(&mut series[place], row);
        }
    }
    Ok(())
}

fn read_series(folder: &Path, found: &mut Vec<RiskSeries>) -> Result<(), ReportError> {
    let columns = ["model", "symbol", "timestamp", "horizon", "prediction", "actual", "alarm_at", "close"];
    let Some(source) = Source::read(folder, "predictions.parquet", &columns)? else { return Ok(()) };
    let (models, symbols) = (source.text("model")?, source.text("symbol")?);
    let (times, horizons) = (source.time("timestamp")?, source.integer("horizon")?);
    let [risk, actual] = [source.float("prediction")?, source.float("actual")?];
    let [alarm_at, close] = [source.float("alarm_at")?, source.float("close")?];
    // Rows of one series stand at equal distances, so the last place found is asked first.
    let mut places: Vec<usize> = Vec::new();
    for row in 0..models.len() {
        let key = (&*models[row], horizons[row], &*symbols[row]);
        let known = places.iter().copied().find(|place| {
            let series: &RiskSeries = &found[*place];
            (series.model.as_str(), series.horizon, series.symbol.as_str()) == key
        });
        let place = known.unwrap_or_else(|| {
            found.push(RiskSeries {
                model: key.0.to_owned(),
                horizon: key.1,
                symbol: key.2.to_owned(),
                times: Vec::new(),
                risk: Vec::new(),
                actual: Vec::new(),
                alarm_at: Vec::new(),
                close: Vec::new(),
                events: Vec::new(),
                alarms: Vec::new(),
            });
            places.insert(0, found.len() - 1);
            found.len() - 1
        });
        let series = &mut found[place];
        series.times.push(times[row]);
        series.risk.push(risk[row]);
        series.actual.push(actual[row]);
        series.alarm_at.push(alarm_at[row]);
        series.close.push(close[row]);
    }
    Ok(())
}
