//! Indicators: features computed from bars. One file each; see `registry.rs` for how one joins.
//!
//! Formulas, seeds and warm-ups are those of TA-Lib where it has the indicator (`tests/reference/talib_reference.py`). A
//! denominator of zero gives null, except where TA-Lib defines a value; the file of each says which. TA-Lib calls
//! everything below 1e-14 zero; here only zero is, so that a price in other units gives the same number.

use crate::suggest::closest;
use crate::table::{Bars, Features, NULL};

pub mod adx;
pub mod atr;
pub mod bollinger;
pub mod close;
pub mod column;
pub mod cross_sectional_rank;
pub mod depth_stress;
pub mod ema;
pub mod log_return;
pub mod macd;
pub mod momentum;
pub mod obv;
pub mod rolling_volatility;
pub mod rsi;
mod running;
pub mod simple_return;
pub mod sma;
pub mod stochastic;
pub mod time_of_day;
pub mod time_of_week;
pub mod trailing_drawdown;
pub mod volume_ratio;
pub mod vwap;
pub mod z_score;

pub use running::{Bar, Memory, Recursion, RunningFeatures};

/// A feature, or several that are computed together, from the bars up to and including each row.
pub trait Indicator: Send + Sync {
    /// Names of its columns, settings included, so that two of a kind differ: `rsi_14`.
    fn names(&self) -> Vec<String>;

    /// Rows at the start of a symbol in which at least one column is null. A feature that compares symbols may be
    /// null for longer, while the others have no value.
    fn warm_up(&self) -> usize;

    /// Whether the settings make sense.
    ///
    /// # Errors
    /// Says which setting does not, and what to write instead.
    fn check(&self) -> Result<(), String>;

    /// The extra column of the data that it reads, which `data.columns.extra` must therefore have.
    fn extra_column(&self) -> Option<&str> {
        None
    }

    /// `[symbol][name][row]`; null ([`crate::table::NULL`]) in the warm-up. Row t uses nothing after the close of t.
    /// Settings that [`Indicator::check`] refuses give meaningless values, never a panic; without its extra column it is
    /// null.
    fn compute(&self, bars: &Bars) -> Vec<Vec<Vec<f64>>>;

    /// What must be remembered of the past, so that the next row can be computed as its bar arrives, with the same bits.
    /// All of it, unless the indicator knows better.
    fn memory(&self) -> Memory {
        Memory::Whole
    }
}

crate::registry! {
    /// A feature by name.
    IndicatorConfig => dyn Indicator;
    /// The close itself.
    close: Close,
    /// Logarithmic return of the close over a number of bars.
    log_return: LogReturn,
    /// Simple return of the close over a number of bars.
    simple_return: SimpleReturn,
    /// Rate of change of the close over one period (TA-Lib's ROCP).
    momentum: Momentum,
    /// Simple moving average of the close.
    sma: Sma,
    /// Exponential moving average of the close.
    ema: Ema,
    /// Moving average convergence divergence: distance of two exponential averages, its signal line and histogram.
    macd: Macd,
    /// Relative strength index (Wilder).
    rsi: Rsi,
    /// Bollinger bands, position of the close between them and their distance.
    bollinger: Bollinger,
    /// Average true range (Wilder).
    atr: Atr,
    /// Average directional index with the two directional indicators (Wilder).
    adx: Adx,
    /// Stochastic oscillator, slow %K and %D.
    stochastic: Stochastic,
    /// Standard deviation of the logarithmic returns.
    rolling_volatility: RollingVolatility,
    /// Distance of the close from its mean in standard deviations.
    z_score: ZScore,
    /// Volume over its mean.
    volume_ratio: VolumeRatio,
    /// Volume-weighted average price.
    vwap: Vwap,
    /// On-balance volume.
    obv: Obv,
    /// Time of the day on a circle.
    time_of_day: TimeOfDay,
    /// Time of the week on a circle.
    time_of_week: TimeOfWeek,
    /// Rank of a symbol's return among all symbols at the same time.
    cross_sectional_rank: CrossSectionalRank,
    /// An extra column of the data, as it is or as a logarithm.
    column: Column,
    /// How far the close lies below its highest of the last bars.
    trailing_drawdown: TrailingDrawdown,
    /// How lopsided the order book is at this moment.
    depth_stress: DepthStress,
}

/// Computes all configured features, in their order.
///
/// # Errors
/// Settings that make no sense, an extra column that a symbol does not have, or two features of one name.
pub fn compute(configured: &[IndicatorConfig], bars: &Bars) -> Result<Features, String> {
    let mut names = Vec::new();
    let mut columns = vec![Vec::new(); bars.symbols().len()];
    for config in configured {
        let indicator = config.build();
        indicator.check().map_err(|problem| format!("feature `{}`: {problem}", config.name()))?;
        for symbol in bars.symbols() {
            check_extra_column(indicator, symbol.extras().keys().map(String::as_str)).map_err(
                |(problem, hint)| {
                    format!("feature `{}` of {}: {problem}; {hint}", config.name(), symbol.symbol())
                },
            )?;
        }
        names.extend(indicator.names());
        for (all, new) in columns.iter_mut().zip(indicator.compute(bars)) {
            all.extend(new);
        }
    }
    Features::new(names, columns)
}

/// Refuses an indicator whose extra column is not among these.
///
/// # Errors
/// What is missing, and what to write instead.
pub fn check_extra_column<'a>(
    indicator: &dyn Indicator,
    mut known: impl Iterator<Item = &'a str> + Clone,
) -> Result<(), (String, String)> {
    let Some(wanted) = indicator.extra_column().filter(|wanted| !known.clone().any(|name| name == *wanted))
    else {
        return Ok(());
    };
    let hint = match closest(wanted, known.clone()) {
        Some(name) => format!("did you mean `{name}`?"),
        None if known.clone().next().is_none() => {
            format!("add `extra: {{{wanted}: NAME IN THE FILE}}` to `data.columns`")
        }
        None => format!(
            "the extra columns are {}; add `{wanted}` to `data.columns.extra`",
            known.by_ref().collect::<Vec<_>>().join(", ")
        ),
    };
    Err((format!("there is no extra column `{wanted}`"), hint))
}

/// The extra column of each symbol; nulls where a symbol does not have it.
fn extra_columns(bars: &Bars, name: &str) -> impl Iterator<Item = Vec<f64>> {
    bars.symbols().iter().map(move |symbol| match symbol.extra(name) {
        Some(values) => values.to_vec(),
        None => vec![NULL; symbol.len()],
    })
}

/// Refuses a setting below its minimum by name.
fn at_least(minimum: usize, setting: &str, value: usize) -> Result<(), String> {
    if value < minimum {
        return Err(format!("`{setting}` is {value}; write a number of bars of at least {minimum}"));
    }
    Ok(())
}

/// Refuses a list of lags that is empty or holds a 0.
fn check_lags(lags: &[usize]) -> Result<(), String> {
    if lags.is_empty() {
        return Err("`lags` is empty; write at least one number of bars, such as [1]".into());
    }
    lags.iter().try_for_each(|lag| at_least(1, "lags", *lag))
}

/// Refuses a choice of columns that is empty or names one twice.
fn check_columns<Column: Copy + PartialEq>(
    columns: &[Column],
    name: fn(Column) -> &'static str,
) -> Result<(), String> {
    let twice = columns.iter().enumerate().find(|(index, column)| columns[..*index].contains(column));
    match twice {
        _ if columns.is_empty() => {
            Err("`columns` is empty; name at least one, or leave it out for all".into())
        }
        Some((_, column)) => Err(format!("`columns` names `{}` twice; remove one", name(*column))),
        None => Ok(()),
    }
}

/// A column's name with the mark of its relative form.
fn stem(name: String, relative: bool) -> String {
    if relative { name + "_relative" } else { name }
}

/// A ratio; null where the denominator is zero.
fn ratio(numerator: f64, denominator: f64) -> f64 {
    if denominator == 0.0 { NULL } else { numerator / denominator }
}

/// A price level, or with `relative` its distance from the row's close as a share of that close.
fn price_level(level: Vec<f64>, close: &[f64], relative: bool) -> Vec<f64> {
    if !relative {
        return level;
    }
    level.iter().zip(close).map(|(level, close)| (level - close) / close).collect()
}

/// A difference of prices, or with `relative` that difference as a share of the row's close.
fn price_difference(difference: Vec<f64>, close: &[f64], relative: bool) -> Vec<f64> {
    if !relative {
        return difference;
    }
    difference.iter().zip(close).map(|(difference, close)| difference / close).collect()
}
