//! From bars to a Parquet file of ours.

use super::DataError;
use crate::rundir::{Column, TableFile};
use crate::table::{Bars, NULL};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

/// Writes timestamp[ns, UTC], symbol, open, high, low, close, volume and every extra column under its name, by symbol, then
/// time; zstd; whole or not at all.
/// [`super::load`] gives the same bars back.
///
/// # Errors
/// A file that cannot be written.
pub fn write_bars(bars: &Bars, path: &Path) -> Result<(), DataError> {
    let symbols = bars.symbols();
    let floats = |column: fn(&crate::table::SymbolBars) -> &[f64]| {
        Column::Float(symbols.iter().flat_map(|symbol| column(symbol).iter().copied()).collect())
    };
    let times = symbols.iter().flat_map(|symbol| symbol.time().iter().copied()).collect();
    let names =
        symbols.iter().flat_map(|symbol| std::iter::repeat_n(Arc::from(symbol.symbol()), symbol.len()));
    let extras: BTreeSet<&String> = symbols.iter().flat_map(|symbol| symbol.extras().keys()).collect();
    let mut table = TableFile::default()
        .with("timestamp", Column::Time(times))
        .with("symbol", Column::Text(names.collect()))
        .with("open", floats(crate::table::SymbolBars::open))
        .with("high", floats(crate::table::SymbolBars::high))
        .with("low", floats(crate::table::SymbolBars::low))
        .with("close", floats(crate::table::SymbolBars::close))
        .with("volume", floats(crate::table::SymbolBars::volume));
    for name in extras {
        let values = symbols.iter().flat_map(|symbol| match symbol.extra(name) {
            Some(values) => values.to_vec(),
            None => vec![NULL; symbol.len()],
        });
        table = table.with(name, Column::Float(values.collect()));
    }
    Ok(table.write(path)?)
}
