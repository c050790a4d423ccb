//! The honest answer: does the model that validation chose beat the best baseline, after costs, beyond chance?

use super::RunError;
use super::books::Choice;
use super::results::Outcome;
use crate::metrics::{returns, sharpe_difference};
use crate::rundir::{Conclusion, RunDir, StrategyKind, Verdict, list_runs};
use crate::seed::Seed;

/// Compares on the test bars. The baseline is the best of all on those very bars, chosen afterwards, which makes the
/// test harder; the model was chosen before.
pub(super) fn reach(outcome: &Outcome, choice: &Choice, seed: Seed) -> Result<Option<Verdict>, RunError> {
    let (Some((model, how)), Some(books)) = (&choice.chosen, &outcome.books) else { return Ok(None) };
    let position = |name: &str| books.strategies.iter().position(|strategy| strategy.name == name);
    // A distribution of random books is a yardstick, not a strategy that anyone could have followed.
    let best_baseline = books
        .strategies
        .iter()
        .filter(|strategy| strategy.kind == StrategyKind::Baseline && strategy.spread.is_none())
        .filter(|strategy| symbol_of(&strategy.name) == symbol_of(model))
        .filter_map(|strategy| strategy.metrics.sharpe.map(|sharpe| (strategy.name.clone(), sharpe)))
        .reduce(|best, next| if next.1 > best.1 { next } else { best });
    let (Some(model_index), Some((baseline, _))) = (position(model), best_baseline) else { return Ok(None) };
    let Some(baseline_index) = position(&baseline) else { return Ok(None) };
    let difference = sharpe_difference(
        &returns(&books.shown[model_index]),
        &returns(&books.shown[baseline_index]),
        books.periods_per_year,
        seed.child("verdict", 0),
    );
    let Some((sharpe_difference, interval)) = difference else { return Ok(None) };
    Ok(Some(Verdict {
        best_model: model.clone(),
        best_baseline: baseline,
        sharpe_difference,
        interval,
        trials: trials(outcome)?,
        conclusion: conclude(interval),
        choice: how.clone(),
    }))
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

/// Books on models ever tried on these bars in this folder of runs, this run's included; the same plan counts once.
fn trials(outcome: &Outcome) -> Result<usize, RunError> {
    let mut seen = vec![outcome.plan.sha256.clone()];
    let mut trials = outcome.own_trials();
    let runs = outcome.directory.path().parent().unwrap_or(outcome.directory.path());
    for run in list_runs(runs)? {
        // A neighbour that is damaged says so when it is opened; it must not stop this run.
        if let Ok(Some(manifest)) = RunDir::manifest(&run)
            && manifest.data_sha256 == outcome.data_sha256
            && !seen.contains(&manifest.plan_sha256)
        {
            trials += manifest.trials;
            seen.push(manifest.plan_sha256);
        }
    }
    Ok(trials)
}
