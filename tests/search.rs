//! What every search method must keep: legal settings, exact budgets, the same bits, an end.

use crate::search_reference::{Problem, best, median, problems};
use candlewick::search::{
    Asha, Dimension, Grid, Halving, Job, LOOK_AHEAD, MethodConfig, Next, Pbt, SearchTask, Settings, Space,
    check_conditions, holds,
};
use candlewick::seed::Seed;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet, VecDeque};

fn interval(min: f64, max: f64) -> Dimension {
    Dimension { min: Some(min), max: Some(max), ..Dimension::default() }
}

fn choices(values: Value) -> Dimension {
    Dimension { values: values.as_array().cloned(), ..Dimension::default() }
}

fn space(dimensions: Vec<(&str, Dimension)>) -> Space {
    dimensions.into_iter().map(|(path, dimension)| (path.to_owned(), dimension)).collect()
}

fn when(mut dimension: Dimension, path: &str, value: Value) -> Dimension {
    dimension.when.insert(path.to_owned(), value);
    dimension
}

/// Paths that every method may vary, population based training too.
const RATE: &str = "train.optimizer.rate";
const UNITS: &str = "train.optimizer.units";
const KIND: &str = "train.optimizer.kind";
const SHARE: &str = "train.optimizer.share";
const DEPTH: &str = "train.optimizer.depth";

/// The spaces of the suite, each with a name: every kind of dimension, conditions upon conditions, a single point.
fn spaces() -> Vec<(&'static str, Space)> {
    let whole = |dimension| Dimension { int: true, ..dimension };
    let log = |dimension| Dimension { log: true, ..dimension };
    vec![
        ("one interval", space(vec![(RATE, interval(-1.0, 1.0))])),
        (
            "mixed",
            space(vec![
                (DEPTH, when(whole(interval(1.0, 3.0)), SHARE, json!([0.25, 0.75]))),
                (RATE, log(interval(1e-5, 1e-1))),
                (UNITS, when(log(whole(interval(1.0, 512.0))), KIND, json!("bent"))),
                (KIND, choices(json!(["plain", "bent", "flat"]))),
                (SHARE, when(choices(json!([0.25, 0.5, 0.75])), KIND, json!(["plain", "flat"]))),
            ]),
        ),
        ("lists", space(vec![(KIND, choices(json!([[16], [32, 16], {"a": 1}, null])))])),
        ("one point", space(vec![(RATE, interval(0.5, 0.5)), (KIND, choices(json!(["plain"])))])),
        (
            "few points",
            space(vec![(UNITS, whole(interval(-1.0, 1.0))), (KIND, choices(json!([true, false])))]),
        ),
    ]
}

/// Each method, with settings that fit every space of the suite.
fn methods() -> Vec<MethodConfig> {
    let fitted = |method| match method {
        MethodConfig::Grid(_) => MethodConfig::Grid(Grid { steps: Some(4), partial: true }),
        other => other,
    };
    MethodConfig::examples().into_iter().map(fitted).collect()
}

const EPOCHS: u64 = 9;

fn task(space: &Space, trials: usize, seed: u64) -> SearchTask {
    SearchTask { space: space.clone(), trials, epochs: EPOCHS, seed: Seed(seed) }
}

/// The answer to every job; some fail.
fn outcome(job: &Job, failing: bool) -> Option<f64> {
    if failing && job.trial % 3 == 1 {
        return None;
    }
    let number = |path: &str| job.settings.get(path).and_then(Value::as_f64).unwrap_or(0.25);
    Some((number(RATE) - 0.3).powi(2) + number(SHARE) + 1.0 / job.epochs as f64)
}

/// All jobs of a search of which up to `ahead` are under way.
fn jobs(method: &MethodConfig, task: &SearchTask, failing: bool, ahead: usize) -> Vec<Job> {
    let name = method.name();
    method.build().check(task).unwrap();
    let mut search = method.build().start(task.clone());
    let mut waiting: VecDeque<Job> = VecDeque::new();
    let mut all: Vec<Job> = Vec::new();
    loop {
        if waiting.len() < ahead {
            match search.next() {
                Next::Job(job) => {
                    let busy = |trial| waiting.iter().any(|other| other.trial == trial);
                    assert!(!busy(job.trial), "{name}: a trial has two jobs at a time");
                    assert!(!job.copy_from.is_some_and(busy), "{name} copies a trial that is at work");
                    waiting.push_back(job.clone());
                    all.push(job);
                    assert!(all.len() < 100_000, "{name} does not end");
                    continue;
                }
                Next::Wait => assert!(!waiting.is_empty(), "{name} waits for nothing"),
                Next::Done if waiting.is_empty() => return all,
                Next::Done => {}
            }
        }
        if let Some(job) = waiting.pop_front() {
            search.tell(job.trial, job.epochs, outcome(&job, failing));
        }
    }
}

/// The last settings of each trial, by its number.
fn trials(jobs: &[Job]) -> Vec<Settings> {
    let mut trials: Vec<Settings> = Vec::new();
    for job in jobs {
        assert!(job.trial <= trials.len(), "trials are numbered in the order of their first job");
        if job.trial == trials.len() {
            trials.push(job.settings.clone());
        }
        trials[job.trial] = job.settings.clone();
    }
    trials
}

fn is_legal(space: &Space, settings: &Settings) -> bool {
    let known = settings.keys().all(|path| space.contains_key(path));
    known
        && space.iter().all(|(path, dimension)| {
            let wanted = dimension
                .when
                .iter()
                .all(|(other, value)| settings.get(other).is_some_and(|found| holds(value, found)));
            match settings.get(path) {
                Some(value) => wanted && dimension.position_of(value).is_some(),
                None => !wanted,
            }
        })
}

#[test]
fn every_method_gives_legal_settings_and_its_exact_budget_however_far_ahead_it_is_asked() {
    for method in methods() {
        for (name, space) in spaces() {
            for (seed, count) in [(1, 12), (2, 40)] {
                for ahead in 1..=LOOK_AHEAD {
                    let task = task(&space, count, seed);
                    let jobs = jobs(&method, &task, ahead % 2 == 0, ahead);
                    let place = format!("{} on {name}, {count} trials, {ahead} ahead", method.name());
                    let trials = trials(&jobs);
                    assert!(trials.iter().all(|settings| is_legal(&space, settings)), "{place}");
                    let holds = match (name, method.name()) {
                        (_, "pbt") => count,
                        ("one point", _) => 1,
                        ("few points", _) => 6,
                        ("lists" | "one interval", "grid") => 4,
                        ("lists", _) => 4,
                        _ => count,
                    };
                    assert_eq!(trials.len(), holds.min(count), "{place}");
                    check_epochs(&method, &jobs, &place);
                }
            }
        }
    }
}

/// Epochs rise from job to job of a trial, and somebody is trained to the end; without rungs everybody at once.
fn check_epochs(method: &MethodConfig, jobs: &[Job], place: &str) {
    let mut reached: HashMap<usize, u64> = HashMap::new();
    for job in jobs {
        let before = reached.insert(job.trial, job.epochs).unwrap_or(0);
        assert!(job.epochs > before && job.epochs <= EPOCHS, "{place}: {before} then {} epochs", job.epochs);
        assert!(method.build().uses_rungs() || (job.epochs == EPOCHS && before == 0), "{place}");
    }
    assert!(reached.values().any(|epochs| *epochs == EPOCHS), "{place}: nobody was trained to the end");
}

#[test]
fn equal_tasks_and_outcomes_give_equal_jobs_and_another_seed_gives_others() {
    let (_, space) = &spaces()[1];
    for method in methods() {
        let run = |seed| jobs(&method, &task(space, 30, seed), true, LOOK_AHEAD);
        assert_eq!(run(5), run(5), "{}", method.name());
        assert_ne!(run(5), run(6), "{}", method.name());
    }
}

#[test]
fn a_search_whose_every_trial_fails_ends() {
    let (_, space) = &spaces()[1];
    for method in methods() {
        let mut search = method.build().start(task(space, 20, 1));
        let mut seen = HashSet::new();
        while let Next::Job(job) = search.next() {
            seen.insert(job.trial);
            search.tell(job.trial, job.epochs, if job.trial % 2 == 0 { None } else { Some(f64::NAN) });
        }
        assert_eq!(seen.len(), 20, "{}", method.name());
    }
}

#[test]
fn the_method_that_looks_at_values_finds_better_ones_than_chance() {
    let problem: &Problem = &problems()[0];
    let random = methods().into_iter().find(|method| method.name() == "random").unwrap();
    let tpe = methods().into_iter().find(|method| method.name() == "tpe").unwrap();
    let bests = |method: &MethodConfig| -> Vec<f64> {
        (0..9).map(|seed| best(method, problem, 60, seed, LOOK_AHEAD)).collect()
    };
    let (by_chance, guided) = (bests(&random), bests(&tpe));
    let worst = guided.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    assert!(worst < median(by_chance.clone()), "tpe {guided:?}, random {by_chance:?}");
}

#[test]
fn trial_number_n_of_random_search_is_the_same_in_any_budget_and_beside_any_other_dimension() {
    let random = MethodConfig::Random(candlewick::search::Random::default());
    let (_, wide) = &spaces()[1];
    let narrow = space(vec![(RATE, wide[RATE].clone())]);
    let short = jobs(&random, &task(&narrow, 10, 3), false, 1);
    let long = jobs(&random, &task(wide, 50, 3), true, LOOK_AHEAD);
    for (one, other) in short.iter().zip(&long) {
        assert_eq!(one.settings[RATE], other.settings[RATE]);
    }
}

#[test]
fn a_grid_is_every_combination_once_with_the_last_dimension_fastest() {
    let space = space(vec![
        (KIND, choices(json!(["plain", "bent"]))),
        (SHARE, when(choices(json!([1, 2])), KIND, json!("bent"))),
        (UNITS, Dimension { int: true, ..interval(3.0, 4.0) }),
    ]);
    let grid = MethodConfig::Grid(Grid::default());
    let found = jobs(&grid, &task(&space, 6, 0), false, 1);
    let listed: Vec<String> = found
        .iter()
        .map(|job| job.settings.values().map(Value::to_string).collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        listed,
        ["\"plain\" 3", "\"plain\" 4", "\"bent\" 1 3", "\"bent\" 1 4", "\"bent\" 2 3", "\"bent\" 2 4"]
    );
    let refusal = grid.build().check(&task(&space, 5, 0)).unwrap_err();
    assert!(refusal.contains("6 combinations") && refusal.contains("partial: true"), "{refusal}");
    let (_, endless) = &spaces()[0];
    let refusal = grid.build().check(&task(endless, 5, 0)).unwrap_err();
    assert!(refusal.contains(RATE) && refusal.contains("steps: 5"), "{refusal}");
    let stepped = MethodConfig::Grid(Grid { steps: Some(5), partial: false });
    let values: Vec<f64> = jobs(&stepped, &task(endless, 5, 0), false, 1)
        .iter()
        .map(|job| job.settings[RATE].as_f64().unwrap())
        .collect();
    assert_eq!(values, [-1.0, -0.5, 0.0, 0.5, 1.0]);
}

#[test]
fn halving_spends_the_epochs_of_the_formula_and_asha_little_more() {
    let (_, space) = &spaces()[0];
    let task = SearchTask { space: space.clone(), trials: 81, epochs: 27, seed: Seed(4) };
    let rungs = |jobs: &[Job]| -> Vec<usize> {
        [1, 3, 9, 27].map(|epochs| jobs.iter().filter(|job| job.epochs == epochs).count()).to_vec()
    };
    let halving = MethodConfig::Halving(Halving { reduction: 3, first_epochs: 1 });
    for ahead in [1, LOOK_AHEAD] {
        // 81 / 3^k trials reach rung k (Jamieson and Talwalkar 2016).
        assert_eq!(rungs(&jobs(&halving, &task, false, ahead)), [81, 27, 9, 3]);
    }
    let asha = MethodConfig::Asha(Asha { reduction: 3, first_epochs: 1 });
    let spent = rungs(&jobs(&asha, &task, false, LOOK_AHEAD));
    // Never fewer than the same formula; of n trials about the square root of n go on too early (Li et al. 2020, section 3).
    for (count, least) in spent.iter().zip([81_usize, 27, 9, 3]) {
        assert!(*count >= least && *count <= least + 2 * 9, "{spent:?}");
    }
}

#[test]
fn asha_promotes_exactly_one_in_three_when_the_best_come_first() {
    let (_, space) = &spaces()[0];
    let asha = MethodConfig::Asha(Asha { reduction: 3, first_epochs: 1 });
    let mut search =
        asha.build().start(SearchTask { space: space.clone(), trials: 27, epochs: 9, seed: Seed(1) });
    let mut epochs = Vec::new();
    while let Next::Job(job) = search.next() {
        epochs.push(job.epochs);
        search.tell(job.trial, job.epochs, Some(job.trial as f64));
    }
    assert_eq!([1, 3, 9].map(|rung| epochs.iter().filter(|epochs| **epochs == rung).count()), [27, 9, 3]);
}

#[test]
fn population_based_training_replaces_the_worst_quarter_by_the_best() {
    let (_, space) = &spaces()[0];
    let method = MethodConfig::Pbt(Pbt { interval_epochs: 3, resample_probability: 0.0 });
    let jobs = jobs(&method, &task(space, 16, 2), false, LOOK_AHEAD);
    assert_eq!(jobs.len(), 3 * 16);
    let mut values: Vec<(f64, usize)> =
        jobs[..16].iter().map(|job| (outcome(job, false).unwrap(), job.trial)).collect();
    values.sort_by(|left, right| left.0.total_cmp(&right.0));
    let best: Vec<usize> = values[..4].iter().map(|(_, trial)| *trial).collect();
    let worst: HashSet<usize> = values[12..].iter().map(|(_, trial)| *trial).collect();
    let copies: Vec<&Job> = jobs[16..32].iter().filter(|job| job.copy_from.is_some()).collect();
    assert_eq!(copies.iter().map(|job| job.trial).collect::<HashSet<_>>(), worst);
    for copy in copies {
        let source = copy.copy_from.unwrap();
        assert!(best.contains(&source));
        let (before, after) = (&jobs[source].settings[RATE], &copy.settings[RATE]);
        let ratio = after.as_f64().unwrap() / before.as_f64().unwrap();
        assert!((ratio - 0.8).abs() < 1e-9 || (ratio - 1.2).abs() < 1e-9, "{ratio}");
    }
    let outside = self::space(vec![("models.a.lstm.dropout", interval(0.0, 0.5))]);
    let refusal = method.build().check(&task(&outside, 16, 2)).unwrap_err();
    assert!(refusal.contains("models.a.lstm.dropout") && refusal.contains("train.optimizer"), "{refusal}");
}

#[test]
fn every_whole_number_has_an_equal_share_and_positions_lead_back_to_values() {
    let dice = Dimension { int: true, ..interval(1.0, 6.0) };
    let mut counts = HashMap::new();
    for step in 0..6000 {
        let value = dice.value_at((f64::from(step) + 0.5) / 6000.0);
        *counts.entry(value.as_i64().unwrap()).or_insert(0) += 1;
    }
    assert!((1..=6).all(|face| counts[&face] == 1000), "{counts:?}");
    let rate = Dimension { log: true, ..interval(1e-4, 1e-2) };
    assert!((rate.value_at(0.5).as_f64().unwrap() / 1e-3 - 1.0).abs() < 1e-12);
    for (_, space) in spaces() {
        for dimension in space.values() {
            for unit in [0.0, 0.2, 0.5, 0.77, 1.0] {
                let value = dimension.value_at(unit);
                let position = dimension.position_of(&value).unwrap();
                let again = dimension.value_at(position);
                match (value.as_f64(), again.as_f64()) {
                    (Some(one), Some(other)) => assert!((one - other).abs() <= 1e-12 * one.abs().max(1e-9)),
                    _ => assert_eq!(value, again),
                }
            }
        }
    }
    assert_eq!(rate.position_of(&json!(0.5)), None);
}

#[test]
fn dimensions_and_conditions_that_make_no_sense_are_named() {
    let refused = [
        (Dimension::default(), "nothing to choose"),
        (interval(2.0, 1.0), "above"),
        (Dimension { min: Some(1.0), ..Dimension::default() }, "both ends"),
        (Dimension { int: true, ..interval(0.5, 2.0) }, "whole"),
        (Dimension { log: true, ..interval(0.0, 2.0) }, "above 0"),
        (interval(f64::NEG_INFINITY, 2.0), "finite"),
        (choices(json!([])), "empty"),
        (choices(json!([1, 2, 1.0])), "twice"),
        (Dimension { log: true, ..choices(json!([1])) }, "log"),
        (Dimension { min: Some(0.0), ..choices(json!([1])) }, "one or the other"),
    ];
    for (dimension, word) in refused {
        let message = dimension.check().unwrap_err();
        assert!(message.contains(word), "{message}");
    }
    let a = choices(json!([1, 2]));
    let faults = |dimensions| {
        check_conditions(&space(dimensions)).into_iter().map(|(_, text)| text).collect::<String>()
    };
    assert!(faults(vec![("a", a.clone()), ("b", when(a.clone(), "a", json!([2, 9])))]).is_empty());
    assert!(faults(vec![("a", when(a.clone(), "c", json!(1)))]).contains("`c`, which does not vary"));
    assert!(faults(vec![("a", a.clone()), ("b", when(a.clone(), "a", json!(3)))]).contains("never hold"));
    let circle = vec![("a", when(a.clone(), "b", json!(1))), ("b", when(a, "a", json!(1)))];
    assert!(faults(circle).contains("circle"));
}

#[test]
fn ten_thousand_trials_of_random_and_grid_cost_little() {
    let problem = &problems()[5];
    for method in [
        MethodConfig::Random(candlewick::search::Random::default()),
        MethodConfig::Grid(Grid { steps: Some(40), partial: true }),
    ] {
        let start = std::time::Instant::now();
        best(&method, problem, 10_000, 1, LOOK_AHEAD);
        let milliseconds = start.elapsed().as_secs_f64() * 1e3 / 1e4;
        // 0.02 ms on a quiet core; the tests may share theirs with others.
        assert!(milliseconds < 0.1, "{}: {milliseconds:.4} ms a trial", method.name());
    }
}
