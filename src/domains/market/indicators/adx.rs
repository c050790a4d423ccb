//! Average directional index.

use super::atr::{WilderMean, true_range, true_ranges, wilder_mean};
use super::{Bar, Indicator, Memory, Recursion, at_least};
use crate::domains::market::rolling;
use crate::table::{Bars, NULL, SymbolBars};
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

    fn memory(&self) -> Memory {
        Memory::recursion(Directions::new(self.period))
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
        let directedness: Vec<f64> =
            plus.iter().zip(&minus).map(|(plus, minus)| directedness(*plus, *minus)).collect();
        [wilder_mean(&directedness, self.period), plus, minus]
            .into_iter()
            .map(|column| rolling::padded(bars.len(), column))
            .collect()
    }
}

/// Upward and downward movement of every bar but the first.
fn directional_movements(bars: &SymbolBars) -> (Vec<f64>, Vec<f64>) {
    let (high, low) = (bars.high(), bars.low());
    (1..bars.len()).map(|t| movement([high[t - 1], high[t]], [low[t - 1], low[t]])).unzip()
}

/// The larger of the rise of the high and the fall of the low counts, if it is positive; the other is 0.
fn movement(high: [f64; 2], low: [f64; 2]) -> (f64, f64) {
    let (rise, fall) = (high[1] - high[0], low[0] - low[1]);
    if fall > 0.0 && rise < fall {
        (0.0, fall)
    } else if rise > 0.0 && rise > fall {
        (rise, 0.0)
    } else {
        (0.0, 0.0)
    }
}

/// Wilder's decaying sum of every value from `period - 1` on; see [`WilderSum`]. Empty where there are fewer values, or
/// for a period of 0.
fn wilder_sums(values: &[f64], period: usize) -> Vec<f64> {
    let mut sum = WilderSum::new(period);
    values.iter().filter_map(|value| sum.next(*value)).collect()
}

/// Wilder's decaying sum, value by value: the plain sum of the first `period - 1` values, then
/// `sum += value - sum / period`.
#[derive(Clone, Debug)]
struct WilderSum {
    period: usize,
    seen: usize,
    sum: f64,
}

impl WilderSum {
    fn new(period: usize) -> WilderSum {
        WilderSum { period, seen: 0, sum: -0.0 }
    }

    fn next(&mut self, value: f64) -> Option<f64> {
        if self.seen + 1 < self.period {
            self.seen += 1;
            self.sum += value;
            return None;
        }
        self.sum += value - self.sum / self.period as f64;
        (self.period > 0).then_some(self.sum)
    }
}

/// The three columns as they grow.
struct Directions {
    /// The bar before.
    before: Option<Bar>,
    rises: WilderSum,
    falls: WilderSum,
    ranges: WilderSum,
    directedness: WilderMean,
}

impl Directions {
    fn new(period: usize) -> Directions {
        let sum = WilderSum::new(period);
        let [rises, falls, ranges] = [sum.clone(), sum.clone(), sum];
        Directions { before: None, rises, falls, ranges, directedness: WilderMean::new(period) }
    }
}

impl Recursion for Directions {
    fn next(&mut self, bar: &Bar) -> Vec<f64> {
        let Some(before) = self.before.replace(bar.clone()) else { return vec![NULL; 3] };
        let (rise, fall) = movement([before.high, bar.high], [before.low, bar.low]);
        let range = self.ranges.next(true_range(bar.high, bar.low, before.close));
        let (rises, falls) = (self.rises.next(rise), self.falls.next(fall));
        let (Some(range), Some(rises), Some(falls)) = (range, rises, falls) else { return vec![NULL; 3] };
        let (plus, minus) = (percent(rises, range), percent(falls, range));
        let index = self.directedness.next(directedness(plus, minus));
        vec![index.unwrap_or(NULL), plus, minus]
    }
}

/// How far one direction outweighs the other.
fn directedness(plus: f64, minus: f64) -> f64 {
    percent((plus - minus).abs(), plus + minus)
}

/// 100 * part / whole; 0 where there is no whole.
fn percent(part: f64, whole: f64) -> f64 {
    if whole == 0.0 { 0.0 } else { 100.0 * part / whole }
}
