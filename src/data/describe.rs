//! What is in a file, also in one that [`super::load`] refuses.

use super::config::DataConfig;
use super::layout::Layout;
use super::load::load_files;
use super::parquet_file::ParquetFile;
use super::read::{Choice, append, type_name};
use super::rows::{NO_SYMBOL, NO_TIME, Rows};
use super::time_zone::Zone;
use super::{DataError, bad_rows, files, resample};
use crate::units::Time;
use serde::Serialize;
use std::path::Path;

/// A log return is a jump where it is further from the median than so many robust standard deviations
/// (1.4826 times the median absolute deviation, which for a normal distribution is the standard deviation).
const JUMP: f64 = 10.0;

/// What is in the files of a path.
#[derive(Clone, Debug, Serialize)]
pub struct Description {
    /// The paths that were asked for.
    pub paths: Vec<String>,
    /// Every file.
    pub files: Vec<FileDescription>,
    /// Every symbol, by name; empty where no time could be read.
    pub symbols: Vec<SymbolDescription>,
    /// Whether the files can be loaded as bars with these settings.
    pub loads: bool,
    /// Why they cannot, and what to do.
    pub problem: Option<String>,
    /// What loading them warns of.
    pub warnings: Vec<String>,
    /// Fingerprint of the bars, where they load.
    pub sha256: Option<String>,
}

/// One Parquet file.
#[derive(Clone, Debug, Serialize)]
pub struct FileDescription {
    /// Where it is.
    pub path: String,
    /// Its size.
    pub bytes: u64,
    /// Its rows.
    pub rows: i64,
    /// Into how many groups they are cut.
    pub row_groups: usize,
    /// How they are compressed.
    pub compression: String,
    /// Its columns.
    pub columns: Vec<ColumnDescription>,
    /// Why it cannot be read.
    pub problem: Option<String>,
}

/// One column of a file.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ColumnDescription {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: String,
    /// Missing values.
    pub nulls: usize,
}

/// The rows of one symbol over all files.
#[derive(Clone, Debug, Default, Serialize)]
pub struct SymbolDescription {
    /// Its name.
    pub symbol: String,
    /// Its rows.
    pub rows: usize,
    /// The earliest time, RFC 3339.
    pub start: Option<String>,
    /// The latest time, RFC 3339.
    pub end: Option<String>,
    /// The most frequent distance of two bars.
    pub interval_seconds: f64,
    /// Distances that are longer.
    pub gaps: usize,
    /// The longest of them.
    pub longest_gap: Option<GapDescription>,
    /// Rows with the time of another row.
    pub duplicates: usize,
    /// Rows that are earlier than the row before them.
    pub unsorted: usize,
    /// Rows that are no bar: missing, not finite or not positive values, high below low.
    pub bad_rows: usize,
    /// The first of them.
    pub first_bad_row: Option<String>,
    /// Bars without volume; absent where the files have no volume.
    pub zero_volume: Option<usize>,
    /// Most successive bars with one close; absent where no prices could be read.
    pub longest_constant_run: Option<usize>,
    /// Returns further than 10 robust standard deviations from the median; absent where no prices could be read.
    pub jumps: Option<usize>,
    /// The largest of them.
    pub largest_jump: Option<JumpDescription>,
}

/// A stretch without bars.
#[derive(Clone, Debug, Serialize)]
pub struct GapDescription {
    /// The bar before it, RFC 3339.
    pub after: String,
    /// From that bar to the next.
    pub seconds: f64,
}

/// An unusual return.
#[derive(Clone, Debug, Serialize)]
pub struct JumpDescription {
    /// The bar that ends it, RFC 3339.
    pub at: String,
    /// close / last close - 1.
    pub change: f64,
}

/// Describes the files of a configuration and of `more` paths, together one set of data; of the configuration only its
/// path, symbol, columns, time zone and quality matter, and range, symbols and resampling for whether it loads.
///
/// # Errors
/// A path without files, or an unknown time zone.
pub fn describe(config: &DataConfig, more: &[String]) -> Result<Description, DataError> {
    let zone = Zone::named(&config.time_zone)?;
    let written: Vec<&str> = std::iter::once(&config.path).chain(more).map(String::as_str).collect();
    let paths = files::all_parquet_files(&written)?;
    let files = paths.iter().map(|path| file(path)).collect();
    let (mut problem, mut warnings, mut sha256) = (None, Vec::new(), None);
    match load_files(config, &paths) {
        Ok(loaded) => {
            warnings = loaded.warnings;
            sha256 = Some(loaded.sha256);
        }
        Err(error) => problem = Some(error.to_string()),
    }
    let with =
        |layout: fn(&Path, &arrow::datatypes::Schema, &super::ColumnsConfig) -> Result<Layout, DataError>| {
            let mut rows = Rows { files: paths.clone(), ..Rows::default() };
            for (index, path) in paths.iter().enumerate() {
                let file = ParquetFile::open(path)?;
                let layout = layout(path, file.schema(), &config.columns)?;
                let stem = path.file_stem().unwrap_or_default().to_string_lossy();
                let default = config.symbol.as_deref().unwrap_or(&stem);
                append(&mut rows, index, &file, &layout, &Choice { zone: &zone, default })?;
            }
            Ok::<Rows, DataError>(rows)
        };
    // Files without prices still have times worth looking at.
    let symbols = match (with(Layout::of), with(Layout::times_only)) {
        (Ok(rows), _) => symbols(&rows, true),
        (_, Ok(rows)) => symbols(&rows, false),
        _ => Vec::new(),
    };
    Ok(Description {
        paths: written.into_iter().map(str::to_owned).collect(),
        files,
        symbols,
        loads: problem.is_none(),
        problem,
        warnings,
        sha256,
    })
}

fn file(path: &Path) -> FileDescription {
    let mut description = FileDescription {
        path: path.display().to_string(),
        bytes: path.metadata().map_or(0, |metadata| metadata.len()),
        rows: 0,
        row_groups: 0,
        compression: String::new(),
        columns: Vec::new(),
        problem: None,
    };
    if let Err(error) = fill(&mut description, path) {
        description.problem = Some(error.to_string());
    }
    description
}

fn fill(description: &mut FileDescription, path: &Path) -> Result<(), DataError> {
    let file = ParquetFile::open(path)?;
    let footer = file.footer();
    description.bytes = file.bytes();
    description.rows = footer.file_metadata().num_rows();
    description.row_groups = footer.num_row_groups();
    let first = footer.row_groups().first().and_then(|group| group.columns().first());
    description.compression = first.map_or_else(String::new, |column| {
        let name = column.compression().to_string().to_lowercase();
        name.split('(').next().unwrap_or_default().to_owned()
    });
    let schema = file.schema();
    description.columns = schema
        .fields()
        .iter()
        .map(|field| ColumnDescription {
            name: field.name().clone(),
            kind: type_name(field.data_type()),
            nulls: 0,
        })
        .collect();
    let all: Vec<usize> = (0..schema.fields().len()).collect();
    file.read(&all, |batch, _| {
        for (column, array) in description.columns.iter_mut().zip(batch.columns()) {
            column.nulls += array.logical_null_count();
        }
        Ok(())
    })
}

fn symbols(rows: &Rows, prices: bool) -> Vec<SymbolDescription> {
    let names = rows.names.all();
    let mut by_symbol: Vec<Vec<usize>> = vec![Vec::new(); names.len()];
    let mut nameless = Vec::new();
    for (index, code) in rows.symbol.iter().enumerate() {
        if *code == NO_SYMBOL { nameless.push(index) } else { by_symbol[*code as usize].push(index) }
    }
    let mut described: Vec<SymbolDescription> =
        names.iter().zip(&by_symbol).map(|(name, indices)| symbol(rows, name, indices, prices)).collect();
    described.sort_by(|left, right| left.symbol.cmp(&right.symbol));
    if !nameless.is_empty() {
        described.push(symbol(rows, "(no symbol)", &nameless, prices));
    }
    described
}

fn symbol(rows: &Rows, name: &str, indices: &[usize], prices: bool) -> SymbolDescription {
    let mut described =
        SymbolDescription { symbol: name.into(), rows: indices.len(), ..SymbolDescription::default() };
    let bad = |index: &usize| {
        let problem = bad_rows::problem(rows, *index);
        problem.filter(|(column, _)| prices || *column == "timestamp" || *column == "symbol")
    };
    for index in indices {
        if let Some((column, found)) = bad(index) {
            described.bad_rows += 1;
            described
                .first_bad_row
                .get_or_insert_with(|| format!("{}, column {column}: {found}", rows.place(*index)));
        }
    }
    let backwards = |pair: &&[usize]| {
        rows.file[pair[0]] == rows.file[pair[1]]
            && rows.time[pair[1]] != NO_TIME
            && rows.time[pair[1]] < rows.time[pair[0]]
    };
    described.unsorted = indices.windows(2).filter(backwards).count();
    let mut ordered: Vec<usize> =
        indices.iter().copied().filter(|index| rows.time[*index] != NO_TIME).collect();
    ordered.sort_by_key(|index| rows.time[*index]);
    let all = ordered.len();
    ordered.dedup_by_key(|index| rows.time[*index]);
    described.duplicates = all - ordered.len();
    times(&mut described, &ordered.iter().map(|index| Time(rows.time[*index])).collect::<Vec<Time>>());
    if prices {
        if rows.has_volume {
            described.zero_volume =
                Some(ordered.iter().filter(|index| rows.numbers[4][**index] == 0.0).count());
        }
        closes(&mut described, rows, &ordered);
    }
    described
}

fn times(described: &mut SymbolDescription, times: &[Time]) {
    let interval = resample::interval(times);
    described.start = times.first().map(Time::to_string);
    described.end = times.last().map(Time::to_string);
    described.interval_seconds = interval as f64 / 1e9;
    let steps =
        || times.windows(2).map(|pair| (pair[1].0 - pair[0].0, pair[0])).filter(|(step, _)| *step > interval);
    described.gaps = steps().count();
    described.longest_gap = steps()
        .max_by_key(|(step, after)| (*step, std::cmp::Reverse(*after)))
        .map(|(step, after)| GapDescription { after: after.to_string(), seconds: step as f64 / 1e9 });
}

fn closes(described: &mut SymbolDescription, rows: &Rows, ordered: &[usize]) {
    let sound = |index: &&usize| rows.numbers[3][**index].is_finite() && rows.numbers[3][**index] > 0.0;
    let priced: Vec<(Time, f64)> = ordered
        .iter()
        .filter(sound)
        .map(|index| (Time(rows.time[*index]), rows.numbers[3][*index]))
        .collect();
    let runs = priced.chunk_by(|left, right| left.1 == right.1).map(<[_]>::len);
    described.longest_constant_run = Some(runs.max().unwrap_or(0));
    described.jumps = Some(0);
    let returns: Vec<f64> = priced.windows(2).map(|pair| (pair[1].1 / pair[0].1).ln()).collect();
    let centre = median(returns.clone());
    let distance = |value: f64| (value - centre).abs();
    let deviation = 1.4826 * median(returns.iter().map(|value| distance(*value)).collect());
    if deviation == 0.0 || returns.is_empty() {
        return;
    }
    let jumps = || returns.iter().enumerate().filter(|(_, value)| distance(**value) > JUMP * deviation);
    described.jumps = Some(jumps().count());
    described.largest_jump = jumps()
        .max_by(|left, right| distance(*left.1).total_cmp(&distance(*right.1)))
        .map(|(row, value)| JumpDescription { at: priced[row + 1].0.to_string(), change: value.exp_m1() });
}

/// The middle value; of an even number of values the upper one. 0 of none.
fn median(mut values: Vec<f64>) -> f64 {
    if values.is_empty() {
        return 0.0;
    }
    let middle = values.len() / 2;
    *values.select_nth_unstable_by(middle, f64::total_cmp).1
}
