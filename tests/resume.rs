//! The same numbers whatever the threads, after `kill -9` at any point, and after Ctrl-C.

use crate::program::{SMALL, Scratch, assert_same, results};
use candlewick::seed::Seed;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

#[test]
fn one_and_two_threads_give_the_same_bits() {
    let scratch = Scratch::new();
    scratch.market(1600, 0.1);
    scratch.write("small.yaml", SMALL);
    scratch.candlewick(&["run", "small.yaml", "--threads", "1"]).exits(0);
    scratch.candlewick(&["run", "small.yaml", "--threads", "2"]).exits(0);
    let runs = scratch.runs();
    assert_eq!(runs.len(), 2, "a second run of one plan gets a folder of its own");
    let expected = results(&runs[0]);
    let weights = expected.iter().filter(|(name, _)| name.ends_with("model.safetensors")).count();
    assert!(weights >= 4, "two networks on two folds have weights, found {weights} files");
    assert_same(&runs[1], &expected, "the number of threads");
}

/// The small experiment with so many epochs that most of its time is training.
fn longer() -> String {
    SMALL
        .replace("epochs: 4", "epochs: 10")
        .replace("early_stopping: {patience: 2}", "early_stopping: {patience: 50}")
}

fn started(scratch: &Scratch, arguments: &[&str]) -> Child {
    scratch.command(arguments).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

#[test]
fn killed_at_twenty_points_and_resumed_the_bits_are_the_same() {
    let reference = Scratch::new();
    reference.market(1600, 0.1);
    reference.write("small.yaml", &longer());
    let start = Instant::now();
    reference.candlewick(&["run", "small.yaml", "--threads", "2"]).exits(0);
    let whole = start.elapsed();
    let expected = results(&reference.runs()[0]);

    let mut moments = Seed(20).stream("kill", 0);
    let mut killed_in_training = 0;
    for point in 0..20 {
        let scratch = Scratch::new();
        std::fs::copy(reference.path("market.parquet"), scratch.path("market.parquet")).unwrap();
        scratch.write("small.yaml", &longer());
        let threads = if point % 2 == 0 { "1" } else { "2" };
        let mut child = started(&scratch, &["run", "small.yaml", "--threads", threads]);
        std::thread::sleep(Duration::from_secs_f64(1.2 * whole.as_secs_f64() * moments.uniform()));
        child.kill().unwrap();
        child.wait().unwrap();
        let Some(run) = scratch.runs().first().cloned() else {
            // Killed before the run directory was complete: there is nothing to resume, and nothing half-written.
            scratch.candlewick(&["run", "small.yaml"]).exits(0);
            assert_same(&scratch.runs()[0], &expected, &format!("after kill number {point}"));
            continue;
        };
        // The tables are written after training, so without them a model was in work.
        killed_in_training +=
            usize::from(run.join("models").exists() && !run.join("predictions.parquet").exists());
        if !run.join("manifest.json").exists() {
            let name = run.file_name().unwrap().to_string_lossy().into_owned();
            scratch.candlewick(&["run", "--resume", &name, "--threads", "2"]).exits(0);
        }
        assert_same(&run, &expected, &format!("after kill number {point}"));
        let leftovers = std::fs::read_dir(&run)
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".tmp"));
        assert_eq!(leftovers.count(), 0, "a temporary file was left");
    }
    assert!(killed_in_training >= 5, "only {killed_in_training} kills hit a run in training");
}

/// Waits until the first checkpoint of a model is there, and names its run.
fn in_training(scratch: &Scratch, child: &mut Child) -> PathBuf {
    let checkpoint = |run: &Path| run.join("models/fold-0/lstm/checkpoint.safetensors").exists();
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(30) {
        if let Some(run) = scratch.runs().into_iter().find(|run| checkpoint(run)) {
            return run;
        }
        assert!(child.try_wait().unwrap().is_none(), "the run ended before it could be interrupted");
        std::thread::sleep(Duration::from_millis(1));
    }
    panic!("no checkpoint within 30 s");
}

#[test]
fn interrupted_by_ctrl_c_a_run_names_the_command_that_ends_it_with_the_same_bits() {
    let reference = Scratch::new();
    reference.market(1600, 0.1);
    reference.write("small.yaml", &longer());
    reference.candlewick(&["run", "small.yaml"]).exits(0);

    let scratch = Scratch::new();
    std::fs::copy(reference.path("market.parquet"), scratch.path("market.parquet")).unwrap();
    scratch.write("small.yaml", &longer());
    let mut child = started(&scratch, &["run", "small.yaml", "--threads", "2"]);
    let run = in_training(&scratch, &mut child);
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), rustix::process::Signal::INT)
        .unwrap();
    let done = child.wait_with_output().unwrap();
    let words = String::from_utf8(done.stderr).unwrap();
    assert_eq!(done.status.code(), Some(130), "{words}");
    assert!(!run.join("predictions.parquet").exists(), "the run was not interrupted in training");

    let command =
        words.split('`').find(|part| part.starts_with("candlewick ")).unwrap_or_else(|| panic!("{words}"));
    let arguments: Vec<&str> = command.split_whitespace().skip(1).collect();
    assert_eq!(arguments[..2], ["run", "--resume"], "{words}");
    scratch.candlewick(&arguments).exits(0);
    assert_eq!(scratch.runs().len(), 1, "the same run was continued");
    assert_same(&run, &results(&reference.runs()[0]), "after Ctrl-C");
}

#[test]
fn a_run_is_not_continued_with_another_plan() {
    let scratch = Scratch::new();
    scratch.market(1600, 0.1);
    scratch.write("small.yaml", SMALL);
    scratch.candlewick(&["run", "small.yaml", "--no-report"]).exits(0);
    let run = scratch.runs()[0].clone();
    std::fs::remove_file(run.join("manifest.json")).unwrap();
    let plan = std::fs::read_to_string(run.join("resolved.yaml")).unwrap();
    let edited = plan.replace("seed: 11", "seed: 12");
    assert_ne!(edited, plan);
    std::fs::write(run.join("resolved.yaml"), edited).unwrap();
    let refused = scratch.candlewick(&["run", "--resume", "latest"]);
    assert!([2, 3].contains(&refused.code), "{}: {}", refused.code, refused.stderr);
    assert!(refused.stderr.contains("not what this run began with"), "{}", refused.stderr);
    assert!(!run.join("manifest.json").exists(), "a refused run is not sealed");

    std::fs::write(run.join("resolved.yaml"), plan).unwrap();
    scratch.candlewick(&["run", "--resume", "latest"]).exits(0);
}

#[test]
fn a_run_in_use_a_finished_run_and_changed_data_are_refused() {
    let scratch = Scratch::new();
    scratch.market(1600, 0.1);
    scratch.write("small.yaml", SMALL);
    scratch.candlewick(&["run", "small.yaml"]).exits(0);
    let run = scratch.runs()[0].clone();
    let name = run.to_string_lossy().into_owned();
    assert!(scratch.candlewick(&["run", "--resume", &name]).exits(2).stderr.contains("is complete"));

    std::fs::remove_file(run.join("manifest.json")).unwrap();
    let lock = std::fs::File::create(run.join("LOCK")).unwrap();
    lock.lock().unwrap();
    assert!(
        scratch.candlewick(&["run", "--resume", &name]).exits(6).stderr.contains("in use by another process")
    );
    drop(lock);

    scratch.market(1700, 0.1);
    assert!(
        scratch
            .candlewick(&["run", "--resume", &name])
            .exits(3)
            .stderr
            .contains("not what this run began with")
    );
}
