//! Batches of given orders on any threads and instructions, batches of nothing, and books without a curve.

use super::batch::{configurations, exit_settings, pairs, random_orders, request, same};
use super::markets::{random_symbol, wide_symbol};
use candlewick::domains::market::backtest::{
    BacktestConfig, BatchRequest, Signals, run_batch, run_compact, run_one,
};
use candlewick::domains::market::strategies::Direction;
use candlewick::kernels::instructions::Instructions;
use candlewick::metrics::{compact_metrics, equity_curve_by, trading_metrics};
use candlewick::progress::Silent;
use candlewick::table::{Bars, BookFigures};

#[test]
fn neither_instructions_nor_threads_change_a_bit_of_given_orders() {
    let rows = 3000;
    let bars = Bars::new(vec![wide_symbol("ALPHA", rows, 5, 0.0)]).unwrap();
    let funding: Vec<f64> = (0..rows).map(|row| if row % 48 == 47 { 1e-4 } else { 0.0 }).collect();
    let books = 41;
    for (exits, funding) in exit_settings().into_iter().zip([&[][..], &funding].into_iter().cycle()) {
        let config = BacktestConfig { exits, ..configurations()[1].clone() };
        let run = |instructions, threads| {
            let request = BatchRequest { instructions, funding, ..request(&bars, &config, 100..rows) };
            let decide = |book: usize| Ok(random_orders(&bars, book));
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| run_batch(&request, Signals::Decided { books, decide: &decide }, &Silent))
                .unwrap()
        };
        let expected = run(Instructions::Portable, 1);
        assert!(expected.figures.iter().all(|book| book.fills > 0));
        for instructions in [Instructions::Portable, Instructions::Avx2, Instructions::Avx512] {
            for threads in 1..8 {
                same(&run(instructions, threads), &expected);
            }
        }
    }
}

#[test]
fn no_books_and_no_bars_give_empty_outcomes() {
    let bars = Bars::new(vec![wide_symbol("ALPHA", 200, 5, 0.0)]).unwrap();
    let decide = |book: usize| Ok(random_orders(&bars, book));
    let two = pairs(Direction::LongShort)[..2].to_vec();
    for config in configurations() {
        for span in [0..0, 70..70, 200..200, 0..200] {
            let request = request(&bars, &config, span.clone());
            for signals in [Signals::SmaCross(&[]), Signals::Decided { books: 0, decide: &decide }] {
                let found = run_batch(&request, signals, &Silent).unwrap();
                assert!(found.figures.is_empty() && found.returns.values().is_empty());
            }
            for signals in [Signals::SmaCross(&two), Signals::Decided { books: 2, decide: &decide }] {
                let found = run_batch(&request, signals, &Silent).unwrap();
                assert_eq!(found.figures.len(), 2);
                assert!(found.figures.iter().all(|book| book.bars == span.len()));
                if span.is_empty() {
                    let untouched = |book: &BookFigures| {
                        book.final_equity == config.cash && book.fills == 0 && book.max_drawdown == 0.0
                    };
                    assert!(found.figures.iter().all(untouched));
                    assert!(found.returns.values().is_empty());
                }
            }
        }
    }
}

#[test]
fn a_book_without_its_curve_has_all_figures_of_the_ledger_to_the_bit() {
    for (rows, seed) in [(1, 1), (2, 2), (1023, 3), (1025, 4), (70_000, 5)] {
        let bars = Bars::new(vec![wide_symbol("ALPHA", rows, seed, 0.0)]).unwrap();
        for config in configurations() {
            for exits in exit_settings() {
                let config = BacktestConfig { exits, ..config.clone() };
                for (book, span) in [(0, 0..rows), (1, rows / 3..rows), (5, 0..rows + 7)] {
                    let orders = random_orders(&bars, book);
                    let whole = run_one(&bars, ("book", &orders), &config, span.clone(), None);
                    let compact = run_compact(&bars, &orders, &config, span, None).unwrap();
                    assert_eq!(compact.fills, whole.fills);
                    assert_eq!(compact.bankrupt_at, whole.bankrupt_at);
                    let (found, expected) =
                        (compact_metrics(&compact, 8760.0), trading_metrics(&whole, 8760.0));
                    assert_eq!(found, expected);
                }
            }
        }
    }
}

#[test]
fn a_book_that_has_no_bar_at_some_step_needs_its_curve() {
    let bars =
        Bars::new(vec![random_symbol("ALPHA", 300, 1, 0.0), random_symbol("BETA", 300, 2, 0.2)]).unwrap();
    let (orders, config) = (random_orders(&bars, 5), BacktestConfig::default());
    assert!(run_compact(&bars, &orders, &config, 0..300, None).is_none());
    assert!(run_compact(&bars, &orders, &config, 0..300, Some(1)).is_none());
}

#[test]
fn instructions_change_no_bit_of_the_figures_of_a_curve() {
    for rows in [1, 2, 9, 1023, 1025, 70_003] {
        let symbol = wide_symbol("ALPHA", rows, 8, 0.0);
        let curve = |instructions| equity_curve_by(symbol.close(), 90.0, instructions).unwrap();
        let expected = curve(Instructions::Portable);
        assert_eq!(expected.rows, rows);
        for instructions in [Instructions::Avx2, Instructions::Avx512] {
            assert_eq!(curve(instructions), expected);
        }
    }
}
