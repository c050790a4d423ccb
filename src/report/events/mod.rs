//! The parts of a run's page that are about rare events: the risk now, the figures, the alarms, the risk over time.

mod alarms;
mod files;
mod now;
mod reliability;
mod risk_plot;
mod sentence;
mod table;
mod zoom;

pub(super) use files::{EventFiles, read_events};
pub(super) use sentence::{headline, sentence};

use super::frame::Part;
use super::run_files::RunFiles;
use crate::rundir::{EventSummary, ModelSummary, Summary};

/// Whether the models of a run forecast events.
pub(super) fn has_events(summary: &Summary) -> bool {
    summary.models.iter().any(|model| !model.events.is_empty())
}

/// The parts, in the order of the page; without a body where the target is no event.
pub(super) fn parts(files: &RunFiles) -> Vec<Part> {
    let summary = &files.summary;
    if !has_events(summary) {
        return Vec::new();
    }
    vec![
        ("now", "Risk at the last row", now::NOTE.to_owned(), now::now(summary)),
        ("events", "Forecasts of events", table::NOTE.to_owned(), table::table(summary)),
        ("risk", "Risk over time", risk_plot::NOTE.to_owned(), risk_plot::risk(files)),
        ("alarms", "Alarms", alarms::NOTE.to_owned(), alarms::alarms(summary)),
        ("calibration", "Calibration", reliability::NOTE.to_owned(), reliability::reliability(files)),
    ]
}

/// Horizons in the order of the summary.
fn horizons(summary: &Summary) -> &[u32] {
    summary.models.first().map_or(&[], |model| &model.horizons)
}

/// The models with their figures of the horizon at this place, the best average precision first.
fn ranked(summary: &Summary, place: usize) -> Vec<(&ModelSummary, &EventSummary)> {
    let of =
        |model: &'_ ModelSummary| model.events.get(place).and_then(|events| events.test.average_precision);
    let mut models: Vec<&ModelSummary> =
        summary.models.iter().filter(|model| model.events.len() > place).collect();
    models.sort_by(|one, other| of(other).unwrap_or(-1.0).total_cmp(&of(one).unwrap_or(-1.0)));
    models.into_iter().map(|model| (model, &model.events[place])).collect()
}

/// The colour of a model: its place in the configuration.
fn hue(summary: &Summary, model: &str) -> String {
    let place = summary.models.iter().position(|other| other.name == model).unwrap_or(0);
    format!("hue{}", place % 8)
}
