//! What a book did and what it was worth.

use crate::units::Time;
use std::ops::Range;

/// Whether a fill bought or sold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Quantity rose.
    Buy,
    /// Quantity fell.
    Sell,
}

impl Side {
    /// `buy` or `sell`, as written to `fills.parquet`.
    pub fn name(self) -> &'static str {
        match self {
            Side::Buy => "buy",
            Side::Sell => "sell",
        }
    }
}

/// Why a fill happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FillReason {
    /// The strategy ordered it.
    Signal,
    /// The stop loss was hit.
    Stop,
    /// The target was reached.
    Target,
    /// The trailing stop was hit.
    Trailing,
    /// The position had been held for the longest time.
    Time,
    /// The margin or the equity was used up.
    Liquidation,
}

impl FillReason {
    /// Every reason.
    pub const ALL: [FillReason; 6] = [
        FillReason::Signal,
        FillReason::Stop,
        FillReason::Target,
        FillReason::Trailing,
        FillReason::Time,
        FillReason::Liquidation,
    ];

    /// As written to `fills.parquet`.
    pub fn name(self) -> &'static str {
        match self {
            FillReason::Signal => "signal",
            FillReason::Stop => "stop",
            FillReason::Target => "target",
            FillReason::Trailing => "trailing",
            FillReason::Time => "time",
            FillReason::Liquidation => "liquidation",
        }
    }
}

/// One executed order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fill {
    /// Index of the symbol.
    pub symbol: u32,
    /// Step of the timeline at which it was filled.
    pub step: u32,
    /// Start of the bar in which it was filled.
    pub time: Time,
    /// Buy or sell.
    pub side: Side,
    /// Units of the asset, positive.
    pub quantity: f64,
    /// Price paid or received, spread and slippage included, in quote currency.
    pub price: f64,
    /// Price of the bar before spread and slippage.
    pub reference_price: f64,
    /// Fee in quote currency, that of a liquidation included.
    pub fee: f64,
    /// Gas in quote currency.
    pub gas: f64,
    /// What half the spread took, in quote currency. With slippage and impact it is the distance of the price from the
    /// reference price times the quantity.
    pub spread: f64,
    /// What slippage took, in quote currency.
    pub slippage: f64,
    /// What the trade's own impact on the price took, in quote currency.
    pub impact: f64,
    /// Why it happened.
    pub reason: FillReason,
}

/// What the book was worth at each close: cash + holdings = equity at every bar.
#[derive(Clone, Debug, Default)]
pub struct Equity {
    /// Steps of the timeline.
    pub time: Vec<Time>,
    /// Cash plus holdings at their last close, in quote currency.
    pub equity: Vec<f64>,
    /// Cash in quote currency.
    pub cash: Vec<f64>,
    /// Gross holdings (sum of absolute values) over equity.
    pub exposure: Vec<f64>,
}

impl Equity {
    /// `equity / highest equity so far - 1`, 0 or negative; the starting cash counts as the first high.
    pub fn drawdown(&self, starting_cash: f64) -> Vec<f64> {
        let mut high = starting_cash;
        self.equity
            .iter()
            .map(|equity| {
                high = high.max(*equity);
                equity / high - 1.0
            })
            .collect()
    }
}

/// What carrying positions cost a book, in quote currency.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Carried {
    /// Funding paid; negative where more was received.
    pub funding: f64,
    /// Fees for what was borrowed to be sold short.
    pub borrow: f64,
}

/// The outcome of one book.
#[derive(Clone, Debug)]
pub struct BookResult {
    /// The user's name of the strategy.
    pub strategy: String,
    /// Cash at the start.
    pub starting_cash: f64,
    /// Every execution in order of time: orders at the open, exits at the open, exits within the bar, exits and orders at
    /// the close; at each of these moments sells before buys, then by symbol.
    pub fills: Vec<Fill>,
    /// A row a step of the timeline.
    pub equity: Equity,
    /// What was paid for carrying positions.
    pub carried: Carried,
    /// The step at which the equity was used up and the book was closed for good, if it was.
    pub bankrupt_at: Option<Time>,
}

/// Cash and units held at a close and at all closes after it, up to the next balance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Balance {
    /// Row of the first of these closes.
    pub row: u32,
    /// Cash in quote currency.
    pub cash: f64,
    /// Units of the asset; negative for a short position.
    pub quantity: f64,
}

/// The outcome of one book of one symbol without its curve: equity at a close is `cash + quantity x close`, so that what
/// changed says it all. Ten million bars need as much memory as their fills.
#[derive(Clone, Debug)]
pub struct CompactBook<'a> {
    /// Cash at the start.
    pub starting_cash: f64,
    /// Every execution, as in [`BookResult`].
    pub fills: Vec<Fill>,
    /// `[row]`: closes of the symbol.
    pub close: &'a [f64],
    /// By rising rows; the first is of row 0, if there is a row.
    pub balances: Vec<Balance>,
    /// What was paid for carrying positions.
    pub carried: Carried,
    /// The step at which the equity was used up and the book was closed for good, if it was.
    pub bankrupt_at: Option<Time>,
}

impl CompactBook<'_> {
    /// Writes the equity at the closes of the rows from `start` on, and calls `held` for each stretch of them with its
    /// place in `equity` and its balance.
    #[inline(always)]
    pub fn read(
        &self,
        start: usize,
        equity: &mut [f64],
        mut held: impl FnMut(Range<usize>, &Balance, &[f64]),
    ) {
        let end = start + equity.len();
        let first = self.balances.partition_point(|balance| balance.row as usize <= start).max(1) - 1;
        let mut place = 0;
        for number in first..self.balances.len() {
            let balance = &self.balances[number];
            if start + place >= end {
                break;
            }
            let next = self.balances.get(number + 1).map_or(end, |next| (next.row as usize).min(end)) - start;
            let close = &self.close[start + place..start + next];
            for (worth, close) in equity[place..next].iter_mut().zip(close) {
                *worth = balance.cash + balance.quantity * close;
            }
            held(place..next, balance, close);
            place = next;
        }
    }
}
