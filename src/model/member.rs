//! A member of a population: one network in training, moved on by slices of steps.

use super::network::{Architecture, Card, TrainedNetwork, forecast};
use super::{Fit, FitError, PopulationRecord};
use crate::kernels::arena::Arena;
use crate::kernels::gpu::Gpu;
use crate::seed::Seed;
use crate::table::Windows;
use crate::train::{AdamWConfig, Advance, Divergence, EpochRecord, Recipe, Training, Until, train_on};
use crate::units::counted;

/// A fit that was started.
pub enum Started<'a> {
    /// A closed form, which is done at once.
    Done(Fit),
    /// A network, which has its training before it.
    Member(Member<'a>),
}

/// One network in training: it costs its weights, its best weights and two moments a weight. All buffers of its steps
/// come from the arena of whoever moves it, so a core needs one arena however many members it moves in turn; slices of 16
/// steps or more cost nothing. The result has the same bits whatever the slices, the arena and the company.
pub struct Member<'a> {
    pub(super) architecture: Box<dyn Architecture>,
    pub(super) card: Card,
    pub(super) training: Box<Training<'a>>,
}

/// Steps of a slice where a member goes on for whole epochs: often enough to tell people how far it is.
const SLICE: u64 = 64;

impl<'a> Member<'a> {
    /// Goes on by at most so many optimiser steps, and not beyond the end of an epoch. Every epoch is told as
    /// [`Advance::Epoch`], the last one included; the call after it says [`Advance::Done`].
    ///
    /// A loss that is no number ends the member with the weights of its best whole epoch and a warning.
    ///
    /// # Errors
    /// A loss that is no number before the first epoch is whole, a checkpoint that cannot be written, a device that
    /// fails, or the wish to stop.
    pub fn advance(&mut self, steps: u64, arena: &Arena) -> Result<Advance, FitError> {
        self.training.advance(steps, arena)
    }

    /// Goes on to the end.
    ///
    /// # Errors
    /// As [`Member::advance`].
    pub fn to_end(mut self, arena: &Arena) -> Result<Fit, FitError> {
        while !matches!(self.advance(SLICE, arena)?, Advance::Done(_)) {}
        self.finish()
    }

    /// Goes on until so many epochs are done in all, or until there is nothing left to do.
    ///
    /// # Errors
    /// As [`Member::advance`].
    pub fn to_epoch(&mut self, epochs: u64, arena: &Arena) -> Result<(), FitError> {
        while self.epoch() < epochs && !matches!(self.advance(SLICE, arena)?, Advance::Done(_)) {}
        Ok(())
    }

    /// Members with equal keys can be trained together on a device.
    ///
    /// # Errors
    /// A layer that cannot be told to a device.
    pub fn population_key(&self) -> Result<String, FitError> {
        Ok(Recipe::of(&self.training)?.key())
    }

    /// How it trained on a device, if it did.
    pub fn population(&self) -> Option<&PopulationRecord> {
        self.training.population()
    }

    /// Where its loss stopped being a number, if it did after a whole epoch.
    pub fn divergence(&self) -> Option<Divergence> {
        self.training.divergence()
    }

    /// Whole epochs that are done.
    pub fn epoch(&self) -> u64 {
        self.training.epoch()
    }

    /// One row a whole epoch.
    pub fn curve(&self) -> &[EpochRecord] {
        self.training.curve()
    }

    /// Numbers that are trained.
    pub fn parameters(&self) -> usize {
        self.training.network().parameters().count()
    }

    /// The shapes of its tensors in words: members with equal words have equal shapes.
    pub fn shape(&self) -> String {
        let shape = self.card.shape;
        format!(
            "{}, {}, {}, {}",
            self.architecture.shape(),
            counted(shape.window, "bar"),
            counted(shape.features, "feature"),
            counted(shape.outputs, "output")
        )
    }

    /// Forecasts in units of the label, `[N, H]` row-major, with the weights that it would keep if it ended now.
    ///
    /// # Errors
    /// Windows of another length or other features, or a device that fails.
    pub fn forecast(&self, windows: &Windows, arena: &Arena) -> Result<Vec<f64>, FitError> {
        let Some(kept) = self.training.kept_weights() else {
            return forecast(&self.card, self.training.network(), windows, arena);
        };
        let network = self.architecture.network(self.card.shape, Seed(0))?;
        network.parameters().set(kept)?;
        forecast(&self.card, &*network, windows, arena)
    }

    /// Changes what moves the weights from the next step on.
    pub fn set_optimizer(&mut self, config: AdamWConfig) {
        self.training.set_optimizer(config);
    }

    /// Takes over weights, moments and epoch of another member of equal shape, between two epochs of both; its settings,
    /// its random streams, its windows and what it has spent stay its own.
    ///
    /// # Errors
    /// A member of another shape, or one in the middle of an epoch.
    pub fn adopt(&mut self, other: &Member) -> Result<(), FitError> {
        self.training.adopt(&other.training)
    }

    /// Ends here, with the weights that it keeps.
    ///
    /// # Errors
    /// A device that fails.
    pub fn finish(self) -> Result<Fit, FitError> {
        let (network, report) = self.training.finish()?;
        Ok(Fit { model: Box::new(TrainedNetwork { card: self.card, network }), report })
    }
}

/// Trains members of equal keys together on a device, each until so many epochs are done in all or there is nothing left to
/// do; what became of each, in order. A member gets the same bits in any company.
pub fn train_together<'a>(gpu: &Gpu, members: Vec<(&mut Member<'a>, u64)>) -> Vec<Result<(), FitError>> {
    let mut all = Vec::with_capacity(members.len());
    for (member, epochs) in members {
        all.push(Until { training: &mut member.training, epochs });
    }
    train_on(gpu, all)
}
