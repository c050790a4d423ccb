//! Normalising each window of each feature by its own numbers, before a network sees it.

use crate::onnx::{GraphBuilder, Value};
use candle_core::{Result, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Added to the variance, as in Kim et al. 2022 ("Reversible instance normalization").
const EPSILON: f64 = 1e-5;

/// How each window of each feature is normalised by its own numbers. Wanted where features are levels that wander, so that
/// test windows lie where no training window lay; features that are stationary already (returns, ratios) lose information.
///
/// Nothing is added back to a forecast: targets are changes and returns, hence relative to the last value already.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Normalisation {
    /// As it is.
    #[default]
    None,
    /// x minus the window's last value (the normalisation of NLinear, Zeng et al. 2023).
    LastValue,
    /// (x - mean) / deviation of the window. With a single feature the forecast is multiplied by that deviation, hence the
    /// target should be in units of the feature. With several features it is not, since no deviation is the target's.
    Instance,
}

/// A batch of normalised windows.
#[derive(Clone, Debug)]
pub struct NormalisedWindows {
    /// `[B, T, F]`
    pub x: Tensor,
    /// `[B, 1]`: what forecasts in normalised units are multiplied by; none where they are not.
    pub deviation: Option<Tensor>,
}

impl Normalisation {
    /// Normalises windows `[B, T, F]`.
    ///
    /// # Errors
    /// Another shape.
    pub fn apply(self, x: &Tensor) -> Result<NormalisedWindows> {
        let (_, length, features) = x.dims3()?;
        match self {
            Normalisation::None => Ok(NormalisedWindows { x: x.clone(), deviation: None }),
            Normalisation::LastValue => {
                let x = x.broadcast_sub(&x.narrow(1, length - 1, 1)?)?;
                Ok(NormalisedWindows { x, deviation: None })
            }
            Normalisation::Instance => {
                let centred = x.broadcast_sub(&x.mean_keepdim(1)?)?;
                let deviation = (centred.sqr()?.mean_keepdim(1)? + EPSILON)?.sqrt()?;
                let x = centred.broadcast_div(&deviation)?;
                let deviation = if features == 1 { Some(deviation.squeeze(1)?) } else { None };
                Ok(NormalisedWindows { x, deviation })
            }
        }
    }
}

/// [`NormalisedWindows`] in a graph.
pub struct NormalisedGraph {
    /// `[B, T, F]`
    pub x: Value,
    deviation: Option<Value>,
}

impl Normalisation {
    /// The same as [`Normalisation::apply`] in a graph, for windows of so many features.
    pub fn graph(self, graph: &mut GraphBuilder, x: &Value, features: usize) -> NormalisedGraph {
        match self {
            Normalisation::None => NormalisedGraph { x: x.clone(), deviation: None },
            Normalisation::LastValue => {
                let last = graph.gather(x, 1, &[-1]);
                NormalisedGraph { x: graph.subtract(x, &last), deviation: None }
            }
            Normalisation::Instance => {
                let mean = graph.mean(x, 1);
                let centred = graph.subtract(x, &mean);
                let squares = graph.multiply(&centred, &centred);
                let variance = graph.mean(&squares, 1);
                let epsilon = graph.float("epsilon", EPSILON as f32);
                let variance = graph.add(&variance, &epsilon);
                let deviation = graph.node("Sqrt", &[&variance], Vec::new());
                let x = graph.divide(&centred, &deviation);
                let restores = features == 1;
                NormalisedGraph { x, deviation: restores.then(|| graph.squeeze(&deviation, 1)) }
            }
        }
    }
}

impl NormalisedGraph {
    /// The same as [`NormalisedWindows::restore`] in a graph.
    pub fn restore(&self, graph: &mut GraphBuilder, outputs: Value) -> Value {
        match &self.deviation {
            Some(deviation) => graph.multiply(&outputs, deviation),
            None => outputs,
        }
    }
}

impl NormalisedWindows {
    /// Outputs `[B, outputs]` of a network over these windows, in the units of the target.
    ///
    /// # Errors
    /// Another shape.
    pub fn restore(&self, outputs: Tensor) -> Result<Tensor> {
        match &self.deviation {
            Some(deviation) => outputs.broadcast_mul(deviation),
            None => Ok(outputs),
        }
    }
}
