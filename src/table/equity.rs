//! What a book did and what it was worth.

use crate::units::Time;

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
    /// Fee in quote currency.
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
    /// Every execution, in order of time, sells before buys, then by symbol.
    pub fills: Vec<Fill>,
    /// A row a step of the timeline.
    pub equity: Equity,
    /// What was paid for carrying positions.
    pub carried: Carried,
    /// The step at which the equity was used up and the book was closed for good, if it was.
    pub bankrupt_at: Option<Time>,
}
