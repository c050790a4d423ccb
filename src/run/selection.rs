//! How many books were ever tried, and what is left of the best of them.

use super::RunError;
use super::books::Choice;
use super::grids::GridRun;
use super::results::Outcome;
use super::score::Scored;
use crate::domains::market::backtest::BacktestConfig;
use crate::metrics::{
    SharpeEstimate, deflated_sharpe, expected_maximum_sharpe, returns, selection_figures, stretch_returns,
    trial_variance,
};
use crate::rundir::{
    GridAxisSummary, GridSummary, Manifest, RunDir, RunDirError, SelectionSummary, StrategySummary,
    list_runs, read_json,
};
use crate::seed::Seed;
use crate::table::Bars;
use indexmap::IndexMap;
use serde::{Deserialize, Serialize};

/// Books that were ever tried.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tried {
    /// Books on models.
    pub on_models: usize,
    /// All books but random ones.
    pub books: usize,
    /// Variance of their annualised Sharpe ratios, see [`trial_variance`]; of several runs the mean, each run weighing as
    /// many books as it tried.
    pub variance: Option<f64>,
}

/// `trials.json`: among how many trials a sweep chose the settings of this run. It lies in the run's directory, so that a
/// resumed run knows it as well.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ChosenAmong {
    /// The directory of the sweep.
    pub sweep_dir: String,
    /// The number of the chosen trial.
    pub trial: usize,
    /// Trials of the sweep, each of them a book that was tried.
    pub trials: usize,
    /// Variance of their annualised Sharpe ratios on validation bars, see [`trial_variance`].
    pub sharpe_variance: Option<f64>,
}

impl ChosenAmong {
    const FILE: &str = "trials.json";

    /// Writes it into the directory of a run that has not begun.
    ///
    /// # Errors
    /// A file that cannot be written.
    pub fn write(&self, directory: &RunDir) -> Result<(), RunDirError> {
        directory.write_json(ChosenAmong::FILE, self)
    }

    /// Of the run in this directory; none for a run that no sweep began.
    fn read(directory: &RunDir) -> Result<Option<ChosenAmong>, RunDirError> {
        let file = directory.file(ChosenAmong::FILE);
        if file.exists() { read_json(&file).map(Some) } else { Ok(None) }
    }

    /// Adds the other trials to the books of the run; the chosen one is among them already.
    fn add_to(&self, own: Tried) -> Tried {
        let others = self.trials.saturating_sub(1);
        let weights = [(own.variance, own.books), (self.sharpe_variance, self.trials)];
        Tried { on_models: own.on_models + others, books: own.books + others, variance: mean(&weights) }
    }
}

/// The mean of variances, each weighing as many books as it was made of.
fn mean(variances: &[(Option<f64>, usize)]) -> Option<f64> {
    let known = || variances.iter().filter_map(|(variance, books)| Some(((*variance)?, *books)));
    let books: usize = known().map(|(_, books)| books).sum();
    let sum: f64 = known().map(|(variance, books)| variance * books as f64).sum();
    (books > 0).then(|| sum / books as f64)
}

/// The books of this run, and the trials of the sweep that chose its settings.
pub(super) fn own_and_chosen(
    directory: &RunDir,
    (grids, scored, choice): (&[GridRun], &Scored, &Choice),
) -> Result<Tried, RunError> {
    let own = own(grids, scored, choice);
    Ok(ChosenAmong::read(directory)?.map_or(own, |chosen| chosen.add_to(own)))
}

/// The books of this run: every one of a grid counts, and every single one; random ones are no trials.
fn own(grids: &[GridRun], scored: &Scored, choice: &Choice) -> Tried {
    let single = |strategy: &&StrategySummary| strategy.spread.is_none() && strategy.grid.is_none();
    let on_models = grids.iter().filter(|grid| grid.entry.build().model().is_some());
    let singles =
        scored.strategies.iter().filter(single).map(|strategy| strategy.metrics.sharpe.unwrap_or(0.0));
    let sharpes: Vec<f64> = singles.chain(grids.iter().flat_map(GridRun::sharpes)).collect();
    Tried {
        on_models: choice.sharpes.len() + on_models.map(|grid| grid.figures.len()).sum::<usize>(),
        books: sharpes.len(),
        variance: trial_variance(&sharpes),
    }
}

/// Adds the books of all other runs in the folder on overlapping bars of the same symbols. The same plan counts once, with
/// the most books that any of its runs knew of: a plan that a sweep chose stays the best of the sweep's trials when it is
/// run again.
pub(super) fn count(outcome: &Outcome, loaded: &Bars) -> Result<Tried, RunError> {
    let mut plans = IndexMap::from([(outcome.plan.sha256.clone(), outcome.own)]);
    let runs = outcome.directory.path().parent().unwrap_or(outcome.directory.path());
    for run in list_runs(runs)? {
        // A neighbour that is damaged says so when it is opened; it must not stop this run.
        let Ok(Some(manifest)) = RunDir::manifest(&run) else { continue };
        if manifest.data_sha256 != outcome.data_sha256 && !overlap(&manifest, loaded) {
            continue;
        }
        let (on_models, books) = (manifest.trials, manifest.books);
        let found = Tried { on_models, books, variance: manifest.sharpe_variance };
        let known = plans.entry(manifest.plan_sha256).or_insert(found);
        if found.books > known.books {
            *known = found;
        }
    }
    let variances: Vec<_> = plans.values().map(|tried| (tried.variance, tried.books)).collect();
    Ok(Tried {
        on_models: plans.values().map(|tried| tried.on_models).sum(),
        books: plans.values().map(|tried| tried.books).sum(),
        variance: mean(&variances),
    })
}

/// Whether a run was on bars of the same symbols and, in part, of the same time: leaving out one bar makes no new data.
fn overlap(manifest: &Manifest, bars: &Bars) -> bool {
    let times = bars.timeline().times();
    let (Some(first), Some(last)) = (times.first(), times.last()) else { return false };
    let [start, end] = &manifest.bars;
    // Times of one form sort as text.
    let meets = !start.is_empty() && *start <= last.to_string() && first.to_string() <= *end;
    meets && manifest.symbols.iter().any(|symbol| bars.names().contains(&symbol.as_str()))
}

/// Judges the best book of each grid, and each single book, by how many were tried.
pub(super) fn judge(
    grids: &[GridRun],
    scored: &mut Scored,
    tried: Tried,
    settings: &BacktestConfig,
    seed: Seed,
) -> Vec<GridSummary> {
    deflate(scored, tried, settings);
    grids.iter().map(|grid| judge_grid(grid, scored, tried, seed)).collect()
}

/// The deflated Sharpe ratio of every book but random ones.
fn deflate(scored: &mut Scored, tried: Tried, settings: &BacktestConfig) {
    for (strategy, book) in scored.strategies.iter_mut().zip(&scored.shown) {
        let (true, Some(estimate)) = (strategy.spread.is_none(), SharpeEstimate::of(&returns(book))) else {
            continue;
        };
        // The variance is that of ratios a year, the estimate is a bar's.
        let variance = tried.variance.unwrap_or(0.0) / settings.annual_periods(&book.equity.time);
        strategy.deflated_sharpe = deflated_sharpe(&estimate, tried.books, variance);
    }
}

/// The returns of holding over the stretches of a grid.
fn holding(grid: &GridRun, scored: &Scored) -> Option<Vec<f64>> {
    let symbol = |name: &str| name.split_once('@').map(|(_, symbol)| symbol.to_owned());
    let holds = |strategy: &&StrategySummary| {
        strategy.strategy == "buy_and_hold"
            && strategy.grid.is_none()
            && symbol(&strategy.name) == symbol(&grid.name)
    };
    let index = scored.strategies.iter().position(|strategy| holds(&strategy))?;
    let returns = stretch_returns(&scored.shown[index], grid.returns.periods());
    Some(returns.into_iter().map(f64::from).collect())
}

fn judge_grid(grid: &GridRun, scored: &Scored, tried: Tried, seed: Seed) -> GridSummary {
    let holding = holding(grid, scored);
    let found = selection_figures(&grid.returns, holding.as_deref(), seed.child("selection", 0));
    let best = grid.best_name();
    let shown = scored.strategies.iter().find(|strategy| strategy.name == best);
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
        best: Some(best.clone()),
        selection: SelectionSummary {
            trials: tried.books,
            luck_sharpe: tried.variance.map(|variance| expected_maximum_sharpe(tried.books, variance)),
            deflated_sharpe: shown.and_then(|best| best.deflated_sharpe),
            overfitting: found.overfitting,
            reality_check: found.reality_check,
            superior_ability: found.superior_ability,
            superior_to_holding: found.superior_to_holding,
        },
    }
}
