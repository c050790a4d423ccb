//! Numbers as people read them: fixed digits, grouped thousands, a true minus sign, a dash where there is none.

/// What stands where a figure is not defined.
pub(super) const NONE: &str = "\u{2013}";

/// A no-break space, between a number and its unit.
pub(super) const SPACE: char = '\u{a0}';

/// Longer numbers are written with a power of ten: their digits say nothing and burst a table.
const LONGEST: f64 = 1e12;

/// `-1234.5` with two digits: `−1,234.50`; `9.30e23`, whatever the digits, from 10^12 on. A number that rounds to zero has no
/// sign.
pub(super) fn decimal(value: f64, digits: usize) -> String {
    if !value.is_finite() {
        return NONE.to_owned();
    }
    if value.abs() >= LONGEST {
        return powers(value);
    }
    let plain = format!("{:.digits$}", value.abs());
    let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
    let mut text = String::new();
    if value < 0.0 && plain.bytes().any(|byte| (b'1'..=b'9').contains(&byte)) {
        text.push('\u{2212}');
    }
    for (index, digit) in whole.chars().enumerate() {
        if index > 0 && (whole.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if !fraction.is_empty() {
        text.push('.');
        text += fraction;
    }
    text
}

/// As [`decimal`], for a figure that may not be defined.
pub(super) fn maybe(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| NONE.to_owned(), |value| decimal(value, digits))
}

/// A ratio in per cent: `0.1234` with one digit is `12.3 %`.
pub(super) fn percent(value: Option<f64>, digits: usize) -> String {
    match value {
        Some(value) if value.is_finite() => format!("{}{SPACE}%", decimal(100.0 * value, digits)),
        _ => NONE.to_owned(),
    }
}

/// A ratio in per cent with its sign always shown.
pub(super) fn signed_percent(value: f64, digits: usize) -> String {
    let text = percent(Some(value), digits);
    let positive =
        value.is_finite() && !text.starts_with('\u{2212}') && text.contains(|c| ('1'..='9').contains(&c));
    if positive { format!("+{text}") } else { text }
}

/// Three significant digits for figures whose size is not known beforehand: `2.50e−5`, `0.00123`, `12.3`, `1,230`.
pub(super) fn significant(value: f64) -> String {
    if value == 0.0 || !value.is_finite() {
        return decimal(value, 0);
    }
    let magnitude = value.abs().log10().floor() as i32;
    if magnitude < -4 {
        return powers(value);
    }
    decimal(value, (2 - magnitude).clamp(0, 9) as usize)
}

fn powers(value: f64) -> String {
    format!("{value:.2e}").replace('-', "\u{2212}")
}

/// A count with grouped thousands.
pub(super) fn count(value: usize) -> String {
    decimal(value as f64, 0)
}

/// `3 trials`, `1 trial`.
pub(super) fn counted(value: usize, noun: &str) -> String {
    format!("{}{SPACE}{noun}{}", count(value), if value == 1 { "" } else { "s" })
}

/// A length of time in the largest unit that keeps it whole: `1 hour`, `15 minutes`, `90 seconds`.
pub(super) fn duration(seconds: f64) -> String {
    // Seconds that were nanoseconds are whole up to rounding.
    let seconds = (seconds * 1e9).round() / 1e9;
    for (size, noun) in [(86_400.0, "day"), (3600.0, "hour"), (60.0, "minute")] {
        if seconds >= size && seconds % size == 0.0 {
            return counted((seconds / size) as usize, noun);
        }
    }
    if seconds > 0.0 && seconds.fract() == 0.0 {
        return counted(seconds as usize, "second");
    }
    format!("{}{SPACE}seconds", significant(seconds))
}

/// The date of an RFC 3339 time: its first ten characters.
pub(super) fn date(moment: &str) -> &str {
    moment.get(..10).unwrap_or(moment)
}
