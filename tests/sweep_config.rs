//! Sweeps as they are written: every mistake at once, each at its place; every value tried on the experiment.

use crate::config::BASE;
use candlewick::config::{ConfigError, Goal, JudgedFigure, SweepPlan, Text, load_sweep, sweep_schema_text};
use candlewick::metrics::ForecastMetrics;
use candlewick::search::{MethodConfig, Next};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const SWEEP: &str = "\
name: demo-sweep
experiment: demo.yaml
set: {train.epochs: 3, train.early_stopping: null}
seed: 5
method: tpe
trials: 20
space:
  train.optimizer.adamw.learning_rate: {min: 1e-4, max: 1e-2, log: true}
  models.small.lstm.layers: {values: [[8], [8, 4]]}
  train.batch_size: {min: 6, max: 18, int: true}
";

fn sweep_of(yaml: &str, experiment: &str, overrides: &[&str]) -> Result<SweepPlan, ConfigError> {
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    let text = Text { name: "folder/sweep.yaml", yaml, overrides: &overrides };
    load_sweep(&text, &|path: &Path| {
        if path == Path::new("folder/demo.yaml") {
            return Ok(experiment.to_owned());
        }
        Err(format!("cannot read {}", path.display()))
    })
}

fn sweep(yaml: &str, overrides: &[&str]) -> Result<SweepPlan, ConfigError> {
    sweep_of(yaml, BASE, overrides)
}

fn with(from: &str, to: &str) -> String {
    assert!(SWEEP.contains(from), "the base sweep lacks {from}");
    SWEEP.replace(from, to)
}

/// `source:line:column message | hint` of every mistake.
fn mistakes(result: Result<SweepPlan, ConfigError>) -> Vec<String> {
    let listed = result.expect_err("this sweep must be refused").to_json();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let line = |one: &Value| {
        let place = format!("{}:{}:{}", text(&one["source"]), one["line"], one["column"]);
        format!("{place} {} | {}", text(&one["message"]), text(&one["hint"]))
    };
    listed.as_array().unwrap().iter().map(line).collect()
}

/// The only mistake stands at this place and holds these words.
fn only(found: &[String], place: &str, words: &[&str]) {
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].starts_with(&format!("folder/{place} ")), "{found:#?}");
    assert!(words.iter().all(|word| found[0].contains(word)), "{found:#?}, expected {words:?}");
}

#[test]
fn a_sweep_is_resolved_against_its_experiment() {
    let plan = sweep(SWEEP, &[]).unwrap();
    assert_eq!(plan.model(), "small");
    assert_eq!(plan.config.strategy.as_deref(), Some("signal"));
    assert_eq!(plan.config.goal, Some(Goal::Minimize));
    assert!(plan.minimize());
    assert_eq!((plan.trials(), plan.epochs), (20, 3));
    assert_eq!(plan.experiment.experiment.train.epochs, 3);
    assert_eq!(plan.written, SWEEP);
    // The resolved file is the same sweep.
    let again = sweep(&plan.resolved, &[]).unwrap();
    assert_eq!((again.resolved, again.sha256), (plan.resolved.clone(), plan.sha256.clone()));
    assert_eq!(again.config, plan.config);
    // Another experiment is another sweep.
    let other = sweep_of(SWEEP, &BASE.replace("train_bars: 600", "train_bars: 500"), &[]).unwrap();
    assert_ne!(other.sha256, plan.sha256);
}

#[test]
fn the_experiment_of_a_trial_is_that_of_the_same_overrides() {
    let plan = sweep(SWEEP, &[]).unwrap();
    let settings = [
        ("train.optimizer.adamw.learning_rate", json!(0.002)),
        ("models.small.lstm.layers", json!([8, 4])),
        ("train.batch_size", json!(7)),
    ]
    .map(|(path, value)| (path.to_owned(), value))
    .into_iter()
    .collect();
    let trial = plan.plan_of(&settings).unwrap();
    let overrides = [
        "train.epochs=3",
        "train.early_stopping=null",
        "train.optimizer.adamw.learning_rate=0.002",
        "models.small.lstm.layers=[8, 4]",
        "train.batch_size=7",
    ];
    let expected = crate::config::plan(BASE, &overrides).unwrap();
    assert_eq!(trial, expected);
}

#[test]
fn every_trial_of_every_method_is_an_experiment() {
    for method in MethodConfig::NAMES {
        let optimizer_only = "  models.small.lstm.layers: {values: [[8], [8, 4]]}\n  train.batch_size: {min: 6, max: 18, int: true}\n";
        let yaml = if *method == "pbt" { with(optimizer_only, "") } else { SWEEP.to_owned() };
        let name = if *method == "grid" { "{grid: {steps: 3, partial: true}}" } else { method };
        let yaml = yaml.replace("method: tpe", &format!("method: {name}"));
        let plan = sweep(&yaml, &[]).unwrap();
        let mut search = plan.config.method.build().start(plan.task());
        while let Next::Job(job) = search.next() {
            plan.plan_of(&job.settings).unwrap();
            search.tell(job.trial, job.epochs, Some(job.trial as f64));
        }
    }
}

#[test]
fn mistakes_of_the_space_stand_at_their_place_with_what_was_meant() {
    let rate = "train.optimizer.adamw.learning_rate: {min: 1e-4, max: 1e-2, log: true}";
    let cases: &[(&str, &str, &str, &[&str])] = &[
        (
            "learning_rate:",
            "learning_rat:",
            "sweep.yaml:8:3",
            &["unknown setting `learning_rat`", "did you mean `learning_rate`"],
        ),
        (
            "models.small.lstm.layers",
            "models.smal.lstm.layers",
            "sweep.yaml:9:3",
            &["`smal` is not a model", "did you mean `small`"],
        ),
        ("[[8], [8, 4]]", "[[8], [0, 4]]", "sweep.yaml:9:45", &["`layers` is 0"]),
        (
            "[[8], [8, 4]]",
            "[[8], eight]",
            "sweep.yaml:9:44",
            &["`layers` is the text `eight`, expected a list"],
        ),
        ("max: 18, int: true", "max: 18", "sweep.yaml:10:27", &["expected a whole number", "int: true"]),
        ("min: 6", "min: 0", "sweep.yaml:10:27", &["`batch_size` is 0, expected at least 1"]),
        ("min: 1e-4", "min: 1e-1", "sweep.yaml:8:40", &["`min` is 0.1, above `max`"]),
        (rate, "train.epochs: {min: 1, max: 0.5, log: true}", "sweep.yaml:8:17", &["above `max`"]),
        (rate, "data.path: {values: [a, b]}", "sweep.yaml:8:3", &["decides on which rows"]),
        (
            rate,
            "train.loss: {values: [mse, huber: {delta: 1.0}]}",
            "sweep.yaml:8:3",
            &["different losses", "validation.mse"],
        ),
        (
            rate,
            "backtest.cash: {min: 1, max: 2}",
            "sweep.yaml:8:3",
            &["does not depend on `backtest`", "validation.sharpe"],
        ),
        (
            rate,
            "train.batch_sizes: {min: 1, max: 2, int: true}",
            "sweep.yaml:8:3",
            &["did you mean `batch_size`"],
        ),
    ];
    for (from, to, place, words) in cases {
        // A list of maps inside a flow list needs its own braces in YAML.
        let yaml = with(from, &to.replace("huber: {delta: 1.0}", "{huber: {delta: 1.0}}"));
        only(&mistakes(sweep(&yaml, &[])), place, words);
    }
}

/// What may not vary, though it is a setting: what would make trials unlike each other, or the best of them a cheat.
#[test]
fn settings_that_would_make_values_incomparable_may_not_vary() {
    let rate = "train.optimizer.adamw.learning_rate: {min: 1e-4, max: 1e-2, log: true}";
    let refused = |metric: &str, path: &str, values: &str, words: &[&str]| {
        let yaml = with(rate, &format!("{path}: {{values: {values}}}"));
        let yaml = yaml.replace("seed: 5", &format!("metric: validation.{metric}"));
        only(&mistakes(sweep(&yaml, &[])), "sweep.yaml:8:3", words);
    };
    // The world and the yardstick are not the trader's to choose.
    for (path, values) in [
        ("backtest.costs", "[[], [{proportional: {fee_bps: 2}}]]"),
        ("backtest.costs.0.proportional.fee_bps", "[0, 2]"),
        ("backtest.cash", "[1, 2]"),
        ("backtest.fill", "[next_open, same_close]"),
        ("backtest.margin", "[{}]"),
        ("backtest.periods_per_year", "[252, 100000]"),
        ("backtest", "[{}]"),
    ] {
        refused("sharpe", path, values, &["under which conditions", "sizing, exits and books"]);
    }
    refused(
        "sharpe",
        "backtest.exits.intrabar",
        "[worst_first, best_first]",
        &["assumption about the market"],
    );
    for metric in ["loss", "rank_ic", "sharpe"] {
        refused(metric, "train", "[{epochs: 2}, {epochs: 9}]", &["whole of `train`", "one by one"]);
        refused(metric, "train.seeds", "[1, 3]", &["own `seeds`"]);
    }
    let unit: &[&str] = &["changes the unit of `validation.loss`", "validation.mse"];
    refused("loss", "train.stride_bars", "[1, 2]", unit);
    refused("loss", "features", "[[{rsi: {period: 3}}]]", unit);
    refused("loss", "features.0.log_return.lags", "[[1], [2]]", unit);
    refused("loss", "scaler", "[{rows: part}]", unit);
    refused("loss", "models.small.lstm.window", "[6, 12]", unit);
    refused("loss", "models.small", "[{lstm: {window: 6}}]", unit);
    for metric in ["loss", "mse", "ic", "rank_ic", "hit_rate"] {
        let horizons = "target.forward_return.horizons_bars";
        refused(metric, horizons, "[[4], [8]]", &["different targets", "validation.sharpe"]);
    }
    // What is allowed where it means the same in every trial.
    for (metric, path, values) in [
        ("sharpe", "backtest.exits.stop_loss_percent", "[1.0, 5.0]"),
        ("sharpe", "backtest.sizing", "[{all_in: {}}, {fraction: {of_equity: 0.5}}]"),
        ("sharpe", "target", "[{forward_return: {horizons_bars: [4, 8]}}]"),
        ("mse", "train.stride_bars", "[1, 2]"),
        ("mse", "models.small.lstm.window", "[6, 12]"),
        ("rank_ic", "features.0.log_return.lags", "[[1], [2]]"),
    ] {
        let yaml = with(rate, &format!("{path}: {{values: {values}}}"));
        let yaml = yaml.replace("seed: 5", &format!("metric: validation.{metric}"));
        assert!(sweep(&yaml, &[]).is_ok(), "{metric} {path}: {:#?}", mistakes(sweep(&yaml, &[])));
    }
}

#[test]
fn figures_of_probabilities_need_a_target_that_is_one() {
    let yaml = SWEEP.replace("seed: 5", "metric: validation.auc");
    only(&mistakes(sweep_of(&yaml, BASE, &[])), "sweep.yaml:4:9", &["validation.auc", "0 or 1"]);
    let classes = BASE.replace("forward_return", "sign");
    let classes = classes.replace("train: {epochs: 2}", "train: {epochs: 2, loss: bce}");
    for name in ["auc", "average_precision"] {
        let yaml = SWEEP.replace("seed: 5", &format!("metric: validation.{name}"));
        let plan = sweep_of(&yaml, &classes, &[]);
        assert!(plan.is_ok(), "{name}: {:#?}", mistakes(plan));
    }
    let metrics =
        ForecastMetrics { auc: Some(0.7), average_precision: Some(0.2), ..ForecastMetrics::default() };
    assert_eq!(JudgedFigure::AreaUnderCurve.of(&metrics), Some(0.7));
    assert_eq!(JudgedFigure::AveragePrecision.of(&metrics), Some(0.2));
    assert_eq!(JudgedFigure::AveragePrecision.natural_goal(), Goal::Maximize);
}

#[test]
fn errors_of_changes_are_in_units_of_the_training_windows() {
    let experiment = BASE
        .replace("forward_return", "forward_change")
        .replace("model_signal: {model: small, horizon_bars: 4}", "sma_cross: {fast: 5, slow: 20}");
    let yaml = with(
        "  train.batch_size: {min: 6, max: 18, int: true}\n",
        "  train.stride_bars: {min: 1, max: 2, int: true}\n",
    )
    .replace("seed: 5", "metric: validation.mse");
    only(&mistakes(sweep_of(&yaml, &experiment, &[])), "sweep.yaml:10:3", &["changes the unit", "rank_ic"]);
    let whole_part = experiment.replace("train: {epochs: 2}", "train: {epochs: 2}\nscaler: {rows: part}");
    assert!(sweep_of(&yaml, &whole_part, &[]).is_ok(), "{:#?}", mistakes(sweep_of(&yaml, &whole_part, &[])));
}

#[test]
fn a_balanced_weight_makes_the_loss_depend_on_the_training_windows() {
    let of = |loss: &str| {
        let experiment = BASE
            .replace("forward_return", "sign")
            .replace("model_signal: {model: small, horizon_bars: 4}", "sma_cross: {fast: 5, slow: 20}")
            .replace("train: {epochs: 2}", &format!("train: {{epochs: 2, loss: {loss}}}"));
        let yaml = with(
            "  train.batch_size: {min: 6, max: 18, int: true}\n",
            "  train.stride_bars: {min: 1, max: 2, int: true}\n",
        );
        sweep_of(&yaml.replace("seed: 5", "metric: validation.loss"), &experiment, &[])
    };
    for loss in ["bce", "{weighted_bce: {positive_weight: 3.0}}"] {
        assert!(of(loss).is_ok(), "{:#?}", mistakes(of(loss)));
    }
    let found = mistakes(of("{weighted_bce: {}}"));
    only(&found, "sweep.yaml:10:3", &["changes the unit of `validation.loss`", "validation.mse"]);
}

#[test]
fn a_figure_of_series_of_different_scales_is_the_scaled_one() {
    let metrics = ForecastMetrics {
        mse: Some(9.0),
        mae: Some(3.0),
        scaled_mse: Some(0.4),
        scaled_mae: Some(0.5),
        ..ForecastMetrics::default()
    };
    assert_eq!(JudgedFigure::MeanSquaredError.of(&metrics), Some(0.4));
    assert_eq!(JudgedFigure::MeanAbsoluteError.of(&metrics), Some(0.5));
    let plain = ForecastMetrics { scaled_mse: None, scaled_mae: None, ..metrics };
    assert_eq!(JudgedFigure::MeanSquaredError.of(&plain), Some(9.0));
    assert_eq!(JudgedFigure::MeanAbsoluteError.of(&plain), Some(3.0));
    assert_eq!(JudgedFigure::RankInformationCoefficient.of(&plain), Some(0.0), "a constant forecast");
    assert_eq!(JudgedFigure::Loss.of(&plain), None);
}

#[test]
fn a_population_that_copies_does_not_stop_early() {
    let layers = "  models.small.lstm.layers: {values: [[8], [8, 4]]}\n";
    let batch = "  train.batch_size: {min: 6, max: 18, int: true}\n";
    let yaml = with("method: tpe", "method: pbt").replace(layers, "").replace(batch, "");
    assert!(sweep(&yaml, &[]).is_ok());
    let stops = yaml.replace(", train.early_stopping: null", "");
    only(&mistakes(sweep(&stops, &[])), "sweep.yaml:5:9", &["stopped early", "train.early_stopping: null"]);
}

#[test]
fn a_trial_may_ask_for_all_epochs_of_every_branch() {
    let line = "  train.epochs: {values: [1, 2], when: {models.small.lstm.layers: [8]}}\n";
    assert_eq!(
        sweep(&format!("{SWEEP}{line}"), &[]).unwrap().epochs,
        3,
        "those of the experiment where it does not vary"
    );
    assert_eq!(sweep(&format!("{SWEEP}  train.epochs: {{values: [1, 7]}}\n"), &[]).unwrap().epochs, 7);
}

#[test]
fn mistakes_of_the_sweep_itself_are_told_all_at_once() {
    let yaml =
        with("method: tpe", "method: tpee").replace("trials: 20", "trial: 20").replace("seed: 5", "seed: x");
    let found = mistakes(sweep(&yaml, &[]));
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(found[0].contains("`seed` is the text `x`"), "{found:#?}");
    assert!(found[1].contains("`tpee`") && found[1].contains("did you mean `tpe`"), "{found:#?}");
    assert!(found[2].contains("`trial`") && found[2].contains("did you mean `trials`"), "{found:#?}");
    let yaml = with("method: tpe", "method: {asha: {reductions: 3}}");
    only(&mistakes(sweep(&yaml, &[])), "sweep.yaml:5:17", &["`reductions`", "did you mean `reduction`"]);
    let cases: &[(&str, &str, &str, &[&str])] = &[
        (
            "demo.yaml",
            "gone.yaml",
            "sweep.yaml:2:13",
            &["cannot read folder/gone.yaml", "folder of this file"],
        ),
        ("trials: 20\n", "", "sweep.yaml:5:9", &["`trials` is missing"]),
        ("method: tpe", "method: grid", "sweep.yaml:5:9", &["steps: 5"]),
        ("method: tpe", "method: pbt", "sweep.yaml:5:9", &["models.small.lstm.layers", "train.optimizer"]),
        ("method: tpe", "method: {asha: {first_epochs: 9}}", "sweep.yaml:5:9", &["first_epochs is 9"]),
        ("seed: 5", "model: smal", "sweep.yaml:4:8", &["did you mean `small`"]),
        ("seed: 5", "strategy: hold", "sweep.yaml:4:11", &["no single book that trades on `small`"]),
        ("seed: 5", "folds: 5", "sweep.yaml:4:8", &["the experiment has 4"]),
        ("name: demo-sweep", "name: a/b", "sweep.yaml:1:7", &["cannot name a folder"]),
        ("train.epochs: 3", "train.epoch: 3", "sweep.yaml:3:7", &["did you mean `epochs`"]),
        ("train.epochs: 3", "train.epochs: 0", "sweep.yaml:3:21", &["`epochs` is 0"]),
    ];
    for (from, to, place, words) in cases {
        only(&mistakes(sweep(&with(from, to), &[])), place, words);
    }
}

#[test]
fn mistakes_of_the_experiment_are_shown_in_the_experiment() {
    let experiment = BASE.replace("layers: [8]", "layer: [8]");
    only(
        &mistakes(sweep_of(SWEEP, &experiment, &[])),
        "demo.yaml:9:30",
        &["`layer`", "did you mean `layers`"],
    );
    let experiment = BASE.replace("  small: {lstm: {window: 12, layers: [8]}}", "  small: {naive: {}}");
    let found = mistakes(sweep_of(&with("method: tpe", "method: asha"), &experiment, &[]));
    only(&found, "sweep.yaml:1:1", &["closed form", "validation.mse"]);
}

#[test]
fn conditions_may_look_at_dimensions_and_at_settings_of_the_experiment() {
    let conditional = |line: &str| format!("{SWEEP}  {line}\n");
    let dropout =
        |when: &str| conditional(&format!("models.small.lstm.dropout: {{min: 0, max: 0.4, when: {when}}}"));
    // A fixed setting that fits is no condition any more.
    let plan = sweep(&dropout("{train.schedule: constant}"), &[]).unwrap();
    assert!(plan.space["models.small.lstm.dropout"].when.is_empty());
    let plan = sweep(&dropout("{models.small.lstm.layers: [8, 4]}"), &[]).unwrap();
    assert_eq!(plan.space["models.small.lstm.dropout"].when.len(), 1);
    let cases = [
        ("{train.schedule: cosine}", "never holds"),
        ("{train.shedule: constant}", "did you mean `train.schedule`"),
        ("{models.small.lstm.layers: [9]}", "can never hold"),
        ("{models.small.lstm.dropout: 0.1}", "circle"),
    ];
    for (when, words) in cases {
        only(
            &mistakes(sweep(&dropout(when), &[])),
            &format!("sweep.yaml:11:{}", column(&dropout(when), when)),
            &[words],
        );
    }
    // A setting that exists for one choice alone is tried together with that choice.
    let schedule = "train.schedule: {values: [constant, {cosine: {}}]}\n  \
        train.schedule.cosine.warm_up_steps: {min: 0, max: 50, int: true, when: {train.schedule: {cosine: {}}}}";
    let plan = sweep(&conditional(schedule), &[]).unwrap();
    let settings =
        [("train.schedule.cosine.warm_up_steps", json!(9)), ("train.schedule", json!({"cosine": {}}))]
            .map(|(path, value)| (path.to_owned(), value));
    let trial = plan.plan_of(&settings.into_iter().collect()).unwrap();
    assert!(trial.resolved.contains("warm_up_steps: 9"), "{}", trial.resolved);
}

/// Where the condition stands on the last line: its first key for a condition that names no dimension, else its brace.
fn column(yaml: &str, when: &str) -> usize {
    let brace = yaml.lines().last().unwrap().find(when).unwrap() + 1;
    if when.starts_with("{models") { brace } else { brace + 1 }
}

#[test]
fn overrides_reach_the_sweep_its_changes_and_its_space() {
    let overrides = [
        "trials=8",
        "set.train.epochs=2",
        "set.train.batch_size=32",
        "space.train.optimizer.adamw.learning_rate.max=0.1",
        "space.models.small.lstm.dropout={min: 0, max: 0.3}",
    ];
    let plan = sweep(SWEEP, &overrides).unwrap();
    assert_eq!((plan.trials(), plan.epochs), (8, 2));
    assert_eq!(plan.experiment.experiment.train.batch_size, 32);
    assert_eq!(plan.space["train.optimizer.adamw.learning_rate"].max, Some(0.1));
    assert_eq!(plan.space["models.small.lstm.dropout"].max, Some(0.3));
    let found = mistakes(sweep(SWEEP, &["set.train.epochs=0"]));
    assert!(found.len() == 1 && found[0].starts_with("--set #1:1:18 "), "{found:#?}");
}

#[test]
fn settings_that_do_not_fit_each_other_fail_their_trial_alone() {
    let experiment =
        BASE.replace("{lstm: {window: 12, layers: [8]}}", "{transformer: {window: 12, width: 32, heads: 4}}");
    let yaml = "\
name: fit
experiment: demo.yaml
method: random
trials: 4
space:
  models.small.transformer.width: {values: [32, 36]}
  models.small.transformer.heads: {values: [4, 8]}
";
    let plan = sweep_of(yaml, &experiment, &[]).unwrap();
    let settings = |width: u64, heads: u64| {
        let pairs = [
            ("models.small.transformer.width", json!(width)),
            ("models.small.transformer.heads", json!(heads)),
        ];
        pairs.map(|(path, value)| (path.to_owned(), value)).into_iter().collect()
    };
    assert!(plan.plan_of(&settings(36, 4)).is_ok());
    let error = plan.plan_of(&settings(36, 8)).unwrap_err().to_json();
    let message = error[0]["message"].as_str().unwrap();
    assert!(message.contains("models.small.transformer.width=36") && message.contains("heads"), "{message}");
    assert_eq!(
        (error[0]["source"].as_str(), error[0]["line"].as_u64()),
        (Some("folder/sweep.yaml"), Some(5))
    );
}

#[test]
fn the_shipped_schema_of_sweeps_is_fresh() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("configs/sweep_schema.json");
    let shipped = std::fs::read_to_string(path).unwrap_or_default();
    assert!(
        shipped == sweep_schema_text(),
        "run `candlewick schema --sweep --output configs/sweep_schema.json`"
    );
}

/// `cargo test --release --test suite -- --ignored --nocapture the_cost_of_a_trials_plan`
#[test]
#[ignore = "a measurement"]
fn the_cost_of_a_trials_plan() {
    let quickstart =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/configs/quickstart.yaml")).unwrap();
    let yaml = "\
name: cost
experiment: demo.yaml
method: random
trials: 2000
model: lstm
space:
  train.optimizer.adamw.learning_rate: {min: 1e-4, max: 1e-2, log: true}
  models.lstm.lstm.layers: {values: [[16], [32], [32, 16]]}
  models.lstm.lstm.dropout: {min: 0.0, max: 0.4}
";
    let plan = sweep_of(yaml, &quickstart, &[]).unwrap();
    let mut search = plan.config.method.build().start(plan.task());
    let mut times = Vec::new();
    while let Next::Job(job) = search.next() {
        let start = std::time::Instant::now();
        plan.plan_of(&job.settings).unwrap();
        times.push(start.elapsed().as_secs_f64() * 1e3);
    }
    println!("plan_of: median {:.4} ms of {}", crate::search_reference::median(times.clone()), times.len());
}

#[test]
fn a_list_in_a_condition_means_any_of_its_values_or_the_one_list() {
    let exists = |parent: &str, wanted: &str| {
        let yaml = with("  train.batch_size: {min: 6, max: 18, int: true}\n", "");
        let yaml = yaml.replace("method: tpe", "method: grid").replace("trials: 20\n", "").replace(
            "  train.optimizer.adamw.learning_rate: {min: 1e-4, max: 1e-2, log: true}\n",
            "  models.small.lstm.dropout: {values: [0.1, 0.2, 0.3]}\n  train.batch_size: {values: [6], when: {PARENT: WANTED}}\n",
        );
        let plan = sweep(&yaml.replace("PARENT", parent).replace("WANTED", wanted), &[]).unwrap();
        let mut search = plan.config.method.build().start(plan.task());
        let mut found = Vec::new();
        while let Next::Job(job) = search.next() {
            if job.settings.contains_key("train.batch_size") {
                found.push(job.settings[parent].clone());
            }
            search.tell(job.trial, job.epochs, Some(0.0));
        }
        found.sort_by_key(ToString::to_string);
        found.dedup();
        Value::from(found)
    };
    let (plain, lists) = ("models.small.lstm.dropout", "models.small.lstm.layers");
    assert_eq!(exists(plain, "0.2"), json!([0.2]));
    assert_eq!(exists(plain, "[0.1, 0.3]"), json!([0.1, 0.3]));
    assert_eq!(exists(lists, "[8, 4]"), json!([[8, 4]]));
    assert_eq!(exists(lists, "[8]"), json!([[8]]));
    assert_eq!(exists(lists, "[[8], [8, 4]]"), json!([[8, 4], [8]]));
}

#[test]
fn the_loss_huber_may_be_written_without_its_delta() {
    let short = sweep(&with("train.epochs: 3", "train.epochs: 3, train.loss: {huber: {}}"), &[]).unwrap();
    let long =
        sweep(&with("train.epochs: 3", "train.epochs: 3, train.loss: {huber: {delta: 1.0}}"), &[]).unwrap();
    assert_eq!(short.experiment.experiment, long.experiment.experiment);
}
