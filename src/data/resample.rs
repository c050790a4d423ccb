//! Longer bars from shorter ones.

use super::config::Resampling;
use super::duration::duration_text;
use super::{BarDuration, DataError};
use crate::table::{BarColumns, NULL};
use crate::units::Time;

/// Replaces sorted, unique bars by bars of `width`, aligned to midnight UTC and stamped at their start: first open, highest
/// high, lowest low, last close, sum of volumes. Returns how many edge buckets were dropped: the first unless a bar starts
/// where it starts, the last unless a bar ends where it ends.
///
/// # Errors
/// Bars that are longer than the bucket or reach across its edge: the bucket's close would then come from its future.
pub(super) fn resample(
    name: &str,
    columns: &mut BarColumns,
    extras: Vec<(&mut Vec<f64>, Resampling)>,
    width: BarDuration,
) -> Result<usize, DataError> {
    let width = width.nanoseconds();
    let step = interval(&columns.time);
    let bucket = |time: Time| time.0.div_euclid(width) * width;
    if let Some(time) = columns.time.iter().find(|time| time.0 + step > bucket(**time) + width) {
        return Err(DataError::setting(
            "data.resample",
            format!(
                "the bar of {name} at {time} lasts {} and reaches across the edge of a bar of {}",
                duration_text(step),
                duration_text(width)
            ),
            format!("choose a multiple of {}", duration_text(step)),
        ));
    }
    let mut longer = BarColumns::default();
    for row in 0..columns.time.len() {
        let start = Time(bucket(columns.time[row]));
        if longer.time.last() != Some(&start) {
            longer.time.push(start);
            longer.open.push(columns.open[row]);
            longer.high.push(columns.high[row]);
            longer.low.push(columns.low[row]);
            longer.close.push(columns.close[row]);
            longer.volume.push(columns.volume[row]);
            continue;
        }
        let last = longer.time.len() - 1;
        longer.high[last] = longer.high[last].max(columns.high[row]);
        longer.low[last] = longer.low[last].min(columns.low[row]);
        longer.close[last] = columns.close[row];
        longer.volume[last] += columns.volume[row];
    }
    let first_partial = columns.time.first().is_some_and(|time| bucket(*time) != time.0);
    let last_partial = columns.time.last().is_some_and(|time| time.0 + step < bucket(*time) + width);
    let from = usize::from(first_partial);
    let buckets = longer.time.len();
    let to = (buckets - usize::from(last_partial)).max(from);
    if from == to {
        return Err(DataError::setting(
            "data.resample",
            format!("the bars of {name} fill no whole bar of {}", duration_text(width)),
            "choose a shorter length or load more data",
        ));
    }
    longer.time = longer.time[from..to].to_vec();
    for column in [&mut longer.open, &mut longer.high, &mut longer.low, &mut longer.close, &mut longer.volume]
    {
        *column = column[from..to].to_vec();
    }
    for (values, rule) in extras {
        let groups = columns.time.chunk_by(|left, right| bucket(*left) == bucket(*right));
        let mut start = 0;
        let longer: Vec<f64> = groups
            .map(|group| {
                start += group.len();
                merged(&values[start - group.len()..start], rule)
            })
            .collect();
        *values = longer[from..to].to_vec();
    }
    *columns = longer;
    Ok(buckets - (to - from))
}

/// One value of an extra column for several bars; nulls do not count.
fn merged(values: &[f64], rule: Resampling) -> f64 {
    let known = values.iter().copied().filter(|value| !value.is_nan());
    let Some(last) = known.clone().next_back() else { return NULL };
    match rule {
        Resampling::Last => last,
        Resampling::Sum => known.sum(),
        Resampling::Mean => known.clone().sum::<f64>() / known.count() as f64,
    }
}

/// The most frequent distance of two bars; of equally frequent ones the shortest; 0 for a single bar.
pub(super) fn interval(times: &[Time]) -> i64 {
    let mut steps: Vec<i64> =
        times.windows(2).map(|pair| pair[1].0 - pair[0].0).filter(|step| *step > 0).collect();
    steps.sort_unstable();
    let mut best = (0, 0);
    for group in steps.chunk_by(|left, right| left == right) {
        if group.len() > best.0 {
            best = (group.len(), group[0]);
        }
    }
    best.1
}
