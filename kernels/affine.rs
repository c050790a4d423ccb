//! `y = x W + b` over rows, forward and backward.
//!
//! One operation instead of a product and a broadcast sum: the gradient of the bias is then one pass over contiguous
//! rows instead of a strided reduction, and a gradient that nobody asks for is not computed. [`composed`] is the
//! specification and runs on devices without a kernel.

use super::gates::vectorised;
use super::lstm_sequence::floats;
use super::matrix::{Matrix, MatrixMut, Target, multiply};
use candle_core::{CpuStorage, CustomOp3, Device, Layout, Result, Shape, Storage, Tensor, bail};

/// x `[R, I]`, weight `[I, O]`, bias `[O]` -> `[R, O]`.
///
/// # Errors
/// Shapes that do not fit, or another type than f32.
pub fn affine(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    let ((_, columns), (inputs, outputs)) = (x.dims2()?, weight.dims2()?);
    if columns != inputs || bias.dims() != [outputs] {
        bail!("rows of {columns} do not fit a weight {inputs}x{outputs} with bias {:?}", bias.dims());
    }
    if !matches!(x.device(), Device::Cpu) {
        return composed(x, weight, bias);
    }
    x.contiguous()?.apply_op3(weight, bias, Affine)
}

/// The specification of [`affine`] in ordinary tensor operations.
///
/// # Errors
/// As [`affine`].
pub fn composed(x: &Tensor, weight: &Tensor, bias: &Tensor) -> Result<Tensor> {
    x.matmul(weight)?.broadcast_add(bias)
}

struct Affine;

#[inline(always)]
fn add_rows_body<const FUSED: bool>(rows: &[f32], sum: &mut [f32]) {
    for row in rows.chunks_exact(sum.len()) {
        for (sum, value) in sum.iter_mut().zip(row) {
            *sum += value;
        }
    }
}

vectorised! {
    /// Adds every row to the sum, in order.
    fn add_rows(rows: &[f32], sum: &mut [f32]) = add_rows_body;
}

impl CustomOp3 for Affine {
    fn name(&self) -> &'static str {
        "affine"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
        bias: &CpuStorage,
        bias_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let ((rows, inputs), (_, outputs)) = (x_layout.shape().dims2()?, weight_layout.shape().dims2()?);
        let (x, weight, bias) =
            (floats(x, x_layout)?, floats(weight, weight_layout)?, floats(bias, bias_layout)?);
        let mut y = Vec::with_capacity(rows * outputs);
        for _ in 0..rows {
            y.extend_from_slice(bias);
        }
        multiply(
            MatrixMut::new(&mut y, rows, outputs, outputs),
            Matrix::new(x, rows, inputs, inputs),
            Matrix::new(weight, inputs, outputs, outputs),
            Target::Added,
        );
        Ok((CpuStorage::F32(y), (rows, outputs).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        bias: &Tensor,
        _y: &Tensor,
        of_y: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>, Option<Tensor>)> {
        let ((rows, inputs), outputs) = (x.dims2()?, bias.elem_count());
        let of_y = of_y.contiguous()?;
        let mut of_x = x.track_op().then(|| vec![0.0; rows * inputs]);
        let (mut of_weight, mut of_bias) = (vec![0.0; inputs * outputs], vec![0.0; outputs]);
        {
            let (x, x_layout) = x.storage_and_layout();
            let (weight, weight_layout) = weight.storage_and_layout();
            let (of_y, of_y_layout) = of_y.storage_and_layout();
            let (Storage::Cpu(x), Storage::Cpu(weight), Storage::Cpu(of_y)) = (&*x, &*weight, &*of_y) else {
                bail!("an affine map ran on the CPU but its gradient is elsewhere");
            };
            let of_y = floats(of_y, of_y_layout)?;
            add_rows(of_y, &mut of_bias);
            let of_y = Matrix::new(of_y, rows, outputs, outputs);
            let x = Matrix::new(floats(x, x_layout)?, rows, inputs, inputs).transposed();
            multiply(MatrixMut::new(&mut of_weight, inputs, outputs, outputs), x, of_y, Target::Replaced);
            if let Some(of_x) = &mut of_x {
                let weight = Matrix::new(floats(weight, weight_layout)?, inputs, outputs, outputs);
                multiply(
                    MatrixMut::new(of_x, rows, inputs, inputs),
                    of_y,
                    weight.transposed(),
                    Target::Replaced,
                );
            }
        }
        let tensor = |values: Vec<f32>, like: &Tensor| Tensor::from_vec(values, like.shape(), like.device());
        Ok((
            of_x.map(|values| tensor(values, x)).transpose()?,
            Some(tensor(of_weight, weight)?),
            Some(tensor(of_bias, bias)?),
        ))
    }
}
