//! What a circuit breaker was worth beside the book that it guards.

use crate::table::BookResult;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// A circuit breaker over the test bars. Money is in quote currency at the end of the test; the five amounts fulfil
/// `loss_avoided - gains_missed + elsewhere - extra_costs = net_effect`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BreakerMetrics {
    /// Bars that it watched, all symbols together.
    pub bars: usize,
    /// Runs of red bars.
    pub stops: usize,
    /// Bars within which an event of the target counts: the horizon of the breaker's model, the longest one for a breaker on
    /// a column. This and the figures up to the lead are absent where the target is no event.
    pub event_horizon: Option<u32>,
    /// Stops of which it is known whether an event lay ahead of the bar that tripped them.
    pub judged_stops: Option<usize>,
    /// Of them, those where none did. The bars after it say nothing: who never leaves red meets every event.
    pub false_stops: Option<usize>,
    /// Share of red bars with an event ahead, among those where that is known.
    pub red_before_event: Option<f64>,
    /// The same of all bars: what being red at random would reach.
    pub base_rate: Option<f64>,
    /// Events of the target that could have been seen coming.
    pub events: Option<usize>,
    /// Of them, those before whose strike a bar was red. A breaker that is often red avoids many by chance alone: it needs
    /// `red_before_event` above `base_rate`.
    pub events_avoided: Option<usize>,
    /// Median over them of the bars from the first red one, at most the horizon before, to the strike.
    pub median_lead_bars: Option<f64>,
    /// Share of the bars in red.
    pub red_share: f64,
    /// Share of the bars in yellow, the blind ones included that are not red.
    pub yellow_share: f64,
    /// Share of the bars without a forecast, a value of the column, or a threshold.
    pub blind_share: f64,
    /// Mean length of a stop in bars.
    pub mean_stop_bars: Option<f64>,
    /// Longest stop in bars.
    pub longest_stop_bars: usize,
    /// What the guarded book lost before costs, less what the book with the breaker lost, over the joined stops in which the
    /// breaker did better. Stops of several symbols that overlap in time are joined: a book has one equity.
    pub loss_avoided: Option<f64>,
    /// The same over the joined stops in which it did worse.
    pub gains_missed: Option<f64>,
    /// The same over all bars outside of stops, in favour of the breaker: reduced positions in yellow, cash that was left
    /// over, and between symbols other shares than those that the guarded book drifted to.
    pub elsewhere: Option<f64>,
    /// What trading cost more than it cost the guarded book.
    pub extra_costs: Option<f64>,
    /// Last equity less that of the guarded book, both after costs.
    pub net_effect: Option<f64>,
    /// Last equity of the guarded book.
    pub guarded_equity: f64,
    /// Deepest drawdown with the breaker, 0 or negative.
    pub max_drawdown: f64,
    /// Deepest drawdown of the guarded book, 0 or negative.
    pub guarded_max_drawdown: f64,
}

/// A run of red bars of one symbol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// Rows of the symbol.
    pub rows: Range<usize>,
    /// Whether an event lay ahead of the first of them, the bar that tripped the breaker; `None` where nobody knows.
    pub before_event: Option<bool>,
}

impl BreakerMetrics {
    /// Whether all figures are numbers.
    pub fn is_finite(&self) -> bool {
        let amounts =
            [self.loss_avoided, self.gains_missed, self.elsewhere, self.extra_costs, self.net_effect];
        let always = [self.guarded_equity, self.max_drawdown, self.guarded_max_drawdown];
        let shares = [self.red_before_event, self.base_rate];
        amounts.into_iter().chain(shares).flatten().chain(always).all(f64::is_finite)
    }

    /// Adds the figures of the stops of all symbols.
    pub fn with_stops(mut self, stops: &[Stop]) -> BreakerMetrics {
        let lengths = || stops.iter().map(|stop| stop.rows.len());
        self.stops = stops.len();
        self.longest_stop_bars = lengths().max().unwrap_or(0);
        self.mean_stop_bars =
            (!stops.is_empty()).then(|| lengths().sum::<usize>() as f64 / stops.len() as f64);
        self
    }

    /// Adds the figures of the two books. `stopped` are the steps, counted from the first of the books, over which a stop
    /// made them differ: rising and without overlap.
    pub fn with_books(
        mut self,
        breaker: &BookResult,
        guarded: &BookResult,
        stopped: &[Range<usize>],
    ) -> BreakerMetrics {
        let last = |book: &BookResult| book.equity.equity.last().copied().unwrap_or(book.starting_cash);
        let deepest =
            |book: &BookResult| book.equity.drawdown(book.starting_cash).into_iter().fold(0.0, f64::min);
        self.guarded_equity = last(guarded);
        (self.max_drawdown, self.guarded_max_drawdown) = (deepest(breaker), deepest(guarded));
        let (Some(own), Some(other)) = (growth(breaker), growth(guarded)) else { return self };
        let steps = own.gross.len().min(other.gross.len());
        let ahead = |step: usize| own.gross[step] - other.gross[step];
        let (mut avoided, mut missed, mut elsewhere, mut next) = (0.0, 0.0, 0.0, 0);
        for range in stopped {
            let range = range.start.min(steps)..range.end.min(steps);
            elsewhere += (next..range.start).map(ahead).sum::<f64>();
            next = range.end;
            match range.map(ahead).sum::<f64>() {
                better if better > 0.0 => avoided += better,
                worse => missed -= worse,
            }
        }
        elsewhere += (next..steps).map(ahead).sum::<f64>();
        let costs = own.cost.iter().sum::<f64>() - other.cost.iter().sum::<f64>();
        let scale = logarithmic_mean(last(breaker), last(guarded));
        self.loss_avoided = Some(scale * avoided);
        self.gains_missed = Some(scale * missed);
        self.elsewhere = Some(scale * elsewhere);
        self.extra_costs = Some(scale * costs);
        self.net_effect = Some(last(breaker) - last(guarded));
        self
    }
}

/// Logarithmic growth of a book, step by step, so that it adds up over time: `sum(gross) - sum(cost) = ln(last equity /
/// starting cash)`.
struct Growth {
    /// `ln((equity + costs of the step) / equity before)`; funding and borrowing are a part of it.
    gross: Vec<f64>,
    /// `ln((equity + costs of the step) / equity)`.
    cost: Vec<f64>,
}

/// `None` where the equity was used up.
fn growth(book: &BookResult) -> Option<Growth> {
    let equity = &book.equity.equity;
    if equity.iter().any(|worth| !(worth.is_finite() && *worth > 0.0)) {
        return None;
    }
    let mut costs = vec![0.0; equity.len()];
    for fill in &book.fills {
        let step = book.equity.time.partition_point(|time| *time < fill.time);
        *costs.get_mut(step)? += fill.fee + fill.gas + fill.spread + fill.slippage + fill.impact;
    }
    let before = std::iter::once(&book.starting_cash).chain(equity);
    let steps = || equity.iter().zip(&costs);
    Some(Growth {
        gross: before.zip(steps()).map(|(before, (after, cost))| ((after + cost) / before).ln()).collect(),
        cost: steps().map(|(after, cost)| (cost / after).ln_1p()).collect(),
    })
}

/// `(a - b) / ln(a / b)`, and `a` where both are equal: turns a sum of logarithmic growth into the money that it made of
/// the difference of both books, without a rest (the logarithmic mean Divisia index, Ang 2004).
fn logarithmic_mean(a: f64, b: f64) -> f64 {
    let distance = (a / b).ln();
    // Nearer than this the difference of the two has no digits left.
    if distance.abs() < 1e-6 { f64::midpoint(a, b) } else { (a - b) / distance }
}
