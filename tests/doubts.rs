//! Doubts that a run tells about the settings beside a strategy and in a grid, and what they must not hide.

use crate::markets::wide_symbol;
use crate::program::Scratch;
use candlewick::domains::market::backtest::costs::borrow::Borrow;
use candlewick::domains::market::backtest::costs::funding::Funding;
use candlewick::domains::market::backtest::costs::gas::{Gas, GasSource};
use candlewick::domains::market::backtest::costs::proportional::Proportional;
use candlewick::domains::market::backtest::{
    BacktestConfig, CostConfig, Margin, break_even_multiple, cost_scenarios, most_optimistic, optimistic,
};
use candlewick::table::{Bars, NULL, Positions};

/// One symbol that pays who holds it three basis points a bar.
fn paying() -> (Bars, Positions) {
    let symbol = wide_symbol("ALPHA", 400, 5, 0.002);
    let rates = vec![-3e-4; symbol.len()];
    let symbol = symbol.with_extras([("funding_rate".to_owned(), rates)].into()).unwrap();
    let mut hold = vec![NULL; symbol.len()];
    hold[0] = 1.0;
    let bars = Bars::new(vec![symbol]).unwrap();
    let positions = Positions::orders(&bars, vec![hold]).unwrap();
    (bars, positions)
}

#[test]
fn doubts_dearer_costs_do_not_multiply_what_funding_pays() {
    let (bars, positions) = paying();
    let fee = CostConfig::Proportional(Proportional { fee_bps: 5.0 });
    let costs = vec![CostConfig::Funding(Funding::default()), fee];
    let config = BacktestConfig { costs, ..BacktestConfig::default() };
    let scenarios = cost_scenarios(&bars, &positions, &config, &(0..400), None);
    let returns: Vec<f64> = scenarios.iter().map(|scenario| scenario.total_return.unwrap()).collect();
    assert!(returns.windows(2).all(|pair| pair[1] < pair[0]), "{returns:?}");
    // One fill at 5, 10 or 20 basis points of the book: nothing else may differ.
    assert!((1.0 + returns[3]) / (1.0 + returns[0]) > 0.997, "{returns:?}");
    let alone = BacktestConfig { costs: config.costs[..1].to_vec(), ..BacktestConfig::default() };
    let scenarios = cost_scenarios(&bars, &positions, &alone, &(0..400), None);
    assert!(scenarios.iter().all(|scenario| scenario.total_return == scenarios[0].total_return));
    assert_eq!(break_even_multiple(&bars, &positions, &alone, &(0..400), None), None);
}

#[test]
fn doubts_gas_of_nothing_is_no_fee() {
    let told = |gas: Gas| {
        let config = BacktestConfig { costs: vec![CostConfig::Gas(gas)], ..BacktestConfig::default() };
        optimistic(&config).iter().any(|doubt| doubt.contains("has no fee"))
    };
    let constant = |cost: f64| Gas { cost: Some(GasSource::Constant(cost)), ..Gas::default() };
    assert!(told(constant(0.0)) && !told(constant(0.5)));
    assert!(told(Gas { multiple: 0.0, ..constant(0.5) }));
    assert!(!told(Gas { cost: Some(GasSource::Column("gas".into())), ..Gas::default() }));
    let units = |units: f64, price: f64| Gas {
        cost: None,
        units: Some(units),
        price: Some(GasSource::Constant(price)),
        token_price: Some(GasSource::Constant(2000.0)),
        ..Gas::default()
    };
    assert!(told(units(0.0, 30.0)) && told(units(1e5, 0.0)) && !told(units(1e5, 30.0)));
}

#[test]
fn doubts_what_is_borrowed_for_nothing_is_told() {
    let told = |max_leverage: f64, cost: CostConfig| {
        let margin = Margin { max_leverage, ..Margin::default() };
        let config = BacktestConfig { costs: vec![cost], margin, ..BacktestConfig::default() };
        optimistic(&config).iter().any(|doubt| doubt.contains("pays no interest"))
    };
    let borrow = CostConfig::Borrow(Borrow { annual_percent: 8.0 });
    assert!(told(3.0, borrow.clone()) && !told(1.0, borrow));
    assert!(!told(3.0, CostConfig::Funding(Funding::default())));
}

#[test]
fn doubts_of_a_grid_are_those_of_its_boldest_book() {
    let book = |exits: &str| {
        let exits = serde_json::from_str(exits).unwrap();
        BacktestConfig { exits, ..BacktestConfig::default() }
    };
    let told = |books: [BacktestConfig; 3]| {
        let all = most_optimistic(books.into_iter()).unwrap();
        optimistic(&all).iter().any(|doubt| doubt.contains("stop and target both"))
    };
    let stop = r#"{"stop_loss_percent": 2}"#;
    let both = r#"{"stop_loss_percent": 2, "take_profit_percent": 4}"#;
    let best = r#"{"stop_loss_percent": 2, "intrabar": "best_first"}"#;
    assert!(told([book(stop), book(both), book(best)]));
    assert!(!told([book(stop), book(both), book(stop)]) && !told([book(stop), book(stop), book(best)]));
}

const DOUBTFUL: &str = "\
name: doubtful
data: {path: market.parquet}
strategies:
  hold: {buy_and_hold: {}}
  sma:
    sma_cross: {fast: [5, 8], slow: 30, direction: long_short}
    exits: {stop_loss_percent: [null, 2], take_profit_percent: 3, intrabar: [worst_first, best_first]}
  bold: {sma_cross: {fast: 5, slow: 30}, sizing: {volatility_target: {annual: 2, max_leverage: 5, lookback_bars: 20}}}
backtest: {costs: [{proportional: {fee_bps: 5}}, {slippage: {bps: 1}}]}
";

#[test]
fn doubts_of_settings_beside_a_strategy_are_told_with_its_name() {
    let scratch = Scratch::new();
    scratch.market(1200, 0.1);
    scratch.write("doubtful.yaml", DOUBTFUL);
    let run = scratch.candlewick(&["backtest", "doubtful.yaml", "--json", "--no-report"]).exits(0).json();
    let warnings: Vec<&str> =
        run["warnings"].as_array().unwrap().iter().map(|warning| warning.as_str().unwrap()).collect();
    let told = |start: &str, words: &str| {
        warnings.iter().filter(|text| text.starts_with(start) && text.contains(words)).count()
    };
    assert_eq!(told("sma: ", "stop and target both"), 1, "{warnings:?}");
    assert_eq!(told("bold: ", "5 times its equity and pays no interest"), 1, "{warnings:?}");
    assert_eq!(told("sma[", "a short that doubles within a bar"), 1, "{warnings:?}");
    assert_eq!(told("hold", ""), 0, "{warnings:?}");
    // The proof ran the fills of these settings: more books than strategies and one of random orders.
    let checks = run["audit"]["checks"].as_array().unwrap();
    let fills = checks.iter().find(|check| check["part"] == "fills").unwrap();
    assert_eq!(fills["passed"], true, "{fills}");
    let finding = fills["finding"].as_str().unwrap();
    assert!(
        finding.contains("of 9 books"),
        "four strategies, random orders under four settings and all: {finding}"
    );
}

#[test]
fn doubts_of_a_symbol_that_is_not_there_come_with_the_check() {
    let scratch = Scratch::new();
    scratch.market(300, 0.1);
    let check = |strategy: &str| {
        let costs = "backtest: {costs: [{proportional: {fee_bps: 5}}]}";
        let text =
            format!("name: x\ndata: {{path: market.parquet}}\nstrategies: {{s: {strategy}}}\n{costs}\n");
        scratch.write("x.yaml", &text);
        scratch.candlewick(&["check", "x.yaml"])
    };
    for strategy in ["{portfolio: {weights: {NOBODY: 0.5}}}", "{pairs: {first: NOBODY}}"] {
        let done = check(strategy);
        assert_ne!(done.code, 0);
        assert!(done.stderr.contains("there is no symbol NOBODY"), "{}", done.stderr);
    }
    assert_eq!(check("{pairs: {}}").code, 0);
}

#[test]
fn doubts_of_an_import_name_the_columns_that_it_leaves_out() {
    let scratch = Scratch::new();
    let text = "timestamp,open,high,low,close,volume,trades,funding_rate,note\n\
                2021-01-01,1,2,1,1,5,7,0.0001,a\n2021-01-02,1,2,1,1,5,8,,b\n";
    scratch.write("x.csv", text);
    let import = |more: &[&str]| {
        let arguments = [&["data", "import", "x.csv", "--output", "x.parquet", "--force", "--json"], more];
        scratch.candlewick(&arguments.concat())
    };
    let warnings = |more: &[&str]| import(more).exits(0).json()["warnings"].to_string();
    let told = warnings(&[]);
    assert!(told.contains("left out: trades, funding_rate, note"), "{told}");
    let told = warnings(&["--keep", "trades", "--keep", "funding_rate"]);
    assert!(told.contains("left out: note"), "{told}");
    let table = candlewick::rundir::TableFile::read(&scratch.path("x.parquet")).unwrap();
    let shown = |name: &str| format!("{:?}", table.float(name).unwrap());
    assert_eq!((shown("trades"), shown("funding_rate")), ("[7.0, 8.0]".into(), "[0.0001, NaN]".into()));
    let refused = import(&["--keep", "note"]);
    assert!(refused.code != 0 && refused.stderr.contains("`a` is no number"), "{}", refused.stderr);
    for (column, words) in [("volume", "is a part of a bar"), ("nothing", "there is no such column")] {
        let refused = import(&["--keep", column]);
        assert!(refused.code != 0 && refused.stderr.contains(words), "{}", refused.stderr);
    }
}
