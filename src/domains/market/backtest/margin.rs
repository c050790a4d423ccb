//! Margin: how much a book may borrow, and when it is liquidated.
//!
//! A book with a leverage of 1 has no margin account and is looked at only at closes, as the batch of many books does.
//! For a short that is a kindness: equity at the high of a bar may be negative, and a real broker would have closed the
//! position there, while the book lives on if the close is below. With a leverage just above 1 it is liquidated within
//! the bar.

use super::ledger::Ledger;
use crate::kernels::exit_rules::ExitReason;
use crate::table::FillReason;
use crate::units::BASIS_POINT;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// The margin account of a book. With a leverage of 1 nothing is borrowed and nothing is liquidated within a bar.
///
/// A book whose largest leverage is above 1 is liquidated when its equity is at most `maintenance_percent` of its gross
/// exposure: at the open of a bar where the open is that bad, else within the bar at the very prices at which equity falls
/// to that share. With one position of `q` units and cash `c` (negative where it is borrowed) that is the price
/// `-c / (q (1 - m))` for a long and `c / (|q| (1 + m))` for a short, `m` being the share. With several positions nobody
/// knows which low came when: all prices are taken to go together, in a straight line, from their opens to the worst of
/// the bar (lows of longs, highs of shorts; no further than a stop that the bar touches), and all positions are closed at
/// the point of that line where the margin is used up. A stop that is nearer than that point is hence filled first, and
/// a target only after it, unless the best case is to come first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Margin {
    /// Largest gross exposure over equity when a position is opened or grows, 1 to 100; the initial margin is its
    /// inverse. Above 1 the book borrows, and what `all_in` and `fraction` stake is multiplied by it. Default 1.
    #[schemars(range(min = 1.0, max = 100.0))]
    pub max_leverage: f64,
    /// Equity over gross exposure, in per cent, at which everything is closed: 0 or more, and less than the initial
    /// margin. Default 0.5.
    #[schemars(range(min = 0.0, max = 100.0))]
    pub maintenance_percent: f64,
    /// What a liquidation costs beyond the ordinary costs of a market order, in basis points of the notional; never more
    /// than the equity that is left. Default 0.
    #[schemars(range(min = 0.0, max = 10000.0))]
    pub liquidation_fee_bps: f64,
}

impl Default for Margin {
    fn default() -> Self {
        Margin { max_leverage: 1.0, maintenance_percent: 0.5, liquidation_fee_bps: 0.0 }
    }
}

impl fmt::Display for Margin {
    /// In a line; nothing where nothing is borrowed.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.max_leverage <= 1.0 {
            return Ok(());
        }
        write!(
            f,
            "leverage at most {}, liquidated at a margin of {} %, liquidation fee {} bps",
            self.max_leverage, self.maintenance_percent, self.liquidation_fee_bps
        )
    }
}

impl Margin {
    /// Checks every number, `leverage` being the largest that the book may take.
    ///
    /// # Errors
    /// Says which setting is out of its range.
    pub(super) fn check(&self, leverage: f64) -> Result<(), String> {
        if !(self.max_leverage >= 1.0 && self.max_leverage <= 100.0) {
            return Err(format!("margin: max_leverage is {}, expected 1 to 100", self.max_leverage));
        }
        let initial = 100.0 / leverage;
        if !(self.maintenance_percent >= 0.0 && self.maintenance_percent < initial) {
            return Err(format!(
                "margin: maintenance_percent is {}, expected 0 or more and below {initial}, the initial margin at a \
                 leverage of {leverage}",
                self.maintenance_percent
            ));
        }
        if !(self.liquidation_fee_bps >= 0.0 && self.liquidation_fee_bps <= 10_000.0) {
            return Err(format!(
                "margin: liquidation_fee_bps is {}, expected 0 to 10000",
                self.liquidation_fee_bps
            ));
        }
        Ok(())
    }
}

/// The margin account as ratios.
#[derive(Clone, Copy, Debug)]
pub(super) struct MarginParameters {
    maintenance: f64,
    fee_rate: f64,
}

impl MarginParameters {
    pub(super) fn of(margin: &Margin) -> MarginParameters {
        MarginParameters {
            maintenance: margin.maintenance_percent / 100.0,
            fee_rate: margin.liquidation_fee_bps * BASIS_POINT,
        }
    }
}

impl Ledger<'_> {
    /// Closes everything at the marks if they use the margin up.
    pub(super) fn liquidate_below_margin(&mut self, step: usize) {
        let Some(margin) = self.margin else { return };
        let gross = self.gross();
        if gross > 0.0 && self.equity() <= margin.maintenance * gross {
            self.liquidate(step);
        }
    }

    /// Closes everything where the way from the marks (the opens) to the worst prices of the bar uses the margin up.
    pub(super) fn liquidate_within_bar(&mut self, step: usize) {
        let Some(margin) = self.margin else { return };
        let (mut worth, mut gross) = (self.cash, 0.0);
        for holding in &self.holdings {
            let value = holding.quantity * holding.worst();
            worth += value;
            gross += value.abs();
        }
        let worst = worth - margin.maintenance * gross;
        if gross == 0.0 || worst > 0.0 {
            return;
        }
        let now = self.equity() - margin.maintenance * self.gross();
        let share = now / (now - worst);
        for holding in self.holdings.iter_mut().filter(|holding| holding.quantity != 0.0) {
            holding.mark += share * (holding.worst() - holding.mark);
            holding.exit = None;
        }
        self.liquidate(step);
    }

    /// Closes everything at the marks, sales first.
    pub(super) fn liquidate(&mut self, step: usize) {
        for sells in [true, false] {
            for index in 0..self.holdings.len() {
                let holding = &self.holdings[index];
                if holding.quantity == 0.0 || (holding.quantity > 0.0) != sells {
                    continue;
                }
                let (quantity, mark) = (holding.quantity, holding.mark);
                self.fill(index, step, -quantity, mark, FillReason::Liquidation);
                self.charge_liquidation(quantity.abs() * mark);
            }
        }
    }

    /// Adds the fee of a liquidation to the last fill.
    fn charge_liquidation(&mut self, notional: f64) {
        let rate = self.margin.map_or(0.0, |margin| margin.fee_rate);
        let fee = (rate * notional).min(self.equity().max(0.0));
        self.cash -= fee;
        if let Some(fill) = self.fills.last_mut() {
            fill.fee += fee;
        }
    }
}

impl super::holding::Holding<'_> {
    /// The worst price for the position until the end of the bar, as far as it is kept.
    fn worst(&self) -> f64 {
        if !self.present || self.quantity == 0.0 {
            return self.mark;
        }
        match self.exit {
            Some(exit) if exit.reason != ExitReason::Target => exit.reference,
            _ if self.quantity > 0.0 => self.low[self.row],
            _ => self.high[self.row],
        }
    }
}
