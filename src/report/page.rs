//! The page as a whole: the frame that all pages share, and the order of the parts of a run's page.

use super::markup::{escape, escape_json, section};
use super::number::date;
use super::run_files::RunFiles;
use super::{
    audit, costs, drawdown_table, equity_plot, folds, forecast_plot, grids, heat_map, overview, provenance,
    rolling_plot, scenarios, strategy_table, training_plot, verdict,
};
use sha2::{Digest, Sha256};

const STYLE: &str = include_str!("style.css");
const SCRIPT: &str = include_str!("script.js");

/// The page of one run.
pub(super) fn run_page(files: &RunFiles) -> String {
    let summary = &files.summary;
    let parts = parts(files);
    let mut body = format!("<header>\n<p class=\"eyebrow\"><b>Candlewick</b> {}", escape(&summary.name));
    if let Some(backtest) = &summary.backtest {
        body += &format!(
            "<span>tested {} to {}</span>",
            escape(date(&backtest.start)),
            escape(date(&backtest.end))
        );
    }
    body += "</p>\n";
    body += &verdict::headline(files);
    body += &audit::line(summary);
    body += "</header>\n";
    body += &overview::facts(summary);
    body += &overview::warnings(summary);
    body += "<nav aria-label=\"Sections\">\n<ul>\n";
    for (id, title, _, _) in parts.iter().filter(|(_, _, _, part)| !part.is_empty()) {
        body += &format!("<li><a href=\"#{id}\">{title}</a></li>\n");
    }
    body += "</ul>\n</nav>\n";
    for (id, title, note, part) in &parts {
        body += &section(id, title, note, part);
    }
    let json = serde_json::to_string(summary).unwrap_or_default();
    body += &format!("<script type=\"application/json\" id=\"summary\">{}</script>\n", escape_json(&json));
    frame(&format!("{}: candlewick report", summary.name), &body)
}

/// Id, title, note and body of every part, in order; a part without a body is left out.
fn parts(files: &RunFiles) -> Vec<(&'static str, &'static str, String, String)> {
    vec![
        (
            "strategies",
            "Strategies",
            strategy_table::conventions(files),
            strategy_table::strategies(files),
        ),
        (
            "grids",
            "Grids",
            "Many books of one strategy. The best of many looks good by chance alone, so each grid says how good chance \
             would look, and what is left."
                .to_owned(),
            grids::grids(files),
        ),
        (
            "equity",
            "Equity and drawdown",
            equity_plot::caption(files),
            equity_plot::equity(files),
        ),
        ("rolling", "Rolling risk", rolling_plot::note(files), rolling_plot::rolling(files)),
        (
            "drawdowns",
            "Worst drawdowns",
            "The five deepest falls from a high until the high is reached again.".to_owned(),
            drawdown_table::worst(files),
        ),
        (
            "months",
            "Monthly returns",
            "Change of the equity in per cent after all costs, by calendar month in UTC: gains blue, losses orange. The \
             first and the last month count only the bars that the books have of them."
                .to_owned(),
            heat_map::monthly_returns(files),
        ),
        (
            "by-fold",
            "Fold by fold",
            "The two books of the verdict in each test part. A lead that comes from one fold alone is fragile.".to_owned(),
            folds::strip(files),
        ),
        (
            "training",
            "Training",
            "Loss a sample in units of the scaled target, by epoch. The weights of the best epoch are the ones that forecast."
                .to_owned(),
            training_plot::training(files),
        ),
        (
            "forecasts",
            "Forecasts against outcomes",
            forecast_plot::NOTE.to_owned(),
            forecast_plot::forecasts(files),
        ),
        (
            "costs",
            "Costs",
            costs::NOTE.to_owned(),
            costs::costs(files) + &scenarios::scenarios(files),
        ),
        (
            "folds",
            "Folds",
            "Each fold is trained on its train part, stopped on its validation part and measured on its test part."
                .to_owned(),
            folds::table(files),
        ),
        ("audit", "Look-ahead audit", audit::note(&files.summary), audit::table(&files.summary)),
        ("provenance", "Provenance", String::new(), provenance::provenance(files)),
    ]
}

/// A whole document around `body`. The policy allows our style and our script by their hashes and nothing else: no
/// request, no other script, no inline style.
pub(super) fn frame(title: &str, body: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'sha256-{}'; script-src \
         'sha256-{}'; img-src data:; base-uri 'none'; form-action 'none'\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n<title>{}</title>\n<link rel=\"icon\" href=\"data:,\">\n\
         <style>{STYLE}</style>\n</head>\n<body>\n<a class=\"skip\" href=\"#content\">Skip to the content</a>\n\
         <main id=\"content\">\n{body}</main>\n<script>{SCRIPT}</script>\n</body>\n</html>\n",
        base64(&Sha256::digest(STYLE.as_bytes())),
        base64(&Sha256::digest(SCRIPT.as_bytes())),
        escape(title),
    )
}

/// RFC 4648, with padding.
fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for group in bytes.chunks(3) {
        let bits = group
            .iter()
            .enumerate()
            .fold(0_u32, |bits, (place, byte)| bits | u32::from(*byte) << (16 - 8 * place));
        for place in 0..4 {
            if place <= group.len() {
                text.push(char::from(ALPHABET[(bits >> (18 - 6 * place)) as usize & 63]));
            } else {
                text.push('=');
            }
        }
    }
    text
}
