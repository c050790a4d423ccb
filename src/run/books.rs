//! Every strategy decides, model-driven and ordinary alike; and the one choice among models is made on validation bars.

use super::RunError;
use super::fit::{Fitted, metrics_of};
use crate::config::Plan;
use crate::domains::market::backtest;
use crate::domains::market::strategies::{StrategyConfig, World};
use crate::metrics::trading_metrics;
use crate::rundir::StrategyKind;
use crate::seed::Seed;
use crate::table::{Bars, Positions, Predictions};
use std::ops::Range;

/// What strategies decide on.
pub(super) struct Market<'a> {
    pub plan: &'a Plan,
    pub bars: &'a Bars,
    pub fitted: &'a Fitted,
    pub seed: Seed,
}

/// The positions of one strategy: one book, or a distribution of books.
pub(super) struct Decided {
    pub name: String,
    pub config: StrategyConfig,
    pub books: Vec<Positions>,
}

impl Decided {
    pub(super) fn kind(&self) -> StrategyKind {
        if self.config.build().model().is_some() { StrategyKind::Model } else { StrategyKind::Baseline }
    }
}

/// The book on a model that validation chose.
pub(super) struct Choice {
    /// Its name and how it was found, in a sentence.
    pub chosen: Option<(String, String)>,
    /// Sharpe ratio on validation bars of each book on a model.
    pub sharpes: Vec<(String, Option<f64>)>,
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
        return Ok(Choice { chosen: None, sharpes: Vec::new() });
    };
    let timeline = market.bars.timeline();
    let span = timeline.step_at(first.validation.start)..timeline.step_at(first.validation.end);
    let predictions = &market.fitted.first_validation;
    let on_models = decide_all(market, predictions, &span, |strategy| strategy.build().model().is_some())?;
    let settings = &market.plan.experiment.backtest;
    let periods = settings.annual_periods(market.bars);
    let silent = crate::progress::Silent;
    let results = backtest::run_books(market.bars, &named(&on_models), settings, span.clone(), &silent);
    // A book that never traded has no Sharpe ratio, a forecast that never varies no rank IC; doing nothing counts as 0.
    let candidates = results.iter().map(|book| {
        let rank_ic = rank_ic(market, strategy_of(&book.strategy)).unwrap_or(0.0);
        (book.strategy.clone(), rank_ic, trading_metrics(book, periods).sharpe)
    });
    let candidates: Vec<(String, f64, Option<f64>)> = candidates.collect();
    // The first of equals is taken.
    let best = candidates.iter().reduce(|best, next| {
        let better = (next.1, next.2.unwrap_or(0.0)) > (best.1, best.2.unwrap_or(0.0));
        if better { next } else { best }
    });
    let times = timeline.times();
    let chosen = best.map(|(name, rank_ic, _)| {
        let how = format!(
            "{name} trades on the forecasts with the best rank IC ({rank_ic:.3}) on the first fold's validation bars, \
             {} to {}, which lie before the first test bar; {} books on models were compared.",
            times[span.start].date(),
            times[span.end - 1].date(),
            candidates.len(),
        );
        (name.clone(), how)
    });
    let sharpes = candidates.into_iter().map(|(name, _, sharpe)| (name, sharpe)).collect();
    Ok(Choice { chosen, sharpes })
}

/// The rank IC of the forecasts that a strategy trades on, on the first fold's validation rows.
fn rank_ic(market: &Market, strategy: &str) -> Option<f64> {
    let (model, horizon) = market.plan.experiment.strategies.get(strategy)?.build().model()?;
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
    for (name, config) in &market.plan.experiment.strategies {
        let Some(wanted) = config.build().matches() else { continue };
        // With a book a symbol validation chose `lstm@ALPHA`; its strategy decides for every symbol.
        let wanted = wanted.or(chosen.map(strategy_of)).unwrap_or_default();
        let reference =
            decided.iter().find(|other| other.name == wanted).and_then(|other| other.books.first());
        let reference = reference.ok_or_else(|| RunError::Strategy {
            strategy: name.clone(),
            reason: format!(
                "it matches `{wanted}`, which has no book; name a strategy that is one book over all symbols"
            ),
        })?;
        let books = decide_one(market, name, config, predictions, span, Some(reference))?;
        decided.push(Decided { name: name.clone(), config: config.clone(), books });
    }
    decided.sort_by_key(|strategy| market.plan.experiment.strategies.get_index_of(&strategy.name));
    Ok(decided)
}

fn decide_all(
    market: &Market,
    predictions: &Predictions,
    span: &Range<usize>,
    wanted: impl Fn(&StrategyConfig) -> bool,
) -> Result<Vec<Decided>, RunError> {
    let mut decided = Vec::new();
    for (name, config) in market.plan.experiment.strategies.iter().filter(|(_, config)| wanted(config)) {
        let books = decide_one(market, name, config, predictions, span, None)?;
        decided.push(Decided { name: name.clone(), config: config.clone(), books });
    }
    Ok(decided)
}

fn decide_one(
    market: &Market,
    name: &str,
    config: &StrategyConfig,
    predictions: &Predictions,
    span: &Range<usize>,
    reference: Option<&Positions>,
) -> Result<Vec<Positions>, RunError> {
    let world = World {
        bars: market.bars,
        predictions,
        span: span.clone(),
        seed: market.seed.child(name, 0),
        reference,
    };
    config.build().decide(&world).map_err(|reason| RunError::Strategy { strategy: name.to_owned(), reason })
}

/// All books with the names of their strategies, for the ledger.
pub(super) fn named(decided: &[Decided]) -> Vec<(String, Positions)> {
    decided
        .iter()
        .flat_map(|strategy| {
            strategy.books.iter().map(|positions| (strategy.name.clone(), positions.clone()))
        })
        .collect()
}

pub(super) fn describe(decided: &[Decided]) -> String {
    let books: usize = decided.iter().map(|strategy| strategy.books.len()).sum();
    format!("{books} books of {} strategies", decided.len())
}
