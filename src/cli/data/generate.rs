//! `candlewick data generate`: data of which the truth is known.

use super::print_json;
use crate::data::{
    BarDuration, CrashInjection, DataError, DepthCrashesGenerator, DepthProcess, GeneratedMetadata,
    MarketGenerator, SineTicksGenerator,
};
use crate::metrics::NoiseFloor;
use crate::units::{Time, counted};
use clap::{Args, Subcommand, ValueEnum};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Arguments of `data generate`.
#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct GenerateArguments {
    /// What to make up.
    #[command(subcommand)]
    pub kind: GenerateKind,
}

/// What can be made up.
#[derive(Clone, Debug, Subcommand)]
pub(in crate::cli) enum GenerateKind {
    /// Bars of several assets: clustered volatility, fat tails, regimes, and a planted forecastable part.
    Market(MarketArguments),
    /// A sine wave with noise in whole numbers, one tick a second, and the best score that any forecast of it can have.
    SineTicks(SineTicksArguments),
    /// Minutes of an order book's depth with crashes: when the book warns of a fall, falsely warns, or says nothing.
    DepthCrashes(DepthCrashesArguments),
    /// Real bars with crashes put into their prices (and a drift that pays for them on average), and columns of a made-up
    /// order book beside them.
    Crashes(CrashesArguments),
}

impl GenerateArguments {
    /// Whether stdout carries one JSON document.
    pub(super) fn json(&self) -> bool {
        match &self.kind {
            GenerateKind::Market(arguments) => arguments.json,
            GenerateKind::SineTicks(arguments) => arguments.json,
            GenerateKind::DepthCrashes(arguments) => arguments.json,
            GenerateKind::Crashes(arguments) => arguments.json,
        }
    }
}

/// Arguments of `data generate market`.
#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct MarketArguments {
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

/// Arguments of `data generate sine-ticks`.
#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct SineTicksArguments {
    /// Number of ticks, one a second; 10 make a wave.
    #[arg(long, default_value_t = 40_000)]
    pub ticks: usize,
    /// The same seed gives the same ticks.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Time of the first tick.
    #[arg(long, default_value = "2022-01-01", value_parser = Time::parse)]
    pub start: Time,
    /// The Parquet file to write; what made it goes beside it as `.metadata.json`.
    #[arg(long, short)]
    pub output: PathBuf,
    /// Print one JSON document.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `data generate depth-crashes`.
#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct DepthCrashesArguments {
    /// How rows are made.
    #[arg(long, value_enum, default_value = "varied")]
    pub process: DepthProcess,
    /// Number of rows, one a minute; default: 86400 (60 days), of `sentinel` 10000.
    #[arg(long)]
    pub rows: Option<usize>,
    /// Mean number of crashes a day of `varied`, 2 if left out; not for `sentinel`, which has one crash in all.
    #[arg(long)]
    pub crashes_per_day: Option<f64>,
    /// The same seed gives the same rows.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// Time of the first row.
    #[arg(long, default_value = "2022-01-01", value_parser = Time::parse)]
    pub start: Time,
    /// The Parquet file to write; what made it, with every crash, goes beside it as `.metadata.json`.
    #[arg(long, short)]
    pub output: PathBuf,
    /// Print one JSON document.
    #[arg(long)]
    pub json: bool,
}

/// Arguments of `data generate crashes`.
#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct CrashesArguments {
    /// Real bars: a Parquet file, a folder or a quoted glob.
    #[arg(long, value_name = "PATH")]
    pub bars: PathBuf,
    /// Mean number of crashes in a year of bars, for each symbol.
    #[arg(long, default_value_t = 12.0)]
    pub crashes_per_year: f64,
    /// The same seed gives the same crashes, whatever the prices are.
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
    /// The Parquet file to write; what made it, with every crash, goes beside it as `.metadata.json`.
    #[arg(long, short)]
    pub output: PathBuf,
    /// Print one JSON document.
    #[arg(long)]
    pub json: bool,
}

/// Makes what was asked and says what it is.
///
/// # Errors
/// Settings out of their ranges, bars that do not load, files that cannot be written.
pub(super) fn run(arguments: &GenerateArguments, output: &mut dyn Write) -> Result<(), DataError> {
    match &arguments.kind {
        GenerateKind::Market(arguments) => run_market(arguments, output),
        GenerateKind::SineTicks(arguments) => run_sine_ticks(arguments, output),
        GenerateKind::DepthCrashes(arguments) => run_depth_crashes(arguments, output),
        GenerateKind::Crashes(arguments) => run_crashes(arguments, output),
    }
}

/// Says what was made; `unit` is what one row is called.
fn tell(
    metadata: &GeneratedMetadata,
    unit: &str,
    path: &Path,
    json: bool,
    output: &mut dyn Write,
) -> Result<(), DataError> {
    if json {
        return print_json(output, metadata);
    }
    let rows = counted(metadata.rows, unit);
    writeln!(output, "{rows} of {}, {} to {}", metadata.symbols.join(", "), metadata.start, metadata.end)?;
    writeln!(output, "Planted: {}", metadata.planted)?;
    if let Some(NoiseFloor { mse: Some(mse), mae: Some(mae), accuracy: Some(accuracy) }) =
        metadata.noise_floor
    {
        writeln!(
            output,
            "No forecast does better on average than MSE {mse:.3}, MAE {mae:.3}, exact accuracy {accuracy:.3}"
        )?;
    }
    Ok(writeln!(output, "{}", path.display())?)
}

fn run_sine_ticks(arguments: &SineTicksArguments, output: &mut dyn Write) -> Result<(), DataError> {
    let SineTicksArguments { ticks, seed, start, output: path, json } = arguments;
    let command = format!(
        "candlewick data generate sine-ticks --ticks {ticks} --seed {seed} --start {start} --output {}",
        path.display()
    );
    let generator = SineTicksGenerator { ticks: *ticks, seed: *seed, start: *start };
    tell(&generator.write(path, &command)?, "row", path, *json, output)
}

fn run_depth_crashes(arguments: &DepthCrashesArguments, output: &mut dyn Write) -> Result<(), DataError> {
    let DepthCrashesArguments { process, rows, crashes_per_day, seed, start, output: path, json } = arguments;
    let (usual_rows, usual_rate) = match process {
        DepthProcess::Varied => (86_400, Some(DepthCrashesGenerator::CRASHES_PER_DAY)),
        DepthProcess::Sentinel => (10_000, None),
    };
    let rows = rows.unwrap_or(usual_rows);
    let rate =
        crashes_per_day.or(usual_rate).map_or_else(String::new, |rate| format!(" --crashes-per-day {rate}"));
    let name = process.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned());
    let command = format!(
        "candlewick data generate depth-crashes --process {name} --rows {rows}{rate} --seed {seed} --start {start} \
         --output {}",
        path.display()
    );
    let generator = DepthCrashesGenerator {
        process: *process,
        rows,
        crashes_per_day: *crashes_per_day,
        seed: *seed,
        start: *start,
    };
    tell(&generator.write(path, &command)?, "row", path, *json, output)
}

fn run_crashes(arguments: &CrashesArguments, output: &mut dyn Write) -> Result<(), DataError> {
    let CrashesArguments { bars, crashes_per_year, seed, output: path, json } = arguments;
    let command = format!(
        "candlewick data generate crashes --bars {} --crashes-per-year {crashes_per_year} --seed {seed} --output {}",
        bars.display(),
        path.display()
    );
    let injection = CrashInjection { bars: bars.clone(), crashes_per_year: *crashes_per_year, seed: *seed };
    tell(&injection.write(path, &command)?, "bar", path, *json, output)
}

fn run_market(arguments: &MarketArguments, output: &mut dyn Write) -> Result<(), DataError> {
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
    let metadata = generator.write(&arguments.output, &market_command(arguments))?;
    tell(&metadata, "bar", &arguments.output, arguments.json, output)
}

/// The command that makes the same file, every setting written out.
fn market_command(arguments: &MarketArguments) -> String {
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
