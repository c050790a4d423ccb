//! Forecasts that need no model: what a trained one must beat.

use super::regression::joint_moments;
use super::{Direction, Strategy, World, at_least};
use crate::domains::market::rolling;
use crate::table::{NULL, Positions};
use crate::units::BASIS_POINT;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Long while a simple forecast of the next log return is above the threshold, flat or short where it is below minus
/// the threshold, flat between.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ReturnForecast {
    /// How it is forecast. Default `rolling_mean` of 24 bars.
    pub method: ForecastMethod,
    /// The forecast that is worth a trade, in basis points. Default 0.
    #[schemars(range(min = 0.0))]
    pub threshold_bps: f64,
    /// Whether it may go short. Default `long_only`.
    pub direction: Direction,
}

/// How the next log return is forecast, from those up to this bar.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ForecastMethod {
    /// The last return.
    LastValue {},
    /// The mean of the last returns.
    RollingMean {
        /// How many, at least 1.
        #[schemars(range(min = 1))]
        period: usize,
    },
    /// The exponentially weighted mean of all returns, begun at the first.
    Ewma {
        /// After so many bars a return has half its weight, above 0.
        #[schemars(extend("exclusiveMinimum" = 0.0))]
        half_life_bars: f64,
    },
    /// An autoregression of order 1 with intercept, by least squares over the last pairs of neighbouring returns.
    Autoregression {
        /// How many pairs, at least 3.
        #[schemars(range(min = 3))]
        lookback_bars: usize,
    },
}

impl Default for ReturnForecast {
    fn default() -> Self {
        ReturnForecast {
            method: ForecastMethod::RollingMean { period: 24 },
            threshold_bps: 0.0,
            direction: Direction::default(),
        }
    }
}

/// A forecast this close to 0 is what rounding leaves of returns that cancel out.
const NOTHING: f64 = 1e-15;

impl Strategy for ReturnForecast {
    fn check(&self) -> Result<(), String> {
        if !(self.threshold_bps.is_finite() && self.threshold_bps >= 0.0) {
            return Err(format!("threshold_bps is {}, expected 0 or more", self.threshold_bps));
        }
        match self.method {
            ForecastMethod::LastValue {} => Ok(()),
            ForecastMethod::RollingMean { period } => at_least(1, "rolling_mean: period", period),
            ForecastMethod::Ewma { half_life_bars } if half_life_bars.is_finite() && half_life_bars > 0.0 => {
                Ok(())
            }
            ForecastMethod::Ewma { half_life_bars } => {
                Err(format!("ewma: half_life_bars is {half_life_bars}, expected a number above 0"))
            }
            ForecastMethod::Autoregression { lookback_bars } => {
                at_least(3, "autoregression: lookback_bars", lookback_bars)
            }
        }
    }

    fn decide(&self, world: &World) -> Result<Positions, String> {
        self.check()?;
        let threshold = (self.threshold_bps * BASIS_POINT).max(NOTHING);
        let level = |forecast: f64| match forecast {
            forecast if forecast.is_nan() => NULL,
            forecast if forecast.abs() <= threshold => 0.0,
            forecast => self.direction.level(forecast.signum()),
        };
        let levels = world.bars.symbols().iter().map(|symbol| {
            let returns: Vec<f64> = symbol.close().windows(2).map(|pair| (pair[1] / pair[0]).ln()).collect();
            let forecasts = self.method.forecasts(&returns);
            rolling::padded(symbol.len(), forecasts.into_iter().map(level))
        });
        Positions::levels(world.bars, levels.collect())
    }
}

impl ForecastMethod {
    /// The forecasts after the last returns, as many as there are once the method is warm.
    fn forecasts(&self, returns: &[f64]) -> Vec<f64> {
        match self {
            ForecastMethod::LastValue {} => returns.to_vec(),
            ForecastMethod::RollingMean { period } => rolling::mean(returns, *period),
            ForecastMethod::Ewma { half_life_bars } => {
                let kept = 0.5_f64.powf(1.0 / half_life_bars);
                let mut mean = returns.first().copied().unwrap_or_default();
                let mut follow = |value: &f64| {
                    mean = kept * mean + (1.0 - kept) * value;
                    mean
                };
                returns.iter().map(&mut follow).collect()
            }
            ForecastMethod::Autoregression { lookback_bars } => {
                if returns.is_empty() {
                    return Vec::new();
                }
                let (earlier, later) = (&returns[..returns.len() - 1], &returns[1..]);
                let windows = joint_moments(earlier, later, *lookback_bars);
                let last = &later[later.len() - windows.len()..];
                // The line through the means at the last return: what follows it.
                let forecast = |(window, last): (super::regression::Joint, &f64)| {
                    let slope = window.slope();
                    -window.residual(slope, *last, 0.0)
                };
                windows.into_iter().zip(last).map(forecast).collect()
            }
        }
    }
}
