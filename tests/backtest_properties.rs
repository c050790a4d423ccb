//! What holds for every strategy, sizing, exit and margin: money is neither made nor lost between bars, nothing is
//! nothing, dearer is never richer, and neither threads nor repetition change a bit.

use super::markets::{HOUR, symbol, wide_bars, wide_symbol};
use candlewick::domains::market::backtest::costs::{
    proportional::Proportional, slippage::Slippage, spread::Spread,
};
use candlewick::domains::market::backtest::{
    BacktestConfig, Books, CostConfig, Exits, FillTime, Intrabar, Margin, Sizing, run_book, run_books,
};
use candlewick::domains::market::strategies::{StrategyConfig, World};
use candlewick::progress::Silent;
use candlewick::seed::Seed;
use candlewick::table::{Bars, BookResult, FillReason, NULL, Positions, Predictions, Side};
use candlewick::units::Time;
use std::collections::BTreeSet;

const ROWS: usize = 400;

/// Every strategy that needs no forecast, with its default settings, as levels; and random portfolio weights.
fn decided(bars: &Bars, seed: u64) -> Vec<(String, Positions)> {
    let predictions = Predictions::default();
    let steps = bars.timeline().times().len();
    let mut decided = Vec::new();
    for config in StrategyConfig::examples() {
        let strategy = config.build();
        if strategy.model().is_some() {
            continue;
        }
        let world = World {
            bars,
            predictions: &predictions,
            span: 0..steps,
            seed: Seed(seed),
            reference: None,
            book: 0,
        };
        decided.push((config.name().to_owned(), strategy.decide(&world).unwrap()));
    }
    let mut stream = Seed(seed).stream("weights", 0);
    let mut weight = || if stream.uniform() < 0.05 { 2.0 * stream.uniform() - 1.0 } else { NULL };
    let weights = bars.symbols().iter().map(|symbol| (0..symbol.len()).map(|_| weight()).collect()).collect();
    decided.push(("weights".into(), Positions::weights(bars, weights).unwrap()));
    decided
}

fn sizings() -> Vec<Sizing> {
    vec![
        Sizing::AllIn {},
        Sizing::Fixed { quantity: 300.0 },
        Sizing::Fraction { of_equity: 0.4 },
        Sizing::VolatilityTarget { annual: 0.6, lookback_bars: 20, max_leverage: 1.0 },
        Sizing::RiskPerTrade { risk_percent: 2.0 },
        Sizing::FractionalKelly { fraction: 0.5, lookback_bars: 40 },
    ]
}

fn all_exits() -> Vec<Exits> {
    let bracket = Exits { stop_loss_percent: Some(3.0), take_profit_percent: Some(4.0), ..Exits::default() };
    vec![
        Exits::default(),
        Exits { stop_loss_percent: Some(2.0), ..Exits::default() },
        bracket.clone(),
        Exits { max_bars: Some(5), ..Exits::default() },
        Exits {
            intrabar: Intrabar::BestFirst,
            trailing_stop_percent: Some(2.5),
            max_bars: Some(15),
            ..bracket
        },
    ]
}

fn margins() -> Vec<Margin> {
    let levered = |max_leverage: f64, maintenance_percent: f64| Margin {
        max_leverage,
        maintenance_percent,
        liquidation_fee_bps: 50.0,
    };
    vec![Margin::default(), levered(3.0, 10.0), levered(20.0, 3.0)]
}

/// Every combination that the configuration allows.
fn configurations() -> Vec<BacktestConfig> {
    let mut configurations = Vec::new();
    for sizing in sizings() {
        for exits in all_exits() {
            for margin in margins() {
                let fill =
                    if configurations.len() % 2 == 0 { FillTime::NextOpen } else { FillTime::SameClose };
                let costs = vec![
                    CostConfig::Proportional(Proportional { fee_bps: 5.0 }),
                    CostConfig::Slippage(Slippage { bps: 2.0 }),
                    CostConfig::Spread(Spread { bps: Some(2.0), ..Spread::default() }),
                ];
                let (sizing, exits) = (sizing.clone(), exits.clone());
                let config =
                    BacktestConfig { fill, sizing, exits, margin, costs, ..BacktestConfig::default() };
                if config.check().is_ok() {
                    configurations.push(config);
                }
            }
        }
    }
    configurations
}

fn bits(book: &BookResult) -> Vec<u64> {
    let fills = book.fills.iter().flat_map(|fill| {
        [u64::from(fill.step), fill.quantity.to_bits(), fill.price.to_bits(), fill.fee.to_bits()]
    });
    let curves = [&book.equity.equity, &book.equity.cash, &book.equity.exposure];
    fills.chain(curves.into_iter().flatten().map(|value| value.to_bits())).collect()
}

/// Replays the fills and compares cash and worth at every step.
fn accounts_balance(bars: &Bars, book: &BookResult, what: &str) {
    let symbols = bars.symbols().len();
    let (mut quantity, mut next_row) = (vec![0.0; symbols], vec![0; symbols]);
    let mut cash = book.starting_cash;
    let mut fills = book.fills.iter().peekable();
    let mut largest = book.starting_cash;
    for (step, equity) in book.equity.equity.iter().enumerate() {
        while let Some(fill) = fills.next_if(|fill| fill.step as usize == step) {
            let signed = if fill.side == Side::Buy { fill.quantity } else { -fill.quantity };
            cash -= signed * fill.price + fill.fee;
            quantity[fill.symbol as usize] += signed;
            largest = largest.max((signed * fill.price).abs());
            assert!(fill.fee >= 0.0 && fill.quantity > 0.0, "{what}: {fill:?}");
        }
        let (mut holdings, mut gross) = (0.0, 0.0);
        for symbol in 0..symbols {
            let steps = bars.timeline().steps(symbol);
            next_row[symbol] += usize::from(steps.get(next_row[symbol]) == Some(&(step as u32)));
            let Some(row) = usize::checked_sub(next_row[symbol], 1) else { continue };
            let value = quantity[symbol] * bars.symbols()[symbol].close()[row];
            holdings += value;
            gross += value.abs();
        }
        let tolerance = 1e-11 * largest;
        assert!(
            (cash + holdings - equity).abs() <= tolerance,
            "{what}, step {step}: {cash} {holdings} {equity}"
        );
        assert!((book.equity.cash[step] - cash).abs() <= tolerance, "{what}, step {step}");
        let exposure = book.equity.exposure[step];
        assert!(
            (exposure * equity - gross).abs() <= tolerance * 10.0,
            "{what}, step {step}: {exposure} {gross}"
        );
    }
    assert!(fills.next().is_none(), "{what}: fills after the end");
}

#[test]
fn cash_and_holdings_are_equity_for_all_strategies_sizings_exits_and_margins() {
    let bars = wide_bars(ROWS, 11);
    let books = decided(&bars, 11);
    assert!(books.len() > 10);
    let (mut reasons, mut bankrupt) = (BTreeSet::new(), 0);
    for config in configurations() {
        for (name, positions) in &books {
            let book = run_book(&bars, positions, name, &config, 0..bars.timeline().times().len());
            let what = format!("{name}, {}, {:?}, {:?}", config.sizing, config.exits, config.margin);
            accounts_balance(&bars, &book, &what);
            reasons.extend(book.fills.iter().map(|fill| fill.reason.name()));
            bankrupt += usize::from(book.bankrupt_at.is_some());
        }
    }
    assert_eq!(reasons.len(), FillReason::ALL.len(), "{reasons:?}");
    println!("{bankrupt} books went bankrupt");
}

#[test]
fn no_order_is_a_flat_line_under_every_setting() {
    let bars = wide_bars(ROWS, 12);
    let none: Vec<Vec<f64>> = bars.symbols().iter().map(|symbol| vec![0.0; symbol.len()]).collect();
    for config in configurations() {
        for positions in [Positions::levels(&bars, none.clone()), Positions::weights(&bars, none.clone())] {
            let book = run_book(&bars, &positions.unwrap(), "none", &config, 0..ROWS);
            assert!(book.fills.is_empty());
            assert!(book.equity.equity.iter().chain(&book.equity.cash).all(|value| *value == 100_000.0));
        }
    }
}

/// At equal quantities. Exits would close at other prices where slippage moves the entry, so they are left out.
#[test]
fn more_cost_never_raises_equity_at_equal_quantities() {
    let bars = wide_bars(ROWS, 13);
    for (name, positions) in decided(&bars, 13) {
        let run = |multiple: f64, fill: FillTime| {
            let costs = vec![
                CostConfig::Proportional(Proportional { fee_bps: 2.0 * multiple }),
                CostConfig::Slippage(Slippage { bps: multiple }),
                CostConfig::Spread(Spread { bps: Some(multiple), ..Spread::default() }),
            ];
            let sizing = Sizing::Fixed { quantity: 1.0 };
            let config = BacktestConfig { fill, sizing, costs, ..BacktestConfig::default() };
            run_book(&bars, &positions, &name, &config, 0..bars.timeline().times().len())
        };
        for fill in [FillTime::NextOpen, FillTime::SameClose] {
            let mut cheaper = run(0.0, fill);
            for multiple in [0.5, 1.0, 4.0, 16.0] {
                let dearer = run(multiple, fill);
                let quantities = |book: &BookResult| -> Vec<u64> {
                    book.fills.iter().map(|fill| fill.quantity.to_bits()).collect()
                };
                assert_eq!(quantities(&dearer), quantities(&cheaper), "{name}");
                let pairs = cheaper.equity.equity.iter().zip(&dearer.equity.equity);
                assert!(pairs.clone().all(|(cheap, dear)| dear <= cheap), "{name} at {multiple}");
                assert!(
                    dearer.fills.is_empty() || dearer.equity.equity.last() < cheaper.equity.equity.last()
                );
                cheaper = dearer;
            }
        }
    }
}

#[test]
fn threads_and_repetition_change_no_bit() {
    let bars = wide_bars(ROWS, 14);
    let books = decided(&bars, 14);
    let all = configurations();
    for config in all.iter().step_by(5) {
        for kind in [Books::SharedCash, Books::PerSymbol] {
            let config = BacktestConfig { books: kind, ..config.clone() };
            let run = |threads: usize| {
                let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                let results = pool.install(|| run_books(&bars, &books, &config, 10..ROWS, &Silent));
                results.iter().map(bits).collect::<Vec<_>>()
            };
            let one = run(1);
            assert_eq!(one, run(1));
            assert_eq!(one, run(2));
            assert_eq!(one, run(5));
        }
    }
}

/// A book of one symbol that waits passes over its bars in one go; it must not differ from a book that is looked at bar
/// by bar, which far exits force.
#[test]
fn waiting_changes_no_bit() {
    let bars = wide_bars(ROWS, 15);
    let far = Exits { stop_loss_percent: Some(99.9), take_profit_percent: Some(1e9), ..Exits::default() };
    for (_, positions) in decided(&bars, 15) {
        for fill in [FillTime::NextOpen, FillTime::SameClose] {
            for sizing in [Sizing::AllIn {}, Sizing::Fixed { quantity: 900.0 }] {
                let costs = vec![CostConfig::Proportional(Proportional { fee_bps: 5.0 })];
                let waits = BacktestConfig {
                    fill,
                    sizing,
                    costs,
                    books: Books::PerSymbol,
                    ..BacktestConfig::default()
                };
                let looks = BacktestConfig { exits: far.clone(), ..waits.clone() };
                let books = [("book".to_owned(), positions.clone())];
                let span = 7..bars.timeline().times().len();
                let waiting = run_books(&bars, &books, &waits, span.clone(), &Silent);
                let looking = run_books(&bars, &books, &looks, span, &Silent);
                for (waiting, looking) in waiting.iter().zip(&looking) {
                    assert_eq!(bits(waiting), bits(looking));
                    assert_eq!(waiting.bankrupt_at, looking.bankrupt_at);
                }
            }
        }
    }
}

/// A short in a market that rises for ever waits until its equity is used up, and not a bar longer.
#[test]
fn waiting_ends_where_the_equity_is_used_up() {
    let rows = 300;
    let price = |row: usize| 100.0 * 1.01_f64.powi(row as i32);
    let times = (0..rows as i64).map(|row| row * HOUR).collect();
    let prices: Vec<f64> = (0..rows).map(price).collect();
    let bars = Bars::new(vec![symbol("ALPHA", times, prices.clone(), prices)]).unwrap();
    let mut targets = vec![NULL; rows];
    targets[9] = -1.0;
    targets[200] = 1.0;
    let positions = Positions::orders(&bars, vec![targets]).unwrap();
    let far = Exits { take_profit_percent: Some(1e9), ..Exits::default() };
    let run = |exits: Exits| {
        let config = BacktestConfig { exits, ..BacktestConfig::default() };
        run_book(&bars, &positions, "short", &config, 0..rows)
    };
    let (waiting, looking) = (run(Exits::default()), run(far));
    // Sold at the open of row 10: lost where the price has doubled, after 70 bars of one per cent.
    assert_eq!(waiting.bankrupt_at, Some(Time(80 * HOUR)));
    assert_eq!(waiting.fills.len(), 2);
    assert_eq!(bits(&waiting), bits(&looking));
    assert_eq!(waiting.bankrupt_at, looking.bankrupt_at);
    let [before, after] = [79, 80].map(|row| waiting.equity.equity[row]);
    assert!(before > 0.0 && after <= 0.0 && waiting.equity.equity[80..].iter().all(|value| *value == after));
}

/// Resident memory of this process in kilobytes.
#[cfg(target_os = "linux")]
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

/// Run alone in its own process, since other tests of this program allocate at the same time.
#[cfg(target_os = "linux")]
#[test]
fn a_hundred_backtests_leave_no_memory_behind() {
    const ALONE: &str = "CANDLEWICK_MEASURE_MEMORY";
    if std::env::var_os(ALONE).is_none() {
        let test = "backtest_properties::a_hundred_backtests_leave_no_memory_behind";
        let done = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture", "--test-threads", "1"])
            .env(ALONE, "1")
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(done.status.success() && said.contains("resident memory"), "{said}");
        return;
    }
    let symbols = [("ALPHA", 16), ("BETA", 17)].map(|(name, seed)| wide_symbol(name, 25_000, seed, 0.0));
    let bars = Bars::new(symbols.to_vec()).unwrap();
    let books = decided(&bars, 16);
    let settings = configurations();
    // One thread, so that the same hundred asks the allocator for the same blocks in the same order.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let run = |number: usize| {
        let config = &settings[number % settings.len()];
        let results = pool.install(|| run_books(&bars, &books, config, 0..25_000, &Silent));
        assert_eq!(results.len(), books.len());
    };
    (0..100).for_each(run);
    let before = resident();
    (0..100).for_each(run);
    let after = resident();
    println!("resident memory: {before} kB before, {after} kB after 100 backtests");
    assert!(after as f64 <= before as f64 * 1.01, "{before} kB before, {after} kB after");
}
