//! What training makes small. Every loss is a mean over windows and horizons.

use crate::kernels::population_loss::{LossKind, LossPart};
use crate::onnx::{GraphBuilder, Value};
use candle_core::{D, Result, Tensor, bail};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::de::{Error, Unexpected, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::json;
use std::borrow::Cow;
use std::fmt;

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
    /// Binary cross-entropy in which each 1 counts `positive_weight` times, for targets that are rarely 1. The forecast is
    /// sigmoid(logit - ln weight), which takes the weight out again (prior correction: King and Zeng 2001), so that it
    /// stays a probability.
    WeightedBce {
        /// balanced, or how often a target of 1 counts.
        #[serde(default)]
        positive_weight: PositiveWeight,
    },
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

/// How often a target of 1 counts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub enum PositiveWeight {
    /// Targets of 0 over targets of 1, among the training windows and all horizons: both classes weigh the same. 1, with a
    /// warning, where one of them is missing.
    #[default]
    Balanced,
    /// So many times, above 0.
    Times(f64),
}

impl PositiveWeight {
    /// The number.
    ///
    /// # Errors
    /// A balanced weight, which only training targets tell; see [`LossConfig::with_balanced_weight`].
    pub fn times(self) -> Result<f64> {
        match self {
            PositiveWeight::Times(weight) => Ok(weight),
            PositiveWeight::Balanced => bail!("the balanced weight of a loss was not resolved"),
        }
    }
}

const BALANCED: &str = "balanced";

impl Serialize for PositiveWeight {
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            PositiveWeight::Balanced => serializer.serialize_str(BALANCED),
            PositiveWeight::Times(weight) => serializer.serialize_f64(*weight),
        }
    }
}

impl<'de> Deserialize<'de> for PositiveWeight {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        deserializer.deserialize_any(WrittenWeight)
    }
}

struct WrittenWeight;

impl Visitor<'_> for WrittenWeight {
    type Value = PositiveWeight;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("balanced, or a number above 0")
    }

    fn visit_str<E: Error>(self, text: &str) -> std::result::Result<PositiveWeight, E> {
        match text {
            BALANCED => Ok(PositiveWeight::Balanced),
            other => Err(E::invalid_value(Unexpected::Str(other), &self)),
        }
    }

    fn visit_f64<E: Error>(self, weight: f64) -> std::result::Result<PositiveWeight, E> {
        Ok(PositiveWeight::Times(weight))
    }

    fn visit_u64<E: Error>(self, weight: u64) -> std::result::Result<PositiveWeight, E> {
        Ok(PositiveWeight::Times(weight as f64))
    }

    fn visit_i64<E: Error>(self, weight: i64) -> std::result::Result<PositiveWeight, E> {
        Ok(PositiveWeight::Times(weight as f64))
    }
}

impl JsonSchema for PositiveWeight {
    fn schema_name() -> Cow<'static, str> {
        "PositiveWeight".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let mut schema = Schema::default();
        let forms =
            json!([{"type": "string", "enum": [BALANCED]}, {"type": "number", "exclusiveMinimum": 0.0}]);
        schema.insert("anyOf".into(), forms);
        schema
    }
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
            LossConfig::WeightedBce { positive_weight: PositiveWeight::Times(weight) }
                if !(weight.is_finite() && *weight > 0.0) =>
            {
                Err(format!("loss.weighted_bce.positive_weight must be balanced or above 0, not {weight}"))
            }
            LossConfig::WeightedBce { .. } => Ok(()),
            LossConfig::Huber { delta } if delta.is_finite() && *delta > 0.0 => Ok(()),
            LossConfig::Huber { delta } => Err(format!("loss.huber.delta must be above 0, not {delta}")),
            LossConfig::Quantile { levels } => check_levels(levels),
        }
    }

    /// Whether it is such a loss, or has one as a head.
    pub fn uses(&self, wanted: impl Fn(&LossConfig) -> bool) -> bool {
        match self {
            LossConfig::Mixed { heads } => heads.iter().any(|head| wanted(&head.loss)),
            loss => wanted(loss),
        }
    }

    /// Whether a weight must be taken from the training targets before it can be computed.
    pub fn is_balanced(&self) -> bool {
        let balanced = LossConfig::WeightedBce { positive_weight: PositiveWeight::Balanced };
        self.uses(|loss| *loss == balanced)
    }

    /// The same with this number in place of every balanced weight.
    #[must_use]
    pub fn with_balanced_weight(&self, weight: f64) -> LossConfig {
        match self {
            LossConfig::WeightedBce { positive_weight: PositiveWeight::Balanced } => {
                LossConfig::WeightedBce { positive_weight: PositiveWeight::Times(weight) }
            }
            LossConfig::Mixed { heads } => LossConfig::Mixed {
                heads: heads
                    .iter()
                    .map(|head| Head { loss: head.loss.with_balanced_weight(weight), ..head.clone() })
                    .collect(),
            },
            loss => loss.clone(),
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
    /// Shapes that do not fit, or a balanced weight that was not resolved.
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
            LossConfig::WeightedBce { positive_weight } => {
                weighted_cross_entropy(outputs, targets, positive_weight.times()?)
            }
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

    /// The same for a device: a part a head.
    ///
    /// # Errors
    /// A balanced weight that was not resolved.
    pub fn parts(&self) -> Result<Vec<LossPart>> {
        let part = |kind, parameter: f64, levels: &[f64]| LossPart {
            kind,
            weight: 1.0,
            parameter: parameter as f32,
            levels: levels.iter().map(|level| *level as f32).collect(),
        };
        Ok(match self {
            LossConfig::Mse => vec![part(LossKind::Mse, 0.0, &[])],
            LossConfig::Huber { delta } => vec![part(LossKind::Huber, *delta, &[])],
            LossConfig::Quantile { levels } => vec![part(LossKind::Pinball, 0.0, levels)],
            LossConfig::Bce => vec![part(LossKind::CrossEntropy, 0.0, &[])],
            LossConfig::WeightedBce { positive_weight } => {
                vec![part(LossKind::WeightedCrossEntropy, positive_weight.times()?, &[])]
            }
            LossConfig::Direction => vec![part(LossKind::Direction, 0.0, &[])],
            LossConfig::Mixed { heads } => {
                let mut parts = Vec::new();
                for head in heads {
                    let of_head = head.loss.parts()?.into_iter();
                    parts.extend(of_head.map(|part| LossPart { weight: head.weight as f32, ..part }));
                }
                parts
            }
        })
    }

    /// The forecast of each horizon `[B, H]` from outputs `[B, H * Q]`: the median, or a probability from a logit.
    ///
    /// # Errors
    /// A shape that does not fit, or a balanced weight that was not resolved.
    pub fn forecast(&self, outputs: &Tensor) -> Result<Tensor> {
        match self {
            LossConfig::Mse | LossConfig::Huber { .. } => Ok(outputs.clone()),
            LossConfig::Bce | LossConfig::Direction => candle_nn::ops::sigmoid(outputs),
            LossConfig::WeightedBce { positive_weight } => {
                candle_nn::ops::sigmoid(&(outputs - positive_weight.times()?.ln())?)
            }
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
    ///
    /// # Errors
    /// As [`LossConfig::forecast`].
    pub fn graph(&self, graph: &mut GraphBuilder, outputs: &Value, horizons: usize) -> Result<Value> {
        match self {
            LossConfig::Mse | LossConfig::Huber { .. } => Ok(outputs.clone()),
            LossConfig::Bce | LossConfig::Direction => Ok(graph.sigmoid(outputs)),
            LossConfig::WeightedBce { positive_weight } => {
                let shift = graph.float("log_weight", positive_weight.times()?.ln() as f32);
                let logits = graph.subtract(outputs, &shift);
                Ok(graph.sigmoid(&logits))
            }
            LossConfig::Mixed { heads } => {
                let Some(first) = heads.first() else { bail!("a mixed loss without heads") };
                let width = horizons * first.loss.outputs_per_horizon();
                let outputs = graph.slice(outputs, 1, 0..width);
                first.loss.graph(graph, &outputs, horizons)
            }
            LossConfig::Quantile { levels } => {
                let place = |horizon: usize| (horizon * levels.len() + median(levels)) as i64;
                Ok(graph.gather(outputs, 1, &(0..horizons).map(place).collect::<Vec<i64>>()))
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

/// w y ln(1 + e^-x) + (1 - y) ln(1 + e^x), written as (1 - y) x + (1 + (w - 1) y) (max(-x, 0) + ln(1 + e^-|x|)): finite for
/// every logit x.
fn weighted_cross_entropy(logits: &Tensor, classes: &Tensor, weight: f64) -> Result<Tensor> {
    let tail = (logits.abs()?.neg()?.exp()? + 1.0)?.log()?;
    let surprise = (logits.neg()?.relu()? + tail)?;
    let negatives = (classes.neg()? + 1.0)?;
    let counts = ((classes * (weight - 1.0))? + 1.0)?;
    ((negatives * logits)? + (counts * surprise)?)?.mean_all()
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
