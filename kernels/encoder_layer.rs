//! The encoder layer of a Transformer as one operation on tensors; `encoder.rs` has the formula. One operation, because
//! between many the time goes into copies, sums with zeros and passes over memory that the caches could have held.
//! [`composed`] is the specification.

use super::affine::factor;
use super::arena::Arena;
use super::dropout::Dropout;
use super::encoder::{self, EncoderSettings, LinearPlace, NormPlace, NormPlaces, Record};
use super::encoder_backward;
use super::inverted_dropout;
use super::layer_norm;
use super::lstm_sequence::floats;
use super::precision::Precision;
use super::row_steps::Activation;
use candle_core::{CpuStorage, CustomOp2, D, Layout, Result, Shape, Storage, Tensor, bail};
use std::sync::{Mutex, PoisonError};

/// x `[B, T, D]` through a layer whose weights lie in one tensor (see [`encoder::EncoderShape::places`]); result
/// `[B, T - first, D]`.
///
/// # Errors
/// Shapes that do not fit, or another type than f32.
pub fn encoder_layer(
    x: &Tensor,
    weights: &Tensor,
    settings: &EncoderSettings,
    arena: &Arena,
) -> Result<Tensor> {
    check(x, weights, settings)?;
    let keeps = x.track_op() || weights.track_op();
    let layer = EncoderLayer { settings: *settings, arena: arena.clone(), keeps, record: Mutex::default() };
    x.contiguous()?.apply_op2(weights, layer)
}

fn check(x: &Tensor, weights: &Tensor, settings: &EncoderSettings) -> Result<()> {
    let (batch, length, width) = x.dims3()?;
    let shape = settings.shape;
    if batch == 0 || shape.heads == 0 || width != shape.width || !width.is_multiple_of(shape.heads) {
        bail!("{batch} windows of {width} columns do not fit an encoder layer of {shape:?}");
    }
    if settings.first >= length {
        bail!("results from position {} on were asked of windows of {length}", settings.first);
    }
    if weights.dims() != [shape.count()] {
        bail!("an encoder layer of {shape:?} has {} weights, not {:?}", shape.count(), weights.dims());
    }
    Ok(())
}

/// The specification of [`encoder_layer`] in ordinary tensor operations. Factors of products are rounded as the precision
/// asks; in its backward pass only those of the forward pass are.
///
/// # Errors
/// As [`encoder_layer`].
pub fn composed(x: &Tensor, weights: &Tensor, settings: &EncoderSettings) -> Result<Tensor> {
    check(x, weights, settings)?;
    let places = settings.shape.places();
    let norm = |x: &Tensor, place: &NormPlaces| {
        let part = |range: &std::ops::Range<usize>| weights.narrow(0, range.start, range.len());
        layer_norm::composed(x, &part(&place.scale)?, &part(&place.shift)?)
    };
    let linear = |x: &Tensor, place: &LinearPlace| {
        let (rows, length, _) = x.dims3()?;
        let LinearPlace { inputs, outputs, ref weight, ref bias } = *place;
        let weight = weights.narrow(0, weight.start, weight.len())?.reshape((inputs, outputs))?;
        let x = factor(&x.contiguous()?.reshape((rows * length, inputs))?, settings.precision)?;
        let product = x.matmul(&factor(&weight, settings.precision)?)?;
        let bias = weights.narrow(0, bias.start, bias.len())?;
        product.broadcast_add(&bias)?.reshape((rows, length, outputs))
    };
    let dropped = |x: Tensor, dropout: Option<Dropout>| match dropout {
        Some(dropout) => inverted_dropout::composed(&x, dropout),
        None => Ok(x),
    };
    let asking = |x: &Tensor| x.narrow(1, settings.first, x.dim(1)? - settings.first);
    let source = match settings.norm {
        NormPlace::First => norm(x, &places.attention_norm)?,
        NormPlace::Last => x.clone(),
    };
    let qkv = linear(&source, &places.queries_keys_values)?;
    let attended = composed_attention(&qkv, settings.shape.heads, settings.causal, settings.precision)?;
    let attended = linear(&asking(&attended)?, &places.attention_output)?;
    let sum = (asking(x)? + dropped(attended, settings.dropout[0])?)?;
    let (base, normal) = match settings.norm {
        NormPlace::First => (sum.clone(), norm(&sum, &places.feed_forward_norm)?),
        NormPlace::Last => {
            let normal = norm(&sum, &places.attention_norm)?;
            (normal.clone(), normal)
        }
    };
    let middle = linear(&normal, &places.expand)?;
    let middle = match settings.activation {
        Activation::Relu => middle.relu()?,
        Activation::Gelu => middle.gelu_erf()?,
    };
    let sum = (base + dropped(linear(&middle, &places.contract)?, settings.dropout[1])?)?;
    match settings.norm {
        NormPlace::First => Ok(sum),
        NormPlace::Last => norm(&sum, &places.feed_forward_norm),
    }
}

/// The specification of the attention in `attention.rs`: qkv `[B, T, 3D]` (queries, keys, values side by side, each split
/// into `heads`) -> `[B, T, D]`.
///
/// # Errors
/// A width that heads do not divide.
pub fn composed_attention(qkv: &Tensor, heads: usize, causal: bool, precision: Precision) -> Result<Tensor> {
    let (batch, length, columns) = qkv.dims3()?;
    let (width, head) = (columns / 3, columns / 3 / heads);
    let part = |which: usize| {
        let part = qkv.narrow(D::Minus1, which * width, width)?;
        factor(&part.reshape((batch, length, heads, head))?.transpose(1, 2)?.contiguous()?, precision)
    };
    let (queries, keys, values) = (part(0)?, part(1)?, part(2)?);
    let mut scores = (queries.matmul(&keys.transpose(2, 3)?.contiguous()?)? / (head as f64).sqrt())?;
    if causal {
        let mask = candle_transformers::utils::build_causal_mask(length, 0, qkv.device())?;
        let hidden = Tensor::new(f32::NEG_INFINITY, qkv.device())?.broadcast_as(scores.shape())?;
        scores = mask.broadcast_as(scores.shape())?.where_cond(&hidden, &scores)?;
    }
    // Not softmax_last_dim: candle's fused one records no gradient.
    let weights = factor(&candle_nn::ops::softmax(&scores, D::Minus1)?, precision)?;
    weights.matmul(&values)?.transpose(1, 2)?.contiguous()?.reshape((batch, length, width))
}

struct EncoderLayer {
    settings: EncoderSettings,
    arena: Arena,
    keeps: bool,
    /// Of the forward pass; back to the arena when the graph of the step is dropped.
    record: Mutex<Option<Record>>,
}

impl Drop for EncoderLayer {
    fn drop(&mut self) {
        // A poisoned lock only means that another thread panicked while it read plain numbers.
        if let Some(record) = self.record.get_mut().unwrap_or_else(PoisonError::into_inner).take() {
            record.give_back(&self.arena);
        }
    }
}

impl CustomOp2 for EncoderLayer {
    fn name(&self) -> &'static str {
        "encoder-layer"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weights: &CpuStorage,
        weights_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (batch, length, width) = x_layout.shape().dims3()?;
        let slices = [floats(x, x_layout)?, floats(weights, weights_layout)?];
        let (y, record) = encoder::forward(&self.settings, &self.arena, slices, batch, self.keeps);
        *self.record.lock().unwrap_or_else(PoisonError::into_inner) = record;
        Ok((CpuStorage::F32(y), (batch, length - self.settings.first, width).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weights: &Tensor,
        _y: &Tensor,
        of_y: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let of_y = of_y.contiguous()?;
        let gradients = {
            let (x_storage, x_layout) = x.storage_and_layout();
            let (weights, weights_layout) = weights.storage_and_layout();
            let (of_y, of_y_layout) = of_y.storage_and_layout();
            let (Storage::Cpu(x_storage), Storage::Cpu(weights), Storage::Cpu(of_y)) =
                (&*x_storage, &*weights, &*of_y)
            else {
                bail!("an encoder layer ran on the CPU but its gradient is elsewhere");
            };
            let slices =
                [floats(x_storage, x_layout)?, floats(weights, weights_layout)?, floats(of_y, of_y_layout)?];
            let record = self.record.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(record) = &*record else { bail!("an encoder layer kept nothing for its backward pass") };
            encoder_backward::backward(&self.settings, &self.arena, slices, x.dim(0)?, record)
        };
        Ok((
            Some(Tensor::from_vec(gradients.of_x, x.shape(), x.device())?),
            Some(Tensor::from_vec(gradients.of_weights, weights.shape(), weights.device())?),
        ))
    }
}
