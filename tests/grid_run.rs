//! Grids through the program: every book of a grid is the book that the same parameters give alone.

use super::program::Scratch;
use candlewick::rundir::TableFile;
use candlewick::table::Bars;
use candlewick::units::Time;
use std::path::Path;

/// One symbol with a funding rate every eight bars.
fn market(scratch: &Scratch) {
    let symbol = super::markets::wide_symbol("ALPHA", 3000, 5, 0.02);
    let rates = (0..symbol.len()).map(|row| if row % 8 == 7 { 1e-4 * (row % 5) as f64 - 2e-4 } else { 0.0 });
    let symbol = symbol.with_extras([("funding_rate".to_owned(), rates.collect())].into()).unwrap();
    let bars = Bars::new(vec![symbol]).unwrap();
    assert!(bars.timeline().times()[0] < Time(i64::MAX));
    candlewick::data::write_bars(&bars, &scratch.path("market.parquet")).unwrap();
}

const COSTS: &str = "[{proportional: {fee_bps: 5}}, {slippage: {bps: 2}}, {borrow: {annual_percent: 8}}, \
                     {funding: {column: funding_rate}}]";

fn experiment(strategies: &str, backtest: &str) -> String {
    format!(
        "name: grid\ndata:\n  path: market.parquet\n  columns: {{extra: {{funding_rate: funding_rate}}}}\n\
         strategies:\n{strategies}backtest: {{{backtest}}}\n"
    )
}

fn run(scratch: &Scratch, yaml: &str, more: &[&str]) -> (serde_json::Value, std::path::PathBuf) {
    scratch.write("grid.yaml", yaml);
    let arguments = [&["backtest", "grid.yaml", "--json", "--no-report", "--no-audit"], more].concat();
    let done = scratch.candlewick(&arguments).exits(0).json();
    let folder = scratch.path(done["run_dir"].as_str().unwrap());
    (done, folder)
}

fn books(run: &Path) -> TableFile {
    TableFile::read(&run.join("books.parquet")).unwrap()
}

const FORMS: [(&str, &str, &str); 5] = [
    ("sma_cross", "fast: [2, 5, 9..11], slow: [12, 30, 75], direction: long_short", ""),
    ("sma_cross", "fast: [3, 6], slow: [20, 40]", ", exits: {stop_loss_percent: [1, 3], max_bars: [10, 40]}"),
    (
        "rsi_reversion",
        "period: [7, 14]",
        ", exits: {trailing_stop_percent: [2], take_profit_percent: [null, 4]}",
    ),
    ("donchian_breakout", "entry: [20, 40]", ", sizing: {fraction: {of_equity: [0.3, 0.8]}}"),
    ("macd", "fast: [6, 12]", ", sizing: {volatility_target: {annual: [0.2, 0.4], lookback_bars: 50}}"),
];

/// Every combination alone, under the names of the grid's books.
fn alone(run: &Path, name: &str) -> Vec<(usize, String)> {
    let resolved = std::fs::read_to_string(run.join("resolved.yaml")).unwrap();
    let written: serde_json::Value = serde_saphyr::from_str(&resolved).unwrap();
    let entry = written["strategies"][name].as_object().unwrap().clone();
    let entry = candlewick::domains::market::strategies::StrategyEntry::new(entry).unwrap();
    let one = |book: usize| {
        let config = entry.config(book);
        let mut parts = serde_json::to_value(&config.strategy).unwrap();
        for (key, value) in [
            ("exits", config.exits.map(|exits| serde_json::to_value(exits).unwrap())),
            ("sizing", config.sizing.map(|sizing| serde_json::to_value(sizing).unwrap())),
        ] {
            if let Some(value) = value {
                parts[key] = value;
            }
        }
        (book, parts.to_string())
    };
    (0..entry.len()).map(one).collect()
}

#[test]
fn every_book_of_a_grid_is_the_book_that_its_parameters_give_alone() {
    for fill in ["next_open", "same_close"] {
        for (kind, parameters, beside) in FORMS {
            let scratch = Scratch::new();
            market(&scratch);
            let backtest = format!("fill: {fill}, costs: {COSTS}");
            let grid = format!("  sweep: {{{kind}: {{{parameters}}}{beside}}}\n");
            let (summary, folder) = run(&scratch, &experiment(&grid, &backtest), &[]);
            let table = books(&folder);
            let engine = if kind == "macd" { "ledger" } else { "batch" };
            assert_eq!(summary["grids"][0]["engine"], engine, "{kind}");
            let books = alone(&folder, "sweep");
            assert_eq!(table.float("sharpe").unwrap().len(), books.len());
            assert!(books.len() >= 4, "{kind} {parameters}");
            let singles: String = books.iter().map(|(book, parts)| format!("  b{book}: {parts}\n")).collect();
            let (single, _) = run(&scratch, &experiment(&singles, &backtest), &[]);
            for (book, parts) in &books {
                let metrics = &single["strategies"][*book]["metrics"];
                let what = format!("{kind}, {fill}: {parts}");
                for name in ["total_return", "max_drawdown", "fees", "slippage_cost"] {
                    let found = table.float(name).unwrap()[*book];
                    let expected = metrics[name].as_f64().unwrap();
                    let exact = !name.ends_with("cost") && name != "fees";
                    assert!(
                        if exact { found == expected } else { (found - expected).abs() <= 1e-9 * expected },
                        "{what}: {name} {found} and {expected}"
                    );
                }
                for name in ["trades", "fills"] {
                    let found = table.integer(name).unwrap()[*book];
                    assert_eq!(found as u64, metrics[name].as_u64().unwrap(), "{what}: {name}");
                }
                let (found, expected) =
                    (table.float("sharpe").unwrap()[*book], metrics["sharpe"].as_f64().unwrap());
                assert!(
                    (found - expected).abs() <= 1e-9 * expected.abs().max(1.0),
                    "{what}: {found} {expected}"
                );
            }
        }
    }
}

#[test]
fn the_batch_and_the_ledger_give_the_same_money() {
    let scratch = Scratch::new();
    market(&scratch);
    let grid = "  sweep: {sma_cross: {fast: 2..12, slow: [15..60 by 5], direction: [long_only, long_short]}, \
                exits: {stop_loss_percent: [null, 2]}}\n";
    let (_, batch) = run(&scratch, &experiment(grid, &format!("costs: {COSTS}")), &[]);
    // A fee of nothing each fill is no cost in proportion: the ledger takes over.
    let costs = COSTS.replacen('[', "[{fixed: {fee: 0}}, ", 1);
    let (summary, ledger) = run(&scratch, &experiment(grid, &format!("costs: {costs}")), &[]);
    assert_eq!(summary["grids"][0]["engine"], "ledger");
    assert_eq!(summary["grids"][0]["books"], 440);
    let (batch, ledger) = (books(&batch), books(&ledger));
    for name in ["final_equity", "total_return", "max_drawdown", "exposure"] {
        assert_eq!(batch.float(name).unwrap(), ledger.float(name).unwrap(), "{name}");
    }
    for name in ["trades", "fills"] {
        assert_eq!(batch.integer(name).unwrap(), ledger.integer(name).unwrap(), "{name}");
    }
}

#[test]
fn threads_change_no_bit_of_a_grid_and_trials_add_up_over_runs() {
    let scratch = Scratch::new();
    market(&scratch);
    let grid = "  hold: {buy_and_hold: {}}\n  sweep: {sma_cross: {fast: 2..9, slow: [15..60 by 5]}}\n";
    let yaml = experiment(grid, &format!("costs: {COSTS}"));
    let (first, one) = run(&scratch, &yaml, &["--threads", "1"]);
    let (again, five) = run(&scratch, &yaml, &["--threads", "5"]);
    assert_eq!(
        std::fs::read(one.join("books.parquet")).unwrap(),
        std::fs::read(five.join("books.parquet")).unwrap()
    );
    assert_eq!(first["grids"], again["grids"], "the same plan counts once");
    assert_eq!(first["grids"][0]["selection"]["trials"], 81);
    let other =
        experiment("  more: {ema_cross: {fast: [3, 4], slow: [20, 30]}}\n", &format!("costs: {COSTS}"));
    let (more, _) = run(&scratch, &other, &[]);
    assert_eq!(more["grids"][0]["selection"]["trials"], 85);
    // A small grid after a large one does not wipe out what was tried: the bar stays where the many put it.
    let luck = |run: &serde_json::Value| run["grids"][0]["selection"]["luck_sharpe"].as_f64().unwrap();
    assert!(luck(&more) > 0.9 * luck(&first), "{} after {}", luck(&more), luck(&first));
    let shorter = other.replacen("data:\n", "data:\n  range: {start: 1970-01-02}\n", 1);
    let (shorter, _) = run(&scratch, &shorter, &[]);
    assert_eq!(shorter["grids"][0]["selection"]["trials"], 89, "a bar less is not another market");
    // The best of the grid is shown with its whole curve, and is the best.
    let best = first["grids"][0]["best"].as_str().unwrap();
    let shown = first["strategies"].as_array().unwrap().iter().find(|row| row["name"] == best).unwrap();
    let sharpes = books(&one).float("sharpe").unwrap().to_vec();
    let highest = sharpes.iter().copied().fold(f64::MIN, f64::max);
    assert!((shown["metrics"]["sharpe"].as_f64().unwrap() - highest).abs() < 1e-9);
    assert_eq!(shown["grid"], "sweep");
    let curve = TableFile::read(&one.join("equity.parquet")).unwrap();
    assert!(curve.text("strategy").unwrap().iter().any(|name| name.as_ref() == best));
}

#[test]
fn a_grid_with_a_book_a_symbol_has_a_best_book_for_each() {
    let scratch = Scratch::new();
    scratch.market(900, 0.1);
    let yaml = "name: grid\ndata: {path: market.parquet}\nstrategies:\n  sweep: {sma_cross: {fast: [2, 5], slow: [12, 30]}}\n\
                backtest: {books: per_symbol, costs: [{proportional: {fee_bps: 5}}]}\n";
    let (summary, folder) = run(&scratch, yaml, &[]);
    let grids: Vec<&str> =
        summary["grids"].as_array().unwrap().iter().map(|grid| grid["name"].as_str().unwrap()).collect();
    let symbols = summary["data"]["symbols"].as_array().unwrap();
    assert_eq!(grids.len(), symbols.len());
    for (grid, symbol) in summary["grids"].as_array().unwrap().iter().zip(symbols) {
        assert_eq!(grid["name"], format!("sweep@{}", symbol.as_str().unwrap()));
        let best = grid["best"].as_str().unwrap();
        assert!(best.starts_with("sweep[") && best.ends_with(symbol.as_str().unwrap()), "{best}");
        assert!(summary["strategies"].as_array().unwrap().iter().any(|row| row["name"] == best));
    }
    assert_eq!(books(&folder).float("sharpe").unwrap().len(), 4 * symbols.len());
}
