//! The look-ahead proof: poison everything after a moment, and demand that the past keeps its bits.
//!
//! A number that is known at the close of a bar cannot change with what the market does afterwards. So the bars after
//! many moments are replaced by futures that did not happen, every part of an experiment is computed again, and each value
//! up to the moment is compared bit by bit. A part that looks ahead, by an index that is off by one, a statistic over the
//! whole sample, a join that comes too early, a label that is used before it is known, cannot keep its bits. What passes
//! is proved for these moments and futures, not sampled from what happened to be traded.
//!
//! The parts come as a [`Pipeline`] of functions, so that the proof runs over the very functions of a run, and over
//! planted leaks in tests.

mod books;
mod finding;
mod learning;
mod memory;
mod moments;
mod pipeline;
mod poison;
mod tables;

pub use finding::Leak;
pub use pipeline::{
    Decide, Decider, Execution, Forecast, Learning, Part, Pipeline, Prepare, Prepared, RunBooks, Tables,
};
pub use poison::Poison;

use crate::rundir::AuditCheck;
use crate::table::Bars;
use finding::Tally;
use poison::stretch;

/// Fewest steps of the timeline that are looked at.
const FEWEST_STEPS: usize = 250;

/// How much is proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// A few dozen moments in the last bars: enough to see what looks ahead always, at a fraction of a run's time.
    Short,
    /// Many moments over all bars, every poison, every fold, and models of closed form trained anew.
    Full,
}

impl Depth {
    /// `short` or `full`.
    pub fn name(self) -> &'static str {
        match self {
            Depth::Short => "short",
            Depth::Full => "full",
        }
    }

    /// Bars of all symbols that are looked at where a part can be computed on a part of the bars.
    fn most_rows(self) -> usize {
        match self {
            Depth::Short => 20_000,
            Depth::Full => usize::MAX,
        }
    }

    /// Moments in each of two kinds: spread evenly, and at places where leaks hide.
    fn moments(self) -> usize {
        match self {
            Depth::Short => 3,
            Depth::Full => 20,
        }
    }

    /// The futures of a moment, by its number.
    fn poisons(self, number: usize) -> &'static [Poison] {
        match self {
            Depth::Short if number.is_multiple_of(2) => &[Poison::Rise, Poison::Gap],
            Depth::Short => &[Poison::Rise, Poison::Cut],
            Depth::Full => &[
                Poison::Rise,
                Poison::Fall,
                Poison::Gap,
                Poison::Reversed,
                Poison::Shuffled,
                Poison::Jump,
                Poison::Cut,
            ],
        }
    }

    /// Strategies whose fills are looked at.
    fn most_books(self) -> usize {
        match self {
            Depth::Short => 4,
            Depth::Full => 200,
        }
    }

    /// Strategies whose decisions are looked at.
    fn most_strategies(self) -> usize {
        match self {
            Depth::Short => 64,
            Depth::Full => 1000,
        }
    }

    fn most_folds(self) -> usize {
        match self {
            Depth::Short => 1,
            Depth::Full => 8,
        }
    }
}

/// A part that cannot be computed even on the true bars.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("the audit cannot compute the {part}: {reason}")]
pub struct AuditError {
    /// Which part.
    pub part: &'static str,
    /// Why.
    pub reason: String,
}

/// What the proof found.
#[derive(Clone, Debug)]
pub struct Proof {
    /// One line a part, in the order of the pipeline.
    pub checks: Vec<AuditCheck>,
    /// Moments after which the future was poisoned, each counted once a part.
    pub moments: usize,
}

impl Proof {
    /// Whether nothing knew the future.
    pub fn passed(&self) -> bool {
        self.checks.iter().all(|check| check.passed)
    }
}

/// The pipeline on its bars, and what is shared by all parts of the proof.
struct Audit<'a> {
    pipeline: &'a Pipeline<'a>,
    /// All bars.
    bars: &'a Bars,
    /// The bars on which features, labels and decisions are looked at.
    stretch: &'a Bars,
    depth: Depth,
}

/// Proves that no part of the pipeline knows the future, or says which does. Moments are drawn from the pipeline's seed; the
/// number of threads changes nothing.
///
/// # Errors
/// A part that fails on the true bars. One that fails on another future is a finding.
pub fn prove(pipeline: &Pipeline, bars: &Bars, depth: Depth) -> Result<Proof, AuditError> {
    let last = last_bars(pipeline, bars, depth)?;
    let audit = Audit { pipeline, bars, stretch: last.as_ref().unwrap_or(bars), depth };

    let mut streaming = Tally::new("streaming");
    let mut proof = Proof { checks: Vec::new(), moments: 0 };
    tables::features(&audit, &mut proof, &mut streaming)?;
    tables::labels(&audit, &mut proof)?;
    learning::prove(&audit, &mut proof)?;
    books::decisions(&audit, &mut proof, &mut streaming)?;
    books::fills(&audit, &mut proof)?;
    if pipeline.features.is_some() || !pipeline.strategies.is_empty() {
        proof.checks.push(streaming.check(|compared| {
            format!("{compared} values and orders are the same when the bars come one by one and end there")
        }));
        memory::warm_up(&audit, &mut proof)?;
    }
    Ok(proof)
}

/// The last bars of the books, as few as the depth asks for and as many as every strategy needs to come to an order;
/// `None` for all bars, which need no copy of themselves.
fn last_bars(pipeline: &Pipeline, bars: &Bars, depth: Depth) -> Result<Option<Bars>, AuditError> {
    let length = bars.timeline().times().len();
    let end = pipeline.span.as_ref().map_or(length, |span| bars.timeline().step_at(span.end).max(1));
    let mut steps = (depth.most_rows() / bars.symbols().len()).max(FEWEST_STEPS);
    let mut ever: Option<Vec<bool>> = None;
    while steps < end {
        let part = stretch(bars, end, steps);
        let decided = Audit { pipeline, bars, stretch: &part, depth }.decides()?;
        if !decided.contains(&false) {
            return Ok(Some(part));
        }
        // One that never orders cannot be helped by more bars.
        let all = match ever.take() {
            Some(all) => all,
            None => Audit { pipeline, bars, stretch: bars, depth }.decides()?,
        };
        if all.iter().zip(&decided).all(|(ever, decided)| *decided || !ever) {
            return Ok(Some(part));
        }
        ever = Some(all);
        steps = steps.saturating_mul(4);
    }
    Ok((end < length).then(|| stretch(bars, end, end)))
}
