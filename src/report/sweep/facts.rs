//! The strip of facts, and what made the numbers.

use super::super::markup::{command, escape, fingerprint, quoted};
use super::super::number::{count, counted, duration, significant};
use super::Sweep;
use super::opening::{fates, metric_words};
use crate::rundir::SweepSummary;

/// Shapes that are named one by one.
const SHOWN: usize = 3;

/// Facts that frame every number below.
pub(super) fn facts(sweep: &Sweep<'_>) -> String {
    let summary = sweep.summary;
    let goal = if summary.minimize { "lower is better" } else { "higher is better" };
    let mut facts = vec![
        ("Metric", format!("{}<br>{goal}", escape(&metric_words(&summary.metric)))),
        ("Method", escape(&summary.method)),
        ("Trials", fates(summary)),
        ("Ended", ending(summary)),
        ("Epochs of a whole trial", count(usize::try_from(summary.epochs).unwrap_or(usize::MAX))),
        (
            "A trial is judged on",
            format!("{}, {}", counted(summary.folds, "validation fold"), counted(summary.seeds, "seed")),
        ),
        ("Time", format!("{}<br>{} of processors", clock(summary.seconds), clock(summary.cpu_seconds))),
    ];
    if !summary.populations.is_empty() {
        facts.push(("Trained together", populations(summary)));
    }
    let mut html = String::from("<dl class=\"facts\">\n");
    for (name, value) in facts {
        html += &format!("<div><dt>{name}</dt><dd>{value}</dd></div>\n");
    }
    html + "</dl>\n"
}

fn ending(summary: &SweepSummary) -> String {
    let trials = summary.trials.len();
    let asked = counted(summary.trials_asked, "trial");
    match summary.stop_reason.as_str() {
        "completed" if trials < summary.trials_asked => {
            format!("the space holds {} of the {asked} asked for", count(trials))
        }
        "completed" => format!("completed, {asked} asked for"),
        "time" => {
            let allowed = summary.seconds_allowed.map_or_else(|| "time".to_owned(), duration);
            format!("its {allowed} were used up, {asked} asked for")
        }
        other => format!("{}, {asked} asked for", escape(other)),
    }
}

/// A length of time that was measured: `3.2 seconds`, `2 minutes 5 seconds`.
pub(super) fn clock(seconds: f64) -> String {
    if !seconds.is_finite() || seconds < 0.0 {
        return super::super::number::NONE.to_owned();
    }
    if seconds < 120.0 {
        return format!("{}\u{a0}seconds", significant(seconds));
    }
    let minutes = (seconds / 60.0).round();
    if minutes < 120.0 || minutes % 60.0 == 0.0 {
        return duration(60.0 * minutes);
    }
    format!("{} {}", duration(3600.0 * (minutes / 60.0).floor()), duration(60.0 * (minutes % 60.0)))
}

/// Trials that shared their tensors' shapes.
fn populations(summary: &SweepSummary) -> String {
    let mut all: Vec<_> = summary.populations.iter().collect();
    all.sort_by_key(|population| std::cmp::Reverse(population.members));
    let mut lines: Vec<String> = all
        .iter()
        .take(SHOWN)
        .map(|population| {
            let (shape, rest) = brief(&population.shape);
            format!(
                "<span title=\"{}\">{} of {}</span>",
                escape(rest),
                count(population.members),
                escape(shape)
            )
        })
        .collect();
    let rest: usize = all.iter().skip(SHOWN).map(|population| population.members).sum();
    if rest > 0 {
        lines.push(format!("and {} in {}", count(rest), counted(all.len() - SHOWN, "other shape")));
    }
    lines.join("<br>")
}

/// `lstm [32, 16], 24 bars` of `lstm [32, 16], 24 bars, 6 features, 5 outputs`, and the whole: a tile is narrow.
fn brief(shape: &str) -> (&str, &str) {
    match shape.find(" bars,") {
        Some(end) => (&shape[..end + " bars".len()], shape),
        None => (shape, shape),
    }
}

/// Fingerprints, settings of the sweep, commands.
pub(super) fn provenance(sweep: &Sweep<'_>) -> String {
    let summary = sweep.summary;
    let facts = [
        ("Program", format!("candlewick {}", escape(&summary.version))),
        ("Data", fingerprint(&summary.data_sha256)),
        ("Seed", format!("<span class=\"num\">{}</span>", summary.seed)),
        ("Device", escape(&summary.device)),
        ("Threads", count(summary.threads)),
        ("Experiment", escape(&summary.experiment)),
        ("Sweep directory", escape(&summary.sweep_dir)),
    ];
    let mut html = String::from("<dl class=\"provenance\">\n");
    for (name, value) in facts {
        let class = if name == "Data" { " class=\"wide\"" } else { "" };
        html += &format!("<div{class}><dt>{name}</dt><dd>{value}</dd></div>\n");
    }
    html += "</dl>\n<h3>Draw this page again</h3>\n";
    html += &command(&format!("candlewick report {}", quoted(&summary.sweep_dir)));
    html += "<h3>Look at it in TensorBoard</h3>\n";
    html + &command(&format!("candlewick export tensorboard {}", quoted(&summary.sweep_dir)))
}
