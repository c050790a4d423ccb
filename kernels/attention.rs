//! Causal multi-head self-attention of short sequences, forward and backward (Vaswani et al. 2017):
//! for every head, `softmax(q k' / sqrt(D / heads)) v`, where a position sees itself and those before it.
//!
//! Windows of bars are short (tens of positions), where separate tensor operations spend their time on copies; here one
//! pass does a head. [`composed`] is the specification and runs on devices without a kernel.

use super::gates::{exponential, multiply_add, vectorised};
use super::layer_norm::sum_of;
use super::lstm_sequence::floats;
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

struct Forward<'a> {
    shape: AttentionShape,
    qkv: &'a [f32],
    weights: &'a mut [f32],
    output: &'a mut [f32],
}

#[inline(always)]
fn forward_body<const FUSED: bool>(pass: Forward) {
    let AttentionShape { batch, length, heads, width } = pass.shape;
    let head = width / heads;
    let scale = 1.0 / (head as f32).sqrt();
    for (block, weights) in pass.weights.chunks_exact_mut(length * length).enumerate().take(batch * heads) {
        let first = block / heads * length;
        let offset = block % heads * head;
        let part =
            |t: usize, which: usize| &pass.qkv[(first + t) * 3 * width + which * width + offset..][..head];
        for (t, row) in weights.chunks_exact_mut(length).enumerate() {
            let query = part(t, 0);
            for (s, score) in row[..=t].iter_mut().enumerate() {
                let key = part(s, 1);
                *score = sum_of(head, |k| query[k] * key[k]) * scale;
            }
            softmax::<FUSED>(&mut row[..=t]);
            let output = &mut pass.output[(first + t) * width + offset..][..head];
            output.fill(0.0);
            for (s, weight) in row[..=t].iter().enumerate() {
                add_scaled::<FUSED>(output, *weight, part(s, 2));
            }
        }
    }
}

#[inline(always)]
fn softmax<const FUSED: bool>(row: &mut [f32]) {
    let highest = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    for value in row.iter_mut() {
        *value = exponential::<FUSED>(*value - highest);
    }
    let factor = 1.0 / sum_of(row.len(), |k| row[k]);
    for value in row.iter_mut() {
        *value *= factor;
    }
}

#[inline(always)]
fn add_scaled<const FUSED: bool>(sum: &mut [f32], factor: f32, values: &[f32]) {
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum = multiply_add::<FUSED>(factor, *value, *sum);
    }
}

vectorised! {
    /// All heads forward.
    fn forward(pass: Forward) = forward_body;
}

struct Backward<'a> {
    shape: AttentionShape,
    qkv: &'a [f32],
    weights: &'a [f32],
    of_output: &'a [f32],
    /// Comes as zeros.
    of_qkv: &'a mut [f32],
}

/// With w the softmax weights and dw(t, s) = do(t) v(s): the gradient of a score is w (dw - sum over s of w dw).
#[inline(always)]
fn backward_body<const FUSED: bool>(pass: Backward) {
    let AttentionShape { batch, length, heads, width } = pass.shape;
    let head = width / heads;
    let scale = 1.0 / (head as f32).sqrt();
    let mut of_scores = vec![0.0; length];
    for (block, weights) in pass.weights.chunks_exact(length * length).enumerate().take(batch * heads) {
        let first = block / heads * length;
        let offset = block % heads * head;
        let place = |t: usize, which: usize| (first + t) * 3 * width + which * width + offset;
        for (t, row) in weights.chunks_exact(length).enumerate() {
            let row = &row[..=t];
            let of_output = &pass.of_output[(first + t) * width + offset..][..head];
            for (s, weight) in row.iter().enumerate() {
                let value = &pass.qkv[place(s, 2)..][..head];
                of_scores[s] = sum_of(head, |k| of_output[k] * value[k]);
                add_scaled::<FUSED>(&mut pass.of_qkv[place(s, 2)..][..head], *weight, of_output);
            }
            let mean = sum_of(row.len(), |s| row[s] * of_scores[s]);
            for (s, weight) in row.iter().enumerate() {
                let of_score = weight * (of_scores[s] - mean) * scale;
                let (query, key) = (&pass.qkv[place(t, 0)..][..head], &pass.qkv[place(s, 1)..][..head]);
                add_scaled::<FUSED>(&mut pass.of_qkv[place(t, 0)..][..head], of_score, key);
                add_scaled::<FUSED>(&mut pass.of_qkv[place(s, 1)..][..head], of_score, query);
            }
        }
    }
}

vectorised! {
    /// All heads backward.
    fn backward(pass: Backward) = backward_body;
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
        forward(Forward { shape: self.shape, qkv, weights: &mut weights, output: &mut output });
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
            backward(Backward {
                shape: self.shape,
                qkv: floats(qkv, qkv_layout)?,
                weights: &self.weights.lock().unwrap_or_else(PoisonError::into_inner),
                of_output: floats(of_output, of_output_layout)?,
                of_qkv: &mut of_qkv,
            });
        }
        Tensor::from_vec(of_qkv, qkv.shape(), qkv.device()).map(Some)
    }
}
