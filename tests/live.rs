//! The replay of a run as a live stream: the bits of the batch, the honesty of its clock and scores, its words.

use crate::program::{SMALL, Scratch};
use candlewick::kernels::matrix::{Matrix, MatrixMut, Target, multiply};
use candlewick::rundir::{Column, RiskLevel, TableFile};
use candlewick::seed::Seed;
use candlewick::stream::{
    Clock, FeedForecast, Latencies, Lines, Opening, Recurrences, RingBuffer, Scores, Speed,
};
use candlewick::table::LabelKind;
use serde_json::Value;
use std::cell::RefCell;
use std::time::Duration;

/// Whole numbers on a noisy wave of ten steps, a second each, and a second series with gaps.
fn wave(scratch: &Scratch, rows: usize) {
    let mut text = String::from("timestamp,symbol,close\n");
    let mut stream = Seed(3).stream("wave", 0);
    for row in 0..rows {
        let value =
            20.0 + (8.0 * (row as f64 * 0.2 * std::f64::consts::PI).sin() + 1.5 * stream.normal()).round();
        let time = candlewick::units::Time((1_700_000_000 + row as i64) * 1_000_000_000);
        text += &format!("{time},ONE,{value}\n");
        if stream.uniform() > 0.1 {
            text += &format!("{time},TWO,{}\n", value + 5.0);
        }
    }
    scratch.write("wave.csv", &text);
    scratch.candlewick(&["data", "import", "wave.csv", "--output", "wave.parquet"]).exits(0);
}

const WAVE: &str = "\
name: wave
seed: 5
keep_history: true
data: {path: wave.parquet}
features:
  - close: {}
  - sma: {period: 10}
  - rsi: {period: 14}
  - bollinger: {period: 10}
  - macd: {fast: 8, slow: 17, signal: 9}
  - cross_sectional_rank: {period: 3}
target: {forward_value: {horizons_bars: [1, 2, 3]}}
split: {walk_forward: {folds: 2, train_bars: 500, validation_bars: 100, test_bars: 300, embargo_bars: 4}}
scaler: {per_symbol: true}
models:
  lstm: {lstm: {window: 20, layers: [9, 7]}}
  transformer: {transformer: {window: 20, width: 8, heads: 2, layers: 1}}
  patches: {patch_transformer: {window: 24, width: 8, heads: 2, layers: 1, patch_bars: 6, stride_bars: 3}}
  ridge: {linear: {window: 8, penalty: 1.0}}
  last: {naive: {forecast: last}}
  phase: {seasonal: {period: 10, forecast: mean}}
  lag: {seasonal: {period: 10, forecast: last}}
train: {epochs: 1, seeds: 2, batch_size: 64}
";

/// The documents of a feed: the start, all forecasts, the summary.
fn feed(scratch: &Scratch, arguments: &[&str]) -> (Value, Vec<Value>, Value) {
    let command = [&["stream", "latest", "--json"], arguments].concat();
    let done = scratch.candlewick(&command).exits(0);
    let mut lines: Vec<Value> = done.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let (summary, start) = (lines.pop().unwrap(), lines.remove(0));
    assert_eq!((&start["type"], &summary["type"]), (&"start".into(), &"summary".into()));
    (start, lines, summary)
}

#[test]
fn a_stream_makes_the_forecasts_of_the_batch_bit_for_bit() {
    let scratch = Scratch::new();
    wave(&scratch, 1300);
    scratch.write("wave.yaml", WAVE);
    scratch.candlewick(&["run", "wave.yaml", "--no-report", "--no-audit"]).exits(0);
    let run = scratch.runs().remove(0);
    let batch = TableFile::read(&run.join("predictions.parquet")).unwrap();
    for model in ["lstm", "transformer", "patches", "ridge", "last", "phase", "lag"] {
        let rows = batch.text("model").unwrap().iter().filter(|name| ***name == *model).count() / 3;
        let (start, forecasts, summary) = feed(&scratch, &["--model", model]);
        assert_eq!(start["horizons"], serde_json::json!([1, 2, 3]));
        assert!(rows > 400, "{model} made only {rows} forecasts");
        assert_eq!(forecasts.len(), rows, "{model} must forecast every row that the batch did");
        assert_eq!(summary["compared"], rows, "{model}");
        assert_eq!(summary["identical"], rows, "{model}");
        assert!(forecasts.iter().all(|forecast| forecast["identical"] == true), "{model}");
    }
}

#[test]
fn the_stream_scores_as_the_run_does() {
    let scratch = Scratch::new();
    wave(&scratch, 1300);
    // Symbols with a bar at every tick are scored in the order of the batch.
    let config = WAVE.replace("{path: wave.parquet}", "{path: wave.parquet, symbols: [ONE]}");
    scratch.write("wave.yaml", &config.replace("  - cross_sectional_rank: {period: 3}\n", ""));
    scratch.candlewick(&["run", "wave.yaml", "--no-report", "--no-audit"]).exits(0);
    let metrics = TableFile::read(&scratch.runs()[0].join("forecast_metrics.parquet")).unwrap();
    let figure = |metric: &str, horizon: u64| {
        let [models, folds, metrics_column] =
            ["model", "fold", "metric"].map(|name| metrics.text(name).unwrap());
        let horizons = metrics.integer("horizon").unwrap();
        let row = (0..models.len()).find(|row| {
            (&*models[*row], &*folds[*row], &*metrics_column[*row]) == ("ridge", "all", metric)
                && horizons[*row] as u64 == horizon
        });
        metrics.float("value").unwrap()[row.unwrap()]
    };
    let (_, forecasts, summary) = feed(&scratch, &["--model", "ridge"]);
    let mut exact = [0_usize; 3];
    let closes: Vec<f64> = forecasts.iter().map(|forecast| forecast["close"].as_f64().unwrap()).collect();
    for (row, forecast) in forecasts.iter().enumerate() {
        for ahead in 1..=3 {
            let value = forecast["forecast"][ahead - 1].as_f64().unwrap();
            exact[ahead - 1] += usize::from(closes.get(row + ahead) == Some(&value.round()));
        }
    }
    for score in summary["scores"].as_array().unwrap() {
        let horizon = score["horizon"].as_u64().unwrap();
        let scored = score["scored"].as_u64().unwrap();
        assert_eq!(scored as usize, forecasts.len() - horizon as usize);
        let share = exact[horizon as usize - 1] as f64 / scored as f64;
        assert_eq!(score["exact"].as_f64().unwrap(), share);
        // The test bars end with the data, so nothing comes true after the last tick.
        assert_eq!(figure("rows", horizon) as u64, scored, "horizon {horizon}");
        assert_eq!(score["mse"].as_f64().unwrap(), figure("mse", horizon), "horizon {horizon}");
        assert_eq!(score["mae"].as_f64().unwrap(), figure("mae", horizon), "horizon {horizon}");
    }
    // The rule of recurrences, naively.
    let (mut judged, mut right) = (0, 0);
    for (row, forecast) in forecasts.iter().enumerate() {
        let values: Vec<f64> =
            (0..3).map(|place| forecast["forecast"][place].as_f64().unwrap().round()).collect();
        if let Some(place) = values.iter().position(|value| *value == closes[row])
            && let Some(outcome) = closes.get(row + place + 1)
        {
            judged += 1;
            right += usize::from(*outcome == closes[row]);
        }
    }
    assert!(judged > 50);
    assert_eq!(summary["recurrence"], serde_json::json!({"judged": judged, "right": right}));
    partial_replays(&scratch, &forecasts);
}

/// A part of the stream, and the same bars from another file, give the same forecasts.
fn partial_replays(scratch: &Scratch, whole: &[Value]) {
    let from = whole[300]["timestamp"].as_str().unwrap();
    let (start, part, _) = feed(scratch, &["--model", "ridge", "--from", from, "--ticks", "40"]);
    assert_eq!(start["ticks"], 40);
    let values =
        |forecasts: &[Value]| forecasts.iter().map(|one| one["forecast"].clone()).collect::<Vec<_>>();
    assert_eq!(values(&part), values(&whole[300..340]));
    std::fs::copy(scratch.path("wave.parquet"), scratch.path("other.parquet")).unwrap();
    let (_, _, summary) = feed(scratch, &["--model", "ridge", "--data", "other.parquet", "--every", "1000"]);
    assert_eq!(summary["ticks"], 1300);
    assert_eq!(
        summary["compared"].as_u64().unwrap(),
        whole.len() as u64,
        "bars of the same fingerprint are the run's"
    );
}

#[test]
fn a_stream_says_what_is_wrong() {
    let scratch = Scratch::new();
    scratch.market(1600, 0.1);
    scratch.write("small.yaml", &SMALL.replace("epochs: 4", "epochs: 1"));
    scratch.candlewick(&["run", "small.yaml", "--no-report", "--no-audit"]).exits(0);
    let complains = |arguments: &[&str], code: i32, words: &str| {
        let done = scratch.candlewick(&[&["stream", "latest"], arguments].concat()).exits(code);
        assert!(done.stderr.contains(words), "{}", done.stderr);
    };
    complains(
        &["--model", "lstn"],
        2,
        "the run has no model `lstn` (did you mean `lstm`?); there are lstm, transformer, ridge, zero",
    );
    complains(&["--from", "2050-01-01"], 2, "there is no tick to replay");
    complains(&["--speed", "0x"], 2, "`0x` is no speed; write 1x, 1000x or max");
    let done = scratch.candlewick(&["stream", "latest", "--ticks", "200"]).exits(0);
    let lines = done.stdout.lines().count();
    assert!(
        (20..60).contains(&lines),
        "a stream that nobody watches has about twenty lines:\n{}",
        done.stdout
    );
    assert!(done.stdout.contains("Identical to the batch, bit for bit: 400 of 400."), "{}", done.stdout);
    changed_files(&scratch);
    scratch.candlewick(&[
        "data",
        "generate",
        "market",
        "--symbols",
        "3",
        "--bars",
        "500",
        "--output",
        "three.parquet",
    ]);
    complains(&["--data", "three.parquet"], 3, "but the model learned");
    std::fs::write(scratch.path("market.parquet"), std::fs::read(scratch.path("three.parquet")).unwrap())
        .unwrap();
    complains(&[], 3, "does not hold the bars of the run any more");
}

/// Forecasts that are not those of the run, and weights that are not those of the run, end badly.
fn changed_files(scratch: &Scratch) {
    let run = scratch.runs().remove(0);
    let path = run.join("predictions.parquet");
    let bytes = std::fs::read(&path).unwrap();
    let mut table = TableFile::default();
    for (name, column) in TableFile::read(&path).unwrap().columns() {
        let column = match column {
            Column::Float(values) if name == "prediction" => {
                Column::Float(values.iter().enumerate().map(|(row, x)| x + f64::from(row == 0)).collect())
            }
            column => column.clone(),
        };
        table = table.with(name, column);
    }
    table.write(&path).unwrap();
    let done = scratch.candlewick(&["stream", "latest", "--model", "lstm"]).exits(1);
    assert!(done.stdout.contains("NOT identical to the batch: only "), "{}", done.stdout);
    assert!(done.stderr.contains(" forecasts have the bits of the run's own"), "{}", done.stderr);
    std::fs::write(&path, bytes).unwrap();
    scratch.candlewick(&["stream", "latest", "--model", "lstm"]).exits(0);
    let weights = run.join("models/fold-1/lstm/model.safetensors");
    let bytes = std::fs::read(&weights).unwrap();
    let mut other = bytes.clone();
    *other.last_mut().unwrap() ^= 1;
    std::fs::write(&weights, other).unwrap();
    let done = scratch.candlewick(&["stream", "latest", "--model", "lstm"]).exits(1);
    assert!(done.stderr.contains("its checksum is not that of the manifest"), "{}", done.stderr);
    std::fs::write(&weights, bytes).unwrap();
}

#[test]
fn a_risk_without_a_threshold_is_no_all_clear() {
    let null = f64::NAN;
    assert_eq!((RiskLevel::of(0.9, null, 0.5), RiskLevel::of(null, 0.2, 0.5)), (None, None));
    let opening = Opening {
        model: "lstm".into(),
        symbols: vec!["ONE".into()],
        horizons: vec![1, 2, 3],
        kind: LabelKind::Event,
        ticks: 1,
        first: String::new(),
        last: String::new(),
        interval_seconds: 60.0,
    };
    let status = |alarm_at: Option<[f64; 3]>| {
        let risks = vec![0.1, 0.2, 0.3];
        let levels = |alarms: [f64; 3]| {
            risks.iter().zip(alarms).map(|(risk, alarm)| RiskLevel::of(*risk, alarm, 0.5)).collect()
        };
        let forecast = FeedForecast {
            tick: 1,
            timestamp: candlewick::units::Time(0),
            symbol: "ONE".into(),
            close: 1.0,
            features: Default::default(),
            model: "lstm".into(),
            model_version: String::new(),
            fold: Some(0),
            forecast: risks.clone(),
            alarm_at: alarm_at.map(|alarms| alarms.to_vec()),
            status: alarm_at.map(levels),
            identical: None,
            scores: Vec::new(),
            recurrence: None,
            latency_microseconds: 0.0,
        };
        let line = Lines::new(&opening).line(&forecast);
        line.rsplit("  ").next().unwrap().to_owned()
    };
    assert_eq!(status(None), "-");
    assert_eq!(status(Some([null; 3])), "no threshold");
    assert_eq!(status(Some([0.1, null, 0.3])), "critical", "of all that have a threshold");
    assert_eq!(status(Some([0.1, 0.3, 0.9])), "critical at 1 of 3");
    assert_eq!(status(Some([0.15, 0.9, null])), "warning at 1 of 2");
    assert_eq!(status(Some([0.9, null, null])), "normal");
}

#[test]
fn a_row_of_a_product_does_not_depend_on_the_others() {
    let mut stream = Seed(9).stream("factors", 0);
    for (inner, columns) in [(1, 3), (24, 5), (50, 1), (600, 1), (600, 5), (1100, 70)] {
        let mut numbers = |count: usize| (0..count).map(|_| stream.normal() as f32).collect::<Vec<f32>>();
        let (left, right) = (numbers(300 * inner), numbers(inner * columns));
        let product = |first: usize, rows: usize, mode: Target| {
            let mut result = vec![0.5_f32; rows * columns];
            let left = Matrix::new(&left[first * inner..], rows, inner, inner);
            multiply(
                MatrixMut::new(&mut result, rows, columns, columns),
                left,
                Matrix::new(&right, inner, columns, columns),
                mode,
            );
            result
        };
        for mode in [Target::Added, Target::Replaced] {
            let whole = product(0, 300, mode);
            for (first, rows) in [(0, 1), (7, 1), (299, 1), (3, 2), (5, 17), (0, 64), (1, 65), (30, 100)] {
                let part = product(first, rows, mode);
                let same = part
                    .iter()
                    .zip(&whole[first * columns..])
                    .all(|(one, other)| one.to_bits() == other.to_bits());
                assert!(same, "{rows} rows from {first} on, {inner} x {columns}, {mode:?}");
            }
        }
    }
}

#[test]
fn a_ring_holds_the_last_rows_and_nothing_more() {
    let mut ring = RingBuffer::new(3, 2);
    for row in 0..7 {
        assert_eq!(ring.is_complete(), row >= 3);
        ring.push(&[f64::from(row), f64::from(10 * row)]);
    }
    assert_eq!((ring.column(0), ring.column(1)), (vec![4.0, 5.0, 6.0], vec![40.0, 50.0, 60.0]));
    // One null, and the window is not known again before it has left.
    ring.push(&[7.0, f64::NAN]);
    for row in 8..11 {
        assert!(!ring.is_complete(), "before row {row}");
        ring.push(&[f64::from(row), 0.0]);
    }
    assert!(ring.is_complete());
}

/// A clock that stands still until somebody waits.
#[derive(Default)]
struct StillClock(RefCell<Vec<Duration>>);

impl Clock for StillClock {
    fn now(&self) -> Duration {
        self.0.borrow().last().copied().unwrap_or_default()
    }

    fn wait_until(&self, moment: Duration) {
        self.0.borrow_mut().push(moment);
    }
}

#[test]
fn ticks_come_at_the_speed_that_was_asked_for() {
    use candlewick::stream::{Choice, Replay};
    let scratch = Scratch::new();
    wave(&scratch, 1300);
    scratch.write("wave.yaml", WAVE);
    scratch.candlewick(&["run", "wave.yaml", "--no-report", "--no-audit", "--set", "train.seeds=1"]).exits(0);
    let run = scratch.runs().remove(0);
    let data = format!("data.path={}", scratch.path("wave.parquet").display());
    let text = std::fs::read_to_string(run.join("resolved.yaml")).unwrap();
    let overrides = [data];
    let plan = candlewick::config::load(&candlewick::config::Text {
        name: "run",
        yaml: &text,
        overrides: &overrides,
    });
    let choice = Choice { model: Some("ridge".into()), ticks: Some(50), ..Choice::default() };
    let replay = Replay::open(&run, plan.unwrap(), &choice).unwrap();
    let (clock, stop) = (StillClock::default(), std::sync::atomic::AtomicBool::new(false));
    let mut told = Vec::new();
    let mut on = |forecast: &candlewick::stream::FeedForecast| {
        told.push((clock.now(), forecast.timestamp));
        if forecast.tick == 30 {
            stop.store(true, std::sync::atomic::Ordering::Relaxed);
        }
    };
    let summary = replay.run("250x".parse().unwrap(), (&clock, &stop), &mut on).unwrap();
    assert_eq!(
        (summary.ticks, summary.interrupted),
        (30, true),
        "the wish to stop is heard before the next tick"
    );
    for (moment, time) in &told {
        assert_eq!(moment.as_nanos() as i64, (time.0 - told[0].1.0) / 250);
    }
    assert_eq!(summary.seconds, 30.0 / 250.0, "the last wait was for the tick that never came");
    assert_eq!(summary.latency.median_microseconds.map(f64::round), Some(0.0));
}

#[test]
fn speeds_and_latencies_are_read_well() {
    for (text, speed) in [("max", Speed::Max), ("1000x", Speed::Times(1000.0)), ("0.5", Speed::Times(0.5))] {
        assert_eq!(text.parse::<Speed>(), Ok(speed));
    }
    for text in ["", "x", "-1x", "nan", "infx", "fast"] {
        assert!(text.parse::<Speed>().is_err(), "{text}");
    }
    assert_eq!(Speed::Times(1000.0).pause(2_000_000_000), Duration::from_millis(2));
    assert_eq!(Speed::Times(1e-300).pause(i64::MAX), Duration::MAX);
    let mut latencies = Latencies::default();
    assert_eq!(latencies.quantile(0.5), None);
    for microseconds in 1..=1000 {
        latencies.add(Duration::from_micros(microseconds));
    }
    for (share, exact) in [(0.5, 500.0), (0.95, 950.0), (0.99, 990.0)] {
        let found: f64 = latencies.quantile(share).unwrap();
        assert!((found / exact - 1.0).abs() < 0.02, "{share}: {found}");
    }
}

#[test]
fn scores_wait_for_outcomes_and_skip_what_never_comes() {
    let mut scores = Scores::new(&[1, 3], 1, true);
    let outcome = |row: usize, horizon: usize| if (row, horizon) == (1, 1) { f64::NAN } else { 2.0 };
    for row in 0..6 {
        scores.arrive(0, row, outcome);
        scores.expect(0, row, vec![2.4, 3.0]);
    }
    let figures = scores.figures();
    assert_eq!((figures[0].scored, figures[1].scored), (5, 2));
    assert_eq!((figures[0].exact, figures[1].exact), (Some(1.0), Some(0.0)));
    assert!((figures[0].mse.unwrap() - 0.16).abs() < 1e-12 && figures[1].mae == Some(1.0));
    scores.arrive(0, 6, |_, _| 2.5);
    assert_eq!(scores.figures()[0].exact, None, "outcomes that are no whole numbers have no exact hits");
}

#[test]
fn a_recurrence_is_judged_at_the_first_tick_that_is_late_enough() {
    let mut rule = Recurrences::new(1);
    rule.expect(0, (0, 4.2), &[6.0, 3.9, 4.0], &[10, 20, 30]);
    rule.expect(0, (10, 7.0), &[1.0, 1.0, 1.0], &[10, 20, 30]);
    rule.arrive(0, 19, 4.0);
    assert_eq!(rule.figures().judged, 0, "two bars have not passed");
    rule.arrive(0, 25, 4.1);
    assert_eq!((rule.figures().judged, rule.figures().right), (1, 1), "a gap: the first later tick judges");
    rule.arrive(0, 40, 4.0);
    assert_eq!(rule.figures().judged, 1, "each is judged once");
}
