//! The `backtest` section of an experiment.

use super::costs::{CostConfig, lower};
use super::exits::Exits;
use super::margin::Margin;
use super::sizing::Sizing;
use crate::table::NULL;
use crate::units::{Time, YEAR_NANOSECONDS};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How books are run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct BacktestConfig {
    /// Cash of every book at its first bar, in quote currency. Default 100000.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub cash: f64,
    /// When an order that was decided at the close of a bar is filled.
    pub fill: FillTime,
    /// How a target becomes a quantity.
    pub sizing: Sizing,
    /// When positions are closed without an order of the strategy. Default: never.
    pub exits: Exits,
    /// How much a book may borrow, and when it is liquidated. Default: it borrows nothing.
    pub margin: Margin,
    /// What trading costs. Without an entry trading is free, which no market is.
    pub costs: Vec<CostConfig>,
    /// Whether symbols share one book.
    pub books: Books,
    /// Bars a year, by which ratios are annualised. Default: counted from the bars, a year having 365 days.
    #[schemars(range(min = 0.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub periods_per_year: Option<f64>,
}

impl Default for BacktestConfig {
    fn default() -> Self {
        BacktestConfig {
            cash: 100_000.0,
            fill: FillTime::default(),
            sizing: Sizing::default(),
            exits: Exits::default(),
            margin: Margin::default(),
            costs: Vec::new(),
            books: Books::default(),
            periods_per_year: None,
        }
    }
}

/// When an order is filled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FillTime {
    /// At the open of the symbol's next bar, whatever the gap in time.
    #[default]
    NextOpen,
    /// At the close by which it was decided. Optimistic: nobody trades at a price and knows it, too.
    SameClose,
}

impl FillTime {
    /// The name as it is written in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            FillTime::NextOpen => "next_open",
            FillTime::SameClose => "same_close",
        }
    }
}

/// What a strategy's cash is shared by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Books {
    /// One book a strategy over all symbols, a slot of equal size for each.
    #[default]
    SharedCash,
    /// One book a strategy and symbol, each with the whole starting cash, named `sma@ALPHA`.
    PerSymbol,
}

impl BacktestConfig {
    /// Checks every number.
    ///
    /// # Errors
    /// Says which setting is out of its range and what is expected.
    pub fn check(&self) -> Result<(), String> {
        if !(self.cash.is_finite() && self.cash > 0.0) {
            return Err(format!("cash is {}, expected a number above 0", self.cash));
        }
        if let Some(periods) = self.periods_per_year
            && !(periods.is_finite() && periods > 0.0)
        {
            return Err(format!(
                "periods_per_year is {periods}, expected a number above 0; leave it out to count the bars"
            ));
        }
        lower(&self.costs)?;
        self.sizing.check()?;
        self.exits.check()?;
        self.margin.check(self.leverage())?;
        if matches!(self.sizing, Sizing::RiskPerTrade { .. }) && !self.exits.has_stop() {
            return Err("sizing: risk_per_trade needs a stop to know what a trade can lose; add \
                        exits.stop_loss_percent or exits.trailing_stop_percent, or choose another sizing"
                .into());
        }
        Ok(())
    }

    /// Largest gross exposure over equity: what the margin account or the sizing allows, whichever is more.
    pub fn leverage(&self) -> f64 {
        self.margin.max_leverage.max(self.sizing.leverage())
    }

    /// Bars a year: what is configured, or what [`periods_per_year`] counts on these bars.
    pub fn annual_periods(&self, times: &[Time]) -> f64 {
        self.periods_per_year.unwrap_or_else(|| periods_per_year(times))
    }
}

/// Bars a year of 365 days: (bars - 1) over the time from the first to the last. Gaps such as nights and weekends hence
/// lower it. A single bar counts as one period a year.
pub fn periods_per_year(times: &[Time]) -> f64 {
    let (Some(first), Some(last)) = (times.first(), times.last()) else {
        return 1.0;
    };
    let distance = i128::from(last.0) - i128::from(first.0);
    if distance == 0 {
        return 1.0;
    }
    // In lowest terms, so that contiguous bars give the exact integer.
    let years = (times.len() as i128 - 1) * i128::from(YEAR_NANOSECONDS);
    let divisor = greatest_common_divisor(years, distance);
    (years / divisor) as f64 / (distance / divisor) as f64
}

/// Bars a year of 365 days by the first bars of a symbol, which started at `first` to `last`: what was known at a decision.
/// Null with fewer than two.
pub(in crate::domains::market) fn bars_a_year(bars: usize, first: Time, last: Time) -> f64 {
    if bars < 2 {
        return NULL;
    }
    (bars - 1) as f64 * (YEAR_NANOSECONDS as f64 / (last.0 - first.0) as f64)
}

fn greatest_common_divisor(mut a: i128, mut b: i128) -> i128 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}
