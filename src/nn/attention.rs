//! The encoder layer of a Transformer.

use super::program::{ProgramBuilder, Slot, View};
use super::{Parameters, Pass};
use crate::kernels::encoder::{
    EncoderPlaces, EncoderSettings, EncoderShape, LinearPlace, NormPlace, NormPlaces,
};
use crate::kernels::encoder_layer::encoder_layer;
use crate::kernels::norm_rows::EPSILON;
use crate::kernels::row_steps::Activation;
use crate::onnx::{GraphBuilder, TensorData, Value};
use candle_core::{Result, Tensor, Var};
use std::ops::Range;

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

    /// The same for a device: sequences of `length` positions, of which those from `first` on are wanted.
    ///
    /// # Errors
    /// A layer of another network.
    pub fn program(
        &self,
        program: &mut ProgramBuilder,
        x: Slot,
        length: usize,
        first: usize,
    ) -> Result<Slot> {
        let EncoderKind { shape, norm, activation, causal } = self.kind;
        let (places, start) = (shape.places(), program.place(&self.weights)?);
        let linear = |place: &LinearPlace| [start + place.weight.start, start + place.bias.start];
        let norm_at = |place: &NormPlaces| [start + place.scale.start, start + place.shift.start];
        let [attention_site, feed_forward_site] = &self.sites;
        let source = match norm {
            NormPlace::First => program.norm(x.view(), norm_at(&places.attention_norm)),
            NormPlace::Last => x,
        };
        let qkv = program.linear(source.view(), linear(&places.queries_keys_values), 3 * shape.width, None);
        let attended = program.attention(qkv, [length, first], (shape.heads, causal));
        let output = program.linear(attended.view(), linear(&places.attention_output), shape.width, None);
        let base: View = x.asking(length, first);
        let sum = program.residual(base, output, (self.dropout, attention_site));
        let normal = match norm {
            NormPlace::First => program.norm(sum.view(), norm_at(&places.feed_forward_norm)),
            NormPlace::Last => program.norm(sum.view(), norm_at(&places.attention_norm)),
        };
        let middle =
            program.linear(normal.view(), linear(&places.expand), shape.feed_forward, Some(activation));
        let moved = program.linear(middle.view(), linear(&places.contract), shape.width, None);
        let base = if norm == NormPlace::First { sum } else { normal };
        let sum = program.residual(base.view(), moved, (self.dropout, feed_forward_site));
        Ok(match norm {
            NormPlace::First => sum,
            NormPlace::Last => program.norm(sum.view(), norm_at(&places.feed_forward_norm)),
        })
    }

    /// The same in a graph: x `[B, T, D]` -> the positions that ask, the last ones of T.
    ///
    /// # Errors
    /// A device that fails.
    pub fn graph(&self, graph: &mut GraphBuilder, x: &Value, asking: Range<usize>) -> Result<Value> {
        let values = self.weights.flatten_all()?.to_vec1::<f32>()?;
        let layer = LayerGraph { kind: self.kind, places: self.kind.shape.places(), values, asking };
        Ok(layer.add(graph, x))
    }
}

/// An encoder layer that becomes a part of a graph.
struct LayerGraph {
    kind: EncoderKind,
    places: EncoderPlaces,
    /// All weights of the layer.
    values: Vec<f32>,
    /// The positions whose result is wanted, up to the last one.
    asking: Range<usize>,
}

impl LayerGraph {
    fn add(&self, graph: &mut GraphBuilder, x: &Value) -> Value {
        let first = self.kind.norm == NormPlace::First;
        let EncoderPlaces { attention_norm, feed_forward_norm, .. } = &self.places;
        let seen = if first { self.norm(graph, x, attention_norm) } else { x.clone() };
        let asking = self.asking(graph, &seen);
        let attended = graph.within("attention", |graph| self.attention(graph, &asking, &seen));
        let base = if first { self.asking(graph, x) } else { asking };
        let sum = graph.add(&base, &attended);
        if first {
            let normal = self.norm(graph, &sum, feed_forward_norm);
            let moved = self.perceptron(graph, &normal);
            graph.add(&sum, &moved)
        } else {
            let normal = self.norm(graph, &sum, attention_norm);
            let moved = self.perceptron(graph, &normal);
            let sum = graph.add(&normal, &moved);
            self.norm(graph, &sum, feed_forward_norm)
        }
    }

    /// Of all positions those that ask.
    fn asking(&self, graph: &mut GraphBuilder, x: &Value) -> Value {
        if self.asking.start == 0 { x.clone() } else { graph.slice(x, 1, self.asking.clone()) }
    }

    fn norm(&self, graph: &mut GraphBuilder, x: &Value, places: &NormPlaces) -> Value {
        let scale = self.constant(graph, "scale", places.scale.clone());
        let shift = self.constant(graph, "shift", places.shift.clone());
        graph.layer_norm(x, [&scale, &shift], EPSILON)
    }

    fn constant(&self, graph: &mut GraphBuilder, name: &str, place: Range<usize>) -> Value {
        graph.constant(name, &[place.len()], TensorData::Floats(self.values[place].to_vec()))
    }

    fn perceptron(&self, graph: &mut GraphBuilder, x: &Value) -> Value {
        graph.within("perceptron", |graph| {
            let LinearPlace { outputs, .. } = self.places.expand;
            let middle = self.linear(graph, x, &self.places.expand, 0..outputs);
            let active = match self.kind.activation {
                Activation::Relu => graph.node("Relu", &[&middle], Vec::new()),
                Activation::Gelu => gelu(graph, &middle),
            };
            self.linear(graph, &active, &self.places.contract, 0..self.kind.shape.width)
        })
    }

    /// These columns of a linear map.
    fn linear(&self, graph: &mut GraphBuilder, x: &Value, map: &LinearPlace, columns: Range<usize>) -> Value {
        let rows = self.values[map.weight.clone()].chunks_exact(map.outputs);
        let weight: Vec<f32> = rows.flat_map(|row| &row[columns.clone()]).copied().collect();
        let bias = self.values[map.bias.clone()][columns.clone()].to_vec();
        let weight = graph.constant("weight", &[map.inputs, columns.len()], TensorData::Floats(weight));
        let bias = graph.constant("bias", &[columns.len()], TensorData::Floats(bias));
        graph.linear(x, [&weight, &bias])
    }

    /// asking `[B, A, D]`, seen `[B, T, D]` -> `[B, A, D]`.
    fn attention(&self, graph: &mut GraphBuilder, asking: &Value, seen: &Value) -> Value {
        let EncoderShape { width, heads, .. } = self.kind.shape;
        let head = width / heads;
        let split = |graph: &mut GraphBuilder, x: &Value, part: usize, order: &[i64]| {
            let columns = part * width..(part + 1) * width;
            let all = self.linear(graph, x, &self.places.queries_keys_values, columns);
            let of_heads = graph.reshape(&all, &[0, 0, heads as i64, head as i64]);
            graph.transpose(&of_heads, order)
        };
        let queries = split(graph, asking, 0, &[0, 2, 1, 3]);
        let keys = split(graph, seen, 1, &[0, 2, 3, 1]);
        let values = split(graph, seen, 2, &[0, 2, 1, 3]);
        let scores = graph.product(&queries, &keys);
        let scale = graph.float("scale", (head as f32).sqrt().recip());
        let mut scores = graph.multiply(&scores, &scale);
        if self.kind.causal && self.asking.len() > 1 {
            let mask = self.mask(graph);
            scores = graph.add(&scores, &mask);
        }
        let shares = graph.softmax(&scores);
        let attended = graph.product(&shares, &values);
        let attended = graph.transpose(&attended, &[0, 2, 1, 3]);
        let attended = graph.reshape(&attended, &[0, 0, width as i64]);
        self.linear(graph, &attended, &self.places.attention_output, 0..width)
    }

    /// `[A, T]`: what is added to the scores, so that no position sees a later one. The last position sees all.
    fn mask(&self, graph: &mut GraphBuilder) -> Value {
        let length = self.asking.end;
        let of_position =
            |position: usize| (0..length).map(move |seen| if seen > position { f32::MIN } else { 0.0 });
        let mask = self.asking.clone().flat_map(of_position).collect();
        graph.constant("mask", &[self.asking.len(), length], TensorData::Floats(mask))
    }
}

/// x (1 + erf(x / sqrt 2)) / 2: the operator set has no `Gelu` yet.
fn gelu(graph: &mut GraphBuilder, x: &Value) -> Value {
    let scale = graph.float("scale", std::f32::consts::FRAC_1_SQRT_2);
    let scaled = graph.multiply(x, &scale);
    let error = graph.node("Erf", &[&scaled], Vec::new());
    let one = graph.float("one", 1.0);
    let sum = graph.add(&error, &one);
    let half = graph.float("half", 0.5);
    let probability = graph.multiply(&sum, &half);
    graph.multiply(x, &probability)
}
