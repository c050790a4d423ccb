//! Ground: the units in which the engine counts. Time is nanoseconds since 1970-01-01 UTC; rates are basis points.

use std::fmt;

/// One basis point as a plain ratio: a fee of 10 bps is `10.0 * BASIS_POINT` of the notional.
pub const BASIS_POINT: f64 = 1e-4;

/// Nanoseconds of 24 hours.
pub const DAY_NANOSECONDS: i64 = 86_400 * 1_000_000_000;

/// Nanoseconds of a year of 365 days, the year by which every ratio is annualised.
pub const YEAR_NANOSECONDS: i64 = 365 * DAY_NANOSECONDS;

/// A moment in UTC, in nanoseconds since 1970-01-01 (years 1678 to 2262).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(pub i64);

impl Time {
    /// Reads `2021-03-04`, `2021-03-04T05:06:07`, `2021-03-04T05:06:07Z` or with an offset. Without a zone it is UTC.
    ///
    /// # Errors
    /// Says what was found and which forms are understood.
    pub fn parse(text: &str) -> Result<Time, String> {
        let hint = || {
            format!("`{text}` is not a time; write 2021-03-04, 2021-03-04T05:06:07 or 2021-03-04T05:06:07Z")
        };
        let timestamp = if let Ok(timestamp) = text.parse::<jiff::Timestamp>() {
            timestamp
        } else if let Ok(moment) = text.parse::<jiff::civil::DateTime>() {
            moment.to_zoned(jiff::tz::TimeZone::UTC).map_err(|_| hint())?.timestamp()
        } else {
            return Err(hint());
        };
        i64::try_from(timestamp.as_nanosecond()).map(Time).map_err(|_| hint())
    }

    /// The civil date and time of day in UTC.
    pub fn civil(self) -> jiff::civil::DateTime {
        self.zoned().datetime()
    }

    fn zoned(self) -> jiff::Zoned {
        // Every i64 of nanoseconds lies inside jiff's range of years -9999 to 9999, so the fallback is never taken.
        jiff::Timestamp::from_nanosecond(i128::from(self.0))
            .unwrap_or(jiff::Timestamp::UNIX_EPOCH)
            .to_zoned(jiff::tz::TimeZone::UTC)
    }

    /// `2021-03-04`.
    pub fn date(self) -> String {
        self.civil().date().to_string()
    }

    /// `2021-03-04 05:06`, for tables that people read.
    pub fn minute(self) -> String {
        self.civil().strftime("%Y-%m-%d %H:%M").to_string()
    }
}

/// RFC 3339 in UTC, with as many decimals of a second as there are: `2021-03-04T05:06:07Z`.
impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.zoned().timestamp())
    }
}

/// A number with its noun: `1 bar`, `2 bars`.
pub fn counted(count: usize, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}
