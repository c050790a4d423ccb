//! Out-of-sample forecasts: the only door from tensors back to tables.

use super::{LabelKind, Sample};

/// The forecasts of one model over all folds. Each sample appears once: a row is forecast by the one fold whose test
/// part it lies in.
#[derive(Clone, Debug)]
pub struct ModelPredictions {
    /// The user's name of the model.
    pub model: String,
    /// What the numbers mean.
    pub kind: LabelKind,
    /// Horizons in bars, the columns of `values`.
    pub horizons: Vec<u32>,
    /// The forecast rows, sorted by fold, symbol, row.
    pub samples: Vec<Sample>,
    /// The fold that made each row's forecast.
    pub fold: Vec<u32>,
    /// `[N, horizons]` row-major: forecasts in the label's units.
    pub values: Vec<f64>,
    /// `[N, horizons]` row-major: what came; null where the future is not there yet.
    pub actual: Vec<f64>,
    /// `[N, horizons]` row-major: the risk from which on there is an alarm, chosen on the validation rows of the fold that
    /// made the forecast; null where they held no event to choose by, or already the highest risk there raises more false
    /// alarms than are allowed. Empty unless the labels are events.
    pub alarm_at: Vec<f64>,
    /// `[N]`: the unit in which an error is judged beside symbols of other size; empty where labels have their own.
    pub units: Vec<f64>,
}

impl ModelPredictions {
    /// `[symbol][row]`: the forecast of one horizon beside the bars, null where none was made. `rows` gives each
    /// symbol's number of bars.
    pub fn beside(&self, horizon: usize, rows: &[usize]) -> Vec<Vec<f64>> {
        self.spread(&self.values, horizon, rows)
    }

    /// The same of `alarm_at`; null everywhere where that is empty.
    pub fn alarm_beside(&self, horizon: usize, rows: &[usize]) -> Vec<Vec<f64>> {
        self.spread(&self.alarm_at, horizon, rows)
    }

    /// The forecasts that one fold made.
    #[must_use]
    pub fn of_fold(&self, fold: u32) -> ModelPredictions {
        let rows: Vec<usize> = (0..self.samples.len()).filter(|row| self.fold[*row] == fold).collect();
        let horizons = self.horizons.len();
        let wide = |values: &[f64]| -> Vec<f64> {
            let own = |row: &usize| values.get(row * horizons..(row + 1) * horizons).unwrap_or_default();
            rows.iter().flat_map(own).copied().collect()
        };
        ModelPredictions {
            model: self.model.clone(),
            kind: self.kind,
            horizons: self.horizons.clone(),
            samples: rows.iter().map(|row| self.samples[*row]).collect(),
            fold: vec![fold; rows.len()],
            values: wide(&self.values),
            actual: wide(&self.actual),
            alarm_at: wide(&self.alarm_at),
            units: rows.iter().filter_map(|row| self.units.get(*row)).copied().collect(),
        }
    }

    fn spread(&self, values: &[f64], horizon: usize, rows: &[usize]) -> Vec<Vec<f64>> {
        let mut columns: Vec<Vec<f64>> = rows.iter().map(|rows| vec![super::NULL; *rows]).collect();
        let of_horizon = values.iter().skip(horizon).step_by(self.horizons.len().max(1));
        for (sample, value) in self.samples.iter().zip(of_horizon) {
            columns[sample.symbol as usize][sample.row as usize] = *value;
        }
        columns
    }
}

/// The forecasts of all models.
#[derive(Clone, Debug, Default)]
pub struct Predictions(pub Vec<ModelPredictions>);

impl Predictions {
    /// The forecasts of the model that the user named so.
    pub fn model(&self, name: &str) -> Option<&ModelPredictions> {
        self.0.iter().find(|predictions| predictions.model == name)
    }
}
