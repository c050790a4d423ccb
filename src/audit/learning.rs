//! Splits, scalers, model inputs and forecasts under the proof.

use super::finding::{Leak, Tally, first_change, same};
use super::pipeline::{Learning, Prepared, Tables};
use super::poison::{Future, Poison, poisoned, spread, stretch};
use super::{Audit, AuditError, Depth, Proof};
use crate::data::Fold;
use crate::table::{Bars, Features, Labels, ModelPredictions, Sample, Windows};
use crate::units::Time;

/// Windows of a part that are compared in a short audit.
const SOME_WINDOWS: usize = 500;

/// One fold on bars that end with it.
struct FoldWorld<'a> {
    learning: &'a Learning<'a>,
    fold: &'a Fold,
    bars: Bars,
    features: Features,
    labels: Labels,
}

/// The lines of the summary that come from learning.
struct Tallies {
    split: Tally,
    scaler: Tally,
    inputs: Tally,
    forecasts: Tally,
}

pub(super) fn prove(audit: &Audit, proof: &mut Proof) -> Result<(), AuditError> {
    let pipeline = audit.pipeline;
    let (Some(learning), Some(features), Some(labels)) =
        (&pipeline.learning, &pipeline.features, &pipeline.labels)
    else {
        return Ok(());
    };
    let fail = |part| move |reason| AuditError { part, reason };
    let folds = (learning.split)(audit.bars).map_err(fail("split"))?;
    let mut tallies = Tallies {
        split: Tally::new("split"),
        scaler: Tally::new("scaler"),
        inputs: Tally::new("model inputs"),
        forecasts: Tally::new("forecasts"),
    };
    order(learning, &folds, &mut tallies.split);
    same_folds(audit, learning, &folds, &mut tallies.split).map_err(fail("split"))?;
    let mut stream = pipeline.seed.stream("folds of the audit", 0);
    let chosen = spread(0..folds.len(), audit.depth.most_folds(), &mut stream);
    for (number, index) in chosen.iter().enumerate() {
        let fold = &folds[*index];
        let parts = fold.train.iter().chain([&fold.validation, &fold.test]);
        let end = parts.map(|part| audit.bars.timeline().step_at(part.end)).max().unwrap_or(1).max(1);
        // Where later bars train as well, the world does not end with the test part.
        let end = if learning.trains_on_later_bars { audit.bars.timeline().times().len() } else { end };
        let bars = stretch(audit.bars, end, usize::MAX);
        let world = FoldWorld {
            learning,
            fold,
            features: features(&bars).map_err(fail("features"))?,
            labels: labels(&bars).map_err(fail("labels"))?,
            bars,
        };
        audit.fold(&world, &mut tallies)?;
        if number == 0 && learning.forecast.is_some() && !learning.trains_on_later_bars {
            audit.forecasts(&world, &mut tallies.forecasts).map_err(fail("forecasts"))?;
            proof.moments += 1;
        }
        proof.moments += 2;
    }
    push_checks(learning, &folds, chosen.len(), tallies, proof);
    Ok(())
}

fn push_checks(learning: &Learning, folds: &[Fold], audited: usize, tallies: Tallies, proof: &mut Proof) {
    let count = folds.len();
    proof.checks.push(tallies.split.check(|compared| match learning.trains_on_later_bars {
        true => format!(
            "{compared} labels keep apart from the test parts of {audited} of {count} folds; this split trains on bars \
             after its test parts by intention, so nobody could have traded its forecasts"
        ),
        false => format!(
            "{count} folds train, validate and test in the order of time; {compared} labels of {audited} of them are known \
             before the next part begins"
        ),
    }));
    // What is learned from later bars changes with them.
    if !learning.trains_on_later_bars {
        proof.checks.push(tallies.scaler.check(|compared| {
            format!(
                "{compared} offsets and factors keep their bits when all bars after the training part change"
            )
        }));
        proof.checks.push(
            tallies.inputs.check(|compared| {
                format!("{compared} numbers that models see and learn from keep their bits")
            }),
        );
    }
    if learning.forecast.is_some() && !learning.trains_on_later_bars {
        proof.checks.push(tallies.forecasts.check(|compared| {
            format!("{compared} forecasts of models that were trained anew keep their bits")
        }));
    }
    if let Some(choice) = &learning.choice {
        let mut tally = Tally::new("choice");
        tally.compared(folds.len());
        if let Some(fold) = folds.iter().find(|fold| fold.test.start < choice.end) {
            tally.leak(format!(
                "the model is chosen by bars up to {}, but fold {} is tested from {} on: the choice knew the future",
                choice.end, fold.index, fold.test.start
            ));
        }
        proof.checks.push(
            tally.check(|_| format!("the model is chosen by bars before {}, the first test bar", choice.end)),
        );
    }
}

/// Parts come in the order of time, unless the split is meant to learn from both sides.
fn order(learning: &Learning, folds: &[Fold], tally: &mut Tally) {
    for fold in folds.iter().filter(|_| !learning.trains_on_later_bars) {
        let late = fold.train.iter().find(|part| part.end > fold.validation.start);
        let (part, end, next, start) = match late {
            Some(part) => ("trains", part.end, "validates", fold.validation.start),
            None if fold.validation.end > fold.test.start => {
                ("validates", fold.validation.end, "is tested", fold.test.start)
            }
            None => continue,
        };
        tally.leak(format!("fold {} {part} up to {end}, but {next} from {start} on", fold.index));
    }
}

/// What is cut by prices instead of by time may know later prices: with all bars from the last test part on changed,
/// everything up to that part must stay.
fn same_folds(audit: &Audit, learning: &Learning, folds: &[Fold], tally: &mut Tally) -> Result<(), String> {
    let timeline = audit.bars.timeline();
    let last = folds.iter().map(|fold| timeline.step_at(fold.test.start)).max().unwrap_or(1);
    let step = last.saturating_sub(1);
    let future = Future { step, poison: Poison::Rise, tail: usize::MAX, keeps_open: false };
    let changed = poisoned(audit.bars, &future, audit.pipeline.seed)?;
    let parts = |fold: &Fold| (fold.train.clone(), fold.validation.clone(), fold.test.start);
    match (learning.split)(&changed) {
        Ok(now) if now.iter().map(parts).eq(folds.iter().map(parts)) => {}
        Ok(_) => {
            let (moment, poison) = (timeline.times()[step], Poison::Rise);
            tally.leak(format!(
                "the folds knew the future: they changed when the bars after {moment} {poison}"
            ));
        }
        Err(reason) => tally.unproved(&Poison::Rise.to_string(), &reason),
    }
    Ok(())
}

impl Audit<'_> {
    fn fold(&self, world: &FoldWorld, tallies: &mut Tallies) -> Result<(), AuditError> {
        let models = match self.depth {
            Depth::Short => 0..world.learning.models.len().min(1),
            Depth::Full => 0..world.learning.models.len(),
        };
        let tables = Tables { bars: &world.bars, features: &world.features, labels: &world.labels };
        for model in models {
            let before = (world.learning.prepare)(&tables, world.fold, model);
            let before = before.map_err(|reason| AuditError { part: "model inputs", reason })?;
            labels_apart(world, &before, &mut tallies.split);
            let name = format!("{} on fold {}", world.learning.models[model], world.fold.index);
            if !world.learning.trains_on_later_bars {
                self.training(world, (model, &name), &before, tallies)?;
            }
            self.testing(world, (model, &name), &before, tallies)?;
        }
        Ok(())
    }

    /// All bars from the validation part on change: scaler, training windows and their targets must not.
    fn training(
        &self,
        world: &FoldWorld,
        (model, name): (usize, &str),
        before: &Prepared,
        tallies: &mut Tallies,
    ) -> Result<(), AuditError> {
        let step = world.bars.timeline().step_at(world.fold.validation.start).saturating_sub(1);
        let moment = world.bars.timeline().times()[step];
        let poisons: &[Poison] = if self.depth == Depth::Short {
            &[Poison::Rise]
        } else {
            &[Poison::Rise, Poison::Fall, Poison::Shuffled]
        };
        for poison in poisons {
            let now = match self.prepared(world, model, step, *poison)? {
                Ok(now) => now,
                Err(reason) => {
                    tallies.inputs.unproved(&poison.to_string(), &reason);
                    continue;
                }
            };
            if let Some(place) = scaler_change(&now, before, &mut tallies.scaler) {
                let feature = &world.features.names()[place];
                tallies.scaler.leak(format!(
                    "the scaler of {feature} for {name} knew the future: it changed when the bars after {moment} {poison}"
                ));
            }
            let until = Time(i64::MAX);
            let change =
                self.window_change(&now.train, &before.train, (&world.bars, until), &mut tallies.inputs);
            if let Some((what, sample)) = change {
                let leak =
                    leak_at(&world.bars, format!("a training {what} of {name}"), sample, (moment, *poison));
                tallies.inputs.leak(leak);
            }
        }
        Ok(())
    }

    /// Bars from the middle of the test part on change: windows before it must not.
    fn testing(
        &self,
        world: &FoldWorld,
        (model, name): (usize, &str),
        before: &Prepared,
        tallies: &mut Tallies,
    ) -> Result<(), AuditError> {
        if world.learning.trains_on_later_bars {
            return Ok(());
        }
        let step = self.middle(world);
        let moment = world.bars.timeline().times()[step];
        let now = match self.prepared(world, model, step, Poison::Rise)? {
            Ok(now) => now,
            Err(reason) => {
                tallies.inputs.unproved(&Poison::Rise.to_string(), &reason);
                return Ok(());
            }
        };
        for (part, now, before) in
            [("validation", &now.validation, &before.validation), ("test", &now.test, &before.test)]
        {
            let change = self.window_change(now, before, (&world.bars, moment), &mut tallies.inputs);
            if let Some((what, sample)) = change {
                let what = format!("a {part} {what} of {name}");
                tallies.inputs.leak(leak_at(&world.bars, what, sample, (moment, Poison::Rise)));
            }
        }
        Ok(())
    }

    /// A step inside the test part.
    fn middle(&self, world: &FoldWorld) -> usize {
        let timeline = world.bars.timeline();
        let test = timeline.step_at(world.fold.test.start)..timeline.step_at(world.fold.test.end);
        let mut stream = self.pipeline.seed.stream("moment of a test part", world.fold.index as u64);
        test.start + stream.below(test.len().saturating_sub(1).max(1))
    }

    fn prepared(
        &self,
        world: &FoldWorld,
        model: usize,
        step: usize,
        poison: Poison,
    ) -> Result<Result<Prepared, String>, AuditError> {
        let fail = |reason| AuditError { part: "model inputs", reason };
        let future = Future { step, poison, tail: usize::MAX, keeps_open: false };
        let bars = poisoned(&world.bars, &future, self.pipeline.seed).map_err(fail)?;
        let (Some(features), Some(labels)) = (&self.pipeline.features, &self.pipeline.labels) else {
            return Err(fail("there are no features or labels".into()));
        };
        Ok(features(&bars).and_then(|features| {
            let labels = labels(&bars)?;
            let tables = Tables { bars: &bars, features: &features, labels: &labels };
            (world.learning.prepare)(&tables, world.fold, model)
        }))
    }

    /// The first window or target of a sample up to `until` that changes.
    fn window_change(
        &self,
        now: &Windows,
        before: &Windows,
        (bars, until): (&Bars, Time),
        tally: &mut Tally,
    ) -> Option<(&'static str, Sample)> {
        let early =
            |sample: &Sample| bars.symbols()[sample.symbol as usize].time()[sample.row as usize] <= until;
        let places = |windows: &Windows| -> Vec<usize> {
            (0..windows.len()).filter(|index| early(&windows.samples()[*index])).collect()
        };
        let (now_places, places) = (places(now), places(before));
        let unlike = now_places
            .iter()
            .zip(&places)
            .find(|(now_at, at)| now.samples()[**now_at] != before.samples()[**at]);
        if let Some((_, at)) = unlike {
            return Some(("sample", before.samples()[*at]));
        }
        if now_places.len() != places.len() {
            let longer = if now_places.len() > places.len() { (now, &now_places) } else { (before, &places) };
            return Some(("sample", longer.0.samples()[longer.1[now_places.len().min(places.len())]]));
        }
        let stride = match self.depth {
            Depth::Short => places.len().div_ceil(SOME_WINDOWS).max(1),
            Depth::Full => 1,
        };
        // The last windows are nearest to the moment.
        for (now_at, at) in now_places.iter().zip(&places).rev().step_by(stride) {
            let (window, target) = (before.window(*at), before.target(*at));
            tally.compared(window.len() + target.len());
            let equal = |one: &[f32], two: &[f32]| {
                one.iter().zip(two).all(|(one, two)| same(f64::from(*one), f64::from(*two)))
            };
            if !equal(now.window(*now_at), window) {
                return Some(("window", before.samples()[*at]));
            }
            if !equal(now.target(*now_at), target) {
                return Some(("target", before.samples()[*at]));
            }
        }
        None
    }

    /// Models that are trained anew on another future forecast the same up to the moment.
    fn forecasts(&self, world: &FoldWorld, tally: &mut Tally) -> Result<(), String> {
        let Some(forecast) = &world.learning.forecast else { return Ok(()) };
        let before = forecast(&world.bars, world.fold)?;
        let step = self.middle(world);
        let future = Future { step, poison: Poison::Rise, tail: usize::MAX, keeps_open: false };
        let bars = poisoned(&world.bars, &future, self.pipeline.seed)?;
        let moment = bars.timeline().times()[step];
        match forecast(&bars, world.fold) {
            Ok(now) => {
                for (now, before) in now.iter().zip(&before) {
                    if let Some(sample) = forecast_change(now, before, (&world.bars, moment), tally) {
                        let what = format!("a forecast of {}", before.model);
                        tally.leak(leak_at(&world.bars, what, sample, (moment, Poison::Rise)));
                    }
                }
            }
            Err(reason) => tally.unproved(&Poison::Rise.to_string(), &reason),
        }
        Ok(())
    }
}

fn forecast_change(
    now: &ModelPredictions,
    before: &ModelPredictions,
    (bars, moment): (&Bars, Time),
    tally: &mut Tally,
) -> Option<Sample> {
    let width = before.horizons.len();
    for (index, sample) in before.samples.iter().enumerate() {
        if bars.symbols()[sample.symbol as usize].time()[sample.row as usize] > moment {
            continue;
        }
        tally.compared(width);
        let row = |values: &[f64]| values.get(index * width..(index + 1) * width).map(<[f64]>::to_vec);
        let equal = match (row(&now.values), row(&before.values)) {
            (Some(now), Some(before)) => first_change(&now, &before, width).is_none(),
            _ => false,
        };
        if !equal || now.samples.get(index) != Some(sample) {
            return Some(*sample);
        }
    }
    None
}

fn leak_at(bars: &Bars, what: String, sample: Sample, (moment, poison): (Time, Poison)) -> Leak {
    let symbol = &bars.symbols()[sample.symbol as usize];
    let time = symbol.time()[sample.row as usize];
    Leak { what: format!("{what} for {}", symbol.symbol()), time, moment, poison }
}

/// The feature whose offset or factor changes.
fn scaler_change(now: &Prepared, before: &Prepared, tally: &mut Tally) -> Option<usize> {
    for (now, before) in now.scaler.statistics().zip(before.scaler.statistics()) {
        tally.compared(2 * before.len());
        let unlike =
            |(now, before): (&[f64; 2], &[f64; 2])| !(same(now[0], before[0]) && same(now[1], before[1]));
        if let Some(place) = now.iter().zip(&before).position(unlike) {
            return Some(place);
        }
    }
    None
}

/// What is learned from or chosen by must be known before the next part begins; where later bars train, it must share no
/// time with the test part and its labels.
fn labels_apart(world: &FoldWorld, prepared: &Prepared, tally: &mut Tally) {
    let FoldWorld { learning, fold, bars, labels, .. } = world;
    let close = |sample: &Sample| {
        let start = bars.symbols()[sample.symbol as usize].time()[sample.row as usize];
        Time(start.0.saturating_add(bars.interval()))
    };
    let known = |sample: &Sample| labels.known_at(sample.symbol as usize, sample.row as usize);
    let tested = prepared.test.samples().iter().filter_map(known).max().unwrap_or(fold.test.end);
    for (part, samples, next) in [
        ("train", prepared.train.samples(), fold.validation.start),
        ("validate", prepared.validation.samples(), fold.test.start),
    ] {
        for sample in samples {
            tally.compared(1);
            let limit = if learning.trains_on_later_bars { fold.test.start } else { next };
            let after_all = learning.trains_on_later_bars && close(sample) >= tested.max(fold.test.end);
            let late = known(sample).is_none_or(|known| known > limit) && !after_all;
            if late {
                let symbol = bars.symbols()[sample.symbol as usize].symbol();
                let when = known(sample).map_or("never".to_owned(), |known| known.to_string());
                return tally.leak(format!(
                    "fold {} {part}s on the sample of {symbol} at {}, whose label is known {when}, not before {limit}, when \
                     the next part begins",
                    fold.index,
                    bars.symbols()[sample.symbol as usize].time()[sample.row as usize]
                ));
            }
        }
    }
    outside(world, prepared, tally);
}

/// What is forecast lies in the test part.
fn outside(world: &FoldWorld, prepared: &Prepared, tally: &mut Tally) {
    let FoldWorld { fold, bars, .. } = world;
    for sample in prepared.test.samples() {
        let time = bars.symbols()[sample.symbol as usize].time()[sample.row as usize];
        if !fold.test.contains(&time) {
            return tally.leak(format!(
                "fold {} forecasts {time}, which lies outside of its test part, {} to {}",
                fold.index, fold.test.start, fold.test.end
            ));
        }
    }
}
