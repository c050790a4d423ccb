//! Successive halving: all trials a little, the best of them more (Jamieson and Talwalkar 2016, "Non-stochastic Best Arm
//! Identification and Hyperparameter Optimization").

use super::listing::Listing;
use super::{BLIND_LOOK_AHEAD, Job, Method, Next, Search, SearchTask, rungs};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// All trials are drawn at random and trained to the first rung; of each rung the best `1/reduction` go on to the next, which
/// has `reduction` times the epochs, up to a whole training. A rung is waited for before anybody goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Halving {
    /// One of so many goes on, and the epochs grow by this factor.
    #[schemars(range(min = 2))]
    pub reduction: usize,
    /// Fewest epochs before trials are compared. Rungs are counted down from a whole training: of 27 epochs by 3 they are 1, 3,
    /// 9 and 27.
    #[schemars(range(min = 1))]
    pub first_epochs: u64,
}

impl Default for Halving {
    fn default() -> Self {
        Halving { reduction: 3, first_epochs: 1 }
    }
}

impl Method for Halving {
    fn check(&self, task: &SearchTask) -> Result<(), String> {
        rungs::check("halving", self.first_epochs, self.reduction, task.epochs)
    }

    fn uses_rungs(&self) -> bool {
        true
    }

    fn start(&self, task: SearchTask) -> Box<dyn Search> {
        let listing = Listing::new(&task);
        Box::new(HalvingSearch {
            waiting: (0..listing.count()).collect(),
            listing,
            rungs: rungs::rungs(self.first_epochs, self.reduction, task.epochs),
            reduction: self.reduction,
            rung: 0,
            running: 0,
            told: Vec::new(),
        })
    }
}

struct HalvingSearch {
    listing: Listing,
    rungs: Vec<u64>,
    reduction: usize,
    rung: usize,
    /// Trials of this rung that were not asked for yet.
    waiting: VecDeque<usize>,
    running: usize,
    /// Trials of this rung with their values.
    told: Vec<(usize, Option<f64>)>,
}

impl HalvingSearch {
    /// The best of the rung go on; at least one does.
    fn promote(&mut self) {
        let places = (self.told.len() / self.reduction).max(1);
        let mut good: Vec<(f64, usize)> =
            self.told.drain(..).filter_map(|(trial, value)| Some((value?, trial))).collect();
        good.sort_by(|left, right| left.0.total_cmp(&right.0).then(left.1.cmp(&right.1)));
        let mut chosen: Vec<usize> = good.into_iter().take(places).map(|(_, trial)| trial).collect();
        chosen.sort_unstable();
        self.waiting = chosen.into();
        self.rung += 1;
    }
}

impl Search for HalvingSearch {
    fn next(&mut self) -> Next {
        if self.waiting.is_empty() && self.running == 0 && self.rung + 1 < self.rungs.len() {
            self.promote();
        }
        let Some(trial) = self.waiting.pop_front() else {
            return if self.running > 0 && self.rung + 1 < self.rungs.len() {
                Next::Wait
            } else {
                Next::Done
            };
        };
        self.running += 1;
        let epochs = self.rungs[self.rung];
        Next::Job(Job { trial, settings: self.listing.settings(trial), epochs, copy_from: None })
    }

    fn look_ahead(&self) -> usize {
        BLIND_LOOK_AHEAD
    }

    fn tell(&mut self, trial: usize, _: u64, value: Option<f64>) {
        self.running = self.running.saturating_sub(1);
        self.told.push((trial, value.filter(|value| !value.is_nan())));
    }
}
