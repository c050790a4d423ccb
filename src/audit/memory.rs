//! How long features and decisions remember where the data begin. Memory of the past is no look-ahead, so nothing fails
//! here; but who starts live trading with less history than this gets other numbers.

use super::finding::same;
use super::poison::begun_at;
use super::{Audit, AuditError, Proof};
use crate::rundir::AuditCheck;
use crate::table::{Bars, Features, Positions, Predictions};
use rayon::prelude::*;

/// Two numbers closer than this share of their size are equal but for rounding.
const TOLERANCE: f64 = 1e-9;

/// Strategies that are looked at in a short audit.
const SOME_STRATEGIES: usize = 16;

/// Bars after which a column no longer depends on where the data begin: to the bit, and to the tolerance. `None`: never
/// within these bars.
#[derive(Clone, Copy)]
struct Memory {
    exact: Option<usize>,
    close: Option<usize>,
}

/// Begins the data a quarter later and reports when features and decisions agree again.
pub(super) fn warm_up(audit: &Audit, proof: &mut Proof) -> Result<(), AuditError> {
    let bars = audit.stretch;
    let Some(later) = begun_at(bars, bars.timeline().times().len() / 4) else { return Ok(()) };
    let mut sentences = Vec::new();
    let mut compared = 0;
    if let Some(compute) = &audit.pipeline.features {
        let fail = |reason| AuditError { part: "features", reason };
        let (before, now) = (compute(bars).map_err(fail)?, compute(&later).map_err(fail)?);
        let memories = feature_memories(&before, &now, &mut compared);
        sentences.push(told("features", &memories));
    }
    let deciders = audit.deciders(SOME_STRATEGIES);
    let memories: Vec<(String, Memory)> = deciders
        .par_iter()
        .filter_map(|strategy| {
            let levels = |bars: &Bars| {
                let steps = bars.timeline().times().len();
                let decided = (strategy.decide)(bars, &Predictions::default(), 0..steps);
                decided.ok().map(|positions| levels(&positions, bars))
            };
            // A strategy on forecasts remembers what its model sees.
            Some((strategy.name.clone(), memory_of(&levels(bars)?, &levels(&later)?)))
        })
        .collect();
    if !memories.is_empty() {
        compared += memories.len() * later.rows();
        sentences.push(told("strategies", &memories));
    }
    let finding = format!("with the data begun a quarter later, {}", sentences.join("; "));
    proof.checks.push(AuditCheck { part: "warm-up".into(), passed: true, compared, finding });
    Ok(())
}

/// `[feature]`: the longest memory among the symbols.
fn feature_memories(before: &Features, now: &Features, compared: &mut usize) -> Vec<(String, Memory)> {
    let of = |(feature, name): (usize, &String)| {
        let columns = |features: &Features| -> Vec<Vec<f64>> {
            (0..features.symbols()).map(|symbol| features.column(symbol, feature).to_vec()).collect()
        };
        (name.clone(), memory_of(&columns(before), &columns(now)))
    };
    *compared += (0..now.symbols()).map(|symbol| now.rows(symbol) * now.names().len()).sum::<usize>();
    before.names().iter().enumerate().map(of).collect()
}

/// `[symbol][row]`: the level that is held after each row.
fn levels(positions: &Positions, bars: &Bars) -> Vec<Vec<f64>> {
    let held = |symbol: usize| {
        let mut level = 0.0;
        let mut follow = |target: &f64| {
            if !target.is_nan() {
                level = *target;
            }
            level
        };
        positions.targets(symbol).iter().map(&mut follow).collect()
    };
    (0..bars.symbols().len()).map(held).collect()
}

/// Compares `[symbol][row]` columns at their common last rows.
fn memory_of(before: &[Vec<f64>], now: &[Vec<f64>]) -> Memory {
    let mut memory = Memory { exact: Some(0), close: Some(0) };
    for (before, now) in before.iter().zip(now) {
        let before = &before[before.len() - now.len()..];
        let last = |unlike: &dyn Fn(f64, f64) -> bool| {
            let row = before.iter().zip(now).rposition(|(before, now)| unlike(*before, *now));
            let bars = row.map_or(0, |row| row + 1);
            (bars < now.len()).then_some(bars)
        };
        let far = |one: f64, two: f64| {
            let near = (one - two).abs() <= TOLERANCE * one.abs().max(two.abs());
            !same(one, two) && !near
        };
        let longest = |all: Option<usize>, one: Option<usize>| Some(all?.max(one?));
        memory.exact = longest(memory.exact, last(&|one, two| !same(one, two)));
        memory.close = longest(memory.close, last(&far));
    }
    memory
}

/// `12 features agree to the bit after 33 bars, 2 to 1e-9 after 210 bars (ema_20 last), 1 never (obv)`.
fn told(kind: &str, memories: &[(String, Memory)]) -> String {
    let exact: Vec<usize> = memories.iter().filter_map(|(_, memory)| memory.exact).collect();
    let close: Vec<(usize, &str)> = memories
        .iter()
        .filter(|(_, memory)| memory.exact.is_none())
        .filter_map(|(name, memory)| memory.close.map(|bars| (bars, name.as_str())))
        .collect();
    let never: Vec<&str> = memories
        .iter()
        .filter(|(_, memory)| memory.exact.is_none() && memory.close.is_none())
        .map(|(name, _)| name.as_str())
        .collect();
    let mut parts = Vec::new();
    if let Some(longest) = exact.iter().max() {
        parts.push(format!("{} agree to the bit after {longest} bars", exact.len()));
    }
    if let Some((longest, name)) = close.iter().max() {
        parts.push(format!("{} agree to 1e-9 after {longest} bars (last: {name})", close.len()));
    }
    if !never.is_empty() {
        let names: Vec<&str> = never.iter().take(5).copied().collect();
        parts.push(format!(
            "{} depend for ever on where they begin, as sums from the first bar do ({})",
            never.len(),
            names.join(", ")
        ));
    }
    format!("of {} {kind} {}", memories.len(), parts.join(", "))
}
