//! The honest answer: does the model that validation chose beat the best baseline, after costs, beyond chance?

use super::books::Choice;
use super::results::Outcome;
use crate::metrics::{returns, sharpe_difference, sharpe_difference_test};
use crate::rundir::{Conclusion, StrategyKind, Verdict};
use crate::seed::Seed;

/// Doing nothing: the baseline that everybody has. Its Sharpe ratio is 0.
const CASH: &str = "cash";

/// Compares on the test bars. The baseline is the best of all on those very bars, chosen afterwards, which makes the
/// test harder; the model was chosen before. Cash is always among the baselines: who loses less than others has proved
/// nothing.
pub(super) fn reach(outcome: &Outcome, choice: &Choice, seed: Seed) -> Option<Verdict> {
    let (Some((model, how)), Some(books)) = (&choice.chosen, &outcome.books) else { return None };
    let position = |name: &str| books.strategies.iter().position(|strategy| strategy.name == name);
    let book = position(model).map(|index| &books.shown[index])?;
    let model_returns = returns(book);
    // A distribution of random books is a yardstick, not a strategy that anyone could have followed; nor is the best of
    // thousands, found on the very bars of the test.
    let (best_baseline, _) = books
        .strategies
        .iter()
        .filter(|strategy| {
            strategy.kind == StrategyKind::Baseline && strategy.spread.is_none() && strategy.grid.is_none()
        })
        .filter(|strategy| symbol_of(&strategy.name) == symbol_of(model))
        .map(|strategy| (strategy.name.as_str(), strategy.metrics.sharpe.unwrap_or(0.0)))
        .fold((CASH, 0.0), |best, next| if next.1 > best.1 { next } else { best });
    let baseline_returns = match position(best_baseline) {
        Some(index) => returns(&books.shown[index]),
        None => vec![0.0; model_returns.len()],
    };
    let periods = outcome.plan.experiment.backtest.annual_periods(&book.equity.time);
    let difference = sharpe_difference(&model_returns, &baseline_returns, periods, seed.child("verdict", 0));
    let (sharpe_difference, interval) = difference?;
    Some(Verdict {
        best_model: model.clone(),
        best_baseline: best_baseline.to_owned(),
        sharpe_difference,
        interval,
        p_value: sharpe_difference_test(&model_returns, &baseline_returns),
        trials: outcome.tried.on_models,
        conclusion: conclude(interval),
        choice: how.clone(),
    })
}

/// The symbol of a book that has only one, `ALPHA` of `sma@ALPHA`: such books are compared with books of the same symbol.
fn symbol_of(book: &str) -> Option<&str> {
    book.split_once('@').map(|(_, symbol)| symbol)
}

fn conclude([low, high]: [f64; 2]) -> Conclusion {
    match () {
        () if low > 0.0 => Conclusion::Proven,
        () if high < 0.0 => Conclusion::Worse,
        () => Conclusion::NotProven,
    }
}
