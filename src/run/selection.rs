//! How many books were ever tried, and what is left of the best of them.

use super::RunError;
use super::grids::GridRun;
use super::results::Outcome;
use super::score::Scored;
use crate::metrics::{SelectionFigures, SharpeEstimate, deflated_sharpe, returns, selection_figures};
use crate::rundir::{GridAxisSummary, GridSummary, RunDir, SelectionSummary, list_runs};
use crate::seed::Seed;

/// Books that were ever tried on these bars in this folder of runs, this run's included; the same plan counts once.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tried {
    /// Books on models.
    pub on_models: usize,
    /// All books but random ones.
    pub books: usize,
}

/// Adds the books of all other runs to those of this one.
pub(super) fn count(outcome: &Outcome) -> Result<Tried, RunError> {
    let mut seen = vec![outcome.plan.sha256.clone()];
    let mut tried = outcome.own;
    let runs = outcome.directory.path().parent().unwrap_or(outcome.directory.path());
    for run in list_runs(runs)? {
        // A neighbour that is damaged says so when it is opened; it must not stop this run.
        if let Ok(Some(manifest)) = RunDir::manifest(&run)
            && manifest.data_sha256 == outcome.data_sha256
            && !seen.contains(&manifest.plan_sha256)
        {
            tried.on_models += manifest.trials;
            tried.books += manifest.books;
            seen.push(manifest.plan_sha256);
        }
    }
    Ok(tried)
}

/// Judges the best book of each grid, and each single book, by how many were tried.
pub(super) fn judge(grids: &[GridRun], scored: &mut Scored, tried: Tried, seed: Seed) -> Vec<GridSummary> {
    deflate(scored, tried);
    grids.iter().map(|grid| judge_grid(grid, scored, tried, seed)).collect()
}

/// The deflated Sharpe ratio of every single book; its trials spread as the single books of this run do.
fn deflate(scored: &mut Scored, tried: Tried) {
    let single = |index: &usize| scored.strategies[*index].spread.is_none();
    let estimates: Vec<(usize, SharpeEstimate)> = (0..scored.shown.len())
        .filter(single)
        .filter_map(|index| Some((index, SharpeEstimate::of(&returns(&scored.shown[index]))?)))
        .collect();
    let count = estimates.len() as f64;
    if count < 2.0 {
        return;
    }
    let mean = estimates.iter().map(|(_, estimate)| estimate.sharpe).sum::<f64>() / count;
    let squares: f64 = estimates.iter().map(|(_, estimate)| (estimate.sharpe - mean).powi(2)).sum();
    for (index, estimate) in &estimates {
        scored.strategies[*index].deflated_sharpe =
            deflated_sharpe(estimate, tried.books, squares / (count - 1.0));
    }
}

fn judge_grid(grid: &GridRun, scored: &mut Scored, tried: Tried, seed: Seed) -> GridSummary {
    let bars = grid.figures.first().map_or(0, |book| book.bars);
    let stretches_per_year = grid.periods_per_year * grid.returns.periods() as f64 / bars.max(1) as f64;
    let found = selection_figures(&grid.returns, tried.books, stretches_per_year, seed.child("selection", 0));
    let SelectionFigures { luck_sharpe, deflated_sharpe, overfitting, reality_check, superior_ability } =
        found;
    let best = grid.best_name();
    // Among all books of its grid it has more company than among the single ones.
    if let Some(summary) = scored.strategies.iter_mut().find(|strategy| strategy.name == best) {
        summary.deflated_sharpe = deflated_sharpe;
    }
    let mut sharpes = grid.sharpes();
    sharpes.sort_unstable_by(f64::total_cmp);
    let rank = |share: f64| sharpes[(share * (sharpes.len() - 1) as f64).round() as usize];
    let axis = |axis: &crate::domains::market::strategies::GridAxis| GridAxisSummary {
        parameter: axis.parameter.clone(),
        values: axis.values.clone(),
    };
    GridSummary {
        name: grid.name.clone(),
        strategy: grid.entry.name().into(),
        axes: grid.entry.axes().iter().map(axis).collect(),
        books: grid.figures.len(),
        skipped: grid.entry.skipped_count(),
        engine: if grid.batch { "batch" } else { "ledger" }.into(),
        sharpe_quantiles: [0.05, 0.25, 0.5, 0.75, 0.95].map(rank),
        best: Some(best),
        selection: SelectionSummary {
            trials: tried.books.max(grid.figures.len()),
            luck_sharpe,
            deflated_sharpe,
            overfitting,
            reality_check,
            superior_ability,
        },
    }
}
