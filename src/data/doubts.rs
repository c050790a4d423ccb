//! What makes sound bars doubtful.

use crate::table::{Bars, SymbolBars};
use crate::units::Time;
use crate::units::counted;
use std::path::Path;

/// A change of the close from one bar to the next outside these is a split or an error far more often than a price:
/// a split of 2 to 1 halves it, the reverse doubles it.
const USUAL_CHANGES: std::ops::RangeInclusive<f64> = -0.40..=0.67;

/// So many symbols are named; a panel of thousands would bury every other warning.
const NAMED: usize = 20;

/// Nanoseconds of a day.
const DAY: i64 = 86_400_000_000_000;

/// A hole of this length, in nanoseconds and in bars, is longer than any market's holidays.
const LONG_HOLE: i64 = 10 * DAY;
const LONG_HOLE_BARS: i64 = 20;

/// On fewer bars no figure of a backtest means anything.
const FEWEST_BARS: usize = 30;

/// What must be said of bars into which a generator put crashes, which its metadata beside the file tells: somebody who knows
/// of a part of them can earn what no market pays.
pub(super) fn planted_crashes(file: &Path) -> Option<String> {
    // Without metadata, or with those of another program, there is nothing to tell.
    let text = std::fs::read_to_string(file.with_extension("metadata.json")).ok()?;
    let metadata: serde_json::Value = serde_json::from_str(&text).ok()?;
    let crashes = metadata.get("crashes")?.as_array()?.len();
    (crashes > 0).then(|| {
        format!(
            "a generator put {crashes} crashes into these bars, and a rise between them that pays for them: events caught \
             and false alarms can be compared here; returns, Sharpe ratios and a verdict say nothing of a market"
        )
    })
}

/// One line for each symbol whose close jumps from one bar to the next.
pub(super) fn jumps(bars: &Bars) -> Vec<String> {
    let mut lines: Vec<String> =
        bars.symbols().iter().filter(|symbol| symbol.is_traded()).filter_map(symbol_jumps).collect();
    if lines.len() > NAMED + 1 {
        let more = lines.len() - NAMED;
        lines.truncate(NAMED);
        lines.push(format!("{more} more symbols change as much in one bar: splits, or errors in the data?"));
    }
    lines
}

fn symbol_jumps(bars: &SymbolBars) -> Option<String> {
    let changes = bars.close().windows(2).map(|pair| pair[1] / pair[0] - 1.0).zip(&bars.time()[1..]);
    let jumps: Vec<(f64, &Time)> = changes.filter(|(change, _)| !USUAL_CHANGES.contains(change)).collect();
    // The further in ratio, the larger: -50 % is as far as +100 %.
    let distance = |jump: &(f64, &Time)| jump.0.ln_1p().abs();
    // Backwards, so that of equal ones the first is taken.
    let (change, at) = jumps.iter().rev().max_by(|left, right| distance(left).total_cmp(&distance(right)))?;
    let count = match jumps.len() {
        1 => String::new(),
        count => format!(" (the largest of {count} such changes)"),
    };
    let guess = if jumps.len() == 1 { "a split, or an error" } else { "splits, or errors" };
    let change = 100.0 * change;
    Some(format!(
        "{} changes by {change:+.1} % in one bar at {at}{count}: {guess} in the data?",
        bars.symbol()
    ))
}

/// A line for each symbol whose bars stop for long: what a position earns over the hole is earned in one bar.
pub(super) fn holes(bars: &Bars) -> Vec<String> {
    let least = LONG_HOLE.max(LONG_HOLE_BARS * bars.interval());
    let hole = |symbol: &SymbolBars| {
        let pairs = symbol.time().windows(2).map(|pair| (pair[1].0 - pair[0].0, pair[0], pair[1]));
        let (length, from, to) = pairs.rev().max_by_key(|(length, _, _)| *length)?;
        let days = length / DAY;
        (length >= least).then(|| {
            format!(
                "{} has no bars between {from} and {to}, {days} days: a position that is held over it earns or loses the whole \
                 move in one bar",
                symbol.symbol()
            )
        })
    };
    let mut lines: Vec<String> = bars.symbols().iter().filter_map(hole).collect();
    if lines.len() > NAMED + 1 {
        let more = lines.len() - NAMED;
        lines.truncate(NAMED);
        lines.push(format!("{more} more symbols have holes as long"));
    }
    lines
}

/// A line where there are too few bars to tell anything.
pub(super) fn too_few(bars: &Bars) -> Option<String> {
    let count = bars.timeline().times().len();
    (count < FEWEST_BARS)
        .then(|| format!("{}: no figure of a backtest on them means anything", counted(count, "bar")))
}
