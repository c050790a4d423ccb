//! Figures of a series of returns. Returns are simple returns a bar, risk-free rate 0.

use super::equity_curve::simple_returns;
use super::finite;
use super::normal::normal_quantile;
use crate::table::BookResult;

/// Simple returns of the equity, a return a row; the first is against the starting cash. Once the equity is used up
/// there is nothing to earn a return on, and returns are 0.
pub fn returns(book: &BookResult) -> Vec<f64> {
    simple_returns(&book.equity.equity, book.starting_cash).collect()
}

/// Compound annual growth rate: `growth ^ (periods per year / periods) - 1`, where `growth` is last over first equity.
/// -1 where nothing is left.
pub fn annual_growth(growth: f64, periods: usize, periods_per_year: f64) -> Option<f64> {
    if growth <= 0.0 {
        return Some(-1.0);
    }
    finite(growth.powf(periods_per_year / periods as f64) - 1.0)
}

/// Mean and sample standard deviation (ddof 1); `None` for fewer than two values, or where all are equal up to rounding.
pub(super) fn moments(values: &[f64]) -> Option<(f64, f64)> {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean) * (value - mean)).sum();
    let deviation = (squares / (count - 1.0)).sqrt();
    // A constant series keeps a width of a few units in the last place of its mean.
    (values.len() > 1 && deviation > 1e-12 * mean.abs()).then_some((mean, deviation))
}

/// Annual volatility: sample standard deviation times sqrt(periods per year); 0 for a constant series.
pub fn volatility(returns: &[f64], periods_per_year: f64) -> Option<f64> {
    if returns.len() < 2 {
        return None;
    }
    finite(moments(returns).map_or(0.0, |(_, deviation)| deviation) * periods_per_year.sqrt())
}

/// Sharpe ratio: mean over sample standard deviation, times sqrt(periods per year) (Sharpe 1994).
pub fn sharpe(returns: &[f64], periods_per_year: f64) -> Option<f64> {
    let (mean, deviation) = moments(returns)?;
    finite(mean / deviation * periods_per_year.sqrt())
}

/// Sortino ratio: mean over sqrt(mean of squared negative returns), over all bars, times sqrt(periods per year)
/// (Sortino and Price 1994, target 0).
pub fn sortino(returns: &[f64], periods_per_year: f64) -> Option<f64> {
    let count = returns.len() as f64;
    let mean = returns.iter().sum::<f64>() / count;
    let downside = (returns.iter().map(|value| value.min(0.0).powi(2)).sum::<f64>() / count).sqrt();
    finite(mean / downside * periods_per_year.sqrt())
}

/// Sum of gains and sum of losses, both positive.
pub(super) fn gains_and_losses(values: &[f64]) -> (f64, f64) {
    let gains = values.iter().map(|value| value.max(0.0)).sum();
    let losses = values.iter().map(|value| -value.min(0.0)).sum();
    (gains, losses)
}

/// Omega ratio at 0: sum of positive over sum of negative returns (Keating and Shadwick 2002).
pub fn omega(returns: &[f64]) -> Option<f64> {
    let (gains, losses) = gains_and_losses(returns);
    finite(gains / losses)
}

/// Gain-to-pain ratio: sum of all over sum of negative returns (Schwager); omega minus 1.
pub fn gain_to_pain(returns: &[f64]) -> Option<f64> {
    let (gains, losses) = gains_and_losses(returns);
    finite((gains - losses) / losses)
}

/// The quantile of sorted values at `share`, linear between neighbours (type 7 of Hyndman and Fan 1996).
pub fn quantile(sorted: &[f64], share: f64) -> Option<f64> {
    let last = sorted.len().checked_sub(1)?;
    let position = share.clamp(0.0, 1.0) * last as f64;
    let below = position.floor() as usize;
    let above = (below + 1).min(last);
    finite(sorted[below] + (position - below as f64) * (sorted[above] - sorted[below]))
}

/// Expected shortfall: mean of the sorted returns at or below the quantile at `share`.
pub fn conditional_value_at_risk(sorted: &[f64], share: f64) -> Option<f64> {
    let limit = quantile(sorted, share)?;
    let tail = &sorted[..sorted.partition_point(|value| *value <= limit)];
    finite(tail.iter().sum::<f64>() / tail.len() as f64)
}

/// Tail ratio: 95 % quantile over absolute 5 % quantile of sorted returns.
pub fn tail_ratio(sorted: &[f64]) -> Option<f64> {
    finite(quantile(sorted, 0.95)?.abs() / quantile(sorted, 0.05)?.abs())
}

/// Mean, sample standard deviation (ddof 1), and population skewness and kurtosis (3 for a normal distribution).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct StandardMoments {
    pub(super) mean: f64,
    pub(super) deviation: f64,
    pub(super) skew: f64,
    pub(super) kurtosis: f64,
}

/// `None` where [`moments`] is.
pub(super) fn standard_moments(values: &[f64]) -> Option<StandardMoments> {
    let (mean, deviation) = moments(values)?;
    let mut sums = [0.0; 3];
    for value in values {
        let distance = value - mean;
        let square = distance * distance;
        sums = [sums[0] + square, sums[1] + square * distance, sums[2] + square * square];
    }
    let [second, third, fourth] = sums.map(|sum| sum / values.len() as f64);
    Some(StandardMoments {
        mean,
        deviation,
        skew: third / second.powf(1.5),
        kurtosis: fourth / (second * second),
    })
}

/// Sample skewness, the adjusted Fisher-Pearson coefficient G1 (Joanes and Gill 1998); needs three values.
pub fn skew(values: &[f64]) -> Option<f64> {
    sample_skew(standard_moments(values)?.skew, values.len())
}

pub(super) fn sample_skew(population: f64, count: usize) -> Option<f64> {
    let count = count as f64;
    finite((count * (count - 1.0)).sqrt() / (count - 2.0) * population)
}

/// Sample excess kurtosis G2 (Joanes and Gill 1998); needs four values.
pub fn kurtosis(values: &[f64]) -> Option<f64> {
    sample_excess_kurtosis(standard_moments(values)?.kurtosis, values.len())
}

pub(super) fn sample_excess_kurtosis(population: f64, count: usize) -> Option<f64> {
    let count = count as f64;
    let excess = population - 3.0;
    finite((count - 1.0) / ((count - 2.0) * (count - 3.0)) * ((count + 1.0) * excess + 6.0))
}

/// Gaussian value at risk: the quantile at `share` of a normal distribution with the mean and the sample deviation of the
/// returns; negative for a loss (quantstats' convention; ours by default is the historical [`quantile`]).
pub fn gaussian_value_at_risk(returns: &[f64], share: f64) -> Option<f64> {
    let (mean, deviation) = moments(returns)?;
    finite(mean + deviation * normal_quantile(share))
}

/// Recovery factor: total return over the absolute maximum drawdown. quantstats takes the absolute sum of returns instead
/// of the compounded total.
pub fn recovery_factor(total_return: f64, max_drawdown: f64) -> Option<f64> {
    finite(total_return / max_drawdown.abs())
}

/// Stability: R squared of a straight line through the logarithm of the equity over its rows, the starting cash not
/// included (empyrical's `stability_of_timeseries`). `None` for fewer than two rows, for equity that was used up, and for a
/// flat line.
pub fn stability(equity: &[f64]) -> Option<f64> {
    let count = equity.len() as f64;
    let logarithms: Vec<f64> = equity.iter().map(|value| value.ln()).collect();
    let (mean, deviation) = moments(&logarithms)?;
    let middle = (count - 1.0) / 2.0;
    let products: f64 =
        logarithms.iter().enumerate().map(|(row, value)| (row as f64 - middle) * (value - mean)).sum();
    let rows = count * (count * count - 1.0) / 12.0;
    finite(products * products / (rows * deviation * deviation * (count - 1.0)))
}
