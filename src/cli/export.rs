//! `candlewick export`.

use super::failure::Failure;
use super::output::Output;
use crate::report;
use crate::rundir::find_run;
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// The verbs below `candlewick export`.
#[derive(Subcommand)]
pub(super) enum Verb {
    /// Write event files for TensorBoard
    Tensorboard(Arguments),
}

/// Arguments of `candlewick export tensorboard`.
#[derive(Args)]
pub(super) struct Arguments {
    /// A run (a directory, a name, or `latest`) or the directory of a sweep
    run_or_sweep: String,
    /// The folder that holds the run directories
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs: PathBuf,
    /// Where the files are written (default: tensorboard in the directory of the run or sweep)
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Print the paths of the files as a JSON document on stdout
    #[arg(long)]
    json: bool,
}

impl Verb {
    pub(super) fn json(&self) -> bool {
        let Verb::Tensorboard(arguments) = self;
        arguments.json
    }
}

pub(super) fn run(verb: &Verb, output: &Output) -> Result<(), Failure> {
    let Verb::Tensorboard(arguments) = verb;
    let sweep = PathBuf::from(&arguments.run_or_sweep);
    let directory = match sweep.join("sweep.json").is_file() {
        true => sweep,
        false => find_run(&arguments.runs, &arguments.run_or_sweep)?,
    };
    let folder = arguments.out.clone().unwrap_or_else(|| directory.join("tensorboard"));
    let files = report::export_tensorboard(&directory, &folder)?;
    if output.json() {
        output.document(&serde_json::json!({"folder": folder, "files": files}))?;
    }
    output.say(&format!(
        "{:>12} {} files; look at them with: tensorboard --logdir {}",
        "Exported",
        files.len(),
        folder.display()
    ));
    Ok(())
}
