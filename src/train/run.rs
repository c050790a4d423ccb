//! The loop itself: epochs, steps, validation, checkpoints.

use super::checkpoint::{Checkpoint, State};
use super::config::{OptimizerConfig, ScheduleConfig};
use super::optimizer::Optimizer;
use super::targets::TargetScaling;
use super::task::{EpochRecord, FitError, FitReport, FitTask, StopReason};
use crate::kernels::arena::Arena;
use crate::kernels::memory::keep_freed_memory;
use crate::kernels::precision::Precision;
use crate::nn::{Parameters, Pass};
use crate::progress::Event;
use crate::rundir::sha256_hex;
use crate::table::Windows;
use candle_core::{Device, Tensor};
use std::sync::atomic::Ordering;
use std::time::Instant;

/// Something whose weights can be trained.
pub trait Network: Send + Sync {
    /// Its weights.
    fn parameters(&self) -> &Parameters;

    /// x `[B, T, F]` -> outputs `[B, H * Q]`.
    ///
    /// # Errors
    /// A shape that does not fit.
    fn forward(&self, x: &Tensor, pass: &Pass) -> candle_core::Result<Tensor>;
}

/// Windows evaluated at once, always in the same chunks, so that a forecast never depends on memory or threads.
const EVALUATION_ROWS: usize = 512;

/// Outputs of all windows in order, chunk by chunk.
///
/// # Errors
/// Windows that do not fit, or what `take` returns.
pub fn evaluate(
    network: &dyn Network,
    windows: &Windows,
    device: &Device,
    mut take: impl FnMut(&[usize], Tensor) -> Result<(), FitError>,
) -> Result<(), FitError> {
    let pass = Pass::evaluation(&Arena::default());
    let all: Vec<usize> = (0..windows.len()).collect();
    for chunk in all.chunks(EVALUATION_ROWS) {
        take(chunk, network.forward(&windows.gather(chunk, device)?, &pass)?)?;
    }
    Ok(())
}

/// Trains a network in place; at the end it holds the weights that the report speaks of.
///
/// The result has the same bits whatever runs beside it, and whether or not it was interrupted after any epoch and
/// continued from its checkpoint. A checkpoint that is damaged or of another plan is ignored with a warning, and the fit
/// starts anew: it holds nothing that cannot be computed again.
///
/// # Errors
/// Missing windows, a loss that is no number, a checkpoint that cannot be written, or the wish to stop.
pub fn train(network: &dyn Network, scaling: &TargetScaling, task: &FitTask) -> Result<FitReport, FitError> {
    keep_freed_memory();
    // candle walks the graph of a step by recursion, and on devices without our kernels a long window makes a deep one.
    let deep = std::thread::Builder::new().stack_size(STACK_BYTES);
    std::thread::scope(|scope| {
        let running = deep
            .spawn_scoped(scope, || train_here(network, scaling, task))
            .map_err(|error| FitError::Thread(error.to_string()))?;
        running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// Stack of the training thread; memory is taken only as far as it is used.
const STACK_BYTES: usize = 256 << 20;

fn train_here(network: &dyn Network, scaling: &TargetScaling, task: &FitTask) -> Result<FitReport, FitError> {
    task.config.check(task.kind).map_err(FitError::Settings)?;
    for (part, windows) in [("training", task.train), ("validation", task.validation)] {
        if windows.is_empty() {
            return Err(FitError::NoWindows { task: task.label.clone(), part });
        }
    }
    let mut training = Training::new(network, scaling, task)?;
    training.resume()?;
    task.progress.on(&Event::FitStarted { task: task.label.clone(), steps: training.steps });
    let mut stop_reason = StopReason::AllEpochs;
    while training.state.epoch < task.config.epochs {
        if training.has_waited_enough() {
            stop_reason = StopReason::EarlyStopping;
            break;
        }
        training.epoch()?;
    }
    if training.has_waited_enough() {
        stop_reason = StopReason::EarlyStopping;
    }
    training.finish(stop_reason)
}

struct Training<'a> {
    network: &'a dyn Network,
    scaling: &'a TargetScaling,
    task: &'a FitTask<'a>,
    optimizer: Optimizer,
    /// Indices of the windows learned from.
    indices: Vec<usize>,
    /// Optimiser steps over all epochs.
    steps: u64,
    state: State,
    best_weights: Vec<Vec<f32>>,
    fingerprint: String,
    /// Wall and CPU seconds before this sitting, and when it began.
    before: (f64, f64),
    started: (Instant, f64),
    arena: Arena,
}

impl<'a> Training<'a> {
    fn new(
        network: &'a dyn Network,
        scaling: &'a TargetScaling,
        task: &'a FitTask<'a>,
    ) -> Result<Self, FitError> {
        let config = task.config;
        let OptimizerConfig::AdamW(adamw) = config.optimizer;
        // The split has already taken every `stride_bars`-th window.
        let indices: Vec<usize> = (0..task.train.len()).collect();
        Ok(Training {
            network,
            scaling,
            task,
            optimizer: Optimizer::new(network.parameters(), adamw, config.gradient_clip)?,
            steps: config.epochs * indices.len().div_ceil(config.batch_size) as u64,
            indices,
            state: State::default(),
            best_weights: network.parameters().values()?,
            fingerprint: fingerprint(network, scaling, task),
            before: (0.0, 0.0),
            started: (Instant::now(), thread_seconds()),
            arena: Arena::default(),
        })
    }

    fn resume(&mut self) -> Result<(), FitError> {
        let Some(path) = self.task.checkpoint else { return Ok(()) };
        let parameters = self.network.parameters();
        match Checkpoint::load(path, parameters, &self.fingerprint) {
            Ok(None) => {}
            Ok(Some(checkpoint)) => {
                parameters.set(&checkpoint.weights)?;
                self.optimizer.set(&checkpoint.moments, checkpoint.state.step)?;
                self.best_weights = checkpoint.best_weights;
                self.before = (checkpoint.state.seconds, checkpoint.state.cpu_seconds);
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

    fn has_waited_enough(&self) -> bool {
        self.task.config.early_stopping.is_some_and(|stopping| self.state.waited >= stopping.patience)
    }

    fn epoch(&mut self) -> Result<(), FitError> {
        let epoch = self.state.epoch + 1;
        let mut order = self.indices.clone();
        self.task.seed.stream("batch order", epoch).shuffle(&mut order);
        let (mut sum, mut learning_rate) = (0.0, 0.0);
        for batch in order.chunks(self.task.config.batch_size) {
            if self.task.stop.load(Ordering::Relaxed) {
                return Err(FitError::Interrupted);
            }
            let loss = self.step(epoch, batch, &mut learning_rate)?;
            sum += loss * batch.len() as f64;
            self.task
                .progress
                .on(&Event::FitStepped { task: self.task.label.clone(), step: self.optimizer.steps() });
        }
        let training_loss = sum / order.len() as f64;
        let validation_loss = self.validation_loss(epoch)?;
        self.state.epoch = epoch;
        self.state.step = self.optimizer.steps();
        self.state.samples += order.len() as u64;
        self.state.curves.push(EpochRecord { epoch, training_loss, validation_loss, learning_rate });
        self.judge(validation_loss)?;
        let task = self.task.label.clone();
        self.task.progress.on(&Event::Epoch { task, epoch, training_loss, validation_loss });
        self.save()
    }

    fn step(&mut self, epoch: u64, batch: &[usize], learning_rate: &mut f64) -> Result<f64, FitError> {
        let Training { task, network, scaling, .. } = *self;
        let number = self.optimizer.steps() + 1;
        let x = task.train.gather(batch, task.device)?;
        let y = scaling.gather(task.train, batch, task.device)?;
        let pass = Pass::training(task.seed.child("dropout", number), Precision::F32, &self.arena);
        let loss = task.config.loss.of(&network.forward(&x, &pass)?, &y)?;
        let value = f64::from(loss.to_scalar::<f32>()?);
        if !value.is_finite() {
            return Err(FitError::Diverged { task: task.label.clone(), epoch, step: number, loss: value });
        }
        let share = task.config.schedule.share(number, self.steps, self.state.reductions);
        let OptimizerConfig::AdamW(adamw) = task.config.optimizer;
        *learning_rate = adamw.learning_rate * share;
        self.optimizer.step(network.parameters(), &loss.backward()?, share)?;
        Ok(value)
    }

    /// Mean over windows and horizons, in chunks of a fixed order.
    fn validation_loss(&self, epoch: u64) -> Result<f64, FitError> {
        let task = self.task;
        let mut sum = 0.0;
        evaluate(self.network, task.validation, task.device, |chunk, outputs| {
            let targets = self.scaling.gather(task.validation, chunk, task.device)?;
            sum +=
                f64::from(task.config.loss.of(&outputs, &targets)?.to_scalar::<f32>()?) * chunk.len() as f64;
            Ok(())
        })?;
        let loss = sum / task.validation.len() as f64;
        if loss.is_finite() {
            return Ok(loss);
        }
        Err(FitError::Diverged { task: task.label.clone(), epoch, step: self.optimizer.steps(), loss })
    }

    /// Early stopping and the plateau schedule after an epoch.
    fn judge(&mut self, loss: f64) -> Result<(), FitError> {
        let state = &mut self.state;
        if let Some(stopping) = self.task.config.early_stopping {
            // The best weights are kept whatever the gain; only patience asks for a gain worth waiting for.
            if state.best_loss.is_none_or(|best| loss < best) {
                (state.best_loss, state.best_epoch) = (Some(loss), Some(state.epoch));
                self.best_weights = self.network.parameters().values()?;
            }
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

    fn save(&mut self) -> Result<(), FitError> {
        self.state.seconds = self.before.0 + self.started.0.elapsed().as_secs_f64();
        self.state.cpu_seconds = self.before.1 + thread_seconds() - self.started.1;
        let Some(path) = self.task.checkpoint else { return Ok(()) };
        let checkpoint = Checkpoint {
            state: self.state.clone(),
            weights: self.network.parameters().values()?,
            moments: self.optimizer.values()?,
            best_weights: self.best_weights.clone(),
        };
        Ok(checkpoint.save(path, self.network.parameters(), &self.fingerprint)?)
    }

    fn finish(self, stop_reason: StopReason) -> Result<FitReport, FitError> {
        if self.state.best_epoch.is_some() {
            self.network.parameters().set(&self.best_weights)?;
        }
        let best = match (self.state.best_epoch, self.state.best_loss) {
            (Some(epoch), Some(loss)) => format!(", best epoch {epoch} with validation loss {loss:.4}"),
            _ => String::new(),
        };
        let detail = format!("{} epochs{best}", self.state.epoch);
        self.task.progress.on(&Event::FitDone { task: self.task.label.clone(), detail });
        Ok(FitReport {
            parameters: self.network.parameters().count(),
            samples: self.state.samples,
            seconds: self.state.seconds,
            cpu_seconds: self.state.cpu_seconds,
            epochs: self.state.curves,
            best_epoch: self.state.best_epoch,
            stop_reason,
        })
    }
}

/// CPU time of this thread, in seconds.
pub(crate) fn thread_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// What a checkpoint must agree on: settings, seed, weights' shapes, and the windows with their targets.
fn fingerprint(network: &dyn Network, scaling: &TargetScaling, task: &FitTask) -> String {
    let device = task.device.location();
    let mut text = format!("{:?} {:?} {:?} {device:?} {scaling:?}\n", task.config, task.seed, task.kind);
    for weight in network.parameters().weights() {
        text.push_str(&format!("{} {:?}\n", weight.name, weight.var.dims()));
    }
    let mut data = text.into_bytes();
    for windows in [task.train, task.validation] {
        data.extend((windows.len() as u64).to_le_bytes());
        for index in 0..windows.len() {
            // The windows of neighbouring rows overlap, so their last rows cover what they hold.
            let window = windows.window(index);
            let last = &window[window.len() - windows.features().min(window.len())..];
            data.extend(last.iter().chain(windows.target(index)).flat_map(|value| value.to_le_bytes()));
        }
    }
    sha256_hex(&data)
}
