//! Forecasts of rare events: the alarms that validation chooses.

use crate::metrics::{AlarmConfig, EventRows, alarm_threshold};
use crate::table::{ModelPredictions, NULL};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// The risk from which on a model raises an alarm, by fold; of each horizon, null where its validation rows hold no event.
pub(super) struct Thresholds(BTreeMap<u32, Vec<f64>>);

impl Thresholds {
    /// Chosen on the validation rows of each fold, for that fold alone. `interval` is the length of a bar in nanoseconds.
    pub(super) fn choose(alarms: &AlarmConfig, validation: &ModelPredictions, interval: i64) -> Thresholds {
        let of_fold = |fold: u32| {
            let of_horizon = |output: usize| {
                let rows = EventRows::new(validation, output, Some(fold), interval);
                alarm_threshold(&rows, alarms.false_alarms_per_day).unwrap_or(NULL)
            };
            (fold, (0..validation.horizons.len()).into_par_iter().map(of_horizon).collect())
        };
        let mut folds = validation.fold.clone();
        folds.dedup();
        Thresholds(folds.into_iter().map(of_fold).collect())
    }

    /// Writes them beside the forecasts of the same folds.
    pub(super) fn set(&self, predictions: &mut ModelPredictions) {
        let none = vec![NULL; predictions.horizons.len()];
        let of = |fold: &u32| self.0.get(fold).unwrap_or(&none).iter().copied();
        predictions.alarm_at = predictions.fold.iter().flat_map(of).collect();
    }
}
