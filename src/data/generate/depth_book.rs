//! The volumes of a made-up order book: healthy wander of its two sides, and what stress does to them.
//!
//! With the bid to ask ratio `blr = buy / sell`, stress `s` and independent autoregressions `a`, `b` of the first order:
//! `ln blr = ln 1.2 + a - 1.2 s + noise` and `ln sell = ln 5000 + b + 0.3 s + noise`. The wander of a healthy ratio is
//! slow, so a low ratio alone does not mean stress. Neither the wander nor the noise knows anything about stress.

use crate::seed::{Seed, Stream};

/// Median of the healthy ratio, and of the volume that is for sale.
const USUAL_RATIO: f64 = 1.2;
const USUAL_SELL_VOLUME: f64 = 5000.0;

/// By how much full stress moves the logarithms of ratio and sell volume.
const STRESS_ON_RATIO: f64 = -1.2;
const STRESS_ON_SELL_VOLUME: f64 = 0.3;

/// Standard deviation of the noise of one bar.
const RATIO_NOISE: f64 = 0.08;
const SELL_NOISE: f64 = 0.1;

/// Volumes within 2 % of the mid price, rounded to 2 digits, and the ratio of the rounded volumes to 4.
#[derive(Clone, Debug, Default)]
pub(super) struct Book {
    /// Units wanted.
    pub(super) buy: Vec<f64>,
    /// Units for sale.
    pub(super) sell: Vec<f64>,
    /// `buy / sell`.
    pub(super) blr: Vec<f64>,
}

/// An autoregression of the first order that starts in its stationary distribution.
struct Wander {
    memory: f64,
    shock: f64,
    value: f64,
}

impl Wander {
    fn new(memory: f64, deviation: f64, stream: &mut Stream) -> Wander {
        Wander {
            memory,
            shock: deviation * (1.0 - memory * memory).sqrt(),
            value: deviation * stream.normal(),
        }
    }

    fn next(&mut self, stream: &mut Stream) -> f64 {
        self.value = self.memory * self.value + self.shock * stream.normal();
        self.value
    }
}

impl Book {
    /// A row for each bar of stress. A row depends on the stress of that bar only.
    pub(super) fn of(stress: &[f64], seed: Seed) -> Book {
        let mut ratios = seed.stream("book ratio", 0);
        let mut sells = seed.stream("book sell volume", 0);
        let mut ratio_wander = Wander::new(0.98, 0.15, &mut ratios);
        let mut sell_wander = Wander::new(0.99, 0.2, &mut sells);
        let mut book = Book::default();
        for stress in stress {
            let ratio =
                ratio_wander.next(&mut ratios) + STRESS_ON_RATIO * stress + RATIO_NOISE * ratios.normal();
            let sell =
                sell_wander.next(&mut sells) + STRESS_ON_SELL_VOLUME * stress + SELL_NOISE * sells.normal();
            let sell = USUAL_SELL_VOLUME * sell.exp();
            book.push(USUAL_RATIO * ratio.exp() * sell, sell);
        }
        book
    }

    fn push(&mut self, buy: f64, sell: f64) {
        let (buy, sell) = (rounded(buy, 2), rounded(sell, 2));
        self.buy.push(buy);
        self.sell.push(sell);
        self.blr.push(rounded(buy / sell, 4));
    }
}

/// To so many digits behind the point.
pub(super) fn rounded(value: f64, digits: i32) -> f64 {
    let scale = 10.0_f64.powi(digits);
    (value * scale).round() / scale
}
