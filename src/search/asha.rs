//! Asynchronous successive halving: nobody waits for a rung (Li et al. 2020, "A System for Massively Parallel Hyperparameter
//! Tuning", algorithm 2).

use super::listing::Listing;
use super::{Job, Method, Next, Search, SearchTask, rungs};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// As `halving`, but a trial goes on as soon as it is among the best `1/reduction` of those that were told in its rung so
/// far; only where none can go on a new trial is begun. All cores stay at work, and a few more trials go on than with
/// `halving`, since the first ones have few to be compared with.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Asha {
    /// One of so many goes on, and the epochs grow by this factor.
    #[schemars(range(min = 2))]
    pub reduction: usize,
    /// Fewest epochs before trials are compared. Rungs are counted down from a whole training: of 27 epochs by 3 they are 1, 3,
    /// 9 and 27.
    #[schemars(range(min = 1))]
    pub first_epochs: u64,
}

impl Default for Asha {
    fn default() -> Self {
        Asha { reduction: 3, first_epochs: 1 }
    }
}

impl Method for Asha {
    fn check(&self, task: &SearchTask) -> Result<(), String> {
        rungs::check("asha", self.first_epochs, self.reduction, task.epochs)
    }

    fn uses_rungs(&self) -> bool {
        true
    }

    fn start(&self, task: SearchTask) -> Box<dyn Search> {
        let epochs = rungs::rungs(self.first_epochs, self.reduction, task.epochs);
        Box::new(AshaSearch {
            listing: Listing::new(&task),
            rungs: epochs.into_iter().map(Rung::new).collect(),
            reduction: self.reduction,
            begun: 0,
            running: 0,
        })
    }
}

/// One level of the ladder.
struct Rung {
    epochs: u64,
    /// Trials with a value, the best first, each with whether it went on.
    good: Vec<(f64, usize, bool)>,
    /// All that were told, failures included.
    told: usize,
}

impl Rung {
    fn new(epochs: u64) -> Rung {
        Rung { epochs, good: Vec::new(), told: 0 }
    }

    /// The best trial that did not go on and is among the first `places`; it counts as gone on from now on.
    fn promote(&mut self, places: usize) -> Option<usize> {
        let entry = self.good.iter_mut().take(places).find(|(_, _, promoted)| !promoted)?;
        entry.2 = true;
        Some(entry.1)
    }
}

struct AshaSearch {
    listing: Listing,
    /// From the first to a whole training.
    rungs: Vec<Rung>,
    reduction: usize,
    begun: usize,
    running: usize,
}

impl AshaSearch {
    /// The rung and trial that may go on, from the highest rung down.
    fn promotable(&mut self) -> Option<(usize, usize)> {
        let reduction = self.reduction;
        (0..self.rungs.len() - 1).rev().find_map(|rung| {
            let places = self.rungs[rung].told / reduction;
            Some((rung + 1, self.rungs[rung].promote(places)?))
        })
    }

    /// When all is told and no trial was trained to the end, since there were too few: the best of the highest rung.
    fn last_resort(&mut self) -> Option<(usize, usize)> {
        let (top, lower) = self.rungs.split_last_mut()?;
        if !top.good.is_empty() {
            return None;
        }
        let count = lower.len();
        lower.iter_mut().rev().enumerate().find_map(|(below, rung)| {
            let trial = rung.promote(usize::MAX)?;
            Some((count - below, trial))
        })
    }

    fn job(&mut self, rung: usize, trial: usize) -> Next {
        self.running += 1;
        let settings = self.listing.settings(trial);
        Next::Job(Job { trial, settings, epochs: self.rungs[rung].epochs, copy_from: None })
    }
}

impl Search for AshaSearch {
    fn next(&mut self) -> Next {
        if let Some((rung, trial)) = self.promotable() {
            return self.job(rung, trial);
        }
        if self.begun < self.listing.count() {
            self.begun += 1;
            return self.job(0, self.begun - 1);
        }
        if self.running > 0 {
            return Next::Wait;
        }
        match self.last_resort() {
            Some((rung, trial)) => self.job(rung, trial),
            None => Next::Done,
        }
    }

    fn tell(&mut self, trial: usize, epochs: u64, value: Option<f64>) {
        self.running = self.running.saturating_sub(1);
        let Some(rung) = self.rungs.iter_mut().find(|rung| rung.epochs == epochs) else { return };
        rung.told += 1;
        if let Some(value) = value.filter(|value| !value.is_nan()) {
            let rank = rung.good.partition_point(|(other, number, _)| {
                other.total_cmp(&value).then(number.cmp(&trial)).is_lt()
            });
            rung.good.insert(rank, (value, trial, false));
        }
    }
}
