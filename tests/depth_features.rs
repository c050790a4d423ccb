//! Features of extra columns and of falls: by hand, and what is said where a column is missing.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use super::config::{mistakes, plan, with};
use candlewick::domains::market::indicators::{IndicatorConfig, compute};
use candlewick::seed::Seed;
use candlewick::table::{BarColumns, Bars, Features, NULL, SymbolBars};
use candlewick::units::Time;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// One symbol of minute bars with these closes, and a ratio of depth.
fn minutes(closes: &[f64], ratios: &[f64]) -> Bars {
    let columns = BarColumns {
        time: (0..closes.len() as i64).map(|minute| Time(minute * 60_000_000_000)).collect(),
        open: closes.to_vec(),
        high: closes.to_vec(),
        low: closes.to_vec(),
        close: closes.to_vec(),
        volume: vec![1.0; closes.len()],
    };
    let extras = BTreeMap::from([("blr".to_owned(), ratios.to_vec())]);
    Bars::new(vec![SymbolBars::new("ALPHA", columns).unwrap().with_extras(extras).unwrap()]).unwrap()
}

fn computed(written: Value, bars: &Bars) -> Features {
    compute(&[serde_json::from_value(written).unwrap()], bars).unwrap()
}

fn assert_column(features: &Features, name: &str, wanted: &[f64]) {
    assert_eq!(features.names(), [name]);
    let found = features.column(0, 0);
    let same =
        |(found, wanted): (&f64, &f64)| (found.is_nan() && wanted.is_nan()) || (found - wanted).abs() < 1e-15;
    assert!(
        found.len() == wanted.len() && found.iter().zip(wanted).all(same),
        "{found:?} instead of {wanted:?}"
    );
}

#[test]
fn a_column_by_hand() {
    let bars = minutes(&[1.0; 6], &[1.0, 2.0, 0.0, NULL, 0.5, 4.0]);
    let as_is = computed(json!({"column": {"name": "blr"}}), &bars);
    assert_column(&as_is, "blr", &[1.0, 2.0, 0.0, NULL, 0.5, 4.0]);
    let log = computed(json!({"column": {"name": "blr", "form": "log"}}), &bars);
    let two = 2.0_f64.ln();
    assert_column(&log, "log_blr", &[0.0, two, NULL, NULL, -two, 2.0 * two]);
    let change = computed(json!({"column": {"name": "blr", "form": "log_change"}}), &bars);
    assert_column(&change, "log_change_blr", &[NULL, two, NULL, NULL, NULL, 3.0 * two]);
}

#[test]
fn a_trailing_drawdown_by_hand() {
    let bars = minutes(&[100.0, 80.0, 90.0, 120.0, 60.0], &[1.0; 5]);
    let fall = computed(json!({"trailing_drawdown": {"period": 3}}), &bars);
    assert_column(&fall, "trailing_drawdown_3", &[NULL, NULL, 90.0 / 100.0 - 1.0, 0.0, -0.5]);
    // The naive definition on a long random series.
    let mut stream = Seed(4).stream("closes", 0);
    let closes: Vec<f64> = (0..500).map(|_| (0.1 * stream.normal()).exp()).collect();
    let bars = minutes(&closes, &vec![1.0; 500]);
    let wanted: Vec<f64> = (0..500)
        .map(|row| match row {
            0..58 => NULL,
            _ => closes[row] / closes[row - 58..=row].iter().copied().fold(0.0, f64::max) - 1.0,
        })
        .collect();
    let fall = computed(json!({"trailing_drawdown": {"period": 59}}), &bars);
    assert_column(&fall, "trailing_drawdown_59", &wanted);
}

#[test]
fn depth_stress_by_hand() {
    // 0.7 clip(1 - r / 1.5) + 0.3 clip((1 / r - 1) / 2)
    let bars = minutes(&[1.0; 8], &[1.5, 9.0, 1.0, 0.75, 0.5, 0.1, 0.0, NULL]);
    let wanted = [
        0.0,
        0.0,
        0.7 / 3.0,
        0.35 + 0.3 / 6.0,
        0.7 * 2.0 / 3.0 + 0.15,
        0.7 * (1.0 - 0.1 / 1.5) + 0.3,
        NULL,
        NULL,
    ];
    assert_column(&computed(json!({"depth_stress": {}}), &bars), "depth_stress", &wanted);
}

#[test]
fn nulls_within_a_column_only_lose_the_windows_that_hold_them() {
    let mut ratios = vec![1.5; 60];
    ratios[20] = NULL;
    ratios[41] = 0.0;
    let bars = minutes(&[1.0; 60], &ratios);
    let lost = |written: Value, window: usize| -> Vec<usize> {
        let features = computed(written, &bars);
        (0..60).filter(|row| !features.complete(0, *row, window)).collect()
    };
    let rows = |ranges: &[std::ops::Range<usize>]| ranges.iter().cloned().flatten().collect::<Vec<_>>();
    assert_eq!(lost(json!({"column": {"name": "blr"}}), 5), rows(&[0..4, 20..25]));
    let log = json!({"column": {"name": "blr", "form": "log"}});
    assert_eq!(lost(log, 5), rows(&[0..4, 20..25, 41..46]));
    let change = json!({"column": {"name": "blr", "form": "log_change"}});
    assert_eq!(lost(change, 5), rows(&[0..5, 20..26, 41..47]));
    assert_eq!(lost(json!({"depth_stress": {}}), 3), rows(&[0..2, 20..23, 41..44]));
}

#[test]
fn a_missing_column_is_named_with_those_that_are_there() {
    let bars = minutes(&[1.0; 3], &[1.0; 3]);
    let wrong = |written: Value| {
        let config: IndicatorConfig = serde_json::from_value(written).unwrap();
        let columns = config.build().compute(&bars);
        assert!(columns.iter().flatten().flatten().all(|value| value.is_nan()));
        compute(&[config], &bars).unwrap_err()
    };
    let error = wrong(json!({"column": {"name": "BLR_2"}}));
    for part in ["`column` of ALPHA", "no extra column `BLR_2`", "did you mean `blr`?"] {
        assert!(error.contains(part), "{error}");
    }
    let error = wrong(json!({"depth_stress": {"blr": "imbalance"}}));
    assert!(error.contains("the extra columns are blr;") && error.contains("`imbalance`"), "{error}");
}

#[test]
fn a_configuration_without_the_column_is_refused_where_it_stands() {
    let features = "  - log_return: {lags: [1, 2]}";
    let text = with(features, &format!("{features}\n  - column: {{name: blr, form: log}}"));
    let found = mistakes(&text, &[]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("there is no extra column `blr`"), "{found:?}");
    assert!(found[0].ends_with("| add `extra: {blr: NAME IN THE FILE}` to `data.columns`"), "{found:?}");
    let other = text.replace("bars.parquet", "bars.parquet, columns: {extra: {blr_1: blr}}");
    let found = mistakes(&other, &[]);
    assert!(found.len() == 1 && found[0].ends_with("| did you mean `blr_1`?"), "{found:?}");
    let right = text.replace("bars.parquet", "bars.parquet, columns: {extra: {blr: bid_ratio}}");
    plan(&right, &[]).unwrap();
    let stress = with(features, "  - depth_stress: {}");
    assert!(mistakes(&stress, &[])[0].contains("there is no extra column `blr`"));
    let empty = with(features, "  - column: {name: \"\"}");
    assert!(
        mistakes(&empty, &[]).iter().any(|one| one.contains("`name` is empty")),
        "{:?}",
        mistakes(&empty, &[])
    );
}
