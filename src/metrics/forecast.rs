//! Figures of forecasts against what came.

use super::{ForecastMetrics, finite, returns::moments};
use crate::table::LabelKind;
use crate::units::Time;

/// With fewer symbols a correlation across them is noise.
pub(super) const FEWEST_SYMBOLS: usize = 3;

/// Tenths of the rows.
const DECILES: usize = 10;

/// An information coefficient over all times.
struct Coefficient {
    mean: Option<f64>,
    /// Mean over sample deviation of the coefficients of the times; none for one correlation over all rows.
    ratio: Option<f64>,
}

/// Time, forecast and outcome of every row whose outcome is known, in the order of time.
pub(super) fn known_rows(times: &[Time], predictions: &[f64], actual: &[f64]) -> Vec<(Time, f64, f64)> {
    let mut rows: Vec<(Time, f64, f64)> = times
        .iter()
        .zip(predictions.iter().zip(actual))
        .filter(|(_, (_, actual))| !actual.is_nan())
        .map(|(time, (prediction, actual))| (*time, *prediction, *actual))
        .collect();
    // A stable sort: rows of one time keep their order, so that sums keep their bits.
    rows.sort_by_key(|row| row.0);
    rows
}

/// Scores forecasts row by row: `times`, `predictions` and `actual` are `[N]`, a row a symbol and time in any order.
/// Rows whose outcome is null are skipped. The information coefficients are means over times of the correlation across
/// symbols where there are three symbols a time on average, otherwise one correlation over all rows.
pub fn forecast_metrics(
    times: &[Time],
    kind: LabelKind,
    predictions: &[f64],
    actual: &[f64],
) -> ForecastMetrics {
    let rows = known_rows(times, predictions, actual);
    let count = rows.len() as f64;
    let mean = |error: &dyn Fn(f64) -> f64| {
        finite(rows.iter().map(|(_, prediction, actual)| error(prediction - actual)).sum::<f64>() / count)
    };
    let (directional_accuracy, directional_base_rate) = directions(kind, &rows);
    let ic = information_coefficient(&rows, correlation);
    let rank_ic = information_coefficient(&rows, |x, y| correlation(&ranks(x), &ranks(y)));
    ForecastMetrics {
        rows: rows.len(),
        mse: mean(&|error| error * error),
        mae: mean(&f64::abs),
        scaled_mse: None,
        scaled_mae: None,
        rounded_accuracy: rounds(kind, actual).then(|| rounded_accuracy(&rows)).flatten(),
        standard_errors: None,
        above_floor: None,
        directional_accuracy,
        directional_base_rate,
        ic: ic.mean,
        ic_interval: None,
        rank_ic: rank_ic.mean,
        icir: ic.ratio,
        rank_icir: rank_ic.ratio,
        decile_spread: decile_spread(&rows),
        auc: None,
        average_precision: None,
    }
}

/// Whether forecasts of these outcomes are to be rounded: levels and changes that are whole numbers wherever they are known.
pub(super) fn rounds(kind: LabelKind, outcomes: &[f64]) -> bool {
    matches!(kind, LabelKind::Value | LabelKind::Change)
        && outcomes.iter().all(|outcome| outcome.is_nan() || outcome.fract() == 0.0)
}

/// Share of forecasts that equal the outcome after rounding, halves away from zero.
fn rounded_accuracy(rows: &[(Time, f64, f64)]) -> Option<f64> {
    let right = rows.iter().filter(|(_, prediction, actual)| prediction.round() == *actual).count();
    finite(right as f64 / rows.len() as f64)
}

/// Mean squared and mean absolute error of one horizon in units of `units` (`[N]`), over those rows whose every horizon is
/// known, so that all horizons are judged on the same windows. `predictions` and `actual` are `[N, horizons]` row-major.
/// `None` where there is no such row.
pub fn scaled_errors(
    units: &[f64],
    predictions: &[f64],
    actual: &[f64],
    horizon: usize,
) -> Option<(f64, f64)> {
    let horizons = actual.len().checked_div(units.len())?;
    let (mut rows, mut squares, mut absolute) = (0_usize, 0.0, 0.0);
    for (row, unit) in units.iter().enumerate() {
        let outcomes = &actual[row * horizons..(row + 1) * horizons];
        if outcomes.iter().any(|outcome| outcome.is_nan()) {
            continue;
        }
        let error = (predictions[row * horizons + horizon] - outcomes[horizon]) / unit;
        rows += 1;
        squares += error * error;
        absolute += error.abs();
    }
    let count = rows as f64;
    finite(squares / count).zip(finite(absolute / count))
}

/// How much a signal changes: the sum of absolute changes of each symbol's forecast from one of its rows to the next,
/// over the sum of absolute forecasts of the same rows. 0 for a constant forecast, 2 for one that changes its sign
/// every time. `symbols`, `times` and `predictions` are `[N]`, in any order. `None` without two rows of a symbol.
pub fn signal_turnover(symbols: &[u32], times: &[Time], predictions: &[f64]) -> Option<f64> {
    let mut rows: Vec<(u32, Time, f64)> = symbols
        .iter()
        .zip(times.iter().zip(predictions))
        .map(|(symbol, (time, prediction))| (*symbol, *time, *prediction))
        .collect();
    rows.sort_by_key(|row| (row.0, row.1));
    let pairs = || rows.windows(2).filter(|pair| pair[0].0 == pair[1].0);
    let changes: f64 = pairs().map(|pair| (pair[1].2 - pair[0].2).abs()).sum();
    finite(changes / pairs().map(|pair| pair[1].2.abs()).sum::<f64>())
}

/// Mean outcome of the tenth of the rows with the highest forecasts less that of the tenth with the lowest: of each time
/// with at least ten symbols, the mean over times; without such a time of all rows together.
fn decile_spread(rows: &[(Time, f64, f64)]) -> Option<f64> {
    let of = |rows: &[(Time, f64, f64)]| {
        let tenth = rows.len() / DECILES;
        let mut sorted = rows.to_vec();
        sorted.sort_by(|one, other| one.1.total_cmp(&other.1));
        let mean = |rows: &[(Time, f64, f64)]| rows.iter().map(|row| row.2).sum::<f64>() / tenth as f64;
        finite(mean(&sorted[rows.len() - tenth..]) - mean(&sorted[..tenth]))
    };
    let spreads: Vec<f64> =
        rows.chunk_by(|a, b| a.0 == b.0).filter(|rows| rows.len() >= DECILES).filter_map(of).collect();
    if spreads.is_empty() { of(rows) } else { finite(spreads.iter().sum::<f64>() / spreads.len() as f64) }
}

/// Share of forecasts on the side of the outcome, and of the more frequent side. A forecast at neutral is on no side.
fn directions(kind: LabelKind, rows: &[(Time, f64, f64)]) -> (Option<f64>, Option<f64>) {
    let neutral = match kind {
        LabelKind::Value | LabelKind::Event => return (None, None),
        LabelKind::Class => 0.5,
        LabelKind::Return | LabelKind::Change | LabelKind::Scaled | LabelKind::Direction => 0.0,
    };
    let (mut right, mut up, mut total) = (0_usize, 0_usize, 0_usize);
    for (_, prediction, actual) in rows.iter().filter(|(_, _, actual)| *actual != neutral) {
        total += 1;
        up += usize::from(*actual > neutral);
        right += usize::from((prediction - neutral) * (actual - neutral) > 0.0);
    }
    let share = |part: usize| finite(part as f64 / total as f64);
    (share(right), share(up.max(total - up)))
}

fn information_coefficient(
    rows: &[(Time, f64, f64)],
    correlation: impl Fn(&[f64], &[f64]) -> Option<f64>,
) -> Coefficient {
    let times = rows.chunk_by(|a, b| a.0 == b.0).count();
    if rows.len() < FEWEST_SYMBOLS * times {
        let (x, y): (Vec<f64>, Vec<f64>) = rows.iter().map(|row| (row.1, row.2)).unzip();
        return Coefficient { mean: correlation(&x, &y), ratio: None };
    }
    let coefficients = correlations_by_time(rows, correlation);
    Coefficient {
        mean: finite(coefficients.iter().sum::<f64>() / coefficients.len() as f64),
        ratio: moments(&coefficients).and_then(|(mean, deviation)| finite(mean / deviation)),
    }
}

/// The correlation across symbols of each time that has enough of them and in which it is defined; rows sorted by time.
pub(super) fn correlations_by_time(
    rows: &[(Time, f64, f64)],
    correlation: impl Fn(&[f64], &[f64]) -> Option<f64>,
) -> Vec<f64> {
    rows.chunk_by(|a, b| a.0 == b.0)
        .filter(|rows| rows.len() >= FEWEST_SYMBOLS)
        .filter_map(|rows| {
            let (x, y): (Vec<f64>, Vec<f64>) = rows.iter().map(|row| (row.1, row.2)).unzip();
            correlation(&x, &y)
        })
        .collect()
}

/// Pearson's correlation; `None` where one side does not vary.
pub(super) fn correlation(x: &[f64], y: &[f64]) -> Option<f64> {
    let ((x_mean, x_deviation), (y_mean, y_deviation)) = (moments(x)?, moments(y)?);
    let products: f64 = x.iter().zip(y).map(|(x, y)| (x - x_mean) * (y - y_mean)).sum();
    finite((products / (x.len() as f64 - 1.0) / (x_deviation * y_deviation)).clamp(-1.0, 1.0))
}

/// Ranks from 1, equal values sharing the mean of theirs (Spearman).
fn ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_by(|a, b| values[*a].total_cmp(&values[*b]));
    let mut ranks = vec![0.0; values.len()];
    let mut first = 0;
    for equal in order.chunk_by(|a, b| values[*a] == values[*b]) {
        let shared = first as f64 + (equal.len() as f64 + 1.0) / 2.0;
        for index in equal {
            ranks[*index] = shared;
        }
        first += equal.len();
    }
    ranks
}
