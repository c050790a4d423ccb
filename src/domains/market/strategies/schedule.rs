//! When a portfolio is brought back to its weights.

use super::at_least;
use crate::table::Bars;
use crate::units::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When a portfolio is looked at again: decided at the close of the first bar of each new period.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Rebalance {
    /// Every so many steps of the timeline, at least 1.
    Bars(#[schemars(range(min = 1))] usize),
    /// At the first bar of each new day, week or month.
    Calendar(Calendar),
}

/// Periods of the calendar, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Calendar {
    /// From midnight.
    Day,
    /// From Monday.
    Week,
    /// From the first of the month.
    Month,
}

const DAY_NANOSECONDS: i64 = 86_400 * 1_000_000_000;

impl Rebalance {
    pub(super) fn check(&self) -> Result<(), String> {
        match self {
            Rebalance::Bars(bars) => at_least(1, "rebalance: bars", *bars),
            Rebalance::Calendar(_) => Ok(()),
        }
    }

    /// `[step]`: the number of the period in which each step of the timeline lies.
    fn periods(&self, times: &[Time]) -> Vec<i64> {
        let day = |time: &Time| time.0.div_euclid(DAY_NANOSECONDS);
        match self {
            Rebalance::Bars(bars) => (0..times.len()).map(|step| (step / bars) as i64).collect(),
            Rebalance::Calendar(Calendar::Day) => times.iter().map(day).collect(),
            // The first of January 1970 was a Thursday.
            Rebalance::Calendar(Calendar::Week) => {
                times.iter().map(|time| (day(time) + 3).div_euclid(7)).collect()
            }
            Rebalance::Calendar(Calendar::Month) => {
                let month = |time: &Time| {
                    let date = time.civil().date();
                    i64::from(date.year()) * 12 + i64::from(date.month())
                };
                times.iter().map(month).collect()
            }
        }
    }

    /// Whether step `earlier` is less than one period before step `later`: so many steps of the timeline, 24 hours, 7 days
    /// or, for months, 31 days.
    pub(super) fn within_period(&self, times: &[Time], earlier: usize, later: usize) -> bool {
        let days = match self {
            Rebalance::Bars(bars) => return later - earlier < *bars,
            Rebalance::Calendar(Calendar::Day) => 1,
            Rebalance::Calendar(Calendar::Week) => 7,
            Rebalance::Calendar(Calendar::Month) => 31,
        };
        times[later].0 - times[earlier].0 < days * DAY_NANOSECONDS
    }

    /// The steps of the timeline that begin a period; the first step is one.
    pub(super) fn due_steps(&self, bars: &Bars) -> Vec<usize> {
        let periods = self.periods(bars.timeline().times());
        (0..periods.len()).filter(|step| *step == 0 || periods[*step] != periods[*step - 1]).collect()
    }

    /// `[symbol][row]`: whether a symbol's bar is its first in a period. A symbol without a bar at the beginning of a
    /// period follows at its next one, which is also where [`super::weights::orders`] puts what is due at a step.
    pub(super) fn due_rows(&self, bars: &Bars) -> Vec<Vec<bool>> {
        let periods = self.periods(bars.timeline().times());
        let rows = (0..bars.symbols().len()).map(|symbol| {
            let mut last = None;
            let due = bars.timeline().steps(symbol).iter().map(|step| {
                let period = Some(periods[*step as usize]);
                std::mem::replace(&mut last, period) != period
            });
            due.collect()
        });
        rows.collect()
    }
}
