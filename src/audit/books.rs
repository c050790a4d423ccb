//! Decisions and fills under the proof.

use super::finding::{Leak, Tally, first_change, same};
use super::pipeline::{Decider, Execution};
use super::poison::{Future, Poison, TAIL, poisoned, spread};
use super::tables::known_rows;
use super::{Audit, AuditError, Depth, Proof};
use crate::domains::market::backtest::FillTime;
use crate::seed::Seed;
use crate::table::{
    Bars, Basis, BookResult, Fill, FillReason, LabelKind, Labels, ModelPredictions, NULL, Positions,
    Predictions, Sample, Side,
};
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::ops::Range;

/// Bars, forecasts and span on which strategies decide.
struct World {
    bars: Bars,
    predictions: Predictions,
    span: Range<usize>,
}

impl Audit<'_> {
    /// Steps of these bars on which books run.
    fn span(&self, bars: &Bars) -> Range<usize> {
        let timeline = bars.timeline();
        match &self.pipeline.span {
            Some(span) => timeline.step_at(span.start)..timeline.step_at(span.end).max(1),
            None => 0..timeline.times().len(),
        }
    }

    /// The audited stretch with another future, in which the forecasts of the future are others, too.
    fn world(&self, bars: Bars, after: Option<(usize, Poison)>) -> Result<World, String> {
        let span = self.span(&bars);
        let predictions = self.predictions(&bars, &span, after)?;
        Ok(World { bars, predictions, span })
    }

    /// Stand-ins for the forecasts of every model: numbers of the right kind that are drawn from the seed for each bar of
    /// the books. A strategy is proved as a function of forecasts; those themselves are proved through what models see.
    fn predictions(
        &self,
        bars: &Bars,
        span: &Range<usize>,
        after: Option<(usize, Poison)>,
    ) -> Result<Predictions, String> {
        let (Some(learning), Some(labels)) = (&self.pipeline.learning, &self.pipeline.labels) else {
            return Ok(Predictions::default());
        };
        let labels = labels(bars)?;
        let moment = after.map(|(step, _)| self.stretch.timeline().times()[step]);
        let jumps = after.is_some_and(|(_, poison)| poison == Poison::Jump);
        let of_model = |(number, model): (usize, &String)| {
            let mut all = empty(model, &labels);
            for (symbol, one) in bars.symbols().iter().enumerate() {
                let steps = bars.timeline().steps(symbol);
                for row in (0..one.len()).filter(|row| span.contains(&(steps[*row] as usize))) {
                    let time = one.time()[row];
                    let future = moment.is_some_and(|moment| time > moment);
                    let purpose = if future { "other forecasts" } else { "forecasts" };
                    let seed = self.pipeline.seed.child(purpose, number as u64);
                    all.samples.push(Sample { symbol: symbol as u32, row: row as u32 });
                    all.fold.push(0);
                    for horizon in 0..labels.horizons().len() {
                        let drawn = stand_in(seed, labels.kind(), (time.0, symbol, horizon));
                        all.values.push(if future && jumps { NULL } else { drawn });
                        all.actual.push(labels.column(symbol, horizon)[row]);
                    }
                }
            }
            if labels.kind() == LabelKind::Event {
                all.alarm_at = vec![STAND_IN_ALARM; all.values.len()];
            }
            all
        };
        Ok(Predictions(learning.models.iter().enumerate().map(of_model).collect()))
    }

    /// The strategies under the proof, at most so many, spread over their list; and why others are not.
    pub(super) fn deciders(&self, most: usize) -> Vec<&Decider<'_>> {
        let all: Vec<&Decider> =
            self.pipeline.strategies.iter().filter(|strategy| strategy.exempt.is_none()).collect();
        let mut stream = self.pipeline.seed.stream("strategies of the audit", 0);
        spread(0..all.len(), most, &mut stream).into_iter().map(|index| all[index]).collect()
    }

    /// Strategies under the proof whose fills follow settings of their own, as many as have their fills looked at.
    fn own_executions(&self) -> Vec<(&Decider<'_>, &Execution<'_>)> {
        let proved = self.pipeline.strategies.iter().filter(|strategy| strategy.exempt.is_none());
        let all: Vec<_> =
            proved.filter_map(|strategy| Some((strategy, strategy.execution.as_ref()?))).collect();
        let mut stream = self.pipeline.seed.stream("settings of the audit", 0);
        let chosen = spread(0..all.len(), self.depth.most_books(), &mut stream);
        chosen.into_iter().map(|index| all[index]).collect()
    }

    /// Whether each strategy under the proof comes to an order on the audited stretch.
    pub(super) fn decides(&self) -> Result<Vec<bool>, AuditError> {
        let fail = |reason| AuditError { part: "decisions", reason };
        let world = self.world(self.stretch.clone(), None).map_err(fail)?;
        let decides = |strategy: &&Decider| {
            let decided = (strategy.decide)(&world.bars, &world.predictions, world.span.clone());
            let decided = decided.map_err(|reason| fail(format!("{}: {reason}", strategy.name)))?;
            Ok(orders(&decided, world.bars.symbols().len()) > 0)
        };
        self.deciders(self.depth.most_strategies()).par_iter().map(decides).collect()
    }

    fn exemptions(&self) -> String {
        let exempt = |strategy: &Decider| {
            strategy.exempt.as_ref().map(|reason| format!("; {} is exempt: {reason}", strategy.name))
        };
        self.pipeline.strategies.iter().filter_map(exempt).collect()
    }
}

fn empty(model: &str, labels: &Labels) -> ModelPredictions {
    ModelPredictions {
        model: model.to_owned(),
        kind: labels.kind(),
        horizons: labels.horizons().to_vec(),
        samples: Vec::new(),
        fold: Vec::new(),
        values: Vec::new(),
        actual: Vec::new(),
        alarm_at: Vec::new(),
        units: Vec::new(),
    }
}

/// The risk from which on a stand-in is an alarm: about one in two hundred.
const STAND_IN_ALARM: f64 = 0.9;

/// A forecast of the right size, by the bar's time so that it does not depend on where the data begin.
fn stand_in(seed: Seed, kind: LabelKind, (time, symbol, horizon): (i64, usize, usize)) -> f64 {
    let mut stream = seed.child("bar", time as u64).stream("forecast", (symbol * 1000 + horizon) as u64);
    match kind {
        LabelKind::Return => 0.01 * stream.normal(),
        LabelKind::Class => stream.uniform(),
        // Mostly small, so that what waits for a calm time comes to an end.
        LabelKind::Event => stream.uniform().powi(20),
        LabelKind::Change | LabelKind::Value | LabelKind::Scaled | LabelKind::Direction => stream.normal(),
    }
}

/// Orders up to a moment keep their bits, whatever bars and forecasts come after it.
pub(super) fn decisions(audit: &Audit, proof: &mut Proof, streaming: &mut Tally) -> Result<(), AuditError> {
    if audit.pipeline.strategies.is_empty() {
        return Ok(());
    }
    let fail = |reason| AuditError { part: "decisions", reason };
    let truth = audit.world(audit.stretch.clone(), None).map_err(fail)?;
    let deciders = audit.deciders(audit.depth.most_strategies());
    let before: Vec<Positions> = deciders
        .par_iter()
        .map(|strategy| {
            let decided = (strategy.decide)(&truth.bars, &truth.predictions, truth.span.clone());
            decided.map_err(|reason| fail(format!("{}: {reason}", strategy.name)))
        })
        .collect::<Result<_, _>>()?;
    let mut tally = Tally::new("decisions");
    let moments = audit.moments(truth.span.clone(), "moments of decisions");
    let futures = moments
        .iter()
        .enumerate()
        .flat_map(|(number, step)| audit.depth.poisons(number).iter().map(move |poison| (*step, *poison)));
    for (step, poison) in futures {
        let bars = audit.changed(step, poison).map_err(fail)?;
        let world = audit.world(bars, Some((step, poison))).map_err(fail)?;
        let found: Vec<Tally> = deciders
            .par_iter()
            .zip(&before)
            .map(|(strategy, before)| compare_orders(strategy, before, &world, (&truth.bars, step, poison)))
            .collect();
        let tally = if poison == Poison::Cut { &mut *streaming } else { &mut tally };
        found.into_iter().for_each(|one| tally.join(one));
    }
    proof.moments += moments.len();
    let symbols = truth.bars.symbols().len();
    let counts: Vec<usize> = before.iter().map(|positions| orders(positions, symbols)).collect();
    let silent = deciders.iter().zip(&counts).filter(|(_, count)| **count == 0);
    let silent: String = silent
        .map(|(strategy, _)| format!("; {} makes no order, which proves nothing", strategy.name))
        .collect();
    let orders: usize = counts.iter().sum();
    proof.checks.push(tally.check(|_| {
        format!(
            "{orders} orders of {} strategies keep their bits at {} moments{silent}{}",
            deciders.len(),
            moments.len(),
            audit.exemptions()
        )
    }));
    Ok(())
}

fn orders(positions: &Positions, symbols: usize) -> usize {
    let count = |symbol: usize| positions.targets(symbol).iter().filter(|target| !target.is_nan()).count();
    (0..symbols).map(count).sum()
}

fn compare_orders(
    strategy: &Decider,
    before: &Positions,
    world: &World,
    (bars, step, poison): (&Bars, usize, Poison),
) -> Tally {
    let mut tally = Tally::new("decisions");
    let now = match (strategy.decide)(&world.bars, &world.predictions, world.span.clone()) {
        Ok(now) => now,
        Err(reason) => {
            tally.unproved(&poison.to_string(), &format!("strategy {}: {reason}", strategy.name));
            return tally;
        }
    };
    let moment = bars.timeline().times()[step];
    let mut first: Option<Leak> = None;
    for (symbol, known) in known_rows(bars, step).into_iter().enumerate() {
        tally.compared(known);
        let Some(row) = first_change(now.targets(symbol), before.targets(symbol), known) else { continue };
        let one = &bars.symbols()[symbol];
        if first.as_ref().is_none_or(|leak| one.time()[row] < leak.time) {
            let what = format!("the order of {} for {}", strategy.name, one.symbol());
            first = Some(Leak { what, time: one.time()[row], moment, poison });
        }
    }
    if let Some(leak) = first {
        tally.leak(leak);
    }
    tally
}

/// Fills and equity up to a moment keep their bits, whatever bars and orders come after it; and what is filled at the next
/// open knows nothing of that bar but its open.
pub(super) fn fills(audit: &Audit, proof: &mut Proof) -> Result<(), AuditError> {
    let Some(execution) = &audit.pipeline.execution else { return Ok(()) };
    let fail = |reason| AuditError { part: "fills", reason };
    let truth = audit.world(audit.stretch.clone(), None).map_err(fail)?;
    let moments = {
        let mut stream = audit.pipeline.seed.stream("moments of fills", 0);
        let last = truth.span.end.min(truth.bars.timeline().times().len()).saturating_sub(1);
        spread(truth.span.start.min(last)..last, audit.depth.moments(), &mut stream)
    };
    let random = random_orders(audit, &truth).map_err(fail)?;
    let mut books = vec![(("a book of random orders".to_owned(), random.clone()), execution)];
    for (strategy, own) in audit.own_executions() {
        let name = format!("a book of random orders under the settings of {}", strategy.name);
        books.push(((name, random.clone()), own));
    }
    for strategy in audit.deciders(audit.depth.most_books()) {
        let decided = (strategy.decide)(&truth.bars, &truth.predictions, truth.span.clone()).map_err(fail)?;
        books.push(((strategy.name.clone(), decided), strategy.execution.as_ref().unwrap_or(execution)));
    }
    let poisons: &[Poison] = match audit.depth {
        Depth::Short => &[Poison::Rise, Poison::Fall],
        Depth::Full => &[Poison::Rise, Poison::Fall, Poison::Jump],
    };
    let found: Vec<(Tally, usize)> = books
        .par_iter()
        .map(|(book, execution)| audit.book_fills(execution, &truth, book, (&moments, poisons)))
        .collect::<Result<_, String>>()
        .map_err(fail)?;
    let mut tally = Tally::new("fills");
    let mut fills = 0;
    for (one, count) in found {
        tally.join(one);
        fills += count;
    }
    proof.moments += moments.len();
    proof.checks.push(tally.check(|compared| {
        format!(
            "{compared} values of fills and equity of {} books with {fills} fills keep their bits",
            books.len()
        )
    }));
    Ok(())
}

/// Orders at random bars, so that every kind of fill is met whatever the strategies do.
fn random_orders(audit: &Audit, truth: &World) -> Result<Positions, String> {
    let columns = truth.bars.symbols().iter().enumerate().map(|(symbol, one)| {
        let mut stream = audit.pipeline.seed.stream("random orders", symbol as u64);
        let order = |_| if stream.uniform() < 0.1 { random_target(stream.below(5)) } else { NULL };
        (0..one.len()).map(order).collect()
    });
    Positions::orders(&truth.bars, columns.collect())
}

fn random_target(number: usize) -> f64 {
    [-1.0, -0.5, 0.0, 0.5, 1.0][number]
}

impl Audit<'_> {
    /// One strategy's books at every moment, and how many fills they have.
    fn book_fills(
        &self,
        execution: &Execution,
        truth: &World,
        (name, positions): &(String, Positions),
        (moments, poisons): (&[usize], &[Poison]),
    ) -> Result<(Tally, usize), String> {
        let mut tally = Tally::new("fills");
        let before = (execution.run)(&truth.bars, positions, truth.span.clone());
        for step in moments {
            for poison in poisons {
                let future = Future { step: *step, poison: *poison, tail: TAIL, keeps_open: true };
                let bars = poisoned(&truth.bars, &future, self.pipeline.seed)?;
                let other = self.other_orders(positions, &bars, truth, *step)?;
                let span = self.span(&bars);
                let now = (execution.run)(&bars, &other, span);
                for (now, before) in now.iter().zip(&before) {
                    let place = Place { bars: &truth.bars, step: *step, poison: *poison };
                    compare_books(execution, (now, before), &place, (name, &mut tally));
                }
            }
        }
        Ok((tally, before.iter().map(|book| book.fills.len()).sum()))
    }

    /// The same orders up to the moment, and random ones after it.
    fn other_orders(
        &self,
        positions: &Positions,
        bars: &Bars,
        truth: &World,
        step: usize,
    ) -> Result<Positions, String> {
        let known = known_rows(&truth.bars, step);
        let columns = bars.symbols().iter().enumerate().map(|(symbol, one)| {
            let mut stream = self.pipeline.seed.stream("other orders", (step * 1000 + symbol) as u64);
            let mut column = positions.targets(symbol)[..known[symbol]].to_vec();
            column.extend((known[symbol]..one.len()).map(|_| random_target(stream.below(5))));
            column
        });
        match positions.basis() {
            Basis::Slot => Positions::orders(bars, columns.collect()),
            Basis::Book => {
                let gross = (0..bars.symbols().len()).zip(bars.symbols()).map(|(symbol, one)| {
                    let mut column = positions.gross(symbol)[..known[symbol]].to_vec();
                    column.resize(one.len(), 1.0);
                    column
                });
                let gross = gross.collect();
                Positions::allocated(bars, columns.collect(), gross)
            }
        }
    }
}

/// Where the future begins.
struct Place<'a> {
    bars: &'a Bars,
    step: usize,
    poison: Poison,
}

fn compare_books(
    execution: &Execution,
    (now, before): (&BookResult, &BookResult),
    place: &Place,
    (name, tally): (&str, &mut Tally),
) {
    let moment = place.bars.timeline().times()[place.step];
    let leak = |what: String, time| Leak { what, time, moment, poison: place.poison };
    let known = |book: &BookResult| -> Vec<Fill> {
        let next = at_next_open(execution, book, place);
        book.fills.iter().filter(|fill| fill.step as usize <= place.step).copied().chain(next).collect()
    };
    let (now_fills, fills) = (known(now), known(before));
    tally.compared(5 * fills.len());
    let symbol = |fill: &Fill| place.bars.symbols()[fill.symbol as usize].symbol();
    for (index, fill) in fills.iter().enumerate() {
        if now_fills.get(index).is_none_or(|now| !same_fill(now, fill)) {
            return tally.leak(leak(format!("a fill of {name} for {}", symbol(fill)), fill.time));
        }
    }
    if let Some(fill) = now_fills.get(fills.len()) {
        return tally.leak(leak(format!("a fill of {name} for {}", symbol(fill)), fill.time));
    }
    let rows = before.equity.time.partition_point(|time| *time <= moment);
    tally.compared(2 * rows);
    let unlike = first_change(&now.equity.equity, &before.equity.equity, rows)
        .or_else(|| first_change(&now.equity.cash, &before.equity.cash, rows));
    if let Some(row) = unlike {
        tally.leak(leak(format!("the equity of {name}"), before.equity.time[row]));
    }
}

fn same_fill(now: &Fill, before: &Fill) -> bool {
    let numbers = |fill: &Fill| [fill.quantity, fill.price, fill.reference_price, fill.fee, fill.gas];
    (now.symbol, now.step, now.side) == (before.symbol, before.step, before.side)
        && numbers(now).iter().zip(numbers(before)).all(|(now, before)| same(*now, before))
}

/// The fills of the first bar after the moment that were decided by then: the bar kept its open, and its high, low and close
/// are others. Where positions may be left within a bar, a fill that is neither an entry nor at the open is such an exit.
fn at_next_open(execution: &Execution, book: &BookResult, place: &Place) -> Vec<Fill> {
    if execution.fill != FillTime::NextOpen {
        return Vec::new();
    }
    let next = place.step + 1;
    let Some(time) = place.bars.timeline().times().get(next) else { return Vec::new() };
    // A book whose equity is used up at the close of that bar is closed there, which its close may decide.
    let exits = execution.resting_exits || book.bankrupt_at == Some(*time);
    let mut held: BTreeMap<u32, f64> = BTreeMap::new();
    let mut found = Vec::new();
    for fill in book.fills.iter().filter(|fill| fill.step as usize <= next) {
        let change = if fill.side == Side::Buy { fill.quantity } else { -fill.quantity };
        let position = held.entry(fill.symbol).or_default();
        let enters = (*position + change).abs() > position.abs();
        *position += change;
        if fill.step as usize != next {
            continue;
        }
        let symbol = &place.bars.symbols()[fill.symbol as usize];
        let row = symbol.time().partition_point(|other| other < time);
        // A symbol without that bar is closed, if at all, at its last close.
        let present = symbol.time().get(row) == Some(time);
        let at_open = present && same(symbol.open()[row], fill.reference_price);
        // What is liquidated with others within the bar may be filled at its own open, if that is the worst it saw.
        let liquidated = fill.reason == FillReason::Liquidation;
        let left_within = matches!(fill.reason, FillReason::Stop | FillReason::Target | FillReason::Trailing);
        if !liquidated && (!(exits || left_within) || enters || at_open) {
            found.push(*fill);
        }
    }
    found
}
