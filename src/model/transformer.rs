//! A causal Transformer encoder over patches of bars, read at the last position.
//!
//! `patch_bars` neighbouring bars become one position (Nie et al. 2023); positions get a sinusoidal encoding, pass
//! pre-norm encoder layers in which none sees a later one, and the last position's output is normalised and read by one
//! linear layer.

use super::network::{self, Architecture, NetworkShape};
use super::{FitError, FitTask, Fitted, Model, Started};
use crate::nn::program::{ProgramBuilder, Slot};
use crate::nn::{Activation, EncoderKind, EncoderLayer, EncoderShape, NormPlace};
use crate::nn::{LayerNorm, Linear, Parameters, Pass, sinusoidal_positions};
use crate::onnx::{GraphBuilder, TensorData, Value};
use crate::seed::Seed;
use crate::train::{Network, TrainConfig};
use candle_core::Tensor;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A causal Transformer encoder over patches of bars.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Transformer {
    /// Bars of a window.
    #[schemars(range(min = 1))]
    pub window: usize,
    /// Numbers that describe a position; `heads` must divide it.
    #[schemars(range(min = 1))]
    pub width: usize,
    /// Attention heads.
    #[schemars(range(min = 1))]
    pub heads: usize,
    /// Encoder layers.
    #[schemars(range(min = 1))]
    pub layers: usize,
    /// Units in the middle of each layer's perceptron; `null` for four times the width.
    #[schemars(range(min = 1))]
    pub feed_forward: Option<usize>,
    /// Share of the encoded input and of each sublayer's output that is dropped in training.
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub dropout: f64,
    /// Bars that make one position; must divide the window. More is faster and coarser.
    #[schemars(range(min = 1))]
    pub patch_bars: usize,
}

impl Default for Transformer {
    fn default() -> Self {
        Transformer {
            window: 60,
            width: 64,
            heads: 4,
            layers: 2,
            feed_forward: None,
            dropout: 0.1,
            patch_bars: 1,
        }
    }
}

impl Model for Transformer {
    fn window(&self) -> usize {
        self.window
    }

    fn check(&self) -> Result<(), String> {
        let counts = [
            ("window", self.window),
            ("width", self.width),
            ("heads", self.heads),
            ("layers", self.layers),
            ("feed_forward", self.feed_forward.unwrap_or(1)),
            ("patch_bars", self.patch_bars),
        ];
        if let Some((name, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(format!("transformer.{name} must be at least 1"));
        }
        if !self.width.is_multiple_of(self.heads) {
            return Err(format!(
                "transformer.width {} must be a multiple of transformer.heads {}",
                self.width, self.heads
            ));
        }
        if !self.window.is_multiple_of(self.patch_bars) {
            return Err(format!(
                "transformer.window {} must be a multiple of transformer.patch_bars {}",
                self.window, self.patch_bars
            ));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(format!("transformer.dropout must be at least 0 and below 1, not {}", self.dropout));
        }
        Ok(())
    }

    fn parameters(&self, features: usize, outputs: usize, config: &TrainConfig) -> usize {
        if self.check().is_ok() { network::parameters(self, features, outputs, config) } else { 0 }
    }

    fn start<'a>(&self, task: FitTask<'a>) -> Result<Started<'a>, FitError> {
        self.check().map_err(FitError::Settings)?;
        network::start(self.clone(), task)
    }

    fn load(&self, folder: &Path) -> Result<Box<dyn Fitted>, FitError> {
        self.check().map_err(FitError::Settings)?;
        network::load(self, folder)
    }
}

impl Architecture for Transformer {
    fn length(&self) -> usize {
        self.window
    }

    fn kind(&self) -> &'static str {
        "transformer"
    }

    fn shape(&self) -> String {
        let EncoderShape { width, heads, feed_forward } = self.encoder();
        format!(
            "transformer {} x {width}, {heads} heads, {feed_forward} in the middle, {} bars a position",
            self.layers, self.patch_bars
        )
    }

    fn count(&self, shape: NetworkShape) -> usize {
        [
            Linear::count(self.patch_bars.saturating_mul(shape.features), self.width),
            self.encoder().count().saturating_mul(self.layers),
            LayerNorm::count(self.width),
            Linear::count(self.width, shape.outputs),
        ]
        .into_iter()
        .fold(0, usize::saturating_add)
    }

    fn network(&self, shape: NetworkShape, seed: Seed) -> candle_core::Result<Box<dyn Network>> {
        let mut parameters = Parameters::new(seed);
        let embed = Linear::new(&mut parameters, "embed", self.patch_bars * shape.features, self.width)?;
        let kind = EncoderKind {
            shape: self.encoder(),
            norm: NormPlace::First,
            activation: Activation::Relu,
            causal: true,
        };
        let layers = (0..self.layers)
            .map(|index| EncoderLayer::new(&mut parameters, &format!("encoder.{index}"), kind, self.dropout))
            .collect::<candle_core::Result<_>>()?;
        let norm = LayerNorm::new(&mut parameters, "norm", self.width)?;
        let head = Linear::new(&mut parameters, "head", self.width, shape.outputs)?;
        let positions = sinusoidal_positions(self.window / self.patch_bars, self.width)?;
        let dropout = self.dropout;
        Ok(Box::new(TransformerNetwork { parameters, embed, positions, layers, norm, head, dropout }))
    }

    fn settings(&self) -> serde_json::Value {
        serde_json::json!({ "transformer": self })
    }
}

impl Transformer {
    fn encoder(&self) -> EncoderShape {
        let feed_forward = self.feed_forward.unwrap_or(self.width.saturating_mul(4));
        EncoderShape { width: self.width, heads: self.heads, feed_forward }
    }
}

struct TransformerNetwork {
    parameters: Parameters,
    embed: Linear,
    /// `[T / patch, D]`
    positions: Tensor,
    layers: Vec<EncoderLayer>,
    norm: LayerNorm,
    head: Linear,
    dropout: f64,
}

impl Network for TransformerNetwork {
    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn forward(&self, x: &Tensor, pass: &Pass) -> candle_core::Result<Tensor> {
        let (batch, bars, features) = x.dims3()?;
        let length = self.positions.dim(0)?;
        let patches = x.reshape((batch, length, bars / length * features))?;
        let embedded = self.embed.forward(&patches, pass)?.broadcast_add(&self.positions)?;
        let mut sequence = pass.dropout(&embedded, self.dropout, "dropout after embed")?;
        for (index, layer) in self.layers.iter().enumerate() {
            // Of the last layer only the last position is read.
            let first = if index + 1 == self.layers.len() { length - 1 } else { 0 };
            sequence = layer.forward(&sequence, first, pass)?;
        }
        self.head.forward(&self.norm.forward(&sequence.squeeze(1)?, pass)?, pass)
    }

    fn program(&self, program: &mut ProgramBuilder) -> candle_core::Result<Slot> {
        let (x, length) = (program.input(), self.positions.dim(0)?);
        let patches = x.reshaped(length, x.rows / length * x.width);
        let embedded = self.embed.program(program, patches.view())?;
        let placed = program.constant_positions(embedded, &self.positions)?;
        let mut sequence = program.dropout(placed, self.dropout, "dropout after embed");
        for (index, layer) in self.layers.iter().enumerate() {
            let first = if index + 1 == self.layers.len() { length - 1 } else { 0 };
            sequence = layer.program(program, sequence, length, first)?;
        }
        let normal = self.norm.program(program, sequence.view())?;
        self.head.program(program, normal.view())
    }

    fn graph(&self, graph: &mut GraphBuilder, x: &Value, shape: [usize; 2]) -> candle_core::Result<Value> {
        let (length, width) = self.positions.dims2()?;
        let patches = graph.reshape(x, &[0, length as i64, (shape[0] / length * shape[1]) as i64]);
        let embedded = graph.within("embed", |graph| self.embed.graph(graph, &patches))?;
        let positions = TensorData::Floats(self.positions.flatten_all()?.to_vec1()?);
        let positions = graph.constant("positions", &[length, width], positions);
        let mut sequence = graph.add(&embedded, &positions);
        for (index, layer) in self.layers.iter().enumerate() {
            let first = if index + 1 == self.layers.len() { length - 1 } else { 0 };
            let scope = format!("encoder.{index}");
            sequence = graph.within(&scope, |graph| layer.graph(graph, &sequence, first..length))?;
        }
        let last = graph.squeeze(&sequence, 1);
        let normal = graph.within("norm", |graph| self.norm.graph(graph, &last))?;
        graph.within("head", |graph| self.head.graph(graph, &normal))
    }
}
