//! No look-ahead, end to end: what a run decides before a moment does not change with what the market does after it.

use crate::markets::HOUR;
use crate::program::{SMALL, Scratch, weights};
use candlewick::data::{DataConfig, load, write_bars};
use candlewick::rundir::TableFile;
use candlewick::seed::Seed;
use candlewick::table::{BarColumns, Bars, SymbolBars};
use candlewick::units::Time;
use std::path::Path;

const BARS: usize = 1600;
/// Bars before which fold 0 has ended: the second test part is the last 250.
const FOLD_END: usize = BARS - 250;

/// Random books stay out: they are matched to the chosen book over all test bars, being a yardstick and no strategy.
fn experiment(sizing: &str) -> String {
    let small = SMALL
        .replace(
            "  transformer: {transformer: {window: 12, width: 16, heads: 2, layers: 1, dropout: 0.1}}\n",
            "",
        )
        .replace("  transformer_signal: {model_signal: {model: transformer}}\n", "")
        .replace("  random: {random_entry: {books: 20}}\n", "");
    assert!(!small.contains("transformer") && !small.contains("random"));
    format!("{small}  sizing: {sizing}\n")
}

const SIZINGS: [&str; 2] =
    ["{all_in: {}}", "{volatility_target: {annual: 0.3, lookback_bars: 50, max_leverage: 2.0}}"];

/// The bars with noise of another size and level from this step on.
fn poisoned(bars: &Bars, from: usize) -> Bars {
    let start = bars.timeline().times()[from];
    let mut stream = Seed(99).stream("poison", 0);
    let symbols = bars.symbols().iter().map(|symbol| {
        let mut columns = BarColumns {
            time: symbol.time().to_vec(),
            open: symbol.open().to_vec(),
            high: symbol.high().to_vec(),
            low: symbol.low().to_vec(),
            close: symbol.close().to_vec(),
            volume: symbol.volume().to_vec(),
        };
        let first = symbol.time().partition_point(|time| *time < start);
        for row in first..symbol.len() {
            let mut price = || 500.0 * (0.1 * stream.normal()).exp();
            let (open, close) = (price(), price());
            columns.open[row] = open;
            columns.close[row] = close;
            columns.high[row] = open.max(close) * (1.0 + 0.05 * stream.uniform());
            columns.low[row] = open.min(close) * (1.0 - 0.05 * stream.uniform());
            columns.volume[row] = 1e6 * stream.uniform();
        }
        SymbolBars::new(symbol.symbol(), columns).unwrap()
    });
    Bars::new(symbols.collect()).unwrap()
}

fn original() -> Bars {
    let scratch = Scratch::new();
    let market = scratch.market(BARS, 0.1);
    load(&DataConfig::of(market.display().to_string())).unwrap().bars
}

/// What was known and decided before a moment, each part a list of lines of names and bits.
#[derive(PartialEq)]
struct Before {
    predictions: Vec<String>,
    best_model: String,
    weights: Vec<(String, Vec<u8>)>,
    positions: Vec<String>,
    fills: Vec<String>,
}

/// The rows of a table that lie before a moment and, where there are folds, in fold 0.
fn rows(run: &Path, table: &str, names: &[&str], numbers: &[&str], end: Time) -> Vec<String> {
    let table = TableFile::read(&run.join(format!("{table}.parquet"))).unwrap();
    let times = table.time("timestamp").unwrap();
    let fold = |row: usize| table.integer("fold").is_none_or(|folds| folds[row] == 0);
    let line = |row: usize| {
        let names = names.iter().map(|name| table.text(name).unwrap()[row].to_string());
        let numbers = numbers.iter().map(|name| format!("{:x}", table.float(name).unwrap()[row].to_bits()));
        let words: Vec<String> = names.chain([times[row].to_string()]).chain(numbers).collect();
        words.join(" ")
    };
    (0..times.len()).filter(|row| times[*row] < end && fold(*row)).map(line).collect()
}

fn run(bars: &Bars, yaml: &str, end: Time) -> Before {
    let scratch = Scratch::new();
    write_bars(bars, &scratch.path("market.parquet")).unwrap();
    scratch.write("small.yaml", yaml);
    let done = scratch.candlewick(&["run", "small.yaml", "--json", "--no-report", "--threads", "2"]).exits(0);
    let run = scratch.runs()[0].clone();
    let fold = run.join("models/fold-0");
    let bytes = |file: std::path::PathBuf| {
        (file.strip_prefix(&fold).unwrap().display().to_string(), std::fs::read(&file).unwrap())
    };
    let before = Before {
        predictions: rows(&run, "predictions", &["model", "symbol"], &["prediction"], end),
        best_model: done.json()["verdict"]["best_model"].as_str().unwrap().to_owned(),
        weights: weights(&fold).into_iter().map(bytes).collect(),
        positions: rows(&run, "positions", &["strategy", "symbol"], &["target"], end),
        fills: rows(&run, "fills", &["strategy", "symbol", "side"], &["quantity", "price", "fee"], end),
    };
    // Fold 0 has 250 test bars of two symbols, forecast by three models; something was traded and something learned.
    assert_eq!(before.predictions.len(), 3 * 2 * 250);
    assert!(before.weights.iter().any(|(name, _)| name.starts_with("lstm")), "no weights");
    assert!(before.positions.len() > 100 && before.fills.len() > 100, "hardly anything was traded");
    before
}

#[track_caller]
fn assert_unchanged(found: &Before, expected: &Before, what: &str) {
    assert!(found.predictions == expected.predictions, "{what}: predictions know the future");
    assert_eq!(found.best_model, expected.best_model, "{what}: the choice knows the future");
    assert!(found.weights == expected.weights, "{what}: training knows the future");
    let unequal = |one: &[String], two: &[String]| {
        let lines = one.iter().zip(two).find(|(one, two)| one != two);
        format!("{} and {} rows, first unlike: {lines:?}", one.len(), two.len())
    };
    let positions = unequal(&found.positions, &expected.positions);
    assert!(found.positions == expected.positions, "{what}: positions know the future; {positions}");
    let fills = unequal(&found.fills, &expected.fills);
    assert!(found.fills == expected.fills, "{what}: fills know the future; {fills}");
}

#[test]
fn nothing_before_the_end_of_a_fold_changes_with_the_market_after_it() {
    let bars = original();
    let end = bars.timeline().times()[FOLD_END];
    let noise = poisoned(&bars, FOLD_END);
    // The same fold 0, in a world that ends with it.
    let cut = bars.known_at(FOLD_END - 1).unwrap();
    assert_eq!(cut.timeline().times().last().unwrap().0 + HOUR, end.0);
    for sizing in SIZINGS {
        let yaml = experiment(sizing);
        let expected = run(&bars, &yaml, end);
        assert_unchanged(&run(&noise, &yaml, end), &expected, &format!("noise, {sizing}"));
        let shorter = yaml.replace("folds: 2", "folds: 1");
        assert_unchanged(&run(&cut, &shorter, end), &expected, &format!("cut, {sizing}"));
    }
}

/// The proof above can fail: what lies before the end is heard.
#[test]
fn the_market_before_the_end_of_a_fold_changes_what_is_learned_and_traded() {
    let bars = original();
    let end = bars.timeline().times()[FOLD_END];
    let yaml = experiment(SIZINGS[0]);
    let expected = run(&bars, &yaml, end);
    // Fold 0 trains on the steps 200 to 900, validates up to 1100 and tests up to 1350.
    let learned = run(&poisoned(&bars, 850), &yaml, end);
    assert!(learned.predictions != expected.predictions);
    assert!(learned.weights != expected.weights);
    assert!(learned.positions != expected.positions);
    assert!(learned.fills != expected.fills);
    // A single poisoned bar before the end changes the last forecasts and no weight.
    let seen = run(&poisoned(&bars, FOLD_END - 1), &yaml, end);
    assert!(seen.predictions != expected.predictions);
    assert!(seen.weights == expected.weights);
}
