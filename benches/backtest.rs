//! Books and intervals on one CPU. `cargo bench --bench backtest`.

use candlewick::domains::market::backtest::costs::proportional::Proportional;
use candlewick::domains::market::backtest::{BacktestConfig, CostConfig, run_books};
use candlewick::domains::market::strategies::{Strategy, World, sma_cross::SmaCross};
use candlewick::metrics::{sharpe_difference, sharpe_interval, trading_metrics};
use candlewick::progress::Silent;
use candlewick::seed::Seed;
use candlewick::table::{BarColumns, Bars, Positions, Predictions, SymbolBars};
use candlewick::units::Time;
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;

const BARS: usize = 100_000;

fn market() -> Bars {
    let mut stream = Seed(1).stream("prices", 0);
    let mut price = 100.0;
    let mut columns = BarColumns::default();
    for row in 0..BARS {
        let open = price;
        price *= (0.001 * stream.normal()).exp();
        columns.time.push(Time(row as i64 * 60_000_000_000));
        columns.open.push(open);
        columns.close.push(price);
        columns.high.push(open.max(price));
        columns.low.push(open.min(price));
        columns.volume.push(1.0);
    }
    SymbolBars::new("ALPHA", columns).and_then(|bars| Bars::new(vec![bars])).expect("made to be valid")
}

fn books(bars: &Bars, count: usize) -> Vec<(String, Positions)> {
    let predictions = Predictions::default();
    let world =
        World { bars, predictions: &predictions, span: 0..BARS, seed: Seed(1), reference: None, book: 0 };
    let book = |number: usize| {
        let strategy = SmaCross { fast: 10 + number, slow: 100, ..SmaCross::default() };
        let positions = strategy.decide(&world).expect("settings are valid");
        (format!("sma {number}"), positions)
    };
    (0..count).map(book).collect()
}

fn backtest_cpu(criterion: &mut Criterion) {
    let bars = market();
    let config = BacktestConfig {
        costs: vec![CostConfig::Proportional(Proportional { fee_bps: 10.0 })],
        ..BacktestConfig::default()
    };
    for count in [1, 10] {
        let books = books(&bars, count);
        criterion.bench_function(&format!("cpu: {count} books of {BARS} bars"), |bencher| {
            bencher.iter(|| run_books(&bars, black_box(&books), &config, 0..BARS, &Silent));
        });
    }
    let result = run_books(&bars, &books(&bars, 1), &config, 0..BARS, &Silent).remove(0);
    criterion.bench_function(&format!("cpu: metrics of {BARS} bars"), |bencher| {
        bencher.iter(|| trading_metrics(black_box(&result), 525_600.0));
    });
    let mut stream = Seed(1).stream("returns", 0);
    let mut series = || -> Vec<f64> { (0..8000).map(|_| 0.01 * stream.normal()).collect() };
    let (model, baseline) = (series(), series());
    criterion.bench_function("cpu: Sharpe interval of 8000 returns", |bencher| {
        bencher.iter(|| sharpe_interval(black_box(&model), 8760.0, Seed(1)));
    });
    criterion.bench_function("cpu: Sharpe difference of 8000 returns", |bencher| {
        bencher.iter(|| sharpe_difference(black_box(&model), &baseline, 8760.0, Seed(1)));
    });
}

criterion_group!(benches, backtest_cpu);
criterion_main!(benches);
