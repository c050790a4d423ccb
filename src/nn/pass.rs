//! One pass through a network: whether it trains, with which dropout, in which precision, with whose buffers.

use crate::kernels::arena::Arena;
use crate::kernels::dropout::Dropout;
use crate::kernels::inverted_dropout::inverted_dropout;
use crate::kernels::precision::Precision;
use crate::seed::Seed;
use candle_core::{Result, Tensor, Var};

/// What a layer must know of the pass it takes part in.
#[derive(Clone, Debug)]
pub struct Pass {
    /// From which the dropout masks of a training step come, differing from step to step; none in an evaluation.
    training: Option<Seed>,
    precision: Precision,
    arena: Arena,
}

impl Pass {
    /// Weights are constants, nothing is dropped, everything is f32.
    pub fn evaluation(arena: &Arena) -> Self {
        Pass { training: None, precision: Precision::F32, arena: arena.clone() }
    }

    /// Gradients are recorded; dropout masks come from streams of `seed`.
    pub fn training(seed: Seed, precision: Precision, arena: &Arena) -> Self {
        Pass { training: Some(seed), precision, arena: arena.clone() }
    }

    /// In what the factors of matrix products are given.
    pub fn precision(&self) -> Precision {
        self.precision
    }

    /// Where kernels find buffers.
    pub fn arena(&self) -> &Arena {
        &self.arena
    }

    /// A weight as this pass sees it: without a graph behind it when it only evaluates.
    pub fn weight(&self, var: &Var) -> Tensor {
        match self.training {
            None => var.as_detached_tensor(),
            Some(_) => var.as_tensor().clone(),
        }
    }

    /// The dropout of a site, which is named after its place in the network; none where nothing is dropped.
    pub fn dropout_at(&self, rate: f64, site: &str) -> Option<Dropout> {
        let dropout = Dropout::new(self.training?.stream(site, 0).key(), rate);
        (dropout.threshold > 0).then_some(dropout)
    }

    /// Sets elements to zero with probability `rate` and divides the others by `1 - rate` (inverted dropout).
    ///
    /// # Errors
    /// A device that fails.
    pub fn dropout(&self, x: &Tensor, rate: f64, site: &str) -> Result<Tensor> {
        match self.dropout_at(rate, site) {
            Some(dropout) => inverted_dropout(x, dropout),
            None => Ok(x.clone()),
        }
    }
}
