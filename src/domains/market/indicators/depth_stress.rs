//! Depth stress: how lopsided an order book is at this moment.

use super::{Indicator, Memory};
use crate::table::{Bars, NULL};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How much more the book offers than it bids for, from 0 to 1, as a function of the bid liquidity ratio of the same bar
/// (volume bid over volume offered near the mid price):
///
/// `0.7 clip(1 - ratio / 1.5, 0, 1) + 0.3 clip((1 / ratio - 1) / 2, 0, 1)`
///
/// A description of the present and no forecast: it has no horizon, its weights were set by hand, and its value is no
/// probability. `logistic` with this feature alone makes a calibrated risk of it. Null where the ratio is null or not above
/// 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DepthStress {
    /// The extra column with the bid liquidity ratio.
    pub blr: String,
}

impl Default for DepthStress {
    fn default() -> Self {
        DepthStress { blr: "blr".into() }
    }
}

impl Indicator for DepthStress {
    fn names(&self) -> Vec<String> {
        vec!["depth_stress".into()]
    }

    fn warm_up(&self) -> usize {
        0
    }

    fn check(&self) -> Result<(), String> {
        if self.blr.is_empty() {
            return Err("`blr` is empty; write the name of a column of `data.columns.extra`".into());
        }
        Ok(())
    }

    fn extra_column(&self) -> Option<&str> {
        Some(&self.blr)
    }

    fn compute(&self, bars: &Bars) -> Vec<Vec<Vec<f64>>> {
        let column = |ratios: Vec<f64>| ratios.into_iter().map(stress).collect();
        super::extra_columns(bars, &self.blr).map(|ratios| vec![column(ratios)]).collect()
    }

    fn memory(&self) -> Memory {
        Memory::rows(1)
    }
}

fn stress(ratio: f64) -> f64 {
    if ratio > 0.0 {
        0.7 * (1.0 - ratio / 1.5).clamp(0.0, 1.0) + 0.3 * ((ratio.recip() - 1.0) / 2.0).clamp(0.0, 1.0)
    } else {
        NULL
    }
}
