//! The encoder layer of a Transformer.

use super::{LayerNorm, Linear, Parameters, Pass};
use crate::kernels::attention::causal_attention;
use candle_core::{Result, Tensor};

/// Causal multi-head self-attention and a two-layer perceptron, each behind a layer norm and beside a residual path
/// ("pre-norm", Xiong et al. 2020, which trains without warm-up):
///
/// ```text
/// x = x + dropout(W attention(norm(x)))
/// x = x + dropout(W relu(W norm(x)))
/// ```
#[derive(Debug)]
pub struct EncoderLayer {
    attention_norm: LayerNorm,
    queries_keys_values: Linear,
    attention_output: Linear,
    feed_forward_norm: LayerNorm,
    expand: Linear,
    contract: Linear,
    heads: usize,
    dropout: f64,
    name: String,
}

/// The sizes of an encoder layer.
#[derive(Clone, Copy, Debug)]
pub struct EncoderShape {
    /// D, divisible by `heads`.
    pub width: usize,
    /// Attention heads.
    pub heads: usize,
    /// Units of the perceptron's middle.
    pub feed_forward: usize,
}

impl EncoderLayer {
    /// How many numbers are trained.
    pub fn count(shape: EncoderShape) -> usize {
        let EncoderShape { width, feed_forward, .. } = shape;
        [
            LayerNorm::count(width).saturating_mul(2),
            Linear::count(width, width.saturating_mul(3)),
            Linear::count(width, width),
            Linear::count(width, feed_forward),
            Linear::count(feed_forward, width),
        ]
        .into_iter()
        .fold(0, usize::saturating_add)
    }

    /// A layer named `name`.
    ///
    /// # Errors
    /// A device that cannot hold it.
    pub fn new(parameters: &mut Parameters, name: &str, shape: EncoderShape, dropout: f64) -> Result<Self> {
        let EncoderShape { width, heads, feed_forward } = shape;
        let part = |part: &str| format!("{name}.{part}");
        Ok(EncoderLayer {
            attention_norm: LayerNorm::new(parameters, &part("attention_norm"), width)?,
            queries_keys_values: Linear::new(parameters, &part("queries_keys_values"), width, 3 * width)?,
            attention_output: Linear::new(parameters, &part("attention_output"), width, width)?,
            feed_forward_norm: LayerNorm::new(parameters, &part("feed_forward_norm"), width)?,
            expand: Linear::new(parameters, &part("expand"), width, feed_forward)?,
            contract: Linear::new(parameters, &part("contract"), feed_forward, width)?,
            heads,
            dropout,
            name: name.to_owned(),
        })
    }

    /// x `[B, T, D]` -> the same shape; position t sees positions 0 to t alone.
    ///
    /// # Errors
    /// A shape that does not fit.
    pub fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let normal = self.attention_norm.forward(x, pass)?;
        let attended = causal_attention(&self.queries_keys_values.forward(&normal, pass)?, self.heads)?;
        let attended = self.attention_output.forward(&attended, pass)?;
        let site = |part: &str| format!("dropout after {}.{part}", self.name);
        let x = (x + pass.dropout(&attended, self.dropout, &site("attention"))?)?;
        let normal = self.feed_forward_norm.forward(&x, pass)?;
        let middle = self.expand.forward(&normal, pass)?.relu()?;
        let output = self.contract.forward(&middle, pass)?;
        x + pass.dropout(&output, self.dropout, &site("feed_forward"))?
    }
}
