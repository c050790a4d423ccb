//! Networks of several trials trained together on a CUDA device.

use super::RunError;
use super::trial::{Before, Network, Trial, Workshop};
use crate::model::{FitError, Member, train_together};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// One network to be trained along its legs, each a trial's settings and the epoch to which they are used. With a network
/// from before only the last leg is left to do.
pub struct Course<'t, 'a> {
    /// At least one.
    pub legs: Vec<(&'t Trial, u64)>,
    /// Number of the network among those of its trial.
    pub part: usize,
    /// What it was at the end of all legs but the last.
    pub before: Option<Before<'a>>,
}

/// A network on its way along its legs.
struct Walk<'t, 'a> {
    legs: Vec<(&'t Trial, u64)>,
    part: usize,
    network: Option<Network<'a>>,
    /// Whether the network goes on as it is at its first leg.
    own: bool,
}

impl<'a> Workshop<'a> {
    /// Does something with each of several things on all cores.
    pub fn in_parallel<T: Send, R: Send>(
        &self,
        items: Vec<T>,
        work: impl Fn(T) -> R + Sync + Send,
    ) -> Vec<R> {
        let threads = self.threads.div_ceil(self.device.gpus.len().max(1));
        match rayon::ThreadPoolBuilder::new().num_threads(threads).build() {
            Ok(pool) => pool.install(|| items.into_par_iter().map(work).collect()),
            // Slower, but the same.
            Err(_) => items.into_iter().map(work).collect(),
        }
    }

    /// Trains networks together on device number `device`, as [`Workshop::train`] does each alone; what became of each, in
    /// order.
    pub fn train_together(
        &self,
        courses: Vec<Course<'_, 'a>>,
        device: usize,
    ) -> Vec<Result<Network<'a>, RunError>> {
        let mut walks = self.in_parallel(courses, |course| self.set_out(course));
        let longest = walks.iter().flatten().map(|walk| walk.legs.len()).max().unwrap_or(0);
        for leg in 0..longest {
            walks = self.in_parallel(walks, |walk| walk.and_then(|walk| self.enter(walk, leg)));
            self.advance_together(&mut walks, leg, device);
        }
        let arrived = |walk: Walk<'_, 'a>| {
            let part = walk.part;
            let nothing = || self.failed(part, FitError::Settings("there is nothing to train".into()));
            walk.network.ok_or_else(nothing)
        };
        walks.into_iter().map(|walk| walk.and_then(arrived)).collect()
    }

    fn set_out<'t>(&self, course: Course<'t, 'a>) -> Result<Walk<'t, 'a>, RunError> {
        let Course { mut legs, part, before } = course;
        let (network, own) = match before {
            None => (None, false),
            Some(before) => {
                legs.drain(..legs.len().saturating_sub(1));
                match (before, legs.first()) {
                    (Before::Own(network), _) => (Some(network), true),
                    (Before::Shared(other), Some((trial, _))) => {
                        (Some(self.fork(trial, part, &other)?), true)
                    }
                    (Before::Shared(_), None) => (None, false),
                }
            }
        };
        Ok(Walk { legs, part, network, own })
    }

    /// The network with the settings of a leg.
    fn enter<'t>(&self, mut walk: Walk<'t, 'a>, leg: usize) -> Result<Walk<'t, 'a>, RunError> {
        if let Some((trial, _)) = walk.legs.get(leg).filter(|_| !walk.own) {
            walk.network = Some(self.next(trial, walk.part, walk.network.as_ref())?);
        }
        walk.own = false;
        Ok(walk)
    }

    /// Trains all networks to the end of a leg, those of equal programs together.
    fn advance_together(&self, walks: &mut [Result<Walk<'_, 'a>, RunError>], leg: usize, device: usize) {
        let mut groups: BTreeMap<String, Vec<(usize, &mut Member<'a>, u64)>> = BTreeMap::new();
        let mut ends: Vec<(usize, Result<(), FitError>)> = Vec::new();
        for (index, walk) in walks.iter_mut().enumerate() {
            let Ok(Walk { legs, network: Some(Network::Trained(member)), .. }) = walk else { continue };
            let Some((_, epochs)) = legs.get(leg) else { continue };
            match member.population_key() {
                Ok(key) => groups.entry(key).or_default().push((index, &mut **member, *epochs)),
                Err(error) => ends.push((index, Err(error))),
            }
        }
        for group in groups.into_values() {
            let (places, members): (Vec<usize>, Vec<(&mut Member<'a>, u64)>) =
                group.into_iter().map(|(index, member, epochs)| (index, (member, epochs))).unzip();
            ends.extend(places.into_iter().zip(train_together(&self.device.gpus[device], members)));
        }
        for (index, end) in ends {
            let Ok(walk) = &walks[index] else { continue };
            let checked =
                end.map_err(|error| self.failed(walk.part, error)).and_then(|()| match &walk.network {
                    Some(Network::Trained(member)) => {
                        self.note(member);
                        self.check(member, walk.part)
                    }
                    _ => Ok(()),
                });
            if let Err(error) = checked {
                walks[index] = Err(error);
            }
        }
    }
}
