//! `candlewick report`.

use super::failure::Failure;
use super::output::Output;
use crate::report;
use crate::rundir::find_run;
use crate::sweep::LEDGER;
use clap::Args;
use std::path::{Path, PathBuf};

/// Arguments of `candlewick report`.
#[derive(Args)]
pub(super) struct Arguments {
    /// Runs: directories, names, or `latest`; with several a page that compares them; or the directory of one sweep
    #[arg(required = true)]
    runs_to_show: Vec<String>,
    /// The folder that holds the run directories
    #[arg(long, value_name = "DIR", default_value = "runs")]
    runs: PathBuf,
    /// Where the comparison is written (default: comparison.html in the folder of runs)
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Print the path of the page as a JSON document on stdout
    #[arg(long)]
    pub(super) json: bool,
}

pub(super) fn run(arguments: &Arguments, output: &Output) -> Result<(), Failure> {
    if let [one] = &arguments.runs_to_show[..]
        && Path::new(one).join("sweep.json").is_file()
    {
        report::render_sweep(Path::new(one))?;
        return told(output, &Path::new(one).join("report.html"));
    }
    if let Some(sweep) = arguments.runs_to_show.iter().find(|wanted| Path::new(wanted).join(LEDGER).is_file())
    {
        let message = match arguments.runs_to_show.len() {
            1 => format!(
                "{sweep} is a sweep without results yet; `candlewick sweep --resume {sweep}` continues it"
            ),
            _ => format!(
                "{sweep} is a sweep; only runs can be compared, `candlewick report {sweep}` draws it alone"
            ),
        };
        return Err(Failure::new(2, message));
    }
    let found = arguments
        .runs_to_show
        .iter()
        .map(|wanted| find_run(&arguments.runs, wanted))
        .collect::<Result<Vec<_>, _>>()?;
    let page = match &found[..] {
        [one] => report::render(one)?,
        several => {
            let page = arguments.output.clone().unwrap_or_else(|| arguments.runs.join("comparison.html"));
            report::compare(several, &page)?;
            page
        }
    };
    told(output, &page)
}

fn told(output: &Output, page: &Path) -> Result<(), Failure> {
    if output.json() {
        output.document(&serde_json::json!({"report": page}))?;
    }
    output.say(&format!("{:>12} {}", "Report", page.display()));
    Ok(())
}
