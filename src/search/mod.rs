//! Hyperparameter search: where to look next, and when to give up. Knows numbers and choices, no experiment.
//!
//! A search is asked for jobs and told their outcome in the order in which it gave them. The caller may be up to
//! [`LOOK_AHEAD`] jobs ahead of what it has told, never more, and always exactly as far as the search's own order allows;
//! so the search sees the same history whatever the number of threads.

mod space;

pub use space::{Dimension, Scale, Settings, Space};

use crate::seed::Seed;

/// Jobs that may be under way: job number n is asked for when jobs 0 to n - LOOK_AHEAD have been told. It is a constant,
/// not the number of threads, so that a sweep finds the same on every machine.
pub const LOOK_AHEAD: usize = 8;

/// One piece of work: train one trial up to so many epochs.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// The trial's number, from 0, in the order of first appearance.
    pub trial: usize,
    /// Its settings. They are the same in every job of a trial, but for population based training, which changes those
    /// that a training in progress can change.
    pub settings: Settings,
    /// Train until so many epochs are done in all; never less than before.
    pub epochs: u64,
    /// Before that, take over the state of this trial as it was told last (population based training).
    pub copy_from: Option<usize>,
}

/// What a search answers when it is asked for work.
#[derive(Clone, Debug, PartialEq)]
pub enum Next {
    /// Do this.
    Job(Job),
    /// Tell an outcome first; only while jobs are under way.
    Wait,
    /// There is no more.
    Done,
}

/// A search in progress. The same task and the same outcomes give the same jobs, whatever else happens.
pub trait Search: Send {
    /// The next job.
    fn next(&mut self) -> Next;

    /// The outcome of the oldest job that was not told yet: its value, smaller is better; none where it failed or is not
    /// a number, which counts as worse than every number.
    fn tell(&mut self, trial: usize, epochs: u64, value: Option<f64>);
}

/// What a search is given.
#[derive(Clone, Debug)]
pub struct SearchTask {
    /// Where to look.
    pub space: Space,
    /// Exactly so many trials, unless the space holds fewer or the time is up.
    pub trials: usize,
    /// Epochs of a trial that is trained to the end.
    pub epochs: u64,
    /// From which its random streams come.
    pub seed: Seed,
}
