//! Honest pipelines that look suspicious. All must pass.

use super::ledger::{HONEST, Rules, by};
use super::{
    alone, bars, execution, feature, filled_by, first_failure, learning, learning_with, momentum, proof,
};
use super::{read, strategy, walk_forward};
use crate::causality::{indicators as all_indicators, labels as all_labels};
use crate::markets::{HOUR, random_symbol};
use candlewick::audit::{Decider, Depth, Pipeline};
use candlewick::domains::market::indicators;
use candlewick::domains::market::strategies::{StrategyConfig, World};
use candlewick::seed::Seed;
use candlewick::table::{BarColumns, Bars, Predictions, SymbolBars};
use candlewick::units::Time;
use serde_json::{Value, json};
use std::ops::Range;

/// Name, the bars, the pipeline.
struct Case {
    name: String,
    bars: Bars,
    pipeline: Pipeline<'static>,
}

fn case(name: impl Into<String>, pipeline: Pipeline<'static>) -> Case {
    Case { name: name.into(), bars: bars(), pipeline }
}

fn on(name: &str, bars: Bars, pipeline: Pipeline<'static>) -> Case {
    Case { name: name.into(), bars, pipeline }
}

fn cases() -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    cases.extend(all_indicators().into_iter().map(|config| {
        let name = format!("{config:?}");
        let configured = vec![config];
        let compute = move |bars: &Bars| indicators::compute(&configured, bars);
        case(name, Pipeline { features: Some(Box::new(compute)), ..super::empty() })
    }));
    cases.extend(all_labels().into_iter().map(|config| {
        let name = format!("{config:?}");
        case(
            name,
            Pipeline { labels: Some(Box::new(move |bars| config.build().compute(bars))), ..super::empty() },
        )
    }));
    cases.extend(StrategyConfig::examples().into_iter().filter(ordinary).map(|config| {
        let name = format!("{config:?}");
        case(name, real_strategy(config, &json!({})))
    }));
    cases.extend(features());
    cases.extend(learners());
    cases.extend(books());
    cases
}

/// Neither a distribution nor on a model.
fn ordinary(config: &StrategyConfig) -> bool {
    config.build().books() == 1 && config.build().model().is_none()
}

fn real_strategy(config: StrategyConfig, backtest: &Value) -> Pipeline<'static> {
    let decide = move |bars: &Bars, predictions: &Predictions, span: Range<usize>| {
        config.build().decide(&World { bars, predictions, span, seed: Seed(5), reference: None, book: 0 })
    };
    let decider = Decider { name: "real".into(), decide: Box::new(decide), exempt: None, execution: None };
    Pipeline { strategies: vec![decider], execution: Some(execution(backtest)), ..super::empty() }
}

fn features() -> Vec<Case> {
    vec![
        case("four-hour close stamped at its end", alone(|s| last_bucket(s, 4))),
        case("mean of the day before", alone(|s| last_bucket(s, 24))),
        case("expanding z-score", alone(|s| expanding(s.close()))),
        case("expanding maximum", alone(|s| running(s.high(), f64::max))),
        case("exponential mean that starts with the first close", alone(|s| exponential(s.close(), 0.05))),
        case("slow exponential mean", alone(|s| exponential(s.close(), 0.001))),
        case("forward fill", alone(filled_forwards)),
        case("age of the symbol", alone(|s| (0..s.len()).map(|t| t as f64).collect())),
        case("hours since the last bar", alone(hours_since)),
        case("hour of the day", alone(|s| s.time().iter().map(|time| (time.0 / HOUR % 24) as f64).collect())),
        case("noise by the time", alone(|s| s.time().iter().map(|time| coin(*time)).collect())),
        case("lagged join of another symbol", feature(joined_backwards)),
        case("number of symbols so far", feature(listed)),
        case("nulls only", alone(|s| vec![f64::NAN; s.len()])),
        case("a constant", alone(|s| vec![1.0; s.len()])),
        on("one symbol", one_symbol(900), alone(|s| expanding(s.close()))),
        on("one symbol ends early", ends_early(), feature(joined_backwards)),
        on("daily bars", daily(), alone(|s| last_bucket(s, 24 * 7))),
        on("a dozen bars", one_symbol(12), alone(|s| expanding(s.close()))),
    ]
}

fn learners() -> Vec<Case> {
    let label = || json!({"forward_return": {"horizons_bars": [4]}});
    let split = |written: Value| learning_with(written, json!({}), label());
    let scaler = |written: Value| learning_with(walk_forward(), written, label());
    vec![
        case("walk-forward", learning()),
        case(
            "anchored walk-forward",
            split(
                json!({"walk_forward": {"folds": 3, "train_bars": 300, "validation_bars": 100, "test_bars": 150, "anchored": true}}),
            ),
        ),
        case("holdout", split(json!({"holdout": {"train": 0.6, "validation": 0.2, "test": 0.2}}))),
        case(
            "k-fold, which says what it is",
            split(json!({"purged_k_fold": {"folds": 4, "validation": 0.1, "embargo_bars": 4}})),
        ),
        case("robust scaler", scaler(json!({"kind": "robust"}))),
        case("min-max scaler of the training part", scaler(json!({"kind": "min_max"}))),
        case("one scaler a symbol", scaler(json!({"per_symbol": true}))),
        case("triple barrier", learning_with(walk_forward(), json!({}), json!({"triple_barrier": {}}))),
        case("signs", learning_with(walk_forward(), json!({}), json!({"sign": {"horizons_bars": [2]}}))),
        case("trades on forecasts", on_model(json!({"model_signal": {"model": "model"}}))),
        case(
            "holds a forecast",
            on_model(json!({"model_signal": {"model": "model", "hold_bars": 3, "direction": "long_short"}})),
        ),
        case(
            "leaves when the forecast is flat",
            on_model(json!({"model_signal": {"model": "model", "exit": "flat", "threshold_bps": 50}})),
        ),
    ]
}

fn on_model(config: Value) -> Pipeline<'static> {
    let books = real_strategy(read(config), &json!({}));
    let honest = learning();
    let times = bars().timeline().times().to_vec();
    let span = Some(times[800]..Time(times[1199].0 + HOUR));
    Pipeline { strategies: books.strategies, execution: books.execution, span, ..honest }
}

fn books() -> Vec<Case> {
    let filled = |settings: Value| {
        let mut pipeline = strategy(momentum);
        pipeline.execution = Some(execution(&settings));
        pipeline
    };
    vec![
        case("momentum", strategy(momentum)),
        case(
            "coins by the time",
            strategy(|bars, _| each(bars, |s| s.time().iter().map(|time| side(coin(*time))).collect())),
        ),
        case("rebalancing on the day's first bar", strategy(|bars, _| each(bars, first_of_day))),
        case(
            "out after a drawdown from the highest close so far",
            strategy(|bars, _| each(bars, out_of_drawdown)),
        ),
        case(
            "thresholds by quantiles so far",
            strategy(|bars, _| each(bars, |s| expanding(s.close()).iter().map(|z| side(*z)).collect())),
        ),
        case("winner of the last bars", strategy(past_winner)),
        case("fills at the close that decided", filled(json!({"fill": "same_close"}))),
        case(
            "volatility target",
            filled(json!({"sizing": {"volatility_target": {"lookback_bars": 30, "max_leverage": 2.0}}})),
        ),
        case(
            "fixed quantity with costs",
            filled(
                json!({"sizing": {"fixed": {"quantity": 2.0}}, "costs": [{"proportional": {"fee_bps": 10}}, {"slippage": {"bps": 5}}]}),
            ),
        ),
        case("a book a symbol", filled(json!({"books": "per_symbol"}))),
        case("small cash", filled(json!({"cash": 1.0, "sizing": {"fraction": {"of_equity": 0.1}}}))),
        case("an honest ledger of its own", filled_by(by(HONEST))),
        case(
            "sized by the volatility so far",
            filled_by(by(Rules {
                size: |s, row| 1.0 / (1.0 + expanding(&s.close()[..row])[row - 1].abs()),
                ..HONEST
            })),
        ),
        case(
            "stopped by the bar's own low",
            with_exits(filled_by(by(Rules {
                price: |s, row, buys| if buys { s.open()[row] } else { 0.97 * s.open()[row] },
                stopped: |s, row| s.low()[row] < 0.97 * s.open()[row],
                ..HONEST
            }))),
        ),
    ]
}

/// A ledger whose positions may be left within a bar.
fn with_exits(mut pipeline: Pipeline<'static>) -> Pipeline<'static> {
    pipeline.execution.as_mut().unwrap().resting_exits = true;
    pipeline
}

#[test]
fn every_honest_pipeline_passes() {
    let cases = cases();
    assert!(cases.len() >= 30, "{} pipelines", cases.len());
    let mut accused = Vec::new();
    for Case { name, bars, pipeline } in &cases {
        for depth in [Depth::Short, Depth::Full] {
            let found = proof(pipeline, bars, depth);
            if first_failure(&found).is_some() {
                let failed: Vec<_> = found.checks.iter().filter(|check| !check.passed).collect();
                accused.push(format!("{name}, {}: {failed:?}", depth.name()));
            }
            // What compares nothing proves nothing.
            let idle =
                found.checks.iter().filter(|check| check.compared == 0).map(|check| check.part.as_str());
            let idle: Vec<&str> = idle.collect();
            assert!(idle.is_empty() || idle == ["choice"], "{name}: nothing was compared in {idle:?}");
            assert!(found.moments > 0, "{name}: no moment");
        }
    }
    assert!(accused.is_empty(), "{} of {} accused:\n{}", accused.len(), 2 * cases.len(), accused.join("\n"));
    println!("{} of {} honest pipelines passed, short and full", cases.len(), cases.len());
}

fn each(bars: &Bars, levels: fn(&SymbolBars) -> Vec<f64>) -> Vec<Vec<f64>> {
    bars.symbols().iter().map(levels).collect()
}

/// The close of the last bucket of hours that is over when the bar is known.
fn last_bucket(symbol: &SymbolBars, hours: i64) -> Vec<f64> {
    let width = hours * HOUR;
    let bucket = |time: &Time| time.0.div_euclid(width);
    let close = |t: usize| {
        let over = (symbol.time()[t].0 + HOUR).div_euclid(width);
        let end = symbol.time().partition_point(|time| bucket(time) < over);
        end.checked_sub(1).map_or(f64::NAN, |row| symbol.close()[row])
    };
    (0..symbol.len()).map(close).collect()
}

fn expanding(values: &[f64]) -> Vec<f64> {
    let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
    let mut next = |value: &f64| {
        count += 1.0;
        let distance = value - mean;
        mean += distance / count;
        squares += distance * (value - mean);
        let deviation = f64::sqrt(squares / count);
        if deviation > 0.0 { (value - mean) / deviation } else { f64::NAN }
    };
    values.iter().map(&mut next).collect()
}

fn running(values: &[f64], of: fn(f64, f64) -> f64) -> Vec<f64> {
    let mut state = values[0];
    values
        .iter()
        .map(|value| {
            state = of(state, *value);
            state
        })
        .collect()
}

fn exponential(values: &[f64], weight: f64) -> Vec<f64> {
    let mut level = values[0];
    values
        .iter()
        .map(|value| {
            level += weight * (value - level);
            level
        })
        .collect()
}

fn filled_forwards(symbol: &SymbolBars) -> Vec<f64> {
    let mut last = f64::NAN;
    let fill = |t: usize| {
        if symbol.volume()[t] > 0.0 {
            last = symbol.close()[t];
        }
        last
    };
    (0..symbol.len()).map(fill).collect()
}

fn hours_since(symbol: &SymbolBars) -> Vec<f64> {
    let time = symbol.time();
    let since = |t: usize| if t == 0 { f64::NAN } else { ((time[t].0 - time[t - 1].0) / HOUR) as f64 };
    (0..time.len()).map(since).collect()
}

fn coin(time: Time) -> f64 {
    Seed(9).stream("coin", time.0 as u64).normal()
}

fn side(value: f64) -> f64 {
    if value.is_nan() { f64::NAN } else { value.signum() }
}

/// Beside each bar the last close of the second symbol at or before it.
fn joined_backwards(bars: &Bars) -> Vec<Vec<f64>> {
    let other = &bars.symbols()[bars.symbols().len() - 1];
    let close = |time: &Time| {
        let row = other.time().partition_point(|candidate| candidate <= time);
        row.checked_sub(1).map_or(f64::NAN, |row| other.close()[row])
    };
    bars.symbols().iter().map(|symbol| symbol.time().iter().map(close).collect()).collect()
}

fn listed(bars: &Bars) -> Vec<Vec<f64>> {
    let count = |time: &Time| bars.symbols().iter().filter(|symbol| symbol.time()[0] <= *time).count() as f64;
    bars.symbols().iter().map(|symbol| symbol.time().iter().map(count).collect()).collect()
}

fn first_of_day(symbol: &SymbolBars) -> Vec<f64> {
    let day = |t: usize| symbol.time()[t].0.div_euclid(24 * HOUR);
    let level = |t: usize| {
        let first = t > 0 && day(t) != day(t - 1);
        if first { if day(t) % 2 == 0 { 1.0 } else { -1.0 } } else { f64::NAN }
    };
    (0..symbol.len()).map(level).collect()
}

fn out_of_drawdown(symbol: &SymbolBars) -> Vec<f64> {
    let highest = running(symbol.close(), f64::max);
    symbol.close().iter().zip(highest).map(|(close, high)| f64::from(u8::from(*close > 0.9 * high))).collect()
}

/// Long while the symbol's last three bars beat the first symbol's.
fn past_winner(bars: &Bars, _: &Predictions) -> Vec<Vec<f64>> {
    let change = |symbol: &SymbolBars, row: usize| {
        if row < 3 { f64::NAN } else { symbol.close()[row] / symbol.close()[row - 3] }
    };
    let first = &bars.symbols()[0];
    let level = |symbol: &SymbolBars, t: usize| {
        let row = first.time().partition_point(|time| *time <= symbol.time()[t]).saturating_sub(1);
        side(change(symbol, t) - change(first, row))
    };
    bars.symbols().iter().map(|symbol| (0..symbol.len()).map(|t| level(symbol, t)).collect()).collect()
}

fn one_symbol(rows: usize) -> Bars {
    Bars::new(vec![random_symbol("ONLY", rows, 3, 0.0)]).unwrap()
}

fn ends_early() -> Bars {
    Bars::new(vec![random_symbol("LONG", 1000, 3, 0.05), random_symbol("SHORT", 400, 4, 0.0)]).unwrap()
}

fn daily() -> Bars {
    let hourly = random_symbol("DAILY", 800, 6, 0.0);
    let columns = BarColumns {
        time: hourly.time().iter().map(|time| Time(time.0 * 24)).collect(),
        ..hourly.columns().clone()
    };
    Bars::new(vec![SymbolBars::new("DAILY", columns).unwrap()]).unwrap()
}
