//! The figures of every book that is shown.

use super::RunError;
use super::books::{Backtested, Choice, Decided, Market, ShownBook};
use super::breakers::{self, Guarded};
use crate::domains::market::backtest::{break_even_multiple, cost_scenarios, sells_short};
use crate::domains::market::strategies::StrategyConfig;
use crate::metrics::{
    benchmark_figures, excursions, headline_intervals, returns, sharpe_interval, trading_metrics,
};
use crate::rundir::{HeadlineIntervals, StrategySummary};
use crate::table::{BookResult, Positions};
use rayon::prelude::*;

/// Every strategy with its figures, and the one book of each that is shown.
pub(super) struct Scored {
    pub strategies: Vec<StrategySummary>,
    pub shown: Vec<BookResult>,
    /// What the strategies wanted, by their names.
    pub decided: Vec<(String, Positions)>,
    /// Shown books without leverage that sold short.
    pub unguarded_shorts: Vec<String>,
    pub periods_per_year: f64,
    /// Every shown circuit breaker.
    pub breakers: Vec<Guarded>,
}

/// Scores every shown book. The number of threads changes no bit.
///
/// # Errors
/// A strategy that is guarded and cannot decide.
pub(super) fn score(
    market: &Market,
    backtested: Vec<Backtested>,
    choice: &Choice,
) -> Result<Scored, RunError> {
    let settings = &market.plan.experiment.backtest;
    let periods_per_year =
        settings.annual_periods(&market.bars.timeline().times()[market.fitted.span.clone()]);
    let shown: Vec<(&Decided, &ShownBook)> = backtested
        .iter()
        .flat_map(|strategy| strategy.shown.iter().map(move |book| (&strategy.decided, book)))
        .collect();
    let mut strategies: Vec<StrategySummary> = shown
        .par_iter()
        .map(|(decided, book)| StrategySummary {
            validation_sharpe: choice.sharpe_of(&book.result.strategy),
            ..summary_of(market, decided, book)
        })
        .collect();
    beside_benchmark(&shown, &mut strategies);
    let breakers = breakers::beside_guarded(market, &shown)?;
    for breaker in &breakers {
        let of = |strategy: &&mut StrategySummary| strategy.name == breaker.name;
        strategies
            .iter_mut()
            .filter(of)
            .for_each(|strategy| strategy.breaker = Some(breaker.summary.clone()));
    }
    let unguarded = |(decided, book): &&(&Decided, &ShownBook)| {
        book.spread.is_none() && decided.settings.leverage() <= 1.0 && sells_short(&book.result)
    };
    let unguarded_shorts =
        shown.iter().filter(unguarded).map(|(_, book)| book.result.strategy.clone()).collect();
    let mut scored = Scored {
        strategies,
        shown: Vec::new(),
        decided: Vec::new(),
        unguarded_shorts,
        periods_per_year,
        breakers,
    };
    for strategy in backtested {
        // What a distribution wanted differs from book to book; only single books' orders are kept.
        if strategy.decided.config.build().books() == 1 {
            scored.decided.push((strategy.decided.name, strategy.decided.positions));
        }
        scored.shown.extend(strategy.shown.into_iter().map(|book| book.result));
    }
    Ok(scored)
}

/// Every book beside the first that buys and holds the same symbols.
fn beside_benchmark(shown: &[(&Decided, &ShownBook)], strategies: &mut [StrategySummary]) {
    let holds = |decided: &Decided| matches!(decided.config, StrategyConfig::BuyAndHold(_));
    strategies.par_iter_mut().zip(shown).for_each(|(strategy, (decided, book))| {
        let same =
            |(other, benchmark): &&(&Decided, &ShownBook)| holds(other) && benchmark.symbol == book.symbol;
        let Some((_, benchmark)) = shown.iter().find(same).filter(|_| !holds(decided)) else { return };
        let periods = decided.settings.annual_periods(&book.result.equity.time);
        strategy.benchmark =
            Some(benchmark_figures(&returns(&book.result), &returns(&benchmark.result), periods));
    });
}

fn summary_of(market: &Market, decided: &Decided, book: &ShownBook) -> StrategySummary {
    let (result, settings) = (&book.result, &decided.settings);
    let periods = settings.annual_periods(&result.equity.time);
    let series = returns(result);
    let mut metrics = trading_metrics(result, periods);
    metrics.set_excursions(&excursions(&result.fills, market.bars));
    let (bars, span) = (market.bars, &market.fitted.span);
    // A distribution is a yardstick; what one of its books would earn at other costs is of no use.
    let alone = book.spread.is_none() && !settings.costs.is_empty();
    let place = (bars, &decided.positions, settings, span, book.symbol);
    let scenarios = |(bars, positions, settings, span, symbol): (_, _, _, _, _)| {
        (
            cost_scenarios(bars, positions, settings, span, symbol),
            break_even_multiple(bars, positions, settings, span, symbol),
        )
    };
    let (cost_scenarios, break_even_cost_multiple) =
        if alone { scenarios(place) } else { (Vec::new(), None) };
    let headline = headline_intervals(&series, periods, market.seed.child("headline intervals", 0));
    StrategySummary {
        name: result.strategy.clone(),
        kind: decided.kind(),
        strategy: decided.config.name().into(),
        model: decided.model.clone(),
        metrics,
        sharpe_interval: sharpe_interval(&series, periods, market.seed.child("sharpe interval", 0)),
        validation_sharpe: None,
        spread: book.spread.clone(),
        bankrupt_at: result.bankrupt_at.map(|time| time.to_string()),
        intervals: Some(HeadlineIntervals {
            total_return: headline.total_return,
            cagr: headline.cagr,
            volatility: headline.volatility,
            sortino: headline.sortino,
            max_drawdown: headline.max_drawdown,
        }),
        deflated_sharpe: None,
        cost_scenarios,
        break_even_cost_multiple,
        grid: book.grid.clone(),
        benchmark: None,
        breaker: None,
    }
}
