//! Data as people really have them: every defect is an error that says where and what to do, or a counted repair.

use crate::program::Scratch;
use arrow::array::*;
use arrow::datatypes::{DataType, Field, Int32Type, Schema, TimeUnit as ArrowUnit};
use candlewick::data::*;
use candlewick::units::Time;
use parquet::arrow::ArrowWriter;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

pub(crate) type Columns = Vec<(&'static str, ArrayRef)>;

pub(crate) const HOUR: i64 = 3_600_000_000_000;

pub(crate) fn floats(values: &[f64]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

pub(crate) fn hours(values: &[i64]) -> ArrayRef {
    Arc::new(
        TimestampNanosecondArray::from_iter_values(values.iter().map(|hour| hour * HOUR))
            .with_timezone("UTC"),
    )
}

/// Four sound hours of one symbol.
pub(crate) fn sound() -> Columns {
    vec![
        ("timestamp", hours(&[0, 1, 2, 3])),
        ("symbol", Arc::new(StringArray::from(vec!["BTC"; 4]))),
        ("open", floats(&[10.0, 11.0, 12.0, 13.0])),
        ("high", floats(&[11.5, 12.5, 13.5, 14.5])),
        ("low", floats(&[9.5, 10.5, 11.5, 12.5])),
        ("close", floats(&[11.0, 12.0, 13.0, 14.0])),
        ("volume", floats(&[1.0, 2.0, 3.0, 4.0])),
    ]
}

pub(crate) fn with(mut columns: Columns, name: &'static str, array: ArrayRef) -> Columns {
    match columns.iter_mut().find(|(other, _)| *other == name) {
        Some(column) => column.1 = array,
        None => columns.push((name, array)),
    }
    columns
}

fn without(mut columns: Columns, names: &[&str]) -> Columns {
    columns.retain(|(name, _)| !names.contains(name));
    columns
}

pub(crate) fn write(path: &Path, columns: Columns) {
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let batch =
        RecordBatch::try_new(schema.clone(), columns.into_iter().map(|(_, array)| array).collect()).unwrap();
    let mut writer = ArrowWriter::try_new(std::fs::File::create(path).unwrap(), schema, None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

pub(crate) struct Case {
    folder: TempDir,
}

impl Case {
    pub(crate) fn new(columns: Columns) -> Case {
        let case = Case { folder: tempfile::tempdir().unwrap() };
        write(&case.path("bars.parquet"), columns);
        case
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn config(&self) -> DataConfig {
        DataConfig::of(self.path("bars.parquet").display().to_string())
    }

    pub(crate) fn load(&self) -> Result<Loaded, DataError> {
        load(&self.config())
    }

    pub(crate) fn load_with(&self, change: impl FnOnce(&mut DataConfig)) -> Result<Loaded, DataError> {
        let mut config = self.config();
        change(&mut config);
        load(&config)
    }
}

#[track_caller]
pub(crate) fn says(result: Result<Loaded, DataError>, words: &[&str]) {
    let text = result.map(|loaded| format!("loaded {} rows", loaded.bars.rows())).unwrap_err().to_string();
    for word in words {
        assert!(text.contains(word), "`{word}` is not in: {text}");
    }
    assert!(text.contains(';'), "no remedy in: {text}");
}

#[test]
fn missing_empty_truncated_and_foreign_files() {
    let case = Case::new(sound());
    let at = |name: &str| load(&DataConfig::of(case.path(name).display().to_string()));
    says(at("bras.parquet"), &["there is no such file", "did you mean", "bars.parquet"]);
    std::fs::write(case.path("empty.parquet"), b"").unwrap();
    says(at("empty.parquet"), &["empty.parquet", "empty (0 bytes)"]);
    std::fs::write(case.path("text.csv"), b"timestamp,close\n1,2\n").unwrap();
    let import = format!(
        "candlewick data import {} --output {}",
        case.path("text.csv").display(),
        case.path("text.parquet").display()
    );
    says(at("text.csv"), &["text (CSV?)", "no Parquet file", &import]);
    std::fs::write(case.path("csv.parquet"), b"timestamp,close\n1,2\n").unwrap();
    says(at("csv.parquet"), &["text (CSV?)", "csv.bars.parquet"]);
    std::fs::write(case.path("lines.dat"), b"\n{\"close\": 1}").unwrap();
    says(at("lines.dat"), &["it is JSON, no Parquet file", "lines.parquet"]);
    std::fs::write(case.path("packed.csv.gz"), [0x1F, 0x8B, 8, 0, 0]).unwrap();
    says(at("packed.csv.gz"), &["gzip", "gunzip"]);
    std::fs::write(case.path("wide.csv"), [0xFF, 0xFE, b't', 0]).unwrap();
    says(at("wide.csv"), &["text (CSV?)"]);
    std::fs::write(case.path("image.dat"), [0x89, b'P', b'N', b'G', 0, 0]).unwrap();
    says(at("image.dat"), &["it is no Parquet file"]);
    std::fs::create_dir(case.path("nothing")).unwrap();
    says(at("nothing"), &["no Parquet file here"]);
    says(at("*.arrow"), &["no Parquet file here"]);
    let whole = std::fs::read(case.path("bars.parquet")).unwrap();
    for length in [1, 4, 8, whole.len() / 2, whole.len() - 9, whole.len() - 1] {
        std::fs::write(case.path("cut.parquet"), &whole[..length]).unwrap();
        says(at("cut.parquet"), &["cut.parquet", "truncated: it has no footer"]);
    }
    let mut wrong = whole.clone();
    wrong[..4].copy_from_slice(&[0xFF; 4]);
    std::fs::write(case.path("head.parquet"), &wrong).unwrap();
    says(at("head.parquet"), &["corrupt: its first bytes are wrong"]);
    let mut wrong = whole.clone();
    let length = whole.len() - 8;
    wrong[length..length + 4].copy_from_slice(&[0xFF; 4]);
    std::fs::write(case.path("length.parquet"), &wrong).unwrap();
    says(at("length.parquet"), &["corrupt", "export or copy it again"]);
    write(
        &case.path("none.parquet"),
        sound().into_iter().map(|(name, array)| (name, array.slice(0, 0))).collect(),
    );
    says(at("none.parquet"), &["there are no rows"]);
}

/// Whatever byte of a file is wrong, loading and describing end with an answer.
#[test]
fn no_damaged_byte_ends_in_a_panic() {
    let case = Case::new(sound());
    let whole = std::fs::read(case.path("bars.parquet")).unwrap();
    let path = case.path("damaged.parquet");
    let config = DataConfig::of(path.display().to_string());
    let (mut refused, mut panicked) = (0, None);
    for position in 0..whole.len() {
        for mask in [0xFF, 0x01, 0x80] {
            let mut bytes = whole.clone();
            bytes[position] ^= mask;
            std::fs::write(&path, &bytes).unwrap();
            let error = load(&config).err().map(|error| error.to_string());
            refused += usize::from(error.is_some());
            if error.is_some_and(|error| error.contains("impossible sizes")) {
                panicked = Some(bytes);
            }
        }
        if position % 16 == 0 {
            describe(&config, &[]).unwrap();
        }
    }
    // A panic inside the reader is an answer like any other: the program prints its error and nothing else.
    std::fs::write(&path, panicked.expect("some damage makes the reader panic")).unwrap();
    let scratch = Scratch::new();
    let done = scratch.candlewick(&["data", "describe", &path.to_string_lossy()]).exits(3);
    assert!(done.stderr.contains("impossible sizes") && !done.stderr.contains("panicked"), "{}", done.stderr);
    assert!(refused > whole.len() / 4, "only {refused} of {} damages were noticed", 3 * whole.len());
}

#[test]
fn missing_and_misspelt_columns() {
    let columns = without(sound(), &["close"]);
    says(Case::new(columns.clone()).load(), &["column `close`", "the file has timestamp, symbol, open"]);
    let misspelt = with(columns, "cloze", floats(&[11.0, 12.0, 13.0, 14.0]));
    says(Case::new(misspelt).load(), &["column `close`", "did you mean `cloze`"]);
    let case = Case::new(sound());
    let mapped = case.load_with(|config| config.columns.close = Some(PriceColumn::Name("clsoe".into())));
    says(mapped, &["column `clsoe`", "did you mean `close`"]);
    let time = without(sound(), &["timestamp"]);
    says(
        Case::new(with(time, "bar_start", hours(&[0, 1, 2, 3]))).load(),
        &["`timestamp`", "did you mean `bar_start`"],
    );
    let capital = with(without(sound(), &["open", "high", "low"]), "Open", floats(&[1.0; 4]));
    says(Case::new(capital).load(), &["column `open`", "did you mean `Open`"]);
    let mut quotes = without(sound(), &["open", "high", "low", "close"]);
    for name in ["bid_open", "ask_open"] {
        quotes = with(quotes, name, floats(&[1.0; 4]));
    }
    says(Case::new(quotes).load(), &["did you mean `{mid: [bid_open, ask_open]}`"]);
}

#[test]
fn wrong_types() {
    let text: ArrayRef = Arc::new(StringArray::from(vec!["10.5", "11", "12", "13"]));
    says(
        Case::new(with(sound(), "open", text.clone())).load(),
        &["column `open`", "the type is text", "row 0 holds `10.5`", "float64"],
    );
    says(
        Case::new(with(sound(), "timestamp", text)).load(),
        &["column `timestamp`", "text", "pd.to_datetime"],
    );
    let list =
        ListArray::from_iter_primitive::<arrow::datatypes::Float64Type, _, _>(vec![Some(vec![Some(1.0)]); 4]);
    says(Case::new(with(sound(), "high", Arc::new(list))).load(), &["column `high`", "list of float64"]);
    let field = Arc::new(Field::new("value", DataType::Float64, true));
    let nested = StructArray::from(vec![(field, floats(&[1.0; 4]))]);
    says(Case::new(with(sound(), "low", Arc::new(nested))).load(), &["column `low`", "nested columns"]);
    let truth: ArrayRef = Arc::new(BooleanArray::from(vec![true; 4]));
    says(Case::new(with(sound(), "volume", truth)).load(), &["column `volume`", "boolean"]);
    says(Case::new(with(sound(), "symbol", floats(&[1.0; 4]))).load(), &["column `symbol`", "float64"]);
    let integers: ArrayRef = Arc::new(Int64Array::from(vec![
        1_600_000_000_000,
        1_600_003_600_000,
        1_600_007_200_000,
        1_600_010_800_000,
    ]));
    let case = Case::new(with(sound(), "timestamp", integers));
    says(case.load(), &["column `timestamp`", "unit: ms"]);
    let unit = |unit| Some(TimestampColumn { column: "timestamp".into(), unit: Some(unit) });
    let loaded = case.load_with(|config| config.columns.timestamp = unit(TimeUnit::Ms)).unwrap();
    assert_eq!(loaded.bars.timeline().times()[0], Time(1_600_000_000_000_000_000));
    let wrong = case.load_with(|config| config.columns.timestamp = unit(TimeUnit::S));
    says(wrong, &["row 0", "beyond the years 1678 to 2262", "unit: ms"]);
}

/// Numbers and names of every sensible type are the same bars.
#[test]
fn right_types() {
    let expected = Case::new(sound()).load().unwrap().sha256;
    let same = |name: &'static str, array: ArrayRef| {
        let kind = array.data_type().clone();
        let loaded = Case::new(with(sound(), name, array)).load().unwrap();
        assert_eq!(loaded.sha256, expected, "{name} as {kind}");
    };
    let open = [10, 11, 12, 13];
    same("open", Arc::new(Int32Array::from(open.to_vec())));
    same("open", Arc::new(UInt64Array::from(open.map(|value| value as u64).to_vec())));
    same("open", Arc::new(UInt8Array::from(open.map(|value| value as u8).to_vec())));
    same("open", Arc::new(Float32Array::from(open.map(|value| value as f32).to_vec())));
    let decimal =
        Decimal128Array::from(vec![1000, 1100, 1200, 1300]).with_precision_and_scale(18, 2).unwrap();
    same("open", Arc::new(decimal));
    let dictionary = DictionaryArray::<Int32Type>::try_new(
        Int32Array::from(vec![0, 1, 2, 3]),
        floats(&[10.0, 11.0, 12.0, 13.0]),
    )
    .unwrap();
    same("open", Arc::new(dictionary));
    same("symbol", Arc::new(LargeStringArray::from(vec!["BTC"; 4])));
    same("symbol", Arc::new(StringViewArray::from(vec!["BTC"; 4])));
    same("symbol", Arc::new(vec!["BTC"; 4].into_iter().collect::<DictionaryArray<Int32Type>>()));
    let seconds = [0, 3600, 7200, 10800];
    same("timestamp", Arc::new(TimestampSecondArray::from(seconds.to_vec())));
    same(
        "timestamp",
        Arc::new(
            TimestampMillisecondArray::from(seconds.map(|s| s * 1000).to_vec())
                .with_timezone("America/New_York"),
        ),
    );
    same(
        "timestamp",
        Arc::new(
            TimestampMicrosecondArray::from(seconds.map(|s| s * 1_000_000).to_vec()).with_timezone("+02:00"),
        ),
    );
    let days: ArrayRef = Arc::new(Date32Array::from(vec![0, 1, 2, 3]));
    let loaded = Case::new(with(sound(), "timestamp", days)).load().unwrap();
    assert_eq!(loaded.bars.interval(), 24 * HOUR);
}

#[test]
fn bad_numbers_are_errors_with_their_row_or_counted_repairs() {
    let nulls: ArrayRef = Arc::new(Float64Array::from(vec![Some(10.0), None, Some(12.0), Some(13.0)]));
    let no_time: ArrayRef =
        Arc::new(TimestampNanosecondArray::from(vec![Some(0), None, Some(2 * HOUR), Some(3 * HOUR)]));
    let no_name: ArrayRef = Arc::new(StringArray::from(vec![Some("BTC"), None, Some("BTC"), Some("BTC")]));
    let cases: Vec<(&'static str, ArrayRef, &'static str)> = vec![
        ("open", floats(&[10.0, f64::NAN, 12.0, 13.0]), "missing"),
        ("open", nulls, "missing"),
        ("high", floats(&[11.5, f64::INFINITY, 13.5, 14.5]), "inf"),
        ("close", floats(&[11.0, 0.0, 13.0, 14.0]), "0"),
        ("low", floats(&[9.5, -1.0, 11.5, 12.5]), "-1"),
        ("high", floats(&[11.5, 10.0, 13.5, 14.5]), "below low"),
        ("low", floats(&[9.5, 11.7, 11.5, 12.5]), "above open"),
        ("high", floats(&[11.5, 11.5, 13.5, 14.5]), "below open"),
        ("volume", floats(&[1.0, -2.0, 3.0, 4.0]), "-2"),
        ("timestamp", no_time, "missing"),
        ("symbol", no_name, "missing"),
    ];
    for (column, array, found) in cases {
        let case = Case::new(with(sound(), column, array));
        says(case.load(), &["bars.parquet", "row 1", &format!("column `{column}`"), found, "bad_rows: drop"]);
        let dropped = case.load_with(|config| config.quality.bad_rows = BadRows::Drop).unwrap();
        assert_eq!(dropped.repairs, ["1 bad row dropped"]);
        assert_eq!(dropped.bars.symbols()[0].close(), [11.0, 13.0, 14.0], "{column}");
        // A bad row that is not asked for harms nobody.
        let start = Some(Time(2 * HOUR));
        if column != "timestamp" && column != "symbol" {
            assert_eq!(case.load_with(|config| config.range.start = start).unwrap().bars.rows(), 2);
        }
    }
}

#[test]
fn duplicates_and_disorder() {
    let twice = Case::new(with(sound(), "timestamp", hours(&[0, 1, 1, 2])));
    says(twice.load(), &["row 2", "1970-01-01T01:00:00Z of BTC is there twice", "row 1", "keep_first"]);
    let first = twice.load_with(|config| config.quality.duplicates = Duplicates::KeepFirst).unwrap();
    assert_eq!(first.bars.symbols()[0].close(), [11.0, 12.0, 14.0]);
    assert_eq!(first.repairs, ["1 duplicate bar dropped (the first of each kept)"]);
    let last = twice.load_with(|config| config.quality.duplicates = Duplicates::KeepLast).unwrap();
    assert_eq!(last.bars.symbols()[0].close(), [11.0, 13.0, 14.0]);
    let mixed = Case::new(with(sound(), "timestamp", hours(&[0, 2, 1, 3])));
    says(mixed.load(), &["row 2", "01:00:00Z of BTC follows", "unsorted: sort"]);
    let sorted = mixed.load_with(|config| config.quality.unsorted = Unsorted::Sort).unwrap();
    assert_eq!(sorted.bars.symbols()[0].close(), [11.0, 13.0, 12.0, 14.0]);
    assert_eq!(sorted.repairs, ["1 bar sorted into place"]);
    let gap = Case::new(with(sound(), "timestamp", hours(&[0, 1, 2, 5])));
    assert_eq!(gap.load().unwrap().bars.rows(), 4);
    let strict = gap.load_with(|config| config.quality.gaps = Gaps::Error);
    says(strict, &["symbol BTC", "no bar between 1970-01-01T02:00:00Z and 1970-01-01T05:00:00Z", "every 1h"]);
}

#[test]
fn files_of_a_folder_must_be_of_one_kind() {
    let case = Case::new(sound());
    let folder = case.folder.path().display().to_string();
    let later = |columns: Columns| with(columns, "timestamp", hours(&[4, 5, 6, 7]));
    write(&case.path("more.parquet"), without(later(sound()), &["volume"]));
    says(load(&DataConfig::of(&folder)), &["more.parquet", "no volume", "bars.parquet has"]);
    write(
        &case.path("more.parquet"),
        with(later(sound()), "close", Arc::new(StringArray::from(vec!["1"; 4]))),
    );
    says(load(&DataConfig::of(&folder)), &["more.parquet", "column `close`", "text"]);
    write(&case.path("more.parquet"), without(later(sound()), &["high"]));
    says(load(&DataConfig::of(&folder)), &["more.parquet", "column `high`"]);
    write(&case.path("more.parquet"), sound());
    says(load(&DataConfig::of(&folder)), &["more.parquet", "twice, first in", "bars.parquet, row 0"]);
    // Files whose names are not in the order of time are no disorder.
    write(&case.path("a_later.parquet"), later(sound()));
    std::fs::remove_file(case.path("more.parquet")).unwrap();
    let loaded = load(&DataConfig::of(&folder)).unwrap();
    assert_eq!((loaded.bars.rows(), loaded.repairs.len()), (8, 0));
}

#[test]
fn settings_that_leave_nothing() {
    let case = Case::new(sound());
    says(
        case.load_with(|c| c.symbols = Some(vec!["BTCC".into()])),
        &["`BTCC` is not in", "did you mean `BTC`"],
    );
    says(case.load_with(|c| c.symbols = Some(vec![])), &["empty"]);
    says(case.load_with(|c| c.symbols = Some(vec!["BTC".into(), "BTC".into()])), &["twice"]);
    let time = |text: &str| Some(Time::parse(text).unwrap());
    says(
        case.load_with(|c| c.range.start = time("2030-01-01")),
        &["none of the 4 rows", "reach from 1970-01-01T00:00:00Z"],
    );
    says(
        case.load_with(|c| c.range = RangeConfig { start: time("2030-01-01"), end: time("2029-01-01") }),
        &["data.range", "earlier than the end"],
    );
    says(case.load_with(|c| c.time_zone = "Mars/Olympus".into()), &["data.time_zone", "IANA"]);
    says(case.load_with(|c| c.symbol = Some("ETH".into())), &["data.symbol", "has a column `symbol`"]);
    says(case.load_with(|c| c.resample = Some("90m".parse().unwrap())), &["data.resample", "multiple of 1h"]);
    says(case.load_with(|c| c.resample = Some("1d".parse().unwrap())), &["fill no whole bar of 1d"]);
}

#[test]
fn a_clock_that_jumps() {
    // New York, 2021-03-14: 02:30 never was. 2021-11-07: 01:30 was twice.
    let clock = |texts: &[&str]| -> ArrayRef {
        Arc::new(TimestampNanosecondArray::from_iter_values(
            texts.iter().map(|text| Time::parse(text).unwrap().0),
        ))
    };
    let spring = ["2021-03-14T00:30", "2021-03-14T01:30", "2021-03-14T02:30", "2021-03-14T03:30"];
    let case = Case::new(with(sound(), "timestamp", clock(&spring)));
    assert_eq!(case.load().unwrap().bars.rows(), 4, "in UTC all is well");
    let new_york = |config: &mut DataConfig| config.time_zone = "America/New_York".into();
    says(case.load_with(new_york), &["row 2", "never was in America/New_York", "bad_rows: drop"]);
    let autumn = ["2021-11-07T00:30", "2021-11-07T01:30", "2021-11-07T01:30", "2021-11-07T02:30"];
    let case = Case::new(with(sound(), "timestamp", clock(&autumn)));
    says(case.load_with(new_york), &["2021-11-07T05:30:00Z of BTC is there twice"]);
    let days: ArrayRef = Arc::new(
        TimestampSecondArray::from(vec![0, 86_400, 172_800, 259_200])
            .with_data_type(DataType::Timestamp(ArrowUnit::Second, None)),
    );
    let loaded = Case::new(with(sound(), "timestamp", days)).load_with(new_york).unwrap();
    assert_eq!(loaded.bars.timeline().times()[0], Time(5 * HOUR));
}

#[test]
fn import_names_the_line() {
    let folder = tempfile::tempdir().unwrap();
    let importing = |name: &str, text: &str, change: &dyn Fn(&mut ImportOptions)| {
        std::fs::write(folder.path().join(name), text).unwrap();
        let mut options = ImportOptions {
            input: folder.path().join(name),
            output: folder.path().join("out.parquet"),
            symbol: None,
            columns: Vec::new(),
            keep: Vec::new(),
            unit: None,
            time_zone: "UTC".into(),
            duplicates: Duplicates::Error,
            bad_rows: BadRows::Error,
            force: false,
        };
        change(&mut options);
        import(&options).map_err(|error| error.to_string())
    };
    let plain = |name: &str, text: &str| importing(name, text, &|_| {}).unwrap_err();
    let head = "timestamp,open,high,low,close,volume\n";
    let text = plain("a.csv", &format!("{head}2021-01-01,1,2,1,1,5\n2021-01-02,1,x,1,1,5\n"));
    assert!(
        text.contains("line 3") && text.contains("`high`") && text.contains("`x` is no number"),
        "{text}"
    );
    let text = plain("a.csv", &format!("{head}2021-01-01,1,2,1,1,5\n2021-13-02,1,2,1,1,5\n"));
    assert!(text.contains("line 3") && text.contains("`2021-13-02` is not a time"), "{text}");
    let text = plain("a.csv", &format!("{head}2021-01-01,1,2,1,1,5\n01/02/2021,1,2,1,1,5\n"));
    assert!(text.contains("`01/02/2021` is not a time") && text.contains("--bad-rows drop"), "{text}");
    assert!(!text.contains("data.quality"), "the remedy of an import is its own option: {text}");
    let text = plain("a.csv", &format!("{head}2021-01-01,1,2,1,1,5\n2021/01/01,1,2,1,1,5\n"));
    assert!(text.contains("twice") && text.contains("--duplicates keep_first"), "{text}");
    let milliseconds = |o: &mut ImportOptions| o.unit = Some(TimeUnit::Ms);
    let text = importing("a.csv", &format!("{head}1600000000,1,2,1,1,5\n"), &milliseconds).unwrap_err();
    assert!(text.contains("is 1970-01-19") && text.contains("--time-unit s makes it 2020-09-13"), "{text}");
    let text = plain("a.csv", &format!("{head}2021-01-01,1,2,1,1\n"));
    assert!(text.contains("no clean CSV"), "{text}");
    let text = plain("a.csv", "timestamp,open,high,low,clsoe\n");
    assert!(text.contains("`close`") && text.contains("did you mean `clsoe`"), "{text}");
    let text = plain("a.csv", "");
    assert!(text.contains("first line is empty"), "{text}");
    let text = plain("a.csv", head);
    assert!(text.contains("there are no rows"), "{text}");
    let text = plain("a.csv", &format!("{head}12345,1,2,1,1,5\n"));
    assert!(text.contains("--time-unit"), "{text}");
    let text = plain("a.jsonl", "{\"timestamp\": \"2021-01-01\", \"close\": 1}\n{broken\n");
    assert!(text.contains("line 2 is no JSON object"), "{text}");
    assert!(!folder.path().join("out.parquet").exists(), "nothing half-done is left");
    let drop = importing("a.csv", &format!("{head}2021-01-01,1,2,1,1,5\n2021-01-02,1,x,1,1,5\n"), &|o| {
        o.bad_rows = BadRows::Drop
    });
    assert_eq!(drop.unwrap().repairs, ["1 bad row dropped"]);
    let again = importing("a.csv", &format!("{head}2021-01-01,1,2,1,1,5\n"), &|_| {}).unwrap_err();
    assert!(again.contains("the output exists already") && again.contains("--force"), "{again}");
    let forced = importing("a.csv", &format!("{head}2021-01-01,1,2,1,1,5\n"), &|o| o.force = true);
    assert_eq!(forced.unwrap().rows, 1);
}
