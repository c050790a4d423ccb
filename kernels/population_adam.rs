//! One step of AdamW for all members of a population at once, each with settings of its own and its gradient clipped by its
//! own norm: the device's half of [`adamw`](super::adamw), which has the formula.
//!
//! Two launches whatever the number of members: squares of the gradients in chunks, then the step, in which each block adds
//! up its member's chunks in order. A member's bits depend on no other member.

use super::adamw::AdamWStep;
use super::gpu::{Address, Gpu, GpuError, Launch};

/// Weights of a block; the `.cu` has the same number.
const CHUNK: usize = 2048;

/// Numbers of a member's step; the `.cu` has the same number.
pub const NUMBERS: usize = 12;

/// What the kernel is told of one member's step, `None` where it stands still. The gradient factor of the step is not used:
/// the device finds it by `clip`, the longest gradient.
pub fn numbers(step: Option<&AdamWStep>, clip: Option<f64>) -> [f32; NUMBERS] {
    let Some(step) = step else { return [0.0; NUMBERS] };
    let (first_correction, second_correction) = step.corrections();
    [
        clip.unwrap_or(0.0),
        step.beta_1,
        1.0 - step.beta_1,
        step.beta_2,
        1.0 - step.beta_2,
        1.0 - step.rate * step.decay,
        step.rate / first_correction,
        1.0 / second_correction.sqrt(),
        step.epsilon,
        1.0,
        0.0,
        0.0,
    ]
    .map(|value| value as f32)
}

/// Where everything lies on the device.
#[derive(Clone, Copy, Debug)]
pub struct PopulationAdam {
    /// P.
    pub population: usize,
    /// Weights of a member.
    pub count: usize,
    /// `[P, count]`, moved.
    pub weights: Address,
    /// `[P, 2, count]`: first and second moments, moved.
    pub moments: Address,
    /// `[P, count]`
    pub gradients: Address,
    /// f64, as many as [`PopulationAdam::scratch`] says.
    pub scratch: Address,
    /// `[steps, P, NUMBERS]`
    pub numbers: Address,
    /// i32: which of the steps this is.
    pub step: Address,
    /// `[P]` i32: 0 for members that stand still.
    pub alive: Address,
}

/// Adds 1 to an i32, behind all work before: which pass or step of recorded launches this is.
///
/// # Errors
/// A device that fails.
pub fn count_up(gpu: &Gpu, counter: Address) -> Result<(), GpuError> {
    let launch =
        Launch { kernel: ("population_adam", "count_up"), grid: [1, 1, 1], threads: 32, shared_bytes: 0 };
    gpu.launch(launch, &[counter.into()])
}

impl PopulationAdam {
    /// How many f64 of scratch a population needs.
    pub fn scratch(population: usize, count: usize) -> usize {
        population * count.div_ceil(CHUNK)
    }

    /// Moves all members that are alive.
    ///
    /// # Errors
    /// A device that fails.
    pub fn launch(&self, gpu: &Gpu) -> Result<(), GpuError> {
        let grid = [self.count.div_ceil(CHUNK), self.population, 1];
        let of = |name, shared_bytes| Launch {
            kernel: ("population_adam", name),
            grid,
            threads: 256,
            shared_bytes,
        };
        let count = self.count.into();
        gpu.launch(of("gradient_squares", 32 * 8), &[self.gradients.into(), self.scratch.into(), count])?;
        let places =
            [self.weights, self.moments, self.gradients, self.scratch, self.numbers, self.step, self.alive];
        let arguments: Vec<_> = places.map(Into::into).into_iter().chain([count]).collect();
        gpu.launch(of("adam_step", 0), &arguments)
    }
}
