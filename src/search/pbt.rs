//! Population based training: the worst take over weights and settings of the best and vary them (Jaderberg et al. 2017,
//! "Population Based Training of Neural Networks").

use super::axis::Axis;
use super::layout::{Layout, Point};
use super::{Job, Method, Next, Search, SearchTask};
use crate::seed::{Seed, Stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// The trials are one population, which trains side by side. After every `interval_epochs` each of the worst quarter becomes
/// a copy of one of the best quarter, and its settings are perturbed or drawn anew. Only settings under `train.optimizer` can
/// vary, since they can change while a network trains.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Pbt {
    /// Epochs between two comparisons.
    #[schemars(range(min = 1))]
    pub interval_epochs: u64,
    /// Probability that a setting of a copy is drawn anew. Otherwise a number is multiplied by 0.8 or 1.2, and a choice stays.
    #[schemars(range(min = 0.0, max = 1.0))]
    pub resample_probability: f64,
}

impl Default for Pbt {
    fn default() -> Self {
        Pbt { interval_epochs: 2, resample_probability: 0.25 }
    }
}

/// What can change while a network trains.
const CHANGEABLE: &str = "train.optimizer";

/// Of a population, the share that is replaced, and the share from which replacements come.
const SHARE: usize = 4;

/// By what a number is multiplied.
const FACTORS: [f64; 2] = [0.8, 1.2];

impl Method for Pbt {
    fn check(&self, task: &SearchTask) -> Result<(), String> {
        let changeable =
            |path: &&String| path.strip_prefix(CHANGEABLE).is_some_and(|rest| rest.starts_with('.'));
        if let Some(path) = task.space.keys().find(|path| !changeable(path)) {
            return Err(format!(
                "pbt changes settings while networks train, so only those under `{CHANGEABLE}` can vary, not `{path}`; \
                 use tpe or asha, or leave it out"
            ));
        }
        if task.trials < 2 {
            return Err("pbt needs a population: write `trials: 4` or more".into());
        }
        if self.interval_epochs == 0 || self.interval_epochs >= task.epochs {
            return Err(format!(
                "pbt.interval_epochs is {}; it must be at least 1 and below {}, the epochs of a whole training",
                self.interval_epochs, task.epochs
            ));
        }
        if !(0.0..=1.0).contains(&self.resample_probability) {
            return Err(format!(
                "pbt.resample_probability is {}; it must lie between 0 and 1",
                self.resample_probability
            ));
        }
        Ok(())
    }

    fn uses_rungs(&self) -> bool {
        true
    }

    fn start(&self, task: SearchTask) -> Box<dyn Search> {
        let layout = Layout::new(&task.space);
        let point = |trial: usize| layout.draw(task.seed.child("trial", trial as u64));
        Box::new(PbtSearch {
            members: (0..task.trials).map(|trial| Member { point: point(trial), value: None }).collect(),
            waiting: (0..task.trials).map(|trial| (trial, None)).collect(),
            layout,
            method: self.clone(),
            epochs: task.epochs,
            seed: task.seed,
            reached: 0,
            running: 0,
        })
    }
}

struct Member {
    point: Point,
    value: Option<f64>,
}

struct PbtSearch {
    layout: Layout,
    method: Pbt,
    epochs: u64,
    seed: Seed,
    members: Vec<Member>,
    /// Epochs that the whole population has done.
    reached: u64,
    /// Jobs of this round that were not asked for yet: trial and whose state it takes over. Those that take over come first, so
    /// that nobody is copied while at work.
    waiting: VecDeque<(usize, Option<usize>)>,
    running: usize,
}

impl PbtSearch {
    /// Epochs at the end of this round.
    fn target(&self) -> u64 {
        self.reached.saturating_add(self.method.interval_epochs).min(self.epochs)
    }

    /// All members have done the round: the worst are replaced, and the next round begins.
    fn turn(&mut self) {
        self.reached = self.target();
        let mut ranking: Vec<usize> = (0..self.members.len()).collect();
        let value = |trial: usize| self.members[trial].value;
        ranking.sort_by(|left, right| match (value(*left), value(*right)) {
            (Some(one), Some(other)) => one.total_cmp(&other).then(left.cmp(right)),
            (one, other) => other.is_some().cmp(&one.is_some()).then(left.cmp(right)),
        });
        let healthy = ranking.iter().filter(|trial| value(**trial).is_some()).count();
        let share = (ranking.len() / SHARE).max(1);
        let sources = ranking[..share.min(healthy)].to_vec();
        if self.reached == self.epochs || sources.is_empty() {
            return;
        }
        // Whoever has failed has no state to go on from.
        let kept = (ranking.len() - share).min(healthy);
        let mut replaced = ranking.split_off(kept);
        replaced.sort_unstable();
        ranking.sort_unstable();
        for trial in replaced {
            let mut stream = self.seed.child("exploration", self.reached).stream("trial", trial as u64);
            let source = sources[stream.below(sources.len())];
            self.members[trial].point = self.explored(&self.members[source].point, &mut stream);
            self.waiting.push_back((trial, Some(source)));
        }
        self.waiting.extend(ranking.into_iter().map(|trial| (trial, None)));
    }

    /// A point near another one.
    fn explored(&self, from: &Point, stream: &mut Stream) -> Point {
        self.layout.point(|axis, values| {
            let (anew, unit, up) = (stream.uniform(), stream.uniform(), stream.below(2));
            match from[axis] {
                Some(coordinate) if anew >= self.method.resample_probability => match values {
                    Axis::Choices(_) => coordinate,
                    Axis::Interval { .. } => {
                        let number = values.value(coordinate).as_f64().unwrap_or_default();
                        values.nearest(number * FACTORS[up])
                    }
                },
                _ => values.draw(unit),
            }
        })
    }
}

impl Search for PbtSearch {
    fn next(&mut self) -> Next {
        if self.waiting.is_empty() && self.running == 0 && self.reached < self.epochs {
            self.turn();
        }
        let Some((trial, copy_from)) = self.waiting.pop_front() else {
            let last = self.target() == self.epochs;
            return if self.running > 0 && !last { Next::Wait } else { Next::Done };
        };
        self.running += 1;
        let settings = self.layout.settings(&self.members[trial].point);
        Next::Job(Job { trial, settings, epochs: self.target(), copy_from })
    }

    fn tell(&mut self, trial: usize, _: u64, value: Option<f64>) {
        self.running = self.running.saturating_sub(1);
        self.members[trial].value = value.filter(|value| !value.is_nan());
    }
}
