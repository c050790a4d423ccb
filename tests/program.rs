//! Runs the built program the way a user does, in a scratch folder.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use tempfile::TempDir;

/// The built program; a test program that was carried elsewhere is told by `CANDLEWICK_PROGRAM` where it lies there.
pub(crate) fn program() -> PathBuf {
    let told = std::env::var_os("CANDLEWICK_PROGRAM");
    told.map_or_else(|| env!("CARGO_BIN_EXE_candlewick").into(), PathBuf::from)
}

/// A scratch folder in which the program runs.
pub(crate) struct Scratch {
    folder: TempDir,
}

/// What a command left: exit code, documents, words.
pub(crate) struct Done {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Done {
    /// The document on stdout.
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("{error}\n{}\n{}", self.stdout, self.stderr))
    }

    /// Asserts the exit code and shows everything where it is another.
    #[track_caller]
    pub(crate) fn exits(self, code: i32) -> Done {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }
}

impl Scratch {
    pub(crate) fn new() -> Scratch {
        Scratch { folder: TempDir::new().unwrap() }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        std::fs::write(self.path(name), text).unwrap();
        self.path(name)
    }

    /// The command, not started yet.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(program());
        command.args(arguments).current_dir(self.folder.path()).env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }

    /// Runs the command to its end.
    pub(crate) fn candlewick(&self, arguments: &[&str]) -> Done {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        Done {
            code: status.code().unwrap_or(-1),
            stdout: String::from_utf8(stdout).unwrap(),
            stderr: String::from_utf8(stderr).unwrap(),
        }
    }

    /// A market with a planted signal of this information coefficient: hourly bars of two symbols.
    pub(crate) fn market(&self, bars: usize, information_coefficient: f64) -> PathBuf {
        let (bars, coefficient) = (bars.to_string(), information_coefficient.to_string());
        self.candlewick(&[
            "data",
            "generate",
            "market",
            "--symbols",
            "2",
            "--bars",
            &bars,
            "--seed",
            "5",
            "--information-coefficient",
            &coefficient,
            "--horizon-bars",
            "4",
            "--output",
            "market.parquet",
        ])
        .exits(0);
        self.path("market.parquet")
    }

    /// The run directories, oldest first.
    pub(crate) fn runs(&self) -> Vec<PathBuf> {
        candlewick::rundir::list_runs(&self.path("runs")).unwrap()
    }
}

/// An experiment that trains one of every model within a second or two.
pub(crate) const SMALL: &str = "\
# yaml-language-server: $schema=schema.json
name: small
seed: 11
data: {path: market.parquet}
features:
  - log_return: {lags: [1, 2, 4, 8]}
  - rsi: {period: 14}
target: {forward_return: {horizons_bars: [4]}}
split: {walk_forward: {folds: 2, train_bars: 700, validation_bars: 200, test_bars: 250, embargo_bars: 4}}
models:
  lstm: {lstm: {window: 12, layers: [12, 8], dropout: 0.2}}
  transformer: {transformer: {window: 12, width: 16, heads: 2, layers: 1, dropout: 0.1}}
  ridge: {linear: {window: 4, penalty: 10.0}}
  zero: {naive: {forecast: zero}}
train: {epochs: 4, batch_size: 64, early_stopping: {patience: 2}}
strategies:
  lstm_signal: {model_signal: {model: lstm}}
  transformer_signal: {model_signal: {model: transformer}}
  ridge_signal: {model_signal: {model: ridge}}
  hold: {buy_and_hold: {}}
  sma: {sma_cross: {fast: 5, slow: 20}}
  random: {random_entry: {books: 20}}
backtest:
  costs: [{proportional: {fee_bps: 2}}, {slippage: {bps: 1}}]
";

/// All that must not depend on threads, interruptions or company: the bytes of the result tables and of the weights,
/// and the figures of the summary. Times, threads, speeds and the folder's name may differ.
pub(crate) fn results(run: &Path) -> Vec<(String, Vec<u8>)> {
    let tables = ["predictions", "positions", "fills", "equity", "metrics", "folds", "training"];
    let tables = tables.iter().map(|name| run.join(format!("{name}.parquet")));
    let mut found: Vec<(String, Vec<u8>)> =
        tables.chain(weights(run)).map(|file| contents(run, &file)).collect();
    found.push(("summary.json".into(), figures(run).into_bytes()));
    found
}

fn contents(run: &Path, file: &Path) -> (String, Vec<u8>) {
    let bytes = std::fs::read(file).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    (file.strip_prefix(run).unwrap().display().to_string(), bytes)
}

/// The files of trained weights below a folder, sorted.
pub(crate) fn weights(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(weights(&path));
        } else if path.ends_with("model.safetensors") {
            found.push(path);
        }
    }
    found.sort();
    found
}

fn figures(run: &Path) -> String {
    let text = std::fs::read_to_string(run.join("summary.json")).unwrap();
    let mut summary: serde_json::Value = serde_json::from_str(&text).unwrap();
    for model in summary["models"].as_array_mut().unwrap() {
        for speed in ["samples_per_second", "samples_per_cpu_second"] {
            assert!(model.as_object_mut().unwrap().remove(speed).is_some(), "{speed} is missing");
        }
    }
    let kept =
        ["name", "seed", "plan_sha256", "data", "models", "strategies", "verdict", "backtest", "warnings"];
    kept.map(|part| format!("{part}: {}\n", summary.get(part).unwrap())).concat()
}

/// Asserts that a run found the very bits that another one found.
#[track_caller]
pub(crate) fn assert_same(run: &Path, expected: &[(String, Vec<u8>)], what: &str) {
    let found = results(run);
    let names =
        |results: &[(String, Vec<u8>)]| results.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&found), names(expected), "{what}");
    for ((name, found), (_, wanted)) in found.iter().zip(expected) {
        assert!(found == wanted, "{name} differs: {what}");
    }
}
