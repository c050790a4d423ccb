//! From Parquet columns of any sensible type to [`Rows`].

use super::DataError;
use super::config::{DataConfig, TimeUnit};
use super::epoch::{Implausible, check_count};
use super::layout::{Layout, Prices, Source};
use super::parquet_file::ParquetFile;
use super::rows::{NO_SYMBOL, NO_TIME, Rows};
use super::time_zone::Zone;
use crate::table::NULL;
use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type, Int64Type, TimeUnit as ArrowUnit};
use arrow::util::display::array_value_to_string;
use std::path::{Path, PathBuf};

/// Reads the rows of these files as the configuration says.
pub(super) fn read_rows(config: &DataConfig, files: &[PathBuf]) -> Result<Rows, DataError> {
    let zone = Zone::named(&config.time_zone)?;
    let mut rows = Rows { files: files.to_vec(), ..Rows::default() };
    let mut first: Option<(PathBuf, String)> = None;
    for (index, path) in files.iter().enumerate() {
        let file = ParquetFile::open(path)?;
        let layout = Layout::of(path, file.schema(), &config.columns)?;
        let parts = layout.parts();
        match &first {
            Some((other, expected)) if *expected != parts => {
                let found = format!("it has {parts}, but {} has {expected}", other.display());
                let remedy = "load files of one kind together, or map their columns under data.columns";
                return Err(DataError::file(path, found, remedy));
            }
            _ => first = Some((path.clone(), parts)),
        }
        if let (Some(column), Some(name)) = (layout.symbol, &config.symbol) {
            let found = format!("{} has a column `{}`", path.display(), file.schema().field(column).name());
            return Err(DataError::setting(
                "data.symbol",
                format!("`{name}`, but {found}"),
                "leave data.symbol out; data.symbols chooses among those of the column",
            ));
        }
        let default = config.symbol.clone().unwrap_or_else(|| stem(path));
        if let (Prices::Series(_), Some(name)) = (&layout.prices, &config.symbol) {
            return Err(DataError::setting(
                "data.symbol",
                format!("`{name}`, but data.columns.series name their symbols themselves"),
                "leave data.symbol out; data.symbols chooses among the series",
            ));
        }
        append(&mut rows, index, &file, &layout, &Choice { zone: &zone, default: &default })?;
    }
    Ok(rows)
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// What a file does not say by itself.
pub(super) struct Choice<'a> {
    pub(super) zone: &'a Zone,
    /// The symbol of a file without such a column.
    pub(super) default: &'a str,
}

/// Appends the rows of one file, which is number `index` of `rows.files`.
pub(super) fn append(
    rows: &mut Rows,
    index: usize,
    file: &ParquetFile,
    layout: &Layout,
    choice: &Choice<'_>,
) -> Result<(), DataError> {
    append_batches(rows, (index, file), layout, choice, |_| Ok(()))
}

/// As [`append`], of the file with its number, and hands the rows over after each batch: who empties them then holds
/// only one batch at a time.
pub(super) fn append_batches(
    rows: &mut Rows,
    (index, file): (usize, &ParquetFile),
    layout: &Layout,
    choice: &Choice<'_>,
    mut take: impl FnMut(&mut Rows) -> Result<(), DataError>,
) -> Result<(), DataError> {
    let path = rows.files[index].clone();
    let indices = layout.indices();
    rows.closes_only = matches!(layout.prices, Prices::Closes(_));
    rows.series = matches!(layout.prices, Prices::Series(_));
    rows.has_volume = layout.volume.is_some();
    rows.extras.resize(layout.extras.len(), Vec::new());
    file.read(&indices, |batch, first_row| {
        let reader = BatchReader { path: &path, batch, indices: &indices, first_row };
        let place = |rows: &mut Rows| {
            rows.file.extend(std::iter::repeat_n(index as u32, batch.num_rows()));
            rows.row.extend((first_row..first_row + batch.num_rows()).map(|row| row as u64));
        };
        if let Prices::Series(series) = &layout.prices {
            for column in series {
                reader.times(rows, layout, choice.zone)?;
                reader.series(rows, *column)?;
                place(rows);
            }
            return Ok(());
        }
        reader.times(rows, layout, choice.zone)?;
        reader.symbols(rows, layout, choice.default)?;
        reader.prices(rows, layout)?;
        for (column, extra) in rows.extras.iter_mut().zip(&layout.extras) {
            reader.extend(column, Source::Column(*extra))?;
        }
        place(rows);
        take(rows)
    })
}

struct BatchReader<'a> {
    path: &'a Path,
    batch: &'a RecordBatch,
    /// Which columns of the file the batch holds, ascending.
    indices: &'a [usize],
    first_row: usize,
}

impl BatchReader<'_> {
    fn array(&self, index: usize) -> (String, &ArrayRef) {
        let position = self.indices.partition_point(|candidate| *candidate < index);
        (self.batch.schema().field(position).name().clone(), self.batch.column(position))
    }

    fn prices(&self, rows: &mut Rows, layout: &Layout) -> Result<(), DataError> {
        let count = self.batch.num_rows();
        match &layout.prices {
            Prices::Bars(sources) => {
                for (column, source) in rows.numbers.iter_mut().zip(sources) {
                    self.extend(column, *source)?;
                }
            }
            Prices::Closes(source) => {
                for column in &mut rows.numbers[..4] {
                    self.extend(column, *source)?;
                }
            }
            // Series are read one by one, by `series`.
            Prices::Absent | Prices::Series(_) => {
                for column in &mut rows.numbers[..4] {
                    column.extend(std::iter::repeat_n(NULL, count));
                }
            }
        }
        match layout.volume {
            Some(index) => self.extend(&mut rows.numbers[4], Source::Column(index)),
            None => {
                rows.numbers[4].extend(std::iter::repeat_n(0.0, count));
                Ok(())
            }
        }
    }

    /// One series as bars of a symbol of its name.
    fn series(&self, rows: &mut Rows, index: usize) -> Result<(), DataError> {
        let code = rows.names.code(&self.array(index).0);
        rows.symbol.extend(std::iter::repeat_n(code, self.batch.num_rows()));
        for column in &mut rows.numbers[..4] {
            self.extend(column, Source::Column(index))?;
        }
        rows.numbers[4].extend(std::iter::repeat_n(0.0, self.batch.num_rows()));
        Ok(())
    }

    fn extend(&self, column: &mut Vec<f64>, source: Source) -> Result<(), DataError> {
        match source {
            Source::Column(index) => extend_numbers(column, &self.numbers(index)?),
            Source::Mid(bid, ask) => {
                let start = column.len();
                extend_numbers(column, &self.numbers(bid)?);
                let mut other = Vec::with_capacity(self.batch.num_rows());
                extend_numbers(&mut other, &self.numbers(ask)?);
                for (value, ask) in column[start..].iter_mut().zip(other) {
                    *value = 0.5 * (*value + ask);
                }
            }
        }
        Ok(())
    }

    /// The column as f64.
    fn numbers(&self, index: usize) -> Result<ArrayRef, DataError> {
        let (name, array) = self.array(index);
        if *array.data_type() == DataType::Float64 {
            return Ok(array.clone());
        }
        if !is_number(array.data_type()) {
            let remedy = match text_type(array.data_type()) {
                true => {
                    "store it as a number (float64) in the source; `candlewick data import` does so from CSV"
                }
                false => "choose a column of numbers under data.columns",
            };
            return Err(self.wrong_type(&name, array, "a number", remedy));
        }
        cast(array, &DataType::Float64)
            .map_err(|error| self.column_error(&name, error.to_string(), "store it as float64 in the source"))
    }

    fn symbols(&self, rows: &mut Rows, layout: &Layout, default: &str) -> Result<(), DataError> {
        let count = self.batch.num_rows();
        let Some(index) = layout.symbol else {
            let code = rows.names.code(default);
            rows.symbol.extend(std::iter::repeat_n(code, count));
            return Ok(());
        };
        let (name, array) = self.array(index);
        let kind = array.data_type();
        let plain =
            text_type(kind) || kind.is_integer() || matches!(kind, DataType::Binary | DataType::LargeBinary);
        let plain = plain || matches!(kind, DataType::Dictionary(_, value) if value.is_integer());
        if !plain {
            return Err(self.wrong_type(
                &name,
                array,
                "a text",
                "choose another column under data.columns.symbol",
            ));
        }
        let text = cast(array, &DataType::Utf8)
            .map_err(|error| self.column_error(&name, error.to_string(), "store symbols as text"))?;
        let text = text.as_string::<i32>();
        let mut last: Option<(&str, u32)> = None;
        for row in 0..count {
            if text.is_null(row) || text.value(row).is_empty() {
                rows.symbol.push(NO_SYMBOL);
                continue;
            }
            let symbol = text.value(row);
            let code = match last {
                Some((same, code)) if same == symbol => code,
                _ => rows.names.code(symbol),
            };
            last = Some((symbol, code));
            rows.symbol.push(code);
        }
        Ok(())
    }

    fn times(&self, rows: &mut Rows, layout: &Layout, zone: &Zone) -> Result<(), DataError> {
        let (name, array) = self.array(layout.timestamp);
        let (factor, local) = self.unit(&name, array, layout.unit)?;
        let counts = cast(array, &DataType::Int64)
            .map_err(|error| self.column_error(&name, error.to_string(), "store times as timestamps"))?;
        let counts = counts.as_primitive::<Int64Type>();
        let unit = layout.unit.filter(|_| array.data_type().is_integer());
        for row in 0..counts.len() {
            let start = rows.time.len();
            let time = if counts.is_null(row) {
                Ok(NO_TIME)
            } else {
                let count = counts.value(row);
                self.check_unit(&name, row, count, unit)?
                    .map_or_else(|| zone.instant(count, factor, local), Err)
            };
            rows.time.push(time.unwrap_or_else(|problem| {
                rows.time_problems.push((start, problem));
                NO_TIME
            }));
        }
        Ok(())
    }

    /// Nanoseconds of one count, and whether it counts a clock on a wall rather than instants.
    fn unit(&self, name: &str, array: &ArrayRef, unit: Option<TimeUnit>) -> Result<(i64, bool), DataError> {
        Ok(match array.data_type() {
            DataType::Timestamp(unit, zone) => {
                let factor = match unit {
                    ArrowUnit::Second => TimeUnit::S,
                    ArrowUnit::Millisecond => TimeUnit::Ms,
                    ArrowUnit::Microsecond => TimeUnit::Us,
                    ArrowUnit::Nanosecond => TimeUnit::Ns,
                };
                (factor.nanoseconds(), zone.is_none())
            }
            DataType::Date32 => (86_400 * TimeUnit::S.nanoseconds(), true),
            DataType::Date64 => (TimeUnit::Ms.nanoseconds(), true),
            kind if kind.is_integer() => match unit {
                Some(unit) => (unit.nanoseconds(), false),
                None => return Err(self.unit_missing(name, array)),
            },
            _ => {
                let remedy = "store it as a timestamp in the source (pandas: pd.to_datetime), or choose another column under data.columns.timestamp";
                return Err(self.wrong_type(name, array, "a timestamp, a date or an integer", remedy));
            }
        })
    }

    /// What makes a single count no time. A count that another unit would make a time is an error of the column.
    fn check_unit(
        &self,
        name: &str,
        row: usize,
        count: i64,
        unit: Option<TimeUnit>,
    ) -> Result<Option<String>, DataError> {
        let Some(Err(Implausible { found, better })) = unit.map(|unit| check_count(count, unit)) else {
            return Ok(None);
        };
        let Some((unit, time)) = better else { return Ok(Some(found)) };
        let unit = unit.name();
        let remedy = format!(
            "write data.columns: {{timestamp: {{column: {name}, unit: {unit}}}}}, which makes it {}",
            time.date()
        );
        Err(self.column_error(name, format!("row {}: {found}", self.first_row + row), &remedy))
    }

    fn unit_missing(&self, name: &str, array: &ArrayRef) -> DataError {
        let first = cast(array, &DataType::Int64)
            .ok()
            .and_then(|counts| counts.as_primitive::<Int64Type>().iter().flatten().next());
        let guess = TimeUnit::guess(first.unwrap_or_default()).name();
        let found = format!("integers ({}) of which the unit is not said", first.unwrap_or_default());
        let remedy = format!(
            "write data.columns: {{timestamp: {{column: {name}, unit: {guess}}}}} (s, ms, us or ns; {guess} looks right)"
        );
        self.column_error(name, found, &remedy)
    }

    fn wrong_type(&self, name: &str, array: &ArrayRef, expected: &str, remedy: &str) -> DataError {
        let example = (0..array.len()).find(|row| array.is_valid(*row)).map(|row| {
            let value = array_value_to_string(array, row).unwrap_or_else(|_| "(not printable)".into());
            format!(", row {} holds `{}`", self.first_row + row, value.chars().take(40).collect::<String>())
        });
        let found = format!(
            "the type is {}{}; expected {expected}",
            type_name(array.data_type()),
            example.unwrap_or_default()
        );
        self.column_error(name, found, remedy)
    }

    fn column_error(&self, name: &str, found: String, remedy: &str) -> DataError {
        DataError::Column { path: self.path.into(), column: name.into(), found, remedy: remedy.into() }
    }
}

fn extend_numbers(column: &mut Vec<f64>, array: &ArrayRef) {
    let values = array.as_primitive::<Float64Type>();
    if values.null_count() == 0 {
        column.extend_from_slice(values.values());
    } else {
        column.extend(values.iter().map(|value| value.unwrap_or(NULL)));
    }
}

fn is_number(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, value) => is_number(value),
        _ => kind.is_numeric(),
    }
}

fn text_type(kind: &DataType) -> bool {
    match kind {
        DataType::Dictionary(_, value) => text_type(value),
        _ => matches!(kind, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View),
    }
}

/// A type as people call it: `text`, `list of float64`.
pub(super) fn type_name(kind: &DataType) -> String {
    match kind {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".into(),
        DataType::Dictionary(_, value) => format!("{} (dictionary)", type_name(value)),
        DataType::List(item) | DataType::LargeList(item) => {
            format!("list of {}", type_name(item.data_type()))
        }
        DataType::Struct(_) => "nested columns (struct)".into(),
        DataType::Timestamp(unit, zone) => {
            let unit = match unit {
                ArrowUnit::Second => "s",
                ArrowUnit::Millisecond => "ms",
                ArrowUnit::Microsecond => "us",
                ArrowUnit::Nanosecond => "ns",
            };
            format!("timestamp[{unit}, {}]", zone.as_deref().unwrap_or("no zone"))
        }
        DataType::Decimal128(digits, scale) | DataType::Decimal256(digits, scale) => {
            format!("decimal({digits}, {scale})")
        }
        other => other.to_string().to_lowercase(),
    }
}
