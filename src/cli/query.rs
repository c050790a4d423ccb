//! `candlewick query`.

use super::experiment::read_plan;
use super::failure::Failure;
use super::output::Output;
use crate::query::{Answer, Condition, Question, ask, tables, window};
use crate::ruled_table::ruled_table;
use crate::rundir::find_run;
use crate::units::Time;
use clap::Args;
use std::path::{Path, PathBuf};

/// Arguments of `candlewick query`.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  candlewick query latest\n  candlewick query latest predictions --where model=lstm --where horizon=5 --sort -timestamp\n  candlewick query latest window --model lstm --at 2024-01-01T00:10:00"
)]
pub(super) struct Arguments {
    /// A directory, a name or its unique beginning, or `latest`
    run: String,
    /// A table of the run, or `window` for all that a model saw for one forecast (default: list the tables)
    table: Option<String>,
    /// Only rows where COLUMN=VALUE, or != >= <= > < in place of =; all of them must hold
    #[arg(long = "where", value_name = "CONDITION")]
    conditions: Vec<Condition>,
    /// The columns to print, in this order: a,b
    #[arg(long, value_name = "COLUMNS", value_delimiter = ',')]
    columns: Option<Vec<String>>,
    /// Sort by a column; with `-` in front from the largest to the smallest
    #[arg(long, value_name = "COLUMN", allow_hyphen_values = true)]
    sort: Option<String>,
    /// At most so many rows (default: 20, and all of them with --csv or --json)
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
    /// The model whose window is wanted
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// The time of the window's last bar
    #[arg(long, value_name = "TIME", value_parser = Time::parse)]
    at: Option<Time>,
    /// The symbol of the window, where the run has several
    #[arg(long, value_name = "NAME")]
    symbol: Option<String>,
    /// The folder that holds the run directories
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs: PathBuf,
    /// Print comma-separated values on stdout
    #[arg(long, conflicts_with = "json")]
    csv: bool,
    /// Print one JSON document on stdout
    #[arg(long)]
    pub(super) json: bool,
}

/// Rows that people are shown unasked.
const ROWS: usize = 20;

/// The word for what is no table of the run: all that a model saw.
const WINDOW: &str = "window";

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    let directory = find_run(&arguments.runs, &arguments.run)?;
    match arguments.table.as_deref() {
        None => list(&directory, output),
        Some(WINDOW) => show_window(&directory, arguments, output),
        Some(_) if arguments.model.is_some() || arguments.at.is_some() || arguments.symbol.is_some() => {
            let hint = "--model, --at and --symbol belong to `window`; choose rows of a table with --where";
            Err(Failure::new(2, hint))
        }
        Some(table) => {
            let asked = arguments.limit;
            let question = Question {
                table: table.to_owned(),
                conditions: arguments.conditions.clone(),
                columns: arguments.columns.clone(),
                sort: arguments.sort.clone(),
                limit: if arguments.csv || arguments.json { asked } else { asked.or(Some(ROWS)) },
            };
            show(&ask(&directory, &question)?, arguments, output)
        }
    }
}

fn show(answer: &Answer, arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    match () {
        () if output.json() => output.document(&answer.json()),
        () if arguments.csv => output.print(&answer.csv()),
        () => output.print(&answer.text(output.terminal_width())),
    }
}

fn list(directory: &Path, output: &Output) -> Result<(), Failure> {
    let found = tables(directory)?;
    if output.json() {
        let row = |outline: &crate::query::Outline| serde_json::json!({"table": outline.table, "rows": outline.rows, "columns": outline.columns});
        return output.document(&found.iter().map(row).collect::<Vec<_>>());
    }
    let mut table = ruled_table(output.terminal_width());
    table.set_header(["table", "rows", "columns"]);
    let (own, nested): (Vec<_>, Vec<_>) = found.iter().partition(|outline| !outline.table.contains('/'));
    for outline in &own {
        let rows = crate::report::fixed(outline.rows as f64, 0);
        table.add_row([outline.table.clone(), rows, outline.columns.join(", ")]);
    }
    if let Some(rows) = table.column_mut(1) {
        rows.set_cell_alignment(comfy_table::CellAlignment::Right);
    }
    let hint = match nested.first() {
        Some(first) => format!("\nand {} tables of single networks, such as {}", nested.len(), first.table),
        None => String::new(),
    };
    output.print(&format!("{table}{hint}"))
}

fn show_window(directory: &Path, arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    let other = !arguments.conditions.is_empty() || arguments.columns.is_some() || arguments.sort.is_some();
    let (Some(model), Some(at), false) = (&arguments.model, arguments.at, other || arguments.csv) else {
        let hint =
            "`window` takes --model NAME and --at TIME, --symbol NAME where the run has several, and --json";
        return Err(Failure::new(2, hint));
    };
    let plan = read_plan(&directory.join("resolved.yaml"), &[])?;
    let window = window(directory, &plan, (model, at, arguments.symbol.as_deref()))?;
    if output.json() {
        return output.document(&window.json());
    }
    output.print(&window.text(output.terminal_width()))
}
