//! Members of one program trained together on a device: each kernel does a step of all of them.
//!
//! Everything that differs between members (order of windows, learning rate, dropout, loss) lies in tables on the device, so
//! that the launches of a step are recorded once and played again for every step. Members begin and end when they want; one
//! that waits takes part with 0 windows and is not moved. A member's bits do not depend on the others.

use super::clock::Clock;
use super::resident::Resident;
use super::task::{Advance, FitError, PopulationRecord};
use super::training::Training;
use crate::kernels::dropout::Dropout;
use crate::kernels::gpu::{Address, Gpu, GpuError, Memory, Recording};
use crate::kernels::population::{DROPOUT_BYTES, dropout_bytes};
use crate::kernels::population_adam::{NUMBERS, count_up, numbers};
use crate::kernels::population_gather::PopulationGather;
use crate::kernels::population_loss::{LossPart, PopulationLoss, loss_table};
use crate::kernels::precision::Precision;
use crate::nn::program::{Batch, Layout, Machine, Numbers, Program, ProgramBuilder, Sites};
use std::sync::atomic::Ordering;

/// Steps that are given to the device at once; then it is asked for the losses.
const STEPS: usize = 64;

/// A member and the epoch up to which it is to be trained.
pub struct Until<'m, 'a> {
    /// The member's training.
    pub training: &'m mut Training<'a>,
    /// Whole epochs in all.
    pub epochs: u64,
}

/// What a training is as a part of a population.
pub struct Plan {
    /// Its steps on a device.
    pub program: Program,
    sites: Sites,
    /// Of the first member; those of the others have the same kinds.
    heads: Vec<LossPart>,
    horizons: usize,
    precision: Precision,
    batch: usize,
    /// Of a pass, where there is room.
    pub(super) windows: usize,
}

impl Plan {
    /// The plan of a training, whose micro-batches are at most as large as it asks for.
    ///
    /// # Errors
    /// A layer that cannot be told to a device.
    pub fn of(training: &Training) -> Result<Plan, FitError> {
        let task = training.task();
        let network = training.network();
        let shape = [task.train.length(), task.train.features()];
        let mut builder = ProgramBuilder::new(network.parameters(), shape);
        let output = network.program(&mut builder)?;
        let (program, sites) = builder.finish(output);
        let batch = task.config.batch_size;
        let windows = task.config.micro_batch.unwrap_or(batch).min(batch);
        let (heads, horizons) = (task.config.loss.parts()?, training.scaling().outputs());
        Ok(Plan { program, sites, heads, horizons, precision: training.precision, batch, windows })
    }

    /// Members with equal keys can train together.
    pub fn key(&self) -> String {
        let Plan { program, heads, horizons, precision, batch, windows, .. } = self;
        let heads: Vec<_> = heads.iter().map(|head| (head.kind, head.levels.len())).collect();
        format!("{program:?} {heads:?} {horizons} {precision:?} {batch} {windows}")
    }
}

/// Tables for the passes and steps of one chunk.
struct Tables {
    /// i32: which pass and which step is next.
    counters: Memory<i32>,
    /// `[passes, P]`: the first window of each member's batch in its order.
    offsets: Memory<u32>,
    /// `[passes, P]`: its windows.
    counts: Memory<i32>,
    /// `[passes, P]`: by what its loss is multiplied.
    shares: Memory<f32>,
    /// `[passes, P, sites]`, see [`dropout_bytes`].
    dropouts: Memory<u8>,
    /// `[steps, P, NUMBERS]`
    numbers: Memory<f32>,
    /// `[steps, P]`
    losses: Memory<f64>,
    /// `[P]`: the windows of the pass that is under way.
    active: Memory<i32>,
    /// `[P]`
    alive: Memory<i32>,
}

impl Tables {
    fn new(
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

    fn pass(&self) -> Address {
        self.counters.address()
    }

    fn step(&self) -> Address {
        self.counters.address().floats(1)
    }

    /// Takes in a chunk and begins it.
    fn write(&mut self, gpu: &Gpu, chunk: &Chunk) -> Result<(), GpuError> {
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
struct Chunk {
    offsets: Vec<u32>,
    counts: Vec<i32>,
    shares: Vec<f32>,
    dropouts: Vec<u8>,
    numbers: Vec<f32>,
}

/// Members on a device.
pub(super) struct Population<'m, 'a> {
    members: Vec<Until<'m, 'a>>,
    sites: Vec<Sites>,
    plan: Plan,
    /// Of a pass.
    windows: usize,
    machine: Machine,
    train: Resident,
    validation: Resident,
    /// `[P, order of the longest epoch]`
    order: Memory<u32>,
    order_length: usize,
    /// What the order of validation windows reads.
    _straight: Memory<u32>,
    loss_table: Memory<f32>,
    /// `[P, B, H]`
    targets: Memory<f32>,
    tables: Tables,
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
    /// [`FitError::Gpu`] with [`GpuError::OutOfMemory`] where it has not; the members are as before.
    pub(super) fn new(
        gpu: &Gpu,
        members: Vec<Until<'m, 'a>>,
        windows: usize,
    ) -> Result<Self, (Vec<Until<'m, 'a>>, FitError)> {
        match Parts::new(gpu, &members, windows) {
            Ok(parts) => {
                let Parts {
                    plan,
                    sites,
                    machine,
                    train,
                    validation,
                    order,
                    order_length,
                    straight,
                    loss_table,
                    targets,
                    tables,
                } = parts;
                let passes = plan.batch.div_ceil(windows);
                let ended = members.iter().map(|_| None).collect();
                Ok(Population {
                    members,
                    sites,
                    plan,
                    windows,
                    machine,
                    train,
                    validation,
                    order,
                    order_length,
                    _straight: straight,
                    loss_table,
                    targets,
                    tables,
                    passes,
                    recorded: None,
                    ended,
                })
            }
            Err(error) => Err((members, error)),
        }
    }

    /// Records how these members train, of whom there are `wanted` in all, and tells what the device had no room for.
    pub(super) fn note(&mut self, wanted: usize) {
        let (members, windows) = (self.members.len(), self.windows);
        let asked = self.plan.windows;
        let note = if windows < asked {
            Some(format!(
                "its device had no room for {asked} windows at once, so {windows} pass at once and their gradients are added up"
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
            let home = || self.machine.moments(index).map_err(FitError::from);
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
        let gpu = self.machine.gpu().clone();
        for (index, ended) in self.ended.iter().enumerate() {
            let training = &mut self.members[index].training;
            if ended.is_none() && training.begins_epoch() {
                let order = training.order();
                gpu.write(&mut self.order, index * self.order_length, order)?;
            }
        }
        let running: Vec<usize> =
            (0..self.members.len()).filter(|index| self.ended[*index].is_none()).collect();
        let left = running.iter().map(|index| self.members[*index].training.steps_left());
        let steps = left.min().unwrap_or(0).min(STEPS);
        let chunk = self.chunk(steps);
        self.tables.write(&gpu, &chunk)?;
        if self.recorded.is_none() {
            self.recorded = Some(gpu.record(|| self.launch_step())?);
        }
        for _ in 0..steps {
            if let Some(recorded) = &self.recorded {
                recorded.play()?;
            }
        }
        let losses = gpu.read(&self.tables.losses, 0, steps * self.members.len())?;
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
            chunk.dropouts.extend(std::iter::repeat_n(0, self.sites[index].len() * DROPOUT_BYTES));
            return;
        }
        let planned = training.planned(step);
        let first = pass * self.windows;
        let size = planned.size.saturating_sub(first).min(self.windows);
        chunk.offsets.push((planned.start + first) as u32);
        chunk.counts.push(size as i32);
        // Losses are means, so each part counts by its share of the batch.
        chunk.shares.push((size as f64 / planned.size as f64) as f32);
        let masks = training.masks(planned.number, pass);
        for (rate, site) in &self.sites[index] {
            let dropout = Dropout::new(masks.stream(site, 0).key(), *rate);
            chunk.dropouts.extend(dropout_bytes((dropout.threshold > 0).then_some(dropout)));
        }
    }

    /// Launches one optimiser step: every micro-batch forward and backward, then AdamW.
    fn launch_step(&self) -> Result<(), FitError> {
        let (machine, tables) = (&self.machine, &self.tables);
        let batch = Batch {
            precision: self.plan.precision,
            dropouts: if machine.program().sites() == 0 { Address::NONE } else { tables.dropouts.address() },
            pass: tables.pass(),
        };
        machine.clear_gradients()?;
        for _ in 0..self.passes {
            let layout = machine.layout();
            self.gather(&self.train, tables, layout)?;
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
        let machine = &self.machine;
        let input = machine.program().input();
        let gather = PopulationGather {
            population: machine.population(),
            rows: layout.windows(),
            size: input.rows * input.width,
            horizons: self.plan.horizons,
            places: data.places(),
            offsets: tables.offsets.address(),
            counts: tables.counts.address(),
            step: tables.pass(),
            x: machine.address(layout, input),
            y: self.targets.address(),
            active: tables.active.address(),
        };
        Ok(gather.launch(machine.gpu())?)
    }

    fn loss(&self, tables: &Tables, layout: &Layout, backward: bool) -> Result<(), FitError> {
        let machine = &self.machine;
        let output = machine.program().output();
        let gradient = if backward { machine.gradient_address(layout, output) } else { Address::NONE };
        let loss = PopulationLoss {
            population: machine.population(),
            rows: layout.windows(),
            horizons: self.plan.horizons,
            columns: output.width,
            outputs: machine.address(layout, output),
            targets: self.targets.address(),
            table: self.loss_table.address(),
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
        let weights = self.machine.weights()?;
        let count = self.machine.program().count();
        let seconds = clock.elapsed();
        for (index, loss) in closing.iter().copied().zip(losses) {
            let training = &mut self.members[index].training;
            training.spent(seconds, closing.len());
            let own = &weights[index * count..][..count];
            let moments =
                if training.keeps_checkpoints() { Some(self.machine.moments(index)?) } else { None };
            match training.took_epoch(own, moments.as_deref(), loss) {
                Ok(Advance::Done(_)) | Ok(Advance::Epoch(_)) | Ok(Advance::Stepping) => {}
                Err(error) => self.ended[index] = Some(Err(error)),
            }
        }
        Ok(())
    }

    /// The mean validation loss of each of these members.
    fn validate(&self, closing: &[usize]) -> Result<Vec<f64>, FitError> {
        let (machine, population) = (&self.machine, self.members.len());
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
            self.gather(&self.validation, &tables, layout)?;
            machine.forward(layout, &batch, false)?;
            self.loss(&tables, layout, false)?;
            count_up(machine.gpu(), tables.pass())?;
        }
        let losses = machine.gpu().read(&tables.losses, 0, population)?;
        Ok(closing.iter().map(|index| losses[*index]).collect())
    }
}

/// What a population takes on the device.
struct Parts {
    plan: Plan,
    sites: Vec<Sites>,
    machine: Machine,
    train: Resident,
    validation: Resident,
    order: Memory<u32>,
    order_length: usize,
    straight: Memory<u32>,
    loss_table: Memory<f32>,
    targets: Memory<f32>,
    tables: Tables,
}

impl Parts {
    fn new(gpu: &Gpu, members: &[Until], windows: usize) -> Result<Parts, FitError> {
        let plans: Vec<Plan> =
            members.iter().map(|member| Plan::of(member.training)).collect::<Result<_, _>>()?;
        let sites = plans.iter().map(|plan| plan.sites.clone()).collect();
        let Some(plan) = plans.into_iter().next() else {
            return Err(FitError::Settings("a population has at least one member".into()));
        };
        let population = members.len();
        let mut machine = Machine::new(gpu, plan.program.clone(), population, windows)?;
        let mut table = Vec::new();
        for (index, member) in members.iter().enumerate() {
            let (weights, moments) = member.training.flat()?;
            machine.set(index, &weights, &moments)?;
            let parts = member.training.task().config.loss.parts()?;
            table.extend(loss_table(&parts, &member.training.scaling().zero()));
        }
        let trainings: Vec<&Training> = members.iter().map(|member| &*member.training).collect();
        let order_length = trainings.iter().map(|training| training.task().train.len()).max().unwrap_or(0);
        let most = machine.evaluation_layout().windows().max(windows);
        let passes = plan.batch.div_ceil(windows);
        let order = gpu.zeros::<u32>(population * order_length)?;
        let longest = trainings.iter().map(|training| training.task().validation.len()).max().unwrap_or(0);
        let straight = gpu.upload(&(0..longest as u32).collect::<Vec<u32>>())?;
        let in_order = |member: usize| order.address().floats(member * order_length);
        Ok(Parts {
            sites,
            train: Resident::new(gpu, &trainings, |training| &training.task().train, in_order)?,
            validation: Resident::new(
                gpu,
                &trainings,
                |training| &training.task().validation,
                |_| straight.address(),
            )?,
            order,
            order_length,
            straight,
            loss_table: gpu.upload(&table)?,
            targets: gpu.zeros(population * most * plan.horizons)?,
            tables: Tables::new(gpu, population, (STEPS, STEPS * passes), plan.program.sites())?,
            machine,
            plan,
        })
    }
}
