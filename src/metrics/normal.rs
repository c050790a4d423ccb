//! The normal distribution: what the significance of a ratio is measured by.

use std::f64::consts::TAU;

/// Here the series converges in few terms and does not cancel against 0.5; elsewhere the continued fraction is taken.
const SERIES: std::ops::RangeInclusive<f64> = -1.0..=3.0;

fn density(x: f64) -> f64 {
    (-0.5 * x * x).exp() / TAU.sqrt()
}

/// Probability that a standard normal number is at most `x`: the Taylor series of Marsaglia ("Evaluating the normal
/// distribution", 2004) near 0, Laplace's continued fraction in the tails. Relative error below 1e-13.
pub fn normal_cumulative(x: f64) -> f64 {
    if x.is_nan() {
        return x;
    }
    if SERIES.contains(&x) {
        let (mut term, mut sum, mut divisor) = (x, x, 1.0);
        while term.abs() > 1e-18 * sum.abs() {
            divisor += 2.0;
            term *= x * x / divisor;
            sum += term;
        }
        return 0.5 + density(x) * sum;
    }
    let tail = upper_tail(x.abs());
    if x < 0.0 { tail } else { 1.0 - tail }
}

/// Probability of more than `x`, which is at least 1: `density / (x + 1 / (x + 2 / (x + 3 / ...)))`, evaluated from a
/// depth at which it has converged for every such `x`.
fn upper_tail(x: f64) -> f64 {
    let fraction = (1..=400).rev().fold(x, |below, step| x + f64::from(step) / below);
    density(x) / fraction
}

/// The number that a standard normal one stays below with `probability`; infinite at 0 and 1, NaN outside. The rational
/// start of Abramowitz and Stegun (26.2.23) is refined by Halley's method to the last places.
pub fn normal_quantile(probability: f64) -> f64 {
    if !(0.0..=1.0).contains(&probability) {
        return f64::NAN;
    }
    if probability == 0.0 || probability == 1.0 {
        return if probability == 0.0 { f64::NEG_INFINITY } else { f64::INFINITY };
    }
    // In the lower half, where the tail keeps its relative precision.
    let lower = probability.min(1.0 - probability);
    let t = (-2.0 * lower.ln()).sqrt();
    let above = 2.515_517 + t * (0.802_853 + t * 0.010_328);
    let below = 1.0 + t * (1.432_788 + t * (0.189_269 + t * 0.001_308));
    let start = above / below - t;
    let quantile = (0..4).fold(start, |x, _| {
        let step = (normal_cumulative(x) - lower) / density(x);
        x - step / (1.0 + 0.5 * x * step)
    });
    if probability <= 0.5 { quantile } else { -quantile }
}
