//! What `run` and `backtest` share: a configuration becomes a plan, a plan becomes a run directory.

use super::audit;
use super::failure::Failure;
use super::output::Output;
use crate::config::{Plan, Text, load};
use crate::device::{ChosenDevice, DeviceChoice};
use crate::domains::market::strategies::StrategyEntry;
use crate::progress::{Console, JsonLines, Progress, Tee};
use crate::report;
use crate::run::{self, Context};
use crate::rundir::{RunDir, Summary};
use clap::Args;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Options of the verbs that run something.
#[derive(Args)]
pub(super) struct Options {
    /// Print the results as one JSON document on stdout
    #[arg(long)]
    pub json: bool,
    /// Where networks train: auto, cpu, cuda or cuda:N (as in the configuration)
    #[arg(long, value_name = "DEVICE")]
    pub device: Option<DeviceChoice>,
    /// Threads to work with (default: all processors); changes no result
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// The folder that holds the run directories
    #[arg(long, value_name = "DIR", default_value = "runs")]
    pub runs: PathBuf,
    /// Do not prove that nothing knows the future
    #[arg(long)]
    pub no_audit: bool,
    /// Do not draw report.html
    #[arg(long)]
    pub no_report: bool,
}

/// Reads a configuration file with its overrides.
pub(super) fn read_plan(config: &Path, overrides: &[String]) -> Result<Plan, Failure> {
    let yaml = read_text(config)?;
    load(&Text { name: &config.display().to_string(), yaml: &yaml, overrides }).map_err(|error| {
        if has_key(&yaml, "space") && has_key(&yaml, "experiment") {
            let path = config.display();
            return Failure::new(2, format!("{path} looks like a sweep; use `candlewick sweep {path}`"));
        }
        error.into()
    })
}

/// Whether a YAML text has this key at its top.
pub(super) fn has_key(yaml: &str, key: &str) -> bool {
    yaml.lines().any(|line| line.strip_prefix(key).is_some_and(|rest| rest.starts_with(':')))
}

/// Reads a file that should be YAML.
pub(super) fn read_text(config: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(config).map_err(|error| {
        let hint = match () {
            () if config.is_dir() => "; name a YAML file, not a folder",
            () if error.kind() == std::io::ErrorKind::InvalidData => {
                "; name a YAML file (data is named in it, under `data.path`)"
            }
            () => "",
        };
        Failure::new(2, format!("cannot read {}: {error}{hint}", config.display()))
    })
}

/// Runs the plan in a new directory. One that stops before a model is in work leaves no directory: there is nothing in it
/// to continue.
pub(super) fn start(plan: &Plan, options: &Options, output: &Output) -> Result<(), Failure> {
    let device = device(plan, options)?;
    let directory = RunDir::create(&options.runs, &today(), &plan.experiment.name, &plan.sha256)?;
    let written = directory
        .write("resolved.yaml", &plan.resolved)
        .and_then(|()| directory.write("config.yaml", &plan.written))
        .map_err(Failure::from);
    match written.and_then(|()| execute(plan, &directory, &device, options, output)) {
        Err(failure) if !directory.file("models").exists() => {
            directory.discard()?;
            Err(failure)
        }
        Err(failure) if failure.code != 130 => {
            let path = directory.path().display();
            Err(failure.with_hint(&format!(
                "what is finished is kept; continue with `candlewick run --resume {path}`"
            )))
        }
        Err(failure) => Err(failure),
        // Such a run is complete and kept, but must not end like one that can be trusted.
        Ok(summary) => audit::trusted(summary.audit.as_ref()),
    }
}

/// Continues the plan in the directory of an interrupted run.
pub(super) fn resume(
    plan: &Plan,
    directory: &RunDir,
    options: &Options,
    output: &Output,
) -> Result<(), Failure> {
    let summary = execute(plan, directory, &device(plan, options)?, options, output)?;
    audit::trusted(summary.audit.as_ref())
}

/// What the command line changes in a plan, its device included: who continues the run or repeats it means that device.
pub(super) fn changes(overrides: &[String], options: &Options) -> Vec<String> {
    let device = options.device.map(|device| format!("device={device}"));
    overrides.iter().cloned().chain(device).collect()
}

/// The device that was asked for on the command line, or in the plan. Opening a CUDA device takes longer than many a backtest,
/// so `auto` does so only where something can run on it.
pub(super) fn device(plan: &Plan, options: &Options) -> Result<ChosenDevice, Failure> {
    let experiment = &plan.experiment;
    let networks = experiment.models.values().any(|model| !model.build().is_closed_form());
    let useful = networks || experiment.strategies.values().any(StrategyEntry::is_grid);
    Ok(options.device.unwrap_or(experiment.device).open(useful)?)
}

/// Runs the plan in the directory, with progress on stderr, and prints what it found.
fn execute(
    plan: &Plan,
    directory: &RunDir,
    device: &ChosenDevice,
    options: &Options,
    output: &Output,
) -> Result<Summary, Failure> {
    let threads = threads(options.threads);
    // candle walks the graph of a backward pass by recursion; the default stack is too small for long windows.
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .stack_size(64 << 20)
        .build()
        .map_err(|error| Failure::new(5, format!("cannot start {threads} threads: {error}")))?;
    let console = Console::default();
    let events = JsonLines::new(directory.events()?);
    let stop = stop_on_interrupt();
    let progress = Tee(vec![&console as &dyn Progress, &events]);
    let context = Context {
        device,
        threads,
        audit: !options.no_audit,
        report: !options.no_report,
        stop: &stop,
        progress: &progress,
    };
    let summary = pool.install(|| run::run(plan, directory, &context))?;
    show(&summary, options, output)?;
    Ok(summary)
}

fn show(summary: &Summary, options: &Options, output: &Output) -> Result<(), Failure> {
    if output.json() {
        output.document(summary)?;
    } else {
        let table = report::terminal(summary, output.width(), output.colour());
        output.print(&(audit::alarm(summary.audit.as_ref()) + &table))?;
    }
    if options.no_report {
        output.say(&format!("{:>12} {}", "Results", summary.run_dir));
    } else {
        output.say(&format!("{:>12} {}/report.html", "Report", summary.run_dir));
    }
    Ok(())
}

/// The threads that were asked for, or all processors.
pub(super) fn threads(asked: Option<u16>) -> usize {
    asked.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from)
}

#[expect(clippy::exit, reason = "the second Ctrl-C means now; every file is whole or absent at any moment")]
/// The first Ctrl-C asks the run to stop where it can be resumed; the second ends the process.
pub(super) fn stop_on_interrupt() -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let flag = stop.clone();
    // Without the handler Ctrl-C still works, it only ends the run at once; a killed run can be resumed as well.
    let _ = ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
    });
    stop
}

/// The date that names directories.
pub(super) fn today() -> String {
    jiff::Zoned::now().date().to_string()
}
