//! What a training tells a device that steps it together with others, and what it is told.
//!
//! The device does the arithmetic of the steps; epochs, schedule, early stopping and checkpoints stay here and are the same
//! as on the CPU.

use super::clock::Clock;
use super::targets::TargetScaling;
use super::task::{Advance, FitError, PopulationRecord};
use super::training::Training;
use crate::kernels::adamw::AdamWStep;
use crate::progress::Event;

/// One step of the optimiser to come.
pub(super) struct PlannedStep {
    /// The first of its windows in the order of the epoch.
    pub(super) start: usize,
    /// Its windows.
    pub(super) size: usize,
    /// The numbers of AdamW; the gradient factor is the device's to find.
    pub(super) adamw: AdamWStep,
    /// From 1.
    pub(super) number: u64,
}

impl Training<'_> {
    pub(super) fn scaling(&self) -> &TargetScaling {
        &self.scaling
    }

    /// Begins an epoch where none is under way; the order of its windows.
    pub(super) fn order(&mut self) -> &[u32] {
        self.begin_epoch();
        &self.current.order
    }

    /// Whether an epoch is under way, and how many steps it has left.
    pub(super) fn steps_left(&self) -> usize {
        (self.current.order.len() - self.current.done).div_ceil(self.task.config.batch_size)
    }

    /// Step number `index`, from 0, of those that are left of the epoch.
    pub(super) fn planned(&self, index: usize) -> PlannedStep {
        let batch = self.task.config.batch_size;
        let start = self.current.done + index * batch;
        let number = self.optimizer.steps() + 1 + index as u64;
        let share = self.task.config.schedule.share(number, self.steps(), self.state.reductions);
        let size = batch.min(self.current.order.len() - start);
        PlannedStep { start, size, adamw: self.optimizer.planned(number, share), number }
    }

    /// Takes in steps that a device has done, with their losses; `clock` ran meanwhile for so many trainings. A loss that is
    /// no number ends the training, and the device has moved nothing from that step on.
    pub(super) fn took_steps(
        &mut self,
        losses: impl Iterator<Item = f64>,
        (clock, company): (&Clock, usize),
    ) -> Result<Option<Advance>, FitError> {
        let (wall, processor) = clock.elapsed();
        self.state.cost.add_steps((wall / company as f64, processor / company as f64));
        for loss in losses {
            if !loss.is_finite() {
                return self.roll_back(loss).map(Some);
            }
            let planned = self.planned(0);
            self.current.learning_rate = planned.adamw.rate;
            self.optimizer.count_step();
            self.took_step(planned.size, loss);
        }
        self.tell_steps();
        Ok(None)
    }

    /// Takes in weights, and moments where they are asked for, as a device has them after an epoch, then closes the epoch.
    pub(super) fn took_epoch(
        &mut self,
        weights: &[f32],
        moments: Option<&[f32]>,
        validation_loss: f64,
    ) -> Result<Advance, FitError> {
        let clock = Clock::start();
        self.take_weights(weights)?;
        if let Some(moments) = moments {
            self.take_moments(moments)?;
        }
        self.close_epoch(validation_loss, clock)
    }

    /// Whether moments are wanted after every epoch.
    pub(super) fn keeps_checkpoints(&self) -> bool {
        self.task.checkpoint.is_some()
    }

    /// All weights one after the other, and the moments `[2, n]`.
    pub(super) fn flat(&self) -> Result<(Vec<f32>, Vec<f32>), FitError> {
        Ok((self.network.parameters().values()?.concat(), self.optimizer.values()?))
    }

    /// Takes moments back.
    pub(super) fn take_moments(&mut self, moments: &[f32]) -> Result<(), FitError> {
        Ok(self.optimizer.set(moments, self.optimizer.steps())?)
    }

    fn take_weights(&mut self, weights: &[f32]) -> Result<(), FitError> {
        let parameters = self.network.parameters();
        let mut rest = weights;
        let mut values = Vec::new();
        for weight in parameters.weights() {
            let own;
            (own, rest) = rest.split_at(weight.var.elem_count());
            values.push(own.to_vec());
        }
        Ok(parameters.set(&values)?)
    }

    /// Whether no epoch is under way.
    pub(super) fn begins_epoch(&self) -> bool {
        self.current.order.is_empty()
    }

    /// Remembers why there is nothing left to do.
    pub(super) fn note_end(&mut self) {
        self.ended = self.end();
    }

    /// Counts wall and CPU seconds that were spent for so many trainings.
    pub(super) fn spent(&mut self, (wall, processor): (f64, f64), company: usize) {
        self.state.cost.add((wall / company as f64, processor / company as f64));
    }

    /// Windows of a pass, where an earlier sitting on a device decided them.
    pub(super) fn passes_by(&self) -> Option<usize> {
        self.state.micro_batch
    }

    /// How it trains on a device, if it does.
    pub fn population(&self) -> Option<&PopulationRecord> {
        self.population.as_ref()
    }

    /// Remembers how it trains on a device; what it has no room for is told once.
    pub(super) fn note_population(&mut self, record: PopulationRecord) {
        let before = self.population.as_ref().and_then(|record| record.note.as_ref());
        if let Some(note) = record.note.as_ref().filter(|note| before != Some(note)) {
            let text = format!("{}: {note}", self.task.label);
            self.task.progress.on(&Event::Warning { text });
        }
        self.state.micro_batch = Some(record.micro_batch);
        self.population = Some(record);
    }
}
