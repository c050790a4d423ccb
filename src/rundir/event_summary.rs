//! What a run found of rare events, as a part of `summary.json`.

use crate::metrics::EventFigures;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How well one horizon of a model forecast events.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct EventSummary {
    /// Bars within which the event counts.
    pub horizon: u32,
    /// The risk from which on there is an alarm, of each fold in order; null where its validation rows hold no event, or
    /// already the highest risk there raises too many false alarms.
    pub thresholds: Vec<Option<f64>>,
    /// Over the test rows of all folds.
    pub test: EventFigures,
    /// Over the validation rows of all folds, on which the thresholds were chosen.
    pub validation: EventFigures,
}

/// The risk of an event at the last row.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RiskStatus {
    /// The start of the bar at whose close the forecast was made, RFC 3339.
    pub timestamp: String,
    /// Whose risk.
    pub symbol: String,
    /// Who forecasts.
    pub model: String,
    /// Bars within which the event counts.
    pub horizon: u32,
    /// Probability of the event.
    pub risk: f64,
    /// The risk from which on there is an alarm; absent where validation could choose none.
    pub alarm_at: Option<f64>,
    /// Absent without a threshold.
    pub status: Option<RiskLevel>,
    /// The risk less that of the newest forecast which is at least 24 hours older; absent where there is none that is at most
    /// an hour older than that.
    pub change_24h: Option<f64>,
    /// The same over the older risk, in per cent.
    pub change_24h_percent: Option<f64>,
    /// The values of the extra columns at this row, such as `blr`.
    pub columns: BTreeMap<String, f64>,
}

/// How high a risk is beside its threshold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RiskLevel {
    /// Below the warning.
    Normal,
    /// From `warning_share` of the threshold on.
    Warning,
    /// From the threshold on: an alarm.
    Critical,
}

impl RiskLevel {
    /// The level of a risk beside its threshold; none where one of the two is null, for a missing number is no all-clear.
    pub fn of(risk: f64, alarm_at: f64, warning_share: f64) -> Option<RiskLevel> {
        match risk {
            _ if risk.is_nan() || alarm_at.is_nan() => None,
            risk if risk >= alarm_at => Some(RiskLevel::Critical),
            risk if risk >= warning_share * alarm_at => Some(RiskLevel::Warning),
            _ => Some(RiskLevel::Normal),
        }
    }
}

impl std::fmt::Display for RiskLevel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            RiskLevel::Normal => "normal",
            RiskLevel::Warning => "warning",
            RiskLevel::Critical => "critical",
        })
    }
}
