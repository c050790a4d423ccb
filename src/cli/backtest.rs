//! `candlewick backtest`.

use super::experiment::{self, Options};
use super::failure::Failure;
use super::output::Output;
use clap::Args;
use std::path::PathBuf;

/// Arguments of `candlewick backtest`.
#[derive(Args)]
pub(super) struct Arguments {
    /// The experiment; its models, and the strategies that trade on them, are left out
    config: PathBuf,
    /// Replace a setting: --set backtest.cash=50000 (may be given several times)
    #[arg(long = "set", value_name = "PATH=VALUE")]
    overrides: Vec<String>,
    #[command(flatten)]
    pub(super) options: Options,
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    let plan = experiment::read_plan(&arguments.config, &arguments.overrides)?;
    let plan = plan.without_models().map_err(|message| Failure::new(1, message))?;
    if plan.experiment.strategies.is_empty() {
        let message = "every strategy of this experiment trades on a model; use `candlewick run`";
        return Err(Failure::new(2, message));
    }
    experiment::start(&plan, &arguments.options, output)
}
