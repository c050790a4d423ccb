//! Causal multi-head self-attention of short sequences, forward and backward (Vaswani et al. 2017):
//! for every head, `softmax(q k' / sqrt(D / heads)) v`, where a position sees itself and those before it.
//!
//! Windows of bars are short (tens of positions), where separate tensor operations spend their time on copies; here every
//! product reads its head where it lies. [`composed`] is the specification and runs on devices without a kernel.

use super::gates::{exponential, vectorised};
use super::layer_norm::sum_of;
use super::lstm_sequence::floats;
use super::matrix::{Matrix, MatrixMut, Target, multiply};
use candle_core::{CpuStorage, CustomOp1, D, Device, Layout, Result, Shape, Storage, Tensor, bail};
use std::sync::{Mutex, PoisonError};

/// Attends within qkv `[B, T, 3D]` (queries, keys, values side by side, each split into `heads`); result `[B, T, D]`.
///
/// # Errors
/// A width that heads do not divide, or another type than f32.
pub fn causal_attention(qkv: &Tensor, heads: usize) -> Result<Tensor> {
    let (batch, length, columns) = qkv.dims3()?;
    if heads == 0 || columns % (3 * heads) != 0 {
        bail!("{columns} columns of queries, keys and values do not split into {heads} heads");
    }
    if !matches!(qkv.device(), Device::Cpu) {
        return composed(qkv, heads);
    }
    let shape = AttentionShape { batch, length, heads, width: columns / 3 };
    qkv.contiguous()?.apply_op1(CausalAttention { shape, weights: Mutex::default() })
}

/// The specification of [`causal_attention`] in ordinary tensor operations.
///
/// # Errors
/// As [`causal_attention`].
pub fn composed(qkv: &Tensor, heads: usize) -> Result<Tensor> {
    let (batch, length, columns) = qkv.dims3()?;
    let (width, head) = (columns / 3, columns / 3 / heads);
    let part = |which: usize| {
        let part = qkv.narrow(D::Minus1, which * width, width)?;
        part.reshape((batch, length, heads, head))?.transpose(1, 2)?.contiguous()
    };
    let (queries, keys, values) = (part(0)?, part(1)?, part(2)?);
    let scores = (queries.matmul(&keys.transpose(2, 3)?.contiguous()?)? / (head as f64).sqrt())?;
    let mask = candle_transformers::utils::build_causal_mask(length, 0, qkv.device())?;
    let hidden = Tensor::new(f32::NEG_INFINITY, qkv.device())?.broadcast_as(scores.shape())?;
    let scores = mask.broadcast_as(scores.shape())?.where_cond(&hidden, &scores)?;
    // Not softmax_last_dim: candle's fused one records no gradient.
    let weights = candle_nn::ops::softmax(&scores, D::Minus1)?;
    weights.matmul(&values)?.transpose(1, 2)?.contiguous()?.reshape((batch, length, width))
}

#[derive(Clone, Copy)]
struct AttentionShape {
    batch: usize,
    length: usize,
    heads: usize,
    /// D.
    width: usize,
}

struct CausalAttention {
    shape: AttentionShape,
    /// `[B, heads, T, T]`: softmax weights of the forward pass, for the backward pass.
    weights: Mutex<Vec<f32>>,
}

impl AttentionShape {
    /// Where the part (0 queries, 1 keys, 2 values) of one head of one row begins in qkv, whose rows are 3D apart.
    fn start(self, row: usize, head: usize, part: usize) -> usize {
        row * self.length * 3 * self.width + part * self.width + head * self.head()
    }

    /// D / heads.
    fn head(self) -> usize {
        self.width / self.heads
    }

    /// One `[T, D / heads]` part inside a `[.., columns]` tensor.
    fn part(self, data: &[f32], start: usize, columns: usize) -> Matrix<'_, f32> {
        Matrix::new(&data[start..], self.length, self.head(), columns)
    }

    fn part_mut(self, data: &mut [f32], start: usize, columns: usize) -> MatrixMut<'_, f32> {
        MatrixMut::new(&mut data[start..], self.length, self.head(), columns)
    }
}

/// Fills `weights` `[B, heads, T, T]` and `output` `[B, T, D]`.
fn forward(shape: AttentionShape, qkv: &[f32], weights: &mut [f32], output: &mut [f32]) {
    let AttentionShape { length, heads, width, .. } = shape;
    for (block, weights) in weights.chunks_exact_mut(length * length).enumerate() {
        let (row, head) = (block / heads, block % heads);
        let [queries, keys, values] =
            [0, 1, 2].map(|part| shape.part(qkv, shape.start(row, head, part), 3 * width));
        let square = MatrixMut::new(&mut *weights, length, length, length);
        multiply(square, queries, keys.transposed(), Target::Replaced);
        softmax_rows(weights, length, 1.0 / (shape.head() as f32).sqrt());
        let output = shape.part_mut(output, row * length * width + head * shape.head(), width);
        multiply(output, Matrix::new(weights, length, length, length), values, Target::Replaced);
    }
}

#[inline(always)]
fn softmax_body<const FUSED: bool>(scores: &mut [f32], length: usize, scale: f32) {
    for (t, row) in scores.chunks_exact_mut(length).enumerate() {
        let (seen, ahead) = row.split_at_mut(t + 1);
        ahead.fill(0.0);
        let highest = seen.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        for value in seen.iter_mut() {
            *value = exponential::<FUSED>((*value - highest) * scale);
        }
        let factor = 1.0 / sum_of(seen.len(), |k| seen[k]);
        for value in seen.iter_mut() {
            *value *= factor;
        }
    }
}

vectorised! {
    /// Softmax over the positions that each row may see, times `scale` before; 0 ahead of it.
    fn softmax_rows(scores: &mut [f32], length: usize, scale: f32) = softmax_body;
}

#[inline(always)]
fn score_gradient_body<const FUSED: bool>(
    weights: &[f32],
    of_weights: &mut [f32],
    length: usize,
    scale: f32,
) {
    for (weights, gradients) in weights.chunks_exact(length).zip(of_weights.chunks_exact_mut(length)) {
        let mean = sum_of(length, |s| weights[s] * gradients[s]);
        for (gradient, weight) in gradients.iter_mut().zip(weights) {
            *gradient = weight * (*gradient - mean) * scale;
        }
    }
}

vectorised! {
    /// With w the softmax weights and dw their gradients, that of a score is w (dw - sum of w dw) scale; in place.
    fn score_gradients(weights: &[f32], of_weights: &mut [f32], length: usize, scale: f32) = score_gradient_body;
}

/// Fills `of_qkv` `[B, T, 3D]`.
fn backward(shape: AttentionShape, qkv: &[f32], weights: &[f32], of_output: &[f32], of_qkv: &mut [f32]) {
    let AttentionShape { length, heads, width, .. } = shape;
    let scale = 1.0 / (shape.head() as f32).sqrt();
    let mut square = vec![0.0; length * length];
    for (block, weights) in weights.chunks_exact(length * length).enumerate() {
        let (row, head) = (block / heads, block % heads);
        let starts = [0, 1, 2].map(|part| shape.start(row, head, part));
        let [queries, keys, values] = starts.map(|start| shape.part(qkv, start, 3 * width));
        let of_output = shape.part(of_output, row * length * width + head * shape.head(), width);
        let of_weights = MatrixMut::new(&mut square, length, length, length);
        multiply(of_weights, of_output, values.transposed(), Target::Replaced);
        score_gradients(weights, &mut square, length, scale);
        let of_scores = Matrix::new(&square, length, length, length);
        let weights = Matrix::new(weights, length, length, length);
        let products =
            [(of_scores, keys), (of_scores.transposed(), queries), (weights.transposed(), of_output)];
        for (start, (left, right)) in starts.into_iter().zip(products) {
            multiply(shape.part_mut(of_qkv, start, 3 * width), left, right, Target::Replaced);
        }
    }
}

impl CustomOp1 for CausalAttention {
    fn name(&self) -> &'static str {
        "causal-attention"
    }

    fn cpu_fwd(&self, qkv: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let AttentionShape { batch, length, heads, width } = self.shape;
        let mut output = vec![0.0; batch * length * width];
        let mut weights = vec![0.0; batch * heads * length * length];
        let qkv = floats(qkv, layout)?;
        forward(self.shape, qkv, &mut weights, &mut output);
        *self.weights.lock().unwrap_or_else(PoisonError::into_inner) = weights;
        Ok((CpuStorage::F32(output), (batch, length, width).into()))
    }

    fn bwd(&self, qkv: &Tensor, _output: &Tensor, of_output: &Tensor) -> Result<Option<Tensor>> {
        let of_output = of_output.contiguous()?;
        let mut of_qkv = vec![0.0; qkv.elem_count()];
        {
            let (qkv, qkv_layout) = qkv.storage_and_layout();
            let (of_output, of_output_layout) = of_output.storage_and_layout();
            let (Storage::Cpu(qkv), Storage::Cpu(of_output)) = (&*qkv, &*of_output) else {
                bail!("attention ran on the CPU but its gradient is elsewhere");
            };
            let qkv = floats(qkv, qkv_layout)?;
            let of_output = floats(of_output, of_output_layout)?;
            let weights = self.weights.lock().unwrap_or_else(PoisonError::into_inner);
            backward(self.shape, qkv, &weights, of_output, &mut of_qkv);
        }
        Tensor::from_vec(of_qkv, qkv.shape(), qkv.device()).map(Some)
    }
}
