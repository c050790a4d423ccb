//! What is known of a sweep: the facts of its ledger, and what earlier sweeps found that it can use again.

use super::facts::{Ending, Fact, Outcome, Sitting};
use crate::rundir::{Ledger, RunDirError, list_runs};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// The name of the ledger in a sweep's directory.
pub const LEDGER: &str = "ledger.jsonl";

/// The facts of one sweep, in order, and the outcomes of others.
#[derive(Debug, Default)]
pub struct History {
    outcomes: Vec<Outcome>,
    /// The first and the last outcome of each job, as places in `outcomes`.
    by_job: BTreeMap<usize, [usize; 2]>,
    sittings: Vec<Sitting>,
    /// Processor time of each sitting, as far as it was written down.
    cpu_seconds: Vec<f64>,
    /// The last moment that was written down.
    last: f64,
    /// Jobs that were begun, with their trials.
    begun: BTreeMap<usize, usize>,
    winner: Option<(usize, String)>,
    earlier: BTreeMap<(String, u64), Outcome>,
}

impl History {
    /// From the facts of a ledger.
    pub fn new(facts: Vec<Fact>) -> History {
        let mut history = History::default();
        for fact in facts {
            history.add(fact);
        }
        history
    }

    /// Adds a fact.
    pub fn add(&mut self, fact: Fact) {
        match fact {
            Fact::Sitting(sitting) => {
                self.sittings.push(sitting);
                self.cpu_seconds.push(0.0);
            }
            Fact::Began { job, trial, at } => {
                self.begun.insert(job, trial);
                self.last = self.last.max(at);
            }
            Fact::Outcome(outcome) => {
                self.last = self.last.max(outcome.at);
                if let Some(seconds) = self.cpu_seconds.last_mut() {
                    *seconds = seconds.max(outcome.sitting_cpu_seconds);
                }
                let place = self.outcomes.len();
                self.by_job.entry(outcome.job).or_insert([place; 2])[1] = place;
                self.outcomes.push(*outcome);
            }
            Fact::Winner { trial, run_dir } => self.winner = Some((trial, run_dir)),
        }
    }

    /// Remembers what the other sweeps in the folder found.
    ///
    /// # Errors
    /// A folder that cannot be read. A ledger that cannot be read is passed over: it says so when it is opened.
    pub fn remember(&mut self, sweeps: &Path, own: &Path) -> Result<(), RunDirError> {
        let own = own.canonicalize().ok();
        for other in list_runs(sweeps)? {
            if other.canonicalize().ok() == own {
                continue;
            }
            for fact in Ledger::read::<Fact>(&other.join(LEDGER)).unwrap_or_default() {
                match fact {
                    Fact::Outcome(outcome) if outcome.ending != Ending::Failed => {
                        self.earlier.insert((outcome.id.clone(), outcome.epochs), *outcome);
                    }
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// What an earlier sweep found for an equal job.
    pub fn earlier(&self, id: &str, epochs: u64) -> Option<&Outcome> {
        self.earlier.get(&(id.to_owned(), epochs))
    }

    /// The outcome that the search was told, or will be.
    pub fn first(&self, job: usize) -> Option<&Outcome> {
        self.by_job.get(&job).map(|[first, _]| &self.outcomes[*first])
    }

    /// The outcome of a job that counts.
    pub fn last(&self, job: usize) -> Option<&Outcome> {
        self.by_job.get(&job).map(|[_, last]| &self.outcomes[*last])
    }

    /// The outcome of each job that counts, in the order of jobs.
    pub fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        self.by_job.values().map(|[_, last]| &self.outcomes[*last])
    }

    /// Different settings of all jobs: a trial whose settings changed while it trained has tried several.
    pub fn settings_tried(&self) -> usize {
        let written = |outcome: &Outcome| {
            let mut settings: Vec<String> =
                outcome.settings.iter().map(|(path, value)| format!("{path}={value}")).collect();
            settings.sort();
            settings
        };
        self.outcomes().map(written).collect::<BTreeSet<_>>().len()
    }

    /// Jobs that were begun and have no outcome, with their trials.
    pub fn open(&self) -> impl Iterator<Item = (usize, usize)> {
        let open = |(job, _): &(&usize, &usize)| !self.by_job.contains_key(job);
        self.begun.iter().filter(open).map(|(job, trial)| (*job, *trial))
    }

    /// Trials that ever began.
    pub fn trials(&self) -> BTreeSet<usize> {
        self.begun.values().copied().chain(self.outcomes.iter().map(|outcome| outcome.trial)).collect()
    }

    /// The sittings, in order.
    pub fn sittings(&self) -> &[Sitting] {
        &self.sittings
    }

    /// Seconds of all sittings, to the last moment that was written down.
    pub fn seconds(&self) -> f64 {
        self.last
    }

    /// Processor time of all sittings, as far as it was written down.
    pub fn cpu_seconds(&self) -> f64 {
        self.cpu_seconds.iter().sum()
    }

    /// The trial that ran as a whole experiment, and its run directory.
    pub fn winner(&self) -> Option<&(usize, String)> {
        self.winner.as_ref()
    }
}
