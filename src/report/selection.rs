//! What is left of the best of many trials, in words that name money.

use super::number::{SPACE, count, counted, maybe, percent};
use super::run_files::strategy;
use crate::rundir::{GridSummary, SelectionSummary, Summary};

/// Below this probability the best book is not told from luck; above this p-value neither.
pub(super) const CERTAIN: f64 = 0.95;
const UNLIKELY: f64 = 0.05;
/// Probability of overfitting at which choosing by backtest is worth nothing.
pub(super) const COIN: f64 = 0.5;

/// The Sharpe ratio that the best book of a grid shows.
pub(super) fn best_sharpe(summary: &Summary, grid: &GridSummary) -> Option<f64> {
    strategy(summary, grid.best.as_deref()?)?.metrics.sharpe
}

/// Whether every check that is defined, the deflated Sharpe ratio at least, says that the best book is more than luck.
pub(super) fn proven(selection: &SelectionSummary) -> bool {
    let likely = selection.deflated_sharpe.is_some_and(|probability| probability >= CERTAIN);
    let unlikely_luck = selection.superior_ability.is_none_or(|p| p <= UNLIKELY)
        && selection.reality_check.is_none_or(|p| p <= UNLIKELY);
    likely && unlikely_luck && selection.overfitting.is_none_or(|share| share < COIN)
}

/// The class of the style sheet and the word.
pub(super) fn conclusion(summary: &Summary, grid: &GridSummary) -> (&'static str, &'static str) {
    match best_sharpe(summary, grid) {
        _ if proven(&grid.selection) && grid.selection.superior_to_holding.is_some_and(|p| p > UNLIKELY) => {
            ("open", "more than luck, but not more than holding")
        }
        _ if proven(&grid.selection) => ("proven", "more than luck"),
        Some(best) if best <= 0.0 => ("worse", "none earns anything"),
        _ => ("open", "may be luck"),
    }
}

/// `Of 10,000 books of sma the best shows a Sharpe ratio of 1.90; luck alone would show 1.71 as the best of 12,345
/// trials`, not yet escaped.
pub(super) fn claim(summary: &Summary, grid: &GridSummary) -> String {
    let best = maybe(best_sharpe(summary, grid), 2);
    let mut text = format!(
        "Of {} of {} the best shows a Sharpe ratio of {best}",
        counted(grid.books, "book"),
        grid.name
    );
    if let Some(luck) = grid.selection.luck_sharpe {
        let trials = counted(grid.selection.trials, "trial");
        text += &format!("; luck alone would show {} as the best of {trials}", maybe(Some(luck), 2));
    }
    text
}

/// Title, figure, sentence and whether the figure speaks against the best book, of every check.
pub(super) fn checks(summary: &Summary, grid: &GridSummary) -> Vec<(&'static str, String, String, bool)> {
    let found = &grid.selection;
    let (best, trials) = (best_sharpe(summary, grid), count(found.trials));
    let mut checks = vec![(
        "Best Sharpe ratio, raw",
        maybe(best, 2),
        "What an advertisement would show. It was chosen because it is the highest.".to_owned(),
        false,
    )];
    if let Some(luck) = found.luck_sharpe {
        let above = best.map(|best| best - luck);
        let left = above.map_or(String::new(), |above| {
            format!(
                " {} of the raw figure lies above that.",
                if above > 0.0 { maybe(Some(above), 2) } else { "Nothing".into() }
            )
        });
        checks.push((
            "What luck would show",
            maybe(Some(luck), 2),
            format!("The best of {trials} trials without any skill is expected to look this good.{left}"),
            above.is_some_and(|above| above <= 0.0),
        ));
    }
    if let Some(probability) = found.deflated_sharpe {
        checks.push((
            "Deflated Sharpe ratio",
            percent(Some(probability), 1),
            format!(
                "Probability that the true ratio of this book is above what luck would show. Below 95{SPACE}%, the usual \
                 bar, money staked on it trusts in luck."
            ),
            probability < CERTAIN,
        ));
    }
    if let Some(share) = found.overfitting {
        checks.push((
            "Probability of overfitting",
            percent(Some(share), 1),
            format!(
                "In {} of the ways to halve the history, the best book of one half was below the middle in the other. \
                 From 50{SPACE}% on, picking winners by backtest is no better than a coin.",
                percent(Some(share), 0)
            ),
            share >= COIN,
        ));
    }
    let p_values = [
        (
            "Reality check, p",
            found.reality_check,
            "If no book had an edge, a best this good would still come up in {} of resampled histories. Above 0.05 the profit \
             may be luck.",
        ),
        (
            "Superior ability, p",
            found.superior_ability,
            "The same question with hopeless books kept from hiding a good one: {} of histories without an edge look as good.",
        ),
        (
            "Superior to holding, p",
            found.superior_to_holding,
            "If no book were better than buying and holding, a best this far above it would come up in {} of histories.",
        ),
    ];
    for (title, p, sentence) in p_values {
        if let Some(p) = p {
            let sentence = sentence.replace("{}", &percent(Some(p), 1));
            checks.push((title, maybe(Some(p), 3), sentence, p > UNLIKELY));
        }
    }
    checks
}
