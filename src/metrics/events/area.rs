//! How well forecasts put the rows with an event before the others, whatever the threshold.

use crate::metrics::finite;
use crate::metrics::long_run::{NORMAL_975, error_of_sum};
use crate::units::Time;
use std::ops::Range;

/// Rows in rising order of their risk, and the runs of equal risks among them.
struct Ranked {
    order: Vec<usize>,
    /// Ends of the runs of equal risks in `order`.
    ends: Vec<usize>,
}

impl Ranked {
    fn new(risk: &[f64]) -> Ranked {
        let mut order: Vec<usize> = (0..risk.len()).collect();
        order.sort_by(|one, other| risk[*one].total_cmp(&risk[*other]));
        // -0 and 0 are one risk.
        let ends = (1..=order.len())
            .filter(|end| *end == order.len() || risk[order[*end]] != risk[order[*end - 1]])
            .collect();
        Ranked { order, ends }
    }

    /// The runs of equal risks, from the lowest risk on.
    fn runs(&self) -> impl DoubleEndedIterator<Item = &[usize]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied()).collect::<Vec<usize>>();
        (0..self.ends.len()).map(move |run| &self.order[starts[run]..self.ends[run]])
    }
}

/// Area under the receiver operating characteristic: the probability that a row with an event has a higher risk than one
/// without, equal risks counting half (the statistic of Mann and Whitney 1947). All are `[R]`. The pairs are those of one
/// fold, since models of several folds may differ in their level, which is no skill; rows of a fold stand together. `None`
/// unless a fold has rows of both kinds.
pub fn area_under_curve(fold: &[u32], risk: &[f64], happens: &[bool]) -> Option<f64> {
    over_folds(fold, |rows| right_pairs(&risk[rows.clone()], &happens[rows]))
}

/// Average precision: the precision at each threshold, from the highest risk down, weighted by the recall that it adds;
/// rows of equal risk are one threshold and nothing is interpolated, as in scikit-learn. Of several folds it is the mean,
/// weighted by their rows with an event, so that every such row counts alike and is ranked by its own model; a fold without
/// an event does not count. A forecast without skill reaches the base rates of the folds, weighted alike. All are `[R]`, and
/// rows of a fold stand together. `None` without an event.
pub fn average_precision(fold: &[u32], risk: &[f64], happens: &[bool]) -> Option<f64> {
    over_folds(fold, |rows| summed_precision(&risk[rows.clone()], &happens[rows]))
}

/// A share of which each fold gives the upper and the lower part.
fn over_folds(fold: &[u32], part: impl Fn(Range<usize>) -> (f64, f64)) -> Option<f64> {
    let parts = folds(fold).map(part);
    let (above, below) = parts.fold((0.0, 0.0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
    finite(above / below)
}

/// The rows of each fold.
fn folds(fold: &[u32]) -> impl Iterator<Item = Range<usize>> {
    fold.chunk_by(|one, other| one == other).scan(0, |end, rows| {
        let start = *end;
        *end += rows.len();
        Some(start..*end)
    })
}

/// Pairs of a row with an event and one without in which the first has the higher risk, and all such pairs.
fn right_pairs(risk: &[f64], happens: &[bool]) -> (f64, f64) {
    let (events, others) = counts(happens);
    let (mut below, mut pairs) = (0.0, 0.0);
    for run in Ranked::new(risk).runs() {
        let positive = run.iter().filter(|row| happens[**row]).count() as f64;
        let negative = run.len() as f64 - positive;
        pairs += positive * (below + 0.5 * negative);
        below += negative;
    }
    (pairs, events * others)
}

/// The precision at the threshold of each row with an event, summed, and the number of such rows.
fn summed_precision(risk: &[f64], happens: &[bool]) -> (f64, f64) {
    let (mut caught, mut rows, mut sum) = (0.0, 0.0, 0.0);
    for run in Ranked::new(risk).runs().rev() {
        let positive = run.iter().filter(|row| happens[**row]).count() as f64;
        caught += positive;
        rows += run.len() as f64;
        sum += positive * caught / rows;
    }
    (sum, caught)
}

/// 95 % interval of [`area_under_curve`] for outcomes that lie within `horizon_bars` times ahead: `fold`, `times`, `risk`
/// and `happens` are `[R]`; rows of a fold stand together.
///
/// The area of a fold is a mean of placements (DeLong, DeLong and Clarke-Pearson 1988): a row with an event counts the share
/// of rows without one below it, a row without one the share of rows with one above it, each less the fold's area and over
/// the number of its kind; a fold weighs by its share of the pairs. Rows of one time are added up, and since labels of
/// overlapping horizons share bars, the standard error is that of a mean of dependent values, as in
/// [`crate::metrics::ic_interval`]. It knows of dependence up to twice the horizon: where events come in longer clusters the
/// interval is too narrow. It is made on the logarithm of the odds, so that it stays between 0 and 1. `None` unless there
/// are rows of both kinds and at least twenty times, or four without overlap; where the area is 0 or 1 no error can be seen.
pub fn area_under_curve_interval(
    (fold, times): (&[u32], &[Time]),
    risk: &[f64],
    happens: &[bool],
    horizon_bars: usize,
) -> Option<[f64; 2]> {
    let area = area_under_curve(fold, risk, happens)?;
    let mut influences: Vec<(Time, f64)> =
        times.iter().copied().zip(influences(fold, risk, happens)).collect();
    // A stable sort: rows of one time keep their order, so that sums keep their bits.
    influences.sort_by_key(|row| row.0);
    let by_time: Vec<f64> = influences
        .chunk_by(|one, other| one.0 == other.0)
        .map(|rows| rows.iter().map(|row| row.1).sum())
        .collect();
    let error = error_of_sum(&by_time, horizon_bars)?;
    let half = finite(NORMAL_975 * error / (area * (1.0 - area)))?;
    let odds = (area / (1.0 - area)).ln();
    Some([odds - half, odds + half].map(|odds| (1.0 + (-odds).exp()).recip()))
}

/// By how much each row moves the area.
fn influences(fold: &[u32], risk: &[f64], happens: &[bool]) -> Vec<f64> {
    let pairs_of = |rows: Range<usize>| right_pairs(&risk[rows.clone()], &happens[rows]);
    let all_pairs: f64 = folds(fold).map(|rows| pairs_of(rows).1).sum();
    let of_fold = |rows: Range<usize>| {
        let (right, pairs) = pairs_of(rows.clone());
        if pairs == 0.0 {
            return vec![0.0; rows.len()];
        }
        let mut influences = placements(&risk[rows.clone()], &happens[rows], right / pairs);
        influences.iter_mut().for_each(|influence| *influence *= pairs / all_pairs);
        influences
    };
    folds(fold).flat_map(of_fold).collect()
}

/// By how much each row of a fold with rows of both kinds moves the fold's area.
fn placements(risk: &[f64], happens: &[bool], area: f64) -> Vec<f64> {
    let (events, others) = counts(happens);
    let mut influences = vec![0.0; risk.len()];
    let (mut events_below, mut others_below) = (0.0, 0.0);
    for run in Ranked::new(risk).runs() {
        let positive = run.iter().filter(|row| happens[**row]).count() as f64;
        let negative = run.len() as f64 - positive;
        let below = (others_below + 0.5 * negative) / others;
        let above = (events - events_below - 0.5 * positive) / events;
        for row in run {
            influences[*row] = match happens[*row] {
                true => (below - area) / events,
                false => (above - area) / others,
            };
        }
        events_below += positive;
        others_below += negative;
    }
    influences
}

/// Rows with an event and rows without.
fn counts(happens: &[bool]) -> (f64, f64) {
    let events = happens.iter().filter(|happens| **happens).count();
    (events as f64, (happens.len() - events) as f64)
}
