//! Cost: a fee by tiers of trailing volume.

use super::{Cost, CostConfig, CostRates, not_negative};
use crate::units::{BASIS_POINT, Time};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt;

/// The window of trailing volume.
const THIRTY_DAYS: i64 = 30 * 86_400 * 1_000_000_000;

/// Each fill pays `fee_bps x 0.0001 x quantity x fill price` of the last tier whose `from_volume` the book has reached: the
/// notional that it traded in the 30 days before the bar of the fill. A book begins in the first tier.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tiered {
    /// The tiers, from the lowest volume upwards; the first begins at 0.
    #[schemars(length(min = 1))]
    pub tiers: Vec<Tier>,
}

/// One tier.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Tier {
    /// Traded notional of 30 days from which the tier holds, in quote currency.
    #[schemars(range(min = 0.0))]
    pub from_volume: f64,
    /// Fee in basis points of the notional.
    #[schemars(range(min = 0.0, max = 10000.0))]
    pub fee_bps: f64,
}

impl Default for Tiered {
    fn default() -> Self {
        let tier = |(from_volume, fee_bps)| Tier { from_volume, fee_bps };
        Tiered { tiers: [(0.0, 25.0), (100_000.0, 20.0), (1_000_000.0, 10.0)].map(tier).to_vec() }
    }
}

impl fmt::Display for Tiered {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "fee by the notional of 30 days, each way:")?;
        for (index, tier) in self.tiers.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma} {} bps from {}", tier.fee_bps, tier.from_volume)?;
        }
        Ok(())
    }
}

impl Cost for Tiered {
    fn check(&self) -> Result<(), String> {
        let Some(first) = self.tiers.first() else {
            return Err("costs: tiered.tiers is empty, expected a list of {from_volume, fee_bps}".into());
        };
        if first.from_volume != 0.0 {
            return Err(format!(
                "costs: the first of tiered.tiers begins at from_volume {}, expected 0",
                first.from_volume
            ));
        }
        for tier in &self.tiers {
            not_negative("tiered.tiers.from_volume", tier.from_volume, "")?;
            not_negative("tiered.tiers.fee_bps", tier.fee_bps, " basis points")?;
            if tier.fee_bps >= 10_000.0 {
                return Err(format!(
                    "costs: tiered.tiers.fee_bps is {}, expected less than 10000",
                    tier.fee_bps
                ));
            }
        }
        match self.tiers.windows(2).find(|pair| pair[1].from_volume <= pair[0].from_volume) {
            Some(pair) => Err(format!(
                "costs: in tiered.tiers from_volume {} follows {}, expected rising volumes",
                pair[1].from_volume, pair[0].from_volume
            )),
            None => Ok(()),
        }
    }

    fn lower(&self, rates: &mut CostRates) {
        let tiers = self.tiers.iter().map(|tier| (tier.from_volume, tier.fee_bps * BASIS_POINT));
        rates.tiers.push(tiers.collect());
        rates.beyond_linear.push("tiered");
    }

    fn scaled(&self, multiple: f64) -> CostConfig {
        let tier = |tier: &Tier| Tier { fee_bps: tier.fee_bps * multiple, ..*tier };
        CostConfig::Tiered(Tiered { tiers: self.tiers.iter().map(tier).collect() })
    }

    fn doubt(&self) -> Option<String> {
        let first = self.tiers.first()?.fee_bps;
        let cheapest = self.tiers.iter().all(|tier| tier.fee_bps >= first);
        cheapest.then(|| {
            format!("tiered fees begin with their lowest, {first} bps: a new account pays the highest")
        })
    }
}

/// The notional that a book traded in the last 30 days.
#[derive(Clone, Debug, Default)]
pub(super) struct TrailingNotional {
    /// Moments of fills with what was traded, before the current moment.
    window: VecDeque<(Time, f64)>,
    sum: f64,
    /// The current moment, whose fills do not count yet.
    now: Time,
    pending: f64,
}

impl TrailingNotional {
    /// Moves to a bar: what was traded before it counts, what is 30 days old or older no longer.
    pub(super) fn advance(&mut self, time: Time) {
        if time != self.now && self.pending > 0.0 {
            self.window.push_back((self.now, self.pending));
            self.sum += self.pending;
            self.pending = 0.0;
        }
        self.now = time;
        while let Some((at, notional)) = self.window.front()
            && time.0.saturating_sub(at.0) >= THIRTY_DAYS
        {
            self.sum -= notional;
            self.window.pop_front();
        }
        // Subtractions leave rounding errors, which must not outlive the fills they come from.
        if self.window.is_empty() {
            self.sum = 0.0;
        }
    }

    /// Counts a fill of the current bar.
    pub(super) fn add(&mut self, notional: f64) {
        self.pending += notional;
    }

    /// The fee rate in force.
    pub(super) fn fee_rate(&self, tiers: &[Vec<(f64, f64)>]) -> f64 {
        let in_force = |tiers: &Vec<(f64, f64)>| {
            tiers.iter().rev().find(|(from, _)| *from <= self.sum).map_or(0.0, |(_, rate)| *rate)
        };
        tiers.iter().map(in_force).sum()
    }
}
