//! All figures of an equity curve in one pass over it, piece by piece in the cache: ten million bars are read once.

use super::drawdown::Drawdowns;
use super::lanes::{LANES, lane_sums};
use super::returns::StandardMoments;
use super::significance::SharpeEstimate;
use super::tail::Tail;

/// Rows of a piece; its returns stay in the first cache.
pub(super) const PIECE: usize = 1024;

/// What the figures of an equity curve are made from. Returns are simple returns a bar.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EquityCurve {
    /// Number of rows, each with a return.
    pub rows: usize,
    /// Last equity over starting cash.
    pub growth: f64,
    /// Mean of the equity.
    pub mean_equity: f64,
    /// Mean of the returns.
    pub mean: f64,
    /// Sum of positive returns.
    pub gains: f64,
    /// Sum of negative returns, as a positive number.
    pub losses: f64,
    /// Mean of squared negative returns over all rows.
    pub downside: f64,
    /// 5 % quantile of the returns.
    pub lower_tail: Option<f64>,
    /// Mean of the returns at or below the 5 % quantile.
    pub shortfall: Option<f64>,
    /// 95 % quantile of the returns.
    pub upper_tail: Option<f64>,
    /// The drawdowns.
    pub drawdowns: Drawdowns,
    pub(super) moments: Option<StandardMoments>,
}

impl EquityCurve {
    /// The Sharpe ratio a bar with what its uncertainty depends on; `None` without variance.
    pub fn sharpe_estimate(&self) -> Option<SharpeEstimate> {
        self.moments.map(|moments| SharpeEstimate {
            sharpe: moments.mean / moments.deviation,
            periods: self.rows,
            skew: moments.skew,
            kurtosis: moments.kurtosis,
        })
    }
}

/// Reads the equity at each close, `[rows]`, in quote currency; the first return is against `starting_cash`. Once the
/// equity is used up returns are 0. `None` without a row. Quantiles are exact.
pub fn equity_curve(equity: &[f64], starting_cash: f64) -> Option<EquityCurve> {
    let last = equity.last()?;
    let mut lower = Tail::lower(equity, starting_cash);
    let mut upper = Tail::upper(equity, starting_cash);
    let mut gathered = Gathered::default();
    let mut falls = Falls::new(starting_cash);
    let mut equity_sum = 0.0;
    let mut values = [0.0; PIECE];
    for start in (0..equity.len()).step_by(PIECE) {
        let piece = &equity[start..equity.len().min(start + PIECE)];
        let values = &mut values[..piece.len()];
        let before = if start == 0 { starting_cash } else { equity[start - 1] };
        fill_returns(values, piece, before);
        equity_sum += lane_sums(piece, |value| [value])[0];
        gathered = gathered.and(&Gathered::of(values));
        falls.add(piece, start);
        lower.add(values);
        upper.add(values);
    }
    let rows = equity.len() as f64;
    let (lower_tail, shortfall) = lower.quantile(equity, starting_cash);
    let (upper_tail, _) = upper.quantile(equity, starting_cash);
    Some(EquityCurve {
        rows: equity.len(),
        growth: last / starting_cash,
        mean_equity: equity_sum / rows,
        mean: gathered.mean,
        gains: gathered.gains,
        losses: gathered.losses,
        downside: gathered.downside / rows,
        lower_tail,
        shortfall,
        upper_tail,
        drawdowns: falls.finish(rows),
        moments: gathered.moments(),
    })
}

/// The return of a row after another.
pub(super) fn simple_return(equity: f64, before: f64) -> f64 {
    if before > 0.0 { equity / before - 1.0 } else { 0.0 }
}

/// All returns, in the order of the rows.
pub(super) fn simple_returns(equity: &[f64], starting_cash: f64) -> impl Iterator<Item = f64> {
    let before = std::iter::once(starting_cash).chain(equity.iter().copied());
    equity.iter().zip(before).map(|(equity, before)| simple_return(*equity, before))
}

fn fill_returns(values: &mut [f64], equity: &[f64], before: f64) {
    values[0] = simple_return(equity[0], before);
    for (value, pair) in values[1..].iter_mut().zip(equity.windows(2)) {
        *value = simple_return(pair[1], pair[0]);
    }
}

/// Sums over returns, the powers about their own mean.
#[derive(Clone, Copy, Default)]
struct Gathered {
    count: f64,
    mean: f64,
    second: f64,
    third: f64,
    fourth: f64,
    gains: f64,
    losses: f64,
    downside: f64,
}

impl Gathered {
    fn of(values: &[f64]) -> Gathered {
        let count = values.len() as f64;
        let [gains, losses, downside] = lane_sums(values, |value| {
            let loss = if value < 0.0 { value } else { 0.0 };
            [value - loss, -loss, loss * loss]
        });
        let mean = (gains - losses) / count;
        let [second, third, fourth] = lane_sums(values, |value| {
            let distance = value - mean;
            let square = distance * distance;
            [square, square * distance, square * square]
        });
        Gathered { count, mean, second, third, fourth, gains, losses, downside }
    }

    /// Both together (Pebay: "Formulas for robust, one-pass parallel computation of covariances and arbitrary-order
    /// statistical moments", 2008).
    fn and(&self, other: &Gathered) -> Gathered {
        let count = self.count + other.count;
        let (own, share) = (self.count / count, other.count / count);
        let apart = other.mean - self.mean;
        let square = apart * apart;
        let weight = self.count * share;
        Gathered {
            count,
            mean: self.mean + share * apart,
            second: self.second + other.second + weight * square,
            third: self.third
                + other.third
                + weight * square * apart * (own - share)
                + 3.0 * apart * (own * other.second - share * self.second),
            fourth: self.fourth
                + other.fourth
                + weight * square * square * (own * own - own * share + share * share)
                + 6.0 * square * (own * own * other.second + share * share * self.second)
                + 4.0 * apart * (own * other.third - share * self.third),
            gains: self.gains + other.gains,
            losses: self.losses + other.losses,
            downside: self.downside + other.downside,
        }
    }

    /// `None` for fewer than two returns, or where all are equal up to rounding.
    fn moments(&self) -> Option<StandardMoments> {
        let deviation = (self.second / (self.count - 1.0)).sqrt();
        let second = self.second / self.count;
        (self.count > 1.0 && deviation > 1e-12 * self.mean.abs()).then(|| StandardMoments {
            mean: self.mean,
            deviation,
            skew: self.third / self.count / second.powf(1.5),
            kurtosis: self.fourth / self.count / (second * second),
        })
    }
}

/// [`drawdowns`](super::drawdowns) piece by piece: highs one after the other, depths side by side.
struct Falls {
    found: Drawdowns,
    high: f64,
    below: usize,
    squares: f64,
    /// Row of the deepest point, while its high is not reached again.
    trough: Option<usize>,
}

impl Falls {
    fn new(starting_cash: f64) -> Falls {
        let found = Drawdowns { deepest: 0.0, longest_bars: 0, recovery_bars: None, ulcer_index: 0.0 };
        Falls { found, high: starting_cash, below: 0, squares: 0.0, trough: None }
    }

    fn add(&mut self, equity: &[f64], start: usize) {
        let mut depths = [0.0; PIECE];
        let depths = &mut depths[..equity.len()];
        for (depth, value) in depths.iter_mut().zip(equity) {
            let at_high = *value >= self.high;
            self.high = if at_high { *value } else { self.high };
            self.below = if at_high { 0 } else { self.below + 1 };
            self.found.longest_bars = self.found.longest_bars.max(self.below);
            *depth = self.high;
        }
        for (depth, value) in depths.iter_mut().zip(equity) {
            // Exactly 0 at a high, as a number over itself is 1.
            *depth = value / *depth - 1.0;
        }
        self.squares += lane_sums(depths, |depth| [depth * depth])[0];
        let deepest = lowest(depths);
        let mut searched = 0;
        if deepest < self.found.deepest {
            let row = depths.iter().position(|depth| *depth == deepest).unwrap_or(0);
            self.found.deepest = deepest;
            self.found.recovery_bars = None;
            self.trough = Some(start + row);
            searched = row;
        }
        if let Some(trough) = self.trough
            && let Some(back) = depths[searched..].iter().position(|depth| *depth == 0.0)
        {
            self.found.recovery_bars = Some(start + searched + back - trough);
            self.trough = None;
        }
    }

    fn finish(mut self, rows: f64) -> Drawdowns {
        self.found.ulcer_index = (self.squares / rows).sqrt();
        self.found
    }
}

fn lowest(values: &[f64]) -> f64 {
    let mut lanes = [0.0_f64; LANES];
    let (whole, rest) = values.as_chunks::<LANES>();
    for chunk in whole {
        for lane in 0..LANES {
            lanes[lane] = if chunk[lane] < lanes[lane] { chunk[lane] } else { lanes[lane] };
        }
    }
    lanes.iter().chain(rest).fold(0.0, |low, value| if *value < low { *value } else { low })
}
