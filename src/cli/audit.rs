//! `candlewick audit`.

use super::experiment::{self, read_plan};
use super::failure::Failure;
use super::output::Output;
use crate::audit::Depth;
use crate::config::Plan;
use crate::data;
use crate::progress::Console;
use crate::ruled_table::ruled_table;
use crate::run;
use crate::rundir::{AuditCheck, AuditSummary, RunDir, find_run};
use clap::Args;
use std::path::PathBuf;

/// Arguments of `candlewick audit`.
#[derive(Args)]
#[command(
    after_help = "Everything after many moments is replaced by futures that did not happen; what is known before must keep its\n\
                        bits. Exit code 4 where something does not."
)]
pub(super) struct Arguments {
    /// The experiment, or a run: its directory, its name, or `latest`
    experiment: PathBuf,
    /// Replace a setting of an experiment: --set data.path=other.parquet (may be given several times)
    #[arg(long = "set", value_name = "PATH=VALUE")]
    overrides: Vec<String>,
    /// Every fold, all bars, many more moments and futures; models of closed form are trained anew
    #[arg(long)]
    full: bool,
    /// The folder that holds the run directories
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs: PathBuf,
    /// Threads to work with (default: all processors); changes no result
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    threads: Option<u16>,
    /// Print the result as one JSON document on stdout
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    let (plan, expected) = plan(arguments)?;
    let threads = experiment::threads(arguments.threads);
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .map_err(|error| Failure::new(5, format!("cannot start {threads} threads: {error}")))?;
    let loaded = data::load(&plan.experiment.data)?;
    if let Some(expected) = expected.filter(|expected| *expected != loaded.sha256) {
        let found = &loaded.sha256;
        return Err(Failure::new(
            3,
            format!("the data are not those of the run (found {found}, expected {expected}); restore them"),
        ));
    }
    let depth = if arguments.full { Depth::Full } else { Depth::Short };
    let console = Console::default();
    let audit = pool.install(|| run::audit(&plan, &loaded.bars, depth, &console))?;
    if output.json() {
        output.document(&audit)?;
    } else {
        output.print(&(table(&audit, output.width()) + "\n"))?;
    }
    trusted(Some(&audit))
}

/// The plan of a file, or that of a run with the fingerprint of its data.
fn plan(arguments: &Arguments) -> Result<(Plan, Option<String>), Failure> {
    if arguments.experiment.is_file() {
        return Ok((read_plan(&arguments.experiment, &arguments.overrides)?, None));
    }
    if !arguments.overrides.is_empty() {
        let message = "--set changes an experiment, not a run that is done; name the experiment's file";
        return Err(Failure::new(2, message));
    }
    let path = find_run(&arguments.runs, &arguments.experiment.to_string_lossy())?;
    let expected = RunDir::manifest(&path)?.map(|manifest| manifest.data_sha256);
    Ok((read_plan(&path.join("resolved.yaml"), &[])?, expected))
}

fn table(audit: &AuditSummary, width: usize) -> String {
    let mut table = ruled_table(Some(width));
    table.set_header(["part", "result", "finding"]);
    for check in &audit.checks {
        let result = if check.passed { "passed" } else { "FAILED" };
        table.add_row([check.part.as_str(), result, check.finding.as_str()]);
    }
    table.to_string()
}

/// The lines above the table of a run that did not pass; nothing for one that did.
pub(super) fn alarm(audit: Option<&AuditSummary>) -> String {
    let failed: Vec<&AuditCheck> =
        audit.into_iter().flat_map(|audit| &audit.checks).filter(|check| !check.passed).collect();
    if failed.is_empty() {
        return String::new();
    }
    let lines: String = failed.iter().map(|check| format!("  {}: {}\n", check.part, check.finding)).collect();
    format!("LOOK-AHEAD: do not trust the numbers below.\n{lines}\n")
}

/// How a verb ends after this audit.
///
/// # Errors
/// Something knows the future, or could not be proved not to.
pub(super) fn trusted(audit: Option<&AuditSummary>) -> Result<(), Failure> {
    let code = run::audit_exit_code(audit);
    if code == 0 {
        return Ok(());
    }
    let failed = audit.into_iter().flat_map(|audit| &audit.checks).filter(|check| !check.passed);
    let parts: Vec<&str> = failed.map(|check| check.part.as_str()).collect();
    let message = format!(
        "something knows the future, or could not be proved not to: {}; no number that depends on it can be trusted",
        parts.join(", ")
    );
    Err(Failure::new(code, message).already_documented())
}
