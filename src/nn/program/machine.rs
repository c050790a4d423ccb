//! A population of networks of one program in a device's memory: weights, moments, gradients, and the slots of a batch.

use super::{Constant, Layout, Program, Slot};
use crate::kernels::gpu::{Address, Gpu, GpuError, Memory};
use crate::kernels::population::{DropoutSite, Rows};
use crate::kernels::population_adam::PopulationAdam;
use crate::kernels::precision::Precision;

/// A constant in a device's memory.
enum Placed {
    Floats(Memory<f32>),
    Integers(Memory<u32>),
}

/// P networks of one program on a device. Gradients are added up until they are cleared.
pub struct Machine {
    pub(super) gpu: Gpu,
    pub(super) program: Program,
    population: usize,
    /// `[P, count]`
    weights: Memory<f32>,
    /// `[P, 2, count]`
    moments: Memory<f32>,
    /// `[P, count]`
    gradients: Memory<f32>,
    /// Of the norms of gradients.
    norms: Memory<f64>,
    /// All slots; both layouts lie in it, at different times.
    work: Memory<f32>,
    constants: Vec<Placed>,
    layout: Layout,
    evaluation: Layout,
}

/// Members that the grid of a kernel can carry.
const MOST_MEMBERS: usize = 65_535;

/// Windows of an evaluation pass: as many as find room where training passes of so many have theirs. It is the same for
/// every size of a population, since a loss is added up pass by pass.
fn evaluation_windows(program: &Program, windows: usize) -> usize {
    const MOST: usize = 4096;
    let room = Layout::training(program, 1, windows).total();
    let fits = |windows: &usize| {
        program.counts(*windows) && Layout::evaluation(program, 1, *windows).total() <= room
    };
    let doubled = std::iter::successors(Some(windows), |windows| Some(2 * windows));
    doubled.take_while(|windows| *windows <= MOST).take_while(fits).last().unwrap_or(windows)
}

/// What a pass is told besides the weights.
#[derive(Clone, Copy, Debug)]
pub struct Batch {
    /// Of the products.
    pub precision: Precision,
    /// Dropout bytes `[passes, P, sites]`; [`Address::NONE`] where nothing is dropped.
    pub dropouts: Address,
    /// i32: which of the passes this is.
    pub pass: Address,
}

/// The tables of a step of the optimiser.
#[derive(Clone, Copy, Debug)]
pub struct Numbers {
    /// `[steps, P, NUMBERS]`, see [`crate::kernels::population_adam`].
    pub numbers: Address,
    /// i32: which of the steps this is.
    pub step: Address,
    /// `[P]` i32: 0 for members that stand still.
    pub alive: Address,
}

impl Machine {
    /// Bytes that so many members with so many windows a pass take on a device; more than there are where kernels cannot
    /// count them.
    pub fn bytes(program: &Program, population: usize, windows: usize) -> usize {
        if !program.counts(windows) || population > MOST_MEMBERS {
            return usize::MAX;
        }
        let layout = Layout::training(program, population, windows);
        let evaluation = Layout::evaluation(program, population, evaluation_windows(program, windows));
        let slots = layout.total().max(evaluation.total());
        let weights = population.saturating_mul(program.count).saturating_mul(4);
        let norms = 2 * PopulationAdam::scratch(population, program.count);
        weights.saturating_add(norms).saturating_add(slots).saturating_mul(4)
    }

    /// Takes the memory; all weights are zero.
    ///
    /// # Errors
    /// [`GpuError::OutOfMemory`] where there is no room.
    pub fn new(gpu: &Gpu, program: Program, population: usize, windows: usize) -> Result<Machine, GpuError> {
        let (count, layout) = (program.count, Layout::training(&program, population, windows));
        let evaluation = Layout::evaluation(&program, population, evaluation_windows(&program, windows));
        let place = |constant: &Constant| match constant {
            Constant::Floats(values) => gpu.upload(values).map(Placed::Floats),
            Constant::Integers(values) => gpu.upload(values).map(Placed::Integers),
        };
        Ok(Machine {
            weights: gpu.zeros(population * count)?,
            moments: gpu.zeros(2 * population * count)?,
            gradients: gpu.zeros(population * count)?,
            norms: gpu.zeros(PopulationAdam::scratch(population, count))?,
            work: gpu.zeros(layout.total().max(evaluation.total()))?,
            constants: program.constants.iter().map(place).collect::<Result<_, _>>()?,
            gpu: gpu.clone(),
            program,
            population,
            layout,
            evaluation,
        })
    }

    /// The device.
    pub fn gpu(&self) -> &Gpu {
        &self.gpu
    }

    /// What it runs.
    pub fn program(&self) -> &Program {
        &self.program
    }

    /// P
    pub fn population(&self) -> usize {
        self.population
    }

    /// Of training passes.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// Of evaluations.
    pub fn evaluation_layout(&self) -> &Layout {
        &self.evaluation
    }

    /// Where a slot lies.
    pub fn address(&self, layout: &Layout, slot: Slot) -> Address {
        layout.place(self.work.address(), slot)
    }

    /// Where a slot's gradient lies; no place where it has none.
    pub fn gradient_address(&self, layout: &Layout, slot: Slot) -> Address {
        layout.gradient(self.work.address(), slot).unwrap_or(Address::NONE)
    }

    pub(super) fn scratch(&self, layout: &Layout) -> Address {
        layout.scratch(self.work.address())
    }

    pub(super) fn constant(&self, constant: usize) -> Address {
        match &self.constants[constant] {
            Placed::Floats(memory) => memory.address(),
            Placed::Integers(memory) => memory.address(),
        }
    }

    /// Weights from number `start` on, as rows of this width.
    pub(super) fn weight(&self, start: usize, width: usize) -> Rows {
        Rows { address: self.weights.address().floats(start), member: self.program.count, row: width }
    }

    /// The gradients of the same.
    pub(super) fn weight_gradient(&self, start: usize, width: usize) -> Rows {
        Rows { address: self.gradients.address().floats(start), member: self.program.count, row: width }
    }

    pub(super) fn site(&self, batch: &Batch, site: usize) -> DropoutSite {
        match batch.dropouts {
            Address::NONE => DropoutSite::NONE,
            table => DropoutSite { table, step: batch.pass, sites: self.program.sites, site },
        }
    }

    /// Sets the weights and moments of a member.
    ///
    /// # Errors
    /// A device that fails.
    pub fn set(&mut self, member: usize, weights: &[f32], moments: &[f32]) -> Result<(), GpuError> {
        let count = self.program.count;
        self.gpu.write(&mut self.weights, member * count, weights)?;
        self.gpu.write(&mut self.moments, 2 * member * count, moments)
    }

    /// The weights of all members, `[P, count]`.
    ///
    /// # Errors
    /// A device that fails.
    pub fn weights(&self) -> Result<Vec<f32>, GpuError> {
        self.gpu.read(&self.weights, 0, self.weights.len())
    }

    /// The moments of a member, `[2, count]`.
    ///
    /// # Errors
    /// A device that fails.
    pub fn moments(&self, member: usize) -> Result<Vec<f32>, GpuError> {
        let count = self.program.count;
        self.gpu.read(&self.moments, 2 * member * count, 2 * count)
    }

    /// Forgets all gradients.
    ///
    /// # Errors
    /// A device that fails.
    pub fn clear_gradients(&self) -> Result<(), GpuError> {
        self.gpu.clear(self.gradients.address(), self.gradients.len())
    }

    /// Moves all weights along their gradients.
    ///
    /// # Errors
    /// A device that fails.
    pub fn step(&self, numbers: &Numbers) -> Result<(), GpuError> {
        PopulationAdam {
            population: self.population,
            count: self.program.count,
            weights: self.weights.address(),
            moments: self.moments.address(),
            gradients: self.gradients.address(),
            scratch: self.norms.address(),
            numbers: numbers.numbers,
            step: numbers.step,
            alive: numbers.alive,
        }
        .launch(&self.gpu)
    }
}
