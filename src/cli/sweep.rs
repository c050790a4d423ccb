//! `candlewick sweep`, and what tells of a sweep: `status`, `best`, `retry`.

use super::audit;
use super::experiment::{self, Options, today};
use super::failure::Failure;
use super::output::Output;
use crate::config::{SweepPlan, Text, load_sweep};
use crate::device::ChosenDevice;
use crate::progress::Console;
use crate::report;
use crate::ruled_table::ruled_table;
use crate::rundir::{RunDir, Summary, SweepSummary, TrialStatus, TrialSummary, find_sweep, read_json};
use crate::search::Settings;
use crate::sweep::{self, Context, LEDGER, Status};
use clap::{Args, Subcommand};
use std::path::{Path, PathBuf};

/// Arguments of `candlewick sweep`.
#[derive(Args)]
#[command(
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    subcommand_value_name = "VERB",
    subcommand_help_heading = "Verbs",
    after_help = "Example: candlewick sweep configs/sweeps/quickstart.yaml --set trials=16"
)]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,
    /// The sweep
    #[arg(required_unless_present = "resume", conflicts_with = "resume")]
    config: Option<PathBuf>,
    /// Replace a setting: --set trials=16, --set set.train.epochs=2 (may be given several times)
    #[arg(long = "set", value_name = "PATH=VALUE", conflicts_with = "resume")]
    overrides: Vec<String>,
    /// Continue an interrupted sweep: its directory, its name, or `latest`
    #[arg(long, value_name = "SWEEP")]
    resume: Option<String>,
    /// The folder that holds the sweep directories; equal trials of earlier sweeps in it are used again
    #[arg(long, value_name = "DIR", default_value = "sweeps")]
    sweeps: PathBuf,
    #[command(flatten)]
    options: Options,
}

/// The verbs below `candlewick sweep`.
#[derive(Subcommand)]
enum Verb {
    /// Show how far a sweep is; works while it runs
    Status(Which),
    /// Print the experiment of the best trial, for `candlewick run`
    Best(Which),
    /// Try the failed trials of a sweep again
    Retry(Retry),
}

/// Which sweep.
#[derive(Args)]
struct Which {
    /// A directory, a name or its unique beginning, or `latest`
    #[arg(default_value = "latest")]
    sweep: String,
    /// The folder that holds the sweep directories
    #[arg(long, value_name = "DIR", default_value = "sweeps")]
    sweeps: PathBuf,
    /// Print one JSON document on stdout
    #[arg(long)]
    json: bool,
}

/// Which sweep, and how it is continued.
#[derive(Args)]
struct Retry {
    /// A directory, a name or its unique beginning, or `latest`
    sweep: String,
    /// The folder that holds the sweep directories
    #[arg(long, value_name = "DIR", default_value = "sweeps")]
    sweeps: PathBuf,
    #[command(flatten)]
    options: Options,
}

impl Arguments {
    pub(super) fn json(&self) -> bool {
        match &self.verb {
            None => self.options.json,
            Some(Verb::Status(which) | Verb::Best(which)) => which.json,
            Some(Verb::Retry(retry)) => retry.options.json,
        }
    }
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    match &arguments.verb {
        Some(Verb::Status(which)) => status(which, output),
        Some(Verb::Best(which)) => best(which, output),
        Some(Verb::Retry(retry)) => try_again(retry, output),
        None => match &arguments.resume {
            Some(wanted) => resume(arguments, wanted, output),
            None => start(arguments, output),
        },
    }
}

/// Sweeps in a new directory. One that stops before a trial is done leaves none: there is nothing in it to continue.
fn start(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    let options = &arguments.options;
    // clap asks for it where nothing is resumed.
    let config = arguments.config.clone().unwrap_or_default();
    let plan = plan_at(&config, arguments)?;
    apart(&arguments.sweeps, &options.runs)?;
    let device = experiment::device(&plan.experiment, options)?;
    let directory = RunDir::create(&arguments.sweeps, &today(), &plan.config.name, &plan.sha256)?;
    let written = directory
        .write("experiment.yaml", &plan.experiment.resolved)
        .and_then(|()| directory.write("resolved.yaml", &plan.resolved))
        .and_then(|()| directory.write("config.yaml", &plan.written))
        .map_err(Failure::from);
    match written.and_then(|()| execute(&plan, &directory, &device, (options, false), output)) {
        Err(failure) if !directory.file(LEDGER).exists() => {
            directory.discard()?;
            Err(failure)
        }
        Err(failure) if failure.code != 130 => Err(failure.with_hint(&way_on(&plan, directory.path()))),
        other => other,
    }
}

/// Reads a sweep and its experiment.
fn plan_at(config: &Path, arguments: &Arguments) -> Result<SweepPlan, Failure> {
    let yaml = experiment::read_text(config).map_err(|failure| {
        let name = config.display().to_string();
        match !config.exists() && find_sweep(&arguments.sweeps, &name).is_ok() {
            true => failure.with_hint(&format!("to continue a sweep: `candlewick sweep --resume {name}`")),
            false => failure,
        }
    })?;
    let name = config.display().to_string();
    let text = Text { name: &name, yaml: &yaml, overrides: &arguments.overrides };
    let read = |path: &Path| {
        std::fs::read_to_string(path).map_err(|error| format!("cannot read {}: {error}", path.display()))
    };
    load_sweep(&text, &read).map_err(|error| {
        if experiment::has_key(&yaml, "data") && !experiment::has_key(&yaml, "space") {
            let hint = "a sweep names its experiment under `experiment` and has a `space`";
            let message = format!("{name} looks like an experiment; use `candlewick run {name}` ({hint})");
            return Failure::new(2, message);
        }
        error.into()
    })
}

/// What may help a sweep that ended badly.
fn way_on(plan: &SweepPlan, directory: &Path) -> String {
    let path = directory.display();
    let trials = sweep::ranking_so_far(plan, directory).map(|ranking| ranking.trials).unwrap_or_default();
    let any = |status: TrialStatus| trials.iter().any(|trial| trial.status == status);
    let mut text = format!("what is finished is kept in {path}");
    if any(TrialStatus::Diverged) {
        text += "; for trials that diverged give the space smaller learning rates, or the experiment a smaller \
                 `train.gradient_clip`";
    }
    if any(TrialStatus::Failed) {
        text += &format!("; try failed trials again with `candlewick sweep retry {path}`");
    }
    let hopeless = |trial: &TrialSummary| matches!(trial.status, TrialStatus::Diverged | TrialStatus::Failed);
    if !(trials.len() >= plan.trials() && trials.iter().all(hopeless)) {
        text += &format!("; continue with `candlewick sweep --resume {path}`");
    }
    text
}

fn resume(arguments: &Arguments, wanted: &str, output: &Output) -> Result<(), Failure> {
    let directory = RunDir::open(&find_sweep(&arguments.sweeps, wanted)?)?;
    let path = directory.path().display();
    if RunDir::manifest(directory.path())?.is_some() {
        let message = format!("{path} is complete; see it with `candlewick sweep status {path}`");
        return Err(Failure::new(2, message));
    }
    apart(&arguments.sweeps, &arguments.options.runs)?;
    let plan = read_plan(directory.path())?;
    let device = experiment::device(&plan.experiment, &arguments.options)?;
    execute(&plan, &directory, &device, (&arguments.options, false), output)
}

fn try_again(retry: &Retry, output: &Output) -> Result<(), Failure> {
    let directory = RunDir::open(&find_sweep(&retry.sweeps, &retry.sweep)?)?;
    let plan = read_plan(directory.path())?;
    let ranking = sweep::ranking_so_far(&plan, directory.path())?;
    if !ranking.trials.iter().any(|trial| trial.status == TrialStatus::Failed) {
        let path = directory.path().display();
        return Err(Failure::new(2, format!("no trial of {path} failed; there is nothing to try again")));
    }
    apart(&retry.sweeps, &retry.options.runs)?;
    let device = experiment::device(&plan.experiment, &retry.options)?;
    directory.unseal()?;
    execute(&plan, &directory, &device, (&retry.options, true), output)
}

/// A folder of runs is counted through when a book is judged; a sweep is no run.
fn apart(sweeps: &Path, runs: &Path) -> Result<(), Failure> {
    let real = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    match real(sweeps) == real(runs) {
        true => Err(Failure::new(2, "--sweeps and --runs are the same folder; keep sweeps apart from runs")),
        false => Ok(()),
    }
}

/// The plan of a sweep that was begun.
fn read_plan(directory: &Path) -> Result<SweepPlan, Failure> {
    let name = directory.join("resolved.yaml").display().to_string();
    let yaml = experiment::read_text(Path::new(&name))?;
    let experiment = directory.join("experiment.yaml");
    let read = |_: &Path| std::fs::read_to_string(&experiment).map_err(|error| error.to_string());
    Ok(load_sweep(&Text { name: &name, yaml: &yaml, overrides: &[] }, &read)?)
}

/// Sweeps in the directory, with progress on stderr, and prints what was found.
fn execute(
    plan: &SweepPlan,
    directory: &RunDir,
    device: &ChosenDevice,
    (options, retry): (&Options, bool),
    output: &Output,
) -> Result<(), Failure> {
    let threads = experiment::threads(options.threads);
    // candle walks the graph of a backward pass by recursion; the default stack is too small for long windows.
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .stack_size(64 << 20)
        .build()
        .map_err(|error| Failure::new(5, format!("cannot start {threads} threads: {error}")))?;
    if let Some(doubt) = sweep::doubt_of_goal(plan) {
        output.say(&format!("{:>12} {doubt}", "Warning"));
    }
    let (console, stop, date) = (Console::default(), experiment::stop_on_interrupt(), today());
    let context = Context {
        device,
        threads,
        audit: !options.no_audit,
        report: !options.no_report,
        runs: &options.runs,
        date: &date,
        retry,
        stop: &stop,
        progress: &console,
    };
    let summary = pool.install(|| sweep::sweep(plan, directory, &context))?;
    show(&summary, options, output)
}

fn show(summary: &SweepSummary, options: &Options, output: &Output) -> Result<(), Failure> {
    let winner = summary.winner.as_ref().map(|winner| Path::new(&winner.run_dir).join("summary.json"));
    let run: Option<Summary> = winner.map(|path| read_json(&path)).transpose()?;
    let audit = run.as_ref().and_then(|run| run.audit.as_ref());
    if output.json() {
        output.document(summary)?;
    } else {
        let table = report::sweep_terminal(summary, output.width(), output.colour());
        output.print(&(audit::alarm(audit) + &table))?;
    }
    for warning in &summary.warnings {
        output.say(&format!("{:>12} {warning}", "Warning"));
    }
    if let Some(winner) = &summary.winner {
        output.say(&format!("{:>12} {}", "Winner", winner.run_dir));
    }
    match options.no_report {
        true => output.say(&format!("{:>12} {}", "Results", summary.sweep_dir)),
        false => output.say(&format!("{:>12} {}/report.html", "Report", summary.sweep_dir)),
    }
    audit::trusted(audit)
}

/// `learning_rate=0.001, layers=[32]`: the last part of each path is enough for people.
fn spoken(settings: &Settings) -> String {
    let number = |value: &serde_json::Value| match value.as_f64().filter(|_| value.is_f64()) {
        Some(number) => format!("{number:.4}"),
        None => value.to_string(),
    };
    let short = |path: &str| path.rsplit('.').next().unwrap_or(path).to_owned();
    let each: Vec<String> =
        settings.iter().map(|(path, value)| format!("{}={}", short(path), number(value))).collect();
    each.join(", ")
}

fn status(which: &Which, output: &Output) -> Result<(), Failure> {
    let path = find_sweep(&which.sweeps, &which.sweep)?;
    let status = sweep::status(&read_plan(&path)?, &path)?;
    if output.json() {
        return output.document(&status);
    }
    output.print(&status_table(&status, output.width()))
}

fn status_table(status: &Status, width: usize) -> String {
    let mut table = ruled_table(Some(width));
    table.set_header(["state", "trials", "complete", "pruned", "diverged", "failed", "running", "reused"]);
    let counts = [
        status.trials,
        status.complete,
        status.pruned,
        status.diverged,
        status.failed,
        status.running,
        status.reused,
    ];
    table.add_row([status.state.to_owned()].into_iter().chain(counts.map(|count| count.to_string())));
    let mut text = format!("{}\n{table}", status.sweep_dir);
    if let Some(best) = &status.best {
        let settings = spoken(&best.settings);
        text += &format!("\nbest {} {:.6}: trial {}, {settings}", status.metric, best.value, best.trial);
    }
    text += &format!("\n{:.0} s", status.seconds);
    if let Some(left) = status.seconds_left {
        text += &format!(", about {left:.0} s left");
    }
    if status.state == "unfinished" {
        text += &format!("\ncontinue with `candlewick sweep --resume {}`", status.sweep_dir);
    }
    text
}

fn best(which: &Which, output: &Output) -> Result<(), Failure> {
    let path = find_sweep(&which.sweeps, &which.sweep)?;
    let plan = read_plan(&path)?;
    let ranking = sweep::ranking_so_far(&plan, &path)?;
    let best = ranking.best.and_then(|best| ranking.trials.iter().find(|trial| trial.number == best));
    let Some(best) = best else {
        let message = format!("no trial of {} was trained to the end", path.display());
        return Err(Failure::new(1, message));
    };
    let experiment = sweep::experiment_of(&plan, best)?;
    if output.json() {
        return output.document(&serde_json::json!({
            "sweep_dir": path, "trial": best.number, "value": best.value, "settings": best.settings,
            "experiment": experiment.experiment,
        }));
    }
    let value = best.value.map_or(String::new(), |value| format!(": {} {value}", plan.config.metric.name()));
    output.print(&format!("# trial {} of {}{value}\n{}", best.number, path.display(), experiment.resolved))
}
