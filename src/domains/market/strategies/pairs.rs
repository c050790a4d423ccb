//! Pairs trading by the z-score of a spread (Gatev, Goetzmann, Rouwenhorst: "Pairs trading", 2006).

use super::regression::joint_moments;
use super::weights::{Allocation, orders};
use super::{Strategy, World, at_least};
use crate::table::{Bars, Positions};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Bets that two symbols come together again: when the spread of their log prices is far below its mean it buys the
/// first and sells the second short, far above it does the opposite.
///
/// The spread at a moment is the distance of the first log price from a line on the second one over the last
/// `lookback_bars` moments at which both have a bar, this one included; z is that distance over its sample standard
/// deviation in the same window. The weights are in proportion 1 to the line's slope, together `gross` in absolute
/// value (less where a leg would be more than the whole book), are set at the entry and then left alone. A slope that is not above 0 is no hedge and opens nothing.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Pairs {
    /// The first symbol. Default: the first of the data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first: Option<String>,
    /// The second symbol. Default: the second of the data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub second: Option<String>,
    /// Moments of the window, at least 3. Default 100.
    #[schemars(range(min = 3))]
    pub lookback_bars: usize,
    /// Where the slope comes from. Default `regression`.
    pub hedge: Hedge,
    /// Enters where z is at least so far from 0, above `exit`. Default 2.
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub entry: f64,
    /// Leaves where z is back within this of 0, or beyond on the other side. Default 0.5.
    #[schemars(range(min = 0.0))]
    pub exit: f64,
    /// Gives up where z is so far from 0, above `entry`, and enters again only after z was within `entry`. Default: never.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(extend("exclusiveMinimum" = 0.0))]
    pub stop: Option<f64>,
    /// Sum of the absolute weights of both legs, above 0 and at most 2. Default 1.
    #[schemars(range(min = 0.0, max = 2.0))]
    pub gross: f64,
}

/// Where the slope of the spread comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Hedge {
    /// It is 1: the spread is the logarithm of the ratio of prices, and both legs weigh the same.
    Ratio,
    /// Rolling least squares of the first log price on the second.
    Regression,
}

impl Default for Pairs {
    fn default() -> Self {
        Pairs {
            first: None,
            second: None,
            lookback_bars: 100,
            hedge: Hedge::Regression,
            entry: 2.0,
            exit: 0.5,
            stop: None,
            gross: 1.0,
        }
    }
}

impl Strategy for Pairs {
    fn check(&self) -> Result<(), String> {
        at_least(3, "lookback_bars", self.lookback_bars)?;
        if !(self.exit >= 0.0 && self.exit < self.entry && self.entry.is_finite()) {
            return Err(format!(
                "entry is {} and exit is {}, expected 0 <= exit < entry",
                self.entry, self.exit
            ));
        }
        if let Some(stop) = self.stop.filter(|stop| !(stop.is_finite() && *stop > self.entry)) {
            return Err(format!("stop is {stop} and entry is {}; write a stop above entry", self.entry));
        }
        if !(self.gross > 0.0 && self.gross <= 2.0) {
            return Err(format!("gross is {}, expected above 0 and at most 2", self.gross));
        }
        Ok(())
    }

    fn fits_symbols(&self, names: &[&str]) -> Result<(), String> {
        self.legs(names).map(|_| ())
    }

    fn decide(&self, world: &World) -> Result<Positions, String> {
        self.check()?;
        let (first, second) = self.legs(&world.bars.names())?;
        let both = moments_of_both(world.bars, first, second);
        let (y, x): (Vec<f64>, Vec<f64>) = both.iter().map(|moment| (moment.first, moment.second)).unzip();
        let windows = joint_moments(&x, &y, self.lookback_bars);
        let mut trade = Trade { side: 0.0, given_up: false };
        let mut allocations = Vec::new();
        for (moment, window) in both.iter().skip(self.lookback_bars - 1).zip(windows) {
            let slope = match self.hedge {
                Hedge::Ratio => 1.0,
                Hedge::Regression => window.slope(),
            };
            let z = window.residual(slope, moment.second, moment.first) / window.residual_deviation(slope);
            let before = trade.side;
            trade.follow(self, z, slope > 0.0);
            if trade.side != before {
                let mut weights = vec![0.0; world.bars.symbols().len()];
                if trade.side != 0.0 {
                    // No leg is more than the whole book, however uneven the two are.
                    let leg = (self.gross / (1.0 + slope)).min(1.0 / slope.max(1.0));
                    weights[first] = trade.side * leg;
                    // Rounding may put 1 / slope x slope beyond 1.
                    weights[second] = (-trade.side * leg * slope).clamp(-1.0, 1.0);
                }
                allocations.push(Allocation { step: moment.step, weights });
            }
        }
        orders(world.bars, &allocations)
    }
}

impl Pairs {
    fn legs(&self, names: &[&str]) -> Result<(usize, usize), String> {
        let leg = |setting: &str, wanted: &Option<String>, otherwise: usize| match wanted {
            Some(name) => names.iter().position(|known| known == name).ok_or_else(|| {
                format!("{setting}: there is no symbol {name}; the symbols are {}", names.join(", "))
            }),
            None if otherwise < names.len() => Ok(otherwise),
            None => Err(format!("a pair needs two symbols, the data has only {}", names.join(", "))),
        };
        let (first, second) = (leg("first", &self.first, 0)?, leg("second", &self.second, 1)?);
        if first == second {
            return Err(format!("first and second are both {}; write two symbols", names[first]));
        }
        Ok((first, second))
    }
}

/// A moment at which both symbols have a bar, with the logarithms of their closes.
struct Moment {
    step: usize,
    first: f64,
    second: f64,
}

fn moments_of_both(bars: &Bars, first: usize, second: usize) -> Vec<Moment> {
    let (steps, others) = (bars.timeline().steps(first), bars.timeline().steps(second));
    let close = |symbol: usize, row: usize| bars.symbols()[symbol].close()[row].ln();
    let both = steps.iter().enumerate().filter_map(|(row, step)| {
        let other = others.binary_search(step).ok()?;
        Some(Moment { step: *step as usize, first: close(first, row), second: close(second, other) })
    });
    both.collect()
}

/// The state of the bet: 1 holds the spread, -1 is short of it.
struct Trade {
    side: f64,
    given_up: bool,
}

impl Trade {
    /// A z that is null changes nothing.
    fn follow(&mut self, settings: &Pairs, z: f64, hedged: bool) {
        let beyond = settings.stop.is_some_and(|stop| z.abs() >= stop);
        if self.side != 0.0 && self.side * z >= -settings.exit {
            self.side = 0.0;
        } else if self.side != 0.0 && beyond {
            self.side = 0.0;
            self.given_up = true;
        }
        if z.abs() < settings.entry {
            self.given_up = false;
        }
        if self.side == 0.0 && !self.given_up && !beyond && hedged && z.abs() >= settings.entry {
            self.side = -z.signum();
        }
    }
}
