//! The page of a run: the order of its parts.

use super::frame::{Part, frame, sections};
use super::markup::{escape, escape_json};
use super::number::date;
use super::run_files::RunFiles;
use super::{
    audit, costs, drawdown_table, equity_plot, folds, forecast_plot, grids, heat_map, overview, provenance,
    rolling_plot, scenarios, strategy_table, training_plot, verdict,
};

/// The page of one run.
pub(super) fn run_page(files: &RunFiles) -> String {
    let summary = &files.summary;
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
    body += &sections(&parts(files));
    let json = serde_json::to_string(summary).unwrap_or_default();
    body += &format!("<script type=\"application/json\" id=\"summary\">{}</script>\n", escape_json(&json));
    frame(&format!("{}: candlewick report", summary.name), &body)
}

fn parts(files: &RunFiles) -> Vec<Part> {
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
            forecast_plot::note(files),
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
