//! The page and the terminal table of a sweep, drawn from seeded sweeps and read again as text.

use super::synthetic_sweep::{DECAY, RATE, SyntheticSweep};
use candlewick::report::{render_sweep, sweep_terminal};
use candlewick::rundir::{SweepSummary, TrialStatus};
use std::fs;

const ALL: [&str; 10] = [
    "leaderboard",
    "parallel",
    "importance",
    "map",
    "slices",
    "curves",
    "progress",
    "time",
    "trials",
    "provenance",
];

fn drawn(summary: &SweepSummary) -> String {
    let root = tempfile::tempdir().unwrap();
    fs::write(root.path().join("sweep.json"), serde_json::to_string(summary).unwrap()).unwrap();
    render_sweep(root.path()).unwrap();
    let page = fs::read_to_string(root.path().join("report.html")).unwrap();
    for forbidden in ["NaN", "inf\"", "-inf", "undefined", "null,", "Some(", "None<"] {
        assert!(!page.contains(forbidden) || script_only(&page, forbidden), "the page contains {forbidden}");
    }
    for forbidden in
        ["http:", "https:", "src=", "@import", "url(", "<img", "javascript:", " style=\"", " onclick="]
    {
        assert!(!page.contains(forbidden), "the page contains {forbidden}");
    }
    page
}

/// Whether a word stands in our own script only.
fn script_only(page: &str, word: &str) -> bool {
    !page.split("<script>").next().unwrap().contains(word)
}

fn sections(page: &str) -> Vec<&'static str> {
    let there = |id: &&str| page.contains(&format!("<section id=\"{id}\""));
    ALL.into_iter().filter(there).collect()
}

/// The text between the tags, with ordinary spaces.
fn words(html: &str) -> String {
    let mut text = String::new();
    for part in html.split('<') {
        text += part.split_once('>').map_or(part, |(_, rest)| rest);
    }
    text.replace('\u{a0}', " ")
}

fn part<'a>(page: &'a str, id: &str) -> &'a str {
    page.split(&format!("<section id=\"{id}\"")).nth(1).unwrap().split("</section>").next().unwrap()
}

#[test]
fn a_mixed_sweep_has_every_part_and_says_what_it_is_worth() {
    let summary = SyntheticSweep::default().summary();
    let page = drawn(&summary);
    assert_eq!(sections(&page), ALL);
    let best = summary.best.unwrap();
    let heading = words(page.split("<h1>").nth(1).unwrap().split("</h1>").next().unwrap());
    let value = summary.trials[best].value.unwrap();
    assert!(heading.starts_with(&format!(
        "The best of 64 trials of quickstart-sweep reaches a validation loss of {value:.4}"
    )));
    assert!(heading.ends_with("on the test bars not proven."), "{heading}");
    let prose = words(&page);
    assert!(prose.contains("Counting all 64 trials, the probability that the true ratio is above"));
    assert!(prose.contains("In 38 % of the ways to halve the validation bars"));
    assert!(page.contains("href=\"../../runs/2026-11-20_quickstart_5e6f7a8b/report.html\""));
    assert!(prose.contains(
        "42 complete, 16 pruned, 4 diverged, 1 failed, 1 unfinished, 1 of them taken from an earlier sweep"
    ));
    assert!(prose.contains("38 of lstm [32, 16], 24 bars"));
    // Ten rows, the best first, its numbers those of the summary.
    let board = part(&page, "leaderboard");
    assert_eq!(board.matches("<tr").count(), 1 + 10);
    let first = board.split("<tr").nth(2).unwrap();
    assert!(
        first.contains(&format!("data-trial=\"{best}\""))
            && first.contains(&format!("data-value=\"{value}\""))
    );
    assert_eq!(part(&page, "trials").matches("<tr data-trial=").count(), 64);
}

#[test]
fn lines_show_every_trial_with_a_value_and_pass_under_missing_axes() {
    let summary = SyntheticSweep::default().summary();
    let page = drawn(&summary);
    let valued = summary.trials.iter().filter(|trial| trial.value.is_some()).count();
    let parallel = part(&page, "parallel");
    assert_eq!(parallel.matches("data-trial=").count(), valued);
    assert_eq!(parallel.matches("class=\"axis\"").count(), summary.space.len() + 1);
    for trial in summary.trials.iter().filter(|trial| trial.value.is_some()) {
        let path = parallel.split(&format!("data-trial=\"{}\" d=\"", trial.number)).nth(1).unwrap();
        let path = path.split('"').next().unwrap();
        let gaps = path.matches('M').count() - 1;
        assert_eq!(gaps, usize::from(!trial.settings.contains_key(DECAY)), "trial {}", trial.number);
    }
    assert_eq!(part(&page, "curves").matches("data-trial=").count(), 63, "all but the failed one");
    assert_eq!(part(&page, "slices").matches("<figure>").count(), summary.space.len());
}

#[test]
fn the_map_is_of_the_two_most_important_settings() {
    let summary = SyntheticSweep::default().summary();
    let note = words(part(&drawn(&summary), "map"));
    assert!(note.contains("learning_rate to the right, layers upwards"), "{note}");
    let rows: usize = 4 * 7;
    assert_eq!(part(&drawn(&summary), "map").matches("<rect class=\"cell").count(), rows);
    let share = summary.space.iter().find(|dimension| dimension.path == RATE).unwrap().importance.unwrap();
    assert!((0.4..0.8).contains(&share), "{share}");
    let bars = words(part(&drawn(&summary), "importance"));
    assert!(bars.contains(&format!("{:.0} %", 100.0 * share)), "{bars}");
}

#[test]
fn small_and_hopeless_sweeps_leave_out_what_they_cannot_show() {
    let one = SyntheticSweep { trials: 1, winner: false, ..SyntheticSweep::default() }.summary();
    let page = drawn(&one);
    assert!(words(&page).contains("The only trial of quickstart-sweep reaches"));
    assert!(page.contains("not judged on test bars"));
    assert_eq!(
        sections(&page),
        ["leaderboard", "parallel", "importance", "slices", "curves", "time", "trials", "provenance"]
    );
    assert!(part(&page, "importance").contains("at least ten finished trials"));

    let mut hopeless = SyntheticSweep { trials: 12, ..SyntheticSweep::default() }.summary();
    for trial in &mut hopeless.trials {
        (trial.status, trial.value) = (TrialStatus::Failed, None);
        trial.values.clear();
        trial.curve.clear();
        trial.reason = Some("no <room> left".into());
    }
    (hopeless.best, hopeless.winner, hopeless.overfitting_probability) = (None, None, None);
    hopeless.measure_importance();
    let page = drawn(&hopeless);
    assert!(words(&page).contains("None of the 12 trials of quickstart-sweep was trained to the end"));
    assert!(page.contains("no &lt;room&gt; left") && !page.contains("<room>"));
    assert_eq!(sections(&page), ["leaderboard", "parallel", "importance", "time", "trials", "provenance"]);

    hopeless.trials.clear();
    hopeless.space.clear();
    hopeless.populations.clear();
    assert_eq!(sections(&drawn(&hopeless)), ["leaderboard", "trials", "provenance"]);
}

#[test]
fn a_thousand_trials_stay_small_and_keep_the_best() {
    let thousand = SyntheticSweep { trials: 1000, ..SyntheticSweep::default() };
    let summary = thousand.summary();
    let page = drawn(&summary);
    assert!(page.len() < 600_000, "{} bytes", page.len());
    let parallel = part(&page, "parallel");
    assert_eq!(parallel.matches("data-trial=").count(), 240);
    let mut ranked: Vec<_> =
        summary.trials.iter().filter(|trial| trial.status == TrialStatus::Complete).collect();
    ranked.sort_by(|left, right| left.value.unwrap().total_cmp(&right.value.unwrap()));
    for trial in &ranked[..24] {
        assert!(parallel.contains(&format!("data-trial=\"{}\"", trial.number)));
    }
    assert!(words(parallel).contains("240 are drawn, the best always"));
    assert_eq!(part(&page, "curves").matches("data-trial=").count(), 200);
    assert_eq!(part(&page, "trials").matches("<tr data-trial=").count(), 1000);
    let wide = SyntheticSweep { dimensions: 20, ..thousand }.summary();
    assert!(drawn(&wide).len() < 1_000_000);
}

#[test]
fn hostile_names_and_numbers_do_no_harm() {
    let evil = "</script><b onload=\"evil()\">&'";
    let mut summary = SyntheticSweep::default().summary();
    summary.name = evil.into();
    summary.experiment = evil.into();
    summary.metric = evil.into();
    summary.method = evil.into();
    summary.stop_reason = evil.into();
    summary.sweep_dir = evil.into();
    summary.warnings.push(evil.into());
    summary.populations[0].shape = evil.into();
    summary.winner.as_mut().unwrap().run_dir = format!("runs/{evil} #?");
    summary.space[0].path = evil.into();
    summary.space[1].values.push(serde_json::json!(evil));
    summary.trials[3].settings.insert(evil.into(), serde_json::json!(0.001));
    summary.trials[4].reason = Some(evil.into());
    // Numbers beyond all others, of no size, or outside of their interval.
    summary.trials[5].value = Some(f64::MAX);
    summary.trials[6].value = Some(-f64::MAX);
    summary.trials[7].settings.insert(DECAY.into(), serde_json::json!(0.0));
    summary.trials[8].spans[0].end = 1e300;
    summary.space[2].interval = Some([0.3, 0.3]);
    let page = drawn(&summary);
    assert!(!page.contains("<b onload") && !page.contains("<script>alert"));
    assert_eq!((page.matches("<script").count(), page.matches("</script").count()), (1, 1));
    let text = sweep_terminal(&summary, 100, false);
    assert!(!text.contains('\u{1b}'));
}

#[test]
fn the_terminal_table_fits_and_says_the_same() {
    let summary = SyntheticSweep::default().summary();
    for width in [40, 60, 80, 100, 200] {
        let text = sweep_terminal(&summary, width, false);
        assert!(text.lines().all(|line| line.chars().count() <= width), "{width}:\n{text}");
        let flat = text.replace('\n', " ");
        assert!(
            flat.contains("Verdict: not proven.") && flat.contains("Deflated by 64 trials: 41%."),
            "{text}"
        );
        assert!(flat.contains("PBO 38%") && flat.contains("64 trials: 42 complete"), "{text}");
    }
    assert!(sweep_terminal(&summary, 200, false).contains("weight_decay"));
    assert!(sweep_terminal(&summary, 100, true).contains("\u{1b}[1;36m"));
    let lost = SyntheticSweep { winner: false, ..SyntheticSweep::default() }.summary();
    assert!(sweep_terminal(&lost, 100, false).contains("Verdict: none"));
}

#[test]
fn higher_can_be_better() {
    let mut summary = SyntheticSweep { fates: false, ..SyntheticSweep::default() }.summary();
    summary.minimize = false;
    summary.metric = "validation.rank_ic".into();
    summary.trials.iter_mut().for_each(|trial| trial.value = trial.value.map(|value| 1.0 - value));
    let page = drawn(&summary);
    let board = part(&page, "leaderboard");
    assert!(
        board.split("<tr").nth(2).unwrap().contains(&format!("data-trial=\"{}\"", summary.best.unwrap()))
    );
    assert!(words(&page).contains("The highest validation rank IC of 64 trials"));
}

/// A small sweep in which every trial was finished, so that its values can be set by hand.
fn finished(values: &[f64]) -> SweepSummary {
    let mut summary =
        SyntheticSweep { trials: values.len(), fates: false, ..SyntheticSweep::default() }.summary();
    for (trial, value) in summary.trials.iter_mut().zip(values) {
        trial.value = Some(*value);
    }
    summary.best = Some(0);
    summary
}

fn heading(page: &str) -> String {
    words(page.split("<h1>").nth(1).unwrap().split("</h1>").next().unwrap())
}

fn flat(summary: &SweepSummary) -> String {
    sweep_terminal(summary, 100, false).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
fn the_median_of_an_even_number_of_trials_is_the_mean_of_the_middle_two() {
    for (values, median) in
        [(&[1.0, 2.0, 4.0, 9.0][..], "3.00"), (&[1.0, 2.0, 9.0], "2.00"), (&[1.0, 2.0], "1.50")]
    {
        let summary = finished(values);
        let page = drawn(&summary);
        assert!(heading(&page).contains(&format!(", against {median} at the median")), "{}", heading(&page));
        assert!(flat(&summary).contains(&format!("against {median} at the median")), "{}", flat(&summary));
        let tile = words(page.split("Median of").nth(1).unwrap().split("</dd>").next().unwrap());
        assert!(tile.contains(median), "{tile}");
    }
}

#[test]
fn a_verdict_on_another_model_is_not_told_as_the_swept_one_s() {
    let mut summary = SyntheticSweep::default().summary();
    let own = words(&drawn(&summary));
    assert!(own.contains("Its book, lstm_signal, has a Sharpe ratio of 0.84 there."), "{own}");
    assert!(own.contains("It is about the swept trial's book."));
    assert!(flat(&summary).contains("lstm_signal, has a Sharpe ratio of 0.84. Deflated by 64 trials: 41%."));
    for book in [Some("lstm_signal".to_owned()), None] {
        let winner = summary.winner.as_mut().unwrap();
        winner.verdict.as_mut().unwrap().best_model = "transformer_signal".into();
        winner.sharpe = winner.sharpe.filter(|_| book.is_some());
        winner.book = book;
        let page = drawn(&summary);
        let title = heading(&page);
        assert!(title.ends_with("The verdict of its run, on transformer_signal: not proven."), "{title}");
        assert!(!title.contains("on the test bars"), "{title}");
        assert!(words(&page).contains("The run's verdict is about transformer_signal, the book on a model"));
        let text = flat(&summary);
        assert!(text.contains("The run's verdict is about transformer_signal: not proven."), "{text}");
        assert!(!text.contains("Verdict: not proven."), "{text}");
    }
    assert!(flat(&summary).contains("the swept model has no book of its own"));
}

#[test]
fn overfitting_says_by_which_figure_it_counts() {
    let mut summary = SyntheticSweep::default().summary();
    let by = "by the Sharpe ratios of the trials' books";
    let said = |summary: &SweepSummary| [words(&drawn(summary)), flat(summary)].map(|text| text.contains(by));
    assert_eq!(said(&summary), [true; 2]);
    assert!(words(&drawn(&summary)).contains("was not above the median on the other"));
    summary.metric = "validation.sharpe".into();
    assert_eq!(said(&summary), [false; 2]);
    assert!(flat(&summary).contains("validation Sharpe"));
}

#[test]
fn the_terminal_names_reasons_the_end_of_the_time_and_small_times() {
    let mut summary = SyntheticSweep::default().summary();
    for trial in &mut summary.trials {
        trial.cpu_seconds = 0.0123;
        if matches!(trial.status, TrialStatus::Failed | TrialStatus::Diverged) {
            trial.reason = Some("the loss became NaN.".into());
        }
    }
    let best = summary.best.unwrap();
    (summary.trials[best].reused, summary.trials[best].cpu_seconds) = (true, -0.0);
    (summary.stop_reason, summary.seconds_allowed) = ("time".into(), Some(1.0));
    summary.trials_asked = 100_000;
    let text = flat(&summary);
    assert!(text.contains("Stopped after its 1 second; 64 of 100,000 trials."), "{text}");
    assert!(text.contains("Without a value: 5 trials, as the loss became NaN."), "{text}");
    let table = sweep_terminal(&summary, 200, false);
    assert!(table.contains("0.0123") && !table.contains("-0.0"), "{table}");
}

#[test]
fn notes_say_what_empty_cells_and_shares_are() {
    let mut summary = SyntheticSweep::default().summary();
    for bars in 30..40 {
        let shape = format!("lstm [16], {bars} bars, 6 features, 1 output");
        summary.populations.push(candlewick::rundir::PopulationSummary { shape, members: 2 });
    }
    let page = drawn(&summary);
    assert!(words(part(&page, "map")).contains("No trial was finished in an empty cell."));
    let note = words(part(&page, "importance"));
    assert!(note.contains("over 42 finished trials") && note.contains("more than 100 %"), "{note}");
    let tile = page.split("<dt>Trained together</dt><dd>").nth(1).unwrap().split("</dd>").next().unwrap();
    assert_eq!(tile.matches("<br>").count(), 3, "{tile}");
    assert!(words(tile).ends_with("and 18 in 9 other shapes"), "{tile}");
}
