//! Circuit breakers beside the books that they guard.

use super::RunError;
use super::books::{Decided, Market, ShownBook, decide_book};
use crate::domains::market::backtest::run_one;
use crate::domains::market::strategies::circuit_breaker::{BreakerState, CircuitBreaker, Watch};
use crate::domains::market::strategies::{StrategyConfig, World};
use crate::metrics::{Beside, BreakerMetrics, EventFigures, EventRows, Stop, event_figures};
use crate::rundir::{BreakerSummary, Column, TableFile};
use crate::table::{Bars, BookResult, LabelKind, ModelPredictions, NULL, Sample};
use crate::units::Time;
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
    /// By row, whether an event lies ahead within the longest horizon; `None` where the target is no event.
    event: Option<Vec<f64>>,
}

/// What a target that is an event says of the bars, at its longest horizon.
struct Truth {
    horizon: u32,
    /// `[symbol][row]`: whether the event lies ahead; null where the future is not there.
    event: Vec<Vec<f64>>,
    /// `[symbol][row]`: bars to the one that completes it.
    bars_to_event: Vec<Vec<f64>>,
}

/// Every shown breaker beside the book that it guards, which is run with the same settings.
///
/// # Errors
/// A strategy that cannot decide.
pub(super) fn beside_guarded(
    market: &Market,
    shown: &[(&Decided, &ShownBook)],
) -> Result<Vec<Guarded>, RunError> {
    let mut found = Vec::new();
    let mut truth = None;
    for (decided, book) in shown {
        let StrategyConfig::CircuitBreaker(breaker) = &decided.config else { continue };
        if truth.is_none() {
            truth = Some(Truth::of(market)?);
        }
        found.push(one(market, (decided, book), breaker, truth.as_ref().and_then(Option::as_ref))?);
    }
    Ok(found)
}

impl Truth {
    /// `None` where the target is no event.
    fn of(market: &Market) -> Result<Option<Truth>, RunError> {
        let target = market.plan.experiment.target.as_ref().map(|target| target.build());
        let Some(target) = target.filter(|target| target.kind() == LabelKind::Event) else { return Ok(None) };
        let labels = target.compute(market.bars).map_err(RunError::Labels)?;
        let longest = labels.horizons().iter().enumerate().max_by_key(|(_, bars)| **bars);
        let Some((place, horizon)) = longest else { return Ok(None) };
        let symbols = 0..market.bars.symbols().len();
        Ok(Some(Truth {
            horizon: *horizon,
            event: symbols.map(|symbol| labels.column(symbol, place).to_vec()).collect(),
            bars_to_event: target.bars_to_event(market.bars),
        }))
    }

    /// The events of the test rows, with red as the alarm.
    fn figures(&self, bars: &Bars, watched: &[Watched]) -> EventFigures {
        let rows = watched.iter().flat_map(|one| one.rows.clone().map(move |row| (one, row)));
        let rows: Vec<(&Watched, usize)> = rows.collect();
        let red = |(one, row): &(&Watched, usize)| {
            if one.watch.state[*row] == BreakerState::Red { 1.0 } else { 0.0 }
        };
        let sample = |(one, row): &(&Watched, usize)| Sample { symbol: one.symbol as u32, row: *row as u32 };
        let forecasts = ModelPredictions {
            model: String::new(),
            kind: LabelKind::Event,
            horizons: vec![self.horizon],
            samples: rows.iter().map(sample).collect(),
            fold: vec![0; rows.len()],
            values: rows.iter().map(red).collect(),
            actual: rows.iter().map(|(one, row)| self.event[one.symbol][*row]).collect(),
            alarm_at: vec![1.0; rows.len()],
            units: Vec::new(),
        };
        let known = EventRows::new(&forecasts, 0, None, bars);
        let place = |place: usize| (rows[place].0.symbol, rows[place].1);
        let time = |place_of: &usize| {
            let (symbol, row) = place(*place_of);
            bars.symbols()[symbol].time()[row]
        };
        let times: Vec<Time> = known.places().iter().map(time).collect();
        let events = known.events(|place_of| {
            let (symbol, row) = place(place_of);
            self.bars_to_event.get(symbol).map_or(NULL, |column| column[row])
        });
        let none = vec![NULL; times.len()];
        let beside = Beside { times: &times, training_base_rate: &none, alarm_at: &vec![1.0; times.len()] };
        event_figures(&known, &events, &beside)
    }
}

fn one(
    market: &Market,
    (decided, book): (&Decided, &ShownBook),
    breaker: &CircuitBreaker,
    truth: Option<&Truth>,
) -> Result<Guarded, RunError> {
    let (bars, span, predictions) = (market.bars, &market.fitted.span, &market.fitted.predictions);
    let fail = |reason| RunError::Strategy { strategy: decided.name.clone(), reason };
    let seed = market.seed.child(&decided.name, 0);
    let world = World { bars, predictions, span: span.clone(), seed, reference: None, book: 0 };
    let watches = breaker.watch(&world).map_err(fail)?;
    let (name, config) = match breaker.guards.as_deref() {
        Some(name) => (name, market.plan.experiment.strategies[name].first().strategy.clone()),
        None => ("hold", StrategyConfig::BuyAndHold(Default::default())),
    };
    let positions = decide_book(market, name, &config, predictions, (span, None, 0))?;
    let guarded = run_one(bars, (name, &positions), &decided.settings, span.clone(), book.symbol);
    let of_book = |symbol: &usize| book.symbol.is_none_or(|own| own == *symbol);
    let watched: Vec<Watched> = watches
        .into_iter()
        .enumerate()
        .filter(|(symbol, _)| of_book(symbol))
        .map(|(symbol, watch)| Watched {
            symbol,
            watch,
            rows: rows_of(bars, symbol, span),
            event: truth.map(|truth| truth.event[symbol].clone()),
        })
        .collect();
    let stops: Vec<Stop> = watched.iter().flat_map(Watched::stops).collect();
    let mut figures = shares(&watched).with_stops(&stops);
    figures.false_stops = truth.map(|_| stops.iter().filter(|stop| stop.before_event == Some(false)).count());
    if let Some(found) = truth.map(|truth| truth.figures(bars, &watched)) {
        let alarms = found.alarms.unwrap_or_default();
        figures.events = Some(found.events);
        (figures.events_avoided, figures.median_lead_bars) = (Some(alarms.caught), alarms.median_lead);
    }
    let first = book.result.equity.time.first().map_or(0, |time| bars.timeline().step_at(*time));
    let stopped = joined(watched.iter().flat_map(|one| one.stopped_steps(bars, first)).collect());
    let figures = figures.with_books(&book.result, &guarded, &stopped);
    let summary = BreakerSummary { guards: breaker.guards.clone(), figures };
    Ok(Guarded { name: book.result.strategy.clone(), summary, watched, guarded })
}

/// The rows of a symbol whose steps lie in the span.
fn rows_of(bars: &Bars, symbol: usize, span: &Range<usize>) -> Range<usize> {
    let steps = bars.timeline().steps(symbol);
    let row = |step: usize| steps.partition_point(|other| (*other as usize) < step);
    row(span.start)..row(span.end)
}

impl Watched {
    /// Runs of red test rows.
    fn stops(&self) -> Vec<Stop> {
        let before_event = |rows: &Range<usize>| {
            let known = self.event.as_ref()?[rows.clone()].iter().filter(|event| !event.is_nan());
            known.fold(None, |found, event| Some(found == Some(true) || *event > 0.5))
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

/// Ranges in rising order, those that meet or overlap put together.
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
