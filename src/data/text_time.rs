//! Times as people write them: ISO 8601, or a count since 1970.

use super::config::TimeUnit;
use super::epoch::check_count;
use super::time_zone::Zone;
use crate::units::Time;

/// An instant from ISO text, or from a count since 1970.
pub(super) fn instant(text: &str, unit: Option<TimeUnit>, zone: &Zone) -> Result<i64, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    // Eight digits are a date, 20210304, unless the unit was said.
    if digits && (text.len() != 8 || unit.is_some()) {
        let count: i64 = text.parse().map_err(|_| format!("`{text}` is too large for a time"))?;
        if unit.is_none() && count < 100_000_000 {
            return Err(format!(
                "`{text}` is a number of which the unit is not clear; say it with --time-unit"
            ));
        }
        let unit = unit.unwrap_or_else(|| TimeUnit::guess(count));
        plausible(count, unit)?;
        return zone.instant(count, unit.nanoseconds(), false);
    }
    if let Ok(seconds) = text.parse::<f64>()
        && !digits
    {
        let unit = unit.unwrap_or_else(|| TimeUnit::guess(seconds as i64));
        plausible(seconds as i64, unit)?;
        // Fractions of a count are kept to the microsecond, beyond which an f64 of today's seconds says nothing.
        let microseconds = (seconds * (unit.nanoseconds() as f64 / 1e3)).round();
        return zone.instant(microseconds as i64, 1_000, false);
    }
    let dashed = text.replace('/', "-");
    if let Ok(instant) = dashed.parse::<jiff::Timestamp>() {
        return i64::try_from(instant.as_nanosecond())
            .map_err(|_| format!("`{text}` lies outside the years 1678 to 2262"));
    }
    // An error quotes what is in the file.
    let clock = Time::parse(&dashed).map_err(|error| error.replace(&dashed, text))?;
    zone.instant(clock.0, 1, true)
}

fn plausible(count: i64, unit: TimeUnit) -> Result<(), String> {
    check_count(count, unit).map_err(|wrong| match wrong.better {
        Some((unit, time)) => {
            format!("{} (--time-unit {} makes it {})", wrong.found, unit.name(), time.date())
        }
        None => wrong.found,
    })
}
