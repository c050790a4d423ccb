//! What costs change from bar to bar, computed once for each symbol.

use super::{Cost, CostConfig, rates};
use crate::domains::market::rolling;
use crate::table::SymbolBars;
use crate::units::YEAR_NANOSECONDS;

/// Each column is empty or has a value for each bar of the symbol, which is known at the close of that bar.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CostColumns {
    /// Half the spread over the mid price.
    pub spread_rate: Vec<f64>,
    /// Slippage rate of a unit of quantity.
    pub linear_slippage: Vec<f64>,
    /// Slippage rate of a squared unit of quantity.
    pub quadratic_slippage: Vec<f64>,
    /// Impact rate of the square root of a unit of quantity.
    pub square_root_impact: Vec<f64>,
    /// Gas of a transaction in quote currency.
    pub gas: Vec<f64>,
    /// Units of the asset in the pool.
    pub pool_reserve: Vec<f64>,
    /// Funding rate of the bar; 0 where none is paid.
    pub funding: Vec<f64>,
}

impl CostColumns {
    /// The columns of one symbol.
    pub(super) fn new(costs: &[CostConfig], symbol: &SymbolBars) -> Result<CostColumns, String> {
        let mut columns = CostColumns::default();
        for cost in costs {
            cost.build().columns(symbol, &mut columns)?;
        }
        Ok(columns)
    }

    /// Whether any column is a cost of fills.
    pub(super) fn price_fills(&self) -> bool {
        let columns = [
            &self.spread_rate,
            &self.linear_slippage,
            &self.quadratic_slippage,
            &self.square_root_impact,
            &self.gas,
            &self.pool_reserve,
        ];
        columns.iter().any(|column| !column.is_empty())
    }
}

/// What carrying a position takes at the close of each bar, over `quantity x close`. A column is empty where nothing is
/// taken.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CarryRates {
    /// Paid by long positions and received by short ones; the other way round where negative.
    pub funding: Vec<f64>,
    /// Paid by short positions.
    pub borrow: Vec<f64>,
}

impl CarryRates {
    /// See [`super::carry_rates`].
    pub(super) fn new(
        costs: &[CostConfig],
        symbol: &SymbolBars,
        periods_per_year: Option<f64>,
    ) -> Result<CarryRates, String> {
        let mut columns = CostColumns::default();
        for cost in costs {
            if let CostConfig::Funding(funding) = cost {
                funding.columns(symbol, &mut columns)?;
            }
        }
        let annual = rates(costs).borrow_rate;
        let times = symbol.time();
        let a_bar = |row: usize| match (periods_per_year, row) {
            (Some(periods), _) => annual / periods,
            // A single bar does not tell how many there are in a year; the next one catches up with it.
            (None, 0) => 0.0,
            (None, row) => {
                let distance = (times[row].0 - times[0].0) as f64;
                annual / (row as f64 * (YEAR_NANOSECONDS as f64 / distance))
            }
        };
        let borrow = if annual == 0.0 { Vec::new() } else { (0..times.len()).map(a_bar).collect() };
        Ok(CarryRates { funding: columns.funding, borrow })
    }
}

/// Adds values to a column.
pub(super) fn add(column: &mut Vec<f64>, values: impl Iterator<Item = f64>) {
    if column.is_empty() {
        column.extend(values);
    } else {
        column.iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
    }
}

/// An extra column as it is. `key` is the setting that names it.
pub(super) fn require<'a>(symbol: &'a SymbolBars, key: &str, name: &str) -> Result<&'a [f64], String> {
    symbol.extra(name).ok_or_else(|| {
        let there: Vec<&str> = symbol.extras().keys().map(String::as_str).collect();
        let there = if there.is_empty() { "none".to_owned() } else { there.join(", ") };
        format!(
            "costs: {key} reads the extra column `{name}`, which {} does not have (there: {there}); name it under \
             data.columns: {{extra: {{{name}: its_name_in_the_file}}}}",
            symbol.symbol()
        )
    })
}

/// An extra column of finite numbers, not negative; a null is the value before it.
pub(super) fn known(symbol: &SymbolBars, key: &str, name: &str) -> Result<Vec<f64>, String> {
    let mut values = require(symbol, key, name)?.to_vec();
    for row in 0..values.len() {
        if row > 0 && values[row].is_nan() {
            values[row] = values[row - 1];
        }
        if !(values[row].is_finite() && values[row] >= 0.0) {
            let (found, remedy) = if values[row].is_nan() {
                ("null".to_owned(), "begin data.range later")
            } else {
                (values[row].to_string(), "mend the data")
            };
            return Err(format!(
                "costs: {key}: {name} of {} is {found} at row {row} ({}), expected a finite number, not negative; \
                 {remedy}",
                symbol.symbol(),
                symbol.time()[row]
            ));
        }
    }
    Ok(values)
}

/// The volume of the last bar that had any, in units of the asset.
pub(super) fn available_volume(symbol: &SymbolBars, cost: &str) -> Result<Vec<f64>, String> {
    let mut volumes = symbol.volume().to_vec();
    for row in 1..volumes.len() {
        if volumes[row] == 0.0 {
            volumes[row] = volumes[row - 1];
        }
    }
    if volumes[0] > 0.0 {
        return Ok(volumes);
    }
    let found = match volumes.iter().position(|volume| *volume > 0.0) {
        Some(row) => format!(
            "{} has no volume before row {row} ({}); begin data.range there",
            symbol.symbol(),
            symbol.time()[row]
        ),
        None => format!("{} has none; name its column under data.columns.volume", symbol.symbol()),
    };
    Err(format!("costs: {cost} reads the volume of bars, but {found}, or remove the cost"))
}

/// The mean of the last `bars` values at each row; of those there are where they are fewer.
pub(super) fn trailing_mean(values: &[f64], bars: usize) -> Vec<f64> {
    let mut sum = 0.0;
    let short = bars.saturating_sub(1).min(values.len());
    let mut means: Vec<f64> = values[..short]
        .iter()
        .enumerate()
        .map(|(row, value)| {
            sum += value;
            sum / (row + 1) as f64
        })
        .collect();
    means.extend(
        rolling::fold(values, bars, |earlier, later| earlier + later).iter().map(|sum| sum / bars as f64),
    );
    means
}

/// The default of a multiple.
pub(super) fn one() -> f64 {
    1.0
}

/// Whether a multiple need not be written.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands over a reference to the field")]
pub(super) fn is_one(multiple: &f64) -> bool {
    *multiple == 1.0
}
