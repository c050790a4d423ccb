//! Figures of a book against a benchmark over the same periods.

use super::finite;
use super::returns::{annual_growth, moments};
use serde::{Deserialize, Serialize};

/// A book beside a benchmark. Returns are simple returns a period, risk-free rate 0. `None` where a figure is not defined
/// (no variance, no period of the kind).
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BenchmarkMetrics {
    /// Covariance of both over the variance of the benchmark's returns (Sharpe 1964).
    pub beta: Option<f64>,
    /// Jensen's alpha a year, compounded: `(1 + mean - beta x benchmark's mean)^(periods per year) - 1` (empyrical;
    /// quantstats multiplies by the periods instead).
    pub alpha: Option<f64>,
    /// Sample deviation of the differences of returns, times sqrt(periods per year).
    pub tracking_error: Option<f64>,
    /// Mean over sample deviation of the differences, times sqrt(periods per year) (Goodwin 1998; empyrical and quantstats
    /// do not annualise).
    pub information_ratio: Option<f64>,
    /// Annual growth of the book over that of the benchmark, both over the periods in which the benchmark rose, and with a
    /// year of those periods (empyrical).
    pub up_capture: Option<f64>,
    /// The same over the periods in which it fell.
    pub down_capture: Option<f64>,
    /// Pearson's correlation of the returns.
    pub correlation: Option<f64>,
    /// Share of the book's variance that the benchmark explains: the correlation squared.
    pub r_squared: Option<f64>,
}

/// Figures of `returns` against `benchmark_returns` of the same periods. Series of unequal length have no figure.
pub fn benchmark_figures(
    returns: &[f64],
    benchmark_returns: &[f64],
    periods_per_year: f64,
) -> BenchmarkMetrics {
    if returns.len() != benchmark_returns.len() {
        return BenchmarkMetrics::default();
    }
    let pairs = || returns.iter().zip(benchmark_returns);
    let active: Vec<f64> = pairs().map(|(own, benchmark)| own - benchmark).collect();
    let active_moments = moments(&active);
    let capture = |counts: fn(f64) -> bool| {
        let chosen = || pairs().filter(|(_, benchmark)| counts(**benchmark));
        let growth = |of: fn((&f64, &f64)) -> f64| {
            let growth = chosen().map(|pair| 1.0 + of(pair)).product();
            annual_growth(growth, chosen().count(), periods_per_year)
        };
        finite(growth(|(own, _)| *own)? / growth(|(_, benchmark)| *benchmark)?)
    };
    let scale = periods_per_year.sqrt();
    let mut metrics = BenchmarkMetrics {
        tracking_error: active_moments.and_then(|(_, deviation)| finite(deviation * scale)),
        information_ratio: active_moments.and_then(|(mean, deviation)| finite(mean / deviation * scale)),
        up_capture: capture(|benchmark| benchmark > 0.0),
        down_capture: capture(|benchmark| benchmark < 0.0),
        ..BenchmarkMetrics::default()
    };
    if let Some((benchmark_mean, benchmark_deviation)) = moments(benchmark_returns) {
        let count = returns.len() as f64;
        let mean = returns.iter().sum::<f64>() / count;
        let products: f64 = pairs().map(|(own, other)| (own - mean) * (other - benchmark_mean)).sum();
        let covariance = products / (count - 1.0);
        let beta = covariance / (benchmark_deviation * benchmark_deviation);
        metrics.beta = finite(beta);
        metrics.alpha = finite((1.0 + mean - beta * benchmark_mean).powf(periods_per_year) - 1.0);
        metrics.correlation = moments(returns).and_then(|(_, deviation)| {
            finite((covariance / (deviation * benchmark_deviation)).clamp(-1.0, 1.0))
        });
        metrics.r_squared = metrics.correlation.map(|correlation| correlation * correlation);
    }
    metrics
}
