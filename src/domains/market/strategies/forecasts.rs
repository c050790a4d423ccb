//! The forecasts that a strategy trades on, beside the bars.

use super::World;
use crate::table::{LabelKind, SymbolBars};

/// One horizon of one model.
pub(super) struct Traded {
    /// What the numbers mean.
    pub(super) kind: LabelKind,
    /// Bars ahead.
    pub(super) horizon: usize,
    /// `[symbol][row]`, null where no forecast was made.
    pub(super) columns: Vec<Vec<f64>>,
    /// `[symbol][row]`: the risk from which on validation saw an alarm, null where it chose none.
    pub(super) alarm_at: Vec<Vec<f64>>,
}

/// The forecasts of `model` for the horizon `horizon_bars`, or its first.
pub(super) fn traded(world: &World, model: &str, horizon_bars: Option<u32>) -> Result<Traded, String> {
    let predictions = world.predictions.model(model).ok_or_else(|| {
        format!("model: there are no forecasts of `{model}`; write a name from the section models")
    })?;
    let column = match horizon_bars {
        None if predictions.horizons.is_empty() => {
            return Err(format!("the model `{model}` forecasts no horizon"));
        }
        None => 0,
        Some(wanted) => {
            predictions.horizons.iter().position(|horizon| *horizon == wanted).ok_or_else(|| {
                let made = &predictions.horizons;
                format!("horizon_bars is {wanted}, but `{model}` forecasts {made:?}; write one of them")
            })?
        }
    };
    let rows: Vec<usize> = world.bars.symbols().iter().map(SymbolBars::len).collect();
    Ok(Traded {
        kind: predictions.kind,
        horizon: predictions.horizons[column] as usize,
        columns: predictions.beside(column, &rows),
        alarm_at: predictions.alarm_beside(column, &rows),
    })
}

/// Refuses targets without a direction.
pub(super) fn fits_direction(kind: LabelKind) -> Result<(), String> {
    match kind {
        LabelKind::Value => {
            Err("the target is a level, which says nothing of a rise or a fall; use a target that is a \
                                 return or a change"
                .into())
        }
        LabelKind::Event => {
            Err("the target is a risk, not a rise or a fall; use the strategy `circuit_breaker`".into())
        }
        _ => Ok(()),
    }
}

/// The forecast that says nothing: an even chance for classes, otherwise no move.
pub(super) fn neutral(kind: LabelKind) -> f64 {
    match kind {
        LabelKind::Class | LabelKind::Event => 0.5,
        LabelKind::Return
        | LabelKind::Change
        | LabelKind::Value
        | LabelKind::Scaled
        | LabelKind::Direction => 0.0,
    }
}
