//! A seeded synthetic run directory of realistic size.

use super::synthetic_grids::{self, SyntheticGrid};
use candlewick::metrics::{ForecastMetrics, TradingMetrics};
use candlewick::rundir::{
    BacktestSummary, Column, Conclusion, DataSummary, ModelSummary, SpreadSummary, Stage, StrategyKind,
    StrategySummary, Summary, TableFile, Verdict,
};
use candlewick::seed::Seed;
use candlewick::units::Time;
use std::fs;
use std::path::Path;

const HOUR: i64 = 3_600_000_000_000;
const SYMBOLS: [&str; 5] = ["ALPHA", "BETA", "GAMMA", "DELTA", "EPSILON"];
const MODELS: [(&str, &str); 3] =
    [("small_lstm", "lstm"), ("small_transformer", "transformer"), ("ridge", "linear")];
const BASELINES: [&str; 9] =
    ["hold", "sma", "momentum", "mean_reversion", "bollinger", "breakout", "rsi", "random", "flat"];
const SHARPES: [f64; 12] = [1.24, 0.71, 0.38, 0.93, 0.52, -0.22, 0.11, -0.61, 0.31, -0.9, -0.6, 0.0];
const HORIZONS: [u32; 2] = [1, 24];

/// A synthetic run: what to build and how large.
pub(super) struct Synthetic {
    pub(super) bars: usize,
    pub(super) seed: u64,
    /// The name of the first book on a model.
    pub(super) first: &'static str,
    /// With grids, an audit, intervals and cost scenarios.
    pub(super) complete: bool,
}

impl Default for Synthetic {
    fn default() -> Self {
        Synthetic { bars: 8760, seed: 7, first: "lstm", complete: false }
    }
}

impl Synthetic {
    fn names(&self) -> Vec<String> {
        let models = [self.first, "transformer", "ridge_signal"];
        let names = models.iter().chain(&BASELINES).map(|name| (*name).to_owned());
        names.chain(self.grids().iter().map(SyntheticGrid::best_name)).collect()
    }

    pub(super) fn grids(&self) -> Vec<SyntheticGrid> {
        if self.complete { synthetic_grids::all() } else { Vec::new() }
    }

    /// The Sharpe ratio that each book should have.
    fn sharpes(&self) -> Vec<f64> {
        let best = |grid: &SyntheticGrid| grid.books[grid.best()].1;
        SHARPES.iter().copied().chain(self.grids().iter().map(best)).collect()
    }

    fn times(&self) -> Vec<Time> {
        let start = Time::parse("2022-12-20").unwrap().0;
        (0..self.bars as i64).map(|bar| Time(start + bar * HOUR)).collect()
    }

    /// Writes every file and returns the summary.
    pub(super) fn write(&self, folder: &Path) -> Summary {
        fs::create_dir_all(folder).unwrap();
        let books = self.equity(folder);
        let summary = self.summary(folder, &books);
        if self.complete {
            let best: Vec<TradingMetrics> =
                books[SHARPES.len()..].iter().map(|(_, metrics)| metrics.clone()).collect();
            synthetic_grids::write_books(folder, &self.grids(), &best);
        }
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
        summary
    }

    /// Random walks of growing hopelessness; the books by name with their metrics.
    pub(super) fn equity(&self, folder: &Path) -> Vec<(String, TradingMetrics)> {
        let times = self.times();
        let mut columns = (vec![], vec![], vec![], vec![], vec![], vec![]);
        let (mut books, sharpes) = (Vec::new(), self.sharpes());
        for (index, name) in self.names().into_iter().enumerate() {
            let mut stream = Seed(self.seed).stream("equity", index as u64);
            let noise: Vec<f64> = times.iter().map(|_| 0.004 * stream.normal()).collect();
            let mean = noise.iter().sum::<f64>() / noise.len() as f64;
            // The drift gives each book about the Sharpe ratio that is wanted of it.
            let drift = sharpes[index] * 0.004 / 8760.0_f64.sqrt() - mean;
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
            .with("strategy", Column::Text(columns.0.iter().map(|name| name.as_str().into()).collect()))
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
            .with("strategy", Column::Text(names.iter().map(|name| name.as_str().into()).collect()))
            .with("symbol", Column::Text(symbols.iter().map(|name| name.as_str().into()).collect()))
            .with("timestamp", Column::Time(moments))
            .with("side", Column::Text(sides.iter().map(|name| name.as_str().into()).collect()))
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
            .with("model", Column::Text(models.iter().map(|name| name.as_str().into()).collect()))
            .with("fold", Column::Integer(folds))
            .with("symbol", Column::Text(symbols.iter().map(|name| name.as_str().into()).collect()))
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
            .with("model", Column::Text(models.iter().map(|name| name.as_str().into()).collect()))
            .with("fold", Column::Integer(folds))
            .with("epoch", Column::Integer(epochs))
            .with("training_loss", Column::Float(training))
            .with("validation_loss", Column::Float(validation))
            .with("learning_rate", Column::Float(rate))
            .write(&folder.join("training.parquet"))
            .unwrap();
    }

    pub(super) fn summary(&self, folder: &Path, books: &[(String, TradingMetrics)]) -> Summary {
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
            p_value: Some(0.63),
            trials: 3,
            conclusion: Conclusion::NotProven,
            choice: "Of 3 books on models the one with the best Sharpe ratio on the validation bars before the first test bar."
                .into(),
        };
        Summary {
            run_dir: format!("runs/{}", folder.file_name().unwrap().to_string_lossy()),
            name: "crypto-hourly".into(),
            seed: 7,
            version: "0.1.0".into(),
            plan_sha256: "3f".repeat(32),
            device: "cpu".into(),
            device_reason: "no GPU was found".into(),
            threads: 2,
            data: data(),
            stages: stages(),
            seconds_to_first_step: Some(0.05),
            target: None,
            noise_floor: None,
            models: MODELS.iter().map(|(name, kind)| model(name, kind)).collect(),
            strategies,
            grids: self.grids().iter().map(SyntheticGrid::summary).collect(),
            audit: self.complete.then(|| synthetic_grids::audit(true)),
            verdict: Some(verdict),
            backtest: Some(BacktestSummary {
                start,
                end,
                bars: times.len(),
                cash: 100_000.0,
                fill: "next_open".into(),
                costs: vec!["fee 10 bps of notional, each side".into(), "slippage 2 bps".into()],
                sizing: "all in".into(),
                exits: "stop loss 2 %".into(),
                margin: String::new(),
                periods_per_year: 8760.0,
            }),
            status: Vec::new(),
            warnings: vec!["2 of 3 models stopped at the last epoch: more epochs may help".into()],
        }
    }

    fn book(&self, index: usize, name: &str, metrics: &TradingMetrics) -> StrategySummary {
        let is_model = index < MODELS.len();
        let mut stream = Seed(self.seed).stream("spread", 0);
        let mut sharpes: Vec<f64> = (0..1000).map(|_| -0.6 + 0.9 * stream.normal()).collect();
        sharpes.sort_by(f64::total_cmp);
        let quantiles = [50, 250, 500, 750, 950].map(|rank| sharpes[rank]);
        let grid = index.checked_sub(SHARPES.len()).map(|grid| self.grids()[grid].strategy());
        let (strategy, grid) =
            grid.unwrap_or_else(|| (if is_model { "model_signal" } else { name }.to_owned(), None));
        let mut book = StrategySummary {
            name: name.to_owned(),
            kind: if is_model { StrategyKind::Model } else { StrategyKind::Baseline },
            strategy,
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
            intervals: None,
            deflated_sharpe: None,
            cost_scenarios: Vec::new(),
            break_even_cost_multiple: None,
            grid,
            benchmark: None,
            breaker: None,
        };
        if self.complete {
            synthetic_grids::complete(&mut book);
        }
        book
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
        gross_exposure: Some(if moved { 0.74 } else { 0.0 }),
        fees: if moved { 4000.0 } else { 0.0 },
        slippage_cost: if moved { 800.0 } else { 0.0 },
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
        events: Vec::new(),
        risk_order_violations: None,
        name: name.into(),
        kind: kind.into(),
        parameters: 74_113,
        samples_per_second: Some(18_230.0),
        samples_per_cpu_second: Some(9120.0),
        seeds: 1,
        precision: Some("f32".into()),
        precision_reason: Some("asked for by the configuration".into()),
        training_windows: 162_240,
        metrics: metrics.clone(),
        by_horizon: vec![metrics.clone(); HORIZONS.len()],
        horizons: HORIZONS.to_vec(),
        validation_metrics: metrics,
    }
}
