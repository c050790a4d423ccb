//! The report: drawn from a seeded run directory of realistic size and read again as text.

use candlewick::metrics::{ForecastMetrics, TradingMetrics};
use candlewick::report::{ReportError, compare, render, terminal};
use candlewick::rundir::{
    BacktestSummary, Column, Conclusion, DataSummary, Manifest, ModelSummary, SpreadSummary, Stage,
    StrategyKind, StrategySummary, Summary, TableFile, Verdict,
};
use candlewick::seed::Seed;
use candlewick::units::Time;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

const HOUR: i64 = 3_600_000_000_000;
const SYMBOLS: [&str; 5] = ["ALPHA", "BETA", "GAMMA", "DELTA", "EPSILON"];
const MODELS: [(&str, &str); 3] =
    [("small_lstm", "lstm"), ("small_transformer", "transformer"), ("ridge", "linear")];
const BASELINES: [&str; 9] =
    ["hold", "sma", "momentum", "mean_reversion", "bollinger", "breakout", "rsi", "random", "flat"];
const SHARPES: [f64; 12] = [1.24, 0.71, 0.38, 0.93, 0.52, -0.22, 0.11, -0.61, 0.31, -0.9, -0.6, 0.0];
const HORIZONS: [u32; 2] = [1, 24];

/// A synthetic run: what to build and how large.
struct Synthetic {
    bars: usize,
    seed: u64,
    /// The name of the first book on a model.
    first: &'static str,
}

impl Default for Synthetic {
    fn default() -> Self {
        Synthetic { bars: 8760, seed: 7, first: "lstm" }
    }
}

impl Synthetic {
    fn names(&self) -> Vec<String> {
        let models = [self.first, "transformer", "ridge_signal"];
        models.iter().chain(&BASELINES).map(|name| (*name).to_owned()).collect()
    }

    fn times(&self) -> Vec<Time> {
        let start = Time::parse("2022-12-20").unwrap().0;
        (0..self.bars as i64).map(|bar| Time(start + bar * HOUR)).collect()
    }

    /// Writes every file and returns the summary.
    fn write(&self, folder: &Path) -> Summary {
        fs::create_dir_all(folder).unwrap();
        let books = self.equity(folder);
        let summary = self.summary(folder, &books);
        let json = serde_json::to_string_pretty(&summary).unwrap();
        fs::write(folder.join("summary.json"), json).unwrap();
        self.fills(folder);
        self.predictions(folder);
        self.folds(folder);
        self.training(folder);
        let config = "# candlewick run config.yaml\nname: crypto-hourly\nseed: 7\nmodels:\n  small_lstm: {lstm: {window: 60}}\n";
        fs::write(
            folder.join("config.yaml"),
            format!("{config}strategies:\n  hold: {{buy_and_hold: {{}}}}\n"),
        )
        .unwrap();
        fs::write(folder.join("resolved.yaml"), config).unwrap();
        fs::write(folder.join("manifest.json"), serde_json::to_string(&manifest()).unwrap()).unwrap();
        summary
    }

    /// Random walks of growing hopelessness; the books by name with their metrics.
    fn equity(&self, folder: &Path) -> Vec<(String, TradingMetrics)> {
        let times = self.times();
        let mut columns = (vec![], vec![], vec![], vec![], vec![], vec![]);
        let mut books = Vec::new();
        for (index, name) in self.names().into_iter().enumerate() {
            let mut stream = Seed(self.seed).stream("equity", index as u64);
            let noise: Vec<f64> = times.iter().map(|_| 0.004 * stream.normal()).collect();
            let mean = noise.iter().sum::<f64>() / noise.len() as f64;
            // The drift gives each book about the Sharpe ratio that is wanted of it.
            let drift = SHARPES[index] * 0.004 / 8760.0_f64.sqrt() - mean;
            let (mut equity, mut high, mut deepest) = (100_000.0_f64, 100_000.0_f64, 0.0_f64);
            let mut returns = Vec::new();
            for (time, noise) in times.iter().zip(noise) {
                let step = if name == "flat" { 0.0 } else { drift + noise };
                equity *= 1.0 + step;
                high = high.max(equity);
                deepest = deepest.min(equity / high - 1.0);
                returns.push(step);
                columns.0.push(name.clone());
                columns.1.push(*time);
                columns.2.push(equity);
                columns.3.push(if name == "flat" { equity } else { 0.0 });
                columns.4.push(if name == "flat" { 0.0 } else { 1.0 });
                columns.5.push(equity / high - 1.0);
            }
            books.push((name, trading(&returns, equity, deepest, index)));
        }
        TableFile::default()
            .with("strategy", Column::Text(columns.0))
            .with("timestamp", Column::Time(columns.1))
            .with("equity", Column::Float(columns.2))
            .with("cash", Column::Float(columns.3))
            .with("exposure", Column::Float(columns.4))
            .with("drawdown", Column::Float(columns.5))
            .write(&folder.join("equity.parquet"))
            .unwrap();
        books
    }

    fn fills(&self, folder: &Path) {
        let mut stream = Seed(self.seed).stream("fills", 0);
        let times = self.times();
        let (mut names, mut symbols, mut moments, mut sides) = (vec![], vec![], vec![], vec![]);
        let (mut quantity, mut price, mut fee) = (vec![], vec![], vec![]);
        for name in self.names().into_iter().filter(|name| name != "flat") {
            for fill in 0..400 {
                names.push(name.clone());
                symbols.push(SYMBOLS[fill % 5].to_owned());
                moments.push(times[fill * times.len() / 400]);
                sides.push(if fill % 2 == 0 { "buy" } else { "sell" }.to_owned());
                quantity.push(100.0);
                price.push(100.0 + stream.normal());
                fee.push(10.0);
            }
        }
        TableFile::default()
            .with("strategy", Column::Text(names))
            .with("symbol", Column::Text(symbols))
            .with("timestamp", Column::Time(moments))
            .with("side", Column::Text(sides))
            .with("quantity", Column::Float(quantity))
            .with("price", Column::Float(price))
            .with("fee", Column::Float(fee))
            .write(&folder.join("fills.parquet"))
            .unwrap();
    }

    fn predictions(&self, folder: &Path) {
        let times = self.times();
        let (mut models, mut folds, mut symbols, mut moments) = (vec![], vec![], vec![], vec![]);
        let (mut horizons, mut prediction, mut actual) = (vec![], vec![], vec![]);
        for (index, (model, _)) in MODELS.iter().enumerate() {
            let mut stream = Seed(self.seed).stream("predictions", index as u64);
            for (bar, time) in times.iter().enumerate() {
                for symbol in SYMBOLS {
                    for horizon in HORIZONS {
                        let forecast = 2e-4 * stream.normal();
                        let noise = 0.005 * f64::from(horizon).sqrt() * stream.normal();
                        models.push((*model).to_owned());
                        folds.push((4 * bar / times.len()) as i64);
                        symbols.push(symbol.to_owned());
                        moments.push(*time);
                        horizons.push(i64::from(horizon));
                        prediction.push(if *model == "ridge" { 1e-4 } else { forecast });
                        let known = bar + (horizon as usize) < times.len();
                        actual.push(if known { forecast + noise } else { f64::NAN });
                    }
                }
            }
        }
        TableFile::default()
            .with("model", Column::Text(models))
            .with("fold", Column::Integer(folds))
            .with("symbol", Column::Text(symbols))
            .with("timestamp", Column::Time(moments))
            .with("horizon", Column::Integer(horizons))
            .with("prediction", Column::Float(prediction))
            .with("actual", Column::Float(actual))
            .write(&folder.join("predictions.parquet"))
            .unwrap();
    }

    fn folds(&self, folder: &Path) {
        let times = self.times();
        let part = times.len() / 4;
        let first = |fold: usize| times[fold * part];
        let shift = |time: Time, days: i64| Time(time.0 + days * 24 * HOUR);
        let moments = |days: i64| Column::Time((0..4).map(|fold| shift(first(fold), days)).collect());
        let windows = |count: i64| Column::Integer(vec![count; 4]);
        let test_end = (0..4).map(|fold| times[((fold + 1) * part).min(times.len()) - 1]).collect();
        TableFile::default()
            .with("fold", Column::Integer((0..4).collect()))
            .with("train_start", moments(-400))
            .with("train_end", moments(-62))
            .with("validation_start", moments(-60))
            .with("validation_end", moments(-2))
            .with("test_start", moments(0))
            .with("test_end", Column::Time(test_end))
            .with("train_windows", windows(40_560))
            .with("validation_windows", windows(6960))
            .with("test_windows", windows(10_950))
            .write(&folder.join("folds.parquet"))
            .unwrap();
    }

    fn training(&self, folder: &Path) {
        let (mut models, mut folds, mut epochs) = (vec![], vec![], vec![]);
        let (mut training, mut validation, mut rate) = (vec![], vec![], vec![]);
        for (index, (model, _)) in MODELS.iter().take(2).enumerate() {
            let mut stream = Seed(self.seed).stream("training", index as u64);
            for fold in 0..4 {
                for epoch in 0..20 {
                    let progress = (-f64::from(epoch) / 5.0).exp();
                    models.push((*model).to_owned());
                    folds.push(fold);
                    epochs.push(i64::from(epoch) + 1);
                    training.push(0.93 + 0.1 * progress - 0.002 * f64::from(epoch) + 0.002 * stream.normal());
                    validation
                        .push(0.97 + 0.06 * progress + 0.001 * f64::from(epoch) + 0.004 * stream.normal());
                    rate.push(1e-3);
                }
            }
        }
        TableFile::default()
            .with("model", Column::Text(models))
            .with("fold", Column::Integer(folds))
            .with("epoch", Column::Integer(epochs))
            .with("training_loss", Column::Float(training))
            .with("validation_loss", Column::Float(validation))
            .with("learning_rate", Column::Float(rate))
            .write(&folder.join("training.parquet"))
            .unwrap();
    }

    fn summary(&self, folder: &Path, books: &[(String, TradingMetrics)]) -> Summary {
        let times = self.times();
        let (start, end) = (times[0].to_string(), times[times.len() - 1].to_string());
        let strategies: Vec<StrategySummary> = books
            .iter()
            .enumerate()
            .map(|(index, (name, metrics))| self.book(index, name, metrics))
            .collect();
        let sharpe = |index: usize| strategies[index].metrics.sharpe.unwrap_or(0.0);
        let best =
            (3..strategies.len()).max_by(|left, right| sharpe(*left).total_cmp(&sharpe(*right))).unwrap();
        let difference = sharpe(0) - sharpe(best);
        let verdict = Verdict {
            best_model: strategies[0].name.clone(),
            best_baseline: strategies[best].name.clone(),
            sharpe_difference: difference,
            interval: [difference - 1.43, difference + 1.39],
            trials: 3,
            conclusion: Conclusion::NotProven,
            choice: "Of 3 books on models the one with the best Sharpe ratio on the validation bars before the first test bar."
                .into(),
        };
        Summary {
            run_dir: format!("runs/{}", folder.file_name().unwrap().to_string_lossy()),
            name: "crypto-hourly".into(),
            seed: 7,
            device: "cpu".into(),
            threads: 2,
            data: data(),
            stages: stages(),
            models: MODELS.iter().map(|(name, kind)| model(name, kind)).collect(),
            strategies,
            verdict: Some(verdict),
            backtest: Some(BacktestSummary {
                start,
                end,
                bars: times.len(),
                cash: 100_000.0,
                fill: "next_open".into(),
                costs: vec!["fee 10 bps of notional, each side".into(), "slippage 2 bps".into()],
                sizing: "all in".into(),
                periods_per_year: 8760.0,
            }),
            warnings: vec!["2 of 3 models stopped at the last epoch: more epochs may help".into()],
        }
    }

    fn book(&self, index: usize, name: &str, metrics: &TradingMetrics) -> StrategySummary {
        let is_model = index < MODELS.len();
        let mut stream = Seed(self.seed).stream("spread", 0);
        let mut sharpes: Vec<f64> = (0..1000).map(|_| -0.6 + 0.9 * stream.normal()).collect();
        sharpes.sort_by(f64::total_cmp);
        let quantiles = [50, 250, 500, 750, 950].map(|rank| sharpes[rank]);
        StrategySummary {
            name: name.to_owned(),
            kind: if is_model { StrategyKind::Model } else { StrategyKind::Baseline },
            strategy: if is_model { "model_signal" } else { name }.to_owned(),
            model: is_model.then(|| MODELS[index].0.to_owned()),
            metrics: metrics.clone(),
            sharpe_interval: metrics.sharpe.map(|sharpe| [sharpe - 1.9, sharpe + 1.95]),
            validation_sharpe: is_model.then_some(1.1),
            spread: (name == "random").then(|| SpreadSummary {
                books: sharpes.len(),
                sharpe_quantiles: quantiles,
                sharpes: sharpes.clone(),
            }),
            bankrupt_at: (name == "breakout").then(|| "2023-08-01T05:00:00Z".to_owned()),
        }
    }
}

fn trading(returns: &[f64], equity: f64, deepest: f64, index: usize) -> TradingMetrics {
    let mean = returns.iter().sum::<f64>() / returns.len() as f64;
    let squares: f64 = returns.iter().map(|value| (value - mean).powi(2)).sum();
    let deviation = (squares / (returns.len() as f64 - 1.0)).sqrt();
    let total = equity / 100_000.0 - 1.0;
    let moved = deviation > 0.0;
    TradingMetrics {
        total_return: Some(total),
        cagr: Some(total),
        volatility: Some(deviation * 8760.0_f64.sqrt()),
        sharpe: moved.then(|| mean / deviation * 8760.0_f64.sqrt()),
        sortino: moved.then(|| 1.4 * mean / deviation * 8760.0_f64.sqrt()),
        max_drawdown: Some(deepest),
        calmar: moved.then(|| -total / deepest),
        turnover: Some(if moved { 31.7 + index as f64 } else { 0.0 }),
        trades: if moved { 200 } else { 0 },
        win_rate: moved.then_some(0.512),
        exposure: Some(if moved { 0.83 } else { 0.0 }),
        fees: if moved { 4000.0 } else { 0.0 },
        ..TradingMetrics::default()
    }
}

fn data() -> DataSummary {
    DataSummary {
        path: "datasets/market_1h.parquet".into(),
        rows: 131_400,
        symbols: SYMBOLS.map(str::to_owned).to_vec(),
        start: "2021-01-01T00:00:00Z".into(),
        end: "2023-12-31T23:00:00Z".into(),
        sha256: "5f".repeat(32),
        interval_seconds: 3600.0,
        repairs: vec!["2 duplicate bars dropped".into()],
    }
}

fn stages() -> Vec<Stage> {
    [("load", 0.12), ("features", 0.31), ("fit", 64.2), ("backtest", 0.8), ("score", 1.9)]
        .map(|(name, seconds)| Stage { name: name.into(), seconds, cpu_seconds: 1.9 * seconds })
        .to_vec()
}

fn model(name: &str, kind: &str) -> ModelSummary {
    let metrics = ForecastMetrics {
        rows: 87_000,
        mse: Some(2.5e-5),
        mae: Some(3.7e-3),
        directional_accuracy: Some(0.513),
        directional_base_rate: Some(0.507),
        ic: Some(0.021),
        rank_ic: Some(0.019),
        ..ForecastMetrics::default()
    };
    ModelSummary {
        name: name.into(),
        kind: kind.into(),
        parameters: 74_113,
        samples_per_second: Some(18_230.0),
        samples_per_cpu_second: Some(9120.0),
        training_windows: 162_240,
        metrics: metrics.clone(),
        by_horizon: vec![metrics.clone(); HORIZONS.len()],
        horizons: HORIZONS.to_vec(),
        validation_metrics: metrics,
    }
}

fn manifest() -> Manifest {
    Manifest {
        version: "0.1.0".into(),
        name: "crypto-hourly".into(),
        seed: 7,
        plan_sha256: "3f".repeat(32),
        data_sha256: "5f".repeat(32),
        device: "cpu".into(),
        device_reason: "no GPU was found".into(),
        trials: 3,
        stop_reason: "completed".into(),
        files: BTreeMap::new(),
    }
}

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
        page.contains("Against 1,000 random books") && page.contains("<b class=\"model\">lstm</b> beats 9")
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
    fs::remove_file(run.join("manifest.json")).unwrap();
    fs::remove_file(run.join("resolved.yaml")).unwrap();
    summary.models.clear();
    summary.verdict = None;
    fs::write(run.join("summary.json"), serde_json::to_string(&summary).unwrap()).unwrap();
    let page = drawn(&run);
    assert_eq!(sections(&page, &["training", "forecasts", "folds", "by-fold"]), 0);
    assert_eq!(sections(&page, &["strategies", "equity", "months", "costs", "provenance"]), 5);
    assert!(page.contains("there is nothing to pass a verdict on"));

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
    let months = page.split("<caption>lstm</caption>").nth(1).unwrap().split("</table>").next().unwrap();
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
        assert!(lines.iter().all(|line| line.chars().count() <= width), "{width}:\n{text}");
        let sentence = text[text.find("The model ").unwrap()..].replace('\n', " ");
        assert!(sentence.trim_end().ends_with("after 3 trials: not proven"), "{sentence}");
        assert!(text.contains("Sharpe") && !text.contains('\x1b'));
        assert_eq!(text.contains("trades"), width >= 80, "{width}:\n{text}");
    }
    let text = terminal(&summary, 80, false);
    let place = |name: &str| text.lines().position(|line| line.trim_start().starts_with(name)).unwrap();
    assert!(place("ridge_signal") < place("hold"), "models first");
    let coloured = terminal(&summary, 80, true);
    assert!(coloured.contains("\x1b[1;36m") && coloured.contains("\x1b[1;33mnot proven\x1b[0m"));
}

/// Leaves a full run where a person can look at it: `CANDLEWICK_REPORT_EXAMPLE=/some/folder`.
#[test]
#[ignore = "writes a page for people to look at"]
fn an_example_to_look_at() {
    let Some(root) = std::env::var_os("CANDLEWICK_REPORT_EXAMPLE").map(PathBuf::from) else { return };
    let runs = [root.join("first"), root.join("second")];
    for (index, run) in runs.iter().enumerate() {
        Synthetic { seed: 7 + index as u64, ..Synthetic::default() }.write(run);
    }
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
