//! Highest and lowest value of any range of rows.

/// Highest and lowest of at least one value. NaN is skipped unless all are NaN.
#[inline(always)]
pub fn extremes(values: &[f64]) -> (f64, f64) {
    const LANES: usize = 16;
    let mut highest = [f64::NEG_INFINITY; LANES];
    let mut lowest = [f64::INFINITY; LANES];
    let Some(last) = values.last_chunk::<LANES>() else {
        let wider = |found: (f64, f64), value: &f64| (larger(*value, found.0), smaller(*value, found.1));
        return values.iter().fold((f64::NEG_INFINITY, f64::INFINITY), wider);
    };
    let mut take = |chunk: &[f64; LANES]| {
        for lane in 0..LANES {
            highest[lane] = larger(chunk[lane], highest[lane]);
            lowest[lane] = smaller(chunk[lane], lowest[lane]);
        }
    };
    values.as_chunks().0.iter().for_each(&mut take);
    // What is left over and some that were seen before: cheaper than one by one, and no matter.
    take(last);
    (extremes_of_16(&highest).0, extremes_of_16(&lowest).1)
}

/// As [`extremes`] of sixteen values.
#[inline(always)]
pub fn extremes_of_16(values: &[f64; 16]) -> (f64, f64) {
    let (mut highest, mut lowest) = (*values, *values);
    for half in [8, 4, 2, 1] {
        for lane in 0..half {
            highest[lane] = larger(highest[lane], highest[lane + half]);
            lowest[lane] = smaller(lowest[lane], lowest[lane + half]);
        }
    }
    (highest[0], lowest[0])
}

/// The larger of two numbers in one instruction, the second where one is NaN.
#[inline(always)]
pub fn larger(left: f64, right: f64) -> f64 {
    if left > right { left } else { right }
}

/// The smaller of two numbers in one instruction, the second where one is NaN.
#[inline(always)]
pub fn smaller(left: f64, right: f64) -> f64 {
    if left < right { left } else { right }
}

/// Extremes of all ranges whose length is a power of two within a tile of rows: those of any range are two of them, which
/// overlap (a sparse table; Bender and Farach-Colton 2000). A question costs four loads and no loop.
#[derive(Clone, Debug, Default)]
pub struct RangeExtremes {
    rows: usize,
    /// `[level][row]`: highest of the `2^level` rows that begin with `row`.
    highest: Vec<f64>,
    /// `[level][row]`: the lowest.
    lowest: Vec<f64>,
}

impl RangeExtremes {
    /// Takes in the rows of a tile.
    #[inline(always)]
    pub fn fill(&mut self, values: &[f64]) {
        let rows = values.len();
        let levels = rows.max(1).ilog2() as usize + 1;
        self.rows = rows;
        self.highest.resize(levels * rows, 0.0);
        self.lowest.resize(levels * rows, 0.0);
        self.highest[..rows].copy_from_slice(values);
        self.lowest[..rows].copy_from_slice(values);
        for level in 1..levels {
            let half = 1 << (level - 1);
            widen(&mut self.highest[(level - 1) * rows..(level + 1) * rows], half, larger);
            widen(&mut self.lowest[(level - 1) * rows..(level + 1) * rows], half, smaller);
        }
    }

    /// Highest and lowest of the rows `start..end`, which must lie in the tile and be at least one.
    #[inline(always)]
    pub fn of(&self, start: usize, end: usize) -> (f64, f64) {
        let level = (end - start).ilog2() as usize;
        let (first, second) = (level * self.rows + start, level * self.rows + end - (1 << level));
        (larger(self.highest[first], self.highest[second]), smaller(self.lowest[first], self.lowest[second]))
    }
}

/// Computes a level (the second half of `levels`) from the one below (the first half).
#[inline(always)]
fn widen(levels: &mut [f64], half: usize, pick: impl Fn(f64, f64) -> f64) {
    let rows = levels.len() / 2;
    let (below, level) = levels.split_at_mut(rows);
    let count = (rows + 1).saturating_sub(2 * half);
    for ((value, left), right) in
        level[..count].iter_mut().zip(&below[..count]).zip(&below[half..half + count])
    {
        *value = pick(*left, *right);
    }
}
