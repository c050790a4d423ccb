//! Which core worked on what, second by second.

use super::super::number::{counted, percent};
use super::super::svg::{self, Axis, scale, share};
use super::facts::clock;
use super::plot::{STRETCHED, anchor, legend};
use super::{Sweep, status_words};
use crate::rundir::{TrialSpan, TrialStatus};

/// Pixels of all rows together, of one row at most and at least.
const HEIGHT: f64 = 260.0;
const ROW: [f64; 2] = [4.0, 22.0];

/// In the order of the legend.
const STATUSES: [TrialStatus; 5] = [
    TrialStatus::Complete,
    TrialStatus::Pruned,
    TrialStatus::Diverged,
    TrialStatus::Failed,
    TrialStatus::Unfinished,
];

fn spans(sweep: &Sweep<'_>) -> impl Iterator<Item = (TrialStatus, TrialSpan)> {
    let trials = sweep.summary.trials.iter();
    trials
        .flat_map(|trial| trial.spans.iter().map(|span| (trial.status, *span)))
        .filter(|(_, span)| span.start.is_finite() && span.end.is_finite() && span.end >= span.start)
}

/// How many cores the plot has, and when it ends.
fn size(sweep: &Sweep<'_>) -> Option<(usize, f64)> {
    let cores = spans(sweep).map(|(_, span)| span.core + 1).max()?;
    let end = spans(sweep).map(|(_, span)| span.end).fold(sweep.summary.seconds, f64::max);
    (end > 0.0 && end.is_finite()).then_some((cores, end))
}

/// How busy the cores were.
pub(super) fn note(sweep: &Sweep<'_>) -> String {
    let Some((cores, end)) = size(sweep) else { return String::new() };
    let busy: f64 = spans(sweep).map(|(_, span)| span.end - span.start).sum();
    format!(
        "A bar a piece of work on a trial, a row a core. {} worked {} of {}.",
        counted(cores, "core"),
        percent(Some((busy / (cores as f64 * end)).min(1.0)), 0),
        clock(end)
    )
}

/// The plot; nothing where no time was measured.
pub(super) fn time_line(sweep: &Sweep<'_>) -> String {
    let Some((cores, end)) = size(sweep) else { return String::new() };
    let row = (HEIGHT / cores as f64).clamp(ROW[0], ROW[1]);
    let height = row * cores as f64;
    let axis = Axis::covering([0.0, end].into_iter(), 8);
    let across = |seconds: f64| svg::WIDTH * seconds.max(0.0) / end;
    let middle = |core: usize| svg::HEIGHT * (core as f64 + 0.5) / cores as f64;
    let every = cores.div_ceil(((height / 14.0) as usize).max(1));
    let labels =
        (0..cores).step_by(every).map(|core| (row * (core as f64 + 0.5), format!("core {}", core + 1)));
    let mut html = format!("<div class=\"plot\">{}", scale(64, height + 24.0, labels));
    html += &format!(
        "<svg class=\"chart\" width=\"100%\" height=\"{}\" role=\"img\" aria-label=\"Time line of {}\">\n",
        height + 24.0,
        counted(cores, "core")
    );
    for tick in &axis.ticks {
        let x = share(tick / end);
        html += &format!("<line class=\"grid\" x1=\"{x}\" x2=\"{x}\" y1=\"0\" y2=\"{height:.1}\"/>\n");
    }
    html += &format!("<svg width=\"100%\" height=\"{height:.1}\" {STRETCHED}>\n");
    let mut keys = Vec::new();
    for status in STATUSES {
        let mut bars: Vec<(usize, i64, i64)> = spans(sweep)
            .filter(|(other, _)| *other == status)
            .map(|(_, span)| (span.core, across(span.start).round() as i64, across(span.end).round() as i64))
            .collect();
        if bars.is_empty() {
            continue;
        }
        bars.sort_unstable();
        bars.dedup();
        let (word, class) = status_words(status);
        keys.push((class, word.to_owned()));
        // A gap of one step tells neighbours apart, where there is room for it.
        let bar = |(core, start, stop): &(usize, i64, i64)| {
            format!("M{start} {:.0}h{}", middle(*core), (stop - start - 1).max(1))
        };
        let bars: String = bars.iter().map(bar).collect();
        let size = if row > 12.0 { "thick" } else { "thin" };
        html += &format!("<path class=\"work {class} {size}\" d=\"{bars}\"/>\n");
    }
    html += "</svg>\n";
    for (index, tick) in axis.ticks.iter().enumerate() {
        let minor = if index % 2 == 1 { " minor" } else { "" };
        html += &format!(
            "<text class=\"tick{minor}\" x=\"{}\" y=\"{:.1}\" text-anchor=\"{}\">{}\u{a0}s</text>\n",
            share(tick / end),
            height + 17.0,
            anchor(tick / end),
            axis.label(*tick)
        );
    }
    legend(&keys) + &html + "</svg></div>\n"
}
