//! Runs whose target is an event: what chooses thresholds, what the summary and the tables say, what the page shows.

use crate::causality::random_bars;
use crate::config::{BASE, mistakes, plan};
use crate::markets::shared;
use crate::program::Scratch;
use candlewick::domains::market::labels::LabelConfig;
use candlewick::rundir::{Column, RiskLevel, Summary, TableFile, read_json};
use candlewick::seed::Seed;
use candlewick::units::Time;
use serde_json::json;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

const ROWS: usize = 6000;

/// Fold 0 is tested on rows 4000 to 4999, fold 1 is validated there and tested on the rest.
const EXPERIMENT: &str = "\
name: crashes
seed: 3
data: {path: crashes.parquet, columns: {close: mid_price, extra: {blr: blr}}}
features:
  - column: {name: blr, form: log}
  - trailing_drawdown: {period: 30}
target: {drawdown_within: {horizons_bars: [60, 20], fall_percent: 4}}
alarms: {false_alarms_per_day: 4}
split: {walk_forward: {folds: 2, train_bars: 2500, validation_bars: 1000, test_bars: 1000, embargo_bars: 60}}
models:
  ridge: {linear: {window: 5, penalty: 1.0}}
  blunt: {linear: {window: 1, penalty: 1000000.0}}
";

/// Minutes with a fall of about six per cent in every 150 on average, before most of which the book thins out; after some
/// thin books nothing happens. From `poisoned` on prices and books are others; before row 5000 so many minutes are missing.
fn rows(poisoned: usize, missing: i64) -> TableFile {
    let mut stream = Seed(5).stream("crashes", 0);
    let (mut price, mut blr) = (Vec::new(), Vec::new());
    let mut level = 3000.0;
    while price.len() < ROWS {
        let (quiet, thinning) = (60 + stream.below(120), 25 + stream.below(20));
        let (warns, falls) = (stream.below(5) > 0, stream.below(4) > 0);
        for row in 0..quiet + thinning + 35 {
            let falling = falls && (quiet + thinning..quiet + thinning + 12).contains(&row);
            let rising = falls && row >= quiet + thinning + 15;
            let drift = if falling { -0.005 } else { f64::from(u8::from(rising)) * 0.003 };
            level *= 1.0 + drift + 0.0004 * stream.normal();
            let thin = warns && (quiet..quiet + thinning + 12).contains(&row);
            price.push(level);
            blr.push((if thin { 0.7 } else { 1.2 }) * (0.12 * stream.normal()).exp());
        }
    }
    for row in poisoned..ROWS {
        price[row] *= 1.0 - 0.1 * (row % 97) as f64 / 97.0;
        blr[row] *= 1.5;
    }
    price.truncate(ROWS);
    blr.truncate(ROWS);
    let start = Time::parse("2022-01-01").unwrap().0;
    let minute = |row: i64| if row < 5000 { row } else { row + missing };
    let times = (0..ROWS as i64).map(|row| Time(start + minute(row) * 60_000_000_000)).collect();
    TableFile::default()
        .with("timestamp", Column::Time(times))
        .with("symbol", Column::Text(vec!["ETH".into(); ROWS]))
        .with("mid_price", Column::Float(price))
        .with("blr", Column::Float(blr))
}

/// A run of the experiment on rows that are others from `poisoned` on.
fn run_on(poisoned: usize) -> (Scratch, PathBuf) {
    run_of(&rows(poisoned, 0))
}

fn run_of(rows: &TableFile) -> (Scratch, PathBuf) {
    let scratch = Scratch::new();
    rows.write(&scratch.path("crashes.parquet")).unwrap();
    scratch.write("crashes.yaml", EXPERIMENT);
    scratch.candlewick(&["run", "crashes.yaml", "--no-audit"]).exits(0);
    let run = scratch.runs().remove(0);
    (scratch, run)
}

/// The run on the rows as they are, made once.
fn original() -> &'static Path {
    static RUN: OnceLock<(Scratch, PathBuf)> = OnceLock::new();
    &RUN.get_or_init(|| run_on(ROWS)).1
}

fn summary(run: &Path) -> Summary {
    read_json(&run.join("summary.json")).unwrap()
}

/// Every threshold of a fold, by model and horizon.
fn thresholds(run: &Path, fold: usize) -> Vec<Option<u64>> {
    let models = summary(run).models;
    let events = models.iter().flat_map(|model| &model.events);
    events.map(|events| events.thresholds[fold].map(f64::to_bits)).collect()
}

/// The rows of a table that belong to fold 0, as text.
fn of_first_fold(run: &Path, file: &str, columns: &[&str]) -> Vec<String> {
    let table = TableFile::read(&run.join(file)).unwrap();
    let folds = table.integer("fold").unwrap();
    let cell = |name: &&str, row: usize| match (table.float(name), table.time(name), table.integer(name)) {
        (Some(values), _, _) => format!("{:?}", values[row].to_bits()),
        (_, Some(times), _) => times[row].to_string(),
        (_, _, Some(numbers)) => numbers[row].to_string(),
        _ => table.text(name).unwrap()[row].to_string(),
    };
    let rows = (0..folds.len()).filter(|row| folds[*row] == 0);
    rows.map(|row| columns.iter().map(|name| cell(name, row) + " ").collect()).collect()
}

#[test]
fn what_comes_after_validation_moves_no_threshold() {
    let (_scratch, poisoned) = run_on(4000);
    let before = thresholds(original(), 0);
    assert!(before.iter().flatten().count() >= 3, "there are thresholds to compare: {before:?}");
    assert_eq!(before, thresholds(&poisoned, 0));
    let rates =
        |run: &Path| summary(run).models[0].events.iter().map(|it| it.test.base_rate).collect::<Vec<_>>();
    assert_ne!(rates(original()), rates(&poisoned), "the labels of the test rows are others");
}

#[test]
fn a_later_fold_changes_nothing_of_an_earlier_one() {
    // The last label of fold 0 looks 60 bars beyond its test part.
    let (_scratch, poisoned) = run_on(5060);
    for fold in [0, 1] {
        assert_eq!(thresholds(original(), fold), thresholds(&poisoned, fold), "fold {fold}");
    }
    for (file, columns) in [
        ("events.parquet", &["model", "symbol", "horizon", "first_row", "strike", "caught", "lead_bars"][..]),
        ("alarms.parquet", &["model", "symbol", "horizon", "raised", "last_row", "false_alarm"]),
        ("predictions.parquet", &["model", "timestamp", "horizon", "prediction", "actual", "alarm_at"]),
    ] {
        let rows = of_first_fold(original(), file, columns);
        assert!(rows.len() > 4, "{file} has rows of fold 0");
        assert_eq!(rows, of_first_fold(&poisoned, file, columns), "{file}");
    }
}

#[test]
fn a_run_that_lost_its_second_fold_is_resumed_to_the_same_alarms() {
    let (scratch, run) = run_on(ROWS);
    let tables = ["predictions.parquet", "events.parquet", "alarms.parquet"];
    let expected: Vec<Vec<u8>> = tables.iter().map(|file| std::fs::read(run.join(file)).unwrap()).collect();
    let events = |run: &Path| format!("{:?} {:?}", summary(run).models[0].events, summary(run).status);
    let figures = events(&run);
    for file in ["manifest.json", "summary.json", "models/fold-1/ridge/fit.json"].iter().chain(&tables) {
        std::fs::remove_file(run.join(file)).unwrap();
    }
    let name = run.file_name().unwrap().to_string_lossy().into_owned();
    scratch.candlewick(&["run", "--resume", &name, "--threads", "1"]).exits(0);
    for (file, expected) in tables.iter().zip(expected) {
        assert!(std::fs::read(run.join(file)).unwrap() == expected, "{file} differs");
    }
    assert_eq!(events(&run), figures);
}

#[test]
fn the_summary_and_the_tables_tell_one_story() {
    let (run, summary) = (original(), summary(original()));
    let (events, alarms) = (
        TableFile::read(&run.join("events.parquet")).unwrap(),
        TableFile::read(&run.join("alarms.parquet")).unwrap(),
    );
    let count = |table: &TableFile, model: &str, horizon: u32, of: &str| {
        let (models, horizons) = (table.text("model").unwrap(), table.integer("horizon").unwrap());
        let rows =
            (0..models.len()).filter(|row| &*models[*row] == model && horizons[*row] == i64::from(horizon));
        let flags = table.integer(of).unwrap();
        rows.fold((0, 0), |(all, set), row| (all + 1, set + flags[row] as usize))
    };
    for model in &summary.models {
        assert_eq!(model.horizons, [60, 20]);
        for figures in &model.events {
            let found = figures.test.alarms.clone().unwrap();
            assert!(figures.test.events > 3 && figures.test.auc > Some(0.5), "{} {figures:?}", model.name);
            let of_events = count(&events, &model.name, figures.horizon, "caught");
            assert_eq!(of_events, (figures.test.events, found.caught), "{}", model.name);
            let of_alarms = count(&alarms, &model.name, figures.horizon, "false_alarm");
            assert_eq!(of_alarms, (found.alarms, found.false_alarms), "{}", model.name);
            // On the rows that chose it a threshold keeps to what is allowed.
            let validation = figures.validation.alarms.clone().unwrap();
            assert!(validation.false_alarms_per_day.unwrap() <= 4.0, "{validation:?}");
        }
    }
    let (first, strike) = (events.time("first_row").unwrap(), events.time("strike").unwrap());
    for (row, lead) in events.float("lead_bars").unwrap().iter().enumerate() {
        let bars = (strike[row].0 - first[row].0) / 60_000_000_000;
        assert!((1..=events.integer("horizon").unwrap()[row]).contains(&bars));
        assert!(lead.is_nan() || (1.0..=bars as f64).contains(lead), "a lead of {lead} bars of {bars}");
    }
}

#[test]
fn the_status_is_that_of_the_last_row_beside_the_day_before() {
    let (run, summary) = (original(), summary(original()));
    let table = TableFile::read(&run.join("predictions.parquet")).unwrap();
    let (models, horizons) = (table.text("model").unwrap(), table.integer("horizon").unwrap());
    assert_eq!(summary.status.len(), 4, "two models and two horizons");
    for status in &summary.status {
        let rows: Vec<usize> = (0..models.len())
            .filter(|row| *models[*row] == *status.model && horizons[*row] == i64::from(status.horizon))
            .collect();
        let (risk, alarm_at) = (table.float("prediction").unwrap(), table.float("alarm_at").unwrap());
        // Rows follow each other minute by minute: the forecast of 24 hours before stands 1440 rows earlier.
        let (last, before) = (rows[rows.len() - 1], rows[rows.len() - 1 - 1440]);
        assert_eq!(status.timestamp, table.time("timestamp").unwrap()[last].to_string());
        assert_eq!((status.risk, status.alarm_at), (risk[last], Some(alarm_at[last])));
        assert_eq!(status.change_24h, Some(risk[last] - risk[before]));
        let level = match risk[last] / alarm_at[last] {
            share if share >= 1.0 => RiskLevel::Critical,
            share if share >= 0.5 => RiskLevel::Warning,
            _ => RiskLevel::Normal,
        };
        assert_eq!(status.status, Some(level));
        assert_eq!(status.columns.keys().collect::<Vec<_>>(), ["blr"]);
    }
}

#[test]
fn a_forecast_from_before_a_hole_is_none_of_the_day_before() {
    // The newest row that is 24 hours older stands 30 minutes, or 1000, before that time.
    for (missing, has_change) in [(1440 - 970, true), (1440, false)] {
        let (_scratch, run) = run_of(&rows(ROWS, missing));
        let status = summary(&run).status;
        assert_eq!(status.len(), 4);
        assert!(status.iter().all(|it| it.change_24h.is_some() == has_change), "{missing}: {status:?}");
    }
}

#[test]
fn the_page_shows_risks_and_no_figures_of_returns() {
    let page = std::fs::read_to_string(original().join("report.html")).unwrap();
    for id in ["now", "events", "risk", "alarms", "calibration"] {
        assert_eq!(page.matches(&format!("<section id=\"{id}\"")).count(), 1, "{id}");
    }
    for wrong in
        ["Direction right", "Rank IC", ">NaN", "\"NaN", "NaN%", "nothing to pass a verdict on", " style=\""]
    {
        assert!(!page.contains(wrong), "the page says {wrong}");
    }
    assert!(
        page.contains("within 60 bars") && page.contains("Event caught") && page.contains("False alarm,")
    );
    assert!(page.contains("always the base rate"));
    let text = candlewick::report::terminal(&summary(original()), 400, false);
    assert!(text.contains("ridge: within ") && text.contains("false alarms a day, median lead"), "{text}");
    assert!(text.contains("Risk at 2022-01-05T03:59:00Z within "), "{text}");
}

#[test]
fn alarms_are_for_events_alone() {
    let with_alarms = format!("{BASE}alarms: {{false_alarms_per_day: 2}}\n");
    let found = mistakes(&with_alarms, &[]);
    assert!(
        found.len() == 1 && found[0].contains("`alarms` are raised by the risk of an event"),
        "{found:?}"
    );
    let written = EXPERIMENT.replace("alarms: {false_alarms_per_day: 4}\n", "");
    let resolved = plan(&written, &[]).unwrap();
    let alarms = resolved.experiment.alarms.unwrap();
    assert_eq!((alarms.false_alarms_per_day, alarms.warning_share), (1.0, 0.5));
    assert_eq!(plan(&resolved.resolved, &[]).unwrap().sha256, resolved.sha256);
    assert!(!plan(BASE, &[]).unwrap().resolved.contains("alarms"));
    for wrong in ["{false_alarms_per_day: 0}", "{warning_share: 1.5}", "{warning_share: 0}"] {
        let yaml = EXPERIMENT.replace("{false_alarms_per_day: 4}", wrong);
        assert_eq!(mistakes(&yaml, &[]).len(), 1, "{wrong}");
    }
}

/// The bars to a fall agree with a look at every later close, and with the labels themselves.
#[test]
fn bars_to_an_event_are_those_of_a_naive_search() {
    let bars = random_bars(9, 400);
    let label: LabelConfig =
        serde_json::from_value(json!({"drawdown_within": {"horizons_bars": [3, 12], "fall_percent": 2.0}}))
            .unwrap();
    let labels = label.build().compute(&bars).unwrap();
    let mut fallen = 0;
    for (symbol, found) in label.build().bars_to_event(&bars).iter().enumerate() {
        let close = bars.symbols()[symbol].close();
        for row in 0..close.len() {
            let falls = |ahead: &usize| row + ahead < close.len() && close[row + ahead] <= close[row] * 0.98;
            let naive = (1..=12).find(falls);
            assert_eq!(Some(found[row]).filter(|bars| !bars.is_nan()), naive.map(|bars| bars as f64));
            fallen += usize::from(naive.is_some());
            for (column, horizon) in [(0, 3.0), (1, 12.0)] {
                let label = labels.column(symbol, column)[row];
                assert!(label.is_nan() || (label == 1.0) == (found[row] <= horizon), "row {row}");
            }
        }
    }
    assert!(fallen > 20, "{fallen}");
}

/// Real order books: an hour of one-second depth is ingested and its small falls are forecast.
#[test]
fn falls_in_real_depth_are_forecast_and_judged() {
    let Some(book) = shared("datasets/lob_btcusd_bitstamp.parquet") else { return };
    let scratch = Scratch::new();
    let book = book.display().to_string();
    scratch.candlewick(&["data", "depth", &book, "--every", "5s", "--output", "crashes.parquet"]).exits(0);
    let experiment = EXPERIMENT
        .replace("fall_percent: 4", "fall_percent: 0.05")
        .replace("[60, 20]", "[24]")
        .replace("false_alarms_per_day: 4", "false_alarms_per_day: 200")
        .replace(
            "train_bars: 2500, validation_bars: 1000, test_bars: 1000",
            "train_bars: 1500, validation_bars: 700, test_bars: 600",
        );
    scratch.write("crashes.yaml", &experiment);
    scratch.candlewick(&["run", "crashes.yaml"]).exits(0);
    let found = summary(&scratch.runs()[0]);
    let test = &found.models[0].events[0].test;
    println!("real depth: {test:?}");
    assert!(test.events > 0 && test.auc.is_some() && test.alarms.is_some(), "{test:?}");
    assert!(test.brier.unwrap() < 0.25 && test.days < 0.1, "{test:?}");
}
