//! Figures of long books and of very many. `cargo bench --bench significance`.

use candlewick::metrics::{
    TradingMetrics, equity_curve, headline_intervals, overfitting_probability, selection_figures,
    sharpe_difference_test, superior_ability,
};
use candlewick::seed::Seed;
use candlewick::table::ReturnMatrix;
use criterion::{Criterion, criterion_group, criterion_main};
use std::hint::black_box;

const BOOKS: usize = 10_000;
const PERIODS: usize = 1260;

fn returns(count: usize) -> Vec<f64> {
    let mut stream = Seed(1).stream("returns", 0);
    (0..count).map(|_| 0.001 * (stream.uniform() - 0.5)).collect()
}

fn long_books(criterion: &mut Criterion) {
    for bars in [100_000, 1_000_000] {
        let both = returns(2 * bars);
        let (returns, other) = (both[..bars].to_vec(), both[bars..].to_vec());
        criterion.bench_function(&format!("cpu: headline intervals of {bars} bars"), |bencher| {
            bencher.iter(|| headline_intervals(black_box(&returns), 525_600.0, Seed(1)));
        });
        criterion.bench_function(&format!("cpu: Sharpe difference test of {bars} bars"), |bencher| {
            bencher.iter(|| sharpe_difference_test(black_box(&returns), &other));
        });
    }
    for bars in [100_000, 10_000_000] {
        let mut value = 1e5;
        let follow = returns(bars).into_iter().map(|change| {
            value *= 1.0 + change;
            value
        });
        let equity: Vec<f64> = follow.collect();
        criterion.bench_function(&format!("cpu: figures of an equity curve of {bars} bars"), |bencher| {
            bencher.iter(|| {
                let mut metrics = TradingMetrics::default();
                let curve = equity_curve(black_box(&equity), 1e5).expect("there are rows");
                metrics.set_curve(&curve, 525_600.0);
                metrics
            });
        });
    }
}

fn many_books(criterion: &mut Criterion) {
    let mut stream = Seed(2).stream("books", 0);
    let values = (0..BOOKS * PERIODS).map(|_| (0.02 * (stream.uniform() - 0.5)) as f32).collect();
    let books = ReturnMatrix::new(PERIODS, values).expect("whole rows");
    let what = format!("{BOOKS} books of {PERIODS} periods");
    criterion.bench_function(&format!("cpu: overfitting of {what}"), |bencher| {
        bencher.iter(|| overfitting_probability(black_box(&books)));
    });
    criterion.bench_function(&format!("cpu: superior ability of {what}"), |bencher| {
        bencher.iter(|| superior_ability(black_box(&books), None, None, Seed(1)));
    });
    criterion.bench_function(&format!("cpu: all figures of selection of {what}"), |bencher| {
        bencher.iter(|| selection_figures(black_box(&books), None, Seed(1)));
    });
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(10);
    targets = long_books, many_books
}
criterion_main!(benches);
