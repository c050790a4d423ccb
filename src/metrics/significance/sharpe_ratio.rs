//! How sure a Sharpe ratio is, and what is left of it after many trials.

use crate::metrics::finite;
use crate::metrics::normal::{normal_cumulative, normal_quantile};
use crate::metrics::returns::standard_moments;

/// Euler and Mascheroni's constant.
const EULER_MASCHERONI: f64 = 0.577_215_664_901_532_9;

/// A Sharpe ratio a period (not annualised) and what its uncertainty depends on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SharpeEstimate {
    /// Mean over sample standard deviation (ddof 1) of the returns a period.
    pub sharpe: f64,
    /// Number of returns.
    pub periods: usize,
    /// Population skewness of the returns: third central moment over the second to the power of 1.5.
    pub skew: f64,
    /// Population kurtosis of the returns, 3 for a normal distribution: fourth central moment over the second squared.
    pub kurtosis: f64,
}

impl SharpeEstimate {
    /// The estimate from simple returns a period. `None` for fewer than two returns or without variance.
    pub fn of(returns: &[f64]) -> Option<SharpeEstimate> {
        let moments = standard_moments(returns)?;
        Some(SharpeEstimate {
            sharpe: moments.mean / moments.deviation,
            periods: returns.len(),
            skew: moments.skew,
            kurtosis: moments.kurtosis,
        })
    }

    /// `1 - skew SR + (kurtosis - 1) / 4 SR^2`: the variance of the estimate times (periods - 1). `None` where it is not
    /// positive, which no distribution gives but rounded moments may.
    fn scaled_variance(&self) -> Option<f64> {
        let variance =
            1.0 - self.skew * self.sharpe + (self.kurtosis - 1.0) / 4.0 * self.sharpe * self.sharpe;
        (variance > 0.0).then_some(variance)
    }

    /// Probabilistic Sharpe ratio: probability that the true ratio a period is above `threshold`,
    /// `Phi((SR - threshold) sqrt(n - 1) / sqrt(1 - skew SR + (kurtosis - 1) / 4 SR^2))` (Bailey and Lopez de Prado:
    /// "The Sharpe ratio efficient frontier", 2012). quantstats takes sample moments and differs by O(1 / n).
    pub fn probability_above(&self, threshold: f64) -> Option<f64> {
        let periods = self.periods.checked_sub(1)? as f64;
        let score = (self.sharpe - threshold) * periods.sqrt() / self.scaled_variance()?.sqrt();
        finite(normal_cumulative(score))
    }

    /// Minimum track record length in periods: how many returns of this kind it takes until the ratio is above
    /// `threshold` with probability `confidence`, `1 + (1 - skew SR + (kurtosis - 1) / 4 SR^2) (Z / (SR - threshold))^2`
    /// (Bailey and Lopez de Prado 2012). `None` where the ratio is not above the threshold.
    pub fn minimum_track_record(&self, threshold: f64, confidence: f64) -> Option<f64> {
        let score = normal_quantile(confidence) / (self.sharpe - threshold);
        if self.sharpe > threshold { finite(1.0 + self.scaled_variance()? * score * score) } else { None }
    }
}

/// [`SharpeEstimate::probability_above`] of a series of returns: `threshold` is a Sharpe ratio a period.
pub fn probabilistic_sharpe(returns: &[f64], threshold: f64) -> Option<f64> {
    SharpeEstimate::of(returns)?.probability_above(threshold)
}

/// The Sharpe ratio that the best of `trials` without any skill is expected to show:
/// `sqrt(V) ((1 - g) Z(1 - 1 / N) + g Z(1 - 1 / (N e)))`, g = 0.5772 (Bailey and Lopez de Prado: "The deflated Sharpe
/// ratio", 2014). `variance` is that of the trials' Sharpe ratios, and the result has their unit (a period, or a year).
/// 0 for fewer than two trials, of which none was chosen.
pub fn expected_maximum_sharpe(trials: usize, variance: f64) -> f64 {
    if trials < 2 {
        return 0.0;
    }
    let count = trials as f64;
    let below = |odds: f64| -normal_quantile(odds.recip());
    let expected =
        (1.0 - EULER_MASCHERONI) * below(count) + EULER_MASCHERONI * below(count * std::f64::consts::E);
    variance.max(0.0).sqrt() * expected
}

/// Deflated Sharpe ratio: the probabilistic Sharpe ratio above [`expected_maximum_sharpe`] of `trials` whose Sharpe
/// ratios a period have the variance `variance` (Bailey and Lopez de Prado 2014).
pub fn deflated_sharpe(estimate: &SharpeEstimate, trials: usize, variance: f64) -> Option<f64> {
    estimate.probability_above(expected_maximum_sharpe(trials, variance))
}
