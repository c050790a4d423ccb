//! A portfolio of the symbols whose forecasts are best.

use super::cross_section::{CrossSection, Weighting};
use super::forecasts::{fits_direction, traded};
use super::schedule::Rebalance;
use super::{Direction, Strategy, World};
use crate::table::{LabelKind, Positions};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// At each rebalance buys the `top` symbols with the highest forecasts of a model, and with `long_short` sells the `top`
/// with the lowest.
///
/// Ranked are symbols whose last forecast is fewer of their own bars old than its horizon, whether they have a bar at that
/// moment or not, as long as their last bar is younger than the rebalance period (31 days for months) or, counted in
/// steps of the timeline, than the horizon. All others get no weight, and what is held of them is sold. A symbol without
/// a bar at that moment is ordered at the close of its next one and filled after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelRanking {
    /// The model's name in the section `models`.
    pub model: String,
    /// Which horizon of the target is ranked, in bars. Default: the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub horizon_bars: Option<u32>,
    /// Symbols in a leg, at least 1. Default 1.
    #[serde(default = "one")]
    #[schemars(range(min = 1))]
    pub top: usize,
    /// Long the best, or also short the worst. Default `long_only`.
    #[serde(default)]
    pub direction: Direction,
    /// How a leg is spread over its symbols. Default `equal`.
    #[serde(default = "equal")]
    pub weighting: Weighting,
    /// Sum of the absolute weights: 1 is the whole book, and with `long_short` half of it in each leg. More needs
    /// leverage. Default 1.
    #[serde(default = "whole")]
    #[schemars(range(min = 0.0))]
    pub gross: f64,
    /// When it is ranked anew. Default every 24 bars.
    #[serde(default = "daily")]
    pub rebalance: Rebalance,
}

fn one() -> usize {
    1
}

fn equal() -> Weighting {
    Weighting::Equal
}

fn whole() -> f64 {
    1.0
}

fn daily() -> Rebalance {
    Rebalance::Bars(24)
}

impl Default for ModelRanking {
    fn default() -> Self {
        ModelRanking {
            model: "model".into(),
            horizon_bars: None,
            top: one(),
            direction: Direction::default(),
            weighting: equal(),
            gross: whole(),
            rebalance: daily(),
        }
    }
}

impl Strategy for ModelRanking {
    fn check(&self) -> Result<(), String> {
        self.section().check()
    }

    fn model(&self) -> Option<(&str, Option<u32>)> {
        Some((&self.model, self.horizon_bars))
    }

    fn fits(&self, kind: LabelKind) -> Result<(), String> {
        fits_direction(kind)
    }

    fn fits_symbols(&self, names: &[&str]) -> Result<(), String> {
        self.section().fits_symbols(names)
    }

    fn decide(&self, world: &World) -> Result<Positions, String> {
        self.check()?;
        let forecasts = traded(world, &self.model, self.horizon_bars)?;
        self.section().decide(world.bars, &forecasts.columns, forecasts.horizon)
    }
}

impl ModelRanking {
    fn section(&self) -> CrossSection {
        CrossSection {
            top: self.top,
            direction: self.direction,
            weighting: self.weighting,
            gross: self.gross,
            rebalance: self.rebalance.clone(),
        }
    }
}
