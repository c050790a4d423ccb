//! One network in training: it moves on by slices of steps and gives the same bits however it is sliced.

use super::checkpoint::{Checkpoint, State};
use super::clock::{Clock, process_age};
use super::config::{AdamWConfig, ChosenPrecision, OptimizerConfig, ScheduleConfig};
use super::network::{Network, evaluate};
use super::optimizer::{Optimizer, gradients};
use super::targets::TargetScaling;
use super::task::{
    Advance, Divergence, EpochRecord, FitError, FitReport, FitTask, PopulationRecord, StopReason,
};
use crate::kernels::arena::Arena;
use crate::kernels::memory::keep_freed_memory;
use crate::kernels::precision::Precision;
use crate::nn::Pass;
use crate::progress::Event;
use crate::rundir::sha256_hex;
use crate::seed::Seed;
use candle_core::Tensor;
use std::sync::atomic::Ordering;

/// A network in training.
///
/// The result has the same bits whatever the slices, whatever trains beside it and with whose buffers, and whether or not
/// it was interrupted and continued from the checkpoint of its last whole epoch. A checkpoint that is damaged or of
/// another plan is ignored with a warning, and the fit starts anew: it holds nothing that cannot be computed again.
pub struct Training<'a> {
    pub(super) network: Box<dyn Network>,
    pub(super) scaling: TargetScaling,
    pub(super) task: FitTask<'a>,
    pub(super) precision: Precision,
    why_precision: ChosenPrecision,
    pub(super) optimizer: Optimizer,
    /// Of the last whole epoch.
    pub(super) state: State,
    /// Of the best whole epoch; empty before the first one.
    best_weights: Vec<Vec<f32>>,
    /// Of the checkpoint; empty where there is none.
    fingerprint: String,
    pub(super) current: CurrentEpoch,
    pub(super) ended: Option<StopReason>,
    divergence: Option<Divergence>,
    /// How it trained on a device, if it did.
    pub(super) population: Option<PopulationRecord>,
}

/// The epoch that is under way.
#[derive(Default)]
pub(super) struct CurrentEpoch {
    /// The training windows in the order in which they are learned from; empty between two epochs.
    pub(super) order: Vec<u32>,
    /// So many of them are done.
    pub(super) done: usize,
    /// Of the losses of all windows that are done.
    loss_sum: f64,
    /// Of the last step.
    pub(super) learning_rate: f64,
}

impl<'a> Training<'a> {
    /// Begins, or continues from the task's checkpoint.
    ///
    /// # Errors
    /// Settings that make no sense, missing windows, or a device that fails.
    pub fn new(
        network: Box<dyn Network>,
        scaling: TargetScaling,
        (precision, why_precision): (Precision, ChosenPrecision),
        task: FitTask<'a>,
    ) -> Result<Self, FitError> {
        keep_freed_memory();
        task.config.check(task.kind).map_err(FitError::Settings)?;
        for (part, windows) in [("training", &task.train), ("validation", &task.validation)] {
            if windows.is_empty() {
                return Err(FitError::NoWindows { task: task.label.clone(), part });
            }
        }
        let OptimizerConfig::AdamW(adamw) = task.config.optimizer;
        let optimizer = Optimizer::new(network.parameters(), adamw, task.config.gradient_clip)?;
        let fingerprint = match task.checkpoint {
            Some(_) => fingerprint(&*network, &scaling, precision, &task),
            None => String::new(),
        };
        let mut training = Training {
            network,
            scaling,
            task,
            precision,
            why_precision,
            optimizer,
            state: State { optimizer: adamw, ..State::default() },
            best_weights: Vec::new(),
            fingerprint,
            current: CurrentEpoch::default(),
            ended: None,
            divergence: None,
            population: None,
        };
        training.resume()?;
        let (label, steps) = (training.task.label.clone(), training.steps());
        training.task.progress.on(&Event::FitStarted { task: label, steps });
        Ok(training)
    }

    fn resume(&mut self) -> Result<(), FitError> {
        let Some(path) = &self.task.checkpoint else { return Ok(()) };
        let parameters = self.network.parameters();
        match Checkpoint::load(path, parameters, &self.fingerprint) {
            Ok(None) => {}
            Ok(Some(checkpoint)) => {
                parameters.set(&checkpoint.weights)?;
                self.optimizer.set(&checkpoint.moments, checkpoint.state.step)?;
                self.optimizer.config = checkpoint.state.optimizer;
                self.best_weights = checkpoint.best_weights;
                self.state = checkpoint.state;
            }
            Err(reason) => self.task.progress.on(&Event::Warning {
                text: format!(
                    "{}: the checkpoint {} is not used, since {reason}; the fit starts anew",
                    self.task.label,
                    path.display()
                ),
            }),
        }
        Ok(())
    }

    /// Optimiser steps of an epoch.
    fn steps_per_epoch(&self) -> u64 {
        self.task.train.len().div_ceil(self.task.config.batch_size) as u64
    }

    /// Optimiser steps over all epochs.
    pub(super) fn steps(&self) -> u64 {
        self.task.config.epochs * self.steps_per_epoch()
    }

    /// Whole epochs that are done.
    pub fn epoch(&self) -> u64 {
        self.state.epoch
    }

    /// One row a whole epoch.
    pub fn curve(&self) -> &[EpochRecord] {
        &self.state.curves
    }

    /// Where its loss stopped being a number, if it did after a whole epoch.
    pub fn divergence(&self) -> Option<Divergence> {
        self.divergence
    }

    /// What is trained.
    pub fn network(&self) -> &dyn Network {
        &*self.network
    }

    /// What was asked for.
    pub fn task(&self) -> &FitTask<'a> {
        &self.task
    }

    /// Changes what moves the weights from the next step on.
    pub fn set_optimizer(&mut self, config: AdamWConfig) {
        self.optimizer.config = config;
    }

    /// Goes on by at most so many optimiser steps, and not beyond the end of an epoch, which includes its validation and
    /// its checkpoint. `arena` holds the buffers of the steps; any will do.
    ///
    /// A loss that is no number ends the training with the weights of the best whole epoch.
    ///
    /// # Errors
    /// A loss that is no number before the first epoch is whole, a checkpoint that cannot be written, a device that
    /// fails, or the wish to stop.
    pub fn advance(&mut self, steps: u64, arena: &Arena) -> Result<Advance, FitError> {
        if let Some(reason) = self.end() {
            self.ended = Some(reason);
            return Ok(Advance::Done(reason));
        }
        self.begin_epoch();
        let clock = Clock::start();
        let diverged = self.take_steps(steps, arena)?;
        self.state.cost.add_steps(clock.elapsed());
        self.tell_steps();
        if let Some(loss) = diverged {
            return self.roll_back(loss);
        }
        if self.current.done < self.current.order.len() {
            return Ok(Advance::Stepping);
        }
        self.end_epoch(arena)
    }

    pub(super) fn tell_steps(&self) {
        let (task, step) = (self.task.label.clone(), self.optimizer.steps());
        self.task.progress.on(&Event::FitStepped { task, step });
    }

    /// Draws the order of the windows where an epoch begins.
    pub(super) fn begin_epoch(&mut self) {
        if self.current.order.is_empty() {
            self.current.order = (0..self.task.train.len() as u32).collect();
            let stream = &mut self.task.seed.stream("batch order", self.state.epoch + 1);
            stream.shuffle(&mut self.current.order);
        }
    }

    /// Why there is nothing left to do, if there is nothing.
    pub(super) fn end(&self) -> Option<StopReason> {
        let stopping = self.task.config.early_stopping;
        let patient = stopping.is_none_or(|stopping| self.state.waited < stopping.patience);
        match self.ended {
            None if !patient => Some(StopReason::EarlyStopping),
            None if self.state.epoch >= self.task.config.epochs => Some(StopReason::AllEpochs),
            ended => ended,
        }
    }

    /// A loss that is no number, if there was one; the weights are then those before its step.
    fn take_steps(&mut self, steps: u64, arena: &Arena) -> Result<Option<f64>, FitError> {
        for _ in 0..steps {
            let rest = self.current.order.len() - self.current.done;
            if rest == 0 {
                break;
            }
            if self.task.stop.load(Ordering::Relaxed) {
                return Err(FitError::Interrupted);
            }
            let size = rest.min(self.task.config.batch_size);
            let batch = &self.current.order[self.current.done..self.current.done + size];
            let batch: Vec<usize> = batch.iter().map(|index| *index as usize).collect();
            let loss = self.step(&batch, arena)?;
            if !loss.is_finite() {
                return Ok(Some(loss));
            }
            self.took_step(size, loss);
        }
        Ok(None)
    }

    /// Counts a step on so many windows.
    pub(super) fn took_step(&mut self, size: usize, loss: f64) {
        self.current.loss_sum += loss * size as f64;
        self.current.done += size;
        self.state.cost.samples += size as u64;
        if self.state.cost.first_step.is_none() {
            self.state.cost.first_step = process_age();
        }
    }

    /// From which the dropout masks of a step's micro-batch come.
    pub(super) fn dropout_seed(&self, step: u64, micro_batch: usize) -> Seed {
        let seed = self.task.seed.child("dropout", step);
        if micro_batch == 0 { seed } else { seed.child("micro batch", micro_batch as u64) }
    }

    /// One optimiser step; its loss. Nothing moves where that is no number.
    fn step(&mut self, batch: &[usize], arena: &Arena) -> Result<f64, FitError> {
        let number = self.optimizer.steps() + 1;
        let (mut value, mut sum) = (0.0, Vec::new());
        let most = self.task.config.micro_batch.unwrap_or(batch.len());
        for (index, part) in batch.chunks(most).enumerate() {
            let seed = self.dropout_seed(number, index);
            // Losses are means, so each part counts by its share of the batch.
            let share = part.len() as f64 / batch.len() as f64;
            let (loss, gradients) = self.pass(part, share, &Pass::training(seed, self.precision, arena))?;
            value += loss;
            if !value.is_finite() {
                return Ok(value);
            }
            sum = match index {
                0 => gradients,
                _ => sum
                    .iter()
                    .zip(&gradients)
                    .map(|(sum, more)| sum + more)
                    .collect::<candle_core::Result<_>>()?,
            };
        }
        let schedule = &self.task.config.schedule;
        let share = schedule.share(number, self.steps(), self.state.reductions);
        self.current.learning_rate = self.optimizer.config.learning_rate * share;
        self.optimizer.step(self.network.parameters(), &sum, share)?;
        Ok(value)
    }

    /// `share` of the loss of some windows, and its gradients by all weights; none where it is no number.
    fn pass(&self, windows: &[usize], share: f64, pass: &Pass) -> Result<(f64, Vec<Tensor>), FitError> {
        let FitTask { train, config, .. } = &self.task;
        let x = train.gather(windows)?;
        let y = self.scaling.gather(train, windows)?;
        let loss = config.loss.of(&self.network.forward(&x, pass)?, &y, &self.scaling.zero())?;
        let value = share * f64::from(loss.to_scalar::<f32>()?);
        if !value.is_finite() {
            return Ok((value, Vec::new()));
        }
        let loss = if share < 1.0 { (loss * share)? } else { loss };
        Ok((value, gradients(self.network.parameters(), loss.backward()?)?))
    }

    fn end_epoch(&mut self, arena: &Arena) -> Result<Advance, FitError> {
        let clock = Clock::start();
        let validation_loss = self.validation_loss(arena)?;
        self.close_epoch(validation_loss, clock)
    }

    /// Takes in an epoch whose steps are done; what it cost is counted from `clock` on.
    pub(super) fn close_epoch(&mut self, validation_loss: f64, clock: Clock) -> Result<Advance, FitError> {
        if !validation_loss.is_finite() {
            return self.roll_back(validation_loss);
        }
        let current = std::mem::take(&mut self.current);
        let record = EpochRecord {
            epoch: self.state.epoch + 1,
            training_loss: current.loss_sum / current.order.len() as f64,
            validation_loss,
            learning_rate: current.learning_rate,
        };
        self.state.epoch = record.epoch;
        self.state.step = self.optimizer.steps();
        self.state.optimizer = self.optimizer.config;
        self.state.curves.push(record.clone());
        self.judge(validation_loss)?;
        let EpochRecord { epoch, training_loss, .. } = record;
        let task = self.task.label.clone();
        self.task.progress.on(&Event::Epoch { task, epoch, training_loss, validation_loss });
        self.state.cost.add(clock.elapsed());
        self.save()?;
        Ok(Advance::Epoch(record))
    }

    /// Mean over windows and horizons, in chunks of a fixed order.
    fn validation_loss(&self, arena: &Arena) -> Result<f64, FitError> {
        let FitTask { validation, config, .. } = &self.task;
        let mut sum = 0.0;
        evaluate(&*self.network, validation, arena, |chunk, outputs| {
            let targets = self.scaling.gather(validation, chunk)?;
            let loss = config.loss.of(&outputs, &targets, &self.scaling.zero())?;
            sum += f64::from(loss.to_scalar::<f32>()?) * chunk.len() as f64;
            Ok(())
        })?;
        Ok(sum / validation.len() as f64)
    }

    /// Keeps the best weights, and counts for early stopping and the plateau schedule, after an epoch.
    fn judge(&mut self, loss: f64) -> Result<(), FitError> {
        let state = &mut self.state;
        // The best weights are kept whatever the gain; only patience asks for a gain worth waiting for.
        if state.best_loss.is_none_or(|best| loss < best) {
            (state.best_loss, state.best_epoch) = (Some(loss), Some(state.epoch));
            self.best_weights = self.network.parameters().values()?;
        }
        if let Some(stopping) = self.task.config.early_stopping {
            if state.patience_loss.is_none_or(|last| loss < last - stopping.min_delta) {
                (state.patience_loss, state.waited) = (Some(loss), 0);
            } else {
                state.waited += 1;
            }
        }
        if let ScheduleConfig::Plateau { patience, .. } = self.task.config.schedule {
            if state.plateau_best.is_none_or(|best| loss < best) {
                (state.plateau_best, state.plateau_waited) = (Some(loss), 0);
            } else if state.plateau_waited >= patience {
                (state.plateau_waited, state.reductions) = (0, state.reductions + 1);
            } else {
                state.plateau_waited += 1;
            }
        }
        Ok(())
    }

    fn save(&self) -> Result<(), FitError> {
        let Some(path) = &self.task.checkpoint else { return Ok(()) };
        let checkpoint = Checkpoint {
            state: self.state.clone(),
            weights: self.network.parameters().values()?,
            moments: self.optimizer.values()?,
            best_weights: self.best_weights.clone(),
        };
        Ok(checkpoint.save(path, self.network.parameters(), &self.fingerprint)?)
    }

    /// Ends with the best whole epoch, since the loss of the one under way is no number.
    pub(super) fn roll_back(&mut self, loss: f64) -> Result<Advance, FitError> {
        let (task, epoch, step) = (self.task.label.clone(), self.state.epoch + 1, self.optimizer.steps() + 1);
        let Some(best) = self.state.best_epoch else {
            return Err(FitError::Diverged { task, epoch, step, loss });
        };
        let text = format!(
            "{task}: the loss became {loss} in epoch {epoch}, step {step}; the weights are those of epoch {best}, the best \
             one before; use a lower learning rate or a `gradient_clip`"
        );
        self.task.progress.on(&Event::Warning { text });
        self.current = CurrentEpoch::default();
        self.ended = Some(StopReason::Diverged);
        self.divergence = Some(Divergence { epoch, step, loss });
        self.network.parameters().set(&self.best_weights)?;
        Ok(Advance::Done(StopReason::Diverged))
    }

    /// The weights that are kept if it ends now, where they are not those of the network.
    pub fn kept_weights(&self) -> Option<&[Vec<f32>]> {
        let best = self.task.config.early_stopping.is_some() || self.ended == Some(StopReason::Diverged);
        (best && self.state.best_epoch.is_some()).then_some(&self.best_weights)
    }

    /// Takes over weights, moments and epoch of another training of equal tensor shapes; settings, seed, windows and what
    /// was spent stay its own.
    ///
    /// # Errors
    /// Tensors of other shapes, or one of the two in the middle of an epoch.
    pub fn adopt(&mut self, other: &Training) -> Result<(), FitError> {
        let refuse = |reason| FitError::Adopt {
            task: self.task.label.clone(),
            other: other.task.label.clone(),
            reason,
        };
        let (own, others) = (self.network.parameters(), other.network.parameters());
        if !own.same_shapes(others) {
            return Err(refuse("its tensors have other shapes"));
        }
        if !self.current.order.is_empty() || !other.current.order.is_empty() {
            return Err(refuse("one of them is in the middle of an epoch"));
        }
        own.set(&others.values()?)?;
        self.optimizer.set(&other.optimizer.values()?, other.optimizer.steps())?;
        self.best_weights.clone_from(&other.best_weights);
        self.state = State {
            optimizer: self.state.optimizer,
            micro_batch: self.state.micro_batch,
            cost: self.state.cost,
            ..other.state.clone()
        };
        (self.ended, self.divergence) = (other.ended, other.divergence);
        Ok(())
    }

    /// Ends here: the network with the weights that are kept, and what was done.
    ///
    /// # Errors
    /// A device that fails.
    pub fn finish(self) -> Result<(Box<dyn Network>, FitReport), FitError> {
        let kept = self.kept_weights().map(|weights| self.network.parameters().set(weights));
        let best_epoch = kept.transpose()?.and(self.state.best_epoch);
        let best = match (best_epoch, self.state.best_loss) {
            (Some(epoch), Some(loss)) => format!(", best epoch {epoch} with validation loss {loss:.4}"),
            _ => String::new(),
        };
        let detail = format!("{} epochs{best}", self.state.epoch);
        self.task.progress.on(&Event::FitDone { task: self.task.label.clone(), detail });
        let stop_reason = self.end().unwrap_or(StopReason::Early);
        let cost = self.state.cost;
        let report = FitReport {
            parameters: self.network.parameters().count(),
            samples: cost.samples,
            precision: Some(self.why_precision),
            seconds: cost.seconds,
            cpu_seconds: cost.cpu_seconds,
            step_seconds: cost.step_seconds,
            step_cpu_seconds: cost.step_cpu_seconds,
            seconds_to_first_step: cost.first_step,
            epochs: self.state.curves,
            best_epoch,
            stop_reason,
            population: self.population,
        };
        Ok((self.network, report))
    }
}

/// What a checkpoint must agree on: settings, seed, weights' shapes, and the windows with their targets.
fn fingerprint(
    network: &dyn Network,
    scaling: &TargetScaling,
    precision: Precision,
    task: &FitTask,
) -> String {
    let FitTask { config, seed, kind, cuda, .. } = task;
    let mut text = format!("{config:?} {precision:?} {seed:?} {kind:?} {cuda} {scaling:?}\n");
    for weight in network.parameters().weights() {
        text.push_str(&format!("{} {:?}\n", weight.name, weight.var.dims()));
    }
    let mut data = text.into_bytes();
    for windows in [&task.train, &task.validation] {
        data.extend((windows.len() as u64).to_le_bytes());
        for index in 0..windows.len() {
            // Of a window that overlaps the one before it, only the rows that are new.
            let window = windows.window(index);
            let new = windows.new_rows(index) * windows.features();
            let rows = &window[window.len() - new..];
            data.extend(rows.iter().chain(windows.target(index)).flat_map(|value| value.to_le_bytes()));
        }
    }
    sha256_hex(&data)
}
