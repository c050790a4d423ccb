//! What the run itself forecast, to hold the stream against.

use super::StreamError;
use crate::rundir::{RunDirError, TableFile};
use crate::units::Time;
use std::collections::HashMap;
use std::path::Path;

/// The forecasts of one model in `predictions.parquet`.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Symbol number and time of a forecast; where its values begin.
    places: HashMap<(usize, Time), usize>,
    values: Vec<f64>,
    /// Which horizons the table has, as places among those of the label.
    shown: Vec<usize>,
    /// `(fold, horizon place)`: from which risk on there is an alarm.
    alarms: HashMap<(i64, usize), f64>,
    /// Whether the run looked for such thresholds.
    events: bool,
}

impl Batch {
    /// Reads the forecasts of `model` from a run directory; symbols and horizons are numbered as in these lists.
    ///
    /// # Errors
    /// A table that is missing or damaged.
    pub(super) fn read(
        directory: &Path,
        model: &str,
        (symbols, horizons): (&[&str], &[u32]),
    ) -> Result<Batch, StreamError> {
        let path = directory.join("predictions.parquet");
        let table = TableFile::read(&path)?;
        let missing = || RunDirError::Damaged {
            path: path.clone(),
            reason: "it lacks a column".into(),
            remedy: "run the experiment again",
        };
        let (models, names) =
            (table.text("model").ok_or_else(missing)?, table.text("symbol").ok_or_else(missing)?);
        let (times, ahead) =
            (table.time("timestamp").ok_or_else(missing)?, table.integer("horizon").ok_or_else(missing)?);
        let (folds, values) =
            (table.integer("fold").ok_or_else(missing)?, table.float("prediction").ok_or_else(missing)?);
        let alarms = table.float("alarm_at");
        let mut batch = Batch { events: alarms.is_some(), ..Batch::default() };
        for row in (0..models.len()).filter(|row| &*models[*row] == model) {
            let symbol = symbols.iter().position(|symbol| **symbol == *names[row]);
            let place = horizons.iter().position(|horizon| i64::from(*horizon) == ahead[row]);
            let (Some(symbol), Some(place)) = (symbol, place) else { continue };
            if !batch.shown.contains(&place) {
                batch.shown.push(place);
            }
            batch.places.entry((symbol, times[row])).or_insert(batch.values.len());
            batch.values.push(values[row]);
            if let Some(alarm) = alarms.map(|alarms| alarms[row]).filter(|alarm| !alarm.is_nan()) {
                batch.alarms.insert((folds[row], place), alarm);
            }
        }
        Ok(batch)
    }

    /// Whether the run made the same forecast to the bit; none where it made none.
    pub(super) fn equals(&self, symbol: usize, time: Time, values: &[f64]) -> Option<bool> {
        let start = *self.places.get(&(symbol, time))?;
        let own = self.values.get(start..start + self.shown.len())?;
        let same = |(place, own): (&usize, &f64)| values[*place].to_bits() == own.to_bits();
        Some(self.shown.iter().zip(own).all(same))
    }

    /// From which risk on there is an alarm, a number a horizon (null where none was chosen, and at
    /// horizons that the table does not show); none where the run has no alarms.
    pub(super) fn alarms(&self, fold: usize, horizons: usize) -> Option<Vec<f64>> {
        let of = |place| self.alarms.get(&(fold as i64, place)).copied().unwrap_or(f64::NAN);
        self.events.then(|| (0..horizons).map(of).collect())
    }
}
