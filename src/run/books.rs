//! Every strategy decides, model-driven and ordinary alike; and the one choice among models is made on validation bars.

use super::RunError;
use super::fit::{Fitted, metrics_of};
use crate::config::Plan;
use crate::domains::market::backtest::{self, BacktestConfig, Books};
use crate::domains::market::strategies::{
    BookConfig, StrategyConfig, StrategyEntry, World, decide_guarded, traded_model,
};
use crate::kernels::gpu::Gpu;
use crate::metrics::{book_figures, trading_metrics};
use crate::progress::{Event, Progress, Silent};
use crate::rundir::{SpreadSummary, StrategyKind};
use crate::seed::Seed;
use crate::table::{Bars, BookResult, Positions, Predictions};
use crate::units::counted;
use rayon::prelude::*;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// What strategies decide on.
pub(super) struct Market<'a> {
    pub plan: &'a Plan,
    pub bars: &'a Bars,
    pub fitted: &'a Fitted,
    pub progress: &'a dyn Progress,
    pub seed: Seed,
    /// CUDA devices on which books may run.
    pub gpus: &'a [Gpu],
}

impl<'a> Market<'a> {
    /// The model on which a book trades, itself or through the strategy that it guards, and the horizon in bars.
    pub(super) fn model_of(&'a self, book: &'a BookConfig) -> Option<(&'a str, Option<u32>)> {
        traded_model(&self.plan.experiment.strategies, &book.strategy)
    }
}

/// What one strategy wants, book by book.
pub(super) struct Decided {
    pub name: String,
    pub config: StrategyConfig,
    /// The model on which it trades, itself or through the strategy that it guards.
    pub model: Option<String>,
    /// How its books are run: the section `backtest` with what the strategy replaces of it.
    pub settings: BacktestConfig,
    /// Its first book; of a distribution each further one is decided when it is run.
    pub positions: Positions,
    /// The book that it matches.
    pub reference: Option<Positions>,
}

impl Decided {
    pub(super) fn kind(&self) -> StrategyKind {
        if self.model.is_some() { StrategyKind::Model } else { StrategyKind::Baseline }
    }
}

/// The book on a model that validation chose.
pub(super) struct Choice {
    /// Its name and how it was found, in a sentence.
    pub chosen: Option<(String, String)>,
    /// Sharpe ratio on validation bars of each book on a model.
    pub sharpes: Vec<(String, Option<f64>)>,
    /// Why no book could be chosen although there are models.
    pub why_none: Option<&'static str>,
}

impl Choice {
    pub(super) fn strategy(&self) -> Option<&str> {
        self.chosen.as_ref().map(|(name, _)| name.as_str())
    }

    pub(super) fn describe(&self) -> String {
        match &self.chosen {
            Some((name, _)) => format!("{name}, of {} books on models, by validation", self.sharpes.len()),
            None => "no book, since none trades on a model".into(),
        }
    }

    pub(super) fn sharpe_of(&self, name: &str) -> Option<f64> {
        self.sharpes.iter().find(|(other, _)| other == name).and_then(|(_, sharpe)| *sharpe)
    }
}

/// Chooses among the books on models by the first fold's validation rows, which lie before the first test bar: first the
/// model whose forecasts rank best there (rank IC at the book's horizon), then, among the books on it, the one with the
/// best Sharpe ratio after costs. The rank IC uses every row of every symbol and is hence far less noisy than the few
/// trades of a book. Later folds' validation bars are test bars of earlier folds: to choose by them would be to choose by
/// test data.
pub(super) fn choose_on_validation(market: &Market) -> Result<Choice, RunError> {
    let Some((first, _)) = market.fitted.folds.first() else {
        return Ok(Choice { chosen: None, sharpes: Vec::new(), why_none: None });
    };
    let folds = &market.fitted.folds;
    if folds.iter().any(|(fold, _)| fold.test.start < first.validation.end) {
        let why_none = Some(
            "there is no verdict: in this split models are trained and validated on bars after those that they are \
             tested on, so nobody could have chosen or traded them; use walk_forward or holdout for a verdict",
        );
        return Ok(Choice { chosen: None, sharpes: Vec::new(), why_none });
    }
    let timeline = market.bars.timeline();
    let span = timeline.step_at(first.validation.start)..timeline.step_at(first.validation.end);
    let predictions = &market.fitted.first_validation;
    let on_models =
        decide_all(market, predictions, &span, |strategy| market.model_of(strategy.first()).is_some())?;
    let settings = &market.plan.experiment.backtest;
    let results = run_all(market, &on_models, &span, &Silent).into_iter().flatten();
    // A book that never traded has no Sharpe ratio, a forecast that never varies no rank IC; doing nothing counts as 0.
    let candidates = results.map(|book| {
        let rank_ic = rank_ic(market, strategy_of(&book.strategy)).unwrap_or(0.0);
        let periods = settings.annual_periods(&book.equity.time);
        (book.strategy.clone(), rank_ic, trading_metrics(&book, periods).sharpe)
    });
    let candidates: Vec<(String, f64, Option<f64>)> = candidates.collect();
    // The first of equals is taken.
    let best = candidates.iter().reduce(|best, next| {
        let better = (next.1, next.2.unwrap_or(0.0)) > (best.1, best.2.unwrap_or(0.0));
        if better { next } else { best }
    });
    let times = timeline.times();
    let chosen = best.map(|(name, rank_ic, _)| {
        // Its trading, if any, is judged on rows that also set its thresholds.
        let alarms = match market.plan.experiment.alarms {
            Some(_) => " The thresholds of alarms come from the same bars.",
            None => "",
        };
        let how = format!(
            "{name} trades on the forecasts with the best rank IC ({rank_ic:.3}) on the first fold's validation bars, \
             {} to {}, which lie before the first test bar; {} books on models were compared.{alarms}",
            times[span.start].date(),
            times[span.end - 1].date(),
            candidates.len(),
        );
        (name.clone(), how)
    });
    let sharpes = candidates.into_iter().map(|(name, _, sharpe)| (name, sharpe)).collect();
    Ok(Choice { chosen, sharpes, why_none: None })
}

/// The book of a strategy on a model, or its books a symbol, on these steps, by the forecasts of validation rows.
pub(super) fn on_validation(
    market: &Market,
    name: &str,
    span: &Range<usize>,
) -> Result<Vec<BookResult>, RunError> {
    let predictions = &market.fitted.first_validation;
    let mut decided = Vec::new();
    for (name, entry) in plain(market).filter(|(other, _)| *other == name) {
        decided.push(decide_one(market, name, entry, predictions, span, None)?);
    }
    Ok(run_all(market, &decided, span, &Silent).into_iter().flatten().collect())
}

/// The rank IC of the forecasts that a strategy trades on, on the first fold's validation rows.
fn rank_ic(market: &Market, strategy: &str) -> Option<f64> {
    let entry = market.plan.experiment.strategies.get(strategy)?;
    let (model, horizon) = market.model_of(entry.first())?;
    let predictions = market.fitted.first_validation.model(model)?;
    let column = match horizon {
        Some(wanted) => predictions.horizons.iter().position(|horizon| *horizon == wanted)?,
        None => 0,
    };
    metrics_of(market.bars, predictions, column).rank_ic
}

/// The strategy of a book: with a book a symbol, `sma@ALPHA` is a book of `sma`.
fn strategy_of(book: &str) -> &str {
    book.split('@').next().unwrap_or(book)
}

/// Lets all strategies decide on the test bars; those that match another book decide after it.
pub(super) fn decide(market: &Market, chosen: Option<&str>) -> Result<Vec<Decided>, RunError> {
    let (predictions, span) = (&market.fitted.predictions, &market.fitted.span);
    let mut decided = decide_all(market, predictions, span, |strategy| strategy.build().matches().is_none())?;
    for (name, entry) in plain(market) {
        let Some(wanted) = entry.build().matches() else { continue };
        // With a book a symbol validation chose `lstm@ALPHA`; its strategy decides for every symbol. Without any choice
        // the strategy does what it does without a reference.
        let wanted = wanted.or(chosen.map(strategy_of));
        let reference = decided.iter().find(|other| Some(other.name.as_str()) == wanted);
        let reference = reference.map(|other| other.positions.clone());
        decided.push(decide_one(market, name, entry, predictions, span, reference)?);
    }
    decided.sort_by_key(|strategy| market.plan.experiment.strategies.get_index_of(&strategy.name));
    Ok(decided)
}

fn decide_all(
    market: &Market,
    predictions: &Predictions,
    span: &Range<usize>,
    wanted: impl Fn(&StrategyEntry) -> bool,
) -> Result<Vec<Decided>, RunError> {
    let mut decided = Vec::new();
    for (name, entry) in plain(market).filter(|(_, entry)| wanted(entry)) {
        decided.push(decide_one(market, name, entry, predictions, span, None)?);
    }
    Ok(decided)
}

/// The strategies that are no grids.
fn plain<'a>(market: &Market<'a>) -> impl Iterator<Item = (&'a String, &'a StrategyEntry)> {
    market.plan.experiment.strategies.iter().filter(|(_, entry)| !entry.is_grid())
}

/// The section `backtest` with what a book replaces of it.
pub(super) fn settings_of(market: &Market, book: &BookConfig) -> BacktestConfig {
    book.settings(&market.plan.experiment.backtest)
}

fn decide_one(
    market: &Market,
    name: &str,
    entry: &StrategyEntry,
    predictions: &Predictions,
    span: &Range<usize>,
    reference: Option<Positions>,
) -> Result<Decided, RunError> {
    let config = &entry.first().strategy;
    let positions = decide_book(market, name, config, predictions, (span, reference.as_ref(), 0))?;
    let settings = settings_of(market, entry.first());
    let model = market.model_of(entry.first()).map(|(model, _)| model.to_owned());
    Ok(Decided { name: name.to_owned(), config: config.clone(), model, settings, positions, reference })
}

/// One book of a strategy: where it runs, what it matches, its number.
pub(super) fn decide_book(
    market: &Market,
    name: &str,
    config: &StrategyConfig,
    predictions: &Predictions,
    (span, reference, book): (&Range<usize>, Option<&Positions>, usize),
) -> Result<Positions, RunError> {
    let seed = market.seed.child(name, 0);
    let world = World { bars: market.bars, predictions, span: span.clone(), seed, reference, book };
    let all = &market.plan.experiment.strategies;
    decide_guarded(all, config, &world, market.seed)
        .map_err(|reason| RunError::Strategy { strategy: name.to_owned(), reason })
}

/// One strategy after its backtest.
pub(super) struct Backtested {
    pub decided: Decided,
    /// Its book, or with a book a symbol one for each, in the order of symbols.
    pub shown: Vec<ShownBook>,
}

/// A book that is kept with its whole curve.
pub(super) struct ShownBook {
    pub result: BookResult,
    /// Its symbol, where each symbol has a book of its own.
    pub symbol: Option<usize>,
    /// The spread of the distribution that it stands for.
    pub spread: Option<SpreadSummary>,
    /// The grid whose best book it is.
    pub grid: Option<String>,
}

/// Runs every book over the test bars: all single ones together, then each distribution.
pub(super) fn backtest(market: &Market, decided: Vec<Decided>) -> Result<Vec<Backtested>, RunError> {
    let (single, many): (Vec<Decided>, Vec<Decided>) =
        decided.into_iter().partition(|strategy| strategy.config.build().books() == 1);
    let results = run_all(market, &single, &market.fitted.span, market.progress);
    let mut backtested: Vec<Backtested> = Vec::new();
    for (decided, books) in single.into_iter().zip(results) {
        let symbols = symbols(market, &decided.settings).into_iter();
        let shown = books.into_iter().zip(symbols).map(|(result, symbol)| ShownBook {
            result,
            symbol,
            spread: None,
            grid: None,
        });
        backtested.push(Backtested { shown: shown.collect(), decided });
    }
    for strategy in many {
        backtested.push(distribution(market, strategy)?);
    }
    backtested.sort_by_key(|strategy| market.plan.experiment.strategies.get_index_of(&strategy.decided.name));
    Ok(backtested)
}

/// What the books of a strategy trade: all symbols together, or each alone.
pub(super) fn symbols(market: &Market, settings: &BacktestConfig) -> Vec<Option<usize>> {
    match settings.books {
        Books::SharedCash => vec![None],
        Books::PerSymbol => (0..market.bars.symbols().len()).map(Some).collect(),
    }
}

/// The books of strategies that have one each (or one a symbol). Those that replace nothing of `backtest` run together.
fn run_all(
    market: &Market,
    decided: &[Decided],
    span: &Range<usize>,
    progress: &dyn Progress,
) -> Vec<Vec<BookResult>> {
    let common = &market.plan.experiment.backtest;
    let named = |strategy: &Decided| (strategy.name.clone(), strategy.positions.clone());
    let books: Vec<(String, Positions)> =
        decided.iter().filter(|strategy| strategy.settings == *common).map(named).collect();
    let mut together = backtest::run_books(market.bars, &books, common, span.clone(), progress).into_iter();
    let groups = symbols(market, common).len();
    let of = |strategy: &Decided| match &strategy.settings {
        settings if settings == common => together.by_ref().take(groups).collect(),
        settings => backtest::run_books(market.bars, &[named(strategy)], settings, span.clone(), &Silent),
    };
    decided.iter().map(of).collect()
}

/// Runs a distribution of books, keeps their Sharpe ratios, and shows the book with the median one. Books without a
/// Sharpe ratio count as 0.
fn distribution(market: &Market, strategy: Decided) -> Result<Backtested, RunError> {
    let settings = &strategy.settings;
    let run = |book: usize| -> Result<Vec<BookResult>, RunError> {
        let place = (&market.fitted.span, strategy.reference.as_ref(), book);
        let predictions = &market.fitted.predictions;
        let positions = decide_book(market, &strategy.name, &strategy.config, predictions, place)?;
        let books = [(strategy.name.clone(), positions)];
        Ok(backtest::run_books(market.bars, &books, settings, market.fitted.span.clone(), &Silent))
    };
    let (total, done) = (strategy.config.build().books(), AtomicU64::new(0));
    market.progress.on(&Event::BooksDone { done: 0, total: total as u64 });
    let sharpes: Vec<Vec<f64>> = (0..total)
        .into_par_iter()
        .map(|book| {
            let ratio = |book: &BookResult| {
                let periods = settings.annual_periods(&book.equity.time);
                book_figures(book).sharpe(periods).unwrap_or(0.0)
            };
            let sharpes = run(book)?.iter().map(ratio).collect();
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            market.progress.on(&Event::BooksDone { done, total: total as u64 });
            Ok(sharpes)
        })
        .collect::<Result<_, RunError>>()?;
    let mut shown = Vec::new();
    for (group, symbol) in symbols(market, settings).into_iter().enumerate() {
        let mut ranked: Vec<(f64, usize)> =
            sharpes.iter().enumerate().map(|(book, groups)| (groups[group], book)).collect();
        ranked.sort_by(|left, right| left.0.total_cmp(&right.0).then(left.1.cmp(&right.1)));
        let (median, spread) = spread(&ranked);
        let result = run(median)?.into_iter().nth(group);
        shown.extend(result.map(|result| ShownBook { result, symbol, spread: Some(spread), grid: None }));
    }
    Ok(Backtested { decided: strategy, shown })
}

/// The median book of a ranking, and the quantiles by nearest rank: each is the Sharpe ratio of a book that was run.
fn spread(ranked: &[(f64, usize)]) -> (usize, SpreadSummary) {
    let rank = |share: f64| (share * (ranked.len() - 1) as f64).round() as usize;
    let sharpe_quantiles = [0.05, 0.25, 0.5, 0.75, 0.95].map(|share| ranked[rank(share)].0);
    let sharpes = ranked.iter().map(|(sharpe, _)| *sharpe).collect();
    (ranked[rank(0.5)].1, SpreadSummary { books: ranked.len(), sharpe_quantiles, sharpes })
}

pub(super) fn describe(decided: &[Decided]) -> String {
    let books: usize = decided.iter().map(|strategy| strategy.config.build().books()).sum();
    counted(books, "book")
}
