//! How alarms are chosen, as the user writes it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// From which risk on there is an alarm, for targets that are events (`drawdown_within`). The threshold of each model, fold
/// and horizon is chosen on the validation rows of that fold: the lowest one that keeps to the false alarms allowed.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct AlarmConfig {
    /// False alarms a day that are allowed on the validation rows of a fold, of all symbols together, above 0. An alarm
    /// stands for as many bars as the horizon has; it is false where no event comes.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub false_alarms_per_day: f64,
    /// The share of the threshold from which on the status is a warning, above 0 and at most 1.
    #[schemars(extend("exclusiveMinimum" = 0.0, "maximum" = 1.0))]
    pub warning_share: f64,
}

impl Default for AlarmConfig {
    fn default() -> Self {
        AlarmConfig { false_alarms_per_day: 1.0, warning_share: 0.5 }
    }
}

impl AlarmConfig {
    /// Whether the settings make sense.
    ///
    /// # Errors
    /// Says which setting does not, and what is expected.
    pub fn check(&self) -> Result<(), String> {
        let AlarmConfig { false_alarms_per_day: rate, warning_share: share } = *self;
        if !(rate > 0.0 && rate.is_finite()) {
            return Err(format!("`false_alarms_per_day` is {rate}; write a number above 0, such as 1"));
        }
        if !(share > 0.0 && share <= 1.0) {
            return Err(format!("`warning_share` is {share}; write a number above 0 and at most 1"));
        }
        Ok(())
    }
}
