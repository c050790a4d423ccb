//! `candlewick export`.

use super::experiment::read_plan;
use super::failure::Failure;
use super::output::Output;
use crate::report;
use crate::run::{OnnxChoice, export_onnx};
use crate::rundir::{find_run, sha256_hex, write_atomic};
use clap::{Args, Subcommand};
use std::path::PathBuf;

/// The verbs below `candlewick export`.
#[derive(Subcommand)]
pub(super) enum Verb {
    /// Write event files for TensorBoard
    Tensorboard(TensorboardArguments),
    /// Write a trained model, its scaler included, as an ONNX file
    Onnx(OnnxArguments),
}

/// Arguments of `candlewick export tensorboard`.
#[derive(Args)]
pub(super) struct TensorboardArguments {
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

/// Arguments of `candlewick export onnx`.
#[derive(Args)]
pub(super) struct OnnxArguments {
    /// A run: a directory, a name, or `latest`
    run: String,
    /// The folder that holds the run directories
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs: PathBuf,
    /// Which model; needed where the run has several
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// The model of which fold, counted from 0 (default: the last one)
    #[arg(long, value_name = "K")]
    fold: Option<usize>,
    /// One network of an ensemble, counted from 0 (default: the mean of all)
    #[arg(long, value_name = "S")]
    seed: Option<usize>,
    /// Whose forecasts; needed where features or targets are scaled symbol by symbol
    #[arg(long, value_name = "NAME")]
    symbol: Option<String>,
    /// The file (default: onnx/MODEL-fold-K.onnx in the run's directory)
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Print what was exported as a JSON document on stdout
    #[arg(long)]
    json: bool,
}

impl Verb {
    pub(super) fn json(&self) -> bool {
        match self {
            Verb::Tensorboard(arguments) => arguments.json,
            Verb::Onnx(arguments) => arguments.json,
        }
    }
}

pub(super) fn run(verb: &Verb, output: &Output) -> Result<(), Failure> {
    match verb {
        Verb::Tensorboard(arguments) => tensorboard(arguments, output),
        Verb::Onnx(arguments) => onnx(arguments, output),
    }
}

fn tensorboard(arguments: &TensorboardArguments, output: &Output) -> Result<(), Failure> {
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

fn onnx(arguments: &OnnxArguments, output: &Output) -> Result<(), Failure> {
    let run = find_run(&arguments.runs, &arguments.run)?;
    let plan = read_plan(&run.join("resolved.yaml"), &[])?;
    let choice = OnnxChoice {
        model: arguments.model.clone(),
        fold: arguments.fold,
        seed: arguments.seed,
        symbol: arguments.symbol.clone(),
    };
    let export = export_onnx(&run, &plan, &choice)?;
    let default = || run.join("onnx").join(format!("{}.onnx", export.stem()));
    let path = arguments.out.clone().unwrap_or_else(default);
    write_atomic(&path, &export.file)?;
    if output.json() {
        let mut document =
            serde_json::to_value(&export).map_err(|error| Failure::new(1, error.to_string()))?;
        document["file"] = serde_json::json!(path);
        document["bytes"] = serde_json::json!(export.file.len());
        document["sha256"] = serde_json::json!(sha256_hex(&export.file));
        output.document(&document)?;
    }
    let (window, features, horizons) = (export.window, export.features.len(), export.horizons_bars.len());
    output.say(&format!("{:>12} {} ({} bytes)", "Exported", path.display(), export.file.len()));
    output.say(&format!(
        "{:>12} double window [batch, {window}, {features}] of raw features in, double forecast [batch, {horizons}] out: {}",
        "", export.unit
    ));
    Ok(())
}
