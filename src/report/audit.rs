//! The look-ahead proof: one line at the top of the page, and every part of the pipeline with what was found.

use super::markup::{escape, number_cell, number_heading, scrolling};
use super::number::{count, counted, decimal};
use crate::rundir::{AuditCheck, AuditSummary, Summary};

/// `passed, 9 parts, 24 moments`, or what knew the future.
pub(super) fn finding(audit: &AuditSummary) -> String {
    let failed: Vec<&str> =
        audit.checks.iter().filter(|check| !check.passed).map(|check| check.part.as_str()).collect();
    let size = format!("{}, {}", counted(audit.checks.len(), "part"), counted(audit.moments, "moment"));
    match (audit.passed, failed.is_empty()) {
        (true, _) => format!("passed, {size}"),
        (false, true) => format!("failed, {size}"),
        (false, false) => format!("FAILED: {} knew the future", failed.join(", ")),
    }
}

/// The line under the headline; a failure is an alarm that names the evidence. Nothing where there was no audit.
pub(super) fn line(summary: &Summary) -> String {
    let Some(audit) = &summary.audit else { return String::new() };
    let text = format!("Look-ahead audit: {}", escape(&finding(audit)));
    if audit.passed {
        return format!(
            "<p class=\"audit-line\"><a href=\"#audit\"><span class=\"tick-mark\">\u{2713}</span> {text}</a></p>\n"
        );
    }
    let failed = audit.checks.iter().filter(|check| !check.passed);
    let items: String = failed
        .map(|check| format!("<li><b>{}</b>: {}</li>\n", escape(&check.part), escape(&check.finding)))
        .collect();
    format!(
        "<aside class=\"alarm\" role=\"alert\">\n<h2>{text}</h2>\n<p>The numbers of this page used what nobody could have known. \
         Do not trade on them.</p>\n<ul>\n{items}</ul>\n</aside>\n"
    )
}

/// How the proof was made.
pub(super) fn note(summary: &Summary) -> String {
    let Some(audit) = &summary.audit else { return String::new() };
    format!(
        "Everything after a moment was replaced by noise and nothing up to that moment may change by a bit: the {} audit \
         did that at {} in {} s of processor time.",
        escape(&audit.depth),
        counted(audit.moments, "moment"),
        decimal(audit.cpu_seconds, 1)
    )
}

/// A row a part of the pipeline, failures first.
pub(super) fn table(summary: &Summary) -> String {
    let Some(audit) = summary.audit.as_ref().filter(|audit| !audit.checks.is_empty()) else {
        return String::new();
    };
    let mut checks: Vec<&AuditCheck> = audit.checks.iter().collect();
    checks.sort_by_key(|check| check.passed);
    let mut table = format!(
        "<table class=\"audit\">\n<thead><tr><th scope=\"col\">Part</th><th scope=\"col\">Result</th>{}<th scope=\"col\">Finding</th></tr></thead>\n<tbody>\n",
        number_heading("Values compared")
    );
    for check in checks {
        let (class, word) = if check.passed { ("proven", "passed") } else { ("worse", "failed") };
        table += &format!(
            "<tr><th scope=\"row\">{}</th><td><span class=\"conclusion {class}\">{word}</span></td>{}<td class=\"finding\">{}</td></tr>\n",
            escape(&check.part),
            number_cell(&count(check.compared)),
            escape(&check.finding)
        );
    }
    scrolling("Look-ahead audit", &(table + "</tbody>\n</table>\n"))
}
