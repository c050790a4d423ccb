//! The table in which depth is kept, measured or made up.

use crate::data::DataError;
use crate::data::config::{ColumnsConfig, ExtraColumn, PriceColumn, Resampling};
use crate::rundir::{Column, TableFile};
use crate::units::Time;
use std::path::Path;
use std::sync::Arc;

/// Rows of `timestamp, symbol, mid_price, buy_volume, sell_volume, blr`, by symbol, then time. NaN is null.
#[derive(Clone, Debug, Default)]
pub(crate) struct DepthTable {
    pub(crate) time: Vec<Time>,
    pub(crate) symbol: Vec<Arc<str>>,
    /// Mean of best bid and best ask.
    pub(crate) mid_price: Vec<f64>,
    /// Units wanted close to the mid price.
    pub(crate) buy_volume: Vec<f64>,
    /// Units for sale close to the mid price.
    pub(crate) sell_volume: Vec<f64>,
    /// Bid to ask ratio of the volumes; null where nothing is for sale.
    pub(crate) blr: Vec<f64>,
}

impl DepthTable {
    /// Writes the table, whole or not at all.
    pub(crate) fn write(self, path: &Path) -> Result<(), DataError> {
        let table = TableFile::default()
            .with("timestamp", Column::Time(self.time))
            .with("symbol", Column::Text(self.symbol))
            .with("mid_price", Column::Float(self.mid_price))
            .with("buy_volume", Column::Float(self.buy_volume))
            .with("sell_volume", Column::Float(self.sell_volume))
            .with("blr", Column::Float(self.blr));
        Ok(table.write(path)?)
    }
}

/// `data.columns` with which a table of depth loads: the mid price as the close, the rest as extra columns of their names.
pub fn depth_columns() -> ColumnsConfig {
    let close = Some(PriceColumn::Name("mid_price".into()));
    ColumnsConfig { close, ..book_columns() }
}

/// `data.columns` of bars that have the columns of depth beside them.
pub(crate) fn book_columns() -> ColumnsConfig {
    let extra =
        |name: &str| (name.to_owned(), ExtraColumn { column: name.to_owned(), resample: Resampling::Last });
    let extra = ["blr", "buy_volume", "sell_volume"].map(extra).into_iter().collect();
    ColumnsConfig { extra, ..ColumnsConfig::default() }
}
