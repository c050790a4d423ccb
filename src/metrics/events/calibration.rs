//! Whether what is forecast with 10 % happens in 10 % of the cases.

use crate::metrics::long_run::NORMAL_975;
use serde::{Deserialize, Serialize};

/// Bins of a reliability diagram.
const BINS: usize = 10;

/// Rows with similar risks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct CalibrationBin {
    /// How many rows.
    pub rows: usize,
    /// Lowest and highest risk.
    pub range: [f64; 2],
    /// Mean risk.
    pub risk: f64,
    /// Share of the rows in which the event came.
    pub observed: f64,
    /// 95 % interval of that share, see [`share_interval`].
    pub interval: [f64; 2],
}

/// The reliability of probabilities in ten bins with equally many rows, from the lowest risks to the highest; rows of equal
/// risk stay together, so there may be fewer bins. Bins of equal width would leave most of a rare event's range empty and
/// put nearly every row into the first one.
///
/// Labels of neighbouring rows share bars: an interval counts `horizon_bars` rows as one. Where events come in clusters that
/// last longer than the horizon, or to several symbols at once, fewer rows are independent and the interval is too narrow.
pub fn calibration_bins(risk: &[f64], happens: &[bool], horizon_bars: usize) -> Vec<CalibrationBin> {
    let mut order: Vec<usize> = (0..risk.len()).collect();
    order.sort_by(|one, other| risk[*one].total_cmp(&risk[*other]));
    let mut bins = Vec::new();
    let mut start = 0;
    for bin in 1..=BINS {
        let mut end = (bin * order.len() / BINS).max(start);
        while end > start && end < order.len() && risk[order[end]] == risk[order[end - 1]] {
            end += 1;
        }
        if end > start {
            bins.push(bin_of(&order[start..end], risk, happens, horizon_bars));
        }
        start = end;
    }
    bins
}

/// The bin of rows that are sorted by their risk.
fn bin_of(rows: &[usize], risk: &[f64], happens: &[bool], horizon_bars: usize) -> CalibrationBin {
    let count = rows.len() as f64;
    let events = rows.iter().filter(|row| happens[**row]).count() as f64;
    let observed = events / count;
    CalibrationBin {
        rows: rows.len(),
        range: [risk[rows[0]], risk[rows[rows.len() - 1]]],
        risk: rows.iter().map(|row| risk[*row]).sum::<f64>() / count,
        observed,
        interval: share_interval(observed, (count / horizon_bars.max(1) as f64).max(1.0)),
    }
}

/// 95 % interval of a share that was seen in `cases` independent cases, by the score test (Wilson 1927); it is meaningful
/// for few cases and for shares of 0 and 1 as well.
pub fn share_interval(share: f64, cases: f64) -> [f64; 2] {
    let spread = NORMAL_975 * NORMAL_975 / cases;
    let centre = share + 0.5 * spread;
    let half = (spread * (share * (1.0 - share) + 0.25 * spread)).sqrt();
    [((centre - half) / (1.0 + spread)).max(0.0), ((centre + half) / (1.0 + spread)).min(1.0)]
}

/// Expected calibration error: the mean distance of a bin's mean risk from its observed share, weighted by rows (Naeini,
/// Cooper and Hauskrecht 2015, with bins of equal count). `None` without a row.
pub fn expected_calibration_error(bins: &[CalibrationBin]) -> Option<f64> {
    let rows: usize = bins.iter().map(|bin| bin.rows).sum();
    let distances = bins.iter().map(|bin| bin.rows as f64 * (bin.risk - bin.observed).abs());
    (rows > 0).then(|| distances.sum::<f64>() / rows as f64)
}
