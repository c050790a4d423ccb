//! Which risk raises an alarm.

use super::row_set::Reached;
use super::rows::EventRows;

/// The lowest threshold that keeps to the false alarms allowed on these rows: on the way down through all risks that were
/// forecast, the last one before more than `false_alarms_per_day` times the days of the rows, which all symbols share, are
/// false. `None` where no row
/// has label 1, or where already the highest risk raises too many, as with a forecast that is always the same.
pub fn alarm_threshold(rows: &EventRows, false_alarms_per_day: f64) -> Option<f64> {
    Descent::new(rows).and_then(|descent| descent.to_rate(false_alarms_per_day))
}

/// All thresholds of some rows, from the highest down.
pub(super) struct Descent<'a> {
    rows: &'a EventRows,
    /// Rows in falling order of their risk.
    order: Vec<usize>,
    /// For each threshold how many rows reach it, rising.
    reached: Vec<usize>,
}

impl<'a> Descent<'a> {
    /// `None` where no row has label 1.
    pub(super) fn new(rows: &'a EventRows) -> Option<Descent<'a>> {
        if !rows.happens.contains(&true) {
            return None;
        }
        let mut order: Vec<usize> = (0..rows.risk.len()).collect();
        order.sort_by(|one, other| rows.risk[*other].total_cmp(&rows.risk[*one]));
        let last_of_equals =
            |end: &usize| *end == order.len() || rows.risk[order[*end]] < rows.risk[order[*end - 1]];
        let reached = (1..=order.len()).filter(last_of_equals).collect();
        Some(Descent { rows, order, reached })
    }

    /// As [`alarm_threshold`].
    pub(super) fn to_rate(&self, false_alarms_per_day: f64) -> Option<f64> {
        let allowed = (false_alarms_per_day * self.rows.days).floor() as usize;
        // Alarms cover the rows with as few spans of one horizon as possible, so more rows never need fewer of them: as
        // long as all alarms together are few enough, false ones are.
        let harmless =
            self.reached.partition_point(|count| self.rows.alarms(&self.set(*count)).len() <= allowed);
        let mut lowest = harmless.checked_sub(1).map(|index| self.reached[index]);
        let mut set = self.set(lowest.unwrap_or(0));
        for count in &self.reached[harmless..] {
            self.order[lowest.unwrap_or(0)..*count].iter().for_each(|row| set.insert(*row));
            let alarms = self.rows.alarms(&set);
            if alarms.iter().filter(|alarm| alarm.is_false).count() > allowed {
                break;
            }
            lowest = Some(*count);
        }
        lowest.map(|count| self.rows.risk[self.order[count - 1]])
    }

    /// The rows with the highest risks.
    fn set(&self, count: usize) -> Reached {
        let mut set = Reached::empty(self.order.len());
        self.order[..count].iter().for_each(|row| set.insert(*row));
        set
    }
}
