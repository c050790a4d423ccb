//! `candlewick run`.

use super::experiment::{self, Options};
use super::failure::Failure;
use super::output::Output;
use crate::rundir::{RunDir, find_run};
use clap::Args;
use std::path::PathBuf;

/// Arguments of `candlewick run`.
#[derive(Args)]
#[command(after_help = "Example: candlewick run configs/quickstart.yaml --set train.epochs=5")]
pub(super) struct Arguments {
    /// The experiment
    #[arg(required_unless_present = "resume", conflicts_with = "resume")]
    config: Option<PathBuf>,
    /// Replace a setting: --set train.epochs=5 (may be given several times)
    #[arg(long = "set", value_name = "PATH=VALUE", conflicts_with = "resume")]
    overrides: Vec<String>,
    /// Continue an interrupted run: its directory, its name, or `latest`
    #[arg(long, value_name = "RUN")]
    resume: Option<String>,
    #[command(flatten)]
    pub(super) options: Options,
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    let options = &arguments.options;
    if let Some(wanted) = &arguments.resume {
        let directory = RunDir::open(&find_run(&options.runs, wanted)?)?;
        if RunDir::manifest(directory.path())?.is_some() {
            let path = directory.path().display();
            return Err(Failure::new(
                2,
                format!("{path} is complete; see it with `candlewick runs show {path}`"),
            ));
        }
        let plan = experiment::read_plan(&directory.file("resolved.yaml"), &[])?;
        return experiment::resume(&plan, &directory, options, output);
    }
    // clap asks for one of the two.
    let config = arguments.config.clone().unwrap_or_default();
    let plan = experiment::read_plan(&config, &experiment::changes(&arguments.overrides, options))?;
    experiment::start(&plan, options, output)
}
