//! The honest answer: one sentence, the interval drawn against zero, and what it means.

use super::events::{self, has_events};
use super::forecast_steps;
use super::markup::escape;
use super::number::{SPACE, count, counted, decimal, maybe};
use super::run_files::{RunFiles, strategy};
use super::selection;
use super::svg::{Axis, share};
use crate::rundir::{Conclusion, StrategyKind, Summary, Verdict};

/// Sharpe ratios above this are a property of the data or of the test, not of a market.
const CREDIBLE_SHARPE: f64 = 10.0;

/// `lstm beats the best baseline, hold, by 0.31 Sharpe, 95 % interval −0.12 to 0.70, after 3 trials`, without the
/// conclusion and not yet escaped.
pub(super) fn claim(verdict: &Verdict) -> String {
    let [low, high] = verdict.interval;
    let verb = if verdict.sharpe_difference < 0.0 { "trails" } else { "beats" };
    format!(
        "{} {verb} the best baseline, {}, by {}{SPACE}Sharpe, 95{SPACE}% interval {} to {}, after {}",
        verdict.best_model,
        verdict.best_baseline,
        decimal(verdict.sharpe_difference.abs(), 2),
        decimal(low, 2),
        decimal(high, 2),
        counted(verdict.trials, "trial"),
    )
}

/// The name of the conclusion's class in the style sheet.
pub(super) fn class(conclusion: Conclusion) -> &'static str {
    match conclusion {
        Conclusion::Proven => "proven",
        Conclusion::NotProven => "open",
        Conclusion::Worse => "worse",
    }
}

/// The top of the page.
pub(super) fn headline(files: &RunFiles) -> String {
    let summary = &files.summary;
    let Some(verdict) = &summary.verdict else {
        if summary.strategies.is_empty() && has_events(summary) {
            return events::headline(summary);
        }
        return without_verdict(summary);
    };
    let mut html = format!(
        "<h1>{}: <span class=\"conclusion {}\">{}</span>.</h1>\n",
        escape(&claim(verdict)),
        class(verdict.conclusion),
        verdict.conclusion
    );
    html += "<div class=\"verdict\">\n<div>\n";
    html += &interval_plot(verdict);
    html += &duel(summary, verdict);
    html += "</div>\n<div class=\"prose\">\n";
    let baselines = summary.strategies.iter().filter(|book| book.kind == StrategyKind::Baseline);
    let hindsight = baselines.filter(|book| book.spread.is_none()).count() > 1;
    html += &format!("<p>{}</p>\n", meaning(verdict, hindsight));
    if let Some(p_value) = verdict.p_value {
        html += &format!(
            "<p>If both had the same Sharpe ratio, a difference of this size or larger would come up with p {} (Ledoit and \
             Wolf).</p>\n",
            if p_value < 0.001 { "&lt; 0.001".to_owned() } else { format!("= {}", decimal(p_value, 3)) }
        );
    }
    if largest_sharpe(summary, verdict).is_some_and(|sharpe| sharpe > CREDIBLE_SHARPE) {
        html += &format!(
            "<p><strong>Size.</strong> Hardly any book of size earns a Sharpe ratio above {CREDIBLE_SHARPE:.0} in a real market for \
             long. Where the data are synthetic it says how clear their signal is; elsewhere look for a cost that is \
             missing or a look into the future. It is no forecast of a profit.</p>\n"
        );
    }
    let baseline = if hindsight {
        "Of the baselines the one with the best Sharpe ratio on the test bars. That choice is made in hindsight, which \
         makes the comparison harder for the model."
    } else {
        "The only one of the run."
    };
    html += &format!(
        "<p><strong>Model.</strong> {}.</p>\n<p><strong>Baseline.</strong> {baseline}{}</p>\n",
        escape(verdict.choice.trim_end_matches('.')),
        grid_of_baseline(summary, verdict)
    );
    html += "</div>\n</div>\n";
    html
}

/// The larger Sharpe ratio of the two books.
fn largest_sharpe(summary: &Summary, verdict: &Verdict) -> Option<f64> {
    let books = [&verdict.best_model, &verdict.best_baseline].into_iter();
    let sharpes = books.filter_map(|name| strategy(summary, name)?.metrics.sharpe);
    sharpes.max_by(f64::total_cmp)
}

/// That the baseline is the best of many books, where it is.
fn grid_of_baseline(summary: &Summary, verdict: &Verdict) -> String {
    let name = strategy(summary, &verdict.best_baseline).and_then(|book| book.grid.as_ref());
    let Some(grid) = name.and_then(|name| summary.grids.iter().find(|grid| grid.name == *name)) else {
        return String::new();
    };
    let mut text = format!(" It is the best of {} of {}", counted(grid.books, "book"), escape(&grid.name));
    if let Some(luck) = grid.selection.luck_sharpe {
        text += &format!(", of which luck alone would show {}{SPACE}Sharpe", decimal(luck, 2));
    }
    text + "."
}

/// The best of the first grid against luck; without a grid, what a verdict needs.
fn without_verdict(summary: &Summary) -> String {
    if let Some(grid) = summary.grids.first() {
        let (class, word) = selection::conclusion(summary, grid);
        return format!(
            "<h1>{}: <span class=\"conclusion {class}\">{word}</span>.</h1>\n",
            escape(&selection::claim(summary, grid))
        );
    }
    if summary.strategies.is_empty()
        && forecast_steps::judged_by_errors(summary)
        && let Some(claim) = forecast_steps::claim(summary)
    {
        return format!("<h1>{}.</h1>\n", escape(&claim));
    }
    format!(
        "<h1>{}</h1>\n<p class=\"lead\">A verdict needs at least one strategy on a model and one baseline in the same \
         backtest.</p>\n",
        nothing_to_judge(summary)
    )
}

fn nothing_to_judge(summary: &Summary) -> String {
    let (models, strategies) = (summary.models.len(), summary.strategies.len());
    match (models, strategies) {
        (_, 0) => {
            format!("{} and no strategy: there is nothing to pass a verdict on.", plural(models, "model"))
        }
        (0, _) => {
            format!("{} and no model: there is nothing to pass a verdict on.", plural(strategies, "strategy"))
        }
        _ => "No verdict: the run has no model and baseline to compare.".to_owned(),
    }
}

fn plural(number: usize, noun: &str) -> String {
    match (number, noun) {
        (1, _) => format!("1{SPACE}{noun}"),
        (_, "strategy") => format!("{number}{SPACE}strategies"),
        _ => counted(number, noun),
    }
}

/// What the conclusion says in words. `hindsight`: the baseline is the best of several on the test bars, which pushes the
/// difference down before the model has done anything.
fn meaning(verdict: &Verdict, hindsight: bool) -> String {
    let mut text = match verdict.conclusion {
        Conclusion::Proven if hindsight => {
            "The whole interval lies above zero: over these test bars chance alone is an unlikely explanation of the \
             lead. Picking the baseline in hindsight works against the model, so the test is conservative. It says nothing \
             about bars that were not tested."
        }
        Conclusion::Proven => {
            "The whole interval lies above zero: over these test bars chance alone is an unlikely explanation of the \
             lead. It says nothing about bars that were not tested."
        }
        Conclusion::NotProven => {
            "The interval contains zero: a difference of this size also arises by luck in a test of this length. It is \
             no evidence that the model is better, and none that it is not."
        }
        Conclusion::Worse if hindsight => {
            "The whole interval lies below zero: over these test bars the model did not beat the best simple \
             alternative found in hindsight. Picking that alternative afterwards pushes the difference down by itself, \
             so this does not show that the model is worse than a baseline named beforehand."
        }
        Conclusion::Worse => {
            "The whole interval lies below zero: over these test bars the model did worse than the only baseline by more \
             than luck explains."
        }
    }
    .to_owned();
    text += &format!(
        " A trial is a book on a model that was ever tried on this data in this folder of runs, this run\u{2019}s included: \
         {} so far.",
        count(verdict.trials)
    );
    if verdict.trials > 1 {
        text +=
            " The interval is about this one comparison; the best of several trials looks better than it is.";
    }
    text
}

/// The difference of a verdict: dot and whiskers against zero.
pub(super) fn interval_plot(verdict: &Verdict) -> String {
    let [low, high] = verdict.interval;
    let middle = verdict.sharpe_difference;
    let axis = Axis::covering([low, high, middle, 0.0].into_iter(), 6).padded(0.08);
    let at = |value: f64| share(axis.share(value));
    let mut svg = format!(
        "<svg class=\"interval {}\" width=\"100%\" height=\"112\" role=\"img\" aria-label=\"Difference of the Sharpe \
         ratios {}, 95 % interval {} to {}\">\n",
        class(verdict.conclusion),
        decimal(middle, 2),
        decimal(low, 2),
        decimal(high, 2)
    );
    for tick in &axis.ticks {
        let x = at(*tick);
        svg += &format!("<line class=\"grid\" x1=\"{x}\" x2=\"{x}\" y1=\"26\" y2=\"84\"/>");
        svg += &format!(
            "<text class=\"tick\" x=\"{x}\" y=\"102\" text-anchor=\"middle\">{}</text>\n",
            axis.label(*tick)
        );
    }
    let zero = at(0.0);
    svg += &format!("<line class=\"zero\" x1=\"{zero}\" x2=\"{zero}\" y1=\"20\" y2=\"84\"/>\n");
    svg += "<text class=\"tick\" x=\"0\" y=\"12\">baseline better</text>";
    svg += "<text class=\"tick\" x=\"100%\" y=\"12\" text-anchor=\"end\">model better</text>\n";
    let (left, right) = (at(low), at(high));
    svg += &format!("<line class=\"whisker\" x1=\"{left}\" x2=\"{right}\" y1=\"55\" y2=\"55\"/>");
    for x in [&left, &right] {
        svg += &format!("<line class=\"whisker\" x1=\"{x}\" x2=\"{x}\" y1=\"47\" y2=\"63\"/>");
    }
    svg += &format!("<circle class=\"dot\" cx=\"{}\" cy=\"55\" r=\"7\"/>\n</svg>\n", at(middle));
    svg
}

/// The two books side by side.
fn duel(summary: &Summary, verdict: &Verdict) -> String {
    let side = |role: &str, title: &str, name: &str| {
        let sharpe = strategy(summary, name).and_then(|strategy| strategy.metrics.sharpe);
        format!(
            "<div class=\"{role}\"><dt>{title}</dt><dd><b>{}</b> Sharpe <span class=\"num\">{}</span></dd></div>\n",
            escape(name),
            maybe(sharpe, 2)
        )
    };
    format!(
        "<dl class=\"duel\">\n{}{}</dl>\n",
        side("model", "Model", &verdict.best_model),
        side("baseline", "Best baseline", &verdict.best_baseline)
    )
}
