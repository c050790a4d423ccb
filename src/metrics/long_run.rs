//! Errors of sums and means of values, a time each, that depend on their neighbours.

use super::lanes::lane_product;

/// Half the width of a 95 % interval in standard errors.
pub const NORMAL_975: f64 = 1.959_963_984_540_054;

/// With fewer times an interval says nothing.
const FEWEST_TIMES: usize = 20;

/// Whether so many times tell an error: twenty, and four without overlap of outcomes that lie `horizon` times ahead.
pub(super) fn enough_times(times: usize, horizon: usize) -> bool {
    times >= FEWEST_TIMES.max(4 * horizon)
}

/// Standard error of the sum of centred values, a time each; `None` unless there are [`enough_times`].
pub(super) fn error_of_sum(values: &[f64], horizon: usize) -> Option<f64> {
    enough_times(values.len(), horizon)
        .then(|| (long_run_variance(values, horizon) * values.len() as f64).sqrt())
}

/// Variance of sqrt(n) times the mean of centred values whose neighbours up to `horizon` are dependent.
pub(super) fn long_run_variance(values: &[f64], horizon: usize) -> f64 {
    let count = values.len() as f64;
    let reach = horizon.max(1);
    let covariances: Vec<f64> =
        (0..2 * reach).map(|lag| lane_product(values, &values[lag.min(values.len())..]) / count).collect();
    let sum = |weight: &dyn Fn(f64) -> f64| {
        let later = covariances.iter().enumerate().skip(1);
        covariances[0]
            + 2.0 * later.map(|(lag, value)| weight(lag as f64 / reach as f64) * value).sum::<f64>()
    };
    let flat_top = sum(&|lag| (2.0 - lag).min(1.0));
    // The flat-top window can leave less than nothing; Bartlett's cannot.
    if flat_top > 0.0 { flat_top } else { sum(&|lag| 1.0 - 0.5 * lag) }
}
