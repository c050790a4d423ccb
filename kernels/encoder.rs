//! One encoder layer of a Transformer over whole windows, forward and backward: attention and a two-layer perceptron, each
//! with a layer norm, dropout and a residual path.
//!
//! ```text
//! norm first (Xiong et al. 2020)              norm last (Vaswani et al. 2017)
//! s = x + dropout(attention(norm(x)) W + b)   s = x + dropout(attention(x) W + b)
//! y = s + dropout(perceptron(norm(s)))        y = norm(u), u = norm(s) + dropout(perceptron(norm(s)))
//! perceptron(x) = activation(x W + b) W + b
//! ```
//!
//! A layer works through the batch in chunks of a few windows, so that what one step writes the next finds in the second
//! cache. Sums over rows (the gradients of weights) are made chunk by chunk in order, and chunks depend on the length of a
//! window alone. This file has shapes, weights and the forward pass; the backward pass is in `encoder_backward.rs`.

use super::arena::{Arena, Buffer};
use super::attention::{self, AttentionShape};
use super::dropout::Dropout;
use super::matrix::{Matrix, MatrixMut, Target};
use super::norm_rows::{NormForward, norm_forward};
use super::precision::Precision;
use super::product::{Products, Right};
use super::row_steps::{Activation, fill_rows, residual};
use std::ops::Range;

/// The sizes of an encoder layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EncoderShape {
    /// D, divisible by `heads`.
    pub width: usize,
    /// Attention heads.
    pub heads: usize,
    /// Units of the perceptron's middle.
    pub feed_forward: usize,
}

/// Where the layer norms stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NormPlace {
    /// Before attention and perceptron; trains without warm-up.
    First,
    /// After each residual sum.
    Last,
}

/// All of a layer but its weights.
#[derive(Clone, Copy, Debug)]
pub struct EncoderSettings {
    /// Its sizes.
    pub shape: EncoderShape,
    /// Where its norms stand.
    pub norm: NormPlace,
    /// Of the perceptron.
    pub activation: Activation,
    /// Whether a position sees itself and those before it alone.
    pub causal: bool,
    /// The first position whose result is wanted; the result has the positions from there on.
    pub first: usize,
    /// After attention and after the perceptron; elements are numbered as in `[B, T - first, D]`.
    pub dropout: [Option<Dropout>; 2],
    /// The format of the factors of products.
    pub precision: Precision,
}

/// Where a linear map lies in a layer's weights: `[inputs, outputs]`, then the bias.
#[derive(Clone, Debug)]
pub struct LinearPlace {
    /// Rows of the weight.
    pub inputs: usize,
    /// Columns of the weight.
    pub outputs: usize,
    /// Of the weight, row-major.
    pub weight: Range<usize>,
    /// Of the bias.
    pub bias: Range<usize>,
}

/// Where a norm lies: the scale, then the shift.
#[derive(Clone, Debug)]
pub struct NormPlaces {
    /// D numbers.
    pub scale: Range<usize>,
    /// D numbers.
    pub shift: Range<usize>,
}

/// Where everything lies in the one tensor that holds a layer's weights, in this order.
#[derive(Clone, Debug)]
pub struct EncoderPlaces {
    /// Before (or after) attention.
    pub attention_norm: NormPlaces,
    /// D to queries, keys and values side by side, 3D.
    pub queries_keys_values: LinearPlace,
    /// D to D, after the heads.
    pub attention_output: LinearPlace,
    /// Before (or after) the perceptron.
    pub feed_forward_norm: NormPlaces,
    /// D to the middle.
    pub expand: LinearPlace,
    /// The middle to D.
    pub contract: LinearPlace,
}

impl EncoderShape {
    /// How many numbers a layer trains.
    pub fn count(self) -> usize {
        let EncoderShape { width, feed_forward, .. } = self;
        let linear = |inputs: usize, outputs: usize| inputs.saturating_add(1).saturating_mul(outputs);
        [
            width.saturating_mul(4),
            linear(width, width.saturating_mul(3)),
            linear(width, width),
            linear(width, feed_forward),
            linear(feed_forward, width),
        ]
        .into_iter()
        .fold(0, usize::saturating_add)
    }

    /// Where everything lies.
    pub fn places(self) -> EncoderPlaces {
        let EncoderShape { width, feed_forward, .. } = self;
        let mut end = 0;
        let mut next = |count: usize| {
            end += count;
            end - count..end
        };
        let norm = |next: &mut dyn FnMut(usize) -> Range<usize>| NormPlaces {
            scale: next(width),
            shift: next(width),
        };
        let linear = |next: &mut dyn FnMut(usize) -> Range<usize>, inputs: usize, outputs: usize| {
            LinearPlace { inputs, outputs, weight: next(inputs * outputs), bias: next(outputs) }
        };
        EncoderPlaces {
            attention_norm: norm(&mut next),
            queries_keys_values: linear(&mut next, width, 3 * width),
            attention_output: linear(&mut next, width, width),
            feed_forward_norm: norm(&mut next),
            expand: linear(&mut next, width, feed_forward),
            contract: linear(&mut next, feed_forward, width),
        }
    }
}

/// Rows of a chunk: wide enough for whole tiles of products, small enough for the second cache.
const CHUNK_ROWS: usize = 400;

/// A batch and how it is cut.
#[derive(Clone, Copy, Debug)]
pub(super) struct Batch {
    /// B.
    pub(super) windows: usize,
    /// Windows of a chunk.
    pub(super) step: usize,
}

impl Batch {
    pub(super) fn new(windows: usize, length: usize) -> Batch {
        let step = (CHUNK_ROWS / length.max(1)).clamp(1, windows.max(1));
        Batch { windows, step }
    }

    /// The windows of each chunk.
    pub(super) fn chunks(self) -> impl Iterator<Item = Range<usize>> {
        (0..self.windows).step_by(self.step).map(move |start| start..self.windows.min(start + self.step))
    }
}

/// What the backward pass needs of the forward pass; rows of all windows one after the other.
#[derive(Debug)]
pub struct Record {
    /// `[B, T, 3D]`
    pub(super) queries_keys_values: Buffer,
    /// Softmax weights, see [`AttentionShape::weights`].
    pub(super) weights: Buffer,
    /// `[B, T - first, D]`: the heads' results.
    pub(super) attended: Buffer,
    /// `[B, T - first, D]`: s.
    pub(super) sum: Buffer,
    /// `[B, T - first, middle]`: what the activation kept.
    pub(super) middle: Buffer,
    /// `[B, T - first, D]`: u; empty with the norm first.
    pub(super) second_sum: Buffer,
}

impl Record {
    fn take(settings: &EncoderSettings, windows: usize, length: usize, arena: &Arena) -> Record {
        let EncoderShape { width, feed_forward, .. } = settings.shape;
        let asking = windows * (length - settings.first);
        let second = if settings.norm == NormPlace::Last { asking * width } else { 0 };
        Record {
            queries_keys_values: arena.take(windows * length * 3 * width),
            weights: arena.take(windows * settings.attention(length).weights()),
            attended: arena.take(asking * width),
            sum: arena.take(asking * width),
            middle: arena.take(asking * feed_forward),
            second_sum: arena.take(second),
        }
    }

    /// Gives all buffers back.
    pub fn give_back(self, arena: &Arena) {
        let Record { queries_keys_values, weights, attended, sum, middle, second_sum } = self;
        for buffer in [queries_keys_values, weights, attended, sum, middle, second_sum] {
            arena.give(buffer);
        }
    }
}

impl EncoderSettings {
    /// The attention over windows of so many positions.
    pub(super) fn attention(&self, length: usize) -> AttentionShape {
        let EncoderShape { width, heads, .. } = self.shape;
        let (first, causal, precision) = (self.first, self.causal, self.precision);
        AttentionShape { length, first, heads, width, causal, precision }
    }
}

/// A linear map that is ready for many chunks.
struct ReadyLinear<'a> {
    weight: Right<'a>,
    bias: &'a [f32],
}

impl ReadyLinear<'_> {
    /// `[rows, outputs] = left W + b`.
    fn run(&self, products: Products, left: Matrix<f32>, rows: usize, result: &mut [f32]) {
        let outputs = self.bias.len();
        fill_rows(result, self.bias);
        products.multiply(MatrixMut::new(result, rows, outputs, outputs), left, &self.weight, Target::Added);
    }
}

/// The forward pass of one layer over chunks.
struct Forward<'a> {
    settings: &'a EncoderSettings,
    products: Products<'a>,
    weights: &'a [f32],
    places: EncoderPlaces,
    /// Queries, then keys and values, apart where not all positions ask.
    queries: Option<Right<'a>>,
    queries_keys_values: ReadyLinear<'a>,
    attention_output: ReadyLinear<'a>,
    expand: ReadyLinear<'a>,
    contract: ReadyLinear<'a>,
}

/// x `[B, T, D]` of `windows` windows through a layer with these weights (see [`EncoderShape::places`]): y
/// `[B, T - first, D]`, and with `keeps` what the backward pass needs, which must be given back to the arena.
///
/// # Panics
/// When slices do not fit the settings: a fault of the caller.
pub fn forward(
    settings: &EncoderSettings,
    arena: &Arena,
    [x, weights]: [&[f32]; 2],
    windows: usize,
    keeps: bool,
) -> (Vec<f32>, Option<Record>) {
    let EncoderShape { width, feed_forward, .. } = settings.shape;
    let length = x.len() / windows / width;
    assert!(
        weights.len() == settings.shape.count() && x.len() == windows * length * width,
        "slices must fit"
    );
    let (batch, asking) = (Batch::new(windows, length), length - settings.first);
    let mut y = vec![0.0; windows * asking * width];
    let mut record = Record::take(settings, if keeps { windows } else { batch.step }, length, arena);
    let pass = Forward::new(settings, Products { precision: settings.precision, arena }, weights);
    let rows = batch.step * length;
    let mut scratch = [
        arena.take(rows * width),
        arena.take(rows * width),
        arena.take(rows * feed_forward),
        arena.take(settings.attention(length).scratch()),
    ];
    for chunk in batch.chunks() {
        let kept = if keeps { chunk.clone() } else { 0..chunk.len() };
        let x = &x[chunk.start * length * width..chunk.end * length * width];
        let y = &mut y[chunk.start * asking * width..chunk.end * asking * width];
        pass.attend(x, length, &kept, (&mut record, &mut scratch), chunk.start);
        pass.feed_forward(y, asking, &kept, (&mut record, &mut scratch), chunk.start);
    }
    pass.done();
    scratch.into_iter().for_each(|buffer| arena.give(buffer));
    if keeps {
        return (y, Some(record));
    }
    record.give_back(arena);
    (y, None)
}

/// Rows `[windows * per_window, columns]` of some windows within a buffer.
pub(super) fn rows_of(windows: &Range<usize>, per_window: usize) -> Range<usize> {
    windows.start * per_window..windows.end * per_window
}

impl<'a> Forward<'a> {
    fn new(settings: &'a EncoderSettings, products: Products<'a>, weights: &'a [f32]) -> Self {
        let places = settings.shape.places();
        let width = settings.shape.width;
        let matrix = |place: &LinearPlace| {
            Matrix::new(&weights[place.weight.clone()], place.inputs, place.outputs, place.outputs)
        };
        let ready = |place: &LinearPlace| ReadyLinear {
            weight: products.right(matrix(place)),
            bias: &weights[place.bias.clone()],
        };
        let qkv = &places.queries_keys_values;
        let all = &weights[qkv.weight.clone()];
        let apart = settings.first > 0;
        let queries = apart.then(|| products.right(Matrix::new(all, width, width, 3 * width)));
        let queries_keys_values = match apart {
            false => ready(qkv),
            true => ReadyLinear {
                weight: products.right(Matrix::new(&all[width..], width, 2 * width, 3 * width)),
                bias: &weights[qkv.bias.clone()],
            },
        };
        let (attention_output, expand, contract) =
            (ready(&places.attention_output), ready(&places.expand), ready(&places.contract));
        Forward {
            settings,
            products,
            weights,
            places,
            queries,
            queries_keys_values,
            attention_output,
            expand,
            contract,
        }
    }

    fn done(self) {
        for right in [self.queries_keys_values, self.attention_output, self.expand, self.contract] {
            self.products.done(right.weight);
        }
        if let Some(queries) = self.queries {
            self.products.done(queries);
        }
    }

    fn normalise(&self, place: &NormPlaces, x: &[f32], y: &mut [f32]) {
        let (scale, shift) = (&self.weights[place.scale.clone()], &self.weights[place.shift.clone()]);
        norm_forward(NormForward { x, scale, shift, y });
    }

    /// From x to s. `kept` are the windows' places in the record, `start` is the number of the first.
    fn attend(
        &self,
        x: &[f32],
        length: usize,
        kept: &Range<usize>,
        (record, scratch): (&mut Record, &mut [Buffer; 4]),
        start: usize,
    ) {
        let width = self.settings.shape.width;
        let (asking, windows) = (length - self.settings.first, kept.len());
        let [normal, output, _, heads] = scratch;
        let source = match self.settings.norm {
            NormPlace::First => {
                self.normalise(&self.places.attention_norm, x, &mut normal[..x.len()]);
                &normal[..x.len()]
            }
            NormPlace::Last => x,
        };
        let qkv = &mut record.queries_keys_values[rows_of(kept, length * 3 * width)];
        self.project(source, windows, qkv);
        let shape = self.settings.attention(length);
        let weights = &mut record.weights[rows_of(kept, shape.weights())];
        let attended = &mut record.attended[rows_of(kept, asking * width)];
        attention::forward(shape, qkv, weights, attended, heads);
        let rows = windows * asking;
        let output = &mut output[..rows * width];
        self.attention_output.run(self.products, Matrix::new(attended, rows, width, width), rows, output);
        let sum = &mut record.sum[rows_of(kept, asking * width)];
        let parts = output.chunks_exact(asking * width).zip(x.chunks_exact(length * width));
        for (index, ((output, x), sum)) in parts.zip(sum.chunks_exact_mut(asking * width)).enumerate() {
            let first = (start + index) * asking * width;
            residual(self.settings.dropout[0], first, output, &x[self.settings.first * width..], sum);
        }
    }

    /// Queries, keys and values of a chunk; queries only of the positions that ask.
    fn project(&self, source: &[f32], windows: usize, qkv: &mut [f32]) {
        let width = self.settings.shape.width;
        let (rows, length) = (source.len() / width, source.len() / width / windows);
        let Some(queries) = &self.queries else {
            return self.queries_keys_values.run(
                self.products,
                Matrix::new(source, rows, width, width),
                rows,
                qkv,
            );
        };
        fill_rows(qkv, self.queries_keys_values.bias);
        let right = &self.queries_keys_values.weight;
        let result = MatrixMut::new(&mut qkv[width..], rows, 2 * width, 3 * width);
        self.products.multiply(result, Matrix::new(source, rows, width, width), right, Target::Added);
        for position in self.settings.first..length {
            let left = Matrix::new(&source[position * width..], windows, width, length * width);
            let result = MatrixMut::new(&mut qkv[position * 3 * width..], windows, width, length * 3 * width);
            self.products.multiply(result, left, queries, Target::Added);
        }
    }

    /// From s to y.
    fn feed_forward(
        &self,
        y: &mut [f32],
        asking: usize,
        kept: &Range<usize>,
        (record, scratch): (&mut Record, &mut [Buffer; 4]),
        start: usize,
    ) {
        let EncoderShape { width, feed_forward, .. } = self.settings.shape;
        let (rows, first) = (kept.len() * asking, start * asking * width);
        let [normal, output, free, _] = scratch;
        let sum = &record.sum[rows_of(kept, asking * width)];
        let place = match self.settings.norm {
            NormPlace::First => &self.places.feed_forward_norm,
            NormPlace::Last => &self.places.attention_norm,
        };
        let normal = &mut normal[..rows * width];
        self.normalise(place, sum, normal);
        let middle = &mut record.middle[rows_of(kept, asking * feed_forward)];
        self.expand.run(self.products, Matrix::new(normal, rows, width, width), rows, middle);
        let activated = self.settings.activation.forward(middle, &mut free[..rows * feed_forward]);
        let output = &mut output[..rows * width];
        let left = Matrix::new(activated, rows, feed_forward, feed_forward);
        self.contract.run(self.products, left, rows, output);
        let dropout = self.settings.dropout[1];
        if self.settings.norm == NormPlace::First {
            return residual(dropout, first, output, sum, y);
        }
        let second_sum = &mut record.second_sum[rows_of(kept, asking * width)];
        residual(dropout, first, output, normal, second_sum);
        self.normalise(&self.places.feed_forward_norm, second_sum, y);
    }
}
