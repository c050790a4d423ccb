//! Folds against a specification that compares every sample with every other.

use candlewick::data::{Fold, Holdout, PurgedKFold, SplitConfig, WalkForward};
use candlewick::table::{BarColumns, Bars, Features, LabelKind, Labels, NULL, Sample, SymbolBars};
use candlewick::units::Time;
use proptest::prelude::*;

const HOUR: i64 = 3_600_000_000_000;

/// A market of symbols that miss some hours, a feature with a warm-up, and labels over `horizon` rows.
fn world(hours: usize, missing: &[Vec<bool>], warm_up: usize, horizon: usize) -> (Bars, Features, Labels) {
    let symbols: Vec<SymbolBars> = missing
        .iter()
        .enumerate()
        .map(|(index, missing)| {
            let there = |hour: &usize| *hour == 0 || !missing[*hour % missing.len()];
            let time: Vec<Time> = (0..hours).filter(there).map(|hour| Time(hour as i64 * HOUR)).collect();
            let flat = vec![1.0; time.len()];
            let columns = BarColumns {
                time,
                open: flat.clone(),
                high: flat.clone(),
                low: flat.clone(),
                close: flat.clone(),
                volume: flat,
            };
            SymbolBars::new(format!("S{index}"), columns).unwrap()
        })
        .collect();
    let bars = Bars::new(symbols).unwrap();
    let rows = |symbol: usize| bars.symbols()[symbol].len();
    let count = bars.symbols().len();
    let feature =
        |symbol: usize| (0..rows(symbol)).map(|row| if row < warm_up { NULL } else { row as f64 }).collect();
    let features =
        Features::new(vec!["row".into()], (0..count).map(|symbol| vec![feature(symbol)]).collect()).unwrap();
    let value = |symbol: usize| {
        (0..rows(symbol)).map(|row| if row + horizon < rows(symbol) { 0.5 } else { NULL }).collect()
    };
    let known = |symbol: usize| {
        let times = bars.symbols()[symbol].time();
        (0..rows(symbol))
            .map(|row| times.get(row + horizon).map(|time| Time(time.0 + bars.interval())))
            .collect()
    };
    let labels = Labels::new(
        LabelKind::Return,
        vec![horizon as u32],
        (0..count).map(|symbol| vec![value(symbol)]).collect(),
        (0..count).map(known).collect(),
    )
    .unwrap();
    (bars, features, labels)
}

fn every_row(bars: &Bars) -> Vec<Sample> {
    let rows = |symbol: usize| {
        (0..bars.symbols()[symbol].len()).map(move |row| Sample { symbol: symbol as u32, row: row as u32 })
    };
    (0..bars.symbols().len()).flat_map(rows).collect()
}

fn start(bars: &Bars, sample: &Sample) -> Time {
    bars.symbols()[sample.symbol as usize].time()[sample.row as usize]
}

/// The specification: a training row stays if its label's time overlaps neither a held-out range, widened by the embargo, nor the
/// label of any row in it, widened alike.
fn naive_train(
    fold: &Fold,
    (bars, features, labels): &(Bars, Features, Labels),
    window: usize,
) -> Vec<Sample> {
    let known =
        |sample: &Sample| labels.known_at(sample.symbol as usize, sample.row as usize).map(|time| time.0);
    let all = every_row(bars);
    let overlaps = |left: (i64, i64), right: (i64, i64)| left.0 < right.1 && right.0 < left.1;
    let clean = |sample: &Sample| {
        let Some(end) = known(sample) else { return false };
        let span = (start(bars, sample).0 + bars.interval(), end);
        [&fold.validation, &fold.test].iter().all(|part| {
            let inside = all.iter().filter(|other| part.contains(&start(bars, other)));
            let mut held_out: Vec<(i64, i64)> =
                vec![(part.start.0 - fold.embargo, part.end.0 + fold.embargo)];
            held_out.extend(inside.filter_map(|other| {
                known(other).map(|end| (part.start.0 - fold.embargo, end + fold.embargo))
            }));
            held_out.iter().all(|other| !overlaps(span, *other))
        })
    };
    all.iter()
        .filter(|sample| fold.train.iter().any(|part| part.contains(&start(bars, sample))))
        .filter(|sample| features.complete(sample.symbol as usize, sample.row as usize, window))
        .filter(|sample| clean(sample))
        .copied()
        .collect()
}

fn splits() -> impl Strategy<Value = SplitConfig> {
    let bars = (5..40_usize, 1..20_usize, 1..20_usize);
    let walk = (1..4_usize, bars, 0..6_usize, 0..6_usize, any::<bool>()).prop_map(
        |(folds, (train_bars, validation_bars, test_bars), test_gap_bars, embargo_bars, anchored)| {
            SplitConfig::WalkForward(WalkForward {
                folds,
                train_bars,
                validation_bars,
                test_bars,
                test_gap_bars,
                embargo_bars,
                anchored,
                first_fold: 0,
            })
        },
    );
    let holdout = (0..6_usize).prop_map(|embargo_bars| {
        SplitConfig::Holdout(Holdout { train: 0.6, validation: 0.2, test: 0.2, embargo_bars })
    });
    let k_fold = (2..6_usize, 0..6_usize).prop_map(|(folds, embargo_bars)| {
        SplitConfig::PurgedKFold(PurgedKFold { folds, validation: 0.1, embargo_bars })
    });
    prop_oneof![walk, holdout, k_fold]
}

/// Whether most hours that are there are followed by the next one: only then are these bars of one hour, and bars of two
/// lengths beside each other are refused.
fn hourly(missing: &[bool]) -> bool {
    let there = missing.iter().filter(|missing| !**missing).count();
    let next = missing.iter().cycle().skip(1);
    let followed = missing.iter().zip(next).filter(|(now, next)| !**now && !**next).count();
    2 * followed > there
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn folds_keep_their_promises(
        split in splits(),
        hours in 180..240_usize,
        missing in prop::collection::vec(prop::collection::vec(prop::bool::weighted(0.2), 37), 1..4)
            .prop_filter("bars are hourly", |missing| missing.iter().all(|missing| hourly(missing))),
        warm_up in 0..5_usize,
        horizon in 1..7_usize,
        window in 1..6_usize,
    ) {
        let world = world(hours, &missing, warm_up, horizon);
        let (bars, features, labels) = &world;
        // The largest of the walk-forward splits above needs 115 bars.
        prop_assume!(bars.timeline().times().len() >= 115);
        let folds = split.folds(bars.timeline().times(), bars.interval()).unwrap();
        let mut tested = Vec::new();
        for fold in &folds {
            let train = match fold.train_samples(bars, features, labels, window, 1) {
                Ok(train) => train.samples().to_vec(),
                Err(_) => Vec::new(),
            };
            prop_assert_eq!(&train, &naive_train(fold, &world, window));
            prop_assert!(train.is_sorted());
            for sample in &train {
                let known = labels.known_at(sample.symbol as usize, sample.row as usize).unwrap();
                for part in [&fold.validation, &fold.test] {
                    prop_assert!(!part.contains(&start(bars, sample)));
                    if start(bars, sample) < part.start {
                        prop_assert!(known.0 + fold.embargo <= part.start.0);
                    } else {
                        prop_assert!(start(bars, sample).0 + bars.interval() >= part.end.0 + fold.embargo);
                    }
                }
            }
            if let Ok(validation) = fold.validation_samples(bars, features, labels, window) {
                prop_assert!(validation.is_sorted());
                for sample in &validation {
                    prop_assert!(fold.validation.contains(&start(bars, sample)));
                    let known = labels.known_at(sample.symbol as usize, sample.row as usize).unwrap();
                    prop_assert!(fold.validation.start > fold.test.start || known <= fold.test.start);
                }
            }
            if let Ok(test) = fold.test_samples(bars, features, window) {
                prop_assert!(test.is_sorted());
                let expected: Vec<Sample> = every_row(bars)
                    .into_iter()
                    .filter(|sample| fold.test.contains(&start(bars, sample)))
                    .filter(|sample| features.complete(sample.symbol as usize, sample.row as usize, window))
                    .collect();
                prop_assert_eq!(&test, &expected);
                tested.extend(test);
            }
        }
        let all = tested.len();
        tested.sort();
        tested.dedup();
        prop_assert_eq!(tested.len(), all, "a row is tested by two folds");
    }
}

fn hours(count: i64) -> Vec<Time> {
    (0..count).map(|hour| Time(hour * HOUR)).collect()
}

const WALK: WalkForward = WalkForward {
    folds: 3,
    train_bars: 40,
    validation_bars: 10,
    test_bars: 15,
    test_gap_bars: 0,
    embargo_bars: 2,
    anchored: false,
    first_fold: 0,
};

#[test]
fn folds_before_the_first_are_left_out_and_the_others_stay_as_they_are() {
    let of =
        |first_fold| SplitConfig::WalkForward(WalkForward { first_fold, ..WALK }).folds(&hours(100), HOUR);
    let all = of(0).unwrap();
    assert_eq!(of(1).unwrap(), all[1..]);
    assert_eq!(of(2).unwrap(), all[2..]);
}

#[test]
fn walk_forward_tests_end_with_the_last_bar_and_follow_each_other() {
    let folds = SplitConfig::WalkForward(WALK).folds(&hours(100), HOUR).unwrap();
    assert_eq!(folds.len(), 3);
    assert_eq!(folds[2].test.end, Time(100 * HOUR));
    for pair in folds.windows(2) {
        assert_eq!(pair[0].test.end, pair[1].test.start);
        assert_eq!(pair[1].train[0].start.0 - pair[0].train[0].start.0, 15 * HOUR);
    }
    let first = &folds[0];
    assert_eq!(first.train, vec![Time(5 * HOUR)..Time(45 * HOUR)]);
    assert_eq!(first.validation, Time(45 * HOUR)..Time(55 * HOUR));
    assert_eq!(first.test, Time(55 * HOUR)..Time(70 * HOUR));
    assert_eq!(first.embargo, 2 * HOUR);
    let anchored =
        SplitConfig::WalkForward(WalkForward { anchored: true, ..WALK }).folds(&hours(100), HOUR).unwrap();
    assert!(anchored.iter().all(|fold| fold.train[0].start == Time(0)));
    assert_eq!(anchored[0].test, folds[0].test);
}

#[test]
fn a_gap_before_the_test_keeps_its_windows_clear_of_the_bars_that_chose() {
    let split = |test_gap_bars| SplitConfig::WalkForward(WalkForward { test_gap_bars, ..WALK });
    let (without, with) =
        (split(0).folds(&hours(100), HOUR).unwrap(), split(5).folds(&hours(100), HOUR).unwrap());
    for (without, with) in without.iter().zip(&with) {
        assert_eq!(with.test, without.test, "the test bars stay");
        assert_eq!(with.test.start.0 - with.validation.end.0, 5 * HOUR);
        assert_eq!(with.validation.end.0 - with.validation.start.0, 10 * HOUR);
        assert_eq!(with.train[0].end, with.validation.start);
    }
    let short = split(6).folds(&hours(100), HOUR).unwrap_err();
    assert!(short.contains("test_gap_bars 6 +"), "{short}");
}

#[test]
fn k_fold_tests_cover_every_bar() {
    let split = SplitConfig::PurgedKFold(PurgedKFold { folds: 4, validation: 0.1, embargo_bars: 3 });
    let folds = split.folds(&hours(103), HOUR).unwrap();
    assert_eq!(folds[0].test.start, Time(0));
    assert_eq!(folds[3].test.end, Time(103 * HOUR));
    assert!(folds.windows(2).all(|pair| pair[0].test.end == pair[1].test.start));
    assert_eq!(folds[0].validation.start, folds[0].test.end, "nothing is before the first test");
    assert_eq!(folds[1].validation.end, folds[1].test.start);
    assert_eq!(folds[1].train.len(), 2);
}

#[test]
fn errors_say_the_numbers() {
    let error = |split: SplitConfig, bars: i64| split.folds(&hours(bars), HOUR).unwrap_err();
    let short = error(SplitConfig::WalkForward(WALK), 94);
    assert!(
        short.contains("94 bars") && short.contains("train_bars 40") && short.contains("folds 3 x"),
        "{short}"
    );
    let late = error(SplitConfig::WalkForward(WalkForward { first_fold: 3, ..WALK }), 100);
    assert!(late.contains("first_fold is 3, but the folds are 0 to 2"), "{late}");
    let zero = error(SplitConfig::WalkForward(WalkForward { test_bars: 0, ..WALK }), 100);
    assert!(zero.contains("split.walk_forward.test_bars is 0"), "{zero}");
    let huge = error(SplitConfig::WalkForward(WalkForward { folds: usize::MAX, ..WALK }), 100);
    assert!(huge.contains("100 bars"), "{huge}");
    let embargo = error(SplitConfig::WalkForward(WalkForward { embargo_bars: usize::MAX, ..WALK }), 100);
    assert!(embargo.contains("embargo_bars"), "{embargo}");
    let holdout =
        |train, validation, test| SplitConfig::Holdout(Holdout { train, validation, test, embargo_bars: 0 });
    assert!(error(holdout(0.6, 0.2, 0.3), 100).contains("add up to 1"));
    assert!(error(holdout(f64::NAN, 0.2, 0.3), 100).contains("add up to 1"));
    assert!(error(holdout(0.98, 0.01, 0.01), 20).contains("leaves no bar"));
    let k_fold =
        |folds, validation| SplitConfig::PurgedKFold(PurgedKFold { folds, validation, embargo_bars: 0 });
    assert!(error(k_fold(1, 0.1), 100).contains("at least 2"));
    assert!(error(k_fold(2, 0.6), 100).contains("fits neither"));
    assert!(error(k_fold(2, 0.5), 100).contains("leave none to train on"));
}

#[test]
fn a_symbol_too_short_for_its_window_is_an_error_with_its_length() {
    let (bars, features, labels) = world(100, &[vec![false]], 0, 1);
    let fold = &SplitConfig::WalkForward(WALK).folds(bars.timeline().times(), HOUR).unwrap()[0];
    let error = fold.test_samples(&bars, &features, 500).unwrap_err();
    assert!(error.contains("needs 500 rows") && error.contains("has 100 bars"), "{error}");
    assert!(fold.train_samples(&bars, &features, &labels, 500, 1).is_err());
    assert!(fold.validation_samples(&bars, &features, &labels, 500).is_err());
    assert!(fold.train_samples(&bars, &features, &labels, 1, 0).unwrap_err().contains("stride"));
    let all = fold.train_samples(&bars, &features, &labels, 3, 1).unwrap();
    let third = fold.train_samples(&bars, &features, &labels, 3, 3).unwrap();
    assert_eq!(third.samples(), all.samples().iter().step_by(3).copied().collect::<Vec<_>>());
}
