//! Strategies: from bars and forecasts to wanted positions. One file each; see `registry.rs` for how one joins.
//! A baseline is an ordinary strategy; nothing here knows which one is the user's favourite.

use crate::seed::Seed;
use crate::table::{Bars, LabelKind, NULL, Positions, Predictions};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Range;

pub mod bollinger_breakout;
pub mod bollinger_reversion;
mod book_config;
pub mod buy_and_hold;
pub mod cash;
pub mod circuit_breaker;
mod cross_section;
pub mod cross_sectional_momentum;
pub mod donchian_breakout;
pub mod ema_cross;
pub mod equal_weight;
mod forecasts;
mod grid;
mod grid_schema;
mod guarded;
pub mod macd;
pub mod model_confidence;
pub mod model_ranking;
pub mod model_signal;
pub mod pairs;
pub mod portfolio;
pub mod random_entry;
mod regression;
pub mod return_forecast;
pub mod rsi_reversion;
mod schedule;
pub mod sma_cross;
pub mod time_series_momentum;
mod volatility_scale;
pub mod volatility_target;
mod watch;
mod weights;

pub use crate::domains::market::range::{NumberRange, RANGE_FORMAT};
pub use book_config::{BookConfig, Fault};
pub use cross_section::Weighting;
pub use grid::{GridAxis, MOST_BOOKS, StrategyEntry};
pub use grid_schema::BESIDE;
pub use guarded::{decide_guarded, guarded_positions, traded_model};
pub use schedule::{Calendar, Rebalance};
pub use volatility_scale::VolatilityScale;
pub use watch::{BreakerState, Watch};

/// All that a strategy may look at. What it decides for row t may use nothing after the close of t.
pub struct World<'a> {
    /// The bars, from before the books start, so that indicators are warm.
    pub bars: &'a Bars,
    /// Out-of-sample forecasts.
    pub predictions: &'a Predictions,
    /// Steps of the timeline on which the books run.
    pub span: Range<usize>,
    /// For strategies that draw lots, derived from the experiment's seed and the strategy's name.
    pub seed: Seed,
    /// The positions of the book that [`Strategy::matches`] or [`Strategy::guards`] asked for.
    pub reference: Option<&'a Positions>,
    /// Which of its books a strategy shall decide, from 0.
    pub book: usize,
}

/// The settings and behaviour of one strategy.
pub trait Strategy: Send + Sync {
    /// The positions of one of its books.
    ///
    /// # Errors
    /// Settings that make no sense for these bars or forecasts.
    fn decide(&self, world: &World) -> Result<Positions, String>;

    /// How many books it has; more than one for a strategy that is a distribution. They are decided one by one, so that a
    /// thousand books need no more memory than one.
    fn books(&self) -> usize {
        1
    }

    /// Whether its settings make sense.
    ///
    /// # Errors
    /// Says which setting does not, and what is expected.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// The model whose forecasts it trades on, by the user's name, and the horizon in bars (`None`: the first).
    fn model(&self) -> Option<(&str, Option<u32>)> {
        None
    }

    /// Whether its settings fit forecasts of this kind.
    ///
    /// # Errors
    /// Says which setting does not fit and which to write instead.
    fn fits(&self, _kind: LabelKind) -> Result<(), String> {
        Ok(())
    }

    /// Whether its settings fit the symbols of the data: those that it names are there, and there are as many as it ranks.
    ///
    /// # Errors
    /// Names the setting, what is missing and what is there.
    fn fits_symbols(&self, _names: &[&str]) -> Result<(), String> {
        Ok(())
    }

    /// Whether it wants to match the turnover of another book. `Some(None)`: of the book that validation chose, if any;
    /// `Some(Some(name))`: of the strategy of that name.
    fn matches(&self) -> Option<Option<&str>> {
        None
    }

    /// The strategy whose positions it follows and cuts, bar by bar.
    fn guards(&self) -> Option<&str> {
        None
    }

    /// The extra column of the bars that it reads.
    fn column(&self) -> Option<&str> {
        None
    }

    /// The risk and the state of every row, a symbol each, of a strategy that guards another one by a risk. A row's state
    /// uses nothing after its close.
    fn watch(&self, _world: &World) -> Option<Result<Vec<Watch>, String>> {
        None
    }
}

crate::registry! {
    /// A strategy by name.
    StrategyConfig => dyn Strategy;
    /// Buys every symbol at the first bar and keeps it.
    buy_and_hold: BuyAndHold,
    /// Never trades.
    cash: Cash,
    /// Holds every symbol at an equal share and restores the shares from time to time.
    equal_weight: EqualWeight,
    /// Holds fixed or equal shares of the book, restored by bars or calendar, with a turnover limit if wanted.
    portfolio: Portfolio,
    /// Holds every symbol, the less of it the more it moves.
    volatility_target: VolatilityTarget,
    /// Long while a fast simple mean is above a slow one.
    sma_cross: SmaCross,
    /// Long while a fast exponential mean is above a slow one.
    ema_cross: EmaCross,
    /// Long while the MACD line is above its signal line.
    macd: Macd,
    /// Buys what the relative strength index calls oversold.
    rsi_reversion: RsiReversion,
    /// Buys below the lower Bollinger band and leaves at the middle.
    bollinger_reversion: BollingerReversion,
    /// Buys above the upper Bollinger band and leaves at the middle.
    bollinger_breakout: BollingerBreakout,
    /// Buys a new high and leaves at a new low.
    donchian_breakout: DonchianBreakout,
    /// Follows the sign of the past return.
    time_series_momentum: TimeSeriesMomentum,
    /// Buys the symbols with the best past returns, and if wanted sells those with the worst.
    cross_sectional_momentum: CrossSectionalMomentum,
    /// Bets that the prices of two symbols come together again.
    pairs: Pairs,
    /// Follows a forecast of the next return that needs no model.
    return_forecast: ReturnForecast,
    /// Many books that enter by chance: what luck alone would have earned.
    random_entry: RandomEntry,
    /// Trades on the forecasts of a model.
    model_signal: ModelSignal,
    /// Holds a share in proportion to the forecasts of a model.
    model_confidence: ModelConfidence,
    /// Holds the symbols with the best forecasts of a model, and if wanted sells those with the worst.
    model_ranking: ModelRanking,
    /// Leaves the market, or stops trading, while a risk is high.
    circuit_breaker: CircuitBreaker,
}

/// Which sides a strategy may take.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Direction {
    /// Long or flat.
    #[default]
    LongOnly,
    /// Long, flat or short.
    LongShort,
}

impl Direction {
    /// The level for an opinion between -1 and 1.
    fn level(self, opinion: f64) -> f64 {
        match self {
            Direction::LongOnly if opinion < 0.0 => 0.0,
            _ => opinion,
        }
    }
}

/// Two means closer than this share of the price are equal: what is left is the rounding of their sums, and a market
/// that does not move must not trade.
pub(in crate::domains::market) const TIE: f64 = 1e-12;

/// The level of every row: up where `fast` is above `slow`, down where it is below, flat at a tie, null in the warm-up.
/// Both are prices or differences of prices.
fn cross(fast: &[f64], slow: &[f64], close: &[f64], direction: Direction) -> Vec<f64> {
    let level = |((fast, slow), close): ((&f64, &f64), &f64)| match fast - slow {
        distance if distance.is_nan() => NULL,
        distance if distance.abs() <= TIE * close => 0.0,
        distance => direction.level(distance.signum()),
    };
    fast.iter().zip(slow).zip(close).map(level).collect()
}

fn at_least(minimum: usize, setting: &str, value: usize) -> Result<(), String> {
    if value >= minimum {
        return Ok(());
    }
    Err(format!("{setting} is {value}, expected {minimum} or more"))
}

fn fast_below_slow(fast: usize, slow: usize) -> Result<(), String> {
    at_least(1, "fast", fast)?;
    if fast < slow {
        return Ok(());
    }
    Err(format!("fast is {fast} and slow is {slow}; write a fast below slow"))
}
