//! The executor: jobs of a search on worker threads, told in the order in which they were given.
//!
//! The search sees the same sequence of calls whatever the number of threads and however often the sweep was killed: it
//! is asked until it has [`Search::look_ahead`] jobs under way or wants to wait, then told the oldest job, then asked again. What
//! the ledger knows of an earlier sitting is told at its turn without being computed again.

use super::crew::{Crew, Part, Report, Word};
use super::facts::{Ending, Fact, Finding, Outcome};
use super::history::History;
use super::{SweepClock, SweepError};
use crate::kernels::arena::Arena;
use crate::rundir::{Ledger, TrialSpan, sha256_hex};
use crate::search::{Job, Next, Search, Settings};
use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Where trials are carried out. The executor knows nothing of models and data; tests give it trials that cost nothing.
pub trait Laboratory: Sync {
    /// A trial with its settings applied.
    type Trial: Send + Sync;
    /// One network between two jobs of its trial.
    type State: Send + Sync;

    /// Applies settings to the experiment.
    ///
    /// # Errors
    /// Settings that make no sense together; the trial then fails, the sweep goes on.
    fn resolve(&self, settings: &Settings) -> Result<Resolved<Self::Trial>, String>;

    /// How many networks a trial has: folds times seeds.
    fn parts(&self) -> usize;

    /// Trains one network along the legs and judges it. The state at the end of all legs but the last may be given.
    fn work(
        &self,
        legs: &[Leg<Self::Trial>],
        part: usize,
        state: Option<Arc<Self::State>>,
        arena: &Arena,
    ) -> Worked<Self::State>;

    /// Does so for several networks at once on device number `device`; what became of each, in order.
    fn work_together(&self, tasks: Vec<Task<'_, Self>>, _device: usize) -> Vec<Worked<Self::State>> {
        let alone = |task: Task<'_, Self>| self.work(task.legs, task.part, task.state, &Arena::default());
        tasks.into_iter().map(alone).collect()
    }

    /// Joins what the networks of a trial found, in the order of their parts.
    fn join(&self, found: &[&PartFinding]) -> Finding;
}

/// One network to be trained along the legs and judged.
pub struct Task<'t, L: Laboratory + ?Sized> {
    /// The stretches of its training.
    pub legs: &'t [Leg<L::Trial>],
    /// Its number among those of its trial.
    pub part: usize,
    /// What it was at the end of all legs but the last, where that is known.
    pub state: Option<Arc<L::State>>,
}

/// A trial that may be carried out.
pub struct Resolved<T> {
    /// The trial.
    pub trial: T,
    /// Hash of all that its value depends on, but for the epochs.
    pub id: String,
    /// Equal for trials whose tensors have equal shapes: they are preferred one after the other on a core.
    pub shape: String,
}

/// A stretch of training with the same settings.
pub struct Leg<T> {
    /// The settings.
    pub trial: Arc<T>,
    /// Train until so many epochs are done in all.
    pub epochs: u64,
}

impl<T> Clone for Leg<T> {
    fn clone(&self) -> Self {
        Leg { trial: self.trial.clone(), epochs: self.epochs }
    }
}

/// What became of one network of a job.
pub struct Worked<S> {
    /// What was found, or how it ended otherwise and why.
    pub found: Result<PartFinding, (Ending, String)>,
    /// The network, where it may be trained on.
    pub state: Option<S>,
    /// The user wants to stop: nothing was found, and nothing is to be written down.
    pub interrupted: bool,
}

/// What one network found.
#[derive(Clone, Debug, Default)]
pub struct PartFinding {
    /// The metric.
    pub value: Option<f64>,
    /// Numbers that were fitted.
    pub parameters: usize,
    /// Validation windows on which it was judged.
    pub windows: usize,
    /// Its shape in words.
    pub shape: String,
    /// Epoch and validation loss.
    pub curve: Vec<(u64, f64)>,
    /// Sharpe ratio of its book on the first fold's validation bars; none on other folds, or where nothing is traded.
    pub sharpe: Option<f64>,
    /// Returns of that book.
    pub returns: Vec<f32>,
}

/// What the executor is given.
pub struct Work<'a> {
    /// Worker threads.
    pub threads: usize,
    /// CUDA devices: where there are any, each has one worker, which trains all networks of a shape together.
    pub devices: usize,
    /// Epochs of a trial that is trained to the end: its networks are not kept.
    pub epochs: u64,
    /// Whether a trial may take over the state of another.
    pub copies: bool,
    /// Whether trials share the buffers of their core.
    pub fused: bool,
    /// Whether jobs that failed are done again; the search is told what it was told before.
    pub retry: bool,
    /// Seconds of all sittings after which no job starts.
    pub seconds: Option<f64>,
    /// Whether small values are good.
    pub minimize: bool,
    /// Counts the seconds.
    pub clock: &'a SweepClock,
    /// Set when the user wants to stop.
    pub stop: &'a AtomicBool,
    /// Hears of every job that is done.
    pub told: &'a (dyn Fn(&Outcome) + Sync),
}

impl Work<'_> {
    /// One a device, or one a thread where there is none.
    fn workers(&self) -> usize {
        if self.devices > 0 { self.devices } else { self.threads.max(1) }
    }
}

/// How the jobs ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The search has no more.
    Completed,
    /// The time was up.
    Time,
}

/// Carries out all jobs of a search. What the ledger already says is in `history`; what is found is added to both.
///
/// # Errors
/// A ledger that cannot be written or holds another search, or the wish to stop.
pub fn execute<L: Laboratory>(
    laboratory: &L,
    search: &mut dyn Search,
    (ledger, history): (&mut Ledger, &mut History),
    work: &Work,
) -> Result<Ended, SweepError> {
    let crew = Crew::new();
    std::thread::scope(|scope| {
        for core in 0..work.workers() {
            crew.hire(scope, core, laboratory, work)?;
        }
        let mut desk = Desk {
            laboratory,
            work,
            crew: &crew,
            ledger,
            history,
            jobs: Vec::new(),
            ready: Vec::new(),
            under_way: VecDeque::new(),
            states: BTreeMap::new(),
            told: BTreeMap::new(),
        };
        let ended = desk.run(search);
        if ended.is_err() {
            // What is under way would be finished for nobody.
            crew.clear();
            work.stop.store(true, Ordering::Relaxed);
        }
        crew.dismiss();
        ended
    })
}

/// The one place at which jobs are asked for, given out, and told.
struct Desk<'a, 'b, L: Laboratory> {
    laboratory: &'a L,
    work: &'a Work<'b>,
    crew: &'a Crew<L>,
    ledger: &'a mut Ledger,
    history: &'a mut History,
    jobs: Vec<Entry<L>>,
    /// Networks that are to be given out before the next word is waited for: together, so that they can train together.
    ready: Vec<Part<L>>,
    /// Jobs that were asked for and not told, oldest first.
    under_way: VecDeque<usize>,
    /// The networks of jobs that may be trained on, by job and part.
    states: BTreeMap<usize, Vec<Option<Arc<L::State>>>>,
    /// Each trial's job that was told last.
    told: BTreeMap<usize, usize>,
}

/// A job and what is known of it.
struct Entry<L: Laboratory> {
    job: Job,
    id: String,
    /// Whether the id speaks of other settings than the job's own, with which its networks were trained before.
    lineage: bool,
    /// The job whose state it starts from.
    source: Option<usize>,
    trial: Option<Arc<L::Trial>>,
    reports: Vec<Option<Report<L>>>,
    outcome: Option<Outcome>,
}

impl<L: Laboratory> Desk<'_, '_, L> {
    fn run(&mut self, search: &mut dyn Search) -> Result<Ended, SweepError> {
        let mut more = true;
        loop {
            while more && self.under_way.len() < search.look_ahead() && self.may_ask() {
                match search.next() {
                    Next::Job(job) => self.admit(job)?,
                    Next::Wait if self.under_way.is_empty() => return Err(SweepError::Stuck),
                    Next::Wait => break,
                    Next::Done => more = false,
                }
            }
            let Some(oldest) = self.under_way.front().copied() else {
                return Ok(if more { Ended::Time } else { Ended::Completed });
            };
            while self.jobs[oldest].outcome.is_none() {
                if self.time_is_up() && !self.work.retry && self.give_up_what_waits() {
                    return self.finish_what_runs();
                }
                self.listen()?;
            }
            self.under_way.pop_front();
            self.tell(search, oldest);
        }
    }

    fn time_is_up(&self) -> bool {
        self.work.seconds.is_some_and(|allowed| self.work.clock.seconds() >= allowed)
    }

    /// When the time is up nothing new is asked for; what is known already is still told.
    fn may_ask(&self) -> bool {
        !self.time_is_up() || self.history.first(self.jobs.len()).is_some()
    }

    /// Takes back jobs of which nothing was begun; whether that leaves the oldest job without anyone to do it.
    fn give_up_what_waits(&mut self) -> bool {
        self.crew.give_out(std::mem::take(&mut self.ready));
        let given_up = self.crew.withdraw();
        self.under_way.retain(|job| !given_up.contains(job));
        let waits = |job: &usize| self.jobs[*job].outcome.is_none();
        !given_up.is_empty() || !self.under_way.iter().any(waits)
    }

    /// The time is up: jobs that began are finished and written down; the search is not told any more.
    fn finish_what_runs(&mut self) -> Result<Ended, SweepError> {
        while self.under_way.iter().any(|job| self.jobs[*job].outcome.is_none()) {
            self.listen()?;
        }
        Ok(Ended::Time)
    }

    /// Takes a job into the books: known already, taken from an earlier sweep, impossible, or to be done.
    fn admit(&mut self, job: Job) -> Result<(), SweepError> {
        let number = self.jobs.len();
        let source = self.source(&job);
        let resolved = self.laboratory.resolve(&job.settings);
        let (id, lineage) = match &resolved {
            Ok(resolved) => self.id(&job, &resolved.id, source),
            Err(_) => (String::new(), false),
        };
        let shape = resolved.as_ref().map(|resolved| resolved.shape.clone()).unwrap_or_default();
        let (trial, refused) = match resolved {
            Ok(resolved) => (Some(Arc::new(resolved.trial)), None),
            Err(reason) => (None, Some(reason)),
        };
        self.under_way.push_back(number);
        let reports = (0..self.laboratory.parts()).map(|_| None).collect();
        self.jobs.push(Entry { job, id, lineage, source, trial, reports, outcome: None });
        if let Some(known) = self.history.first(number) {
            let entry = &mut self.jobs[number];
            if known.trial != entry.job.trial
                || known.epochs != entry.job.epochs
                || known.settings != entry.job.settings
            {
                return Err(SweepError::OtherSearch { job: number });
            }
            let failed = self.history.last(number).is_some_and(|last| last.ending == Ending::Failed);
            if !(failed && self.work.retry) {
                entry.outcome = Some(known.clone());
                return Ok(());
            }
        }
        if let Some(reason) = refused {
            let ending = (Ending::Failed, Finding::default(), Some(reason));
            return self.write_down(number, ending, Vec::new());
        }
        if let Some(known) = self.history.earlier(&self.jobs[number].id, self.jobs[number].job.epochs) {
            let ending = (known.ending, known.found.clone(), known.reason.clone());
            return self.write_down(number, ending, Vec::new());
        }
        self.give_out(number, &shape);
        Ok(())
    }

    /// The job that the state of this one comes from: that of the trial it copies, else its trial's own, as told last.
    fn source(&self, job: &Job) -> Option<usize> {
        self.told.get(&job.copy_from.unwrap_or(job.trial)).copied()
    }

    /// A job's hash: of its settings and, where its networks were trained with others before, of that; and whether so.
    fn id(&self, job: &Job, settings: &str, source: Option<usize>) -> (String, bool) {
        let entry = source.map(|source| &self.jobs[source]);
        match entry.filter(|entry| entry.lineage || entry.job.settings != job.settings) {
            Some(entry) => {
                let before = format!("{settings} after {} at {}", entry.id, entry.job.epochs);
                (short_hash(before.as_bytes()), true)
            }
            None => (settings.to_owned(), false),
        }
    }

    fn give_out(&mut self, number: usize, shape: &str) {
        let legs = self.legs(number);
        let source = self.jobs[number].source;
        let states = match source {
            // Nobody else can ask for it: the network itself is trained on.
            Some(source) if !self.work.copies => self.states.remove(&source),
            Some(source) => self.states.get(&source).cloned(),
            None => None,
        };
        let mut states = states.unwrap_or_default().into_iter();
        let parts = (0..self.laboratory.parts()).map(|part| Part {
            job: number,
            trial: self.jobs[number].job.trial,
            part,
            legs: legs.clone(),
            state: states.next().flatten(),
            shape: shape.to_owned(),
        });
        self.ready.extend(parts);
    }

    /// All stretches of training that lead to a job's end.
    fn legs(&self, number: usize) -> Vec<Leg<L::Trial>> {
        let mut legs: Vec<Leg<L::Trial>> = Vec::new();
        let mut next = Some(number);
        let mut later: Option<&Settings> = None;
        while let Some(number) = next {
            let entry = &self.jobs[number];
            let same = later == Some(&entry.job.settings) && !self.work.copies;
            if let Some(trial) = entry.trial.clone().filter(|_| !same) {
                legs.push(Leg { trial, epochs: entry.job.epochs });
            }
            later = Some(&entry.job.settings);
            next = entry.source;
        }
        legs.reverse();
        legs
    }

    /// Waits for a worker's word for a moment.
    fn listen(&mut self) -> Result<(), SweepError> {
        self.crew.give_out(std::mem::take(&mut self.ready));
        if self.work.stop.load(Ordering::Relaxed) {
            self.crew.withdraw();
        }
        let Some(heard) = self.crew.hear(Duration::from_millis(50)) else {
            return match self.work.stop.load(Ordering::Relaxed) {
                true if self.crew.is_idle() => Err(SweepError::Stopped),
                _ => Ok(()),
            };
        };
        match heard {
            Word::Began { job, trial, at } => Ok(self.ledger.append(&Fact::Began { job, trial, at })?),
            Word::Done(reports) => reports.into_iter().try_for_each(|report| self.take(report)),
        }
    }

    fn take(&mut self, report: Report<L>) -> Result<(), SweepError> {
        if report.worked.interrupted {
            return Ok(());
        }
        if let Err((Ending::Broken, reason)) = &report.worked.found {
            return Err(SweepError::Broken(reason.clone()));
        }
        let (number, part) = (report.job, report.part);
        self.jobs[number].reports[part] = Some(report);
        if self.jobs[number].reports.iter().any(Option::is_none) {
            return Ok(());
        }
        let reports: Vec<Report<L>> = self.jobs[number].reports.iter_mut().filter_map(Option::take).collect();
        let failed = reports.iter().find_map(|report| report.worked.found.as_ref().err().cloned());
        let ending = match failed {
            Some((ending, reason)) => (ending, Finding::default(), Some(reason)),
            None => {
                let found: Vec<&PartFinding> =
                    reports.iter().filter_map(|report| report.worked.found.as_ref().ok()).collect();
                (Ending::Done, self.laboratory.join(&found), None)
            }
        };
        let spans = reports.iter().map(|report| (report.span, report.cpu_seconds)).collect();
        if ending.0 == Ending::Done && self.jobs[number].job.epochs < self.work.epochs {
            let states = reports.into_iter().map(|report| report.worked.state.map(Arc::new)).collect();
            self.states.insert(number, states);
        }
        self.write_down(number, ending, spans)
    }

    fn write_down(
        &mut self,
        number: usize,
        (ending, found, reason): (Ending, Finding, Option<String>),
        spans: Vec<(TrialSpan, f64)>,
    ) -> Result<(), SweepError> {
        let entry = &mut self.jobs[number];
        let outcome = Outcome {
            job: number,
            trial: entry.job.trial,
            id: entry.id.clone(),
            settings: entry.job.settings.clone(),
            epochs: entry.job.epochs,
            copy_from: entry.job.copy_from,
            ending,
            found,
            reused: spans.is_empty() && ending != Ending::Failed,
            reason,
            cpu_seconds: spans.iter().fold(0.0, |sum, (_, seconds)| sum + seconds),
            spans: spans.into_iter().map(|(span, _)| span).collect(),
            at: self.work.clock.seconds(),
            sitting_cpu_seconds: self.work.clock.cpu_seconds(),
        };
        let fact = Fact::Outcome(Box::new(outcome.clone()));
        self.ledger.append(&fact)?;
        self.history.add(fact);
        (self.work.told)(&outcome);
        entry.outcome = Some(outcome);
        Ok(())
    }

    fn tell(&mut self, search: &mut dyn Search, number: usize) {
        // The first outcome, even where a failed job was done again since: the search must see one history.
        let Some(outcome) = self.history.first(number) else { return };
        let value = outcome.found.value.filter(|_| outcome.ending == Ending::Done);
        let value = value.map(|value| if self.work.minimize { value } else { -value });
        search.tell(outcome.trial, outcome.epochs, value.filter(|value| value.is_finite()));
        // With a newer told state of the trial nobody can ask for the older one.
        if let Some(old) = self.told.insert(outcome.trial, number) {
            self.states.remove(&old);
        }
    }
}

/// The beginning of a SHA-256, long enough that no two trials share it.
pub(super) fn short_hash(bytes: &[u8]) -> String {
    let mut hash = sha256_hex(bytes);
    hash.truncate(24);
    hash
}
