//! `candlewick data depth`: from order books to their depth.

use super::{print_json, sentence};
use crate::data::{BarDuration, DataError, DepthOptions, TimeUnit, ingest_depth};
use crate::units::counted;
use clap::Args;
use std::io::Write;
use std::path::PathBuf;

/// Arguments of `data depth`.
#[derive(Clone, Debug, Args)]
pub(in crate::cli) struct DepthArguments {
    /// Parquet files, folders or quoted globs with levels (bid_px_1, bid_qty_1, ask_px_1, ask_qty_1, bid_px_2 ...), or CSV
    /// and JSON with timestamp, mid_price, buy_volume, sell_volume, blr.
    #[arg(required = true, value_name = "INPUT")]
    pub inputs: Vec<String>,
    /// The Parquet file to write: timestamp, symbol, mid_price, buy_volume, sell_volume, blr.
    #[arg(long, short)]
    pub output: PathBuf,
    /// Sum the levels up to so many per cent from the mid price; text holds sums already.
    #[arg(long, default_value_t = 2.0, value_name = "PERCENT")]
    pub within_percent: f64,
    /// One row for each interval of this length: 1s, 60s, 1h. It holds the last snapshot of the interval and has the time
    /// at which the interval starts; an interval without a snapshot has no row.
    #[arg(long, default_value = "60s", value_name = "LENGTH")]
    pub every: BarDuration,
    /// The symbol, if no column says it; default: the name of the file.
    #[arg(long)]
    pub symbol: Option<String>,
    /// What numeric times count; default: by their size (in Parquet it must be said).
    #[arg(long, value_enum)]
    pub time_unit: Option<TimeUnit>,
    /// Replace the output if it exists.
    #[arg(long)]
    pub force: bool,
    /// Print one JSON document.
    #[arg(long)]
    pub json: bool,
}

/// Makes the table and says what it holds.
///
/// # Errors
/// Books that make no sense, files that cannot be read or written.
pub(super) fn run(arguments: &DepthArguments, output: &mut dyn Write) -> Result<(), DataError> {
    let ingested = ingest_depth(&DepthOptions {
        inputs: arguments.inputs.clone(),
        output: arguments.output.clone(),
        within_percent: arguments.within_percent,
        every: arguments.every,
        symbol: arguments.symbol.clone(),
        unit: arguments.time_unit,
        force: arguments.force,
    })?;
    if arguments.json {
        return print_json(output, &ingested);
    }
    for line in &ingested.warnings {
        writeln!(output, "Note: {}", sentence(line))?;
    }
    if ingested.null_blr > 0 {
        writeln!(
            output,
            "Note: {} without blr, because nothing is for sale within the percentage.",
            counted(ingested.null_blr, "row")
        )?;
    }
    writeln!(
        output,
        "{} of {} from {}, {} to {}; {} without a snapshot",
        counted(ingested.rows, "row"),
        ingested.symbols.join(", "),
        counted(ingested.snapshots, "snapshot"),
        ingested.start,
        ingested.end,
        counted(ingested.missing_intervals, "interval")
    )?;
    writeln!(output, "Look at it with `candlewick data describe {} --close mid_price`", ingested.output)?;
    writeln!(
        output,
        "Load it with data.columns: {{close: mid_price, extra: {{blr: blr, buy_volume: buy_volume, sell_volume: sell_volume}}}}"
    )?;
    Ok(writeln!(output, "{}", ingested.output)?)
}
