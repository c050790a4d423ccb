//! Made markets, and the reference data beside the project.

use candlewick::seed::Seed;
use candlewick::table::{BarColumns, Bars, SymbolBars};
use candlewick::units::Time;
use std::path::{Path, PathBuf};

pub(crate) const HOUR: i64 = 3_600_000_000_000;

/// A file of the reference data beside the project, or a printed skip. Where `CANDLEWICK_REQUIRE_SHARED` is set, a missing
/// file fails the test instead, so that a machine that has the data never skips unseen.
pub(crate) fn shared(file: &str) -> Option<PathBuf> {
    let folder =
        std::env::var_os("CANDLEWICK_SHARED").map_or_else(|| PathBuf::from("../shared"), PathBuf::from);
    present(&folder.join(file), std::env::var_os("CANDLEWICK_REQUIRE_SHARED").is_some())
}

fn present(path: &Path, required: bool) -> Option<PathBuf> {
    if let Ok(path) = path.canonicalize() {
        return Some(path);
    }
    let missing = format!("{} is not there; name its folder with CANDLEWICK_SHARED", path.display());
    assert!(!required, "{missing}");
    println!("SKIPPED: {missing}");
    None
}

#[test]
#[should_panic(expected = "is not there")]
fn a_missing_file_that_is_required_is_a_failure() {
    present(Path::new("no/such/file"), true);
}

/// The f64 columns of a Parquet file.
pub(crate) fn columns(path: &Path, names: &[&str]) -> Vec<Vec<f64>> {
    use arrow::array::AsArray;
    let file = std::fs::File::open(path).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let mut columns = vec![Vec::new(); names.len()];
    for batch in reader.build().unwrap() {
        let batch = batch.unwrap();
        for (column, name) in columns.iter_mut().zip(names) {
            let array = batch.column_by_name(name).unwrap().as_primitive::<arrow::datatypes::Float64Type>();
            column.extend(array.values().iter().copied());
        }
    }
    columns
}

/// Bars whose open and close are given; high and low just hold both.
pub(crate) fn symbol(name: &str, times: Vec<i64>, open: Vec<f64>, close: Vec<f64>) -> SymbolBars {
    let high = open.iter().zip(&close).map(|(a, b)| a.max(*b)).collect();
    let low = open.iter().zip(&close).map(|(a, b)| a.min(*b)).collect();
    let volume = vec![1.0; open.len()];
    let time = times.into_iter().map(Time).collect();
    SymbolBars::new(name, BarColumns { time, open, high, low, close, volume }).unwrap()
}

/// A random walk with gaps between close and open, and missing bars.
pub(crate) fn random_symbol(name: &str, rows: usize, seed: u64, missing: f64) -> SymbolBars {
    let mut stream = Seed(seed).stream(name, 0);
    let (mut times, mut open, mut close) = (Vec::new(), Vec::new(), Vec::new());
    let mut price = 100.0;
    for row in 0..rows {
        let first = price * (0.002 * stream.normal()).exp();
        price = first * (0.01 * stream.normal()).exp();
        if row == 0 || stream.uniform() >= missing {
            times.push(row as i64 * HOUR);
            open.push(first);
            close.push(price);
        }
    }
    symbol(name, times, open, close)
}

pub(crate) fn random_bars(rows: usize, seed: u64) -> Bars {
    let names = ["ALPHA", "BETA", "GAMMA"];
    let symbols = names.iter().enumerate().map(|(i, name)| random_symbol(name, rows, seed, 0.1 * i as f64));
    Bars::new(symbols.collect()).unwrap()
}

/// As [`random_symbol`], with highs and lows beyond open and close.
pub(crate) fn wide_symbol(name: &str, rows: usize, seed: u64, missing: f64) -> SymbolBars {
    let narrow = random_symbol(name, rows, seed, missing);
    let mut stream = Seed(seed).stream(name, 1);
    let mut reach = |prices: &[f64], sign: f64| {
        prices.iter().map(|price| price * (sign * 0.01 * stream.normal().abs()).exp()).collect()
    };
    let (high, low) = (reach(narrow.high(), 1.0), reach(narrow.low(), -1.0));
    let columns = BarColumns {
        time: narrow.time().to_vec(),
        open: narrow.open().to_vec(),
        high,
        low,
        close: narrow.close().to_vec(),
        volume: narrow.volume().to_vec(),
    };
    SymbolBars::new(name, columns).unwrap()
}

pub(crate) fn wide_bars(rows: usize, seed: u64) -> Bars {
    let names = ["ALPHA", "BETA", "GAMMA"];
    let symbols = names.iter().enumerate().map(|(i, name)| wide_symbol(name, rows, seed, 0.1 * i as f64));
    Bars::new(symbols.collect()).unwrap()
}
