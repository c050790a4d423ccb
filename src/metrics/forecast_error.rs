//! How sure the mean errors of forecasts are.

use super::finite;
use super::forecast::rounds;
use super::long_run::{enough_times, error_of_sum};
use crate::table::LabelKind;
use crate::units::Time;
use serde::{Deserialize, Serialize};

/// Standard errors of the figures of the same names in [`super::ForecastMetrics`], in their units: how far each would move
/// from one stretch of test rows to another. `None` where the figure is not defined or the rows are too few.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StandardErrors {
    /// Of the mean squared error.
    pub mse: Option<f64>,
    /// Of the mean absolute error.
    pub mae: Option<f64>,
    /// Of the share of forecasts that equal the outcome after rounding.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rounded_accuracy: Option<f64>,
}

/// What a forecast loses on one row, of the forecast and the outcome.
type Loss = fn(f64, f64) -> f64;

/// Standard errors of the mean over `horizons` of each horizon's mean error: `predictions` and `actual` are `[N, horizons]`
/// row-major, `times` is `[N]`, a row a symbol and time in any order. Outcomes that are null are skipped.
///
/// Rows of one time are taken as one value, since their outcomes share what moves all symbols, and times up to the longest
/// horizon apart as dependent, since their outcomes share bars; see [`super::ic_interval`] for the window. `None` for
/// fewer than twenty times, or fewer than four without overlap.
pub fn standard_errors(
    times: &[Time],
    kind: LabelKind,
    predictions: &[f64],
    actual: &[f64],
    horizons: &[u32],
) -> Option<StandardErrors> {
    let mut order: Vec<usize> = (0..times.len()).collect();
    // A stable sort: rows of one time keep their order, so that sums keep their bits.
    order.sort_by_key(|row| times[*row]);
    let known = |row: usize| {
        actual[row * horizons.len()..(row + 1) * horizons.len()].iter().any(|value| !value.is_nan())
    };
    order.retain(|row| known(*row));
    let groups: Vec<&[usize]> = order.chunk_by(|one, other| times[*one] == times[*other]).collect();
    let longest = horizons.iter().copied().max()? as usize;
    if !enough_times(groups.len(), longest) {
        return None;
    }
    let of = |loss: Loss| {
        let influences = influences(&groups, predictions, actual, (horizons.len(), loss));
        error_of_sum(&influences, longest).and_then(finite)
    };
    Some(StandardErrors {
        mse: of(|prediction, actual| (prediction - actual).powi(2)),
        mae: of(|prediction, actual| (prediction - actual).abs()),
        rounded_accuracy: rounds(kind, actual)
            .then(|| of(|prediction, actual| f64::from(u8::from(prediction.round() == actual))))
            .flatten(),
    })
}

/// What each time, a group of rows, adds to the mean over horizons of the mean loss, less its expectation: they add up to 0.
fn influences(
    groups: &[&[usize]],
    predictions: &[f64],
    actual: &[f64],
    (horizons, loss): (usize, Loss),
) -> Vec<f64> {
    let mut influences = vec![0.0; groups.len()];
    for horizon in 0..horizons {
        let losses = |rows: &[usize]| {
            let (mut sum, mut count) = (0.0, 0_usize);
            for place in rows.iter().map(|row| row * horizons + horizon) {
                if !actual[place].is_nan() {
                    sum += loss(predictions[place], actual[place]);
                    count += 1;
                }
            }
            (sum, count as f64)
        };
        let sums: Vec<(f64, f64)> = groups.iter().map(|rows| losses(rows)).collect();
        let (sum, count) = sums.iter().fold((0.0, 0.0), |all, one| (all.0 + one.0, all.1 + one.1));
        for (influence, (of_time, rows)) in influences.iter_mut().zip(&sums) {
            *influence += (of_time - rows * sum / count) / (count * horizons as f64);
        }
    }
    influences
}
