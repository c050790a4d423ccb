//! Cost: gas of each transaction.

use super::columns::{CostColumns, add, known, trailing_mean};
use super::{Cost, CostConfig, CostRates, not_negative};
use crate::table::SymbolBars;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;
use std::fmt;

/// One gwei in units of the chain's token.
const GWEI: f64 = 1e-9;

/// Each fill is one transaction and pays `units x price x 1e-9 x token_price`, or `cost` as it is.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gas {
    /// What a transaction costs, in quote currency; instead of the three below.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cost: Option<GasSource>,
    /// Units of gas that a transaction uses: a swap about 150000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.0))]
    pub units: Option<f64>,
    /// Price of a unit in gwei.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price: Option<GasSource>,
    /// Price of the token in which the chain is paid, in quote currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_price: Option<GasSource>,
    /// By which the result is multiplied. Default 1.
    #[serde(default = "super::columns::one", skip_serializing_if = "super::columns::is_one")]
    #[schemars(range(min = 0.0))]
    pub multiple: f64,
}

/// Where a number comes from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum GasSource {
    /// The same always.
    Constant(f64),
    /// An extra column of the data.
    Column(String),
    /// The mean of an extra column over the last bars; of those there are where they are fewer.
    RunningMean {
        /// The extra column.
        column: String,
        /// Bars, at least 1.
        #[schemars(range(min = 1))]
        bars: usize,
    },
    /// A quantile of an extra column over the last bars, linear between values: for who pays more than most to be sure.
    Percentile {
        /// The extra column.
        column: String,
        /// Share of values below it: 0.9 is the 90th percentile.
        #[schemars(range(min = 0.0, max = 1.0))]
        share: f64,
        /// Bars, at least 1.
        #[schemars(range(min = 1))]
        bars: usize,
    },
}

impl Default for Gas {
    fn default() -> Self {
        Gas {
            cost: Some(GasSource::Constant(1.0)),
            units: None,
            price: None,
            token_price: None,
            multiple: 1.0,
        }
    }
}

impl fmt::Display for GasSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            GasSource::Constant(value) => write!(f, "{value}"),
            GasSource::Column(column) => write!(f, "the column {column}"),
            GasSource::RunningMean { column, bars } => write!(f, "the mean of {column} over {bars} bars"),
            GasSource::Percentile { column, share, bars } => {
                write!(f, "the {} % quantile of {column} over {bars} bars", share * 100.0)
            }
        }
    }
}

impl fmt::Display for Gas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.cost, self.units, &self.price, &self.token_price) {
            (Some(cost), ..) => write!(f, "gas of {cost} a transaction"),
            (None, Some(units), Some(price), Some(token)) => {
                write!(f, "gas of {units} units a transaction at {price} gwei, the token at {token}")
            }
            _ => write!(f, "no gas"),
        }
    }
}

impl GasSource {
    fn check(&self, key: &str) -> Result<(), String> {
        match self {
            GasSource::Constant(value) => not_negative(&format!("{key}.constant"), *value, ""),
            GasSource::RunningMean { bars: 0, .. } => {
                Err(format!("costs: {key}.running_mean.bars is 0, expected 1 or more"))
            }
            GasSource::Percentile { bars: 0, .. } => {
                Err(format!("costs: {key}.percentile.bars is 0, expected 1 or more"))
            }
            GasSource::Percentile { share, .. } if !(0.0..=1.0).contains(share) => {
                Err(format!("costs: {key}.percentile.share is {share}, expected 0 to 1"))
            }
            _ => Ok(()),
        }
    }

    /// Its values, bar by bar.
    fn values(&self, symbol: &SymbolBars, key: &str) -> Result<Vec<f64>, String> {
        Ok(match self {
            GasSource::Constant(value) => vec![*value; symbol.len()],
            GasSource::Column(column) => known(symbol, key, column)?,
            GasSource::RunningMean { column, bars } => trailing_mean(&known(symbol, key, column)?, *bars),
            GasSource::Percentile { column, share, bars } => {
                trailing_quantile(&known(symbol, key, column)?, *share, *bars)
            }
        })
    }
}

impl Cost for Gas {
    fn check(&self) -> Result<(), String> {
        let three = [self.units.is_some(), self.price.is_some(), self.token_price.is_some()];
        let complete = match self.cost {
            Some(_) => !three.contains(&true),
            None => !three.contains(&false),
        };
        if !complete {
            return Err("costs: gas wants gas.cost alone, or gas.units, gas.price and gas.token_price".into());
        }
        not_negative("gas.units", self.units.unwrap_or_default(), " units of gas")?;
        not_negative("gas.multiple", self.multiple, "")?;
        let sources =
            [("gas.cost", &self.cost), ("gas.price", &self.price), ("gas.token_price", &self.token_price)];
        for (key, source) in sources {
            source.as_ref().map_or(Ok(()), |source| source.check(key))?;
        }
        Ok(())
    }

    fn lower(&self, rates: &mut CostRates) {
        rates.beyond_linear.push("gas");
    }

    fn columns(&self, symbol: &SymbolBars, columns: &mut CostColumns) -> Result<(), String> {
        if let Some(cost) = &self.cost {
            let costs = cost.values(symbol, "gas.cost")?;
            add(&mut columns.gas, costs.iter().map(|cost| cost * self.multiple));
        }
        if let (Some(units), Some(price), Some(token)) = (self.units, &self.price, &self.token_price) {
            let prices = price.values(symbol, "gas.price")?;
            let tokens = token.values(symbol, "gas.token_price")?;
            let cost = |(price, token): (&f64, &f64)| units * price * GWEI * token * self.multiple;
            add(&mut columns.gas, prices.iter().zip(&tokens).map(cost));
        }
        Ok(())
    }

    fn scaled(&self, multiple: f64) -> CostConfig {
        CostConfig::Gas(Gas { multiple: self.multiple * multiple, ..self.clone() })
    }
}

/// The quantile of the last `bars` values at each row, of those there are where they are fewer: linear between the sorted
/// values at `share x (count - 1)`.
fn trailing_quantile(values: &[f64], share: f64, bars: usize) -> Vec<f64> {
    let (mut window, mut sorted) = (VecDeque::new(), Vec::new());
    let mut quantiles = Vec::with_capacity(values.len());
    for value in values {
        window.push_back(*value);
        sorted.insert(sorted.partition_point(|other| other < value), *value);
        if window.len() > bars
            && let Some(oldest) = window.pop_front()
        {
            sorted.remove(sorted.partition_point(|other| *other < oldest));
        }
        let place = share * (sorted.len() - 1) as f64;
        let (low, high) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
        quantiles.push(low + (high - low) * (place - place.floor()));
    }
    quantiles
}
