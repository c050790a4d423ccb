//! The report: drawn from a seeded run directory of realistic size and read again as text.
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test fails by panicking, and its example prints"
)]

mod grids;
mod sections;
mod sweeps;
mod synthetic;
mod synthetic_grids;
mod synthetic_sweep;
mod tensorboard;

use candlewick::report::{ReportError, compare, render, terminal};
use candlewick::rundir::{Column, Conclusion, Summary, TableFile};
use candlewick::units::Time;
use std::fs;
use std::path::{Path, PathBuf};
use synthetic::Synthetic;

fn drawn(run: &Path) -> String {
    fs::read_to_string(render(run).unwrap()).unwrap()
}

fn folder(root: &tempfile::TempDir, name: &str) -> PathBuf {
    root.path().join(name)
}

/// What a browser would fetch or run from elsewhere.
fn assert_no_request(page: &str) {
    for forbidden in [
        "http:",
        "https:",
        "src=",
        "@import",
        "url(",
        "<img",
        "<iframe",
        "javascript:",
        " style=\"",
        " onclick=",
    ] {
        assert!(!page.contains(forbidden), "the page contains {forbidden}");
    }
    for target in page.split("href=\"").skip(1) {
        assert!(
            target.starts_with('#') || target.starts_with("data:,\""),
            "{}",
            &target[..40.min(target.len())]
        );
    }
}

#[test]
fn a_full_run_has_every_section_and_stays_small() {
    let root = tempfile::tempdir().unwrap();
    let run = folder(&root, "full");
    let summary = Synthetic::default().write(&run);
    let page = drawn(&run);
    for id in
        ["strategies", "equity", "months", "by-fold", "training", "forecasts", "costs", "folds", "provenance"]
    {
        assert_eq!(page.matches(&format!("<section id=\"{id}\"")).count(), 1, "{id}");
        assert_eq!(page.matches(&format!("href=\"#{id}\"")).count(), 1, "{id}");
    }
    let verdict = summary.verdict.unwrap();
    let claim = format!("by {:.2}\u{a0}Sharpe, 95\u{a0}% interval", verdict.sharpe_difference.abs());
    assert!(page.contains(&claim), "{claim}");
    assert!(page.contains("after 3\u{a0}trials: <span class=\"conclusion open\">not proven</span>."));
    assert!(page.contains("8,760\u{a0}bars a year"));
    assert!(
        page.contains("Against 1,000\u{a0}random books")
            && page.contains("<b class=\"model\">lstm</b> beats 9")
    );
    assert!(page.len() <= 500_000, "{} bytes", page.len());
    assert_eq!(page.matches("class=\"outcome\"").count(), 4 * 10, "tenths of two models at two horizons");
    assert_eq!(page.matches("no ranking to draw").count(), 2, "ridge always forecasts the same");
    assert_eq!(
        page.matches("<circle class=\"best\"").count(),
        2 * 4,
        "the best epoch of two models in four folds"
    );
    assert_no_request(&page);
}

#[test]
fn a_hundred_thousand_bars_stay_below_the_limit_and_keep_their_extremes() {
    let root = tempfile::tempdir().unwrap();
    let run = folder(&root, "long");
    let long = Synthetic { bars: 100_000, ..Synthetic::default() };
    fs::create_dir_all(&run).unwrap();
    let books = long.equity(&run);
    fs::write(run.join("summary.json"), serde_json::to_string(&long.summary(&run, &books)).unwrap()).unwrap();
    let page = drawn(&run);
    assert!(page.len() < 700_000, "{} bytes", page.len());
    // The axis covers every value with 3 per cent of room on both sides, so the highest and the lowest value of all
    // curves lie at fixed heights: 1000 * 0.03 / 1.06 and as far from the bottom.
    let growth = page.split("Growth since the start</h3>").nth(1).unwrap().split("<h3>").next().unwrap();
    let heights: Vec<i64> =
        growth.split(" d=\"").skip(1).flat_map(|rest| heights(rest.split('"').next().unwrap())).collect();
    assert_eq!((heights.iter().min(), heights.iter().max()), (Some(&28), Some(&972)));
}

/// The absolute heights of a path `M x y l dx dy ...`.
fn heights(path: &str) -> Vec<i64> {
    let spaced = path.replace(['M', 'l'], " ").replace('-', " -");
    let numbers: Vec<i64> = spaced.split_whitespace().map(|number| number.parse().unwrap()).collect();
    let downs = numbers.chunks(2).map(|pair| pair[1]);
    downs
        .scan(0, |height, step| {
            *height += step;
            Some(*height)
        })
        .collect()
}

#[test]
fn the_same_directory_gives_the_same_bytes() {
    let root = tempfile::tempdir().unwrap();
    let run = folder(&root, "same");
    Synthetic::default().write(&run);
    let first = drawn(&run);
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    assert_eq!(first, pool.install(|| drawn(&run)));
}

#[test]
fn names_and_texts_are_escaped_everywhere() {
    let root = tempfile::tempdir().unwrap();
    let run = folder(&root, "hostile");
    let mut summary =
        Synthetic { bars: 600, first: "<script>alert('x')</script>", ..Synthetic::default() }.write(&run);
    let evil = "</script><b onload=\"evil()\">&";
    summary.name = evil.into();
    summary.data.path = evil.into();
    summary.data.symbols.push(evil.into());
    summary.warnings.push(evil.into());
    summary.stages[0].name = evil.into();
    summary.backtest.as_mut().unwrap().costs.push(evil.into());
    summary.backtest.as_mut().unwrap().fill = evil.into();
    summary.verdict.as_mut().unwrap().choice = evil.into();
    summary.run_dir = evil.into();
    fs::write(run.join("summary.json"), serde_json::to_string(&summary).unwrap()).unwrap();
    fs::write(run.join("config.yaml"), evil).unwrap();
    let page = drawn(&run);
    assert!(!page.contains("<script>alert") && !page.contains("<b onload"));
    assert!(page.contains("&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;"));
    // Two islands of data and one script of ours open and close; nothing else does.
    assert_eq!(page.matches("<script").count(), 3);
    assert_eq!(page.matches("</script").count(), 3);
    compare(&[run.clone(), run.clone()], &folder(&root, "both.html")).unwrap();
    let both = fs::read_to_string(folder(&root, "both.html")).unwrap();
    assert!(!both.contains("<script>alert") && !both.contains("<b onload"));
}

#[test]
fn absent_files_leave_their_sections_out() {
    let root = tempfile::tempdir().unwrap();
    let run = folder(&root, "bare");
    let mut summary = Synthetic { bars: 600, ..Synthetic::default() }.write(&run);
    let sections = |page: &str, ids: &[&str]| {
        ids.iter().filter(|id| page.contains(&format!("<section id=\"{id}\""))).count()
    };
    for file in ["predictions", "training", "folds"] {
        fs::remove_file(run.join(format!("{file}.parquet"))).unwrap();
    }
    fs::remove_file(run.join("resolved.yaml")).unwrap();
    summary.models.clear();
    summary.verdict = None;
    fs::write(run.join("summary.json"), serde_json::to_string(&summary).unwrap()).unwrap();
    let page = drawn(&run);
    assert_eq!(sections(&page, &["training", "forecasts", "folds", "by-fold"]), 0);
    assert_eq!(sections(&page, &["strategies", "equity", "months", "costs", "provenance"]), 5);
    assert!(page.contains("there is nothing to pass a verdict on"));
    // Without a verdict twelve books have eight hues and the rest grey, the same in the curves, the legend and the tables.
    for hue in 0..8 {
        assert_eq!(page.matches(&format!("<path class=\"line hue{hue}\"")).count(), 2, "hue{hue}");
        assert_eq!(page.matches(&format!("<tr class=\"hue{hue}\">")).count(), 2, "hue{hue}");
        let name = page.split(&format!("class=\"hue{hue}\" data-series=")).nth(1).unwrap();
        let name = name.split("class=\"name\">").nth(1).unwrap().split('<').next().unwrap();
        let row = page.split(&format!("<tr class=\"hue{hue}\">")).nth(1).unwrap();
        assert!(row.trim_start().starts_with(&format!("<th scope=\"row\" data-value=\"{name}\">")), "{name}");
    }
    assert_eq!(page.matches("<path class=\"line other\"").count(), 2 * 4);
    assert!(!page.contains("parts of the folds") && !page.contains("the test bars"));

    for file in ["equity", "fills"] {
        fs::remove_file(run.join(format!("{file}.parquet"))).unwrap();
    }
    summary.strategies.clear();
    summary.backtest = None;
    fs::write(run.join("summary.json"), serde_json::to_string(&summary).unwrap()).unwrap();
    let page = drawn(&run);
    assert_eq!(sections(&page, &["strategies", "equity", "months", "costs"]), 0);
    assert_eq!(sections(&page, &["provenance"]), 1);
}

#[test]
fn a_folder_that_is_no_run_and_a_table_without_its_column_are_errors() {
    let root = tempfile::tempdir().unwrap();
    assert!(matches!(render(root.path()), Err(ReportError::RunDir(_))));
    let run = folder(&root, "no results yet");
    fs::create_dir_all(&run).unwrap();
    fs::write(run.join("config.yaml"), "name: interrupted").unwrap();
    let error = render(&run).unwrap_err().to_string();
    let command = format!("`candlewick run --resume '{}'`", run.display());
    assert!(error.contains("has no results yet") && error.ends_with(&command), "{error}");
    let run = folder(&root, "other");
    Synthetic { bars: 100, ..Synthetic::default() }.write(&run);
    let table = TableFile::default().with("strategy", Column::Text(vec!["hold".into()]));
    table.write(&run.join("equity.parquet")).unwrap();
    let error = render(&run).unwrap_err().to_string();
    assert!(error.contains("equity.parquet has no time column `timestamp`"), "{error}");
    assert!(matches!(compare(&[], &folder(&root, "none.html")), Err(ReportError::NoRuns)));
}

/// The numbers by which the script sorts are those of `summary.json`, to the last digit.
#[test]
fn sortable_numbers_equal_the_summary() {
    let root = tempfile::tempdir().unwrap();
    let run = folder(&root, "numbers");
    Synthetic::default().write(&run);
    let summary: serde_json::Value =
        serde_json::from_str(&fs::read_to_string(run.join("summary.json")).unwrap()).unwrap();
    let page = drawn(&run);
    let table = page.split("<section id=\"strategies\"").nth(1).unwrap().split("</table>").next().unwrap();
    for book in summary["strategies"].as_array().unwrap() {
        let name = book["name"].as_str().unwrap();
        let row = table.split(&format!("<th scope=\"row\" data-value=\"{name}\">")).nth(1).unwrap();
        let row = row.split("</tr>").next().unwrap();
        let found: Vec<f64> = row
            .split("data-value=\"")
            .skip(1)
            .map(|rest| rest.split('"').next().unwrap().parse().unwrap())
            .collect();
        let metrics = &book["metrics"];
        let expected: Vec<f64> = [
            "sharpe",
            "total_return",
            "cagr",
            "volatility",
            "sortino",
            "max_drawdown",
            "calmar",
            "turnover",
            "trades",
            "win_rate",
            "exposure",
            "gross_exposure",
        ]
        .iter()
        .filter_map(|key| metrics[key].as_f64())
        .collect();
        assert_eq!(found[..expected.len()], expected[..], "{name}");
        assert!(found.len() - expected.len() <= 1, "{name}: only the share of random books is left");
    }
    let island = page.split("id=\"summary\">").nth(1).unwrap().split("</script>").next().unwrap();
    assert_eq!(serde_json::from_str::<serde_json::Value>(island).unwrap(), summary);
}

/// The months multiply to the whole return, and the last stop of the crosshair is the return of the table.
#[test]
fn months_and_curves_agree_with_the_total_return() {
    let root = tempfile::tempdir().unwrap();
    let run = folder(&root, "months");
    let summary = Synthetic::default().write(&run);
    let page = drawn(&run);
    let total = summary.strategies[0].metrics.total_return.unwrap();
    let months = page.split("<section id=\"months\"").nth(1).unwrap();
    let months = months.split("<caption>lstm</caption>").nth(1).unwrap().split("</table>").next().unwrap();
    let number = |text: &str| text.replace('\u{2212}', "-").replace(',', "").parse::<f64>().unwrap() / 100.0;
    let growth: f64 = months
        .split("<td class=\"")
        .skip(1)
        .filter(|cell| !cell.starts_with("whole"))
        .map(|cell| 1.0 + number(cell.split('>').nth(1).unwrap().split('<').next().unwrap()))
        .product();
    // Each of 13 months is printed to 0.1 per cent, so is off by at most 0.0005.
    assert!((growth - 1.0 - total).abs() < 13.0 * 0.0005 * growth.max(1.0) * 1.5, "{growth} against {total}");
    assert_eq!(months.matches("<th scope=\"row\">").count(), 2, "2022 and 2023");
    let folds = page.split("<section id=\"by-fold\"").nth(1).unwrap().split("</table>").next().unwrap();
    let growth: f64 = folds
        .split("</svg></td><td class=\"n\">")
        .skip(1)
        .map(|cell| 1.0 + number(cell.split('\u{a0}').next().unwrap().trim_start_matches('+')))
        .product();
    assert!((growth - 1.0 - total).abs() < 4.0 * 0.0005 * growth.max(1.0) * 1.5, "{growth} against {total}");
    let island = page.split("id=\"curves\">").nth(1).unwrap().split("</script>").next().unwrap();
    let curves: serde_json::Value = serde_json::from_str(island).unwrap();
    let last = curves["growth"][0].as_array().unwrap().last().unwrap().as_f64().unwrap();
    assert!((last - 100.0 * total).abs() <= 0.051, "{last} against {total}");
}

/// A book that makes 1 into 10 and one that loses all: the axis is logarithmic, its ticks are at equal factors.
#[test]
fn growth_by_large_factors_is_drawn_on_a_logarithmic_axis() {
    let root = tempfile::tempdir().unwrap();
    let run = folder(&root, "wide");
    let mut summary = Synthetic { bars: 600, ..Synthetic::default() }.write(&run);
    summary.verdict = None;
    summary.strategies.truncate(2);
    fs::write(run.join("summary.json"), serde_json::to_string(&summary).unwrap()).unwrap();
    let time = summary.backtest.as_ref().unwrap().start.parse::<jiff::Timestamp>().unwrap();
    let times: Vec<Time> =
        (0..3).map(|bar| Time(time.as_nanosecond() as i64 + bar * 3_600_000_000_000)).collect();
    let names = [["lstm"; 3], ["transformer"; 3]].concat();
    let table = TableFile::default()
        .with("strategy", Column::Text(names.iter().map(|name| (*name).into()).collect()))
        .with("timestamp", Column::Time([times.clone(), times].concat()))
        .with("equity", Column::Float(vec![100_000.0, 300_000.0, 1_000_000.0, 100_000.0, 20_000.0, 0.0]))
        .with("drawdown", Column::Float(vec![0.0, 0.0, 0.0, 0.0, -0.8, -1.0]));
    table.write(&run.join("equity.parquet")).unwrap();
    let page = drawn(&run);
    assert!(
        page.contains("Growth is on a logarithmic axis")
            && page.contains("more than 98\u{a0}% lies on its lower edge")
    );
    let chart = page.split("Growth since the start</h3>").nth(1).unwrap().split("<h3>").next().unwrap();
    let tick = |text: &str| -> f64 {
        let before = chart.split(&format!(">{text}\u{a0}%</text>")).next().unwrap();
        before.split(" y=\"").last().unwrap().split('"').next().unwrap().parse().unwrap()
    };
    // 0.1, 1 and 10 times the start.
    let (low, middle, high) = (tick("\u{2212}90"), tick("0"), tick("900"));
    assert!((low - middle - (middle - high)).abs() <= 0.11 && low > middle, "{low} {middle} {high}");
    // The axis runs from 0.02 to 10 with 3 per cent of room: both curves end at its ends.
    let ends: Vec<i64> = chart
        .split(" d=\"")
        .skip(1)
        .map(|rest| *heights(rest.split('"').next().unwrap()).last().unwrap())
        .collect();
    assert!(ends.contains(&28) && ends.contains(&972), "{ends:?}");
}

/// The conclusion does not claim more than a baseline picked on the test bars allows.
#[test]
fn the_verdict_says_what_hindsight_does_to_it() {
    let root = tempfile::tempdir().unwrap();
    let run = folder(&root, "spoken");
    let mut summary = Synthetic { bars: 600, ..Synthetic::default() }.write(&run);
    let mut page = |conclusion: Conclusion, books: usize| {
        summary.verdict.as_mut().unwrap().conclusion = conclusion;
        summary.strategies.truncate(books);
        fs::write(run.join("summary.json"), serde_json::to_string(&summary).unwrap()).unwrap();
        drawn(&run)
    };
    let worse = page(Conclusion::Worse, 12);
    assert!(worse.contains("did not beat the best simple alternative found in hindsight"));
    assert!(!worse.contains("luck explains"));
    assert!(
        worse.contains(
            "ever tried on this data in this folder of runs, this run\u{2019}s included: 3 so far."
        )
    );
    assert!(
        worse.contains("before the first test bar.</p>"),
        "the sentence of the run ends with one full stop"
    );
    assert!(page(Conclusion::Proven, 12).contains("so the test is conservative"));
    let alone = page(Conclusion::Worse, 4);
    assert!(!alone.contains("hindsight") && alone.contains("The only one of the run."));
}

/// What a book paid adds up; a break-even fee below zero is no fee.
#[test]
fn costs_add_up_and_a_loss_before_fees_has_no_break_even_fee() {
    let root = tempfile::tempdir().unwrap();
    let run = folder(&root, "costs");
    let summary = Synthetic::default().write(&run);
    let page = drawn(&run);
    let table = page.split("<section id=\"costs\"").nth(1).unwrap().split("</table>").next().unwrap();
    for book in &summary.strategies {
        let row = table
            .split(&format!("<span>{}</span>", book.name))
            .nth(1)
            .unwrap()
            .split("</tr>")
            .next()
            .unwrap();
        let cells: Vec<&str> =
            row.split("<td class=\"n\">").skip(1).map(|rest| rest.split('<').next().unwrap()).collect();
        let number = |text: &str| -> f64 {
            let text = text.replace('\u{2212}', "-").replace([',', '+'], "");
            text.split('\u{a0}').next().unwrap().parse().unwrap()
        };
        let [before, fees, slippage, after] = [0, 1, 2, 3].map(|index| number(cells[index]));
        assert!((before - fees - slippage - after).abs() < 0.21, "{}: {cells:?}", book.name);
        let gain = 100_000.0 * book.metrics.total_return.unwrap() + book.metrics.fees;
        let traded = book.metrics.trades > 0;
        assert_eq!(cells[7] == "\u{2013}", !traded || gain < 0.0, "{}: {cells:?}", book.name);
    }
    assert!(summary.strategies.iter().any(|book| book.metrics.total_return.unwrap() < -0.05));
}

#[test]
fn runs_side_by_side_show_verdicts_curves_and_changed_lines() {
    let root = tempfile::tempdir().unwrap();
    let runs: Vec<PathBuf> = ["first", "second", "third"].iter().map(|name| folder(&root, name)).collect();
    for (index, run) in runs.iter().enumerate() {
        Synthetic { seed: 7 + index as u64, bars: 2000 + 500 * index, ..Synthetic::default() }.write(run);
    }
    let config = fs::read_to_string(runs[1].join("config.yaml")).unwrap().replace("window: 60", "window: 90");
    fs::write(runs[1].join("config.yaml"), config).unwrap();
    let output = folder(&root, "compare.html");
    compare(&runs, &output).unwrap();
    let page = fs::read_to_string(&output).unwrap();
    for id in ["verdicts", "curves", "models", "strategies", "differences"] {
        assert_eq!(page.matches(&format!("<section id=\"{id}\"")).count(), 1, "{id}");
    }
    assert_eq!(page.matches("<path class=\"line run").count(), 3);
    // 2000, 2500 and 3000 bars of one calendar share a chart; 600 bars of it stand alone.
    assert_eq!(page.matches("<svg class=\"chart\"").count(), 1);
    let short = folder(&root, "short");
    Synthetic { bars: 600, ..Synthetic::default() }.write(&short);
    compare(&[runs[2].clone(), short], &folder(&root, "apart.html")).unwrap();
    let apart = fs::read_to_string(folder(&root, "apart.html")).unwrap();
    assert_eq!(apart.matches("<svg class=\"chart\"").count(), 2);
    assert!(page.contains("<del>-   small_lstm: {lstm: {window: 60}}</del>"));
    assert!(page.contains("<ins>+   small_lstm: {lstm: {window: 90}}</ins>"));
    assert!(page.contains("The configurations are the same, line for line."));
    assert!(page.len() < 500_000);
    assert_no_request(&page);
}

#[test]
fn the_terminal_table_fits_and_ends_with_the_verdict() {
    let root = tempfile::tempdir().unwrap();
    let summary = Synthetic {
        bars: 2000,
        first: "a_rather_long_name_of_a_strategy_on_a_model",
        ..Synthetic::default()
    }
    .write(&folder(&root, "terminal"));
    for width in [40, 60, 80, 120] {
        let text = terminal(&summary, width, false);
        let lines: Vec<&str> = text.lines().collect();
        // A single word that is longer than the terminal cannot be broken.
        let fits = |line: &&str| line.chars().count() <= width || !line.contains(' ');
        assert!(lines.iter().all(fits), "{width}:\n{text}");
        let sentence = text[text.find("Verdict: ").unwrap()..].replace('\n', " ");
        assert!(
            sentence.starts_with("Verdict: not proven. ") && sentence.trim_end().ends_with("after 3 trials."),
            "{sentence}"
        );
        assert!(text.contains("Sharpe") && !text.contains('\x1b'));
        assert_eq!(text.contains("trades"), width >= 80, "{width}:\n{text}");
    }
    let text = terminal(&summary, 80, false);
    let place = |name: &str| text.lines().position(|line| line.trim_start().starts_with(name)).unwrap();
    assert!(place("ridge_signal") < place("hold"), "models first");
    let coloured = terminal(&summary, 80, true);
    assert!(coloured.contains("\x1b[1;36m") && coloured.contains("\x1b[1;33mVerdict: not proven.\x1b[0m"));
}

/// Leaves a full run where a person can look at it: `CANDLEWICK_REPORT_EXAMPLE=/some/folder`.
#[test]
#[ignore = "writes a page for people to look at"]
fn an_example_to_look_at() {
    let Some(root) = std::env::var_os("CANDLEWICK_REPORT_EXAMPLE").map(PathBuf::from) else { return };
    let runs = [root.join("first"), root.join("second")];
    for (index, run) in runs.iter().enumerate() {
        Synthetic { seed: 7 + index as u64, complete: index == 0, ..Synthetic::default() }.write(run);
    }
    let alone = root.join("grid");
    let mut summary = Synthetic { complete: true, ..Synthetic::default() }.write(&alone);
    for file in ["predictions", "training", "folds"] {
        fs::remove_file(alone.join(format!("{file}.parquet"))).unwrap();
    }
    (summary.verdict, summary.audit) = (None, Some(synthetic_grids::audit(false)));
    summary.models.clear();
    fs::write(alone.join("summary.json"), serde_json::to_string(&summary).unwrap()).unwrap();
    render(&alone).unwrap();
    for _ in 0..5 {
        let start = std::time::Instant::now();
        render(&runs[0]).unwrap();
        println!("rendered in {:?}", start.elapsed());
    }
    compare(&runs, &root.join("compare.html")).unwrap();
    let summary: Summary =
        serde_json::from_str(&fs::read_to_string(runs[0].join("summary.json")).unwrap()).unwrap();
    println!("{}", terminal(&summary, 80, true));
    println!("{}", terminal(&summary, 60, false));
}

/// JSON has no infinity: `null` stands for it, and a summary with one could not be read again.
#[test]
fn a_summary_keeps_no_number_that_cannot_be_read_again() {
    let root = tempfile::tempdir().unwrap();
    let run = folder(&root, "infinite");
    let mut summary = Synthetic { bars: 600, complete: true, ..Synthetic::default() }.write(&run);
    let before = serde_json::to_string(&summary).unwrap();
    summary.keep_finite();
    assert_eq!(serde_json::to_string(&summary).unwrap(), before, "numbers are left alone");
    let (name, warnings) = (summary.strategies[0].name.clone(), summary.warnings.len());
    summary.strategies[0].metrics.fees = f64::INFINITY;
    summary.strategies[0].metrics.impact_cost = f64::NAN;
    summary.strategies[0].sharpe_interval = Some([f64::NEG_INFINITY, 1.0]);
    summary.grids[0].sharpe_quantiles[4] = f64::NAN;
    summary.verdict.as_mut().unwrap().sharpe_difference = f64::NAN;
    let damaged = serde_json::to_string(&summary).unwrap();
    assert!(serde_json::from_str::<Summary>(&damaged).is_err());
    summary.keep_finite();
    let again: Summary = serde_json::from_str(&serde_json::to_string(&summary).unwrap()).unwrap();
    let book = &again.strategies[0];
    assert_eq!((book.metrics.fees, book.metrics.impact_cost, book.sharpe_interval), (0.0, 0.0, None));
    assert!(again.verdict.is_none());
    assert_eq!(again.warnings.len(), warnings + 3);
    assert!(
        again.warnings[warnings].starts_with(&format!("{name}: fees, impact_cost, sharpe_interval left"))
    );
}
