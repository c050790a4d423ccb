//! Features as bars arrive: the same bits as over the whole history, for everything in the registry.

use crate::causality::{indicators, random_bars};
use candlewick::domains::market::indicators::{Bar, IndicatorConfig, RunningFeatures, compute};
use candlewick::table::Bars;

/// Feeds the bars moment by moment; `[symbol][row][feature]`, and the most bars that were remembered at any moment.
fn fed(features: &[IndicatorConfig], bars: &Bars) -> (Vec<Vec<Vec<f64>>>, usize) {
    let mut running = RunningFeatures::new(features, bars).unwrap();
    let mut rows = vec![Vec::new(); bars.symbols().len()];
    let mut most = 0;
    for time in bars.timeline().times() {
        let bar = |symbol: &candlewick::table::SymbolBars| {
            symbol.time().binary_search(time).ok().map(|row| Bar::of(symbol, row))
        };
        let moment: Vec<Option<Bar>> = bars.symbols().iter().map(bar).collect();
        for (rows, values) in rows.iter_mut().zip(running.next(&moment).unwrap()) {
            rows.extend(values);
        }
        most = most.max(running.remembered());
    }
    (rows, most)
}

#[test]
fn every_indicator_gives_the_same_bits_bar_by_bar() {
    for seed in 0..3 {
        let bars = random_bars(seed, 600);
        for config in indicators() {
            let config = [config];
            let (batch, (rows, most)) = (compute(&config, &bars).unwrap(), fed(&config, &bars));
            for (symbol, rows) in rows.iter().enumerate() {
                assert_eq!(rows.len(), batch.rows(symbol));
                for (feature, name) in batch.names().iter().enumerate() {
                    let expected: Vec<u64> =
                        batch.column(symbol, feature).iter().map(|value| value.to_bits()).collect();
                    let found: Vec<u64> = rows.iter().map(|row| row[feature].to_bits()).collect();
                    assert_eq!(found, expected, "{name} of symbol {symbol}, seed {seed}");
                }
            }
            // Three symbols; no window here is longer than 60 rows in blocks of 60, and twice that may be kept.
            assert!(most <= 3 * 2 * (60 + 60), "{config:?} remembers {most} bars");
        }
    }
}

#[test]
fn a_bar_that_is_not_later_is_refused() {
    let bars = random_bars(1, 50);
    let features = [IndicatorConfig::Bollinger(Default::default())];
    let mut running = RunningFeatures::new(&features, &bars).unwrap();
    let bar = || Some(Bar::of(&bars.symbols()[0], 3));
    running.next(&[bar(), None, None]).unwrap();
    let error = running.next(&[bar(), None, None]).unwrap_err();
    assert!(error.contains("expected strictly rising times"), "{error}");
}
