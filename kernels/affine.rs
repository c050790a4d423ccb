//! `y = x W + b` over rows, forward and backward.
//!
//! One operation instead of a product and a broadcast sum: the gradient of the bias is then one pass over contiguous
//! rows instead of a strided reduction, and a gradient that nobody asks for is not computed. [`composed`] is the
//! specification.

use super::arena::Arena;
use super::lstm_sequence::floats;
use super::matrix::{Matrix, MatrixMut, Target};
use super::precision::Precision;
use super::product::Products;
use super::row_steps::add_rows;
use candle_core::{CpuStorage, CustomOp3, DType, Layout, Result, Shape, Storage, Tensor, bail};

/// x `[R, I]`, weight `[I, O]`, bias `[O]` -> `[R, O]`.
///
/// # Errors
/// Shapes that do not fit, or another type than f32.
pub fn affine([x, weight, bias]: [&Tensor; 3], precision: Precision, arena: &Arena) -> Result<Tensor> {
    let ((_, columns), (inputs, outputs)) = (x.dims2()?, weight.dims2()?);
    if columns != inputs || bias.dims() != [outputs] {
        bail!("rows of {columns} do not fit a weight {inputs}x{outputs} with bias {:?}", bias.dims());
    }
    let arena = arena.clone();
    x.contiguous()?.apply_op3(weight, bias, Affine { precision, arena })
}

/// The specification of [`affine`] in ordinary tensor operations.
///
/// # Errors
/// As [`affine`].
pub fn composed([x, weight, bias]: [&Tensor; 3], precision: Precision) -> Result<Tensor> {
    factor(x, precision)?.matmul(&factor(weight, precision)?)?.broadcast_add(bias)
}

/// A factor of a product in this precision; its gradient passes unrounded.
pub(super) fn factor(x: &Tensor, precision: Precision) -> Result<Tensor> {
    match precision {
        Precision::F32 => Ok(x.clone()),
        Precision::Bf16 => x.to_dtype(DType::BF16)?.to_dtype(DType::F32),
    }
}

struct Affine {
    precision: Precision,
    arena: Arena,
}

impl Affine {
    fn products(&self) -> Products<'_> {
        Products { precision: self.precision, arena: &self.arena }
    }
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
        self.products().multiply_once(
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
            let products = self.products();
            let of_weight = MatrixMut::new(&mut of_weight, inputs, outputs, outputs);
            products.multiply_once(of_weight, x, of_y, Target::Replaced);
            if let Some(of_x) = &mut of_x {
                let weight = Matrix::new(floats(weight, weight_layout)?, inputs, outputs, outputs);
                products.multiply_once(
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
