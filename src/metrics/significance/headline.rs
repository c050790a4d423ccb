//! Intervals of the figures that depend on the order of the returns, such as the drawdown.
//!
//! A drawdown is not a sum over blocks, but it follows from four numbers of a piece of the curve: its growth, its
//! highest and lowest point, and the deepest fall within. So the bars are cut into at most 2,000 cells, which are
//! resampled by the stationary bootstrap as bars would be; the cost of a resample does not grow with the bars.

use super::bootstrap::{FEWEST_RETURNS, StationaryBlocks, block_length, percentile_interval};
use crate::metrics::returns::{annual_growth, moments};
use crate::seed::Seed;
use rayon::prelude::*;

/// Resamples behind every interval. The end of an interval is the 25th of them from either side.
pub const HEADLINE_RESAMPLES: usize = 1000;

/// Up to this many bars every bar is a cell and the bootstrap is exact. Beyond, blocks begin and end at borders of
/// cells: of a block, which has a 500th of the bars at least, each end is moved by half a cell at most, which is an
/// eighth of it.
const MOST_CELLS: usize = 2000;

/// 95 % intervals, each from the 2.5 % to the 97.5 % quantile of 1,000 resamples. `None` where an end is not finite.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Headline {
    /// Of the total return.
    pub total_return: Option<[f64; 2]>,
    /// Of the compound annual growth rate.
    pub cagr: Option<[f64; 2]>,
    /// Of the annual volatility.
    pub volatility: Option<[f64; 2]>,
    /// Of the annualised Sortino ratio.
    pub sortino: Option<[f64; 2]>,
    /// Of the maximum drawdown.
    pub max_drawdown: Option<[f64; 2]>,
}

/// A piece of the returns. The curve starts at 1 before its first bar.
#[derive(Clone, Copy)]
struct Cell {
    bars: f64,
    /// Of the returns less the mean of all.
    sum: f64,
    squares: f64,
    /// Sum of squared negative returns.
    downside: f64,
    /// The curve after the last bar, its highest and its lowest point.
    growth: f64,
    high: f64,
    low: f64,
    /// Lowest point over the highest before it, both within.
    fall: f64,
}

impl Cell {
    const EMPTY: Cell = Cell {
        bars: 0.0,
        sum: 0.0,
        squares: 0.0,
        downside: 0.0,
        growth: 1.0,
        // No number: `max` takes the other one.
        high: f64::NAN,
        low: f64::INFINITY,
        fall: 1.0,
    };

    /// One bar. What is lost is lost: a return below -1 leaves nothing.
    fn bar(value: f64, mean: f64) -> Cell {
        let (centred, loss, growth) = (value - mean, value.min(0.0), (1.0 + value).max(0.0));
        Cell {
            bars: 1.0,
            sum: centred,
            squares: centred * centred,
            downside: loss * loss,
            growth,
            high: growth,
            low: growth,
            fall: 1.0,
        }
    }

    /// This piece and then another.
    fn then(self, next: &Cell) -> Cell {
        let between = self.growth * next.low / self.high;
        Cell {
            bars: self.bars + next.bars,
            sum: self.sum + next.sum,
            squares: self.squares + next.squares,
            downside: self.downside + next.downside,
            growth: self.growth * next.growth,
            high: self.high.max(self.growth * next.high),
            low: self.low.min(self.growth * next.low),
            // From no bar, or from a curve that was lost at once, there is no fall: `min` leaves NaN out.
            fall: self.fall.min(next.fall).min(between),
        }
    }
}

/// Total return, CAGR, volatility, Sortino ratio and maximum drawdown of one resample.
fn figures(whole: &Cell, mean: f64, periods_per_year: f64) -> [f64; 5] {
    let variance = (whole.squares - whole.sum * whole.sum / whole.bars) / (whole.bars - 1.0);
    let scale = periods_per_year.sqrt();
    let sortino = (mean + whole.sum / whole.bars) / (whole.downside / whole.bars).sqrt() * scale;
    let growth = annual_growth(whole.growth, whole.bars as usize, periods_per_year).unwrap_or(f64::INFINITY);
    [whole.growth - 1.0, growth, variance.max(0.0).sqrt() * scale, sortino, whole.fall - 1.0]
}

/// The intervals of simple returns a bar, by the stationary bootstrap. All `None` for fewer than ten returns or without
/// variance.
pub fn headline_intervals(returns: &[f64], periods_per_year: f64, seed: Seed) -> Headline {
    let Some((mean, _)) = moments(returns).filter(|_| returns.len() >= FEWEST_RETURNS) else {
        return Headline::default();
    };
    let count = returns.len().min(MOST_CELLS);
    let border = |cell: usize| cell * returns.len() / count;
    let cell = |number: usize| {
        let bars = &returns[border(number)..border(number + 1)];
        bars.iter().fold(Cell::EMPTY, |piece, value| piece.then(&Cell::bar(*value, mean)))
    };
    let cells: Vec<Cell> = (0..count).into_par_iter().map(cell).collect();
    let length = block_length(returns) * count as f64 / returns.len() as f64;
    let resample = |number: usize| {
        // The starting cash is the first high.
        let mut whole = Cell { high: 1.0, ..Cell::EMPTY };
        for (start, length) in StationaryBlocks::new(seed, number as u64, count, length) {
            let (tail, head) = (count.min(start + length), (start + length).saturating_sub(count));
            for cell in cells[start..tail].iter().chain(&cells[..head]) {
                whole = whole.then(cell);
            }
        }
        figures(&whole, mean, periods_per_year)
    };
    let resamples: Vec<[f64; 5]> = (0..HEADLINE_RESAMPLES).into_par_iter().map(resample).collect();
    let interval = |figure: usize| percentile_interval(resamples.iter().map(|it| it[figure]).collect(), 1.0);
    Headline {
        total_return: interval(0),
        cagr: interval(1),
        volatility: interval(2),
        sortino: interval(3),
        max_drawdown: interval(4),
    }
}
