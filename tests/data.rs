//! Loading, resampling, importing and describing what is sound.

use crate::markets::shared;
use candlewick::data::*;
use candlewick::suggest::closest;
use candlewick::table::{BarColumns, Bars, SymbolBars};
use candlewick::units::Time;

const HOUR: i64 = 3_600_000_000_000;

/// Bars whose every number is known: close = base + hour, half a unit up and one down.
fn bars(symbols: &[(&str, f64)], hours: std::ops::Range<i64>) -> Bars {
    let symbol = |(name, base): &(&str, f64)| {
        let price = |shift: f64| hours.clone().map(|hour| base + hour as f64 + shift).collect::<Vec<f64>>();
        let columns = BarColumns {
            time: hours.clone().map(|hour| Time(hour * HOUR)).collect(),
            open: price(-0.25),
            high: price(0.5),
            low: price(-1.0),
            close: price(0.0),
            volume: hours.clone().map(|hour| hour as f64).collect(),
        };
        SymbolBars::new(*name, columns).unwrap()
    };
    Bars::new(symbols.iter().map(symbol).collect()).unwrap()
}

#[test]
fn what_is_written_is_loaded() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bars.parquet");
    let written = bars(&[("AAA", 100.0), ("BBB", 50.0)], 0..100);
    write_bars(&written, &path).unwrap();
    let config = DataConfig::of(path.display().to_string());
    let loaded = load(&config).unwrap();
    assert_eq!(loaded.sha256, fingerprint(&written));
    assert_eq!((loaded.repairs.len(), loaded.warnings.len()), (0, 0));
    let turned =
        load(&DataConfig { symbols: Some(vec!["BBB".into(), "AAA".into()]), ..config.clone() }).unwrap();
    assert_eq!(turned.bars.names(), ["BBB", "AAA"]);
    assert_ne!(turned.sha256, loaded.sha256);
    let range = RangeConfig { start: Some(Time(10 * HOUR)), end: Some(Time(20 * HOUR)) };
    let part = load(&DataConfig { range, ..config }).unwrap();
    assert_eq!(
        part.sha256,
        fingerprint(&bars(&[("AAA", 100.0), ("BBB", 50.0)], 10..20)),
        "the end is not taken"
    );
}

#[test]
fn folders_and_globs_are_read_in_order() {
    let folder = tempfile::tempdir().unwrap();
    for (name, hours) in
        [("2021/a.parquet", 0..10), ("2022/a.parquet", 10..20), ("2022/deep/b.parquet", 20..30)]
    {
        write_bars(&bars(&[("AAA", 1.5)], hours), &folder.path().join(name)).unwrap();
    }
    std::fs::write(folder.path().join("notes.txt"), "not data").unwrap();
    let rows = |pattern: &str| {
        load(&DataConfig::of(folder.path().join(pattern).display().to_string()))
            .map(|loaded| loaded.bars.rows())
            .unwrap()
    };
    assert_eq!(rows(""), 30);
    assert_eq!(rows("*/a.parquet"), 20);
    assert_eq!(rows("202?/*.parquet"), 20);
    assert_eq!(rows("**/*.parquet"), 30);
    assert_eq!(rows("2022/**/*.parquet"), 20);
}

#[test]
fn files_without_symbols_are_named_after_the_file_or_as_asked() {
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("btc.csv");
    std::fs::write(&csv, "time,close\n2021-01-01T00:00Z,5\n2021-01-01T01:00Z,6\n").unwrap();
    let imported = imported(&csv, &folder.path().join("x.parquet"));
    assert_eq!(imported.symbols, ["btc"]);
    assert_eq!(imported.warnings.len(), 2, "closes only, and no volume");
}

fn imported(input: &std::path::Path, output: &std::path::Path) -> Imported {
    let options = ImportOptions {
        input: input.into(),
        output: output.into(),
        symbol: None,
        columns: Vec::new(),
        keep: Vec::new(),
        unit: None,
        time_zone: "UTC".into(),
        duplicates: Duplicates::Error,
        bad_rows: BadRows::Error,
        force: true,
    };
    import(&options).unwrap()
}

/// The same three bars in every dialect.
#[test]
fn dialects_of_text_are_the_same_bars() {
    let folder = tempfile::tempdir().unwrap();
    let dialects = [
        (
            "XY.csv",
            "timestamp,open,high,low,close,volume\n2021-01-01,1,3,1,2,10\n2021-01-02,2,3,1,2,20\n2021-01-03,2,3,1,3,30\n",
        ),
        (
            "XY.csv",
            "Date;Open;High;Low;Close;Adj Close;Volume\r\n2021/01/01;1;3;1;2;9;10\r\n2021/01/02;2;3;1;2;9;20\r\n2021/01/03;2;3;1;3;9;30\r\n",
        ),
        (
            "XY.tsv",
            "<DATE>\t<OPEN>\t<HIGH>\t<LOW>\t<CLOSE>\t<VOL>\n20210103\t2\t3\t1\t3\t30\n20210102\t2\t3\t1\t2\t20\n20210101\t1\t3\t1\t2\t10\n",
        ),
        ("XY.csv", "1609459200000,1,3,1,2,10,0\n1609545600000,2,3,1,2,20,0\n1609632000000,2,3,1,3,30,0\n"),
        (
            "x.csv",
            "\u{feff}unix,symbol,\"open\",high,low,close,volume\n1609459200,XY,1,3,1,2,10\n1609545600,XY,2,3,1,2,20\n1609632000.0,XY,2,3,1,3,30\n",
        ),
        (
            "x.jsonl",
            "{\"ts\":\"2021-01-01T01:00:00+01:00\",\"ticker\":\"XY\",\"o\":1,\"h\":3,\"l\":\"1\",\"c\":2,\"v\":10}\n\n{\"ts\":1609545600000000,\"ticker\":\"XY\",\"o\":2,\"h\":3,\"l\":1,\"c\":2,\"v\":20}\n{\"ts\":1609632000000000000,\"ticker\":\"XY\",\"o\":2,\"h\":3,\"l\":1,\"c\":3,\"v\":30}\n",
        ),
    ];
    let output = folder.path().join("out.parquet");
    let found: Vec<String> = dialects
        .iter()
        .map(|(name, text)| {
            let input = folder.path().join(name);
            std::fs::write(&input, text).unwrap();
            let imported = imported(&input, &output);
            assert_eq!((imported.rows, imported.start.as_str()), (3, "2021-01-01T00:00:00Z"), "{text}");
            assert_eq!(load(&DataConfig::of(output.display().to_string())).unwrap().sha256, imported.sha256);
            imported.sha256
        })
        .collect();
    assert!(found.iter().all(|sha256| *sha256 == found[0]), "{found:?}");
}

/// Longer bars against their definition, hour by hour.
#[test]
fn resampling_is_first_highest_lowest_last_sum() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("bars.parquet");
    write_bars(&bars(&[("AAA", 100.0)], 2..51), &path).unwrap();
    let resample = Some("4h".parse().unwrap());
    let loaded = load(&DataConfig { resample, ..DataConfig::of(path.display().to_string()) }).unwrap();
    // Hours 2 and 3, and 48 to 50, fill no bar of 4 hours.
    assert_eq!(loaded.repairs, ["2 partial bars at the edges dropped in resampling"]);
    let symbol = &loaded.bars.symbols()[0];
    assert_eq!(symbol.len(), 11);
    for (row, start) in (4..48).step_by(4).enumerate() {
        let base = 100.0 + start as f64;
        assert_eq!(symbol.time()[row], Time(start * HOUR));
        assert_eq!([symbol.open()[row], symbol.high()[row]], [base - 0.25, base + 3.5]);
        assert_eq!([symbol.low()[row], symbol.close()[row]], [base - 1.0, base + 3.0]);
        assert_eq!(symbol.volume()[row], (4 * start + 6) as f64);
    }
    assert_eq!(loaded.bars.interval(), 4 * HOUR);
}

#[test]
fn the_section_reads_and_writes_itself() {
    let text = "path: x.parquet\nrange: {start: 2020-01-01, end: 2023-12-31T12:00:00Z}\nresample: 4h\n\
                columns: {timestamp: {column: ts, unit: ms}, open: o, close: {mid: [bid, ask]}}\n\
                quality: {duplicates: keep_last, bad_rows: drop}\n";
    let config: DataConfig = serde_saphyr::from_str(text).unwrap();
    assert_eq!(config.time_zone, "UTC");
    assert_eq!(config.columns.open, Some(PriceColumn::Name("o".into())));
    assert_eq!(config.columns.close, Some(PriceColumn::Mid { mid: ["bid".into(), "ask".into()] }));
    assert_eq!(config.range.end, Some(Time::parse("2023-12-31T12:00").unwrap()));
    let again: DataConfig = serde_json::from_value(serde_json::to_value(&config).unwrap()).unwrap();
    assert_eq!(config, again);
    let plain: DataConfig = serde_saphyr::from_str("path: x\ncolumns: {timestamp: ts}\n").unwrap();
    assert_eq!(plain.columns.timestamp, Some(TimestampColumn { column: "ts".into(), unit: None }));
    for (wrong, word) in [
        ("path: x\npaht: y\n", "paht"),
        ("path: x\nrange: {start: yesterday}\n", "yesterday"),
        ("path: x\nresample: 4x\n", "4x"),
        ("path: x\ncolumns: {close: {mdi: [a, b]}}\n", "mdi"),
        ("path: x\nquality: {gaps: fill}\n", "fill"),
    ] {
        let error = serde_saphyr::from_str::<DataConfig>(wrong).unwrap_err().to_string();
        assert!(error.contains(word), "{wrong}: {error}");
    }
    let split: SplitConfig =
        serde_saphyr::from_str("walk_forward: {folds: 5, train_bars: 8, validation_bars: 1, test_bars: 2}")
            .unwrap();
    assert!(matches!(split, SplitConfig::WalkForward(WalkForward { embargo_bars: 0, anchored: false, .. })));
}

#[test]
fn near_names_are_proposed_and_far_ones_are_not() {
    let names = ["close", "volume", "timestamp"];
    let near = |wanted: &str| closest(wanted, names.iter().copied());
    assert_eq!(near("clsoe"), Some("close"));
    assert_eq!(near("Close"), Some("close"));
    assert_eq!(near("vol"), Some("volume"));
    assert_eq!(near("timestmap"), Some("timestamp"));
    assert_eq!(near("banana"), None);
    assert_eq!(closest("x", std::iter::empty()), None);
}

#[test]
fn a_description_counts_what_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("AAA.csv");
    let price = |hour: i32| 100.0 + f64::from(hour * 37 % 101) * 0.01 + if hour >= 150 { 50.0 } else { 0.0 };
    let mut text = String::from("timestamp,open,high,low,close,volume\n");
    for hour in (0..200).filter(|hour| !(50..53).contains(hour) && *hour != 120) {
        let price = price(hour);
        let volume = i32::from(hour % 10 != 0);
        text += &format!("{},{price},{price},{price},{price},{volume}\n", 1_609_459_200 + 3600 * hour);
    }
    std::fs::write(&csv, text).unwrap();
    let path = folder.path().join("AAA.parquet");
    imported(&csv, &path);
    let description = describe(&DataConfig::of(path.display().to_string()), &[]).unwrap();
    assert!(description.loads && description.problem.is_none());
    let symbol = &description.symbols[0];
    assert_eq!((symbol.rows, symbol.gaps, symbol.duplicates, symbol.bad_rows), (196, 2, 0, 0));
    assert_eq!(symbol.longest_gap.as_ref().unwrap().seconds, 4.0 * 3600.0);
    assert_eq!(symbol.longest_gap.as_ref().unwrap().after, "2021-01-03T01:00:00Z");
    assert_eq!(symbol.zero_volume, Some(18));
    assert_eq!(symbol.jumps, Some(1));
    let jump = symbol.largest_jump.as_ref().unwrap();
    assert_eq!(jump.at, "2021-01-07T06:00:00Z");
    assert!((jump.change - (price(150) / price(149) - 1.0)).abs() < 1e-12);
    assert_eq!(symbol.longest_constant_run, Some(1));
    assert_eq!(description.files[0].rows, 196);
    let table = description.table();
    assert!(
        table.contains("AAA")
            && table.contains("load as bars")
            && table.contains(&format!("{:+.2} %", 100.0 * jump.change)),
        "{table}"
    );
}

/// Real files, with the counts that their description promises.
#[test]
fn real_files_load() {
    let cases: [(&str, usize, usize, usize); 5] = [
        ("crypto_1h_panel.parquet", 103_508, 4, 3),
        ("fx_1h_panel.parquet", 345_600, 6, 0),
        ("us_closes_1990_2022.parquet", 166_260, 20, 4),
        ("us_stocks_hourly.parquet", 81_663, 2, 1),
        ("crypto_1m_btcusd.parquet", 391_314, 1, 0),
    ];
    for (name, rows, symbols, warnings) in cases {
        let Some(path) = shared(&format!("datasets/{name}")) else { continue };
        let loaded = load(&DataConfig::of(path.display().to_string())).unwrap();
        assert_eq!((loaded.bars.rows(), loaded.bars.symbols().len()), (rows, symbols), "{name}");
        assert_eq!(loaded.warnings.len(), warnings, "{name}: {:?}", loaded.warnings);
        assert!(loaded.repairs.is_empty());
    }
    if let Some(path) = shared("datasets/us_stocks_daily.parquet") {
        let mut config = DataConfig::of(path.display().to_string());
        let adjusted = Some(PriceColumn::Name("adj_close".into()));
        config.columns.close = adjusted.clone();
        config.quality.bad_rows = BadRows::Drop;
        let error = load(&config).unwrap_err().to_string();
        assert!(error.contains("of 108589 rows (8") && error.contains("adjusted differently"), "{error}");
        config.columns = ColumnsConfig {
            open: adjusted.clone(),
            high: adjusted.clone(),
            low: adjusted.clone(),
            close: adjusted,
            ..Default::default()
        };
        assert_eq!(load(&config).unwrap().bars.rows(), 108_589);
    }
    if let Some(path) = shared("datasets/fx_1h_quotes_eurusd.parquet") {
        let mut config = DataConfig::of(path.display().to_string());
        let mid = |part: &str| Some(PriceColumn::Mid { mid: [format!("bid_{part}"), format!("ask_{part}")] });
        config.columns = ColumnsConfig {
            open: mid("open"),
            high: mid("high"),
            low: mid("low"),
            close: mid("close"),
            ..Default::default()
        };
        assert_eq!(load(&config).unwrap().bars.rows(), 74_439);
    }
}

/// A bar must be known at one time: bars of different length, or that start between each other, are refused.
#[test]
fn symbols_with_other_bars_are_refused() {
    use candlewick::table::{BarColumns, Bars, SymbolBars};
    use candlewick::units::Time;
    const HOUR: i64 = 3_600_000_000_000;
    let symbol = |name: &str, step: i64, start: i64| {
        let flat = vec![1.0; 48];
        let columns = BarColumns {
            time: (0..48).map(|row| Time(start + row * step)).collect(),
            open: flat.clone(),
            high: flat.clone(),
            low: flat.clone(),
            close: flat.clone(),
            volume: flat,
        };
        SymbolBars::new(name, columns).unwrap()
    };
    let pair = |other| Bars::new(vec![symbol("ALPHA", HOUR, 0), other]);
    assert_eq!(pair(symbol("BETA", HOUR, 0)).unwrap().interval(), HOUR);
    let daily = pair(symbol("BETA", 24 * HOUR, 0)).unwrap_err().to_string();
    assert!(daily.contains("bars of 86400 s beside bars of 3600 s") && daily.contains("resample"), "{daily}");
    let staggered = pair(symbol("BETA", HOUR, HOUR / 2)).unwrap_err().to_string();
    assert!(staggered.contains("start 1800 s apart"), "{staggered}");
}
