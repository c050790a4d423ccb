//! The corpus of the look-ahead proof: planted leaks that must be found, each in its part, and honest pipelines that must
//! pass.

mod clean;
mod leaks;
mod ledger;

use crate::causality::random_bars;
use candlewick::audit::{
    Decider, Depth, Execution, Learning, Pipeline, Prepared, Proof, RunBooks, Tables, prove,
};
use candlewick::data::{Fold, SplitConfig};
use candlewick::domains::market::backtest::{BacktestConfig, FillTime, run_books};
use candlewick::domains::market::indicators::{self, IndicatorConfig};
use candlewick::domains::market::labels::LabelConfig;
use candlewick::progress::Silent;
use candlewick::seed::Seed;
use candlewick::table::{
    Bars, Features, Labels, Positions, Predictions, Sample, Scaler, ScalerConfig, SymbolBars, TrainSamples,
    Windows,
};
use serde_json::{Value, json};
use std::ops::Range;

/// Bars of three symbols: one complete, one with gaps, one listed late; some stand still.
pub(crate) fn bars() -> Bars {
    random_bars(11, 1200)
}

pub(crate) fn read<T: serde::de::DeserializeOwned>(settings: Value) -> T {
    serde_json::from_value(settings).unwrap()
}

/// A pipeline with nothing in it.
pub(crate) fn empty() -> Pipeline<'static> {
    Pipeline {
        features: None,
        labels: None,
        learning: None,
        strategies: Vec::new(),
        execution: None,
        span: None,
        seed: Seed(3),
    }
}

/// One feature, computed from all bars.
pub(crate) fn feature(column: fn(&Bars) -> Vec<Vec<f64>>) -> Pipeline<'static> {
    let features = move |bars: &Bars| {
        let columns = column(bars).into_iter().map(|column| vec![column]).collect();
        Features::new(vec!["planted".into()], columns)
    };
    Pipeline { features: Some(Box::new(features)), ..empty() }
}

/// One feature, computed symbol by symbol.
pub(crate) fn alone(column: fn(&SymbolBars) -> Vec<f64>) -> Pipeline<'static> {
    let features = move |bars: &Bars| {
        let columns = bars.symbols().iter().map(|symbol| vec![column(symbol)]).collect();
        Features::new(vec!["planted".into()], columns)
    };
    Pipeline { features: Some(Box::new(features)), ..empty() }
}

/// A strategy by its levels, filled by the honest ledger.
pub(crate) fn strategy(levels: fn(&Bars, &Predictions) -> Vec<Vec<f64>>) -> Pipeline<'static> {
    let decide = move |bars: &Bars, predictions: &Predictions, _: Range<usize>| {
        Positions::levels(bars, levels(bars, predictions))
    };
    let decider = Decider { name: "planted".into(), decide: Box::new(decide), exempt: None, execution: None };
    Pipeline { strategies: vec![decider], execution: Some(execution(&json!({}))), ..empty() }
}

/// The real ledger with these settings.
pub(crate) fn execution(settings: &Value) -> Execution<'static> {
    let settings: BacktestConfig = read(settings.clone());
    let fill = settings.fill;
    let run = move |bars: &Bars, positions: &Positions, span: Range<usize>| {
        run_books(bars, &[("book".to_owned(), positions.clone())], &settings, span, &Silent)
    };
    Execution { run: Box::new(run), fill, resting_exits: false }
}

/// A ledger of its own under an honest strategy.
pub(crate) fn filled_by(run: RunBooks<'static>) -> Pipeline<'static> {
    let mut pipeline = strategy(momentum);
    pipeline.execution = Some(Execution { run, fill: FillTime::NextOpen, resting_exits: false });
    pipeline
}

/// Long after a rise over three bars, short after a fall.
pub(crate) fn momentum(bars: &Bars, _: &Predictions) -> Vec<Vec<f64>> {
    let levels = |symbol: &SymbolBars| {
        let close = symbol.close();
        (0..close.len()).map(|t| if t < 3 { f64::NAN } else { (close[t] - close[t - 3]).signum() }).collect()
    };
    bars.symbols().iter().map(levels).collect()
}

/// An honest way to learn: features, label, folds, scaler and windows as a run makes them.
pub(crate) fn learning_with(split: Value, scaler: Value, label: Value) -> Pipeline<'static> {
    let configured: Vec<IndicatorConfig> =
        read(json!([{"log_return": {"lags": [1, 4]}}, {"rsi": {"period": 14}}, {"ema": {"relative": true}}]));
    let (split, label): (SplitConfig, LabelConfig) = (read(split), read(label));
    let scaler: ScalerConfig = read(scaler);
    let later = matches!(split, SplitConfig::PurgedKFold(_));
    let folds = split.folds(bars().timeline().times(), bars().interval()).unwrap();
    Pipeline {
        features: Some(Box::new(move |bars| indicators::compute(&configured, bars))),
        labels: Some(Box::new(move |bars| label.build().compute(bars))),
        learning: Some(Learning {
            split: Box::new(move |bars| split.folds(bars.timeline().times(), bars.interval())),
            models: vec!["model".into()],
            prepare: Box::new(move |tables, fold, _| {
                let samples = samples(tables, fold)?;
                prepared(tables, scaler, samples)
            }),
            trains_on_later_bars: later,
            choice: (!later).then(|| folds[0].validation.clone()),
            forecast: None,
        }),
        ..empty()
    }
}

pub(crate) const WINDOW: usize = 6;

pub(crate) fn walk_forward() -> Value {
    json!({"walk_forward": {"folds": 2, "train_bars": 500, "validation_bars": 150, "test_bars": 200, "embargo_bars": 2}})
}

pub(crate) fn learning() -> Pipeline<'static> {
    learning_with(walk_forward(), json!({}), json!({"forward_return": {"horizons_bars": [4, 8]}}))
}

/// Training, validation and test samples.
pub(crate) type Samples = [Vec<Sample>; 3];

pub(crate) fn samples(tables: &Tables, fold: &Fold) -> Result<Samples, String> {
    let Tables { bars, features, labels } = tables;
    Ok([
        fold.train_samples(bars, features, labels, WINDOW, 1)?.samples().to_vec(),
        fold.validation_samples(bars, features, labels, WINDOW)?,
        fold.test_samples(bars, features, WINDOW)?,
    ])
}

/// All rows of a part with a complete window and a label, purged of nothing.
pub(crate) fn unpurged(tables: &Tables, part: &Range<candlewick::units::Time>) -> Vec<Sample> {
    let mut found = Vec::new();
    for (symbol, one) in tables.bars.symbols().iter().enumerate() {
        for row in 0..one.len() {
            let known = tables.labels.known_at(symbol, row).is_some();
            if part.contains(&one.time()[row]) && known && tables.features.complete(symbol, row, WINDOW) {
                found.push(Sample { symbol: symbol as u32, row: row as u32 });
            }
        }
    }
    found
}

pub(crate) fn prepared(tables: &Tables, scaler: ScalerConfig, samples: Samples) -> Result<Prepared, String> {
    let train = TrainSamples::purged(samples[0].clone());
    let scaler = Scaler::fit(scaler, tables.features, &train)?;
    windows(tables.features, tables.labels, scaler, samples)
}

pub(crate) fn windows(
    features: &Features,
    labels: &Labels,
    scaler: Scaler,
    [train, validation, test]: Samples,
) -> Result<Prepared, String> {
    let targets = |samples: &[Sample]| -> Vec<f32> {
        let of = |sample: &Sample| {
            (0..labels.horizons().len())
                .map(|horizon| labels.column(sample.symbol as usize, horizon)[sample.row as usize] as f32)
                .collect::<Vec<f32>>()
        };
        samples.iter().flat_map(of).collect()
    };
    let of_train = targets(&train);
    let train = Windows::new(features, &scaler, WINDOW, train, of_train)?;
    let of_validation = targets(&validation);
    let validation = train.with_samples(validation, of_validation)?;
    let test = train.with_samples(test, Vec::new())?;
    Ok(Prepared { scaler, train: train.into(), validation: validation.into(), test: test.into() })
}

/// Proves with one seed of moments.
pub(crate) fn proof(pipeline: &Pipeline, bars: &Bars, depth: Depth) -> Proof {
    prove(pipeline, bars, depth).unwrap()
}

/// The first part that does not pass.
pub(crate) fn first_failure(proof: &Proof) -> Option<&str> {
    proof.checks.iter().find(|check| !check.passed).map(|check| check.part.as_str())
}
