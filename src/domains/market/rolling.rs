//! Statistics of a moving window of rows, which indicators, labels and strategies share.
//!
//! A running total that adds the new value and subtracts the old one drifts: every subtraction leaves a rounding
//! error that stays for ever, a single huge value swallows its neighbours, and a window of zeros no longer sums to
//! zero. Here nothing is ever subtracted. The rows are cut into blocks of `period`; each window is the end of one
//! block and the beginning of the next, hence one combination of a suffix and a prefix (van Herk 1992, Gil and Werman
//! 1993): three combinations a row whatever the period. The error is bounded by the window's own values (at most
//! `period - 1` roundings), never by what came before it, and one algorithm serves sums, extremes and moments.

use crate::table::NULL;

/// Combines the items of every full window of `period` rows with an associative function. Element i is the window
/// that ends at row `i + period - 1` and depends on no later row; empty where there is no full window, or for a
/// period of 0.
pub fn fold<T: Copy>(items: &[T], period: usize, combine: impl Fn(T, T) -> T) -> Vec<T> {
    if period == 0 || items.len() < period {
        return Vec::new();
    }
    // suffix[t]: from row t to the end of its block.
    let mut suffix = items.to_vec();
    for block in suffix.chunks_mut(period) {
        for row in (0..block.len() - 1).rev() {
            block[row] = combine(block[row], block[row + 1]);
        }
    }
    let mut windows = Vec::with_capacity(items.len() + 1 - period);
    for (number, block) in items.chunks(period).enumerate() {
        let mut prefix = block[0];
        for (offset, item) in block.iter().enumerate() {
            if offset > 0 {
                prefix = combine(prefix, *item);
            }
            if offset + 1 == period {
                windows.push(prefix);
            } else if number > 0 {
                windows.push(combine(suffix[(number - 1) * period + offset + 1], prefix));
            }
        }
    }
    windows
}

/// A column of `rows` values that ends with `values` and starts with nulls.
pub fn padded(rows: usize, values: impl IntoIterator<Item = f64, IntoIter: ExactSizeIterator>) -> Vec<f64> {
    let values = values.into_iter();
    let mut column = vec![NULL; rows.saturating_sub(values.len())];
    column.extend(values);
    column
}

/// Sum of the last `period` values, row by row; null before there are as many.
pub fn sum(values: &[f64], period: usize) -> Vec<f64> {
    padded(values.len(), fold(values, period, |earlier, later| earlier + later))
}

/// Arithmetic mean of the last `period` values, row by row; null before there are as many.
pub fn mean(values: &[f64], period: usize) -> Vec<f64> {
    let sums = fold(values, period, |earlier, later| earlier + later);
    padded(values.len(), sums.into_iter().map(|sum| sum / period as f64))
}

/// Largest of the last `period` values, row by row; null before there are as many.
pub fn highest(values: &[f64], period: usize) -> Vec<f64> {
    padded(values.len(), fold(values, period, f64::max))
}

/// Smallest of the last `period` values, row by row; null before there are as many.
pub fn lowest(values: &[f64], period: usize) -> Vec<f64> {
    padded(values.len(), fold(values, period, f64::min))
}

/// Mean and scatter of one window.
#[derive(Clone, Copy, Debug)]
pub struct Moments {
    count: f64,
    mean: f64,
    /// Sum of the squared distances from the mean.
    squares: f64,
}

impl Moments {
    /// Arithmetic mean.
    pub fn mean(self) -> f64 {
        self.mean
    }

    /// Standard deviation of the values as the whole population (divisor: their number). Exactly 0 where all values
    /// are equal.
    pub fn population_deviation(self) -> f64 {
        (self.squares / self.count).sqrt()
    }

    /// Standard deviation of the values as a sample (divisor: their number less one); null for a single value.
    pub fn sample_deviation(self) -> f64 {
        (self.squares / (self.count - 1.0)).sqrt()
    }

    /// The moments of two sets together (Chan, Golub, LeVeque 1979). Unlike the mean of squares less the square of
    /// the mean it cancels nothing, so a price of 100,000 that moves by cents keeps its digits.
    fn joined(self, later: Moments) -> Moments {
        let count = self.count + later.count;
        let distance = later.mean - self.mean;
        let share = later.count / count;
        Moments {
            count,
            mean: self.mean + distance * share,
            squares: self.squares + later.squares + distance * distance * self.count * share,
        }
    }
}

/// The moments of every full window; see [`fold`] for which rows those are.
pub fn moments(values: &[f64], period: usize) -> Vec<Moments> {
    let single: Vec<Moments> =
        values.iter().map(|value| Moments { count: 1.0, mean: *value, squares: 0.0 }).collect();
    fold(&single, period, Moments::joined)
}
