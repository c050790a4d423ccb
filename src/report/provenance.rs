//! What made the numbers, and how to make them again.

use super::markup::{command, escape, fingerprint, folded, number_cell, number_heading, quoted, scrolling};
use super::number::{count, decimal};
use super::run_files::RunFiles;

/// Fingerprints, commands, times, configuration.
pub(super) fn provenance(files: &RunFiles) -> String {
    let summary = &files.summary;
    let facts = [
        ("Program", format!("candlewick {}", escape(&summary.version))),
        ("Plan", fingerprint(&summary.plan_sha256)),
        ("Data", fingerprint(&summary.data.sha256)),
        ("Data file", escape(&summary.data.path)),
        ("Seed", format!("<span class=\"num\">{}</span>", summary.seed)),
        ("Device", format!("{} <small>{}</small>", escape(&summary.device), escape(&summary.device_reason))),
        ("Threads", count(summary.threads)),
        ("Run directory", escape(&summary.run_dir)),
    ];
    let mut html = String::from("<dl class=\"provenance\">\n");
    for (name, value) in facts {
        let class = if matches!(name, "Plan" | "Data") { " class=\"wide\"" } else { "" };
        html += &format!("<div{class}><dt>{name}</dt><dd>{value}</dd></div>\n");
    }
    html += "</dl>\n<h3>Run it again</h3>\n";
    html += &command(&format!("candlewick run {}", quoted(&format!("{}/resolved.yaml", summary.run_dir))));
    html += "<h3>Draw this page again</h3>\n";
    html += &command(&format!("candlewick report {}", quoted(&summary.run_dir)));
    html += &stages(files);
    for (title, text) in [
        ("config.yaml, as it was written", &files.config),
        ("resolved.yaml, with every default filled in", &files.resolved),
    ] {
        if !text.is_empty() {
            html += &folded(title, &format!("<pre tabindex=\"0\">{}</pre>\n", escape(text)));
        }
    }
    html
}

fn stages(files: &RunFiles) -> String {
    let stages = &files.summary.stages;
    if stages.is_empty() {
        return String::new();
    }
    let mut table = String::from("<table class=\"narrow\">\n<thead><tr><th scope=\"col\">Stage</th>");
    table += &number_heading("Wall clock, s");
    table += &number_heading("Processor, s");
    table += "</tr></thead>\n<tbody>\n";
    for stage in stages {
        table += &format!("<tr><th scope=\"row\">{}</th>", escape(&stage.name));
        table += &number_cell(&decimal(stage.seconds, 2));
        table += &number_cell(&decimal(stage.cpu_seconds, 2));
        table += "</tr>\n";
    }
    let (wall, processor) =
        stages.iter().fold((0.0, 0.0), |sum, stage| (sum.0 + stage.seconds, sum.1 + stage.cpu_seconds));
    table += "<tr class=\"total\"><th scope=\"row\">All</th>";
    table += &number_cell(&decimal(wall, 2));
    table += &number_cell(&decimal(processor, 2));
    table += "</tr>\n</tbody>\n</table>\n";
    format!("<h3>Time</h3>\n{}", scrolling("Stages", &table))
}
