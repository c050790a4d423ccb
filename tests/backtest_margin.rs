//! Leverage and liquidation against closed forms.

use super::markets::HOUR;
use candlewick::domains::market::backtest::{
    BacktestConfig, Cost, Exits, FillTime, Intrabar, Margin, Sizing, run_book,
};
use candlewick::table::{BarColumns, Bars, BookResult, FillReason, NULL, Positions, SymbolBars};
use candlewick::units::Time;

/// Bars of `[open, high, low, close]`, one list a symbol.
fn bars_of(symbols: &[&[[f64; 4]]]) -> Bars {
    let symbol = |(index, rows): (usize, &&[[f64; 4]])| {
        let column = |field: usize| rows.iter().map(|row| row[field]).collect::<Vec<f64>>();
        let columns = BarColumns {
            time: (0..rows.len() as i64).map(|row| Time(row * HOUR)).collect(),
            open: column(0),
            high: column(1),
            low: column(2),
            close: column(3),
            volume: vec![1.0; rows.len()],
        };
        SymbolBars::new(["ALPHA", "BETA"][index], columns).unwrap()
    };
    Bars::new(symbols.iter().enumerate().map(symbol).collect()).unwrap()
}

fn run(symbols: &[&[[f64; 4]]], targets: &[&[f64]], config: &BacktestConfig) -> BookResult {
    config.check().unwrap();
    let bars = bars_of(symbols);
    let positions = Positions::orders(&bars, targets.iter().map(|column| column.to_vec()).collect()).unwrap();
    run_book(&bars, &positions, "hand", config, 0..symbols[0].len())
}

fn levered(max_leverage: f64, maintenance_percent: f64, liquidation_fee_bps: f64) -> BacktestConfig {
    let margin = Margin { max_leverage, maintenance_percent, liquidation_fee_bps };
    BacktestConfig { cash: 1000.0, margin, ..BacktestConfig::default() }
}

#[track_caller]
fn near(found: f64, expected: f64) {
    let error = (found / expected - 1.0).abs();
    assert!(error <= 1e-12, "found {found}, expected {expected}, relative error {error:e}");
}

const QUIET: [f64; 4] = [100.0, 100.0, 100.0, 100.0];

#[test]
fn margin_multiplies_all_in_and_fraction_and_borrows_the_rest() {
    let rows = [QUIET, QUIET, [100.0, 110.0, 100.0, 110.0]];
    let book = run(&[&rows], &[&[1.0, NULL, NULL]], &levered(3.0, 10.0, 0.0));
    near(book.fills[0].quantity, 30.0);
    assert_eq!(book.equity.cash, [1000.0, -2000.0, -2000.0]);
    assert_eq!(book.equity.equity, [1000.0, 1000.0, 1300.0]);
    near(book.equity.exposure[1], 3.0);
    let half = BacktestConfig { sizing: Sizing::Fraction { of_equity: 0.5 }, ..levered(3.0, 10.0, 0.0) };
    near(run(&[&rows], &[&[1.0, NULL, NULL]], &half).fills[0].quantity, 15.0);
    // Costs included, three times the equity is spent.
    let costs = vec![Cost::Proportional { fee_bps: 100.0 }];
    let dear = BacktestConfig { costs, ..levered(3.0, 10.0, 0.0) };
    near(run(&[&rows], &[&[1.0, NULL, NULL]], &dear).fills[0].quantity, 3000.0 / 101.0);
    // A fixed quantity is cut to what the leverage allows.
    let fixed = BacktestConfig { sizing: Sizing::Fixed { quantity: 1e6 }, ..levered(3.0, 10.0, 0.0) };
    near(run(&[&rows], &[&[-1.0, NULL, NULL]], &fixed).fills[0].quantity, 30.0);
}

/// A long of 50 units at 100 with 4000 borrowed: equity is 5 % of the exposure at 4000 / (50 x 0.95).
#[test]
fn margin_liquidates_a_long_at_the_closed_form() {
    let price = 4000.0 / (50.0 * 0.95);
    let rows = [
        QUIET,
        QUIET,
        [100.0, 100.0, price * 1.001, 90.0],
        [90.0, 95.0, 80.0, 94.0],
        [94.0, 94.0, 94.0, 94.0],
    ];
    let book = run(&[&rows], &[&[1.0, NULL, NULL, NULL, NULL]], &levered(5.0, 5.0, 0.0));
    assert_eq!(book.fills.len(), 2);
    assert_eq!((book.fills[1].step, book.fills[1].reason), (3, FillReason::Liquidation));
    near(book.fills[1].price, price);
    near(book.fills[1].quantity, 50.0);
    near(book.equity.equity[3], 50.0 * price - 4000.0);
    // Not bankrupt: flat until the next order.
    assert_eq!(book.bankrupt_at, None);
    assert_eq!(book.equity.equity[3], book.equity.equity[4]);
    assert_eq!(book.equity.exposure[3..], [0.0, 0.0]);
}

/// A short of 50 units at 100, cash 6000: equity is 5 % of the exposure at 6000 / (50 x 1.05).
#[test]
fn margin_liquidates_a_short_at_the_closed_form() {
    let price = 6000.0 / (50.0 * 1.05);
    let rows = [QUIET, QUIET, [100.0, price * 0.999, 90.0, 110.0], [110.0, 130.0, 105.0, 106.0]];
    for fill in [FillTime::NextOpen, FillTime::SameClose] {
        let config = BacktestConfig { fill, ..levered(5.0, 5.0, 0.0) };
        let book = run(&[&rows], &[&[-1.0, NULL, NULL, NULL]], &config);
        assert_eq!((book.fills.len(), book.fills[1].step), (2, 3));
        near(book.fills[1].price, price);
        near(book.equity.equity[3], 6000.0 - 50.0 * price);
    }
}

#[test]
fn margin_gap_is_filled_at_the_open_and_may_cost_more_than_there_was() {
    let rows = [QUIET, QUIET, [82.0, 130.0, 81.0, 100.0], QUIET];
    let book = run(&[&rows], &[&[1.0, NULL, NULL, NULL]], &levered(5.0, 5.0, 100.0));
    assert_eq!((book.fills[1].price, book.fills[1].reason), (82.0, FillReason::Liquidation));
    near(book.fills[1].fee, 0.01 * 50.0 * 82.0);
    near(book.equity.equity[2], 100.0 - 41.0);
    // Below 80 the debt is larger than what the position brings; no fee is left to be paid, and the book is closed.
    let rows = [QUIET, QUIET, [70.0, 130.0, 69.0, 100.0], [100.0, 200.0, 100.0, 200.0]];
    let book = run(&[&rows], &[&[1.0, NULL, 1.0, NULL]], &levered(5.0, 5.0, 100.0));
    assert_eq!((book.fills.len(), book.fills[1].price, book.fills[1].fee), (2, 70.0, 0.0));
    assert_eq!(book.equity.equity[2..], [-500.0, -500.0]);
    assert_eq!(book.bankrupt_at, Some(Time(2 * HOUR)));
}

/// The fee takes what is left and no more.
#[test]
fn margin_fee_never_takes_more_than_is_left() {
    let rows = [QUIET, QUIET, [100.0, 100.0, 70.0, 100.0], QUIET];
    let book = run(&[&rows], &[&[1.0, NULL, 1.0, NULL]], &levered(5.0, 5.0, 1000.0));
    let price = 4000.0 / (50.0 * 0.95);
    near(book.fills[1].fee, 50.0 * price - 4000.0);
    assert_eq!((book.fills.len(), book.equity.equity[2], book.equity.equity[3]), (2, 0.0, 0.0));
    assert_eq!(book.bankrupt_at, Some(Time(2 * HOUR)));
}

/// The second symbol finds its slot although the first has borrowed all the cash.
#[test]
fn margin_gives_every_symbol_its_levered_slot() {
    let rows = [QUIET, QUIET, QUIET, QUIET];
    let targets: [&[f64]; 2] = [&[1.0, NULL, NULL, NULL], &[NULL, NULL, 1.0, NULL]];
    let book = run(&[&rows, &rows], &targets, &levered(3.0, 5.0, 0.0));
    let fills: Vec<_> = book.fills.iter().map(|fill| (fill.symbol, fill.step, fill.quantity)).collect();
    assert_eq!(fills, [(0, 1, 15.0), (1, 3, 15.0)]);
    assert_eq!(book.equity.cash, [1000.0, -500.0, -500.0, -2000.0]);
}

#[test]
fn margin_stop_that_is_nearer_comes_first_and_a_target_last() {
    let price = 4000.0 / (50.0 * 0.95);
    let rows = [QUIET, QUIET, [100.0, 140.0, 70.0, 100.0], QUIET];
    let with = |stop: Option<f64>, target: Option<f64>, intrabar: Intrabar| {
        let exits =
            Exits { stop_loss_percent: stop, take_profit_percent: target, intrabar, ..Exits::default() };
        let config = BacktestConfig { exits, ..levered(5.0, 5.0, 0.0) };
        let book = run(&[&rows], &[&[1.0, NULL, NULL, NULL]], &config);
        assert_eq!(book.fills.len(), 2);
        (book.fills[1].reason, book.fills[1].price)
    };
    assert_eq!(with(Some(10.0), None, Intrabar::WorstFirst), (FillReason::Stop, 90.0));
    let (reason, found) = with(Some(20.0), None, Intrabar::WorstFirst);
    assert_eq!(reason, FillReason::Liquidation);
    near(found, price);
    let (reason, found) = with(None, Some(25.0), Intrabar::WorstFirst);
    assert_eq!(reason, FillReason::Liquidation);
    near(found, price);
    assert_eq!(with(None, Some(25.0), Intrabar::BestFirst), (FillReason::Target, 125.0));
}

/// Long 15 of the one and short 15 of the other, both at 100, so cash stays 1000. On the way from the opens to the worst
/// prices, 90 and 140, equity is 1000 - 750 s and exposure 3000 + 450 s: equal to a fifth at s = 400 / 840.
#[test]
fn margin_of_two_symbols_takes_all_worst_prices_together() {
    let fall = [QUIET, QUIET, [100.0, 105.0, 90.0, 104.0]];
    let rise = [QUIET, QUIET, [100.0, 140.0, 99.0, 101.0]];
    let book = run(&[&fall, &rise], &[&[1.0, NULL, NULL], &[-1.0, NULL, NULL]], &levered(3.0, 20.0, 0.0));
    let share = 400.0 / 840.0;
    assert_eq!(book.fills.len(), 4);
    // Fills of one moment: sales first.
    near(book.fills[2].price, 100.0 - 10.0 * share);
    near(book.fills[3].price, 100.0 + 40.0 * share);
    near(book.equity.equity[2], 1000.0 - 750.0 * share);
    // The same bar with a low of 95 and a high of 110 uses no margin up.
    let calm = [QUIET, QUIET, [100.0, 110.0, 95.0, 101.0]];
    let book = run(&[&calm, &calm], &[&[1.0, NULL, NULL], &[-1.0, NULL, NULL]], &levered(3.0, 20.0, 0.0));
    assert_eq!(book.fills.len(), 2);
}

#[test]
fn margin_of_one_liquidates_nothing_within_a_bar() {
    let rows = [QUIET, QUIET, [100.0, 199.0, 90.0, 110.0], [110.0, 111.0, 109.0, 110.0]];
    let config = BacktestConfig { cash: 1000.0, ..BacktestConfig::default() };
    let book = run(&[&rows], &[&[-1.0, NULL, NULL, NULL]], &config);
    assert_eq!(book.fills.len(), 1);
    near(book.equity.equity[3], 900.0);
}

#[test]
fn margin_refuses_settings_by_name() {
    for (config, name) in [
        (levered(0.5, 0.0, 0.0), "max_leverage"),
        (levered(f64::NAN, 0.0, 0.0), "max_leverage"),
        (levered(4.0, 25.0, 0.0), "maintenance_percent"),
        (levered(4.0, -1.0, 0.0), "maintenance_percent"),
        (levered(4.0, 1.0, -1.0), "liquidation_fee_bps"),
    ] {
        let error = config.check().unwrap_err();
        assert!(error.contains(name), "{error}");
    }
    let sizing = Sizing::VolatilityTarget { annual: 0.2, lookback_bars: 20, max_leverage: 50.0 };
    let error = BacktestConfig { sizing, ..levered(1.0, 5.0, 0.0) }.check().unwrap_err();
    assert!(error.contains("below 2"), "{error}");
    let read: BacktestConfig = serde_json::from_str(r#"{"margin": {"max_leverage": 3}}"#).unwrap();
    assert_eq!(read.margin, Margin { max_leverage: 3.0, ..Margin::default() });
}
