//! Exported models: the file field by field, its numbers by plain arithmetic, and onnxruntime beside our own forecasts.

use crate::program::Scratch;
use crate::wire::{Field, all_bytes_of, bytes_of, fields};
use candlewick::config::{Plan, Text, load};
use candlewick::data::DataConfig;
use candlewick::domains::market::indicators;
use candlewick::onnx::{ElementType, GraphBuilder, ModelProto, TensorData, ValueInfoProto};
use candlewick::rundir::TableFile;
use candlewick::table::{Features, LabelKind, Labels};
use candlewick::units::Time;
use serde_json::Value;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::process::Command;

/// An experiment on two symbols, whose one fold has 1,010 test bars each.
fn experiment(name: &str, rest: &str) -> String {
    format!(
        "name: {name}\nseed: 3\ndata: {{path: market.parquet}}\n\
         split: {{walk_forward: {{folds: 1, train_bars: 600, validation_bars: 150, test_bars: 1010, embargo_bars: 4}}}}\n\
         {rest}"
    )
}

const FEATURES: &str = "features: [{log_return: {lags: [1, 2, 4]}}, {rsi: {period: 14}}, {close: {}}]\n";

/// Bars of the market that holds such a fold.
const BARS: usize = 1850;

/// An experiment whose models are all exported, and how.
struct Trial {
    name: &'static str,
    config: String,
    /// Model and further arguments.
    exports: Vec<(&'static str, &'static [&'static str])>,
}

/// Every kind of model, normalisation, loss and label kind at least once.
fn trials() -> Vec<Trial> {
    let trial = |name, rest: &str, exports: &[(&'static str, &'static [&'static str])]| Trial {
        name,
        config: experiment(name, rest),
        exports: exports.to_vec(),
    };
    let train = "train: {epochs: 2, batch_size: 64, optimizer: {adamw: {learning_rate: 0.01}}";
    vec![
        trial(
            "returns",
            &format!(
                "{FEATURES}target: {{forward_return: {{horizons_bars: [1, 4]}}}}\n{train}}}\nmodels:\n  \
                 lstm: {{lstm: {{window: 12, layers: [10, 6], dropout: 0.2}}}}\n  \
                 lstm_instance: {{lstm: {{window: 30, layers: [7], normalisation: instance}}}}\n  \
                 transformer: {{transformer: {{window: 12, width: 16, heads: 4, layers: 2}}}}\n  \
                 patches: {{transformer: {{window: 12, width: 12, heads: 2, layers: 1, patch_bars: 3}}}}\n  \
                 patch_transformer: {{patch_transformer: {{window: 12, patch_bars: 4, stride_bars: 3, width: 8, heads: 2}}}}\n  \
                 ridge: {{linear: {{window: 6, penalty: 1.0}}}}\n  \
                 last: {{naive: {{forecast: last}}}}\n  mean: {{naive: {{forecast: mean}}}}\n"
            ),
            &[
                ("lstm", &[]),
                ("lstm_instance", &[]),
                ("transformer", &[]),
                ("patches", &[]),
                ("patch_transformer", &[]),
                ("ridge", &[]),
                ("last", &[]),
                ("mean", &[]),
            ],
        ),
        trial(
            "changes",
            &format!(
                "features: [{{close: {{}}}}]\nscaler: {{per_symbol: true}}\n\
                 target: {{forward_change: {{horizons_bars: 1..3}}}}\n{train}, loss: {{huber: {{delta: 1.0}}}}}}\nmodels:\n  \
                 lstm: {{lstm: {{window: 10, layers: [8], normalisation: instance}}}}\n  \
                 lstm_last: {{lstm: {{window: 10, layers: [8], normalisation: last_value}}}}\n  \
                 patches: {{patch_transformer: {{window: 12, patch_bars: 4, stride_bars: 4, width: 8, heads: 2, \
                 normalisation: instance}}}}\n  \
                 nlinear: {{linear: {{window: 10, normalisation: last_value}}}}\n"
            ),
            &[
                ("lstm", &["--symbol", "ALPHA"]),
                ("lstm_last", &["--symbol", "BETA"]),
                ("patches", &["--symbol", "BETA"]),
                ("nlinear", &["--symbol", "BETA"]),
            ],
        ),
        trial(
            "signs",
            &format!(
                "{FEATURES}target: {{sign: {{horizons_bars: [1, 4]}}}}\n{train}, loss: bce, seeds: 3}}\nmodels:\n  \
                 lstm: {{lstm: {{window: 8, layers: [6]}}}}\n  ridge: {{linear: {{window: 2}}}}\n  zero: {{naive: {{}}}}\n"
            ),
            &[("lstm", &[]), ("lstm", &["--seed", "2"]), ("ridge", &[]), ("zero", &[])],
        ),
        trial(
            "falls",
            &format!(
                "{FEATURES}target: {{drawdown_within: {{horizons_bars: [4, 8], fall_percent: 1}}}}\n\
                 {train}, loss: {{weighted_bce: {{positive_weight: balanced}}}}}}\nmodels:\n  \
                 lstm: {{lstm: {{window: 8, layers: [6]}}}}\n  transformer: {{transformer: {{window: 8, width: 8, heads: 2, \
                 layers: 1}}}}\n  logistic: {{logistic: {{window: 2, features: [rsi_14, log_return_4]}}}}\n"
            ),
            &[("lstm", &[]), ("transformer", &[]), ("logistic", &[])],
        ),
        trial(
            "levels",
            &format!(
                "{FEATURES}target: {{forward_value: {{horizons_bars: [1, 2, 5]}}}}\n\
                 {train}, loss: {{quantile: {{levels: [0.1, 0.5, 0.9]}}}}}}\nmodels:\n  \
                 lstm: {{lstm: {{window: 8, layers: [6]}}}}\n  ridge: {{linear: {{window: 3}}}}\n"
            ),
            &[("lstm", &[]), ("ridge", &[])],
        ),
        trial(
            "mixed",
            &format!(
                "{FEATURES}target: {{forward_return: {{horizons_bars: [1, 4]}}}}\n\
                 {train}, loss: {{mixed: {{heads: [{{loss: {{quantile: {{levels: [0.25, 0.5]}}}}}}, {{loss: direction, weight: 0.5}}]}}}}}}\n\
                 models:\n  lstm: {{lstm: {{window: 8, layers: [6]}}}}\n"
            ),
            &[("lstm", &[])],
        ),
    ]
}

/// A finished run of an experiment, in the folder of its market.
struct Finished {
    run: PathBuf,
    plan: Plan,
    features: Features,
    labels: Labels,
    /// `[symbol]`: the rows of the training part.
    training: Vec<Range<usize>>,
    symbols: Vec<String>,
}

fn finish(scratch: &Scratch, name: &str, config: &str) -> Finished {
    let file = format!("{name}.yaml");
    scratch.write(&file, config);
    let done = scratch.candlewick(&["run", &file, "--no-report", "--no-audit", "--json"]).exits(0).json();
    let run = scratch.path(done["run_dir"].as_str().unwrap());
    let text = std::fs::read_to_string(run.join("resolved.yaml")).unwrap();
    let plan = load(&Text { name: "resolved.yaml", yaml: &text, overrides: &[] }).unwrap();
    let market = scratch.path("market.parquet").display().to_string();
    let data = DataConfig { path: market, ..plan.experiment.data.clone() };
    let bars = candlewick::data::load(&data).unwrap().bars;
    let features = indicators::compute(&plan.experiment.features, &bars).unwrap();
    let labels = plan.experiment.target.as_ref().unwrap().build().compute(&bars).unwrap();
    let folds = TableFile::read(&run.join("folds.parquet")).unwrap();
    let [start, end] = ["train_start", "train_end"].map(|name| folds.time(name).unwrap()[0]);
    let rows = |times: &[Time]| {
        times.partition_point(|time| *time < start)..times.partition_point(|time| *time < end)
    };
    let training = bars.symbols().iter().map(|bars| rows(bars.time())).collect();
    let symbols = bars.names().into_iter().map(str::to_owned).collect();
    Finished { run, plan, features, labels, training, symbols }
}

impl Finished {
    /// At most 1,000 raw windows of the test part, `[N, T, F]`, and what the model forecast for them, `[N, H]`.
    fn windows_and_forecasts(&self, export: &Value) -> (Vec<f64>, Vec<f64>) {
        let name = export["model"].as_str().unwrap();
        let networks = self.run.join("models/fold-0").join(name);
        let network = match (&export["seed"], networks.join("seed-0").exists()) {
            (_, false) => networks,
            (Value::Null, true) => networks.join("seed-0"),
            (seed, true) => networks.join(format!("seed-{seed}")),
        };
        let table = TableFile::read(&network.join("test.parquet")).unwrap();
        let (symbols, rows) = (table.integer("symbol").unwrap(), table.integer("row").unwrap());
        let horizons = export["horizons_bars"].as_array().unwrap().len();
        let forecasts = match export["seed"].is_null() {
            true => self.forecasts_of(name),
            false => {
                let of = |row: usize| (0..horizons).map(move |h| (row, h)).collect::<Vec<_>>();
                let column = |h: usize| table.float(&format!("output_{h}")).unwrap();
                (0..rows.len()).flat_map(of).map(|(row, h)| column(h)[row]).collect()
            }
        };
        assert_eq!(forecasts.len(), rows.len() * horizons);
        let wanted = export["symbol"].as_str();
        let (mut windows, mut expected) = (Vec::new(), Vec::new());
        let chosen = (0..rows.len())
            .filter(|index| wanted.is_none_or(|wanted| wanted == self.symbols[symbols[*index] as usize]));
        for index in chosen.take(1000) {
            let window = export["window"].as_u64().unwrap() as usize;
            let end = rows[index] as usize + 1;
            for row in end - window..end {
                let of = |feature| self.features.column(symbols[index] as usize, feature)[row];
                windows.extend((0..self.features.names().len()).map(of));
            }
            expected.extend(&forecasts[index * horizons..(index + 1) * horizons]);
        }
        (windows, expected)
    }

    /// By how much the two programs may differ: 1e-5 of what a network computes in, which is the deviation of its targets
    /// over the training part (the largest of all horizons), and never more than 1e-5 of a probability or a return.
    fn bound(&self, export: &Value) -> f64 {
        let kind = self.labels.kind();
        let wanted = export["symbol"].as_str();
        let own = |symbol: &usize| wanted.is_none_or(|wanted| wanted == self.symbols[*symbol]);
        let deviation = |horizon: usize| {
            let of = |symbol: usize| &self.labels.column(symbol, horizon)[self.training[symbol].clone()];
            let values: Vec<f64> = (0..self.symbols.len())
                .filter(own)
                .flat_map(of)
                .copied()
                .filter(|value| !value.is_nan())
                .collect();
            assert!(values.len() > 500);
            let mean = values.iter().sum::<f64>() / values.len() as f64;
            let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
            (squares / values.len() as f64).sqrt()
        };
        let unit = (0..self.labels.horizons().len()).map(deviation).fold(0.0, f64::max);
        1e-5 * match kind {
            kind if kind.is_probability() => 1.0,
            LabelKind::Return => unit.min(1.0),
            _ => unit,
        }
    }

    /// The forecasts that the run wrote for users, `[N, H]`.
    fn forecasts_of(&self, name: &str) -> Vec<f64> {
        let table = TableFile::read(&self.run.join("predictions.parquet")).unwrap();
        let models = table.text("model").unwrap();
        let all = table.float("prediction").unwrap();
        (0..all.len()).filter(|row| &*models[*row] == name).map(|row| all[row]).collect()
    }
}

fn export(scratch: &Scratch, run: &Path, model: &str, further: &[&str]) -> Value {
    let run = run.display().to_string();
    let arguments = [&["export", "onnx", &run, "--model", model, "--json"], further].concat();
    scratch.candlewick(&arguments).exits(0).json()
}

/// The Python that has onnx and onnxruntime: made once below the folder of the test program. Without Python or the network
/// a printed skip, or a failure where `CANDLEWICK_REQUIRE_ONNX` is set.
fn python() -> Option<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx");
    let made =
        Command::new("python3").arg(folder.join("environment.py")).arg(env!("CARGO_TARGET_TMPDIR")).output();
    let reason = match made {
        Ok(output) if output.status.success() => {
            return Some(String::from_utf8(output.stdout).unwrap().trim().into());
        }
        Ok(output) => {
            let words = String::from_utf8_lossy(&output.stderr).trim().to_owned();
            words.lines().last().unwrap_or("it failed").to_owned()
        }
        Err(error) => error.to_string(),
    };
    let missing = format!("python3 with onnx and onnxruntime is not there: {reason}");
    assert!(std::env::var_os("CANDLEWICK_REQUIRE_ONNX").is_none(), "{missing}");
    println!("SKIPPED: {missing}");
    None
}

fn numbers(path: &Path, values: &[f64]) {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    std::fs::write(path, bytes).unwrap();
}

/// Networks compute in f32, in units of their targets' deviation over the training windows, so differences in units of
/// the label grow with that deviation: see [`Finished::bound`]. What is closed form computes in f64 here and there.
#[test]
fn onnxruntime_forecasts_what_we_forecast() {
    let Some(python) = python() else { return };
    let scratch = Scratch::new();
    scratch.market(BARS, 0.1);
    compare(&scratch, &python, trials());
}

/// Models of the size of the source system's: `cargo test --release --test suite -- full_size --ignored --show-output`
/// tells the size of each file, the differences and how long onnxruntime takes.
#[test]
#[ignore = "trains networks of full size"]
fn models_of_full_size_agree() {
    let Some(python) = python() else { return };
    let scratch = Scratch::new();
    let ticks = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/sine_ticks.parquet");
    std::fs::copy(ticks, scratch.path("market.parquet")).unwrap();
    let config = experiment(
        "sine",
        "features: [{close: {}}, {sma: {period: 10}}, {rsi: {period: 14}}, {macd: {}}]\n\
         target: {forward_value: {horizons_bars: 1..5}}\ntrain: {epochs: 20}\nmodels:\n  \
         lstm: {lstm: {window: 60, layers: [100, 50]}}\n  transformer: {transformer: {window: 60}}\n  \
         patch_transformer: {patch_transformer: {window: 60}}\n  ridge: {linear: {window: 60}}\n",
    );
    let config = config.replace("market.parquet", "market.parquet, columns: {series: [price]}");
    let exports = ["lstm", "transformer", "patch_transformer", "ridge"].map(|model| (model, &[][..]));
    compare(&scratch, &python, vec![Trial { name: "sine", config, exports: exports.to_vec() }]);
}

/// Runs every experiment, exports its models and compares what onnxruntime makes of them.
fn compare(scratch: &Scratch, python: &Path, trials: Vec<Trial>) {
    let mut cases = Vec::new();
    for trial in trials {
        let finished = finish(scratch, trial.name, &trial.config);
        for (model, further) in trial.exports {
            let document = export(scratch, &finished.run, model, further);
            let (windows, forecasts) = finished.windows_and_forecasts(&document);
            let stem = format!("{}_{}", trial.name, cases.len());
            numbers(&scratch.path(&format!("{stem}.windows")), &windows);
            numbers(&scratch.path(&format!("{stem}.forecasts")), &forecasts);
            cases.push(serde_json::json!({
                "name": format!("{} {model} {}", trial.name, further.join(" ")),
                "model": scratch.path(document["file"].as_str().unwrap()),
                "windows": scratch.path(&format!("{stem}.windows")),
                "forecasts": scratch.path(&format!("{stem}.forecasts")),
                "bound": finished.bound(&document),
                "document": document,
            }));
        }
    }
    let file = scratch.write("cases.json", &serde_json::to_string(&cases).unwrap());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/onnx/check.py");
    let done = Command::new(python).arg(script).arg(file).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    let results: Vec<Value> = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(results.len(), cases.len());
    for (result, case) in results.iter().zip(&cases) {
        let number = |name: &str| result[name].as_f64().unwrap();
        println!(
            "{}: {} bytes, bound {:.1e}, difference {:.1e} together, {:.1e} alone, {:.1} us a window together, {:.0} alone",
            result["name"].as_str().unwrap(),
            case["document"]["bytes"],
            case["bound"].as_f64().unwrap(),
            number("difference"),
            number("difference_alone"),
            number("microseconds_together"),
            number("microseconds_alone"),
        );
        agrees(result, case);
    }
}

fn agrees(result: &Value, case: &Value) {
    let (name, document) = (result["name"].as_str().unwrap(), &case["document"]);
    let count = |field: &str| document[field].as_array().unwrap().len();
    assert_eq!(result["windows"], 1000, "{name}");
    let shape =
        serde_json::json!(["window", "tensor(double)", "batch", document["window"], count("features")]);
    assert_eq!(result["input"], shape, "{name}");
    let shape = serde_json::json!(["forecast", "tensor(double)", "batch", count("horizons_bars")]);
    assert_eq!(result["output"], shape, "{name}");
    for fact in ["experiment", "model", "model_version", "kind", "label", "unit", "plan_sha256"] {
        assert_eq!(result["metadata"][fact], document[fact], "{name} {fact}");
    }
    let exact = matches!(document["kind"].as_str().unwrap(), "linear" | "logistic" | "naive");
    let bound = if exact { 1e-12 } else { case["bound"].as_f64().unwrap() };
    for difference in ["difference", "difference_alone"] {
        let difference = result[difference].as_f64().unwrap();
        assert!(difference <= bound, "{name}: {difference:e} is more than {bound:e}");
    }
}

/// An initialiser: its type, shape and numbers.
struct Constant {
    name: String,
    element: u64,
    shape: Vec<u64>,
    raw: Vec<u8>,
}

impl Constant {
    fn doubles(&self) -> Vec<f64> {
        assert_eq!(self.element, 11, "{}", self.name);
        self.raw.chunks_exact(8).map(|bytes| f64::from_le_bytes(bytes.try_into().unwrap())).collect()
    }
}

fn whole(message: &[u8], number: u64) -> Vec<u64> {
    let of_number = fields(message).into_iter().filter(|(field, _)| *field == number);
    of_number
        .map(|(_, field)| match field {
            Field::Whole(value) => value,
            other => panic!("field {number} is {other:?}"),
        })
        .collect()
}

fn text(message: &[u8], number: u64) -> String {
    String::from_utf8(bytes_of(message, number)).unwrap()
}

fn constants(graph: &[u8]) -> Vec<Constant> {
    let read = |tensor: Vec<u8>| Constant {
        name: text(&tensor, 8),
        element: whole(&tensor, 2)[0],
        shape: whole(&tensor, 1),
        raw: bytes_of(&tensor, 9),
    };
    all_bytes_of(graph, 5).into_iter().map(read).collect()
}

/// The operators of a graph whose values all exist before they are used, and have names of their own.
fn operators(graph: &[u8]) -> Vec<String> {
    let mut known: Vec<String> = constants(graph).into_iter().map(|constant| constant.name).collect();
    known.extend(all_bytes_of(graph, 11).iter().map(|input| text(input, 1)));
    let mut found = Vec::new();
    for node in all_bytes_of(graph, 1) {
        for input in all_bytes_of(&node, 1) {
            let input = String::from_utf8(input).unwrap();
            assert!(known.contains(&input), "{input} is used before it is made");
        }
        for output in all_bytes_of(&node, 2).into_iter().filter(|output| !output.is_empty()) {
            let output = String::from_utf8(output).unwrap();
            assert!(!known.contains(&output), "{output} is made twice");
            known.push(output);
        }
        found.push(text(&node, 4));
    }
    found
}

#[test]
fn a_file_holds_the_scaler_and_the_network_and_says_what_they_are() {
    let scratch = Scratch::new();
    scratch.market(BARS, 0.1);
    let config = experiment(
        "small",
        &format!(
            "{FEATURES}target: {{forward_return: {{horizons_bars: [1, 4]}}}}\ntrain: {{epochs: 1}}\nmodels:\n  \
             lstm: {{lstm: {{window: 6, layers: [5, 3]}}}}\n  ridge: {{linear: {{window: 3}}}}\n  daily: {{seasonal: {{period: 24}}}}\n"
        ),
    );
    let finished = finish(&scratch, "small", &config);
    let document = export(&scratch, &finished.run, "lstm", &["--out", "lstm.onnx"]);
    let file = std::fs::read(scratch.path("lstm.onnx")).unwrap();
    assert_eq!(document["bytes"], file.len());
    assert_eq!((whole(&file, 1), text(&file, 2)), (vec![8], "candlewick".into()));
    let operator_set = bytes_of(&file, 8);
    assert_eq!((bytes_of(&operator_set, 1), whole(&operator_set, 2)), (vec![], vec![17]));
    let metadata: Vec<(String, String)> =
        all_bytes_of(&file, 14).iter().map(|entry| (text(entry, 1), text(entry, 2))).collect();
    let fact = |wanted: &str| metadata.iter().find(|(key, _)| key == wanted).unwrap().1.clone();
    assert_eq!(fact("features"), r#"["log_return_1","log_return_2","log_return_4","rsi_14","close"]"#);
    assert_eq!(serde_json::from_str::<Vec<String>>(&fact("features")).unwrap(), finished.features.names());
    assert_eq!(
        (fact("window"), fact("horizons_bars"), fact("fold")),
        ("6".into(), "[1,4]".into(), "0".into())
    );
    assert_eq!((fact("label"), fact("plan_sha256")), ("return".into(), finished.plan.sha256.clone()));

    let graph = bytes_of(&file, 7);
    let expected = "Sub Mul Cast Transpose LSTM Squeeze LSTM Squeeze MatMul Add Cast Mul Add Identity";
    assert_eq!(operators(&graph).join(" "), expected);
    let shapes: Vec<(String, Vec<u64>)> =
        constants(&graph).into_iter().map(|constant| (constant.name, constant.shape)).collect();
    let shape = |wanted: &str| &shapes.iter().find(|(name, _)| name == wanted).unwrap().1[..];
    assert_eq!((shape("scaler/offset"), shape("scaler/factor")), (&[5][..], &[5][..]));
    assert_eq!(shape("model/lstm.0/W"), [1, 20, 5]);
    assert_eq!(shape("model/lstm.0/R"), [1, 20, 5]);
    assert_eq!(shape("model/lstm.1/W"), [1, 12, 5]);
    assert_eq!(shape("model/lstm.1/R"), [1, 12, 3]);
    assert_eq!(shape("model/lstm.1/B"), [1, 24]);
    assert_eq!(shape("model/head/weight"), [3, 2]);
    for constant in constants(&graph) {
        let width = if constant.element == 1 { 4 } else { 8 };
        assert_eq!(constant.raw.len() as u64, width * constant.shape.iter().product::<u64>());
    }
    let again = export(&scratch, &finished.run, "lstm", &[]);
    assert_eq!(again["sha256"], document["sha256"], "the same bytes every time");

    ridge_by_plain_arithmetic(&scratch, &finished);
    refusals(&scratch, &finished);
}

/// The graph of a linear model, computed by hand from the bytes of its file.
fn ridge_by_plain_arithmetic(scratch: &Scratch, finished: &Finished) {
    let document = export(scratch, &finished.run, "ridge", &["--fold", "0"]);
    let default = finished.run.join("onnx/ridge-fold-0.onnx");
    assert_eq!(scratch.path(document["file"].as_str().unwrap()), default);
    let graph = bytes_of(&std::fs::read(default).unwrap(), 7);
    assert_eq!(operators(&graph).join(" "), "Sub Mul Cast Cast Reshape MatMul Add Identity");
    let constants = constants(&graph);
    let doubles = |wanted: &str| constants.iter().find(|constant| constant.name == wanted).unwrap().doubles();
    let (offset, factor) = (doubles("scaler/offset"), doubles("scaler/factor"));
    let (coefficients, intercept) = (doubles("model/coefficients"), doubles("model/intercept"));
    let (windows, forecasts) = finished.windows_and_forecasts(&document);
    assert_eq!((windows.len(), forecasts.len(), coefficients.len()), (15_000, 2_000, 30));
    for (window, forecast) in windows.chunks_exact(15).zip(forecasts.chunks_exact(2)) {
        for (horizon, forecast) in forecast.iter().enumerate() {
            let scaled =
                window.iter().enumerate().map(|(k, raw)| ((raw - offset[k % 5]) * factor[k % 5]) as f32);
            let products = scaled.enumerate().map(|(k, x)| f64::from(x) * coefficients[2 * k + horizon]);
            let sum = intercept[horizon] + products.sum::<f64>();
            assert!((sum - forecast).abs() < 1e-15, "{sum} {forecast}");
        }
    }
}

fn refusals(scratch: &Scratch, finished: &Finished) {
    let run = finished.run.display().to_string();
    let refused = |further: &[&str], code: i32, words: &str| {
        let done = scratch.candlewick(&[&["export", "onnx", &run], further].concat()).exits(code);
        assert!(done.stderr.contains(words), "{words}\n{}", done.stderr);
    };
    refused(&[], 2, "the run has several models; name one with --model: lstm, ridge, daily");
    refused(
        &["--model", "daily"],
        2,
        "model daily: it cannot be exported: its forecast is no function of a window",
    );
    refused(
        &["--model", "rigde"],
        2,
        "the run has no model `rigde` (did you mean `ridge`?); there are lstm, ridge, daily",
    );
    refused(&["--model", "lstm", "--fold", "3"], 2, "lstm has no fold 3; it has 0");
    refused(
        &["--model", "lstm", "--seed", "1"],
        2,
        "there is no seed 1: this fold has 1 network, counted from 0",
    );
    refused(&["--model", "lstm", "--symbol", "S9"], 2, "the run has no symbol `S9`; it has");
    let weights = finished.run.join("models/fold-0/lstm/model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    refused(&["--model", "lstm"], 1, "its checksum is not that of the manifest");
    std::fs::remove_file(finished.run.join("manifest.json")).unwrap();
    refused(&["--model", "lstm"], 2, "is not complete; continue it with `candlewick run --resume");
}

#[test]
fn a_graph_serves_one_symbol_where_scalers_or_units_differ() {
    let scratch = Scratch::new();
    scratch.market(BARS, 0.1);
    let config = experiment(
        "changes",
        "features: [{close: {}}]\ntarget: {forward_change: {horizons_bars: [1]}}\nmodels:\n  \
         ridge: {linear: {window: 3, normalisation: last_value}}\n",
    );
    let finished = finish(&scratch, "changes", &config);
    let run = finished.run.display().to_string();
    let done = scratch.candlewick(&["export", "onnx", &run]).exits(2);
    let words = format!("name it with --symbol: {}", finished.symbols.join(", "));
    assert!(done.stderr.contains(&words), "{}", done.stderr);
    let graphs: Vec<Vec<u8>> = finished
        .symbols
        .iter()
        .map(|symbol| {
            let document = export(&scratch, &finished.run, "ridge", &["--symbol", symbol]);
            assert_eq!(document["symbol"], symbol.as_str());
            bytes_of(&std::fs::read(scratch.path(document["file"].as_str().unwrap())).unwrap(), 7)
        })
        .collect();
    let units: Vec<f64> = graphs
        .iter()
        .map(|graph| {
            constants(graph).iter().find(|constant| constant.name == "target_unit").unwrap().doubles()[0]
        })
        .collect();
    assert!(units[0] != units[1] && units.iter().all(|unit| *unit > 0.0), "{units:?}");
}

#[test]
fn the_builder_names_every_value_and_writes_every_field() {
    let mut graph = GraphBuilder::new("small");
    let x = graph.input(ValueInfoProto::batch("x", ElementType::Float, &[300], "given"));
    let sum = graph.within("part", |graph| {
        let one = graph.float("one", 1.5);
        let twice = graph.add(&x, &one);
        graph.add(&twice, &one)
    });
    let model = ModelProto {
        producer_name: "test".into(),
        producer_version: "1".into(),
        doc_string: "about".into(),
        graph: graph.finish(&sum, ValueInfoProto::batch("y", ElementType::Float, &[300], "got")),
        metadata: vec![("key".into(), "value".into())],
    };
    let names: Vec<&str> = model.graph.nodes.iter().map(|node| &node.name[..]).collect();
    assert_eq!(names, ["part/Add", "part/Add_2", "y"]);
    assert_eq!(model.graph.initializers[0].data, TensorData::Floats(vec![1.5]));
    let bytes = model.encode();
    assert_eq!(
        (text(&bytes, 2), text(&bytes, 3), text(&bytes, 6)),
        ("test".into(), "1".into(), "about".into())
    );
    let graph = bytes_of(&bytes, 7);
    assert_eq!(operators(&graph), ["Add", "Add", "Identity"]);
    assert_eq!(text(&graph, 2), "small");
    // TypeProto 2, tensor_type 1, shape 2, dim 1.
    let kind = bytes_of(&bytes_of(&bytes_of(&graph, 11), 2), 1);
    assert_eq!(whole(&kind, 1), [1]);
    let dimensions = all_bytes_of(&bytes_of(&kind, 2), 1);
    assert_eq!((text(&dimensions[0], 2), whole(&dimensions[1], 1)), ("batch".into(), vec![300]));
}
