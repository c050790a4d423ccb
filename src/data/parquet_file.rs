//! One Parquet file: opened with distrust, read in batches.

use super::{DataError, foreign};
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ParquetRecordBatchReaderBuilder};
use parquet::file::metadata::ParquetMetaData;
use std::cell::Cell;
use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Once;

/// Rows of a batch: bounds the memory of decoding to a few megabytes a column.
const BATCH_ROWS: usize = 65_536;

/// A file whose footer was read and is plausible.
pub(super) struct ParquetFile {
    path: PathBuf,
    file: File,
    metadata: ArrowReaderMetadata,
    bytes: u64,
}

impl ParquetFile {
    /// Reads the footer.
    ///
    /// # Errors
    /// A file that cannot be opened, is empty, is no Parquet, or whose footer points outside it.
    pub(super) fn open(path: &Path) -> Result<ParquetFile, DataError> {
        let unreadable = |error: std::io::Error| {
            DataError::file(
                path,
                format!("it cannot be opened: {error}"),
                "check the path and its permissions",
            )
        };
        let file = File::open(path).map_err(unreadable)?;
        let bytes = file.metadata().map_err(unreadable)?.len();
        if bytes == 0 {
            return Err(DataError::file(path, "the file is empty (0 bytes)", "export or copy it again"));
        }
        foreign::check_kind(path, &file, bytes).map_err(unreadable)??;
        let metadata = guarded(path, || {
            ArrowReaderMetadata::load(&file, Default::default()).map_err(|error| error.to_string())
        })?;
        let parquet = ParquetFile { path: path.into(), file, metadata, bytes };
        parquet.check_footer()?;
        Ok(parquet)
    }

    /// Sizes in a damaged footer could make the reader ask for any amount of memory, so they are checked against
    /// the file before anything is allocated by them.
    fn check_footer(&self) -> Result<(), DataError> {
        let metadata = self.footer();
        let mut rows = 0_i64;
        for group in metadata.row_groups() {
            rows = rows.saturating_add(group.num_rows());
            for column in group.columns() {
                let (start, length) = (
                    column.data_page_offset().min(column.dictionary_page_offset().unwrap_or(i64::MAX)),
                    column.compressed_size(),
                );
                let end = start.checked_add(length);
                if start < 0
                    || length < 0
                    || group.num_rows() < 0
                    || end.is_none_or(|end| end as u64 > self.bytes)
                {
                    return Err(damaged(&self.path, "its footer points outside the file"));
                }
            }
        }
        if rows != metadata.file_metadata().num_rows() {
            return Err(damaged(&self.path, "its footer contradicts itself on the number of rows"));
        }
        Ok(())
    }

    /// Size on disk.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Arrow types of the columns.
    pub(super) fn schema(&self) -> &SchemaRef {
        self.metadata.schema()
    }

    /// Row groups, compression, key-value pairs.
    pub(super) fn footer(&self) -> &ParquetMetaData {
        self.metadata.metadata()
    }

    /// Reads these top-level columns and hands over each batch with the number of its first row. A batch's columns are
    /// those asked for, in the order of the file.
    ///
    /// # Errors
    /// A damaged page, or what `take` says.
    pub(super) fn read(
        &self,
        columns: &[usize],
        mut take: impl FnMut(&RecordBatch, usize) -> Result<(), DataError>,
    ) -> Result<(), DataError> {
        let unreadable = |error: std::io::Error| {
            DataError::file(&self.path, format!("it cannot be read: {error}"), "check the disk")
        };
        let file = self.file.try_clone().map_err(unreadable)?;
        let mask =
            ProjectionMask::roots(self.footer().file_metadata().schema_descr(), columns.iter().copied());
        let mut reader = guarded(&self.path, || {
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
                .with_projection(mask)
                .with_batch_size(BATCH_ROWS)
                .build()
                .map_err(|error| error.to_string())
        })?;
        let mut first_row = 0;
        while let Some(batch) =
            guarded(&self.path, || reader.next().transpose().map_err(|error| error.to_string()))?
        {
            take(&batch, first_row)?;
            first_row += batch.num_rows();
        }
        Ok(())
    }
}

thread_local! {
    /// Whether this thread is inside the Parquet reader, where a panic is an answer and no accident.
    static READING: Cell<bool> = const { Cell::new(false) };
}

/// Lets the panic hook, which would print, pass over panics inside the Parquet reader. It is wrapped once and asks the
/// panicking thread: a hook that comes and goes with each step would swallow the panics of other threads meanwhile.
fn quieten_reader() {
    static WRAPPED: Once = Once::new();
    WRAPPED.call_once(|| {
        let print = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if !READING.try_with(Cell::get).unwrap_or(false) {
                print(panic);
            }
        }));
    });
}

/// Runs a step of the Parquet reader. Its decoders index and slice by numbers that a damaged page holds, and panic where
/// those are absurd; for a user that is a damaged file like any other, so a panic becomes an error. Nothing that the
/// step touched is used afterwards.
fn guarded<T>(path: &Path, step: impl FnOnce() -> Result<T, String>) -> Result<T, DataError> {
    quieten_reader();
    READING.set(true);
    let result = catch_unwind(AssertUnwindSafe(step));
    READING.set(false);
    match result {
        Ok(result) => result.map_err(|reason| damaged(path, &reason)),
        Err(_) => Err(damaged(path, "a page holds impossible sizes")),
    }
}

fn damaged(path: &Path, reason: &str) -> DataError {
    DataError::file(path, format!("the Parquet file is corrupt ({reason})"), "export or copy it again")
}
