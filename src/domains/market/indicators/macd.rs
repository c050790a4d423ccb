//! Moving average convergence divergence.

use super::ema::{ExponentialMean, exponential_mean};
use super::{Bar, Indicator, Memory, Recursion, at_least, check_columns, price_difference, stem};
use crate::domains::market::rolling;
use crate::table::{Bars, NULL};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Difference of a fast and a slow exponential mean of the closes, the exponential mean of that difference (the signal
/// line), and the difference of those two (the histogram). As in TA-Lib (MACD) both means start at the same bar, the
/// first at which the slow one exists, each from a simple mean of its own period, and all three columns are null until
/// the signal line exists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Macd {
    /// Bars of the fast mean, at least 2 and fewer than `slow`.
    #[schemars(range(min = 2))]
    pub fast: usize,
    /// Bars of the slow mean.
    #[schemars(range(min = 3))]
    pub slow: usize,
    /// Bars of the signal line, at least 1.
    #[schemars(range(min = 1))]
    pub signal: usize,
    /// `false`: in quote currency. `true`: as a share of the row's close, so that symbols of different price can be
    /// pooled.
    pub relative: bool,
    /// Which of the columns are features, in this order.
    #[schemars(length(min = 1))]
    pub columns: Vec<MacdColumn>,
}

/// A column of [`Macd`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MacdColumn {
    /// Fast less slow mean.
    Line,
    /// Exponential mean of the line.
    Signal,
    /// Line less signal line.
    Histogram,
}

impl MacdColumn {
    /// All of them, in the order in which they are computed.
    pub const ALL: [MacdColumn; 3] = [MacdColumn::Line, MacdColumn::Signal, MacdColumn::Histogram];

    fn name(self) -> &'static str {
        match self {
            MacdColumn::Line => "line",
            MacdColumn::Signal => "signal",
            MacdColumn::Histogram => "histogram",
        }
    }
}

impl Default for Macd {
    fn default() -> Self {
        Macd { fast: 12, slow: 26, signal: 9, relative: false, columns: MacdColumn::ALL.to_vec() }
    }
}

impl Indicator for Macd {
    fn names(&self) -> Vec<String> {
        let stem = stem(format!("macd_{}_{}_{}", self.fast, self.slow, self.signal), self.relative);
        self.columns.iter().map(|column| format!("{stem}_{}", column.name())).collect()
    }

    fn warm_up(&self) -> usize {
        self.slow.saturating_add(self.signal).saturating_sub(2)
    }

    fn check(&self) -> Result<(), String> {
        at_least(2, "fast", self.fast)?;
        at_least(1, "signal", self.signal)?;
        if self.fast >= self.slow {
            return Err(format!(
                "`fast` is {} and `slow` is {}; write a `fast` below `slow`",
                self.fast, self.slow
            ));
        }
        check_columns(&self.columns, MacdColumn::name)
    }

    fn compute(&self, bars: &Bars) -> Vec<Vec<Vec<f64>>> {
        let of = |close: &[f64]| {
            let all = self.all_columns(close);
            self.columns.iter().map(|column| all[*column as usize].clone()).collect()
        };
        bars.symbols().iter().map(|symbol| of(symbol.close())).collect()
    }

    fn memory(&self) -> Memory {
        Memory::recursion(RunningMacd {
            settings: self.clone(),
            skipped: 0,
            fast: ExponentialMean::new(self.fast),
            slow: ExponentialMean::new(self.slow),
            signal: ExponentialMean::new(self.signal),
        })
    }
}

impl Macd {
    /// Every column, in the order of [`MacdColumn::ALL`].
    fn all_columns(&self, close: &[f64]) -> Vec<Vec<f64>> {
        let slow = exponential_mean(close, self.slow);
        // Closes from which a fast mean starts at the same row as the slow one.
        let aligned = close.get(self.slow.saturating_sub(self.fast)..).unwrap_or_default();
        let fast = exponential_mean(aligned, self.fast);
        let line: Vec<f64> = fast.iter().zip(&slow).map(|(fast, slow)| fast - slow).collect();
        let signal = exponential_mean(&line, self.signal);
        let line = line[line.len() - signal.len()..].to_vec();
        let histogram: Vec<f64> = line.iter().zip(&signal).map(|(line, signal)| line - signal).collect();
        [line, signal, histogram]
            .into_iter()
            .map(|column| price_difference(rolling::padded(close.len(), column), close, self.relative))
            .collect()
    }
}

/// The columns as they grow.
struct RunningMacd {
    settings: Macd,
    /// Closes before the fast mean starts.
    skipped: usize,
    fast: ExponentialMean,
    slow: ExponentialMean,
    signal: ExponentialMean,
}

impl Recursion for RunningMacd {
    fn next(&mut self, bar: &Bar) -> Vec<f64> {
        let Macd { fast, slow, relative, .. } = self.settings;
        // A fast mean starts at the same row as the slow one.
        let skips = self.skipped < slow.saturating_sub(fast);
        self.skipped += usize::from(skips);
        let fast = if skips { None } else { self.fast.next(bar.close) };
        let line = self.slow.next(bar.close).zip(fast).map(|(slow, fast)| fast - slow);
        let signal = line.and_then(|line| self.signal.next(line));
        let row = line.zip(signal).map_or([NULL; 3], |(line, signal)| [line, signal, line - signal]);
        let chosen = self.settings.columns.iter().map(|column| row[*column as usize]);
        chosen.flat_map(|value| price_difference(vec![value], &[bar.close], relative)).collect()
    }
}
