//! Hyperparameter search: where to look next, and when to give up. Knows numbers and choices, no experiment.
//!
//! A search is asked for jobs and told their outcome in the order in which it gave them. The caller may be up to
//! [`Search::look_ahead`] jobs ahead of what it has told, never more, and always exactly as far as the search's own order allows;
//! so the search sees the same history whatever the number of threads.

mod asha;
mod axis;
mod grid;
mod halving;
mod layout;
mod listing;
mod parzen;
mod pbt;
mod random;
mod rungs;
mod space;
mod tpe;

pub use asha::Asha;
pub use grid::Grid;
pub use halving::Halving;
pub use pbt::Pbt;
pub use random::Random;
pub use space::{Dimension, Scale, Settings, Space, check_conditions, holds};
pub use tpe::Tpe;

use crate::seed::Seed;
use schemars::{Schema, SchemaGenerator};
use serde::{Deserialize, Deserializer};

/// Jobs that may be under way: job number n is asked for when jobs 0 to n - LOOK_AHEAD have been told. It is a constant,
/// not the number of threads, so that a sweep finds the same on every machine.
pub const LOOK_AHEAD: usize = 8;

/// The same of a search whose jobs do not depend on the order in which it is told: whole populations may be under way.
pub const BLIND_LOOK_AHEAD: usize = 256;

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
    /// Before that, take over the state of this trial as it was told last (population based training). When such a job is
    /// given, the other trial has no job under way.
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

    /// How many jobs may be under way. Always the same for one method.
    fn look_ahead(&self) -> usize {
        LOOK_AHEAD
    }

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

/// A way to search, from its settings.
pub trait Method: Send + Sync {
    /// Whether it can search this space with this budget. The dimensions have passed [`Dimension::check`] and their
    /// conditions [`check_conditions`].
    ///
    /// # Errors
    /// Says what does not fit, and what to write instead.
    fn check(&self, task: &SearchTask) -> Result<(), String>;

    /// Whether it looks at trials before they are trained to the end, and gives several jobs for one trial.
    fn uses_rungs(&self) -> bool;

    /// Begins a search whose task passed [`Method::check`].
    fn start(&self, task: SearchTask) -> Box<dyn Search>;
}

crate::registry! {
    /// How a space is searched.
    MethodConfig => dyn Method;
    /// Every combination.
    grid: Grid,
    /// Every trial is drawn by itself.
    random: Random,
    /// Trials are drawn where good ones are more frequent than bad ones.
    tpe: Tpe,
    /// All trials a little, the best of them more; each rung is waited for.
    halving: Halving,
    /// The same without waiting.
    asha: Asha,
    /// One population, in which the worst take over from the best while they train.
    pbt: Pbt,
}

impl MethodConfig {
    /// Reads a method: its name alone, which takes the default settings, or its name with settings.
    ///
    /// # Errors
    /// What is neither.
    pub fn by_name_or_settings<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let written = match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(name) => serde_json::json!({ name: {} }),
            settings => settings,
        };
        MethodConfig::deserialize(written).map_err(serde::de::Error::custom)
    }

    /// The JSON Schema of what [`MethodConfig::by_name_or_settings`] reads.
    pub fn schema_by_name_or_settings(generator: &mut SchemaGenerator) -> Schema {
        let settings = generator.subschema_for::<MethodConfig>();
        schemars::json_schema!({ "anyOf": [{ "type": "string", "enum": MethodConfig::NAMES }, settings] })
    }
}
