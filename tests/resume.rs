//! The same numbers whatever the threads, and after `kill -9` at any point.

use crate::program::{SMALL, Scratch, results};
use candlewick::seed::Seed;
use std::process::Stdio;
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
    let (first, second) = (results(&runs[0]), results(&runs[1]));
    for ((name, one), (_, two)) in first.iter().zip(&second) {
        assert!(one == two, "{name} depends on the number of threads");
    }
}

#[test]
fn killed_at_twenty_points_and_resumed_the_bits_are_the_same() {
    let reference = Scratch::new();
    reference.market(1600, 0.1);
    reference.write("small.yaml", SMALL);
    let start = Instant::now();
    reference.candlewick(&["run", "small.yaml", "--threads", "2"]).exits(0);
    let whole = start.elapsed();
    let expected = results(&reference.runs()[0]);

    let mut moments = Seed(20).stream("kill", 0);
    let mut killed_in_the_middle = 0;
    for point in 0..20 {
        let scratch = Scratch::new();
        std::fs::copy(reference.path("market.parquet"), scratch.path("market.parquet")).unwrap();
        scratch.write("small.yaml", SMALL);
        let threads = if point % 2 == 0 { "1" } else { "2" };
        let mut child = scratch
            .command(&["run", "small.yaml", "--threads", threads])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_secs_f64(whole.as_secs_f64() * moments.uniform()));
        child.kill().unwrap();
        child.wait().unwrap();
        let Some(run) = scratch.runs().first().cloned() else {
            // Killed before the run directory was complete: there is nothing to resume, and nothing half-written.
            scratch.candlewick(&["run", "small.yaml"]).exits(0);
            assert!(results(&scratch.runs()[0]) == expected, "point {point}");
            continue;
        };
        if !run.join("manifest.json").exists() {
            killed_in_the_middle += 1;
            let name = run.file_name().unwrap().to_string_lossy().into_owned();
            scratch.candlewick(&["run", "--resume", &name, "--threads", "2"]).exits(0);
        }
        for ((name, found), (_, wanted)) in results(&run).iter().zip(&expected) {
            assert!(found == wanted, "{name} differs after kill number {point}");
        }
        let leftovers = std::fs::read_dir(&run)
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".tmp"));
        assert_eq!(leftovers.count(), 0, "a temporary file was left");
    }
    assert!(killed_in_the_middle >= 5, "only {killed_in_the_middle} kills hit a run in the middle");
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
