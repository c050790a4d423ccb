//! Sweeps through the program: the same trials, values and winner whatever the threads, after a kill, fused or not, from an
//! earlier sweep or computed; chosen by validation rows alone; counted where the winner is judged.

use crate::program::{SMALL, Scratch, assert_same, results};
use candlewick::data::{DataConfig, load, write_bars};
use candlewick::kernels::NUMBERS_VERSION;
use candlewick::rundir::{Ledger, Manifest, SweepSummary, TableFile, TrialStatus, read_json};
use candlewick::seed::Seed;
use candlewick::sweep::Fact;
use candlewick::table::{BarColumns, Bars, SymbolBars};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// A sweep of the small experiment's LSTM that takes about a second.
const SWEEP: &str = "\
name: small-sweep
experiment: small.yaml
set: {train.epochs: 2, train.early_stopping: null, strategies.random.random_entry.books: 2}
seed: 5
method: random
metric: validation.loss
model: lstm
trials: 5
space:
  train.optimizer.adamw.learning_rate: {min: 1e-4, max: 1e-2, log: true}
  models.lstm.lstm.layers: {values: [[6], [8, 4]]}
  models.lstm.lstm.dropout: {min: 0.0, max: 0.4}
";

/// A last line of the space with which a metric other than the loss can judge.
const WINDOW: [&str; 2] = [
    "models.lstm.lstm.dropout: {min: 0.0, max: 0.4}",
    "models.lstm.lstm.window: {min: 6, max: 12, int: true}",
];

/// A folder with the small market and both files.
fn prepared(sweep: &str) -> Scratch {
    let scratch = Scratch::new();
    scratch.market(1600, 0.1);
    scratch.write("small.yaml", SMALL);
    scratch.write("sweep.yaml", sweep);
    scratch
}

/// Another folder with the same files.
fn twin(of: &Scratch) -> Scratch {
    let scratch = Scratch::new();
    for file in ["market.parquet", "small.yaml", "sweep.yaml"] {
        std::fs::copy(of.path(file), scratch.path(file)).unwrap();
    }
    scratch
}

const QUICK: [&str; 2] = ["--no-audit", "--json"];

fn sweep(scratch: &Scratch, more: &[&str]) -> SweepSummary {
    let arguments = [&["sweep", "sweep.yaml"], &QUICK[..], more].concat();
    serde_json::from_value(scratch.candlewick(&arguments).exits(0).json()).unwrap()
}

fn sweeps(scratch: &Scratch) -> Vec<PathBuf> {
    candlewick::rundir::list_runs(&scratch.path("sweeps")).unwrap()
}

/// All of a sweep that must not depend on threads, interruptions, fusing or reuse.
fn content(summary: &SweepSummary) -> Value {
    let mut summary = summary.clone();
    (summary.seconds, summary.cpu_seconds, summary.threads) = (0.0, 0.0, 0);
    // Its name ends with a hash of the settings, of which `fuse` and `trials` are two.
    summary.sweep_dir.clear();
    for trial in &mut summary.trials {
        trial.spans.clear();
        (trial.cpu_seconds, trial.reused) = (0.0, false);
    }
    serde_json::to_value(summary).unwrap()
}

#[test]
fn threads_and_fusing_change_no_bit_of_a_sweep() {
    let scratch = prepared(SWEEP);
    let expected = sweep(&scratch, &["--threads", "1"]);
    assert_eq!(expected.trials.len(), 5);
    assert!(expected.trials.iter().all(|trial| trial.status == TrialStatus::Complete));
    let winner = expected.winner.as_ref().unwrap();
    let run = results(&scratch.path(&winner.run_dir));
    for more in [&["--threads", "2"][..], &["--threads", "3", "--set", "fuse=off"]] {
        let other = twin(&scratch);
        let found = sweep(&other, more);
        assert_eq!(content(&found), content(&expected), "{more:?}");
        assert_same(&other.path(&found.winner.unwrap().run_dir), &run, "the winner's run");
    }
    describe(&scratch, &expected);
}

/// What the directory of a sweep holds.
fn describe(scratch: &Scratch, summary: &SweepSummary) {
    let directory = scratch.path(&summary.sweep_dir);
    let written: SweepSummary = read_json(&directory.join("sweep.json")).unwrap();
    assert_eq!(serde_json::to_value(&written).unwrap(), serde_json::to_value(summary).unwrap());
    let manifest: Manifest = read_json(&directory.join("manifest.json")).unwrap();
    for file in [
        "config.yaml",
        "resolved.yaml",
        "experiment.yaml",
        "ledger.jsonl",
        "sweep.json",
        "trials.parquet",
        "report.html",
    ] {
        assert!(manifest.files.contains_key(file), "{file} is not sealed");
    }
    let table = TableFile::read(&directory.join("trials.parquet")).unwrap();
    assert_eq!(table.integer("number").unwrap(), [0, 1, 2, 3, 4]);
    for (row, trial) in summary.trials.iter().enumerate() {
        assert_eq!(table.float("value").unwrap()[row], trial.value.unwrap());
        let rate = trial.settings["train.optimizer.adamw.learning_rate"].as_f64().unwrap();
        assert_eq!(table.float("train.optimizer.adamw.learning_rate").unwrap()[row], rate);
        let dropout = trial.settings["models.lstm.lstm.dropout"].as_f64().unwrap();
        assert_eq!(table.float("models.lstm.lstm.dropout").unwrap()[row], dropout);
        let layers = trial.settings["models.lstm.lstm.layers"].to_string();
        assert_eq!(*table.text("models.lstm.lstm.layers").unwrap()[row], *layers);
        assert_eq!(trial.curve.len(), 2);
        // Without early stopping the last weights are kept.
        assert_eq!(trial.value.unwrap(), trial.curve[1].1);
        assert_eq!(trial.spans.len(), 1);
    }
    let best = summary.trials.iter().min_by(|a, b| a.value.unwrap().total_cmp(&b.value.unwrap())).unwrap();
    assert_eq!(summary.best, Some(best.number));
    assert_eq!(summary.populations.iter().map(|population| population.members).sum::<usize>(), 5);
    assert!((0.0..=1.0).contains(&summary.overfitting_probability.unwrap()));
}

#[test]
fn the_winner_s_network_is_the_trial_s_and_its_run_knows_of_all_trials() {
    let scratch = prepared(SWEEP);
    let summary = sweep(&scratch, &[]);
    let winner = summary.winner.clone().unwrap();
    let run = scratch.path(&winner.run_dir);
    let best = &summary.trials[summary.best.unwrap()];
    let losses = TableFile::read(&run.join("training.parquet")).unwrap();
    let (models, folds) = (losses.text("model").unwrap(), losses.integer("fold").unwrap());
    let of_run: Vec<f64> = (0..models.len())
        .filter(|row| *models[*row] == *"lstm" && folds[*row] == 0)
        .map(|row| losses.float("validation_loss").unwrap()[row])
        .collect();
    assert_eq!(of_run, best.curve.iter().map(|(_, loss)| *loss).collect::<Vec<f64>>());

    // The very experiment, run alone, knows only its own books.
    let yaml = scratch.candlewick(&["sweep", "best"]).exits(0).stdout;
    let alone = twin(&scratch);
    alone.write("best.yaml", &yaml);
    let done = alone.candlewick(&["run", "best.yaml", "--no-audit", "--json"]).exits(0).json();
    let book = |summary: &Value| {
        let books = summary["strategies"].as_array().unwrap();
        books.iter().find(|book| book["name"] == "lstm_signal").unwrap().clone()
    };
    let of_sweep: Value = read_json(&run.join("summary.json")).unwrap();
    let (swept, single) = (book(&of_sweep), book(&done));
    assert_eq!(swept["metrics"], single["metrics"]);
    assert_eq!(swept["validation_sharpe"].as_f64(), best.validation_sharpe);
    let deflated = [&swept, &single].map(|book| book["deflated_sharpe"].as_f64().unwrap());
    assert!(deflated[0] < deflated[1], "five trials must cost something: {deflated:?}");
    assert_eq!(winner.deflated_sharpe, Some(deflated[0]));
    let manifests: [Manifest; 2] =
        [run, alone.runs()[0].clone()].map(|run| read_json(&run.join("manifest.json")).unwrap());
    assert_eq!(manifests[0].books, manifests[1].books + 4);
    assert_eq!(manifests[0].trials, manifests[1].trials + 4);
    assert_eq!(winner.verdict.unwrap().trials, manifests[0].trials);

    // Run once more beside the sweep's run, it is still the best of five.
    scratch.write("best.yaml", &yaml);
    let again = scratch.candlewick(&["run", "best.yaml", "--no-audit", "--json"]).exits(0).json();
    assert_eq!(book(&again)["deflated_sharpe"], swept["deflated_sharpe"]);
    assert_eq!(again["verdict"]["trials"], of_sweep["verdict"]["trials"]);
}

/// The bars with everything from this step of the timeline on replaced by a market that is not there.
fn poisoned(from: &Path, to: &Path, step: usize) {
    let config: DataConfig = serde_json::from_value(json!({"path": from})).unwrap();
    let bars = load(&config).unwrap().bars;
    let start = bars.timeline().times()[step];
    let mut stream = Seed(99).stream("poison", 0);
    let replaced = |symbol: &SymbolBars| {
        let mut columns: BarColumns = symbol.columns().clone();
        for row in (0..symbol.len()).filter(|row| symbol.time()[*row] >= start) {
            let mut price = || 10.0 + 90.0 * stream.uniform();
            let (open, close) = (price(), price());
            (columns.open[row], columns.close[row]) = (open, close);
            (columns.high[row], columns.low[row]) = (open.max(close), open.min(close));
            columns.volume[row] = price();
        }
        SymbolBars::new(symbol.symbol(), columns).unwrap()
    };
    write_bars(&Bars::new(bars.symbols().iter().map(replaced).collect()).unwrap(), to).unwrap();
}

/// What a sweep must find whatever comes after its last validation row: all but ids, times, and the winner's test.
fn choice(summary: &SweepSummary) -> Value {
    let mut content = content(summary);
    for part in ["data_sha256", "winner", "warnings"] {
        content.as_object_mut().unwrap().remove(part);
    }
    for trial in content["trials"].as_array_mut().unwrap() {
        trial.as_object_mut().unwrap().remove("id");
    }
    content
}

#[test]
fn no_test_row_takes_part_in_the_choice() {
    for (metric, folds) in [("validation.loss", 1), ("validation.sharpe", 1), ("validation.rank_ic", 2)] {
        let yaml = SWEEP.replace("validation.loss", metric).replace("trials: 5", "trials: 4");
        let yaml = if metric == "validation.loss" { yaml } else { yaml.replace(WINDOW[0], WINDOW[1]) };
        let scratch = prepared(&yaml);
        let folds_set = format!("folds={folds}");
        let expected = sweep(&scratch, &["--set", &folds_set]);
        let other = twin(&scratch);
        poisoned(&scratch.path("market.parquet"), &other.path("market.parquet"), last_validation(folds));
        let found = sweep(&other, &["--set", &folds_set]);
        assert_ne!(found.data_sha256, expected.data_sha256);
        assert_eq!(choice(&found), choice(&expected), "{metric}, {folds} folds");
        assert_ne!(
            found.winner.as_ref().unwrap().sharpe,
            expected.winner.as_ref().unwrap().sharpe,
            "the poison did not reach the test rows"
        );
        // A poisoned validation row changes the values: the test can fail.
        if folds == 1 && metric == "validation.loss" {
            let early = last_validation(folds) - 50;
            poisoned(&scratch.path("market.parquet"), &other.path("market.parquet"), early);
            assert_ne!(choice(&sweep(&other, &[])), choice(&expected));
        }
    }
}

/// The first step after the validation rows of the last fold that judges: two test parts of 250 bars end with bar 1600.
fn last_validation(folds: usize) -> usize {
    1600 - 500 + 250 * (folds - 1)
}

#[test]
fn the_winner_is_tested_on_folds_that_judged_no_trial() {
    let scratch = prepared(&SWEEP.replace("trials: 5", "trials: 3\nfolds: 2\nseeds: 2"));
    let summary = sweep(&scratch, &[]);
    assert!(summary.trials.iter().all(|trial| trial.values.len() == 4));
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    assert!(summary.trials.iter().all(|trial| trial.value == Some(mean(&trial.values))));
    let run = scratch.path(&summary.winner.unwrap().run_dir);
    let folds = TableFile::read(&run.join("folds.parquet")).unwrap();
    assert_eq!(folds.integer("fold").unwrap(), [1]);
    let trained = TableFile::read(&run.join("training.parquet")).unwrap();
    assert!(trained.integer("fold").unwrap().iter().all(|fold| *fold == 1));
    assert!(std::fs::read_to_string(run.join("resolved.yaml")).unwrap().contains("first_fold: 1"));
    // The first network of fold 1 is the trial's third.
    let best = &summary.trials[summary.best.unwrap()];
    let row = trained.text("model").unwrap().iter().position(|model| **model == *"lstm").unwrap();
    assert_eq!(trained.float("validation_loss").unwrap()[row + 1], best.values[2]);
}

/// Kills a sweep as soon as its ledger holds so many lines; whether it was at work on trials.
fn killed(scratch: &Scratch, threads: &str, lines: usize) -> bool {
    let arguments = [&["sweep", "sweep.yaml", "--threads", threads], &QUICK[..]].concat();
    let mut child = scratch.command(&arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let written = || {
        let ledger = sweeps(scratch).first().map(|sweep| sweep.join("ledger.jsonl"));
        let text = ledger.and_then(|ledger| std::fs::read(ledger).ok()).unwrap_or_default();
        text.iter().filter(|byte| **byte == b'\n').count()
    };
    while written() < lines && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_micros(200));
    }
    // A child that is done already cannot be killed, which is one of the moments to be tried.
    let _ = child.kill();
    child.wait().unwrap();
    sweeps(scratch).first().is_some_and(|sweep| !sweep.join("trials.parquet").exists())
}

#[test]
fn killed_anywhere_and_resumed_a_sweep_finds_the_same() {
    for method in ["random", "{asha: {reduction: 2, first_epochs: 1}}"] {
        let yaml = SWEEP.replace("method: random", &format!("method: {method}"));
        let yaml = yaml.replace("trials: 5", "trials: 8").replace("train.epochs: 2", "train.epochs: 4");
        let reference = prepared(&yaml);
        let expected = sweep(&reference, &["--threads", "2"]);
        let mut at_work = 0;
        for point in 0..5 {
            let scratch = twin(&reference);
            let threads = if point % 2 == 0 { "1" } else { "2" };
            at_work += usize::from(killed(&scratch, threads, 2 * point));
            let found = match sweeps(&scratch).first() {
                Some(sweep) if sweep.join("manifest.json").exists() => {
                    read_json(&sweep.join("sweep.json")).unwrap()
                }
                Some(_) => {
                    let resume = [&["sweep", "--resume", "latest", "--threads", "2"], &QUICK[..]].concat();
                    serde_json::from_value(scratch.candlewick(&resume).exits(0).json()).unwrap()
                }
                None => sweep(&scratch, &[]),
            };
            assert_eq!(content(&found), content(&expected), "{method}, kill number {point}");
            assert_eq!(scratch.runs().len(), 1, "the winner ran once");
        }
        assert!(at_work > 0, "no kill hit a trial at work");
    }
}

#[test]
fn interrupted_by_ctrl_c_a_sweep_names_the_command_that_ends_it() {
    let yaml = SWEEP.replace("train.epochs: 2", "train.epochs: 40");
    let scratch = prepared(&yaml);
    let arguments = [&["sweep", "sweep.yaml", "--threads", "2"], &QUICK[..]].concat();
    let child = scratch.command(&arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let begun = || {
        sweeps(&scratch).first().is_some_and(|sweep| {
            std::fs::read_to_string(sweep.join("ledger.jsonl")).is_ok_and(|text| text.contains("began"))
        })
    };
    let start = Instant::now();
    while !begun() {
        assert!(start.elapsed() < Duration::from_secs(30), "no trial began");
        std::thread::sleep(Duration::from_millis(2));
    }
    let running = scratch.candlewick(&["sweep", "status", "--json"]).exits(0).json();
    assert_eq!((&running["state"], &running["trials"]), (&json!("running"), &json!(5)));
    assert!(running["running"].as_u64().unwrap() >= 1);
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT)
        .unwrap();
    let done = child.wait_with_output().unwrap();
    let words = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(130), "{words}");
    assert!(words.contains("candlewick sweep --resume sweeps/"), "{words}");
    let status = scratch.candlewick(&["sweep", "status"]).exits(0).stdout;
    assert!(
        status.contains("unfinished") && status.contains("candlewick sweep --resume sweeps/"),
        "{status}"
    );
    let resume = [&["sweep", "--resume", "latest"], &QUICK[..]].concat();
    let found: SweepSummary = serde_json::from_value(scratch.candlewick(&resume).exits(0).json()).unwrap();
    let expected = sweep(&twin(&scratch), &[]);
    assert_eq!(content(&found), content(&expected));
    let again = scratch.candlewick(&resume).exits(2);
    assert!(again.stderr.contains("is complete"), "{}", again.stderr);
}

#[test]
fn trials_of_an_earlier_sweep_are_used_again_with_the_same_result() {
    let scratch = prepared(SWEEP);
    let first = sweep(&scratch, &[]);
    let second = sweep(&scratch, &["--set", "trials=7"]);
    let reused: Vec<bool> = second.trials.iter().map(|trial| trial.reused).collect();
    assert_eq!(reused, [true, true, true, true, true, false, false]);
    let computed = sweep(&twin(&scratch), &["--set", "trials=7"]);
    let trials = |summary: &SweepSummary| content(summary)["trials"].clone();
    assert_eq!(trials(&second), trials(&computed));
    assert_eq!(second.best, computed.best);
    assert!(first.trials.iter().zip(&second.trials).all(|(first, second)| first.id == second.id));
    // Another seed of the experiment makes other trials.
    let other = sweep(&scratch, &["--set", "set.seed=12"]);
    assert!(other.trials.iter().all(|trial| !trial.reused));
}

#[test]
fn population_based_training_resumes_and_repeats() {
    let yaml = SWEEP
        .replace("method: random", "method: {pbt: {interval_epochs: 1}}")
        .replace("train.epochs: 2", "train.epochs: 3")
        .replace("  models.lstm.lstm.layers: {values: [[6], [8, 4]]}\n  models.lstm.lstm.dropout: {min: 0.0, max: 0.4}\n", "  train.optimizer.adamw.weight_decay: {min: 0.0, max: 0.5}\n");
    let scratch = prepared(&yaml);
    let expected = sweep(&scratch, &["--threads", "1"]);
    assert!(expected.trials.iter().all(|trial| trial.epochs == 3 && trial.curve.len() == 3));
    // Each copy has tried settings of its own, and the best trial is the best of them all.
    let ledger: Vec<Fact> = Ledger::read(&sweeps(&scratch)[0].join("ledger.jsonl")).unwrap();
    let settings: std::collections::BTreeSet<String> = ledger
        .iter()
        .filter_map(|fact| match fact {
            Fact::Outcome(outcome) => Some(serde_json::to_string(&outcome.settings).unwrap()),
            _ => None,
        })
        .collect();
    assert!(settings.len() > 5, "{settings:?}");
    let run = scratch.path(&expected.winner.as_ref().unwrap().run_dir);
    let manifest: Manifest = read_json(&run.join("manifest.json")).unwrap();
    let own = 5 - 1;
    assert_eq!(
        manifest.books,
        own + settings.len(),
        "the books of the run, one of them the best of all trials"
    );
    let copies = expected.warnings.iter().find(|warning| warning.contains("population based")).unwrap();
    assert!(!copies.contains("  "), "{copies}");
    let other = twin(&scratch);
    assert_eq!(content(&sweep(&other, &["--threads", "2"])), content(&expected));
    // Cut off after the first round, the networks are trained along all their settings again.
    let cut = twin(&scratch);
    sweep(&cut, &[]);
    let directory = sweeps(&cut)[0].clone();
    let text = std::fs::read_to_string(directory.join("ledger.jsonl")).unwrap();
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    let outcomes: Vec<usize> = (0..lines.len()).filter(|line| lines[*line].contains("\"outcome\"")).collect();
    std::fs::write(directory.join("ledger.jsonl"), lines[..=outcomes[6]].concat()).unwrap();
    std::fs::remove_file(directory.join("manifest.json")).unwrap();
    std::fs::remove_dir_all(cut.path("runs")).unwrap();
    let resume = [&["sweep", "--resume", "latest"], &QUICK[..]].concat();
    let found: SweepSummary = serde_json::from_value(cut.candlewick(&resume).exits(0).json()).unwrap();
    assert_eq!(content(&found), content(&expected));
}

#[test]
fn failed_trials_are_counted_told_and_tried_again() {
    // A window of 900 bars leaves the training part of 700 bars no window.
    let yaml = SWEEP.replace("validation.loss", "validation.mse");
    let yaml = yaml.replace(WINDOW[0], "models.lstm.lstm.window: {values: [8, 900]}");
    let scratch = prepared(&yaml);
    let summary = sweep(&scratch, &["--set", "trials=8"]);
    let failed: Vec<_> = summary.trials.iter().filter(|trial| trial.status == TrialStatus::Failed).collect();
    assert!(!failed.is_empty() && failed.len() < 8, "{}", failed.len());
    for trial in &failed {
        assert_eq!(trial.settings["models.lstm.lstm.window"], json!(900));
        assert!(trial.value.is_none() && trial.reason.is_some());
    }
    let status = scratch.candlewick(&["sweep", "status", "--json"]).exits(0).json();
    assert_eq!(status["failed"], json!(failed.len()));
    let again = scratch.candlewick(&["sweep", "retry", "latest", "--no-audit", "--json"]).exits(0).json();
    let again: SweepSummary = serde_json::from_value(again).unwrap();
    assert_eq!(content(&again)["trials"], content(&summary)["trials"], "they fail for the same reason");

    let none =
        scratch.candlewick(&["sweep", "sweep.yaml", "--set", "space.models.lstm.lstm.window.values=[900]"]);
    assert_eq!(none.code, 1, "{}", none.stderr);
    assert!(
        none.stderr.contains("none of 2 trials could be computed")
            || none.stderr.contains("none of 5 trials"),
        "{}",
        none.stderr
    );
    let whole = prepared(SWEEP);
    sweep(&whole, &["--set", "trials=2"]);
    let nothing = whole.candlewick(&["sweep", "retry", "latest"]).exits(2);
    assert!(nothing.stderr.contains("nothing to try again"), "{}", nothing.stderr);
}

#[test]
fn a_trial_that_diverges_after_whole_epochs_says_where() {
    // With a decay of 300 a rate of 0.01 doubles all weights and turns their signs at each step, until they overflow.
    let yaml = SWEEP
        .replace("train.epochs: 2", "train.epochs: 12, train.optimizer.adamw.weight_decay: 300")
        .replace("{min: 1e-4, max: 1e-2, log: true}", "{values: [0.001, 0.01]}");
    let summary = sweep(&prepared(&yaml), &[]);
    let diverged: Vec<_> =
        summary.trials.iter().filter(|trial| trial.status == TrialStatus::Diverged).collect();
    assert!(!diverged.is_empty() && diverged.len() < 5, "{}", diverged.len());
    for trial in diverged {
        let reason = trial.reason.clone().unwrap();
        assert!(reason.starts_with("training fold 0 lstm: the loss became "), "{reason}");
        let number = |after: &str| {
            let rest = reason.split(after).nth(1).unwrap();
            rest.split([',', ';']).next().unwrap().parse::<u64>().unwrap()
        };
        let (epoch, step) = (number("in epoch "), number(", step "));
        assert!(epoch > 1 && step > 20, "{reason}");
    }
}

#[test]
fn a_trial_tells_how_long_it_was_really_trained() {
    let yaml = SWEEP.replace(
        "train.epochs: 2, train.early_stopping: null",
        "train.epochs: 40, train.early_stopping: {patience: 1}",
    );
    let summary = sweep(&prepared(&yaml), &["--set", "trials=3"]);
    assert!(summary.trials.iter().all(|trial| trial.epochs == trial.curve.len() as u64));
    assert!(summary.trials.iter().any(|trial| trial.epochs < 40 && trial.status == TrialStatus::Complete));
}

#[test]
fn a_sweep_is_not_continued_with_other_instructions() {
    let scratch = prepared(SWEEP);
    sweep(&scratch, &["--set", "trials=2"]);
    let directory = sweeps(&scratch)[0].clone();
    let path = directory.join("ledger.jsonl");
    let mut facts: Vec<Fact> = Ledger::read(&path).unwrap();
    let Fact::Sitting(sitting) = &mut facts[0] else { panic!("{facts:?}") };
    assert!(sitting.instructions.ends_with(&format!("bf16, numbers {NUMBERS_VERSION}")), "{sitting:?}");
    sitting.instructions = "Portable without bf16, numbers 0".into();
    std::fs::remove_file(&path).unwrap();
    std::fs::remove_file(directory.join("manifest.json")).unwrap();
    let (mut ledger, _) = Ledger::open::<Fact>(&path).unwrap();
    facts.iter().for_each(|fact| ledger.append(fact).unwrap());
    drop(ledger);
    let done = scratch.candlewick(&["sweep", "--resume", "latest", "--no-audit"]).exits(3);
    assert!(done.stderr.contains("instruction set"), "{}", done.stderr);
}

/// The bars, the second symbol listed at this step of the timeline.
fn listed_late(from: &Path, step: usize) {
    let config: DataConfig = serde_json::from_value(json!({"path": from})).unwrap();
    let bars = load(&config).unwrap().bars;
    let start = bars.timeline().times()[step];
    let cut = |(index, symbol): (usize, &SymbolBars)| {
        let first = symbol.time().iter().position(|time| *time >= start).unwrap();
        let first = if index == 1 { first } else { 0 };
        let columns = symbol.columns();
        let columns = BarColumns {
            time: columns.time[first..].to_vec(),
            open: columns.open[first..].to_vec(),
            high: columns.high[first..].to_vec(),
            low: columns.low[first..].to_vec(),
            close: columns.close[first..].to_vec(),
            volume: columns.volume[first..].to_vec(),
        };
        SymbolBars::new(symbol.symbol(), columns).unwrap()
    };
    write_bars(&Bars::new(bars.symbols().iter().enumerate().map(cut).collect()).unwrap(), from).unwrap();
}

#[test]
fn trials_on_different_rows_are_told() {
    let yaml = SWEEP.replace("validation.loss", "validation.mse");
    let yaml = yaml.replace(WINDOW[0], "models.lstm.lstm.window: {values: [6, 40]}");
    let told = |scratch: &Scratch| {
        let summary = sweep(scratch, &[]);
        let windows: std::collections::BTreeSet<String> = summary
            .trials
            .iter()
            .map(|trial| trial.settings["models.lstm.lstm.window"].to_string())
            .collect();
        assert_eq!(windows.len(), 2, "{windows:?}");
        summary.warnings.iter().find(|warning| warning.contains("validation windows")).cloned()
    };
    let scratch = prepared(&yaml);
    assert_eq!(told(&scratch), None, "all rows of both symbols have their windows");
    // The first validation row is that of bar 900.
    let scratch = prepared(&yaml);
    listed_late(&scratch.path("market.parquet"), 895);
    let warning = told(&scratch).unwrap();
    let counts: Vec<usize> =
        warning.split(|letter: char| !letter.is_ascii_digit()).filter_map(|word| word.parse().ok()).collect();
    assert_eq!(counts.len(), 2, "{warning}");
    assert_eq!(counts[1] - counts[0], 34, "{warning}");
}

#[test]
fn a_sweep_ends_when_its_time_is_up() {
    let scratch = prepared(&SWEEP.replace("trials: 5", "trials: 5000\ntime: 1s"));
    let summary = sweep(&scratch, &[]);
    assert_eq!(summary.stop_reason, "time");
    let shown = ["report", &summary.sweep_dir, &summary.sweep_dir];
    let refused = scratch.candlewick(&shown).exits(2);
    assert!(refused.stderr.contains("only runs can be compared"), "{}", refused.stderr);
    let latest = scratch.candlewick(&["sweep", "latest"]).exits(2);
    assert!(latest.stderr.contains("candlewick sweep --resume latest"), "{}", latest.stderr);
    assert!(summary.trials.len() < 2000, "{}", summary.trials.len());
    assert!(summary.winner.is_some());
}

#[test]
fn bad_sweeps_are_refused_with_the_right_exit_codes() {
    let scratch = prepared(SWEEP);
    let refused = |arguments: &[&str], code: i32, words: &str| {
        let done = scratch.candlewick(&[&["sweep"], arguments].concat()).exits(code);
        assert!(done.stderr.contains(words), "{words}: {}", done.stderr);
    };
    refused(&[], 2, "required");
    refused(&["nothing.yaml"], 2, "cannot read nothing.yaml");
    refused(&["small.yaml"], 2, "looks like an experiment; use `candlewick run small.yaml`");
    for verb in ["run", "check"] {
        let done = scratch.candlewick(&[verb, "sweep.yaml"]).exits(2);
        assert!(
            done.stderr.contains("looks like a sweep; use `candlewick sweep sweep.yaml`"),
            "{}",
            done.stderr
        );
    }
    refused(&["sweep.yaml", "--set", "metric=test.sharpe"], 2, "test.sharpe");
    refused(&["sweep.yaml", "--set", "experiment=missing.yaml"], 2, "cannot read missing.yaml");
    refused(&["sweep.yaml", "--set", "folds=3"], 2, "folds");
    refused(&["sweep.yaml", "--runs", "sweeps"], 2, "the same folder");
    refused(&["--resume", "latest"], 2, "there is no sweep in sweeps");
    refused(&["status"], 2, "there is no sweep in sweeps");
    refused(&["best", "foo"], 2, "foo is not a sweep directory");
    refused(&["sweep.yaml", "--resume", "latest"], 2, "cannot be used with");
    let split = "set.split={purged_k_fold: {folds: 4, validation: 0.1}}";
    refused(&["sweep.yaml", "--set", split], 2, "purged_k_fold");
    std::fs::remove_file(scratch.path("market.parquet")).unwrap();
    refused(&["sweep.yaml"], 3, "market.parquet");
    assert!(sweeps(&scratch).is_empty(), "a sweep that could not begin leaves no directory");
    assert!(scratch.runs().is_empty());
    let help = scratch.candlewick(&["sweep", "--help"]).exits(0).stdout;
    for word in ["status", "best", "retry", "--resume", "--sweeps", "--threads"] {
        assert!(help.contains(word), "{word}: {help}");
    }
}

#[test]
fn a_goal_against_the_metric_and_values_that_are_all_equal_are_doubted() {
    // Steps so small that no weight changes.
    let yaml = SWEEP.replace("{min: 1e-4, max: 1e-2, log: true}", "{values: [1e-30, 1e-31, 1e-32]}");
    let yaml = yaml.replace("{values: [[6], [8, 4]]}", "{values: [[6]]}").replace("trials: 5", "trials: 3");
    let yaml = yaml.replace("{min: 6, max: 12, int: true}", "{values: [6]}");
    let scratch = prepared(&yaml.replace("seed: 5", "seed: 5\ngoal: maximize"));
    let told = scratch.candlewick(&["sweep", "sweep.yaml", "--no-audit"]).exits(0).stderr;
    assert!(
        told.contains("small values of validation.loss are good, but `goal` takes the largest"),
        "{told}"
    );
    assert!(told.contains("all 3 finished trials have the same value of validation.loss"), "{told}");
    let plain = sweep(&prepared(SWEEP), &[]);
    assert!(
        plain.warnings.iter().all(|warning| !warning.contains("goal") && !warning.contains("same value"))
    );
}

#[test]
fn trials_that_diverge_are_not_advised_to_be_tried_again() {
    let yaml = SWEEP.replace("{min: 1e-4, max: 1e-2, log: true}", "{values: [1e30, 1e31]}");
    let scratch = prepared(&yaml.replace("train.epochs: 2", "train.epochs: 2, train.gradient_clip: null"));
    let done = scratch.candlewick(&["sweep", "sweep.yaml", "--no-audit"]).exits(1);
    assert!(done.stderr.contains("smaller learning rates"), "{}", done.stderr);
    assert!(!done.stderr.contains("sweep retry"), "{}", done.stderr);
}

#[test]
fn shipped_sweeps_run_in_small() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut count = 0;
    for entry in std::fs::read_dir(root.join("configs/sweeps")).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        let scratch = Scratch::new();
        let config = path.to_string_lossy().into_owned();
        let data = format!("set.data.path={}", root.join("datasets/market_1h.parquet").display());
        let (epochs, stride) = ("set.train.epochs=3", "set.train.stride_bars=60");
        let small = ["--set", "trials=2", "--set", epochs, "--set", &data, "--set", stride];
        let pace = ["--set", "method={pbt: {interval_epochs: 1}}"];
        let more = if config.contains("pbt") { &pace[..] } else { &[] };
        let arguments = [&["sweep", &config, "--no-audit", "--json"], &small[..], more].concat();
        let summary: SweepSummary =
            serde_json::from_value(scratch.candlewick(&arguments).exits(0).json()).unwrap();
        assert_eq!(summary.trials.len(), 2, "{config}");
        assert!(summary.winner.is_some(), "{config}");
        count += 1;
    }
    assert!(count >= 3, "only {count} sweeps are shipped");
}
