//! What is claimed must be true as often as it says: intervals cover what was planted, and noise is not proven.

use crate::program::Scratch;
use serde_json::Value;

/// Worlds in which an interval is tried.
const WORLDS: usize = 40;

/// A market of two assets that share shocks, hourly, with a reversal over four bars planted or not.
fn market(scratch: &Scratch, seed: usize, bars: usize, information_coefficient: f64) {
    let (seed, bars) = (seed.to_string(), bars.to_string());
    let coefficient = information_coefficient.to_string();
    let settings = [
        ["--symbols", "2"],
        ["--bars", &bars],
        ["--seed", &seed],
        ["--information-coefficient", &coefficient],
        ["--horizon-bars", "4"],
        ["--output", "market.parquet"],
    ];
    let mut words = vec!["data", "generate", "market"];
    words.extend(settings.as_flattened());
    scratch.candlewick(&words).exits(0);
}

fn run(scratch: &Scratch, yaml: &str) -> Value {
    scratch.write("world.yaml", yaml);
    scratch.candlewick(&["run", "world.yaml", "--json", "--no-report", "--no-audit"]).exits(0).json()
}

/// The planted signal is the only feature, so that the forecast of a linear model is the signal itself, and the correlation
/// that it has with what comes is the planted one. Forecasts of neighbouring bars share three quarters of their outcome:
/// an interval that took them as independent would be half as wide as it must be.
const PLANTED: &str = "\
name: planted
data: {path: market.parquet}
features: [{log_return: {lags: [4]}}]
target: {forward_return: {horizons_bars: [4]}}
split: {walk_forward: {folds: 1, train_bars: 3000, validation_bars: 200, test_bars: 4000, embargo_bars: 4}}
models: {signal: {linear: {window: 1}}}
";

/// The coefficient and its interval in one world.
fn found(seed: usize, planted: f64) -> [f64; 3] {
    let scratch = Scratch::new();
    market(&scratch, seed, 7200, planted);
    let metrics = &run(&scratch, PLANTED)["models"][0]["metrics"];
    let interval = &metrics["ic_interval"];
    [&metrics["ic"], &interval[0], &interval[1]].map(|value| value.as_f64().unwrap())
}

/// Of 40 intervals that each cover the truth with a probability of 95 %, fewer than 36 do so in one of 20 cases (the seeds
/// are fixed, so the test does not change its mind); and
/// the width is that which the coefficients themselves show, so that no interval is right by being wide.
#[test]
fn intervals_of_the_information_coefficient_cover_the_planted_one() {
    let planted = 0.1;
    let worlds: Vec<[f64; 3]> = (1..=WORLDS).map(|seed| found(seed, planted)).collect();
    let covered = worlds.iter().filter(|[_, low, high]| (*low..=*high).contains(&planted)).count();
    let mean = |of: &dyn Fn(&[f64; 3]) -> f64| worlds.iter().map(of).sum::<f64>() / WORLDS as f64;
    let centre = mean(&|world| world[0]);
    let spread = mean(&|world| (world[0] - centre).powi(2)).sqrt();
    let error = mean(&|world| (world[2] - world[1]) / (2.0 * 1.96));
    println!(
        "{covered} of {WORLDS} intervals cover {planted}; mean {centre:.4}, spread {spread:.4}, standard error {error:.4}"
    );
    assert!(covered >= 36, "{covered} of {WORLDS} intervals cover {planted}: {worlds:?}");
    // The spread of 40 worlds is itself known to 11 %.
    assert!((0.7..1.4).contains(&(error / spread)), "standard error {error}, spread {spread}");
    assert!((centre - planted).abs() < 4.0 * spread / (WORLDS as f64).sqrt(), "biased: {centre}");
}

/// No costs, so that nothing but the interval of the verdict keeps noise from being proven.
const NOISE: &str = "\
name: noise
data: {path: market.parquet}
features: [{log_return: {lags: [1, 2, 4]}}, {rsi: {period: 14}}]
target: {forward_return: {horizons_bars: [4]}}
split: {walk_forward: {folds: 3, train_bars: 1500, validation_bars: 400, test_bars: 600, embargo_bars: 4}}
models:
  ridge: {linear: {window: 4, penalty: 10.0}}
  lstm: {lstm: {window: 8, layers: [8]}}
train: {epochs: 3, stride_bars: 2}
strategies:
  ridge_signal: {model_signal: {model: ridge, direction: long_short}}
  lstm_signal: {model_signal: {model: lstm, direction: long_short}}
  hold: {buy_and_hold: {}}
  sma: {sma_cross: {fast: 20, slow: 100}}
  bollinger: {bollinger_reversion: {}}
";

/// At most 5 % of 100 worlds of pure noise are called proven. Figures stand in the README.
#[test]
#[ignore = "two minutes: one hundred experiments"]
fn noise_is_proven_in_at_most_five_of_a_hundred_worlds() {
    let mut proven = Vec::new();
    for seed in 1..=100 {
        let scratch = Scratch::new();
        market(&scratch, 1000 + seed, 4000, 0.0);
        let document = run(&scratch, &format!("seed: {seed}\n{NOISE}"));
        if document["verdict"]["conclusion"] == "proven" {
            proven.push(seed);
        }
    }
    println!("proven in {} of 100 worlds of noise: seeds {proven:?}", proven.len());
    assert!(proven.len() <= 5, "{proven:?}");
}

/// Fifty settings of one model; the winner is chosen on validation bars and judged on test bars.
const SWEEP: &str = "\
name: noise-sweep
experiment: noise.yaml
method: random
model: ridge
strategy: ridge_signal
trials: 50
space:
  models.ridge.linear.window: {min: 1, max: 12, int: true}
  models.ridge.linear.penalty: {min: 0.1, max: 1e4, log: true}
";

/// The worlds of noise, of so many, in which the winner of a sweep is called proven.
fn proven_after_sweeps(metric: &str, worlds: usize) -> Vec<usize> {
    let lines = NOISE.lines().filter(|line| !line.contains("lstm"));
    let noise = lines.collect::<Vec<_>>().join("\n");
    let mut proven = Vec::new();
    for seed in 1..=worlds {
        let scratch = Scratch::new();
        market(&scratch, 1000 + seed, 4000, 0.0);
        scratch.write("noise.yaml", &format!("seed: {seed}\n{noise}\n"));
        scratch.write("sweep.yaml", &format!("seed: {seed}\nmetric: {metric}\n{SWEEP}"));
        let words = ["sweep", "sweep.yaml", "--json", "--no-report", "--no-audit"];
        let verdict = scratch.candlewick(&words).exits(0).json()["winner"]["verdict"].clone();
        assert_eq!(verdict["trials"], 50, "{verdict}");
        if verdict["conclusion"] == "proven" {
            proven.push(seed);
        }
    }
    println!("after sweeps by {metric} proven in {} of {worlds} worlds of noise: {proven:?}", proven.len());
    proven
}

/// The same after a sweep of 50 trials, chosen by the error and by the Sharpe ratio on validation bars.
#[test]
#[ignore = "minutes: two hundred sweeps of fifty trials"]
fn noise_is_proven_in_at_most_five_of_a_hundred_worlds_after_a_sweep() {
    for metric in ["validation.mse", "validation.sharpe"] {
        let proven = proven_after_sweeps(metric, 100);
        assert!(proven.len() <= 5, "{metric}: {proven:?}");
    }
}

/// A small piece of it, chosen by the figure that is easiest to bend: of 15 worlds, each proven with a probability of
/// 2.5 % or less, more than 2 are so in one of 180 cases.
#[test]
fn a_sweep_does_not_prove_noise() {
    let proven = proven_after_sweeps("validation.sharpe", 15);
    assert!(proven.len() <= 2, "{proven:?}");
}
