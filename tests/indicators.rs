//! Indicators against TA-Lib and numpy, at their edges, and by hand.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a test stops where it fails")]

use crate::causality::{indicators, random_bars, with_settings};
use candlewick::domains::market::indicators::{IndicatorConfig, compute};
use candlewick::domains::market::rolling;
use candlewick::seed::Seed;
use candlewick::table::{BarColumns, Bars, SymbolBars};
use candlewick::units::Time;
use serde_json::{Value, json};
use std::collections::BTreeMap;

const HOUR: i64 = 3_600_000_000_000;

fn config(written: Value) -> IndicatorConfig {
    serde_json::from_value(written).unwrap()
}

/// The columns of one CSV text by name; an empty field is null.
fn columns(text: &str) -> BTreeMap<String, Vec<f64>> {
    let mut lines = text.lines();
    let names: Vec<&str> = lines.next().unwrap().split(',').collect();
    let mut columns = vec![Vec::new(); names.len()];
    for line in lines {
        for (column, field) in columns.iter_mut().zip(line.split(',')) {
            column.push(if field.is_empty() { f64::NAN } else { field.parse().unwrap() });
        }
    }
    names.into_iter().map(str::to_owned).zip(columns).collect()
}

fn reference_bars() -> Bars {
    let mut read = columns(include_str!("reference/talib_bars.csv"));
    let mut take = |name: &str| read.remove(name).unwrap();
    let time = take("time").iter().map(|second| Time(*second as i64 * 1_000_000_000)).collect();
    let [open, high, low, close, volume] = ["open", "high", "low", "close", "volume"].map(&mut take);
    let bars = SymbolBars::new("ALPHA", BarColumns { time, open, high, low, close, volume }).unwrap();
    Bars::new(vec![bars]).unwrap()
}

/// One column of one symbol.
fn column(written: Value, bars: &Bars, name: &str) -> Vec<f64> {
    let features = compute(&[config(written)], bars).unwrap();
    let index = features.names().iter().position(|candidate| candidate == name).unwrap();
    features.column(0, index).to_vec()
}

/// Bars that open, trade and close at the same price.
fn flat_bars(name: &str, hours: &[i64], closes: &[f64]) -> SymbolBars {
    let closes = closes.to_vec();
    let columns = BarColumns {
        time: hours.iter().map(|hour| Time(hour * HOUR)).collect(),
        open: closes.clone(),
        high: closes.clone(),
        low: closes.clone(),
        volume: vec![0.0; closes.len()],
        close: closes,
    };
    SymbolBars::new(name, columns).unwrap()
}

fn one_flat(closes: &[f64]) -> Bars {
    let hours: Vec<i64> = (0..closes.len() as i64).collect();
    Bars::new(vec![flat_bars("ALPHA", &hours, closes)]).unwrap()
}

#[test]
fn equal_to_talib_and_numpy_with_the_same_nulls() {
    // Reference: tests/reference/talib_reference.py, TA-Lib 0.8.2 (C library 0.8.1), numpy 2.4.6.
    let mut expected = columns(include_str!("reference/talib_expected.csv"));
    let configured: Vec<IndicatorConfig> = [
        json!({"log_return": {"lags": [1, 3]}}),
        json!({"simple_return": {"lags": [1, 3]}}),
        json!({"momentum": {}}),
        json!({"sma": {}}),
        json!({"sma": {"period": 2}}),
        json!({"sma": {"period": 150}}),
        json!({"ema": {}}),
        json!({"ema": {"period": 2}}),
        json!({"ema": {"period": 150}}),
        json!({"macd": {}}),
        json!({"macd": {"fast": 3, "slow": 10, "signal": 4}}),
        json!({"rsi": {}}),
        json!({"rsi": {"period": 2}}),
        json!({"atr": {}}),
        json!({"atr": {"period": 1}}),
        json!({"atr": {"period": 2}}),
        json!({"adx": {}}),
        json!({"adx": {"period": 2}}),
        json!({"bollinger": {}}),
        json!({"bollinger": {"period": 5, "width": 1.5}}),
        json!({"stochastic": {}}),
        json!({"stochastic": {"k": 5, "smoothing": 1, "d": 2}}),
        json!({"rolling_volatility": {}}),
        json!({"z_score": {}}),
        json!({"volume_ratio": {}}),
        json!({"vwap": {}}),
        json!({"obv": {}}),
        json!({"obv": {"relative": true}}),
    ]
    .map(config)
    .to_vec();
    let features = compute(&configured, &reference_bars()).unwrap();
    let mut failures = Vec::new();
    for (index, name) in features.names().iter().enumerate() {
        let wanted = expected.remove(name).unwrap_or_else(|| panic!("no reference for {name}"));
        let found = features.column(0, index);
        assert_eq!(found.len(), wanted.len(), "{name}");
        // Differences of prices cross zero, where no relative error means anything; there the column's size counts.
        let size = wanted.iter().filter(|value| !value.is_nan()).map(|value| value * value).sum::<f64>();
        let size = (size / wanted.iter().filter(|value| !value.is_nan()).count() as f64).sqrt();
        let wrong = (0..found.len()).find(|row| {
            let (found, wanted) = (found[*row], wanted[*row]);
            found.is_nan() != wanted.is_nan() || (found - wanted).abs() > 1e-12 * wanted.abs().max(size)
        });
        if let Some(row) = wrong {
            failures.push(format!("{name}, row {row}: {} instead of {}", found[row], wanted[row]));
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
    assert!(expected.is_empty(), "not computed: {:?}", expected.keys());
}

#[test]
fn relative_columns_are_levels_over_the_close() {
    let bars = reference_bars();
    let close = bars.symbols()[0].close();
    let cases = [
        (json!({"sma": {"period": 7}}), 1.0),
        (json!({"ema": {"period": 7}}), 1.0),
        (json!({"vwap": {"period": 7}}), 1.0),
        (json!({"bollinger": {"period": 7}}), 1.0),
        (json!({"macd": {}}), 0.0),
        (json!({"atr": {}}), 0.0),
    ];
    for (written, less) in cases {
        let level = config(written);
        let relative = with_settings(&level, &json!({"relative": true})).unwrap();
        let (levels, ratios) = (level.build().compute(&bars), relative.build().compute(&bars));
        for (column, name) in relative.build().names().iter().enumerate() {
            assert!(name.contains("_relative"), "{name}");
            for row in 0..close.len() {
                let same = name.ends_with("percent_b") || name.ends_with("bandwidth");
                let level = levels[0][column][row];
                let wanted = if same { level } else { level / close[row] - less };
                let found = ratios[0][column][row];
                assert_eq!(found.is_nan(), wanted.is_nan(), "{name}, row {row}");
                assert!(found.is_nan() || (found - wanted).abs() < 1e-15, "{name}, row {row}");
            }
        }
    }
}

#[test]
fn a_price_that_never_moves_gives_what_talib_defines_and_null_elsewhere() {
    // TA-Lib's values are printed by tests/reference/talib_reference.py.
    let bars = one_flat(&[7.5; 60]);
    let last = |written: Value, name: &str| column(written, &bars, name)[59];
    for (written, name) in [
        (json!({"rsi": {}}), "rsi_14"),
        (json!({"adx": {}}), "adx_14"),
        (json!({"adx": {}}), "plus_di_14"),
        (json!({"adx": {}}), "minus_di_14"),
        (json!({"atr": {}}), "atr_14"),
        (json!({"stochastic": {}}), "stochastic_14_3_3_k"),
        (json!({"stochastic": {}}), "stochastic_14_3_3_d"),
        (json!({"rolling_volatility": {}}), "rolling_volatility_20"),
        (json!({"bollinger": {}}), "bollinger_20_2_bandwidth"),
        (json!({"momentum": {}}), "momentum_10"),
    ] {
        assert_eq!(last(written, name), 0.0, "{name}");
    }
    for (written, name) in [
        (json!({"bollinger": {}}), "bollinger_20_2_percent_b"),
        (json!({"z_score": {}}), "z_score_20"),
        (json!({"volume_ratio": {}}), "volume_ratio_20"),
        (json!({"vwap": {}}), "vwap_20"),
        (json!({"obv": {"relative": true}}), "obv_20_relative"),
    ] {
        assert!(last(written, name).is_nan(), "{name}");
    }
    assert_eq!(last(json!({"bollinger": {}}), "bollinger_20_2_upper"), 7.5);
}

#[test]
fn series_shorter_than_the_warm_up_are_null_and_never_a_panic() {
    let full = random_bars(11, 60);
    for config in indicators() {
        let indicator = config.build();
        for rows in 1..=60 {
            let short = Bars::new(vec![full.symbols()[0].head(rows)]).unwrap();
            for column in &indicator.compute(&short)[0] {
                assert_eq!(column.len(), rows, "{config:?}");
            }
            let columns = indicator.compute(&short).remove(0);
            for row in 0..rows.min(indicator.warm_up()) {
                assert!(columns.iter().any(|column| column[row].is_nan()), "{config:?}, row {row} of {rows}");
            }
        }
    }
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name_and_never_a_panic() {
    let bars = random_bars(1, 40);
    let cases = [
        (json!({"log_return": {"lags": []}}), "`lags` is empty"),
        (json!({"simple_return": {"lags": [1, 0]}}), "`lags` is 0"),
        (json!({"momentum": {"period": 0}}), "`period` is 0"),
        (json!({"sma": {"period": 0}}), "`period` is 0"),
        (json!({"ema": {"period": 0}}), "`period` is 0"),
        (json!({"rsi": {"period": 1}}), "`period` is 1"),
        (json!({"rsi": {"period": 0}}), "`period` is 0"),
        (json!({"macd": {"fast": 26, "slow": 26}}), "`fast` is 26 and `slow` is 26"),
        (json!({"macd": {"fast": 0}}), "`fast` is 0"),
        (json!({"macd": {"signal": 0}}), "`signal` is 0"),
        (json!({"bollinger": {"period": 0}}), "`period` is 0"),
        (json!({"bollinger": {"width": 0.0}}), "`width` is 0"),
        (json!({"bollinger": {"width": -1.0}}), "`width` is -1"),
        (json!({"atr": {"period": 0}}), "`period` is 0"),
        (json!({"adx": {"period": 0}}), "`period` is 0"),
        (json!({"adx": {"period": 1}}), "`period` is 1"),
        (json!({"stochastic": {"k": 0}}), "`k` is 0"),
        (json!({"stochastic": {"smoothing": 0}}), "`smoothing` is 0"),
        (json!({"stochastic": {"d": 0}}), "`d` is 0"),
        (json!({"rolling_volatility": {"period": 1}}), "`period` is 1"),
        (json!({"z_score": {"period": 1}}), "`period` is 1"),
        (json!({"volume_ratio": {"period": 0}}), "`period` is 0"),
        (json!({"vwap": {"period": 0}}), "`period` is 0"),
        (json!({"obv": {"period": 0}}), "`period` is 0"),
        (json!({"cross_sectional_rank": {"period": 0}}), "`period` is 0"),
    ];
    for (written, problem) in cases {
        let refused = config(written);
        let error = compute(std::slice::from_ref(&refused), &bars).unwrap_err();
        assert!(error.contains(problem) && error.contains(refused.name()), "{error}");
        refused.build().names();
        refused.build().warm_up();
        refused.build().compute(&bars);
    }
    let examples = IndicatorConfig::examples();
    let huge = examples.iter().filter_map(|one| with_settings(one, &json!({"period": usize::MAX})));
    for config in huge.chain([config(json!({"macd": {"slow": usize::MAX}}))]) {
        let columns = config.build().compute(&bars);
        assert!(
            config.name() == "obv" || columns.iter().flatten().flatten().all(|value| value.is_nan()),
            "{config:?}"
        );
        assert!(config.build().warm_up() >= 40 || config.name() == "obv", "{config:?}");
    }
}

#[test]
fn the_same_feature_twice_is_an_error() {
    let twice = [config(json!({"sma": {}})), config(json!({"sma": {"period": 20}}))];
    assert!(compute(&twice, &random_bars(1, 40)).unwrap_err().contains("sma_20"));
}

#[test]
fn rolling_windows_equal_the_naive_ones() {
    let mut stream = Seed(3).stream("rolling", 0);
    for rows in [1_usize, 2, 3, 7, 20, 64, 101] {
        let values: Vec<f64> = (0..rows).map(|_| 100.0 + stream.normal()).collect();
        for period in [1_usize, 2, 3, 5, 8, 20, 64, 100, 101, 102] {
            let (sum, mean) = (rolling::sum(&values, period), rolling::mean(&values, period));
            let (highest, lowest) = (rolling::highest(&values, period), rolling::lowest(&values, period));
            let moments = rolling::moments(&values, period);
            assert_eq!(moments.len(), (rows + 1).saturating_sub(period));
            for row in 0..rows {
                if row + 1 < period {
                    let nulls = [sum[row], mean[row], highest[row], lowest[row]];
                    assert!(nulls.iter().all(|value| value.is_nan()));
                    continue;
                }
                let window = &values[row + 1 - period..=row];
                let total: f64 = window.iter().sum();
                let average = total / period as f64;
                let squares: f64 = window.iter().map(|value| (value - average).powi(2)).sum();
                let near = |found: f64, wanted: f64| (found - wanted).abs() <= 1e-13 * wanted.abs();
                assert!(near(sum[row], total) && near(mean[row], average));
                assert_eq!(highest[row], window.iter().copied().fold(f64::MIN, f64::max));
                assert_eq!(lowest[row], window.iter().copied().fold(f64::MAX, f64::min));
                let found = moments[row + 1 - period];
                assert!(near(found.mean(), average));
                let deviation = (squares / period as f64).sqrt();
                assert!((found.population_deviation() - deviation).abs() <= 1e-12 * deviation);
                if period == 1 {
                    assert!(found.sample_deviation().is_nan());
                } else {
                    let deviation = (squares / (period - 1) as f64).sqrt();
                    assert!((found.sample_deviation() - deviation).abs() <= 1e-12 * deviation);
                }
            }
        }
    }
}

#[test]
fn a_window_forgets_a_huge_value_and_zeros_sum_to_zero() {
    let mut values = vec![0.1; 100];
    let calm = rolling::sum(&values, 10);
    values[20] = 1e18;
    let after = rolling::sum(&values, 10);
    assert_eq!(after[19], calm[19]);
    assert_eq!(after[30..], calm[30..]);
    assert!(after[29] >= 1e18);
    values[50..].fill(0.0);
    assert_eq!(rolling::sum(&values, 10)[59], 0.0);
    assert!(
        rolling::moments(&[123_456.7; 500], 33).iter().all(|window| window.population_deviation() == 0.0)
    );
}

#[test]
fn a_deviation_keeps_its_digits_at_a_high_price() {
    // 0, 1 and 2 cents around 1e8: the population deviation of (0, 1, 2) is sqrt(2/3).
    let values = [1e8, 1e8 + 1.0, 1e8 + 2.0].repeat(50);
    for window in rolling::moments(&values, 3) {
        assert!((window.population_deviation() - (2.0_f64 / 3.0).sqrt()).abs() < 1e-8);
    }
}

#[test]
fn cross_sectional_rank_by_hand() {
    // Returns over one bar by hour: ALPHA 10 %, 0, 0; BETA no bar in hour 2; GAMMA listed at hour 1.
    let bars = Bars::new(vec![
        flat_bars("ALPHA", &[0, 1, 2, 3], &[100.0, 110.0, 110.0, 110.0]),
        flat_bars("BETA", &[0, 1, 3], &[100.0, 105.0, 105.0]),
        flat_bars("GAMMA", &[1, 2, 3], &[100.0, 90.0, 99.0]),
    ])
    .unwrap();
    let ranks = config(json!({"cross_sectional_rank": {"period": 1}})).build().compute(&bars);
    let null = f64::NAN;
    // Hour 3: ALPHA and BETA both 0 %, GAMMA 10 %: ranks 0.5, 0.5 and 2 of 0 to 2.
    let expected = [vec![null, 1.0, 1.0, -0.5], vec![null, -1.0, -0.5], vec![null, -1.0, 1.0]];
    for (found, wanted) in ranks.iter().zip(&expected) {
        let same = |(found, wanted): (&f64, &f64)| found == wanted || found.is_nan() && wanted.is_nan();
        assert!(found[0].iter().zip(wanted).all(same), "{ranks:?}");
    }
    let alone = Bars::new(vec![bars.symbols()[0].clone()]).unwrap();
    let ranks = config(json!({"cross_sectional_rank": {"period": 1}})).build().compute(&alone);
    assert!(ranks[0][0].iter().all(|value| value.is_nan()));
}

#[test]
fn clocks_by_hand() {
    // 2024-01-01 was a Monday; 1969-12-31, before the epoch, a Wednesday, so that 66 of 168 hours have passed.
    let cases = [
        ("2024-01-01T00:00:00Z", [0.0, 1.0], [0.0, 1.0]),
        ("2024-01-01T06:00:00Z", [1.0, 0.0], [0.222_520_933_956_314_4, 0.974_927_912_181_823_6]),
        ("2024-01-04T12:00:00Z", [0.0, -1.0], [0.0, -1.0]),
        ("1969-12-31T18:00:00Z", [-1.0, 0.0], [0.623_489_801_858_733_6, -0.781_831_482_468_029_8]),
    ];
    for (text, day, week) in cases {
        let mut columns = BarColumns::default();
        columns.time.push(Time::parse(text).unwrap());
        for column in [&mut columns.open, &mut columns.high, &mut columns.low, &mut columns.close] {
            column.push(1.0);
        }
        columns.volume.push(0.0);
        let bars = Bars::new(vec![SymbolBars::new("ALPHA", columns).unwrap()]).unwrap();
        for (name, wanted) in [("time_of_day", day), ("time_of_week", week)] {
            let found = config(json!({ name: {} })).build().compute(&bars);
            for (column, wanted) in found[0].iter().zip(wanted) {
                assert!((column[0] - wanted).abs() < 1e-15, "{name} of {text}: {found:?}");
            }
        }
    }
}

#[test]
fn long_windows_cost_no_more_than_short_ones() {
    let rows = 100_000;
    let source = random_bars(9, rows);
    let bars = Bars::new(vec![source.symbols()[0].clone()]).unwrap();
    let time = |configs: &[IndicatorConfig]| {
        let start = std::time::Instant::now();
        compute(configs, &bars).unwrap();
        start.elapsed()
    };
    let examples = IndicatorConfig::examples();
    let long: Vec<IndicatorConfig> = examples
        .iter()
        .map(|one| with_settings(one, &json!({"period": 20_000})).unwrap_or_else(|| one.clone()))
        .collect();
    let (short, long) = (time(&examples), time(&long));
    println!("all indicators on {rows} bars: {short:?}; with a period of 20000: {long:?}");
    // A window computed anew in every row would take 2e9 operations an indicator: many seconds.
    assert!(long.as_secs_f64() < 2.0, "{long:?}");
}

#[test]
fn chosen_columns_are_those_of_all_in_the_order_that_was_asked_for() {
    let bars = random_bars(3, 120);
    for (kind, chosen) in [
        ("bollinger", vec!["lower", "upper"]),
        ("bollinger", vec!["percent_b"]),
        ("macd", vec!["signal", "line"]),
        ("macd", vec!["histogram"]),
    ] {
        let all = compute(&[config(json!({kind: {}}))], &bars).unwrap();
        let some = compute(&[config(json!({kind: {"columns": chosen}}))], &bars).unwrap();
        assert_eq!(some.names().len(), chosen.len());
        for (index, name) in some.names().iter().enumerate() {
            assert!(name.ends_with(chosen[index]), "{name} is not {}", chosen[index]);
            let place = all.names().iter().position(|other| other == name).unwrap();
            for symbol in 0..bars.symbols().len() {
                let bits = |column: &[f64]| column.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
                assert_eq!(bits(some.column(symbol, index)), bits(all.column(symbol, place)), "{name}");
            }
        }
    }
    for (written, expected) in [
        (json!({"bollinger": {"columns": []}}), "`columns` is empty"),
        (json!({"macd": {"columns": ["line", "line"]}}), "names `line` twice"),
    ] {
        let problem = config(written).build().check().unwrap_err();
        assert!(problem.contains(expected), "{problem}");
    }
    assert!(serde_json::from_value::<IndicatorConfig>(json!({"macd": {"columns": ["upper"]}})).is_err());
}
