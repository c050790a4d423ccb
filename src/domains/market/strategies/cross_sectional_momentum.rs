//! Cross-sectional momentum: winners against losers (Jegadeesh, Titman: "Returns to buying winners and selling losers",
//! 1993).

use super::cross_section::{CrossSection, Weighting};
use super::schedule::Rebalance;
use super::time_series_momentum::{lookback_above_skip, past_return};
use super::{Direction, Strategy, World};
use crate::table::Positions;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// At each rebalance buys the `top` symbols with the highest past return, and with `long_short` sells the `top` with the
/// lowest.
///
/// Ranked are symbols with enough bars whose last bar is younger than the rebalance period (31 days for months), whether
/// they have a bar at that moment or not. All others get no weight, and what is held of them is sold. A symbol without a
/// bar at that moment is ordered at the close of its next one and filled after it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct CrossSectionalMomentum {
    /// The return is taken from the close so many of the symbol's bars ago, at least 1. Default 168, a week of hourly
    /// bars.
    #[schemars(range(min = 1))]
    pub lookback_bars: usize,
    /// To the close so many bars ago, less than `lookback_bars`. Default 0. Twelve months less the last are 252 and 21
    /// daily bars.
    pub skip_bars: usize,
    /// Symbols in a leg, at least 1. Default 1.
    #[schemars(range(min = 1))]
    pub top: usize,
    /// Long the best, or also short the worst. Default `long_only`.
    pub direction: Direction,
    /// How a leg is spread over its symbols. Default `equal`.
    pub weighting: Weighting,
    /// Sum of the absolute weights: 1 is the whole book, and with `long_short` half of it in each leg. More needs
    /// leverage. Default 1.
    #[schemars(range(min = 0.0))]
    pub gross: f64,
    /// When it is ranked anew. Default every 24 bars.
    pub rebalance: Rebalance,
}

impl Default for CrossSectionalMomentum {
    fn default() -> Self {
        CrossSectionalMomentum {
            lookback_bars: 168,
            skip_bars: 0,
            top: 1,
            direction: Direction::default(),
            weighting: Weighting::Equal,
            gross: 1.0,
            rebalance: Rebalance::Bars(24),
        }
    }
}

impl Strategy for CrossSectionalMomentum {
    fn check(&self) -> Result<(), String> {
        lookback_above_skip(self.lookback_bars, self.skip_bars)?;
        self.section().check()
    }

    fn fits_symbols(&self, names: &[&str]) -> Result<(), String> {
        self.section().fits_symbols(names)
    }

    fn decide(&self, world: &World) -> Result<Positions, String> {
        self.check()?;
        let score = |close: &[f64]| past_return(close, self.lookback_bars, self.skip_bars);
        let scores: Vec<Vec<f64>> = world.bars.symbols().iter().map(|symbol| score(symbol.close())).collect();
        // Each bar has a return of its own, so none outlives its bar.
        self.section().decide(world.bars, &scores, 1)
    }
}

impl CrossSectionalMomentum {
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
