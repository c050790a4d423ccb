//! Trades on the out-of-sample forecasts of a model.

use super::{Direction, Strategy, World};
use crate::table::{LabelKind, ModelPredictions, Positions};
use crate::units::BASIS_POINT;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Long while a model forecasts a rise above the threshold, flat or short while it forecasts a fall below it.
///
/// A forecast between the thresholds is no opinion. With `exit: opposite` the position is kept until the model says the
/// opposite, which trades less; with `exit: flat` it is closed. A bar without a forecast keeps the position as long as
/// the last forecast is younger than its own horizon; then the forecast has nothing more to say and the position is
/// closed, as after the last bar of the last fold.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModelSignal {
    /// The model's name in the section `models`.
    pub model: String,
    /// Which horizon of the target is traded, in bars. Default: the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub horizon_bars: Option<u32>,
    /// For targets that are returns: the forecast that is worth a trade, in basis points. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub threshold_bps: Option<f64>,
    /// For all other targets: the distance from neutral that is worth a trade, in units of the target. Neutral is a
    /// probability of 0.5 for classes and 0 otherwise. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub threshold: Option<f64>,
    /// Whether it may go short. Default `long_only`.
    #[serde(default)]
    pub direction: Direction,
    /// Bars for which an entry is kept, whatever the model says meanwhile; then the model is asked anew. Default: until
    /// `exit` says otherwise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1))]
    pub hold_bars: Option<usize>,
    /// What ends a position, without `hold_bars`. Default `opposite`.
    #[serde(default)]
    pub exit: Exit,
}

/// What ends a position on a forecast.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Exit {
    /// A forecast beyond the threshold on the other side.
    #[default]
    Opposite,
    /// A forecast that is no longer beyond the threshold.
    Flat,
}

impl Default for ModelSignal {
    fn default() -> Self {
        ModelSignal {
            model: "model".into(),
            horizon_bars: None,
            threshold_bps: None,
            threshold: None,
            direction: Direction::default(),
            hold_bars: None,
            exit: Exit::default(),
        }
    }
}

impl Strategy for ModelSignal {
    fn model(&self) -> Option<(&str, Option<u32>)> {
        Some((&self.model, self.horizon_bars))
    }

    fn fits(&self, kind: LabelKind) -> Result<(), String> {
        let (name, value) = match kind {
            LabelKind::Return => {
                if self.threshold.is_some() {
                    return Err(
                        "threshold does not fit a target that is a return; write threshold_bps".into()
                    );
                }
                ("threshold_bps", self.threshold_bps)
            }
            LabelKind::Scaled | LabelKind::Class | LabelKind::Direction => {
                if self.threshold_bps.is_some() {
                    return Err(
                        "threshold_bps fits only a target that is a return; write threshold, the distance \
                                from neutral in units of the target"
                            .into(),
                    );
                }
                ("threshold", self.threshold)
            }
        };
        match value {
            Some(value) if !(value.is_finite() && value >= 0.0) => {
                Err(format!("{name} is {value}, expected 0 or more"))
            }
            _ if self.hold_bars == Some(0) => Err("hold_bars is 0, expected 1 or more".into()),
            _ => Ok(()),
        }
    }

    fn decide(&self, world: &World) -> Result<Positions, String> {
        let predictions = world.predictions.model(&self.model).ok_or_else(|| {
            format!("model: there are no forecasts of `{}`; write a name from the section models", self.model)
        })?;
        self.fits(predictions.kind)?;
        let column = self.column(predictions)?;
        let horizon = predictions.horizons[column] as usize;
        let rows: Vec<usize> = world.bars.symbols().iter().map(crate::table::SymbolBars::len).collect();
        let levels = predictions.beside(column, &rows).into_iter().map(|forecasts| {
            let opinions = forecasts.iter().map(|forecast| self.opinion(predictions.kind, *forecast));
            self.follow(opinions, horizon)
        });
        Positions::levels(world.bars, levels.collect())
    }
}

impl ModelSignal {
    /// Which column of the forecasts is traded.
    fn column(&self, predictions: &ModelPredictions) -> Result<usize, String> {
        let Some(wanted) = self.horizon_bars else {
            let first = (!predictions.horizons.is_empty()).then_some(0);
            return first.ok_or_else(|| format!("the model `{}` forecasts no horizon", self.model));
        };
        predictions.horizons.iter().position(|horizon| *horizon == wanted).ok_or_else(|| {
            format!(
                "horizon_bars is {wanted}, but `{}` forecasts {:?}; write one of them",
                self.model, predictions.horizons
            )
        })
    }

    /// 1, -1 or 0 for a forecast, `None` for a null.
    fn opinion(&self, kind: LabelKind, forecast: f64) -> Option<f64> {
        if forecast.is_nan() {
            return None;
        }
        let (neutral, threshold) = match kind {
            LabelKind::Return => (0.0, self.threshold_bps.unwrap_or(0.0) * BASIS_POINT),
            LabelKind::Class => (0.5, self.threshold.unwrap_or(0.0)),
            LabelKind::Scaled | LabelKind::Direction => (0.0, self.threshold.unwrap_or(0.0)),
        };
        let distance = forecast - neutral;
        Some(if distance.abs() > threshold { distance.signum() } else { 0.0 })
    }

    /// The level after each row.
    fn follow(&self, opinions: impl Iterator<Item = Option<f64>>, horizon: usize) -> Vec<f64> {
        let (mut level, mut age, mut held) = (0.0, 0, 0);
        let mut levels = Vec::with_capacity(opinions.size_hint().0);
        for opinion in opinions {
            age = if opinion.is_some() { 0 } else { age + 1 };
            held += 1;
            let kept = level != 0.0 && self.hold_bars.is_some_and(|bars| held < bars);
            let expired = level != 0.0 && self.hold_bars.is_some_and(|bars| held >= bars);
            let next = match opinion {
                _ if kept => level,
                None if expired || age >= horizon => 0.0,
                Some(0.0) if expired || self.exit == Exit::Flat => 0.0,
                None | Some(0.0) => level,
                Some(side) => self.direction.level(side),
            };
            if next != level || expired {
                held = 0;
            }
            level = next;
            levels.push(level);
        }
        levels
    }
}
