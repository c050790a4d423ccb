//! The batch against the ledger: every figure of money to the bit.

use super::markets::{HOUR, columns, random_bars, random_symbol, shared, symbol, wide_bars, wide_symbol};
use candlewick::domains::market::backtest::costs::{proportional::Proportional, slippage::Slippage};
use candlewick::domains::market::backtest::{
    BacktestConfig, BatchOutcome, BatchRequest, Books, CostConfig, Devices, Exits, FillTime, Intrabar,
    Signals, Sizing, run_batch, run_books, supports,
};
use candlewick::domains::market::strategies::{Direction, Strategy, World, sma_cross::SmaCross};
use candlewick::kernels::instructions::Instructions;
use candlewick::kernels::running_sums::RunningSums;
use candlewick::metrics::{returns, sharpe, trading_metrics};
use candlewick::progress::Silent;
use candlewick::seed::Seed;
use candlewick::table::{
    BarColumns, Bars, BookFigures, BookResult, NULL, Positions, Predictions, SymbolBars,
};
use candlewick::units::Time;
use std::ops::Range;

fn decide(bars: &Bars, pair: &SmaCross) -> Positions {
    let predictions = Predictions::default();
    let span = 0..bars.timeline().times().len();
    let world = World { bars, predictions: &predictions, span, seed: Seed(1), reference: None, book: 0 };
    pair.decide(&world).unwrap()
}

/// The ledger's book of one symbol over exactly this span.
fn ledger(
    bars: &Bars,
    symbol: usize,
    positions: Positions,
    config: &BacktestConfig,
    span: &Range<usize>,
) -> BookResult {
    let config = BacktestConfig { books: Books::PerSymbol, ..config.clone() };
    run_books(bars, &[("book".into(), positions)], &config, span.clone(), &Silent).swap_remove(symbol)
}

/// The part of a span in which a symbol is listed, as the ledger cuts it.
fn listed(bars: &Bars, symbol: usize, span: &Range<usize>) -> Range<usize> {
    let steps = bars.timeline().steps(symbol);
    let start = span.start.max(steps[0] as usize);
    start..span.end.min(steps[steps.len() - 1] as usize + 1).max(start)
}

fn assert_same_book(found: &BookFigures, stretches: &[f32], book: &BookResult, what: &str) {
    let metrics = trading_metrics(book, 1.0);
    let equity = &book.equity.equity;
    assert_eq!(found.bars, equity.len(), "bars of {what}");
    let last = equity.last().copied().unwrap_or(book.starting_cash);
    assert_eq!(
        found.final_equity.to_bits(),
        last.to_bits(),
        "final equity of {what}: {} and {last}",
        found.final_equity
    );
    let drawdown = candlewick::metrics::drawdowns(equity, book.starting_cash).deepest;
    assert_eq!(
        found.max_drawdown.to_bits(),
        drawdown.to_bits(),
        "drawdown of {what}: {} and {drawdown}",
        found.max_drawdown
    );
    assert_eq!(found.fills, book.fills.len(), "fills of {what}");
    assert_eq!(found.trades, metrics.trades, "trades of {what}");
    let wins = metrics.win_rate.map_or(0.0, |rate| rate * metrics.trades as f64).round();
    assert_eq!(found.winning_trades as f64, wins, "winning trades of {what}");
    assert_eq!(found.fees, metrics.fees, "fees of {what}");
    assert_eq!(found.slippage_cost, metrics.slippage_cost, "slippage of {what}");
    assert_eq!(
        found.held_bars,
        book.equity.exposure.iter().filter(|share| **share != 0.0).count(),
        "held bars of {what}"
    );
    assert_eq!(found.bankrupt, book.bankrupt_at.is_some(), "bankruptcy of {what}");
    assert_same_returns(found, &returns(book), what);
    let mut before = book.starting_cash;
    for (period, stretch) in stretches.iter().enumerate() {
        let end = (period + 1) * equity.len() / stretches.len();
        let worth = equity[end - 1];
        let change = if before > 0.0 { worth / before - 1.0 } else { 0.0 };
        assert_eq!(stretch.to_bits(), (change as f32).to_bits(), "stretch {period} of {what}");
        before = worth;
    }
}

/// Sums in another order: within 1e-10 of the deviation.
fn assert_same_returns(found: &BookFigures, returns: &[f64], what: &str) {
    let ratio = sharpe(returns, 1.0);
    match (found.sharpe(1.0), ratio) {
        (Some(found), Some(expected)) => {
            assert!(
                (found - expected).abs() <= 1e-10 * expected.abs().max(1e-3),
                "Sharpe of {what}: {found} and {expected}"
            );
        }
        (None, None) => {}
        (found, expected) => panic!("Sharpe of {what}: {found:?} and {expected:?}"),
    }
}

pub(super) fn request<'a>(
    bars: &'a Bars,
    config: &'a BacktestConfig,
    span: Range<usize>,
) -> BatchRequest<'a> {
    BatchRequest {
        bars,
        symbol: 0,
        config,
        span,
        exits: &[],
        funding: &[],
        borrow: &[],
        periods: 37,
        instructions: Instructions::widest(),
        devices: Devices::default(),
    }
}

pub(super) fn pairs(direction: Direction) -> Vec<SmaCross> {
    let lengths =
        [(1, 2), (1, 7), (2, 9), (3, 64), (5, 20), (7, 8), (10, 63), (20, 65), (50, 200), (60, 5000)];
    lengths.map(|(fast, slow)| SmaCross { fast, slow, direction }).to_vec()
}

pub(super) fn configurations() -> Vec<BacktestConfig> {
    let mut all = Vec::new();
    for fill in [FillTime::NextOpen, FillTime::SameClose] {
        for sizing in
            [Sizing::AllIn {}, Sizing::Fraction { of_equity: 0.3 }, Sizing::Fixed { quantity: 300.0 }]
        {
            for bps in [0.0, 10.0, 300.0] {
                let costs = vec![
                    CostConfig::Proportional(Proportional { fee_bps: bps }),
                    CostConfig::Slippage(Slippage { bps: bps / 2.0 }),
                ];
                all.push(BacktestConfig { fill, sizing: sizing.clone(), costs, ..BacktestConfig::default() });
            }
        }
    }
    all
}

fn compare_crosses(bars: &Bars, config: &BacktestConfig, span: &Range<usize>, pairs: &[SmaCross]) {
    let span = listed(bars, 0, span);
    let found = run_batch(&request(bars, config, span.clone()), Signals::SmaCross(pairs), &Silent).unwrap();
    for (number, pair) in pairs.iter().enumerate() {
        let book = ledger(bars, 0, decide(bars, pair), config, &span);
        let what =
            format!("{pair:?} over {span:?}, {:?}, {}, {:?}", config.fill, config.sizing, config.costs);
        assert_same_book(&found.figures[number], found.returns.book(number), &book, &what);
    }
}

#[test]
fn crosses_of_a_batch_are_those_of_the_ledger_to_the_bit() {
    let mut compared = 0;
    for seed in 0..6 {
        let rows = [700, 1023, 1024, 1025, 2100, 3333][seed as usize];
        let bars = Bars::new(vec![random_symbol("ALPHA", rows, seed, 0.0)]).unwrap();
        for config in configurations() {
            for direction in [Direction::LongOnly, Direction::LongShort] {
                for span in [0..rows, 1..rows, 63..rows - 1, 300..rows] {
                    compare_crosses(&bars, &config, &span, &pairs(direction));
                    compared += 1;
                }
            }
        }
    }
    assert_eq!(compared, 6 * 18 * 2 * 4);
}

#[test]
fn crosses_of_a_batch_mind_gaps_and_short_histories() {
    for seed in 0..4 {
        let bars = random_bars(900, seed);
        let mut symbols = bars.symbols().to_vec();
        symbols.reverse();
        let bars = Bars::new(symbols).unwrap();
        for config in configurations() {
            for span in [0..900, 5..890] {
                compare_crosses(&bars, &config, &span, &pairs(Direction::LongShort));
            }
        }
    }
    for rows in [1, 2, 7, 8, 9, 63, 64, 65] {
        let bars = Bars::new(vec![random_symbol("ALPHA", rows, 5, 0.0)]).unwrap();
        for config in configurations() {
            for span in [0..rows, rows / 2..rows, rows - 1..rows] {
                compare_crosses(&bars, &config, &span, &pairs(Direction::LongShort));
            }
        }
    }
}

#[test]
fn means_are_the_exact_quotient_whatever_came_before() {
    let bars = random_bars(3000, 3);
    let close = bars.symbols()[0].close();
    let sums = RunningSums::new(close);
    for period in [1, 2, 3, 7, 60, 1000, 2999] {
        let mut means = vec![0.0; close.len()];
        sums.means(period, 0, &mut means);
        let later = RunningSums::new(&close[500..]);
        for (row, mean) in means.iter().enumerate() {
            if row + 1 < period {
                assert!(mean.is_nan());
                continue;
            }
            assert_eq!(mean.to_bits(), (sums.sum(period, row) / period as f64).to_bits());
            if row + 1 >= 500 + period {
                assert_eq!(sums.sum(period, row).to_bits(), later.sum(period, row - 500).to_bits());
            }
        }
    }
}

pub(super) fn same(left: &BatchOutcome, right: &BatchOutcome) {
    assert_eq!(left.figures, right.figures);
    assert_eq!(left.returns.values(), right.returns.values());
}

#[test]
fn neither_instructions_nor_threads_change_a_bit() {
    let bars = Bars::new(vec![random_symbol("ALPHA", 5000, 9, 0.0)]).unwrap();
    let pairs: Vec<SmaCross> = (1..30)
        .flat_map(|fast| (30..60).map(move |slow| (fast, slow)))
        .map(|(fast, slow)| SmaCross {
            fast,
            slow,
            direction: if fast % 2 == 0 { Direction::LongOnly } else { Direction::LongShort },
        })
        .collect();
    for config in [&configurations()[1], &configurations()[4]] {
        let run = |instructions, threads| {
            let request = BatchRequest { instructions, ..request(&bars, config, 100..5000) };
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| run_batch(&request, Signals::SmaCross(&pairs), &Silent)).unwrap()
        };
        let expected = run(Instructions::Portable, 1);
        for instructions in [Instructions::Portable, Instructions::Avx2, Instructions::Avx512] {
            for threads in [1, 2, 5] {
                same(&run(instructions, threads), &expected);
            }
        }
    }
}

/// Orders of any size that come about every tenth bar; the first books hold a short or a long from the start.
pub(super) fn random_orders(bars: &Bars, book: usize) -> Positions {
    let mut stream = Seed(book as u64).stream("orders", 0);
    let column = |rows: usize| {
        let mut column: Vec<f64> = (0..rows)
            .map(|_| match stream.uniform() {
                draw if draw < 0.05 => (2.0 * stream.uniform() - 1.0).round(),
                draw if draw < 0.1 => 2.0 * stream.uniform() - 1.0,
                _ => NULL,
            })
            .collect();
        if book < 4 {
            column.fill(NULL);
            column[0] = if book.is_multiple_of(2) { -1.0 } else { 1.0 };
        }
        column
    };
    let targets = bars.symbols().iter().map(|symbol| symbol.len()).map(column).collect();
    Positions::orders(bars, targets).unwrap()
}

pub(super) fn exit_settings() -> Vec<Exits> {
    let percent = |value: f64| Some(value);
    let best = Intrabar::BestFirst;
    vec![
        Exits::default(),
        Exits { stop_loss_percent: percent(2.0), ..Exits::default() },
        Exits { take_profit_percent: percent(1.5), ..Exits::default() },
        Exits { trailing_stop_percent: percent(3.0), ..Exits::default() },
        Exits { trailing_stop_percent: percent(0.5), ..Exits::default() },
        Exits { max_bars: Some(7), ..Exits::default() },
        Exits {
            stop_loss_percent: percent(1.0),
            take_profit_percent: percent(1.0),
            intrabar: best,
            ..Exits::default()
        },
        Exits {
            stop_loss_percent: percent(4.0),
            take_profit_percent: percent(6.0),
            trailing_stop_percent: percent(5.0),
            max_bars: Some(40),
            ..Exits::default()
        },
    ]
}

fn compare_decided(bars: &Bars, config: &BacktestConfig, span: &Range<usize>) -> usize {
    let span = listed(bars, 0, span);
    let books = 6;
    let decide = |book: usize| Ok(random_orders(bars, book));
    let signals = Signals::Decided { books, decide: &decide };
    let found = run_batch(&request(bars, config, span.clone()), signals, &Silent).unwrap();
    for number in 0..books {
        let book = ledger(bars, 0, random_orders(bars, number), config, &span);
        let what = format!("orders {number} over {span:?}, {config:?}");
        assert_same_book(&found.figures[number], found.returns.book(number), &book, &what);
    }
    found.figures.iter().filter(|book| book.bankrupt).count()
}

#[test]
fn any_orders_with_any_exits_are_those_of_the_ledger_to_the_bit() {
    for seed in 0..4 {
        let rows = [1023, 1025, 1500, 3100][seed as usize];
        let bars = Bars::new(vec![wide_symbol("ALPHA", rows, seed, 0.0)]).unwrap();
        for config in configurations() {
            for exits in exit_settings() {
                let config = BacktestConfig { exits, ..config.clone() };
                for span in [0..rows, 1..rows, 65..rows - 3] {
                    compare_decided(&bars, &config, &span);
                }
            }
        }
    }
}

/// A price that rises without end ruins whoever is short.
#[test]
fn books_that_lose_everything_are_closed_as_in_the_ledger() {
    let rows = 2500;
    let close: Vec<f64> =
        (0..rows).map(|row| 100.0 * (0.002 * row as f64 + 0.01 * (row as f64).sin()).exp()).collect();
    let mut open = close.clone();
    open.rotate_right(1);
    open[0] = 100.0;
    let times = (0..rows as i64).map(|row| row * HOUR).collect();
    let bars = Bars::new(vec![symbol("ALPHA", times, open, close)]).unwrap();
    let mut bankrupt = 0;
    for config in configurations() {
        for span in [0..rows, 1..rows, 65..rows - 3] {
            bankrupt += compare_decided(&bars, &config, &span);
            compare_crosses(&bars, &config, &span, &pairs(Direction::LongShort));
        }
    }
    assert!(bankrupt > 20, "only {bankrupt} books lost everything");
}

#[test]
fn orders_mind_gaps_and_short_histories() {
    for seed in 0..3 {
        let mut symbols = wide_bars(900, seed).symbols().to_vec();
        symbols.reverse();
        let bars = Bars::new(symbols).unwrap();
        for config in configurations() {
            for exits in exit_settings() {
                compare_decided(&bars, &BacktestConfig { exits, ..config.clone() }, &(5..890));
            }
        }
    }
    for rows in [1, 2, 7, 8, 9, 63, 64, 65] {
        let bars = Bars::new(vec![wide_symbol("ALPHA", rows, 5, 0.0)]).unwrap();
        for exits in exit_settings() {
            for span in [0..rows, rows / 2..rows, rows - 1..rows] {
                compare_decided(
                    &bars,
                    &BacktestConfig { exits: exits.clone(), ..configurations()[1].clone() },
                    &span,
                );
            }
        }
    }
}

#[test]
fn crosses_may_differ_in_their_exits() {
    let bars = Bars::new(vec![wide_symbol("ALPHA", 3000, 11, 0.0)]).unwrap();
    let exits = exit_settings();
    let pair = SmaCross { fast: 5, slow: 40, direction: Direction::LongShort };
    let pairs = vec![pair.clone(); exits.len()];
    for config in configurations() {
        let request = BatchRequest { exits: &exits, ..request(&bars, &config, 10..3000) };
        let found = run_batch(&request, Signals::SmaCross(&pairs), &Silent).unwrap();
        for (number, exits) in exits.iter().enumerate() {
            let config = BacktestConfig { exits: exits.clone(), ..config.clone() };
            let book = ledger(&bars, 0, decide(&bars, &pair), &config, &(10..3000));
            assert_same_book(
                &found.figures[number],
                found.returns.book(number),
                &book,
                &format!("{config:?}"),
            );
        }
    }
}

/// One unit, no costs: the plainest loop there is.
#[test]
fn funding_and_borrowing_are_paid_at_the_close_of_each_bar() {
    let bars = Bars::new(vec![wide_symbol("ALPHA", 2500, 2, 0.0)]).unwrap();
    let symbol = &bars.symbols()[0];
    let config = BacktestConfig { sizing: Sizing::Fixed { quantity: 1.0 }, ..BacktestConfig::default() };
    let funding: Vec<f64> = (0..2500).map(|row| if row % 8 == 3 { 1e-4 } else { 0.0 }).collect();
    let borrow = vec![1e-6; 2500];
    for borrow in [&borrow[..], &[]] {
        let request = BatchRequest { funding: &funding, borrow, ..request(&bars, &config, 0..2500) };
        let decide = |book: usize| Ok(random_orders(&bars, book));
        let found = run_batch(&request, Signals::Decided { books: 6, decide: &decide }, &Silent).unwrap();
        for (number, figures) in found.figures.iter().enumerate() {
            let orders = random_orders(&bars, number);
            let (mut cash, mut held, mut pending) = (config.cash, 0.0, NULL);
            for row in 0..2500 {
                if !pending.is_nan() {
                    let change = if held * pending < 0.0 { -held + pending } else { pending - held };
                    cash -= change * symbol.open()[row];
                    held += change;
                }
                let worth = held * symbol.close()[row];
                cash -= worth * funding[row];
                if held < 0.0 && !borrow.is_empty() {
                    cash -= worth.abs() * borrow[row];
                }
                pending = orders.targets(0)[row];
            }
            let last = cash + held * symbol.close()[2499];
            assert_eq!(figures.final_equity.to_bits(), last.to_bits(), "book {number}");
        }
    }
}

#[test]
fn what_the_batch_cannot_do_is_refused() {
    let bars = random_bars(50, 1);
    let shared = BacktestConfig::default();
    assert!(supports(&bars, &shared).unwrap_err().contains("3 symbols share"));
    let each = BacktestConfig { books: Books::PerSymbol, ..BacktestConfig::default() };
    assert_eq!(supports(&bars, &each), Ok(()));
    let volatility = Sizing::VolatilityTarget { annual: 0.2, lookback_bars: 20, max_leverage: 1.0 };
    let config = BacktestConfig { sizing: volatility, ..each.clone() };
    assert!(supports(&bars, &config).unwrap_err().contains("more than the target"));
    let decide = |_: usize| Err("no such book".to_owned());
    let failed =
        run_batch(&request(&bars, &each, 0..50), Signals::Decided { books: 3, decide: &decide }, &Silent);
    assert_eq!(failed.unwrap_err(), "no such book");
}

/// Figures of vectorbt 1.2.0 and of a plain loop, `tests/reference/batch_sma_cross.py`.
#[test]
fn four_books_of_a_grid_are_those_of_vectorbt() {
    let Some(data) = shared("reference/ref_50k.parquet") else { return };
    let mut table = columns(&data, &["open", "high", "low", "close", "volume"]).into_iter();
    let mut next = || table.next().unwrap();
    let (open, high, low, close, volume) = (next(), next(), next(), next(), next());
    let time = (0..close.len() as i64).map(|row| Time(row * HOUR / 60)).collect();
    let columns = BarColumns { time, open, high, low, close, volume };
    let bars = Bars::new(vec![SymbolBars::new("REF", columns).unwrap()]).unwrap();
    let reference: serde_json::Value =
        serde_json::from_str(include_str!("reference/batch_sma_cross.json")).unwrap();
    let cross = |(fast, slow)| SmaCross { fast, slow, direction: Direction::LongOnly };
    let pairs = [(10, 150), (20, 250), (50, 450), (100, 1050)].map(cross);
    let costs = vec![CostConfig::Proportional(Proportional { fee_bps: 10.0 })];
    let config = BacktestConfig { costs, ..BacktestConfig::default() };
    let found = run_batch(&request(&bars, &config, 0..50_000), Signals::SmaCross(&pairs), &Silent).unwrap();
    for (pair, figures) in pairs.iter().zip(&found.figures) {
        let expected = &reference[format!("{},{}", pair.fast, pair.slow)];
        for (name, found) in [
            ("total_return", figures.total_return()),
            ("sharpe", figures.sharpe(525_600.0).unwrap()),
            ("max_drawdown", figures.max_drawdown),
            ("fills", figures.fills as f64),
        ] {
            let expected = expected[name].as_f64().unwrap();
            let error = (found / expected - 1.0).abs();
            assert!(error <= 1e-10, "{pair:?} {name}: found {found}, expected {expected}");
        }
    }
}
