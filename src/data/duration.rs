//! A length of time as people write it: `15m`, `4h`, `1d`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

const UNITS: [(&str, i64); 4] =
    [("d", 86_400_000_000_000), ("h", 3_600_000_000_000), ("m", 60_000_000_000), ("s", 1_000_000_000)];

/// A whole number of seconds `s`, minutes `m`, hours `h` or days `d` of 24 hours: `30s`, `15m`, `4h`, `1d`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(try_from = "String", into = "String")]
#[schemars(with = "String")]
pub struct BarDuration {
    nanoseconds: i64,
}

impl BarDuration {
    /// One second.
    pub const SECOND: BarDuration = BarDuration { nanoseconds: 1_000_000_000 };

    /// One minute.
    pub const MINUTE: BarDuration = BarDuration { nanoseconds: 60_000_000_000 };

    /// The length, positive.
    pub fn nanoseconds(self) -> i64 {
        self.nanoseconds
    }
}

impl FromStr for BarDuration {
    type Err = String;

    fn from_str(text: &str) -> Result<BarDuration, String> {
        let digits = text.len() - text.trim_start_matches(|letter: char| letter.is_ascii_digit()).len();
        let (number, unit) = text.split_at(digits);
        UNITS
            .iter()
            .find(|(name, _)| *name == unit)
            .and_then(|(_, length)| number.parse::<i64>().ok()?.checked_mul(*length))
            .filter(|length| *length > 0)
            .map(|nanoseconds| BarDuration { nanoseconds })
            .ok_or_else(|| {
                format!("`{text}` is not a length of time; write 30s, 15m, 4h or 1d, a positive whole number")
            })
    }
}

impl TryFrom<String> for BarDuration {
    type Error = String;

    fn try_from(text: String) -> Result<BarDuration, String> {
        text.parse()
    }
}

impl From<BarDuration> for String {
    fn from(duration: BarDuration) -> String {
        duration.to_string()
    }
}

impl fmt::Display for BarDuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&duration_text(self.nanoseconds))
    }
}

/// A length of time in its largest unit that divides it: `90m`, `4h`, `0.1s`.
pub(super) fn duration_text(nanoseconds: i64) -> String {
    for (name, length) in UNITS {
        if nanoseconds != 0 && nanoseconds % length == 0 {
            return format!("{}{name}", nanoseconds / length);
        }
    }
    format!("{}s", nanoseconds as f64 / 1e9)
}
