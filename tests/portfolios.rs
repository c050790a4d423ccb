//! Portfolios, pairs, scaled positions and forecasts as rules: against naive loops, and by hand where a few bars show the
//! rule. Every strategy in many forms decides alike whatever comes later.

use super::causality::{poison, random_bars as gappy_bars};
use super::markets::{HOUR, random_bars, symbol};
use candlewick::domains::market::backtest::{BacktestConfig, run_book};
use candlewick::domains::market::strategies::{StrategyConfig, World};
use candlewick::seed::Seed;
use candlewick::table::{Bars, LabelKind, ModelPredictions, NULL, Positions, Predictions, Sample};
use serde_json::{Value, json};

fn strategy(written: &Value) -> StrategyConfig {
    serde_json::from_value(written.clone()).unwrap()
}

pub(crate) fn decide_on(
    written: &Value,
    bars: &Bars,
    predictions: &Predictions,
) -> Result<Positions, String> {
    let span = 0..bars.timeline().times().len();
    let world = World { bars, predictions, span, seed: Seed(7), reference: None, book: 0 };
    strategy(written).build().decide(&world)
}

pub(crate) fn decide(written: &Value, bars: &Bars) -> Positions {
    decide_on(written, bars, &Predictions::default()).unwrap()
}

/// The target that holds after each row.
pub(crate) fn held(targets: &[f64]) -> Vec<f64> {
    let mut level = 0.0;
    let follow = targets.iter().map(|target| {
        level = if target.is_nan() { level } else { *target };
        level
    });
    follow.collect()
}

fn panel(columns: &[&[f64]]) -> Bars {
    let symbols = columns.iter().enumerate().map(|(index, close)| {
        let times = (0..close.len() as i64).map(|row| row * HOUR).collect();
        symbol(["ALPHA", "BETA", "GAMMA", "DELTA"][index], times, close.to_vec(), close.to_vec())
    });
    Bars::new(symbols.collect()).unwrap()
}

/// One forecast a row of every symbol, by a function of symbol and row.
pub(crate) fn forecasts(bars: &Bars, kind: LabelKind, value: impl Fn(usize, usize) -> f64) -> Predictions {
    let mut samples = Vec::new();
    for (index, one) in bars.symbols().iter().enumerate() {
        samples.extend((0..one.len()).map(|row| Sample { symbol: index as u32, row: row as u32 }));
    }
    samples.retain(|sample| !value(sample.symbol as usize, sample.row as usize).is_nan());
    Predictions(vec![ModelPredictions {
        model: "model".into(),
        kind,
        horizons: vec![3],
        fold: vec![0; samples.len()],
        values: samples.iter().map(|one| value(one.symbol as usize, one.row as usize)).collect(),
        actual: vec![NULL; samples.len()],
        alarm_at: Vec::new(),
        units: Vec::new(),
        samples,
    }])
}

/// Each new strategy in several forms.
fn forms() -> Vec<Value> {
    vec![
        json!({"cash": {}}),
        json!({"bollinger_breakout": {"period": 5, "width": 1.0, "direction": "long_short"}}),
        json!({"time_series_momentum": {"lookback_bars": 30, "skip_bars": 6, "direction": "long_short",
            "volatility": {"annual": 0.3, "lookback_bars": 12}, "rebalance": {"calendar": "day"}}}),
        json!({"cross_sectional_momentum": {"lookback_bars": 20, "top": 1, "direction": "long_short",
            "rebalance": {"bars": 7}}}),
        json!({"cross_sectional_momentum": {"lookback_bars": 20, "skip_bars": 3, "top": 2,
            "weighting": "by_rank", "rebalance": {"calendar": "day"}}}),
        json!({"pairs": {"lookback_bars": 20, "entry": 1.5, "exit": 0.2, "stop": 2.5}}),
        json!({"pairs": {"lookback_bars": 20, "hedge": "ratio", "first": "GAMMA", "second": "ALPHA"}}),
        json!({"volatility_target": {"annual": 0.4, "lookback_bars": 10, "rebalance": {"bars": 5}}}),
        json!({"portfolio": {}}),
        json!({"portfolio": {"rebalance": {"calendar": "day"}, "turnover_limit": 0.05}}),
        json!({"portfolio": {"weights": {"ALPHA": 0.5, "BETA": -0.3}, "turnover_limit": 0.1}}),
        json!({"return_forecast": {"method": {"last_value": {}}, "threshold_bps": 20}}),
        json!({"return_forecast": {"method": {"ewma": {"half_life_bars": 5}}, "direction": "long_short"}}),
        json!({"return_forecast": {"method": {"autoregression": {"lookback_bars": 30}}}}),
        json!({"model_confidence": {"model": "model", "scale_bps": 50, "direction": "long_short"}}),
        json!({"model_ranking": {"model": "model", "direction": "long_short", "rebalance": {"bars": 3}}}),
        json!({"model_signal": {"model": "model", "threshold_bps": 50, "exit_threshold_bps": 10, "exit": "flat"}}),
    ]
}

/// The future becomes noise, in prices as in forecasts, and no decision of the past moves a bit.
#[test]
fn portfolios_no_strategy_sees_the_future() {
    // Forecasts are returns here; what trades on a risk is proved beside its own tests.
    let here =
        |one: &StrategyConfig| one.name() != "random_entry" && one.build().fits(LabelKind::Return).is_ok();
    let defaults = StrategyConfig::examples().into_iter().filter(here);
    let all: Vec<Value> = defaults.map(|one| serde_json::to_value(one).unwrap()).chain(forms()).collect();
    for seed in 0..2 {
        let bars = gappy_bars(seed, 260);
        let mut stream = Seed(seed).stream("forecasts", 0);
        let noise: Vec<f64> = (0..4 * 260).map(|_| 0.01 * stream.normal()).collect();
        let known = forecasts(&bars, LabelKind::Return, |one, row| noise[260 * one + row]);
        let whole: Vec<Positions> = all.iter().map(|one| decide_on(one, &bars, &known).unwrap()).collect();
        for cut in (90..259).step_by(13) {
            let end = bars.timeline().times()[cut];
            let poisoned = poison(&bars, cut as u64, |time| time > end);
            let later = forecasts(&bars, LabelKind::Return, |one, row| {
                let past = bars.symbols()[one].time()[row] <= end;
                if past { noise[260 * one + row] } else { -0.02 }
            });
            for (written, whole) in all.iter().zip(&whole) {
                let found = decide_on(written, &poisoned, &later).unwrap();
                for (index, one) in bars.symbols().iter().enumerate() {
                    let rows = one.time().partition_point(|time| *time <= end);
                    let bits = |positions: &Positions| -> Vec<u64> {
                        positions.targets(index)[..rows].iter().map(|target| target.to_bits()).collect()
                    };
                    assert_eq!(bits(&found), bits(whole), "{written} at {end}");
                }
            }
        }
    }
}

/// The proof above would see nothing in strategies that never order.
#[test]
fn portfolios_every_form_trades_and_keeps_its_money_finite() {
    let bars = gappy_bars(3, 800);
    let known = forecasts(&bars, LabelKind::Return, |one, row| 0.01 * ((row / 9 + one) as f64).sin());
    for written in forms() {
        let positions = decide_on(&written, &bars, &known).unwrap();
        let orders: usize = (0..bars.symbols().len())
            .map(|index| positions.targets(index).iter().filter(|target| !target.is_nan()).count())
            .sum();
        let cash = written.get("cash").is_some();
        assert!(if cash { orders == 0 } else { orders >= 6 }, "{written}: {orders} orders");
        let book = run_book(&bars, &positions, "book", &BacktestConfig::default(), 0..800);
        assert!(book.equity.equity.iter().all(|equity| equity.is_finite()), "{written}");
        if cash {
            assert!(book.equity.equity.iter().all(|equity| *equity == 100_000.0));
        }
    }
}

#[test]
fn portfolios_bollinger_breakout_leaves_at_the_middle() {
    let bars = panel(&[&[10.0, 10.0, 10.0, 10.0, 12.0, 11.0, 10.0, 7.0, 8.0, 9.0]]);
    let written = json!({"bollinger_breakout": {"period": 4, "width": 1.0, "direction": "long_short"}});
    // Middles from row 3: 10, 10.5, 10.75, 10.75, 10, 9, 8.5. Upper band of row 4: 11.37; lower band of row 7: 8.13.
    let expected = [0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 0.0, -1.0, -1.0, 0.0];
    assert_eq!(held(decide(&written, &bars).targets(0)), expected);
}

#[test]
fn portfolios_momentum_skips_and_scales() {
    let bars = gappy_bars(5, 300);
    let written = json!({"time_series_momentum": {"lookback_bars": 24, "skip_bars": 5, "direction": "long_short",
        "volatility": {"annual": 0.5, "lookback_bars": 15, "bars_per_year": 8000}}});
    let positions = decide(&written, &bars);
    for (index, one) in bars.symbols().iter().enumerate() {
        let close = one.close();
        let mut level = 0.0;
        for (row, found) in held(positions.targets(index)).into_iter().enumerate() {
            if row >= 24 {
                let sign = (close[row - 5] - close[row - 24]).signum();
                let returns: Vec<f64> = (row - 14..=row).map(|t| (close[t] / close[t - 1]).ln()).collect();
                let mean = returns.iter().sum::<f64>() / 15.0;
                let variance = returns.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / 14.0;
                level = sign * (0.5 / (variance * 8000.0).sqrt()).min(1.0);
            }
            assert!((found - level).abs() < 1e-9, "{} row {row}: {found}, expected {level}", one.symbol());
        }
    }
}

#[test]
fn portfolios_pairs_equal_the_naive_bet() {
    for (hedge, stop) in [("regression", None), ("ratio", Some(2.6)), ("regression", Some(2.3))] {
        let bars = random_bars(900, 21);
        let written = json!({"pairs": {"lookback_bars": 25, "hedge": hedge, "entry": 1.6, "exit": 0.3,
            "stop": stop, "gross": 0.8, "second": "GAMMA"}});
        let positions = decide(&written, &bars);
        let (first, second) = (&bars.symbols()[0], &bars.symbols()[2]);
        let joint: Vec<(usize, usize)> = (0..first.len())
            .filter_map(|row| Some((row, second.time().iter().position(|time| *time == first.time()[row])?)))
            .collect();
        let levels = [held(positions.targets(0)), held(positions.targets(2))];
        let (mut side, mut barred, mut weights, mut entries) = (0.0_f64, false, [0.0, 0.0], 0);
        for (end, (row, other)) in joint.iter().enumerate() {
            if end >= 24 {
                let window = &joint[end - 24..=end];
                let y: Vec<f64> = window.iter().map(|one| first.close()[one.0].ln()).collect();
                let x: Vec<f64> = window.iter().map(|one| second.close()[one.1].ln()).collect();
                let mean = |values: &[f64]| values.iter().sum::<f64>() / 25.0;
                let (my, mx) = (mean(&y), mean(&x));
                let slope = if hedge == "ratio" {
                    1.0
                } else {
                    x.iter().zip(&y).map(|(x, y)| (x - mx) * (y - my)).sum::<f64>()
                        / x.iter().map(|x| (x - mx).powi(2)).sum::<f64>()
                };
                let spread: Vec<f64> = x.iter().zip(&y).map(|(x, y)| (y - my) - slope * (x - mx)).collect();
                let z = spread[24] / (spread.iter().map(|s| s * s).sum::<f64>() / 24.0).sqrt();
                let stopped = stop.is_some_and(|stop| z.abs() >= stop);
                let before = side;
                if side != 0.0 && side * z >= -0.3 {
                    side = 0.0;
                } else if side != 0.0 && stopped {
                    (side, barred) = (0.0, true);
                }
                barred &= z.abs() >= 1.6;
                if side == 0.0 && z.abs() >= 1.6 && !stopped && !barred && slope > 0.0 {
                    side = -z.signum();
                    entries += 1;
                }
                if side != before {
                    weights = [side * 0.8 / (1.0 + slope), -side * 0.8 * slope / (1.0 + slope)];
                }
            }
            let found = [levels[0][*row], levels[1][*other]];
            assert!(found.iter().zip(&weights).all(|(a, b)| (a - b).abs() < 1e-9), "{written} at {end}");
        }
        assert!(entries > 10, "{written}: {entries} entries");
        assert!(
            levels[0].iter().all(|w| w.abs() <= 0.8) && held(positions.targets(1)).iter().all(|w| *w == 0.0)
        );
    }
}

#[test]
fn portfolios_volatility_target_is_resized_when_it_is_due() {
    let bars = random_bars(200, 4);
    let written =
        json!({"volatility_target": {"annual": 0.3, "lookback_bars": 12, "rebalance": {"calendar": "day"}}});
    let positions = decide(&written, &bars);
    for (index, one) in bars.symbols().iter().enumerate() {
        let day = |row: usize| one.time()[row].0.div_euclid(24 * HOUR);
        for (row, found) in positions.targets(index).iter().enumerate() {
            let due = row > 0 && day(row) != day(row - 1);
            // Missing bars make fewer of them a year.
            let hours = (one.time()[row].0 - one.time()[0].0) as f64 / HOUR as f64;
            assert_eq!(!found.is_nan(), due && row >= 12, "{} row {row}", one.symbol());
            if !found.is_nan() {
                let returns: Vec<f64> =
                    (row - 11..=row).map(|t| (one.close()[t] / one.close()[t - 1]).ln()).collect();
                let mean = returns.iter().sum::<f64>() / 12.0;
                let deviation = (returns.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / 11.0).sqrt();
                let expected = (0.3 / (deviation * (8760.0 * row as f64 / hours).sqrt())).min(1.0);
                assert!((found - expected).abs() < 1e-9);
            }
        }
    }
    // A price that stands still has no volatility to be scaled by.
    let still = decide(&json!({"volatility_target": {"lookback_bars": 3}}), &panel(&[&[5.0; 60]]));
    assert!(still.targets(0).iter().all(|target| target.is_nan()));
}

/// Bars on five days of seven are counted as sizing counts them, and a stated number is taken as it is.
#[test]
fn portfolios_volatility_is_annualised_by_the_bars_there_are() {
    let days: Vec<i64> = (0..400).filter(|day| day % 7 < 5).map(|day| day * 24 * HOUR).collect();
    let mut stream = Seed(5).stream("closes", 0);
    let mut price = 50.0;
    let close: Vec<f64> = days
        .iter()
        .map(|_| {
            price *= (0.02 * stream.normal()).exp();
            price
        })
        .collect();
    let bars = Bars::new(vec![symbol("ALPHA", days.clone(), close.clone(), close.clone())]).unwrap();
    let settings = |periods: Value| {
        json!({"volatility_target": {"annual": 0.2, "lookback_bars": 20,
        "bars_per_year": periods, "rebalance": {"bars": 1}}})
    };
    let (counted, stated) = (decide(&settings(Value::Null), &bars), decide(&settings(json!(252)), &bars));
    for row in 20..close.len() {
        let returns: Vec<f64> = (row - 19..=row).map(|t| (close[t] / close[t - 1]).ln()).collect();
        let mean = returns.iter().sum::<f64>() / 20.0;
        let deviation = (returns.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / 19.0).sqrt();
        let periods = row as f64 * 365.0 * 24.0 * HOUR as f64 / (days[row] - days[0]) as f64;
        assert!((240.0..285.0).contains(&periods), "{periods}");
        for (found, periods) in [(&counted, periods), (&stated, 252.0)] {
            let expected = (0.2 / (deviation * periods.sqrt())).min(1.0);
            assert!((found.targets(0)[row] - expected).abs() < 1e-9, "row {row}");
        }
    }
}

#[test]
fn portfolios_fixed_weights_by_bars_and_by_calendar() {
    let n = f64::NAN;
    let same = |found: &[f64], expected: &[f64]| {
        assert_eq!(found.len(), expected.len());
        let equal = |(a, b): (&f64, &f64)| (a - b).abs() < 1e-12 || (a.is_nan() && b.is_nan());
        assert!(found.iter().zip(expected).all(equal), "{found:?}, expected {expected:?}");
    };
    let bars = panel(&[&[10.0; 7], &[20.0; 7]]);
    let fixed = decide(&json!({"portfolio": {"weights": {"BETA": -0.4}, "rebalance": {"bars": 3}}}), &bars);
    same(fixed.targets(1), &[-0.4, n, n, -0.4, n, n, -0.4]);
    same(fixed.targets(0), &[n; 7]);
    // 1970-01-01 was a Thursday: weeks begin at days 4 and 11, February at day 31.
    let days: Vec<i64> = (0..40).map(|day| day * 24 * HOUR).collect();
    let daily = Bars::new(vec![symbol("ALPHA", days, vec![1.0; 40], vec![1.0; 40])]).unwrap();
    for (calendar, expected) in [("week", vec![0, 4, 11, 18, 25, 32, 39]), ("month", vec![0, 31])] {
        let positions = decide(&json!({"portfolio": {"rebalance": {"calendar": calendar}}}), &daily);
        let due: Vec<usize> = (0..40).filter(|row| !positions.targets(0)[*row].is_nan()).collect();
        assert_eq!(due, expected);
    }
}

/// Equal shares of what is listed, at most a fifth of the book traded at once.
#[test]
fn portfolios_turnover_limit_goes_a_part_of_the_way() {
    let late = symbol("BETA", vec![4 * HOUR, 5 * HOUR, 6 * HOUR], vec![8.0; 3], vec![8.0; 3]);
    let times = (0..7).map(|row| row * HOUR).collect();
    let closes = vec![10.0, 10.0, 20.0, 20.0, 20.0, 20.0, 20.0];
    let bars = Bars::new(vec![symbol("ALPHA", times, closes.clone(), closes), late]).unwrap();
    let written = json!({"portfolio": {"rebalance": {"bars": 2}, "turnover_limit": 0.2}});
    let positions = decide(&written, &bars);
    // Step 0: 0.2 of 1. Step 2: the price doubled, 0.4 of 1.2 is a third, plus 0.2. Step 4: wanted are halves, the changes
    // -1/30 and 1/2 together 8/15, of which 3/8. Step 6: nothing moved since.
    let (third, part) = (1.0 / 3.0 + 0.2, 0.2 / (1.0 / 30.0 + 0.5));
    let alpha = [(0, 0.2), (2, third), (4, third - part / 30.0)];
    for (row, expected) in alpha {
        assert!(
            (positions.targets(0)[row] - expected).abs() < 1e-12,
            "row {row}: {:?}",
            positions.targets(0)
        );
    }
    assert!((positions.targets(1)[0] - 0.5 * part).abs() < 1e-12);
    let moved = |symbol: usize, from: usize, to: usize| {
        (positions.targets(symbol)[to] - positions.targets(symbol)[from]).abs()
    };
    assert!((moved(0, 4, 6) + moved(1, 0, 2) - 0.2).abs() < 1e-12);
}

#[test]
fn portfolios_a_symbol_without_a_bar_follows_at_its_next_one() {
    let full = symbol("ALPHA", (0..6).map(|row| row * HOUR).collect(), vec![1.0; 6], vec![1.0; 6]);
    let gap = symbol("BETA", vec![0, 2 * HOUR, 5 * HOUR], vec![1.0; 3], vec![1.0; 3]);
    let bars = Bars::new(vec![full, gap]).unwrap();
    let positions = decide(&json!({"portfolio": {"rebalance": {"bars": 3}}}), &bars);
    let due =
        |symbol: usize| positions.targets(symbol).iter().map(|target| !target.is_nan()).collect::<Vec<_>>();
    assert_eq!(due(0), [true, false, false, true, false, false]);
    // Its row 2 is step 5, the first after the rebalance of step 3.
    assert_eq!(due(1), [true, false, true]);
}

#[test]
fn portfolios_forecasts_without_a_model_equal_naive_ones() {
    let bars = random_bars(300, 14);
    let methods = [
        json!({"last_value": {}}),
        json!({"rolling_mean": {"period": 7}}),
        json!({"ewma": {"half_life_bars": 4}}),
        json!({"autoregression": {"lookback_bars": 20}}),
    ];
    for (number, method) in methods.iter().enumerate() {
        let written =
            json!({"return_forecast": {"method": method, "threshold_bps": 3, "direction": "long_short"}});
        let positions = decide(&written, &bars);
        for (index, one) in bars.symbols().iter().enumerate() {
            let r: Vec<f64> = one.close().windows(2).map(|pair| (pair[1] / pair[0]).ln()).collect();
            let mut ewma = r[0];
            for (row, found) in held(positions.targets(index)).into_iter().enumerate() {
                // The last known return of row t is r[t - 1].
                let forecast = match (number, row) {
                    (_, 0) => None,
                    (0, _) => Some(r[row - 1]),
                    (1, 7..) => Some(r[row - 7..row].iter().sum::<f64>() / 7.0),
                    (2, _) => {
                        let kept = 0.5_f64.powf(0.25);
                        ewma = if row == 1 { r[0] } else { kept * ewma + (1.0 - kept) * r[row - 1] };
                        Some(ewma)
                    }
                    (3, 21..) => {
                        let (x, y) = (&r[row - 21..row - 1], &r[row - 20..row]);
                        let (mx, my) = (x.iter().sum::<f64>() / 20.0, y.iter().sum::<f64>() / 20.0);
                        let slope = x.iter().zip(y).map(|(x, y)| (x - mx) * (y - my)).sum::<f64>()
                            / x.iter().map(|x| (x - mx).powi(2)).sum::<f64>();
                        Some(my + slope * (r[row - 1] - mx))
                    }
                    _ => None,
                };
                let expected = forecast.map_or(0.0, |f| if f.abs() > 3e-4 { f.signum() } else { 0.0 });
                assert_eq!(found, expected, "{method} {} row {row}", one.symbol());
            }
        }
    }
}

#[test]
fn portfolios_confidence_is_cut_banded_and_lapses() {
    let bars = panel(&[&[1.0; 9]]);
    let values = [0.001, 0.0011, 0.0013, 0.01, -0.001, NULL, NULL, NULL, 0.0001];
    let known = forecasts(&bars, LabelKind::Return, |_, row| values[row]);
    let found = |written: Value| held(decide_on(&written, &bars, &known).unwrap().targets(0));
    let both =
        found(json!({"model_confidence": {"model": "model", "scale_bps": 20, "direction": "long_short"}}));
    // 0.5; 0.55 is within the band; 0.65; cut at 1; -0.5; kept for two bars, lapsed at the third; 0.05 is not worth it.
    let expected = [0.5, 0.5, 0.65, 1.0, -0.5, -0.5, -0.5, 0.0, 0.0];
    assert!(both.iter().zip(expected).all(|(found, wanted)| (found - wanted).abs() < 1e-12), "{both:?}");
    let long = found(json!({"model_confidence": {"model": "model", "scale_bps": 20, "band": 0}}));
    let expected = [0.5, 0.55, 0.65, 1.0, 0.0, 0.0, 0.0, 0.0, 0.05];
    assert!(long.iter().zip(expected).all(|(found, wanted)| (found - wanted).abs() < 1e-12), "{long:?}");
    // What is left is within the band of nothing, but a bearish forecast ends it, and one of the other side turns it.
    let values = [0.002, 0.0001, 0.0001, -0.0001, 0.0, 0.002, 0.0001, 0.0, 0.0];
    let fading = forecasts(&bars, LabelKind::Return, |_, row| values[row]);
    for (direction, turned) in [("long_only", 0.0), ("long_short", -0.05)] {
        let written =
            json!({"model_confidence": {"model": "model", "scale_bps": 20, "direction": direction}});
        let levels = held(decide_on(&written, &bars, &fading).unwrap().targets(0));
        let expected = [1.0, 0.05, 0.05, turned, 0.0, 1.0, 0.05, 0.0, 0.0];
        assert!(levels.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{direction}: {levels:?}");
    }
    let chance = forecasts(&bars, LabelKind::Class, |_, row| 0.5 + 0.06 * row as f64);
    let sure = decide_on(&json!({"model_confidence": {"model": "model"}}), &bars, &chance).unwrap();
    assert!((held(sure.targets(0))[8] - 0.96).abs() < 1e-12);
    let wrong = json!({"model_confidence": {"model": "model", "scale": 1}});
    assert!(decide_on(&wrong, &bars, &known).unwrap_err().contains("write scale_bps"));
    let wrong = json!({"model_confidence": {"model": "model", "scale_bps": 1}});
    assert!(decide_on(&wrong, &bars, &chance).unwrap_err().contains("write scale,"));
}

#[test]
fn portfolios_signal_has_hysteresis_and_a_probability_threshold() {
    let bars = panel(&[&[1.0; 8]]);
    let values = [0.0004, 0.0006, 0.0003, 0.0002, 0.0006, -0.0003, -0.0006, -0.0002];
    let known = forecasts(&bars, LabelKind::Return, |_, row| values[row]);
    let written = json!({"model_signal": {"model": "model", "threshold_bps": 5, "exit_threshold_bps": 2.5,
        "exit": "flat", "direction": "long_short"}});
    // Enters beyond 5, leaves within 2.5: row 3 is within, row 5 is on the other side but no entry.
    let expected = [0.0, 1.0, 1.0, 0.0, 1.0, 0.0, -1.0, 0.0];
    assert_eq!(held(decide_on(&written, &bars, &known).unwrap().targets(0)), expected);
    let chance =
        forecasts(&bars, LabelKind::Class, |_, row| [0.58, 0.62, 0.56, 0.54, 0.5, 0.5, 0.41, 0.38][row]);
    let written = json!({"model_signal": {"model": "model", "threshold": 0.1, "exit_threshold": 0.05,
        "exit": "flat", "direction": "long_short"}});
    let expected = [0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, -1.0];
    assert_eq!(held(decide_on(&written, &bars, &chance).unwrap().targets(0)), expected);
}

#[test]
fn portfolios_ranking_takes_the_best_forecasts_of_the_moment() {
    let bars = panel(&[&[1.0; 5], &[1.0; 5], &[1.0; 5], &[1.0; 5]]);
    let table = [
        [0.1, NULL, 0.1, 0.1, NULL],
        [0.2, NULL, 0.3, 0.1, NULL],
        [0.3, NULL, NULL, 0.1, NULL],
        [0.4, NULL, 0.2, 0.1, NULL],
    ];
    let known = forecasts(&bars, LabelKind::Scaled, |one, row| table[one][row]);
    let book = |written: Value| {
        let positions = decide_on(&written, &bars, &known).unwrap();
        (0..4).map(|one| held(positions.targets(one))).collect::<Vec<_>>()
    };
    let long = book(json!({"model_ranking": {"model": "model", "top": 2, "rebalance": {"bars": 1}}}));
    // A forecast lives for its horizon of three bars: the third symbol's first one is still ranked on bar 2.
    // Equal ones go in the order of symbols.
    assert_eq!(long[0], [0.0, 0.0, 0.0, 0.5, 0.5]);
    assert_eq!(long[1], [0.0, 0.0, 0.5, 0.5, 0.5]);
    assert_eq!(long[2], [0.5, 0.5, 0.5, 0.0, 0.0]);
    assert_eq!(long[3], [0.5, 0.5, 0.0, 0.0, 0.0]);
    let both = book(json!({"model_ranking": {"model": "model", "top": 2, "direction": "long_short",
        "gross": 1.6, "rebalance": {"bars": 2}}}));
    // On bar 4 the equal forecasts of bar 3 are ranked.
    assert_eq!(both[0], [-0.4, -0.4, -0.4, -0.4, 0.4]);
    assert_eq!(both[1], [-0.4, -0.4, 0.4, 0.4, 0.4]);
    assert_eq!(both[2], [0.4, 0.4, 0.4, 0.4, -0.4]);
    assert_eq!(both[3], [0.4, 0.4, -0.4, -0.4, -0.4]);
}

#[test]
fn portfolios_settings_are_refused_by_name() {
    let bars = random_bars(50, 1);
    for (written, expected) in [
        (
            json!({"time_series_momentum": {"lookback_bars": 5, "skip_bars": 5}}),
            "write a skip below the lookback",
        ),
        (json!({"time_series_momentum": {"volatility": {"annual": 0}}}), "annual is 0"),
        (json!({"cross_sectional_momentum": {"top": 0}}), "top is 0"),
        (json!({"cross_sectional_momentum": {"gross": 3}}), "the largest would be 3"),
        (json!({"cross_sectional_momentum": {"rebalance": {"bars": 0}}}), "rebalance: bars is 0"),
        (json!({"pairs": {"entry": 1, "exit": 2}}), "0 <= exit < entry"),
        (json!({"pairs": {"stop": 1}}), "write a stop above entry"),
        (
            json!({"pairs": {"first": "OMEGA"}}),
            "there is no symbol OMEGA; the symbols are ALPHA, BETA, GAMMA",
        ),
        (json!({"pairs": {"second": "ALPHA"}}), "first and second are both ALPHA"),
        (json!({"portfolio": {"weights": {"OMEGA": 1}}}), "there is no symbol OMEGA"),
        (json!({"portfolio": {"weights": {"ALPHA": 2}}}), "the weight of ALPHA is 2, expected -1 to 1"),
        (json!({"portfolio": {"turnover_limit": 0}}), "turnover_limit is 0"),
        (json!({"volatility_target": {"lookback_bars": 1}}), "lookback_bars is 1"),
        (json!({"return_forecast": {"threshold_bps": -1}}), "threshold_bps is -1"),
        (json!({"return_forecast": {"method": {"ewma": {"half_life_bars": 0}}}}), "half_life_bars is 0"),
        (json!({"model_confidence": {"model": "model", "band": 2}}), "band is 2"),
        (json!({"model_ranking": {"model": "other"}}), "no forecasts of `other`"),
        (
            json!({"model_signal": {"model": "model", "threshold_bps": 5, "exit_threshold_bps": 6, "exit": "flat"}}),
            "exit_threshold_bps is 6, expected 0 to 5",
        ),
        (
            json!({"model_signal": {"model": "model", "threshold": 5, "exit_threshold": 4}}),
            "exit_threshold needs `exit: flat`",
        ),
    ] {
        let error = decide_on(&written, &bars, &Predictions::default()).unwrap_err();
        assert!(error.contains(expected), "{written}: {error}");
    }
    let alone = panel(&[&[1.0; 9]]);
    let error = decide_on(&json!({"pairs": {}}), &alone, &Predictions::default()).unwrap_err();
    assert!(error.contains("a pair needs two symbols"), "{error}");
}
