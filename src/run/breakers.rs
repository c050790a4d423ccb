//! Circuit breakers beside the books that they guard.

use super::RunError;
use super::books::{Decided, Market, ShownBook};
use super::events::Truth;
use crate::domains::market::backtest::run_one;
use crate::domains::market::strategies::{BreakerState, Watch, World, guarded_positions};
use crate::metrics::{BreakerMetrics, EventFigures, RiskRows, Stop};
use crate::rundir::{BreakerSummary, Column, TableFile};
use crate::table::{Bars, BookResult, Labels, NULL, Sample};
use std::ops::Range;
use std::sync::Arc;

/// A circuit breaker after its backtest.
pub(super) struct Guarded {
    /// The book's name.
    pub name: String,
    pub summary: BreakerSummary,
    /// The symbols of the book with what the breaker saw of each.
    watched: Vec<Watched>,
    /// The guarded book, run as the breaker's own.
    guarded: BookResult,
}

/// One symbol under a breaker.
struct Watched {
    symbol: usize,
    watch: Watch,
    /// Rows of the test bars.
    rows: Range<usize>,
    /// By row, whether an event lies ahead within the horizon that judges it; `None` where the target is no event.
    event: Option<Vec<f64>>,
}

/// What a target that is an event says of the bars.
struct Outcomes {
    labels: Labels,
    truth: Truth,
}

/// The same within the horizon that judges one breaker.
struct OneHorizon<'a> {
    bars: u32,
    /// Its place among the horizons of the target.
    place: usize,
    of: &'a Outcomes,
}

/// Every shown breaker beside the book that it guards, which is run with the same settings.
///
/// # Errors
/// A strategy that cannot decide.
pub(super) fn beside_guarded(
    market: &Market,
    shown: &[(&Decided, &ShownBook)],
) -> Result<Vec<Guarded>, RunError> {
    let (span, predictions) = (&market.fitted.span, &market.fitted.predictions);
    let mut found = Vec::new();
    let mut outcomes = None;
    for (decided, book) in shown {
        let seed = market.seed.child(&decided.name, 0);
        let world =
            World { bars: market.bars, predictions, span: span.clone(), seed, reference: None, book: 0 };
        let Some(watches) = decided.config.build().watch(&world) else { continue };
        let watches =
            watches.map_err(|reason| RunError::Strategy { strategy: decided.name.clone(), reason })?;
        if outcomes.is_none() {
            outcomes = Some(Outcomes::of(market)?);
        }
        let guarded = run_guarded(market, (decided, book), &world)?;
        let outcomes = outcomes.as_ref().and_then(Option::as_ref);
        let judge = outcomes.and_then(|outcomes| outcomes.judge(decided.config.build().model()));
        found.push(compare(market, (decided, book, guarded), watches, judge.as_ref()));
    }
    Ok(found)
}

impl Outcomes {
    /// `None` where the target is no event.
    fn of(market: &Market) -> Result<Option<Outcomes>, RunError> {
        let experiment = &market.plan.experiment;
        let truth = Truth::of_bars(experiment, market.bars);
        let Some((truth, target)) = truth.zip(experiment.target.as_ref()) else { return Ok(None) };
        let labels = target.build().compute(market.bars).map_err(RunError::Labels)?;
        Ok(Some(Outcomes { labels, truth }))
    }

    /// At the horizon of the breaker's model, by default its first; without a model at the longest.
    fn judge(&self, model: Option<(&str, Option<u32>)>) -> Option<OneHorizon<'_>> {
        let mut horizons = self.labels.horizons().iter().copied().enumerate();
        let (place, bars) = match model {
            Some((_, None)) => horizons.next(),
            Some((_, Some(wanted))) => horizons.find(|(_, bars)| *bars == wanted),
            None => horizons.max_by_key(|(_, bars)| *bars),
        }?;
        Some(OneHorizon { bars, place, of: self })
    }
}

impl OneHorizon<'_> {
    /// Whether an event lies ahead of each row of a symbol; null where the future is not there.
    fn event(&self, symbol: usize) -> &[f64] {
        self.of.labels.column(symbol, self.place)
    }

    /// The events of the test rows, with red as the alarm.
    fn figures(&self, bars: &Bars, watched: &[Watched]) -> EventFigures {
        let rows = watched.iter().flat_map(|one| one.rows.clone().map(move |row| (one, row)));
        let rows: Vec<(&Watched, usize)> = rows.collect();
        let red = |(one, row): &(&Watched, usize)| {
            if one.watch.state[*row] == BreakerState::Red { 1.0 } else { 0.0 }
        };
        let sample = |(one, row): &(&Watched, usize)| Sample { symbol: one.symbol as u32, row: *row as u32 };
        let risks = RiskRows {
            samples: &rows.iter().map(sample).collect::<Vec<Sample>>(),
            fold: &vec![0; rows.len()],
            risk: rows.iter().map(red).collect(),
            actual: rows.iter().map(|(one, row)| self.event(one.symbol)[*row]).collect(),
            horizon: self.bars,
        };
        self.of.truth.figures_of(bars, &risks, |_| NULL, |_| 1.0)
    }
}

/// The book that a breaker guards, with the breaker's own settings.
fn run_guarded(
    market: &Market,
    (decided, book): (&Decided, &ShownBook),
    world: &World,
) -> Result<BookResult, RunError> {
    let positions =
        guarded_positions(&market.plan.experiment.strategies, &decided.config, world, market.seed)
            .map_err(|reason| RunError::Strategy { strategy: decided.name.clone(), reason })?;
    Ok(run_one(market.bars, (&decided.name, &positions), &decided.settings, world.span.clone(), book.symbol))
}

/// The figures of a breaker beside the book that it guards.
fn compare(
    market: &Market,
    (decided, book, guarded): (&Decided, &ShownBook, BookResult),
    watches: Vec<Watch>,
    judge: Option<&OneHorizon>,
) -> Guarded {
    let (bars, span) = (market.bars, &market.fitted.span);
    let of_book = |symbol: &usize| book.symbol.is_none_or(|own| own == *symbol);
    let watched: Vec<Watched> = watches
        .into_iter()
        .enumerate()
        .filter(|(symbol, _)| of_book(symbol))
        .map(|(symbol, watch)| Watched {
            symbol,
            watch,
            rows: rows_of(bars, symbol, span),
            event: judge.map(|judge| judge.event(symbol).to_vec()),
        })
        .collect();
    let stops: Vec<Stop> = watched.iter().flat_map(Watched::stops).collect();
    let mut figures = shares(&watched).with_stops(&stops);
    if let Some(judge) = judge {
        let found = judge.figures(bars, &watched);
        let alarms = found.alarms.unwrap_or_default();
        let judged = |outcome: &[Option<bool>]| {
            Some(stops.iter().filter(|stop| outcome.contains(&stop.before_event)).count())
        };
        figures.event_horizon = Some(judge.bars);
        figures.judged_stops = judged(&[Some(true), Some(false)]);
        figures.false_stops = judged(&[Some(false)]);
        (figures.events, figures.base_rate) = (Some(found.events), found.base_rate);
        figures.red_before_event = red_before_event(&watched);
        (figures.events_avoided, figures.median_lead_bars) = (Some(alarms.caught), alarms.median_lead);
    }
    let first = book.result.equity.time.first().map_or(0, |time| bars.timeline().step_at(*time));
    let stopped = joined(watched.iter().flat_map(|one| one.stopped_steps(bars, first)).collect());
    let figures = figures.with_books(&book.result, &guarded, &stopped);
    let summary = BreakerSummary { guards: decided.config.build().guards().map(str::to_owned), figures };
    Guarded { name: book.result.strategy.clone(), summary, watched, guarded }
}

/// The rows of a symbol whose steps lie in the span.
fn rows_of(bars: &Bars, symbol: usize, span: &Range<usize>) -> Range<usize> {
    let steps = bars.timeline().steps(symbol);
    let row = |step: usize| steps.partition_point(|other| (*other as usize) < step);
    row(span.start)..row(span.end)
}

impl Watched {
    /// Runs of red test rows, each judged by its first row. One that began before the test is judged where the test begins.
    fn stops(&self) -> Vec<Stop> {
        let before_event = |rows: &Range<usize>| {
            let event = self.event.as_ref()?[rows.start];
            (!event.is_nan()).then_some(event > 0.5)
        };
        let runs = red_runs(&self.watch.state[self.rows.clone()]).into_iter();
        let moved = runs.map(|run| run.start + self.rows.start..run.end + self.rows.start);
        moved.map(|rows| Stop { before_event: before_event(&rows), rows }).collect()
    }

    /// The steps, counted from `first`, over which a stop keeps the two books apart: from the bar after its first row to the
    /// bar that fills the order of the first row after it.
    fn stopped_steps(&self, bars: &Bars, first: usize) -> Vec<Range<usize>> {
        let steps = bars.timeline().steps(self.symbol);
        let step = |row: usize| steps.get(row).map_or(usize::MAX, |step| *step as usize);
        let runs = red_runs(&self.watch.state).into_iter();
        let span = |run: Range<usize>| {
            step(run.start + 1).saturating_sub(first)
                ..step(run.end + 1).saturating_add(1).saturating_sub(first)
        };
        runs.map(span).filter(|steps| !steps.is_empty()).collect()
    }
}

/// Maximal runs of red.
fn red_runs(states: &[BreakerState]) -> Vec<Range<usize>> {
    let mut start = 0;
    let mut runs = Vec::new();
    for run in states.chunk_by(|one, next| one == next) {
        if run[0] == BreakerState::Red {
            runs.push(start..start + run.len());
        }
        start += run.len();
    }
    runs
}

/// Ranges in rising order, those that overlap put together.
fn joined(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| (range.start, range.end));
    let mut joined: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if range.start < last.end => last.end = last.end.max(range.end),
            _ => joined.push(range),
        }
    }
    joined
}

/// Share of the red rows with an event ahead, among those where that is known.
fn red_before_event(watched: &[Watched]) -> Option<f64> {
    let (mut known, mut before) = (0_usize, 0_usize);
    for one in watched {
        let Some(event) = &one.event else { continue };
        let red = one.rows.clone().filter(|row| one.watch.state[*row] == BreakerState::Red);
        for row in red.filter(|row| !event[*row].is_nan()) {
            known += 1;
            before += usize::from(event[row] > 0.5);
        }
    }
    (known > 0).then(|| before as f64 / known as f64)
}

/// How much of the test rows was spent in which state.
fn shares(watched: &[Watched]) -> BreakerMetrics {
    let (mut bars, mut red, mut yellow, mut blind) = (0, 0, 0, 0);
    for one in watched {
        for row in one.rows.clone() {
            bars += 1;
            red += usize::from(one.watch.state[row] == BreakerState::Red);
            yellow += usize::from(one.watch.state[row] == BreakerState::Yellow);
            blind += usize::from(one.watch.risk[row].is_nan() || one.watch.red[row].is_nan());
        }
    }
    let share = |count: usize| count as f64 / (bars.max(1)) as f64;
    BreakerMetrics {
        bars,
        red_share: share(red),
        yellow_share: share(yellow),
        blind_share: share(blind),
        ..BreakerMetrics::default()
    }
}

/// A row a breaker, symbol and test bar: what it saw, and its state: 0 green, 1 yellow, 2 red.
pub(super) fn breakers_table(bars: &Bars, breakers: &[Guarded]) -> TableFile {
    let (mut strategy, mut symbol, mut time, mut state) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let (mut close, mut risk, mut red, mut event) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for breaker in breakers {
        let name: Arc<str> = breaker.name.as_str().into();
        for one in &breaker.watched {
            let (source, rows) = (&bars.symbols()[one.symbol], one.rows.clone());
            strategy.extend(std::iter::repeat_n(name.clone(), rows.len()));
            symbol.extend(std::iter::repeat_n(Arc::<str>::from(source.symbol()), rows.len()));
            time.extend_from_slice(&source.time()[rows.clone()]);
            close.extend_from_slice(&source.close()[rows.clone()]);
            risk.extend_from_slice(&one.watch.risk[rows.clone()]);
            red.extend_from_slice(&one.watch.red[rows.clone()]);
            state.extend(one.watch.state[rows.clone()].iter().map(|state| *state as i64));
            match &one.event {
                Some(events) => event.extend_from_slice(&events[rows]),
                None => event.extend(std::iter::repeat_n(f64::NAN, rows.len())),
            }
        }
    }
    TableFile::default()
        .with("strategy", Column::Text(strategy))
        .with("symbol", Column::Text(symbol))
        .with("timestamp", Column::Time(time))
        .with("close", Column::Float(close))
        .with("risk", Column::Float(risk))
        .with("red", Column::Float(red))
        .with("state", Column::Integer(state))
        .with("event", Column::Float(event))
}

/// A row a breaker and step: the equity of the book that it guards.
pub(super) fn guarded_table(breakers: &[Guarded]) -> TableFile {
    let (mut strategy, mut time, mut equity) = (Vec::new(), Vec::new(), Vec::new());
    for breaker in breakers {
        let curve = &breaker.guarded.equity;
        strategy.extend(std::iter::repeat_n(Arc::<str>::from(breaker.name.as_str()), curve.time.len()));
        time.extend_from_slice(&curve.time);
        equity.extend_from_slice(&curve.equity);
    }
    TableFile::default()
        .with("strategy", Column::Text(strategy))
        .with("timestamp", Column::Time(time))
        .with("equity", Column::Float(equity))
}
