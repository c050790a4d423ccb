//! Figures beside the best that any forecast can reach, where the process is known.

use super::ForecastMetrics;
use super::long_run::NORMAL_975;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// From so many standard errors below the floor on a figure is no luck.
const LEAK_ERRORS: f64 = 3.0;

/// The figures of the best possible forecast of a process that is known, such as a generated one: what is left when all
/// that can be known is known. Each is for one step ahead or many alike, in units of the label; those that are not known
/// are left out. No single forecast need reach all of them: the mean has the lowest squared error, the median the lowest
/// absolute one. A model that does better than the floor by more than its sampling error has seen the outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NoiseFloor {
    /// Lowest mean squared error, in squared units of the label.
    #[schemars(range(min = 0.0))]
    pub mse: Option<f64>,
    /// Lowest mean absolute error, in units of the label.
    #[schemars(range(min = 0.0))]
    pub mae: Option<f64>,
    /// Highest share of forecasts that equal the outcome after rounding to whole numbers.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub accuracy: Option<f64>,
}

/// By how much a figure is worse than the noise floor: above it for an error, below it for an accuracy. Less than 0 is luck
/// or a leak.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Excess {
    /// The floor itself.
    pub floor: f64,
    /// In the figure's unit.
    pub value: f64,
    /// Its 95 % interval, from the sampling error of the figure over the test rows; absent for too few rows.
    pub interval: Option<[f64; 2]>,
    /// Whether the figure is better than the floor by more than three of its standard errors.
    pub leaks: bool,
}

/// The figures of one model and horizon, or of all horizons, beside the floor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct FloorExcess {
    /// Of the mean squared error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mse: Option<Excess>,
    /// Of the mean absolute error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mae: Option<Excess>,
    /// Of the share of forecasts that equal the outcome after rounding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accuracy: Option<Excess>,
}

impl NoiseFloor {
    /// Whether the figures make sense.
    ///
    /// # Errors
    /// Says which does not, and what is expected.
    pub fn check(&self) -> Result<(), String> {
        for (name, value, most) in [
            ("mse", self.mse, f64::INFINITY),
            ("mae", self.mae, f64::INFINITY),
            ("accuracy", self.accuracy, 1.0),
        ] {
            if let Some(value) = value.filter(|value| !value.is_finite() || *value < 0.0 || *value > most) {
                let expected =
                    if most == 1.0 { "a share from 0 to 1" } else { "a finite number of at least 0" };
                return Err(format!("noise_floor.{name} is {value}, expected {expected}"));
            }
        }
        match self.mse.or(self.mae).or(self.accuracy) {
            Some(_) => Ok(()),
            None => Err("noise_floor names no figure; give mse, mae or accuracy, or leave it out".into()),
        }
    }

    /// How these figures stand beside the floor.
    pub fn beside(&self, metrics: &ForecastMetrics) -> FloorExcess {
        let errors = metrics.standard_errors.unwrap_or_default();
        let excess = |floor: Option<f64>, figure: Option<f64>, error: Option<f64>, sign: f64| {
            let floor = floor?;
            let value = sign * (figure? - floor);
            Some(Excess {
                floor,
                value,
                interval: error.map(|error| [value - NORMAL_975 * error, value + NORMAL_975 * error]),
                leaks: error.is_some_and(|error| value < -LEAK_ERRORS * error),
            })
        };
        FloorExcess {
            mse: excess(self.mse, metrics.mse, errors.mse, 1.0),
            mae: excess(self.mae, metrics.mae, errors.mae, 1.0),
            accuracy: excess(self.accuracy, metrics.rounded_accuracy, errors.rounded_accuracy, -1.0),
        }
    }
}

impl FloorExcess {
    /// The names of the figures that are better than is possible.
    pub fn leaks(&self) -> impl Iterator<Item = &'static str> {
        let figures = [("MSE", self.mse), ("MAE", self.mae), ("accuracy", self.accuracy)];
        figures
            .into_iter()
            .filter(|(_, excess)| excess.is_some_and(|excess| excess.leaks))
            .map(|(name, _)| name)
    }
}
