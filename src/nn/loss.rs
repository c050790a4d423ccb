//! What training makes small. Every loss is a mean over windows and horizons.

use candle_core::{D, Result, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The level whose quantile is taken as the forecast.
const MEDIAN: f64 = 0.5;

/// The loss by name. Targets other than classes are standardised by the training windows before a loss sees them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LossConfig {
    /// Mean squared error.
    #[default]
    Mse,
    /// Squared error up to `delta`, linear beyond it (Huber 1964); less moved by a few extreme returns.
    Huber {
        /// In standard deviations of the target.
        #[schemars(extend("exclusiveMinimum" = 0.0))]
        delta: f64,
    },
    /// Pinball loss of several quantiles (Koenker and Bassett 1978); the forecast is the median.
    Quantile {
        /// Rising, each between 0 and 1, with 0.5 among them.
        #[schemars(length(min = 1), inner(range(min = 0.0, max = 1.0)))]
        levels: Vec<f64>,
    },
    /// Binary cross-entropy of a probability; for targets that are 0 or 1.
    Bce,
}

impl LossConfig {
    /// Whether the settings make sense.
    ///
    /// # Errors
    /// Says which setting does not, and why.
    pub fn check(&self) -> std::result::Result<(), String> {
        match self {
            LossConfig::Mse | LossConfig::Bce => Ok(()),
            LossConfig::Huber { delta } if delta.is_finite() && *delta > 0.0 => Ok(()),
            LossConfig::Huber { delta } => Err(format!("loss.huber.delta must be above 0, not {delta}")),
            LossConfig::Quantile { levels } => check_levels(levels),
        }
    }

    /// Network outputs per horizon.
    pub fn outputs_per_horizon(&self) -> usize {
        match self {
            LossConfig::Quantile { levels } => levels.len(),
            _ => 1,
        }
    }

    /// The loss of outputs `[B, H * Q]` (the quantiles of a horizon side by side) against targets `[B, H]`, a scalar.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn of(&self, outputs: &Tensor, targets: &Tensor) -> Result<Tensor> {
        match self {
            LossConfig::Mse => (outputs - targets)?.sqr()?.mean_all(),
            LossConfig::Huber { delta } => {
                // With m = min(|e|, delta): m^2 / 2 + delta (|e| - m) is both branches in one.
                let error = (outputs - targets)?.abs()?;
                let inner = error.clamp(0.0, *delta)?;
                ((inner.sqr()? * 0.5)? + ((error - inner)? * *delta)?)?.mean_all()
            }
            LossConfig::Quantile { levels } => pinball(outputs, targets, levels),
            LossConfig::Bce => {
                // max(x, 0) - x y + ln(1 + e^-|x|): finite for every logit x.
                let tail = (outputs.abs()?.neg()?.exp()? + 1.0)?.log()?;
                ((outputs.relu()? - (outputs * targets)?)? + tail)?.mean_all()
            }
        }
    }

    /// The forecast of each horizon `[B, H]` from outputs `[B, H * Q]`: the median, or a probability from a logit.
    ///
    /// # Errors
    /// A shape that does not fit.
    pub fn forecast(&self, outputs: &Tensor) -> Result<Tensor> {
        match self {
            LossConfig::Mse | LossConfig::Huber { .. } => Ok(outputs.clone()),
            LossConfig::Bce => candle_nn::ops::sigmoid(outputs),
            LossConfig::Quantile { levels } => {
                let median = levels.iter().position(|level| *level == MEDIAN).unwrap_or(levels.len() / 2);
                let (rows, columns) = outputs.dims2()?;
                let outputs = outputs.reshape((rows, columns / levels.len(), levels.len()))?;
                outputs.narrow(D::Minus1, median, 1)?.squeeze(D::Minus1)
            }
        }
    }
}

fn check_levels(levels: &[f64]) -> std::result::Result<(), String> {
    let inside = levels.iter().all(|level| *level > 0.0 && *level < 1.0);
    let rising = levels.windows(2).all(|pair| pair[0] < pair[1]);
    if inside && rising && levels.contains(&MEDIAN) {
        return Ok(());
    }
    Err(format!(
        "loss.quantile.levels must rise, lie between 0 and 1 and contain 0.5 (the forecast), not {levels:?}"
    ))
}

/// Mean of max(l e, (l - 1) e) with e = y - q, written as l e + max(-e, 0).
fn pinball(outputs: &Tensor, targets: &Tensor, levels: &[f64]) -> Result<Tensor> {
    let (rows, horizons) = targets.dims2()?;
    let outputs = outputs.reshape((rows, horizons, levels.len()))?;
    let error = targets.unsqueeze(D::Minus1)?.broadcast_sub(&outputs)?;
    let levels: Vec<f32> = levels.iter().map(|level| *level as f32).collect();
    let levels = Tensor::from_vec(levels, (1, 1, outputs.dim(2)?), outputs.device())?;
    (error.broadcast_mul(&levels)? + error.neg()?.relu()?)?.mean_all()
}
