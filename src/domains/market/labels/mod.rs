//! Labels: what a model shall forecast. One file each; see `registry.rs` for how one joins.

use crate::domains::market::indicators::rolling_volatility::volatility;
use crate::table::{Bars, LabelKind, Labels, NULL};
use crate::units::Time;

pub mod bars_to_drawdown;
pub mod drawdown_within;
pub mod forward_change;
pub mod forward_return;
pub mod forward_value;
mod horizons;
pub mod sign;
pub mod triple_barrier;
pub mod volatility_scaled_return;

/// A target computed from later bars than its row, with the time at which it becomes known.
pub trait Label: Send + Sync {
    /// What the numbers mean.
    fn kind(&self) -> LabelKind;

    /// Horizons in bars, one column each.
    fn horizons(&self) -> Vec<u32>;

    /// Whether the settings make sense.
    ///
    /// # Errors
    /// Says which setting does not, and what is expected.
    fn check(&self) -> Result<(), String> {
        check_horizons(&self.horizons())
    }

    /// The labels of every row; null where the future is not there. Bars of a symbol are counted row by row.
    ///
    /// # Errors
    /// Settings that make no sense for these bars.
    fn compute(&self, bars: &Bars) -> Result<Labels, String>;

    /// `[symbol][row]`: of events, bars from the row to the one that completes the event its label tells of; null where none
    /// comes within the longest horizon. Empty for labels that are no events.
    fn bars_to_event(&self, _bars: &Bars) -> Vec<Vec<f64>> {
        Vec::new()
    }
}

crate::registry! {
    /// A target by name.
    LabelConfig => dyn Label;
    /// Return of the close over one or several horizons.
    forward_return: ForwardReturn,
    /// Change of the close over one or several horizons, in the unit of the series.
    forward_change: ForwardChange,
    /// The close itself at one or several horizons, in the unit of the series.
    forward_value: ForwardValue,
    /// Return of the close over one or several horizons, in units of the volatility known at the row.
    volatility_scaled_return: VolatilityScaledReturn,
    /// Whether the close rises over one or several horizons.
    sign: Sign,
    /// Which of two barriers around the close the price reaches first, within a time limit.
    triple_barrier: TripleBarrier,
    /// Whether the close falls by a share of itself within one or several horizons.
    drawdown_within: DrawdownWithin,
    /// How many bars until the close has fallen by a share of itself.
    bars_to_drawdown: BarsToDrawdown,
}

/// When bar `row` of `symbol` is known: at its close, one interval after its start.
fn close_time(bars: &Bars, symbol: usize, row: usize) -> Time {
    Time(bars.symbols()[symbol].time()[row].0.saturating_add(bars.interval()))
}

/// Labels whose value at row t and a horizon is `value(symbol, t, t + horizon)` and is known at the close of that later
/// bar; all horizons of a row are known with the longest.
fn by_horizon(
    label: &dyn Label,
    bars: &Bars,
    value: impl Fn(usize, usize, usize) -> f64,
) -> Result<Labels, String> {
    let horizons = label.horizons();
    label.check()?;
    let longest = horizons.iter().copied().max().unwrap_or(0) as usize;
    let mut values = Vec::new();
    let mut known_at = Vec::new();
    for (symbol, columns) in bars.symbols().iter().enumerate() {
        let rows = columns.len();
        let labelled = |horizon: u32| {
            let later = |row: usize| row + horizon as usize;
            (0..rows)
                .map(|row| if later(row) < rows { value(symbol, row, later(row)) } else { NULL })
                .collect()
        };
        values.push(horizons.iter().map(|horizon| labelled(*horizon)).collect());
        let known = |row: usize| (row + longest < rows).then(|| close_time(bars, symbol, row + longest));
        known_at.push((0..rows).map(known).collect());
    }
    Labels::new(label.kind(), horizons, values, known_at)
}

/// Refuses horizons that name no future bar or the same bar twice.
fn check_horizons(horizons: &[u32]) -> Result<(), String> {
    if horizons.is_empty() {
        return Err("`horizons_bars` is empty; write at least one number of bars, such as [1]".into());
    }
    for (index, horizon) in horizons.iter().enumerate() {
        if *horizon == 0 {
            return Err("`horizons_bars` holds 0, which is no forecast; write numbers of at least 1".into());
        }
        if horizons[..index].contains(horizon) {
            return Err(format!("`horizons_bars` holds {horizon} twice; remove one of them"));
        }
    }
    Ok(())
}

/// Refuses a fall that is none, or leaves nothing.
fn check_fall(percent: f64) -> Result<(), String> {
    if percent > 0.0 && percent < 100.0 {
        return Ok(());
    }
    Err(format!("`fall_percent` is {percent}; write a number above 0 and below 100"))
}

/// `[symbol][row]`: the volatility of one bar over the last `period` returns, known at the row's close.
fn trailing_volatility(bars: &Bars, period: usize) -> Result<Vec<Vec<f64>>, String> {
    if period < 2 {
        return Err(format!("`volatility_bars` is {period}; write a number of returns of at least 2"));
    }
    Ok(bars.symbols().iter().map(|symbol| volatility(symbol.close(), period)).collect())
}
