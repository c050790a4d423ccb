//! What is found: the first value that knew the future, or what was proved.

use super::poison::Poison;
use crate::rundir::AuditCheck;
use crate::units::Time;
use std::fmt;

/// A value that knew the future.
#[derive(Clone, Debug, PartialEq)]
pub struct Leak {
    /// What it is a value of: "feature rsi_14 of BTC".
    pub what: String,
    /// The bar of the value, by its start.
    pub time: Time,
    /// The last bar that was kept, by its start.
    pub moment: Time,
    /// What became of the later ones.
    pub poison: Poison,
}

impl fmt::Display for Leak {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Leak { what, time, moment, poison } = self;
        write!(f, "{what} at {time} knew the future: it changed when the bars after {moment} {poison}")
    }
}

/// One part of the pipeline under way.
#[derive(Debug)]
pub(super) struct Tally {
    part: &'static str,
    compared: usize,
    /// The first that was found.
    found: Option<String>,
}

impl Tally {
    pub(super) fn new(part: &'static str) -> Tally {
        Tally { part, compared: 0, found: None }
    }

    pub(super) fn compared(&mut self, values: usize) {
        self.compared += values;
    }

    /// Keeps the first finding.
    pub(super) fn leak(&mut self, found: impl fmt::Display) {
        if self.found.is_none() {
            self.found = Some(found.to_string());
        }
    }

    /// A part that fails on another future proves nothing, which is no pass.
    pub(super) fn unproved(&mut self, future: &str, reason: &str) {
        self.leak(format!("could not be proved: with the bars that {future} it fails: {reason}"));
    }

    /// Adds what was found elsewhere.
    pub(super) fn join(&mut self, other: Tally) {
        self.compared += other.compared;
        if let Some(found) = other.found {
            self.leak(found);
        }
    }

    /// The line of the summary; `proved` is said where nothing was found.
    pub(super) fn check(self, proved: impl FnOnce(usize) -> String) -> AuditCheck {
        AuditCheck {
            part: self.part.into(),
            passed: self.found.is_none(),
            compared: self.compared,
            finding: self.found.unwrap_or_else(|| proved(self.compared)),
        }
    }
}

/// Whether two numbers have the same bits; nulls are all alike.
pub(super) fn same(left: f64, right: f64) -> bool {
    left.to_bits() == right.to_bits() || (left.is_nan() && right.is_nan())
}

/// The first row of `rows` in which two columns differ. A column that is too short differs where it ends.
pub(super) fn first_change(now: &[f64], before: &[f64], rows: usize) -> Option<usize> {
    (0..rows).find(|row| match (now.get(*row), before.get(*row)) {
        (Some(now), Some(before)) => !same(*now, *before),
        (now, before) => now.is_some() != before.is_some(),
    })
}
