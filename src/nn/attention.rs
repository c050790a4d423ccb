//! The encoder layer of a Transformer.

use super::{Parameters, Pass};
use crate::kernels::encoder::{EncoderSettings, EncoderShape, NormPlace};
use crate::kernels::encoder_layer::encoder_layer;
use crate::kernels::row_steps::Activation;
use candle_core::{Result, Tensor, Var};

/// Multi-head self-attention and a two-layer perceptron, each with a layer norm, dropout and a residual path; see
/// [`crate::kernels::encoder`] for the formula and [`EncoderShape::places`] for the order of the weights.
#[derive(Debug)]
pub struct EncoderLayer {
    /// All weights of the layer in one tensor, so that a layer is one operation.
    weights: Var,
    kind: EncoderKind,
    dropout: f64,
    sites: [String; 2],
}

/// What kind of encoder a layer belongs to.
#[derive(Clone, Copy, Debug)]
pub struct EncoderKind {
    /// Its sizes.
    pub shape: EncoderShape,
    /// Where its norms stand.
    pub norm: NormPlace,
    /// Of its perceptron.
    pub activation: Activation,
    /// Whether a position sees itself and those before it alone.
    pub causal: bool,
}

impl EncoderLayer {
    /// A layer named `name`: weights and biases uniform within 1 / sqrt(inputs), as in PyTorch's linear layer, norms with
    /// scale 1 and shift 0.
    ///
    /// # Errors
    /// A device that cannot hold it.
    pub fn new(parameters: &mut Parameters, name: &str, kind: EncoderKind, dropout: f64) -> Result<Self> {
        let places = kind.shape.places();
        let linears =
            [&places.queries_keys_values, &places.attention_output, &places.expand, &places.contract];
        let scales = [&places.attention_norm.scale, &places.feed_forward_norm.scale];
        let weights = parameters.add(name, kind.shape.count(), |k, u| {
            let linear = linears.iter().find(|place| (place.weight.start..place.bias.end).contains(&k));
            match linear {
                Some(place) => u / (place.inputs as f64).sqrt(),
                None if scales.iter().any(|scale| scale.contains(&k)) => 1.0,
                None => 0.0,
            }
        })?;
        let sites = ["attention", "feed_forward"].map(|part| format!("dropout after {name}.{part}"));
        Ok(EncoderLayer { weights, kind, dropout, sites })
    }

    /// x `[B, T, D]` -> the positions from `first` on, `[B, T - first, D]`. Where the positions before are not read, the
    /// last layer of an encoder saves most of its work.
    ///
    /// # Errors
    /// A shape that does not fit.
    pub fn forward(&self, x: &Tensor, first: usize, pass: &Pass) -> Result<Tensor> {
        let EncoderKind { shape, norm, activation, causal } = self.kind;
        let dropout = self.sites.each_ref().map(|site| pass.dropout_at(self.dropout, site));
        let settings =
            EncoderSettings { shape, norm, activation, causal, first, dropout, precision: pass.precision() };
        encoder_layer(x, &pass.weight(&self.weights), &settings, pass.arena())
    }
}
