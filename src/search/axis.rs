//! One dimension as the methods see it: a coordinate for each of its values.
//!
//! The coordinate of a choice is its index. The coordinate of a number is its position in the unit interval on its scale; a
//! whole number owns a cell of that interval and stands for all of it.

use super::space::{Dimension, equal};
use serde_json::Value;

/// A dimension, compiled.
#[derive(Clone, Debug)]
pub(super) enum Axis {
    /// Choices without an order.
    Choices(Vec<Value>),
    /// Numbers from `low` to `high`.
    Interval {
        /// Smallest number.
        low: f64,
        /// Largest number.
        high: f64,
        /// Whole numbers only.
        whole: bool,
        /// Evenly spread over the logarithms.
        log: bool,
    },
}

impl Axis {
    /// Of a dimension that passed its check.
    pub(super) fn new(dimension: &Dimension) -> Axis {
        match &dimension.values {
            Some(values) => Axis::Choices(values.clone()),
            None => Axis::Interval {
                low: dimension.min.unwrap_or_default(),
                high: dimension.max.unwrap_or_default(),
                whole: dimension.int,
                log: dimension.log,
            },
        }
    }

    /// How many values it has, where they can be counted.
    pub(super) fn count(&self) -> Option<usize> {
        match self {
            Axis::Choices(values) => Some(values.len()),
            Axis::Interval { low, high, .. } if low == high => Some(1),
            Axis::Interval { low, high, whole: true, .. } => Some((high - low) as usize + 1),
            Axis::Interval { .. } => None,
        }
    }

    /// Whether its values have no order.
    pub(super) fn is_choice(&self) -> bool {
        matches!(self, Axis::Choices(_))
    }

    /// The coordinate of the value at this position of the unit interval.
    pub(super) fn draw(&self, unit: f64) -> f64 {
        let unit = unit.clamp(0.0, 1.0);
        match self {
            Axis::Choices(values) => (unit * values.len() as f64).floor().min((values.len() - 1) as f64),
            Axis::Interval { whole: true, .. } => self.unit_of(self.number(unit)),
            Axis::Interval { .. } => unit,
        }
    }

    /// The middle of the share of the unit interval that has this coordinate.
    pub(super) fn position(&self, coordinate: f64) -> f64 {
        match self {
            Axis::Choices(values) => (coordinate + 0.5) / values.len() as f64,
            Axis::Interval { .. } => coordinate,
        }
    }

    /// The value of a coordinate.
    pub(super) fn value(&self, coordinate: f64) -> Value {
        match self {
            Axis::Choices(values) => values[coordinate as usize].clone(),
            Axis::Interval { whole: true, .. } => Value::from(self.number(coordinate) as i64),
            Axis::Interval { .. } => Value::from(self.number(coordinate)),
        }
    }

    /// The coordinate of a value; none where it is no value of this dimension.
    pub(super) fn coordinate(&self, value: &Value) -> Option<f64> {
        match self {
            Axis::Choices(values) => {
                values.iter().position(|choice| equal(choice, value)).map(|index| index as f64)
            }
            Axis::Interval { low, high, whole, .. } => {
                let number = value.as_f64().filter(|number| (*low..=*high).contains(number))?;
                (!whole || number.fract() == 0.0).then(|| self.unit_of(number))
            }
        }
    }

    /// The coordinate of the number that is nearest to this one, for a dimension of numbers.
    pub(super) fn nearest(&self, number: f64) -> f64 {
        match self {
            Axis::Choices(_) => 0.0,
            Axis::Interval { low, high, whole, .. } => {
                let number = if *whole { number.round() } else { number };
                self.unit_of(number.clamp(*low, *high))
            }
        }
    }

    /// The coordinates of all values of a dimension that can be counted; the lower end of any other.
    pub(super) fn coordinates(&self) -> Vec<f64> {
        let count = self.count().unwrap_or(1);
        match self {
            Axis::Choices(_) => (0..count).map(|index| index as f64).collect(),
            Axis::Interval { low, .. } => (0..count).map(|rank| self.unit_of(low + rank as f64)).collect(),
        }
    }

    /// The coordinates of so many values evenly spread from end to end, or of all where there are fewer.
    pub(super) fn spread(&self, steps: usize) -> Vec<f64> {
        if self.is_choice() || self.count().is_some_and(|count| count <= steps) {
            return self.coordinates();
        }
        let last = steps.max(2) - 1;
        let mut coordinates: Vec<f64> = (0..steps).map(|step| self.draw(step as f64 / last as f64)).collect();
        // On a scale of ratios neighbours among the small whole numbers may be the same.
        coordinates.dedup();
        coordinates
    }

    /// The part of the unit interval for which a coordinate stands: the cell of a whole number, a point otherwise.
    pub(super) fn cell(&self, coordinate: f64) -> (f64, f64) {
        match self {
            Axis::Interval { whole: true, .. } => {
                let number = self.number(coordinate);
                (self.unit_of(number - 0.5), self.unit_of(number + 0.5))
            }
            _ => (coordinate, coordinate),
        }
    }

    /// The ends of the scale: an interval of whole numbers reaches half a number further, so that each has its cell.
    fn scale(&self) -> (f64, f64, bool) {
        let Axis::Interval { low, high, whole, log } = self else { return (0.0, 1.0, false) };
        let (low, high) = if *whole { (low - 0.5, high + 0.5) } else { (*low, *high) };
        if *log { (low.ln(), high.ln(), true) } else { (low, high, false) }
    }

    fn unit_of(&self, number: f64) -> f64 {
        let (start, end, log) = self.scale();
        let place = if log { number.ln() } else { number };
        if end > start { ((place - start) / (end - start)).clamp(0.0, 1.0) } else { 0.5 }
    }

    /// The number at a position of the unit interval.
    fn number(&self, unit: f64) -> f64 {
        let Axis::Interval { low, high, whole, .. } = self else { return 0.0 };
        let (start, end, log) = self.scale();
        let place = start + unit * (end - start);
        let number = if log { place.exp() } else { place };
        // A position on the border of two cells belongs to the upper one.
        let number = if *whole { (number + 0.5).floor() } else { number };
        number.clamp(*low, *high)
    }
}
