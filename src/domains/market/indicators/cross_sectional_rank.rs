//! Cross-sectional rank.

use super::simple_return::simple_returns;
use super::{Indicator, Memory, at_least};
use crate::table::{Bars, NULL};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Rank of the symbol's simple return over the last `period` of its own bars among all symbols that have a bar and such
/// a return at the same time, from -1 (lowest) to 1 (highest); equal returns share the mean of their ranks. Null where
/// fewer than two symbols have a return.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CrossSectionalRank {
    /// Bars of the return, at least 1.
    #[schemars(range(min = 1))]
    pub period: usize,
}

impl Default for CrossSectionalRank {
    fn default() -> Self {
        CrossSectionalRank { period: 20 }
    }
}

impl Indicator for CrossSectionalRank {
    fn names(&self) -> Vec<String> {
        vec![format!("cross_sectional_rank_{}", self.period)]
    }

    fn warm_up(&self) -> usize {
        self.period
    }

    fn check(&self) -> Result<(), String> {
        at_least(1, "period", self.period)
    }

    fn compute(&self, bars: &Bars) -> Vec<Vec<Vec<f64>>> {
        let mut rows: Vec<Vec<f64>> = bars.symbols().iter().map(|symbol| vec![NULL; symbol.len()]).collect();
        for mut moment in moments(bars, self.period) {
            rank(&mut moment);
            for entry in moment {
                rows[entry.symbol][entry.row] = entry.value;
            }
        }
        rows.into_iter().map(|column| vec![column]).collect()
    }

    fn memory(&self) -> Memory {
        Memory::rows(self.period + 1)
    }
}

/// What one symbol has at one moment: first its return, then its rank.
struct Entry {
    symbol: usize,
    row: usize,
    value: f64,
}

/// `[step of the timeline]`: the returns of all symbols that have one there.
fn moments(bars: &Bars, period: usize) -> Vec<Vec<Entry>> {
    let timeline = bars.timeline();
    let mut moments: Vec<Vec<Entry>> = timeline.times().iter().map(|_| Vec::new()).collect();
    for (symbol, one) in bars.symbols().iter().enumerate() {
        let returns = simple_returns(one.close(), period);
        for (row, (value, step)) in returns.into_iter().zip(timeline.steps(symbol)).enumerate() {
            if !value.is_nan() {
                moments[*step as usize].push(Entry { symbol, row, value });
            }
        }
    }
    moments
}

/// Replaces the returns of one moment by their ranks from -1 to 1; null where there are fewer than two.
fn rank(moment: &mut [Entry]) {
    moment.sort_by(|left, right| left.value.total_cmp(&right.value));
    let last = moment.len().saturating_sub(1) as f64;
    let mut start = 0;
    while start < moment.len() {
        let equal = moment[start..].iter().take_while(|entry| entry.value == moment[start].value).count();
        let mean_rank = start as f64 + (equal - 1) as f64 / 2.0;
        let scaled = if last == 0.0 { NULL } else { 2.0 * mean_rank / last - 1.0 };
        for entry in &mut moment[start..start + equal] {
            entry.value = scaled;
        }
        start += equal;
    }
}
