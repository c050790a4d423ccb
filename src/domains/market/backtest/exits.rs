//! Exits: when a position is closed without an order of the strategy.

use super::config::FillTime;
use super::ledger::Ledger;
use crate::kernels::exit_rules::{Exit, ExitParameters, ExitReason};
use crate::table::FillReason;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Stops, targets and time limits of every position. The exact rule stands in [`crate::kernels::exit_rules`]. After an
/// exit the symbol is flat until the strategy's next order; a level that does not change is no order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Exits {
    /// Distance of the stop from the average entry price, slippage included, in per cent: above 0 and below 100.
    #[schemars(extend("exclusiveMinimum" = 0.0, "exclusiveMaximum" = 100.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stop_loss_percent: Option<f64>,
    /// Distance of the target from the average entry price in per cent, above 0.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub take_profit_percent: Option<f64>,
    /// Distance of the trailing stop from the best price since the entry in per cent: above 0 and below 100. Of two stops
    /// the tighter one counts.
    #[schemars(extend("exclusiveMinimum" = 0.0, "exclusiveMaximum" = 100.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trailing_stop_percent: Option<f64>,
    /// Bars after which a position is closed, at least 1: at the open of that bar, or with `same_close` at its close.
    #[schemars(range(min = 1))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bars: Option<u32>,
    /// Which of stop and target is taken where one bar touched both.
    pub intrabar: Intrabar,
}

/// What is assumed of the order of prices within a bar.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Intrabar {
    /// The stop came first.
    #[default]
    WorstFirst,
    /// The target came first. Optimistic.
    BestFirst,
}

impl fmt::Display for Exits {
    /// All of them in a line; nothing where there is none.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let percent = |what: &str, value: Option<f64>| value.map(|value| format!("{what} {value} %"));
        let parts: Vec<String> = [
            percent("stop loss", self.stop_loss_percent),
            percent("take profit", self.take_profit_percent),
            percent("trailing stop", self.trailing_stop_percent),
            self.max_bars.map(|bars| format!("at most {bars} bars")),
        ]
        .into_iter()
        .flatten()
        .collect();
        if self.intrabar == Intrabar::BestFirst && !parts.is_empty() {
            return write!(f, "{}, best case first within a bar", parts.join(", "));
        }
        write!(f, "{}", parts.join(", "))
    }
}

impl Exits {
    /// Checks every number.
    ///
    /// # Errors
    /// Says which setting is out of its range.
    pub fn check(&self) -> Result<(), String> {
        for (name, percent, most) in [
            ("stop_loss_percent", self.stop_loss_percent, 100.0),
            ("take_profit_percent", self.take_profit_percent, f64::INFINITY),
            ("trailing_stop_percent", self.trailing_stop_percent, 100.0),
        ] {
            let Some(percent) = percent else { continue };
            if !(percent > 0.0 && percent < most) {
                let limit = if most < f64::INFINITY { " and below 100" } else { "" };
                return Err(format!(
                    "exits: {name} is {percent}, expected above 0{limit}; leave it out for none"
                ));
            }
        }
        if self.max_bars == Some(0) {
            return Err("exits: max_bars is 0, expected 1 or more; leave it out for no limit".into());
        }
        Ok(())
    }

    /// Whether a position can lose no more than a known distance: there is a stop or a trailing stop.
    pub(super) fn has_stop(&self) -> bool {
        self.stop_loss_percent.is_some() || self.trailing_stop_percent.is_some()
    }

    /// The exits as the ratios of the bar's rule.
    pub fn lower(&self, fill: FillTime) -> ExitParameters {
        let ratio = |percent: Option<f64>| percent.map_or(f64::NAN, |percent| percent / 100.0);
        ExitParameters {
            stop_loss: ratio(self.stop_loss_percent),
            take_profit: ratio(self.take_profit_percent),
            trailing_stop: ratio(self.trailing_stop_percent),
            max_bars: self.max_bars.unwrap_or(0),
            worst_first: self.intrabar == Intrabar::WorstFirst,
            fills_at_open: fill == FillTime::NextOpen,
        }
    }
}

impl From<ExitReason> for FillReason {
    fn from(reason: ExitReason) -> FillReason {
        match reason {
            ExitReason::Stop => FillReason::Stop,
            ExitReason::Target => FillReason::Target,
            ExitReason::Trailing => FillReason::Trailing,
            ExitReason::Time => FillReason::Time,
        }
    }
}

/// A moment of a bar at which positions may be closed without an order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Moment {
    Open,
    Within,
    Close,
}

impl Ledger<'_> {
    /// What happens to open positions at the open of a bar and within it. Prices are marked at the open.
    pub(super) fn endure_bar(&mut self, step: usize) {
        self.find_exits(Moment::Open);
        self.close_found(step, |_| true);
        self.liquidate_below_margin(step);
        self.find_exits(Moment::Within);
        if self.margin.is_some() {
            // Whoever takes the best case first has the targets first; else the worst prices come before any target.
            if !self.exits.worst_first {
                self.close_found(step, |exit| exit.reason == ExitReason::Target);
            }
            self.liquidate_within_bar(step);
        }
        self.close_found(step, |_| true);
        for holding in self.holdings.iter_mut().filter(|holding| holding.present) {
            let (high, low) = (holding.high[holding.row], holding.low[holding.row]);
            holding.position = holding.position.survived(high, low);
        }
    }

    /// Closes what is due by time at a close.
    pub(super) fn time_out(&mut self, step: usize) {
        self.find_exits(Moment::Close);
        self.close_found(step, |_| true);
    }

    /// Notes for every position that is open whether something closes it at this moment.
    fn find_exits(&mut self, moment: Moment) {
        for holding in &mut self.holdings {
            holding.exit = None;
            if !holding.present || holding.quantity == 0.0 {
                continue;
            }
            let (row, position) = (holding.row, &holding.position);
            holding.exit = match moment {
                Moment::Open => self.exits.at_open(position, row as u32, holding.open[row], holding.traded),
                Moment::Within => {
                    self.exits.within_bar(position, holding.open[row], holding.high[row], holding.low[row])
                }
                Moment::Close => self.exits.at_close(position, row as u32, holding.close[row]),
            };
        }
    }

    /// Carries out the exits that were found and `wanted`, sales first.
    fn close_found(&mut self, step: usize, wanted: impl Fn(&Exit) -> bool) {
        for sells in [true, false] {
            for index in 0..self.holdings.len() {
                let holding = &mut self.holdings[index];
                if (holding.quantity > 0.0) != sells {
                    continue;
                }
                let Some(exit) = holding.exit.take_if(|exit| wanted(exit)) else { continue };
                let change = -holding.quantity;
                self.fill(index, step, change, exit.reference, exit.reason.into());
            }
        }
    }
}
