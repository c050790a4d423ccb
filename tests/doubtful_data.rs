//! Data that could pass for sound: wrong units, splits, prices adjusted differently, samples that are too small.

use crate::bad_input::{Case, Columns, HOUR, floats, hours, says, sound, with, write};
use crate::program::Scratch;
use arrow::array::{ArrayRef, Int64Array};
use candlewick::data::*;
use candlewick::table::{BarColumns, Bars, SymbolBars};
use candlewick::units::Time;
use std::sync::Arc;

/// So many hours at a price of 10 with a low of 9 and a high of 11.
fn quiet(count: usize) -> Columns {
    let starts: Vec<i64> = (0..count as i64).collect();
    let price = |value: f64| floats(&vec![value; count]);
    vec![
        ("timestamp", hours(&starts)),
        ("open", price(10.0)),
        ("high", price(11.0)),
        ("low", price(9.0)),
        ("close", price(10.0)),
        ("volume", price(1.0)),
    ]
}

fn named(column: &str) -> Option<PriceColumn> {
    Some(PriceColumn::Name(column.into()))
}

#[test]
fn a_wrong_time_unit_is_refused_with_the_right_one() {
    let units = [TimeUnit::S, TimeUnit::Ms, TimeUnit::Us, TimeUnit::Ns];
    let said = |unit| Some(TimestampColumn { column: "timestamp".into(), unit: Some(unit) });
    for right in units {
        let counts: Vec<i64> = (0..4)
            .map(|hour| (1_600_000_000 + 3600 * hour) * (1_000_000_000 / right.nanoseconds()))
            .collect();
        let case = Case::new(with(sound(), "timestamp", Arc::new(Int64Array::from(counts.clone()))));
        for unit in units {
            let loaded = case.load_with(|config| config.columns.timestamp = said(unit));
            if unit == right {
                assert_eq!(loaded.unwrap().bars.timeline().times()[0], Time(1_600_000_000_000_000_000));
                continue;
            }
            let count = counts[0].to_string();
            let remedy = format!("unit: {}", right.name());
            says(
                loaded,
                &["column `timestamp`", &count, "outside the years 1980 to 2100", &remedy, "2020-09-13"],
            );
        }
    }
    // The date that it would be.
    let seconds: ArrayRef = Arc::new(Int64Array::from(vec![1_600_000_000, 1, 2, 3]));
    let case = Case::new(with(sound(), "timestamp", seconds));
    says(case.load_with(|config| config.columns.timestamp = said(TimeUnit::Ms)), &["is 1970-01-19"]);
    // A single count that no unit makes a time is a bad row like any other.
    let zero: ArrayRef = Arc::new(Int64Array::from(vec![0, 1_600_003_600, 1_600_007_200, 1_600_010_800]));
    let case = Case::new(with(sound(), "timestamp", zero));
    let seconds = |config: &mut DataConfig| config.columns.timestamp = said(TimeUnit::S);
    says(case.load_with(seconds), &["row 0", "is 1970-01-01", "bad_rows: drop"]);
    let dropped = case.load_with(|config| {
        seconds(config);
        config.quality.bad_rows = BadRows::Drop;
    });
    assert_eq!(dropped.unwrap().bars.rows(), 3);
}

/// Bars whose close is the product of these changes.
fn changing(name: &str, changes: &[(usize, f64)]) -> SymbolBars {
    let mut close = vec![64.0; 40];
    for (row, factor) in changes {
        close[*row..].iter_mut().for_each(|price| *price *= factor);
    }
    let columns = BarColumns {
        time: (0..40).map(|hour| Time(hour * HOUR)).collect(),
        open: close.clone(),
        high: close.clone(),
        low: close.clone(),
        volume: vec![1.0; 40],
        close,
    };
    SymbolBars::new(name, columns).unwrap()
}

fn warnings(symbols: Vec<SymbolBars>) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bars.parquet");
    write_bars(&Bars::new(symbols).unwrap(), &path).unwrap();
    load(&DataConfig::of(path.display().to_string())).unwrap().warnings
}

#[test]
fn jumps_that_look_like_splits_are_told() {
    assert!(warnings(vec![changing("A", &[(5, 0.61), (9, 1.66), (20, 0.61)])]).is_empty());
    let found = warnings(vec![
        changing("HALF", &[(5, 0.5)]),
        changing("QUIET", &[]),
        changing("WILD", &[(5, 0.5), (7, 4.0), (30, 0.3)]),
    ]);
    assert_eq!(
        found,
        [
            "HALF changes by -50.0 % in one bar at 1970-01-01T05:00:00Z: a split, or an error in the data?",
            "WILD changes by +300.0 % in one bar at 1970-01-01T07:00:00Z (the largest of 3 such changes): splits, or \
             errors in the data?"
        ]
    );
    let many = warnings((0..30).map(|number| changing(&format!("S{number:02}"), &[(3, 0.1)])).collect());
    assert_eq!(many.len(), 21);
    assert!(many[20].starts_with("10 more symbols"), "{}", many[20]);
}

#[test]
fn too_few_bars_are_told() {
    let told = |count: usize| Case::new(quiet(count)).load().unwrap().warnings;
    assert_eq!(told(1), ["1 bar: no figure of a backtest on them means anything"]);
    assert_eq!(told(29), ["29 bars: no figure of a backtest on them means anything"]);
    assert!(told(30).is_empty());
}

#[test]
fn prices_adjusted_differently_are_not_dropped_away() {
    let adjusted: Vec<f64> = (0..100).map(|row| if row < 82 { 5.0 } else { 10.0 }).collect();
    let case = Case::new(with(quiet(100), "adj_close", floats(&adjusted)));
    let close = |config: &mut DataConfig| config.columns.close = named("adj_close");
    let words = ["82 of 100 rows (82.0 %)", "adjusted differently", "all four to `adj_close`"];
    says(case.load_with(close), &words);
    let dropping = case.load_with(|config| {
        close(config);
        config.quality.bad_rows = BadRows::Drop;
    });
    says(dropping, &words);
    let closes = case.load_with(|config| {
        config.columns = ColumnsConfig {
            open: named("adj_close"),
            high: named("adj_close"),
            low: named("adj_close"),
            close: named("adj_close"),
            ..ColumnsConfig::default()
        };
    });
    let closes = closes.unwrap();
    assert_eq!(closes.bars.symbols()[0].open(), adjusted);
    assert!(closes.warnings[0].contains("closes only"), "{:?}", closes.warnings);
    assert!(closes.warnings[1].contains("+100.0 %"), "{:?}", closes.warnings);
}

#[test]
fn at_most_one_row_of_twenty_is_dropped() {
    let drop = |config: &mut DataConfig| config.quality.bad_rows = BadRows::Drop;
    let with_bad = |count: usize, low: f64| {
        let lows: Vec<f64> = (0..100).map(|row| if row < count { low } else { 9.0 }).collect();
        Case::new(with(quiet(100), "low", floats(&lows)))
    };
    assert_eq!(with_bad(5, -1.0).load_with(drop).unwrap().repairs, ["5 bad rows dropped"]);
    says(
        with_bad(6, -1.0).load_with(drop),
        &["row 0", "the first of 6 bad rows, 6.0 % of 100", "at most 5 %"],
    );
    says(with_bad(5, -1.0).load(), &["the first of 5 bad rows, 5.0 % of 100", "bad_rows: drop"]);
    let text = with_bad(6, -1.0).load().unwrap_err().to_string();
    assert!(!text.contains("bad_rows: drop"), "advice that would be refused: {text}");
    // Rows without any price lose nothing: a table that begins before a symbol was listed.
    let listed: Vec<f64> = (0..100).map(|row| if row < 50 { f64::NAN } else { 10.0 }).collect();
    let mut columns = quiet(100);
    for name in ["open", "high", "low", "close"] {
        columns = with(columns, name, floats(&listed));
    }
    let loaded = Case::new(columns).load_with(drop).unwrap();
    assert_eq!((loaded.bars.rows(), loaded.repairs.len()), (50, 1));
}

#[test]
fn describe_takes_many_files_and_says_by_its_exit_whether_they_load() {
    let scratch = Scratch::new();
    for (name, starts) in [("a.parquet", [0, 1, 2, 3]), ("b.parquet", [4, 5, 6, 7])] {
        write(&scratch.path(name), with(sound(), "timestamp", hours(&starts)));
    }
    let several = scratch.candlewick(&["data", "describe", "b.parquet", "a.parquet", "a.parquet", "--json"]);
    let document = several.exits(0).json();
    assert_eq!(document["paths"].as_array().unwrap().len(), 3);
    assert_eq!(document["files"].as_array().unwrap().len(), 2);
    assert_eq!(document["symbols"][0]["rows"], 8);
    write(
        &scratch.path("book.parquet"),
        vec![("timestamp", hours(&[0, 1])), ("bid_px", floats(&[1.0, 2.0]))],
    );
    let book = scratch.candlewick(&["data", "describe", "book.parquet"]).exits(3);
    assert!(book.stdout.contains("bid_px") && book.stdout.contains("do not load as bars"), "{}", book.stdout);
    assert!(book.stderr.contains("column `close`"), "{}", book.stderr);
    let document = scratch.candlewick(&["data", "describe", "book.parquet", "--json"]).exits(3).json();
    assert_eq!(document["loads"], false);
    assert!(document["problem"].as_str().unwrap().contains("column `close`"));
    let none = scratch.candlewick(&["data", "describe", "--json", "none.parquet"]).exits(3).json();
    assert_eq!(none["exit_code"], 3, "where there is nothing to describe, the error is the document");
    scratch.candlewick(&["data", "describe"]).exits(2);
}

#[test]
fn import_does_not_replace_a_file_unasked() {
    let scratch = Scratch::new();
    scratch.write("a.csv", "date,close\n2021/01/01,1\n");
    let import = ["data", "import", "a.csv", "--output", "a.parquet"];
    let first = scratch.candlewick(&import).exits(0);
    assert!(first.stdout.contains("1 bar of a, 2021-01-01"), "{}", first.stdout);
    let second = scratch.candlewick(&import).exits(3);
    assert!(second.stderr.contains("--force"), "{}", second.stderr);
    scratch.candlewick(&[&import[..], &["--force"]].concat()).exits(0);
}
