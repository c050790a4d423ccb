//! Features and labels under the proof.

use super::finding::{Leak, Tally, first_change, same};
use super::poison::{Future, Poison, TAIL, poisoned};
use super::{Audit, AuditError, Proof};
use crate::table::{Bars, Features, Labels};
use crate::units::Time;

/// Features up to a moment keep their bits, whatever comes after it; with nothing after it this is what a program that is
/// fed bar by bar would have computed.
pub(super) fn features(audit: &Audit, proof: &mut Proof, streaming: &mut Tally) -> Result<(), AuditError> {
    let Some(compute) = &audit.pipeline.features else { return Ok(()) };
    let fail = |reason| AuditError { part: "features", reason };
    let (bars, mut tally) = (audit.stretch, Tally::new("features"));
    let before = compute(bars).map_err(fail)?;
    let moments = audit.moments(0..usize::MAX, "moments of features");
    for (number, step) in moments.iter().enumerate() {
        for poison in audit.depth.poisons(number) {
            let tally = if *poison == Poison::Cut { &mut *streaming } else { &mut tally };
            let changed = audit.changed(*step, *poison).map_err(fail)?;
            match compute(&changed) {
                Ok(now) => compare_features((&now, &changed), (&before, bars), (*step, *poison), tally),
                Err(reason) => tally.unproved(&poison.to_string(), &reason),
            }
        }
    }
    proof.moments += moments.len();
    proof.checks.push(tally.check(|compared| {
        format!(
            "{compared} values of {} features keep their bits at {} moments",
            before.names().len(),
            moments.len()
        )
    }));
    Ok(())
}

fn compare_features(
    (now, changed): (&Features, &Bars),
    (before, bars): (&Features, &Bars),
    (step, poison): (usize, Poison),
    tally: &mut Tally,
) {
    let moment = bars.timeline().times()[step];
    if now.names() != before.names() {
        return tally
            .leak(format!("the names of the features changed when the bars after {moment} {poison}"));
    }
    let mut first: Option<Leak> = None;
    for (symbol, known) in known_rows(bars, step).into_iter().enumerate() {
        for (feature, name) in before.names().iter().enumerate() {
            tally.compared(known);
            let (now, before) = (now.column(symbol, feature), before.column(symbol, feature));
            let Some(row) = first_change(now, before, known) else { continue };
            let time = changed.symbols()[symbol].time()[row];
            if first.as_ref().is_none_or(|leak| time < leak.time) {
                let what = format!("feature {name} of {}", bars.symbols()[symbol].symbol());
                first = Some(Leak { what, time, moment, poison });
            }
        }
    }
    if let Some(leak) = first {
        tally.leak(leak);
    }
}

/// Labels that say they are known at a moment keep their bits, and so does the time at which they are known.
pub(super) fn labels(audit: &Audit, proof: &mut Proof) -> Result<(), AuditError> {
    let Some(compute) = &audit.pipeline.labels else { return Ok(()) };
    let fail = |reason| AuditError { part: "labels", reason };
    let (bars, mut tally) = (audit.stretch, Tally::new("labels"));
    let before = compute(bars).map_err(fail)?;
    let moments = audit.moments(0..usize::MAX, "moments of labels");
    for (number, step) in moments.iter().enumerate() {
        for poison in audit.depth.poisons(number) {
            let changed = audit.changed(*step, *poison).map_err(fail)?;
            match compute(&changed) {
                Ok(now) => compare_labels(&now, (&before, bars), (*step, *poison), &mut tally),
                Err(reason) => tally.unproved(&poison.to_string(), &reason),
            }
        }
    }
    proof.moments += moments.len();
    proof.checks.push(tally.check(|compared| {
        format!("{compared} labels keep their bits once they are known, at {} moments", moments.len())
    }));
    Ok(())
}

fn compare_labels(
    now: &Labels,
    (before, bars): (&Labels, &Bars),
    (step, poison): (usize, Poison),
    tally: &mut Tally,
) {
    let moment = bars.timeline().times()[step];
    let close = Time(moment.0.saturating_add(bars.interval()));
    for (symbol, known) in known_rows(bars, step).into_iter().enumerate() {
        for row in 0..known {
            let times = (now.known_at(symbol, row), before.known_at(symbol, row));
            if [times.0, times.1].iter().all(|known| known.is_none_or(|known| known > close)) {
                continue;
            }
            tally.compared(before.horizons().len());
            let equal = (0..before.horizons().len())
                .all(|horizon| same(now.column(symbol, horizon)[row], before.column(symbol, horizon)[row]));
            if !equal || times.0 != times.1 {
                let one = &bars.symbols()[symbol];
                let what = format!("the label of {}, which says it is known by then,", one.symbol());
                return tally.leak(Leak { what, time: one.time()[row], moment, poison });
            }
        }
    }
}

/// `[symbol]`: rows up to and including a step.
pub(super) fn known_rows(bars: &Bars, step: usize) -> Vec<usize> {
    let end = bars.timeline().times()[step];
    bars.symbols().iter().map(|symbol| symbol.time().partition_point(|time| *time <= end)).collect()
}

impl Audit<'_> {
    /// The audited stretch with another future.
    pub(super) fn changed(&self, step: usize, poison: Poison) -> Result<Bars, String> {
        let future = Future { step, poison, tail: TAIL, keeps_open: false };
        poisoned(self.stretch, &future, self.pipeline.seed)
    }
}
