//! Positions in proportion to the forecasts of a model.

use super::forecasts::{fits_direction, neutral, traded};
use super::{Direction, Strategy, World};
use crate::table::{LabelKind, Positions};
use crate::units::BASIS_POINT;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Holds a share that is the forecast's distance from neutral over a scale, cut at 1: the surer the model, the larger the
/// position.
///
/// The position moves only when the wanted share is further than `band` from the held one, so that small changes of mind
/// cost nothing; a wanted share of nothing or of the other side always moves it. A bar without a forecast keeps the position as long as the last forecast is younger than its own
/// horizon; then it is closed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelConfidence {
    /// The model's name in the section `models`.
    pub model: String,
    /// Which horizon of the target is traded, in bars. Default: the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub horizon_bars: Option<u32>,
    /// For targets that are returns: the forecast that is worth the whole position, in basis points. Default 20.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub scale_bps: Option<f64>,
    /// For all other targets: the distance from neutral that is worth the whole position, in units of the target.
    /// Neutral is a probability of 0.5 for classes and 0 otherwise. Default 0.5 for classes, otherwise 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub scale: Option<f64>,
    /// Changes of the share up to this are not traded unless they end or turn the position, 0 to 1. Default 0.1.
    #[serde(default = "tenth")]
    #[schemars(range(min = 0.0, max = 1.0))]
    pub band: f64,
    /// Whether it may go short. Default `long_only`.
    #[serde(default)]
    pub direction: Direction,
}

fn tenth() -> f64 {
    0.1
}

impl Default for ModelConfidence {
    fn default() -> Self {
        ModelConfidence {
            model: "model".into(),
            horizon_bars: None,
            scale_bps: None,
            scale: None,
            band: tenth(),
            direction: Direction::default(),
        }
    }
}

impl Strategy for ModelConfidence {
    fn model(&self) -> Option<(&str, Option<u32>)> {
        Some((&self.model, self.horizon_bars))
    }

    fn check(&self) -> Result<(), String> {
        if !(0.0..=1.0).contains(&self.band) {
            return Err(format!("band is {}, expected 0 to 1", self.band));
        }
        Ok(())
    }

    fn fits(&self, kind: LabelKind) -> Result<(), String> {
        fits_direction(kind)?;
        self.scale(kind).map(|_| ())
    }

    fn decide(&self, world: &World) -> Result<Positions, String> {
        self.check()?;
        let forecasts = traded(world, &self.model, self.horizon_bars)?;
        let scale = self.scale(forecasts.kind)?;
        let share = |forecast: f64| {
            let confidence = (forecast - neutral(forecasts.kind)) / scale;
            self.direction.level(confidence.clamp(-1.0, 1.0))
        };
        let levels = forecasts.columns.iter().map(|column| {
            let (mut level, mut age) = (0.0_f64, 0);
            let follow = column.iter().map(|forecast| {
                age = if forecast.is_nan() { age + 1 } else { 0 };
                let wanted = share(*forecast);
                let ends = level != 0.0 && wanted * level <= 0.0;
                if ends || (wanted - level).abs() > self.band {
                    level = wanted;
                } else if age >= forecasts.horizon {
                    level = 0.0;
                }
                level
            });
            follow.collect()
        });
        Positions::levels(world.bars, levels.collect())
    }
}

impl ModelConfidence {
    /// The distance from neutral that is worth the whole position, in units of the target.
    fn scale(&self, kind: LabelKind) -> Result<f64, String> {
        let (name, value, unit) = match kind {
            LabelKind::Return if self.scale.is_some() => {
                return Err("scale does not fit a target that is a return; write scale_bps".into());
            }
            LabelKind::Return => ("scale_bps", self.scale_bps.unwrap_or(20.0), BASIS_POINT),
            _ if self.scale_bps.is_some() => {
                return Err("scale_bps fits only a target that is a return; write scale, the distance from \
                            neutral in units of the target"
                    .into());
            }
            LabelKind::Class => ("scale", self.scale.unwrap_or(0.5), 1.0),
            _ => ("scale", self.scale.unwrap_or(1.0), 1.0),
        };
        if value.is_finite() && value > 0.0 {
            return Ok(value * unit);
        }
        Err(format!("{name} is {value}, expected a number above 0"))
    }
}
