//! All figures of one horizon.

use super::area::{area_under_curve, area_under_curve_interval, average_precision};
use super::calibration::{CalibrationBin, calibration_bins, expected_calibration_error, share_interval};
use super::probability::{brier_score, log_loss};
use super::row_set::Reached;
use super::rows::{Alarm, EventRows, RareEvent};
use super::threshold::Descent;
use crate::metrics::{finite, quantile};
use crate::units::Time;
use serde::{Deserialize, Serialize};

/// False alarms a day at which the recall is told with hindsight.
pub const HINDSIGHT_RATES: [f64; 8] = [0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0];

/// How well one horizon of a model forecast events. `None` where a figure is not defined: no row with an event, none
/// without, or too few. See the head of this folder for the words.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EventFigures {
    /// Rows whose outcome is known.
    pub rows: usize,
    /// Days of the calendar that these rows fill: the times of each fold times the length of a bar, shared by all symbols.
    pub days: f64,
    /// Share of these rows with an event.
    pub base_rate: Option<f64>,
    /// Share of rows with an event among the training rows, the mean over the rows of their folds' shares.
    pub training_base_rate: Option<f64>,
    /// Area under the receiver operating characteristic, within folds: 0.5 is luck, 1 is perfect.
    pub auc: Option<f64>,
    /// Its 95 % interval, which takes account of overlapping labels.
    pub auc_interval: Option<[f64; 2]>,
    /// Average precision, the mean over folds weighted by their rows with an event; 1 is perfect.
    pub average_precision: Option<f64>,
    /// What luck reaches there: the base rates of the folds, weighted alike.
    #[serde(default)]
    pub average_precision_of_luck: Option<f64>,
    /// Mean squared error of the probability; small is good.
    pub brier: Option<f64>,
    /// The same of a forecast that is always the base rate of the fold's training rows.
    pub brier_of_training_base_rate: Option<f64>,
    /// 1 - Brier score / that of the training base rate: above 0 the forecast is better than the share of events that was
    /// known beforehand. The base rate of the judged rows themselves would be hindsight.
    pub brier_skill: Option<f64>,
    /// Mean negative logarithm of the probability of what came; small is good.
    pub log_loss: Option<f64>,
    /// Mean distance of forecast and observed share over the bins below.
    pub calibration_error: Option<f64>,
    /// Reliability in bins of equally many rows.
    pub calibration: Vec<CalibrationBin>,
    /// Events that could have been seen coming.
    pub events: usize,
    /// At the threshold that validation chose; absent where no fold has one.
    pub alarms: Option<AlarmFigures>,
    /// What the best threshold for these very rows would reach. Hindsight: nobody could have known it.
    pub hindsight: Vec<HindsightPoint>,
}

/// Alarms at a threshold.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AlarmFigures {
    /// Events before whose strike there was an alarm.
    pub caught: usize,
    /// Share of events that were caught.
    pub recall: Option<f64>,
    /// Its 95 % interval (Wilson): events are at least a horizon apart, so each counts as a case of its own.
    pub recall_interval: Option<[f64; 2]>,
    /// Alarms raised.
    pub alarms: usize,
    /// Alarms without an event, see [`Alarm`].
    pub false_alarms: usize,
    /// False alarms of all symbols together, over days.
    pub false_alarms_per_day: Option<f64>,
    /// Share of alarms that were not false.
    pub precision: Option<f64>,
    /// Share of rows at or above the threshold.
    pub time_in_alarm: Option<f64>,
    /// Bars from the first alarm to the strike of each caught event, rising.
    pub leads: Vec<u32>,
    /// Their median.
    pub median_lead: Option<f64>,
}

/// The threshold that hindsight would choose for a number of false alarms.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct HindsightPoint {
    /// False alarms a day that are allowed.
    pub false_alarms_per_day: f64,
    /// The lowest threshold that keeps to it on these rows, one for all folds; null where none does.
    pub threshold: Option<f64>,
    /// Share of events caught with it.
    pub recall: Option<f64>,
    /// Median lead in bars.
    pub median_lead: Option<f64>,
}

/// What the figures need besides the rows; each is `[R]`.
pub struct Beside<'a> {
    /// The start of each row's bar.
    pub times: &'a [Time],
    /// The base rate of the training rows of each row's fold.
    pub training_base_rate: &'a [f64],
    /// The threshold of each row's fold; null where it has none.
    pub alarm_at: &'a [f64],
}

/// All figures of these rows and the events in them.
pub fn event_figures(rows: &EventRows, events: &[RareEvent], beside: &Beside) -> EventFigures {
    let (fold, risk, happens) = (&rows.fold, &rows.risk, &rows.happens);
    let share = |part: usize, whole: usize| finite(part as f64 / whole as f64);
    let calibration = calibration_bins(risk, happens, rows.horizon);
    let brier = brier_score(risk, happens);
    let reference = brier_score(beside.training_base_rate, happens);
    let has_threshold = beside.alarm_at.iter().any(|threshold| !threshold.is_nan());
    EventFigures {
        rows: risk.len(),
        days: rows.days,
        base_rate: share(happens.iter().filter(|happens| **happens).count(), risk.len()),
        training_base_rate: finite(beside.training_base_rate.iter().sum::<f64>() / risk.len() as f64),
        auc: area_under_curve(fold, risk, happens),
        auc_interval: area_under_curve_interval((fold, beside.times), risk, happens, rows.horizon),
        average_precision: average_precision(fold, risk, happens),
        average_precision_of_luck: average_precision(fold, &vec![0.0; risk.len()], happens),
        brier,
        brier_of_training_base_rate: reference,
        brier_skill: brier.zip(reference).and_then(|(own, reference)| finite(1.0 - own / reference)),
        log_loss: log_loss(risk, happens),
        calibration_error: expected_calibration_error(&calibration),
        calibration,
        events: events.len(),
        alarms: has_threshold
            .then(|| alarm_figures(rows, events, &rows.reaching(|row| beside.alarm_at[row]))),
        hindsight: hindsight(rows, events),
    }
}

/// What the rows at or above a threshold are worth.
fn alarm_figures(rows: &EventRows, events: &[RareEvent], reached: &Reached) -> AlarmFigures {
    let alarms: Vec<Alarm> = rows.alarms(reached);
    let false_alarms = alarms.iter().filter(|alarm| alarm.is_false).count();
    let leads = leads(rows, events, reached);
    let recall = finite(leads.len() as f64 / events.len() as f64);
    let share = |part: usize, whole: usize| finite(part as f64 / whole as f64);
    AlarmFigures {
        caught: leads.len(),
        recall,
        recall_interval: recall.map(|recall| share_interval(recall, events.len() as f64)),
        alarms: alarms.len(),
        false_alarms,
        false_alarms_per_day: finite(false_alarms as f64 / rows.days),
        precision: share(alarms.len() - false_alarms, alarms.len()),
        time_in_alarm: share(reached.count(), rows.risk.len()),
        median_lead: median(&leads),
        leads,
    }
}

/// Bars from the first alarm to the strike of each caught event, rising.
fn leads(rows: &EventRows, events: &[RareEvent], reached: &Reached) -> Vec<u32> {
    let mut leads: Vec<u32> =
        events.iter().filter_map(|event| rows.lead(event, reached)).map(|lead| lead as u32).collect();
    leads.sort_unstable();
    leads
}

fn median(leads: &[u32]) -> Option<f64> {
    quantile(&leads.iter().map(|lead| f64::from(*lead)).collect::<Vec<f64>>(), 0.5)
}

fn hindsight(rows: &EventRows, events: &[RareEvent]) -> Vec<HindsightPoint> {
    let Some(descent) = Descent::new(rows) else { return Vec::new() };
    let point = |rate: &f64| {
        let threshold = descent.to_rate(*rate);
        let leads = leads(rows, events, &rows.reaching(|_| threshold.unwrap_or(f64::INFINITY)));
        HindsightPoint {
            false_alarms_per_day: *rate,
            threshold,
            recall: finite(leads.len() as f64 / events.len() as f64),
            median_lead: median(&leads),
        }
    };
    HINDSIGHT_RATES.iter().map(point).collect()
}
