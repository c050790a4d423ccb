//! Time-series momentum: the sign of the past return (Moskowitz, Ooi, Pedersen: "Time series momentum", 2012).

use super::schedule::Rebalance;
use super::volatility_scale::VolatilityScale;
use super::{Direction, Strategy, World, at_least, cross};
use crate::table::{NULL, Positions};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Long while the close `skip_bars` ago is above the close `lookback_bars` ago, otherwise flat, or short where it is
/// below. With `volatility` the position is scaled as in the paper.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TimeSeriesMomentum {
    /// The return is taken from the close so many bars ago, at least 1. Default 168, a week of hourly bars.
    #[schemars(range(min = 1))]
    pub lookback_bars: usize,
    /// To the close so many bars ago, less than `lookback_bars`. Default 0. Twelve months less the last are 252 and 21
    /// daily bars.
    pub skip_bars: usize,
    /// Scales the position to a wanted volatility. Default: the whole position.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub volatility: Option<VolatilityScale>,
    /// When sign and size are looked at again. Default every bar.
    pub rebalance: Rebalance,
    /// Whether it may go short. Default `long_only`.
    pub direction: Direction,
}

impl Default for TimeSeriesMomentum {
    fn default() -> Self {
        TimeSeriesMomentum {
            lookback_bars: 168,
            skip_bars: 0,
            volatility: None,
            rebalance: Rebalance::Bars(1),
            direction: Direction::default(),
        }
    }
}

impl Strategy for TimeSeriesMomentum {
    fn check(&self) -> Result<(), String> {
        lookback_above_skip(self.lookback_bars, self.skip_bars)?;
        self.rebalance.check()?;
        self.volatility.as_ref().map_or(Ok(()), VolatilityScale::check)
    }

    fn decide(&self, world: &World) -> Result<Positions, String> {
        self.check()?;
        let sizes = self.volatility.as_ref().map(|scale| scale.sizes(world.bars));
        let due = self.rebalance.due_rows(world.bars);
        let levels = world.bars.symbols().iter().enumerate().map(|(index, symbol)| {
            let close = symbol.close();
            let (recent, past) = (earlier(close, self.skip_bars), earlier(close, self.lookback_bars));
            let mut levels = cross(&recent, &past, close, self.direction);
            for (row, level) in levels.iter_mut().enumerate() {
                if !due[index][row] {
                    *level = NULL;
                } else if let Some(sizes) = &sizes
                    && *level != 0.0
                {
                    *level *= sizes[index][row];
                }
            }
            levels
        });
        Positions::levels(world.bars, levels.collect())
    }
}

pub(super) fn lookback_above_skip(lookback: usize, skip: usize) -> Result<(), String> {
    at_least(1, "lookback_bars", lookback)?;
    if skip < lookback {
        return Ok(());
    }
    Err(format!("skip_bars is {skip} and lookback_bars is {lookback}; write a skip below the lookback"))
}

/// The values so many rows earlier, null where there are none.
fn earlier(values: &[f64], rows: usize) -> Vec<f64> {
    let mut column = vec![NULL; rows.min(values.len())];
    column.extend(&values[..values.len() - column.len()]);
    column
}

/// The return from the close `lookback` rows ago to the close `skip` rows ago, null where there is none.
pub(super) fn past_return(close: &[f64], lookback: usize, skip: usize) -> Vec<f64> {
    let (recent, past) = (earlier(close, skip), earlier(close, lookback));
    recent.iter().zip(&past).map(|(recent, past)| recent / past - 1.0).collect()
}
