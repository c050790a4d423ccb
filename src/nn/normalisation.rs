//! What a model subtracts from a window before it looks at it.

use candle_core::{Result, Tensor};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How each window is moved before a model sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Normalisation {
    /// As the scaler left it.
    #[default]
    None,
    /// Each feature relative to its value at the window's last bar: a level that moves away from that of the training part
    /// no longer matters. For targets that are changes (Zeng et al. 2023, `NLinear`).
    LastValue,
}

impl Normalisation {
    /// Windows `[B, T, F]` as the model shall see them.
    ///
    /// # Errors
    /// A tensor of another rank.
    pub fn apply(self, windows: &Tensor) -> Result<Tensor> {
        match self {
            Normalisation::None => Ok(windows.clone()),
            Normalisation::LastValue => {
                let (_, length, _) = windows.dims3()?;
                windows.broadcast_sub(&windows.narrow(1, length - 1, 1)?)?.contiguous()
            }
        }
    }
}
