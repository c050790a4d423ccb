//! Labels by hand, against a naive specification, and at their edges.

#![expect(clippy::unwrap_used, reason = "a test stops where it fails")]

use crate::causality::{labels, random_bars};
use candlewick::domains::market::labels::LabelConfig;
use candlewick::table::{BarColumns, Bars, LabelKind, Labels, SymbolBars};
use candlewick::units::Time;
use serde_json::{Value, json};

const HOUR: i64 = 3_600_000_000_000;

fn compute(written: Value, bars: &Bars) -> Labels {
    serde_json::from_value::<LabelConfig>(written).unwrap().build().compute(bars).unwrap()
}

/// Hourly bars of one symbol from (high, low, close).
fn bars(rows: &[(f64, f64, f64)]) -> Bars {
    let columns = BarColumns {
        time: (0..rows.len() as i64).map(|hour| Time(hour * HOUR)).collect(),
        open: rows.iter().map(|row| row.2).collect(),
        high: rows.iter().map(|row| row.0).collect(),
        low: rows.iter().map(|row| row.1).collect(),
        close: rows.iter().map(|row| row.2).collect(),
        volume: vec![1.0; rows.len()],
    };
    Bars::new(vec![SymbolBars::new("ALPHA", columns).unwrap()]).unwrap()
}

fn closes(values: &[f64]) -> Bars {
    bars(&values.iter().map(|close| (*close, *close, *close)).collect::<Vec<_>>())
}

/// The close time of bar `row` in hours.
fn close_of(row: usize) -> Option<Time> {
    Some(Time((row as i64 + 1) * HOUR))
}

fn known(labels: &Labels, rows: usize) -> Vec<Option<Time>> {
    (0..rows).map(|row| labels.known_at(0, row)).collect()
}

/// Equal within rounding, nulls in the same rows.
fn assert_near(found: &[f64], wanted: &[f64]) {
    let near = |(found, wanted): (&f64, &f64)| {
        (found - wanted).abs() <= 1e-14 || (found.is_nan() && wanted.is_nan())
    };
    assert!(
        found.len() == wanted.len() && found.iter().zip(wanted).all(near),
        "{found:?} instead of {wanted:?}"
    );
}

const NULL: f64 = f64::NAN;

#[test]
fn forward_return_by_hand() {
    let bars = closes(&[100.0, 110.0, 99.0, 99.0]);
    let labels = compute(json!({"forward_return": {"horizons_bars": [1, 2]}}), &bars);
    assert_eq!(labels.kind(), LabelKind::Return);
    assert_near(labels.column(0, 0), &[0.1, -0.1, 0.0, NULL]);
    assert_near(labels.column(0, 1), &[-0.01, -0.1, NULL, NULL]);
    // A row is known with its longest horizon, at the close of that bar.
    assert_eq!(known(&labels, 4), [close_of(2), close_of(3), None, None]);
}

#[test]
fn sign_by_hand() {
    let bars = closes(&[100.0, 110.0, 99.0, 99.0, 100.0]);
    let labels = compute(json!({"sign": {}}), &bars);
    assert_eq!(labels.kind(), LabelKind::Class);
    // An unchanged close is no rise.
    assert_near(labels.column(0, 0), &[1.0, 0.0, 0.0, 1.0, NULL]);
    assert_eq!(known(&labels, 5), [close_of(1), close_of(2), close_of(3), close_of(4), None]);
    // The smallest rise there is counts, though the return rounds to nearly nothing.
    let bars = closes(&[1.999_999_999_999_999_8, 2.0]);
    assert_eq!(compute(json!({"sign": {}}), &bars).column(0, 0)[0], 1.0);
}

#[test]
fn volatility_scaled_return_by_hand() {
    // Logarithmic returns 0.1, -0.1, 0.1, ...: two of them have the sample deviation sqrt(0.02) = 0.1414...
    let (low, high) = (100.0, 100.0 * 0.1_f64.exp());
    let bars = closes(&[low, high, low, high, low]);
    let written = json!({"volatility_scaled_return": {"horizons_bars": [1, 2], "volatility_bars": 2}});
    let labels = compute(written, &bars);
    assert_eq!(labels.kind(), LabelKind::Scaled);
    let volatility = 0.02_f64.sqrt();
    let (up, down) = (0.1_f64.exp() - 1.0, (-0.1_f64).exp() - 1.0);
    assert_near(labels.column(0, 0), &[NULL, NULL, up / volatility, down / volatility, NULL]);
    assert_near(labels.column(0, 1), &[NULL, NULL, 0.0, NULL, NULL]);
    assert_eq!(known(&labels, 5), [None, None, close_of(4), None, None]);
    // Over four bars the scale is twice that of one.
    let bars = closes(&[low, high, low, high, low, high, high * 2.0]);
    let written = json!({"volatility_scaled_return": {"horizons_bars": [4], "volatility_bars": 2}});
    assert_near(
        &compute(written, &bars).column(0, 0)[2..3],
        &[(2.0 * high / low - 1.0) / (2.0 * volatility)],
    );
}

#[test]
fn a_price_that_never_moves_has_no_scaled_label_and_no_barriers() {
    let bars = closes(&[5.0; 60]);
    for written in [json!({"volatility_scaled_return": {}}), json!({"triple_barrier": {}})] {
        let labels = compute(written, &bars);
        assert!(labels.column(0, 0).iter().all(|value| value.is_nan()));
        assert_eq!(known(&labels, 60), [None; 60]);
    }
}

/// Closes 100, 100 * e^0.1, 100 give row 2 a volatility of sqrt(0.02) and, with barriers at 1 volatility, the levels
/// 100 * e^(+-0.1414...) = 115.19 and 86.81; then the bars of the case follow.
fn barrier_case(later: &[(f64, f64, f64)], limit: u32) -> (f64, Option<Time>) {
    let high = 100.0 * 0.1_f64.exp();
    let mut rows = vec![(100.0, 100.0, 100.0), (high, high, high), (100.0, 100.0, 100.0)];
    rows.extend(later);
    let settings = json!({"upper": 1.0, "lower": 1.0, "limit_bars": limit, "volatility_bars": 2});
    let labels = compute(json!({ "triple_barrier": settings }), &bars(&rows));
    assert_eq!(labels.kind(), LabelKind::Direction);
    assert_eq!(labels.horizons(), [limit]);
    (labels.column(0, 0)[2], labels.known_at(0, 2))
}

#[test]
fn triple_barrier_by_hand() {
    let calm = (101.0, 99.0, 100.0);
    let (up, down, both) = ((115.2, 99.0, 100.0), (101.0, 86.8, 100.0), (115.2, 86.8, 100.0));
    assert_eq!(barrier_case(&[calm, up, down], 3), (1.0, close_of(4)));
    assert_eq!(barrier_case(&[down, up, up], 3), (-1.0, close_of(3)));
    assert_eq!(barrier_case(&[calm, both, up], 3), (-1.0, close_of(4)), "both in one bar: the worse");
    assert_eq!(barrier_case(&[calm, calm, calm], 3), (0.0, close_of(5)));
    assert_eq!(barrier_case(&[calm, calm, up], 3), (1.0, close_of(5)), "the limit's own bar counts");
    assert_eq!(
        barrier_case(&[calm, calm, calm, up], 3),
        (0.0, close_of(5)),
        "a bar after the limit does not"
    );
    assert_eq!(barrier_case(&[calm, up], 3), (1.0, close_of(4)), "known before the data end");
    // Not yet decided when the data end.
    let (label, at) = barrier_case(&[calm, calm], 3);
    assert!(label.is_nan() && at.is_none());
    // Just short of both barriers.
    assert_eq!(barrier_case(&[(115.1, 86.9, 100.0)], 1), (0.0, close_of(3)));
}

#[test]
fn barriers_have_their_own_widths() {
    let high = 100.0 * 0.1_f64.exp();
    let rows = [(100.0, 100.0, 100.0), (high, high, high), (100.0, 100.0, 100.0), (120.0, 90.0, 100.0)];
    let label = |upper: f64, lower: f64| {
        let settings = json!({"upper": upper, "lower": lower, "limit_bars": 1, "volatility_bars": 2});
        compute(json!({ "triple_barrier": settings }), &bars(&rows)).column(0, 0)[2]
    };
    // 100 * e^(0.1414 m): 1.28 is 119.8, 1.3 is 120.2; 100 * e^(-0.1414 m): 0.74 is 90.06, 0.75 is 89.94.
    assert_eq!(
        [label(1.28, 0.75), label(1.3, 0.75), label(1.28, 0.74), label(1.3, 0.74)],
        [1.0, 0.0, -1.0, -1.0]
    );
}

/// The last bar that a label of row `row` uses, found without the label's code.
fn last_bar(config: &LabelConfig, bars: &SymbolBars, row: usize, volatility: f64) -> usize {
    let LabelConfig::TripleBarrier(settings) = config else {
        return row + config.build().horizons().into_iter().max().unwrap() as usize;
    };
    let close = bars.close()[row];
    let touched = |later: &usize| {
        bars.high()[*later] >= close * (settings.upper * volatility).exp()
            || bars.low()[*later] <= close * (-settings.lower * volatility).exp()
    };
    let limit = row + settings.limit_bars as usize;
    (row + 1..=limit.min(bars.len() - 1)).find(touched).unwrap_or(limit)
}

#[test]
fn labels_are_known_at_the_close_of_the_last_bar_they_use() {
    for seed in 0..5 {
        let bars = random_bars(seed, 200);
        assert_eq!(bars.interval(), HOUR);
        for config in labels() {
            let labels = config.build().compute(&bars).unwrap();
            for (symbol, one) in bars.symbols().iter().enumerate() {
                let mut seen = 0;
                for row in 0..one.len() {
                    let Some(known) = labels.known_at(symbol, row) else { continue };
                    seen += 1;
                    let from = row.saturating_sub(20);
                    let returns: Vec<f64> =
                        one.close()[from..=row].windows(2).map(|pair| (pair[1] / pair[0]).ln()).collect();
                    let mean = returns.iter().sum::<f64>() / returns.len() as f64;
                    let squares: f64 = returns.iter().map(|value| (value - mean).powi(2)).sum();
                    let volatility = (squares / (returns.len() as f64 - 1.0)).sqrt();
                    let last = last_bar(&config, one, row, volatility);
                    assert_eq!(known.0, one.time()[last].0 + HOUR, "{config:?}, {} row {row}", one.symbol());
                }
                assert!(seen > 50, "{config:?}: {seen} labels of {}", one.symbol());
            }
        }
    }
}

#[test]
fn series_shorter_than_the_horizon_are_null_and_never_a_panic() {
    let full = random_bars(2, 40);
    for config in labels() {
        for rows in 1..=40 {
            let short = Bars::new(vec![full.symbols()[0].head(rows)]).unwrap();
            let labels = config.build().compute(&short).unwrap();
            assert!(labels.column(0, 0)[rows - 1].is_nan(), "{config:?} labels the last row");
            assert_eq!(labels.known_at(0, rows - 1), None);
        }
    }
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    let bars = random_bars(2, 40);
    let cases = [
        (json!({"forward_return": {"horizons_bars": []}}), "`horizons_bars` is empty"),
        (json!({"forward_return": {"horizons_bars": [1, 0]}}), "`horizons_bars` holds 0"),
        (json!({"sign": {"horizons_bars": [2, 2]}}), "`horizons_bars` holds 2 twice"),
        (json!({"volatility_scaled_return": {"horizons_bars": [0]}}), "`horizons_bars` holds 0"),
        (json!({"volatility_scaled_return": {"volatility_bars": 1}}), "`volatility_bars` is 1"),
        (json!({"triple_barrier": {"volatility_bars": 0}}), "`volatility_bars` is 0"),
        (json!({"triple_barrier": {"upper": 0.0}}), "`upper` is 0"),
        (json!({"triple_barrier": {"lower": -2.0}}), "`lower` is -2"),
        (json!({"triple_barrier": {"limit_bars": 0}}), "`limit_bars` is 0"),
    ];
    for (written, problem) in cases {
        let config: LabelConfig = serde_json::from_value(written).unwrap();
        let error = config.build().compute(&bars).unwrap_err();
        assert!(error.contains(problem), "{error}");
    }
}
