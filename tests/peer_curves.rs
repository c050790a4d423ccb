//! Every bar of an equity curve against two other engines, where conventions coincide. `tests/reference/peer_curves.py` made
//! the numbers with vectorbt 1.2.0 and bt 1.4.1.

use super::markets::HOUR;
use candlewick::domains::market::backtest::costs::proportional::Proportional;
use candlewick::domains::market::backtest::{BacktestConfig, CostConfig, FillTime, Sizing, run_book};
use candlewick::domains::market::strategies::{Strategy, World, sma_cross::SmaCross};
use candlewick::seed::Seed;
use candlewick::table::{BarColumns, Bars, Predictions, SymbolBars};
use candlewick::units::Time;

/// The columns of a table of numbers under a line of names.
fn columns(text: &str) -> Vec<(String, Vec<f64>)> {
    let mut lines = text.lines();
    let mut columns: Vec<(String, Vec<f64>)> =
        lines.next().unwrap().split(',').map(|name| (name.to_owned(), Vec::new())).collect();
    for line in lines {
        for (value, (_, column)) in line.split(',').zip(&mut columns) {
            column.push(value.parse().unwrap());
        }
    }
    columns
}

fn bars() -> Bars {
    let [open, high, low, close] =
        <[_; 4]>::try_from(columns(include_str!("reference/peer_bars.csv"))).unwrap();
    let time = (0..open.1.len() as i64).map(|row| Time(row * 24 * HOUR)).collect();
    let volume = vec![1.0; open.1.len()];
    let columns = BarColumns { time, open: open.1, high: high.1, low: low.1, close: close.1, volume };
    Bars::new(vec![SymbolBars::new("A", columns).unwrap()]).unwrap()
}

#[test]
fn every_bar_equals_vectorbt_and_bt() {
    let bars = bars();
    let rows = bars.timeline().times().len();
    let predictions = Predictions::default();
    let world = World {
        bars: &bars,
        predictions: &predictions,
        span: 0..rows,
        seed: Seed(1),
        reference: None,
        book: 0,
    };
    let positions = SmaCross { fast: 5, slow: 20, ..SmaCross::default() }.decide(&world).unwrap();
    let curves = columns(include_str!("reference/peer_curves.csv"));
    assert_eq!(curves.len(), 5);
    for (name, expected) in curves {
        let words: Vec<&str> = name.split(' ').collect();
        let config = BacktestConfig {
            fill: if words[1] == "next_open" { FillTime::NextOpen } else { FillTime::SameClose },
            sizing: if words[2] == "all_in" { Sizing::AllIn {} } else { Sizing::Fixed { quantity: 1.0 } },
            costs: vec![CostConfig::Proportional(Proportional { fee_bps: 10.0 })],
            ..BacktestConfig::default()
        };
        let book = run_book(&bars, &positions, "sma", &config, 0..rows);
        assert!(book.fills.len() >= 75, "{name}: {} fills", book.fills.len());
        assert_eq!(book.equity.equity.len(), expected.len());
        for (row, (found, expected)) in book.equity.equity.iter().zip(&expected).enumerate() {
            assert!(
                (found - expected).abs() <= 1e-12 * expected,
                "{name}, row {row}: {found} and {expected}"
            );
        }
    }
}
