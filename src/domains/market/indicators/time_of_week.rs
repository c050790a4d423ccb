//! Time of the week.

use super::time_of_day::{DAY, on_circle};
use super::{Indicator, Memory};
use crate::table::Bars;
use crate::units::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Time of the week in UTC at which the bar starts, as a point on a circle (columns `sin` and `cos`; Monday 00:00 is
/// sin 0, cos 1), so that Sunday night is near to Monday morning.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TimeOfWeek {}

impl Indicator for TimeOfWeek {
    fn names(&self) -> Vec<String> {
        vec!["time_of_week_sin".into(), "time_of_week_cos".into()]
    }

    fn warm_up(&self) -> usize {
        0
    }

    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    fn compute(&self, bars: &Bars) -> Vec<Vec<Vec<f64>>> {
        bars.symbols().iter().map(|symbol| on_circle(symbol.time(), share_of_week)).collect()
    }

    fn memory(&self) -> Memory {
        Memory::rows(1)
    }
}

/// How much of its week has passed, from 0 (Monday 00:00) to 1.
fn share_of_week(time: Time) -> f64 {
    // 1970-01-01 was a Thursday, three days into its week.
    let since_monday = (time.0.rem_euclid(7 * DAY) + 3 * DAY) % (7 * DAY);
    since_monday as f64 / (7 * DAY) as f64
}
