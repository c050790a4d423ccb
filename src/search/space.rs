//! The space of a search: named dimensions, each a list of choices or an interval, some of them only under a condition.

use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// One point of a space: a value for each path whose condition holds.
pub type Settings = IndexMap<String, serde_json::Value>;

/// Dimensions by the path of the setting that they vary: `train.optimizer.adamw.learning_rate`.
pub type Space = IndexMap<String, Dimension>;

/// What one setting may be: either `values`, or `min` and `max`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dimension {
    /// A list of choices, of any kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub values: Option<Vec<serde_json::Value>>,
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
    /// The dimension exists only where each of these settings has this value, or one of these values if it is a list.
    #[serde(skip_serializing_if = "IndexMap::is_empty")]
    pub when: IndexMap<String, serde_json::Value>,
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

impl Dimension {
    /// Its scale.
    pub fn scale(&self) -> Scale {
        match (self.values.is_some(), self.log) {
            (true, _) => Scale::Choice,
            (false, true) => Scale::Log,
            (false, false) => Scale::Linear,
        }
    }
}
