//! Layer normalisation of rows, forward and backward (Ba, Kiros and Hinton 2016):
//! `y = (x - mean) / sqrt(variance + epsilon) * scale + shift`, mean and population variance over a row.

use super::gates::{multiply_add, vectorised};

/// Added to the variance.
pub const EPSILON: f32 = 1e-5;

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

/// All rows forward; every row has as many numbers as `scale`.
pub struct NormForward<'a> {
    /// The rows.
    pub x: &'a [f32],
    /// Of one row's length.
    pub scale: &'a [f32],
    /// Of one row's length.
    pub shift: &'a [f32],
    /// The result, as long as x.
    pub y: &'a mut [f32],
}

#[inline(always)]
fn forward_body<const FUSED: bool>(pass: NormForward) {
    let width = pass.scale.len();
    let shift = &pass.shift[..width];
    for (x, y) in pass.x.chunks_exact(width).zip(pass.y.chunks_exact_mut(width)) {
        let (mean, factor) = moments(x);
        for k in 0..width {
            y[k] = multiply_add::<FUSED>((x[k] - mean) * factor, pass.scale[k], shift[k]);
        }
    }
}

vectorised! {
    /// Normalises every row.
    pub fn norm_forward(pass: NormForward) = forward_body;
}

/// All rows backward.
pub struct NormBackward<'a> {
    /// The rows that were normalised.
    pub x: &'a [f32],
    /// Of one row's length.
    pub scale: &'a [f32],
    /// The gradient of the result.
    pub of_y: &'a [f32],
    /// The gradient of x; overwritten.
    pub of_x: &'a mut [f32],
    /// The gradient of the scale is added to it.
    pub of_scale: &'a mut [f32],
    /// The gradient of the shift is added to it.
    pub of_shift: &'a mut [f32],
}

/// With n the normalised row and g = dy * scale: dx = (g - mean(g) - n mean(g n)) / sqrt(variance + epsilon).
#[inline(always)]
fn backward_body<const FUSED: bool>(pass: NormBackward) {
    let width = pass.scale.len();
    let scale = pass.scale;
    let (of_scale, of_shift) = (&mut pass.of_scale[..width], &mut pass.of_shift[..width]);
    let rows = pass.x.chunks_exact(width).zip(pass.of_y.chunks_exact(width));
    for ((x, of_y), of_x) in rows.zip(pass.of_x.chunks_exact_mut(width)) {
        let (mean, factor) = moments(x);
        let normal = |k: usize| (x[k] - mean) * factor;
        let level = sum_of(width, |k| of_y[k] * scale[k]) / width as f32;
        let slope = sum_of(width, |k| of_y[k] * scale[k] * normal(k)) / width as f32;
        for k in 0..width {
            let centred = multiply_add::<FUSED>(of_y[k], scale[k], -level);
            of_x[k] = multiply_add::<FUSED>(-normal(k), slope, centred) * factor;
            of_scale[k] = multiply_add::<FUSED>(of_y[k], normal(k), of_scale[k]);
            of_shift[k] += of_y[k];
        }
    }
}

vectorised! {
    /// The gradients of every row, and of scale and shift.
    pub fn norm_backward(pass: NormBackward) = backward_body;
}
