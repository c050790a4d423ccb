//! The verdict must be honest: silent on noise, sure of a strong signal.

use crate::markets::{HOUR, symbol};
use crate::program::{SMALL, Scratch};
use candlewick::data::write_bars;
use candlewick::seed::Seed;
use candlewick::table::Bars;

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
fn with_costs_noise_is_not_proven_on_these_seeds() {
    for seed in 1..=8 {
        let (conclusion, document) = conclusion(seed, "0");
        assert_ne!(conclusion, "proven", "seed {seed}: {}", document["verdict"]);
        let rank_ic = document["models"][0]["metrics"]["rank_ic"].as_f64().unwrap();
        assert!(rank_ic.abs() < 0.05, "a rank IC of {rank_ic} on noise means leakage");
    }
}

/// Without costs nothing but the interval keeps noise from being proven. Its lower end is the 2.5 % quantile, so that
/// each of 30 worthless models is called proven with a probability of at most 0.025 (the baseline being the best of
/// several, chosen afterwards, makes it less), and 5 or more of them with one of 0.0009 (binomial).
#[test]
fn without_costs_noise_is_proven_no_more_often_than_chance_allows() {
    let free = "  costs: [{proportional: {fee_bps: 2}}, {slippage: {bps: 1}}]\n";
    let mut conclusions = std::collections::BTreeMap::new();
    for seed in 1..=30 {
        let scratch = Scratch::new();
        market(&scratch, 100 + seed, "0");
        let yaml = experiment(seed);
        assert!(yaml.contains(free));
        scratch.write("small.yaml", &yaml.replace(free, "  cash: 100000\n"));
        let document = scratch.candlewick(&["run", "small.yaml", "--json", "--no-report"]).exits(0).json();
        let conclusion = document["verdict"]["conclusion"].as_str().unwrap().to_owned();
        *conclusions.entry(conclusion).or_insert(0) += 1;
    }
    assert!(conclusions.get("proven").is_none_or(|count| *count <= 4), "{conclusions:?}");
    assert!(conclusions.get("not proven").is_some_and(|count| *count > 0), "{conclusions:?}");
}

#[test]
fn a_strong_planted_signal_is_proven() {
    for seed in 1..=2 {
        let (conclusion, document) = conclusion(seed, "0.3");
        assert_eq!(conclusion, "proven", "seed {seed}: {}", document["verdict"]);
    }
}

/// A market that falls by three tenths of its volatility a bar, traded by a momentum forecast that may only be long.
fn falling_market(settings: &str) -> serde_json::Value {
    let scratch = Scratch::new();
    let symbols = ["ALPHA", "BETA"].map(|name| {
        let mut stream = Seed(3).stream(name, 0);
        let closes: Vec<f64> = (0..2000)
            .scan(0.0, |level, _| {
                *level += 0.01 * stream.normal() - 0.003;
                Some(1000.0 * f64::exp(*level))
            })
            .collect();
        let opens = std::iter::once(1000.0).chain(closes.iter().copied()).take(2000).collect();
        symbol(name, (0..2000).map(|row| row * HOUR).collect(), opens, closes)
    });
    write_bars(&Bars::new(symbols.into()).unwrap(), &scratch.path("market.parquet")).unwrap();
    let yaml = format!(
        "name: falling\nseed: 1\ndata: {{path: market.parquet}}\nfeatures: [{{log_return: {{lags: [1]}}}}]\n\
         target: {{forward_return: {{horizons_bars: [1]}}}}\n\
         models: {{last: {{naive: {{forecast: last}}}}}}\n{settings}"
    );
    scratch.write("falling.yaml", &yaml);
    scratch.candlewick(&["run", "falling.yaml", "--json", "--no-report"]).exits(0).json()
}

const WALK: &str = "split: {walk_forward: {folds: 2, train_bars: 600, validation_bars: 200, test_bars: 500, embargo_bars: 1}}\n";

fn book<'a>(document: &'a serde_json::Value, name: &str) -> &'a serde_json::Value {
    let books = document["strategies"].as_array().unwrap();
    books.iter().find(|book| book["name"] == name).unwrap()
}

/// To lose less than those who lose more is no proof: doing nothing costs nothing.
#[test]
fn a_book_that_loses_money_is_not_proven_by_baselines_that_lose_more() {
    let strategies = "strategies: {momentum: {model_signal: {model: last}}, hold: {buy_and_hold: {}}}\n";
    let document = falling_market(&format!("{WALK}{strategies}"));
    let of = |name: &str, metric: &str| book(&document, name)["metrics"][metric].as_f64().unwrap();
    assert!(of("momentum", "total_return") < -0.1, "the case needs a model that loses");
    assert!(
        of("momentum", "sharpe") > of("hold", "sharpe") + 5.0,
        "the case needs a baseline that loses more"
    );
    let verdict = &document["verdict"];
    assert_eq!(verdict["best_baseline"], "cash", "{verdict}");
    assert_ne!(verdict["conclusion"], "proven", "{verdict}");
}

#[test]
fn a_model_that_never_trades_has_a_verdict_that_proves_nothing() {
    let strategies = "strategies:\n  momentum: {model_signal: {model: last, threshold_bps: 100000}}\n  \
                      hold: {buy_and_hold: {}}\n";
    let document = falling_market(&format!("{WALK}{strategies}"));
    assert_eq!(book(&document, "momentum")["metrics"]["trades"], 0);
    let verdict = &document["verdict"];
    assert!(verdict["conclusion"].is_string(), "{verdict}");
    assert_ne!(verdict["conclusion"], "proven", "{verdict}");
}

/// No one could have traded folds that learn from what comes after them, so nothing can be proven by them.
#[test]
fn purged_k_fold_gives_no_verdict_and_says_so() {
    let strategies = "strategies: {momentum: {model_signal: {model: last}}, hold: {buy_and_hold: {}}}\n";
    let split = "split: {purged_k_fold: {folds: 3, validation: 0.2, embargo_bars: 1}}\n";
    let document = falling_market(&format!("{split}{strategies}"));
    assert!(document["verdict"].is_null(), "{}", document["verdict"]);
    let warnings = document["warnings"].as_array().unwrap();
    assert!(warnings.iter().any(|text| text.as_str().unwrap().contains("verdict")), "{warnings:?}");
}
