//! Strategies that follow another one are told what it wants.

use super::{StrategyConfig, StrategyEntry, World};
use crate::seed::Seed;
use crate::table::Positions;
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
    let Some(name) = config.build().guards() else { return config.build().decide(world) };
    let entry = all
        .get(name)
        .ok_or_else(|| format!("guards: there is no strategy `{name}`; write the name of one"))?;
    let inner =
        World { seed: root.child(name, 0), reference: None, book: 0, span: world.span.clone(), ..*world };
    let positions = decide_guarded(all, &entry.first().strategy, &inner, root)?;
    let outer = World { reference: Some(&positions), span: world.span.clone(), ..*world };
    config.build().decide(&outer)
}
