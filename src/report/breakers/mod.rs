//! Circuit breakers beside the books that they guard: figures, and when they stopped.

mod files;
mod plot;
mod table;

pub(super) use files::{BreakerFiles, read_breakers};
pub(super) use table::line;

use super::run_files::RunFiles;

/// The sentences above the table and the charts.
pub(super) const NOTE: &str = "Each breaker beside the book that it guards, run on the same bars at the same costs. A stop is a run of red \
    bars; it is false where no event of the target lay ahead of the bar that tripped it, within the horizon of the breaker's model \
    (the longest one for a breaker on a column). Who is always out avoids every event: an event must lie ahead of more of the red \
    bars than of all bars. Loss avoided and gains missed are what the guarded book did over the stops (those of several symbols \
    that overlap in time joined), in per cent of the starting cash at the end of the test; with what was earned elsewhere (yellow, cash \
    left over, shares that drifted apart) and the extra costs they add up to the net effect: avoided \u{2212} missed + \
    elsewhere \u{2212} costs. Lead: from the first red bar to the strike of an event.";

/// The table and the charts; nothing without a breaker.
pub(super) fn breakers(files: &RunFiles) -> String {
    let table = table::table(files);
    if table.is_empty() {
        return table;
    }
    table + &plot::charts(files)
}
