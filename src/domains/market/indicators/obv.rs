//! On-balance volume.

use super::{Bar, Indicator, Memory, Recursion, at_least, ratio};
use crate::domains::market::rolling;
use crate::table::{Bars, SymbolBars};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Running total of the volume, added where the close rose and subtracted where it fell; it starts at the first bar's
/// volume (TA-Lib: OBV). The total depends on where the data start, so it cannot be compared between symbols; `relative`
/// can: the change of the total over the last `period` bars over the volume of those bars, -1 to 1, null where nothing
/// was traded in them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Obv {
    /// `false`: the running total in units of the asset. `true`: its change as a share of the volume.
    pub relative: bool,
    /// Bars of the change, at least 1; only `relative` uses it.
    #[schemars(range(min = 1))]
    pub period: usize,
}

impl Default for Obv {
    fn default() -> Self {
        Obv { relative: false, period: 20 }
    }
}

impl Indicator for Obv {
    fn names(&self) -> Vec<String> {
        vec![if self.relative { format!("obv_{}_relative", self.period) } else { "obv".into() }]
    }

    fn warm_up(&self) -> usize {
        if self.relative { self.period } else { 0 }
    }

    fn check(&self) -> Result<(), String> {
        at_least(1, "period", self.period)
    }

    fn compute(&self, bars: &Bars) -> Vec<Vec<Vec<f64>>> {
        let column = if self.relative { Self::share } else { Self::total };
        bars.symbols().iter().map(|symbol| vec![column(self, symbol)]).collect()
    }

    fn memory(&self) -> Memory {
        match self.relative {
            true => Memory::rows(self.period + 1).in_blocks_of(self.period),
            false => Memory::recursion(RunningVolume::default()),
        }
    }
}

impl Obv {
    fn total(&self, bars: &SymbolBars) -> Vec<f64> {
        let mut total = bars.volume()[0];
        let changes = std::iter::once(0.0).chain(signed_volumes(bars));
        changes
            .map(|change| {
                total += change;
                total
            })
            .collect()
    }

    fn share(&self, bars: &SymbolBars) -> Vec<f64> {
        // The first bar has no previous close, hence no sign: its volume stays outside of every window.
        let signed = rolling::sum(&signed_volumes(bars), self.period);
        let volume = rolling::sum(&bars.volume()[1..], self.period);
        let shares = signed.iter().zip(&volume).map(|(signed, volume)| ratio(*signed, *volume));
        rolling::padded(bars.len(), shares.collect::<Vec<_>>())
    }
}

/// The volume of every bar but the first with the sign of the close's change.
fn signed_volumes(bars: &SymbolBars) -> Vec<f64> {
    let (close, volume) = (bars.close(), bars.volume());
    (1..bars.len()).map(|t| signed_volume(close[t - 1], close[t], volume[t])).collect()
}

/// 0 where the close did not change.
fn signed_volume(before: f64, close: f64, volume: f64) -> f64 {
    match close.total_cmp(&before) {
        std::cmp::Ordering::Greater => volume,
        std::cmp::Ordering::Equal => 0.0,
        std::cmp::Ordering::Less => -volume,
    }
}

/// The total of a growing column.
#[derive(Default)]
struct RunningVolume {
    /// The close before and the total so far.
    state: Option<(f64, f64)>,
}

impl Recursion for RunningVolume {
    fn next(&mut self, bar: &Bar) -> Vec<f64> {
        let total = match self.state {
            None => bar.volume + 0.0,
            Some((before, total)) => total + signed_volume(before, bar.close, bar.volume),
        };
        self.state = Some((bar.close, total));
        vec![total]
    }
}
