//! How well forecasts put the rows with an event before the others, whatever the threshold.

use crate::metrics::finite;
use crate::metrics::long_run::{NORMAL_975, error_of_sum};
use crate::units::Time;

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
/// without, equal risks counting half (the statistic of Mann and Whitney 1947). `None` unless there are rows of both kinds.
pub fn area_under_curve(risk: &[f64], happens: &[bool]) -> Option<f64> {
    let (events, others) = counts(happens);
    let (mut below, mut pairs) = (0.0, 0.0);
    for run in Ranked::new(risk).runs() {
        let positive = run.iter().filter(|row| happens[**row]).count() as f64;
        let negative = run.len() as f64 - positive;
        pairs += positive * (below + 0.5 * negative);
        below += negative;
    }
    finite(pairs / (events * others))
}

/// Average precision: the precision at each threshold, from the highest risk down, weighted by the recall that it adds;
/// rows of equal risk are one threshold and nothing is interpolated, as in scikit-learn. `None` without an event.
pub fn average_precision(risk: &[f64], happens: &[bool]) -> Option<f64> {
    let (events, _) = counts(happens);
    let (mut caught, mut rows, mut sum) = (0.0, 0.0, 0.0);
    for run in Ranked::new(risk).runs().rev() {
        let positive = run.iter().filter(|row| happens[**row]).count() as f64;
        caught += positive;
        rows += run.len() as f64;
        sum += positive * caught / rows;
    }
    finite(sum / events)
}

/// 95 % interval of [`area_under_curve`] for outcomes that lie within `horizon_bars` times ahead: `times`, `risk` and
/// `happens` are `[R]`, in any order of rows.
///
/// The area is a mean of placements (DeLong, DeLong and Clarke-Pearson 1988): a row with an event counts the share of rows
/// without one below it, a row without one the share of rows with one above it, each less the area and over the share of
/// its kind. Rows of one time are added up, and since labels of overlapping horizons share bars, the standard error is that
/// of a mean of dependent values, as in [`crate::metrics::ic_interval`]. The interval is made on the logarithm of the odds,
/// so that it stays between 0 and 1. `None` unless there are rows of both kinds and at least twenty times, or four without
/// overlap; where the area is 0 or 1 no error can be seen.
pub fn area_under_curve_interval(
    times: &[Time],
    risk: &[f64],
    happens: &[bool],
    horizon_bars: usize,
) -> Option<[f64; 2]> {
    let area = area_under_curve(risk, happens)?;
    let mut influences: Vec<(Time, f64)> =
        times.iter().copied().zip(placements(risk, happens, area)).collect();
    // A stable sort: rows of one time keep their order, so that sums keep their bits.
    influences.sort_by_key(|row| row.0);
    let by_time: Vec<f64> = influences
        .chunk_by(|one, other| one.0 == other.0)
        .map(|rows| rows.iter().map(|row| row.1).sum())
        .collect();
    let error = error_of_sum(&by_time, horizon_bars)? / risk.len() as f64;
    let half = finite(NORMAL_975 * error / (area * (1.0 - area)))?;
    let odds = (area / (1.0 - area)).ln();
    Some([odds - half, odds + half].map(|odds| (1.0 + (-odds).exp()).recip()))
}

/// By how much each row moves the area, times the number of rows.
fn placements(risk: &[f64], happens: &[bool], area: f64) -> Vec<f64> {
    let (events, others) = counts(happens);
    let rows = events + others;
    let mut influences = vec![0.0; risk.len()];
    let (mut events_below, mut others_below) = (0.0, 0.0);
    for run in Ranked::new(risk).runs() {
        let positive = run.iter().filter(|row| happens[**row]).count() as f64;
        let negative = run.len() as f64 - positive;
        let below = (others_below + 0.5 * negative) / others;
        let above = (events - events_below - 0.5 * positive) / events;
        for row in run {
            influences[*row] = match happens[*row] {
                true => (below - area) * rows / events,
                false => (above - area) * rows / others,
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
