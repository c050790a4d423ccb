//! The predictable part of a generated market, and its exact strength.

use crate::data::DataError;
use crate::table::NULL;
use crate::units::counted;

/// Short-term reversal: `s[t] = -ln(close[t] / close[t-h])` moves the next bar by `c * s[t]`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PlantedSignal {
    horizon_bars: usize,
    coefficient: f64,
}

impl PlantedSignal {
    /// Finds `c` for a wanted correlation of `s[t]` with `ln(close[t+h] / close[t])`.
    ///
    /// Returns follow the autoregression `r[t+1] = -c * (r[t] + .. + r[t-h+1]) + e[t+1]`. Its autocovariances, and from them
    /// the correlation, need nothing of `e` but that it is uncorrelated over time with a finite variance; clustered
    /// volatility and fat tails change nothing. The correlation rises with `c`, so bisection finds it.
    ///
    /// # Errors
    /// A horizon of 0, or a correlation that reversal over this horizon cannot have.
    pub fn solve(information_coefficient: f64, horizon_bars: usize) -> Result<PlantedSignal, DataError> {
        if horizon_bars == 0 || horizon_bars > 1000 {
            let found = counted(horizon_bars, "bar");
            return Err(DataError::setting("horizon-bars", found, "choose 1 to 1000"));
        }
        // Beyond h * |c| = 1 the autoregression explodes.
        let bound = 0.9 / horizon_bars as f64;
        let (mut low, mut high) = (-bound, bound);
        let attainable = correlation(low, horizon_bars)..correlation(high, horizon_bars);
        if !attainable.contains(&information_coefficient) {
            return Err(DataError::setting(
                "information-coefficient",
                format!("{information_coefficient}"),
                format!(
                    "with this horizon choose a number from {:.3} to {:.3}",
                    attainable.start, attainable.end
                ),
            ));
        }
        if information_coefficient == 0.0 {
            return Ok(PlantedSignal { horizon_bars, coefficient: 0.0 });
        }
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            if correlation(middle, horizon_bars) < information_coefficient {
                low = middle;
            } else {
                high = middle;
            }
        }
        Ok(PlantedSignal { horizon_bars, coefficient: 0.5 * (low + high) })
    }

    /// `c`.
    pub fn coefficient(&self) -> f64 {
        self.coefficient
    }

    /// The signal at each close, null for the first `h` bars.
    pub fn signal(&self, close: &[f64]) -> Vec<f64> {
        let h = self.horizon_bars;
        (0..close.len()).map(|t| if t < h { NULL } else { -(close[t] / close[t - h]).ln() }).collect()
    }
}

/// The correlation of `s[t]` with the return over the next `h` bars.
fn correlation(coefficient: f64, horizon: usize) -> f64 {
    // Response of the return, k bars later, to one unit of e; it decays at least like 0.9^(k/h).
    let terms = horizon * 400;
    let mut response = vec![1.0];
    for k in 1..terms {
        let sum: f64 = response[k.saturating_sub(horizon)..k].iter().sum();
        response.push(-coefficient * sum);
    }
    let autocovariance: Vec<f64> = (0..2 * horizon)
        .map(|lag| response[lag..].iter().zip(&response).map(|(later, earlier)| later * earlier).sum())
        .collect();
    let (mut variance, mut covariance) = (0.0, 0.0);
    for past in 0..horizon {
        for other in 0..horizon {
            variance += autocovariance[past.abs_diff(other)];
            covariance -= autocovariance[past + other + 1];
        }
    }
    covariance / variance
}
