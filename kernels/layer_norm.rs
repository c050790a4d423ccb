//! Layer normalisation with learned scale and shift, forward and backward, over
//! the last dimension; `norm_rows.rs` has the formula.
//!
//! candle's fused layer norm records no gradient, without an error; hence this one. [`composed`] is the
//! specification.

use super::lstm_sequence::floats;
use super::norm_rows::{EPSILON, NormBackward, NormForward, norm_backward, norm_forward};
use candle_core::{CpuStorage, CustomOp3, D, Layout, Result, Shape, Storage, Tensor, bail};

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
        norm_forward(NormForward { x, scale, shift, y: &mut y });
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
            norm_backward(NormBackward {
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
