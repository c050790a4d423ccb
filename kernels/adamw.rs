//! One step of AdamW (Loshchilov and Hutter, "Decoupled weight decay regularization", 2019, algorithm 2), in place.
//!
//! ```text
//! m = beta_1 m + (1 - beta_1) g            v = beta_2 v + (1 - beta_2) g^2
//! w = w (1 - rate decay) - rate / (1 - beta_1^t) m / (sqrt(v) / sqrt(1 - beta_2^t) + epsilon)
//! ```

use super::gates::vectorised;
use super::lstm_sequence::floats;
use candle_core::{CpuStorage, Device, InplaceOp1, Layout, Result, Storage, Tensor, Var, bail};

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
    fn corrections(&self) -> (f64, f64) {
        let step = self.step as f64;
        (1.0 - self.beta_1.powf(step), 1.0 - self.beta_2.powf(step))
    }
}

/// Moves `weight` and its `moments` (`[2, n]`: m, then v) by one step along `gradient`.
///
/// # Errors
/// Shapes that do not fit, or a device that fails.
pub fn adamw(weight: &Var, moments: &mut Tensor, gradient: &Tensor, step: &AdamWStep) -> Result<()> {
    if gradient.dims() != weight.dims() || moments.elem_count() != 2 * weight.elem_count() {
        bail!("the gradient {:?} does not fit the weight {:?}", gradient.dims(), weight.dims());
    }
    if !matches!(weight.device(), Device::Cpu) {
        return composed(weight, moments, gradient, step);
    }
    moments.inplace_op1(&Moments { step: *step, gradient: gradient.contiguous()? })?;
    weight.inplace_op1(&Move { step: *step, moments })
}

/// The specification of [`adamw`] in ordinary tensor operations; runs on devices without a kernel.
///
/// # Errors
/// As [`adamw`].
pub fn composed(weight: &Var, moments: &mut Tensor, gradient: &Tensor, step: &AdamWStep) -> Result<()> {
    let gradient = (gradient.detach().flatten_all()? * step.gradient_factor)?;
    let first = ((moments.get(0)? * step.beta_1)? + (&gradient * (1.0 - step.beta_1))?)?;
    let second = ((moments.get(1)? * step.beta_2)? + (gradient.sqr()? * (1.0 - step.beta_2))?)?;
    *moments = Tensor::stack(&[&first, &second], 0)?;
    let (first_correction, second_correction) = step.corrections();
    let root = ((second.sqrt()? / second_correction.sqrt())? + step.epsilon)?;
    let change = ((first / root)? * (step.rate / first_correction))?.reshape(weight.shape())?;
    let decayed = (weight.as_detached_tensor() * (1.0 - step.rate * step.decay))?;
    weight.set(&(decayed - change)?)
}

/// The squared Euclidean norm of a gradient, summed in f64 in a fixed order.
///
/// # Errors
/// Another type than f32.
pub fn squared_norm(gradient: &Tensor) -> Result<f64> {
    let gradient = gradient.contiguous()?;
    let (storage, layout) = gradient.storage_and_layout();
    match &*storage {
        Storage::Cpu(storage) => {
            let mut lanes = [0.0_f64; 8];
            for chunk in floats(storage, layout)?.chunks(8) {
                for (sum, value) in lanes.iter_mut().zip(chunk) {
                    *sum += f64::from(*value) * f64::from(*value);
                }
            }
            Ok(lanes.iter().sum())
        }
        _ => Ok(f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?)),
    }
}

/// Changes the moments in place.
struct Moments {
    step: AdamWStep,
    gradient: Tensor,
}

/// Changes the weight in place.
struct Move<'a> {
    step: AdamWStep,
    moments: &'a Tensor,
}

fn floats_mut<'a>(storage: &'a mut CpuStorage, layout: &Layout) -> Result<&'a mut [f32]> {
    match (layout.contiguous_offsets(), storage) {
        (Some((start, end)), CpuStorage::F32(values)) => Ok(&mut values[start..end]),
        _ => bail!("AdamW works on contiguous f32 tensors"),
    }
}

struct MomentsPass<'a> {
    first: &'a mut [f32],
    second: &'a mut [f32],
    gradient: &'a [f32],
    /// beta_1, 1 - beta_1, beta_2, 1 - beta_2, factor of the gradient.
    numbers: [f32; 5],
}

#[inline(always)]
fn moments_body<const FUSED: bool>(pass: MomentsPass) {
    let [beta_1, rest_1, beta_2, rest_2, factor] = pass.numbers;
    for ((first, second), gradient) in pass.first.iter_mut().zip(pass.second).zip(pass.gradient) {
        let gradient = gradient * factor;
        *first = beta_1 * *first + rest_1 * gradient;
        *second = beta_2 * *second + rest_2 * gradient * gradient;
    }
}

vectorised! {
    /// Updates both moments.
    fn update_moments(pass: MomentsPass) = moments_body;
}

struct MovePass<'a> {
    weight: &'a mut [f32],
    first: &'a [f32],
    second: &'a [f32],
    /// 1 - rate * decay, rate / (1 - beta_1^t), 1 / sqrt(1 - beta_2^t), epsilon.
    numbers: [f32; 4],
}

#[inline(always)]
fn move_body<const FUSED: bool>(pass: MovePass) {
    let [kept, rate, root_factor, epsilon] = pass.numbers;
    for ((weight, first), second) in pass.weight.iter_mut().zip(pass.first).zip(pass.second) {
        *weight = *weight * kept - rate * first / (second.sqrt() * root_factor + epsilon);
    }
}

vectorised! {
    /// Moves the weights.
    fn move_weights(pass: MovePass) = move_body;
}

impl InplaceOp1 for Moments {
    fn name(&self) -> &'static str {
        "adamw-moments"
    }

    fn cpu_fwd(&self, moments: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let (gradient, gradient_layout) = self.gradient.storage_and_layout();
        let Storage::Cpu(gradient) = &*gradient else { bail!("the gradient is not where the weight is") };
        let gradient = floats(gradient, gradient_layout)?;
        let (first, second) = floats_mut(moments, layout)?.split_at_mut(gradient.len());
        let AdamWStep { beta_1, beta_2, gradient_factor, .. } = self.step;
        let numbers = [beta_1, 1.0 - beta_1, beta_2, 1.0 - beta_2, gradient_factor].map(|value| value as f32);
        update_moments(MomentsPass { first, second, gradient, numbers });
        Ok(())
    }
}

impl InplaceOp1 for Move<'_> {
    fn name(&self) -> &'static str {
        "adamw-move"
    }

    fn cpu_fwd(&self, weight: &mut CpuStorage, layout: &Layout) -> Result<()> {
        let (moments, moments_layout) = self.moments.storage_and_layout();
        let Storage::Cpu(moments) = &*moments else { bail!("the moments are not where the weight is") };
        let weight = floats_mut(weight, layout)?;
        let (first, second) = floats(moments, moments_layout)?.split_at(weight.len());
        let (first_correction, second_correction) = self.step.corrections();
        let AdamWStep { rate, decay, epsilon, .. } = self.step;
        let numbers = [1.0 - rate * decay, rate / first_correction, 1.0 / second_correction.sqrt(), epsilon];
        move_weights(MovePass { weight, first, second, numbers: numbers.map(|value| value as f32) });
        Ok(())
    }
}
