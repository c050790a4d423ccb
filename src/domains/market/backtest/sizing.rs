//! How much a target of 1 buys.

use crate::domains::market::indicators::rolling_volatility::volatility;
use crate::domains::market::rolling;
use crate::kernels::backtest_step::{Order, order_for_quantity};
use crate::kernels::exit_rules::{ExitParameters, OpenPosition};
use crate::kernels::fill_costs::{FillCosts, order_for_value};
use crate::table::NULL;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::fmt;

/// How a target becomes a quantity. A target is a share, -1 to 1, of the symbol's slot; a book over A symbols gives each
/// slot 1/A of the book's equity at the moment of the fill. For portfolio weights the slot is the whole book, and the
/// margin's leverage does not multiply them. A position is resized only when the strategy orders.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Sizing {
    /// The whole slot. From flat a purchase spends all of it, costs included: `cash / (price x (1 + fee))`. With a
    /// margin account the slot times `margin.max_leverage`.
    AllIn {},
    /// A fixed quantity of every symbol, whatever the equity.
    Fixed {
        /// Units of the asset at a target of 1. Default 1.
        #[serde(default = "one")]
        #[schemars(range(min = 0.0))]
        quantity: f64,
    },
    /// A part of the slot, with a margin account times `margin.max_leverage`.
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
        /// Largest gross exposure over equity. Above 1 the book borrows cash, without interest, and may be liquidated as
        /// `margin` says. Default 1.
        #[serde(default = "one")]
        #[schemars(range(min = 0.0, max = 100.0))]
        max_leverage: f64,
    },
    /// The quantity that loses a given share of the slot's equity from the entry price to the stop, before fees, the
    /// slippage of the exit and what grows with the size of the order: `quantity = equity x risk / |entry - stop|`. At most what the leverage allows. Needs a stop
    /// loss or a trailing stop among the exits.
    RiskPerTrade {
        /// Share of the slot's equity that a target of 1 loses at the stop, in per cent: above 0 and at most 100.
        /// Default 1.
        #[serde(default = "one")]
        #[schemars(range(min = 0.0, max = 100.0))]
        risk_percent: f64,
    },
    /// A part of the stake that would have made the strategy's capital grow fastest: `fraction x mean / variance` of the
    /// strategy's own one-bar returns (Kelly 1956; for small returns Thorp 2006, section 7), no less than 0 and no more
    /// than the largest leverage. A return is the sign of the target that was in force times the simple return of the close, before
    /// costs and exits; counted are the last `lookback_bars` bars that were closed at the decision and in which the
    /// strategy wanted a position, whether the book held one or not. An order waits until there are so many: the strategy
    /// is watched before it is staked on. The variance is that of a sample.
    FractionalKelly {
        /// Share of the Kelly stake, above 0 and at most 1. Default 0.5.
        #[serde(default = "half")]
        #[schemars(range(min = 0.0, max = 1.0))]
        fraction: f64,
        /// Returns from which mean and variance are measured, at least 2. Default 500.
        #[serde(default = "five_hundred")]
        #[schemars(range(min = 2))]
        lookback_bars: usize,
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

fn five_hundred() -> usize {
    500
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
            Sizing::RiskPerTrade { risk_percent } => write!(f, "{risk_percent} % of equity lost at the stop"),
            Sizing::FractionalKelly { fraction, lookback_bars } => {
                write!(f, "{fraction} of the Kelly stake by the last {lookback_bars} bars in position")
            }
        }
    }
}

/// What a symbol looks like when its order is sized.
pub(super) struct Slot<'a> {
    /// Equity of the slot, not negative.
    pub(super) equity: f64,
    /// By which a fixed share of the slot is multiplied.
    pub(super) multiple: f64,
    /// Largest gross exposure over equity.
    pub(super) leverage: f64,
    /// Units held.
    pub(super) held: f64,
    /// Price of the bar at the moment of the fill.
    pub(super) reference: f64,
    /// Closes that were known at the decision.
    pub(super) closes: &'a [f64],
    /// Orders that were decided until then, row by row beside the closes.
    pub(super) targets: &'a [f64],
    /// Bars a year.
    pub(super) periods_per_year: f64,
    /// Where the position's stops would be.
    pub(super) exits: &'a ExitParameters,
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
        let enough = |name: &str, bars: usize| match bars {
            0 | 1 => Err(format!("sizing: {name}.lookback_bars is {bars}, expected 2 or more")),
            _ => Ok(()),
        };
        match self {
            Sizing::AllIn {} => Ok(()),
            Sizing::Fixed { quantity } => positive("fixed.quantity", *quantity, f64::MAX),
            Sizing::Fraction { of_equity } => positive("fraction.of_equity", *of_equity, 1.0),
            Sizing::VolatilityTarget { annual, lookback_bars, max_leverage } => {
                positive("volatility_target.annual", *annual, f64::MAX)?;
                positive("volatility_target.max_leverage", *max_leverage, 100.0)?;
                enough("volatility_target", *lookback_bars)
            }
            Sizing::RiskPerTrade { risk_percent } => {
                positive("risk_per_trade.risk_percent", *risk_percent, 100.0)
            }
            Sizing::FractionalKelly { fraction, lookback_bars } => {
                positive("fractional_kelly.fraction", *fraction, 1.0)?;
                enough("fractional_kelly", *lookback_bars)
            }
        }
    }

    /// Largest gross exposure over equity that the sizing itself asks for.
    pub(super) fn leverage(&self) -> f64 {
        match self {
            Sizing::VolatilityTarget { max_leverage, .. } => *max_leverage,
            _ => 1.0,
        }
    }

    /// Share of the equity that a weight of 1 stakes, where it is the same for every symbol and moment.
    pub(super) fn steady_share(&self) -> Option<f64> {
        match self {
            Sizing::AllIn {} => Some(1.0),
            Sizing::Fraction { of_equity } => Some(*of_equity),
            _ => None,
        }
    }

    /// The order that takes the slot to `target`; `None` while what it needs is not known.
    pub(super) fn order(&self, target: f64, slot: &Slot, costs: &FillCosts) -> Option<Order> {
        if target == 0.0 {
            return Some(order_for_quantity(slot.held, 0.0));
        }
        let share = match self {
            Sizing::AllIn {} => slot.multiple,
            Sizing::Fixed { quantity } => return Some(order_for_quantity(slot.held, target * quantity)),
            Sizing::Fraction { of_equity } => slot.multiple * of_equity,
            Sizing::VolatilityTarget { annual, lookback_bars, max_leverage } => {
                let volatility = slot.volatility(*lookback_bars) * slot.periods_per_year.sqrt();
                // A price that stood still says nothing about how far it will move.
                if volatility.is_nan() || volatility == 0.0 {
                    return None;
                }
                (annual / volatility).min(*max_leverage)
            }
            Sizing::RiskPerTrade { risk_percent } => {
                let quantity = slot.quantity_at_risk(target, risk_percent / 100.0, costs)?;
                return Some(order_for_quantity(slot.held, quantity));
            }
            Sizing::FractionalKelly { fraction, lookback_bars } => {
                (fraction * slot.kelly_stake(*lookback_bars)?).clamp(0.0, slot.leverage)
            }
        };
        Some(order_for_value(slot.held, target * share * slot.equity, slot.reference, costs))
    }
}

impl Slot<'_> {
    /// Sample standard deviation of the last `count` log returns; null where there are fewer.
    fn volatility(&self, count: usize) -> f64 {
        let Some(start) = self.closes.len().checked_sub(count.saturating_add(1)) else { return NULL };
        volatility(&self.closes[start..], count)[count]
    }

    /// Units, signed as the target, of which `risk` of the slot's equity is lost at the stop of a position that is opened
    /// now; `None` without a stop, where nobody knows what would be lost.
    fn quantity_at_risk(&self, target: f64, risk: f64, costs: &FillCosts) -> Option<f64> {
        let entry = costs.rates.fill_price(target, self.reference);
        let opened = OpenPosition::FLAT.after_fill(0.0, target, entry, self.reference, 0);
        let distance = (entry - self.exits.stop_level(&opened).0).abs();
        let most = self.leverage / (self.reference * costs.rates.gross_up(target));
        (!distance.is_nan()).then(|| target * self.equity * (risk / distance).min(most))
    }

    /// Mean over sample variance of the strategy's last `count` one-bar returns in position; `None` where there are fewer
    /// or they do not vary.
    fn kelly_stake(&self, count: usize) -> Option<f64> {
        // The target in force during row t is the last one up to row t - 1: first found backwards, then held.
        let mut returns = Vec::with_capacity(count.min(self.closes.len()));
        let mut end = self.closes.len();
        while returns.len() < count {
            let decided = self.targets[..end.checked_sub(1)?].iter().rposition(|target| !target.is_nan())?;
            let target = self.targets[decided];
            if target != 0.0 {
                let rows = (decided + 1..end).rev().take(count - returns.len());
                let simple = |row: usize| self.closes[row] / self.closes[row - 1] - 1.0;
                returns.extend(rows.map(|row| target.signum() * simple(row)));
            }
            end = decided + 1;
        }
        let moments = *rolling::moments(&returns, count).last()?;
        let stake = moments.mean() / moments.sample_deviation().powi(2);
        stake.is_finite().then_some(stake)
    }
}
