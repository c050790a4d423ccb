//! Passes over the rows of a matrix that are neither a product nor a norm: biases, sums, activations, residual paths.

use super::dropout::Dropout;
use super::gates::{exponential, multiply_add, vectorised};

/// What follows a linear map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// max(x, 0); the gradient at 0 is 0.
    Relu,
    /// x times the normal distribution's probability of at most x (Hendrycks and Gimpel 2016), exact, not the tanh form.
    Gelu,
}

/// Sets every row to the bias.
pub fn fill_rows(rows: &mut [f32], bias: &[f32]) {
    for row in rows.chunks_exact_mut(bias.len()) {
        row.copy_from_slice(bias);
    }
}

#[inline(always)]
fn add_rows_body<const FUSED: bool>(rows: &[f32], sum: &mut [f32]) {
    for row in rows.chunks_exact(sum.len()) {
        for (sum, value) in sum.iter_mut().zip(row) {
            *sum += value;
        }
    }
}

vectorised! {
    /// Adds every row to the sum, in order: the gradient of a bias.
    pub fn add_rows(rows: &[f32], sum: &mut [f32]) = add_rows_body;
}

#[inline(always)]
fn add_to_body<const FUSED: bool>(values: &[f32], sum: &mut [f32]) {
    for (sum, value) in sum.iter_mut().zip(values) {
        *sum += value;
    }
}

vectorised! {
    /// `sum += values`.
    pub fn add_to(values: &[f32], sum: &mut [f32]) = add_to_body;
}

#[inline(always)]
fn sum_body<const FUSED: bool>(values: &[f32], base: &[f32], result: &mut [f32]) {
    for ((result, base), value) in result.iter_mut().zip(base).zip(values) {
        *result = base + value;
    }
}

vectorised! {
    fn sum(values: &[f32], base: &[f32], result: &mut [f32]) = sum_body;
}

/// `result = base + dropout(values)`; the first value is element number `first` of what is dropped.
pub fn residual(dropout: Option<Dropout>, first: usize, values: &[f32], base: &[f32], result: &mut [f32]) {
    match dropout {
        Some(dropout) => dropout.add(first as u64, values, base, result),
        None => sum(values, base, result),
    }
}

/// The gradient of dropped values: a copy of `of_result` with the same elements dropped.
pub fn residual_gradient(dropout: Option<Dropout>, first: usize, of_result: &[f32], of_values: &mut [f32]) {
    match dropout {
        Some(dropout) => dropout.copy(first as u64, of_result, of_values),
        None => of_values.copy_from_slice(of_result),
    }
}

/// The error function, within 2e-7 (Abramowitz and Stegun 1964, 7.1.26), and e^(-x^2), of x >= 0.
#[inline(always)]
fn error_function<const FUSED: bool>(x: f32) -> (f32, f32) {
    let t = 1.0 / multiply_add::<FUSED>(0.327_591_1, x, 1.0);
    let mut series = 1.061_405_4;
    for coefficient in [-1.453_152_1, 1.421_413_8, -0.284_496_75, 0.254_829_6] {
        series = multiply_add::<FUSED>(series, t, coefficient);
    }
    let tail = exponential::<FUSED>(-x * x);
    (1.0 - series * t * tail, tail)
}

/// The normal distribution's probability of at most x, and its density at x.
#[inline(always)]
fn normal<const FUSED: bool>(x: f32) -> (f32, f32) {
    let (error, tail) = error_function::<FUSED>(x.abs() * std::f32::consts::FRAC_1_SQRT_2);
    (0.5 + 0.5 * error.copysign(x), tail * 0.398_942_3)
}

#[inline(always)]
fn gelu_body<const FUSED: bool>(x: &[f32], y: &mut [f32]) {
    for (y, x) in y.iter_mut().zip(x) {
        *y = x * normal::<FUSED>(*x).0;
    }
}

vectorised! {
    fn gelu(x: &[f32], y: &mut [f32]) = gelu_body;
}

#[inline(always)]
fn gelu_gradient_body<const FUSED: bool>(x: &[f32], gradient: &mut [f32]) {
    for (gradient, x) in gradient.iter_mut().zip(x) {
        let (probability, density) = normal::<FUSED>(*x);
        *gradient *= multiply_add::<FUSED>(*x, density, probability);
    }
}

vectorised! {
    fn gelu_gradient(x: &[f32], gradient: &mut [f32]) = gelu_gradient_body;
}

#[inline(always)]
fn relu_body<const FUSED: bool>(values: &mut [f32]) {
    for value in values {
        *value = value.max(0.0);
    }
}

vectorised! {
    fn relu(values: &mut [f32]) = relu_body;
}

#[inline(always)]
fn relu_gradient_body<const FUSED: bool>(x: &[f32], gradient: &mut [f32]) {
    for (gradient, x) in gradient.iter_mut().zip(x) {
        *gradient = if *x > 0.0 { *gradient } else { 0.0 };
    }
}

vectorised! {
    fn relu_gradient(x: &[f32], gradient: &mut [f32]) = relu_gradient_body;
}

impl Activation {
    /// The activated values. `kept` comes as the values before and leaves as what the backward pass needs; `free` is as
    /// long and may be used.
    pub fn forward<'a>(self, kept: &'a mut [f32], free: &'a mut [f32]) -> &'a [f32] {
        match self {
            Activation::Relu => {
                relu(kept);
                kept
            }
            Activation::Gelu => {
                gelu(kept, free);
                free
            }
        }
    }

    /// The activated values again, from what [`Activation::forward`] kept.
    pub fn activated<'a>(self, kept: &'a [f32], free: &'a mut [f32]) -> &'a [f32] {
        match self {
            Activation::Relu => kept,
            Activation::Gelu => {
                gelu(kept, free);
                free
            }
        }
    }

    /// Turns the gradient of the activated values into that of the values before.
    pub fn backward(self, kept: &[f32], gradient: &mut [f32]) {
        match self {
            Activation::Relu => relu_gradient(kept, gradient),
            Activation::Gelu => gelu_gradient(kept, gradient),
        }
    }
}
