//! The ledger against four published-engine cases, hand-computed numbers and its own invariants.

use super::markets::{HOUR, columns, random_bars, random_symbol, shared, symbol};
use candlewick::domains::market::backtest::costs::{
    proportional::Proportional, slippage::Slippage, spread::Spread,
};
use candlewick::domains::market::backtest::{
    BacktestConfig, Books, CostConfig, FillTime, Sizing, frozen_holdings, lower, periods_per_year, run_book,
    run_books,
};
use candlewick::domains::market::strategies::{StrategyConfig, World, sma_cross::SmaCross};
use candlewick::metrics::{sharpe, trading_metrics, volatility};
use candlewick::progress::{Event, Progress, Silent};
use candlewick::seed::Seed;
use candlewick::table::{BarColumns, Bars, BookResult, NULL, Positions, Predictions, Side, SymbolBars};
use candlewick::units::Time;
use std::ops::Range;
use std::sync::Mutex;

/// Random levels in [-1, 1] that change about every tenth bar.
fn random_positions(bars: &Bars, seed: u64, least: f64) -> Positions {
    let mut stream = Seed(seed).stream("positions", 0);
    let mut column = |rows: usize| {
        let mut draw = || least + (1.0 - least) * stream.uniform();
        (0..rows).map(|_| if draw() > 1.0 - 0.1 * (1.0 - least) { draw() } else { NULL }).collect()
    };
    let targets = bars.symbols().iter().map(|symbol| column(symbol.len())).collect();
    Positions::orders(bars, targets).unwrap()
}

fn all(bars: &Bars) -> Range<usize> {
    0..bars.timeline().times().len()
}

fn bits(book: &BookResult) -> (Vec<u64>, Vec<u64>) {
    let fills = book.fills.iter().flat_map(|fill| {
        [u64::from(fill.symbol), u64::from(fill.step), fill.quantity.to_bits(), fill.price.to_bits()]
    });
    (book.equity.equity.iter().map(|value| value.to_bits()).collect(), fills.collect())
}

fn close_to(found: f64, expected: f64, what: &str) {
    let error = (found - expected).abs() / expected.abs().max(1e-300);
    assert!(error <= 1e-9, "{what}: found {found}, expected {expected}, relative error {error:e}");
}

fn costs(bps: f64) -> Vec<CostConfig> {
    vec![CostConfig::Proportional(Proportional { fee_bps: bps })]
}

/// Oracle and cases of the reference: exact integer-tick signal, fast 60, slow 240, 10 bps, one-minute bars.
#[test]
fn backtest_reference_cases_agree_in_every_figure() {
    let (Some(data), Some(results)) =
        (shared("reference/ref_50k.parquet"), shared("reference/reference_results.json"))
    else {
        return;
    };
    let mut table = columns(&data, &["open", "high", "low", "close", "volume"]).into_iter();
    let mut next = || table.next().unwrap();
    let columns = BarColumns {
        time: Vec::new(),
        open: next(),
        high: next(),
        low: next(),
        close: next(),
        volume: next(),
    };
    let start = 1_735_689_600_000_000_000;
    let time = (0..columns.open.len() as i64).map(|row| Time(start + row * HOUR / 60)).collect();
    let bars = Bars::new(vec![SymbolBars::new("REF", BarColumns { time, ..columns }).unwrap()]).unwrap();
    let strategy = StrategyConfig::SmaCross(SmaCross { fast: 60, slow: 240, ..SmaCross::default() });
    let predictions = Predictions::default();
    let world = World {
        bars: &bars,
        predictions: &predictions,
        span: all(&bars),
        seed: Seed(0),
        reference: None,
        book: 0,
    };
    let positions = strategy.build().decide(&world).unwrap();
    let text = std::fs::read_to_string(results).unwrap();
    let reference: serde_json::Value = serde_json::from_str(&text).unwrap();
    let mut cases = 0;
    for (case, expected) in reference["oracle"].as_object().unwrap() {
        let config = BacktestConfig {
            fill: if case.starts_with("next_open") { FillTime::NextOpen } else { FillTime::SameClose },
            sizing: if case.ends_with("fixed") { Sizing::Fixed { quantity: 1.0 } } else { Sizing::AllIn {} },
            costs: costs(10.0),
            ..BacktestConfig::default()
        };
        let book = run_book(&bars, &positions, "sma", &config, all(&bars));
        reference_case(case, expected, &bars, &book);
        cases += 1;
    }
    assert_eq!(cases, 4);
}

fn reference_case(case: &str, expected: &serde_json::Value, bars: &Bars, book: &BookResult) {
    let number = |name: &str| expected[name].as_f64().unwrap();
    let check = |found: f64, name: &str| close_to(found, number(name), &format!("{case} {name}"));
    let periods = periods_per_year(bars.timeline().times());
    assert_eq!(periods, 525_600.0);
    let metrics = trading_metrics(book, periods);
    let returns = candlewick::metrics::returns(book);
    let mean = returns.iter().sum::<f64>() / returns.len() as f64;
    check(*book.equity.equity.last().unwrap(), "final_equity");
    assert_eq!(book.fills.len() as f64, number("n_fills"));
    assert_eq!(metrics.fills as f64, number("n_fills"));
    let entries = book.fills.iter().filter(|fill| fill.side == Side::Buy).count();
    assert_eq!(entries as f64, number("entries"));
    assert_eq!(metrics.trades as f64, number("round_trips"));
    assert_eq!((entries - metrics.trades) as f64, number("open_at_end"));
    check(metrics.fees, "total_fees");
    check(mean, "mean_r");
    check(metrics.volatility.unwrap() / periods.sqrt(), "std_r_ddof1");
    check(metrics.sharpe.unwrap(), "sharpe_min_365d");
    check(metrics.volatility.unwrap(), "vol_ann");
    check(metrics.sortino.unwrap(), "sortino_min_365d");
    check(metrics.max_drawdown.unwrap(), "max_drawdown");
    check(metrics.total_return.unwrap(), "total_return");
    let days: Vec<f64> = book.equity.equity.chunks(1440).map(|day| *day.last().unwrap()).collect();
    assert_eq!(days.len() as f64, number("days"));
    let mut before = book.starting_cash;
    let daily: Vec<f64> = days.iter().map(|day| day / std::mem::replace(&mut before, *day) - 1.0).collect();
    check(sharpe(&daily, 365.0).unwrap(), "sharpe_daily_365");
    check(sharpe(&daily, 252.0).unwrap(), "sharpe_daily_252");
    for (row, equity) in expected["equity_at"].as_object().unwrap() {
        let row: usize = row.parse().unwrap();
        close_to(book.equity.equity[row], equity.as_f64().unwrap(), &format!("{case} equity at {row}"));
    }
    for (fill, expected) in book.fills.iter().zip(expected["first_fills"].as_array().unwrap()) {
        assert_eq!(u64::from(fill.step), expected["bar"].as_u64().unwrap());
        assert_eq!(if fill.side == Side::Buy { 1 } else { -1 }, expected["side"].as_i64().unwrap());
        for (name, found) in [("price", fill.price), ("qty", fill.quantity), ("fee", fill.fee)] {
            close_to(found, expected[name].as_f64().unwrap(), &format!("{case} first fills, {name}"));
        }
    }
}

fn small_bars() -> Bars {
    let times = (0..5).map(|row| row * HOUR).collect();
    let (open, close) = (vec![100.0, 102.0, 110.0, 99.0, 80.0], vec![101.0, 108.0, 104.0, 90.0, 84.0]);
    Bars::new(vec![symbol("ALPHA", times, open, close)]).unwrap()
}

/// By hand: fee 1 %, slippage 1 %, spread 2 % (half each way), so a buy fills 2 % above and a sale 2 % below.
#[test]
fn backtest_golden_case_by_hand() {
    let bars = small_bars();
    let positions = Positions::orders(&bars, vec![vec![1.0, NULL, -1.0, 0.0, 1.0]]).unwrap();
    let config = BacktestConfig {
        cash: 1000.0,
        sizing: Sizing::Fixed { quantity: 2.0 },
        costs: vec![
            CostConfig::Proportional(Proportional { fee_bps: 100.0 }),
            CostConfig::Slippage(Slippage { bps: 100.0 }),
            CostConfig::Spread(Spread { bps: Some(200.0), ..Spread::default() }),
        ],
        ..BacktestConfig::default()
    };
    let book = run_book(&bars, &positions, "hand", &config, all(&bars));
    // Bar 1: buy 2 at 102 x 1.02 = 104.04, fee 2.0808. Bar 3: sell 4 at 99 x 0.98 = 97.02, fee 3.8808.
    // Bar 4: buy 2 at 80 x 1.02 = 81.6, fee 1.632. The order of the last bar is not filled.
    let fills: Vec<(u32, Side, f64, f64, f64, f64)> =
        book.fills.iter().map(|f| (f.step, f.side, f.quantity, f.reference_price, f.price, f.fee)).collect();
    let expected = [
        (1, Side::Buy, 2.0, 102.0, 104.04, 2.0808),
        (3, Side::Sell, 4.0, 99.0, 97.02, 3.8808),
        (4, Side::Buy, 2.0, 80.0, 81.6, 1.632),
    ];
    assert_eq!(fills.len(), expected.len());
    for (found, expected) in fills.iter().zip(&expected) {
        assert_eq!((found.0, found.1, found.2, found.3), (expected.0, expected.1, expected.2, expected.3));
        close_to(found.4, expected.4, "price");
        close_to(found.5, expected.5, "fee");
    }
    // Cash: 1000; 1000 - 208.08 - 2.0808; + 388.08 - 3.8808; - 163.2 - 1.632.
    let cash = [1000.0, 789.8392, 789.8392, 1174.0384, 1009.2064];
    let equity = [1000.0, 1005.8392, 997.8392, 994.0384, 1009.2064];
    for row in 0..5 {
        close_to(book.equity.cash[row], cash[row], "cash");
        close_to(book.equity.equity[row], equity[row], "equity");
    }
    let metrics = trading_metrics(&book, 8760.0);
    // Long trip: -2 x 7.02 - 2.0808 - half of 3.8808; short trip: 2 x 15.42 - half of 3.8808 - 1.632.
    assert_eq!(metrics.trades, 2);
    assert_eq!(metrics.win_rate, Some(0.5));
    close_to(metrics.expectancy.unwrap(), (-18.0612 + 27.2676) / 2.0, "expectancy");
    close_to(metrics.profit_factor.unwrap(), 27.2676 / 18.0612, "profit factor");
    close_to(metrics.worst_trade.unwrap(), -18.0612 / 208.08, "worst trade");
    close_to(metrics.best_trade.unwrap(), 27.2676 / 194.04, "best trade");
    close_to(metrics.slippage_cost, 2.0 * 2.04 + 4.0 * 1.98 + 2.0 * 1.6, "slippage");
    close_to(metrics.fees, 7.5936, "fees");
    close_to(metrics.costs_of_gross_profit.unwrap(), 22.7936 / 32.0, "costs of gross profit");
    assert_eq!(metrics.mean_holding_bars, Some(1.5));
    close_to(metrics.exposure.unwrap(), 0.6, "exposure");
}

#[test]
fn backtest_all_in_spends_exactly_the_cash() {
    let bars = small_bars();
    let positions = Positions::orders(&bars, vec![vec![1.0, 1.0, NULL, NULL, NULL]]).unwrap();
    let config = BacktestConfig {
        costs: vec![
            CostConfig::Proportional(Proportional { fee_bps: 10.0 }),
            CostConfig::Slippage(Slippage { bps: 5.0 }),
        ],
        ..BacktestConfig::default()
    };
    let book = run_book(&bars, &positions, "hold", &config, all(&bars));
    // The second order finds the whole slot invested and does nothing.
    assert_eq!(book.fills.len(), 1);
    close_to(book.fills[0].quantity, 100_000.0 / (102.0 * 1.0005 * 1.001), "quantity");
    assert!(book.equity.cash[1].abs() < 1e-9);
}

#[test]
fn backtest_carries_the_last_order_into_the_span() {
    let bars = small_bars();
    let positions = Positions::levels(&bars, vec![vec![1.0, 1.0, 1.0, 1.0, 1.0]]).unwrap();
    for (fill, price) in [(FillTime::NextOpen, 99.0), (FillTime::SameClose, 90.0)] {
        let config = BacktestConfig { fill, ..BacktestConfig::default() };
        let book = run_book(&bars, &positions, "hold", &config, 3..5);
        assert_eq!(book.equity.equity.len(), 2);
        assert_eq!((book.fills.len(), book.fills[0].step, book.fills[0].price), (1, 3, price));
        close_to(book.equity.equity[1], 100_000.0 * 84.0 / price, "equity");
    }
}

#[test]
fn backtest_bankrupt_book_is_closed_for_good() {
    let times = (0..5).map(|row| row * HOUR).collect();
    let prices = vec![100.0, 100.0, 250.0, 50.0, 10.0];
    let bars = Bars::new(vec![symbol("ALPHA", times, prices.clone(), prices)]).unwrap();
    let positions = Positions::orders(&bars, vec![vec![-1.0, NULL, NULL, 1.0, NULL]]).unwrap();
    let config = BacktestConfig { cash: 1000.0, ..BacktestConfig::default() };
    let book = run_book(&bars, &positions, "short", &config, all(&bars));
    assert_eq!(book.bankrupt_at, Some(Time(2 * HOUR)));
    assert_eq!(book.fills.len(), 2);
    assert_eq!(book.equity.equity, [1000.0, 1000.0, -500.0, -500.0, -500.0]);
    assert_eq!(book.equity.exposure[2..], [0.0; 3]);
    let metrics = trading_metrics(&book, 8760.0);
    assert_eq!((metrics.total_return, metrics.cagr), (Some(-1.5), Some(-1.0)));
}

#[test]
fn backtest_volatility_target_waits_and_scales() {
    let bars = Bars::new(vec![random_symbol("ALPHA", 200, 5, 0.0)]).unwrap();
    let mut order = vec![NULL; 200];
    order[0] = 1.0;
    let positions = Positions::orders(&bars, vec![order]).unwrap();
    let sizing = Sizing::VolatilityTarget { annual: 0.2, lookback_bars: 50, max_leverage: 1.0 };
    let config = BacktestConfig { sizing, ..BacktestConfig::default() };
    let book = run_book(&bars, &positions, "vol", &config, all(&bars));
    // Fifty returns are known at the close of row 50, so the fill is at the open of row 51.
    assert_eq!((book.fills.len(), book.fills[0].step), (1, 51));
    let close = bars.symbols()[0].close();
    let returns: Vec<f64> = (1..=50).map(|t| (close[t] / close[t - 1]).ln()).collect();
    let share = 0.2 / volatility(&returns, 8760.0).unwrap();
    assert!(share < 1.0);
    close_to(book.fills[0].quantity, share * 100_000.0 / bars.symbols()[0].open()[51], "quantity");
}

#[test]
fn backtest_cash_and_holdings_are_equity_at_every_bar() {
    let mut opened = 0;
    for seed in 0..20 {
        let bars = random_bars(300, seed);
        let positions = random_positions(&bars, seed, -1.0);
        let sizing = match seed % 3 {
            0 => Sizing::AllIn {},
            1 => Sizing::Fixed { quantity: 200.0 },
            _ => Sizing::VolatilityTarget { annual: 0.5, lookback_bars: 20, max_leverage: 1.0 },
        };
        let fill = if seed % 2 == 0 { FillTime::NextOpen } else { FillTime::SameClose };
        let config = BacktestConfig { sizing, fill, costs: costs(10.0), ..BacktestConfig::default() };
        let book = run_book(&bars, &positions, "random", &config, all(&bars));
        assert!(book.fills.len() > 50);
        let mut quantity = [0.0; 3];
        let mut cash = book.starting_cash;
        let mut fills = book.fills.iter().peekable();
        for (step, equity) in book.equity.equity.iter().enumerate() {
            let before = quantity;
            while let Some(fill) = fills.next_if(|fill| fill.step as usize == step) {
                let signed = if fill.side == Side::Buy { fill.quantity } else { -fill.quantity };
                cash -= signed * fill.price + fill.fee + fill.gas;
                quantity[fill.symbol as usize] += signed;
            }
            let worth: Vec<f64> = (0..3)
                .map(|symbol| {
                    let rows = bars.timeline().steps(symbol).partition_point(|at| *at as usize <= step);
                    rows.checked_sub(1)
                        .map_or(0.0, |row| quantity[symbol] * bars.symbols()[symbol].close()[row])
                })
                .collect();
            let holdings: f64 = worth.iter().sum();
            assert!((cash + holdings - equity).abs() <= 1e-9 * equity.abs(), "seed {seed}, step {step}");
            assert!((book.equity.cash[step] - cash).abs() <= 1e-9 * book.starting_cash);
            let gross: f64 = worth.iter().map(|value| value.abs()).sum();
            assert!((book.equity.exposure[step] - gross / equity).abs() < 1e-9);
            let worth_before: f64 =
                (0..3).map(|symbol| (worth[symbol] / quantity[symbol] * before[symbol]).abs()).sum();
            if fill == FillTime::SameClose && gross > worth_before * (1.0 + 1e-9) {
                // The limit is equity before the fills, which cost at most 0.1 % of what they trade.
                assert!(gross <= equity * 1.005, "seed {seed}, step {step}: {gross} over {equity}");
                opened += 1;
            }
            let longs_only = quantity.iter().chain(&before).all(|held| *held >= 0.0);
            assert!(!longs_only || cash >= -1e-6, "seed {seed}, step {step}: cash {cash}");
        }
    }
    assert!(opened > 100);
}

#[test]
fn backtest_orders_are_filled_at_the_symbols_next_bar_only() {
    let bars = random_bars(300, 9);
    let positions = random_positions(&bars, 9, -1.0);
    let book = run_book(&bars, &positions, "random", &BacktestConfig::default(), all(&bars));
    for fill in &book.fills {
        let symbol = fill.symbol as usize;
        let row = bars.timeline().steps(symbol).binary_search(&fill.step).unwrap();
        assert!(!positions.targets(symbol)[row - 1].is_nan());
        assert_eq!(fill.reference_price, bars.symbols()[symbol].open()[row]);
        assert_eq!(fill.time, bars.symbols()[symbol].time()[row]);
    }
}

#[test]
fn backtest_later_bars_change_no_earlier_bit() {
    let bars = random_bars(300, 3);
    let positions = random_positions(&bars, 3, -1.0);
    let config = BacktestConfig { costs: costs(10.0), ..BacktestConfig::default() };
    let whole = run_book(&bars, &positions, "random", &config, all(&bars));
    for cut in [50_usize, 151, 222] {
        let poison = |symbol: &SymbolBars, index: usize| {
            let steps = bars.timeline().steps(index);
            let spoil = |values: &[f64]| {
                values
                    .iter()
                    .zip(steps)
                    .map(|(v, at)| if *at as usize > cut { v * 3.0 } else { *v })
                    .collect()
            };
            let columns = BarColumns {
                time: symbol.time().to_vec(),
                open: spoil(symbol.open()),
                high: spoil(symbol.high()),
                low: spoil(symbol.low()),
                close: spoil(symbol.close()),
                volume: symbol.volume().to_vec(),
            };
            SymbolBars::new(symbol.symbol(), columns).unwrap()
        };
        let poisoned =
            bars.symbols().iter().enumerate().map(|(index, symbol)| poison(symbol, index)).collect();
        let book = run_book(&Bars::new(poisoned).unwrap(), &positions, "random", &config, all(&bars));
        assert_eq!(book.equity.equity[..=cut], whole.equity.equity[..=cut]);
        assert_ne!(book.equity.equity[cut + 1..], whole.equity.equity[cut + 1..]);
        let past = |book: &BookResult| {
            book.fills.iter().take_while(|fill| fill.step as usize <= cut).copied().collect::<Vec<_>>()
        };
        assert_eq!(past(&book), past(&whole));
    }
}

#[test]
fn backtest_without_orders_is_a_flat_line() {
    let bars = random_bars(100, 1);
    let none = bars.symbols().iter().map(|symbol| vec![0.0; symbol.len()]).collect();
    let positions = Positions::orders(&bars, none).unwrap();
    let config = BacktestConfig { costs: costs(10.0), ..BacktestConfig::default() };
    let book = run_book(&bars, &positions, "flat", &config, all(&bars));
    assert!(book.fills.is_empty());
    assert!(book.equity.equity.iter().all(|equity| *equity == 100_000.0));
}

#[test]
fn backtest_more_cost_never_raises_equity() {
    let bars = random_bars(300, 4);
    let positions = random_positions(&bars, 4, -1.0);
    let run = |costs: Vec<CostConfig>| {
        let sizing = Sizing::Fixed { quantity: 10.0 };
        let config = BacktestConfig { sizing, costs, ..BacktestConfig::default() };
        run_book(&bars, &positions, "random", &config, all(&bars)).equity.equity
    };
    let free = run(Vec::new());
    for dear in [
        vec![CostConfig::Proportional(Proportional { fee_bps: 1.0 })],
        vec![CostConfig::Slippage(Slippage { bps: 1.0 })],
        vec![CostConfig::Spread(Spread { bps: Some(1.0), ..Spread::default() })],
    ] {
        let dear = run(dear);
        assert!(free.iter().zip(&dear).all(|(free, dear)| dear <= free));
        assert!(dear.last() < free.last());
    }
}

#[test]
fn backtest_one_symbol_portfolio_equals_the_single_book() {
    let bars = Bars::new(vec![random_symbol("ALPHA", 300, 6, 0.1)]).unwrap();
    let positions = random_positions(&bars, 6, -1.0);
    let shared = BacktestConfig { costs: costs(10.0), ..BacktestConfig::default() };
    let single = BacktestConfig { books: Books::PerSymbol, ..shared.clone() };
    let books = [("sma".to_owned(), positions)];
    let shared = run_books(&bars, &books, &shared, all(&bars), &Silent);
    let single = run_books(&bars, &books, &single, all(&bars), &Silent);
    assert_eq!(bits(&shared[0]), bits(&single[0]));
    assert_eq!((shared[0].strategy.as_str(), single[0].strategy.as_str()), ("sma", "sma@ALPHA"));
}

struct Count(Mutex<Vec<(u64, u64)>>);

impl Progress for Count {
    fn on(&self, event: &Event) {
        if let Event::BooksDone { done, total } = event {
            self.0.lock().unwrap().push((*done, *total));
        }
    }
}

#[test]
fn backtest_threads_change_no_bit_and_progress_is_complete() {
    let bars = random_bars(200, 7);
    let books: Vec<(String, Positions)> =
        (0..12).map(|n| (format!("book {n}"), random_positions(&bars, n, -1.0))).collect();
    let config = BacktestConfig { books: Books::PerSymbol, costs: costs(5.0), ..BacktestConfig::default() };
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let count = Count(Mutex::default());
        let results = pool.install(|| run_books(&bars, &books, &config, all(&bars), &count));
        let mut seen = count.0.into_inner().unwrap();
        seen.sort_unstable();
        assert_eq!(seen, (0..=36).map(|done| (done, 36)).collect::<Vec<_>>());
        results.iter().map(|book| (book.strategy.clone(), bits(book))).collect::<Vec<_>>()
    };
    let one = run(1);
    assert_eq!(one[4].0, "book 1@BETA");
    assert_eq!(one, run(4));
}

#[test]
fn backtest_trades_a_fixed_quantity_however_small() {
    let positions = Positions::orders(&small_bars(), vec![vec![1.0, NULL, 0.0, NULL, NULL]]).unwrap();
    let config = BacktestConfig { sizing: Sizing::Fixed { quantity: 1e-9 }, ..BacktestConfig::default() };
    assert_eq!(run_book(&small_bars(), &positions, "tiny", &config, 0..5).fills.len(), 2);
}

#[test]
fn backtest_refuses_settings_by_name() {
    let refused = |change: &dyn Fn(&mut BacktestConfig), name: &str| {
        let mut config = BacktestConfig::default();
        change(&mut config);
        let error = config.check().unwrap_err();
        assert!(error.contains(name), "{error}");
    };
    refused(&|config| config.cash = 0.0, "cash");
    refused(&|config| config.periods_per_year = Some(-1.0), "periods_per_year");
    refused(&|config| config.costs = costs(-1.0), "proportional.fee_bps");
    refused(&|config| config.costs = vec![CostConfig::Slippage(Slippage { bps: 10_000.0 })], "10000");
    refused(&|config| config.sizing = Sizing::Fraction { of_equity: 1.5 }, "fraction.of_equity");
    refused(&|config| config.sizing = Sizing::Fixed { quantity: f64::NAN }, "fixed.quantity");
    assert_eq!(BacktestConfig::default().check(), Ok(()));
    let lowered = lower(&[
        CostConfig::Slippage(Slippage { bps: 2.0 }),
        CostConfig::Spread(Spread { bps: Some(4.0), ..Spread::default() }),
    ])
    .unwrap();
    assert_eq!((lowered.taker.fee_rate, lowered.taker.slippage_rate), (0.0, 4e-4));
}

#[test]
fn backtest_config_reads_as_documented() {
    let text = r#"{"cash": 5000, "fill": "same_close", "sizing": {"volatility_target": {"annual": 0.3}},
        "costs": [{"proportional": {"fee_bps": 10}}, {"slippage": {"bps": 2}}, {"spread": {"bps": 1}}],
        "books": "per_symbol", "periods_per_year": 252}"#;
    let config: BacktestConfig = serde_json::from_str(text).unwrap();
    let expected = Sizing::VolatilityTarget { annual: 0.3, lookback_bars: 100, max_leverage: 1.0 };
    assert_eq!((config.sizing, config.books, config.fill), (expected, Books::PerSymbol, FillTime::SameClose));
    assert!(serde_json::from_str::<BacktestConfig>(r#"{"sizing": {"all_in": {"x": 1}}}"#).is_err());
    assert!(serde_json::from_str::<BacktestConfig>(r#"{"csh": 1}"#).is_err());
    let default: BacktestConfig = serde_json::from_str(r#"{"sizing": {"all_in": {}}}"#).unwrap();
    assert_eq!(default, BacktestConfig::default());
}

#[test]
fn backtest_contiguous_hours_give_8760_periods() {
    for rows in [2, 3, 1000, 54_321] {
        let prices = vec![1.0; rows];
        let times = (0..rows as i64).map(|row| 1_600_000_000_000_000_000 + row * HOUR).collect();
        let bars = Bars::new(vec![symbol("ALPHA", times, prices.clone(), prices)]).unwrap();
        assert_eq!(periods_per_year(bars.timeline().times()), 8760.0);
    }
}

/// A symbol that is listed late finds its part of the cash unspent, although the earlier ones have grown.
#[test]
fn backtest_late_listing_finds_its_slot_unspent() {
    let early: Vec<f64> = (0..10).map(|row| 10.0 * f64::from(1 << row)).collect();
    let times = |rows: std::ops::Range<i64>| rows.map(|row| row * HOUR).collect::<Vec<i64>>();
    let flat = |rows: usize| vec![5.0; rows];
    let bars = Bars::new(vec![
        symbol("ALPHA", times(0..10), early.clone(), early),
        symbol("BETA", times(4..10), flat(6), flat(6)),
        symbol("GAMMA", times(7..10), flat(3), flat(3)),
    ])
    .unwrap();
    let hold = |rows: usize| {
        let mut column = vec![NULL; rows];
        column[0] = 1.0;
        column
    };
    let positions = Positions::levels(&bars, vec![hold(10), hold(6), hold(3)]).unwrap();
    let config = BacktestConfig { cash: 300.0, ..BacktestConfig::default() };
    let book = run_book(&bars, &positions, "hold", &config, 0..10);
    let spent: Vec<(u32, f64)> =
        book.fills.iter().map(|fill| (fill.symbol, fill.quantity * fill.price)).collect();
    assert_eq!(spent, [(0, 100.0), (1, 100.0), (2, 100.0)]);
}

/// BETA ends at hour 2, GAMMA has a gap of the same length inside its history.
#[test]
fn backtest_holdings_that_ended_are_told_with_their_share() {
    let at = |name: &str, hours: &[i64]| {
        let times = hours.iter().map(|hour| hour * HOUR).collect();
        symbol(name, times, vec![10.0; hours.len()], vec![10.0; hours.len()])
    };
    let all_hours: Vec<i64> = (0..8).collect();
    let bars =
        Bars::new(vec![at("ALPHA", &all_hours), at("BETA", &[0, 1, 2]), at("GAMMA", &[0, 6])]).unwrap();
    let config = BacktestConfig { cash: 900.0, ..BacktestConfig::default() };
    let run = |leaves: f64, end: usize| {
        let alpha = [vec![1.0], vec![NULL; 7]].concat();
        let targets = vec![alpha, vec![1.0, leaves, NULL], vec![1.0, NULL]];
        let positions = Positions::orders(&bars, targets).unwrap();
        run_book(&bars, &positions, "hold", &config, 0..end)
    };
    let told = frozen_holdings(&bars, &run(NULL, 8)).unwrap();
    assert!(told.starts_with("hold holds at the end what has no bars any more"), "{told}");
    assert!(told.contains("BETA since 1970-01-01T02:00:00Z; that is 33.3 % of its equity"), "{told}");
    // Sold in time, or not ended yet.
    assert_eq!(frozen_holdings(&bars, &run(0.0, 8)), None);
    assert_eq!(frozen_holdings(&bars, &run(NULL, 3)), None);
}
