//! AdamW over all weights of a network, with gradient clipping; its state can be saved.

use super::config::AdamWConfig;
use crate::kernels::adamw::{AdamWStep, adamw, squared_norm};
use crate::nn::Parameters;
use candle_core::backprop::GradStore;
use candle_core::{DType, Result, Tensor, bail};

/// The moments of every weight and the number of steps taken.
pub(super) struct Optimizer {
    config: AdamWConfig,
    clip: Option<f64>,
    /// One `[2, n]` a weight.
    moments: Vec<Tensor>,
    step: u64,
}

impl Optimizer {
    pub(super) fn new(parameters: &Parameters, config: AdamWConfig, clip: Option<f64>) -> Result<Self> {
        let zeros = |count| Tensor::zeros((2, count), DType::F32, parameters.device());
        let moments = parameters.weights().iter().map(|weight| zeros(weight.var.elem_count()));
        Ok(Optimizer { config, clip, moments: moments.collect::<Result<_>>()?, step: 0 })
    }

    /// Moves all weights; `share` is that of the learning rate.
    pub(super) fn step(&mut self, parameters: &Parameters, gradients: &GradStore, share: f64) -> Result<()> {
        let mut all = Vec::with_capacity(self.moments.len());
        for weight in parameters.weights() {
            match gradients.get(&weight.var) {
                Some(gradient) => all.push(gradient),
                // candle leaves a gradient out without a word where an operation has none.
                None => bail!("the weight {} takes no part in the loss", weight.name),
            }
        }
        self.step += 1;
        let AdamWConfig { learning_rate, weight_decay, beta_1, beta_2, epsilon } = self.config;
        let step = AdamWStep {
            rate: learning_rate * share,
            decay: weight_decay,
            beta_1,
            beta_2,
            epsilon,
            step: self.step,
            gradient_factor: self.factor(&all)?,
        };
        for ((weight, moments), gradient) in parameters.weights().iter().zip(&mut self.moments).zip(all) {
            adamw(&weight.var, moments, gradient, &step)?;
        }
        Ok(())
    }

    /// By what the gradients are multiplied so that their common norm is at most the clip.
    fn factor(&self, gradients: &[&Tensor]) -> Result<f64> {
        let Some(clip) = self.clip else { return Ok(1.0) };
        let mut sum = 0.0;
        for gradient in gradients {
            sum += squared_norm(gradient)?;
        }
        let norm = sum.sqrt();
        Ok(if norm > clip { clip / norm } else { 1.0 })
    }

    /// Steps taken.
    pub(super) fn steps(&self) -> u64 {
        self.step
    }

    /// A copy of all moments.
    pub(super) fn values(&self) -> Result<Vec<Vec<f32>>> {
        self.moments.iter().map(|moments| moments.flatten_all()?.to_vec1::<f32>()).collect()
    }

    /// Takes moments back, as [`Optimizer::values`] gave them.
    pub(super) fn set(&mut self, values: &[Vec<f32>], step: u64) -> Result<()> {
        for (moments, values) in self.moments.iter_mut().zip(values) {
            *moments = Tensor::from_slice(values, moments.shape(), moments.device())?;
        }
        self.step = step;
        Ok(())
    }
}
