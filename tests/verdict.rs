//! The verdict must be honest: silent on noise, sure of a strong signal.

use crate::program::{SMALL, Scratch};

/// Cheap models and more test bars, since a verdict is about sampling error.
fn experiment(seed: u64) -> String {
    SMALL
        .replace("seed: 11", &format!("seed: {seed}"))
        .replace(
            "folds: 2, train_bars: 700, validation_bars: 200, test_bars: 250",
            "folds: 4, train_bars: 2000, validation_bars: 500, test_bars: 800",
        )
        .replace("  lstm: {lstm: {window: 12, layers: [12, 8], dropout: 0.2}}\n", "")
        .replace(
            "  transformer: {transformer: {window: 12, width: 16, heads: 2, layers: 1, dropout: 0.1}}\n",
            "",
        )
        .replace("  lstm_signal: {model_signal: {model: lstm}}\n", "")
        .replace("  transformer_signal: {model_signal: {model: transformer}}\n", "")
}

fn market(scratch: &Scratch, seed: u64, information_coefficient: &str) {
    let seed = seed.to_string();
    scratch
        .candlewick(&[
            "data",
            "generate",
            "market",
            "--symbols",
            "5",
            "--bars",
            "7000",
            "--seed",
            &seed,
            "--information-coefficient",
            information_coefficient,
            "--horizon-bars",
            "4",
            "--output",
            "market.parquet",
        ])
        .exits(0);
}

fn conclusion(seed: u64, information_coefficient: &str) -> (String, serde_json::Value) {
    let scratch = Scratch::new();
    market(&scratch, seed, information_coefficient);
    scratch.write("small.yaml", &experiment(seed));
    let document = scratch.candlewick(&["run", "small.yaml", "--json", "--no-report"]).exits(0).json();
    (document["verdict"]["conclusion"].as_str().unwrap().to_owned(), document)
}

#[test]
fn noise_is_never_proven() {
    for seed in 1..=8 {
        let (conclusion, document) = conclusion(seed, "0");
        assert_ne!(conclusion, "proven", "seed {seed}: {}", document["verdict"]);
        let rank_ic = document["models"][0]["metrics"]["rank_ic"].as_f64().unwrap();
        assert!(rank_ic.abs() < 0.05, "a rank IC of {rank_ic} on noise means leakage");
    }
}

#[test]
fn a_strong_planted_signal_is_proven() {
    for seed in 1..=2 {
        let (conclusion, document) = conclusion(seed, "0.3");
        assert_eq!(conclusion, "proven", "seed {seed}: {}", document["verdict"]);
    }
}
