//! Rows of a run's tables, the history that a run keeps, and the window of one forecast.

use crate::program::{SMALL, Scratch};
use candlewick::rundir::{RunDir, TableFile};
use std::path::PathBuf;

/// A small run that keeps its history.
fn run(scratch: &Scratch) -> PathBuf {
    scratch.market(1600, 0.1);
    let config = SMALL.replace("epochs: 4", "epochs: 1") + "keep_history: true\n";
    scratch.write("small.yaml", &config.replace("  - rsi:", "  - close: {}\n  - rsi:"));
    scratch.candlewick(&["run", "small.yaml", "--no-report", "--no-audit"]).exits(0);
    scratch.runs().remove(0)
}

#[test]
fn a_run_keeps_its_history_and_the_versions_of_its_models() {
    let scratch = Scratch::new();
    let run = run(&scratch);
    let history = TableFile::read(&run.join("history.parquet")).unwrap();
    let names: Vec<&str> = history.columns().map(|(name, _)| name).collect();
    assert_eq!(names[..7], ["symbol", "timestamp", "open", "high", "low", "close", "volume"]);
    assert_eq!(
        names[7..],
        ["log_return_1", "log_return_2", "log_return_4", "log_return_8", "feature_close", "rsi_14"]
    );
    assert_eq!(history.time("timestamp").unwrap().len(), 3200);
    assert_eq!(history.float("feature_close"), history.float("close"));
    let rsi = history.float("rsi_14").unwrap();
    assert!(rsi[..14].iter().all(|value| value.is_nan()) && !rsi[14].is_nan(), "a warm-up is null");

    let predictions = TableFile::read(&run.join("predictions.parquet")).unwrap();
    let [models, versions] = ["model", "model_version"].map(|name| predictions.text(name).unwrap());
    let folds = predictions.integer("fold").unwrap();
    let mut known: Vec<(String, i64, String)> = (0..models.len())
        .map(|row| (models[row].to_string(), folds[row], versions[row].to_string()))
        .collect();
    known.sort();
    known.dedup();
    assert_eq!(known.len(), 4 * 2, "one version a model and fold: {known:?}");
    assert!(known.iter().all(|(.., version)| version.len() == 12));

    let metrics = TableFile::read(&run.join("forecast_metrics.parquet")).unwrap();
    let value = |model: &str, fold: &str, metric: &str| {
        let [models, folds, names] = ["model", "fold", "metric"].map(|name| metrics.text(name).unwrap());
        let row = (0..models.len())
            .find(|row| (&*models[*row], &*folds[*row], &*names[*row]) == (model, fold, metric))
            .unwrap();
        metrics.float("value").unwrap()[row]
    };
    // The mean of all folds follows from those of each.
    let (rows, mse) = (|fold| value("ridge", fold, "rows"), |fold| value("ridge", fold, "mse"));
    assert_eq!(rows("all"), rows("0") + rows("1"));
    let pooled = (rows("0") * mse("0") + rows("1") * mse("1")) / rows("all");
    assert!((mse("all") / pooled - 1.0).abs() < 1e-12);

    // A run that is made again in pieces has the same tables, all of them sealed.
    let tables = ["history", "forecast_metrics", "predictions"].map(|name| format!("{name}.parquet"));
    let read = || tables.clone().map(|name| std::fs::read(run.join(name)).unwrap());
    let before = read();
    for file in
        ["manifest.json", "models/fold-1/lstm/fit.json", "history.parquet", "forecast_metrics.parquet"]
    {
        std::fs::remove_file(run.join(file)).unwrap();
    }
    scratch.candlewick(&["run", "--resume", "latest", "--no-report", "--no-audit"]).exits(0);
    assert!(before == read(), "a run that was resumed has other tables");
    let sealed = RunDir::manifest(&run).unwrap().unwrap().files;
    assert!(tables.iter().all(|name| sealed.contains_key(name)), "{:?}", sealed.keys());
}

#[test]
fn rows_are_chosen_sorted_and_counted() {
    let scratch = Scratch::new();
    let run = run(&scratch);
    let query = |arguments: &[&str]| scratch.candlewick(&[&["query", "latest"], arguments].concat());
    let listed = query(&["--json"]).exits(0).json();
    let names: Vec<&str> =
        listed.as_array().unwrap().iter().map(|table| table["table"].as_str().unwrap()).collect();
    assert!(names.contains(&"history") && names.contains(&"models/fold-0/ridge/test"), "{names:?}");
    assert_eq!(
        names.iter().position(|name| name.contains('/')),
        Some(names.len() - 16),
        "networks stand last"
    );

    let wanted =
        ["predictions", "--where", "model=ridge", "--where", "prediction>=0.001", "--where", "actual!=null"];
    let answer = query(&[&wanted[..], &["--sort", "-prediction", "--json"]].concat()).exits(0).json();
    let table = TableFile::read(&run.join("predictions.parquet")).unwrap();
    let models = table.text("model").unwrap();
    let [prediction, actual] = ["prediction", "actual"].map(|name| table.float(name).unwrap());
    let mut expected: Vec<f64> = (0..models.len())
        .filter(|row| &*models[*row] == "ridge" && prediction[*row] >= 0.001 && !actual[*row].is_nan())
        .map(|row| prediction[row])
        .collect();
    expected.sort_by(|one, other| other.total_cmp(one));
    assert!(expected.len() > 5);
    let rows = answer["rows"].as_array().unwrap();
    let found: Vec<f64> = rows.iter().map(|row| row["prediction"].as_f64().unwrap()).collect();
    assert_eq!((found, answer["matching"].as_u64()), (expected.clone(), Some(expected.len() as u64)));

    let csv = query(&["predictions", "--where", "model=zero", "--columns", "timestamp,prediction", "--csv"])
        .exits(0);
    assert!(csv.stdout.starts_with("timestamp,prediction\n"), "{}", &csv.stdout[..80]);
    assert_eq!(csv.stdout.lines().count(), 1 + models.iter().filter(|name| ***name == *"zero").count());
    let text = query(&["predictions"]).exits(0).stdout;
    assert!(text.trim_end().ends_with(" rows") && text.contains("20 of "), "{text}");

    let complains = |arguments: &[&str], words: &str| {
        let done = query(arguments).exits(2);
        assert!(done.stderr.contains(words), "{}", done.stderr);
    };
    complains(&["prediction"], "there is no table `prediction` (did you mean `predictions`?); there are ");
    complains(
        &["folds", "--columns", "test_strat"],
        "no column of folds `test_strat` (did you mean `test_start`?); there are fold, ",
    );
    complains(&["folds", "--where", "fold=first"], "`first` is no number, which the column fold holds");
    complains(&["folds", "--where", "fold"], "`fold` is no condition");
    complains(&["folds", "--where", "test_start>=soon"], "`soon` is not a time");
    complains(&["folds", "--model", "lstm"], "belong to `window`");
    // A table outside of the run is none of its tables, though its file is there.
    std::fs::copy(run.join("folds.parquet"), run.with_file_name("folds.parquet")).unwrap();
    complains(&["../folds"], "there is no table `../folds`");
    let whole = run.join("folds").display().to_string();
    complains(&[&whole], "there is no table");
}

#[test]
fn a_window_shows_what_the_model_saw_and_said() {
    let scratch = Scratch::new();
    let run = run(&scratch);
    let predictions = TableFile::read(&run.join("predictions.parquet")).unwrap();
    let row = 37;
    let (model, at) =
        (predictions.text("model").unwrap()[row].to_string(), predictions.time("timestamp").unwrap()[row]);
    let symbol = predictions.text("symbol").unwrap()[row].to_string();
    let at_text = at.to_string();
    let wanted = ["query", "latest", "window", "--model", &model, "--at", &at_text];
    let ask = |more: &[&str]| scratch.candlewick(&[&wanted[..], more].concat());
    let window = ask(&["--symbol", &symbol, "--json"]).exits(0).json();
    assert_eq!(window["model_version"], *predictions.text("model_version").unwrap()[row]);
    let input = window["input"].as_array().unwrap();
    assert_eq!(input.len(), 12, "the lstm sees twelve bars");
    assert_eq!(input[11]["timestamp"], at_text);

    // The features of these very bars, computed again from the bars.
    let bars = candlewick::data::load(&candlewick::data::DataConfig::of(
        scratch.path("market.parquet").display().to_string(),
    ))
    .unwrap()
    .bars;
    let symbol_number = bars.names().iter().position(|name| *name == symbol).unwrap();
    let last = bars.symbols()[symbol_number].time().binary_search(&at).unwrap();
    let closes = bars.symbols()[symbol_number].close();
    for (index, bar) in input.iter().enumerate() {
        let row = last + 1 - 12 + index;
        assert_eq!(bar["close"].as_f64().unwrap(), closes[row], "the feature, not the column of the bars");
        assert_eq!(bar["log_return_1"].as_f64().unwrap(), (closes[row] / closes[row - 1]).ln());
    }
    let forecast = &window["forecast"][0];
    assert_eq!(forecast["horizon"], 4);
    assert_eq!(forecast["prediction"].as_f64().unwrap(), predictions.float("prediction").unwrap()[row]);
    assert_eq!(forecast["actual"].as_f64(), Some(predictions.float("actual").unwrap()[row]));

    let text = ask(&["--symbol", &symbol]).exits(0).stdout;
    assert!(text.contains("What lstm saw of") && text.contains("(12 bars, before scaling)"), "{text}");
    let complains =
        |done: crate::program::Done, words: &str| assert!(done.stderr.contains(words), "{}", done.stderr);
    complains(ask(&[]).exits(2), "the run has 2 symbols; choose one with --symbol: ");
    complains(ask(&["--symbol", "NONE"]).exits(2), "there is no symbol `NONE`");
    let early = ["query", "latest", "window", "--model", "lstm", "--symbol", &symbol, "--at", "1999-01-01"];
    complains(scratch.candlewick(&early).exits(2), "lstm made no forecast for");
    let history = TableFile::read(&run.join("history.parquet")).unwrap();
    let less = history.columns().filter(|(name, _)| *name != "rsi_14");
    let less = less.fold(TableFile::default(), |table, (name, column)| table.with(name, column.clone()));
    less.write(&run.join("history.parquet")).unwrap();
    complains(ask(&["--symbol", &symbol]).exits(1), "it lacks the feature rsi_14");
    std::fs::remove_file(run.join("history.parquet")).unwrap();
    complains(ask(&["--symbol", &symbol]).exits(2), "run it again with `keep_history: true`");
}
