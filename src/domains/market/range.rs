//! A range of numbers as text: `5..60`, `50..400 by 10`, `0.5..3 by 0.25`.

use serde_json::{Value, json};

/// The numbers of a range, from its start to its end, both included where the step meets it. Computed in decimal digits,
/// so that `0.1..0.5 by 0.1` holds the number that one writes as 0.3 and not 0.30000000000000004.
#[derive(Clone, Debug, PartialEq)]
pub struct NumberRange {
    /// In units of the last decimal place, as all that follows.
    first: i128,
    step: i128,
    count: usize,
    /// Digits after the decimal point.
    places: u32,
}

/// The `format` in a JSON Schema of text that is a range of numbers.
pub const RANGE_FORMAT: &str = "number-range";

/// How a range is written, for messages.
const FORM: &str = "write a range as 5..60 or 50..400 by 10";

/// More digits than this are a slip of the hand, and could not be told from their neighbours as f64.
const MOST_DIGITS: usize = 15;

impl NumberRange {
    /// Reads `first..last` (in steps of 1) or `first..last by step`; plain decimal numbers.
    ///
    /// # Errors
    /// Says what is missing or the wrong way round, and how a range is written.
    pub fn parse(text: &str) -> Result<NumberRange, String> {
        let (span, step) = match text.split_once(" by ") {
            Some((span, step)) => (span.trim(), step.trim()),
            None => (text.trim(), "1"),
        };
        let (first, last) = span.split_once("..").ok_or_else(|| format!("`{text}` is no range; {FORM}"))?;
        if first.is_empty() || last.is_empty() {
            let missing = if first.is_empty() { "start" } else { "end" };
            return Err(format!("the range `{text}` has no {missing}; {FORM}"));
        }
        let number = |part: &str| {
            Decimal::parse(part).ok_or_else(|| format!("`{part}` in the range `{text}` is no number; {FORM}"))
        };
        let (first, last, step) = (number(first)?, number(last)?, number(step)?);
        let places = first.places.max(last.places).max(step.places);
        let (start, end, stride) = (first.at(places), last.at(places), step.at(places));
        if stride <= 0 {
            return Err(format!("the range `{text}` has a step that is not above 0; {FORM}"));
        }
        if end < start {
            return Err(format!("the range `{text}` ends before it begins; write the smaller number first"));
        }
        let count = usize::try_from((end - start) / stride + 1).unwrap_or(usize::MAX);
        Ok(NumberRange { first: start, step: stride, count, places })
    }

    /// How many numbers; at least 1.
    #[expect(clippy::len_without_is_empty, reason = "never empty by construction")]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether all numbers are whole.
    pub fn is_whole(&self) -> bool {
        self.places == 0
    }

    /// The number at `index`, below [`NumberRange::len`], as it would be written.
    pub fn value(&self, index: usize) -> Value {
        let scaled = self.first + self.step * index as i128;
        if self.places == 0 {
            return Value::from(scaled as i64);
        }
        let unit = 10_i128.pow(self.places);
        let sign = if scaled < 0 { "-" } else { "" };
        let (whole, part) = (scaled.abs() / unit, scaled.abs() % unit);
        let written = format!("{sign}{whole}.{part:0width$}", width = self.places as usize);
        // Digits with a point are always a number; 0 cannot occur instead.
        Value::from(written.parse::<f64>().unwrap_or_default())
    }

    /// The smallest and the largest number.
    pub fn bounds(&self) -> (f64, f64) {
        let number = |index| self.value(index).as_f64().unwrap_or(f64::NAN);
        (number(0), number(self.count - 1))
    }
}

/// `digits` times 10 to the minus `places`.
struct Decimal {
    digits: i128,
    places: u32,
}

impl Decimal {
    fn parse(text: &str) -> Option<Decimal> {
        let text = text.trim();
        let (whole, part) = text.split_once('.').unwrap_or((text, ""));
        let (whole_digits, negative) = match whole.strip_prefix('-') {
            Some(digits) => (digits, true),
            None => (whole, false),
        };
        let plain = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
        let pointed = text.contains('.') && part.is_empty();
        let length = whole_digits.len() + part.len();
        if whole_digits.is_empty() || pointed || length > MOST_DIGITS || !plain(whole_digits) || !plain(part)
        {
            return None;
        }
        let digits: i128 = format!("{whole_digits}{part}").parse().ok()?;
        Some(Decimal { digits: if negative { -digits } else { digits }, places: part.len() as u32 })
    }

    fn at(&self, places: u32) -> i128 {
        self.digits * 10_i128.pow(places - self.places)
    }
}

/// The JSON Schema of text that is a range of numbers of this schema. The bounds are those of its numbers; validators
/// ignore them on text, the check of configurations does not.
pub fn range_schema(number: &Value) -> Value {
    let mut range = json!({
        "type": "string",
        "format": RANGE_FORMAT,
        "pattern": r"^-?\d+(\.\d+)?\.\.-?\d+(\.\d+)?( by \d+(\.\d+)?)?$",
    });
    for bound in ["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum"] {
        if let Some(value) = number.get(bound) {
            range[bound] = value.clone();
        }
    }
    let kinds = &number["type"];
    if kinds == "integer" || kinds.as_array().is_some_and(|kinds| kinds.contains(&json!("integer"))) {
        range["multipleOf"] = json!(1);
    }
    range
}
