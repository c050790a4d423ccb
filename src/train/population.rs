//! Members of one program trained together on a device: each kernel does a step of all of them.
//!
//! Everything that differs between members (order of windows, learning rate, dropout, loss) lies in tables on the device, so
//! that the launches of a step are recorded once and played again for every step. Members begin and end when they want; one
//! that waits takes part with 0 windows and is not moved. A member's bits do not depend on the others.

use super::clock::Clock;
use super::parts::Parts;
use super::resident::Resident;
use super::tables::{Chunk, Tables};
use super::task::{FitError, PopulationRecord};
use super::training::Training;
use crate::kernels::dropout::Dropout;
use crate::kernels::gpu::{Address, Gpu, Recording};
use crate::kernels::population::{DROPOUT_BYTES, dropout_bytes};
use crate::kernels::population_adam::{count_up, numbers};
use crate::kernels::population_gather::PopulationGather;
use crate::kernels::population_loss::{LossPart, PopulationLoss};
use crate::kernels::precision::Precision;
use crate::nn::program::{Batch, Layout, Numbers, Program, ProgramBuilder, Sites};
use crate::rundir::sha256_hex;
use std::sync::atomic::Ordering;

/// Steps that are given to the device at once; then it is asked for the losses.
pub(super) const STEPS: usize = 64;

/// A member and the epoch up to which it is to be trained.
pub struct Until<'m, 'a> {
    /// The member's training.
    pub training: &'m mut Training<'a>,
    /// Whole epochs in all.
    pub epochs: u64,
}

/// What a training is as a part of a population.
pub struct Recipe {
    /// Its steps on a device.
    pub program: Program,
    pub(super) sites: Sites,
    /// Of the first member; those of the others have the same kinds.
    heads: Vec<LossPart>,
    pub(super) horizons: usize,
    precision: Precision,
    pub(super) batch: usize,
    /// Windows of a pass that are asked for.
    asked: usize,
    /// Of a pass, where there is room.
    pub(super) windows: usize,
}

impl Recipe {
    /// The recipe of a training, whose micro-batches are at most as large as it asks for.
    ///
    /// # Errors
    /// A layer that cannot be told to a device.
    pub fn of(training: &Training) -> Result<Recipe, FitError> {
        let task = training.task();
        let network = training.network();
        let shape = [task.train.length(), task.train.features()];
        let mut builder = ProgramBuilder::new(network.parameters(), shape);
        let output = network.program(&mut builder)?;
        let (program, sites) = builder.finish(output);
        let batch = task.config.batch_size;
        let asked = task.config.micro_batch.unwrap_or(batch).min(batch);
        let windows = training.passes_by().unwrap_or(asked);
        let (heads, horizons) = (task.config.loss.parts()?, training.scaling().outputs());
        Ok(Recipe { program, sites, heads, horizons, precision: training.precision, batch, asked, windows })
    }

    /// Members with equal keys can train together.
    pub fn key(&self) -> String {
        let Recipe { program, heads, horizons, precision, batch, windows, .. } = self;
        let heads: Vec<_> = heads.iter().map(|head| (head.kind, head.levels.len())).collect();
        // Constants are long.
        sha256_hex(format!("{program:?} {heads:?} {horizons} {precision:?} {batch} {windows}").as_bytes())
    }
}

/// Members on a device.
pub(super) struct Population<'m, 'a> {
    members: Vec<Until<'m, 'a>>,
    parts: Parts,
    /// Of a pass.
    windows: usize,
    /// Passes of a step.
    passes: usize,
    /// The launches of a step.
    recorded: Option<Recording>,
    ended: Vec<Option<Result<(), FitError>>>,
}

impl<'m, 'a> Population<'m, 'a> {
    /// Brings members of equal keys to a device, which has room for them.
    ///
    /// # Errors
    /// [`FitError::Gpu`] with [`GpuError::OutOfMemory`](crate::kernels::gpu::GpuError) where it has not; the members are as
    /// before, and given back.
    pub(super) fn new(
        gpu: &Gpu,
        members: Vec<Until<'m, 'a>>,
        windows: usize,
    ) -> Result<Self, (Vec<Until<'m, 'a>>, FitError)> {
        let parts = match Parts::new(gpu, &members, windows) {
            Ok(parts) => parts,
            Err(error) => return Err((members, error)),
        };
        let passes = parts.recipe.batch.div_ceil(windows);
        let ended = members.iter().map(|_| None).collect();
        Ok(Population { members, parts, windows, passes, recorded: None, ended })
    }

    /// Records how these members train, of whom there are `wanted` in all, and tells what the device had no room for.
    pub(super) fn note(&mut self, wanted: usize) {
        let (members, windows) = (self.members.len(), self.windows);
        let asked = self.parts.recipe.asked;
        let note = if windows < asked {
            Some(format!(
                "its device had no room for {asked} windows at once, so {windows} pass at once and their gradients are added up, which changes dropout masks and rounding"
            ))
        } else if members < wanted {
            Some(format!(
                "its device had no room for {wanted} networks at once, so {members} trained at once"
            ))
        } else {
            None
        };
        let record = PopulationRecord { members, micro_batch: windows, note };
        for member in &mut self.members {
            member.training.note_population(record.clone());
        }
    }

    /// Trains every member up to its epoch or its end; what became of each, in order.
    pub(super) fn train(mut self) -> Vec<Result<(), FitError>> {
        while self.work_is_left() {
            if let Err(error) = self.advance() {
                self.fail(&error);
            }
        }
        self.ended.into_iter().map(|ended| ended.unwrap_or(Ok(()))).collect()
    }

    /// Whether a member has steps before it; those that have none any more take their moments home.
    fn work_is_left(&mut self) -> bool {
        let mut left = false;
        for index in 0..self.members.len() {
            if self.ended[index].is_some() {
                continue;
            }
            let Until { training, epochs } = &mut self.members[index];
            let stopped = training.task().stop.load(Ordering::Relaxed);
            if training.end().is_none() && training.epoch() < *epochs && !stopped {
                left = true;
                continue;
            }
            let home = || self.parts.machine.moments(index).map_err(FitError::from);
            let home = if stopped { Err(FitError::Interrupted) } else { home() };
            let taken = home.and_then(|moments| training.take_moments(&moments));
            training.note_end();
            self.ended[index] = Some(taken);
        }
        left
    }

    /// What went wrong on the device went wrong for all that were on it.
    fn fail(&mut self, error: &FitError) {
        for ended in self.ended.iter_mut().filter(|ended| ended.is_none()) {
            *ended = Some(Err(error.copied()));
        }
    }

    /// A chunk of steps of all members that are left, and the end of the epochs that end with it.
    fn advance(&mut self) -> Result<(), FitError> {
        let clock = Clock::start();
        let gpu = self.parts.machine.gpu().clone();
        for (index, ended) in self.ended.iter().enumerate() {
            let training = &mut self.members[index].training;
            if ended.is_none() && training.begins_epoch() {
                let order = training.order();
                gpu.write(&mut self.parts.order, index * self.parts.order_length, order)?;
            }
        }
        let running: Vec<usize> =
            (0..self.members.len()).filter(|index| self.ended[*index].is_none()).collect();
        let left = running.iter().map(|index| self.members[*index].training.steps_left());
        let steps = left.min().unwrap_or(0).min(STEPS);
        let chunk = self.chunk(steps);
        self.parts.tables.write(&gpu, &chunk)?;
        for _ in 0..steps {
            match &self.recorded {
                Some(recorded) => recorded.play()?,
                // The first step is launched as it is, which loads its kernels; then they can be recorded.
                None => {
                    self.launch_step()?;
                    self.recorded = Some(gpu.record(|| self.launch_step())?);
                }
            }
        }
        let losses = gpu.read(&self.parts.tables.losses, 0, steps * self.members.len())?;
        let mut closing = Vec::new();
        for index in running.iter().copied() {
            let own = losses.iter().skip(index).step_by(self.members.len()).copied();
            let training = &mut self.members[index].training;
            match training.took_steps(own, (&clock, running.len())) {
                Ok(None) if training.steps_left() == 0 => closing.push(index),
                Ok(_) => {}
                Err(error) => self.ended[index] = Some(Err(error)),
            }
        }
        if closing.is_empty() { Ok(()) } else { self.close(&closing) }
    }

    /// What the next steps of all members are.
    fn chunk(&self, steps: usize) -> Chunk {
        let mut chunk = Chunk::default();
        for step in 0..steps {
            for pass in 0..self.passes {
                for (index, member) in self.members.iter().enumerate() {
                    self.plan_pass(&mut chunk, index, member.training, (step, pass));
                }
            }
            for (index, member) in self.members.iter().enumerate() {
                let training = &member.training;
                let planned = self.ended[index].is_none().then(|| training.planned(step).adamw);
                chunk.numbers.extend(numbers(planned.as_ref(), training.optimizer.clip()));
            }
        }
        chunk
    }

    fn plan_pass(&self, chunk: &mut Chunk, index: usize, training: &Training, (step, pass): (usize, usize)) {
        if self.ended[index].is_some() {
            chunk.offsets.push(0);
            chunk.counts.push(0);
            chunk.shares.push(0.0);
            chunk.dropouts.extend(std::iter::repeat_n(0, self.parts.sites[index].len() * DROPOUT_BYTES));
            return;
        }
        let planned = training.planned(step);
        let first = pass * self.windows;
        let size = planned.size.saturating_sub(first).min(self.windows);
        chunk.offsets.push((planned.start + first) as u32);
        chunk.counts.push(size as i32);
        // Losses are means, so each part counts by its share of the batch.
        chunk.shares.push((size as f64 / planned.size as f64) as f32);
        let masks = training.dropout_seed(planned.number, pass);
        for (rate, site) in &self.parts.sites[index] {
            let dropout = Dropout::new(masks.stream(site, 0).key(), *rate);
            chunk.dropouts.extend(dropout_bytes((dropout.threshold > 0).then_some(dropout)));
        }
    }

    /// Launches one optimiser step: every micro-batch forward and backward, then AdamW.
    fn launch_step(&self) -> Result<(), FitError> {
        let (machine, tables) = (&self.parts.machine, &self.parts.tables);
        let batch = Batch {
            precision: self.parts.recipe.precision,
            dropouts: if machine.program().sites() == 0 { Address::NONE } else { tables.dropouts.address() },
            pass: tables.pass(),
        };
        machine.clear_gradients()?;
        for _ in 0..self.passes {
            let layout = machine.layout();
            self.gather(&self.parts.train, tables, layout)?;
            machine.forward(layout, &batch, true)?;
            self.loss(tables, layout, true)?;
            machine.backward(layout, &batch)?;
            count_up(machine.gpu(), tables.pass())?;
        }
        let numbers = tables.numbers.address();
        machine.step(&Numbers { numbers, step: tables.step(), alive: tables.alive.address() })?;
        Ok(count_up(machine.gpu(), tables.step())?)
    }

    /// Brings the windows of a pass into the first slot, and their targets.
    fn gather(&self, data: &Resident, tables: &Tables, layout: &Layout) -> Result<(), FitError> {
        let machine = &self.parts.machine;
        let input = machine.program().input();
        let gather = PopulationGather {
            population: machine.population(),
            rows: layout.windows(),
            size: input.rows * input.width,
            horizons: self.parts.recipe.horizons,
            places: data.places(),
            offsets: tables.offsets.address(),
            counts: tables.counts.address(),
            step: tables.pass(),
            x: machine.address(layout, input),
            y: self.parts.targets.address(),
            active: tables.active.address(),
        };
        Ok(gather.launch(machine.gpu())?)
    }

    fn loss(&self, tables: &Tables, layout: &Layout, backward: bool) -> Result<(), FitError> {
        let machine = &self.parts.machine;
        let output = machine.program().output();
        let gradient = if backward { machine.gradient_address(layout, output) } else { Address::NONE };
        let loss = PopulationLoss {
            population: machine.population(),
            rows: layout.windows(),
            horizons: self.parts.recipe.horizons,
            columns: output.width,
            outputs: machine.address(layout, output),
            targets: self.parts.targets.address(),
            table: self.parts.loss_table.address(),
            active: tables.active.address(),
            shares: tables.shares.address(),
            pass: tables.pass(),
            step: tables.step(),
            loss: tables.losses.address(),
            alive: if backward { tables.alive.address() } else { Address::NONE },
            of_outputs: gradient,
        };
        Ok(loss.launch(machine.gpu())?)
    }

    /// Ends the epoch of these members: their validation losses, their weights, their checkpoints.
    fn close(&mut self, closing: &[usize]) -> Result<(), FitError> {
        let clock = Clock::start();
        let losses = self.validate(closing)?;
        let weights = self.parts.machine.weights()?;
        let count = self.parts.machine.program().count();
        let seconds = clock.elapsed();
        for (index, loss) in closing.iter().copied().zip(losses) {
            let training = &mut self.members[index].training;
            training.spent(seconds, closing.len());
            let own = &weights[index * count..][..count];
            let moments =
                if training.keeps_checkpoints() { Some(self.parts.machine.moments(index)?) } else { None };
            if let Err(error) = training.took_epoch(own, moments.as_deref(), loss) {
                self.ended[index] = Some(Err(error));
            }
        }
        Ok(())
    }

    /// The mean validation loss of each of these members.
    fn validate(&self, closing: &[usize]) -> Result<Vec<f64>, FitError> {
        let (machine, population) = (&self.parts.machine, self.members.len());
        let layout = machine.evaluation_layout();
        let windows = layout.windows();
        let length = |index: usize| self.members[index].training.task().validation.len();
        let longest = closing.iter().map(|index| length(*index)).max().unwrap_or(0);
        let passes = longest.div_ceil(windows);
        let mut tables = Tables::new(machine.gpu(), population, (1, passes), 0)?;
        let mut chunk = Chunk::default();
        for pass in 0..passes {
            for index in 0..population {
                let own = if closing.contains(&index) { length(index) } else { 0 };
                let size = own.saturating_sub(pass * windows).min(windows);
                chunk.offsets.push((pass * windows) as u32);
                chunk.counts.push(size as i32);
                chunk.shares.push(if size == 0 { 0.0 } else { (size as f64 / own as f64) as f32 });
            }
        }
        tables.write(machine.gpu(), &chunk)?;
        let batch = Batch { precision: Precision::F32, dropouts: Address::NONE, pass: tables.pass() };
        for _ in 0..passes {
            self.gather(&self.parts.validation, &tables, layout)?;
            machine.forward(layout, &batch, false)?;
            self.loss(&tables, layout, false)?;
            count_up(machine.gpu(), tables.pass())?;
        }
        let losses = machine.gpu().read(&tables.losses, 0, population)?;
        Ok(closing.iter().map(|index| losses[*index]).collect())
    }
}
