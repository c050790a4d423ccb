//! Result tables as Parquet: named columns, zstd, written at once.

use super::atomic::{RunDirError, write_atomic};
use crate::units::Time;
use arrow::array::{
    Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray, TimestampNanosecondArray,
};
use arrow::buffer::{NullBuffer, ScalarBuffer};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Field, Float64Type, Int64Type, Schema, TimeUnit, TimestampNanosecondType};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, compute_leaves};
use parquet::arrow::{ArrowWriter, ProjectionMask};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use rayon::prelude::*;
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
    /// utf8. Names repeat over many rows, so rows share them.
    Text(Vec<Arc<str>>),
}

impl Column {
    /// Number of rows.
    #[expect(clippy::len_without_is_empty, reason = "nobody asks a column whether it is empty")]
    pub fn len(&self) -> usize {
        match self {
            Column::Float(values) => values.len(),
            Column::Integer(values) => values.len(),
            Column::Time(values) => values.len(),
            Column::Text(values) => values.len(),
        }
    }

    fn kind(&self) -> DataType {
        match self {
            Column::Float(_) => DataType::Float64,
            Column::Integer(_) => DataType::Int64,
            Column::Time(_) => DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())),
            Column::Text(_) => DataType::Utf8,
        }
    }

    fn array(&self) -> ArrayRef {
        match self {
            Column::Float(values) => {
                let valid = NullBuffer::from_iter(values.iter().map(|value| !value.is_nan()));
                let valid = (valid.null_count() > 0).then_some(valid);
                Arc::new(Float64Array::new(ScalarBuffer::from(values.clone()), valid))
            }
            Column::Integer(values) => Arc::new(Int64Array::from(values.clone())),
            Column::Time(values) => {
                let array = TimestampNanosecondArray::from_iter_values(values.iter().map(|time| time.0));
                Arc::new(array.with_timezone("UTC"))
            }
            Column::Text(values) => {
                Arc::new(StringArray::from_iter_values(values.iter().map(AsRef::<str>::as_ref)))
            }
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
            DataType::Utf8 => Column::Text(shared(array.as_string::<i32>())),
            _ => return None,
        })
    }
}

/// The texts of a column; a row that repeats the one before shares its memory.
fn shared(array: &StringArray) -> Vec<Arc<str>> {
    let mut texts: Vec<Arc<str>> = Vec::with_capacity(array.len());
    for text in array.iter().map(Option::unwrap_or_default) {
        let repeated = texts.last().filter(|last| ***last == *text).cloned();
        texts.push(repeated.unwrap_or_else(|| text.into()));
    }
    texts
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

    /// The columns in their order, each with its name.
    pub fn columns(&self) -> impl Iterator<Item = (&str, &Column)> {
        self.columns.iter().map(|(name, column)| (name.as_str(), column))
    }

    /// The number of rows and the names of the columns of a file, read from its footer alone.
    ///
    /// # Errors
    /// A file that is missing or damaged.
    pub fn outline(path: &Path) -> Result<(usize, Vec<String>), RunDirError> {
        let reader = TableFile::open(path)?;
        let names = reader.schema().fields().iter().map(|field| field.name().clone()).collect();
        Ok((reader.metadata().file_metadata().num_rows().max(0) as usize, names))
    }

    fn open(path: &Path) -> Result<ParquetRecordBatchReaderBuilder<std::fs::File>, RunDirError> {
        let file =
            std::fs::File::open(path).map_err(|source| RunDirError::Read { path: path.into(), source })?;
        ParquetRecordBatchReaderBuilder::try_new(file).map_err(|error| damaged(path, error.to_string()))
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
    pub fn text(&self, name: &str) -> Option<&[Arc<str>]> {
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
        let rows = self.columns.first().map_or(0, |(_, column)| column.len());
        if let Some((name, column)) = self.columns.iter().find(|(_, column)| column.len() != rows) {
            return Err(format!("column {name} has {} rows, expected {rows}", column.len()));
        }
        self.encoded(rows > 0).map_err(|error| error.to_string())
    }

    /// One row group, its columns encoded in parallel: an equity table has a row a book and bar.
    fn encoded(&self, has_rows: bool) -> parquet::errors::Result<Vec<u8>> {
        let field = |(name, column): &(String, Column)| {
            Field::new(name, column.kind(), matches!(column, Column::Float(_)))
        };
        let schema = Arc::new(Schema::new(self.columns.iter().map(field).collect::<Vec<Field>>()));
        let writer = ArrowWriter::try_new(Vec::new(), schema.clone(), Some(self.properties()?))?;
        let (mut file, factory) = writer.into_serialized_writer()?;
        if has_rows {
            let chunks: Vec<ArrowColumnChunk> = factory
                .create_column_writers(0)?
                .into_par_iter()
                .zip(&self.columns)
                .zip(schema.fields().par_iter())
                .map(|((mut writer, (_, column)), field)| {
                    for leaf in compute_leaves(field, &column.array())? {
                        writer.write(&leaf)?;
                    }
                    writer.close()
                })
                .collect::<parquet::errors::Result<_>>()?;
            let mut group = file.next_row_group()?;
            for chunk in chunks {
                chunk.append_to_row_group(&mut group)?;
            }
            group.close()?;
        }
        file.into_inner()
    }

    fn properties(&self) -> parquet::errors::Result<WriterProperties> {
        let mut properties =
            WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::try_new(1)?));
        for (name, column) in &self.columns {
            let path = ColumnPath::from(name.as_str());
            properties = match column {
                Column::Text(_) => properties,
                // Numbers hardly repeat: a dictionary of them costs time and is thrown away.
                Column::Float(_) => properties.set_column_dictionary_enabled(path, false),
                // Times and counts mostly rise by equal steps.
                Column::Integer(_) | Column::Time(_) => properties
                    .set_column_dictionary_enabled(path.clone(), false)
                    .set_column_encoding(path, Encoding::DELTA_BINARY_PACKED),
            };
        }
        Ok(properties.build())
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
        let fail = |reason: String| damaged(path, reason);
        let reader = TableFile::open(path)?;
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
