//! All that a model saw for one forecast, and what it made of it.

use super::QueryError;
use super::answer::{objects, ruled, taken};
use crate::config::Plan;
use crate::run::renamed_feature;
use crate::rundir::{Column, RunDirError, TableFile};
use crate::units::{Time, counted};
use serde_json::{Value, json};
use std::path::Path;
use std::sync::Arc;

/// One forecast with its input.
#[derive(Clone, Debug, PartialEq)]
pub struct Window {
    /// The user's name of the model.
    pub model: String,
    /// See `predictions.parquet`.
    pub model_version: String,
    /// The fold that made the forecast.
    pub fold: i64,
    /// The symbol.
    pub symbol: String,
    /// The last bar of the window.
    pub at: Time,
    /// A row a bar of the window: `timestamp` and every feature, as it was before it was scaled.
    pub input: TableFile,
    /// A row a horizon: `horizon`, `prediction` and `actual`, null where it is not known.
    pub forecast: TableFile,
}

/// The forecast that `model` made for a symbol at the close of the bar that starts at `at`. Where the run has one symbol it
/// need not be named.
///
/// # Errors
/// A run that did not keep its history, names that are not there, or a time at which no forecast was made.
pub fn window(
    run: &Path,
    plan: &Plan,
    (model, at, symbol): (&str, Time, Option<&str>),
) -> Result<Window, QueryError> {
    let models = &plan.experiment.models;
    let Some(config) = models.get(model) else {
        return Err(QueryError::unknown(
            "model",
            model,
            &models.keys().map(String::as_str).collect::<Vec<_>>(),
        ));
    };
    let path = run.join("history.parquet");
    if !path.is_file() {
        return Err(QueryError::NoHistory(run.into()));
    }
    let history = TableFile::read(&path)?;
    let (symbols, times) = (text(&history, "symbol"), time(&history, "timestamp"));
    let symbol = chosen_symbol(symbols, symbol)?;
    let forecast = forecast(run, (model, at, &symbol))?;
    let names = plan.experiment.features.iter().flat_map(|feature| feature.build().names());
    let mut rows: Vec<usize> =
        (0..times.len()).filter(|row| symbols[*row] == symbol && times[*row] <= at).collect();
    rows.drain(..rows.len().saturating_sub(config.build().window()));
    let mut input = TableFile::default().with("timestamp", taken(&Column::Time(times.to_vec()), &rows));
    for name in names {
        // Renamed or not: a feature that is not there would be left out of what the model saw.
        let kept = [renamed_feature(&name), name.clone()];
        let column = kept.iter().find_map(|kept| history.columns().find(|(other, _)| other == kept));
        let (_, column) = column.ok_or_else(|| RunDirError::Damaged {
            path: path.clone(),
            reason: format!("it lacks the feature {name}"),
            remedy: "run the experiment again",
        })?;
        input = input.with(&name, taken(column, &rows));
    }
    let (version, fold, forecast) = forecast;
    Ok(Window {
        model: model.into(),
        model_version: version,
        fold,
        symbol: symbol.to_string(),
        at,
        input,
        forecast,
    })
}

fn text<'a>(table: &'a TableFile, name: &str) -> &'a [Arc<str>] {
    table.text(name).unwrap_or_default()
}

fn time<'a>(table: &'a TableFile, name: &str) -> &'a [Time] {
    table.time(name).unwrap_or_default()
}

fn chosen_symbol(symbols: &[Arc<str>], wanted: Option<&str>) -> Result<Arc<str>, QueryError> {
    let mut known: Vec<&Arc<str>> = Vec::new();
    for symbol in symbols {
        // Rows of a symbol stand together.
        if known.last() != Some(&symbol) {
            known.push(symbol);
        }
    }
    let names: Vec<&str> = known.iter().map(|symbol| &***symbol).collect();
    match (wanted, &known[..]) {
        (Some(wanted), _) => {
            let found = known.iter().find(|symbol| ***symbol == wanted.into());
            found.map(|symbol| (*symbol).clone()).ok_or_else(|| QueryError::unknown("symbol", wanted, &names))
        }
        (None, [one]) => Ok((*one).clone()),
        (None, _) => Err(QueryError::SymbolOpen { count: known.len(), names: names.join(", ") }),
    }
}

/// Version, fold and horizons of one forecast.
fn forecast(
    run: &Path,
    (model, at, symbol): (&str, Time, &str),
) -> Result<(String, i64, TableFile), QueryError> {
    let table = TableFile::read(&run.join("predictions.parquet"))?;
    let (models, symbols, times) = (text(&table, "model"), text(&table, "symbol"), time(&table, "timestamp"));
    let own: Vec<usize> =
        (0..times.len()).filter(|row| &*models[*row] == model && &*symbols[*row] == symbol).collect();
    let rows: Vec<usize> = own.iter().filter(|row| times[**row] == at).copied().collect();
    let Some(first) = rows.first() else {
        let found = || own.iter().map(|row| times[*row]);
        let nearest = found().min_by_key(|time| time.0.abs_diff(at.0));
        let (start, end) = (found().min().unwrap_or_default(), found().max().unwrap_or_default());
        return Err(QueryError::NoForecast(match nearest {
            Some(nearest) => format!(
                "{model} made no forecast for {symbol} at {at}; the nearest one is at {nearest}, all lie between {start} \
                 and {end}"
            ),
            None => format!("{model} made no forecast for {symbol}"),
        }));
    };
    let version = text(&table, "model_version").get(*first).map(ToString::to_string).unwrap_or_default();
    let fold = table.integer("fold").and_then(|folds| folds.get(*first)).copied().unwrap_or_default();
    let mut forecast = TableFile::default();
    for (name, column) in table.columns() {
        if !["model", "symbol", "timestamp", "fold", "model_version"].contains(&name) {
            forecast = forecast.with(name, taken(column, &rows));
        }
    }
    Ok((version, fold, forecast))
}

impl Window {
    /// Two tables for people, `width` columns wide.
    pub fn text(&self, width: Option<usize>) -> String {
        let bars = self.input.columns().next().map_or(0, |(_, column)| column.len());
        format!(
            "What {} saw of {} at {} ({}, before scaling)\n{}\n\nWhat it forecast (version {}, fold {})\n{}\n",
            self.model,
            self.symbol,
            self.at,
            counted(bars, "bar"),
            ruled(&self.input, width),
            self.model_version,
            self.fold,
            ruled(&self.forecast, width)
        )
    }

    /// One document.
    pub fn json(&self) -> Value {
        json!({
            "model": self.model,
            "model_version": self.model_version,
            "fold": self.fold,
            "symbol": self.symbol,
            "at": self.at.to_string(),
            "input": objects(&self.input),
            "forecast": objects(&self.forecast),
        })
    }
}
