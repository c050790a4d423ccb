//! Sizing by risk and by Kelly, and portfolio weights, against formulas written out.

use super::markets::{HOUR, random_symbol, symbol};
use candlewick::domains::market::backtest::costs::{proportional::Proportional, slippage::Slippage};
use candlewick::domains::market::backtest::{
    BacktestConfig, CostConfig, Exits, FillTime, Margin, Sizing, run_book, run_one,
};
use candlewick::domains::market::strategies::{StrategyConfig, World};
use candlewick::seed::Seed;
use candlewick::table::{Bars, BookResult, NULL, Positions, Predictions, Side, SymbolBars};

#[track_caller]
fn near(found: f64, expected: f64) {
    let error = (found / expected - 1.0).abs();
    assert!(error <= 1e-12, "found {found}, expected {expected}, relative error {error:e}");
}

fn flat(name: &str, prices: &[f64]) -> SymbolBars {
    let times = (0..prices.len() as i64).map(|row| row * HOUR).collect();
    symbol(name, times, prices.to_vec(), prices.to_vec())
}

fn hold(bars: &Bars, targets: Vec<Vec<f64>>, config: &BacktestConfig) -> BookResult {
    config.check().unwrap();
    let positions = Positions::orders(bars, targets).unwrap();
    run_book(bars, &positions, "hold", config, 0..bars.timeline().times().len())
}

#[test]
fn sizing_by_risk_loses_that_share_at_the_stop() {
    let bars = Bars::new(vec![flat("ALPHA", &[100.0, 100.0, 80.0, 80.0])]).unwrap();
    let exits = Exits { stop_loss_percent: Some(10.0), ..Exits::default() };
    let config = BacktestConfig {
        cash: 1000.0,
        sizing: Sizing::RiskPerTrade { risk_percent: 2.0 },
        exits,
        ..BacktestConfig::default()
    };
    // 20 at risk over 10 a unit; half of it at a target of a half. The gap to 80 costs twice as much.
    let book = hold(&bars, vec![vec![1.0, NULL, NULL, NULL]], &config);
    near(book.fills[0].quantity, 2.0);
    near(book.equity.equity[2], 960.0);
    near(hold(&bars, vec![vec![-0.5, NULL, NULL, NULL]], &config).fills[0].quantity, 1.0);
    // The distance is that from the price paid: 101 to 90.9.
    let costs = vec![CostConfig::Slippage(Slippage { bps: 100.0 })];
    let dear = BacktestConfig { costs, ..config.clone() };
    near(hold(&bars, vec![vec![1.0, NULL, NULL, NULL]], &dear).fills[0].quantity, 20.0 / 10.1);
    // A trailing stop begins at the reference price, 100: of 10 % and 5 % the tighter one counts, 101 to 95.
    let exits = Exits { trailing_stop_percent: Some(5.0), ..config.exits.clone() };
    let trailing = BacktestConfig { exits, ..dear };
    near(hold(&bars, vec![vec![1.0, NULL, NULL, NULL]], &trailing).fills[0].quantity, 20.0 / 6.0);
    // A stop of 1 % would need twice the equity; without leverage there is only the equity.
    let exits = Exits { stop_loss_percent: Some(1.0), ..Exits::default() };
    let tight = BacktestConfig { exits, ..config.clone() };
    near(hold(&bars, vec![vec![1.0, NULL, NULL, NULL]], &tight).fills[0].quantity, 10.0);
    let margin = Margin { max_leverage: 3.0, ..Margin::default() };
    let levered = BacktestConfig { margin, ..tight };
    near(hold(&bars, vec![vec![1.0, NULL, NULL, NULL]], &levered).fills[0].quantity, 20.0);
}

#[test]
fn sizing_by_risk_needs_a_stop() {
    let sizing = Sizing::RiskPerTrade { risk_percent: 1.0 };
    let config = BacktestConfig { sizing: sizing.clone(), ..BacktestConfig::default() };
    let error = config.check().unwrap_err();
    assert!(
        error.contains("risk_per_trade needs a stop") && error.contains("exits.stop_loss_percent"),
        "{error}"
    );
    let exits = Exits { take_profit_percent: Some(1.0), ..Exits::default() };
    assert!(BacktestConfig { sizing: sizing.clone(), exits, ..BacktestConfig::default() }.check().is_err());
    let exits = Exits { trailing_stop_percent: Some(1.0), ..Exits::default() };
    assert_eq!(BacktestConfig { sizing, exits, ..BacktestConfig::default() }.check(), Ok(()));
    for sizing in [
        Sizing::RiskPerTrade { risk_percent: 0.0 },
        Sizing::FractionalKelly { fraction: 1.5, lookback_bars: 100 },
        Sizing::FractionalKelly { fraction: 0.5, lookback_bars: 1 },
    ] {
        assert!(sizing.check().is_err(), "{sizing}");
    }
}

/// Mean over sample variance, written out.
fn kelly(returns: &[f64]) -> f64 {
    let count = returns.len() as f64;
    let mean = returns.iter().sum::<f64>() / count;
    mean / (returns.iter().map(|r| (r - mean).powi(2)).sum::<f64>() / (count - 1.0))
}

/// Long from row 5, flat from row 25, short from row 40, flat from row 60, long from row 70.
fn kelly_market() -> (Bars, Vec<f64>) {
    let bars = Bars::new(vec![random_symbol("ALPHA", 120, 8, 0.0)]).unwrap();
    let mut targets = vec![NULL; 120];
    for (row, target) in [(5, 1.0), (25, 0.0), (40, -1.0), (60, 0.0), (70, 1.0)] {
        targets[row] = target;
    }
    (bars, targets)
}

#[test]
fn sizing_by_kelly_watches_then_stakes() {
    let (bars, targets) = kelly_market();
    let close = bars.symbols()[0].close().to_vec();
    // The strategy's own returns of the rows in which it wanted something.
    let in_force = |row: usize| match row {
        6..=25 => 1.0,
        41..=60 => -1.0,
        71.. => 1.0,
        _ => 0.0,
    };
    let returns: Vec<(usize, f64)> = (1..120)
        .filter(|row| in_force(*row) != 0.0)
        .map(|row| (row, in_force(row) * (close[row] / close[row - 1] - 1.0)))
        .collect();
    for fill in [FillTime::NextOpen, FillTime::SameClose] {
        let config = BacktestConfig {
            fill,
            sizing: Sizing::FractionalKelly { fraction: 0.25, lookback_bars: 30 },
            margin: Margin { max_leverage: 50.0, maintenance_percent: 0.0, ..Margin::default() },
            ..BacktestConfig::default()
        };
        let book = hold(&bars, vec![targets.clone()], &config);
        // The first long order has 20 bars to be known and is withdrawn; the short has 30 after ten more bars, at the
        // close of row 50; every later order has them at once.
        let mut expected = Vec::new();
        for (decided, target) in [(50_usize, -1.0), (60, 0.0), (70, 1.0)] {
            let known: Vec<f64> =
                returns.iter().filter(|(row, _)| *row <= decided).map(|(_, value)| *value).collect();
            let stake = 0.25 * kelly(&known[known.len() - 30..]);
            expected.push((decided, target, stake.clamp(0.0, 50.0)));
        }
        let mut held = 0.0;
        let mut fills = book.fills.iter();
        for (decided, target, stake) in expected {
            let row = if fill == FillTime::NextOpen { decided + 1 } else { decided };
            let price = if fill == FillTime::NextOpen { bars.symbols()[0].open()[row] } else { close[row] };
            let cash = if row == 0 { 100_000.0 } else { book.equity.cash[row - 1] };
            let wanted = target * stake * (cash + held * price) / price;
            if wanted == held {
                continue;
            }
            let made = fills.next().unwrap();
            assert_eq!(made.step as usize, row);
            let signed = if made.side == Side::Buy { made.quantity } else { -made.quantity };
            assert!(
                (signed - (wanted - held)).abs() <= 1e-9 * wanted.abs().max(held.abs()),
                "{signed} {wanted}"
            );
            held = wanted;
        }
        assert!(fills.next().is_none());
        assert!(!book.fills.is_empty());
    }
}

#[test]
fn sizing_by_kelly_knows_nothing_later() {
    let (bars, targets) = kelly_market();
    let config = BacktestConfig {
        sizing: Sizing::FractionalKelly { fraction: 0.25, lookback_bars: 30 },
        ..BacktestConfig::default()
    };
    let whole = hold(&bars, vec![targets.clone()], &config);
    for step in [51, 55, 75, 100] {
        let head = bars.known_at(step).unwrap();
        let cut = hold(&head, vec![targets[..=step].to_vec()], &config);
        assert_eq!(cut.equity.equity, whole.equity.equity[..=step]);
    }
}

#[test]
fn weights_are_shares_of_the_whole_book() {
    let bars =
        Bars::new(vec![flat("ALPHA", &[100.0, 100.0, 200.0, 200.0]), flat("BETA", &[50.0; 4])]).unwrap();
    let weights = vec![vec![0.5, NULL, 0.25, NULL], vec![0.25, NULL, 0.75, NULL]];
    let positions = Positions::weights(&bars, weights).unwrap();
    let config = BacktestConfig { cash: 1000.0, ..BacktestConfig::default() };
    let book = run_book(&bars, &positions, "weights", &config, 0..4);
    // 500 of the one, 250 of the other, 250 cash. At 1500: 375 and 1125, the sale first.
    let fills: Vec<_> = book.fills.iter().map(|f| (f.symbol, f.step, f.side, f.quantity)).collect();
    let (buy, sell) = (Side::Buy, Side::Sell);
    assert_eq!(fills, [(0, 1, buy, 5.0), (1, 1, buy, 5.0), (0, 3, sell, 3.125), (1, 3, buy, 17.5)]);
    assert_eq!(book.equity.cash, [1000.0, 250.0, 250.0, 0.0]);
    assert_eq!(book.equity.equity, [1000.0, 1000.0, 1500.0, 1500.0]);
}

#[test]
fn weights_beyond_the_cash_are_scaled_together() {
    let bars = Bars::new(vec![flat("ALPHA", &[100.0; 3]), flat("BETA", &[50.0; 3])]).unwrap();
    let positions = Positions::weights(&bars, vec![vec![1.0, NULL, NULL], vec![0.5, NULL, NULL]]).unwrap();
    let costs = vec![CostConfig::Proportional(Proportional { fee_bps: 100.0 })];
    let config = BacktestConfig { cash: 1000.0, costs, ..BacktestConfig::default() };
    let book = run_book(&bars, &positions, "weights", &config, 0..3);
    // Two thirds of each, costs included.
    near(book.fills[0].quantity, 1000.0 / 1.5 / 101.0);
    near(book.fills[1].quantity, 500.0 / 1.5 / 50.5);
    assert!(book.equity.cash[1].abs() < 1e-9);
    // With leverage both are bought, 500 on credit; leverage does not multiply a weight.
    let margin = Margin { max_leverage: 2.0, ..Margin::default() };
    let levered = BacktestConfig { margin, ..config };
    let book = run_book(&bars, &positions, "weights", &levered, 0..3);
    near(book.fills[0].quantity, 1000.0 / 101.0);
    near(book.fills[1].quantity, 500.0 / 50.5);
    near(book.equity.cash[1], -500.0);
}

#[test]
fn weights_long_and_short_stay_within_the_equity() {
    let bars = Bars::new(vec![flat("ALPHA", &[100.0; 3]), flat("BETA", &[50.0; 3])]).unwrap();
    let config = BacktestConfig { cash: 1000.0, ..BacktestConfig::default() };
    let run = |long: f64, short: f64| {
        let weights = vec![vec![long, NULL, NULL], vec![short, NULL, NULL]];
        let positions = Positions::weights(&bars, weights).unwrap();
        let book = run_book(&bars, &positions, "weights", &config, 0..3);
        // Sales come first, whatever the order of symbols.
        assert_eq!((book.fills[0].symbol, book.fills[0].side), (1, Side::Sell));
        (book.fills[1].quantity, book.fills[0].quantity, book.equity.exposure[1])
    };
    assert_eq!(run(0.5, -0.5), (5.0, 10.0, 1.0));
    let (long, short, gross) = run(1.0, -1.0);
    near(long, 5.0);
    near(short, 10.0);
    near(gross, 1.0);
}

/// Without a stop nobody knows what a trade can lose; such a book never went through [`BacktestConfig::check`].
#[test]
fn sizing_by_risk_without_a_stop_orders_nothing() {
    let bars = Bars::new(vec![flat("ALPHA", &[100.0; 4])]).unwrap();
    let sizing = Sizing::RiskPerTrade { risk_percent: 1.0 };
    let config = BacktestConfig { cash: 1000.0, sizing, ..BacktestConfig::default() };
    let positions = Positions::orders(&bars, vec![vec![1.0, NULL, -1.0, NULL]]).unwrap();
    let book = run_book(&bars, &positions, "no stop", &config, 0..4);
    assert!(book.fills.is_empty());
    assert_eq!(book.equity.equity, [1000.0; 4]);
}

#[test]
fn sizing_by_more_bars_than_there_are_waits_for_ever() {
    let bars = Bars::new(vec![flat("ALPHA", &[100.0, 101.0, 100.0, 102.0])]).unwrap();
    for lookback_bars in [100_000_000_000, usize::MAX] {
        let volatility = Sizing::VolatilityTarget { annual: 0.2, lookback_bars, max_leverage: 1.0 };
        for sizing in [volatility, Sizing::FractionalKelly { fraction: 0.5, lookback_bars }] {
            let config = BacktestConfig { sizing, ..BacktestConfig::default() };
            assert!(hold(&bars, vec![vec![1.0, NULL, NULL, NULL]], &config).fills.is_empty());
        }
    }
}

/// Long one, short the other, with all of the book each: half of each, whoever trades first.
#[test]
fn weights_of_a_hedge_keep_their_ratio_at_different_hours() {
    let at = |name: &str, hours: &[i64]| {
        let times = hours.iter().map(|hour| hour * HOUR).collect();
        symbol(name, times, vec![100.0; hours.len()], vec![100.0; hours.len()])
    };
    // Both are decided at hour 0. The first trades an hour, the second three hours later.
    let bars = Bars::new(vec![at("ALPHA", &[0, 1, 2, 3]), at("BETA", &[0, 3])]).unwrap();
    let config = BacktestConfig { cash: 1000.0, ..BacktestConfig::default() };
    for side in [1.0, -1.0] {
        let weights = vec![vec![-side, NULL, NULL, NULL], vec![side, NULL]];
        let positions = Positions::weights(&bars, weights.clone()).unwrap();
        assert_eq!((positions.gross(0)[0], positions.gross(1)[0]), (2.0, 2.0));
        let book = run_book(&bars, &positions, "hedge", &config, 0..4);
        let fills: Vec<_> = book.fills.iter().map(|f| (f.symbol, f.step, f.quantity)).collect();
        assert_eq!(fills, [(0, 1, 5.0), (1, 3, 5.0)]);
        assert_eq!(book.equity.exposure, [0.0, 0.5, 0.5, 1.0]);
        // What was decided before the span is scaled as well.
        let book = run_book(&bars, &positions, "hedge", &config, 1..4);
        assert_eq!(book.fills.iter().map(|f| f.quantity).collect::<Vec<_>>(), [5.0, 5.0]);
        // Half of the stake, or twice the leverage, fits as it is.
        let half = BacktestConfig { sizing: Sizing::Fraction { of_equity: 0.5 }, ..config.clone() };
        let book = run_book(&bars, &positions, "hedge", &half, 0..4);
        assert_eq!(book.fills.iter().map(|f| f.quantity).collect::<Vec<_>>(), [5.0, 5.0]);
        let margin = Margin { max_leverage: 2.0, ..Margin::default() };
        let levered = BacktestConfig { margin, ..config.clone() };
        let book = run_book(&bars, &positions, "hedge", &levered, 0..4);
        assert_eq!(book.fills.iter().map(|f| f.quantity).collect::<Vec<_>>(), [10.0, 10.0]);
        // A book of its own for each symbol has no hedge to keep.
        let book = run_one(&bars, ("hedge", &positions), &config, 0..4, Some(1));
        assert_eq!(book.fills[0].quantity, 10.0);
    }
    // An allocation that is due while the one has no bar: it is ordered later, as a part of the same allocation.
    let bars = Bars::new(vec![at("ALPHA", &[0, 2, 4, 6]), at("BETA", &[0, 1, 3, 5])]).unwrap();
    let written = serde_json::json!({
        "portfolio": {"weights": {"ALPHA": -1.0, "BETA": 1.0}, "rebalance": {"bars": 3}}
    });
    let strategy: StrategyConfig = serde_json::from_value(written).unwrap();
    let predictions = Predictions::default();
    let world =
        World { bars: &bars, predictions: &predictions, span: 0..7, seed: Seed(1), reference: None, book: 0 };
    let positions = strategy.build().decide(&world).unwrap();
    assert_eq!((positions.targets(1)[2], positions.gross(1)[2]), (1.0, 2.0));
    assert_eq!((positions.targets(0)[2], positions.gross(0)[2]), (-1.0, 2.0));
    let book = run_book(&bars, &positions, "hedge", &config, 0..7);
    let fills: Vec<_> = book.fills.iter().map(|f| (f.symbol, f.step, f.quantity)).collect();
    assert_eq!(fills, [(1, 1, 5.0), (0, 2, 5.0)]);
}
