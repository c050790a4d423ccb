//! What is left of the best of many books.

use super::overfitting::overfitting_probability;
use super::sharpe_ratio::{SharpeEstimate, deflated_sharpe, expected_maximum_sharpe};
use super::superior_ability::superior_ability;
use crate::metrics::returns::moments;
use crate::seed::Seed;
use crate::table::ReturnMatrix;
use rayon::prelude::*;

/// Figures of the best of many books. `None` where a figure is not defined (too few books or periods).
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct SelectionFigures {
    /// Annualised Sharpe ratio that the best of all trials without any skill is expected to show.
    pub luck_sharpe: Option<f64>,
    /// Probability that the best book's true Sharpe ratio is above that (the deflated Sharpe ratio).
    pub deflated_sharpe: Option<f64>,
    /// Probability of backtest overfitting, see [`overfitting_probability`].
    pub overfitting: Option<f64>,
    /// p-value of White's reality check against doing nothing, see [`superior_ability`].
    pub reality_check: Option<f64>,
    /// Consistent p-value of Hansen's test against doing nothing.
    pub superior_ability: Option<f64>,
}

/// All figures of selection from the books' returns a period. `trials` is how many books were ever tried, these included;
/// fewer than these are taken as these. The variance of the trials' Sharpe ratios is that of these books, of which one
/// without variance has the ratio 0. `periods_per_year` counts the periods of the matrix.
pub fn selection_figures(
    returns: &ReturnMatrix,
    trials: usize,
    periods_per_year: f64,
    seed: Seed,
) -> SelectionFigures {
    let trials = trials.max(returns.books());
    let series = |book: usize| returns.book(book).iter().map(|value| f64::from(*value)).collect::<Vec<f64>>();
    let sharpes: Vec<f64> = (0..returns.books())
        .into_par_iter()
        .map(|book| moments(&series(book)).map_or(0.0, |(mean, deviation)| mean / deviation))
        .collect();
    let best = (0..sharpes.len()).max_by(|a, b| sharpes[*a].total_cmp(&sharpes[*b]).then(b.cmp(a)));
    let estimate = best.and_then(|best| SharpeEstimate::of(&series(best)));
    // One book has no spread of its own, equal books have none at all: nothing was chosen between.
    let variance = moments(&sharpes).map_or(0.0, |(_, deviation)| deviation * deviation);
    let ability = superior_ability(returns, None, None, seed);
    SelectionFigures {
        luck_sharpe: best.map(|_| expected_maximum_sharpe(trials, variance) * periods_per_year.sqrt()),
        deflated_sharpe: estimate.and_then(|estimate| deflated_sharpe(&estimate, trials, variance)),
        overfitting: overfitting_probability(returns),
        reality_check: ability.map(|ability| ability.reality_check),
        superior_ability: ability.map(|ability| ability.consistent),
    }
}
