//! The executor with trials that cost nothing: any number of threads, killed anywhere, every job is told in its order and
//! found the same.

use candlewick::kernels::arena::Arena;
use candlewick::rundir::Ledger;
use candlewick::search::{Job, LOOK_AHEAD, Next, Search, Settings};
use candlewick::seed::{Seed, at};
use candlewick::sweep::{
    Ended, Ending, Fact, Finding, History, Laboratory, Leg, Outcome, PartFinding, Resolved, SweepClock,
    SweepError, Work, Worked, execute, join,
};
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A laboratory whose networks are digests of all that was done to them.
#[derive(Default)]
struct Pretended {
    /// Longest time that a network takes, in microseconds.
    microseconds: u64,
    /// Trials whose setting `x` is below this fail, while `broken`.
    failing_below: f64,
    broken: AtomicBool,
    diverging_above: f64,
    worked: AtomicUsize,
    /// Networks that began anew although others had trained them before.
    forks: AtomicUsize,
    stop_after: Option<usize>,
    stop: AtomicBool,
}

struct Digest {
    digest: u64,
    epochs: u64,
}

impl Pretended {
    fn new() -> Pretended {
        Pretended { diverging_above: f64::INFINITY, broken: AtomicBool::new(true), ..Pretended::default() }
    }
}

impl Laboratory for Pretended {
    type Trial = Settings;
    type State = Digest;

    fn resolve(&self, settings: &Settings) -> Result<Resolved<Settings>, String> {
        if x(settings) == 0.5 {
            return Err("x must not be a half".into());
        }
        let id = serde_json::to_string(settings).unwrap();
        Ok(Resolved { trial: settings.clone(), shape: format!("{}", x(settings) > 0.7), id })
    }

    fn parts(&self) -> usize {
        3
    }

    fn work(
        &self,
        legs: &[Leg<Settings>],
        part: usize,
        state: Option<Arc<Digest>>,
        _: &Arena,
    ) -> Worked<Digest> {
        let number = self.worked.fetch_add(1, Ordering::SeqCst);
        if self.stop_after.is_some_and(|most| number >= most) {
            self.stop.store(true, Ordering::SeqCst);
            return Worked { found: Err((Ending::Failed, String::new())), state: None, interrupted: true };
        }
        self.forks.fetch_add(usize::from(state.is_none() && legs.len() > 1), Ordering::SeqCst);
        let mut digest = state.as_ref().map_or(part as u64, |state| state.digest);
        let mut epochs = state.as_ref().map_or(0, |state| state.epochs);
        let legs = if state.is_some() { &legs[legs.len() - 1..] } else { legs };
        for leg in legs {
            let key = leg.trial.values().fold(7, |key, value| at(key, value.as_f64().unwrap().to_bits()));
            while epochs < leg.epochs {
                epochs += 1;
                digest = at(digest ^ key, epochs);
            }
        }
        if self.microseconds > 0 {
            std::thread::sleep(Duration::from_micros(digest % self.microseconds));
        }
        let settings = &legs[legs.len() - 1].trial;
        let found = match x(settings) {
            x if x < self.failing_below && self.broken.load(Ordering::SeqCst) => {
                Err((Ending::Failed, format!("the disk is full, says network {part}")))
            }
            x if x > self.diverging_above && part == 1 => {
                Err((Ending::Diverged, "the loss became NaN".into()))
            }
            _ => Ok(PartFinding {
                value: Some((digest >> 11) as f64 / (1_u64 << 53) as f64),
                parameters: 5,
                windows: 3,
                shape: "digest".into(),
                curve: (1..=epochs).map(|epoch| (epoch, at(digest, epoch) as f64)).collect(),
                sharpe: Some(x(settings)),
                returns: vec![digest as f32; 4],
            }),
        };
        Worked { found, state: Some(Digest { digest, epochs }), interrupted: false }
    }

    fn join(&self, found: &[&PartFinding]) -> Finding {
        join(found)
    }
}

fn x(settings: &Settings) -> f64 {
    settings["x"].as_f64().unwrap()
}

fn point(value: f64) -> Settings {
    Settings::from([("x".to_owned(), value.into())])
}

/// Draws points and remembers how it was called.
struct Lots {
    asked: usize,
    told: usize,
    trials: usize,
    calls: Arc<Mutex<Vec<String>>>,
}

impl Search for Lots {
    fn next(&mut self) -> Next {
        if self.asked == self.trials {
            return Next::Done;
        }
        let trial = self.asked;
        self.asked += 1;
        self.calls.lock().unwrap().push(format!("next {trial}"));
        let settings = point(Seed(3).stream("lot", trial as u64).uniform());
        Next::Job(Job { trial, settings, epochs: 9, copy_from: None })
    }

    fn tell(&mut self, trial: usize, epochs: u64, value: Option<f64>) {
        assert_eq!(trial, self.told, "told out of order");
        self.told += 1;
        assert!(self.asked - self.told < LOOK_AHEAD);
        self.calls.lock().unwrap().push(format!("tell {trial} {epochs} {value:?}"));
    }
}

/// Rungs at 1, 3 and 9 epochs: whoever is better than the mean of its rung so far goes on.
struct Ladder {
    trials: usize,
    begun: usize,
    waiting: Vec<(usize, u64)>,
    under_way: usize,
    rungs: [Vec<f64>; 3],
}

impl Ladder {
    fn new(trials: usize) -> Ladder {
        Ladder { trials, begun: 0, waiting: Vec::new(), under_way: 0, rungs: Default::default() }
    }
}

fn lot(trial: usize) -> Settings {
    point(Seed(4).stream("lot", trial as u64).uniform())
}

impl Search for Ladder {
    fn next(&mut self) -> Next {
        let (trial, epochs) = match self.waiting.pop() {
            Some(promoted) => promoted,
            None if self.begun < self.trials => {
                self.begun += 1;
                (self.begun - 1, 1)
            }
            None if self.under_way > 0 => return Next::Wait,
            None => return Next::Done,
        };
        self.under_way += 1;
        Next::Job(Job { trial, settings: lot(trial), epochs, copy_from: None })
    }

    fn tell(&mut self, trial: usize, epochs: u64, value: Option<f64>) {
        self.under_way -= 1;
        let rung = epochs.ilog(3) as usize;
        let (Some(value), true) = (value, rung < 2) else { return };
        let mean = self.rungs[rung].iter().sum::<f64>() / self.rungs[rung].len().max(1) as f64;
        self.rungs[rung].push(value);
        if value <= mean {
            self.waiting.push((trial, epochs * 3));
        }
    }
}

/// Four trials in three rounds; at the end of a round the worst takes over the best and changes its setting.
#[derive(Default)]
struct Flock {
    round: u64,
    waiting: Vec<Job>,
    under_way: usize,
    values: [f64; 4],
    settings: Vec<Settings>,
}

impl Flock {
    fn gather(&mut self) {
        self.round += 1;
        if self.round > 3 {
            return;
        }
        let epochs = 3 * self.round;
        if self.round == 1 {
            self.settings = (0..4).map(lot).collect();
        }
        let mut jobs: Vec<Job> = (0..4)
            .map(|trial| Job { trial, settings: self.settings[trial].clone(), epochs, copy_from: None })
            .collect();
        if self.round > 1 {
            let by_value = |one: &usize, other: &usize| self.values[*one].total_cmp(&self.values[*other]);
            let best = (0..4).min_by(by_value).unwrap();
            let worst = (0..4).max_by(by_value).unwrap();
            self.settings[worst] = point(x(&self.settings[best]) * 0.9);
            jobs[worst].settings = self.settings[worst].clone();
            jobs[worst].copy_from = Some(best);
            // The one that copies is given first: then the other has no job under way.
            jobs.swap(0, worst);
        }
        jobs.reverse();
        self.waiting = jobs;
    }
}

impl Search for Flock {
    fn next(&mut self) -> Next {
        if self.waiting.is_empty() && self.under_way == 0 {
            self.gather();
        }
        match self.waiting.pop() {
            Some(job) => {
                self.under_way += 1;
                Next::Job(job)
            }
            None if self.under_way > 0 => Next::Wait,
            None => Next::Done,
        }
    }

    fn tell(&mut self, trial: usize, _: u64, value: Option<f64>) {
        self.under_way -= 1;
        self.values[trial] = value.unwrap_or(f64::INFINITY);
    }
}

struct Setting {
    threads: usize,
    seconds: Option<f64>,
    retry: bool,
    copies: bool,
    offset: f64,
}

const ALONE: Setting = Setting { threads: 1, seconds: None, retry: false, copies: false, offset: 0.0 };

fn carry_out(
    laboratory: &Pretended,
    search: &mut dyn Search,
    (path, history): (&Path, &mut History),
    setting: &Setting,
) -> Result<Ended, SweepError> {
    let (mut ledger, _) = Ledger::open::<Fact>(path).unwrap();
    let clock = SweepClock::start(setting.offset);
    let work = Work {
        threads: setting.threads,
        devices: 0,
        epochs: 9,
        copies: setting.copies,
        fused: true,
        retry: setting.retry,
        seconds: setting.seconds,
        minimize: true,
        clock: &clock,
        stop: &laboratory.stop,
        told: &|_| {},
    };
    execute(laboratory, search, (&mut ledger, history), &work)
}

/// All that must not depend on threads or interruptions.
fn content(path: &Path) -> Vec<Outcome> {
    let facts: Vec<Fact> = Ledger::read(path).unwrap();
    let history = History::new(facts);
    let timeless = |outcome: &Outcome| Outcome {
        spans: Vec::new(),
        cpu_seconds: 0.0,
        at: 0.0,
        sitting_cpu_seconds: 0.0,
        ..outcome.clone()
    };
    history.outcomes().map(timeless).collect()
}

/// A search by its name, how it is begun, and whether it copies.
type Named = (&'static str, fn() -> Box<dyn Search>, bool);

/// All kinds of search.
fn searches() -> [Named; 3] {
    [
        ("lots", || Box::new(lots(40).0), false),
        ("ladder", || Box::new(Ladder::new(30)), false),
        ("flock", || Box::<Flock>::default(), true),
    ]
}

fn lots(trials: usize) -> (Lots, Arc<Mutex<Vec<String>>>) {
    let calls = Arc::new(Mutex::new(Vec::new()));
    (Lots { asked: 0, told: 0, trials, calls: calls.clone() }, calls)
}

#[test]
fn any_number_of_threads_finds_the_same() {
    let folder = tempfile::tempdir().unwrap();
    for (name, search, copies) in searches() {
        let mut expected = None;
        for threads in [1, 2, 3, 11] {
            let path = folder.path().join(format!("{name}-{threads}"));
            let laboratory = Pretended { microseconds: 300, diverging_above: 0.9, ..Pretended::new() };
            let setting = Setting { threads, copies, ..ALONE };
            let ended =
                carry_out(&laboratory, &mut *search(), (&path, &mut History::default()), &setting).unwrap();
            assert_eq!(ended, Ended::Completed);
            let found = content(&path);
            assert!(found.len() >= 12, "{name}: {}", found.len());
            let expected = expected.get_or_insert_with(|| found.clone());
            assert_eq!(found, *expected, "{name} with {threads} threads");
        }
    }
}

#[test]
fn the_search_is_called_in_one_order_whatever_the_threads() {
    let folder = tempfile::tempdir().unwrap();
    let calls: Vec<Vec<String>> = [1, 4]
        .map(|threads| {
            let (mut search, calls) = lots(25);
            let laboratory = Pretended { microseconds: 200, ..Pretended::new() };
            let path = folder.path().join(threads.to_string());
            let setting = Setting { threads, ..ALONE };
            carry_out(&laboratory, &mut search, (&path, &mut History::default()), &setting).unwrap();
            calls.lock().unwrap().clone()
        })
        .into();
    assert_eq!(calls[0], calls[1]);
    assert_eq!(calls[0].len(), 50);
    assert!(calls[0][..LOOK_AHEAD].iter().all(|call| call.starts_with("next")), "{:?}", calls[0]);
}

#[test]
fn killed_after_any_line_and_resumed_the_ledger_holds_the_same() {
    let folder = tempfile::tempdir().unwrap();
    for (name, search, copies) in searches() {
        let path = folder.path().join(name);
        let whole = Pretended { diverging_above: 0.9, ..Pretended::new() };
        let setting = Setting { copies, threads: 2, ..ALONE };
        carry_out(&whole, &mut *search(), (&path, &mut History::default()), &setting).unwrap();
        let (expected, text) = (content(&path), std::fs::read_to_string(&path).unwrap());
        let work = whole.worked.load(Ordering::SeqCst);
        for lines in (0..text.lines().count()).step_by(3) {
            let kept: String = text.split_inclusive('\n').take(lines).collect();
            let again = folder.path().join(format!("{name}-{lines}"));
            // A torn line after the last whole one.
            std::fs::write(&again, kept + "{\"check\":\"12").unwrap();
            let mut history = History::new(Ledger::read(&again).unwrap());
            let known = history.outcomes().count();
            let laboratory = Pretended { diverging_above: 0.9, ..Pretended::new() };
            carry_out(&laboratory, &mut *search(), (&again, &mut history), &setting).unwrap();
            assert_eq!(content(&again), expected, "{name} killed after {lines} lines");
            let rest = laboratory.worked.load(Ordering::SeqCst);
            assert_eq!(rest, work - 3 * known, "what was known was computed again");
        }
    }
}

#[test]
fn a_network_that_is_not_in_memory_any_more_is_trained_along_all_its_settings() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let laboratory = Pretended::new();
    let copies = Setting { copies: true, ..ALONE };
    carry_out(&laboratory, &mut Flock::default(), (&path, &mut History::default()), &copies).unwrap();
    assert_eq!(laboratory.forks.load(Ordering::SeqCst), 0, "all networks were in memory");
    let expected = content(&path);
    assert!(expected.iter().any(|outcome| outcome.copy_from.is_some()));
    let facts: Vec<Fact> = Ledger::read(&path).unwrap();
    let first_round: Vec<Fact> = facts
        .into_iter()
        .filter(|fact| matches!(fact, Fact::Outcome(outcome) if outcome.epochs == 3))
        .collect();
    let again = folder.path().join("again");
    let laboratory = Pretended::new();
    let (mut ledger, _) = Ledger::open::<Fact>(&again).unwrap();
    first_round.iter().for_each(|fact| ledger.append(fact).unwrap());
    drop(ledger);
    let mut history = History::new(first_round);
    carry_out(&laboratory, &mut Flock::default(), (&again, &mut history), &copies).unwrap();
    assert_eq!(laboratory.forks.load(Ordering::SeqCst), 12, "four trials of three networks began anew");
    assert_eq!(content(&again), expected);
}

#[test]
fn stopped_it_ends_soon_and_goes_on_later() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let laboratory = Pretended { stop_after: Some(50), ..Pretended::new() };
    let setting = Setting { threads: 2, ..ALONE };
    let stopped = carry_out(&laboratory, &mut lots(40).0, (&path, &mut History::default()), &setting);
    assert!(matches!(stopped, Err(SweepError::Stopped)), "{stopped:?}");
    let known = content(&path).len();
    assert!((10..=17).contains(&known), "{known} of 50 / 3 jobs");
    let laboratory = Pretended::new();
    let mut history = History::new(Ledger::read(&path).unwrap());
    carry_out(&laboratory, &mut lots(40).0, (&path, &mut history), &setting).unwrap();
    let whole = folder.path().join("whole");
    carry_out(&Pretended::new(), &mut lots(40).0, (&whole, &mut History::default()), &setting).unwrap();
    assert_eq!(content(&path), content(&whole));
}

#[test]
fn failing_and_diverging_trials_end_nothing_and_are_told_as_worse_than_all() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let laboratory = Pretended { failing_below: 0.3, diverging_above: 0.8, ..Pretended::new() };
    let (mut search, calls) = lots(40);
    carry_out(&laboratory, &mut search, (&path, &mut History::default()), &ALONE).unwrap();
    let found = content(&path);
    for outcome in &found {
        let expected = match x(&outcome.settings) {
            x if x < 0.3 => (Ending::Failed, Some("the disk is full, says network 0".to_owned())),
            x if x > 0.8 => (Ending::Diverged, Some("the loss became NaN".to_owned())),
            _ => (Ending::Done, None),
        };
        assert_eq!((outcome.ending, outcome.reason.clone()), expected);
        assert_eq!(outcome.found.value.is_some(), expected.0 == Ending::Done);
    }
    let worst = found.iter().filter(|outcome| outcome.ending != Ending::Done).count();
    assert!(worst > 5, "{worst}");
    let nones = calls.lock().unwrap().iter().filter(|call| call.ends_with("None")).count();
    assert_eq!(nones, worst);
}

#[test]
fn a_retry_does_failed_jobs_again_and_shows_the_search_its_old_history() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let broken = Pretended { failing_below: 0.3, ..Pretended::new() };
    carry_out(&broken, &mut Ladder::new(30), (&path, &mut History::default()), &ALONE).unwrap();
    let before = content(&path);
    let mended = Pretended { broken: AtomicBool::new(false), failing_below: 0.3, ..Pretended::new() };
    let retry = Setting { retry: true, threads: 2, ..ALONE };
    let mut history = History::new(Ledger::read(&path).unwrap());
    carry_out(&mended, &mut Ladder::new(30), (&path, &mut history), &retry).unwrap();
    let after = content(&path);
    assert_eq!(after.len(), before.len(), "no job was added");
    let mut mended = 0;
    for (before, after) in before.iter().zip(&after) {
        match before.ending {
            Ending::Failed => {
                assert_eq!((after.ending, after.job), (Ending::Done, before.job));
                mended += 1;
            }
            _ => assert_eq!(after, before),
        }
    }
    assert!(mended > 3, "{mended}");
    let mut history = History::new(Ledger::read(&path).unwrap());
    let nothing = Pretended::new();
    carry_out(&nothing, &mut Ladder::new(30), (&path, &mut history), &retry).unwrap();
    assert_eq!(nothing.worked.load(Ordering::SeqCst), 0, "nothing was left to try again");
}

#[test]
fn settings_that_cannot_be_are_a_failed_trial() {
    struct Half(bool);
    impl Search for Half {
        fn next(&mut self) -> Next {
            if std::mem::replace(&mut self.0, true) {
                return Next::Done;
            }
            Next::Job(Job { trial: 0, settings: point(0.5), epochs: 9, copy_from: None })
        }
        fn tell(&mut self, _: usize, _: u64, value: Option<f64>) {
            assert_eq!(value, None);
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    carry_out(&Pretended::new(), &mut Half(false), (&path, &mut History::default()), &ALONE).unwrap();
    let found = content(&path);
    assert_eq!(found[0].reason.as_deref(), Some("x must not be a half"));
    assert_eq!(found[0].ending, Ending::Failed);
}

#[test]
fn when_the_time_is_up_nothing_more_begins_and_what_began_is_finished() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    let laboratory = Pretended { microseconds: 20_000, ..Pretended::new() };
    let setting = Setting { threads: 2, seconds: Some(0.25), ..ALONE };
    let ended = carry_out(&laboratory, &mut lots(400).0, (&path, &mut History::default()), &setting);
    assert_eq!(ended.unwrap(), Ended::Time);
    let facts: Vec<Fact> = Ledger::read(&path).unwrap();
    let began = facts.iter().filter(|fact| matches!(fact, Fact::Began { .. })).count();
    let late = facts.iter().any(|fact| matches!(fact, Fact::Began { at, .. } if *at > 0.35));
    assert!(!late, "a job began long after the time was up");
    assert_eq!(content(&path).len(), began, "what began was not finished");
    assert!((3..200).contains(&began), "{began}");
    // The seconds of the sitting before count.
    let mut history = History::new(facts);
    let later = Setting { offset: history.seconds(), ..setting };
    let laboratory = Pretended::new();
    assert_eq!(carry_out(&laboratory, &mut lots(400).0, (&path, &mut history), &later).unwrap(), Ended::Time);
    assert_eq!(laboratory.worked.load(Ordering::SeqCst), 0);
}

#[test]
fn an_earlier_sweep_s_trials_are_used_again() {
    let folder = tempfile::tempdir().unwrap();
    for name in ["one", "two"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        std::fs::write(folder.path().join(name).join("config.yaml"), "").unwrap();
    }
    let ledger = |name: &str| folder.path().join(name).join("ledger.jsonl");
    let first = Pretended { failing_below: 0.2, ..Pretended::new() };
    carry_out(&first, &mut Ladder::new(20), (&ledger("one"), &mut History::default()), &ALONE).unwrap();
    let mut history = History::default();
    history.remember(folder.path(), &folder.path().join("two")).unwrap();
    let second = Pretended { failing_below: 0.2, ..Pretended::new() };
    carry_out(&second, &mut Ladder::new(30), (&ledger("two"), &mut history), &ALONE).unwrap();
    let alone = folder.path().join("alone");
    let third = Pretended { failing_below: 0.2, ..Pretended::new() };
    carry_out(&third, &mut Ladder::new(30), (&alone, &mut History::default()), &ALONE).unwrap();
    let (reused, computed) = (content(&ledger("two")), content(&alone));
    let again = reused.iter().filter(|outcome| outcome.reused).count();
    assert!(again >= 15, "{again} of {} jobs were taken over", reused.len());
    assert!(reused.iter().all(|outcome| !(outcome.reused && outcome.ending == Ending::Failed)));
    for (reused, computed) in reused.iter().zip(&computed) {
        assert_eq!(Outcome { reused: false, ..reused.clone() }, *computed);
    }
}

#[test]
fn a_ledger_of_another_search_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ledger");
    carry_out(&Pretended::new(), &mut lots(5).0, (&path, &mut History::default()), &ALONE).unwrap();
    let mut history = History::new(Ledger::read(&path).unwrap());
    let other = carry_out(&Pretended::new(), &mut Ladder::new(5), (&path, &mut history), &ALONE);
    assert!(matches!(other, Err(SweepError::OtherSearch { job: 0 })), "{other:?}");
}

#[test]
fn a_trial_that_panics_is_a_failed_trial() {
    struct Panics;
    impl Laboratory for Panics {
        type Trial = ();
        type State = ();
        fn resolve(&self, settings: &Settings) -> Result<Resolved<()>, String> {
            Ok(Resolved { trial: (), id: x(settings).to_string(), shape: String::new() })
        }
        fn parts(&self) -> usize {
            1
        }
        fn work(&self, _: &[Leg<()>], _: usize, _: Option<Arc<()>>, _: &Arena) -> Worked<()> {
            panic!("index out of bounds")
        }
        fn join(&self, found: &[&PartFinding]) -> Finding {
            join(found)
        }
    }
    let folder = tempfile::tempdir().unwrap();
    let (mut ledger, _) = Ledger::open::<Fact>(&folder.path().join("ledger")).unwrap();
    let (clock, stop, mut history) = (SweepClock::start(0.0), AtomicBool::new(false), History::default());
    let work = Work {
        threads: 2,
        devices: 0,
        epochs: 9,
        copies: false,
        fused: true,
        retry: false,
        seconds: None,
        minimize: true,
        clock: &clock,
        stop: &stop,
        told: &|_| {},
    };
    execute(&Panics, &mut lots(10).0, (&mut ledger, &mut history), &work).unwrap();
    assert_eq!(history.outcomes().count(), 10);
    assert!(
        history.outcomes().all(|outcome| {
            outcome.reason.as_deref() == Some("a fault of the program: index out of bounds")
        })
    );
}

#[test]
#[ignore = "a measurement: run with --ignored --nocapture on a quiet machine"]
fn bookkeeping_of_ten_thousand_trials() {
    let folder = tempfile::tempdir().unwrap();
    for threads in [1, 2] {
        let path = folder.path().join(format!("{threads}"));
        let clock = SweepClock::start(0.0);
        let setting = Setting { threads, ..ALONE };
        carry_out(&Pretended::new(), &mut lots(10_000).0, (&path, &mut History::default()), &setting)
            .unwrap();
        println!(
            "{threads} threads: {:.4} ms wall, {:.4} ms processor a trial of three networks",
            clock.seconds() / 10.0,
            clock.cpu_seconds() / 10.0
        );
    }
}
