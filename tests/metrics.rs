//! Figures against four libraries on one series, hand-computed numbers, and series without a figure.

use super::markets::{columns, shared};
use candlewick::metrics::{
    ForecastMetrics, annual_growth, conditional_value_at_risk, drawdowns, excursions, forecast_metrics,
    gain_to_pain, kelly, kurtosis, longest_streak, omega, payoff, profit_factor, quantile, round_trips,
    sharpe, signal_turnover, skew, sortino, system_quality, tail_ratio, trading_metrics, volatility,
};
use candlewick::table::{
    BarColumns, Bars, BookResult, Carried, Equity, Fill, FillReason, LabelKind, NULL, Side, SymbolBars,
};
use candlewick::units::Time;

fn near(found: Option<f64>, expected: f64, what: &str) {
    let found = found.unwrap_or_else(|| panic!("{what} is not defined"));
    assert!((found - expected).abs() <= 1e-10 * (1.0 + expected.abs()), "{what}: {found} is not {expected}");
}

/// `metric_reference.json`: one series of 756 days through empyrical-reloaded 0.7.1, quantstats 0.0.86, vectorbt 1.2.0
/// and ffn 1.4.1. Each line names the libraries that follow our convention; the others differ by a stated one.
#[test]
fn metrics_agree_with_the_libraries_that_share_the_convention() {
    let (Some(series), Some(reference)) =
        (shared("reference/returns_756d.parquet"), shared("reference/metric_reference.json"))
    else {
        return;
    };
    let returns = columns(&series, &["strategy"]).remove(0);
    let text = std::fs::read_to_string(reference).unwrap().replace("NaN", "null");
    let reference: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut high = 1.0;
    let equity: Vec<f64> = returns
        .iter()
        .map(|value| {
            high *= 1.0 + value;
            high
        })
        .collect();
    let drawdowns = drawdowns(&equity, 1.0);
    let growth = annual_growth(equity[755], 756, 252.0);
    let mut sorted = returns.clone();
    sorted.sort_unstable_by(f64::total_cmp);
    let plain = "plain_formulas";
    let (empyrical, quantstats) = ("empyrical-reloaded", "quantstats");
    let (vectorbt, ffn) = ("vectorbt (year_freq=252D)", "ffn (used by bt)");
    let check = |found: Option<f64>, names: &[(&str, &str)]| {
        for (library, name) in names {
            near(found, reference[library][name].as_f64().unwrap(), &format!("{library} {name}"));
        }
    };
    let all = |name: &'static str| [plain, empyrical, quantstats, vectorbt].map(|library| (library, name));
    // ffn counts calendar days of 365.25: its CAGR and Calmar are others.
    check(
        growth,
        &[(plain, "cagr_periods"), (empyrical, "cagr"), (quantstats, "cagr"), (vectorbt, "ann_return")],
    );
    check(growth.map(|growth| growth / drawdowns.deepest.abs()), &all("calmar"));
    check(volatility(&returns, 252.0), &all("vol_ann"));
    check(volatility(&returns, 252.0), &[(ffn, "daily_vol")]);
    check(sharpe(&returns, 252.0), &all("sharpe"));
    check(sharpe(&returns, 252.0), &[(ffn, "daily_sharpe")]);
    check(sortino(&returns, 252.0), &all("sortino"));
    check(sortino(&returns, 252.0), &[(ffn, "daily_sortino")]);
    check(Some(drawdowns.deepest), &all("max_drawdown"));
    check(Some(drawdowns.deepest), &[(ffn, "max_drawdown")]);
    // quantstats divides by n - 1.
    check(Some(drawdowns.ulcer_index), &[(plain, "ulcer_index")]);
    check(Some(drawdowns.ulcer_index * (756.0_f64 / 755.0).sqrt()), &[(quantstats, "ulcer_index")]);
    check(omega(&returns), &all("omega"));
    check(gain_to_pain(&returns), &[(quantstats, "gain_to_pain")]);
    check(skew(&returns), &[(plain, "skew_sample"), (quantstats, "skew")]);
    check(kurtosis(&returns), &[(plain, "kurt_excess_sample"), (quantstats, "kurtosis")]);
    // quantstats takes a normal distribution for both.
    check(quantile(&sorted, 0.05), &[(plain, "var95_hist"), (empyrical, "var95"), (vectorbt, "var95")]);
    check(
        conditional_value_at_risk(&sorted, 0.05),
        &[(plain, "cvar95_hist"), (empyrical, "cvar95"), (vectorbt, "cvar95")],
    );
    check(tail_ratio(&sorted), &all("tail_ratio"));
    // quantstats takes a bar for a trade, so its figures of trades check ours when bars are given as trades.
    check(payoff(&returns), &[(quantstats, "payoff")]);
    check(kelly(&returns), &[(quantstats, "kelly")]);
    check(profit_factor(&returns), &[(quantstats, "profit_factor")]);
}

#[test]
fn metrics_drawdowns_by_hand() {
    //                 high       trough      back  new high   last
    let equity = [110.0, 99.0, 88.0, 104.5, 110.0, 121.0, 108.9];
    let found = drawdowns(&equity, 100.0);
    assert!((found.deepest + 0.2).abs() < 1e-15);
    assert_eq!((found.longest_bars, found.recovery_bars), (3, Some(2)));
    let squares: f64 = [0.1_f64, 0.2, 0.05, 0.1].iter().map(|depth| depth * depth).sum();
    assert!((found.ulcer_index - (squares / 7.0).sqrt()).abs() < 1e-15);
    let lost = drawdowns(&[90.0, 80.0, 85.0], 100.0);
    assert_eq!((lost.longest_bars, lost.recovery_bars), (3, None));
    assert!((lost.deepest + 0.2).abs() < 1e-15);
}

fn fill(symbol: u32, step: u32, signed: f64, price: f64, fee: f64) -> Fill {
    let side = if signed > 0.0 { Side::Buy } else { Side::Sell };
    let time = Time(i64::from(step));
    let quantity = signed.abs();
    let (reference_price, gas, spread, slippage, impact) = (price, 0.0, 0.0, 0.0, 0.0);
    Fill {
        symbol,
        step,
        time,
        side,
        quantity,
        price,
        reference_price,
        fee,
        gas,
        spread,
        slippage,
        impact,
        reason: FillReason::Signal,
    }
}

#[test]
fn metrics_round_trips_split_at_zero_and_share_the_fee() {
    let fills = [
        fill(0, 1, 2.0, 10.0, 1.0),
        fill(1, 1, -1.0, 50.0, 0.5),
        fill(0, 3, 2.0, 12.0, 1.0),
        fill(0, 4, -1.0, 13.0, 0.5),
        fill(0, 6, -4.0, 14.0, 2.0),
        fill(1, 7, 1.0, 45.0, 0.5),
        fill(0, 9, 1.0, 11.0, 0.5),
        fill(0, 9, 1.0, 11.0, 0.5),
    ];
    let trips = round_trips(&fills);
    let found: Vec<_> =
        trips.iter().map(|t| (t.symbol, t.entry_step, t.exit_step, t.profit, t.entry_notional)).collect();
    let expected = [
        // -20 - 24 + 13 + 3 x 14 - 1 - 1 - 0.5 - 3/4 of 2.
        (0, 1, 6, 7.0, 44.0),
        (1, 1, 7, 4.0, 50.0),
        // 14 - 11 - 1/4 of 2 - 0.5.
        (0, 6, 9, 2.0, 14.0),
    ];
    assert_eq!(found, expected);
}

#[test]
fn metrics_of_trades_by_hand() {
    let profits = [3.0, -1.0, 2.0, 4.0, -2.0, -1.0];
    near(profit_factor(&profits), 9.0 / 4.0, "profit factor");
    near(payoff(&profits), 3.0 / (4.0 / 3.0), "payoff");
    near(kelly(&profits), 0.5 - 0.5 / 2.25, "kelly");
    let squares: f64 = profits.iter().map(|profit: &f64| (profit - 5.0 / 6.0).powi(2)).sum();
    near(system_quality(&profits), 6_f64.sqrt() * (5.0 / 6.0) / (squares / 5.0).sqrt(), "quality");
    assert_eq!(longest_streak(&profits, |profit| profit > 0.0), 2);
    assert_eq!(longest_streak(&profits, |profit| profit < 0.0), 2);
}

fn book(equity: &[f64]) -> BookResult {
    let rows = equity.len();
    BookResult {
        strategy: "book".into(),
        starting_cash: 100.0,
        fills: Vec::new(),
        equity: Equity {
            time: (0..rows as i64).map(Time).collect(),
            equity: equity.to_vec(),
            cash: equity.to_vec(),
            exposure: vec![0.0; rows],
        },
        carried: Carried::default(),
        bankrupt_at: None,
    }
}

/// No figure is ever NaN or infinite: serde_json writes such numbers as null, so reading back shows them.
#[test]
fn metrics_of_series_without_variance_trades_or_rows_are_not_defined() {
    let never_rose: Vec<f64> = (1..20).map(|row| 100.0 * 0.9_f64.powi(row)).collect();
    for equity in [vec![], vec![101.0], vec![100.0; 30], never_rose, vec![0.0, 0.0], vec![-50.0, -50.0]] {
        let metrics = trading_metrics(&book(&equity), 8760.0);
        let text = serde_json::to_string(&metrics).unwrap();
        assert_eq!(
            serde_json::from_str::<candlewick::metrics::TradingMetrics>(&text).unwrap(),
            metrics,
            "{text}"
        );
        assert_eq!(
            (metrics.sharpe.is_some(), metrics.win_rate, metrics.trades),
            (equity == [0.0, 0.0] || equity == [-50.0, -50.0], None, 0)
        );
    }
    let flat = trading_metrics(&book(&[100.0; 30]), 8760.0);
    assert_eq!((flat.total_return, flat.volatility, flat.max_drawdown), (Some(0.0), Some(0.0), Some(0.0)));
    assert_eq!((flat.sharpe, flat.sortino, flat.calmar, flat.omega), (None, None, None, None));
}

#[test]
fn metrics_tell_time_in_market_from_exposure() {
    let mut book = book(&[100.0; 5]);
    book.equity.exposure = vec![0.0, 0.5, 1.5, 0.0, 0.25];
    let metrics = trading_metrics(&book, 8760.0);
    near(metrics.exposure, 3.0 / 5.0, "share of bars with a position");
    near(metrics.gross_exposure, 2.25 / 5.0, "mean of gross holdings over equity");
}

#[test]
fn metrics_of_losses_only() {
    let metrics = trading_metrics(&book(&[90.0, 80.0, 79.0]), 3.0);
    near(metrics.total_return, -0.21, "total return");
    near(metrics.cagr, -0.21, "growth");
    near(metrics.omega, 0.0, "omega");
    near(metrics.gain_to_pain, -1.0, "gain to pain");
    near(metrics.max_drawdown, -0.21, "drawdown");
    assert_eq!((metrics.max_drawdown_bars, metrics.recovery_bars), (3, None));
    assert!(metrics.sharpe.unwrap() < 0.0);
}

#[test]
fn metrics_of_forecasts_by_hand() {
    let times: Vec<Time> = [0, 0, 0, 1, 1, 1, 2].into_iter().map(Time).collect();
    let predictions = [1.0, 2.0, 3.0, 1.0, -2.0, 3.0, 5.0];
    let actual = [2.0, 4.0, 6.0, -1.0, 2.0, -3.0, NULL];
    let found = forecast_metrics(&times, LabelKind::Return, &predictions, &actual);
    assert_eq!(found.rows, 6);
    near(found.mse, (1.0 + 4.0 + 9.0 + 4.0 + 16.0 + 36.0) / 6.0, "mse");
    near(found.mae, (1.0 + 2.0 + 3.0 + 2.0 + 4.0 + 6.0) / 6.0, "mae");
    near(found.directional_accuracy, 0.5, "accuracy");
    near(found.directional_base_rate, 4.0 / 6.0, "base rate");
    // One time is all right, the other all wrong.
    near(found.ic, 0.0, "ic");
    near(found.rank_ic, 0.0, "rank ic");
    let one = forecast_metrics(&times[..3], LabelKind::Return, &[1.0, 1.0, 4.0], &[1.0, 2.0, 3.0]);
    // Ranks 1.5, 1.5, 3 against 1, 2, 3.
    near(one.rank_ic, 1.5 / (1.5_f64 * 2.0).sqrt(), "ties");
    // Two symbols a time: one correlation over all rows.
    let pairs: Vec<Time> = [0, 0, 1, 1].into_iter().map(Time).collect();
    let found = forecast_metrics(&pairs, LabelKind::Return, &[1.0, 2.0, 3.0, 4.0], &[1.0, 2.0, 3.0, 4.0]);
    near(found.ic, 1.0, "pooled");
}

#[test]
fn metrics_of_forecasts_know_what_is_neutral() {
    let times: Vec<Time> = (0..4).map(Time).collect();
    let class = forecast_metrics(&times, LabelKind::Class, &[0.6, 0.4, 0.7, 0.5], &[1.0, 0.0, 0.0, 1.0]);
    near(class.directional_accuracy, 0.5, "a probability of 0.5 takes no side");
    near(class.directional_base_rate, 0.5, "base rate");
    let barrier =
        forecast_metrics(&times, LabelKind::Direction, &[0.6, 0.4, -0.7, 0.5], &[1.0, 0.0, -1.0, -1.0]);
    near(barrier.directional_accuracy, 2.0 / 3.0, "neutral outcomes do not count");
    let none = forecast_metrics(&times, LabelKind::Return, &[1.0; 4], &[NULL; 4]);
    assert_eq!(none, ForecastMetrics::default());
    let constant = forecast_metrics(&times, LabelKind::Return, &[1.0; 4], &[1.0, 2.0, 3.0, 4.0]);
    assert_eq!((constant.ic, constant.rank_ic), (None, None));
}

#[test]
fn metrics_of_signals_by_hand() {
    // Three times with three symbols: coefficients 1, -1 and 0.5.
    let times: Vec<Time> = [0, 0, 0, 1, 1, 1, 2, 2, 2].into_iter().map(Time).collect();
    let predictions = [1.0, 2.0, 3.0, 1.0, 2.0, 3.0, 1.0, 2.0, 3.0];
    let actual = [1.0, 2.0, 3.0, 3.0, 2.0, 1.0, 1.0, 3.0, 2.0];
    let found = forecast_metrics(&times, LabelKind::Return, &predictions, &actual);
    let deviation = ((0.25 + 49.0 / 36.0 + 1.0 / 9.0 - 0.25 + 25.0 / 36.0) / 2.0_f64).sqrt();
    near(found.ic, 0.5 / 3.0, "ic");
    near(found.icir, 0.5 / 3.0 / deviation, "icir");
    near(found.rank_icir, 0.5 / 3.0 / deviation, "rank icir");
    assert_eq!(found.decile_spread, None, "nine rows have no tenth");
    let rows: Vec<Time> = (0..20).map(Time).collect();
    let predictions: Vec<f64> = (0..20).map(|row| f64::from((row * 7) % 20)).collect();
    let actual: Vec<f64> = predictions.iter().map(|value| value * value).collect();
    let found = forecast_metrics(&rows, LabelKind::Return, &predictions, &actual);
    near(found.decile_spread, (19.0 * 19.0 + 18.0 * 18.0) / 2.0 - 0.5, "spread of all rows");
    assert_eq!(found.icir, None);
    let one: Vec<Time> = vec![Time(0); 20];
    let found = forecast_metrics(&one, LabelKind::Return, &predictions, &actual);
    near(found.decile_spread, (19.0 * 19.0 + 18.0 * 18.0) / 2.0 - 0.5, "spread of one time");
}

#[test]
fn metrics_of_signal_turnover_by_hand() {
    let times: Vec<Time> = [2, 0, 1, 0, 1].into_iter().map(Time).collect();
    let symbols = [0, 0, 0, 1, 1];
    // Symbol 0: 1, -1, 2; symbol 1: 3, 3.
    near(signal_turnover(&symbols, &times, &[2.0, 1.0, -1.0, 3.0, 3.0]), 5.0 / 6.0, "turnover");
    near(signal_turnover(&symbols, &times, &[1.0; 5]), 0.0, "a constant");
    near(signal_turnover(&[0; 3], &[Time(0), Time(1), Time(2)], &[1.0, -1.0, 1.0]), 2.0, "turns");
    assert_eq!(signal_turnover(&[0, 1], &[Time(0), Time(0)], &[1.0, 2.0]), None);
}

#[test]
fn metrics_of_excursions_by_hand() {
    //           open, high,  low, close
    let rows = [
        [10.0, 10.5, 9.5, 10.0],
        [10.0, 11.0, 9.0, 10.2],
        [10.2, 13.0, 10.0, 12.0],
        [12.0, 12.5, 8.0, 9.0],
        [9.0, 9.6, 7.0, 8.0],
    ];
    let mut columns = BarColumns::default();
    for (row, [open, high, low, close]) in rows.into_iter().enumerate() {
        columns.time.push(Time(row as i64));
        columns.open.push(open);
        columns.high.push(high);
        columns.low.push(low);
        columns.close.push(close);
        columns.volume.push(1.0);
    }
    let bars = Bars::new(vec![SymbolBars::new("ONE", columns).unwrap()]).unwrap();
    let of = |fills: &[Fill]| {
        excursions(fills, &bars).iter().map(|it| [it.adverse, it.favourable]).collect::<Vec<[f64; 2]>>()
    };
    // From the open of bar 1 to the open of bar 3: bars 1 and 2 were seen, bar 3 was not.
    let at_open = of(&[fill(0, 1, 1.0, 10.0, 0.0), fill(0, 3, -1.0, 12.0, 0.0)]);
    assert_eq!(at_open, [[9.0 / 10.0 - 1.0, 13.0 / 10.0 - 1.0]]);
    // From the close of bar 1 to the close of bar 3: bars 2 and 3 were.
    let at_close = of(&[fill(0, 1, 1.0, 10.2, 0.0), fill(0, 3, -1.0, 9.0, 0.0)]);
    assert_eq!(at_close, [[8.0 / 10.2 - 1.0, 13.0 / 10.2 - 1.0]]);
    // A stop at 11 within bar 3: its low was not seen any more. Slippage makes the price worse than the reference.
    let mut stop = fill(0, 3, -1.0, 11.0, 0.0);
    stop.reference_price = 11.1;
    assert_eq!(of(&[fill(0, 2, 1.0, 12.0, 0.0), stop]), [[11.0 / 12.0 - 1.0, 0.0]]);
    // A short that is added to, then turned at the open of bar 3; the long is closed at the close of bar 4.
    let turned = of(&[
        fill(0, 1, -1.0, 10.0, 0.0),
        fill(0, 2, -1.0, 10.2, 0.0),
        fill(0, 3, 3.0, 12.0, 0.0),
        fill(0, 4, -1.0, 8.0, 0.0),
    ]);
    let average = 10.1;
    let expected = [[1.0 - 13.0 / average, 1.0 - 9.0 / 10.0], [7.0 / 12.0 - 1.0, 12.5 / 12.0 - 1.0]];
    for (found, expected) in turned.iter().flatten().zip(expected.iter().flatten()) {
        assert!((found - expected).abs() < 1e-12, "{found} is not {expected}");
    }
    assert_eq!(turned.len(), 2);
    assert!(of(&[fill(0, 1, 1.0, 10.0, 0.0)]).is_empty());
}

/// BETA has bars at hours 0, 1 and 3 only, and is liquidated at hours 2 and 5, where it has none.
#[test]
fn metrics_excursions_of_fills_without_a_bar_of_their_own() {
    let symbol = |name: &str, hours: &[i64], close: &[f64]| {
        let columns = BarColumns {
            time: hours.iter().map(|hour| Time(hour * 3_600_000_000_000)).collect(),
            open: close.to_vec(),
            high: close.iter().map(|price| price * 1.25).collect(),
            low: close.iter().map(|price| price * 0.75).collect(),
            close: close.to_vec(),
            volume: vec![1.0; hours.len()],
        };
        SymbolBars::new(name, columns).unwrap()
    };
    let bars = Bars::new(vec![
        symbol("ALPHA", &[0, 1, 2, 3, 4, 5], &[1.0; 6]),
        symbol("BETA", &[0, 1, 3], &[100.0, 200.0, 400.0]),
    ])
    .unwrap();
    let fill = |step: u32, side: Side, price: f64| Fill {
        symbol: 1,
        step,
        time: Time(0),
        side,
        quantity: 1.0,
        price,
        reference_price: price,
        fee: 0.0,
        gas: 0.0,
        spread: 0.0,
        slippage: 0.0,
        impact: 0.0,
        reason: FillReason::Liquidation,
    };
    let fills = [
        fill(0, Side::Buy, 100.0),
        fill(2, Side::Sell, 200.0),
        fill(3, Side::Buy, 400.0),
        fill(5, Side::Sell, 400.0),
    ];
    let found = excursions(&fills, &bars);
    let ends: Vec<_> = found.iter().map(|one| (one.adverse, one.favourable)).collect();
    // Until hour 2 the bars of hours 0 and 1 were seen, and not that of hour 3, whose high is 500.
    assert_eq!(ends, [(-0.25, 1.5), (-0.25, 0.25)]);
}
