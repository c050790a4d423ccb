//! The audit, the costs, rolling risk and the worst drawdowns: what the page says is what the files hold.

use super::synthetic::Synthetic;
use super::synthetic_grids::audit;
use super::{drawn, folder};
use candlewick::metrics;
use candlewick::report::{compare, terminal};
use candlewick::rundir::{Column, Summary, TableFile};
use candlewick::units::Time;
use std::fs;
use std::path::Path;

fn rewrite(run: &Path, summary: &Summary) {
    fs::write(run.join("summary.json"), serde_json::to_string(summary).unwrap()).unwrap();
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    text.split(start).nth(1).unwrap().split(end).next().unwrap()
}

fn complete(run: &Path) -> Summary {
    Synthetic { bars: 2000, complete: true, ..Synthetic::default() }.write(run)
}

#[test]
fn a_failed_audit_is_an_alarm_that_names_what_knew_the_future() {
    let root = tempfile::tempdir().unwrap();
    let run = folder(&root, "audit");
    let mut summary = complete(&run);
    let page = drawn(&run);
    assert!(page.contains("Look-ahead audit: passed, 9\u{a0}parts, 24\u{a0}moments"));
    assert!(!page.contains("role=\"alert\""));
    let table = between(&page, "<table class=\"audit\">", "</table>");
    assert_eq!(table.matches(">passed</span>").count(), 9);
    assert!(table.contains("1,204,811"));

    summary.audit = Some(audit(false));
    rewrite(&run, &summary);
    let page = drawn(&run);
    let alarm = between(&page, "role=\"alert\">", "</aside>");
    assert!(alarm.contains("Look-ahead audit: FAILED: scaler knew the future"), "{alarm}");
    assert!(alarm.contains("<b>scaler</b>: the mean of `volume` at 2023-02-01 00:00 depends on later bars"));
    assert!(page.find("role=\"alert\"").unwrap() < page.find("<nav").unwrap(), "before the sections");
    let (both, clean) = (folder(&root, "both.html"), folder(&root, "clean"));
    complete(&clean);
    compare(&[clean, run.clone()], &both).unwrap();
    let both = fs::read_to_string(both).unwrap();
    assert_eq!(between(&both, "role=\"alert\">", "</aside>").matches("<li>audit</li>").count(), 1);
    let table = between(&page, "<table class=\"audit\">", "</table>");
    assert!(between(table, "<tbody>", "</tr>").contains("scaler"), "failures first");
    let text = terminal(&summary, 120, true);
    assert!(text.contains("\x1b[1;31mLook-ahead audit: FAILED: scaler knew the future.\x1b[0m"), "{text}");
}

#[test]
fn cost_scenarios_are_those_of_the_summary() {
    let root = tempfile::tempdir().unwrap();
    let run = folder(&root, "scenarios");
    let mut summary = complete(&run);
    summary.strategies[1].break_even_cost_multiple = None;
    summary.strategies[1].cost_scenarios[0].total_return = Some(0.3);
    summary.strategies[2].break_even_cost_multiple = None;
    summary.strategies[2].cost_scenarios[0].total_return = Some(-0.3);
    rewrite(&run, &summary);
    let page = drawn(&run);
    let table = between(&page, "aria-label=\"Results at other costs\"", "</table>");
    let number = |value: f64, digits: usize| format!("{value:.digits$}").replace('-', "\u{2212}");
    let mut shown = 0;
    for book in summary.strategies.iter().filter(|book| !book.cost_scenarios.is_empty()) {
        let name = book.name.replace('[', "[<wbr>").replace(',', ",<wbr>");
        let row = between(table, &format!("<span>{name}</span>"), "</tr>");
        let cells: Vec<&str> =
            row.split("<td class=\"n\">").skip(1).map(|cell| cell.split('<').next().unwrap()).collect();
        assert_eq!(cells.len(), 13, "{}", book.name);
        for (place, at) in book.cost_scenarios.iter().enumerate() {
            let gain = number(100.0 * at.total_return.unwrap(), 1);
            assert_eq!(cells[1 + place].trim_start_matches('+').split('\u{a0}').next().unwrap(), gain);
            assert_eq!(cells[5 + place], number(at.sharpe.unwrap(), 2));
        }
        let expected = match book.break_even_cost_multiple {
            Some(multiple) if multiple < 1.0 => format!("{multiple:.2}\u{d7}"),
            Some(multiple) => format!("{multiple:.1}\u{d7}"),
            None if book.cost_scenarios[0].total_return.unwrap() > 0.0 => "above 100\u{d7}".to_owned(),
            None => "none".to_owned(),
        };
        assert_eq!(cells[0], expected, "{}", book.name);
        shown += 1;
    }
    assert_eq!(shown, summary.strategies.len() - 1, "all but the book that never traded");
    assert_eq!(page.matches("by multiple of its costs").count(), shown);
}

#[test]
fn headlines_have_their_intervals_and_probabilities() {
    let root = tempfile::tempdir().unwrap();
    let run = folder(&root, "intervals");
    let summary = complete(&run);
    let page = drawn(&run);
    let book = &summary.strategies[0];
    let row = between(&page, "<th scope=\"row\" data-value=\"lstm\">", "</tr>");
    let number = |value: f64, digits| format!("{:.*}", digits, 100.0 * value).replace('-', "\u{2212}");
    let [low, high] = book.intervals.unwrap().total_return.unwrap();
    let line = format!(
        "<small class=\"ends\" title=\"95\u{a0}% interval: {}\u{a0}% to {}\u{a0}%\">{} to {}%</small>",
        number(low, 1),
        number(high, 1),
        number(low, 0),
        number(high, 0)
    );
    assert!(row.contains(&line), "{row}\n{line}");
    assert_eq!(row.matches("class=\"ends\"").count(), 5);
    for value in [book.metrics.probabilistic_sharpe.unwrap(), book.deflated_sharpe.unwrap()] {
        assert!(row.contains(&format!("data-value=\"{value}\"")), "{value}");
    }
}

/// One book of known falls: the table has their dates, depths and lengths, deepest first.
#[test]
fn the_worst_drawdowns_are_found_with_their_ends() {
    let root = tempfile::tempdir().unwrap();
    let run = folder(&root, "falls");
    let mut summary = Synthetic { bars: 600, ..Synthetic::default() }.write(&run);
    (summary.verdict, summary.backtest.as_mut().unwrap().cash) = (None, 100.0);
    summary.strategies.truncate(1);
    rewrite(&run, &summary);
    let equity = vec![90.0, 100.0, 120.0, 60.0, 90.0, 120.0, 108.0];
    let start = Time::parse("2024-03-01").unwrap().0;
    let times = (0..7).map(|day| Time(start + day * 86_400_000_000_000)).collect();
    TableFile::default()
        .with("strategy", Column::Text(vec!["lstm".into(); 7]))
        .with("timestamp", Column::Time(times))
        .with("drawdown", Column::Float(vec![0.0; 7]))
        .with("equity", Column::Float(equity))
        .write(&run.join("equity.parquet"))
        .unwrap();
    let page = drawn(&run);
    let table = between(&page, "aria-label=\"Worst drawdowns\"", "</table>");
    let rows: Vec<Vec<&str>> = table
        .split("<tr><th scope=\"row\">")
        .skip(1)
        .map(|row| row.split("<td class=").skip(1).map(|cell| between(cell, ">", "<")).collect())
        .collect();
    assert_eq!(
        rows,
        [
            ["\u{2212}50.0\u{a0}%", "2024-03-03", "2024-03-04", "2024-03-06", "1", "3"],
            ["\u{2212}10.0\u{a0}%", "start", "2024-03-01", "2024-03-02", "1", "2"],
            ["\u{2212}10.0\u{a0}%", "2024-03-06", "2024-03-07", "not yet", "1", "\u{2013}"],
        ]
    );
}

/// The last points of the curves lie where the figures of the last window put them.
#[test]
fn rolling_figures_are_those_of_the_last_window() {
    let root = tempfile::tempdir().unwrap();
    let run = folder(&root, "rolling");
    let summary = complete(&run);
    let page = drawn(&run);
    let section = between(&page, "<section id=\"rolling\"", "</section>");
    // 8760 bars a year: a quarter is 2190, at most a third of 2000 bars.
    let window = 666;
    assert!(section.contains("last 666\u{a0}bars at every moment"));
    let file = TableFile::read_columns(&run.join("equity.parquet"), &["strategy", "equity"]).unwrap();
    let names = file.text("strategy").unwrap();
    let rows: Vec<usize> = (0..names.len()).filter(|row| &*names[*row] == "lstm").collect();
    let equity: Vec<f64> = rows.iter().map(|row| file.float("equity").unwrap()[*row]).collect();
    let returns: Vec<f64> = equity.windows(2).map(|pair| pair[1] / pair[0] - 1.0).collect();
    let last = &returns[returns.len() - window..];
    let year = summary.backtest.unwrap().periods_per_year;
    let expected = [metrics::sharpe(last, year).unwrap(), 100.0 * metrics::volatility(last, year).unwrap()];
    for (title, expected) in ["<h3>Sharpe ratio</h3>", "<h3>Volatility</h3>"].iter().zip(expected) {
        let chart = between(section, title, "</svg></div>");
        let ticks: Vec<(f64, f64)> = chart
            .split("<text class=\"tick\" x=\"50\" y=\"")
            .skip(1)
            .map(|text| {
                let label = between(text, ">", "<").replace('\u{2212}', "-").replace("\u{a0}%", "");
                (text.split('"').next().unwrap().parse::<f64>().unwrap() - 4.0, label.parse().unwrap())
            })
            .collect();
        let path = between(between(chart, "<path class=\"line rolling model\"", "/>"), " d=\"", "\"");
        let end: i64 = *super::heights(path).last().unwrap();
        // Paths have 1000 steps over the 160 pixels below the first 18.
        let pixels = 18.0 + 0.16 * end as f64;
        let ((first, low), (second, high)) = (ticks[0], ticks[ticks.len() - 1]);
        let drawn = low + (high - low) * (pixels - first) / (second - first);
        let pixel = ((high - low) / (second - first)).abs();
        assert!((drawn - expected).abs() <= 0.4 * pixel, "{title} {drawn} {expected}, a pixel is {pixel}");
    }
}

#[test]
fn networks_of_a_fold_that_differ_in_their_seed_stand_in_one_chart() {
    let root = tempfile::tempdir().unwrap();
    let run = folder(&root, "seeds");
    let summary = Synthetic { bars: 600, ..Synthetic::default() }.write(&run);
    let model = summary.models[0].name.as_str();
    TableFile::default()
        .with("model", Column::Text(vec![model.into(); 6]))
        .with("fold", Column::Integer(vec![0; 6]))
        .with("seed", Column::Integer(vec![0, 0, 1, 1, 1, 1]))
        .with("epoch", Column::Integer(vec![1, 2, 1, 2, 3, 4]))
        .with("training_loss", Column::Float(vec![0.9, 0.8, 0.9, 0.8, 0.7, 0.6]))
        .with("validation_loss", Column::Float(vec![0.95, 0.91, 0.96, 0.93, 0.94, f64::NAN]))
        .write(&run.join("training.parquet"))
        .unwrap();
    let page = drawn(&run);
    let part = between(&page, "<section id=\"training\"", "</section>");
    assert_eq!(part.matches("<figure>").count(), 1);
    assert_eq!(part.matches("class=\"loss validation\"").count(), 2);
    assert_eq!(part.matches("<circle class=\"best\"").count(), 2);
    assert!(part.contains("Fold 0: 2\u{a0}networks, best losses 0.910 to 0.930"), "{part}");
    // The longer of the two sets the axis.
    assert!(part.contains("text-anchor=\"end\">4</text>"), "{part}");
}
