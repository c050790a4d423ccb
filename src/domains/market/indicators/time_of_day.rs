//! Time of the day.

use super::{Indicator, Memory};
use crate::table::Bars;
use crate::units::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Nanoseconds of a day; Unix time has no leap seconds.
pub(super) const DAY: i64 = 86_400 * 1_000_000_000;

/// Time of the day in UTC at which the bar starts, as a point on a circle (columns `sin` and `cos`; midnight is sin 0,
/// cos 1), so that 23:59 is near to 00:00. Constant, hence useless, for daily bars.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TimeOfDay {}

impl Indicator for TimeOfDay {
    fn names(&self) -> Vec<String> {
        vec!["time_of_day_sin".into(), "time_of_day_cos".into()]
    }

    fn warm_up(&self) -> usize {
        0
    }

    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    fn compute(&self, bars: &Bars) -> Vec<Vec<Vec<f64>>> {
        bars.symbols()
            .iter()
            .map(|symbol| on_circle(symbol.time(), |time| time.0.rem_euclid(DAY) as f64 / DAY as f64))
            .collect()
    }

    fn memory(&self) -> Memory {
        Memory::rows(1)
    }
}

/// Sine and cosine columns of a share (0 to 1) of a full turn.
pub(super) fn on_circle(times: &[Time], share: impl Fn(Time) -> f64) -> Vec<Vec<f64>> {
    let (sines, cosines) = times.iter().map(|time| (std::f64::consts::TAU * share(*time)).sin_cos()).unzip();
    vec![sines, cosines]
}
