//! All figures of an equity curve in one pass over it, piece by piece in the cache: ten million bars are read once.

use super::drawdown::Drawdowns;
use super::lanes::{LANES, lane_sums};
use super::returns::StandardMoments;
use super::significance::SharpeEstimate;
use super::tail::Tail;
use crate::kernels::instructions::{Instructions, for_each_instructions};
use crate::table::CompactBook;

/// Rows of a piece; its returns stay in the first cache.
pub(super) const PIECE: usize = 1024;

/// Rows that are asked at once whether one of them is a new high.
const BLOCK: usize = 32;

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

/// Where a curve is read from.
#[derive(Clone, Copy)]
pub(super) enum CurveRows<'a> {
    /// From memory.
    Kept {
        /// `[row]`: equity.
        equity: &'a [f64],
        /// `[row]`: gross holdings over equity; empty where nobody asks.
        exposure: &'a [f64],
    },
    /// Made anew, piece by piece.
    Compact(&'a CompactBook<'a>),
}

impl CurveRows<'_> {
    /// Number of rows.
    pub(super) fn len(&self) -> usize {
        match self {
            CurveRows::Kept { equity, .. } => equity.len(),
            CurveRows::Compact(book) => book.close.len(),
        }
    }

    /// The equity of the rows from `start` on.
    pub(super) fn read(&self, start: usize, equity: &mut [f64]) {
        match self {
            CurveRows::Kept { equity: kept, .. } => {
                equity.copy_from_slice(&kept[start..start + equity.len()]);
            }
            CurveRows::Compact(book) => book.read(start, equity, |_, _, _| ()),
        }
    }

    /// The equity of the rows from `start` on with the exposure.
    #[inline(always)]
    fn read_both(&self, start: usize, equity: &mut [f64], exposure: &mut [f64]) {
        match self {
            CurveRows::Kept { exposure: kept, .. } => {
                self.read(start, equity);
                match kept.get(start..start + exposure.len()) {
                    Some(kept) => exposure.copy_from_slice(kept),
                    None => exposure.fill(0.0),
                }
            }
            CurveRows::Compact(book) => book.read(start, equity, |place, balance, close| {
                let (cash, quantity) = (balance.cash, balance.quantity);
                if quantity == 0.0 {
                    return exposure[place].fill(0.0);
                }
                for (exposure, close) in exposure[place].iter_mut().zip(close) {
                    *exposure = (quantity * close).abs() / (cash + quantity * close);
                }
            }),
        }
    }

    /// The return of a row.
    pub(super) fn return_of(&self, row: usize, starting_cash: f64) -> f64 {
        let mut pair = [starting_cash; 2];
        self.read(row.saturating_sub(1), if row == 0 { &mut pair[1..] } else { &mut pair });
        simple_return(pair[1], pair[0])
    }

    /// Calls `take` with the first row of each piece, its equity, its returns and its exposures.
    #[inline(always)]
    pub(super) fn each_piece(&self, starting_cash: f64, mut take: impl FnMut(usize, &[f64], &[f64], &[f64])) {
        let (mut piece, mut values, mut exposure) = ([0.0; PIECE], [0.0; PIECE], [0.0; PIECE]);
        let mut before = starting_cash;
        for start in (0..self.len()).step_by(PIECE) {
            let rows = PIECE.min(self.len() - start);
            let (piece, values) = (&mut piece[..rows], &mut values[..rows]);
            let exposure = &mut exposure[..rows];
            self.read_both(start, piece, exposure);
            fill_returns(values, piece, before);
            before = piece[rows - 1];
            take(start, piece, values, exposure);
        }
    }
}

/// Sums over the rows of a curve that no figure of the equity needs.
#[derive(Clone, Copy, Default)]
pub(super) struct ExposureSums {
    /// Rows with a position.
    pub(super) held: f64,
    /// Sum of the exposures.
    pub(super) gross: f64,
    /// Last equity.
    pub(super) last: f64,
}

/// Reads the equity at each close, `[rows]`, in quote currency; the first return is against `starting_cash`. Once the
/// equity is used up returns are 0. `None` without a row. Quantiles are exact.
pub fn equity_curve(equity: &[f64], starting_cash: f64) -> Option<EquityCurve> {
    read_curve(&CurveRows::Kept { equity, exposure: &[] }, starting_cash).map(|(curve, _)| curve)
}

/// [`equity_curve`] of a book of which no curve is kept, to the bit.
pub fn compact_curve(book: &CompactBook) -> Option<EquityCurve> {
    read_curve(&CurveRows::Compact(book), book.starting_cash).map(|(curve, _)| curve)
}

/// [`equity_curve`] with given instructions, which change no bit.
pub fn equity_curve_by(
    equity: &[f64],
    starting_cash: f64,
    instructions: Instructions,
) -> Option<EquityCurve> {
    let rows = CurveRows::Kept { equity, exposure: &[] };
    follow_curve((&rows, starting_cash), instructions).map(|(curve, _)| curve)
}

/// The figures of a curve and its exposure.
pub(super) fn read_curve(rows: &CurveRows, starting_cash: f64) -> Option<(EquityCurve, ExposureSums)> {
    follow_curve((rows, starting_cash), Instructions::widest())
}

for_each_instructions! {
    /// [`read_curve`] of rows and a starting cash.
    fn follow_curve(read: (&CurveRows<'_>, f64)) -> Option<(EquityCurve, ExposureSums)> = curve_body;
}

#[inline(always)]
fn curve_body<const KIND: u8>(
    (rows, starting_cash): (&CurveRows, f64),
) -> Option<(EquityCurve, ExposureSums)> {
    if rows.len() == 0 {
        return None;
    }
    let (mut lower, mut upper) = Tail::both(rows, starting_cash);
    let mut gathered = Gathered::default();
    let mut falls = Falls::new(starting_cash);
    let mut equity_sum = 0.0;
    let mut sums = ExposureSums::default();
    rows.each_piece(starting_cash, |start, piece, values, exposure| {
        equity_sum += lane_sums(piece, |value| [value])[0];
        let [held, gross] = lane_sums(exposure, |exposure| [f64::from(exposure != 0.0), exposure]);
        let last = piece.last().copied().unwrap_or_default();
        sums = ExposureSums { held: sums.held + held, gross: sums.gross + gross, last };
        gathered = gathered.and(&Gathered::of(values));
        falls.add(piece, start);
        lower.add(values);
        upper.add(values);
    });
    let count = rows.len() as f64;
    let (lower_tail, shortfall) = lower.quantile(rows, starting_cash);
    let (upper_tail, _) = upper.quantile(rows, starting_cash);
    let curve = EquityCurve {
        rows: rows.len(),
        growth: sums.last / starting_cash,
        mean_equity: equity_sum / count,
        mean: gathered.mean,
        gains: gathered.gains,
        losses: gathered.losses,
        downside: gathered.downside / count,
        lower_tail,
        shortfall,
        upper_tail,
        drawdowns: falls.finish(count),
        moments: gathered.moments(),
    };
    Some((curve, sums))
}

/// The return of a row after another.
#[inline(always)]
fn simple_return(equity: f64, before: f64) -> f64 {
    if before > 0.0 { equity / before - 1.0 } else { 0.0 }
}

/// All returns, in the order of the rows.
pub(super) fn simple_returns(equity: &[f64], starting_cash: f64) -> impl Iterator<Item = f64> {
    let before = std::iter::once(starting_cash).chain(equity.iter().copied());
    equity.iter().zip(before).map(|(equity, before)| simple_return(*equity, before))
}

#[inline(always)]
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
    #[inline(always)]
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
    #[inline(always)]
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

    #[inline(always)]
    fn add(&mut self, equity: &[f64], start: usize) {
        let mut depths = [0.0; PIECE];
        let depths = &mut depths[..equity.len()];
        for (depths, equity) in depths.chunks_mut(BLOCK).zip(equity.chunks(BLOCK)) {
            self.follow(depths, equity);
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

    /// Writes the highest equity so far to each row of a block, row by row only where there is a new one.
    #[inline(always)]
    fn follow(&mut self, highs: &mut [f64], equity: &[f64]) {
        if highest(equity) < self.high {
            self.below += equity.len();
            highs.fill(self.high);
        } else {
            for (high, value) in highs.iter_mut().zip(equity) {
                let at_high = *value >= self.high;
                self.high = if at_high { *value } else { self.high };
                self.below = if at_high { 0 } else { self.below + 1 };
                self.found.longest_bars = self.found.longest_bars.max(self.below);
                *high = self.high;
            }
        }
        self.found.longest_bars = self.found.longest_bars.max(self.below);
    }

    fn finish(mut self, rows: f64) -> Drawdowns {
        self.found.ulcer_index = (self.squares / rows).sqrt();
        self.found
    }
}

#[inline(always)]
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

/// The highest; one that is not a number is passed over.
#[inline(always)]
fn highest(values: &[f64]) -> f64 {
    let mut lanes = [f64::NEG_INFINITY; LANES];
    let (whole, rest) = values.as_chunks::<LANES>();
    for chunk in whole {
        for lane in 0..LANES {
            lanes[lane] = if chunk[lane] > lanes[lane] { chunk[lane] } else { lanes[lane] };
        }
    }
    let larger = |high: f64, value: &f64| if *value > high { *value } else { high };
    lanes.iter().chain(rest).fold(f64::NEG_INFINITY, larger)
}
