//! Generated markets: what is planted is there, what is not planted is not.

use candlewick::data::{MarketGenerator, PlantedSignal, fingerprint};
use candlewick::table::Bars;
use candlewick::units::Time;

fn market(seed: u64, information_coefficient: f64, horizon_bars: usize) -> MarketGenerator {
    MarketGenerator {
        symbols: 4,
        bars: 12_000,
        interval: "1h".parse().unwrap(),
        seed,
        information_coefficient,
        horizon_bars,
        start: Time::parse("2022-01-01").unwrap(),
        gaps: 0.0,
        listing_delay_bars: 0,
    }
}

fn correlation(left: &[f64], right: &[f64]) -> f64 {
    let count = left.len() as f64;
    let mean = |values: &[f64]| values.iter().sum::<f64>() / count;
    let (x, y) = (mean(left), mean(right));
    let sum = |value: &dyn Fn(usize) -> f64| (0..left.len()).map(value).sum::<f64>();
    let covariance = sum(&|i| (left[i] - x) * (right[i] - y));
    covariance / (sum(&|i| (left[i] - x).powi(2)) * sum(&|i| (right[i] - y).powi(2))).sqrt()
}

fn log_returns(close: &[f64]) -> Vec<f64> {
    close.windows(2).map(|pair| (pair[1] / pair[0]).ln()).collect()
}

/// The correlation, over all symbols and rows, of the planted signal with the log return over the next bars.
fn measured(bars: &Bars, horizon: usize) -> f64 {
    let planted = PlantedSignal::solve(0.0, horizon).unwrap();
    let (mut signals, mut futures) = (Vec::new(), Vec::new());
    for symbol in bars.symbols() {
        let close = symbol.close();
        let signal = planted.signal(close);
        for row in horizon..close.len() - horizon {
            signals.push(signal[row]);
            futures.push((close[row + horizon] / close[row]).ln());
        }
    }
    correlation(&signals, &futures)
}

/// The mean over seeds must lie within 3 standard errors of what was asked; the standard error comes from the seeds
/// themselves and must be small enough for the comparison to mean something.
#[test]
fn the_planted_information_coefficient_is_the_asked_one() {
    for (asked, horizon) in [(0.0, 4), (0.05, 4), (0.08, 6), (0.12, 1), (-0.06, 3)] {
        let found: Vec<f64> = (0..10)
            .map(|seed| measured(&market(seed, asked, horizon).generate().unwrap(), horizon))
            .collect();
        let mean = found.iter().sum::<f64>() / 10.0;
        let deviation = (found.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 9.0).sqrt();
        let error = deviation / 10.0_f64.sqrt();
        assert!(error < 0.008, "asked {asked} at {horizon}: the standard error {error} is too large to tell");
        assert!((mean - asked).abs() < 3.0 * error, "asked {asked} at {horizon}: found {mean} +- {error}");
    }
}

/// A noise market: no autocorrelation of returns, no reversal at any horizon, and no drift of the price, over seeds.
#[test]
fn a_market_without_signal_has_nothing_to_find() {
    let worlds: Vec<Bars> = (100..116).map(|seed| market(seed, 0.0, 4).generate().unwrap()).collect();
    let significance = |name: &str, values: Vec<f64>| {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let deviation =
            (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (count - 1.0)).sqrt();
        let t = mean / (deviation / count.sqrt());
        assert!(t.abs() < 3.5, "{name}: mean {mean}, t {t}");
    };
    for lag in [1, 2, 5, 24] {
        let values = worlds.iter().map(|bars| {
            let returns = log_returns(bars.symbols()[0].close());
            correlation(&returns[..returns.len() - lag], &returns[lag..])
        });
        significance(&format!("autocorrelation at lag {lag}"), values.collect());
    }
    for horizon in [1, 4, 12] {
        significance("information coefficient", worlds.iter().map(|bars| measured(bars, horizon)).collect());
    }
    // The mean simple return in units of its standard error: what a holder would earn.
    let holder = worlds.iter().map(|bars| {
        let returns: Vec<f64> =
            bars.symbols()[0].close().windows(2).map(|pair| pair[1] / pair[0] - 1.0).collect();
        let mean = returns.iter().sum::<f64>() / returns.len() as f64;
        mean / (returns.iter().map(|value| value * value).sum::<f64>() / returns.len() as f64).sqrt()
    });
    significance("drift", holder.collect());
    // From the close to the next open nothing is known about the rest of that bar, either.
    let inside = worlds.iter().map(|bars| {
        let symbol = &bars.symbols()[1];
        let gap: Vec<f64> =
            (1..symbol.len()).map(|row| (symbol.open()[row] / symbol.close()[row - 1]).ln()).collect();
        let rest: Vec<f64> =
            (1..symbol.len()).map(|row| (symbol.close()[row] / symbol.open()[row]).ln()).collect();
        correlation(&gap, &rest)
    });
    significance("open against the rest of the bar", inside.collect());
}

#[test]
fn it_has_the_manners_of_markets() {
    let bars = market(3, 0.05, 4).generate().unwrap();
    for symbol in bars.symbols() {
        let returns = log_returns(symbol.close());
        let second = returns.iter().map(|value| value.powi(2)).sum::<f64>() / returns.len() as f64;
        let fourth = returns.iter().map(|value| value.powi(4)).sum::<f64>() / returns.len() as f64;
        assert!(
            fourth / second.powi(2) > 4.0,
            "{} has thin tails: {}",
            symbol.symbol(),
            fourth / second.powi(2)
        );
        let sizes: Vec<f64> = returns.iter().map(|value| value.abs()).collect();
        for lag in [1, 10, 50] {
            let clustering = correlation(&sizes[..sizes.len() - lag], &sizes[lag..]);
            assert!(
                clustering > 0.05,
                "{}: volatility does not cluster at {lag}: {clustering}",
                symbol.symbol()
            );
        }
        let volume = correlation(&sizes, &symbol.volume()[1..]);
        assert!(volume > 0.2, "{}: volume does not follow volatility: {volume}", symbol.symbol());
    }
    let first = log_returns(bars.symbols()[0].close());
    for other in &bars.symbols()[1..] {
        let together = correlation(&first, &log_returns(other.close()));
        assert!((0.2..0.95).contains(&together), "{together}");
    }
}

#[test]
fn one_seed_gives_one_market_in_the_same_bytes() {
    let folder = tempfile::tempdir().unwrap();
    let bytes = |seed: u64, name: &str| {
        let path = folder.path().join(name);
        let metadata =
            MarketGenerator { bars: 500, ..market(seed, 0.05, 4) }.write(&path, "command").unwrap();
        let loaded =
            candlewick::data::load(&candlewick::data::DataConfig::of(path.display().to_string())).unwrap();
        assert_eq!(metadata.sha256, loaded.sha256, "what is written is what is loaded");
        assert!(loaded.warnings.is_empty() && loaded.repairs.is_empty());
        std::fs::read(path).unwrap()
    };
    assert!(bytes(5, "a.parquet") == bytes(5, "b.parquet"));
    assert!(bytes(5, "a.parquet") != bytes(6, "c.parquet"));
}

#[test]
fn gaps_and_listings_are_as_asked() {
    let settings = MarketGenerator { gaps: 0.1, listing_delay_bars: 1000, ..market(11, 0.0, 4) };
    let bars = settings.generate().unwrap();
    for symbol in bars.symbols() {
        let hours = (symbol.time()[symbol.len() - 1].0 - symbol.time()[0].0) / 3_600_000_000_000 + 1;
        let missing = 1.0 - symbol.len() as f64 / hours as f64;
        assert!((missing - 0.1).abs() < 0.02, "{missing}");
    }
    let mut starts: Vec<i64> = bars.symbols().iter().map(|symbol| symbol.time()[0].0).collect();
    starts.sort_unstable();
    assert!(starts.windows(2).all(|pair| pair[1] - pair[0] == 1000 * 3_600_000_000_000));
    // A later listing leaves the others as they were.
    let alone = MarketGenerator { symbols: 1, ..settings }.generate().unwrap();
    let same = bars.symbols().iter().find(|symbol| symbol.symbol() == "ALPHA").unwrap();
    assert_eq!(alone.symbols()[0].close(), same.close());
    assert_ne!(fingerprint(&alone), fingerprint(&bars));
}

#[test]
fn impossible_settings_are_refused_with_the_possible_ones() {
    let refused = |settings: MarketGenerator| settings.generate().unwrap_err().to_string();
    let text = refused(market(1, 0.9, 4));
    assert!(text.contains("information-coefficient") && text.contains("choose a number from"), "{text}");
    assert!(refused(market(1, f64::NAN, 4)).contains("information-coefficient"));
    assert!(refused(market(1, 0.0, 0)).contains("horizon-bars"));
    assert!(refused(MarketGenerator { symbols: 0, ..market(1, 0.0, 4) }).contains("symbols"));
    assert!(refused(MarketGenerator { bars: 3, ..market(1, 0.0, 4) }).contains("bars"));
    assert!(refused(MarketGenerator { bars: 50_000_000_000, ..market(1, 0.0, 4) }).contains("2262"));
    assert!(refused(MarketGenerator { gaps: f64::NAN, ..market(1, 0.0, 4) }).contains("gaps"));
    assert!(refused(MarketGenerator { listing_delay_bars: 9_000, ..market(1, 0.0, 4) }).contains("listing"));
}
