//! Multi-head self-attention of short sequences, window by window and head by head, forward and backward (Vaswani et al.
//! 2017): `softmax(q k' / sqrt(head width)) v`.

use super::gates::{exponential, vectorised};
use super::norm_rows::sum_of;
use super::precision::{Precision, round_to_bf16};
use super::small_product::SmallProduct;

/// What is attended to.
#[derive(Clone, Copy, Debug)]
pub struct AttentionShape {
    /// T: positions of a window.
    pub length: usize,
    /// The first position that asks; those before it are only seen.
    pub first: usize,
    /// Heads.
    pub heads: usize,
    /// D, divisible by `heads`.
    pub width: usize,
    /// Whether a position sees itself and those before it alone.
    pub causal: bool,
    /// The format of the factors of its products.
    pub precision: Precision,
}

impl AttentionShape {
    /// Positions that ask.
    pub fn asking(self) -> usize {
        self.length - self.first
    }

    /// Numbers between two rows of softmax weights: T, up to whole vectors.
    fn padded(self) -> usize {
        self.length.next_multiple_of(16)
    }

    /// Softmax weights of a window: `[heads, asking, T up to whole vectors]`.
    pub fn weights(self) -> usize {
        self.heads * self.asking() * self.padded()
    }

    /// D / heads.
    fn head(self) -> usize {
        self.width / self.heads
    }

    /// Numbers that either direction needs for itself.
    pub fn scratch(self) -> usize {
        5 * self.padded() * self.head() + 2 * self.asking() * self.padded()
    }

    /// Copies rows of one head, `step` apart, side by side, rounded as the precision asks.
    fn gather(self, rows: &[f32], step: usize, copy: &mut [f32]) {
        for (row, copy) in rows.chunks(step).zip(copy.chunks_exact_mut(self.head())) {
            copy.copy_from_slice(&row[..self.head()]);
        }
        self.round(copy);
    }

    fn round(self, values: &mut [f32]) {
        if self.precision == Precision::Bf16 {
            round(values);
        }
    }
}

#[inline(always)]
fn round_body<const FUSED: bool>(values: &mut [f32]) {
    for value in values {
        *value = round_to_bf16(*value);
    }
}

vectorised! {
    /// Rounds every value to bfloat16.
    fn round(values: &mut [f32]) = round_body;
}

/// `copy [head, padded] = rows [T, head]'`, with zeros behind the T columns.
fn transpose(rows: &[f32], head: usize, padded: usize, copy: &mut [f32]) {
    for row in copy.chunks_exact_mut(padded) {
        row[rows.len() / head..].fill(0.0);
    }
    for (t, row) in rows.chunks_exact(head).enumerate() {
        for (column, value) in row.iter().enumerate() {
            copy[column * padded + t] = *value;
        }
    }
}

/// Softmax of every row over the `seen` first columns of it (one more with each row where it is causal), times `scale`
/// before; 0 behind them.
struct Softmax<'a> {
    scores: &'a mut [f32],
    padded: usize,
    seen: usize,
    causal: bool,
    scale: f32,
}

#[inline(always)]
fn softmax_body<const FUSED: bool>(pass: Softmax) {
    let Softmax { scores, padded, seen, causal, scale } = pass;
    for (t, row) in scores.chunks_exact_mut(padded).enumerate() {
        let seen = if causal { seen + t } else { seen };
        let highest = row[..seen].iter().copied().fold(f32::NEG_INFINITY, f32::max);
        // Whole vectors; what stands behind the seen columns is finite after the clamp of the exponential, and goes.
        row[seen..].fill(highest);
        for value in row.iter_mut() {
            *value = exponential::<FUSED>((*value - highest) * scale);
        }
        row[seen..].fill(0.0);
        let factor = 1.0 / sum_of(padded, |k| row[k]);
        for value in row.iter_mut() {
            *value *= factor;
        }
    }
}

vectorised! {
    fn softmax(pass: Softmax) = softmax_body;
}

#[inline(always)]
fn score_gradient_body<const FUSED: bool>(
    weights: &[f32],
    of_weights: &mut [f32],
    padded: usize,
    scale: f32,
) {
    for (weights, gradients) in weights.chunks_exact(padded).zip(of_weights.chunks_exact_mut(padded)) {
        let mean = sum_of(padded, |s| weights[s] * gradients[s]);
        for (gradient, weight) in gradients.iter_mut().zip(weights) {
            *gradient = weight * (*gradient - mean) * scale;
        }
    }
}

vectorised! {
    /// With w the softmax weights and dw their gradients, that of a score is w (dw - sum of w dw) scale; in place.
    fn score_gradients(weights: &[f32], of_weights: &mut [f32], padded: usize, scale: f32) = score_gradient_body;
}

/// Of whole windows: qkv `[windows, T, 3D]` (queries, keys, values side by side, each split into heads) -> softmax weights
/// `[windows, heads, asking, ..]` and output `[windows, asking, D]`.
pub fn forward(
    shape: AttentionShape,
    qkv: &[f32],
    weights: &mut [f32],
    output: &mut [f32],
    scratch: &mut [f32],
) {
    let AttentionShape { length, first, width, .. } = shape;
    let (head, padded, asking) = (shape.head(), shape.padded(), shape.asking());
    let (queries, rest) = scratch.split_at_mut(padded * head);
    let (keys, rest) = rest.split_at_mut(padded * head);
    let (across, rest) = rest.split_at_mut(padded * head);
    let (values, rest) = rest.split_at_mut(padded * head);
    let rounded = &mut rest[..asking * padded];
    let windows = qkv.chunks_exact(3 * length * width).zip(output.chunks_exact_mut(asking * width));
    for ((qkv, output), weights) in windows.zip(weights.chunks_exact_mut(shape.weights())) {
        for (index, weights) in weights.chunks_exact_mut(asking * padded).enumerate() {
            let column = index * head;
            shape.gather(&qkv[3 * first * width + column..], 3 * width, &mut queries[..asking * head]);
            shape.gather(&qkv[width + column..], 3 * width, &mut keys[..length * head]);
            shape.gather(&qkv[2 * width + column..], 3 * width, &mut values[..length * head]);
            transpose(&keys[..length * head], head, padded, across);
            SmallProduct {
                rows: asking,
                inner: head,
                columns: length,
                left: queries,
                left_steps: [head, 1],
                right: across,
                right_step: padded,
                result: weights,
                result_step: padded,
            }
            .run();
            softmax(Softmax {
                scores: weights,
                padded,
                seen: if shape.causal { first + 1 } else { length },
                causal: shape.causal,
                scale: 1.0 / (head as f32).sqrt(),
            });
            SmallProduct {
                rows: asking,
                inner: length,
                columns: head,
                left: shape.factor(weights, rounded),
                left_steps: [padded, 1],
                right: values,
                right_step: head,
                result: &mut output[column..],
                result_step: width,
            }
            .run();
        }
    }
}

impl AttentionShape {
    /// Softmax weights as a factor of a product.
    fn factor<'a>(self, weights: &'a [f32], rounded: &'a mut [f32]) -> &'a [f32] {
        if self.precision == Precision::F32 {
            return weights;
        }
        rounded.copy_from_slice(weights);
        round(rounded);
        rounded
    }
}

/// What the backward pass reads.
pub struct Recorded<'a> {
    /// `[windows, T, 3D]`
    pub qkv: &'a [f32],
    /// `[windows, heads, asking, ..]`, as the forward pass left them.
    pub weights: &'a [f32],
    /// `[windows, asking, D]`: the gradient of the output.
    pub of_output: &'a [f32],
}

/// Fills the gradient of qkv `[windows, T, 3D]`; 0 for queries of positions that did not ask.
pub fn backward(shape: AttentionShape, recorded: &Recorded, of_qkv: &mut [f32], scratch: &mut [f32]) {
    let AttentionShape { length, width, heads, .. } = shape;
    let asking = shape.asking();
    let windows = recorded.qkv.chunks_exact(3 * length * width);
    let windows = windows.zip(recorded.of_output.chunks_exact(asking * width));
    let windows = windows.zip(recorded.weights.chunks_exact(shape.weights()));
    for (((qkv, of_output), weights), of_qkv) in windows.zip(of_qkv.chunks_exact_mut(3 * length * width)) {
        for row in of_qkv.chunks_exact_mut(3 * width).take(shape.first) {
            row[..width].fill(0.0);
        }
        for head in 0..heads {
            let weights = &weights[head * asking * shape.padded()..][..asking * shape.padded()];
            head_backward(shape, head * shape.head(), &Recorded { qkv, weights, of_output }, of_qkv, scratch);
        }
    }
}

/// One window's head, whose columns begin at `column`.
fn head_backward(
    shape: AttentionShape,
    column: usize,
    recorded: &Recorded,
    of_qkv: &mut [f32],
    scratch: &mut [f32],
) {
    let AttentionShape { length, first, width, .. } = shape;
    let (head, padded, asking) = (shape.head(), shape.padded(), shape.asking());
    let (parts, rest) = scratch.split_at_mut(5 * padded * head);
    let (of_scores, rounded) = rest.split_at_mut(asking * padded);
    let rounded = &mut rounded[..asking * padded];
    let mut parts = parts.chunks_exact_mut(padded * head);
    let mut part = |rows: &[f32], step: usize, count: usize| {
        let copy = parts.next().unwrap_or_default();
        shape.gather(rows, step, &mut copy[..count * head]);
        copy
    };
    let queries = part(&recorded.qkv[3 * first * width + column..], 3 * width, asking);
    let keys = part(&recorded.qkv[width + column..], 3 * width, length);
    let values = part(&recorded.qkv[2 * width + column..], 3 * width, length);
    let of_output = part(&recorded.of_output[column..], width, asking);
    let across = part(&[], 1, 0);
    transpose(&values[..length * head], head, padded, across);
    SmallProduct {
        rows: asking,
        inner: head,
        columns: padded,
        left: of_output,
        left_steps: [head, 1],
        right: across,
        right_step: padded,
        result: of_scores,
        result_step: padded,
    }
    .run();
    score_gradients(recorded.weights, of_scores, padded, 1.0 / (head as f32).sqrt());
    shape.round(of_scores);
    let weights = shape.factor(recorded.weights, rounded);
    let products = [
        (asking, length, &*of_scores, [padded, 1], &*keys, 3 * first * width),
        (length, asking, of_scores, [1, padded], queries, width),
        (length, asking, weights, [1, padded], of_output, 2 * width),
    ];
    for (rows, inner, left, left_steps, right, start) in products {
        let result = &mut of_qkv[start + column..];
        let (columns, right_step, result_step) = (head, head, 3 * width);
        SmallProduct { rows, inner, columns, left, left_steps, right, right_step, result, result_step }.run();
    }
}
