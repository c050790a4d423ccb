//! Average directional index.

use super::atr::{true_ranges, wilder_mean};
use super::{Indicator, at_least};
use crate::domains::market::rolling;
use crate::table::{Bars, SymbolBars};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Wilder's average directional index (0 to 100, how directed the movement is) with the two directional indicators
/// `plus_di` (up) and `minus_di` (down), as TA-Lib's functions of these names: the first `period - 1` movements are
/// summed before the smoothing starts. While nothing has moved all three are 0, as in TA-Lib. The directional indicators
/// are known after `period` rows, the index after `2 * period - 1`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Adx {
    /// Bars of the Wilder sums, at least 2.
    #[schemars(range(min = 2))]
    pub period: usize,
}

impl Default for Adx {
    fn default() -> Self {
        Adx { period: 14 }
    }
}

impl Indicator for Adx {
    fn names(&self) -> Vec<String> {
        ["adx", "plus_di", "minus_di"].iter().map(|column| format!("{column}_{}", self.period)).collect()
    }

    fn warm_up(&self) -> usize {
        self.period.saturating_mul(2).saturating_sub(1)
    }

    fn check(&self) -> Result<(), String> {
        at_least(2, "period", self.period)
    }

    fn compute(&self, bars: &Bars) -> Vec<Vec<Vec<f64>>> {
        bars.symbols().iter().map(|symbol| self.columns(symbol)).collect()
    }
}

impl Adx {
    fn columns(&self, bars: &SymbolBars) -> Vec<Vec<f64>> {
        let (rises, falls) = directional_movements(bars);
        let ranges = wilder_sums(&true_ranges(bars), self.period);
        let share = |movements: &[f64]| -> Vec<f64> {
            let sums = wilder_sums(movements, self.period);
            sums.iter().zip(&ranges).map(|(sum, range)| percent(*sum, *range)).collect()
        };
        let (plus, minus) = (share(&rises), share(&falls));
        let directedness: Vec<f64> = plus
            .iter()
            .zip(&minus)
            .map(|(plus, minus)| percent((plus - minus).abs(), plus + minus))
            .collect();
        [wilder_mean(&directedness, self.period), plus, minus]
            .into_iter()
            .map(|column| rolling::padded(bars.len(), column))
            .collect()
    }
}

/// Upward and downward movement of every bar but the first: the larger of the rise of the high and the fall of the low
/// counts, if it is positive; the other is 0.
fn directional_movements(bars: &SymbolBars) -> (Vec<f64>, Vec<f64>) {
    (1..bars.len())
        .map(|t| {
            let rise = bars.high()[t] - bars.high()[t - 1];
            let fall = bars.low()[t - 1] - bars.low()[t];
            if fall > 0.0 && rise < fall {
                (0.0, fall)
            } else if rise > 0.0 && rise > fall {
                (rise, 0.0)
            } else {
                (0.0, 0.0)
            }
        })
        .unzip()
}

/// Wilder's decaying sum of every value from `period - 1` on: the plain sum of the first `period - 1` values, then
/// `sum += value - sum / period`. Empty where there are fewer values, or for a period of 0.
fn wilder_sums(values: &[f64], period: usize) -> Vec<f64> {
    if period == 0 || values.len() < period {
        return Vec::new();
    }
    let (first, rest) = values.split_at(period - 1);
    let mut sum = first.iter().sum::<f64>();
    rest.iter()
        .map(|value| {
            sum += value - sum / period as f64;
            sum
        })
        .collect()
}

/// 100 * part / whole; 0 where there is no whole.
fn percent(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { 100.0 * part / whole }
}
