//! A price that walks at random with clustered volatility, without bounds, and crashes on its way.

use super::crash_process::Course;
use super::depth_book::rounded;
use super::shocks::garch;
use crate::seed::Seed;

/// Price before the first bar.
const FIRST_PRICE: f64 = 3000.0;

/// Standard deviation of the return of a bar without stress.
const VOLATILITY: f64 = 0.0007;

/// Full stress makes moves larger by this share.
const STRESS_ON_VOLATILITY: f64 = 0.5;

/// The price at the close of each bar, rounded to 2 digits. `drift` is the mean change of its logarithm a bar, the falls
/// not counted.
pub(super) fn prices(course: &Course, drift: f64, seed: Seed) -> Vec<f64> {
    let mut shocks = seed.stream("price", 0);
    let (mut variance, mut walk) = (1.0, FIRST_PRICE.ln());
    let rows = course.log_factor.iter().zip(&course.stress);
    rows.map(|(factor, stress)| {
        let deviation = VOLATILITY * (1.0 + STRESS_ON_VOLATILITY * stress);
        walk += drift + deviation * garch(&mut variance, &mut shocks).value;
        rounded((walk + factor).exp(), 2).max(0.01)
    })
    .collect()
}
