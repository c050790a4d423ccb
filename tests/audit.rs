//! `candlewick audit`, and the audit inside a run, as a user meets them.

use crate::markets::shared;
use crate::program::{SMALL, Scratch};
use candlewick::run::audit_exit_code;
use candlewick::rundir::Summary;
use serde_json::Value;
use std::path::Path;

/// Ridge and a forecast without learning, signals on both, and ordinary strategies.
fn quick() -> String {
    let without = |text: &str, line: &str| {
        let kept: Vec<&str> = text.lines().filter(|other| !other.trim_start().starts_with(line)).collect();
        kept.join("\n") + "\n"
    };
    ["lstm:", "transformer:", "lstm_signal:", "transformer_signal:"]
        .iter()
        .fold(SMALL.to_owned(), |text, line| without(&text, line))
}

fn prepared(yaml: &str) -> Scratch {
    let scratch = Scratch::new();
    scratch.market(1600, 0.1);
    scratch.write("quick.yaml", yaml);
    scratch
}

/// `part: finding` of every check, after asserting that all passed and none is idle.
fn findings(audit: &Value) -> Vec<(String, String)> {
    assert_eq!(audit["passed"], true, "{audit:#}");
    let checks = audit["checks"].as_array().unwrap();
    let text = |check: &Value, key: &str| check[key].as_str().unwrap().to_owned();
    for check in checks {
        assert_eq!(check["passed"], true, "{check}");
        assert!(check["compared"].as_u64().unwrap() > 0, "{check}");
    }
    checks.iter().map(|check| (text(check, "part"), text(check, "finding"))).collect()
}

fn parts(audit: &Value) -> Vec<String> {
    findings(audit).into_iter().map(|(part, _)| part).collect()
}

const SHORT: [&str; 10] = [
    "features",
    "labels",
    "split",
    "scaler",
    "model inputs",
    "choice",
    "decisions",
    "fills",
    "streaming",
    "warm-up",
];

#[test]
fn an_experiment_passes_and_says_what_was_proved() {
    let scratch = prepared(&quick());
    let audit = scratch.candlewick(&["audit", "quick.yaml", "--json"]).exits(0).json();
    assert_eq!(audit["depth"], "short");
    assert!(audit["moments"].as_u64().unwrap() > 20);
    assert_eq!(parts(&audit), SHORT);
    let decisions = &findings(&audit)[6].1;
    assert!(decisions.contains("random is exempt"), "{decisions}");
    assert!(scratch.runs().is_empty(), "an audit leaves no run");
    let table = scratch.candlewick(&["audit", "quick.yaml"]).exits(0).stdout;
    assert!(table.contains("model inputs") && table.contains("passed"), "{table}");
}

#[test]
fn a_full_audit_trains_models_of_closed_form_anew() {
    let scratch = prepared(&quick());
    let audit = scratch.candlewick(&["audit", "quick.yaml", "--full", "--json"]).exits(0).json();
    assert_eq!(audit["depth"], "full");
    assert!(parts(&audit).contains(&"forecasts".to_owned()), "{audit:#}");
    assert!(audit["moments"].as_u64().unwrap() > 80);
}

#[test]
fn threads_change_no_line() {
    let scratch = prepared(&quick());
    let lines = |threads: &str| {
        let done = scratch.candlewick(&["audit", "quick.yaml", "--json", "--threads", threads]).exits(0);
        findings(&done.json())
    };
    assert_eq!(lines("1"), lines("3"));
}

#[test]
fn a_run_is_audited_unless_that_is_declined() {
    let scratch = prepared(&quick());
    let run = scratch.candlewick(&["run", "quick.yaml", "--json", "--no-report"]).exits(0);
    assert_eq!(parts(&run.json()["audit"]), SHORT);
    assert!(run.stderr.contains("nothing knows the future"), "{}", run.stderr);
    let stages = run.json()["stages"].clone();
    assert!(stages.as_array().unwrap().iter().any(|stage| stage["name"] == "audit"), "{stages}");
    let declined = scratch.candlewick(&["run", "quick.yaml", "--json", "--no-report", "--no-audit"]).exits(0);
    assert_eq!(declined.json()["audit"], Value::Null);
    let backtest = scratch.candlewick(&["backtest", "quick.yaml", "--json", "--no-report"]).exits(0).json();
    assert_eq!(parts(&backtest["audit"]), ["decisions", "fills", "streaming", "warm-up"]);
}

#[test]
fn a_finished_run_is_audited_on_the_data_that_it_had() {
    let scratch = prepared(&quick());
    scratch.candlewick(&["run", "quick.yaml", "--no-report", "--no-audit"]).exits(0);
    let audit = scratch.candlewick(&["audit", "latest", "--json"]).exits(0).json();
    assert_eq!(parts(&audit), SHORT);
    scratch.candlewick(&["audit", "latest", "--set", "seed=3"]).exits(2);
    scratch.market(1500, 0.1);
    let refused = scratch.candlewick(&["audit", "latest"]).exits(3);
    assert!(refused.stderr.contains("not those of the run"), "{}", refused.stderr);
    scratch.candlewick(&["audit", "no-such-run"]).exits(2);
}

#[test]
fn a_split_that_trains_on_later_bars_says_so() {
    let folds = "split: {purged_k_fold: {folds: 4, validation: 0.1, embargo_bars: 4}}";
    let yaml = quick();
    let line = yaml.lines().find(|line| line.starts_with("split:")).unwrap();
    let scratch = prepared(&yaml.replace(line, folds));
    let audit = scratch.candlewick(&["audit", "quick.yaml", "--full", "--json"]).exits(0).json();
    let split = findings(&audit).into_iter().find(|(part, _)| part == "split").unwrap().1;
    assert!(split.contains("nobody could have traded"), "{split}");
    assert!(!parts(&audit).contains(&"choice".to_owned()));
}

#[test]
fn every_sizing_fill_and_book_passes() {
    for backtest in [
        "{fill: same_close}",
        "{books: per_symbol}",
        "{sizing: {volatility_target: {annual: 0.3, lookback_bars: 50, max_leverage: 2.0}}}",
        "{sizing: {fixed: {quantity: 3}}, costs: [{proportional: {fee_bps: 5}}]}",
    ] {
        let yaml = quick();
        let start = yaml.find("backtest:").unwrap();
        let scratch = prepared(&format!("{}backtest: {backtest}\n", &yaml[..start]));
        let audit = scratch.candlewick(&["audit", "quick.yaml", "--full", "--json"]).exits(0).json();
        assert!(parts(&audit).contains(&"fills".to_owned()), "{backtest}");
    }
}

/// No experiment of this program knows the future, so the alarm is seen on a run whose record is changed by hand.
#[test]
fn a_run_that_did_not_pass_is_shown_with_an_alarm_and_ends_with_its_own_code() {
    let scratch = prepared(&quick());
    scratch.candlewick(&["backtest", "quick.yaml", "--no-report"]).exits(0);
    let shown = scratch.candlewick(&["runs", "show", "latest"]).exits(0).stdout;
    assert!(!shown.contains("LOOK-AHEAD"), "{shown}");
    let file = scratch.runs()[0].join("summary.json");
    let mut summary: Summary = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(audit_exit_code(None), 0);
    assert_eq!(audit_exit_code(summary.audit.as_ref()), 0);
    let audit = summary.audit.as_mut().unwrap();
    (audit.passed, audit.checks[0].passed) = (false, false);
    audit.checks[0].finding = "the order of x for ALPHA knew the future".into();
    assert_eq!(audit_exit_code(summary.audit.as_ref()), 4);
    std::fs::write(&file, serde_json::to_string(&summary).unwrap()).unwrap();
    let shown = scratch.candlewick(&["runs", "show", "latest"]).exits(0).stdout;
    let alarm = "LOOK-AHEAD: do not trust the numbers below.\n  decisions: the order of x for ALPHA knew the future\n";
    assert!(shown.starts_with(alarm), "{shown}");
}

const STRATEGIES: &str = "\
strategies:
  hold: {buy_and_hold: {}}
  equal: {equal_weight: {}}
  sma: {sma_cross: {fast: 20, slow: 100, direction: long_short}}
  ema: {ema_cross: {}}
  macd: {macd: {}}
  rsi: {rsi_reversion: {}}
  bollinger: {bollinger_reversion: {}}
  breakout: {donchian_breakout: {}}
  momentum: {time_series_momentum: {}}
backtest: {costs: [{proportional: {fee_bps: 10}}]}
";

fn audit_real(data: &Path) -> Value {
    let scratch = Scratch::new();
    scratch.write("real.yaml", &format!("name: real\ndata: {{path: {}}}\n{STRATEGIES}", data.display()));
    scratch.candlewick(&["audit", "real.yaml", "--json"]).exits(0).json()
}

#[test]
fn real_panels_with_gaps_late_listings_and_early_ends_pass() {
    for file in [
        "crypto_1h_panel.parquet",
        "crypto_1m_btcusd.parquet",
        "us_stocks_daily.parquet",
        "fx_1h_panel.parquet",
    ] {
        let Some(path) = shared(&format!("datasets/{file}")) else { continue };
        let audit = audit_real(&path);
        assert_eq!(parts(&audit), ["decisions", "fills", "streaming", "warm-up"], "{file}");
    }
}

#[test]
fn every_feature_label_and_a_model_on_real_prices_pass() {
    let Some(path) = shared("datasets/crypto_1h_panel.parquet") else { return };
    let scratch = Scratch::new();
    let yaml = format!(
        "name: crypto\ndata: {{path: {}, range: {{start: 2017-06-01, end: 2018-06-01}}}}\n\
         features: [{{log_return: {{lags: [1, 24]}}}}, {{rsi: {{}}}}, {{ema: {{relative: true}}}}, {{atr: {{relative: true}}}}, \
         {{cross_sectional_rank: {{}}}}, {{volume_ratio: {{}}}}, {{time_of_week: {{}}}}]\n\
         target: {{triple_barrier: {{}}}}\n\
         split: {{walk_forward: {{folds: 4, train_bars: 4000, validation_bars: 800, test_bars: 800, embargo_bars: 4}}}}\n\
         models: {{ridge: {{linear: {{window: 4, penalty: 100.0}}}}}}\n\
         strategies: {{signal: {{model_signal: {{model: ridge, threshold: 0.1}}}}, hold: {{buy_and_hold: {{}}}}}}\n",
        path.display()
    );
    scratch.write("crypto.yaml", &yaml);
    let audit = scratch.candlewick(&["audit", "crypto.yaml", "--json"]).exits(0).json();
    assert_eq!(parts(&audit), SHORT);
}

/// A slow strategy comes to no order within the few bars of a short audit of a wide panel; then more bars are taken.
#[test]
fn a_slow_strategy_gets_the_bars_that_it_needs_to_decide() {
    let scratch = Scratch::new();
    let market =
        ["data", "generate", "market", "--symbols", "40", "--bars", "3000", "--output", "market.parquet"];
    scratch.candlewick(&market).exits(0);
    let strategies =
        "  slow: {sma_cross: {fast: 5, slow: 900}}\n  never: {sma_cross: {fast: 5, slow: 2999999}}\n";
    scratch.write(
        "slow.yaml",
        &format!("name: slow\ndata: {{path: market.parquet}}\nstrategies:\n{strategies}"),
    );
    let audit = scratch.candlewick(&["audit", "slow.yaml", "--json"]).exits(0).json();
    let decisions = findings(&audit)[0].1.clone();
    assert!(decisions.contains("never makes no order"), "{decisions}");
    assert!(!decisions.contains("slow makes no order") && !decisions.starts_with("0 orders"), "{decisions}");
}
