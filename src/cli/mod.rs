//! The command line: one verb a file. Documents go to stdout, everything for people to stderr.

mod audit;
mod backtest;
mod check;
mod data;
mod experiment;
mod export;
mod failure;
mod output;
mod query;
mod report;
mod run;
mod runs;
mod schema;
mod stream;
mod sweep;

use clap::{Parser, Subcommand};
use output::Output;
use std::process::ExitCode;

/// From one YAML file to a verdict: trains forecasting models, backtests them beside ordinary strategies, reports.
#[derive(Parser)]
#[command(
    version,
    max_term_width = 100,
    propagate_version = true,
    after_help = "Exit codes: 0 ok, 1 work failed, 2 usage or configuration, 3 data, \
                  4 something knows the future, 5 resources (disk, memory, GPU), 6 run locked, 130 interrupted (runs and sweeps can be resumed)."
)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Run an experiment: load, train, backtest, compare, report
    Run(run::Arguments),
    /// Vary the settings of an experiment, choose on validation bars, run the best on test bars
    Sweep(sweep::Arguments),
    /// Run only the strategies that need no model
    Backtest(backtest::Arguments),
    /// Show what a run would do, or every mistake in its configuration
    Check(check::Arguments),
    /// Prove that nothing in an experiment knows the future, or name what does
    Audit(audit::Arguments),
    /// Draw the report of a run again, or compare several runs
    Report(report::Arguments),
    /// Write models, or the curves of a run or a sweep, for other programs
    #[command(subcommand)]
    Export(export::Verb),
    /// List runs, or show one
    #[command(subcommand)]
    Runs(runs::Verb),
    /// Print rows of a result table, or all that a model saw for one forecast
    Query(query::Arguments),
    /// Replay test bars through a saved model as if they came live
    Stream(stream::Arguments),
    /// Describe, import or generate market data, or turn order books into depth
    Data(data::DataArguments),
    /// Write the JSON Schema of experiments or sweeps, for completion in editors
    Schema(schema::Arguments),
}

/// Parses the command line and does what it says.
pub fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let output = Output::new(arguments.verb.wants_json());
    let done = match &arguments.verb {
        Verb::Run(arguments) => run::run(arguments, &output),
        Verb::Sweep(arguments) => sweep::run(arguments, &output),
        Verb::Backtest(arguments) => backtest::run(arguments, &output),
        Verb::Check(arguments) => check::run(arguments, &output),
        Verb::Audit(arguments) => audit::run(arguments, &output),
        Verb::Report(arguments) => report::run(arguments, &output),
        Verb::Export(verb) => export::run(verb, &output),
        Verb::Runs(verb) => runs::run(verb, &output),
        Verb::Query(arguments) => query::run(arguments, &output),
        Verb::Stream(arguments) => stream::run(arguments, &output),
        Verb::Data(arguments) => {
            data::run(arguments, &mut std::io::stdout().lock()).map_err(failure::Failure::from)
        }
        Verb::Schema(arguments) => schema::run(arguments, &output),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => output.fail(&failure),
    }
}

impl Verb {
    fn wants_json(&self) -> bool {
        match self {
            Verb::Run(arguments) => arguments.options.json,
            Verb::Sweep(arguments) => arguments.json(),
            Verb::Backtest(arguments) => arguments.options.json,
            Verb::Check(arguments) => arguments.json,
            Verb::Audit(arguments) => arguments.json,
            Verb::Report(arguments) => arguments.json,
            Verb::Export(verb) => verb.json(),
            Verb::Runs(verb) => verb.json(),
            Verb::Query(arguments) => arguments.json,
            Verb::Stream(arguments) => arguments.json,
            Verb::Data(arguments) => arguments.json(),
            Verb::Schema(_) => false,
        }
    }
}
