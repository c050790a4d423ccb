//! Intervals of the Sharpe ratio by the stationary bootstrap (Politis and Romano: "The stationary bootstrap",
//! 1994).
//!
//! A resample is a chain of blocks with random starts and geometric lengths from the circle of returns, so that returns
//! keep the company of their neighbours. The Sharpe ratio needs a block's sum and sum of squares only, and both are
//! differences of running sums: the cost of a resample is a few operations a block, not a bar.

use crate::metrics::lanes::lane_product;
use crate::metrics::returns::{moments, quantile};
use crate::seed::{Seed, Stream};
use rayon::prelude::*;

/// Resamples behind every interval.
pub const RESAMPLES: usize = 2000;

/// With fewer returns an interval says nothing.
pub(super) const FEWEST_RETURNS: usize = 10;

/// The blocks `(start, length)` of one resample; lengths add up to the number of returns. A block that reaches the end
/// goes on at the beginning.
#[derive(Clone, Debug)]
pub struct StationaryBlocks {
    stream: Stream,
    count: usize,
    remaining: usize,
    /// 1 / ln(1 - 1 / expected length): scales the logarithm of a uniform number to a geometric one.
    scale: f64,
}

impl StationaryBlocks {
    /// The blocks of resample number `resample`, for `count` returns; `expected_length` in bars, at least 1.
    pub fn new(seed: Seed, resample: u64, count: usize, expected_length: f64) -> StationaryBlocks {
        let scale = (-expected_length.max(1.0).recip()).ln_1p().recip();
        StationaryBlocks {
            stream: seed.stream("stationary bootstrap", resample),
            count,
            remaining: count,
            scale,
        }
    }
}

impl Iterator for StationaryBlocks {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<(usize, usize)> {
        if self.remaining == 0 {
            return None;
        }
        let start = self.stream.below(self.count);
        // 1 - uniform is never 0. An expected length of 1 has scale 0 and gives 1.
        let beyond = ((1.0 - self.stream.uniform()).ln() * self.scale) as usize;
        let length = beyond.saturating_add(1).min(self.remaining);
        self.remaining -= length;
        Some((start, length))
    }
}

/// Expected block length in bars by the automatic rule for the stationary bootstrap (Politis and White 2004, with the
/// correction of Patton, Politis and White 2009): `(2 G^2 / D)^(1/3) n^(1/3)`, with the flat-top kernel over twice the
/// lag from which on autocorrelations stay insignificant; at least 1, at most `min(3 sqrt(n), n / 3)`. As in arch, that
/// lag is the first insignificant one.
pub fn expected_block_length(returns: &[f64]) -> f64 {
    let Some((mean, _)) = moments(returns) else {
        return 1.0;
    };
    let count = returns.len() as f64;
    let centred: Vec<f64> = returns.iter().map(|value| value - mean).collect();
    let covariance = |lag: usize| lane_product(&centred, &centred[lag.min(centred.len())..]) / count;
    let band = 2.0 * (count.log10() / count).sqrt();
    let calm_lags = (count.log10().sqrt().ceil() as usize).max(5);
    let most_lags = (count.sqrt().ceil() as usize + calm_lags).min(returns.len() - 1);
    let mut covariances = vec![covariance(0)];
    let mut calm = 0;
    while covariances.len() <= most_lags && calm < calm_lags {
        let next = covariance(covariances.len());
        calm = if next.abs() < band * covariances[0] { calm + 1 } else { 0 };
        covariances.push(next);
    }
    let first_calm = covariances.len() - calm;
    let lags = if calm < calm_lags { most_lags } else { (2 * first_calm).min(most_lags) };
    let (mut weighted, mut spectrum) = (0.0, covariances[0]);
    for lag in 1..=lags {
        let value = covariances.get(lag).copied().unwrap_or_else(|| covariance(lag));
        let kernel = (2.0 * (1.0 - lag as f64 / lags as f64)).min(1.0);
        weighted += 2.0 * kernel * lag as f64 * value;
        spectrum += 2.0 * kernel * value;
    }
    let length = (weighted * weighted / (spectrum * spectrum) * count).cbrt();
    if length.is_nan() { 1.0 } else { length.min((3.0 * count.sqrt()).min(count / 3.0)).max(1.0) }
}

/// The block length that intervals use: the automatic rule, but at least n^(1/3). The rule looks at the returns alone;
/// the spread of a Sharpe ratio depends on the clustering of their squares as well, which the floor keeps. Of a long
/// series at least a 500th: five hundred blocks say how far a mean spreads, more only cost time.
pub(super) fn block_length(returns: &[f64]) -> f64 {
    let count = returns.len() as f64;
    expected_block_length(returns).max(count.cbrt()).max(count / 500.0)
}

/// Running sums of centred returns and of their squares, from which any block is two subtractions away.
struct RunningSums {
    mean: f64,
    /// Sample variance of all returns.
    variance: f64,
    /// `[n + 1]`: sum and sum of squares of all centred returns before.
    sums: Vec<[f64; 2]>,
}

impl RunningSums {
    fn new(returns: &[f64]) -> Option<RunningSums> {
        let (mean, deviation) = moments(returns)?;
        let mut sums = Vec::with_capacity(returns.len() + 1);
        let mut total = [0.0; 2];
        sums.push(total);
        for value in returns {
            let centred = value - mean;
            total = [total[0] + centred, total[1] + centred * centred];
            sums.push(total);
        }
        Some(RunningSums { mean, variance: deviation * deviation, sums })
    }

    fn between(&self, start: usize, end: usize) -> [f64; 2] {
        let (before, after) = (self.sums[start], self.sums[end]);
        [after[0] - before[0], after[1] - before[1]]
    }

    /// Sum and sum of squares of a block on the circle.
    fn block(&self, start: usize, length: usize) -> [f64; 2] {
        let (count, end) = (self.sums.len() - 1, start + length);
        if end <= count {
            return self.between(start, end);
        }
        let (tail, head) = (self.between(start, count), self.between(0, end - count));
        [tail[0] + head[0], tail[1] + head[1]]
    }

    /// Sharpe ratio a bar of a resample. One without variance, all of whose returns are equal, counts as 0.
    fn sharpe(&self, [sum, squares]: [f64; 2]) -> f64 {
        let count = (self.sums.len() - 1) as f64;
        let variance = (squares - sum * sum / count) / (count - 1.0);
        if variance <= 1e-12 * self.variance { 0.0 } else { (self.mean + sum / count) / variance.sqrt() }
    }
}

/// The Sharpe ratios a bar of every resample, the same blocks for every series.
fn resampled<const SERIES: usize>(
    series: &[RunningSums; SERIES],
    expected_length: f64,
    seed: Seed,
) -> Vec<[f64; SERIES]> {
    let count = series[0].sums.len() - 1;
    let resample = |number: usize| {
        let mut totals = [[0.0; 2]; SERIES];
        for (start, length) in StationaryBlocks::new(seed, number as u64, count, expected_length) {
            for (total, sums) in totals.iter_mut().zip(series) {
                let block = sums.block(start, length);
                *total = [total[0] + block[0], total[1] + block[1]];
            }
        }
        std::array::from_fn(|index| series[index].sharpe(totals[index]))
    };
    // Each resample has its own stream, so the number of threads changes no bit.
    (0..RESAMPLES).into_par_iter().map(resample).collect()
}

/// From the 2.5 % to the 97.5 % quantile, times `scale`.
pub(super) fn percentile_interval(mut values: Vec<f64>, scale: f64) -> Option<[f64; 2]> {
    values.sort_unstable_by(f64::total_cmp);
    Some([quantile(&values, 0.025)? * scale, quantile(&values, 0.975)? * scale])
}

/// 95 % percentile interval of the annualised Sharpe ratio, by 2,000 resamples. `None` for fewer than ten returns or
/// without variance.
pub fn sharpe_interval(returns: &[f64], periods_per_year: f64, seed: Seed) -> Option<[f64; 2]> {
    if returns.len() < FEWEST_RETURNS {
        return None;
    }
    let series = [RunningSums::new(returns)?];
    sharpe_interval_of(&series, block_length(returns), periods_per_year.sqrt(), seed)
}

/// The annualised Sharpe ratio of a model minus that of a baseline over the same bars, and its 95 % percentile interval.
/// Both are resampled by the same blocks, so that what moves them alike cancels; the longer of the two block lengths is
/// used. A series without variance, such as cash or a book that never traded, has the ratio 0 in every resample. `None`
/// for series of unequal length or of fewer than ten returns.
pub fn sharpe_difference(
    model_returns: &[f64],
    baseline_returns: &[f64],
    periods_per_year: f64,
    seed: Seed,
) -> Option<(f64, [f64; 2])> {
    if model_returns.len() != baseline_returns.len() || model_returns.len() < FEWEST_RETURNS {
        return None;
    }
    let scale = periods_per_year.sqrt();
    let series = [RunningSums::new(model_returns), RunningSums::new(baseline_returns)];
    let ratio =
        |sums: &Option<RunningSums>| sums.as_ref().map_or(0.0, |sums| sums.mean / sums.variance.sqrt());
    let difference = (ratio(&series[0]) - ratio(&series[1])) * scale;
    let length = block_length(model_returns).max(block_length(baseline_returns));
    let interval = match series {
        [Some(model), Some(baseline)] => {
            let pairs = resampled(&[model, baseline], length, seed).into_iter();
            percentile_interval(pairs.map(|[model, baseline]| model - baseline).collect(), scale)?
        }
        [Some(model), None] => sharpe_interval_of(&[model], length, scale, seed)?,
        [None, Some(baseline)] => {
            let [low, high] = sharpe_interval_of(&[baseline], length, scale, seed)?;
            [-high, -low]
        }
        [None, None] => [0.0, 0.0],
    };
    Some((difference, interval))
}

fn sharpe_interval_of(series: &[RunningSums; 1], length: f64, scale: f64, seed: Seed) -> Option<[f64; 2]> {
    let ratios = resampled(series, length, seed);
    percentile_interval(ratios.into_iter().map(|[ratio]| ratio).collect(), scale)
}
