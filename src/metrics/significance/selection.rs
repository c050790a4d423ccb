//! What is left of the best of many books.

use super::overfitting::overfitting_probability;
use super::superior_ability::superior_ability;
use crate::metrics::returns::quantile;
use crate::seed::Seed;
use crate::table::ReturnMatrix;

/// Figures of the best of many books. `None` where a figure is not defined (too few books or periods).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SelectionFigures {
    /// Probability of backtest overfitting, see [`overfitting_probability`].
    pub overfitting: Option<f64>,
    /// p-value of White's reality check against doing nothing, see [`superior_ability`].
    pub reality_check: Option<f64>,
    /// Consistent p-value of Hansen's test against doing nothing.
    pub superior_ability: Option<f64>,
    /// The same against holding; not defined without the returns of holding.
    pub superior_to_holding: Option<f64>,
}

/// All figures of selection from the books' returns a period. `holding` are the returns over the same periods of who buys
/// and holds.
pub fn selection_figures(returns: &ReturnMatrix, holding: Option<&[f64]>, seed: Seed) -> SelectionFigures {
    let ability = superior_ability(returns, None, None, seed);
    let over_holding = holding.and_then(|holding| superior_ability(returns, Some(holding), None, seed));
    SelectionFigures {
        overfitting: overfitting_probability(returns),
        reality_check: ability.map(|ability| ability.reality_check),
        superior_ability: ability.map(|ability| ability.consistent),
        superior_to_holding: over_holding.map(|ability| ability.consistent),
    }
}

/// Variance of the Sharpe ratios of trials for the deflated Sharpe ratio, from the better half alone: `n / (n - 1)` times
/// the mean squared distance from the median of those that are not below it.
///
/// Of trials that spread evenly to both sides it is their sample variance. What luck can reach depends on the upper side;
/// hopeless books, such as those that trade too often, stretch the lower side only and would raise the bar for the others.
/// `None` for fewer than two.
pub fn trial_variance(sharpes: &[f64]) -> Option<f64> {
    let mut sorted: Vec<f64> = sharpes.iter().copied().filter(|sharpe| sharpe.is_finite()).collect();
    sorted.sort_unstable_by(f64::total_cmp);
    let count = sorted.len() as f64;
    let median = quantile(&sorted, 0.5).filter(|_| sorted.len() > 1)?;
    let better = &sorted[sorted.partition_point(|sharpe| *sharpe < median)..];
    let squares: f64 = better.iter().map(|sharpe| (sharpe - median) * (sharpe - median)).sum();
    Some(squares / better.len() as f64 * count / (count - 1.0))
}
