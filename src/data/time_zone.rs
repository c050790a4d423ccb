//! From a clock on a wall to an instant.

use super::DataError;
use jiff::tz::{AmbiguousOffset, TimeZone};

/// The zone in which times without a zone are meant.
pub(super) struct Zone {
    name: String,
    /// `None` for UTC, where a clock shows instants.
    zone: Option<TimeZone>,
}

impl Zone {
    /// Finds an IANA zone.
    pub(super) fn named(name: &str) -> Result<Zone, DataError> {
        let zone = match name {
            "UTC" => None,
            _ => Some(TimeZone::get(name).map_err(|error| {
                let remedy = "write an IANA name such as UTC, America/New_York or Europe/London";
                DataError::setting("data.time_zone", format!("`{name}` is not known ({error})"), remedy)
            })?),
        };
        Ok(Zone { name: name.into(), zone })
    }

    /// The instant in nanoseconds of `count` units of `factor` nanoseconds since 1970-01-01, counted by the wall clock
    /// of this zone where `local`. A clock time that happens twice is its first pass.
    ///
    /// # Errors
    /// What is wrong, in words: out of range, or a clock time that never was.
    pub(super) fn instant(&self, count: i64, factor: i64, local: bool) -> Result<i64, String> {
        let nanoseconds = count.checked_mul(factor).filter(|value| *value != i64::MIN).ok_or_else(|| {
            format!(
                "{count} counts of {} lie outside the years 1678 to 2262",
                super::duration::duration_text(factor)
            )
        })?;
        match &self.zone {
            Some(zone) if local => self.instant_of_clock(zone, nanoseconds),
            _ => Ok(nanoseconds),
        }
    }

    fn instant_of_clock(&self, zone: &TimeZone, nanoseconds: i64) -> Result<i64, String> {
        let clock = crate::units::Time(nanoseconds).civil();
        let offset = match zone.to_ambiguous_timestamp(clock).offset() {
            AmbiguousOffset::Unambiguous { offset } => offset,
            AmbiguousOffset::Fold { before, .. } => before,
            AmbiguousOffset::Gap { .. } => {
                return Err(format!("{clock} never was in {}: the clock skipped it", self.name));
            }
        };
        nanoseconds
            .checked_sub(i64::from(offset.seconds()) * 1_000_000_000)
            .ok_or_else(|| format!("{clock} lies outside the years 1678 to 2262"))
    }
}
