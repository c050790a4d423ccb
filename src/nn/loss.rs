//! What training makes small. Every loss is a mean over windows and horizons.

use crate::onnx::{GraphBuilder, Value};
use candle_core::{D, Result, Tensor, bail};
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
        #[serde(default = "one_deviation")]
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
    /// Binary cross-entropy of the probability that the target is above 0, one half where it is 0; only as a head of
    /// `mixed`.
    Direction,
    /// Several heads on one network for the same horizons: the weighted sum of their losses. The forecast is that of the
    /// first head; the others shape what the network sees.
    Mixed {
        /// The first one forecasts.
        #[schemars(length(min = 1))]
        heads: Vec<Head>,
    },
}

/// One of several losses.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Head {
    /// Any loss but `mixed`.
    pub loss: LossConfig,
    /// What it is multiplied by.
    #[serde(default = "one")]
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub weight: f64,
}

fn one() -> f64 {
    1.0
}

impl LossConfig {
    /// Whether the settings make sense.
    ///
    /// # Errors
    /// Says which setting does not, and why.
    pub fn check(&self) -> std::result::Result<(), String> {
        match self {
            LossConfig::Mse | LossConfig::Bce => Ok(()),
            LossConfig::Direction => Err(
                "loss.direction forecasts no size; make it a head of `mixed`, behind mse, huber or quantile"
                    .into(),
            ),
            LossConfig::Mixed { heads } => check_heads(heads),
            LossConfig::Huber { delta } if delta.is_finite() && *delta > 0.0 => Ok(()),
            LossConfig::Huber { delta } => Err(format!("loss.huber.delta must be above 0, not {delta}")),
            LossConfig::Quantile { levels } => check_levels(levels),
        }
    }

    /// Whether it is this loss, or has it as a head.
    pub fn uses(&self, wanted: &LossConfig) -> bool {
        match self {
            LossConfig::Mixed { heads } => heads.iter().any(|head| head.loss == *wanted),
            loss => loss == wanted,
        }
    }

    /// Q: network outputs per horizon.
    pub fn outputs_per_horizon(&self) -> usize {
        match self {
            LossConfig::Quantile { levels } => levels.len(),
            LossConfig::Mixed { heads } => heads.iter().map(|head| head.loss.outputs_per_horizon()).sum(),
            _ => 1,
        }
    }

    /// The loss of outputs `[B, H * Q]` (head after head, the quantiles of a horizon side by side) against targets
    /// `[B, H]`, a scalar. `zero` `[H]` is what a target of 0 is among these, which may be standardised.
    ///
    /// # Errors
    /// Shapes that do not fit.
    pub fn of(&self, outputs: &Tensor, targets: &Tensor, zero: &[f32]) -> Result<Tensor> {
        match self {
            LossConfig::Mse => (outputs - targets)?.sqr()?.mean_all(),
            LossConfig::Huber { delta } => {
                // With m = min(|e|, delta): m^2 / 2 + delta (|e| - m) is both branches in one.
                let error = (outputs - targets)?.abs()?;
                let inner = error.clamp(0.0, *delta)?;
                ((inner.sqr()? * 0.5)? + ((error - inner)? * *delta)?)?.mean_all()
            }
            LossConfig::Quantile { levels } => pinball(outputs, targets, levels),
            LossConfig::Bce => cross_entropy(outputs, targets),
            LossConfig::Direction => {
                let zero = Tensor::from_slice(zero, (1, zero.len()), targets.device())?;
                cross_entropy(outputs, &((targets.broadcast_sub(&zero)?.sign()? + 1.0)? * 0.5)?)
            }
            LossConfig::Mixed { heads } => {
                let (mut start, mut sum) = (0, None);
                for head in heads {
                    let width = zero.len() * head.loss.outputs_per_horizon();
                    let loss = head.loss.of(&outputs.narrow(1, start, width)?, targets, zero)?;
                    let loss = (loss * head.weight)?;
                    sum = Some(match sum {
                        None => loss,
                        Some(sum) => (sum + loss)?,
                    });
                    start += width;
                }
                sum.map_or_else(|| bail!("a mixed loss without heads"), Ok)
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
            LossConfig::Bce | LossConfig::Direction => candle_nn::ops::sigmoid(outputs),
            LossConfig::Mixed { heads } => {
                let Some(first) = heads.first() else { bail!("a mixed loss without heads") };
                let horizons = outputs.dim(1)? / self.outputs_per_horizon().max(1);
                let width = horizons * first.loss.outputs_per_horizon();
                first.loss.forecast(&outputs.narrow(1, 0, width)?.contiguous()?)
            }
            LossConfig::Quantile { levels } => {
                let median = median(levels);
                let (rows, columns) = outputs.dims2()?;
                let outputs = outputs.reshape((rows, columns / levels.len(), levels.len()))?;
                outputs.narrow(D::Minus1, median, 1)?.squeeze(D::Minus1)
            }
        }
    }

    /// The same as [`LossConfig::forecast`] in a graph, for so many horizons.
    pub fn graph(&self, graph: &mut GraphBuilder, outputs: &Value, horizons: usize) -> Value {
        match self {
            LossConfig::Mse | LossConfig::Huber { .. } => outputs.clone(),
            LossConfig::Bce | LossConfig::Direction => graph.sigmoid(outputs),
            LossConfig::Mixed { heads } => match heads.first() {
                Some(first) => {
                    let width = horizons * first.loss.outputs_per_horizon();
                    let outputs = graph.slice(outputs, 1, 0..width);
                    first.loss.graph(graph, &outputs, horizons)
                }
                None => outputs.clone(),
            },
            LossConfig::Quantile { levels } => {
                let place = |horizon: usize| (horizon * levels.len() + median(levels)) as i64;
                graph.gather(outputs, 1, &(0..horizons).map(place).collect::<Vec<i64>>())
            }
        }
    }
}

/// Place of the level whose quantile is the forecast.
fn median(levels: &[f64]) -> usize {
    levels.iter().position(|level| *level == MEDIAN).unwrap_or(levels.len() / 2)
}

fn check_heads(heads: &[Head]) -> std::result::Result<(), String> {
    if heads.is_empty() {
        return Err("loss.mixed.heads must hold at least one head".into());
    }
    for (index, head) in heads.iter().enumerate() {
        if !(head.weight.is_finite() && head.weight > 0.0) {
            return Err(format!("loss.mixed.heads[{index}].weight must be above 0, not {}", head.weight));
        }
        match &head.loss {
            LossConfig::Mixed { .. } => {
                return Err(format!(
                    "loss.mixed.heads[{index}] is mixed itself; write all heads into one list"
                ));
            }
            LossConfig::Direction if index > 0 => {}
            loss => loss.check().map_err(|text| format!("loss.mixed.heads[{index}]: {text}"))?,
        }
    }
    Ok(())
}

/// max(x, 0) - x y + ln(1 + e^-|x|): finite for every logit x.
fn cross_entropy(logits: &Tensor, classes: &Tensor) -> Result<Tensor> {
    let tail = (logits.abs()?.neg()?.exp()? + 1.0)?.log()?;
    ((logits.relu()? - (logits * classes)?)? + tail)?.mean_all()
}

fn one_deviation() -> f64 {
    1.0
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
