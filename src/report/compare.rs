//! Several runs side by side: verdicts, metrics, curves of the chosen models, and what their configurations differ in.

use super::ReportError;
use super::frame::frame;
use super::line_chart::{Line, LineChart, Unit, wide};
use super::markup::{escape, keyed, number_cell, number_heading, scrolling, section};
use super::number::{NONE, SPACE, counted, date, decimal, maybe, percent};
use super::run_files::{RunFiles, strategy};
use super::strategy_table::ranked;
use super::text_difference::{Change, difference};
use super::verdict;
use crate::rundir::write_atomic;
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// Colours that the style sheet has for runs; further runs start again, with another dash.
const COLOURS: usize = 6;

/// Lines that are shown around a change.
const CONTEXT: usize = 2;

/// Draws one page about all `runs` into the file `output`. The first run is the one that the others are measured
/// against where configurations differ.
///
/// # Errors
/// No run at all, a run directory that cannot be read, or a page that cannot be written.
pub fn compare(runs: &[PathBuf], output: &Path) -> Result<(), ReportError> {
    if runs.is_empty() {
        return Err(ReportError::NoRuns);
    }
    let runs: Vec<RunFiles> = runs.par_iter().map(|run| RunFiles::read(run)).collect::<Result<_, _>>()?;
    write_atomic(output, page(&runs).as_bytes())?;
    Ok(())
}

fn page(runs: &[RunFiles]) -> String {
    let mut body = format!(
        "<header>\n<p class=\"eyebrow\"><b>Candlewick</b> comparison</p>\n<h1>{} side by side</h1>\n</header>\n",
        counted(runs.len(), "run")
    );
    let same = runs.iter().all(|run| run.summary.data.sha256 == runs[0].summary.data.sha256);
    if !same {
        body += "<aside class=\"warnings\"><h2>Before you compare</h2><ul><li>The runs used different data: their figures \
                 are not about the same market.</li></ul></aside>\n";
    }
    let failed: Vec<String> = runs
        .iter()
        .filter(|run| run.summary.audit.as_ref().is_some_and(|audit| !audit.passed))
        .map(|run| format!("<li>{}</li>\n", label(run)))
        .collect();
    if !failed.is_empty() {
        body += &format!(
            "<aside class=\"alarm\" role=\"alert\">\n<h2>These runs failed their look-ahead audit</h2>\n<ul>\n{}</ul>\n</aside>\n",
            failed.concat()
        );
    }
    let note = "Over the test bars of each run, after costs.";
    body += &section("verdicts", "Verdicts", "", &verdicts(runs));
    let growth = "Growth since the start, after costs, of the model of each verdict; without a verdict of the book with the best \
                  Sharpe ratio. Runs whose spans have less than half in common are drawn apart; growth of more than a factor of 5 is on a logarithmic axis.";
    body += &section("curves", "Curves", growth, &curves(runs));
    body += &section("models", "Models", "Over all horizons, on test rows.", &models(runs));
    body += &section("strategies", "Strategies", note, &strategies(runs));
    body += &section("differences", "Configurations", "", &differences(runs));
    frame("Comparison of runs: candlewick report", &body)
}

/// The folder's name, by which people know a run.
fn label(run: &RunFiles) -> String {
    let folder = run.folder.file_name().map(|name| name.to_string_lossy().into_owned());
    escape(&folder.unwrap_or_else(|| run.summary.name.clone()))
}

fn colour(index: usize) -> String {
    format!("run{} dash{}", index % COLOURS, index / COLOURS % 3)
}

/// The heading of a row about a run: its colour and name.
fn row_heading(index: usize, run: &RunFiles) -> String {
    format!("<tr class=\"{}\"><th scope=\"row\">{}</th>", colour(index), keyed(&label(run)))
}

fn verdicts(runs: &[RunFiles]) -> String {
    let mut table = String::from(
        "<table>\n<thead><tr><th scope=\"col\">Run</th><th scope=\"col\">Test</th><th scope=\"col\">Model</th><th scope=\"col\">Best baseline</th>",
    );
    table += &["Difference", &format!("95{SPACE}% interval"), "Trials"].map(number_heading).concat();
    table += "<th scope=\"col\">Verdict</th></tr></thead>\n<tbody>\n";
    for (index, run) in runs.iter().enumerate() {
        table += &row_heading(index, run);
        let span = run.summary.backtest.as_ref();
        let span = span.map_or(NONE.to_owned(), |test| {
            format!("{} to {}", escape(date(&test.start)), escape(date(&test.end)))
        });
        table += &format!("<td class=\"span\">{span}</td>");
        match &run.summary.verdict {
            Some(found) => {
                let [low, high] = found.interval;
                table += &format!(
                    "<td>{}</td><td>{}</td>",
                    escape(&found.best_model),
                    escape(&found.best_baseline)
                );
                table += &number_cell(&decimal(found.sharpe_difference, 2));
                table += &number_cell(&format!("{} to {}", decimal(low, 2), decimal(high, 2)));
                table += &number_cell(&decimal(found.trials as f64, 0));
                let class = verdict::class(found.conclusion);
                table += &format!("<td><span class=\"conclusion {class}\">{}</span></td>", found.conclusion);
            }
            None => table += &format!("<td>{NONE}</td>").repeat(6),
        }
        table += "</tr>\n";
    }
    scrolling("Verdicts", &(table + "</tbody>\n</table>\n"))
}

/// The name of the book that stands for a run.
fn leader(run: &RunFiles) -> Option<&str> {
    run.best_model().or_else(|| ranked(&run.summary).first().map(|book| book.name.as_str()))
}

fn curves(runs: &[RunFiles]) -> String {
    let lines: Vec<Line<'_>> = runs
        .iter()
        .enumerate()
        .filter_map(|(index, run)| {
            let curve = run.curve(leader(run)?).filter(|_| !run.times.is_empty())?;
            let values = curve.equity.iter().map(|equity| equity / run.cash() - 1.0).collect();
            Some(Line { series: index, class: colour(index), times: &run.times, values, buckets: 400 })
        })
        .collect();
    if lines.is_empty() {
        return String::new();
    }
    let mut legend = String::from("<ul class=\"legend wide\">\n");
    for line in &lines {
        let run = &runs[line.series];
        legend += &format!(
            "<li><button type=\"button\" aria-pressed=\"true\" class=\"{}\" data-series=\"{}\"><span class=\"key\"></span>\
             <span class=\"name\">{}: {}</span></button></li>\n",
            line.class,
            line.series,
            label(run),
            escape(leader(run).unwrap_or_default())
        );
    }
    let mut panels: Vec<Vec<Line<'_>>> = Vec::new();
    for line in lines {
        match panels.iter_mut().find(|panel| share_span(&panel[0], &line)) {
            Some(panel) => panel.push(line),
            None => panels.push(vec![line]),
        }
    }
    let mut charts = String::new();
    for lines in panels {
        let label = "Growth of one book of every run".to_owned();
        let logarithmic = wide(lines.iter().flat_map(|line| &line.values));
        charts +=
            &LineChart { label, height: 340, lines, bands: Vec::new(), logarithmic, unit: Unit::Percent }
                .draw();
    }
    format!("<div class=\"linked\">\n{legend}</ul>\n<div class=\"panes\">{charts}</div>\n</div>\n")
}

/// Whether two curves have at least half of their joint span in common, so that one calendar serves both.
fn share_span(left: &Line<'_>, right: &Line<'_>) -> bool {
    let ends = |line: &Line<'_>| (line.times[0].0, line.times[line.times.len() - 1].0);
    let ((first, until), (second, end)) = (ends(left), ends(right));
    2 * (until.min(end) - first.max(second)) >= until.max(end) - first.min(second)
}

fn models(runs: &[RunFiles]) -> String {
    let mut table = String::from("<table class=\"sortable\">\n<thead><tr>");
    table += &["Run", "Model", "Kind"]
        .map(|title| format!("<th scope=\"col\"><button type=\"button\">{title}</button></th>"))
        .concat();
    let titles = ["Parameters", "IC", "Rank IC", "Direction right", "Base rate", "MSE"];
    table += &titles
        .map(|title| format!("<th scope=\"col\" class=\"n\"><button type=\"button\">{title}</button></th>"))
        .concat();
    table += "</tr></thead>\n<tbody>\n";
    let mut rows = 0;
    for (index, run) in runs.iter().enumerate() {
        for model in &run.summary.models {
            rows += 1;
            let metrics = &model.metrics;
            table += &row_heading(index, run);
            table += &format!("<td>{}</td><td>{}</td>", escape(&model.name), escape(&model.kind));
            table += &value_cell(Some(model.parameters as f64), &decimal(model.parameters as f64, 0));
            table += &value_cell(metrics.ic, &maybe(metrics.ic, 3));
            table += &value_cell(metrics.rank_ic, &maybe(metrics.rank_ic, 3));
            table += &value_cell(metrics.directional_accuracy, &percent(metrics.directional_accuracy, 1));
            table += &value_cell(metrics.directional_base_rate, &percent(metrics.directional_base_rate, 1));
            table +=
                &value_cell(metrics.mse, &metrics.mse.map_or(NONE.to_owned(), super::number::significant));
            table += "</tr>\n";
        }
    }
    if rows == 0 { String::new() } else { scrolling("Models", &(table + "</tbody>\n</table>\n")) }
}

fn value_cell(value: Option<f64>, shown: &str) -> String {
    value.map_or_else(
        || number_cell(shown),
        |value| format!("<td class=\"n\" data-value=\"{value}\">{shown}</td>"),
    )
}

/// A row a strategy name, and under each run its Sharpe ratio, return and drawdown.
fn strategies(runs: &[RunFiles]) -> String {
    let mut names: Vec<&str> = Vec::new();
    for book in runs.iter().flat_map(|run| ranked(&run.summary)) {
        if !names.contains(&book.name.as_str()) {
            names.push(&book.name);
        }
    }
    if names.is_empty() {
        return String::new();
    }
    let mut table =
        String::from("<table class=\"grouped\">\n<thead><tr><th scope=\"col\" rowspan=\"2\">Strategy</th>");
    for (index, run) in runs.iter().enumerate() {
        table += &format!(
            "<th scope=\"colgroup\" colspan=\"3\" class=\"{}\"><span class=\"key\"></span>{}</th>",
            colour(index),
            label(run)
        );
    }
    table += "</tr><tr>";
    table += &["Sharpe", "Return", "Max drawdown"].map(number_heading).concat().repeat(runs.len());
    table += "</tr></thead>\n<tbody>\n";
    for name in names {
        table += &format!("<tr><th scope=\"row\">{}</th>", escape(name));
        for run in runs {
            let metrics = strategy(&run.summary, name).map(|book| &book.metrics);
            table += &number_cell(&maybe(metrics.and_then(|metrics| metrics.sharpe), 2));
            table += &number_cell(&percent(metrics.and_then(|metrics| metrics.total_return), 1));
            table += &number_cell(&percent(metrics.and_then(|metrics| metrics.max_drawdown), 1));
        }
        table += "</tr>\n";
    }
    scrolling("Strategies by run", &(table + "</tbody>\n</table>\n"))
}

fn differences(runs: &[RunFiles]) -> String {
    let first = &runs[0];
    runs.iter()
        .skip(1)
        .map(|run| {
            let changes = difference(&first.config, &run.config);
            let title = format!("<h3>{} against {}</h3>\n", label(run), label(first));
            if changes.iter().all(|change| matches!(change, Change::Same(_))) {
                return format!("{title}<p>The configurations are the same, line for line.</p>\n");
            }
            format!("{title}<pre class=\"difference\" tabindex=\"0\">{}</pre>\n", lines(&changes))
        })
        .collect()
}

/// Changed lines with a little around them.
fn lines(changes: &[Change<'_>]) -> String {
    let changed = |index: usize| !matches!(changes[index], Change::Same(_));
    let near =
        |index: usize| (index.saturating_sub(CONTEXT)..(index + CONTEXT + 1).min(changes.len())).any(changed);
    let mut html = String::new();
    let mut skipped = false;
    for (index, change) in changes.iter().enumerate() {
        if !near(index) {
            skipped = true;
            continue;
        }
        if skipped {
            html += "<span class=\"skipped\">...</span>\n";
            skipped = false;
        }
        html += &match change {
            Change::Same(line) => format!("  {}\n", escape(line)),
            Change::Removed(line) => format!("<del>- {}</del>\n", escape(line)),
            Change::Added(line) => format!("<ins>+ {}</ins>\n", escape(line)),
        };
    }
    html
}
