//! `candlewick check`.

use super::experiment::{self, read_plan};
use super::failure::Failure;
use super::output::Output;
use crate::ruled_table::ruled_table;
use crate::run::{GridPreview, Preview, preview};
use crate::units::counted;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `candlewick check`.
#[derive(Args)]
pub(super) struct Arguments {
    /// The experiment
    config: PathBuf,
    /// Replace a setting: --set train.epochs=5 (may be given several times)
    #[arg(long = "set", value_name = "PATH=VALUE")]
    overrides: Vec<String>,
    /// Print the plan as one JSON document on stdout
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    let plan = read_plan(&arguments.config, &arguments.overrides)?;
    let preview = preview(&plan, experiment::threads(None))?;
    if output.json() {
        return output.document(&preview);
    }
    output.print(&describe(&preview, output.width()))
}

fn describe(preview: &Preview, width: usize) -> String {
    let mut parts = vec![
        format!("experiment  {} (plan {})", preview.name, &preview.plan_sha256[..8]),
        format!("data        {} bars of {}", preview.bars, preview.symbols.join(", ")),
        format!("            {} to {}", preview.start, preview.end),
    ];
    parts.extend(preview.notes.iter().map(|note| format!("note        {note}")));
    if !preview.features.is_empty() {
        parts.push(format!("features    {}: {}", preview.features.len(), preview.features.join(", ")));
    }
    if !preview.models.is_empty() {
        parts.push(models(preview, width));
        parts.push(folds(preview, width));
    }
    if !preview.strategies.is_empty() {
        parts.push(format!("strategies  {}", preview.strategies.join(", ")));
        parts.extend(preview.grids.iter().map(grid));
        let [start, end] = &preview.backtest;
        parts.push(format!("backtest    {start} to {end}, {:.1} bars a year", preview.periods_per_year));
    }
    parts.push(format!("memory      about {:.0} MB", preview.memory_bytes as f64 / 1e6));
    parts.join("\n")
}

/// `grid        sma: 54 books, 56 of fast x 36 of slow; 6 combinations left out, as fast=60,slow=50 (why)`.
fn grid(grid: &GridPreview) -> String {
    let axes: Vec<String> = grid.axes.iter().map(|(name, values)| format!("{values} of {name}")).collect();
    let line = format!("grid        {}: {}, {}", grid.name, counted(grid.books, "book"), axes.join(" x "));
    match &grid.skipped_example {
        Some((combination, reason)) => {
            let skipped = counted(grid.skipped, "combination");
            format!("{line}; {skipped} left out, as {combination} ({reason})")
        }
        None => line,
    }
}

fn models(preview: &Preview, width: usize) -> String {
    let mut table = ruled_table(Some(width));
    table.set_header(["model", "kind", "window", "parameters"]);
    for model in &preview.models {
        table.add_row([
            model.name.clone(),
            model.kind.clone(),
            format!("{} bars", model.window),
            model.parameters.to_string(),
        ]);
    }
    table.to_string()
}

fn folds(preview: &Preview, width: usize) -> String {
    let mut header: Vec<String> = ["fold", "train", "validation", "test"].map(str::to_owned).to_vec();
    header.extend(preview.models.iter().map(|model| format!("windows of {}", model.name)));
    let mut table = ruled_table(Some(width));
    table.set_header(header);
    let short = |[start, end]: &[String; 2]| format!("{}\n{}", minute(start), minute(end));
    for fold in &preview.folds {
        let train: Vec<String> = fold.train.iter().map(short).collect();
        let mut row =
            vec![fold.fold.to_string(), train.join("\n"), short(&fold.validation), short(&fold.test)];
        row.extend(
            fold.windows.iter().map(|[train, validation, test]| format!("{train}\n{validation}\n{test}")),
        );
        table.add_row(row);
    }
    table.to_string()
}

/// `2021-03-04 05:06` of an RFC 3339 time.
fn minute(time: &str) -> String {
    time.chars().take(16).map(|c| if c == 'T' { ' ' } else { c }).collect()
}
