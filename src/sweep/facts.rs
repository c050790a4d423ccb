//! What the ledger of a sweep says: sittings, jobs that began, outcomes, the winner.

use crate::rundir::TrialSpan;
use crate::search::Settings;
use serde::{Deserialize, Serialize};

/// One line of the ledger.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Fact {
    /// A process began to work on the sweep.
    Sitting(Sitting),
    /// A job began.
    Began {
        /// Its number, from 0, in the order in which the search gave them.
        job: usize,
        /// Its trial.
        trial: usize,
        /// Seconds since the sweep began.
        at: f64,
    },
    /// A job is done.
    Outcome(Box<Outcome>),
    /// The best trial began to run as a whole experiment.
    Winner {
        /// Its number.
        trial: usize,
        /// Its run directory.
        run_dir: String,
    },
}

/// A process that works on a sweep, from its start to its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Sitting {
    /// Seconds of all sittings before.
    pub offset: f64,
    /// Worker threads.
    pub threads: usize,
    /// Version of the program.
    pub version: String,
    /// Fingerprint of the bars of the experiment.
    pub data_sha256: String,
    /// `cpu` or `cuda:0`.
    pub device: String,
    /// On what the bits of the kernels depend ([`crate::kernels::instructions::Instructions::fingerprint`]).
    #[serde(default)]
    pub instructions: String,
}

/// How a job ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// As it should.
    Done,
    /// A loss was no longer a number.
    Diverged,
    /// It could not be computed.
    Failed,
    /// Its device broke. That ends the sweep, and is never written down.
    Broken,
}

/// What a job found. The search is told the first outcome of each job; where there are several, since a failed one was
/// tried again, the last one counts in the end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// The job's number, from 0.
    pub job: usize,
    /// Its trial's number.
    pub trial: usize,
    /// Hash of all that its value depends on.
    pub id: String,
    /// Its settings by path.
    pub settings: Settings,
    /// Epochs that were asked for in all.
    pub epochs: u64,
    /// The trial whose state it took over.
    pub copy_from: Option<usize>,
    /// How it ended.
    pub ending: Ending,
    /// What it found.
    pub found: Finding,
    /// Why it failed or diverged.
    pub reason: Option<String>,
    /// Whether it was taken from an earlier sweep.
    pub reused: bool,
    /// When it was at work, and on which core.
    pub spans: Vec<TrialSpan>,
    /// Processor time.
    pub cpu_seconds: f64,
    /// Seconds since the sweep began.
    pub at: f64,
    /// Processor time of the whole process in this sitting so far.
    pub sitting_cpu_seconds: f64,
}

/// The numbers of a job; equal jobs find equal bits.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// The mean of `values`; smaller or larger is better, as the goal says.
    pub value: Option<f64>,
    /// The metric of each network, fold by fold, within a fold seed by seed.
    pub values: Vec<f64>,
    /// Numbers that were fitted in one network.
    pub parameters: usize,
    /// The networks' shape in words.
    pub shape: String,
    /// Validation windows on which each network was judged, in the order of `values`.
    #[serde(default)]
    pub windows: Vec<usize>,
    /// Epoch and validation loss, the mean over the networks that came so far.
    pub curve: Vec<(u64, f64)>,
    /// Sharpe ratio a year of the book on the first fold's validation bars, the mean over seeds; absent where nothing is
    /// traded.
    pub sharpe: Option<f64>,
    /// Returns of that book over equal stretches of those bars, the mean over seeds; empty where nothing is traded.
    pub returns: Vec<f32>,
}
