//! Whether the best of many books beats a benchmark by more than the luck of the best: White's reality check ("A reality
//! check for data snooping", Econometrica, 2000) and Hansen's test of superior predictive ability ("A test for superior
//! predictive ability", Journal of Business and Economic Statistics, 2005).
//!
//! The means of all books in all resamples are one matrix product: how often each resample takes each period, times what
//! each book earned in each period.

use super::bootstrap::{FEWEST_RETURNS, StationaryBlocks, expected_block_length};
use crate::kernels::matrix::{Matrix, MatrixMut, Target, multiply};
use crate::metrics::returns::quantile;
use crate::seed::Seed;
use crate::table::ReturnMatrix;
use rayon::prelude::*;

/// Resamples behind a p-value.
const RESAMPLES: usize = 1000;

/// Books of one matrix product; fixed, so that the number of threads changes no bit.
const TILE: usize = 128;

/// Books from which the block length is taken.
const BLOCK_LENGTH_BOOKS: usize = 100;

/// What the tests found. The null hypothesis is that no book is better than the benchmark.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SuperiorAbility {
    /// Highest `sqrt(n) mean / deviation` of the returns above the benchmark's, at least 0.
    pub statistic: f64,
    /// Hansen's consistent p-value: books that are clearly worse than the benchmark do not count.
    pub consistent: f64,
    /// Hansen's lower bound: no book worse than the benchmark counts (liberal).
    pub lower: f64,
    /// Hansen's upper bound: all books count as if they were as good as the benchmark (conservative).
    pub upper: f64,
    /// White's p-value: the same as the upper bound, of the means that are not divided by their deviations.
    pub reality_check: f64,
    /// Expected length of the bootstrap's blocks in periods.
    pub block_length: f64,
}

/// Tests the returns of many books against those of a benchmark over the same periods; without one against doing
/// nothing.
///
/// 1,000 resamples by the stationary bootstrap, the same for all books. `block_length` is expected, in periods and at
/// least 1; without one it is the median of the automatic lengths of at most 100 evenly spaced books. Means are
/// studentised by the variance that the bootstrap itself implies (Hansen's kernel). A p-value is the share of resamples,
/// the history itself included, whose statistic is not below the one that was found. Books whose returns above the benchmark do not vary are left
/// out. `None` where there is no other, for fewer than ten periods, or a benchmark of another length.
pub fn superior_ability(
    returns: &ReturnMatrix,
    benchmark: Option<&[f64]>,
    block_length: Option<f64>,
    seed: Seed,
) -> Option<SuperiorAbility> {
    let (books, periods) = (returns.books(), returns.periods());
    if books == 0 || periods < FEWEST_RETURNS || benchmark.is_some_and(|it| it.len() != periods) {
        return None;
    }
    let excess = |book: usize| -> Vec<f64> {
        let own = returns.book(book).iter().map(|value| f64::from(*value));
        match benchmark {
            Some(benchmark) => own.zip(benchmark).map(|(own, other)| own - other).collect(),
            None => own.collect(),
        }
    };
    let block_length = block_length.map_or_else(|| common_block_length(books, excess), |it| it.max(1.0));
    let weights = resample_counts(periods, block_length, seed);
    let tiles: Vec<usize> = (0..books).step_by(TILE).collect();
    let of_tile = |first: &usize| {
        let candidates = (*first..books.min(first + TILE))
            .filter_map(|book| Candidate::new(excess(book), block_length))
            .collect::<Vec<Candidate>>();
        Highest::of(&candidates, &weights, periods)
    };
    // Maxima are the same in whichever order tiles meet.
    let highest = tiles.par_iter().map(of_tile).reduce(Highest::none, Highest::merge);
    highest.figures(block_length)
}

/// Median of the block lengths of some books, by the automatic rule for means.
fn common_block_length(books: usize, excess: impl Fn(usize) -> Vec<f64> + Sync) -> f64 {
    let sampled = books.min(BLOCK_LENGTH_BOOKS);
    let mut lengths: Vec<f64> = (0..sampled)
        .into_par_iter()
        .map(|number| expected_block_length(&excess(number * books / sampled)))
        .collect();
    lengths.sort_unstable_by(f64::total_cmp);
    quantile(&lengths, 0.5).unwrap_or(1.0)
}

/// How often each resample takes each period: `[resample][period]`.
fn resample_counts(periods: usize, block_length: f64, seed: Seed) -> Vec<f32> {
    let mut counts = vec![0.0_f32; RESAMPLES * periods];
    counts.par_chunks_mut(periods).enumerate().for_each(|(number, counts)| {
        for (start, length) in StationaryBlocks::new(seed, number as u64, periods, block_length) {
            for period in start..start + length {
                counts[period % periods] += 1.0;
            }
        }
    });
    counts
}

/// A book whose returns above the benchmark vary.
struct Candidate {
    /// sqrt(n) times the mean.
    mean: f64,
    /// Standard deviation of that.
    deviation: f64,
    /// Returns less their mean, times 1 / sqrt(n): a resample's sum of them is sqrt(n) (its mean - the mean).
    centred: Vec<f32>,
    /// Below this standardised mean a book is clearly worse than the benchmark.
    clearly_worse: f64,
}

impl Candidate {
    fn new(excess: Vec<f64>, block_length: f64) -> Option<Candidate> {
        let count = excess.len() as f64;
        let mean = excess.iter().sum::<f64>() / count;
        let centred: Vec<f64> = excess.iter().map(|value| value - mean).collect();
        let variance = bootstrap_variance(&centred, block_length);
        let root = count.sqrt();
        // A constant series keeps a width of a few units in the last place of its mean.
        (variance > 1e-20 * mean * mean).then(|| Candidate {
            mean: mean * root,
            deviation: variance.sqrt(),
            centred: centred.iter().map(|value| (value / root) as f32).collect(),
            clearly_worse: -(2.0 * count.ln().ln()).sqrt(),
        })
    }
}

/// Variance of sqrt(n) times the mean of a resample of centred values, exactly as the stationary bootstrap implies it:
/// `c(0) + 2 sum over lags k of ((1 - k / n) q^k + k / n q^(n - k)) c(k)`, q = 1 - 1 / block length (Politis and Romano
/// 1994, lemma 1), by two recursions round the circle of values instead of a sum over all pairs.
fn bootstrap_variance(centred: &[f64], block_length: f64) -> f64 {
    let count = centred.len() as f64;
    let stay = 1.0 - block_length.recip();
    // After one round a value has come back to itself, which is no lag.
    let round = stay.powf(count);
    // Sum of q^k, and of k q^k, times the value k before.
    let (mut faded, mut weighted) = (0.0, 0.0);
    let follow = |faded: &mut f64, weighted: &mut f64, before: f64| {
        *weighted = stay * (*weighted + *faded + before);
        *faded = stay * (*faded + before);
    };
    for value in &centred[1..] {
        follow(&mut faded, &mut weighted, *value);
    }
    let mut total = 0.0;
    for (row, value) in centred.iter().enumerate() {
        if row > 0 {
            follow(&mut faded, &mut weighted, centred[row - 1]);
            faded -= round * value;
            weighted -= count * round * value;
        }
        total += value * (value + 2.0 * (faded - weighted / count));
    }
    total / count
}

/// The highest statistic that was found and that of each resample, for the four ways to count.
struct Highest {
    studentised: f64,
    plain: f64,
    consistent: Vec<f32>,
    lower: Vec<f32>,
    upper: Vec<f32>,
    reality: Vec<f32>,
}

impl Highest {
    fn none() -> Highest {
        let lowest = || vec![f32::NEG_INFINITY; RESAMPLES];
        Highest {
            studentised: f64::NEG_INFINITY,
            plain: f64::NEG_INFINITY,
            consistent: lowest(),
            lower: lowest(),
            upper: lowest(),
            reality: lowest(),
        }
    }

    fn of(candidates: &[Candidate], weights: &[f32], periods: usize) -> Highest {
        let centred: Vec<f32> = candidates.iter().flat_map(|it| it.centred.iter().copied()).collect();
        let mut sums = vec![0.0_f32; candidates.len() * RESAMPLES];
        multiply(
            MatrixMut::new(&mut sums, candidates.len(), RESAMPLES, RESAMPLES),
            Matrix::new(&centred, candidates.len(), periods, periods),
            Matrix::new(weights, RESAMPLES, periods, periods).transposed(),
            Target::Replaced,
        );
        let mut highest = Highest::none();
        for (candidate, sums) in candidates.iter().zip(sums.chunks_exact(RESAMPLES)) {
            highest.add(candidate, sums);
        }
        highest
    }

    fn add(&mut self, candidate: &Candidate, sums: &[f32]) {
        let standardised = candidate.mean / candidate.deviation;
        self.studentised = self.studentised.max(standardised);
        self.plain = self.plain.max(candidate.mean);
        let scale = candidate.deviation.recip() as f32;
        // What is not centred keeps its own, negative mean.
        let kept = |counts: bool| if counts { 0.0 } else { standardised as f32 };
        let (consistent, lower) = (kept(standardised >= candidate.clearly_worse), kept(standardised >= 0.0));
        for (number, sum) in sums.iter().enumerate() {
            let value = sum * scale;
            self.consistent[number] = self.consistent[number].max(value + consistent);
            self.lower[number] = self.lower[number].max(value + lower);
            self.upper[number] = self.upper[number].max(value);
            self.reality[number] = self.reality[number].max(*sum);
        }
    }

    fn merge(self, other: Highest) -> Highest {
        let merged =
            |one: Vec<f32>, other: Vec<f32>| one.iter().zip(&other).map(|(a, b)| a.max(*b)).collect();
        Highest {
            studentised: self.studentised.max(other.studentised),
            plain: self.plain.max(other.plain),
            consistent: merged(self.consistent, other.consistent),
            lower: merged(self.lower, other.lower),
            upper: merged(self.upper, other.upper),
            reality: merged(self.reality, other.reality),
        }
    }

    fn figures(&self, block_length: f64) -> Option<SuperiorAbility> {
        if self.studentised == f64::NEG_INFINITY {
            return None;
        }
        let statistic = self.studentised.max(0.0);
        let share = |resamples: &[f32], least: f64, found: f64| {
            let as_high = resamples.iter().filter(|value| f64::from(**value).max(least) >= found).count();
            // The history itself is one of those that can happen: a p-value is never 0.
            (as_high + 1) as f64 / (RESAMPLES + 1) as f64
        };
        Some(SuperiorAbility {
            statistic,
            consistent: share(&self.consistent, 0.0, statistic),
            lower: share(&self.lower, 0.0, statistic),
            upper: share(&self.upper, 0.0, statistic),
            reality_check: share(&self.reality, f64::NEG_INFINITY, self.plain),
            block_length,
        })
    }
}
