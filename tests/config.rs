//! Configurations: every mistake at once, each at its place; resolved plans reload to equal plans.

use crate::program::Scratch;
use candlewick::config::{ConfigError, Plan, Text, load, schema_text};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) const BASE: &str = "\
name: demo
seed: 3
data: {path: bars.parquet}
features:
  - log_return: {lags: [1, 2]}
target: {forward_return: {horizons_bars: [4]}}
split: {walk_forward: {folds: 4, train_bars: 600, validation_bars: 100, test_bars: 100}}
models:
  small: {lstm: {window: 12, layers: [8]}}
train: {epochs: 2}
strategies:
  signal: {model_signal: {model: small, horizon_bars: 4}}
  hold: {buy_and_hold: {}}
";

pub(crate) fn plan(yaml: &str, overrides: &[&str]) -> Result<Plan, ConfigError> {
    let overrides: Vec<String> = overrides.iter().map(|text| (*text).to_owned()).collect();
    load(&Text { name: "demo.yaml", yaml, overrides: &overrides })
}

/// `line:column message | hint` of every mistake.
pub(crate) fn mistakes(yaml: &str, overrides: &[&str]) -> Vec<String> {
    let error = plan(yaml, overrides).expect_err("this configuration must be refused");
    let listed = error.to_json();
    let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
    listed
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            let place = format!("{}:{}:{}", text(&one["source"]), one["line"], one["column"]);
            format!("{place} {} | {}", text(&one["message"]), text(&one["hint"]))
        })
        .collect()
}

pub(crate) fn with(from: &str, to: &str) -> String {
    assert!(BASE.contains(from), "the base configuration lacks {from}");
    BASE.replace(from, to)
}

#[test]
fn the_base_is_accepted_and_reloads_to_an_equal_plan() {
    let first = plan(BASE, &[]).unwrap();
    let again = plan(&first.resolved, &[]).unwrap();
    assert_eq!(first.experiment, again.experiment);
    assert_eq!(first.sha256, again.sha256);
    assert_eq!(first.written, BASE);
}

/// The YAML files in these folders.
fn shipped(folders: &[&str]) -> Vec<PathBuf> {
    let entries = folders.iter().flat_map(|folder| fs::read_dir(root().join(folder)).unwrap());
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|extension| extension == "yaml")).collect()
}

#[test]
fn every_shipped_configuration_resolves_and_reloads() {
    let paths = shipped(&["configs", "configs/experiments", "configs/benchmarks"]);
    for path in &paths {
        let yaml = fs::read_to_string(path).unwrap();
        let first = yaml.lines().next().unwrap();
        assert!(
            first.starts_with("# yaml-language-server: $schema="),
            "{}: editors need it first",
            path.display()
        );
        let schema = path.parent().unwrap().join(first.rsplit('=').next().unwrap());
        assert!(schema.exists(), "{} names a schema that is not there", path.display());
        let plan = load(&Text { name: "shipped", yaml: &yaml, overrides: &[] })
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let again = load(&Text { name: "again", yaml: &plan.resolved, overrides: &[] }).unwrap();
        assert_eq!(plan.experiment, again.experiment, "{}", path.display());
    }
    assert!(paths.len() >= 2, "only {} configurations are shipped", paths.len());
}

#[test]
fn the_commands_in_comments_of_shipped_configurations_parse() {
    let scratch = Scratch::new();
    // The parser refuses a wrong verb, flag or value before it comes to the last word.
    let parses = |words: &[&str]| scratch.candlewick(&[words, &["--help"]].concat());
    parses(&["run", "experiment.yaml", "--no-such-flag"]).exits(2);
    parses(&["backtest", "experiment.yaml", "--threads", "many"]).exits(2);
    parses(&["no-such-verb"]).exits(2);
    let mut count = 0;
    for path in shipped(&["configs", "configs/experiments", "configs/benchmarks", "configs/sweeps"]) {
        let yaml = fs::read_to_string(&path).unwrap();
        let lines = yaml.lines().filter_map(|line| line.strip_prefix("# "));
        for line in lines.filter(|line| line.starts_with("candlewick ")) {
            for command in line.split(" && ") {
                let words: Vec<&str> = command.split_whitespace().skip(1).collect();
                parses(&words).exits(0);
                let file =
                    words.iter().find(|word| word.starts_with("configs/")).map(|word| root().join(word));
                assert!(file.is_none_or(|file| file == path), "{}: {command}", path.display());
                count += 1;
            }
        }
    }
    assert!(count >= 7, "only {count} commands");
}

#[test]
fn the_shipped_schema_is_fresh() {
    let path: &Path = &root().join("configs/schema.json");
    let shipped = fs::read_to_string(path).unwrap_or_default();
    assert!(shipped == schema_text(), "run `candlewick schema --output configs/schema.json`");
}

#[test]
fn all_mistakes_come_at_once_each_at_its_place() {
    let yaml = BASE
        .replace("seed: 3", "sead: 3")
        .replace("epochs: 2", "epochs: 0")
        .replace("lstm: {window", "lstn: {window")
        .replace("lags: [1, 2]", "lags: [1, two]");
    let found = mistakes(&yaml, &[]);
    assert_eq!(found.len(), 4, "{found:#?}");
    assert_eq!(found[0], "demo.yaml:2:1 unknown setting `sead` in the experiment | did you mean `seed`?");
    assert_eq!(found[1], "demo.yaml:5:28 `lags` is the text `two`, expected a whole number | ");
    assert_eq!(found[2], "demo.yaml:9:11 unknown choice `lstn` for small | did you mean `lstm`?");
    assert_eq!(found[3], "demo.yaml:10:17 `epochs` is 0, expected at least 1 | ");
}

#[test]
fn sections_that_do_not_fit_each_other_are_told() {
    let found = mistakes(&with("model: small, horizon_bars: 4", "model: smal, horizon_bars: 5"), &[]);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert_eq!(
        found[0],
        "demo.yaml:12:34 strategy `signal` trades on `smal`, which is not a model | did you mean `small`?"
    );
    assert!(
        found[1].contains("horizon 5, which `target` does not forecast | the horizons are [4]"),
        "{found:#?}"
    );
    let found = mistakes(&with("target: {forward_return: {horizons_bars: [4]}}\n", ""), &[]);
    assert!(found[0].contains("`models` needs `target`"), "{found:#?}");
    let found = mistakes(&with("name: demo", "name: ../demo"), &[]);
    assert_eq!(
        found[0],
        "demo.yaml:1:7 `../demo` cannot name a file | letters, digits, `.`, `-` and `_`, at most 64, beginning with a letter or digit"
    );
}

#[test]
fn a_section_that_is_missing_empty_or_of_another_kind_is_told() {
    assert!(
        mistakes(&with("data: {path: bars.parquet}\n", ""), &[])[0]
            .contains("`data` is missing in the experiment")
    );
    assert!(
        mistakes(&with("{buy_and_hold: {}}", "buy_and_hold"), &[])[0].contains("write `buy_and_hold: {}`")
    );
    assert!(
        mistakes(&with("{buy_and_hold: {}}", "{buy_and_hold: {}, macd: {}}"), &[])[0]
            .contains("has 2 choices, expected exactly one")
    );
    assert!(mistakes(&with("seed: 3", "seed: -3"), &[])[0].contains("`seed` is -3, expected at least 0"));
    assert!(
        mistakes(&with("seed: 3", "device: cdua"), &[])[0]
            .starts_with("demo.yaml:2:9 `device`: `cdua` is not a device")
    );
    assert!(mistakes("", &[])[0].contains("expected a map"));
    assert!(mistakes("- a\n- b\n", &[])[0].contains("is a list, expected a map"));
}

#[test]
fn overrides_are_checked_like_the_file_and_point_at_themselves() {
    let plan = plan(BASE, &["train.epochs=9", "models.small.lstm.layers=[4, 2]", "backtest.cash=5"]).unwrap();
    assert_eq!(plan.experiment.train.epochs, 9);
    assert_eq!(plan.experiment.backtest.cash, 5.0);
    let found = mistakes(BASE, &["train.epochz=9", "train.epochs=many", "nonsense", "seed.deep=1"]);
    assert!(
        found.contains(&"--set #1:1:1 unknown setting `epochz` in train | did you mean `epochs`?".to_owned()),
        "{found:#?}"
    );
    assert!(
        found.contains(&"--set #2:1:14 `epochs` is the text `many`, expected a whole number | ".to_owned()),
        "{found:#?}"
    );
    assert!(
        found.iter().any(|one| one.starts_with("--set #3:1:1 `nonsense` is not an override")),
        "{found:#?}"
    );
    assert!(found.iter().any(|one| one.contains("`deep` lies below a plain value")), "{found:#?}");
}

#[test]
fn broken_and_hostile_yaml_is_refused_quickly() {
    let deep = "[".repeat(100_000);
    let laughs = "a: &a [x, x, x, x, x, x, x, x, x]\nb: &b [*a, *a, *a, *a, *a, *a, *a, *a, *a]\nc: &c [*b, *b, *b, *b, *b, *b, *b, *b, *b]\nd: &d [*c, *c, *c, *c, *c, *c, *c, *c, *c]\ne: &e [*d, *d, *d, *d, *d, *d, *d, *d, *d]\nf: &f [*e, *e, *e, *e, *e, *e, *e, *e, *e]\ng: [*f, *f, *f, *f, *f, *f, *f, *f, *f]\n";
    let wide = format!("name: {}\n", "x".repeat(100_000));
    for hostile in
        [&deep, laughs, &wide, "name: [", "name: demo\nname: demo\n", "\tname: demo\n", "name: \"\u{0}\"\n"]
    {
        let start = std::time::Instant::now();
        let error = plan(hostile, &[]).expect_err("hostile");
        let text = error.render(false);
        assert!(text.len() < 4_096, "{} bytes of message", text.len());
        assert!(start.elapsed().as_secs_f64() < 2.0, "{:?}", start.elapsed());
    }
}

#[test]
fn a_rendered_mistake_shows_the_line_and_a_caret() {
    let error = plan(&with("epochs: 2", "epochz: 2"), &[]).unwrap_err().render(false);
    assert!(error.contains("error: unknown setting `epochz` in train"), "{error}");
    assert!(error.contains("--> demo.yaml:10:9"), "{error}");
    assert!(error.contains("^^^^^^ did you mean `epochs`?"), "{error}");
    assert!(error.contains("1 error in demo.yaml"), "{error}");
}
