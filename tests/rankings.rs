//! Rankings of symbols: against a naive loop, over markets with hours of their own, and without a look ahead.

use super::causality::poison;
use super::markets::{HOUR, random_bars, symbol};
use super::portfolios::{decide, decide_on, forecasts, held};
use candlewick::domains::market::strategies::StrategyConfig;
use candlewick::table::{Bars, Basis, LabelKind, NULL, Positions, Predictions};
use serde_json::{Value, json};

/// The weights of one rebalance from `(score, symbol)`, by sorting.
fn sorted_weights(mut scores: Vec<(f64, usize)>, direction: &str, weighting: &str) -> [f64; 3] {
    let mut wanted = [0.0; 3];
    scores.sort_by(|a, b| b.0.partial_cmp(&a.0).unwrap());
    match (direction, weighting) {
        ("long_short", _) if scores.len() >= 2 => {
            wanted[scores[0].1] = 0.5;
            wanted[scores[scores.len() - 1].1] = -0.5;
        }
        ("long_short", _) => {}
        (_, "equal") => scores.iter().take(2).for_each(|one| wanted[one.1] = 0.5),
        _ => scores.iter().take(2).zip([2.0 / 3.0, 1.0 / 3.0]).for_each(|(one, w)| wanted[one.1] = w),
    }
    wanted
}

/// At each due step sort by hand what has had a bar within the period, and compare what is held after the close.
#[test]
fn rankings_equal_the_naive_ones() {
    for (direction, weighting, top, period) in [
        ("long_only", "equal", 2, 6),
        ("long_short", "equal", 1, 6),
        ("long_only", "by_rank", 2, 6),
        ("long_only", "equal", 2, 1),
    ] {
        let bars = random_bars(400, 8);
        let written = json!({"cross_sectional_momentum": {"lookback_bars": 10, "skip_bars": 2, "top": top,
            "direction": direction, "weighting": weighting, "rebalance": {"bars": period}}});
        let positions = decide(&written, &bars);
        assert_eq!(positions.basis(), Basis::Book);
        let (mut wanted, mut absent) = ([0.0; 3], 0);
        let levels: Vec<Vec<f64>> = (0..3).map(|index| held(positions.targets(index))).collect();
        for step in 0..bars.timeline().times().len() {
            let last =
                |index: usize| bars.timeline().steps(index).iter().rposition(|one| *one <= step as u32);
            let age = |index: usize, row: usize| step - bars.timeline().steps(index)[row] as usize;
            if step % period == 0 {
                let score = |index: usize| {
                    let (row, close) = (last(index)?, bars.symbols()[index].close());
                    let known = row >= 10 && age(index, row) < period;
                    known.then(|| (close[row - 2] / close[row - 10] - 1.0, index))
                };
                let scores: Vec<(f64, usize)> = (0..3).filter_map(score).collect();
                absent += scores.iter().filter(|(_, index)| age(*index, last(*index).unwrap()) > 0).count();
                wanted = sorted_weights(scores, direction, weighting);
            }
            for index in 0..3 {
                if let Some(row) = last(index).filter(|row| age(index, *row) == 0) {
                    assert!((levels[index][row] - wanted[index]).abs() < 1e-12, "{written} step {step}");
                }
            }
        }
        assert_eq!(absent > 0, period > 1, "{absent} ranked without a bar");
    }
}

const DAYS: usize = 12;
/// Days on which BETA's market is closed.
const CLOSED: std::ops::Range<usize> = 6..9;

/// ALPHA falls around the clock; BETA rises and has bars from 14 to 20 o'clock.
fn mixed_hours() -> Bars {
    let all: Vec<usize> = (0..24 * DAYS).collect();
    let own: Vec<usize> = all
        .iter()
        .copied()
        .filter(|at| (14..=20).contains(&(at % 24)) && !CLOSED.contains(&(at / 24)))
        .collect();
    let one = |name: &str, hours: &[usize], growth: f64| {
        let close: Vec<f64> = hours.iter().map(|hour| 100.0 * growth.powi(*hour as i32)).collect();
        symbol(name, hours.iter().map(|hour| *hour as i64 * HOUR).collect(), close.clone(), close)
    };
    Bars::new(vec![one("ALPHA", &all, 0.999), one("BETA", &own, 1.001)]).unwrap()
}

/// `[day]`: what is held of each symbol after its last bar of the day.
fn held_by_day(bars: &Bars, positions: &Positions) -> Vec<[Option<f64>; 2]> {
    let day = |index: usize, day: i64| {
        let rows = bars.symbols()[index].time().iter().rposition(|time| time.0.div_euclid(24 * HOUR) == day);
        rows.map(|row| held(positions.targets(index))[row])
    };
    (0..DAYS as i64).map(|number| [day(0, number), day(1, number)]).collect()
}

fn mixed_forms() -> [Value; 2] {
    [
        json!({"cross_sectional_momentum": {"lookback_bars": 5, "rebalance": {"calendar": "day"}}}),
        json!({"model_ranking": {"model": "model", "rebalance": {"calendar": "day"}}}),
    ]
}

#[test]
fn rankings_know_symbols_with_hours_of_their_own() {
    let bars = mixed_hours();
    let known = forecasts(&bars, LabelKind::Return, |index, _| [-0.001, 0.001][index]);
    for written in mixed_forms() {
        let positions = decide_on(&written, &bars, &known).unwrap();
        let days = held_by_day(&bars, &positions);
        // From the second midnight on BETA is the better one, and its order comes with its first bar of the day.
        for day in (1..=6).chain(10..DAYS) {
            let beta = if CLOSED.contains(&day) { None } else { Some(1.0) };
            assert_eq!(days[day], [Some(0.0), beta], "{written} day {day}");
        }
        // At the midnight of day 6 its last bar is hours old, a day later it is out of the ranking, and on day 9, when it
        // comes back, it is still too old at midnight.
        assert_eq!(days[7], [Some(1.0), None], "{written}");
        assert_eq!(days[9], [Some(1.0), Some(0.0)], "{written}");
        for (row, target) in positions.targets(1).iter().enumerate() {
            let first_of_day = bars.symbols()[1].time()[row].0.rem_euclid(24 * HOUR) == 14 * HOUR;
            assert!(target.is_nan() || first_of_day, "{written} row {row}");
        }
    }
}

/// A forecast counts for as many of the symbol's bars as its horizon, here 3, and no longer.
#[test]
fn rankings_use_forecasts_within_their_horizon() {
    let bars = mixed_hours();
    for (silent, ranked) in [(2, true), (3, false)] {
        let known = forecasts(&bars, LabelKind::Return, |index, row| match (index, row % 7) {
            (0, _) => -0.001,
            (_, hour) if hour < 7 - silent => 0.001,
            _ => NULL,
        });
        let positions = decide_on(&mixed_forms()[1], &bars, &known).unwrap();
        let beta = held_by_day(&bars, &positions)[3][1];
        assert_eq!(beta, Some(if ranked { 1.0 } else { 0.0 }), "{silent} bars without a forecast");
    }
}

/// What comes after a midnight at which a resting market is ranked moves no order that was decided until then.
#[test]
fn rankings_see_nothing_later_across_hours() {
    let bars = mixed_hours();
    let known = forecasts(&bars, LabelKind::Return, |index, row| 0.001 * ((row / 5 + index) as f64).sin());
    let decided =
        |written: &Value, bars: &Bars, known: &Predictions| decide_on(written, bars, known).unwrap();
    for written in mixed_forms() {
        let whole = decided(&written, &bars, &known);
        for cut in (30..24 * DAYS).step_by(5) {
            let end = bars.timeline().times()[cut];
            let later = decided(&written, &poison(&bars, cut as u64, |time| time > end), &known);
            for (index, one) in bars.symbols().iter().enumerate() {
                let rows = one.time().partition_point(|time| *time <= end);
                let bits = |found: &Positions| -> Vec<u64> {
                    found.targets(index)[..rows].iter().map(|target| target.to_bits()).collect()
                };
                assert_eq!(bits(&later), bits(&whole), "{written} at {end}");
            }
        }
    }
}

#[test]
fn rankings_want_as_many_symbols_as_they_have_places() {
    for (written, expected) in [
        (
            json!({"cross_sectional_momentum": {"top": 4}}),
            "top is 4, but the data has 3 symbols; write at most 3",
        ),
        (
            json!({"cross_sectional_momentum": {"top": 2, "direction": "long_short"}}),
            "top is 2, but the data has 3 symbols; write at most 1, long and short,",
        ),
    ] {
        let config: StrategyConfig = serde_json::from_value(written).unwrap();
        let message = config.build().fits_symbols(&["A", "B", "C"]).unwrap_err();
        assert!(message.starts_with(expected), "{message}");
        config.build().fits_symbols(&["A", "B", "C", "D"]).unwrap();
    }
}
