//! A Transformer encoder over overlapping patches of each feature apart ("PatchTST", Nie et al. 2023).
//!
//! Every feature is a channel: a sequence of its own, cut into patches that overlap, whose end is padded by its last value.
//! All channels share one linear embedding, learned positions and the encoder layers, in which every patch sees every
//! other. One linear layer reads the outputs of all patches of all channels. With one feature a window, where every channel
//! is a symbol of its own, this is the channel-independent model of the paper. Two things differ from it: layer norm
//! stands where the paper has batch norm, since a window's forecast should not depend on its company; and the scores of
//! one layer's attention are not handed to the next.

use super::network::{self, Architecture, NetworkShape};
use super::{FitError, FitTask, Fitted, Model, Started};
use crate::nn::program::{ProgramBuilder, Slot};
use crate::nn::{Activation, EncoderKind, EncoderLayer, EncoderShape, NormPlace};
use crate::nn::{Linear, Normalisation, Parameters, Pass};
use crate::onnx::{GraphBuilder, TensorData, Value};
use crate::seed::Seed;
use crate::train::{Network, TrainConfig};
use candle_core::{Device, Tensor, Var};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::Path;

/// A Transformer encoder over overlapping patches of each feature apart (PatchTST).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PatchTransformer {
    /// Bars of a window.
    #[schemars(range(min = 1))]
    pub window: usize,
    /// Bars of a patch; at most the window.
    #[schemars(range(min = 1))]
    pub patch_bars: usize,
    /// Bars between the starts of two patches; at most `patch_bars`.
    #[schemars(range(min = 1))]
    pub stride_bars: usize,
    /// Numbers that describe a patch; `heads` must divide it.
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
    /// Share of the embedded patches and of each sublayer's output that is dropped in training.
    #[schemars(range(min = 0.0), extend("exclusiveMaximum" = 1.0))]
    pub dropout: f64,
    /// Whether each window of each feature is normalised by its own numbers.
    pub normalisation: Normalisation,
}

impl Default for PatchTransformer {
    fn default() -> Self {
        PatchTransformer {
            window: 96,
            patch_bars: 16,
            stride_bars: 8,
            width: 32,
            heads: 4,
            layers: 2,
            feed_forward: None,
            dropout: 0.2,
            normalisation: Normalisation::None,
        }
    }
}

impl Model for PatchTransformer {
    fn window(&self) -> usize {
        self.window
    }

    fn check(&self) -> Result<(), String> {
        let counts = [
            ("window", self.window),
            ("patch_bars", self.patch_bars),
            ("stride_bars", self.stride_bars),
            ("width", self.width),
            ("heads", self.heads),
            ("layers", self.layers),
            ("feed_forward", self.feed_forward.unwrap_or(1)),
        ];
        if let Some((name, _)) = counts.iter().find(|(_, count)| *count == 0) {
            return Err(format!("patch_transformer.{name} must be at least 1"));
        }
        if !self.width.is_multiple_of(self.heads) {
            return Err(format!(
                "patch_transformer.width {} must be a multiple of patch_transformer.heads {}",
                self.width, self.heads
            ));
        }
        if self.patch_bars > self.window || self.stride_bars > self.patch_bars {
            return Err(format!(
                "patch_transformer needs stride_bars <= patch_bars <= window, so that patches cover the window, not {}, {}, {}",
                self.stride_bars, self.patch_bars, self.window
            ));
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(format!(
                "patch_transformer.dropout must be at least 0 and below 1, not {}",
                self.dropout
            ));
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

impl Architecture for PatchTransformer {
    fn length(&self) -> usize {
        self.window
    }

    fn kind(&self) -> &'static str {
        "patch_transformer"
    }

    fn shape(&self) -> String {
        let EncoderShape { width, heads, feed_forward } = self.encoder();
        format!(
            "patch transformer {} x {width}, {heads} heads, {feed_forward} in the middle, patches of {} bars every {}",
            self.layers, self.patch_bars, self.stride_bars
        )
    }

    fn count(&self, shape: NetworkShape) -> usize {
        let positions = self.patches().saturating_mul(self.width);
        [
            Linear::count(self.patch_bars, self.width),
            positions,
            self.encoder().count().saturating_mul(self.layers),
            Linear::count(positions.saturating_mul(shape.features), shape.outputs),
        ]
        .into_iter()
        .fold(0, usize::saturating_add)
    }

    fn network(&self, shape: NetworkShape, seed: Seed) -> candle_core::Result<Box<dyn Network>> {
        let mut parameters = Parameters::new(seed);
        let patches = self.patches();
        let embed = Linear::new(&mut parameters, "embed", self.patch_bars, self.width)?;
        let positions = parameters.add("positions", (patches, self.width), |_, u| POSITION_BOUND * u)?;
        let kind = EncoderKind {
            shape: self.encoder(),
            norm: NormPlace::Last,
            activation: Activation::Gelu,
            causal: false,
        };
        let layers = (0..self.layers)
            .map(|index| EncoderLayer::new(&mut parameters, &format!("encoder.{index}"), kind, self.dropout))
            .collect::<candle_core::Result<_>>()?;
        let inputs = shape.features * patches * self.width;
        let head = Linear::new(&mut parameters, "head", inputs, shape.outputs)?;
        let last = self.window - 1;
        let bars = (0..patches).flat_map(|patch| {
            let start = patch * self.stride_bars;
            (start..start + self.patch_bars).map(move |bar| bar.min(last) as u32)
        });
        let bars = Tensor::from_vec(bars.collect::<Vec<u32>>(), patches * self.patch_bars, &Device::Cpu)?;
        let (dropout, normalisation) = (self.dropout, self.normalisation);
        Ok(Box::new(PatchNetwork {
            parameters,
            embed,
            positions,
            layers,
            head,
            bars,
            dropout,
            normalisation,
        }))
    }

    fn settings(&self) -> serde_json::Value {
        serde_json::json!({ "patch_transformer": self })
    }
}

/// First learned positions are uniform within it, as in the authors' program.
const POSITION_BOUND: f64 = 0.02;

impl PatchTransformer {
    fn encoder(&self) -> EncoderShape {
        let feed_forward = self.feed_forward.unwrap_or(self.width.saturating_mul(4));
        EncoderShape { width: self.width, heads: self.heads, feed_forward }
    }

    /// Patches of a window whose end is padded by `stride_bars` bars, as in the paper.
    fn patches(&self) -> usize {
        (self.window - self.patch_bars) / self.stride_bars + 2
    }
}

struct PatchNetwork {
    parameters: Parameters,
    embed: Linear,
    /// `[patches, D]`
    positions: Var,
    layers: Vec<EncoderLayer>,
    head: Linear,
    /// `[patches * patch_bars]`: which bar of the window stands where; the last one again behind the end.
    bars: Tensor,
    dropout: f64,
    normalisation: Normalisation,
}

impl Network for PatchNetwork {
    fn parameters(&self) -> &Parameters {
        &self.parameters
    }

    fn forward(&self, x: &Tensor, pass: &Pass) -> candle_core::Result<Tensor> {
        let (batch, _, features) = x.dims3()?;
        let (patches, width) = self.positions.dims2()?;
        let windows = self.normalisation.apply(x)?;
        let channels = windows.x.transpose(1, 2)?.contiguous()?.index_select(&self.bars, 2)?;
        let channels = channels.reshape((batch * features, patches, self.bars.elem_count() / patches))?;
        let embedded = self.embed.forward(&channels, pass)?.broadcast_add(&pass.weight(&self.positions))?;
        let mut sequence = pass.dropout(&embedded, self.dropout, "dropout after embed")?;
        for layer in &self.layers {
            sequence = layer.forward(&sequence, 0, pass)?;
        }
        let flat = sequence.reshape((batch, features * patches * width))?;
        windows.restore(self.head.forward(&flat, pass)?)
    }

    fn program(&self, program: &mut ProgramBuilder) -> candle_core::Result<Slot> {
        let (patches, width) = self.positions.dims2()?;
        let (windows, features) = (program.input(), program.input().width);
        let deviation = program.normalise(self.normalisation);
        let channels = program.patches(windows, self.bars.to_vec1()?, patches);
        let embedded = self.embed.program(program, channels.view())?;
        let placed = program.learned_positions(embedded, &self.positions)?;
        let mut sequence = program.dropout(placed, self.dropout, "dropout after embed");
        for layer in &self.layers {
            sequence = layer.program(program, sequence, patches, 0)?;
        }
        let flat = sequence.reshaped(1, features * patches * width);
        let outputs = self.head.program(program, flat.view())?;
        Ok(program.restore(outputs, deviation))
    }

    fn graph(&self, graph: &mut GraphBuilder, x: &Value, shape: [usize; 2]) -> candle_core::Result<Value> {
        let (patches, width) = self.positions.dims2()?;
        let windows = self.normalisation.graph(graph, x, shape[1]);
        let channels = graph.transpose(&windows.x, &[0, 2, 1]);
        let bars: Vec<i64> = self.bars.to_vec1::<u32>()?.into_iter().map(i64::from).collect();
        let channels = graph.gather(&channels, 2, &bars);
        let channels = graph.reshape(&channels, &[-1, patches as i64, (bars.len() / patches) as i64]);
        let embedded = graph.within("embed", |graph| self.embed.graph(graph, &channels))?;
        let positions = TensorData::Floats(self.positions.flatten_all()?.to_vec1()?);
        let positions = graph.constant("positions", &[patches, width], positions);
        let mut sequence = graph.add(&embedded, &positions);
        for (index, layer) in self.layers.iter().enumerate() {
            let scope = format!("encoder.{index}");
            sequence = graph.within(&scope, |graph| layer.graph(graph, &sequence, 0..patches))?;
        }
        let flat = graph.reshape(&sequence, &[-1, (shape[1] * patches * width) as i64]);
        let outputs = graph.within("head", |graph| self.head.graph(graph, &flat))?;
        Ok(windows.restore(graph, outputs))
    }
}
