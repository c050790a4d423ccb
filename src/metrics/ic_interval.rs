//! How sure an information coefficient is.

use super::finite;
use super::forecast::{FEWEST_SYMBOLS, correlation, correlations_by_time, known_rows};
use super::long_run::{NORMAL_975, enough_times, error_of_sum, long_run_variance};
use crate::units::Time;

/// 95 % interval of the information coefficient that [`super::forecast_metrics`] finds in the same rows, for outcomes that
/// lie `horizon_bars` times ahead. Rows whose outcome is null are skipped.
///
/// The coefficient is a mean over times of influences, which overlapping horizons make dependent: its standard error is
/// that of a mean with autocovariances up to the horizon in full and up to twice the horizon in part (the flat-top window
/// of Politis and Romano 1995), or by Newey and West's (1987) up to twice the horizon where that gives no variance. The
/// influence of a time is its own correlation across symbols less their mean; of one correlation r over all rows it is
/// the sum of `x y - r / 2 (x^2 + y^2)` over the time's rows, in standard units (the delta method). `None` for fewer than
/// twenty times, or fewer than four without overlap.
pub fn ic_interval(
    times: &[Time],
    predictions: &[f64],
    actual: &[f64],
    horizon_bars: usize,
) -> Option<[f64; 2]> {
    let rows = known_rows(times, predictions, actual);
    let groups = rows.chunk_by(|a, b| a.0 == b.0).count();
    if !enough_times(groups, horizon_bars) {
        return None;
    }
    let (coefficient, error) = match rows.len() >= FEWEST_SYMBOLS * groups {
        true => across_symbols(&rows, horizon_bars)?,
        false => over_all_rows(&rows, horizon_bars)?,
    };
    let half = finite(NORMAL_975 * error)?;
    Some([(coefficient - half).max(-1.0), (coefficient + half).min(1.0)])
}

/// Mean over times of the correlation across symbols, and its standard error.
fn across_symbols(rows: &[(Time, f64, f64)], horizon: usize) -> Option<(f64, f64)> {
    let mut influences = correlations_by_time(rows, correlation);
    let count = influences.len() as f64;
    let mean = finite(influences.iter().sum::<f64>() / count)?;
    influences.iter_mut().for_each(|value| *value -= mean);
    Some((mean, (long_run_variance(&influences, horizon) / count).sqrt()))
}

/// One correlation over all rows, and its standard error.
fn over_all_rows(rows: &[(Time, f64, f64)], horizon: usize) -> Option<(f64, f64)> {
    let (x, y): (Vec<f64>, Vec<f64>) = rows.iter().map(|row| (row.1, row.2)).unzip();
    let coefficient = correlation(&x, &y)?;
    let count = rows.len() as f64;
    let standard = |values: &[f64]| {
        let mean = values.iter().sum::<f64>() / count;
        let deviation = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / count).sqrt();
        values.iter().map(|value| (value - mean) / deviation).collect::<Vec<f64>>()
    };
    let (x, y) = (standard(&x), standard(&y));
    let mut influences = Vec::new();
    let mut start = 0;
    for group in rows.chunk_by(|a, b| a.0 == b.0) {
        let end = start + group.len();
        let pairs = x[start..end].iter().zip(&y[start..end]);
        influences.push(pairs.map(|(x, y)| x * y - 0.5 * coefficient * (x * x + y * y)).sum::<f64>());
        start = end;
    }
    Some((coefficient, error_of_sum(&influences, horizon)? / count))
}
