//! AdamW over all weights of a network, with gradient clipping; its state can be saved.

use super::config::AdamWConfig;
use crate::kernels::adamw::{AdamWStep, adamw, squared_norm};
use crate::nn::Parameters;
use candle_core::backprop::GradStore;
use candle_core::{DType, Device, Result, Tensor, bail};

/// The moments of all weights and the number of steps taken.
pub(super) struct Optimizer {
    /// May change between two steps.
    pub(super) config: AdamWConfig,
    clip: Option<f64>,
    /// `[2, n]`: first and second moments, weight after weight.
    moments: Tensor,
    step: u64,
}

impl Optimizer {
    pub(super) fn new(parameters: &Parameters, config: AdamWConfig, clip: Option<f64>) -> Result<Self> {
        let moments = Tensor::zeros((2, parameters.count()), DType::F32, &Device::Cpu)?;
        Ok(Optimizer { config, clip, moments, step: 0 })
    }

    /// Moves all weights along their gradients, one each, in order; `share` is that of the learning rate.
    pub(super) fn step(&mut self, parameters: &Parameters, gradients: &[Tensor], share: f64) -> Result<()> {
        self.step += 1;
        let step = AdamWStep { gradient_factor: self.factor(gradients)?, ..self.planned(self.step, share) };
        let weights: Vec<_> = parameters.weights().iter().map(|weight| &weight.var).collect();
        adamw(&weights, &mut self.moments, gradients, &step)
    }

    /// The numbers of step number `step`, before the gradients are clipped.
    pub(super) fn planned(&self, step: u64, share: f64) -> AdamWStep {
        let AdamWConfig { learning_rate, weight_decay, beta_1, beta_2, epsilon } = self.config;
        let (rate, decay) = (learning_rate * share, weight_decay);
        AdamWStep { rate, decay, beta_1, beta_2, epsilon, step, gradient_factor: 1.0 }
    }

    /// Counts a step that was done elsewhere.
    pub(super) fn count_step(&mut self) {
        self.step += 1;
    }

    /// Longest gradient.
    pub(super) fn clip(&self) -> Option<f64> {
        self.clip
    }

    /// By what the gradients are multiplied so that their common norm is at most the clip.
    fn factor(&self, gradients: &[Tensor]) -> Result<f64> {
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

    /// A copy of all moments, `[2, n]` row-major.
    pub(super) fn values(&self) -> Result<Vec<f32>> {
        self.moments.flatten_all()?.to_vec1::<f32>()
    }

    /// Takes moments back, as [`Optimizer::values`] gave them.
    pub(super) fn set(&mut self, values: &[f32], step: u64) -> Result<()> {
        self.moments = Tensor::from_slice(values, self.moments.shape(), &Device::Cpu)?;
        self.step = step;
        Ok(())
    }
}

/// The gradients of all weights, in order.
pub(super) fn gradients(parameters: &Parameters, mut store: GradStore) -> Result<Vec<Tensor>> {
    let of = |weight: &crate::nn::Weight| match store.remove(&weight.var) {
        Some(gradient) => Ok(gradient),
        // candle leaves a gradient out without a word where an operation has none.
        None => bail!("the weight {} takes no part in the loss", weight.name),
    };
    parameters.weights().iter().map(of).collect()
}
