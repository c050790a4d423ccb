//! `candlewick schema`.

use super::failure::Failure;
use super::output::Output;
use crate::config::{schema_text, sweep_schema_text};
use crate::rundir::write_atomic;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `candlewick schema`.
#[derive(Args)]
pub(super) struct Arguments {
    /// The schema of sweeps instead of experiments
    #[arg(long)]
    sweep: bool,
    /// The file to write (default: stdout)
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    let schema = if arguments.sweep { sweep_schema_text() } else { schema_text() };
    match &arguments.output {
        Some(path) => Ok(write_atomic(path, schema.as_bytes())?),
        None => output.print(&schema),
    }
}
