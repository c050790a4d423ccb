//! The two experiments of crash risk, run in small from the terminal: every book, its breaker figures and their identity.

use super::markets::shared;
use super::program::Scratch;
use serde_json::Value;
use std::path::{Path, PathBuf};

fn root(file: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file)
}

/// The shipped experiment on the data at `path`, with less of everything.
fn run_in_small(scratch: &Scratch, experiment: &str, path: &Path, fewer: &[&str]) -> Value {
    let config = root(experiment).display().to_string();
    let path = format!("data.path={}", path.display());
    let mut arguments = vec!["run", &config, "--json", "--set", &path];
    for setting in fewer {
        arguments.extend(["--set", setting]);
    }
    scratch.candlewick(&arguments).exits(0).json()
}

/// The breakers of a run, by name; what they avoided, missed, earned elsewhere and paid is their net effect, and that is
/// the difference of the two books.
fn breakers(summary: &Value) -> Vec<(String, Value)> {
    let mut found = Vec::new();
    for book in summary["strategies"].as_array().unwrap() {
        let figures = &book["breaker"]["figures"];
        if figures.is_null() {
            assert_ne!(book["strategy"], "circuit_breaker");
            continue;
        }
        let number = |name: &str| figures[name].as_f64().unwrap();
        let parts =
            number("loss_avoided") - number("gains_missed") + number("elsewhere") - number("extra_costs");
        let guarded = number("guarded_equity");
        assert!((parts - number("net_effect")).abs() < 1e-6 * guarded, "{book}");
        let cash = summary["backtest"]["cash"].as_f64().unwrap();
        let last = cash * (1.0 + book["metrics"]["total_return"].as_f64().unwrap());
        assert!((last - guarded - number("net_effect")).abs() < 1e-6 * last, "{book}");
        assert!(number("events_avoided") <= number("events"));
        assert!(number("false_stops") <= number("judged_stops") && number("judged_stops") <= number("stops"));
        found.push((book["name"].as_str().unwrap().to_owned(), figures.clone()));
    }
    found
}

#[test]
fn crash_risk_of_depth_runs_in_small() {
    let scratch = Scratch::new();
    let fewer = [
        "train.epochs=1",
        "train.seeds=1",
        "train.stride_bars=12",
        "split.walk_forward.folds=1",
        "models.logistic.logistic.window=5",
        "split.walk_forward.train_bars=12000",
        "split.walk_forward.validation_bars=6000",
        "split.walk_forward.test_bars=6000",
        "data.range.start=2022-02-12",
        // Whoever never comes back avoids everything, and that must not look like skill.
        "strategies.always={circuit_breaker: {column: blr, red: 1000000}}",
    ];
    let data = root("datasets/depth_crashes.parquet");
    let summary = run_in_small(&scratch, "configs/experiments/aegis.yaml", &data, &fewer);
    let found = breakers(&summary);
    let names: Vec<&str> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["lstm_breaker", "logistic_breaker", "blr_rule", "blr_rule_validated", "always"]);
    let (_, rule) = &found[2];
    assert!(rule["stops"].as_u64() > Some(0) && rule["events"].as_u64() > Some(0), "{rule}");
    // Who is out before most falls falls less deep.
    let (_, logistic) = &found[1];
    let fall = |name: &str| logistic[name].as_f64().unwrap();
    assert!(fall("max_drawdown") > fall("guarded_max_drawdown"), "{logistic}");
    let (_, always) = &found[4];
    let number = |figures: &Value, name: &str| figures[name].as_f64().unwrap();
    assert!(number(always, "red_share") > 0.999 && always["events_avoided"] == always["events"], "{always}");
    assert_eq!((number(always, "judged_stops"), number(always, "false_stops")), (1.0, 1.0), "{always}");
    assert_eq!(always["red_before_event"], always["base_rate"], "{always}");
    let warned = |name: &str| summary["warnings"].to_string().contains(&format!("{name} was red in"));
    assert!(warned("always") && !warned("blr_rule"), "{}", summary["warnings"]);
    assert!(number(logistic, "red_before_event") > 1.5 * number(logistic, "base_rate"), "{logistic}");
    // A model is judged at its own horizon, a column at the longest of the target.
    assert!(number(logistic, "event_horizon") < number(rule, "event_horizon"), "{logistic}");
    let page = std::fs::read_to_string(scratch.runs()[0].join("report.html")).unwrap();
    assert!(page.contains("id=\"breakers\"") && page.contains("States of blr_rule_validated"));
}

/// Crashes in real hourly prices, as the head of the configuration makes them.
#[test]
fn crash_risk_of_real_prices_runs_in_small() {
    let Some(bars) = shared("datasets/crypto_1h_panel.parquet") else { return };
    let scratch = Scratch::new();
    let (bars, crashes) = (bars.display().to_string(), scratch.path("crashes.parquet"));
    let output = crashes.display().to_string();
    scratch.candlewick(&["data", "generate", "crashes", "--bars", &bars, "--output", &output]).exits(0);
    let fewer = [
        "train.epochs=1",
        "train.seeds=1",
        "train.stride_bars=12",
        "split.walk_forward.folds=1",
        "models.logistic.logistic.window=2",
        "data.range={start: 2017-01-01, end: 2018-07-01}",
    ];
    let summary = run_in_small(&scratch, "configs/experiments/circuit_breaker.yaml", &crashes, &fewer);
    let found = breakers(&summary);
    assert!(
        found.iter().any(|(name, figures)| name == "momentum_guarded" && figures["bars"].as_u64() > Some(0))
    );
    let (_, rule) = found.iter().find(|(name, _)| name == "blr_rule").unwrap();
    assert!(rule["events"].as_u64() > Some(0), "{rule}");
}
