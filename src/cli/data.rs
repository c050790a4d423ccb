//! `candlewick data`: look at data, make them from text, make them up.

use crate::data::{
    BadRows, BarDuration, DataConfig, DataError, Duplicates, ImportOptions, MarketGenerator, TimeUnit,
    TimestampColumn, describe, import,
};
use crate::units::Time;
use crate::units::counted;
use clap::{Args, Subcommand};
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
            DataVerb::Generate(GenerateArguments { kind: GenerateKind::Market(arguments) }) => arguments.json,
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
    /// Keep a further numeric column under its name, for costs that read it; may be repeated.
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

/// Arguments of `data generate`.
#[derive(Clone, Debug, Args)]
pub(super) struct GenerateArguments {
    /// What to make up.
    #[command(subcommand)]
    pub kind: GenerateKind,
}

/// What can be made up.
#[derive(Clone, Debug, Subcommand)]
pub(super) enum GenerateKind {
    /// Bars of several assets: clustered volatility, fat tails, regimes, and a planted forecastable part.
    Market(MarketArguments),
}

/// Arguments of `data generate market`.
#[derive(Clone, Debug, Args)]
pub(super) struct MarketArguments {
    /// Number of assets.
    #[arg(long, default_value_t = 5)]
    pub symbols: usize,
    /// Bars of the first asset.
    #[arg(long, default_value_t = 17_520)]
    pub bars: usize,
    /// Length of a bar: 15m, 1h, 1d.
    #[arg(long, default_value = "1h")]
    pub interval: BarDuration,
    /// The same seed gives the same bars.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Correlation of the planted signal with the return over the horizon; 0 makes a market without any.
    #[arg(long, default_value_t = 0.05, allow_negative_numbers = true)]
    pub information_coefficient: f64,
    /// Horizon of that return, and window of the signal.
    #[arg(long, default_value_t = 4)]
    pub horizon_bars: usize,
    /// Start of the first bar.
    #[arg(long, default_value = "2022-01-01", value_parser = Time::parse)]
    pub start: Time,
    /// Share of bars that are missing, 0 to 0.5.
    #[arg(long, default_value_t = 0.0)]
    pub gaps: f64,
    /// Each asset is listed so many bars after the one before it.
    #[arg(long, default_value_t = 0)]
    pub listing_delay_bars: usize,
    /// The Parquet file to write; what made it goes beside it as `.metadata.json`.
    #[arg(long, short)]
    pub output: PathBuf,
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
        DataVerb::Generate(GenerateArguments { kind: GenerateKind::Market(arguments) }) => {
            run_generate(arguments, output)
        }
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

fn run_generate(arguments: &MarketArguments, output: &mut dyn Write) -> Result<(), DataError> {
    let generator = MarketGenerator {
        symbols: arguments.symbols,
        bars: arguments.bars,
        interval: arguments.interval,
        seed: arguments.seed,
        information_coefficient: arguments.information_coefficient,
        horizon_bars: arguments.horizon_bars,
        start: arguments.start,
        gaps: arguments.gaps,
        listing_delay_bars: arguments.listing_delay_bars,
    };
    let metadata = generator.write(&arguments.output, &command(arguments))?;
    if arguments.json {
        return print_json(output, &metadata);
    }
    writeln!(
        output,
        "{} of {}, {} to {}",
        counted(metadata.rows, "bar"),
        metadata.symbols.join(", "),
        metadata.start,
        metadata.end
    )?;
    writeln!(output, "Planted: {}", metadata.planted)?;
    Ok(writeln!(output, "{}", arguments.output.display())?)
}

/// The command that makes the same file, every setting written out.
fn command(arguments: &MarketArguments) -> String {
    format!(
        "candlewick data generate market --symbols {} --bars {} --interval {} --seed {} --information-coefficient {} \
         --horizon-bars {} --start {} --gaps {} --listing-delay-bars {} --output {}",
        arguments.symbols,
        arguments.bars,
        arguments.interval,
        arguments.seed,
        arguments.information_coefficient,
        arguments.horizon_bars,
        arguments.start,
        arguments.gaps,
        arguments.listing_delay_bars,
        arguments.output.display()
    )
}
