//! Figures of forecasts of rare events: a row has label 1 where the event comes within the next `horizon` bars, and the
//! forecast is a probability.
//!
//! The words, which every file of this folder shares:
//! - A *stretch* is a run of forecast rows of one fold and one symbol that follow each other; nothing below reaches from one
//!   stretch into another.
//! - An *event* is a run of rows with label 1; runs whose rows are less than a horizon apart are one event. Its *strike* is
//!   the bar that completes it, seen from its first row. An event that the stretch does not see begin is left out, since
//!   nobody can say how early it could have been seen.
//! - An *alarm* is raised by a row at or above the threshold and stands for the bars of the horizon, for that is what it
//!   says: within so many bars. Rows at or above the threshold that come while it stands belong to it; a later one raises the
//!   next alarm. So a model that always warns raises one alarm a horizon, and not one in all.
//! - An alarm is *false* where none of its rows at or above the threshold has label 1. So one that is raised a little too
//!   early but lasts is right, and so is one that comes after the strike where from that row there is still a fall to come:
//!   precision says how often an alarm meets an event, recall and lead say whether it came in time.
//! - *A day* is a day of the calendar with all symbols together: twice as many symbols raise twice as many alarms in it.
//! - Figures of the order of risks (area under the curve, average precision) compare the rows of one fold with each other:
//!   the model of another fold may call for another level of risk, and that says nothing about its order.
//! - An event is *caught* by its first row at or above the threshold that lies before the strike; the *lead* is the number
//!   of bars from that row to the strike.

mod alarms;
mod area;
mod calibration;
mod figures;
mod probability;
mod row_set;
mod rows;
mod threshold;

pub use alarms::AlarmConfig;
pub use area::{area_under_curve, area_under_curve_interval, average_precision};
pub use calibration::{CalibrationBin, calibration_bins, expected_calibration_error, share_interval};
pub use figures::{AlarmFigures, Beside, EventFigures, HINDSIGHT_RATES, HindsightPoint, event_figures};
pub use probability::{brier_score, log_loss, order_violations};
pub use row_set::Reached;
pub use rows::{Alarm, EventRows, RareEvent, RiskRows};
pub use threshold::alarm_threshold;
