//! One pass through a network: whether it trains, and with which dropout.

use crate::seed::{Seed, at};
use candle_core::{Result, Tensor, Var};

/// What a layer must know of the pass it takes part in.
#[derive(Clone, Copy, Debug)]
pub enum Pass {
    /// Weights are constants and nothing is dropped.
    Evaluation,
    /// Gradients are recorded; dropout masks come from streams of this seed, which differs from step to step.
    Training(Seed),
}

impl Pass {
    /// A weight as this pass sees it: without a graph behind it when it only evaluates.
    pub fn weight(&self, var: &Var) -> Tensor {
        match self {
            Pass::Evaluation => var.as_detached_tensor(),
            Pass::Training(_) => var.as_tensor().clone(),
        }
    }

    /// Sets elements to zero with probability `rate` and divides the others by `1 - rate` (inverted dropout). `site`
    /// names the place in the network. Element number k falls by the k-th number of the step's stream, whatever the
    /// threads or the device.
    ///
    /// # Errors
    /// A device that fails.
    pub fn dropout(&self, x: &Tensor, rate: f64, site: &str) -> Result<Tensor> {
        let Pass::Training(seed) = self else { return Ok(x.clone()) };
        if rate <= 0.0 {
            return Ok(x.clone());
        }
        let key = seed.stream(site, 0).key();
        // 32 random bits decide, so the probability is exact to 2^-32.
        let threshold = (rate * 4_294_967_296.0) as u64;
        let kept = (1.0 / (1.0 - rate)) as f32;
        let mask: Vec<f32> = (0..x.elem_count() as u64)
            .map(|element| if at(key, element) >> 32 >= threshold { kept } else { 0.0 })
            .collect();
        x * Tensor::from_vec(mask, x.shape(), x.device())?
    }
}
