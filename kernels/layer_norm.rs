//! Layer normalisation with learned scale and shift, forward and backward (Ba, Kiros and Hinton 2016):
//! `y = (x - mean) / sqrt(variance + epsilon) * scale + shift`, mean and population variance over the last dimension.
//!
//! candle's fused layer norm records no gradient, without an error; hence this one. [`composed`] is the specification
//! and runs on devices without a kernel.

use super::gates::{multiply_add, vectorised};
use super::lstm_sequence::floats;
use candle_core::{CpuStorage, CustomOp3, D, Device, Layout, Result, Shape, Storage, Tensor, bail};

/// Added to the variance.
pub const EPSILON: f32 = 1e-5;

/// Normalises x `[.., D]` over D with scale `[D]` and shift `[D]`.
///
/// # Errors
/// Shapes that do not fit, or another type than f32.
pub fn layer_norm(x: &Tensor, scale: &Tensor, shift: &Tensor) -> Result<Tensor> {
    let width = x.dim(D::Minus1)?;
    if scale.dims() != [width] || shift.dims() != [width] {
        bail!(
            "layer norm over {width} columns was given scale {:?} and shift {:?}",
            scale.dims(),
            shift.dims()
        );
    }
    if !matches!(x.device(), Device::Cpu) {
        return composed(x, scale, shift);
    }
    x.contiguous()?.apply_op3(scale, shift, LayerNorm)
}

/// The specification of [`layer_norm`] in ordinary tensor operations.
///
/// # Errors
/// As [`layer_norm`].
pub fn composed(x: &Tensor, scale: &Tensor, shift: &Tensor) -> Result<Tensor> {
    let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
    let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
    let normal = centred.broadcast_div(&(variance + f64::from(EPSILON))?.sqrt()?)?;
    normal.broadcast_mul(scale)?.broadcast_add(shift)
}

struct LayerNorm;

/// Sum of f(k) over `0..length` in 16 running sums, so that it vectorises and yet has one order.
#[inline(always)]
pub(super) fn sum_of(length: usize, value: impl Fn(usize) -> f32) -> f32 {
    let mut lanes = [0.0_f32; 16];
    let whole = length / 16 * 16;
    for start in (0..whole).step_by(16) {
        for (lane, sum) in lanes.iter_mut().enumerate() {
            *sum += value(start + lane);
        }
    }
    for k in whole..length {
        lanes[k - whole] += value(k);
    }
    let mut width = 8;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}

/// Mean and 1 / sqrt(variance + epsilon) of one row.
#[inline(always)]
fn moments(row: &[f32]) -> (f32, f32) {
    let count = row.len() as f32;
    let mean = sum_of(row.len(), |k| row[k]) / count;
    let variance = sum_of(row.len(), |k| (row[k] - mean) * (row[k] - mean)) / count;
    (mean, 1.0 / (variance + EPSILON).sqrt())
}

struct Forward<'a> {
    x: &'a [f32],
    scale: &'a [f32],
    shift: &'a [f32],
    y: &'a mut [f32],
}

#[inline(always)]
fn forward_body<const FUSED: bool>(pass: Forward) {
    let width = pass.scale.len();
    for (x, y) in pass.x.chunks_exact(width).zip(pass.y.chunks_exact_mut(width)) {
        let (mean, factor) = moments(x);
        for k in 0..width {
            y[k] = multiply_add::<FUSED>((x[k] - mean) * factor, pass.scale[k], pass.shift[k]);
        }
    }
}

vectorised! {
    /// All rows forward.
    fn forward(pass: Forward) = forward_body;
}

struct Backward<'a> {
    x: &'a [f32],
    scale: &'a [f32],
    of_y: &'a [f32],
    of_x: &'a mut [f32],
    of_scale: &'a mut [f32],
    of_shift: &'a mut [f32],
}

/// With n the normalised row and g = dy * scale: dx = (g - mean(g) - n mean(g n)) / sqrt(variance + epsilon).
#[inline(always)]
fn backward_body<const FUSED: bool>(pass: Backward) {
    let width = pass.scale.len();
    let scale = pass.scale;
    let rows = pass.x.chunks_exact(width).zip(pass.of_y.chunks_exact(width));
    for ((x, of_y), of_x) in rows.zip(pass.of_x.chunks_exact_mut(width)) {
        let (mean, factor) = moments(x);
        let normal = |k: usize| (x[k] - mean) * factor;
        let level = sum_of(width, |k| of_y[k] * scale[k]) / width as f32;
        let slope = sum_of(width, |k| of_y[k] * scale[k] * normal(k)) / width as f32;
        for k in 0..width {
            let centred = multiply_add::<FUSED>(of_y[k], scale[k], -level);
            of_x[k] = multiply_add::<FUSED>(-normal(k), slope, centred) * factor;
            pass.of_scale[k] = multiply_add::<FUSED>(of_y[k], normal(k), pass.of_scale[k]);
            pass.of_shift[k] += of_y[k];
        }
    }
}

vectorised! {
    /// All rows backward.
    fn backward(pass: Backward) = backward_body;
}

impl CustomOp3 for LayerNorm {
    fn name(&self) -> &'static str {
        "layer-norm"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        scale: &CpuStorage,
        scale_layout: &Layout,
        shift: &CpuStorage,
        shift_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, scale, shift) =
            (floats(x, x_layout)?, floats(scale, scale_layout)?, floats(shift, shift_layout)?);
        let mut y = vec![0.0; x.len()];
        forward(Forward { x, scale, shift, y: &mut y });
        Ok((CpuStorage::F32(y), x_layout.shape().clone()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        scale: &Tensor,
        shift: &Tensor,
        _y: &Tensor,
        of_y: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let of_y = of_y.contiguous()?;
        let width = scale.elem_count();
        let mut of_x = vec![0.0; x.elem_count()];
        let (mut of_scale, mut of_shift) = (vec![0.0; width], vec![0.0; width]);
        {
            let (x, x_layout) = x.storage_and_layout();
            let (scale, scale_layout) = scale.storage_and_layout();
            let (of_y, of_y_layout) = of_y.storage_and_layout();
            let (Storage::Cpu(x), Storage::Cpu(scale), Storage::Cpu(of_y)) = (&*x, &*scale, &*of_y) else {
                bail!("layer norm ran on the CPU but its gradient is elsewhere");
            };
            backward(Backward {
                x: floats(x, x_layout)?,
                scale: floats(scale, scale_layout)?,
                of_y: floats(of_y, of_y_layout)?,
                of_x: &mut of_x,
                of_scale: &mut of_scale,
                of_shift: &mut of_shift,
            });
        }
        let tensor = |values: Vec<f32>, like: &Tensor| Tensor::from_vec(values, like.shape(), like.device());
        Ok((Some(tensor(of_x, x)?), Some(tensor(of_scale, scale)?), Some(tensor(of_shift, shift)?)))
    }
}
