//! Portfolios of the best, and if wanted against the worst, symbols by a score.

use super::schedule::Rebalance;
use super::weights::{Allocation, orders};
use super::{Direction, at_least};
use crate::table::{Bars, NULL, Positions};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How a leg is spread over its symbols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Weighting {
    /// Each symbol the same.
    Equal,
    /// The k-th of n symbols in proportion to n + 1 - k: the best has the most.
    ByRank,
}

/// How symbols are chosen and weighted.
///
/// Ranked are the symbols with a score that is still good at the close of the rebalance's step, whether they have a bar at
/// that step or not: markets have different hours. A score is good if the symbol's last bar is younger than the rebalance
/// period; equal scores rank in the order of the symbols. All others get no weight. A symbol without a bar at that step is
/// ordered at the close of its next one, since an order at an earlier bar would know what other symbols did after it.
/// Where fewer symbols are ranked than wanted, the places of the rest stay cash, and no symbol is in both legs.
pub(super) struct CrossSection {
    /// Symbols in a leg, at least 1.
    pub(super) top: usize,
    /// Long the best only, or also short the worst.
    pub(super) direction: Direction,
    /// Within a leg.
    pub(super) weighting: Weighting,
    /// Sum of the absolute weights, all places taken.
    pub(super) gross: f64,
    /// When it is chosen anew.
    pub(super) rebalance: Rebalance,
}

impl CrossSection {
    pub(super) fn check(&self) -> Result<(), String> {
        at_least(1, "top", self.top)?;
        self.rebalance.check()?;
        let largest = self.place(0);
        if !(self.gross.is_finite() && self.gross > 0.0 && largest <= 1.0) {
            return Err(format!(
                "gross is {}, expected above 0 and so small that no weight is above 1; the largest would be {largest}",
                self.gross
            ));
        }
        Ok(())
    }

    /// Whether every place can be taken: places that no symbol ever takes would leave the book in cash without a word.
    pub(super) fn fits_symbols(&self, names: &[&str]) -> Result<(), String> {
        let legs = if self.direction == Direction::LongShort { 2 } else { 1 };
        if self.top * legs <= names.len() {
            return Ok(());
        }
        let sides = if legs == 2 { ", long and short," } else { "" };
        Err(format!(
            "top is {}, but the data has {} symbols; write at most {}{sides} or add symbols",
            self.top,
            names.len(),
            names.len() / legs
        ))
    }

    /// Weight of the k-th place of a leg, from 0.
    fn place(&self, rank: usize) -> f64 {
        let leg = match self.direction {
            Direction::LongOnly => self.gross,
            Direction::LongShort => self.gross / 2.0,
        };
        let top = self.top as f64;
        match self.weighting {
            Weighting::Equal => leg / top,
            Weighting::ByRank => leg * (top - rank as f64) / (top * (top + 1.0) / 2.0),
        }
    }

    /// The weights for the scores of one moment, null for what cannot be ranked.
    fn weights(&self, scores: &[f64]) -> Vec<f64> {
        let mut ranked: Vec<usize> = (0..scores.len()).filter(|symbol| !scores[*symbol].is_nan()).collect();
        // Stable, so that equal scores keep the order of the symbols.
        ranked.sort_by(|left, right| scores[*right].total_cmp(&scores[*left]));
        let mut weights = vec![0.0; scores.len()];
        let places = match self.direction {
            Direction::LongOnly => self.top.min(ranked.len()),
            Direction::LongShort => self.top.min(ranked.len() / 2),
        };
        for (rank, symbol) in ranked.iter().take(places).enumerate() {
            weights[*symbol] = self.place(rank);
        }
        if self.direction == Direction::LongShort {
            for (rank, symbol) in ranked.iter().rev().take(places).enumerate() {
                weights[*symbol] = -self.place(rank);
            }
        }
        weights
    }

    /// The book on scores `[symbol][row]`, null where there is none. A score lives for `life_bars` of the symbol's bars, the
    /// one that made it included, and also keeps a symbol ranked whose last bar is that many steps old.
    pub(super) fn decide(
        &self,
        bars: &Bars,
        scores: &[Vec<f64>],
        life_bars: usize,
    ) -> Result<Positions, String> {
        let times = bars.timeline().times();
        let at = |step: usize| {
            let score = |(symbol, scores): (usize, &Vec<f64>)| {
                let steps = bars.timeline().steps(symbol);
                let known = steps.partition_point(|other| *other as usize <= step);
                let Some(last) = known.checked_sub(1).map(|row| steps[row] as usize) else { return NULL };
                if !(self.rebalance.within_period(times, last, step) || step - last < life_bars) {
                    return NULL;
                }
                let living = &scores[known.saturating_sub(life_bars)..known];
                living.iter().rev().copied().find(|score| !score.is_nan()).unwrap_or(NULL)
            };
            scores.iter().enumerate().map(score).collect::<Vec<f64>>()
        };
        let allocation = |step| Allocation { step, weights: self.weights(&at(step)) };
        let allocations: Vec<Allocation> =
            self.rebalance.due_steps(bars).into_iter().map(allocation).collect();
        orders(bars, &allocations)
    }
}
