//! `candlewick data`: look at data, make them from text, make them up.

mod depth;
mod generate;

use crate::data::{
    BadRows, DataConfig, DataError, Duplicates, ImportOptions, PriceColumn, TimeUnit, TimestampColumn,
    describe, import,
};
use crate::units::counted;
use clap::{Args, Subcommand};
use depth::DepthArguments;
use generate::GenerateArguments;
use std::io::Write;
use std::path::PathBuf;

/// Look at data, import them, generate them.
#[derive(Clone, Debug, Args)]
pub(super) struct DataArguments {
    /// What to do.
    #[command(subcommand)]
    pub verb: DataVerb,
}

impl DataArguments {
    /// Whether stdout carries one JSON document.
    pub(super) fn json(&self) -> bool {
        match &self.verb {
            DataVerb::Describe(arguments) => arguments.json,
            DataVerb::Import(arguments) => arguments.json,
            DataVerb::Depth(arguments) => arguments.json,
            DataVerb::Generate(arguments) => arguments.json(),
        }
    }
}

/// The verbs of `candlewick data`.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum DataVerb {
    /// Say what is in Parquet files: columns, symbols, gaps, jumps, and whether they load as bars (exit code 3 if not).
    Describe(DescribeArguments),
    /// Turn CSV or JSON lines into Parquet.
    Import(ImportArguments),
    /// Turn snapshots of order books into their depth close to the price, one row an interval.
    Depth(DepthArguments),
    /// Make up data whose predictable part is known.
    Generate(GenerateArguments),
}

/// Arguments of `data describe`.
#[derive(Clone, Debug, Args)]
pub(super) struct DescribeArguments {
    /// Parquet files, folders or quoted globs, together one set of data.
    #[arg(required = true, value_name = "PATH")]
    pub paths: Vec<String>,
    /// The column of times, if it is not `timestamp`.
    #[arg(long, value_name = "COLUMN")]
    pub timestamp: Option<String>,
    /// What integer times count.
    #[arg(long, value_enum)]
    pub time_unit: Option<TimeUnit>,
    /// The column of closes, if it is not `close`.
    #[arg(long, value_name = "COLUMN")]
    pub close: Option<String>,
    /// Print one JSON document.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `data import`.
#[derive(Clone, Debug, Args)]
pub(super) struct ImportArguments {
    /// CSV (any of `,` `;` tab `|`), or JSON lines (.json, .jsonl, .ndjson).
    pub input: PathBuf,
    /// The Parquet file to write.
    #[arg(long, short)]
    pub output: PathBuf,
    /// The symbol, if no column says it; default: the name of the file.
    #[arg(long)]
    pub symbol: Option<String>,
    /// Where a part of the bar stands, for example `close=px_last`; may be repeated.
    #[arg(long = "column", value_name = "PART=COLUMN", value_parser = pair)]
    pub columns: Vec<(String, String)>,
    /// Keep a further numeric column under its name, for features, circuit breakers and costs; may be repeated.
    #[arg(long, value_name = "COLUMN")]
    pub keep: Vec<String>,
    /// What numeric times count; default: by their size.
    #[arg(long, value_enum)]
    pub time_unit: Option<TimeUnit>,
    /// IANA zone of times without one.
    #[arg(long, default_value = "UTC")]
    pub time_zone: String,
    /// Two bars of the same time.
    #[arg(long, value_enum, default_value = "error")]
    pub duplicates: Duplicates,
    /// Lines that are no bars; at most 5 % are dropped, not counting lines without any price.
    #[arg(long, value_enum, default_value = "error")]
    pub bad_rows: BadRows,
    /// Replace the output if it exists.
    #[arg(long)]
    pub force: bool,
    /// Print one JSON document.
    #[arg(long)]
    pub json: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (part, column) = text.split_once('=').ok_or("write PART=COLUMN, for example close=px_last")?;
    Ok((part.to_owned(), column.to_owned()))
}

/// Does what was asked and writes the answer to `output`.
///
/// # Errors
/// Data or settings that are wrong, said for the user.
pub(super) fn run(arguments: &DataArguments, output: &mut dyn Write) -> Result<(), DataError> {
    match &arguments.verb {
        DataVerb::Describe(arguments) => run_describe(arguments, output),
        DataVerb::Import(arguments) => run_import(arguments, output),
        DataVerb::Depth(arguments) => depth::run(arguments, output),
        DataVerb::Generate(arguments) => generate::run(arguments, output),
    }
}

fn print_json(output: &mut dyn Write, value: &impl serde::Serialize) -> Result<(), DataError> {
    serde_json::to_writer_pretty(&mut *output, value).map_err(std::io::Error::from)?;
    Ok(writeln!(output)?)
}

fn run_describe(arguments: &DescribeArguments, output: &mut dyn Write) -> Result<(), DataError> {
    // The parser lets no empty list through.
    let (first, more) =
        arguments.paths.split_first().map_or(("", &[][..]), |(first, more)| (first.as_str(), more));
    let mut config = DataConfig::of(first);
    if arguments.timestamp.is_some() || arguments.time_unit.is_some() {
        let column = arguments.timestamp.clone().unwrap_or_else(|| "timestamp".into());
        config.columns.timestamp = Some(TimestampColumn { column, unit: arguments.time_unit });
    }
    config.columns.close = arguments.close.clone().map(PriceColumn::Name);
    let description = describe(&config, more)?;
    if arguments.json {
        print_json(output, &description)?;
    } else {
        write!(output, "{}", description.table())?;
    }
    description.problem.map_or(Ok(()), |problem| Err(DataError::NotBars(problem)))
}

fn run_import(arguments: &ImportArguments, output: &mut dyn Write) -> Result<(), DataError> {
    let imported = import(&ImportOptions {
        input: arguments.input.clone(),
        output: arguments.output.clone(),
        symbol: arguments.symbol.clone(),
        columns: arguments.columns.clone(),
        keep: arguments.keep.clone(),
        unit: arguments.time_unit,
        time_zone: arguments.time_zone.clone(),
        duplicates: arguments.duplicates,
        bad_rows: arguments.bad_rows,
        force: arguments.force,
    })?;
    if arguments.json {
        return print_json(output, &imported);
    }
    for line in imported.warnings.iter().chain(&imported.repairs) {
        writeln!(output, "Note: {}", sentence(line))?;
    }
    writeln!(
        output,
        "{} of {}, {} to {}",
        counted(imported.rows, "bar"),
        imported.symbols.join(", "),
        imported.start,
        imported.end
    )?;
    Ok(writeln!(output, "{}", imported.output)?)
}

fn sentence(text: &str) -> String {
    if text.ends_with('?') { text.into() } else { format!("{text}.") }
}
