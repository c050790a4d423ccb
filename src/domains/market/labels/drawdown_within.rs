//! Drawdown within: whether the close falls by a share of itself within a horizon.

use super::horizons::{self, Horizons};
use super::{Label, by_horizon, check_fall, check_horizons};
use crate::table::{Bars, LabelKind, Labels, NULL};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// 1 where one of the next `horizon` closes lies by `fall_percent` or more below the row's close, else 0: will there be a
/// crash within so many bars? Several horizons tell when: the chance of `1..30` is the distribution of the time to the
/// crash. Known when the horizon is over, also where the fall came earlier: else the rows at the end of a training part
/// would be kept or dropped by what they hold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DrawdownWithin {
    /// Horizons in bars, each at least 1: one, a list, or a range such as `1..30`.
    #[serde(with = "horizons")]
    #[schemars(with = "Horizons")]
    pub horizons_bars: Vec<u32>,
    /// The fall in per cent of the row's close, above 0 and below 100.
    #[schemars(extend("exclusiveMinimum" = 0.0, "exclusiveMaximum" = 100.0))]
    pub fall_percent: f64,
}

impl Default for DrawdownWithin {
    fn default() -> Self {
        DrawdownWithin { horizons_bars: vec![30], fall_percent: 5.0 }
    }
}

impl Label for DrawdownWithin {
    fn kind(&self) -> LabelKind {
        LabelKind::Event
    }

    fn horizons(&self) -> Vec<u32> {
        self.horizons_bars.clone()
    }

    fn check(&self) -> Result<(), String> {
        check_horizons(&self.horizons_bars)?;
        check_fall(self.fall_percent)
    }

    fn bars_to_event(&self, bars: &Bars) -> Vec<Vec<f64>> {
        let (kept, longest) = (1.0 - self.fall_percent / 100.0, self.horizons_bars.iter().max());
        let longest = longest.map_or(0, |longest| *longest as usize);
        let of_symbol = |close: &[f64]| {
            let fallen = |row: usize| {
                let mut later = close[row + 1..].iter().take(longest);
                later.position(|later| *later <= close[row] * kept).map_or(NULL, |bars| (bars + 1) as f64)
            };
            (0..close.len()).map(fallen).collect()
        };
        bars.symbols().iter().map(|symbol| of_symbol(symbol.close())).collect()
    }

    fn compute(&self, bars: &Bars) -> Result<Labels, String> {
        let kept = 1.0 - self.fall_percent / 100.0;
        by_horizon(self, bars, |symbol, row, later| {
            let close = bars.symbols()[symbol].close();
            let limit = close[row] * kept;
            f64::from(u8::from(close[row + 1..=later].iter().any(|close| *close <= limit)))
        })
    }
}
