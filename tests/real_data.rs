//! Every real bar file that is at hand goes through the program. Where the folder is missing the tests say so and pass.

use crate::markets::shared;
use crate::program::Scratch;
use std::path::PathBuf;

fn real(file: &str) -> Option<PathBuf> {
    shared(&format!("datasets/{file}"))
}

const STRATEGIES: &str = "\
strategies:
  hold: {buy_and_hold: {}}
  sma: {sma_cross: {fast: 20, slow: 100}}
  rsi: {rsi_reversion: {}}
  breakout: {donchian_breakout: {}}
backtest: {costs: [{proportional: {fee_bps: 10}}]}
";

/// Backtests a file with these lines of its `data` section, and returns the document.
fn backtest(file: &str, data: &str) -> Option<serde_json::Value> {
    let path = real(file)?;
    let scratch = Scratch::new();
    scratch.write("real.yaml", &format!("name: real\ndata:\n  path: {}\n{data}{STRATEGIES}", path.display()));
    let document = scratch.candlewick(&["backtest", "real.yaml", "--json", "--no-report"]).exits(0).json();
    for strategy in document["strategies"].as_array().unwrap() {
        let metrics = &strategy["metrics"];
        let total = metrics["total_return"].as_f64().unwrap();
        assert!(total > -1.0 - 1e-9 && total < 1e6, "{file}: {strategy}");
        assert!(metrics["max_drawdown"].as_f64().unwrap() <= 0.0, "{file}: {strategy}");
    }
    Some(document)
}

#[test]
fn hourly_minute_and_daily_panels_load_and_backtest() {
    for (file, rows) in [
        ("crypto_1h_panel.parquet", 103_508),
        ("crypto_1m_btcusd.parquet", 391_314),
        ("fx_1h_panel.parquet", 345_600),
        ("us_stocks_daily.parquet", 108_589),
        ("us_stocks_hourly.parquet", 81_663),
    ] {
        if let Some(document) = backtest(file, "") {
            assert_eq!(document["data"]["rows"], rows, "{file}");
        }
    }
}

#[test]
fn closes_alone_and_bid_and_ask_bars_load_and_backtest() {
    if let Some(document) = backtest("us_closes_1990_2022.parquet", "  symbols: [AAPL, AMD]\n") {
        assert!(
            document["warnings"]
                .as_array()
                .unwrap()
                .iter()
                .any(|text| text.as_str().unwrap().contains("close"))
        );
        assert_eq!(document["data"]["symbols"].as_array().unwrap().len(), 2);
    }
    let quotes = "  columns:\n    open: {mid: [bid_open, ask_open]}\n    high: {mid: [bid_high, ask_high]}\n    \
                  low: {mid: [bid_low, ask_low]}\n    close: {mid: [bid_close, ask_close]}\n";
    backtest("fx_1h_quotes_eurusd.parquet", quotes);
}

#[test]
fn resampling_a_range_and_one_symbol_of_a_panel() {
    let data = "  symbols: [BTC]\n  range: {start: 2017-01-01, end: 2018-01-01}\n  resample: 1d\n";
    if real("crypto_1h_panel.parquet").is_some() {
        let path = real("crypto_1h_panel.parquet").unwrap();
        let scratch = Scratch::new();
        let described = scratch.candlewick(&["data", "describe", &path.to_string_lossy()]).exits(0).stdout;
        let symbol =
            described.split_whitespace().find(|word| word.contains("BTC")).unwrap_or("BTC").to_owned();
        let document = backtest("crypto_1h_panel.parquet", &data.replace("BTC", &symbol)).unwrap();
        assert_eq!(document["data"]["rows"], 365);
        assert_eq!(document["data"]["interval_seconds"], 86_400.0);
    }
}

#[test]
fn a_model_trains_on_a_real_panel() {
    let Some(path) = real("crypto_1h_panel.parquet") else { return };
    let scratch = Scratch::new();
    let yaml = format!(
        "name: crypto\ndata: {{path: {}, range: {{start: 2017-06-01, end: 2018-06-01}}}}\n\
         features: [{{log_return: {{lags: [1, 2, 4, 24]}}}}, {{rsi: {{period: 14}}}}]\n\
         target: {{forward_return: {{horizons_bars: [4]}}}}\n\
         split: {{walk_forward: {{folds: 4, train_bars: 4000, validation_bars: 800, test_bars: 800, embargo_bars: 4}}}}\n\
         models: {{ridge: {{linear: {{window: 4, penalty: 100.0}}}}}}\n\
         strategies:\n  ridge_signal: {{model_signal: {{model: ridge, threshold_bps: 30}}}}\n  hold: {{buy_and_hold: {{}}}}\n\
         backtest: {{costs: [{{proportional: {{fee_bps: 10}}}}]}}\n",
        path.display()
    );
    scratch.write("crypto.yaml", &yaml);
    let document = scratch.candlewick(&["run", "crypto.yaml", "--json"]).exits(0).json();
    let ic = document["models"][0]["metrics"]["ic"].as_f64().unwrap();
    assert!(ic.abs() < 0.1, "an IC of {ic} on real prices means leakage");
    assert!(document["verdict"]["conclusion"].is_string());
}
