//! Running sums that keep what rounding takes away, and the moving averages that are read from them.
//!
//! `high[t]` is the plain running sum of the first t values, `low[t]` the sum of its rounding errors, each of which is
//! known exactly (Knuth's `TwoSum`; summation after Ogita, Rump and Oishi, "Accurate sum and dot product", 2005). The sum of
//! any window is the difference of two such pairs. With d = high[t+1] - high[t+1-w], whose own rounding error is known,
//! too, it is right up to one rounding whatever came before the window: it neither drifts nor depends on where the
//! history begins. It costs the same for every length, and one pair of columns serves all lengths.

use super::instructions::{Instructions, for_each_instructions};

/// The running sums of one column of finite values that are not negative, such as prices. The column may come in pieces,
/// and what no window needs any more may be forgotten; neither changes a bit.
#[derive(Clone, Debug)]
pub struct RunningSums {
    /// Sums that are forgotten.
    forgotten: usize,
    /// `[rows + 1 - forgotten]`
    high: Vec<f64>,
    /// `[rows + 1 - forgotten]`
    low: Vec<f64>,
}

impl Default for RunningSums {
    fn default() -> Self {
        RunningSums { forgotten: 0, high: vec![0.0], low: vec![0.0] }
    }
}

impl RunningSums {
    /// Adds up `values`, which must be finite and not negative; anything else gives meaningless means, never a panic.
    pub fn new(values: &[f64]) -> RunningSums {
        let mut sums = RunningSums::default();
        sums.extend(values);
        sums
    }

    /// Goes on with the next values.
    pub fn extend(&mut self, values: &[f64]) {
        let last = |column: &[f64]| column.last().copied().unwrap_or(0.0);
        let (mut sum, mut lost) = (last(&self.high), last(&self.low));
        self.high.reserve(values.len());
        self.low.reserve(values.len());
        for value in values {
            let next = sum + value;
            let added = next - sum;
            lost += (sum - (next - added)) + (value - added);
            sum = next;
            self.high.push(sum);
            self.low.push(lost);
        }
    }

    /// Forgets what only windows that begin before `row` need, once that is at least half of what is kept.
    pub fn forget_before(&mut self, row: usize) {
        let count = row.saturating_sub(self.forgotten).min(self.high.len() - 1);
        if 2 * count >= self.high.len() {
            self.high.drain(..count);
            self.low.drain(..count);
            self.forgotten += count;
        }
    }

    /// `[rows + 1]` each: the sums and the sums of their errors, nothing forgotten.
    pub(super) fn columns(&self) -> Option<(&[f64], &[f64])> {
        (self.forgotten == 0).then_some((&self.high, &self.low))
    }

    /// Number of values.
    pub fn rows(&self) -> usize {
        self.forgotten + self.high.len() - 1
    }

    /// Sum of the `period` values that end with `row`; `period` must be in `1..=row + 1`, and
    /// nothing of it forgotten.
    pub fn sum(&self, period: usize, row: usize) -> f64 {
        let end = row + 1 - self.forgotten;
        let start = end - period;
        window([self.high[end], self.high[start], self.low[end], self.low[start]])
    }

    /// Writes the arithmetic mean of the last `period` values to `means[i]` for the rows `first + i`; NaN where there
    /// are not as many, and for a period of 0. All rows must be below [`RunningSums::rows`],
    /// and their windows not forgotten.
    pub fn means(&self, period: usize, first: usize, means: &mut [f64]) {
        let unknown = (period.max(1) - 1).saturating_sub(first).min(means.len());
        let unknown = if period == 0 { means.len() } else { unknown };
        let (before, means) = means.split_at_mut(unknown);
        before.fill(f64::NAN);
        if means.is_empty() {
            return;
        }
        let (end, rows) = (first + unknown + 1 - self.forgotten, means.len());
        let pass = MeansPass {
            columns: [
                &self.high[end..end + rows],
                &self.high[end - period..end - period + rows],
                &self.low[end..end + rows],
                &self.low[end - period..end - period + rows],
            ],
            period: period as f64,
            means,
        };
        divide(pass, Instructions::widest());
    }
}

/// The sum of a window from `[high end, high start, low end, low start]`. The values are not negative, so that
/// `high end >= high start`, and two operations give the error of their difference.
#[inline(always)]
fn window([high_end, high_start, low_end, low_start]: [f64; 4]) -> f64 {
    let difference = high_end - high_start;
    let lost = (high_end - difference) - high_start;
    difference + (lost + (low_end - low_start))
}

struct MeansPass<'a> {
    columns: [&'a [f64]; 4],
    period: f64,
    means: &'a mut [f64],
}

/// Where the processor fuses, sum / period is computed without its slow division: the quotient by the rounded reciprocal
/// is off by at most two units in the last place, and one exact remainder corrects it to the rounded quotient (Markstein
/// 1990). A quotient by a whole number below 2^32 is never so near to the middle of two numbers that this could fail.
#[inline(always)]
fn divide_body<const KIND: u8>(pass: MeansPass) {
    let MeansPass { columns: [high_end, high_start, low_end, low_start], period, means } = pass;
    let reciprocal = 1.0 / period;
    let highs = high_end.iter().zip(high_start);
    let lows = low_end.iter().zip(low_start);
    for ((mean, high), low) in means.iter_mut().zip(highs).zip(lows) {
        let sum = window([*high.0, *high.1, *low.0, *low.1]);
        *mean = if KIND == Instructions::Portable as u8 {
            sum / period
        } else {
            let near = sum * reciprocal;
            let rest = (-near).mul_add(period, sum);
            rest.mul_add(reciprocal, near)
        };
    }
}

for_each_instructions! {
    /// Means of windows.
    fn divide(pass: MeansPass) = divide_body;
}
