//! What differs between the members of a population and from step to step, in tables on the device: recorded launches read
//! them, so that one recording serves every step of every member.

use crate::kernels::gpu::{Address, Gpu, GpuError, Memory};
use crate::kernels::population::DROPOUT_BYTES;
use crate::kernels::population_adam::NUMBERS;

/// Tables for the passes and steps of one chunk.
pub(super) struct Tables {
    /// i32: which pass and which step is next.
    pub(super) counters: Memory<i32>,
    /// `[passes, P]`: the first window of each member's batch in its order.
    pub(super) offsets: Memory<u32>,
    /// `[passes, P]`: its windows.
    pub(super) counts: Memory<i32>,
    /// `[passes, P]`: by what its loss is multiplied.
    pub(super) shares: Memory<f32>,
    /// `[passes, P, sites]`, see [`crate::kernels::population::dropout_bytes`].
    pub(super) dropouts: Memory<u8>,
    /// `[steps, P, NUMBERS]`
    pub(super) numbers: Memory<f32>,
    /// `[steps, P]`
    pub(super) losses: Memory<f64>,
    /// `[P]`: the windows of the pass that is under way.
    pub(super) active: Memory<i32>,
    /// `[P]`
    pub(super) alive: Memory<i32>,
}

impl Tables {
    /// Bytes that they take.
    pub(super) fn bytes(population: usize, (steps, passes): (usize, usize), sites: usize) -> usize {
        population * (passes * (12 + sites * DROPOUT_BYTES) + steps * (4 * NUMBERS + 8) + 8)
    }

    pub(super) fn new(
        gpu: &Gpu,
        population: usize,
        (steps, passes): (usize, usize),
        sites: usize,
    ) -> Result<Tables, GpuError> {
        Ok(Tables {
            counters: gpu.zeros(2)?,
            offsets: gpu.zeros(passes * population)?,
            counts: gpu.zeros(passes * population)?,
            shares: gpu.zeros(passes * population)?,
            dropouts: gpu.zeros(passes * population * sites * DROPOUT_BYTES)?,
            numbers: gpu.zeros(steps * population * NUMBERS)?,
            losses: gpu.zeros(steps * population)?,
            active: gpu.zeros(population)?,
            alive: gpu.zeros(population)?,
        })
    }

    pub(super) fn pass(&self) -> Address {
        self.counters.address()
    }

    pub(super) fn step(&self) -> Address {
        self.counters.address().floats(1)
    }

    /// Takes in a chunk and begins it.
    pub(super) fn write(&mut self, gpu: &Gpu, chunk: &Chunk) -> Result<(), GpuError> {
        gpu.write(&mut self.counters, 0, &[0, 0])?;
        gpu.write(&mut self.offsets, 0, &chunk.offsets)?;
        gpu.write(&mut self.counts, 0, &chunk.counts)?;
        gpu.write(&mut self.shares, 0, &chunk.shares)?;
        gpu.write(&mut self.dropouts, 0, &chunk.dropouts)?;
        gpu.write(&mut self.numbers, 0, &chunk.numbers)?;
        gpu.clear(self.losses.address(), 2 * self.losses.len())?;
        let alive = vec![1; self.alive.len()];
        gpu.write(&mut self.alive, 0, &alive)
    }
}

/// The contents of [`Tables`].
#[derive(Default)]
pub(super) struct Chunk {
    pub(super) offsets: Vec<u32>,
    pub(super) counts: Vec<i32>,
    pub(super) shares: Vec<f32>,
    pub(super) dropouts: Vec<u8>,
    pub(super) numbers: Vec<f32>,
}
