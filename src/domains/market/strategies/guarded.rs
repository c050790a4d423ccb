//! Strategies that follow another one are told what it wants.

use super::buy_and_hold::BuyAndHold;
use super::{StrategyConfig, StrategyEntry, World};
use crate::seed::Seed;
use crate::table::{Bars, Positions};
use indexmap::IndexMap;

/// The model on which a strategy trades, itself or through the one that it guards, and the horizon in bars (`None`: the
/// first).
pub fn traded_model<'a>(
    all: &'a IndexMap<String, StrategyEntry>,
    config: &'a StrategyConfig,
) -> Option<(&'a str, Option<u32>)> {
    let guarded = || config.build().guards().and_then(|name| all.get(name));
    config.build().model().or_else(|| traded_model(all, &guarded()?.first().strategy))
}

/// What a strategy decides in `world`. One that guards another of `all`, which must not guard it in turn, is first given
/// that one's positions on the same bars and forecasts; `root` is the seed of the experiment, from which each strategy's
/// own is derived.
///
/// # Errors
/// As [`super::Strategy::decide`], or a guarded strategy that is not there.
pub fn decide_guarded(
    all: &IndexMap<String, StrategyEntry>,
    config: &StrategyConfig,
    world: &World,
    root: Seed,
) -> Result<Positions, String> {
    if config.build().guards().is_none() {
        return config.build().decide(world);
    }
    let positions = guarded_positions(all, config, world, root)?;
    let outer = World { reference: Some(&positions), span: world.span.clone(), ..*world };
    config.build().decide(&outer)
}

/// What the strategy that `config` guards wants in `world`; arguments and errors as those of [`decide_guarded`].
///
/// # Errors
/// See [`decide_guarded`].
pub fn guarded_positions(
    all: &IndexMap<String, StrategyEntry>,
    config: &StrategyConfig,
    world: &World,
    root: Seed,
) -> Result<Positions, String> {
    let Some(name) = config.build().guards() else { return unnamed_guarded(world.bars) };
    let entry = all
        .get(name)
        .ok_or_else(|| format!("guards: there is no strategy `{name}`; write the name of one"))?;
    let inner =
        World { seed: root.child(name, 0), reference: None, book: 0, span: world.span.clone(), ..*world };
    decide_guarded(all, &entry.first().strategy, &inner, root)
}

/// What is guarded where no strategy is named: every symbol, bought and held.
pub(super) fn unnamed_guarded(bars: &Bars) -> Result<Positions, String> {
    BuyAndHold::positions(bars)
}
