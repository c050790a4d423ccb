//! Snapshots from the levels of a book in Parquet.

use super::counts::PriceLike;
use super::{DepthOptions, Snapshot, Snapshots, default_symbol};
use crate::data::config::ColumnsConfig;
use crate::data::layout::Layout;
use crate::data::parquet_file::ParquetFile;
use crate::data::read::{Choice, append_batches};
use crate::data::rows::{NO_SYMBOL, NO_TIME, Rows};
use crate::data::time_zone::Zone;
use crate::data::{DataError, TimestampColumn};
use arrow::datatypes::Schema;
use std::path::Path;

/// The columns of a level, in the order in which they are read.
const PARTS: [&str; 4] = ["bid_px", "bid_qty", "ask_px", "ask_qty"];

/// Reads every snapshot of a file.
pub(super) fn read(path: &Path, options: &DepthOptions, snapshots: &mut Snapshots) -> Result<(), DataError> {
    let file = ParquetFile::open(path)?;
    let mut columns = ColumnsConfig::default();
    if file.schema().field_with_name("timestamp").is_ok_and(|field| field.data_type().is_integer()) {
        let unit = options.unit.ok_or_else(|| DataError::Column {
            path: path.into(),
            column: "timestamp".into(),
            found: "integers of which the unit is not said".into(),
            remedy: "say what they count with --time-unit s, ms, us or ns".into(),
        })?;
        columns.timestamp = Some(TimestampColumn { column: "timestamp".into(), unit: Some(unit) });
    }
    let mut layout = Layout::times_only(path, file.schema(), &columns)?;
    layout.extras = level_columns(path, file.schema())?;
    let default = default_symbol(path, options);
    let zone = Zone::named("UTC")?;
    let mut rows = Rows { files: vec![path.into()], ..Rows::default() };
    let mut like_prices = PriceLike::default();
    let choice = Choice { zone: &zone, default: &default };
    append_batches(&mut rows, (0, &file), &layout, &choice, |rows| {
        for row in 0..rows.len() {
            let (time, symbol) = moment(rows, row)?;
            let symbol = snapshots.names.code(&symbol);
            snapshots.counts.read += 1;
            let book = Book { rows, row, within: options.within_percent / 100.0 };
            if let Some(measured) = book.measure(snapshots)? {
                like_prices.take(|| rows.place(row), measured.mid_price, measured.volumes);
                let [buy_volume, sell_volume] = measured.volumes;
                let mid_price = measured.mid_price;
                snapshots.rows.push(Snapshot { time, symbol, mid_price, buy_volume, sell_volume });
            }
        }
        rows.clear();
        Ok(())
    })?;
    like_prices.check(path)
}

/// The columns of all levels, level by level.
fn level_columns(path: &Path, schema: &Schema) -> Result<Vec<usize>, DataError> {
    let mut found = Vec::new();
    for level in 1.. {
        let names = PARTS.map(|part| format!("{part}_{level}"));
        let indices = names.clone().map(|name| schema.index_of(&name).ok());
        if indices.iter().all(Option::is_none) && level > 1 {
            break;
        }
        for (name, index) in names.iter().zip(indices) {
            found.push(index.ok_or_else(|| missing(path, schema, name))?);
        }
    }
    Ok(found)
}

fn missing(path: &Path, schema: &Schema, name: &str) -> DataError {
    let mut names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).take(8).collect();
    if schema.fields().len() > names.len() {
        names.push("...");
    }
    let remedy = match schema.index_of("mid_price") {
        Ok(_) => "these are no levels of a book; a table of depth needs no ingest, load it as it is",
        Err(_) => {
            "name the levels bid_px_1, bid_qty_1, ask_px_1, ask_qty_1, bid_px_2 ... from the best one on"
        }
    };
    DataError::Column {
        path: path.into(),
        column: name.into(),
        found: format!("there is no such column; the file has {}", names.join(", ")),
        remedy: remedy.into(),
    }
}

/// Time and symbol of a row.
fn moment(rows: &Rows, row: usize) -> Result<(i64, String), DataError> {
    if rows.time[row] == NO_TIME {
        let problem = rows.time_problems.iter().find(|(place, _)| *place == row);
        let found = problem.map_or_else(|| "no time".to_owned(), |(_, found)| found.clone());
        return Err(rows.error(row, "timestamp", found, "every snapshot needs its time; repair the source"));
    }
    if rows.symbol[row] == NO_SYMBOL {
        return Err(rows.error(
            row,
            "symbol",
            "no symbol".into(),
            "every snapshot needs a symbol; repair the source",
        ));
    }
    Ok((rows.time[row], rows.names.all()[rows.symbol[row] as usize].clone()))
}

/// One row of levels.
struct Book<'a> {
    rows: &'a Rows,
    row: usize,
    /// Levels count up to this share of the mid price away from it.
    within: f64,
}

/// What a book says.
struct Measured {
    mid_price: f64,
    /// Bought and sold.
    volumes: [f64; 2],
}

/// The levels of one side, from the best on.
struct Side {
    levels: Vec<(f64, f64)>,
}

impl Book<'_> {
    /// Mid price and volumes, or none where the snapshot is dropped.
    fn measure(&self, snapshots: &mut Snapshots) -> Result<Option<Measured>, DataError> {
        let (bids, asks) = (self.side(0, -1.0)?, self.side(2, 1.0)?);
        let (path, place) = (&self.rows.files[0], || self.rows.place(self.row));
        let (Some((bid, _)), Some((ask, _))) = (bids.levels.first(), asks.levels.first()) else {
            let side = if bids.levels.is_empty() { "there is no bid" } else { "there is no ask" };
            snapshots.counts.drop_empty(path, place(), side);
            return Ok(None);
        };
        if bid >= ask {
            snapshots.counts.drop_crossed(path, place(), [*bid, *ask]);
            return Ok(None);
        }
        let mid_price = 0.5 * (bid + ask);
        let (low, high) = (mid_price * (1.0 - self.within), mid_price * (1.0 + self.within));
        let sum = |side: &Side| -> f64 {
            let inside = |(price, _): &&(f64, f64)| (low..=high).contains(price);
            side.levels.iter().filter(inside).map(|(_, quantity)| quantity).sum()
        };
        let deepest = |side: &Side| side.levels.last().map_or(mid_price, |(price, _)| *price);
        // A level at or beyond the limit shows that none within it is missing.
        snapshots.counts.shallow += usize::from(deepest(&bids) > low || deepest(&asks) < high);
        Ok(Some(Measured { mid_price, volumes: [sum(&bids), sum(&asks)] }))
    }

    /// The levels of one side: columns `first` and `first + 1` of [`PARTS`]. Prices must move away from the other side,
    /// upwards if `direction` is positive.
    fn side(&self, first: usize, direction: f64) -> Result<Side, DataError> {
        let mut levels: Vec<(f64, f64)> = Vec::new();
        let mut hole = None;
        for (number, columns) in self.rows.extras.chunks_exact(PARTS.len()).enumerate() {
            let (price, quantity) = (columns[first][self.row], columns[first + 1][self.row]);
            if price.is_nan() && quantity.is_nan() {
                hole.get_or_insert(number);
                continue;
            }
            let fail = |part: usize, found: String, remedy: &str| {
                let column = format!("{}_{}", PARTS[first + part], number + 1);
                Err(self.rows.error(self.row, &column, found, remedy))
            };
            let source = "repair the source; a level that is not there is null";
            if !(price.is_finite() && price > 0.0) {
                return fail(0, format!("the price is {price}; expected a finite, positive one"), source);
            }
            if !(quantity.is_finite() && quantity > 0.0) {
                return fail(
                    1,
                    format!("the quantity is {quantity}; expected a finite, positive one"),
                    source,
                );
            }
            if let Some(hole) = hole {
                let found = format!("a level at {price} behind level {}, which is missing", hole + 1);
                return fail(0, found, "store the levels without holes, from the best on");
            }
            if let Some((before, _)) = levels.last()
                && direction * (price - before) <= 0.0
            {
                let order = if direction > 0.0 { "rise" } else { "fall" };
                let found = format!(
                    "the price {price} follows {before}; expected prices that {order} from the best level on"
                );
                return fail(0, found, "sort the levels of each snapshot");
            }
            levels.push((price, quantity));
        }
        Ok(Side { levels })
    }
}
