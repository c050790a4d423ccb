//! Trades on the out-of-sample forecasts of a model.

use super::forecasts::{Traded, fits_direction, neutral, traded};
use super::{Direction, Strategy, World};
use crate::table::{LabelKind, Positions};
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
    /// probability of 0.5 for classes (0.1 buys above 0.6) and 0 otherwise. Default 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub threshold: Option<f64>,
    /// With `exit: flat` and a target that is a return: the forecast that keeps a position, in basis points, at most
    /// `threshold_bps`. Between the two nothing is traded. Default: `threshold_bps`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub exit_threshold_bps: Option<f64>,
    /// The same for all other targets, in units of the target, at most `threshold`. Default: `threshold`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub exit_threshold: Option<f64>,
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
            exit_threshold_bps: None,
            exit_threshold: None,
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
        fits_direction(kind)?;
        let (suffix, enter) = match kind {
            LabelKind::Return => {
                for (name, value) in [("threshold", self.threshold), ("exit_threshold", self.exit_threshold)]
                {
                    if value.is_some() {
                        return Err(format!(
                            "{name} does not fit a target that is a return; write {name}_bps"
                        ));
                    }
                }
                ("_bps", self.threshold_bps)
            }
            _ => {
                let values = [("threshold", self.threshold_bps), ("exit_threshold", self.exit_threshold_bps)];
                for (name, value) in values {
                    if value.is_some() {
                        return Err(format!(
                            "{name}_bps fits only a target that is a return; write {name}, the distance from \
                             neutral in units of the target"
                        ));
                    }
                }
                ("", self.threshold)
            }
        };
        let enter = enter.unwrap_or(0.0);
        if !(enter.is_finite() && enter >= 0.0) {
            return Err(format!("threshold{suffix} is {enter}, expected 0 or more"));
        }
        Ok(())
    }

    fn check(&self) -> Result<(), String> {
        if self.hold_bars == Some(0) {
            return Err("hold_bars is 0, expected 1 or more".into());
        }
        let pairs = [
            ("", self.threshold, self.exit_threshold),
            ("_bps", self.threshold_bps, self.exit_threshold_bps),
        ];
        for (suffix, enter, leave) in pairs {
            let (enter, Some(leave)) = (enter.unwrap_or(0.0), leave) else { continue };
            if !(0.0..=enter).contains(&leave) {
                return Err(format!(
                    "exit_threshold{suffix} is {leave}, expected 0 to {enter}, the threshold of the entry"
                ));
            }
            if self.exit == Exit::Opposite {
                return Err(format!(
                    "exit_threshold{suffix} needs `exit: flat`; with `opposite` only an entry on the other side \
                     ends a position"
                ));
            }
        }
        Ok(())
    }

    fn decide(&self, world: &World) -> Result<Positions, String> {
        self.check()?;
        let forecasts = traded(world, &self.model, self.horizon_bars)?;
        self.fits(forecasts.kind)?;
        let levels = forecasts.columns.iter().map(|column| self.follow(column, &forecasts));
        Positions::levels(world.bars, levels.collect())
    }
}

impl ModelSignal {
    /// 1, -1 or 0 for a forecast, `None` for a null. On the side of the position that is held the threshold is that of
    /// the exit.
    fn opinion(&self, kind: LabelKind, forecast: f64, held: f64) -> Option<f64> {
        if forecast.is_nan() {
            return None;
        }
        let (enter, leave) = self.thresholds(kind);
        let distance = forecast - neutral(kind);
        let threshold = if distance * held > 0.0 { leave } else { enter };
        Some(if distance.abs() > threshold { distance.signum() } else { 0.0 })
    }

    /// The distances from neutral that open and that keep a position, in units of the target.
    fn thresholds(&self, kind: LabelKind) -> (f64, f64) {
        let (enter, leave, unit) = match kind {
            LabelKind::Return => (self.threshold_bps, self.exit_threshold_bps, BASIS_POINT),
            _ => (self.threshold, self.exit_threshold, 1.0),
        };
        let enter = enter.unwrap_or(0.0);
        (enter * unit, leave.unwrap_or(enter) * unit)
    }

    /// The level after each row.
    fn follow(&self, column: &[f64], forecasts: &Traded) -> Vec<f64> {
        let (mut level, mut age, mut held) = (0.0, 0, 0);
        let mut levels = Vec::with_capacity(column.len());
        for forecast in column {
            let opinion = self.opinion(forecasts.kind, *forecast, level);
            age = if opinion.is_some() { 0 } else { age + 1 };
            held += 1;
            let kept = level != 0.0 && self.hold_bars.is_some_and(|bars| held < bars);
            let expired = level != 0.0 && self.hold_bars.is_some_and(|bars| held >= bars);
            let next = match opinion {
                _ if kept => level,
                None if expired || age >= forecasts.horizon => 0.0,
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
