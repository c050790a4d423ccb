//! Figures over the last `window` rows of every row, in one pass.
//!
//! The rows are cut into blocks as long as the window, so that every window is the end of one block and the beginning of
//! the next. Ends and beginnings are gathered by adding rows only: nothing is ever taken away, so no rounding is left of a
//! row that has passed.

use crate::table::NULL;

/// Count, means, sums of squared distances and of their product of the rows of two series.
#[derive(Clone, Copy, Default)]
struct Gathered {
    count: f64,
    means: [f64; 2],
    squares: [f64; 2],
    products: f64,
}

impl Gathered {
    /// Both together (Chan, Golub, LeVeque: "Updating formulae and a pairwise algorithm", 1979).
    fn and(self, other: Gathered) -> Gathered {
        let count = self.count + other.count;
        let apart = [other.means[0] - self.means[0], other.means[1] - self.means[1]];
        let share = other.count / count;
        let weight = self.count * share;
        let square = |series: usize| {
            self.squares[series] + other.squares[series] + weight * apart[series] * apart[series]
        };
        Gathered {
            count,
            means: [self.means[0] + share * apart[0], self.means[1] + share * apart[1]],
            squares: [square(0), square(1)],
            products: self.products + other.products + weight * apart[0] * apart[1],
        }
    }

    fn row(one: f64, other: f64) -> Gathered {
        Gathered { count: 1.0, means: [one, other], ..Gathered::default() }
    }

    /// Sample deviation of a series, 0 where its rows are equal up to rounding.
    fn deviation(&self, series: usize) -> f64 {
        let deviation = (self.squares[series] / (self.count - 1.0)).sqrt();
        if deviation > 1e-12 * self.means[series].abs() { deviation } else { 0.0 }
    }
}

/// A row's figure from its window; null before the first whole window and where the figure is not finite.
fn rolling(one: &[f64], other: &[f64], window: usize, figure: impl Fn(&Gathered) -> f64) -> Vec<f64> {
    let rows = one.len();
    let mut figures = vec![NULL; rows];
    if window < 2 || rows != other.len() {
        return figures;
    }
    // `[offset]`: the rows of the block before from `offset` to its end.
    let mut ends = vec![Gathered::default(); window + 1];
    for start in (0..rows).step_by(window) {
        let mut beginning = Gathered::default();
        for row in start..rows.min(start + window) {
            beginning = beginning.and(Gathered::row(one[row], other[row]));
            if row + 1 >= window {
                let value = figure(&ends[row - start + 1].and(beginning));
                figures[row] = if value.is_finite() { value } else { NULL };
            }
        }
        if start + window < rows {
            for offset in (0..window).rev() {
                let row = Gathered::row(one[start + offset], other[start + offset]);
                ends[offset] = row.and(ends[offset + 1]);
            }
        }
    }
    figures
}

/// Sharpe ratio of the last `window` returns of every row, annualised; null before the first whole window, for a window of
/// less than two rows, and where the returns do not vary.
pub fn rolling_sharpe(returns: &[f64], window: usize, periods_per_year: f64) -> Vec<f64> {
    let scale = periods_per_year.sqrt();
    rolling(returns, returns, window, |rows| rows.means[0] / rows.deviation(0) * scale)
}

/// Volatility of the last `window` returns of every row, annualised; null before the first whole window.
pub fn rolling_volatility(returns: &[f64], window: usize, periods_per_year: f64) -> Vec<f64> {
    let scale = periods_per_year.sqrt();
    rolling(returns, returns, window, |rows| rows.deviation(0) * scale)
}

/// Beta of the last `window` returns of every row against the benchmark's; null before the first whole window, where the
/// benchmark does not vary, and everywhere for series of unequal length.
pub fn rolling_beta(returns: &[f64], benchmark_returns: &[f64], window: usize) -> Vec<f64> {
    rolling(returns, benchmark_returns, window, |rows| {
        if rows.deviation(1) > 0.0 { rows.products / rows.squares[1] } else { NULL }
    })
}
