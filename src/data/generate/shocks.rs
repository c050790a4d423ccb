//! Shocks of prices: clustered volatility with fat tails.

use crate::seed::Stream;

/// GARCH(1,1) of unit variance: weight of the last squared shock, and of the last variance.
const SHOCK_WEIGHT: f64 = 0.06;
const MEMORY: f64 = 0.92;

/// A martingale difference and its standard deviation as it was known before.
#[derive(Clone, Copy)]
pub(super) struct Shock {
    pub(super) value: f64,
    pub(super) deviation: f64,
}

/// The next shock of unit variance, and the variance after it.
pub(super) fn garch(variance: &mut f64, stream: &mut Stream) -> Shock {
    let deviation = variance.sqrt();
    let value = deviation * student(stream);
    *variance = 1.0 - SHOCK_WEIGHT - MEMORY + SHOCK_WEIGHT * value * value + MEMORY * *variance;
    Shock { value, deviation }
}

/// Student t with 6 degrees of freedom, scaled to unit variance, cut at 12 deviations: exponentials of it must have a mean.
fn student(stream: &mut Stream) -> f64 {
    let normal = stream.normal();
    // A chi-squared variable with 6 degrees of freedom is twice the sum of three exponential ones.
    let chi_squared: f64 = (0..3).map(|_| -2.0 * (1.0 - stream.uniform()).ln()).sum();
    let scale = (6.0_f64 / 4.0).sqrt();
    (normal / (chi_squared / 6.0).sqrt() / scale).clamp(-12.0, 12.0)
}
