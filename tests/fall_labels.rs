//! Levels, falls and times to falls: against a naive specification, at the end of the data, and across the borders of folds.

use crate::causality::random_bars;
use candlewick::data::SplitConfig;
use candlewick::domains::market::labels::LabelConfig;
use candlewick::table::{Bars, Features, LabelKind, Labels};
use candlewick::units::Time;
use proptest::prelude::*;
use serde_json::{Value, json};

const HOUR: i64 = 3_600_000_000_000;

fn compute(written: Value, bars: &Bars) -> Labels {
    serde_json::from_value::<LabelConfig>(written).unwrap().build().compute(bars).unwrap()
}

fn within(horizons: &[u32], fall: f64) -> Value {
    json!({"drawdown_within": {"horizons_bars": horizons, "fall_percent": fall}})
}

/// Bars until the close stands at or below its share, looked for in all that follows; `None` where it never does.
fn bars_until(close: &[f64], row: usize, fall: f64) -> Option<usize> {
    (1..close.len() - row).find(|ahead| close[row + ahead] <= close[row] * (1.0 - fall / 100.0))
}

fn assert_known(labels: &Labels, bars: &Bars, longest: usize) {
    for (symbol, one) in bars.symbols().iter().enumerate() {
        for row in 0..one.len() {
            let wanted = one.time().get(row + longest).map(|time| Time(time.0 + HOUR));
            assert_eq!(labels.known_at(symbol, row), wanted, "{} row {row}", one.symbol());
        }
    }
}

#[test]
fn a_forward_value_is_the_later_close() {
    let bars = random_bars(6, 120);
    let labels = compute(json!({"forward_value": {"horizons_bars": [1, 7]}}), &bars);
    assert_eq!((labels.kind(), labels.horizons()), (LabelKind::Value, &[1, 7][..]));
    assert_known(&labels, &bars, 7);
    for (symbol, one) in bars.symbols().iter().enumerate() {
        for (index, horizon) in [1, 7].into_iter().enumerate() {
            for row in 0..one.len() {
                let found = labels.column(symbol, index)[row];
                match one.close().get(row + horizon) {
                    Some(close) => assert_eq!(found, *close),
                    None => assert!(found.is_nan()),
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn falls_equal_their_naive_definition_and_agree_with_each_other(seed in 0_u64..1000, fall in 0.5_f64..12.0) {
        let bars = random_bars(seed, 110);
        let horizons: Vec<u32> = (1..=30).collect();
        let labels = compute(within(&horizons, fall), &bars);
        let times = compute(json!({"bars_to_drawdown": {"limit_bars": 30, "fall_percent": fall}}), &bars);
        prop_assert_eq!((labels.kind(), times.kind()), (LabelKind::Event, LabelKind::Value));
        assert_known(&labels, &bars, 30);
        assert_known(&times, &bars, 30);
        for (symbol, one) in bars.symbols().iter().enumerate() {
            for row in 0..one.len() {
                let until = bars_until(one.close(), row, fall);
                let time = times.column(symbol, 0)[row];
                prop_assert_eq!(time.is_nan(), row + 30 >= one.len());
                if !time.is_nan() {
                    prop_assert_eq!(time, until.map_or(31, |bars| bars.min(31)) as f64);
                }
                let mut before = 0.0;
                for (index, horizon) in horizons.iter().enumerate() {
                    let label = labels.column(symbol, index)[row];
                    let horizon = *horizon as usize;
                    prop_assert_eq!(label.is_nan(), row + horizon >= one.len());
                    if label.is_nan() {
                        continue;
                    }
                    prop_assert_eq!(label == 1.0, until.is_some_and(|bars| bars <= horizon));
                    prop_assert!(label >= before, "a longer horizon holds every fall of a shorter one");
                    before = label;
                    if !time.is_nan() {
                        prop_assert_eq!(label == 1.0, time <= horizon as f64);
                    }
                }
            }
        }
    }
}

#[test]
fn a_fall_is_exact_at_its_border() {
    let rows = [100.0, 95.0, 95.000_000_1, 100.0, 94.999_999_9, 100.0];
    let full = random_bars(1, 60);
    let mut columns = full.symbols()[0].head(rows.len()).columns().clone();
    for column in [&mut columns.open, &mut columns.high, &mut columns.low, &mut columns.close] {
        *column = rows.to_vec();
    }
    let bars = full.with_symbols(vec![full.symbols()[0].with_columns(columns).unwrap()]);
    let labels = compute(within(&[1], 5.0), &bars);
    let found = &labels.column(0, 0)[..5];
    assert_eq!(found, [1.0, 0.0, 0.0, 1.0, 0.0]);
}

/// A crash in the last bar that a label uses changes it, where no earlier bar has decided it: a label is not known before.
#[test]
fn the_last_bar_of_a_horizon_still_decides() {
    let bars = random_bars(3, 120);
    let one = &bars.symbols()[0];
    for written in [within(&[12], 5.0), json!({"bars_to_drawdown": {"limit_bars": 12, "fall_percent": 5.0}})]
    {
        let before = compute(written.clone(), &bars);
        let mut undecided = 0;
        for row in 0..one.len() - 12 {
            if bars_until(&one.close()[..row + 13], row, 5.0).is_some() {
                continue;
            }
            undecided += 1;
            for (crashed, changes) in [(row + 12, true), (row + 13, false)] {
                if crashed >= one.len() {
                    continue;
                }
                let mut columns = one.columns().clone();
                (columns.low[crashed], columns.close[crashed]) = (0.01, 0.01);
                let again =
                    compute(written.clone(), &bars.with_symbols(vec![one.with_columns(columns).unwrap()]));
                let label = again.column(0, 0)[row];
                let is_time = before.kind() == LabelKind::Value;
                match (changes, is_time) {
                    (true, true) => assert_eq!(label, 12.0),
                    (true, false) => assert_eq!(label, 1.0),
                    (false, _) => assert_eq!(label, before.column(0, 0)[row], "row {row}"),
                }
            }
        }
        assert!(undecided > 20, "{undecided}");
    }
}

#[test]
fn no_training_label_reaches_into_the_parts_that_judge() {
    let bars = random_bars(7, 600);
    let flat = |symbol: usize| vec![vec![1.0; bars.symbols()[symbol].len()]];
    let features = Features::new(vec!["one".into()], (0..bars.symbols().len()).map(flat).collect()).unwrap();
    let split: SplitConfig = serde_json::from_value(json!({"walk_forward": {
        "folds": 3, "train_bars": 200, "validation_bars": 80, "test_bars": 80
    }}))
    .unwrap();
    let folds = split.folds(bars.timeline().times(), bars.interval()).unwrap();
    for (written, longest) in [
        (json!({"forward_value": {"horizons_bars": [1, 5]}}), 5),
        (within(&[3, 20], 2.0), 20),
        (json!({"bars_to_drawdown": {"limit_bars": 15, "fall_percent": 2.0}}), 15),
    ] {
        let labels = compute(written.clone(), &bars);
        for fold in &folds {
            let train = fold.train_samples(&bars, &features, &labels, 1, 1).unwrap();
            let validation = fold.validation_samples(&bars, &features, &labels, 1).unwrap();
            assert!(!train.samples().is_empty() && !validation.is_empty());
            let known = |sample: &candlewick::table::Sample| {
                labels.known_at(sample.symbol as usize, sample.row as usize).unwrap()
            };
            for sample in train.samples() {
                let known = known(sample);
                assert!(known <= fold.validation.start, "{written}: {known} in training");
            }
            for sample in &validation {
                let known = known(sample);
                assert!(known <= fold.test.start, "{written}: {known} in validation");
            }
            // Not a bar more than needed is lost: the last training label of the complete symbol ends with the part.
            let last = train.samples().iter().rfind(|sample| sample.symbol == 0).unwrap();
            let gap = fold.validation.start.0 - known(last).0;
            assert!((0..2 * HOUR).contains(&gap), "{written}: {longest} bars, {gap} ns unused");
        }
    }
}
