//! Round trips and their figures.

use super::finite;
use super::returns::{gains_and_losses, moments};
use crate::table::{Fill, Side};
use std::collections::BTreeMap;

/// A position of one symbol from flat to flat.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RoundTrip {
    /// Index of the symbol.
    pub symbol: u32,
    /// Step of the first fill.
    pub entry_step: u32,
    /// Step of the fill that closed it.
    pub exit_step: u32,
    /// What was earned after fees, gas, spread, slippage and impact, in quote currency. Funding and borrowing are the book's.
    pub profit: f64,
    /// Fees and gas, in quote currency.
    pub fees: f64,
    /// What its fills lost against the bar's price by spread, slippage and impact, in quote currency.
    pub slippage: f64,
    /// Notional of all fills that took the position away from zero, in quote currency.
    pub entry_notional: f64,
}

/// A position that is not yet closed.
struct Open {
    quantity: f64,
    trip: RoundTrip,
}

/// The closed round trips, in the order in which they were closed. Profit is what sales brought less what purchases and
/// fees cost, which equals the sum over average-cost closings. A fill that crosses zero closes one trip and opens
/// another; its fee and the other parts of its cost are shared by quantity. What is open at the end is not a round trip.
pub fn round_trips(fills: &[Fill]) -> Vec<RoundTrip> {
    let mut open: BTreeMap<u32, Open> = BTreeMap::new();
    let mut closed = Vec::new();
    for fill in fills {
        let change = if fill.side == Side::Buy { fill.quantity } else { -fill.quantity };
        let start = || Open {
            quantity: 0.0,
            trip: RoundTrip {
                symbol: fill.symbol,
                entry_step: fill.step,
                exit_step: fill.step,
                profit: 0.0,
                fees: 0.0,
                slippage: 0.0,
                entry_notional: 0.0,
            },
        };
        let held = open.entry(fill.symbol).or_insert_with(start);
        let after = held.quantity + change;
        if held.quantity * after < 0.0 {
            book(held, fill, -held.quantity);
            closed.push(held.trip);
            *held = start();
            book(held, fill, after);
            continue;
        }
        book(held, fill, change);
        held.quantity = after;
        if after == 0.0 {
            closed.push(held.trip);
            open.remove(&fill.symbol);
        }
    }
    closed
}

/// Adds a part of a fill to a trip.
fn book(held: &mut Open, fill: &Fill, change: f64) {
    let notional = change * fill.price;
    if held.quantity * change >= 0.0 {
        held.trip.entry_notional += notional.abs();
    }
    let share = change.abs() / fill.quantity;
    let fees = (fill.fee + fill.gas) * share;
    held.trip.profit -= notional + fees;
    held.trip.fees += fees;
    held.trip.slippage += (fill.spread + fill.slippage + fill.impact) * share;
    held.trip.exit_step = fill.step;
    held.quantity += change;
}

/// Profit factor: sum of profits over sum of losses; `None` without a loss.
pub fn profit_factor(profits: &[f64]) -> Option<f64> {
    let (gains, losses) = gains_and_losses(profits);
    finite(gains / losses)
}

/// Payoff ratio: mean win over mean loss; `None` without a win or without a loss.
pub fn payoff(profits: &[f64]) -> Option<f64> {
    let (gains, losses) = gains_and_losses(profits);
    let wins = profits.iter().filter(|profit| **profit > 0.0).count() as f64;
    let lost = profits.iter().filter(|profit| **profit < 0.0).count() as f64;
    finite((gains / wins) / (losses / lost))
}

/// Kelly's fraction of two outcomes: `W - (1 - W) / payoff`, W being the share of wins among all that are not zero
/// (Kelly 1956).
pub fn kelly(profits: &[f64]) -> Option<f64> {
    let wins = profits.iter().filter(|profit| **profit > 0.0).count() as f64;
    let lost = profits.iter().filter(|profit| **profit < 0.0).count() as f64;
    let rate = wins / (wins + lost);
    finite(rate - (1.0 - rate) / payoff(profits)?)
}

/// Mean.
pub fn expectancy(profits: &[f64]) -> Option<f64> {
    finite(profits.iter().sum::<f64>() / profits.len() as f64)
}

/// System quality number: `sqrt(n) x mean / sample deviation`, n not capped (Tharp).
pub fn system_quality(profits: &[f64]) -> Option<f64> {
    let (mean, deviation) = moments(profits)?;
    finite((profits.len() as f64).sqrt() * mean / deviation)
}

/// The most values in a row for which `counts` holds.
pub fn longest_streak(profits: &[f64], counts: impl Fn(f64) -> bool) -> usize {
    let (mut longest, mut current) = (0, 0);
    for profit in profits {
        current = if counts(*profit) { current + 1 } else { 0 };
        longest = longest.max(current);
    }
    longest
}
