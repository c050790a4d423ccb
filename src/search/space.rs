//! The space of a search: named dimensions, each a list of choices or an interval, some of them only under a condition.

use super::axis::Axis;
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One point of a space: a value for each path whose condition holds.
pub type Settings = IndexMap<String, Value>;

/// Dimensions by the path of the setting that they vary: `train.optimizer.adamw.learning_rate`.
pub type Space = IndexMap<String, Dimension>;

/// What one setting may be: either `values`, or `min` and `max`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dimension {
    /// A list of choices, of any kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<Value>>,
    /// Smallest number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// Largest number, included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// Whole numbers only.
    pub int: bool,
    /// Equal ratios are equally likely instead of equal differences.
    pub log: bool,
    /// The dimension exists only where each of these settings has this value. A list means any of its values; where the
    /// setting's own values are lists, as `layers: [16, 8]`, it means that one list, and a list of lists any of them.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub when: IndexMap<String, Value>,
}

/// How a dimension is drawn and drawn upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scale {
    /// Choices without an order.
    Choice,
    /// Equal differences are equally likely.
    Linear,
    /// Equal ratios are equally likely.
    Log,
}

/// Beyond this the whole numbers have gaps in 64 bits.
const LARGEST_WHOLE: f64 = 9_007_199_254_740_992.0;

impl Dimension {
    /// Its scale.
    pub fn scale(&self) -> Scale {
        match (self.values.is_some(), self.log) {
            (true, _) => Scale::Choice,
            (false, true) => Scale::Log,
            (false, false) => Scale::Linear,
        }
    }

    /// Whether it is either choices or an interval, and not empty. Its condition is looked at by [`check_conditions`].
    ///
    /// # Errors
    /// Says what is missing, too much, or the wrong way round.
    pub fn check(&self) -> Result<(), String> {
        match (&self.values, self.min, self.max) {
            (Some(values), None, None) => self.check_values(values),
            (None, Some(min), Some(max)) => self.check_interval(min, max),
            (None, None, None) => {
                Err("there is nothing to choose from; write `values: [...]`, or `min` and `max`".into())
            }
            (None, None, Some(_)) => Err("`max` without `min`; write both ends".into()),
            (None, Some(_), None) => Err("`min` without `max`; write both ends".into()),
            (Some(_), ..) => Err("`values` beside `min` or `max`; write one or the other".into()),
        }
    }

    fn check_values(&self, values: &[Value]) -> Result<(), String> {
        if values.is_empty() {
            return Err("`values` is empty; list at least one".into());
        }
        if self.int || self.log {
            let word = if self.int { "int" } else { "log" };
            return Err(format!("`{word}` is for an interval of `min` and `max`, not for `values`"));
        }
        let twice =
            (1..values.len()).find(|index| values[..*index].iter().any(|v| equal(v, &values[*index])));
        match twice {
            Some(index) => Err(format!("the value {} stands twice in `values`", values[index])),
            None => Ok(()),
        }
    }

    fn check_interval(&self, min: f64, max: f64) -> Result<(), String> {
        let rules = [
            (min.is_finite() && max.is_finite(), "`min` and `max` must be finite numbers".to_owned()),
            (min <= max, format!("`min` is {min}, above `max`, which is {max}")),
            (
                !self.int || (min.fract() == 0.0 && max.fract() == 0.0),
                format!("with `int` both ends must be whole numbers, not {min} and {max}"),
            ),
            (
                !self.int || (min.abs() <= LARGEST_WHOLE && max.abs() <= LARGEST_WHOLE),
                format!("with `int` both ends must lie within {LARGEST_WHOLE} of 0"),
            ),
            (!self.log || min > 0.0, format!("with `log` the interval must lie above 0, but `min` is {min}")),
            ((max - min).is_finite(), format!("the interval from {min} to {max} is too long")),
        ];
        match rules.into_iter().find(|(good, _)| !good) {
            Some((_, message)) => Err(message),
            None => Ok(()),
        }
    }

    /// The value at a position of the unit interval: choices and whole numbers have equal shares of it (whole numbers on a
    /// `log` scale shares of equal ratios), other numbers lie evenly on their scale. Checked dimensions only.
    pub fn value_at(&self, unit: f64) -> Value {
        let axis = Axis::new(self);
        axis.value(axis.draw(unit))
    }

    /// The position of a value, the middle of its share where it has one; none where the dimension cannot take it.
    pub fn position_of(&self, value: &Value) -> Option<f64> {
        let axis = Axis::new(self);
        let coordinate = axis.coordinate(value)?;
        Some(axis.position(coordinate))
    }
}

/// Whether a condition on a setting holds where it has `value`: it is the value, or a list that holds it.
pub fn holds(wanted: &Value, value: &Value) -> bool {
    let listed = wanted.as_array().is_some_and(|values| values.iter().any(|one| equal(one, value)));
    equal(wanted, value) || listed
}

/// Equality in which 1 and 1.0 are the same number.
pub(super) fn equal(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left == right || left.as_f64() == right.as_f64(),
        (Value::Array(left), Value::Array(right)) => {
            left.len() == right.len() && left.iter().zip(right).all(|(left, right)| equal(left, right))
        }
        (Value::Object(left), Value::Object(right)) => {
            left.len() == right.len()
                && left.iter().all(|(key, value)| right.get(key).is_some_and(|other| equal(value, other)))
        }
        _ => left == right,
    }
}

/// Whether every condition is about another dimension and can come true, and none waits for itself. Of each dimension at
/// fault its path with what is wrong; dimensions must have passed [`Dimension::check`].
pub fn check_conditions(space: &Space) -> Vec<(String, String)> {
    let mut faults = Vec::new();
    for (path, dimension) in space {
        for (other, wanted) in &dimension.when {
            let Some(parent) = space.get(other) else {
                faults.push((path.clone(), format!("`when` names `{other}`, which does not vary")));
                continue;
            };
            let alternatives: &[Value] = wanted.as_array().map_or(&[], Vec::as_slice);
            let possible =
                std::iter::once(wanted).chain(alternatives).any(|value| parent.position_of(value).is_some());
            if !possible {
                faults.push((path.clone(), format!("`when` can never hold: `{other}` is never {wanted}")));
            }
        }
    }
    if let Err(circle) = order(space) {
        let message = format!("the conditions run in a circle: {}", circle.join(", "));
        faults.extend(circle.first().map(|path| (path.clone(), message)));
    }
    faults
}

/// The dimensions in an order in which each comes after those on which its condition looks, else as written.
///
/// # Errors
/// The paths that wait for each other.
pub(super) fn order(space: &Space) -> Result<Vec<usize>, Vec<String>> {
    let mut order: Vec<usize> = Vec::with_capacity(space.len());
    while order.len() < space.len() {
        let ready = space.iter().enumerate().position(|(index, (_, dimension))| {
            let known = |other: &String| space.get_index_of(other).is_none_or(|other| order.contains(&other));
            !order.contains(&index) && dimension.when.keys().all(known)
        });
        match ready {
            Some(index) => order.push(index),
            None => {
                let waiting = (0..space.len()).filter(|index| !order.contains(index));
                return Err(waiting.filter_map(|index| Some(space.get_index(index)?.0.clone())).collect());
            }
        }
    }
    Ok(order)
}
