//! The generator of Aegis Protocol's ml-sentinel, for comparison: healthy rows, then one crash at the end.
//!
//! With `t` from 0 to 1 over the last 100 rows and `U`, `N` for uniform and normal numbers:
//!
//! - healthy: `blr = max(N(1.2, 0.15^2), 0.8)`, `sell = 5000 U(0.8, 1.2)`, `price = clip(3000 + sum of N(0, 10^2), 2700, 3300)`;
//! - crash: `blr = clip(1.2 - 0.85 (1 - exp(-3 t)) + N(0, 0.02^2), 0.2, 1.5)`, `sell = 5000 (1 + 2 (1 - blr))`,
//!   `price = 3000 - 450 t + N(0, 5^2)`;
//! - both: `buy = blr sell`.
//!
//! The price rests on its bounds and jumps where the crash begins, the noise of `sell` vanishes there, and there is only
//! one crash, so a model that finds it has shown little.

use super::depth_book::{Book, rounded};
use super::depth_crashes::Made;
use super::metadata::PlantedCrash;
use crate::seed::Seed;
use crate::units::Time;

/// Rows of the crash.
pub(super) const CRASH_ROWS: usize = 100;

/// Rows for these times, of which there are more than [`CRASH_ROWS`].
pub(super) fn made(seed: u64, symbol: &str, times: &[Time]) -> Made {
    let seed = Seed(seed);
    let (mut ratios, mut sells) = (seed.stream("sentinel ratio", 0), seed.stream("sentinel sell volume", 0));
    let mut steps = seed.stream("sentinel price", 0);
    let healthy = times.len() - CRASH_ROWS;
    let (mut prices, mut book, mut walk) = (Vec::new(), Book::default(), 3000.0);
    for row in 0..times.len() {
        let (blr, sell, price) = if row < healthy {
            walk += 10.0 * steps.normal();
            let blr = (1.2 + 0.15 * ratios.normal()).max(0.8);
            (blr, 5000.0 * (0.8 + 0.4 * sells.uniform()), f64::clamp(walk, 2700.0, 3300.0))
        } else {
            let t = (row - healthy) as f64 / (CRASH_ROWS - 1) as f64;
            let blr = 1.2 - 0.85 * (1.0 - (-3.0 * t).exp()) + 0.02 * ratios.normal();
            let blr = blr.clamp(0.2, 1.5);
            (blr, 5000.0 * (1.0 + 2.0 * (1.0 - blr)), 3000.0 - 450.0 * t + 5.0 * steps.normal())
        };
        prices.push(rounded(price, 2));
        book.buy.push(rounded(blr * sell, 2));
        book.sell.push(rounded(sell, 2));
        book.blr.push(rounded(blr, 4));
    }
    let crash = PlantedCrash {
        symbol: symbol.into(),
        warned: false,
        warning: None,
        lead_bars: 0,
        start: times[healthy].to_string(),
        bottom: times[times.len() - 1].to_string(),
        fall_bars: CRASH_ROWS,
        depth_percent: 15.0,
        recovered_percent: 0.0,
    };
    let planted = "one crash in the last 100 rows, which bounds on the price, a jump at its start and a noise that \
                   vanishes give away";
    Made { prices, book, crashes: vec![crash], false_starts: Vec::new(), planted: planted.into() }
}
