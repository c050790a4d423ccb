//! Bollinger bands.

use super::{Indicator, Memory, at_least, check_columns, price_level, ratio, stem};
use crate::domains::market::rolling;
use crate::table::Bars;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bands around the mean of the last closes at a number of their (population) standard deviations (TA-Lib: BBANDS), in
/// five columns: `upper`, `middle`, `lower`; `percent_b`, where the close stands between the bands (0 lower, 1 upper),
/// null where all closes of the window are equal; `bandwidth`, (upper - lower) / middle.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Bollinger {
    /// Bars of the window, at least 2.
    #[schemars(range(min = 2))]
    pub period: usize,
    /// Distance of each band from the middle in standard deviations, above 0.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub width: f64,
    /// `false`: bands in quote currency. `true`: their distance from the row's close as a share of that close, so that
    /// symbols of different price can be pooled. `percent_b` and `bandwidth` are the same in both.
    pub relative: bool,
    /// Which of the columns are features, in this order. `bandwidth` has no meaning for a series whose mean may be 0 or
    /// below it, and a row without it is no row to learn from.
    #[schemars(length(min = 1))]
    pub columns: Vec<BollingerColumn>,
}

/// A column of [`Bollinger`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BollingerColumn {
    /// The upper band.
    Upper,
    /// The mean of the closes.
    Middle,
    /// The lower band.
    Lower,
    /// Where the close stands between the bands.
    PercentB,
    /// Distance of the bands over the middle.
    Bandwidth,
}

impl BollingerColumn {
    /// All of them, in the order in which they are computed.
    pub const ALL: [BollingerColumn; 5] = [
        BollingerColumn::Upper,
        BollingerColumn::Middle,
        BollingerColumn::Lower,
        BollingerColumn::PercentB,
        BollingerColumn::Bandwidth,
    ];

    fn name(self) -> &'static str {
        match self {
            BollingerColumn::Upper => "upper",
            BollingerColumn::Middle => "middle",
            BollingerColumn::Lower => "lower",
            BollingerColumn::PercentB => "percent_b",
            BollingerColumn::Bandwidth => "bandwidth",
        }
    }
}

impl Default for Bollinger {
    fn default() -> Self {
        Bollinger { period: 20, width: 2.0, relative: false, columns: BollingerColumn::ALL.to_vec() }
    }
}

impl Indicator for Bollinger {
    fn names(&self) -> Vec<String> {
        let stem = stem(format!("bollinger_{}_{}", self.period, self.width), self.relative);
        self.columns.iter().map(|column| format!("{stem}_{}", column.name())).collect()
    }

    fn warm_up(&self) -> usize {
        self.period.saturating_sub(1)
    }

    fn check(&self) -> Result<(), String> {
        at_least(2, "period", self.period)?;
        if !(self.width.is_finite() && self.width > 0.0) {
            return Err(format!("`width` is {}; write a number of standard deviations above 0", self.width));
        }
        check_columns(&self.columns, BollingerColumn::name)
    }

    fn compute(&self, bars: &Bars) -> Vec<Vec<Vec<f64>>> {
        let of = |close: &[f64]| {
            let all = self.all_columns(close);
            self.columns.iter().map(|column| all[*column as usize].clone()).collect()
        };
        bars.symbols().iter().map(|symbol| of(symbol.close())).collect()
    }

    fn memory(&self) -> Memory {
        Memory::rows(self.period).in_blocks_of(self.period)
    }
}

impl Bollinger {
    /// Every column, in the order of [`BollingerColumn::ALL`].
    fn all_columns(&self, close: &[f64]) -> Vec<Vec<f64>> {
        let windows = rolling::moments(close, self.period);
        let closes = &close[close.len() - windows.len()..];
        let mut columns = vec![Vec::new(); 5];
        for (moments, close) in windows.iter().zip(closes) {
            let middle = moments.mean();
            let reach = self.width * moments.population_deviation();
            let percent_b = ratio(close - middle, 2.0 * reach) + 0.5;
            let row = [middle + reach, middle, middle - reach, percent_b, 2.0 * reach / middle];
            for (column, value) in columns.iter_mut().zip(row) {
                column.push(value);
            }
        }
        let mut columns: Vec<_> =
            columns.into_iter().map(|column| rolling::padded(close.len(), column)).collect();
        for band in columns.iter_mut().take(3) {
            *band = price_level(std::mem::take(band), close, self.relative);
        }
        columns
    }
}
