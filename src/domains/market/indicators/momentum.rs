//! Momentum: close(t) / close(t - period) - 1.

use super::simple_return::simple_returns;
use super::{Indicator, Memory, at_least};
use crate::table::Bars;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Rate of change of the close over one period, as a plain ratio: TA-Lib's ROCP (its ROC is 100 times as much, its MOM
/// the difference in quote currency). The same number as `simple_return`, under the name that momentum rules use.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Momentum {
    /// Bars to look back, at least 1.
    #[schemars(range(min = 1))]
    pub period: usize,
}

impl Default for Momentum {
    fn default() -> Self {
        Momentum { period: 10 }
    }
}

impl Indicator for Momentum {
    fn names(&self) -> Vec<String> {
        vec![format!("momentum_{}", self.period)]
    }

    fn warm_up(&self) -> usize {
        self.period
    }

    fn check(&self) -> Result<(), String> {
        at_least(1, "period", self.period)
    }

    fn compute(&self, bars: &Bars) -> Vec<Vec<Vec<f64>>> {
        bars.symbols().iter().map(|symbol| vec![simple_returns(symbol.close(), self.period)]).collect()
    }

    fn memory(&self) -> Memory {
        Memory::rows(self.period + 1)
    }
}
