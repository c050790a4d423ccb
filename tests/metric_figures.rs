//! Every figure against empyrical, quantstats and ffn on four committed series, and the one-pass equity curve against the
//! plain formulas.

use candlewick::metrics::{
    BenchmarkMetrics, TradingMetrics, annual_growth, benchmark_figures, conditional_value_at_risk, drawdowns,
    equity_curve, gain_to_pain, gaussian_value_at_risk, kelly, kurtosis, omega, payoff, quantile,
    recovery_factor, rolling_beta, rolling_sharpe, rolling_volatility, sharpe, skew, sortino, stability,
    tail_ratio, volatility, worst_drawdowns,
};
use candlewick::seed::Seed;

fn equity_of(returns: &[f64]) -> Vec<f64> {
    let mut value = 1.0;
    let follow = returns.iter().map(|change| {
        value *= 1.0 + change;
        value
    });
    follow.collect()
}

fn close(found: f64, expected: f64, what: &str) {
    let near = (found - expected).abs() <= 1e-10 * expected.abs() + 1e-14;
    assert!(near, "{what}: {found} is not {expected}");
}

fn curve_figures(equity: &[f64], periods: f64) -> TradingMetrics {
    let mut metrics = TradingMetrics::default();
    metrics.set_curve(&equity_curve(equity, 1.0).unwrap(), periods);
    metrics
}

fn numbers(value: &serde_json::Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap()).collect()
}

/// What a name in the reference is here.
fn figure(
    name: &str,
    returns: &[f64],
    benchmark: &[f64],
    curve: &TradingMetrics,
    beside: &BenchmarkMetrics,
) -> Option<f64> {
    let last = |values: Vec<f64>| values.last().copied();
    match name {
        "total_return" => curve.total_return,
        "cagr" => curve.cagr,
        "volatility" => curve.volatility,
        "sharpe" => curve.sharpe,
        "sortino" => curve.sortino,
        "max_drawdown" => curve.max_drawdown,
        "calmar" => curve.calmar,
        "omega" => curve.omega,
        "gain_to_pain" => curve.gain_to_pain,
        "var_95" => curve.var_95,
        "cvar_95" => curve.cvar_95,
        "gaussian_var_95" => curve.gaussian_var_95,
        "skew" => curve.skew,
        "kurtosis" => curve.kurtosis,
        "tail_ratio" => curve.tail_ratio,
        "stability" => stability(&equity_of(returns)),
        "payoff" => payoff(returns),
        "kelly" => kelly(returns),
        "alpha" => beside.alpha,
        "beta" => beside.beta,
        "up_capture" => beside.up_capture,
        "down_capture" => beside.down_capture,
        "r_squared" => beside.r_squared,
        // The libraries do not annualise it.
        "information_ratio_a_period" => beside.information_ratio.map(|ratio| ratio / 252_f64.sqrt()),
        "rolling_sharpe_last" => last(rolling_sharpe(returns, 10, 252.0)),
        "rolling_volatility_last" => last(rolling_volatility(returns, 10, 252.0)),
        "rolling_beta_last" => last(rolling_beta(returns, benchmark, 10)),
        _ => panic!("{name} has no counterpart"),
    }
}

/// tests/reference/metric_figures.py made the numbers, with empyrical-reloaded 0.7.1, quantstats 0.0.86 and ffn 1.4.1.
#[test]
fn metric_figures_agree_with_the_libraries_on_committed_series() {
    let text = include_str!("reference/metric_figures.json");
    let reference: serde_json::Value = serde_json::from_str(text).unwrap();
    let mut compared = 0;
    for (name, series) in reference["series"].as_object().unwrap() {
        let (returns, benchmark) = (numbers(&series["returns"]), numbers(&series["benchmark"]));
        let equity = equity_of(&returns);
        let curve = curve_figures(&equity, 252.0);
        let beside = benchmark_figures(&returns, &benchmark, 252.0);
        for (library, figures) in series["figures"].as_object().unwrap() {
            for (key, expected) in figures.as_object().unwrap() {
                let what = format!("{name}: {library} {key}");
                if key == "worst_drawdowns" {
                    check_worst(&equity, expected, &what);
                    continue;
                }
                let found = figure(key, &returns, &benchmark, &curve, &beside).expect(&what);
                close(found, expected.as_f64().expect(&what), &what);
                compared += 1;
            }
        }
    }
    assert_eq!(compared, 4 * (20 + 18 + 5));
}

/// ffn's drawdowns are (depth, first row below the high, row back at it or the last row).
fn check_worst(equity: &[f64], expected: &serde_json::Value, what: &str) {
    let expected = expected.as_array().unwrap();
    let found = worst_drawdowns(equity, 1.0, 5);
    assert_eq!(found.len(), expected.len(), "{what}");
    for (found, expected) in found.iter().zip(expected) {
        close(found.depth, expected[0].as_f64().unwrap(), what);
        let end = found.recovery.unwrap_or(equity.len() - 1);
        let rows = [expected[1].as_u64().unwrap() as usize, expected[2].as_u64().unwrap() as usize];
        assert_eq!([found.start, end], rows, "{what}");
        assert!((found.start..=end).contains(&found.trough));
    }
}

#[test]
fn metric_figures_of_the_shared_series_agree_with_the_libraries() {
    use super::markets::{columns, shared};
    let (Some(series), Some(reference)) =
        (shared("reference/returns_756d.parquet"), shared("reference/metric_reference.json"))
    else {
        return;
    };
    let [returns, benchmark] =
        <[Vec<f64>; 2]>::try_from(columns(&series, &["strategy", "benchmark"])).unwrap();
    let text = std::fs::read_to_string(reference).unwrap().replace("NaN", "null");
    let reference: serde_json::Value = serde_json::from_str(&text).unwrap();
    let curve = curve_figures(&equity_of(&returns), 252.0);
    let beside = benchmark_figures(&returns, &benchmark, 252.0);
    let check = |found: Option<f64>, library: &str, name: &str| {
        close(found.unwrap(), reference[library][name].as_f64().unwrap(), &format!("{library} {name}"));
    };
    let (plain, empyrical, quantstats) = ("plain_formulas", "empyrical-reloaded", "quantstats");
    check(beside.beta, plain, "beta");
    check(beside.beta, empyrical, "beta");
    check(beside.beta, "vectorbt (year_freq=252D)", "beta");
    check(beside.alpha, plain, "alpha_capm_ann_geom");
    check(beside.alpha, empyrical, "alpha");
    check(beside.information_ratio, plain, "information_ratio_ann");
    check(beside.information_ratio.map(|it| it / 252_f64.sqrt()), quantstats, "information_ratio");
    check(beside.tracking_error, plain, "tracking_error_ann");
    check(beside.up_capture, empyrical, "up_capture");
    check(beside.down_capture, empyrical, "down_capture");
    check(stability(&equity_of(&returns)), empyrical, "stability");
    check(curve.gaussian_var_95, quantstats, "var95");
    check(curve.gaussian_var_95, plain, "var95_gauss");
    check(curve.probabilistic_sharpe, plain, "psr_0");
    check(curve.minimum_track_record, plain, "min_track_record_length_95");
    // quantstats sums returns, we compound them.
    let sum: f64 = returns.iter().sum();
    check(recovery_factor(sum, curve.max_drawdown.unwrap()), quantstats, "recovery_factor");
}

/// The plain formulas, one pass each, over returns that are written down.
fn specification(equity: &[f64], starting_cash: f64, periods: f64) -> TradingMetrics {
    let mut before = starting_cash;
    let follow = equity.iter().map(|value| {
        let change = if before > 0.0 { value / before - 1.0 } else { 0.0 };
        before = *value;
        change
    });
    let returns: Vec<f64> = follow.collect();
    let falls = drawdowns(equity, starting_cash);
    let growth = equity[equity.len() - 1] / starting_cash;
    let mut sorted = returns.clone();
    sorted.sort_unstable_by(f64::total_cmp);
    TradingMetrics {
        total_return: Some(growth - 1.0),
        cagr: annual_growth(growth, equity.len(), periods),
        volatility: volatility(&returns, periods),
        sharpe: sharpe(&returns, periods),
        sortino: sortino(&returns, periods),
        max_drawdown: Some(falls.deepest),
        max_drawdown_bars: falls.longest_bars,
        recovery_bars: falls.recovery_bars,
        ulcer_index: Some(falls.ulcer_index),
        omega: omega(&returns),
        gain_to_pain: gain_to_pain(&returns),
        skew: skew(&returns),
        kurtosis: kurtosis(&returns),
        var_95: quantile(&sorted, 0.05),
        cvar_95: conditional_value_at_risk(&sorted, 0.05),
        gaussian_var_95: gaussian_value_at_risk(&returns, 0.05),
        tail_ratio: tail_ratio(&sorted),
        ..TradingMetrics::default()
    }
}

fn check_curve(equity: &[f64], starting_cash: f64) {
    let expected = specification(equity, starting_cash, 8760.0);
    let mut found = TradingMetrics::default();
    found.set_curve(&equity_curve(equity, starting_cash).unwrap(), 8760.0);
    let figures = |it: &TradingMetrics| {
        [
            it.total_return,
            it.cagr,
            it.volatility,
            it.sharpe,
            it.sortino,
            it.max_drawdown,
            it.ulcer_index,
            it.omega,
            it.gain_to_pain,
            it.skew,
            it.kurtosis,
            it.var_95,
            it.cvar_95,
            it.gaussian_var_95,
            it.tail_ratio,
        ]
    };
    let rows = equity.len();
    for (number, (found, expected)) in figures(&found).iter().zip(figures(&expected)).enumerate() {
        match (found, expected) {
            (Some(found), Some(expected)) => {
                let near = (found - expected).abs() <= 1e-9 * expected.abs() + 1e-13;
                assert!(near, "{rows} rows, figure {number}: {found} is not {expected}");
            }
            (found, expected) => assert_eq!(*found, expected, "{rows} rows, figure {number}"),
        }
    }
    assert_eq!(found.max_drawdown.map(f64::to_bits), expected.max_drawdown.map(f64::to_bits));
    assert_eq!(found.var_95.map(f64::to_bits), expected.var_95.map(f64::to_bits), "{rows} rows");
    assert_eq!(
        (found.max_drawdown_bars, found.recovery_bars),
        (expected.max_drawdown_bars, expected.recovery_bars),
        "{rows} rows"
    );
}

/// Sizes on both sides of a piece and of the size from which tails are sampled; walks, books that seldom trade (many equal
/// returns, in the tail and beside it), steadily rising ones, and samples that mislead: every 20th row is a crash.
#[test]
fn metric_figures_of_the_one_pass_curve_equal_the_plain_formulas() {
    for rows in [1, 2, 3, 7, 1023, 1024, 1025, 5000, 65_536, 65_537, 200_000] {
        let mut stream = Seed(rows as u64).stream("curve", 0);
        let mut changes = |trades: f64, drift: f64| -> Vec<f64> {
            (0..rows)
                .map(|_| if stream.uniform() < trades { drift + 0.001 * stream.normal() } else { 0.0 })
                .collect()
        };
        let kinds = [changes(1.0, 0.0), changes(0.05, 0.0), changes(0.12, 0.0), changes(1.0, 0.002)];
        for changes in &kinds {
            let equity: Vec<f64> = equity_of(changes).iter().map(|value| 1000.0 * value).collect();
            check_curve(&equity, 1000.0);
            check_curve(&equity, 1001.5);
        }
        let step = (rows / 16_384).max(1);
        let crashes: Vec<f64> = (0..rows).map(|row| if row % step == 0 { 0.001 } else { -0.0001 }).collect();
        check_curve(&equity_of(&crashes), 1.0);
        let mut lost = equity_of(&kinds[0]);
        lost[rows / 2..].fill(0.0);
        check_curve(&lost, 1.0);
    }
    assert!(equity_curve(&[], 1.0).is_none());
}

/// The specification: every window by itself.
#[test]
fn metric_figures_of_windows_equal_those_of_each_window_alone() {
    let mut stream = Seed(1).stream("windows", 0);
    let mut returns: Vec<f64> = (0..500).map(|_| 0.01 * stream.normal()).collect();
    let benchmark: Vec<f64> = returns.iter().map(|value| 0.4 * value + 0.01 * stream.normal()).collect();
    // A crash of which nothing may be left once it has passed, and then a book that does nothing.
    returns[200] = 1e6;
    returns[300..400].fill(0.0);
    for window in [2, 3, 20, 499, 500] {
        let found = [
            rolling_sharpe(&returns, window, 252.0),
            rolling_volatility(&returns, window, 252.0),
            rolling_beta(&returns, &benchmark, window),
        ];
        for row in 0..returns.len() {
            if row + 1 < window {
                assert!(found.iter().all(|figure| figure[row].is_nan()));
                continue;
            }
            let own = &returns[row + 1 - window..=row];
            let other = &benchmark[row + 1 - window..=row];
            let beta = benchmark_figures(own, other, 252.0).beta;
            let expected = [sharpe(own, 252.0), volatility(own, 252.0), beta];
            for (figure, expected) in found.iter().zip(expected) {
                match expected {
                    Some(expected) => {
                        let near = (figure[row] - expected).abs() <= 1e-9 * (1.0 + expected.abs());
                        assert!(near, "window {window}, row {row}: {} is not {expected}", figure[row]);
                    }
                    None => assert!(figure[row].is_nan(), "window {window}, row {row}: {}", figure[row]),
                }
            }
        }
    }
    assert!(rolling_sharpe(&returns, 501, 252.0).iter().all(|value| value.is_nan()));
    assert!(rolling_beta(&returns, &benchmark[1..], 5).iter().all(|value| value.is_nan()));
}

#[test]
fn metric_figures_beside_a_benchmark_that_cannot_be_compared_are_not_defined() {
    assert_eq!(benchmark_figures(&[0.1, 0.2], &[0.1], 252.0), BenchmarkMetrics::default());
    let flat = benchmark_figures(&[0.1, -0.1, 0.3], &[0.0; 3], 252.0);
    assert_eq!((flat.beta, flat.alpha, flat.correlation, flat.up_capture), (None, None, None, None));
    assert!(flat.tracking_error.is_some());
    let same = benchmark_figures(&[0.1, -0.1, 0.3], &[0.1, -0.1, 0.3], 1.0);
    close(same.beta.unwrap(), 1.0, "beta");
    close(same.up_capture.unwrap(), 1.0, "up capture");
    assert_eq!(same.information_ratio, None);
}
