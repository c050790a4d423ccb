//! How much a target of 1 buys.

use crate::kernels::backtest_step::{Order, order_for_quantity};
use crate::kernels::fill_costs::{FillCosts, order_for_value};
use crate::table::NULL;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How a target becomes a quantity. A target is a share, -1 to 1, of the symbol's slot; a book over A symbols gives each
/// slot 1/A of the book's equity at the moment of the fill. A position is resized only when the strategy orders.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Sizing {
    /// The whole slot. From flat a purchase spends all of it, costs included: `cash / (price x (1 + fee))`.
    AllIn {},
    /// A fixed quantity of every symbol, whatever the equity.
    Fixed {
        /// Units of the asset at a target of 1. Default 1.
        #[serde(default = "one")]
        #[schemars(range(min = 0.0))]
        quantity: f64,
    },
    /// A part of the slot.
    Fraction {
        /// Share of the slot's equity at a target of 1, above 0 and at most 1. Default 0.5.
        #[serde(default = "half")]
        #[schemars(range(min = 0.0, max = 1.0))]
        of_equity: f64,
    },
    /// The slot times wanted volatility over measured volatility. The measured one is the sample standard deviation of
    /// the log returns of the last `lookback_bars` bars that were closed at the decision, annualised. An order waits
    /// until there are so many bars.
    VolatilityTarget {
        /// Wanted volatility a year as a ratio: 0.2 is 20 per cent. Default 0.2.
        #[serde(default = "fifth")]
        #[schemars(range(min = 0.0))]
        annual: f64,
        /// Returns from which volatility is measured, at least 2. Default 100.
        #[serde(default = "hundred")]
        #[schemars(range(min = 2))]
        lookback_bars: usize,
        /// Largest gross exposure over equity. Above 1 the book borrows cash, without interest. Default 1.
        #[serde(default = "one")]
        #[schemars(range(min = 0.0, max = 100.0))]
        max_leverage: f64,
    },
}

fn one() -> f64 {
    1.0
}

fn half() -> f64 {
    0.5
}

fn fifth() -> f64 {
    0.2
}

fn hundred() -> usize {
    100
}

impl Default for Sizing {
    fn default() -> Self {
        Sizing::AllIn {}
    }
}

impl fmt::Display for Sizing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Sizing::AllIn {} => write!(f, "all in"),
            Sizing::Fixed { quantity } => write!(f, "{quantity} units"),
            Sizing::Fraction { of_equity } => write!(f, "{} % of equity", of_equity * 100.0),
            Sizing::VolatilityTarget { annual, lookback_bars, max_leverage } => write!(
                f,
                "volatility of {} % a year by the last {lookback_bars} bars, leverage at most {max_leverage}",
                annual * 100.0
            ),
        }
    }
}

/// What a symbol looks like when its order is sized.
pub(super) struct Slot<'a> {
    /// Equity of the slot, not negative.
    pub(super) equity: f64,
    /// Units held.
    pub(super) held: f64,
    /// Price of the bar at the moment of the fill.
    pub(super) reference: f64,
    /// Closes that were known at the decision.
    pub(super) closes: &'a [f64],
    /// Bars a year.
    pub(super) periods_per_year: f64,
}

impl Sizing {
    /// Checks every number.
    ///
    /// # Errors
    /// Says which setting is out of its range.
    pub fn check(&self) -> Result<(), String> {
        let positive = |name: &str, value: f64, most: f64| {
            if value.is_finite() && value > 0.0 && value <= most {
                return Ok(());
            }
            let limit = if most < f64::MAX { format!(" and at most {most}") } else { String::new() };
            Err(format!("sizing: {name} is {value}, expected above 0{limit}"))
        };
        match self {
            Sizing::AllIn {} => Ok(()),
            Sizing::Fixed { quantity } => positive("fixed.quantity", *quantity, f64::MAX),
            Sizing::Fraction { of_equity } => positive("fraction.of_equity", *of_equity, 1.0),
            Sizing::VolatilityTarget { annual, lookback_bars, max_leverage } => {
                positive("volatility_target.annual", *annual, f64::MAX)?;
                positive("volatility_target.max_leverage", *max_leverage, 100.0)?;
                if *lookback_bars < 2 {
                    return Err(format!(
                        "sizing: volatility_target.lookback_bars is {lookback_bars}, expected 2 or more"
                    ));
                }
                Ok(())
            }
        }
    }

    /// Largest gross exposure over equity.
    pub(super) fn leverage(&self) -> f64 {
        match self {
            Sizing::VolatilityTarget { max_leverage, .. } => *max_leverage,
            _ => 1.0,
        }
    }

    /// The order that takes the slot to `target`; `None` while the volatility is not known.
    pub(super) fn order(&self, target: f64, slot: &Slot, costs: &FillCosts) -> Option<Order> {
        if target == 0.0 {
            return Some(order_for_quantity(slot.held, 0.0));
        }
        let share = match self {
            Sizing::AllIn {} => 1.0,
            Sizing::Fixed { quantity } => return Some(order_for_quantity(slot.held, target * quantity)),
            Sizing::Fraction { of_equity } => *of_equity,
            Sizing::VolatilityTarget { annual, lookback_bars, max_leverage } => {
                let volatility = volatility(slot.closes, *lookback_bars) * slot.periods_per_year.sqrt();
                // A price that stood still says nothing about how far it will move.
                if volatility.is_nan() || volatility == 0.0 {
                    return None;
                }
                (annual / volatility).min(*max_leverage)
            }
        };
        Some(order_for_value(slot.held, target * share * slot.equity, slot.reference, costs))
    }
}

/// Sample standard deviation of the last `count` log returns; null where there are fewer.
fn volatility(closes: &[f64], count: usize) -> f64 {
    if closes.len() <= count {
        return NULL;
    }
    let known = &closes[closes.len() - count - 1..];
    let returns: Vec<f64> = known.windows(2).map(|pair| (pair[1] / pair[0]).ln()).collect();
    let mean = returns.iter().sum::<f64>() / count as f64;
    let squares: f64 = returns.iter().map(|value| (value - mean) * (value - mean)).sum();
    (squares / (count as f64 - 1.0)).sqrt()
}
