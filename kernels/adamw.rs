//! One step of AdamW (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019, algorithm 2), in place.
//!
//! ```text
//! m = beta_1 m + (1 - beta_1) g            v = beta_2 v + (1 - beta_2) g^2
//! w = w (1 - rate decay) - rate / (1 - beta_1^t) m / (sqrt(v) / sqrt(1 - beta_2^t) + epsilon)
//! ```

use super::gates::vectorised;
use super::lstm_sequence::floats;
use candle_core::{CpuStorage, InplaceOp1, Layout, Result, Storage, Tensor, Var, bail};
use std::cell::Cell;

/// The numbers of one step, the same for every weight.
#[derive(Clone, Copy, Debug)]
pub struct AdamWStep {
    /// Learning rate.
    pub rate: f64,
    /// Decoupled weight decay, a share of the weight a step when multiplied by the rate.
    pub decay: f64,
    /// Memory of the first moment.
    pub beta_1: f64,
    /// Memory of the second moment.
    pub beta_2: f64,
    /// Added to the root of the second moment.
    pub epsilon: f64,
    /// The step's number t, from 1.
    pub step: u64,
    /// What the gradients are multiplied by first: below 1 where they are clipped.
    pub gradient_factor: f64,
}

impl AdamWStep {
    pub(super) fn corrections(&self) -> (f64, f64) {
        let step = self.step as f64;
        (1.0 - self.beta_1.powf(step), 1.0 - self.beta_2.powf(step))
    }
}

/// Moves all weights of a network and their `moments` (`[2, n]`: m, then v, weight after weight) by one step along their
/// gradients, one each in the same order: one pass over the numbers.
///
/// # Errors
/// Shapes that do not fit, or a device that fails.
pub fn adamw(weights: &[&Var], moments: &mut Tensor, gradients: &[Tensor], step: &AdamWStep) -> Result<()> {
    let count: usize = weights.iter().map(|weight| weight.elem_count()).sum();
    if moments.dims() != [2, count] || weights.len() != gradients.len() {
        bail!("moments {:?} and {} gradients do not fit {count} weights", moments.dims(), gradients.len());
    }
    for (weight, gradient) in weights.iter().zip(gradients) {
        if gradient.dims() != weight.dims() {
            bail!("the gradient {:?} does not fit the weight {:?}", gradient.dims(), weight.dims());
        }
    }
    moments.inplace_op1(&AllWeights { weights, gradients, step })
}

/// The specification of [`adamw`] in ordinary tensor operations.
///
/// # Errors
/// As [`adamw`].
pub fn composed(
    weights: &[&Var],
    moments: &mut Tensor,
    gradients: &[Tensor],
    step: &AdamWStep,
) -> Result<()> {
    let (first_correction, second_correction) = step.corrections();
    let mut start = 0;
    let (mut all_first, mut all_second) = (Vec::new(), Vec::new());
    for (weight, gradient) in weights.iter().zip(gradients) {
        let own = moments.narrow(1, start, weight.elem_count())?;
        start += weight.elem_count();
        let gradient = (gradient.detach().flatten_all()? * step.gradient_factor)?;
        let first = ((own.get(0)? * step.beta_1)? + (&gradient * (1.0 - step.beta_1))?)?;
        let second = ((own.get(1)? * step.beta_2)? + (gradient.sqr()? * (1.0 - step.beta_2))?)?;
        let root = ((second.sqrt()? / second_correction.sqrt())? + step.epsilon)?;
        let change = ((&first / root)? * (step.rate / first_correction))?.reshape(weight.shape())?;
        let decayed = (weight.as_detached_tensor() * (1.0 - step.rate * step.decay))?;
        weight.set(&(decayed - change)?)?;
        all_first.push(first);
        all_second.push(second);
    }
    *moments = Tensor::stack(&[Tensor::cat(&all_first, 0)?, Tensor::cat(&all_second, 0)?], 0)?;
    Ok(())
}

/// The squared Euclidean norm of a gradient, summed in f64 in a fixed order.
///
/// # Errors
/// Another type than f32, or a tensor that is not on the CPU.
pub fn squared_norm(gradient: &Tensor) -> Result<f64> {
    let gradient = gradient.contiguous()?;
    let (storage, layout) = gradient.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => {
            let mut lanes = [0.0; 8];
            add_squares(floats(storage, layout)?, &mut lanes);
            Ok(lanes.iter().sum())
        }
        _ => bail!("a gradient is not on the CPU"),
    }
}

#[inline(always)]
fn squares_body<const FUSED: bool>(values: &[f32], lanes: &mut [f64; 8]) {
    let (chunks, rest) = values.as_chunks::<8>();
    for chunk in chunks {
        for (sum, value) in lanes.iter_mut().zip(chunk) {
            *sum += f64::from(*value) * f64::from(*value);
        }
    }
    for (sum, value) in lanes.iter_mut().zip(rest) {
        *sum += f64::from(*value) * f64::from(*value);
    }
}

vectorised! {
    /// Adds the square of number k to lane k mod 8.
    fn add_squares(values: &[f32], lanes: &mut [f64; 8]) = squares_body;
}

fn floats_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    match (layout.contiguous_offsets(), storage) {
        (Some((start, end)), CpuStorage::F32(values)) => Ok(&mut values[start..end]),
        _ => bail!("AdamW works on contiguous f32 tensors"),
    }
}

/// The numbers of one weight tensor, and those of the step in f32.
struct Move<'a> {
    weight: &'a mut [f32],
    first: &'a mut [f32],
    second: &'a mut [f32],
    gradient: &'a [f32],
    numbers: Numbers,
}

/// What all numbers of a step have in common.
#[derive(Clone, Copy)]
struct Numbers {
    /// Of the gradient.
    factor: f32,
    /// beta_1, 1 - beta_1.
    first: [f32; 2],
    /// beta_2, 1 - beta_2.
    second: [f32; 2],
    /// 1 - rate * decay.
    kept: f32,
    /// rate / (1 - beta_1^t).
    rate: f32,
    /// 1 / sqrt(1 - beta_2^t).
    root_factor: f32,
    epsilon: f32,
}

impl Numbers {
    fn of(step: &AdamWStep) -> Self {
        let AdamWStep { rate, decay, beta_1, beta_2, epsilon, gradient_factor, .. } = *step;
        let (first_correction, second_correction) = step.corrections();
        Numbers {
            factor: gradient_factor as f32,
            first: [beta_1, 1.0 - beta_1].map(|value| value as f32),
            second: [beta_2, 1.0 - beta_2].map(|value| value as f32),
            kept: (1.0 - rate * decay) as f32,
            rate: (rate / first_correction) as f32,
            root_factor: (1.0 / second_correction.sqrt()) as f32,
            epsilon: epsilon as f32,
        }
    }
}

#[inline(always)]
fn move_body<const FUSED: bool>(pass: Move) {
    let Move { weight, first, second, gradient, numbers } = pass;
    let Numbers {
        factor,
        first: [beta_1, rest_1],
        second: [beta_2, rest_2],
        kept,
        rate,
        root_factor,
        epsilon,
    } = numbers;
    for (((weight, first), second), gradient) in weight.iter_mut().zip(first).zip(second).zip(gradient) {
        let gradient = gradient * factor;
        *first = beta_1 * *first + rest_1 * gradient;
        *second = beta_2 * *second + rest_2 * gradient * gradient;
        *weight = *weight * kept - rate * *first / (second.sqrt() * root_factor + epsilon);
    }
}

vectorised! {
    /// Updates both moments and moves the weights.
    fn move_weights(pass: Move) = move_body;
}

/// Changes the moments of all weights in place, and the weights with them.
struct AllWeights<'a> {
    weights: &'a [&'a Var],
    gradients: &'a [Tensor],
    step: &'a AdamWStep,
}

impl InplaceOp1 for AllWeights<'_> {
    fn name(&self) -> &'static str {
        "adamw"
    }

    fn cpu_fwd(&self, moments: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let moments = floats_mut(moments, layout)?;
        let (mut first, mut second) = moments.split_at_mut(moments.len() / 2);
        let numbers = Numbers::of(self.step);
        for (weight, gradient) in self.weights.iter().zip(self.gradients) {
            let own;
            (own, first) = first.split_at_mut(weight.elem_count());
            let own_second;
            (own_second, second) = second.split_at_mut(weight.elem_count());
            let moments = Cell::new(Some((own, own_second)));
            weight.inplace_op1(&OneWeight { numbers, gradient: gradient.contiguous()?, moments })?;
        }
        Ok(())
    }
}

/// Changes one weight in place, and its moments with it.
struct OneWeight<'a> {
    numbers: Numbers,
    gradient: Tensor,
    /// Taken by the one call.
    moments: Cell<Option<(&'a mut [f32], &'a mut [f32])>>,
}

impl InplaceOp1 for OneWeight<'_> {
    fn name(&self) -> &'static str {
        "adamw-weight"
    }

    fn cpu_fwd(&self, weight: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let (gradient, gradient_layout) = self.gradient.storage_and_layout();
        let Storage::Cpu(gradient) = &*gradient else { bail!("the gradient is not where the weight is") };
        let Some((first, second)) = self.moments.take() else { bail!("a weight moves once a step") };
        let (weight, gradient) = (floats_mut(weight, layout)?, floats(gradient, gradient_layout)?);
        move_weights(Move { weight, first, second, gradient, numbers: self.numbers });
        Ok(())
    }
}
