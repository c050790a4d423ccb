//! `trials.parquet`: a row a trial, a column a setting.

use crate::rundir::{Column, TableFile, TrialSummary};
use serde_json::Value;
use std::sync::Arc;

/// Number, id, status, value, epochs, seconds, and every setting under its path; null where a trial does not have it.
pub(super) fn trials_table(trials: &[TrialSummary]) -> TableFile {
    let text = |of: &dyn Fn(&TrialSummary) -> String| {
        Column::Text(trials.iter().map(|trial| Arc::from(of(trial))).collect())
    };
    let float = |of: &dyn Fn(&TrialSummary) -> f64| Column::Float(trials.iter().map(of).collect());
    let status = |trial: &TrialSummary| {
        let status = serde_json::to_value(trial.status).unwrap_or_default();
        status.as_str().unwrap_or_default().to_owned()
    };
    let wall = |trial: &TrialSummary| trial.spans.iter().map(|span| span.end - span.start).sum();
    let mut table = TableFile::default()
        .with("number", Column::Integer(trials.iter().map(|trial| trial.number as i64).collect()))
        .with("id", text(&|trial| trial.id.clone()))
        .with("status", text(&status))
        .with("value", float(&|trial| trial.value.unwrap_or(f64::NAN)));
    for path in paths(trials) {
        table = table.with(path, setting(trials, path));
    }
    table
        .with("epochs", Column::Integer(trials.iter().map(|trial| trial.epochs as i64).collect()))
        .with("seconds", float(&wall))
        .with("cpu_seconds", float(&|trial| trial.cpu_seconds))
        .with("validation_sharpe", float(&|trial| trial.validation_sharpe.unwrap_or(f64::NAN)))
}

/// All settings, in the order in which trials name them first.
fn paths(trials: &[TrialSummary]) -> Vec<&str> {
    let mut paths: Vec<&str> = Vec::new();
    for path in trials.iter().flat_map(|trial| trial.settings.keys()) {
        if !paths.contains(&path.as_str()) {
            paths.push(path);
        }
    }
    paths
}

/// Whole numbers where every trial has one, numbers where all are numbers, else text.
fn setting(trials: &[TrialSummary], path: &str) -> Column {
    let values: Vec<Option<&Value>> = trials.iter().map(|trial| trial.settings.get(path)).collect();
    // A column of whole numbers has no null.
    let whole: Option<Vec<i64>> = values.iter().map(|value| value.and_then(Value::as_i64)).collect();
    if let Some(whole) = whole {
        return Column::Integer(whole);
    }
    if values.iter().flatten().all(|value| value.is_number()) {
        let number = |value: &Option<&Value>| value.and_then(Value::as_f64).unwrap_or(f64::NAN);
        return Column::Float(values.iter().map(number).collect());
    }
    let spoken = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Column::Text(values.iter().map(|value| Arc::from(value.map(spoken).unwrap_or_default())).collect())
}
