//! Whether two Sharpe ratios differ: the test of Ledoit and Wolf ("Robust performance hypothesis testing with the Sharpe
//! ratio", Journal of Empirical Finance, 2008).

use super::bootstrap::FEWEST_RETURNS;
use crate::metrics::finite;
use crate::metrics::lanes::lane_product;
use crate::metrics::normal::normal_cumulative;
use crate::metrics::returns::moments;

/// No memory above this is believed: a prewhitening filter near 1 would make the variance explode (Andrews and Monahan
/// 1992).
const MOST_MEMORY: f64 = 0.97;

/// Two-sided p-value of the hypothesis that two series of returns over the same periods have equal Sharpe ratios.
///
/// Delta method: the difference is a mean of influences `w_t = sum of gradient x (r, s, r^2, s^2)_t`, and its standard
/// error is that of a mean of dependent numbers: `HAC` with Parzen's kernel after prewhitening with an AR(1), bandwidth
/// by the automatic rule of Andrews (1991) - Ledoit and Wolf's `HAC_PW`, taken of the scalar series of influences
/// rather than of the four-dimensional one. A series without variance (cash) has the ratio 0 and no influence. `None`
/// for series of unequal length, of fewer than ten returns, or whose difference has no variance: they are the same.
pub fn sharpe_difference_test(model_returns: &[f64], baseline_returns: &[f64]) -> Option<f64> {
    if model_returns.len() != baseline_returns.len() || model_returns.len() < FEWEST_RETURNS {
        return None;
    }
    let count = model_returns.len() as f64;
    let [model, baseline] = [Series::new(model_returns), Series::new(baseline_returns)];
    let influences: Vec<f64> = model_returns
        .iter()
        .zip(baseline_returns)
        .map(|(one, other)| model.influence(*one) - baseline.influence(*other))
        .collect();
    // Influences are of order 1; what is left of equal ones is rounding.
    let spread = influences.iter().map(|value| value * value).sum::<f64>() / count;
    if spread < 1e-20 {
        return None;
    }
    let error = (long_run_variance(&influences)? / count).sqrt();
    finite(2.0 * normal_cumulative(-((model.ratio - baseline.ratio) / error).abs()))
}

/// What an influence on the Sharpe ratio needs to know of a series.
struct Series {
    ratio: f64,
    mean: f64,
    /// Population standard deviation; infinite without variance, which makes every influence 0.
    deviation: f64,
}

impl Series {
    fn new(returns: &[f64]) -> Series {
        let count = returns.len() as f64;
        match moments(returns) {
            Some((mean, deviation)) => {
                let deviation = deviation * ((count - 1.0) / count).sqrt();
                Series { ratio: mean / deviation, mean, deviation }
            }
            None => Series { ratio: 0.0, mean: 0.0, deviation: f64::INFINITY },
        }
    }

    /// By how much one return moves the ratio: `z - ratio / 2 (z^2 - 1)`, z being the standardised return. That is the
    /// gradient `(E r^2, -E r / 2) / deviation^3` of mean / sqrt(E r^2 - mean^2) times the centred `(r, r^2)`.
    fn influence(&self, value: f64) -> f64 {
        if self.deviation.is_infinite() {
            return 0.0;
        }
        let standard = (value - self.mean) / self.deviation;
        standard - 0.5 * self.ratio * (standard * standard - 1.0)
    }
}

/// The AR(1) coefficient of centred values by least squares, kept from 1; and the residuals.
fn whitened(values: &[f64]) -> (f64, Vec<f64>) {
    let pairs = || values.iter().zip(&values[1..]);
    let products: f64 = pairs().map(|(before, after)| before * after).sum();
    let squares: f64 = pairs().map(|(before, _)| before * before).sum();
    let memory = if squares > 0.0 { (products / squares).clamp(-MOST_MEMORY, MOST_MEMORY) } else { 0.0 };
    (memory, pairs().map(|(before, after)| after - memory * before).collect())
}

/// Variance of sqrt(n) times the mean of centred values: prewhitened kernel estimate with Parzen's kernel; Andrews' rule
/// `2.6614 (a n)^(1/5)`, `a = 4 p^2 / (1 - p)^4`, p being the memory of the residuals.
fn long_run_variance(values: &[f64]) -> Option<f64> {
    let (memory, residuals) = whitened(values);
    let (left, _) = whitened(&residuals);
    let count = residuals.len() as f64;
    let strength = 4.0 * left * left / (1.0 - left).powi(4);
    let bandwidth = 2.6614 * (strength * count).powf(0.2);
    let covariance = |lag: usize| lane_product(&residuals, &residuals[lag..]) / count;
    let lags = (bandwidth.ceil() as usize).min(residuals.len()).saturating_sub(1);
    let correlated: f64 = (1..=lags).map(|lag| parzen(lag as f64 / bandwidth) * covariance(lag)).sum();
    let variance = (covariance(0) + 2.0 * correlated) / ((1.0 - memory) * (1.0 - memory));
    (variance > 0.0).then_some(variance)
}

/// Parzen's kernel.
fn parzen(x: f64) -> f64 {
    let rest = (1.0 - x).max(0.0);
    if x <= 0.5 { 1.0 - 6.0 * x * x * rest } else { 2.0 * rest.powi(3) }
}
