//! The tree-structured Parzen estimator (Bergstra et al. 2011, "Algorithms for Hyper-Parameter Optimization"), with one joint
//! density over all dimensions, the good tenth of Optuna, and kernels that may become narrower than there.

use super::layout::Point;
use super::listing::Listing;
use super::parzen::Parzen;
use super::{Job, Method, Next, Search, SearchTask};
use crate::seed::Seed;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The tree-structured Parzen estimator: a density over the good trials, another one over the rest, and the next trial where
/// the first is large against the second. A failed trial is one of the rest. Trials under way are not looked at.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tpe {
    /// Trials with a value before values are looked at; until then trials are drawn at random.
    pub startup_trials: usize,
    /// Points that are drawn from the density of the good trials; the most promising of them is tried.
    #[schemars(range(min = 1))]
    pub candidates: usize,
}

impl Default for Tpe {
    fn default() -> Self {
        Tpe { startup_trials: 10, candidates: 96 }
    }
}

/// The good trials are one tenth of all, rounded up, and at most so many.
const MOST_GOOD: usize = 25;

/// So many trials, the latest, count fully; the weight of older ones falls evenly to 1 over their number.
const FULL_WEIGHT: usize = 25;

impl Method for Tpe {
    fn check(&self, _: &SearchTask) -> Result<(), String> {
        if self.candidates == 0 {
            return Err("tpe.candidates must be at least 1".into());
        }
        Ok(())
    }

    fn uses_rungs(&self) -> bool {
        false
    }

    fn start(&self, task: SearchTask) -> Box<dyn Search> {
        Box::new(TpeSearch {
            method: self.clone(),
            listing: Listing::new(&task),
            epochs: task.epochs,
            seed: task.seed,
            points: Vec::new(),
            ranking: Vec::new(),
            told: 0,
        })
    }
}

struct TpeSearch {
    method: Tpe,
    listing: Listing,
    epochs: u64,
    seed: Seed,
    /// Of every trial that was given.
    points: Vec<Point>,
    /// Told trials, the best first; those without a value last.
    ranking: Vec<(f64, usize)>,
    told: usize,
}

impl TpeSearch {
    /// The most promising of some points drawn from the density of the good trials.
    fn proposal(&self, trial: usize) -> Point {
        let good = self.ranking.len().div_ceil(10).min(MOST_GOOD);
        let (good, rest) = self.ranking.split_at(good);
        let (good, rest) = (self.density(good), self.density(rest));
        let mut stream = self.seed.stream("proposals", trial as u64);
        let mut best: Option<(f64, Point)> = None;
        for _ in 0..self.method.candidates {
            let point = good.draw(&mut stream);
            let promise = good.log_density(&point) - rest.log_density(&point);
            if best.as_ref().is_none_or(|(most, _)| promise > *most) {
                best = Some((promise, point));
            }
        }
        best.map_or_else(|| self.listing.point(trial), |(_, point)| point)
    }

    fn density(&self, told: &[(f64, usize)]) -> Parzen<'_> {
        let mut trials: Vec<usize> = told.iter().map(|(_, trial)| *trial).collect();
        trials.sort_unstable();
        let points: Vec<&Point> = trials.iter().map(|trial| &self.points[*trial]).collect();
        Parzen::new(self.listing.layout(), &points, &weights(points.len()))
    }
}

/// Weights of trials in the order of their number.
fn weights(count: usize) -> Vec<f64> {
    let old = count.saturating_sub(FULL_WEIGHT);
    let first = 1.0 / count as f64;
    let step = (1.0 - first) / old.saturating_sub(1).max(1) as f64;
    (0..count).map(|rank| if rank < old { first + step * rank as f64 } else { 1.0 }).collect()
}

impl Search for TpeSearch {
    fn next(&mut self) -> Next {
        let trial = self.points.len();
        if trial == self.listing.count() {
            return Next::Done;
        }
        let guided = self.told >= self.method.startup_trials && !self.listing.is_whole();
        let point = if guided { self.proposal(trial) } else { self.listing.point(trial) };
        let settings = self.listing.layout().settings(&point);
        self.points.push(point);
        Next::Job(Job { trial, settings, epochs: self.epochs, copy_from: None })
    }

    fn tell(&mut self, trial: usize, _: u64, value: Option<f64>) {
        let value = value.filter(|value| !value.is_nan());
        self.told += usize::from(value.is_some());
        let entry = (value.unwrap_or(f64::INFINITY), trial);
        let rank = self
            .ranking
            .partition_point(|other| other.0.total_cmp(&entry.0).then(other.1.cmp(&entry.1)).is_lt());
        self.ranking.insert(rank, entry);
    }
}
