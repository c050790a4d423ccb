//! What people should know of the books before they trust their figures.

use super::results::ForecastFigures;
use super::score::Scored;
use crate::metrics::BreakerMetrics;
use crate::table::{Bars, BookResult, ModelPredictions};
use crate::units::counted;

/// A book that lost more than this is ruined: ratios of its returns say nothing to who owned it.
const RUIN: f64 = -0.9;

/// A fill that takes a larger share of the volume of the bar before it would have moved the price.
const NOTICED_SHARE: f64 = 0.1;

/// So many of a book's fills may be that large.
const FEW: f64 = 0.05;

/// Figures of a model that one sentence names.
const NAMED_FIGURES: usize = 3;

/// A circuit breaker that sees nothing in a larger share of the bars guards nothing there.
const BLIND: f64 = 0.02;

/// A circuit breaker that is out of the market for a larger share of the bars does not guard a book, it replaces it.
const OUT: f64 = 0.5;

/// A stop of more horizons outlasts every alarm that began it.
const LONG_STOP: usize = 10;

/// A sentence for a model that scores better than the best possible forecast, if it does: luck alone would not.
pub(super) fn below_noise_floor(predictions: &ModelPredictions, figures: &ForecastFigures) -> Option<String> {
    let ahead = |bars: &u32| format!("{} ahead", counted(*bars as usize, "bar"));
    let places = std::iter::once("all horizons".to_owned()).chain(predictions.horizons.iter().map(ahead));
    let leaks: Vec<String> = places
        .zip(std::iter::once(&figures.mean).chain(&figures.all))
        .flat_map(|(place, metrics)| {
            let leaks = metrics.above_floor.iter().flat_map(|floor| floor.leaks());
            leaks.map(|name| format!("{name} at {place}")).collect::<Vec<String>>()
        })
        .collect();
    let rest = match leaks.len().saturating_sub(NAMED_FIGURES) {
        0 => String::new(),
        rest => format!(" and {rest} more"),
    };
    (!leaks.is_empty()).then(|| {
        format!(
            "{} scores below the noise floor by more than its sampling error: something leaks ({}{rest})",
            predictions.model,
            leaks[..leaks.len().min(NAMED_FIGURES)].join(", ")
        )
    })
}

/// A sentence for every shown book that was ruined, liquidated, or traded more than its market could bear. Random books
/// are a yardstick and stay out.
pub(super) fn doubts(scored: &Scored, bars: &Bars) -> Vec<String> {
    let shown = scored.strategies.iter().zip(&scored.shown).filter(|(strategy, _)| strategy.spread.is_none());
    let mut doubts = Vec::new();
    for (strategy, book) in shown {
        let (name, metrics) = (&strategy.name, &strategy.metrics);
        if let Some(lost) = metrics.total_return.filter(|total| *total < RUIN) {
            doubts.push(format!(
                "{name} lost {:.1} % of its cash; its Sharpe ratio and whatever else is made of returns say nothing to who owned it",
                -100.0 * lost
            ));
        }
        if metrics.liquidations > 0 {
            let times = counted(metrics.liquidations, "fill");
            doubts.push(format!("{name} was liquidated on margin, by {times}"));
        }
        let blind = strategy.breaker.as_ref().map_or(0.0, |breaker| breaker.figures.blind_share);
        if blind > BLIND {
            doubts.push(format!(
                "{name} was blind in {:.0} % of the bars: no forecast, no value of the column, or no event in the validation \
                 rows to choose a threshold by; give validation more bars, or write `red`",
                100.0 * blind
            ));
        }
        doubts.extend(strategy.breaker.as_ref().and_then(|breaker| stuck(name, &breaker.figures)));
        doubts.extend(too_large(name, book, bars));
    }
    doubts
}

/// Whether a breaker hardly leaves red.
fn stuck(name: &str, figures: &BreakerMetrics) -> Option<String> {
    let longest = figures.longest_stop_bars;
    let long = figures.event_horizon.is_some_and(|horizon| longest > LONG_STOP * horizon as usize);
    (long || figures.red_share > OUT).then(|| {
        format!(
            "{name} was red in {:.0} % of the bars, up to {} in a row: what it avoided is what staying out avoids; a `yellow` \
             nearer to red ends stops earlier",
            100.0 * figures.red_share,
            counted(longest, "bar")
        )
    })
}

/// Whether many fills took a large part of the volume that was traded in the bar before them.
fn too_large(name: &str, book: &BookResult, bars: &Bars) -> Option<String> {
    let share = |fill: &crate::table::Fill| {
        let symbol = fill.symbol as usize;
        let row = bars.timeline().steps(symbol).partition_point(|step| *step < fill.step).checked_sub(1)?;
        let volume = bars.symbols()[symbol].volume()[row];
        (volume > 0.0).then(|| fill.quantity / volume)
    };
    let shares: Vec<f64> = book.fills.iter().filter_map(share).collect();
    let large = shares.iter().filter(|share| **share > NOTICED_SHARE).count();
    let largest = shares.iter().copied().fold(0.0, f64::max);
    let impact = book.fills.iter().any(|fill| fill.impact > 0.0);
    (!impact && large as f64 > FEW * shares.len() as f64).then(|| {
        format!(
            "{large} of {} of {name} took more than a tenth of the volume of the bar before, up to {largest:.1} times of it, at \
             no impact on the price: give the backtest an impact cost, or less cash",
            counted(book.fills.len(), "fill")
        )
    })
}
