//! Integers that count time since 1970: a wrong unit must not pass as other years.

use super::config::TimeUnit;
use crate::units::Time;

/// Nobody has bars of other years; a wrong unit is off by a factor of 1000 and lands outside.
const YEARS: std::ops::Range<i64> = 1980..2101;

/// Why a count is not taken for a time.
pub(super) struct Implausible {
    /// The count, its unit, the date it would be.
    pub(super) found: String,
    /// The unit in which it would be a plausible time, and that time.
    pub(super) better: Option<(TimeUnit, Time)>,
}

/// Checks that a count is a time of the years 1980 to 2100.
pub(super) fn check_count(count: i64, unit: TimeUnit) -> Result<(), Implausible> {
    if plausible(count, unit).is_some() {
        return Ok(());
    }
    let date = match count.checked_mul(unit.nanoseconds()) {
        Some(nanoseconds) => Time(nanoseconds).date(),
        None => "beyond the years 1678 to 2262".into(),
    };
    let found = format!("{count} counted in {} is {date}, outside the years 1980 to 2100", unit.name());
    let units = [TimeUnit::S, TimeUnit::Ms, TimeUnit::Us, TimeUnit::Ns];
    let better = units.into_iter().find_map(|unit| plausible(count, unit).map(|time| (unit, time)));
    Err(Implausible { found, better })
}

fn plausible(count: i64, unit: TimeUnit) -> Option<Time> {
    let time = Time(count.checked_mul(unit.nanoseconds())?);
    YEARS.contains(&i64::from(time.civil().year())).then_some(time)
}
