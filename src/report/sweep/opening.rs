//! The honest answer: what the best trial reached, against the others, and what is left of it on the test bars.

use super::super::markup::escape;
use super::super::number::{NONE, SPACE, count, counted, decimal, maybe, percent};
use super::super::selection::{CERTAIN, COIN};
use super::super::verdict::{claim, class, interval_plot};
use super::{Sweep, known};
use crate::rundir::{SweepSummary, TrialStatus, Verdict, WinnerSummary};
use std::path::{Component, Path, PathBuf};

/// The metric by which overfitting is measured whatever judges.
pub(super) const SHARPE: &str = "validation.sharpe";

/// Reasons that are named.
const REASONS: usize = 3;

/// The top of the page.
pub(super) fn opening(sweep: &Sweep<'_>) -> String {
    if sweep.best().is_none() {
        return format!("<h1>{}</h1>\n{}", headline(sweep), reasons(sweep.summary));
    }
    let mut html = format!("<h1>{}</h1>\n<div class=\"verdict\">\n<div>\n", headline(sweep));
    let verdict = sweep.summary.winner.as_ref().and_then(|winner| Some((winner, winner.verdict.as_ref()?)));
    let own = verdict.filter(|(winner, verdict)| is_of_swept(winner, verdict));
    html += &own.map(|(_, verdict)| interval_plot(verdict)).unwrap_or_default();
    html += &rivals(sweep);
    html += "</div>\n<div class=\"prose\">\n";
    for paragraph in paragraphs(sweep) {
        html += &format!("<p>{paragraph}</p>\n");
    }
    html + "</div>\n</div>\n"
}

/// Whether the run's verdict is about the swept model's book: validation may have chosen a book on another model.
pub(super) fn is_of_swept(winner: &WinnerSummary, verdict: &Verdict) -> bool {
    winner.book.as_ref() == Some(&verdict.best_model)
}

/// Why trials ended without a value and how often, the most frequent reason first.
pub(super) fn reasons_found(summary: &SweepSummary) -> Vec<(&str, usize)> {
    let mut found: Vec<(&str, usize)> = Vec::new();
    for reason in summary.trials.iter().filter_map(|trial| trial.reason.as_deref()) {
        match found.iter_mut().find(|(known, _)| *known == reason) {
            Some((_, times)) => *times += 1,
            None => found.push((reason, 1)),
        }
    }
    found.sort_by_key(|(_, times)| std::cmp::Reverse(*times));
    found
}

fn reasons(summary: &SweepSummary) -> String {
    reasons_found(summary)
        .iter()
        .take(REASONS)
        .map(|(reason, times)| {
            format!(
                "<p class=\"lead\">{}: {}.</p>\n",
                counted(*times, "trial"),
                escape(reason.trim_end_matches('.'))
            )
        })
        .collect()
}

/// `validation.rank_ic` as words: `validation rank IC`.
pub(super) fn metric_words(metric: &str) -> String {
    let word = |word: &str| match word {
        "ic" | "mse" | "mae" => word.to_uppercase(),
        "sharpe" => "Sharpe".to_owned(),
        other => other.to_owned(),
    };
    metric.split(['.', '_']).map(word).collect::<Vec<_>>().join(" ")
}

fn headline(sweep: &Sweep<'_>) -> String {
    let summary = sweep.summary;
    let name = escape(&summary.name);
    let Some((best, value)) = sweep.best().and_then(|best| Some((best, known(best)?))) else {
        return format!(
            "None of the {} of {name} was trained to the end with a value: there is no best one.",
            counted(summary.trials.len(), "trial")
        );
    };
    let words = escape(&metric_words(&summary.metric));
    let mut text = match summary.trials.len() {
        1 => format!("The only trial of {name} reaches a {words} of {}", sweep.values.text(value)),
        trials => format!(
            "The best of {} of {name} reaches a {words} of {}",
            counted(trials, "trial"),
            sweep.values.text(value)
        ),
    };
    if let Some(median) = sweep.median().filter(|_| sweep.ranked.len() > 1) {
        text += &format!(", against {} at the median", sweep.values.text(median));
    }
    let winner = summary.winner.as_ref().filter(|winner| winner.trial == best.number);
    match winner.and_then(|winner| Some((winner, winner.verdict.as_ref()?))) {
        Some((winner, verdict)) if !is_of_swept(winner, verdict) => format!(
            "{text}. The verdict of its run, on {}: <span class=\"conclusion {}\">{}</span>.",
            escape(&verdict.best_model),
            class(verdict.conclusion),
            verdict.conclusion
        ),
        Some((_, verdict)) => format!(
            "{text}: on the test bars <span class=\"conclusion {}\">{}</span>.",
            class(verdict.conclusion),
            verdict.conclusion
        ),
        None => format!("{text}: <span class=\"conclusion open\">not judged on test bars</span>."),
    }
}

/// The best value beside those that put it into proportion.
fn rivals(sweep: &Sweep<'_>) -> String {
    let Some(best) = sweep.best() else { return String::new() };
    let side = |class: &str, title: &str, text: String| {
        format!("<div class=\"{class}\"><dt>{title}</dt><dd><b class=\"num\">{text}</b></dd></div>\n")
    };
    let mut html = String::from("<dl class=\"duel\">\n");
    html += &side("model", &format!("Best, trial {}", best.number), sweep.values.maybe(known(best)));
    if sweep.ranked.len() > 1 {
        let finished = format!("Median of {} finished", count(sweep.ranked.len()));
        html += &side("", &finished, sweep.values.maybe(sweep.median()));
    }
    if let Some(first) = sweep.trial(0).filter(|first| first.number != best.number) {
        html += &side("", "First trial", sweep.values.maybe(known(first)));
    }
    if let Some(value) = sweep.summary.winner.as_ref().and_then(|winner| winner.test_value) {
        html += &side("", "Best, on the test bars", sweep.values.text(value));
    }
    html + "</dl>\n"
}

fn paragraphs(sweep: &Sweep<'_>) -> Vec<String> {
    let summary = sweep.summary;
    let mut found = vec![choice(summary)];
    match &summary.winner {
        Some(winner) => found.extend(judgement(summary, winner)),
        None => found.push(
            "<strong>Test bars.</strong> No run of the best trial was made, so nothing is known about bars that did not take \
             part in the choice."
                .to_owned(),
        ),
    }
    found.push(overfitting(summary));
    found
}

/// How the best one was chosen, and why its value flatters it.
fn choice(summary: &SweepSummary) -> String {
    if summary.trials.len() == 1 {
        return "<strong>Choice.</strong> There was one trial, so nothing was chosen.".to_owned();
    }
    let direction = if summary.minimize { "lowest" } else { "highest" };
    let mut text = format!(
        "<strong>Choice.</strong> The {direction} {} of {} on validation rows only",
        escape(&metric_words(&summary.metric)),
        counted(summary.trials.len(), "trial")
    );
    if summary.folds * summary.seeds > 1 {
        let (folds, seeds) = (counted(summary.folds, "fold"), counted(summary.seeds, "seed"));
        text += &format!(", a mean over {folds} and {seeds}");
    }
    text + ". It was chosen because it is the best, so some of its lead is luck: expect less on other bars."
}

fn judgement(summary: &SweepSummary, winner: &WinnerSummary) -> Vec<String> {
    let mut text = String::from("<strong>Test bars.</strong> The best trial alone was run on them. ");
    let book = winner.book.as_ref().map_or_else(String::new, |book| format!(", {},", escape(book)));
    text += &match winner.sharpe {
        Some(sharpe) => format!("Its book{book} has a Sharpe ratio of {} there.", decimal(sharpe, 2)),
        None => "The swept model has no book of its own with a Sharpe ratio there.".to_owned(),
    };
    if let Some(link) = run_report(summary) {
        text += &format!(" <a href=\"{}\">The report of this run</a>.", escape(&link));
    }
    let mut found = vec![text];
    if let Some(probability) = winner.deflated_sharpe {
        let meaning = if probability >= CERTAIN {
            "that reaches the usual bar of 95\u{a0}%"
        } else {
            "below 95\u{a0}%, the usual bar, money staked on it trusts in luck"
        };
        found.push(format!(
            "<strong>Deflated.</strong> The Sharpe ratio of the swept trial's book on the test bars is {}. Counting all {}, the probability that the true \
             ratio is above what the best of so many would show by luck is {}; {meaning}.",
            maybe(winner.sharpe, 2),
            counted(summary.trials.len(), "trial"),
            percent(Some(probability), 0)
        ));
    }
    found.push(verdict_of_run(winner));
    found
}

/// The run's verdict, and about which book it is.
fn verdict_of_run(winner: &WinnerSummary) -> String {
    let Some(verdict) = &winner.verdict else {
        return "<strong>Verdict.</strong> The run has no model and baseline to compare, so there is none."
            .to_owned();
    };
    let about = if is_of_swept(winner, verdict) {
        "It is about the swept trial's book.".to_owned()
    } else {
        let other = if winner.book.is_some() { ", and not about the swept trial's book" } else { "" };
        format!(
            "The run's verdict is about {}, the book on a model that the validation bars chose there{other}.",
            escape(&verdict.best_model)
        )
    };
    format!("<strong>Verdict.</strong> {about} {}: {}.", escape(&claim(verdict)), verdict.conclusion)
}

fn overfitting(summary: &SweepSummary) -> String {
    let Some(share) = summary.overfitting_probability else {
        return "<strong>Overfitting.</strong> Its probability is not known: that needs several trials that trade on the \
                validation bars."
            .to_owned();
    };
    let meaning = if share >= COIN {
        "choosing this way is no better than a coin"
    } else {
        "from 50\u{a0}% on, choosing this way would be no better than a coin"
    };
    let by = if summary.metric == SHARPE {
        ""
    } else {
        ", by the Sharpe ratios of the trials' books on validation bars, not by the metric"
    };
    format!(
        "<strong>Overfitting.</strong> In {} of the ways to halve the validation bars, the trial that was best on one half was \
         not above the median on the other{by}; {meaning}.",
        percent(Some(share), 0)
    )
}

/// The page of the winner's run, from the sweep's folder.
pub(super) fn run_report(summary: &SweepSummary) -> Option<String> {
    let winner = summary.winner.as_ref()?;
    let [from, to] = [&summary.sweep_dir, &winner.run_dir].map(|path| whole(Path::new(path)));
    let target = relative(&from, &to).join("report.html");
    let parts: Vec<String> =
        target.components().map(|part| encoded(&part.as_os_str().to_string_lossy())).collect();
    Some(parts.join("/"))
}

/// A path without `.` and `name/..`.
fn whole(path: &Path) -> PathBuf {
    let mut found = PathBuf::new();
    for part in std::path::absolute(path).unwrap_or_else(|_| path.to_owned()).components() {
        match part {
            Component::ParentDir => {
                found.pop();
            }
            other => found.push(other),
        }
    }
    found
}

fn relative(from: &Path, to: &Path) -> PathBuf {
    let same = from.components().zip(to.components()).take_while(|(left, right)| left == right).count();
    let up = from.components().skip(same).map(|_| Component::ParentDir.as_os_str());
    up.chain(to.components().skip(same).map(|part| part.as_os_str())).collect()
}

/// RFC 3986: all but unreserved letters as their bytes.
fn encoded(part: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    part.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

/// How many trials ended how: `48 complete, 14 pruned, 2 failed`.
pub(super) fn fates(summary: &SweepSummary) -> String {
    let all = [
        TrialStatus::Complete,
        TrialStatus::Pruned,
        TrialStatus::Diverged,
        TrialStatus::Failed,
        TrialStatus::Unfinished,
    ];
    let mut parts: Vec<String> = all
        .into_iter()
        .filter_map(|status| {
            let number = summary.trials.iter().filter(|trial| trial.status == status).count();
            (number > 0).then(|| format!("{}{SPACE}{}", count(number), super::status_words(status).0))
        })
        .collect();
    let reused = summary.trials.iter().filter(|trial| trial.reused).count();
    if reused > 0 {
        parts.push(format!("{}{SPACE}of them taken from an earlier sweep", count(reused)));
    }
    if parts.is_empty() { NONE.to_owned() } else { parts.join(", ") }
}
