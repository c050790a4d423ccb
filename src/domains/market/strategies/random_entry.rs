//! Random entry: what luck alone would have earned, as a distribution of books.

use super::{Strategy, World, at_least};
use crate::seed::Stream;
use crate::table::{NULL, Positions};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Many books that enter by chance.
///
/// By default they match the exposure and the turnover of another book: each is that book's own levels, turned in a
/// circle by a random offset within the backtest, for each symbol anew. The time in the market is then the
/// same (with `same_close` to one bar a symbol), the number of trades differs by one a symbol at most, and only the
/// timing is random.
///
/// With `holding_bars` or `exposure` they match nothing: positions begin and end by a coin whose odds give the wanted
/// mean holding time and exposure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RandomEntry {
    /// How many books, at least 1. Default 200.
    #[schemars(range(min = 1))]
    pub books: usize,
    /// The strategy whose book is matched. Default: the book that validation chose; without a model to choose, entries
    /// are by the coin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#match: Option<String>,
    /// Mean bars a position is held, at least 1. Default 24, where nothing is matched.
    #[schemars(range(min = 1.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub holding_bars: Option<f64>,
    /// Share of bars in a position, above 0 and at most 1. Default 0.5, where nothing is matched.
    #[schemars(range(min = 0.0, max = 1.0))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exposure: Option<f64>,
}

impl Default for RandomEntry {
    fn default() -> Self {
        RandomEntry { books: 200, r#match: None, holding_bars: None, exposure: None }
    }
}

impl Strategy for RandomEntry {
    fn matches(&self) -> Option<Option<&str>> {
        (!self.by_coin()).then_some(self.r#match.as_deref())
    }

    fn books(&self) -> usize {
        self.books
    }

    fn check(&self) -> Result<(), String> {
        at_least(1, "books", self.books)?;
        if self.by_coin() && self.r#match.is_some() {
            return Err("match excludes holding_bars and exposure; remove it or both of them".into());
        }
        self.odds().map(|_| ())
    }

    fn decide(&self, world: &World) -> Result<Positions, String> {
        self.check()?;
        let circles: Vec<Range<usize>> =
            (0..world.bars.symbols().len()).map(|symbol| deciding_rows(world, symbol)).collect();
        let chance = match (world.reference, &self.r#match) {
            (Some(reference), _) if !self.by_coin() => {
                let held = |(symbol, rows)| held_levels(reference.targets(symbol), rows);
                Chance::Turn(circles.iter().enumerate().map(held).collect())
            }
            (None, Some(name)) => {
                return Err(format!("match: there is no book of `{name}`; write the name of a strategy"));
            }
            _ => Chance::Coin(self.odds()?),
        };
        let mut stream = world.seed.stream("random entry", world.book as u64);
        let columns = world.bars.symbols().iter().zip(&circles).enumerate().map(|(symbol, (bars, rows))| {
            let mut column = vec![NULL; bars.len()];
            column[rows.clone()].copy_from_slice(&chance.levels(symbol, rows.len(), &mut stream));
            column
        });
        Positions::levels(world.bars, columns.collect())
    }
}

impl RandomEntry {
    fn by_coin(&self) -> bool {
        self.holding_bars.is_some() || self.exposure.is_some()
    }

    /// The odds with the wanted mean holding time and share of bars in a position: the chance to leave is 1 / holding,
    /// and in balance as many enter as leave.
    fn odds(&self) -> Result<Odds, String> {
        let (holding, exposure) = (self.holding_bars.unwrap_or(24.0), self.exposure.unwrap_or(0.5));
        if !(holding.is_finite() && holding >= 1.0) {
            return Err(format!("holding_bars is {holding}, expected 1 or more"));
        }
        if !(exposure > 0.0 && exposure <= 1.0) {
            return Err(format!("exposure is {exposure}, expected above 0 and at most 1"));
        }
        if exposure == 1.0 {
            return Ok(Odds { leave: 0.0, enter: 1.0, exposure });
        }
        let enter = exposure / (1.0 - exposure) / holding;
        if enter > 1.0 {
            return Err(format!(
                "an exposure of {exposure} with holding_bars of {holding} leaves less than a bar between positions; \
                 write holding_bars of {} or more",
                (exposure / (1.0 - exposure)).ceil()
            ));
        }
        Ok(Odds { leave: 1.0 / holding, enter, exposure })
    }
}

/// The rows whose orders are filled at the opens of the backtest: from the last one before it, whose order is carried
/// in, to the last but one of it.
fn deciding_rows(world: &World, symbol: usize) -> Range<usize> {
    let steps = world.bars.timeline().steps(symbol);
    let first = steps.partition_point(|step| (*step as usize) < world.span.start);
    let end = steps.partition_point(|step| (*step as usize) < world.span.end);
    match (first, end) {
        (first, end) if first == end => first..first,
        (0, end) => 0..end,
        (first, end) => first - 1..end - 1,
    }
}

/// The level that is held after each of `rows`.
fn held_levels(targets: &[f64], rows: &Range<usize>) -> Vec<f64> {
    let mut level = 0.0;
    let mut follow = |target: &f64| {
        if !target.is_nan() {
            level = *target;
        }
        level
    };
    targets[..rows.start].iter().for_each(|target| {
        follow(target);
    });
    targets[rows.clone()].iter().map(follow).collect()
}

/// Chances a bar to leave and to enter, and the chance to be in at the start.
struct Odds {
    leave: f64,
    enter: f64,
    exposure: f64,
}

/// Where the levels of a book come from.
enum Chance {
    /// `[symbol]`: levels to be turned in a circle.
    Turn(Vec<Vec<f64>>),
    /// A coin each bar.
    Coin(Odds),
}

impl Chance {
    fn levels(&self, symbol: usize, rows: usize, stream: &mut Stream) -> Vec<f64> {
        match self {
            Chance::Turn(held) => {
                let mut levels = held[symbol].clone();
                if rows > 0 {
                    levels.rotate_right(stream.below(rows));
                }
                levels
            }
            Chance::Coin(odds) => {
                let mut inside = stream.uniform() < odds.exposure;
                let mut toss = || {
                    let level = if inside { 1.0 } else { 0.0 };
                    inside =
                        if inside { stream.uniform() >= odds.leave } else { stream.uniform() < odds.enter };
                    level
                };
                (0..rows).map(|_| toss()).collect()
            }
        }
    }
}
