//! Result tables as Parquet: named columns, zstd, written at once.

use super::atomic::{RunDirError, write_atomic};
use crate::units::Time;
use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray,
};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, TimeUnit, TimestampNanosecondType};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::path::Path;
use std::sync::Arc;

/// The values of one column.
#[derive(Clone, Debug, PartialEq)]
pub enum Column {
    /// f64; NaN is stored as null.
    Float(Vec<f64>),
    /// i64.
    Integer(Vec<i64>),
    /// Moments, stored as timestamp[ns, UTC].
    Time(Vec<Time>),
    /// utf8.
    Text(Vec<String>),
}

impl Column {
    fn array(&self) -> (DataType, ArrayRef) {
        match self {
            Column::Float(values) => {
                let array: Float64Array =
                    values.iter().map(|value| (!value.is_nan()).then_some(*value)).collect();
                (DataType::Float64, Arc::new(array))
            }
            Column::Integer(values) => (DataType::Int64, Arc::new(Int64Array::from(values.clone()))),
            Column::Time(values) => {
                let array = TimestampNanosecondArray::from_iter_values(values.iter().map(|time| time.0));
                (
                    DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
                    Arc::new(array.with_timezone("UTC")),
                )
            }
            Column::Text(values) => (DataType::Utf8, Arc::new(StringArray::from_iter_values(values))),
        }
    }

    fn from_array(array: &dyn Array) -> Option<Column> {
        Some(match array.data_type() {
            DataType::Float64 => Column::Float(
                array.as_primitive::<Float64Type>().iter().map(|v| v.unwrap_or(f64::NAN)).collect(),
            ),
            DataType::Int64 => Column::Integer(array.as_primitive::<Int64Type>().values().to_vec()),
            DataType::Timestamp(TimeUnit::Nanosecond, _) => Column::Time(
                array.as_primitive::<TimestampNanosecondType>().values().iter().map(|ns| Time(*ns)).collect(),
            ),
            DataType::Utf8 => Column::Text(
                array.as_string::<i32>().iter().map(|text| text.unwrap_or_default().to_owned()).collect(),
            ),
            _ => return None,
        })
    }
}

/// A table of named columns of equal length.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableFile {
    columns: Vec<(String, Column)>,
}

impl TableFile {
    /// Adds a column.
    #[must_use]
    pub fn with(mut self, name: &str, column: Column) -> TableFile {
        self.columns.push((name.to_owned(), column));
        self
    }

    /// The f64 column of that name.
    pub fn float(&self, name: &str) -> Option<&[f64]> {
        self.columns.iter().find_map(|(other, column)| match column {
            Column::Float(values) if other == name => Some(values.as_slice()),
            _ => None,
        })
    }

    /// The i64 column of that name.
    pub fn integer(&self, name: &str) -> Option<&[i64]> {
        self.columns.iter().find_map(|(other, column)| match column {
            Column::Integer(values) if other == name => Some(values.as_slice()),
            _ => None,
        })
    }

    /// The time column of that name.
    pub fn time(&self, name: &str) -> Option<&[Time]> {
        self.columns.iter().find_map(|(other, column)| match column {
            Column::Time(values) if other == name => Some(values.as_slice()),
            _ => None,
        })
    }

    /// The text column of that name.
    pub fn text(&self, name: &str) -> Option<&[String]> {
        self.columns.iter().find_map(|(other, column)| match column {
            Column::Text(values) if other == name => Some(values.as_slice()),
            _ => None,
        })
    }

    /// Writes the table as one Parquet file, whole or not at all. The same table gives the same bytes.
    ///
    /// # Errors
    /// As [`write_atomic`]; columns of unequal length are reported as damaged.
    pub fn write(&self, path: &Path) -> Result<(), RunDirError> {
        write_atomic(path, &self.bytes().map_err(|reason| damaged(path, reason))?)
    }

    fn bytes(&self) -> Result<Vec<u8>, String> {
        let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = self
            .columns
            .iter()
            .map(|(name, column)| {
                let (kind, array) = column.array();
                (Field::new(name, kind, matches!(column, Column::Float(_))), array)
            })
            .unzip();
        let schema = Arc::new(Schema::new(fields));
        let batch = RecordBatch::try_new(schema.clone(), arrays).map_err(|error| error.to_string())?;
        let level = ZstdLevel::try_new(3).map_err(|error| error.to_string())?;
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(level)).build();
        let mut writer =
            ArrowWriter::try_new(Vec::new(), schema, Some(properties)).map_err(|error| error.to_string())?;
        writer.write(&batch).map_err(|error| error.to_string())?;
        writer.into_inner().map_err(|error| error.to_string())
    }

    /// Reads a table that [`TableFile::write`] wrote.
    ///
    /// # Errors
    /// A file that is missing, damaged, or holds other types.
    pub fn read(path: &Path) -> Result<TableFile, RunDirError> {
        TableFile::read_where(path, |_| true)
    }

    /// Reads only the columns of these names; one that is not there is left out.
    ///
    /// # Errors
    /// As [`TableFile::read`].
    pub fn read_columns(path: &Path, names: &[&str]) -> Result<TableFile, RunDirError> {
        TableFile::read_where(path, |name| names.contains(&name))
    }

    fn read_where(path: &Path, wanted: impl Fn(&str) -> bool) -> Result<TableFile, RunDirError> {
        let file =
            std::fs::File::open(path).map_err(|source| RunDirError::Read { path: path.into(), source })?;
        let fail = |reason: String| damaged(path, reason);
        let reader =
            ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| fail(error.to_string()))?;
        let roots: Vec<usize> = (0..reader.schema().fields().len())
            .filter(|root| wanted(reader.schema().field(*root).name()))
            .collect();
        let schema = Arc::new(reader.schema().project(&roots).map_err(|error| fail(error.to_string()))?);
        let mask = ProjectionMask::roots(reader.parquet_schema(), roots);
        let batches: Vec<RecordBatch> = reader
            .with_projection(mask)
            .with_batch_size(1 << 16)
            .build()
            .and_then(|batches| batches.collect::<Result<_, _>>().map_err(Into::into))
            .map_err(|error| fail(error.to_string()))?;
        let batch = concat_batches(&schema, &batches).map_err(|error| fail(error.to_string()))?;
        let mut table = TableFile::default();
        for (field, array) in schema.fields().iter().zip(batch.columns()) {
            let column = Column::from_array(array.as_ref())
                .ok_or_else(|| fail(format!("column {} has the type {}", field.name(), field.data_type())))?;
            table = table.with(field.name(), column);
        }
        Ok(table)
    }
}

fn damaged(path: &Path, reason: String) -> RunDirError {
    RunDirError::Damaged { path: path.into(), reason, remedy: "run the experiment again" }
}
