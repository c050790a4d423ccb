//! The networks of a run on CUDA devices: those of one shape train together, and the devices share them.

use super::RunError;
use super::members::{Job, Part, Place, diverged, sorted};
use crate::audit::Prepared;
use crate::kernels::gpu::Gpu;
use crate::model::{FitError, Member, Started, train_together};
use rayon::prelude::*;
use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// A network that waits for its device.
struct Waiting<'a, 'j> {
    job: &'j Job<'a>,
    prepared: Arc<Prepared>,
    member: Member<'j>,
}

type Ended = (Place, Result<Part, RunError>);

/// Fits everything, as [`super::members::fit_all`] does on the CPU: networks of equal programs as populations, closed forms
/// as ever. A network that diverges stops none of the others; whatever else goes wrong stops what has not begun.
pub(super) fn fit_on_gpus(gpus: &[Gpu], list: &[Job]) -> Result<Vec<(Place, Part)>, RunError> {
    let (mut ended, mut groups): (Vec<Ended>, BTreeMap<String, Vec<Waiting>>) = Default::default();
    for begun in list.par_iter().map(begin).collect::<Vec<_>>() {
        match begun {
            Begun::Ended(part) => ended.push(*part),
            Begun::Waiting(key, waiting) => groups.entry(key).or_default().push(*waiting),
        }
    }
    // The largest groups first; each is cut so that every device has its part.
    let mut groups: Vec<Vec<Waiting>> = groups.into_values().collect();
    groups.sort_by_key(|group| std::cmp::Reverse(group.len()));
    let mut queue = VecDeque::new();
    for mut group in groups {
        let size = group.len().div_ceil(gpus.len());
        while !group.is_empty() {
            queue.push_back(group.drain(..size.min(group.len())).collect::<Vec<Waiting>>());
        }
    }
    let failed = |(_, part): &Ended| part.as_ref().is_err_and(|error| !diverged(error));
    let (queue, halt) = (Mutex::new(queue), AtomicBool::new(ended.iter().any(failed)));
    let ended = Mutex::new(ended);
    std::thread::scope(|scope| {
        for gpu in gpus {
            scope.spawn(|| {
                // A guard in the condition would live as long as the body, and the devices would wait for each other.
                let next = || queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                while let Some(group) = next() {
                    if halt.load(Ordering::Relaxed) {
                        break;
                    }
                    let parts = fit_group(gpu, group);
                    if parts.iter().any(failed) {
                        halt.store(true, Ordering::Relaxed);
                    }
                    ended.lock().unwrap_or_else(PoisonError::into_inner).extend(parts);
                }
            });
        }
    });
    sorted(ended.into_inner().unwrap_or_else(PoisonError::into_inner))
}

enum Begun<'a, 'j> {
    Ended(Box<Ended>),
    Waiting(String, Box<Waiting<'a, 'j>>),
}

/// Begins a job, or does it where no device is needed.
fn begin<'a, 'j>(job: &'j Job<'a>) -> Begun<'a, 'j> {
    let begin = || -> Result<Begun<'a, 'j>, RunError> {
        let ended = |part| Begun::Ended(Box::new((job.place, Ok(part))));
        if let Some(part) = job.kept()? {
            return Ok(ended(part));
        }
        let prepared = job.prepared()?;
        match job.start(&prepared).map_err(|source| job.failed(source))? {
            Started::Done(fit) => Ok(ended(job.end(&prepared, fit)?)),
            Started::Member(member) => {
                let key = member.population_key().map_err(|source| job.failed(source))?;
                Ok(Begun::Waiting(key, Box::new(Waiting { job, prepared, member })))
            }
        }
    };
    begin().unwrap_or_else(|error| Begun::Ended(Box::new((job.place, Err(error)))))
}

/// Trains a group, then lets every network forecast and be kept, on all cores.
fn fit_group(gpu: &Gpu, mut group: Vec<Waiting>) -> Vec<Ended> {
    let members = group.iter_mut().map(|waiting| (&mut waiting.member, u64::MAX)).collect();
    let trained = train_together(gpu, members);
    let keep = |(waiting, trained): (Waiting, Result<(), FitError>)| {
        let Waiting { job, prepared, member } = waiting;
        let fit = trained.and_then(|()| member.finish());
        let part = fit.map_err(|source| job.failed(source)).and_then(|fit| job.end(&prepared, fit));
        (job.place, part)
    };
    group.into_iter().zip(trained).collect::<Vec<_>>().into_par_iter().map(keep).collect()
}
