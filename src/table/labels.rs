//! What a model shall forecast, and when each value becomes known.

use crate::units::Time;
use serde::{Deserialize, Serialize};

/// What a label's number means; decides how a strategy reads a forecast of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LabelKind {
    /// A return as a plain ratio; 0 is neutral and basis points apply.
    Return,
    /// A change in the unit of the series; 0 is neutral. Learned and judged in units of the symbol's own deviation.
    Change,
    /// A return divided by the volatility known at the decision; 0 is neutral.
    Scaled,
    /// A level of the series itself; it has no neutral value, so no strategy can trade on it.
    Value,
    /// 0 or 1; a forecast is a probability and 0.5 is neutral.
    Class,
    /// 0 or 1, whether something rare happens that nobody wants; a forecast is a probability, to be read as a risk beside a
    /// threshold that validation chose.
    Event,
    /// -1, 0 or 1 (triple barrier); 0 is neutral.
    Direction,
}

impl LabelKind {
    /// Whether a label is 0 or 1 and a forecast of it a probability.
    pub fn is_probability(self) -> bool {
        matches!(self, LabelKind::Class | LabelKind::Event)
    }
}

/// Labels row for row beside the bars, one column a horizon. A row's labels carry the time at which the last of them is
/// known; a split purges by it.
#[derive(Clone, Debug)]
pub struct Labels {
    kind: LabelKind,
    horizons: Vec<u32>,
    /// `[symbol][horizon][row]`, null where the future is not there.
    values: Vec<Vec<Vec<f64>>>,
    /// `[symbol][row]`: when the last horizon's value is known, `None` where a value is null.
    known_at: Vec<Vec<Option<Time>>>,
}

impl Labels {
    /// Takes values `[symbol][horizon][row]` and for each row the time at which all of them are known.
    ///
    /// # Errors
    /// Lengths that do not fit, or a value without a time at which it is known.
    pub fn new(
        kind: LabelKind,
        horizons: Vec<u32>,
        values: Vec<Vec<Vec<f64>>>,
        mut known_at: Vec<Vec<Option<Time>>>,
    ) -> Result<Labels, String> {
        if values.len() != known_at.len() {
            return Err(format!("labels of {} symbols but times of {}", values.len(), known_at.len()));
        }
        for (symbol, columns) in values.iter().enumerate() {
            if columns.len() != horizons.len()
                || columns.iter().any(|column| column.len() != known_at[symbol].len())
            {
                return Err(format!("labels of symbol {symbol} do not fit its rows and horizons"));
            }
            for (row, known) in known_at[symbol].iter_mut().enumerate() {
                if columns.iter().any(|column| column[row].is_nan()) {
                    *known = None;
                } else if known.is_none() {
                    return Err(format!(
                        "the label of symbol {symbol}, row {row} does not say when it is known"
                    ));
                }
            }
        }
        Ok(Labels { kind, horizons, values, known_at })
    }

    /// What the numbers mean.
    pub fn kind(&self) -> LabelKind {
        self.kind
    }

    /// Horizons in bars, in the order of the columns.
    pub fn horizons(&self) -> &[u32] {
        &self.horizons
    }

    /// One horizon of one symbol, a value a bar.
    pub fn column(&self, symbol: usize, horizon: usize) -> &[f64] {
        &self.values[symbol][horizon]
    }

    /// When all labels of a row are known; `None` where one of them never is.
    pub fn known_at(&self, symbol: usize, row: usize) -> Option<Time> {
        self.known_at[symbol][row]
    }
}
