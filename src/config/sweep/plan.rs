//! A sweep that was checked, and the experiments of its trials.

use super::super::diagnostic::{ConfigError, Diagnostic, Origin, Source};
use super::super::tree::Node;
use super::super::{ExperimentConfig, Plan, resolve};
use super::{Goal, SweepConfig, trial};
use crate::search::{SearchTask, Settings, Space};
use crate::seed::Seed;
use serde::Deserialize;
use serde_json::Value;

/// A sweep whose every default is filled in and which fits its experiment.
#[derive(Clone, Debug)]
pub struct SweepPlan {
    /// The settings; `goal`, `model` and `trials` are filled in, and so is `strategy` if one trades on the model alone.
    pub config: SweepConfig,
    /// The experiment with `set` applied and before anything varies.
    pub experiment: Plan,
    /// What varies, with those conditions alone that are about something that varies.
    pub space: Space,
    /// Most epochs that a trial is trained.
    pub epochs: u64,
    /// The sweep's file as the user wrote it, overrides not included.
    pub written: String,
    /// The settings as YAML.
    pub resolved: String,
    /// SHA-256 of `resolved` and of the experiment's plan.
    pub sha256: String,
    pub(super) ground: Ground,
}

/// What trials are made of.
#[derive(Clone, Debug)]
pub(super) struct Ground {
    /// The experiment as it is written, with `set` applied.
    pub(super) tree: Node,
    /// The same without places.
    pub(super) json: Value,
    /// The texts of the load.
    pub(super) sources: Vec<Source>,
    /// Where the space begins.
    pub(super) space_origin: Origin,
}

impl SweepPlan {
    /// What the method is given.
    pub fn task(&self) -> SearchTask {
        SearchTask {
            space: self.space.clone(),
            trials: self.trials(),
            epochs: self.epochs,
            seed: Seed(self.config.seed),
        }
    }

    /// How many trials there will be, unless the space holds fewer or the time is up.
    pub fn trials(&self) -> usize {
        self.config.trials.unwrap_or(1)
    }

    /// The model whose figure judges.
    pub fn model(&self) -> &str {
        self.config.model.as_deref().unwrap_or_default()
    }

    /// Whether small values of the metric are good.
    pub fn minimize(&self) -> bool {
        self.config.goal.unwrap_or(self.config.metric.natural_goal()) == Goal::Minimize
    }

    /// The experiment of a trial. Equal settings give equal plans.
    ///
    /// # Errors
    /// Settings that are each possible and do not fit each other.
    pub fn plan_of(&self, settings: &Settings) -> Result<Plan, ConfigError> {
        let refuse = |messages: Vec<String>| ConfigError {
            sources: self.ground.sources.clone(),
            diagnostics: messages
                .into_iter()
                .map(|message| {
                    let message = format!("with {}: {message}", spoken(settings));
                    Diagnostic::new(message, self.ground.space_origin)
                })
                .collect(),
        };
        let json = trial::grafted(&self.ground.json, settings).map_err(|message| refuse(vec![message]))?;
        let mut experiment =
            ExperimentConfig::deserialize(json).map_err(|error| refuse(vec![error.to_string()]))?;
        let mut found = Vec::new();
        resolve::check_meaning(&mut experiment, &self.ground.tree, &mut found);
        if !found.is_empty() {
            return Err(refuse(found.into_iter().map(|diagnostic| diagnostic.message).collect()));
        }
        Plan::new(experiment, &self.experiment.written).map_err(|message| refuse(vec![message]))
    }
}

/// `a=1, b=[2]`.
fn spoken(settings: &Settings) -> String {
    let each: Vec<String> = settings.iter().map(|(path, value)| format!("{path}={value}")).collect();
    each.join(", ")
}
