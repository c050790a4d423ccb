//! Labels: what a model shall forecast. One file each; see `registry.rs` for how one joins.

use crate::table::{Bars, LabelKind, Labels};

pub mod forward_return;

/// A target computed from later bars than its row, with the time at which it becomes known.
pub trait Label: Send + Sync {
    /// What the numbers mean.
    fn kind(&self) -> LabelKind;

    /// Horizons in bars, one column each.
    fn horizons(&self) -> Vec<u32>;

    /// The labels of every row; null where the future is not there. Bars of a symbol are counted row by row.
    ///
    /// # Errors
    /// Settings that make no sense for these bars.
    fn compute(&self, bars: &Bars) -> Result<Labels, String>;
}

crate::registry! {
    /// A target by name.
    LabelConfig => dyn Label;
    /// Return of the close over one or several horizons.
    forward_return: ForwardReturn,
}
