//! Grids in the report: what the page says is what the files hold, however many books there are.

use super::synthetic::Synthetic;
use super::{assert_no_request, drawn, folder};
use candlewick::report::{ReportError, compare, render, terminal};
use candlewick::rundir::{Summary, TableFile};
use serde_json::Value;
use std::fs;
use std::path::Path;

fn complete(run: &Path) -> Summary {
    Synthetic { complete: true, ..Synthetic::default() }.write(run)
}

fn rewrite(run: &Path, summary: &Summary) {
    fs::write(run.join("summary.json"), serde_json::to_string(summary).unwrap()).unwrap();
}

fn island(page: &str, id: &str) -> Value {
    let text = page.split(&format!("id=\"{id}\">")).nth(1).unwrap().split("</script>").next().unwrap();
    serde_json::from_str(text).unwrap()
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> &'a str {
    text.split(start).nth(1).unwrap().split(end).next().unwrap()
}

#[test]
fn ten_thousand_books_are_one_small_page_without_an_element_a_book() {
    let root = tempfile::tempdir().unwrap();
    let run = folder(&root, "grids");
    let summary = complete(&run);
    let page = drawn(&run);
    assert!(page.len() <= 1_000_000, "{} bytes", page.len());
    assert!(page.matches('<').count() < 12_000, "{} tags", page.matches('<').count());
    assert_eq!(summary.grids.iter().map(|grid| grid.books).collect::<Vec<_>>(), [10_000, 88, 40]);
    for id in ["grids", "rolling", "drawdowns", "audit"] {
        assert_eq!(page.matches(&format!("<section id=\"{id}\"")).count(), 1, "{id}");
        assert_eq!(page.matches(&format!("<li><a href=\"#{id}\"")).count(), 1, "{id}");
    }
    assert_eq!(page.matches("<article class=\"grid\">").count(), 3);
    assert_eq!(page.matches("class=\"grid-map\"").count(), 2, "the grid with one parameter is a line");
    assert_no_request(&page);
    compare(&[run.clone(), run], &folder(&root, "both.html")).unwrap();
}

/// Every cell of the map is the row of `books.parquet` with its parameters, rounded to the step that the page holds.
#[test]
fn the_map_holds_the_figures_of_the_file() {
    let root = tempfile::tempdir().unwrap();
    let run = folder(&root, "cells");
    let summary = complete(&run);
    let page = drawn(&run);
    let file = TableFile::read(&run.join("books.parquet")).unwrap();
    let names = file.text("grid").unwrap();
    for (index, grid) in summary.grids.iter().enumerate().take(2) {
        let map = island(&page, &format!("grid-{index}"));
        let axes = map["axes"].as_array().unwrap();
        let sizes: Vec<usize> = axes.iter().map(|axis| axis["values"].as_array().unwrap().len()).collect();
        let mut cell = 0;
        let mut seen = 0;
        for (book, step) in map["cell"].as_array().unwrap().iter().enumerate() {
            cell += step.as_u64().unwrap() as usize;
            let mut rest = cell;
            let mut values = Vec::new();
            for (axis, size) in axes.iter().zip(&sizes) {
                values.push(axis["values"][rest % size].as_str().unwrap());
                rest /= size;
            }
            let same = |row: &usize| {
                grid.axes.iter().zip(&values).all(|(axis, value)| match file.float(&axis.parameter) {
                    Some(column) => column[*row] == value.parse::<f64>().unwrap(),
                    None => &*file.text(&axis.parameter).unwrap()[*row] == *value,
                })
            };
            // The first grid is searched in a sample: every book against every row takes long.
            if index == 0 && book % 97 != 0 {
                continue;
            }
            let row = (0..names.len()).filter(|row| *names[*row] == *grid.name).find(same).unwrap();
            seen += 1;
            for (column, steps) in [("sharpe", 1e3), ("total_return", 1e4), ("max_drawdown", 1e4)] {
                let held = map[column][book].as_f64().unwrap();
                assert_eq!(
                    held,
                    (steps * file.float(column).unwrap()[row]).round() + 0.0,
                    "{column} of {values:?}"
                );
            }
            assert_eq!(map["trades"][book].as_i64(), Some(file.integer("trades").unwrap()[row]));
        }
        assert!(seen >= 88, "{seen}");
        assert_eq!(map["cell"].as_array().unwrap().len(), grid.books);
    }
}

#[test]
fn the_best_books_are_those_of_the_file_with_their_parameters() {
    let root = tempfile::tempdir().unwrap();
    let run = folder(&root, "best");
    complete(&run);
    let page = drawn(&run);
    let file = TableFile::read(&run.join("books.parquet")).unwrap();
    let (names, sharpe) = (file.text("grid").unwrap(), file.float("sharpe").unwrap());
    let mut rows: Vec<usize> = (0..names.len()).filter(|row| &*names[*row] == "sma_grid").collect();
    rows.sort_by(|left, right| sharpe[*right].total_cmp(&sharpe[*left]));
    let table = between(&page, "aria-label=\"The best books of sma_grid\"", "</table>");
    let shown: Vec<Vec<&str>> = table
        .split("<tr><th scope=\"row\">")
        .skip(1)
        .map(|row| {
            row.split("<td class=\"n\">").skip(1).map(|cell| cell.split('<').next().unwrap()).collect()
        })
        .collect();
    assert_eq!(shown.len(), 10);
    for (cells, row) in shown.iter().zip(&rows) {
        let number = |column: &str| file.float(column).unwrap()[*row];
        assert_eq!(cells[0], number("fast").to_string());
        assert_eq!(cells[1], number("slow").to_string());
        assert_eq!(cells[2], format!("{:.2}", sharpe[*row]));
        assert_eq!(cells[3], format!("+{:.1}\u{a0}%", 100.0 * number("total_return")));
        assert_eq!(cells[5], format!("\u{2212}{:.1}\u{a0}%", -100.0 * number("max_drawdown")));
    }
}

/// Raw, by luck, and what is left; the neighbours by their definition.
#[test]
fn the_page_says_what_luck_would_show_and_whether_neighbours_agree() {
    let root = tempfile::tempdir().unwrap();
    let run = folder(&root, "luck");
    let summary = complete(&run);
    let page = drawn(&run);
    let best = summary.strategies.iter().find(|book| book.grid.as_deref() == Some("sma_grid")).unwrap();
    let claim = format!(
        "Of 10,000\u{a0}books of sma_grid the best shows a Sharpe ratio of {:.2}; luck alone would show 1.71 as the best of \
         10,190\u{a0}trials: <span class=\"conclusion open\">may be luck</span>.",
        best.metrics.sharpe.unwrap()
    );
    assert!(page.contains(&claim), "{claim}");
    let proven = between(&page, "of momentum_grid the best", "</p>");
    assert!(proven.ends_with("<span class=\"conclusion proven\">more than luck</span>."), "{proven}");
    for text in [
        "<b class=\"num\">62.2\u{a0}%</b>",
        "In 41\u{a0}% of the ways to halve the history",
        "come up in 23.1\u{a0}% of resampled histories",
        "19.4\u{a0}% of histories without an edge look as good",
        "<span class=\"chosen\">best of 10,000\u{a0}books</span> in sma_grid",
    ] {
        assert!(page.contains(text), "{text}");
    }
    let file = TableFile::read(&run.join("books.parquet")).unwrap();
    let (names, sharpe) = (file.text("grid").unwrap(), file.float("sharpe").unwrap());
    let (fast, slow) = (file.float("fast").unwrap(), file.float("slow").unwrap());
    let rows: Vec<usize> = (0..names.len()).filter(|row| &*names[*row] == "sma_grid").collect();
    let top = *rows.iter().max_by(|left, right| sharpe[**left].total_cmp(&sharpe[**right])).unwrap();
    let near = |row: &&usize| {
        **row != top && (fast[**row] - fast[top]).abs() <= 1.0 && (slow[**row] - slow[top]).abs() <= 5.0
    };
    let mut around: Vec<f64> = rows.iter().filter(near).map(|row| sharpe[*row]).collect();
    around.sort_by(f64::total_cmp);
    let median = f64::midpoint(around[3], around[4]);
    assert_eq!(around.len(), 8);
    let sentence =
        format!("Around the best book, one step away, 8\u{a0}neighbours have a median of {median:.2}, ");
    assert!(page.contains(&sentence), "{sentence}");
}

#[test]
fn a_third_parameter_is_cut_in_slices_and_missing_combinations_are_told() {
    let root = tempfile::tempdir().unwrap();
    let run = folder(&root, "slices");
    let summary = complete(&run);
    let page = drawn(&run);
    let map = between(&page, "data-map=\"grid-1\"", "</figure>");
    let slices = between(map, "<label>entry <select data-slice>", "</select>");
    assert_eq!(slices.matches("<option").count(), 3);
    let best = summary.grids[1].best.clone().unwrap();
    let entry = between(&best, "entry=", "]");
    assert!(slices.contains(&format!(" selected>{entry}</option>")), "{best}: {slices}");
    assert!(map.contains("Hatched cells have no book") && map.contains("first that of the best book"));
    assert!(page.contains("8\u{a0}combinations left out as senseless"));
    assert!(map.contains("<b>channel</b> to the right, <b>exits.stop_loss_percent</b> upwards"));
    let other = between(&page, "data-map=\"grid-0\"", "</figure>");
    assert!(!other.contains("Hatched") && !other.contains("data-slice>"));
}

#[test]
fn one_parameter_is_a_line_with_a_dot_a_book() {
    let root = tempfile::tempdir().unwrap();
    let run = folder(&root, "line");
    complete(&run);
    let page = drawn(&run);
    let part = between(&page, "of momentum_grid the best", "</article>");
    // Four figures, one shown at a time.
    assert_eq!(part.matches("<circle class=\"book\"").count(), 4 * 39);
    assert_eq!(part.matches("<circle class=\"best\"").count(), 4);
    assert_eq!(part.matches("<line class=\"luck\"").count(), 1, "luck is known of the Sharpe ratio alone");
    assert_eq!(part.matches("class=\"choice\"").count(), 4);
}

#[test]
fn luck_stands_in_the_headline_where_it_decides() {
    let root = tempfile::tempdir().unwrap();
    let run = folder(&root, "headline");
    let mut summary = complete(&run);
    let page = drawn(&run);
    assert!(page.contains(
        "It is the best of 10,000\u{a0}books of sma_grid, of which luck alone would show 1.71\u{a0}Sharpe."
    ));
    summary.verdict = None;
    rewrite(&run, &summary);
    let page = drawn(&run);
    let headline = between(&page, "<h1>", "</h1>");
    assert!(headline.starts_with("Of 10,000\u{a0}books of sma_grid the best shows"), "{headline}");
    assert!(!page.contains("nothing to pass a verdict on"));
}

/// Beyond the limit every second value of the longest axes is drawn, the best book among them; the table has all.
#[test]
fn very_large_grids_are_thinned_and_say_so() {
    let root = tempfile::tempdir().unwrap();
    let run = folder(&root, "large");
    let mut summary = complete(&run);
    // The same books, of which the summary now says that they are one cell of every two in both directions.
    for axis in &mut summary.grids[0].axes {
        let last = axis.values.last().and_then(Value::as_i64).unwrap();
        axis.values.extend((1..=100).map(|step| Value::from(last + step)));
    }
    rewrite(&run, &summary);
    let page = drawn(&run);
    let map = island(&page, "grid-0");
    let sizes = [0, 1].map(|axis| map["axes"][axis]["values"].as_array().unwrap().len());
    assert!(sizes[0] * sizes[1] == 20_000, "{sizes:?}");
    assert!(page.contains(" values of ") && page.contains("100 are drawn."));
    let readout =
        between(between(&page, "data-map=\"grid-0\"", "</figure>"), "aria-live=\"polite\">", ": Sharpe");
    let named = summary.grids[0].best.clone().unwrap();
    assert_eq!(format!("sma_grid[{}]", readout.replace(", ", ",").replace(' ', "=")), named);
    assert!(page.contains("The ten best of 10,000\u{a0}books"));
}

#[test]
fn runs_without_books_or_without_any_new_field_are_still_drawn() {
    let root = tempfile::tempdir().unwrap();
    let run = folder(&root, "old");
    complete(&run);
    fs::remove_file(run.join("books.parquet")).unwrap();
    let page = drawn(&run);
    assert!(page.contains("luck alone would show 1.71") && !page.contains("class=\"grid-map\""));
    let mut summary: Value =
        serde_json::from_str(&fs::read_to_string(run.join("summary.json")).unwrap()).unwrap();
    let strip = |value: &mut Value, names: &[&str]| {
        let fields = value.as_object_mut().unwrap();
        names.iter().for_each(|name| assert!(fields.shift_remove(*name).is_some(), "{name}"));
    };
    strip(&mut summary, &["grids", "audit"]);
    for book in summary["strategies"].as_array_mut().unwrap() {
        let new = ["intervals", "deflated_sharpe", "cost_scenarios", "break_even_cost_multiple", "grid"];
        strip(book, &new);
        strip(&mut book["metrics"], &["probabilistic_sharpe"]);
    }
    fs::write(run.join("summary.json"), summary.to_string()).unwrap();
    let page = drawn(&run);
    for absent in ["id=\"grids\"", "id=\"audit\"", "If costs were different", "Above luck", "class=\"ends\""]
    {
        assert!(!page.contains(absent), "{absent}");
    }
    assert!(page.contains("<section id=\"costs\"") && page.contains("<section id=\"rolling\""));
}

#[test]
fn a_book_outside_its_axes_is_an_error_that_names_it() {
    let root = tempfile::tempdir().unwrap();
    let run = folder(&root, "outside");
    let mut summary = complete(&run);
    summary.grids[0].axes[0].values.pop();
    rewrite(&run, &summary);
    let error = render(&run).unwrap_err();
    assert!(matches!(error, ReportError::Rows { .. }));
    assert!(error.to_string().contains("in grid sma_grid a book has fast = 101"), "{error}");
}

#[test]
fn names_of_grids_parameters_and_findings_are_escaped() {
    let root = tempfile::tempdir().unwrap();
    let run = folder(&root, "hostile");
    let mut summary = complete(&run);
    let evil = "</script><b onload=\"evil()\">&";
    // The columns of the file keep their names, so only what no column is called by can be hostile here.
    summary.grids[0].strategy = evil.into();
    summary.grids[2].name = evil.into();
    summary.grids[2].best = Some(evil.into());
    summary.grids[2].axes[0].parameter = evil.into();
    let audit = summary.audit.as_mut().unwrap();
    (audit.passed, audit.checks[0].passed) = (false, false);
    (audit.depth, audit.checks[0].part, audit.checks[0].finding) = (evil.into(), evil.into(), evil.into());
    for book in &mut summary.strategies {
        book.name = evil.into();
        book.grid = Some(evil.into());
    }
    rewrite(&run, &summary);
    let page = drawn(&run);
    assert!(!page.contains("<b onload") && page.contains("&lt;/script&gt;&lt;b onload"));
    assert_eq!(page.matches("<script").count(), page.matches("</script").count());
    // Values of a parameter that are words reach the page by two ways: the selectors and the numbers of the map.
    let summary = complete(&run);
    let books = fs::read(run.join("books.parquet")).unwrap();
    drop(books);
    let mut hostile = summary;
    hostile.grids[1].axes[2].values.push(evil.into());
    rewrite(&run, &hostile);
    let page = drawn(&run);
    assert!(!page.contains("<b onload") && page.contains("&lt;b onload") && page.contains("\\u003cb onload"));
    assert!(!terminal(&hostile, 80, false).contains('\x1b'));
}

#[test]
fn the_terminal_says_what_is_left_of_each_grid() {
    let root = tempfile::tempdir().unwrap();
    let summary = complete(&folder(&root, "terminal"));
    let text = terminal(&summary, 100, false).replace('\n', " ");
    let best = summary.strategies.iter().find(|book| book.grid.as_deref() == Some("sma_grid")).unwrap();
    let line = format!(
        "Grid sma_grid, 10,000 books: best {} Sharpe {:.2}, luck alone 1.71, deflated 62%, PBO 41%.",
        best.name,
        best.metrics.sharpe.unwrap()
    );
    assert!(text.contains(&line), "{text}\n{line}");
    assert!(text.contains("Look-ahead audit: passed, 9 parts, 24 moments."));
    assert_eq!(text.matches("Grid ").count(), 3);
}
