//! Worker threads: each takes a network at a time, preferably one of the shape that it had before, and reports.

use super::SweepError;
use super::clock::thread_seconds;
use super::executor::{Laboratory, Leg, Task, Work, Worked};
use super::facts::Ending;
use crate::kernels::arena::Arena;
use crate::rundir::TrialSpan;
use std::any::Any;
use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Scope;
use std::time::Duration;

/// Stack of a worker; memory is taken only as far as it is used. candle walks the graph of a step by recursion.
const STACK_BYTES: usize = 64 << 20;

/// One network of a job, to be trained.
pub(super) struct Part<L: Laboratory> {
    pub job: usize,
    pub trial: usize,
    pub part: usize,
    pub legs: Vec<Leg<L::Trial>>,
    pub state: Option<Arc<L::State>>,
    pub shape: String,
}

/// What a worker found.
pub(super) struct Report<L: Laboratory> {
    pub job: usize,
    pub part: usize,
    pub worked: Worked<L::State>,
    pub span: TrialSpan,
    pub cpu_seconds: f64,
}

/// What workers say.
pub(super) enum Word<L: Laboratory> {
    /// The first network of a job was begun, so many seconds after the sweep.
    Began { job: usize, trial: usize, at: f64 },
    /// Networks are done.
    Done(Vec<Report<L>>),
}

/// The workers of one sitting.
pub(super) struct Crew<L: Laboratory> {
    board: Mutex<Board<L>>,
    news: Condvar,
    speak: Sender<Word<L>>,
    ears: Mutex<Receiver<Word<L>>>,
}

struct Board<L: Laboratory> {
    waiting: Vec<Part<L>>,
    /// Jobs of which a network was begun.
    begun: BTreeSet<usize>,
    busy: usize,
    dismissed: bool,
}

impl<L: Laboratory> Crew<L> {
    pub(super) fn new() -> Crew<L> {
        let (speak, ears) = channel();
        let board = Board { waiting: Vec::new(), begun: BTreeSet::new(), busy: 0, dismissed: false };
        Crew { board: Mutex::new(board), news: Condvar::new(), speak, ears: Mutex::new(ears) }
    }

    /// Starts a worker.
    pub(super) fn hire<'scope, 'env>(
        &'scope self,
        scope: &'scope Scope<'scope, 'env>,
        core: usize,
        laboratory: &'scope L,
        work: &'scope Work<'_>,
    ) -> Result<(), SweepError>
    where
        L: 'scope,
    {
        let speak = self.speak.clone();
        let worker = Worker { core, laboratory, work, speak };
        let thread = std::thread::Builder::new().name(format!("worker {core}")).stack_size(STACK_BYTES);
        let started = thread.spawn_scoped(scope, move || self.employ(&worker));
        started.map(|_| ()).map_err(|error| SweepError::Thread(error.to_string()))
    }

    fn employ(&self, worker: &Worker<'_, '_, L>) {
        // What a trial computes in parallel stays on this thread; trials are the parallel work. Without such a pool it would
        // only wait for the one that all threads share.
        let _pool = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build();
        let arena = Arena::default();
        let mut shape = String::new();
        if worker.work.devices > 0 {
            while let Some(parts) = self.next_population(worker.work.devices) {
                let count = parts.len();
                worker.do_population(parts);
                self.board().busy -= count;
            }
            return;
        }
        while let Some((part, first)) = self.next(&shape) {
            shape.clone_from(&part.shape);
            worker.do_part(part, first, &arena);
            self.board().busy -= 1;
        }
    }

    /// The next network: of the wanted shape if there is one, else the oldest; and whether it is its job's first. Waits
    /// until there is one; none when all is done.
    fn next(&self, shape: &str) -> Option<(Part<L>, bool)> {
        let mut board = self.board();
        loop {
            if !board.waiting.is_empty() {
                let alike = board.waiting.iter().position(|part| part.shape == shape);
                let part = board.waiting.remove(alike.unwrap_or(0));
                let first = board.begun.insert(part.job);
                board.busy += 1;
                return Some((part, first));
            }
            if board.dismissed {
                return None;
            }
            board = self.news.wait(board).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// The oldest network and those of its shape, shared out among so many devices; none when all is done.
    fn next_population(&self, devices: usize) -> Option<Vec<(Part<L>, bool)>> {
        let (oldest, first) = self.next("")?;
        let mut board = self.board();
        let alike = board.waiting.iter().filter(|part| part.shape == oldest.shape).count();
        let mut wanted = (alike + 1).div_ceil(devices) - 1;
        let shape = oldest.shape.clone();
        let mut population = vec![(oldest, first)];
        let mut place = 0;
        while wanted > 0 && place < board.waiting.len() {
            if board.waiting[place].shape != shape {
                place += 1;
                continue;
            }
            let part = board.waiting.remove(place);
            let first = board.begun.insert(part.job);
            board.busy += 1;
            population.push((part, first));
            wanted -= 1;
        }
        Some(population)
    }

    /// Puts networks on the board.
    pub(super) fn give_out(&self, parts: Vec<Part<L>>) {
        self.board().waiting.extend(parts);
        self.news.notify_all();
    }

    /// Takes back the jobs of which no network was begun.
    pub(super) fn withdraw(&self) -> BTreeSet<usize> {
        let mut board = self.board();
        let untouched = |part: &&Part<L>| !board.begun.contains(&part.job);
        let withdrawn: BTreeSet<usize> =
            board.waiting.iter().filter(untouched).map(|part| part.job).collect();
        board.waiting.retain(|part| !withdrawn.contains(&part.job));
        withdrawn
    }

    /// Takes back everything that nobody works on.
    pub(super) fn clear(&self) {
        self.board().waiting.clear();
    }

    /// The next word of a worker, if one comes in time.
    pub(super) fn hear(&self, patience: Duration) -> Option<Word<L>> {
        self.ears.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(patience).ok()
    }

    /// Whether nobody works and nothing waits.
    pub(super) fn is_idle(&self) -> bool {
        let board = self.board();
        board.busy == 0 && board.waiting.is_empty()
    }

    /// Lets everybody go home when the board is empty.
    pub(super) fn dismiss(&self) {
        self.board().dismissed = true;
        self.news.notify_all();
    }

    fn board(&self) -> MutexGuard<'_, Board<L>> {
        // A poisoned lock only means that a thread panicked between two whole changes of the board.
        self.board.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Worker<'a, 'b, L: Laboratory> {
    core: usize,
    laboratory: &'a L,
    work: &'a Work<'b>,
    speak: Sender<Word<L>>,
}

impl<L: Laboratory> Worker<'_, '_, L> {
    fn do_part(&self, part: Part<L>, first: bool, arena: &Arena) {
        let (start, processor) = (self.work.clock.seconds(), thread_seconds());
        // The desk listens until the last worker has left, so nothing that is said is lost.
        if first {
            let _ = self.speak.send(Word::Began { job: part.job, trial: part.trial, at: start });
        }
        let own = Arena::default();
        let arena = if self.work.fused { arena } else { &own };
        let work = || self.laboratory.work(&part.legs, part.part, part.state, arena);
        let worked = catch_unwind(AssertUnwindSafe(work)).unwrap_or_else(|panic| fault(&*panic));
        let report = Report {
            job: part.job,
            part: part.part,
            worked,
            span: TrialSpan { core: self.core, start, end: self.work.clock.seconds() },
            cpu_seconds: thread_seconds() - processor,
        };
        let _ = self.speak.send(Word::Done(vec![report]));
    }

    /// Networks of one shape, together on this worker's device.
    fn do_population(&self, parts: Vec<(Part<L>, bool)>) {
        let (start, processor) = (self.work.clock.seconds(), thread_seconds());
        for (part, _) in parts.iter().filter(|(_, first)| *first) {
            let _ = self.speak.send(Word::Began { job: part.job, trial: part.trial, at: start });
        }
        let places: Vec<(usize, usize)> = parts.iter().map(|(part, _)| (part.job, part.part)).collect();
        let (legs, states): (Vec<_>, Vec<_>) =
            parts.into_iter().map(|(part, _)| (part.legs, (part.part, part.state))).unzip();
        let tasks: Vec<_> =
            legs.iter().zip(states).map(|(legs, (part, state))| Task { legs, part, state }).collect();
        let count = places.len();
        let work = || self.laboratory.work_together(tasks, self.core);
        let worked = catch_unwind(AssertUnwindSafe(work))
            .unwrap_or_else(|panic| (0..count).map(|_| fault(&*panic)).collect());
        let span = TrialSpan { core: self.core, start, end: self.work.clock.seconds() };
        let cpu_seconds = (thread_seconds() - processor) / count as f64;
        let report = |((job, part), worked)| Report { job, part, worked, span, cpu_seconds };
        let _ = self.speak.send(Word::Done(places.into_iter().zip(worked).map(report).collect()));
    }
}

/// What a panic leaves.
fn fault<S>(panic: &(dyn Any + Send)) -> Worked<S> {
    Worked {
        found: Err((Ending::Failed, format!("a fault of the program: {}", words(panic)))),
        state: None,
        interrupted: false,
    }
}

/// What a panic says.
fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("it does not say which")
}
