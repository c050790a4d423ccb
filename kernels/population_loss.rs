//! Losses of a population and their gradients: the device's half of the losses of training, every one a mean over windows
//! and horizons.
//!
//! With o an output, y its target and e = o - y, the loss of one output is
//!
//! - mse: e²
//! - huber: e² / 2 where |e| <= delta, else delta (|e| - delta / 2)
//! - pinball: (1 - l) e where e >= 0, else -l e, for the level l
//! - cross-entropy of the logit o: w y ln(1 + e^-o) + (1 - y) ln(1 + e^o), where w is 1 or the weight of ones
//! - direction: cross-entropy of the class 1 where y is above zero, 0 below, 1/2 at zero
//!
//! Outputs of a window lie head after head, the quantiles of a horizon side by side. All members have the same heads; their
//! weights, parameters and levels may differ. A target that is NaN makes the loss NaN, whatever the kind.

use super::gpu::{Address, Gpu, GpuError, Launch};

/// Numbers of an output's column in the table; the `.cu` has the same number.
const NUMBERS: usize = 8;

/// Threads of a block.
const THREADS: usize = 512;

/// Which loss; the `.cu` has the same order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LossKind {
    /// Squared error.
    Mse,
    /// Squared error up to `parameter`, linear beyond it.
    Huber,
    /// Of quantiles at `levels`.
    Pinball,
    /// Of a logit; targets are 0 or 1.
    CrossEntropy,
    /// In which each 1 counts `parameter` times.
    WeightedCrossEntropy,
    /// Cross-entropy of whether the target is above zero.
    Direction,
}

/// One head's loss.
#[derive(Clone, Debug, PartialEq)]
pub struct LossPart {
    /// Which loss.
    pub kind: LossKind,
    /// What it is multiplied by.
    pub weight: f32,
    /// Delta of [`LossKind::Huber`], the weight of ones of [`LossKind::WeightedCrossEntropy`]; else not read.
    pub parameter: f32,
    /// Of [`LossKind::Pinball`]; else not read.
    pub levels: Vec<f32>,
}

impl LossPart {
    /// Outputs of a horizon.
    pub fn outputs(&self) -> usize {
        if self.kind == LossKind::Pinball { self.levels.len() } else { 1 }
    }
}

/// O: outputs of a window with these heads.
pub fn outputs(parts: &[LossPart], horizons: usize) -> usize {
    parts.iter().map(|part| part.outputs() * horizons).sum()
}

/// What the kernel is told of one member's heads, `[O, 8]`; `zero` `[H]` is what a target of 0 is among its targets, which
/// may be standardised.
pub fn loss_table(parts: &[LossPart], zero: &[f32]) -> Vec<f32> {
    let mut table = Vec::with_capacity(outputs(parts, zero.len()) * NUMBERS);
    for part in parts {
        // A head's loss is the mean over its outputs.
        let weight = f64::from(part.weight) / (part.outputs() * zero.len()) as f64;
        for (horizon, zero) in zero.iter().enumerate() {
            for output in 0..part.outputs() {
                let level = part.levels.get(output).copied().unwrap_or(0.0);
                let kind = f32::from(part.kind as u8);
                table.extend([kind, horizon as f32, weight as f32, part.parameter, level, *zero, 0.0, 0.0]);
            }
        }
    }
    table
}

/// Where everything lies on the device.
#[derive(Clone, Copy, Debug)]
pub struct PopulationLoss {
    /// P.
    pub population: usize,
    /// B: rows of a batch.
    pub rows: usize,
    /// H.
    pub horizons: usize,
    /// O.
    pub columns: usize,
    /// `[P, B, O]`
    pub outputs: Address,
    /// `[P, B, H]`
    pub targets: Address,
    /// `[P, O, 8]`: each member's [`loss_table`].
    pub table: Address,
    /// `[P]` i32: how many of the rows count, the first ones; a member without any has loss 0.
    pub active: Address,
    /// `[passes, P]`: what loss and gradient are multiplied by: a micro-batch's share of its batch, or in evaluation a chunk's share
    /// of all windows.
    pub shares: Address,
    /// i32: which of the passes this is.
    pub pass: Address,
    /// i32: which of the steps this is.
    pub step: Address,
    /// `[steps, P]` f64: the loss is added to it.
    pub loss: Address,
    /// `[P]` i32: becomes 0 where the loss so far is not finite. [`Address::NONE`] where no one dies, in evaluation.
    pub alive: Address,
    /// `[P, B, O]`: overwritten; 0 in rows that do not count and for members that are not alive. [`Address::NONE`] where it is
    /// not wanted.
    pub of_outputs: Address,
}

impl PopulationLoss {
    /// Adds the loss and fills the gradient of all members.
    ///
    /// # Errors
    /// A device that fails.
    ///
    /// # Panics
    /// When a member has 2^30 outputs or more: a fault of the caller.
    pub fn launch(&self, gpu: &Gpu) -> Result<(), GpuError> {
        assert!(self.rows * self.columns < 1 << 30, "a member's outputs are counted in 30 bits");
        let launch = Launch {
            kernel: ("population_loss", "loss_of_outputs"),
            grid: [self.population, 1, 1],
            threads: THREADS,
            shared_bytes: 32 * 8,
        };
        let places = [self.outputs, self.targets, self.table, self.active, self.shares, self.pass, self.step];
        let results = [self.loss, self.alive, self.of_outputs];
        let sizes = [self.rows, self.horizons, self.columns];
        let places = places.into_iter().chain(results).map(Into::into);
        let arguments: Vec<_> = places.chain(sizes.map(Into::into)).collect();
        gpu.launch(launch, &arguments)
    }
}
