//! Where a position stands in its window.

use candle_core::{Device, Result, Tensor};

/// Sinusoidal positions `[length, width]` (Vaswani et al. 2017, section 3.5): column 2k holds sin(t / 10000^(2k / width)),
/// column 2k + 1 the cosine of the same angle.
///
/// # Errors
/// A device that cannot hold it.
pub fn sinusoidal_positions(length: usize, width: usize) -> Result<Tensor> {
    let mut values = Vec::with_capacity(length * width);
    for t in 0..length {
        for column in 0..width {
            let exponent = (column / 2 * 2) as f64 / width as f64;
            let angle = t as f64 / 10_000_f64.powf(exponent);
            values.push(if column % 2 == 0 { angle.sin() } else { angle.cos() } as f32);
        }
    }
    Tensor::from_vec(values, (length, width), &Device::Cpu)
}
