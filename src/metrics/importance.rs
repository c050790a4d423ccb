//! Which setting mattered: the share of the variance of an outcome that one factor explains by itself.
//!
//! The first-order sensitivity index of a factor `X` is `Var(E[Y | X]) / Var(Y)` (Sobol: "Sensitivity estimates for nonlinear
//! mathematical models", 1993). It is estimated by the means of groups of equal or neighbouring `X` with the
//! small-sample correction of Hays' omega squared ("Statistics", 1963):
//! `(SSB - (g - 1) MSW) / (SST + MSW)`, with `g` groups, `SSB` the sum of squares between groups, `SST` the total sum of
//! squares, and `MSW` the mean square within groups. Without a correction every irrelevant factor would seem to explain
//! about `(g - 1) / (n - 1)`; with it the estimate of such a factor lies around 0 (below 0 is given as 0) with a standard
//! error of about `sqrt(2 (g - 1)) / n`.
//!
//! Limits. It measures what a factor does by itself: two factors that act only together both have 0. It speaks of the points
//! that were tried: a search that soon settled on good values of a factor makes it look small, and factors that were changed
//! together share what either explains. A linear effect loses `1 / g^2` of itself within its groups.

/// With fewer outcomes nothing can be told.
pub const FEWEST_OUTCOMES: usize = 10;

/// Groups of an ordered factor with more distinct values, and the outcomes that each should have.
const GROUPS: [usize; 2] = [3, 10];
const GROUP_SIZE: usize = 8;

/// Outcomes farther than so many interquartile ranges from the middle half count as if they lay there (Tukey's far fence):
/// one training that nearly blew up must not be all of the variance.
const FAR: f64 = 3.0;

/// The values of one factor, a value an outcome.
#[derive(Clone, Debug, PartialEq)]
pub enum Factor {
    /// Numbers of which only the order counts, so their scale does not matter; NaN where the factor does not exist.
    Ordered(Vec<f64>),
    /// Choices without an order; none where the factor does not exist.
    Choices(Vec<Option<usize>>),
}

impl Factor {
    fn len(&self) -> usize {
        match self {
            Factor::Ordered(values) => values.len(),
            Factor::Choices(values) => values.len(),
        }
    }
}

/// The share of the variance of `outcomes` that each factor explains by itself, from 0 to 1. Outcomes that are no numbers
/// are left out. A factor that exists for a part of the outcomes only is judged among them, and its share is of the
/// variance of all. `None`: fewer than [`FEWEST_OUTCOMES`] outcomes (of the factor), no variance, or so many choices that
/// most have one outcome; also where a factor has another number of values than there are outcomes.
pub fn importance(factors: &[Factor], outcomes: &[f64]) -> Vec<Option<f64>> {
    let kept: Vec<usize> = (0..outcomes.len()).filter(|row| outcomes[*row].is_finite()).collect();
    let values = fenced(&kept.iter().map(|row| outcomes[*row]).collect::<Vec<f64>>());
    let total = square_sum(values.iter().copied());
    // Equal outcomes differ by rounding at most.
    let size: f64 = values.iter().map(|value| value * value).sum();
    let told = values.len() >= FEWEST_OUTCOMES && total > 1e-24 * size;
    factors
        .iter()
        .map(|factor| {
            let fits = told && factor.len() == outcomes.len();
            fits.then(|| share(&grouped(factor, &kept, &values), total)).flatten()
        })
        .collect()
}

/// Outcomes with those beyond the far fences on the fences.
fn fenced(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let quartiles = [0.25, 0.75].map(|share| super::quantile(&sorted, share));
    let [Some(low), Some(high)] = quartiles else { return values.to_vec() };
    let reach = FAR * (high - low);
    if reach == 0.0 {
        return values.to_vec();
    }
    values.iter().map(|value| value.clamp(low - reach, high + reach)).collect()
}

/// The outcomes of each group of a factor.
fn grouped(factor: &Factor, kept: &[usize], values: &[f64]) -> Vec<Vec<f64>> {
    let mut groups: Vec<Vec<f64>> = Vec::new();
    let mut put = |group: usize, value: f64| {
        if groups.len() <= group {
            groups.resize(group + 1, Vec::new());
        }
        groups[group].push(value);
    };
    match factor {
        Factor::Choices(choices) => {
            let mut known: Vec<usize> = Vec::new();
            for (row, value) in kept.iter().zip(values) {
                let Some(choice) = choices[*row] else { continue };
                let place = known.iter().position(|other| *other == choice).unwrap_or_else(|| {
                    known.push(choice);
                    known.len() - 1
                });
                put(place, *value);
            }
        }
        Factor::Ordered(numbers) => {
            let mut pairs: Vec<(f64, f64)> = kept
                .iter()
                .zip(values)
                .map(|(row, value)| (numbers[*row], *value))
                .filter(|pair| !pair.0.is_nan())
                .collect();
            pairs.sort_by(|left, right| left.0.total_cmp(&right.0).then(left.1.total_cmp(&right.1)));
            let count = pairs.len();
            let wanted = (count / GROUP_SIZE).clamp(GROUPS[0], GROUPS[1]);
            let runs: Vec<&[(f64, f64)]> = pairs.chunk_by(|left, right| left.0 == right.0).collect();
            let mut start = 0;
            for (index, run) in runs.iter().enumerate() {
                // Equal numbers stay together: their middle rank says where.
                let middle = (2 * start + run.len()) * wanted / (2 * count);
                let group = if runs.len() <= wanted { index } else { middle.min(wanted - 1) };
                run.iter().for_each(|(_, value)| put(group, *value));
                start += run.len();
            }
        }
    }
    groups.retain(|group| !group.is_empty());
    groups
}

/// Omega squared of the groups, with the sum of squares `total` of all outcomes.
fn share(groups: &[Vec<f64>], total: f64) -> Option<f64> {
    let count: usize = groups.iter().map(Vec::len).sum();
    if count < FEWEST_OUTCOMES || count < 2 * groups.len() {
        return None;
    }
    let within: f64 = groups.iter().map(|group| square_sum(group.iter().copied())).sum();
    let all = square_sum(groups.iter().flatten().copied());
    let mean_within = within / (count - groups.len()) as f64;
    let between = (all - within).max(0.0) - (groups.len() - 1) as f64 * mean_within;
    Some((between / (total + mean_within)).clamp(0.0, 1.0))
}

/// Sum of squared distances from the mean.
fn square_sum(values: impl Iterator<Item = f64> + Clone) -> f64 {
    let (count, sum) = values.clone().fold((0.0, 0.0), |(count, sum), value| (count + 1.0, sum + value));
    let mean = sum / f64::max(count, 1.0);
    values.map(|value| (value - mean) * (value - mean)).sum()
}
