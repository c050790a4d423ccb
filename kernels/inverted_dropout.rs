//! Dropout of a tensor, forward and backward: kept elements are divided by the share that is kept ("inverted dropout",
//! Srivastava et al. 2014, section 10). The backward pass asks the counters again, so that no mask is stored.
//! [`composed`] is the specification.

use super::dropout::Dropout;
use super::lstm_sequence::floats;
use candle_core::{CpuStorage, CustomOp1, Layout, Result, Shape, Storage, Tensor, bail};

/// x of any shape times the factors of its elements, numbered row-major.
///
/// # Errors
/// Another type than f32.
pub fn inverted_dropout(x: &Tensor, dropout: Dropout) -> Result<Tensor> {
    x.contiguous()?.apply_op1(InvertedDropout(dropout))
}

/// The specification of [`inverted_dropout`]: a tensor of factors, and a product.
///
/// # Errors
/// As [`inverted_dropout`].
pub fn composed(x: &Tensor, dropout: Dropout) -> Result<Tensor> {
    let factors: Vec<f32> = (0..x.elem_count() as u64).map(|element| dropout.factor(element)).collect();
    x * Tensor::from_vec(factors, x.shape(), x.device())?
}

struct InvertedDropout(Dropout);

impl CustomOp1 for InvertedDropout {
    fn name(&self) -> &'static str {
        "inverted-dropout"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let x = floats(x, layout)?;
        let mut values = vec![0.0; x.len()];
        self.0.copy(0, x, &mut values);
        Ok((CpuStorage::F32(values), layout.shape().clone()))
    }

    fn bwd(&self, x: &Tensor, _y: &Tensor, of_y: &Tensor) -> Result<Option<Tensor>> {
        let of_y = of_y.contiguous()?;
        let (storage, layout) = of_y.storage_and_layout();
        let Storage::Cpu(storage) = &*storage else {
            bail!("dropout ran on the CPU but its gradient is elsewhere");
        };
        let of_y = floats(storage, layout)?;
        let mut values = vec![0.0; of_y.len()];
        self.0.copy(0, of_y, &mut values);
        Tensor::from_vec(values, x.shape(), x.device()).map(Some)
    }
}
