//! Depth of order books: sums against a naive recomputation on real books, and every defect told with its place.

use crate::bad_input::{Columns, floats, with, write};
use crate::markets::shared;
use crate::program::{Done, Scratch};
use arrow::array::*;
use arrow::datatypes::{DataType, Int64Type};
use candlewick::rundir::TableFile;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

const SECOND: i64 = 1_000_000_000;

/// All columns of a Parquet file as numbers, times in nanoseconds; the naive reader.
fn numbers(path: &Path) -> BTreeMap<String, Vec<f64>> {
    let file = std::fs::File::open(path).unwrap();
    let reader = parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let mut columns: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for batch in reader.build().unwrap() {
        let batch = batch.unwrap();
        for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
            let column = columns.entry(field.name().clone()).or_default();
            match field.data_type() {
                DataType::Float64 => {
                    column.extend(array.as_primitive::<arrow::datatypes::Float64Type>().values())
                }
                DataType::Timestamp(..) => {
                    let counts = arrow::compute::cast(array, &DataType::Int64).unwrap();
                    column.extend(
                        counts.as_primitive::<Int64Type>().values().iter().map(|count| *count as f64),
                    );
                }
                _ => {}
            }
        }
    }
    columns
}

/// Time of the interval (in seconds), mid price, volumes, each interval's last snapshot, as the definition says.
fn naive(path: &Path, within: f64, every: f64) -> Vec<[f64; 4]> {
    let columns = numbers(path);
    let at = |name: String, row: usize| columns[&name][row];
    let mut rows: BTreeMap<i64, [f64; 4]> = BTreeMap::new();
    for (row, time) in columns["timestamp"].iter().enumerate() {
        let start = (time / 1e6 / every).floor() * every;
        let (bid, ask) = (at("bid_px_1".into(), row), at("ask_px_1".into(), row));
        if bid >= ask {
            continue;
        }
        let mid = (bid + ask) / 2.0;
        let volume = |side: &str| -> f64 {
            (1..=20)
                .filter(|level| (at(format!("{side}_px_{level}"), row) - mid).abs() <= mid * within)
                .map(|level| at(format!("{side}_qty_{level}"), row))
                .sum()
        };
        rows.insert(start as i64, [start, mid, volume("bid"), volume("ask")]);
    }
    rows.into_values().collect()
}

#[test]
fn real_books_are_summed_as_the_definition_says() {
    for (file, snapshots, minutes) in
        [("lob_btcusd_bitstamp.parquet", 18_062, 302), ("lob_btcusdt_spot.parquet", 6_502, 12)]
    {
        let Some(path) = shared(&format!("datasets/{file}")) else { continue };
        // A narrow band cuts levels off, a wide one takes all that there are.
        for (within, every, seconds) in [("2", "60s", 60.0), ("0.03", "1s", 1.0), ("0.5", "60s", 60.0)] {
            let scratch = Scratch::new();
            let input = path.to_string_lossy();
            let words = ["data", "depth", &*input, "--output", "depth.parquet", "--json"];
            let words: Vec<&str> =
                words.into_iter().chain(["--within-percent", within, "--every", every]).collect();
            let document = scratch.candlewick(&words).exits(0).json();
            assert_eq!(document["snapshots"], snapshots);
            let table = TableFile::read(&scratch.path("depth.parquet")).unwrap();
            let wanted = naive(&path, within.parse::<f64>().unwrap() / 100.0, seconds);
            assert_eq!(table.float("blr").unwrap().len(), wanted.len());
            if seconds == 60.0 {
                assert_eq!(wanted.len(), minutes);
            }
            for (row, [start, mid, buy, sell]) in wanted.into_iter().enumerate() {
                assert_eq!(table.time("timestamp").unwrap()[row].0, start as i64 * SECOND);
                assert_eq!(table.float("mid_price").unwrap()[row], mid);
                assert_eq!(table.float("buy_volume").unwrap()[row], buy);
                assert_eq!(table.float("sell_volume").unwrap()[row], sell);
                assert!(table.float("blr").unwrap()[row] == buy / sell || sell == 0.0);
            }
        }
    }
}

/// Books of two levels, a second apart: bid 99.9 and 99, ask 100.1 and 101, with quantities 2, 3, 4 and 1.
fn books(rows: usize) -> Columns {
    let times = (0..rows as i64).map(|row| row * SECOND);
    let column = |value: f64| floats(&vec![value; rows]);
    vec![
        ("timestamp", Arc::new(TimestampNanosecondArray::from_iter_values(times).with_timezone("UTC"))),
        ("bid_px_1", column(99.9)),
        ("bid_qty_1", column(2.0)),
        ("ask_px_1", column(100.1)),
        ("ask_qty_1", column(4.0)),
        ("bid_px_2", column(99.0)),
        ("bid_qty_2", column(3.0)),
        ("ask_px_2", column(101.0)),
        ("ask_qty_2", column(1.0)),
    ]
}

/// The same with other values of one column from some row on.
fn changed(mut columns: Columns, name: &str, from: usize, count: usize, value: Option<f64>) -> Columns {
    let column = columns.iter_mut().find(|(other, _)| *other == name).unwrap();
    let old = column.1.as_primitive::<arrow::datatypes::Float64Type>().clone();
    let new = |row: usize| {
        if (from..from + count).contains(&row) { value } else { old.is_valid(row).then(|| old.value(row)) }
    };
    column.1 = Arc::new((0..old.len()).map(new).collect::<Float64Array>());
    columns
}

fn ingest(scratch: &Scratch, columns: Columns, options: &[&str]) -> Done {
    write(&scratch.path("BTC.parquet"), columns);
    let words = ["data", "depth", "BTC.parquet", "--output", "depth.parquet", "--force"];
    scratch.candlewick(&words.iter().chain(options).copied().collect::<Vec<_>>())
}

#[test]
fn an_interval_has_the_state_at_its_end_and_the_time_of_its_start() {
    let scratch = Scratch::new();
    let mut columns = changed(books(60), "bid_qty_1", 9, 1, Some(7.0));
    columns = changed(columns, "bid_qty_1", 59, 1, Some(9.0));
    // Seconds 20 to 39 are not there.
    let keep: Vec<u32> = (0..60).filter(|row| !(20..40).contains(row)).collect();
    let keep = UInt32Array::from(keep);
    for column in &mut columns {
        column.1 = arrow::compute::take(&column.1, &keep, None).unwrap();
    }
    let document = ingest(&scratch, columns, &["--every", "10s", "--json"]).exits(0).json();
    assert_eq!(document["rows"], 4);
    assert_eq!(document["missing_intervals"], 2);
    assert_eq!(document["symbols"][0], "BTC");
    let table = TableFile::read(&scratch.path("depth.parquet")).unwrap();
    let seconds: Vec<i64> = table.time("timestamp").unwrap().iter().map(|time| time.0 / SECOND).collect();
    assert_eq!(seconds, [0, 10, 40, 50]);
    assert_eq!(table.float("buy_volume").unwrap(), [10.0, 5.0, 5.0, 12.0]);
    assert_eq!(table.float("sell_volume").unwrap(), [5.0; 4]);
    assert_eq!(table.float("blr").unwrap(), [2.0, 1.0, 1.0, 2.4]);
}

#[test]
fn the_band_counts_levels_and_a_shallow_book_is_told() {
    let scratch = Scratch::new();
    let document = ingest(&scratch, books(20), &["--within-percent", "0.5", "--every", "1s", "--json"]);
    let document = document.exits(0).json();
    assert_eq!(document["shallow"], 0, "the second levels lie beyond the band");
    assert_eq!(document["warnings"].as_array().unwrap().len(), 0);
    let table = TableFile::read(&scratch.path("depth.parquet")).unwrap();
    assert_eq!(table.float("buy_volume").unwrap(), [2.0; 20]);
    let text = ingest(&scratch, books(20), &["--every", "1s"]).exits(0).stdout;
    assert!(text.contains("20 snapshots out of 20") && text.contains("lower bounds"), "{text}");
    let look = ["data", "describe", "depth.parquet", "--close", "mid_price"];
    assert!(text.contains(&look.join(" ")), "{text}");
    assert!(scratch.candlewick(&look).exits(0).stdout.contains("These files load as bars"));
    let levels = scratch.candlewick(&["data", "describe", "BTC.parquet"]).exits(3);
    assert!(levels.stderr.contains("`candlewick data depth`"), "{}", levels.stderr);
    // Best levels alone are a book as well.
    let best: Columns = books(20).into_iter().take(5).collect();
    let document = ingest(&scratch, best, &["--every", "1s", "--json"]).exits(0).json();
    assert_eq!(document["shallow"], 20);
}

#[test]
fn crossed_and_empty_books_are_dropped_up_to_a_twentieth() {
    let scratch = Scratch::new();
    let columns = changed(books(100), "bid_px_1", 3, 2, Some(100.1));
    let columns = changed(changed(columns, "ask_px_1", 50, 1, None), "ask_qty_1", 50, 1, None);
    let columns = changed(changed(columns, "ask_px_2", 50, 1, None), "ask_qty_2", 50, 1, None);
    let done = ingest(&scratch, columns, &["--every", "1s", "--json"]).exits(0);
    let document = done.json();
    assert_eq!([&document["crossed"], &document["empty"], &document["rows"]], [2, 1, 97]);
    let text = document["warnings"].to_string();
    assert!(text.contains("2 snapshots dropped") && text.contains("1 snapshot dropped"), "{text}");
    let crossed = changed(books(100), "bid_px_1", 3, 6, Some(100.2));
    let text = ingest(&scratch, crossed, &[]).exits(3).stderr;
    for words in [
        "BTC.parquet, row 3",
        "100.2 is not below the best ask 100.1",
        "6 such snapshots out of 100",
        "exchanged",
    ] {
        assert!(text.contains(words), "{words}: {text}");
    }
}

#[test]
fn levels_that_make_no_sense_are_refused_where_they_stand() {
    let scratch = Scratch::new();
    let cases: [(&str, Option<f64>, &str); 7] = [
        ("bid_px_2", Some(99.95), "the price 99.95 follows 99.9"),
        ("ask_px_2", Some(100.1), "the price 100.1 follows 100.1"),
        ("ask_qty_2", Some(0.0), "the quantity is 0"),
        ("bid_qty_1", Some(-2.0), "the quantity is -2"),
        ("bid_qty_1", Some(f64::INFINITY), "the quantity is inf"),
        ("ask_qty_1", None, "the quantity is NaN"),
        ("bid_px_2", Some(f64::NAN), "the price is NaN"),
    ];
    for (column, value, words) in cases {
        let text = ingest(&scratch, changed(books(40), column, 17, 1, value), &[]).exits(3).stderr;
        let place = format!("BTC.parquet, row 17, column `{column}`");
        assert!(text.contains(&place) && text.contains(words), "{words}: {text}");
    }
    let hole = changed(changed(books(40), "bid_px_1", 17, 1, None), "bid_qty_1", 17, 1, None);
    let text = ingest(&scratch, hole, &[]).exits(3).stderr;
    assert!(text.contains("row 17, column `bid_px_2`") && text.contains("behind level 1"), "{text}");
    let prices = changed(changed(books(40), "bid_qty_1", 0, 40, Some(97.5)), "bid_qty_2", 0, 40, Some(2.5));
    let text = ingest(&scratch, prices, &[]).exits(3).stderr;
    assert!(text.contains("row 0, column `buy_volume`") && text.contains("the volumes are prices"), "{text}");
}

#[test]
fn files_that_are_no_books_are_refused() {
    let scratch = Scratch::new();
    let mut columns = books(10);
    columns.retain(|(name, _)| *name != "ask_qty_2");
    let text = ingest(&scratch, columns, &[]).exits(3).stderr;
    assert!(text.contains("column `ask_qty_2`") && text.contains("no such column"), "{text}");
    let mut columns = books(10);
    columns[0].1 = Arc::new((0..10_i64).map(Some).collect::<Int64Array>());
    let text = ingest(&scratch, columns, &[]).exits(3).stderr;
    assert!(text.contains("--time-unit"), "{text}");
    ingest(&scratch, books(10), &["--every", "1s"]).exits(0);
    let again = ["data", "depth", "depth.parquet", "--output", "again.parquet"];
    let text = scratch.candlewick(&again).exits(3).stderr;
    assert!(text.contains("needs no ingest"), "{text}");
    let named: Vec<Option<&str>> = vec![Some("BTC"); 10];
    let columns = with(books(10), "symbol", Arc::new(StringArray::from(named)));
    let text = ingest(&scratch, columns, &["--symbol", "ETH"]).exits(2).stderr;
    assert!(text.contains("says its symbols itself"), "{text}");
    let there = ["data", "depth", "BTC.parquet", "--output", "depth.parquet"];
    assert!(scratch.candlewick(&there).exits(3).stderr.contains("--force"));
    let band = ingest(&scratch, books(10), &["--within-percent", "0"]).exits(2).stderr;
    assert!(band.contains("within-percent"), "{band}");
}

const CSV: &str = "\
timestamp,blr,buy_volume,sell_volume,mid_price,alert_triggered
2025-10-01T00:00:10Z,1.2000,6000.00,5000.00,3000.10,false
2025-10-01T00:00:50Z,0.3000,1500.00,5000.00,3001.20,true
2025-10-01T00:01:30Z,0,1500.00,0,3001.20,false
2025-10-01T00:02:30Z,1.1000,5500.00,5000.00,3002.00,false
";

const LINES: &str = r#"{"timestamp":"2025-10-01T00:00:10Z","blr":1.2,"buyVolume":6000,"sellVolume":5000,"midPrice":3000.1,"alertTriggered":false,"orderCounts":{"raw":{"bids":10},"filtered":{"bids":4}}}
{"timestamp":"2025-10-01T00:00:50Z","blr":0.3,"buyVolume":1500,"sellVolume":5000,"midPrice":3001.2,"alertTriggered":true}
{"timestamp":"2025-10-01T00:01:30Z","blr":0,"buyVolume":1500,"sellVolume":0,"midPrice":3001.2}
{"timestamp":"2025-10-01T00:02:30Z","blr":1.1,"buyVolume":"5500.00","sellVolume":5000,"midPrice":3002}
"#;

fn ingest_text(scratch: &Scratch, name: &str, text: &str) -> Done {
    scratch.write(name, text);
    scratch.candlewick(&[
        "data",
        "depth",
        name,
        "--output",
        "depth.parquet",
        "--symbol",
        "ETHUSDC",
        "--force",
        "--json",
    ])
}

#[test]
fn a_crawlers_records_are_read_in_every_shape() {
    let scratch = Scratch::new();
    let array = format!("[{}]", LINES.trim().replace('\n', ",\n"));
    for (name, text) in [("crawl.csv", CSV), ("crawl.jsonl", LINES), ("crawl.json", &array)] {
        let document = ingest_text(&scratch, name, text).exits(0).json();
        assert_eq!([&document["rows"], &document["snapshots"], &document["null_blr"]], [3, 4, 1], "{name}");
        let table = TableFile::read(&scratch.path("depth.parquet")).unwrap();
        assert_eq!(&*table.text("symbol").unwrap()[0], "ETHUSDC");
        assert_eq!(table.float("mid_price").unwrap(), [3001.2, 3001.2, 3002.0]);
        let blr = table.float("blr").unwrap();
        assert!(
            blr[0] == 0.3 && blr[1].is_nan() && blr[2] == 1.1,
            "nothing for sale is null, not 0: {blr:?}"
        );
    }
}

#[test]
fn a_crawlers_mistakes_are_told_with_their_line() {
    let scratch = Scratch::new();
    for (wrong, right, words) in [
        (
            "0.3000,1500.00",
            "0.9000,1500.00",
            "line 3, column `blr`: 0.9, but buy_volume 1500 by sell_volume 5000 is 0.3",
        ),
        ("1500.00,5000.00", "-1.5,5000.00", "line 3, column `buy_volume`: -1.5 is negative"),
        ("3001.20,true", "0,true", "line 3, column `mid_price`: 0; expected a positive price"),
        ("3001.20,true", "NaN,true", "line 3, column `mid_price`: `NaN` is no finite number"),
        ("3001.20,true", ",true", "line 3, column `mid_price`: there is none"),
        ("2025-10-01T00:00:50Z", "soon", "line 3, column `timestamp`"),
        ("mid_price", "price", "column `mid_price`: there is no such column"),
    ] {
        assert!(CSV.contains(wrong));
        let text = ingest_text(&scratch, "crawl.csv", &CSV.replacen(wrong, right, 1)).exits(3).stderr;
        assert!(text.contains(words), "{words}: {text}");
    }
    let prices = "timestamp,blr,buy_volume,sell_volume,mid_price\n2025-10-01T00:00:10Z,0.9999,2999.80,3000.10,3000.00\n\
                  2025-10-01T00:01:10Z,0.9999,2998.80,2999.10,2999.00\n";
    let text = ingest_text(&scratch, "crawl.csv", prices).exits(3).stderr;
    assert!(
        text.contains("line 2, column `buy_volume`") && text.contains("the volumes are prices"),
        "{text}"
    );
    let text = ingest_text(&scratch, "crawl.json", "[{\"timestamp\": 1}, 2]").exits(3).stderr;
    assert!(text.contains("no JSON array of objects"), "{text}");
}

#[test]
fn bars_of_a_second_run_in_an_experiment() {
    let scratch = Scratch::new();
    let columns = books(600);
    let wave = |row: usize| 99.9 + 0.05 * (row as f64 / 7.0).sin();
    let prices: Vec<f64> = (0..600).map(wave).collect();
    let columns: Columns = columns
        .into_iter()
        .map(|(name, array)| if name == "bid_px_1" { (name, floats(&prices)) } else { (name, array) })
        .collect();
    ingest(&scratch, columns, &["--every", "1s"]).exits(0);
    scratch.write(
        "second.yaml",
        "name: second\ndata: {path: depth.parquet, columns: {close: mid_price, extra: {blr: blr}}}\n\
         features: [{log_return: {lags: [1, 2]}}]\ntarget: {drawdown_within: {horizons_bars: [10], fall_percent: 0.05}}\n\
         split: {walk_forward: {folds: 2, train_bars: 200, validation_bars: 60, test_bars: 80, embargo_bars: 10}}\n\
         models: {ridge: {linear: {window: 4, penalty: 10.0}}}\n",
    );
    let document = scratch.candlewick(&["run", "second.yaml", "--json", "--no-report"]).exits(0).json();
    assert_eq!(document["data"]["interval_seconds"], 1.0);
    assert_eq!(document["data"]["rows"], 600);
}
