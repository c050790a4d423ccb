//! From snapshots to one row an interval.

use super::{DepthTable, Snapshot, Snapshots};
use crate::data::BarDuration;
use crate::table::NULL;
use crate::units::Time;
use std::sync::Arc;

/// The rows and what happened on the way.
pub(super) struct Gathered {
    pub(super) table: DepthTable,
    /// Snapshots that have the time of a later one.
    pub(super) repeated: usize,
    /// Intervals without a snapshot between the first and the last of a symbol.
    pub(super) missing: usize,
}

/// The last snapshot of each interval, by symbol, then time. Of snapshots with the same time the one read last counts.
pub(super) fn gather(snapshots: &Snapshots, every: BarDuration) -> Gathered {
    let mut gathered = Gathered { table: DepthTable::default(), repeated: 0, missing: 0 };
    let names = snapshots.names.all();
    let mut ordered: Vec<&Snapshot> = snapshots.rows.iter().collect();
    // A stable sort: snapshots with the same time stay in the order in which they were read.
    ordered.sort_by(|left, right| {
        let key = |row: &Snapshot| (&names[row.symbol as usize], row.time);
        key(left).cmp(&key(right))
    });
    let length = every.nanoseconds();
    let interval = |row: &Snapshot| row.time.div_euclid(length);
    for (row, next) in ordered.iter().zip(ordered.iter().skip(1).map(Some).chain([None])) {
        let next = next.filter(|next| next.symbol == row.symbol);
        gathered.repeated += usize::from(next.is_some_and(|next| next.time == row.time));
        let steps = next.map(|next| interval(next) - interval(row));
        if steps == Some(0) {
            continue;
        }
        gathered.missing += steps.map_or(0, |steps| steps as usize - 1);
        gathered.table.push(row, Time(interval(row) * length), &names[row.symbol as usize]);
    }
    gathered
}

impl DepthTable {
    fn push(&mut self, row: &Snapshot, start: Time, name: &str) {
        let repeated = self.symbol.last().filter(|last| ***last == *name).cloned();
        self.time.push(start);
        self.symbol.push(repeated.unwrap_or_else(|| Arc::from(name)));
        self.mid_price.push(row.mid_price);
        self.buy_volume.push(row.buy_volume);
        self.sell_volume.push(row.sell_volume);
        self.blr.push(if row.sell_volume > 0.0 { row.buy_volume / row.sell_volume } else { NULL });
    }
}
