//! The tree-structured Parzen estimator.

use super::layout::Point;
use super::listing::Listing;
use super::parzen::Parzen;
use super::{Job, Method, Next, Search, SearchTask};
use crate::seed::Seed;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The tree-structured Parzen estimator.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tpe {
    /// Trials that are drawn at random before the values are looked at.
    pub startup_trials: usize,
    /// Points that are drawn from the density of the good ones, of which the most promising is tried.
    #[schemars(range(min = 1))]
    pub candidates: usize,
}

impl Default for Tpe {
    fn default() -> Self {
        Tpe { startup_trials: 10, candidates: 24 }
    }
}

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

fn env(name: &str, default: f64) -> f64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

impl TpeSearch {
    /// The most promising of some points drawn from the density of the good trials.
    fn proposal(&self, trial: usize) -> Point {
        let mut stream = self.seed.stream("proposals", trial as u64);
        let count = self.ranking.len() as f64;
        let good = match env("GAMMA", 0.0) as i32 {
            0 => (0.1 * count).ceil(),
            1 => (0.25 * count.sqrt()).ceil(),
            2 => (0.15 * count).ceil(),
            3 => (0.75 * count.sqrt()).ceil(),
            4 => count.sqrt().ceil(),
            _ => (0.2 * count).ceil(),
        }
        .min(25.0) as usize;
        let layout = self.listing.layout();
        let of = |entries: &[(f64, usize)]| -> Vec<usize> {
            let mut v: Vec<usize> = entries.iter().map(|(_, trial)| *trial).collect();
            v.sort();
            v
        };
        let below = of(&self.ranking[..good]);
        let mut above = of(&self.ranking[good..]);
        if env("LIAR", 0.0) > 0.0 {
            above.extend(self.ranking.len()..self.points.len());
        }
        let group = |trials: &[usize]| {
            let points: Vec<&Point> = trials.iter().map(|trial| &self.points[*trial]).collect();
            let weights =
                if env("RAMP", 1.0) > 0.0 { weights(points.len()) } else { vec![1.0; points.len()] };
            Parzen::new(layout, &points, &weights)
        };
        let (good, bad) = (group(&below), group(&above));
        let mut best: Option<(f64, Point)> = None;
        for _ in 0..env("CANDIDATES", self.method.candidates as f64) as usize {
            let point = good.draw(&mut stream);
            let promise = good.log_density(&point) - bad.log_density(&point);
            if best.as_ref().is_none_or(|(most, _)| promise > *most) {
                best = Some((promise, point));
            }
        }
        best.map_or_else(|| self.listing.point(trial), |(_, point)| point)
    }
}

fn weights(count: usize) -> Vec<f64> {
    let old = count.saturating_sub(25);
    let first = 1.0 / count as f64;
    let ramp = (0..old)
        .map(|rank| if old > 1 { first + (1.0 - first) * rank as f64 / (old - 1) as f64 } else { first });
    ramp.chain(std::iter::repeat_n(1.0, count - old)).collect()
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
