//! Pipelines that know the future. Each must be found, and first in the part in which the leak is.

use super::ledger::{HONEST, Rules, by};
use super::{
    alone, bars, feature, filled_by, first_failure, learning, learning_with, prepared, proof, samples,
};
use super::{momentum, strategy, unpurged, walk_forward, windows};
use candlewick::audit::{Depth, Pipeline};
use candlewick::seed::Seed;
use candlewick::table::{
    Bars, Features, LabelKind, Labels, ModelPredictions, Predictions, Sample, Scaler, ScalerConfig,
    SymbolBars, TrainSamples,
};
use candlewick::units::Time;
use serde_json::json;
use std::ops::Range;

/// Name, the part that must find it, the pipeline.
type Leak = (&'static str, &'static str, fn() -> Pipeline<'static>);

const LEAKS: &[Leak] = &[
    ("shift(-1)", "features", || alone(|s| shifted(s.close(), -1))),
    ("shift(-5) of the volume", "features", || alone(|s| shifted(s.volume(), -5))),
    ("centred moving average", "features", || alone(|s| window(s.close(), 3, 3, mean))),
    ("z-score by the whole sample", "features", || alone(|s| standardised(s.close()))),
    ("min-max by the whole sample", "features", || alone(|s| between_extremes(s.close()))),
    ("label among the features", "features", || alone(|s| forward_return(s.close(), 4))),
    ("smoothed forward return", "features", || alone(|s| window(&forward_return(s.close(), 2), 5, 0, mean))),
    ("backward fill", "features", || alone(|s| filled_backwards(&traded(s)))),
    ("interpolation over gaps", "features", || alone(|s| interpolated(&traded(s)))),
    ("four-hour close stamped at its start", "features", || {
        alone(|s| by_bucket(s, 4, |bars| bars[bars.len() - 1]))
    }),
    ("mean of the day at every hour of it", "features", || alone(|s| by_bucket(s, 24, mean))),
    ("last value of the day carried to all of it", "features", || {
        alone(|s| by_bucket(s, 24, |day| day[day.len() - 1]))
    }),
    ("late join of another symbol's bar", "features", || feature(joined_forwards)),
    ("rank by the next bar", "features", || feature(|bars| ranks(bars, 1))),
    ("volume of the next bar", "features", || alone(|s| ratio(&shifted(s.volume(), -1), s.volume()))),
    ("quantile of the whole sample", "features", || alone(|s| above_median(s.close()))),
    ("volatility of the whole series", "features", || alone(|s| scaled_by_volatility(s.close()))),
    ("smoothed forwards and backwards", "features", || alone(|s| smoothed_twice(s.close()))),
    ("distance from the trend of the whole sample", "features", || alone(|s| detrended(s.close()))),
    ("support found by later lows", "features", || alone(|s| window(s.low(), 0, 10, lowest))),
    ("place in the sample", "features", || {
        alone(|s| (0..s.len()).map(|t| t as f64 / s.len() as f64).collect())
    }),
    ("time to the next bar", "features", || alone(hours_to_next)),
    ("warm-up filled with the first known value", "features", || {
        alone(|s| filled_backwards(&window(s.close(), 20, 0, mean)))
    }),
    ("triple barrier without known_at", "labels", || labelled(barrier)),
    ("return over eight bars known after four", "labels", || labelled(|bars| hasty(bars, 8, 4))),
    ("scaled label by the volatility of the sample", "labels", || labelled(scaled_label)),
    ("no purge", "split", || {
        split_by(|tables, fold| {
            Ok([
                unpurged(tables, &fold.train[0]),
                fold.validation_samples(tables.bars, tables.features, tables.labels, super::WINDOW)?,
                fold.test_samples(tables.bars, tables.features, super::WINDOW)?,
            ])
        })
    }),
    ("validation labels reach into the test part", "split", || {
        split_by(|tables, fold| {
            let [train, _, test] = samples(tables, fold)?;
            Ok([train, unpurged(tables, &fold.validation), test])
        })
    }),
    ("shuffled split", "split", || {
        split_by(|tables, fold| {
            let [train, validation, test] = samples(tables, fold)?;
            let all: Range<Time> = fold.train[0].start..fold.test.end;
            let mut mixed = unpurged(tables, &all);
            Seed(1).stream("shuffle", 0).shuffle(&mut mixed);
            mixed.truncate(train.len());
            Ok([mixed, validation, test])
        })
    }),
    ("folds that follow one another the wrong way", "split", turned_split),
    ("folds cut where the market will be wild", "split", split_by_prices),
    ("scaler fitted on training and test part", "scaler", || {
        scaled_by(|tables, fold| [unpurged(tables, &fold.train[0]), unpurged(tables, &fold.test)].concat())
    }),
    ("scaler fitted on the validation part, too", "scaler", || {
        scaled_by(|tables, fold| {
            [unpurged(tables, &fold.train[0]), unpurged(tables, &fold.validation)].concat()
        })
    }),
    ("windows that end a bar late", "model inputs", late_windows),
    ("targets in units of later volatility", "model inputs", scaled_targets),
    ("choice by bars after the test part", "choice", late_choice),
    ("forecasts of a model that has seen the test part", "forecasts", in_sample),
    ("peek at the next close", "decisions", || {
        strategy(|bars, _| each(bars, |s| signs(&forward_return(s.close(), 1))))
    }),
    ("parameter chosen on the whole sample", "decisions", || strategy(|bars, _| each(bars, best_mean))),
    ("thresholds by quantiles of the whole sample", "decisions", || {
        strategy(|bars, _| each(bars, |s| above_median(s.close())))
    }),
    ("rebalancing on the day's last bar", "decisions", || strategy(|bars, _| each(bars, last_of_day))),
    ("outcome of the forecast instead of the forecast", "decisions", || on_forecasts(true, 0)),
    ("forecast of the next bar", "decisions", || on_forecasts(false, 1)),
    ("hedge ratio of the whole sample", "decisions", || strategy(pair)),
    ("winner by the next bar", "decisions", || {
        strategy(|bars, _| ranks(bars, 1).into_iter().map(|c| signs(&c)).collect())
    }),
    ("fill at the open of the bar that decided", "fills", || {
        filled_by(by(Rules { decided: Some, ..HONEST }))
    }),
    ("fill at the open of the bar that decided, by the settings beside a strategy", "fills", || {
        let mut pipeline = strategy(momentum);
        pipeline.strategies[0].execution = filled_by(by(Rules { decided: Some, ..HONEST })).execution;
        pipeline
    }),
    ("entry at today's low", "fills", || {
        filled_by(by(Rules {
            price: |s, row, buys| if buys { s.low()[row] } else { s.open()[row] },
            ..HONEST
        }))
    }),
    ("exit at today's high", "fills", || {
        filled_by(by(Rules {
            price: |s, row, buys| if buys { s.open()[row] } else { s.high()[row] },
            ..HONEST
        }))
    }),
    ("the better of open and close", "fills", || {
        filled_by(by(Rules {
            price: |s, row, buys| {
                if buys { s.open()[row].min(s.close()[row]) } else { s.open()[row].max(s.close()[row]) }
            },
            ..HONEST
        }))
    }),
    ("stop checked with the next bar's low", "fills", || {
        filled_by(by(Rules {
            stopped: |s, row| s.low().get(row + 1).is_some_and(|low| *low < 0.97 * s.close()[row]),
            ..HONEST
        }))
    }),
    ("sizing by the volatility of the sample", "fills", || {
        filled_by(by(Rules { size: |s, _| 0.01 / deviation(&forward_return(s.close(), 1)), ..HONEST }))
    }),
    ("size by the last price of the sample", "fills", || {
        filled_by(by(Rules { size: |s, _| 1e5 / s.close()[s.len() - 1], ..HONEST }))
    }),
    ("no entry before a fall", "fills", || {
        filled_by(by(Rules {
            size: |s, row| {
                s.close().get(row + 1).map_or(1.0, |next| f64::from(u8::from(*next > s.open()[row])))
            },
            ..HONEST
        }))
    }),
];

#[test]
fn every_planted_leak_is_found_in_its_part() {
    let bars = bars();
    assert!(LEAKS.len() >= 30, "{} leaks", LEAKS.len());
    let mut missed = Vec::new();
    for (name, part, build) in LEAKS {
        for depth in [Depth::Short, Depth::Full] {
            let found = proof(&build(), &bars, depth);
            let first = first_failure(&found).map(str::to_owned);
            if first.as_deref() != Some(*part) {
                missed.push(format!("{name}, {}: found in {first:?}, expected {part}", depth.name()));
            }
        }
    }
    assert!(missed.is_empty(), "{} of {} missed:\n{}", missed.len(), 2 * LEAKS.len(), missed.join("\n"));
    println!("{} of {} planted leaks found, short and full", LEAKS.len(), LEAKS.len());
}

#[test]
fn a_finding_names_the_value_its_bar_and_what_the_future_was() {
    let found = proof(&alone(|s| shifted(s.close(), -1)), &bars(), Depth::Short);
    let finding = &found.checks[0].finding;
    assert!(finding.starts_with("feature planted of "), "{finding}");
    assert!(finding.contains(" knew the future: it changed when the bars after 1970-"), "{finding}");
}

/// `shift` of data frames: a negative number takes later values.
fn shifted(values: &[f64], by: isize) -> Vec<f64> {
    (0..values.len() as isize)
        .map(|t| usize::try_from(t - by).ok().and_then(|row| values.get(row)).copied().unwrap_or(f64::NAN))
        .collect()
}

fn forward_return(close: &[f64], bars: usize) -> Vec<f64> {
    (0..close.len()).map(|t| close.get(t + bars).map_or(f64::NAN, |later| later / close[t] - 1.0)).collect()
}

fn window(values: &[f64], before: usize, after: usize, of: fn(&[f64]) -> f64) -> Vec<f64> {
    let at = |t: usize| {
        if t < before { f64::NAN } else { of(&values[t - before..(t + after + 1).min(values.len())]) }
    };
    (0..values.len()).map(at).collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn lowest(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

fn deviation(values: &[f64]) -> f64 {
    let known: Vec<f64> = values.iter().copied().filter(|value| !value.is_nan()).collect();
    let mean = mean(&known);
    (known.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / known.len() as f64).sqrt()
}

fn standardised(values: &[f64]) -> Vec<f64> {
    let (mean, deviation) = (mean(values), deviation(values));
    values.iter().map(|value| (value - mean) / deviation).collect()
}

fn between_extremes(values: &[f64]) -> Vec<f64> {
    let (low, high) = (lowest(values), values.iter().copied().fold(0.0, f64::max));
    values.iter().map(|value| (value - low) / (high - low)).collect()
}

/// The close, null where nothing was traded.
fn traded(symbol: &SymbolBars) -> Vec<f64> {
    let close = |t: usize| if symbol.volume()[t] == 0.0 { f64::NAN } else { symbol.close()[t] };
    (0..symbol.len()).map(close).collect()
}

fn filled_backwards(values: &[f64]) -> Vec<f64> {
    let mut filled = values.to_vec();
    for t in (0..filled.len().saturating_sub(1)).rev() {
        if filled[t].is_nan() {
            filled[t] = filled[t + 1];
        }
    }
    filled
}

fn interpolated(values: &[f64]) -> Vec<f64> {
    let (mut last, backwards) = (f64::NAN, filled_backwards(values));
    let mut between = |(value, next): (&f64, &f64)| {
        if value.is_nan() {
            return (last + next) / 2.0;
        }
        last = *value;
        *value
    };
    values.iter().zip(&backwards).map(&mut between).collect()
}

/// One number for all bars of a bucket of hours, known to all of them.
fn by_bucket(symbol: &SymbolBars, hours: i64, of: fn(&[f64]) -> f64) -> Vec<f64> {
    let bucket = |time: &Time| time.0.div_euclid(hours * crate::markets::HOUR);
    let (mut column, mut start) = (Vec::new(), 0);
    for group in symbol.time().chunk_by(|one, two| bucket(one) == bucket(two)) {
        let value = of(&symbol.close()[start..start + group.len()]);
        column.extend(std::iter::repeat_n(value, group.len()));
        start += group.len();
    }
    column
}

/// Beside each bar the close of the second symbol's next bar, its own time not included.
fn joined_forwards(bars: &Bars) -> Vec<Vec<f64>> {
    let other = &bars.symbols()[1];
    let close = |time: &Time| {
        let row = other.time().partition_point(|candidate| candidate <= time);
        other.close().get(row).copied().unwrap_or(f64::NAN)
    };
    bars.symbols().iter().map(|symbol| symbol.time().iter().map(close).collect()).collect()
}

/// Whether the symbol's return from the row to `ahead` rows later is above the mean of all symbols at that time.
fn ranks(bars: &Bars, ahead: usize) -> Vec<Vec<f64>> {
    let returns: Vec<Vec<f64>> = bars.symbols().iter().map(|s| forward_return(s.close(), ahead)).collect();
    let mut sums = vec![(0.0, 0.0); bars.timeline().times().len()];
    for (symbol, column) in returns.iter().enumerate() {
        for (row, value) in column.iter().enumerate().filter(|(_, value)| !value.is_nan()) {
            let sum = &mut sums[bars.timeline().steps(symbol)[row] as usize];
            *sum = (sum.0 + value, sum.1 + 1.0);
        }
    }
    let relative = |(symbol, column): (usize, &Vec<f64>)| {
        let steps = bars.timeline().steps(symbol);
        let at = |row: usize| column[row] - sums[steps[row] as usize].0 / sums[steps[row] as usize].1;
        (0..column.len()).map(at).collect()
    };
    returns.iter().enumerate().map(relative).collect()
}

fn ratio(one: &[f64], two: &[f64]) -> Vec<f64> {
    one.iter().zip(two).map(|(one, two)| one / (two + 1.0)).collect()
}

fn above_median(values: &[f64]) -> Vec<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let median = sorted[sorted.len() / 2];
    values.iter().map(|value| f64::from(u8::from(*value > median))).collect()
}

fn scaled_by_volatility(close: &[f64]) -> Vec<f64> {
    let returns = shifted(&forward_return(close, 1), 1);
    let deviation = deviation(&returns);
    returns.iter().map(|value| value / deviation).collect()
}

fn smoothed_twice(values: &[f64]) -> Vec<f64> {
    let smooth = |values: &mut dyn Iterator<Item = f64>| -> Vec<f64> {
        let mut level = f64::NAN;
        values
            .map(|value| {
                level = if level.is_nan() { value } else { level + 0.2 * (value - level) };
                level
            })
            .collect()
    };
    let forwards = smooth(&mut values.iter().copied());
    let mut both = smooth(&mut forwards.into_iter().rev());
    both.reverse();
    both
}

fn detrended(values: &[f64]) -> Vec<f64> {
    let (level, middle) = (mean(values), (values.len() - 1) as f64 / 2.0);
    let place = |t: usize| t as f64 - middle;
    let slope = values.iter().enumerate().map(|(t, value)| place(t) * (value - level)).sum::<f64>()
        / (0..values.len()).map(|t| place(t).powi(2)).sum::<f64>();
    values.iter().enumerate().map(|(t, value)| value - level - slope * place(t)).collect()
}

fn hours_to_next(symbol: &SymbolBars) -> Vec<f64> {
    let time = symbol.time();
    let next =
        |t: usize| time.get(t + 1).map_or(1.0, |next| ((next.0 - time[t].0) / crate::markets::HOUR) as f64);
    (0..time.len()).map(next).collect()
}

fn labelled(labels: fn(&Bars) -> Labels) -> Pipeline<'static> {
    Pipeline { labels: Some(Box::new(move |bars| Ok(labels(bars)))), ..super::empty() }
}

fn known_after(bars: &Bars, symbol: &SymbolBars, rows: usize) -> Vec<Option<Time>> {
    let at = |t: usize| symbol.time().get(t + rows).map(|time| Time(time.0 + bars.interval()));
    (0..symbol.len()).map(at).collect()
}

fn barrier(bars: &Bars) -> Labels {
    let touched = |symbol: &SymbolBars| {
        let close = symbol.close();
        let first = |t: usize| {
            let hit = close[t + 1..].iter().take(20).find(|later| (*later / close[t] - 1.0).abs() > 0.03);
            hit.map_or(0.0, |later| (later - close[t]).signum())
        };
        vec![(0..close.len()).map(first).collect::<Vec<f64>>()]
    };
    let values = bars.symbols().iter().map(touched).collect();
    let known = bars.symbols().iter().map(|symbol| known_after(bars, symbol, 0)).collect();
    Labels::new(LabelKind::Direction, vec![20], values, known).unwrap()
}

fn hasty(bars: &Bars, horizon: usize, known: usize) -> Labels {
    let values = bars.symbols().iter().map(|symbol| vec![forward_return(symbol.close(), horizon)]).collect();
    let known = bars.symbols().iter().map(|symbol| known_after(bars, symbol, known)).collect();
    Labels::new(LabelKind::Return, vec![horizon as u32], values, known).unwrap()
}

fn scaled_label(bars: &Bars) -> Labels {
    let value = |symbol: &SymbolBars| {
        let forward = forward_return(symbol.close(), 4);
        let deviation = deviation(&forward);
        vec![forward.iter().map(|value| value / deviation).collect::<Vec<f64>>()]
    };
    let values = bars.symbols().iter().map(value).collect();
    let known = bars.symbols().iter().map(|symbol| known_after(bars, symbol, 4)).collect();
    Labels::new(LabelKind::Scaled, vec![4], values, known).unwrap()
}

type Choose = fn(&candlewick::audit::Tables, &candlewick::data::Fold) -> Result<super::Samples, String>;

fn split_by(choose: Choose) -> Pipeline<'static> {
    let mut pipeline = learning();
    pipeline.learning.as_mut().unwrap().prepare =
        Box::new(move |tables, fold, _| prepared(tables, ScalerConfig::default(), choose(tables, fold)?));
    pipeline
}

/// Each fold is tested on its training bars' predecessors: the parts of a fold in reversed order.
fn turned_split() -> Pipeline<'static> {
    let mut pipeline = learning();
    let learning = pipeline.learning.as_mut().unwrap();
    let honest = std::mem::replace(&mut learning.split, Box::new(|_| Ok(Vec::new())));
    learning.choice = None;
    learning.split = Box::new(move |bars| {
        let mut folds = honest(bars)?;
        for fold in &mut folds {
            let times = bars.timeline().times();
            let (train, end) = (fold.train[0].clone(), times[times.len() - 1]);
            fold.train = vec![fold.validation.end..Time(end.0 + bars.interval())];
            fold.validation = train.end..fold.validation.end;
            fold.test = train.start..train.end;
        }
        Ok(folds)
    });
    pipeline
}

/// Training ends where the loudest bar of the whole sample is.
fn split_by_prices() -> Pipeline<'static> {
    let mut pipeline = learning();
    let learning = pipeline.learning.as_mut().unwrap();
    let honest = std::mem::replace(&mut learning.split, Box::new(|_| Ok(Vec::new())));
    learning.split = Box::new(move |bars| {
        let mut folds = honest(bars)?;
        let symbol = &bars.symbols()[0];
        let highest =
            (0..symbol.len()).max_by(|one, two| symbol.high()[*one].total_cmp(&symbol.high()[*two]));
        let drop = (highest.unwrap_or(0) % 7) as i64;
        folds[0].train[0].end.0 -= drop * bars.interval();
        Ok(folds)
    });
    pipeline
}

type FitRows = fn(&candlewick::audit::Tables, &candlewick::data::Fold) -> Vec<Sample>;

fn scaled_by(rows: FitRows) -> Pipeline<'static> {
    let mut pipeline = learning();
    pipeline.learning.as_mut().unwrap().prepare = Box::new(move |tables, fold, _| {
        let train = TrainSamples::purged(rows(tables, fold));
        let scaler = Scaler::fit(ScalerConfig::default(), tables.features, &train)?;
        windows(tables.features, tables.labels, scaler, samples(tables, fold)?)
    });
    pipeline
}

/// The features a row later, under the old rows.
fn ahead(features: &Features) -> Features {
    let column = |symbol: usize| -> Vec<Vec<f64>> {
        let later = |feature: usize| {
            let mut column = shifted(features.column(symbol, feature), -1);
            if let [.., before, last] = &mut column[..] {
                *last = *before;
            }
            column
        };
        (0..features.names().len()).map(later).collect()
    };
    Features::new(features.names().to_vec(), (0..features.symbols()).map(column).collect()).unwrap()
}

fn late_windows() -> Pipeline<'static> {
    let mut pipeline = learning();
    pipeline.learning.as_mut().unwrap().prepare = Box::new(|tables, fold, _| {
        let chosen = samples(tables, fold)?;
        let train = TrainSamples::purged(chosen[0].clone());
        let scaler = Scaler::fit(ScalerConfig::default(), tables.features, &train)?;
        windows(&ahead(tables.features), tables.labels, scaler, chosen)
    });
    pipeline
}

/// Targets divided by the deviation of all labels, later ones included.
fn scaled_targets() -> Pipeline<'static> {
    let mut pipeline = learning();
    pipeline.learning.as_mut().unwrap().prepare = Box::new(|tables, fold, _| {
        let all: Vec<f64> = (0..3).flat_map(|symbol| tables.labels.column(symbol, 0).to_vec()).collect();
        let deviation = deviation(&all);
        let scaled = |symbol: usize| -> Vec<Vec<f64>> {
            (0..2)
                .map(|h| tables.labels.column(symbol, h).iter().map(|value| value / deviation).collect())
                .collect()
        };
        let known = |symbol: usize| {
            (0..tables.bars.symbols()[symbol].len()).map(|row| tables.labels.known_at(symbol, row)).collect()
        };
        let labels = Labels::new(
            tables.labels.kind(),
            tables.labels.horizons().to_vec(),
            (0..3).map(scaled).collect(),
            (0..3).map(known).collect(),
        )?;
        let chosen = samples(tables, fold)?;
        let train = TrainSamples::purged(chosen[0].clone());
        let scaler = Scaler::fit(ScalerConfig::default(), tables.features, &train)?;
        windows(tables.features, &labels, scaler, chosen)
    });
    pipeline
}

fn late_choice() -> Pipeline<'static> {
    let mut pipeline = learning();
    let learning = pipeline.learning.as_mut().unwrap();
    let folds = (learning.split)(&bars()).unwrap();
    learning.choice = Some(folds[1].validation.clone());
    pipeline
}

/// The slope of the label on the first feature, fitted on the rows that it then forecasts.
fn in_sample() -> Pipeline<'static> {
    let mut pipeline = learning();
    pipeline.learning.as_mut().unwrap().forecast = Some(Box::new(|bars, fold| {
        let close = bars.symbols()[0].close();
        let (past, next) = (shifted(&forward_return(close, 1), 1), forward_return(close, 1));
        let tested =
            |row: &usize| fold.test.contains(&bars.symbols()[0].time()[*row]) && row + 1 < close.len();
        let rows: Vec<usize> = (0..close.len()).filter(tested).collect();
        let slope = rows.iter().map(|row| past[*row] * next[*row]).sum::<f64>()
            / rows.iter().map(|row| past[*row].powi(2)).sum::<f64>();
        Ok(vec![ModelPredictions {
            model: "in sample".into(),
            kind: LabelKind::Return,
            horizons: vec![1],
            samples: rows.iter().map(|row| Sample { symbol: 0, row: *row as u32 }).collect(),
            fold: vec![0; rows.len()],
            values: rows.iter().map(|row| slope * past[*row]).collect(),
            actual: Vec::new(),
            alarm_at: Vec::new(),
            units: Vec::new(),
        }])
    }));
    pipeline
}

fn each(bars: &Bars, levels: fn(&SymbolBars) -> Vec<f64>) -> Vec<Vec<f64>> {
    bars.symbols().iter().map(levels).collect()
}

fn signs(values: &[f64]) -> Vec<f64> {
    values.iter().map(|value| if *value == 0.0 { 0.0 } else { value.signum() }).collect()
}

/// Long above the mean whose period earned most over the whole sample.
fn best_mean(symbol: &SymbolBars) -> Vec<f64> {
    let close = symbol.close();
    let next = forward_return(close, 1);
    let levels = |period: usize| -> Vec<f64> {
        let means = window(close, period, 0, mean);
        close
            .iter()
            .zip(means)
            .map(|(close, mean)| if mean.is_nan() { f64::NAN } else { (close - mean).signum() })
            .collect()
    };
    let earned = |period: usize| -> f64 {
        levels(period).iter().zip(&next).map(|(level, next)| level * next).filter(|sum| !sum.is_nan()).sum()
    };
    let best = (2..60).step_by(3).max_by(|one, two| earned(*one).total_cmp(&earned(*two)));
    levels(best.unwrap_or(2))
}

/// Turns its position on the last bar of each day, known by the next bar's date.
fn last_of_day(symbol: &SymbolBars) -> Vec<f64> {
    let day = |t: usize| symbol.time()[t].0.div_euclid(24 * crate::markets::HOUR);
    let level = |t: usize| {
        let last = t + 1 < symbol.len() && day(t + 1) != day(t);
        if last { if day(t) % 2 == 0 { 1.0 } else { -1.0 } } else { f64::NAN }
    };
    (0..symbol.len()).map(level).collect()
}

fn on_forecasts(outcome: bool, ahead: usize) -> Pipeline<'static> {
    let mut pipeline =
        learning_with(walk_forward(), json!({}), json!({"forward_return": {"horizons_bars": [4]}}));
    let decide = move |bars: &Bars, predictions: &Predictions, _: Range<usize>| {
        let mut predictions = predictions.model("model").ok_or("no forecasts")?.clone();
        if outcome {
            predictions.values = predictions.actual.clone();
        }
        let rows: Vec<usize> = bars.symbols().iter().map(SymbolBars::len).collect();
        let columns = predictions.beside(0, &rows);
        let levels = columns.iter().map(|column| signs(&shifted(column, -(ahead as isize))));
        candlewick::table::Positions::levels(bars, levels.collect())
    };
    let decider = candlewick::audit::Decider {
        name: "planted".into(),
        decide: Box::new(decide),
        exempt: None,
        execution: None,
    };
    pipeline.strategies = vec![decider];
    pipeline
}

/// Long the first symbol while it is cheap beside the second by the ratio of their means over the whole sample.
fn pair(bars: &Bars, _: &Predictions) -> Vec<Vec<f64>> {
    let [first, second, third] = bars.symbols() else { return Vec::new() };
    let ratio = mean(first.close()) / mean(second.close());
    let level = |t: usize| {
        let row = second.time().partition_point(|time| *time <= first.time()[t]).saturating_sub(1);
        if first.close()[t] < ratio * second.close()[row] { 1.0 } else { 0.0 }
    };
    vec![(0..first.len()).map(level).collect(), vec![f64::NAN; second.len()], vec![f64::NAN; third.len()]]
}
