//! `candlewick runs`.

use super::audit;
use super::failure::Failure;
use super::output::Output;
use crate::report;
use crate::ruled_table::ruled_table;
use crate::rundir::{RunDir, Summary, find_run, list_runs, read_json};
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};

/// The verbs below `candlewick runs`.
#[derive(Subcommand)]
pub(super) enum Verb {
    /// List all runs with their verdicts
    Ls(Folder),
    /// Show the results of one run
    Show(Show),
}

/// Where runs are.
#[derive(Args)]
pub(super) struct Folder {
    /// The folder that holds the run directories
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs: PathBuf,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

/// Which run.
#[derive(Args)]
pub(super) struct Show {
    /// A directory, a name or its unique beginning, or `latest`
    run: String,
    #[command(flatten)]
    folder: Folder,
}

impl Verb {
    pub(super) fn json(&self) -> bool {
        match self {
            Verb::Ls(folder) => folder.json,
            Verb::Show(show) => show.folder.json,
        }
    }
}

pub(super) fn run(verb: &Verb, output: &Output) -> Result<(), Failure> {
    match verb {
        Verb::Ls(folder) => list(&folder.runs, output),
        Verb::Show(show) => {
            let path = find_run(&show.folder.runs, &show.run)?;
            let file = path.join("summary.json");
            if !file.exists() {
                let path = path.display();
                let hint =
                    format!("{path} has no results yet; continue it with `candlewick run --resume {path}`");
                return Err(Failure::new(2, hint));
            }
            let summary: Summary = read_json(&file)?;
            if output.json() {
                return output.document(&summary);
            }
            let table = report::terminal(&summary, output.width(), output.colour());
            output.print(&(audit::alarm(summary.audit.as_ref()) + &table))
        }
    }
}

fn list(runs: &Path, output: &Output) -> Result<(), Failure> {
    let found = list_runs(runs)?;
    if output.json() {
        let rows: Vec<serde_json::Value> = found.iter().map(|path| row(path).to_json(path)).collect();
        return output.document(&rows);
    }
    if found.is_empty() {
        output.say(&format!("there is no run in {}", runs.display()));
        return Ok(());
    }
    let mut table = ruled_table(output.terminal_width());
    table.set_header(["run", "state", "best model", "Sharpe difference", "verdict"]);
    for path in &found {
        let row = row(path);
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let difference = row.difference.map_or(String::new(), |difference| format!("{difference:+.2}"));
        table.add_row([name, row.state.to_owned(), row.model, difference, row.conclusion]);
    }
    output.print(&table.to_string())
}

struct Row {
    state: &'static str,
    model: String,
    difference: Option<f64>,
    conclusion: String,
}

impl Row {
    fn to_json(&self, path: &Path) -> serde_json::Value {
        serde_json::json!({
            "run_dir": path, "state": self.state, "best_model": self.model,
            "sharpe_difference": self.difference, "conclusion": self.conclusion,
        })
    }
}

/// A run that cannot be read is listed as damaged rather than ending the list.
fn row(path: &Path) -> Row {
    let state = match RunDir::manifest(path) {
        Ok(Some(_)) => "complete",
        Ok(None) => "unfinished",
        Err(_) => "damaged",
    };
    let verdict = read_json::<Summary>(&path.join("summary.json")).ok().and_then(|summary| summary.verdict);
    Row {
        state,
        model: verdict.as_ref().map(|verdict| verdict.best_model.clone()).unwrap_or_default(),
        difference: verdict.as_ref().map(|verdict| verdict.sharpe_difference),
        conclusion: verdict.map(|verdict| verdict.conclusion.to_string()).unwrap_or_default(),
    }
}
