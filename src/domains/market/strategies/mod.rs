//! Strategies: from bars and forecasts to wanted positions. One file each; see `registry.rs` for how one joins.
//! A baseline is an ordinary strategy; nothing here knows which one is the user's favourite.

use crate::seed::Seed;
use crate::table::{Bars, LabelKind, Positions, Predictions};
use std::ops::Range;

pub mod buy_and_hold;

/// All that a strategy may look at. What it decides for row t may use nothing after the close of t.
pub struct World<'a> {
    /// The bars, from before the books start, so that indicators are warm.
    pub bars: &'a Bars,
    /// Out-of-sample forecasts.
    pub predictions: &'a Predictions,
    /// Steps of the timeline on which the books run.
    pub span: Range<usize>,
    /// For strategies that draw lots, derived from the experiment's seed and the strategy's name.
    pub seed: Seed,
    /// The positions of the book that [`Strategy::matches`] asked for.
    pub reference: Option<&'a Positions>,
}

/// The settings and behaviour of one strategy.
pub trait Strategy: Send + Sync {
    /// The positions of its book; many for a strategy that is a distribution of books.
    ///
    /// # Errors
    /// Settings that make no sense for these bars or forecasts.
    fn decide(&self, world: &World) -> Result<Vec<Positions>, String>;

    /// The model whose forecasts it trades on, by the user's name, and the horizon in bars (`None`: the first).
    fn model(&self) -> Option<(&str, Option<u32>)> {
        None
    }

    /// Whether its settings fit forecasts of this kind.
    ///
    /// # Errors
    /// Says which setting does not fit and which to write instead.
    fn fits(&self, _kind: LabelKind) -> Result<(), String> {
        Ok(())
    }

    /// Whether it wants to match the turnover of another book. `Some(None)`: of the book that validation chose;
    /// `Some(Some(name))`: of the strategy of that name.
    fn matches(&self) -> Option<Option<&str>> {
        None
    }
}

crate::registry! {
    /// A strategy by name.
    StrategyConfig => dyn Strategy;
    /// Buys every symbol at the first bar and keeps it.
    buy_and_hold: BuyAndHold,
}
