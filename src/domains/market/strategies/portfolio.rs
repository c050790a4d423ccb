//! A portfolio of fixed weights, restored from time to time.

use super::schedule::Rebalance;
use super::weights::{Allocation, orders};
use super::{Strategy, World};
use crate::table::{Bars, Positions};
use indexmap::IndexMap;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Holds fixed shares of the book and restores them at each rebalance; without weights every symbol that has been listed
/// so far has an equal one.
///
/// With a turnover limit a rebalance that would trade more goes only a part of the way, the same part for each symbol.
/// How far prices have moved the weights since the last one is reckoned from closes, costs aside.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Portfolio {
    /// Share of the book by the symbol's name, -1 to 1; negative ones are short. What they leave of 1 is cash, and more
    /// than 1 in sum of absolute values needs leverage. Default: equal shares.
    pub weights: IndexMap<String, f64>,
    /// When the weights are restored. Default every 24 bars.
    pub rebalance: Rebalance,
    /// Largest sum of absolute changes of weights at one rebalance, above 0; to swap one symbol for another takes twice
    /// its weight. The first purchase is limited, too. Default: none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub turnover_limit: Option<f64>,
}

impl Default for Portfolio {
    fn default() -> Self {
        Portfolio { weights: IndexMap::new(), rebalance: Rebalance::Bars(24), turnover_limit: None }
    }
}

impl Strategy for Portfolio {
    fn check(&self) -> Result<(), String> {
        self.rebalance.check()?;
        let outside = |weight: &f64| !(-1.0..=1.0).contains(weight);
        if let Some((symbol, weight)) = self.weights.iter().find(|(_, weight)| outside(weight)) {
            return Err(format!("the weight of {symbol} is {weight}, expected -1 to 1"));
        }
        match self.turnover_limit {
            Some(limit) if !(limit.is_finite() && limit > 0.0) => {
                Err(format!("turnover_limit is {limit}, expected a number above 0"))
            }
            _ => Ok(()),
        }
    }

    fn fits_symbols(&self, names: &[&str]) -> Result<(), String> {
        match self.weights.keys().find(|name| !names.contains(&name.as_str())) {
            Some(unknown) => {
                Err(format!("weights: there is no symbol {unknown}; the symbols are {}", names.join(", ")))
            }
            None => Ok(()),
        }
    }

    fn decide(&self, world: &World) -> Result<Positions, String> {
        self.check()?;
        let bars = world.bars;
        let names = bars.names();
        self.fits_symbols(&names)?;
        let steps = self.rebalance.due_steps(bars);
        let mut held = Held { weights: vec![0.0; names.len()], closes: vec![f64::NAN; names.len()] };
        let allocations = steps.into_iter().map(|step| {
            let wanted = self.wanted(bars, step);
            let weights = match self.turnover_limit {
                None => wanted,
                Some(limit) => held.toward(&wanted, limit, bars, step),
            };
            Allocation { step, weights }
        });
        orders(bars, &allocations.collect::<Vec<_>>())
    }
}

impl Portfolio {
    /// The weights without a limit. Symbols that are not listed yet wait in cash.
    fn wanted(&self, bars: &Bars, step: usize) -> Vec<f64> {
        let listed = |symbol: usize| bars.timeline().steps(symbol)[0] as usize <= step;
        let count = (0..bars.symbols().len()).filter(|symbol| listed(*symbol)).count() as f64;
        let weight = |(symbol, name): (usize, &str)| match self.weights.get(name) {
            _ if !listed(symbol) => 0.0,
            Some(weight) => *weight,
            None if self.weights.is_empty() => 1.0 / count,
            None => 0.0,
        };
        bars.names().into_iter().enumerate().map(weight).collect()
    }
}

/// The weights of the last rebalance and the closes at which they held.
struct Held {
    weights: Vec<f64>,
    closes: Vec<f64>,
}

impl Held {
    /// The weights at the close of `step`, moved toward `wanted` as far as the limit lets them.
    fn toward(&mut self, wanted: &[f64], limit: f64, bars: &Bars, step: usize) -> Vec<f64> {
        self.drift(bars, step);
        let turnover: f64 =
            wanted.iter().zip(&self.weights).map(|(wanted, held)| (wanted - held).abs()).sum();
        let part = if turnover > limit { limit / turnover } else { 1.0 };
        for (held, wanted) in self.weights.iter_mut().zip(wanted) {
            *held = if part == 1.0 { *wanted } else { (*held + part * (wanted - *held)).clamp(-1.0, 1.0) };
        }
        self.weights.clone()
    }

    /// Lets the weights follow the last closes known at `step`.
    fn drift(&mut self, bars: &Bars, step: usize) {
        let mut equity = 1.0 - self.weights.iter().sum::<f64>();
        for (symbol, (weight, last)) in self.weights.iter_mut().zip(&mut self.closes).enumerate() {
            let known = bars.timeline().steps(symbol).partition_point(|other| *other as usize <= step);
            let close = if known > 0 { bars.symbols()[symbol].close()[known - 1] } else { f64::NAN };
            if *weight != 0.0 && !last.is_nan() {
                *weight *= close / *last;
            }
            *last = close;
            equity += *weight;
        }
        // A book that has lost everything has no weights to restore.
        if equity > 0.0 {
            self.weights.iter_mut().for_each(|weight| *weight /= equity);
        }
    }
}
