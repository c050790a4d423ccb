//! Risks of rare events: the weighted loss stays calibrated, and logistic regression equals scikit-learn.

use crate::planted::{World, predict_bits, progress_texts};
use candle_core::{Device, Tensor};
use candlewick::model::{FitError, Logistic, Lstm, ModelConfig};
use candlewick::nn::{Head, LossConfig, PositiveWeight};
use candlewick::seed::Seed;
use candlewick::table::{
    Features, LabelKind, Sample, Scaler, ScalerConfig, ScalerKind, TrainSamples, Windows,
};
use candlewick::train::{OptimizerConfig, TrainConfig};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

fn weighted(positive_weight: PositiveWeight) -> LossConfig {
    LossConfig::WeightedBce { positive_weight }
}

/// The chance of an event by the first feature: about 4 in 100 over all.
fn chance(feature: f64) -> f64 {
    1.0 / (1.0 + (4.0 - 1.5 * feature).exp())
}

/// Events whose chance the first of two features tells.
fn rare_events(train: usize) -> World {
    let rows = train + 4_000;
    let mut stream = Seed(21).stream("rare events", 0);
    let columns: Vec<Vec<f64>> = (0..2).map(|_| (0..rows).map(|_| stream.normal()).collect()).collect();
    let event = |row: usize, draw: f64| vec![if draw < chance(columns[0][row]) { 1.0 } else { 0.0 }];
    let targets: Vec<Vec<f32>> = (0..rows).map(|row| event(row, stream.uniform())).collect();
    let world = World::from_columns(1, train, columns, &targets);
    World { kind: LabelKind::Event, ..world }
}

fn config(loss: LossConfig, epochs: u64) -> TrainConfig {
    let mut config = TrainConfig { loss, epochs, batch_size: 64, ..TrainConfig::default() };
    let OptimizerConfig::AdamW(adamw) = &mut config.optimizer;
    adamw.learning_rate = 5e-3;
    config
}

fn small() -> ModelConfig {
    ModelConfig::Lstm(Lstm { window: 1, layers: vec![8], dropout: 0.0, ..Lstm::default() })
}

/// Among the forecasts in this part of the order of risks: their mean, and that of the true chances.
fn calibration(world: &World, forecasts: &[f64], part: std::ops::Range<f64>) -> (f64, f64) {
    let chances = (0..world.test.len()).map(|index| chance(world.test.unscaled(index, 0, 0)));
    let mut order: Vec<(f64, f64)> = forecasts.iter().copied().zip(chances).collect();
    order.sort_by(|left, right| left.0.total_cmp(&right.0));
    let place = |share: f64| (share * order.len() as f64) as usize;
    let rows = &order[place(part.start)..place(part.end)];
    let mean = |of: fn(&(f64, f64)) -> f64| rows.iter().map(of).sum::<f64>() / rows.len() as f64;
    (mean(|row| row.0), mean(|row| row.1))
}

/// Over all rows and in the riskiest tenth, the mean forecast is the mean chance: to three standard deviations of the share
/// of events among so many training rows (0.0033 of all 4,000, 0.02 of a tenth).
fn assert_calibrated(world: &World, forecasts: &[f64], what: &str) {
    let (mean, truth) = calibration(world, forecasts, 0.0..1.0);
    assert!((0.03..0.06).contains(&truth), "{truth}");
    assert!((mean - truth).abs() < 0.01, "{what}: {mean} forecast, {truth} is true");
    let (mean, truth) = calibration(world, forecasts, 0.9..1.0);
    assert!(
        truth > 0.15 && (mean - truth).abs() < 0.06,
        "{what}, riskiest: {mean} forecast, {truth} is true"
    );
}

#[test]
fn a_weighted_loss_forecasts_risks_that_come_true_as_often_as_they_say() {
    let world = rare_events(4_000);
    for loss in [LossConfig::Bce, weighted(PositiveWeight::Balanced), weighted(PositiveWeight::Times(5.0))] {
        let forecasts = world.predict(&*world.fit(&small(), &config(loss.clone(), 8)).unwrap().model);
        assert_calibrated(&world, &forecasts, &format!("{loss:?}"));
    }
}

#[test]
fn the_forecast_takes_the_weight_out_of_the_logit() {
    let logits = [-90.0_f32, -3.0, 0.0, 2.5, 90.0];
    let outputs = Tensor::new(&[logits], &Device::Cpu).unwrap();
    let forecast = |loss: LossConfig| loss.forecast(&outputs).unwrap().to_vec2::<f32>().unwrap().remove(0);
    for weight in [0.2, 1.0, 24.0, 1e6] {
        for (found, logit) in forecast(weighted(PositiveWeight::Times(weight))).iter().zip(logits) {
            // Odds of the weighted classes are the weight times those of the true ones.
            let odds = f64::from(logit).exp() / weight;
            assert!((f64::from(*found) - odds / (1.0 + odds)).abs() < 1e-6, "{weight} {logit}: {found}");
        }
    }
    let mixed = |loss| LossConfig::Mixed { heads: vec![Head { loss, weight: 2.0 }] };
    let one = weighted(PositiveWeight::Times(24.0));
    assert_eq!(forecast(mixed(one.clone())), forecast(one));
    // A weight that nobody resolved is no number to be guessed.
    let error = weighted(PositiveWeight::Balanced).forecast(&outputs).unwrap_err();
    assert!(error.to_string().contains("balanced"), "{error}");
}

#[test]
fn a_balanced_weight_is_the_classes_of_the_training_windows_and_stays_with_the_model() {
    let world = World::new(1, 90, 2).of_classes();
    let all: Vec<f32> = (0..90).flat_map(|index| world.train.target(index).to_vec()).collect();
    let ones = all.iter().filter(|target| **target == 1.0).count();
    let weight = (180 - ones) as f64 / ones as f64;
    let head = |loss| LossConfig::Mixed { heads: vec![Head { loss, weight: 1.0 }] };
    for (written, resolved) in [
        (weighted(PositiveWeight::Balanced), weighted(PositiveWeight::Times(weight))),
        (head(weighted(PositiveWeight::Balanced)), head(weighted(PositiveWeight::Times(weight)))),
    ] {
        let balanced = world.fit(&small(), &config(written, 2)).unwrap();
        let by_hand = world.fit(&small(), &config(resolved.clone(), 2)).unwrap();
        assert_eq!(predict_bits(&world, &*balanced.model), predict_bits(&world, &*by_hand.model));
        let folder = tempfile::tempdir().unwrap();
        balanced.model.save(folder.path()).unwrap();
        let card = std::fs::read_to_string(folder.path().join("model.json")).unwrap();
        let card: serde_json::Value = serde_json::from_str(&card).unwrap();
        assert_eq!(card["loss"], serde_json::to_value(&resolved).unwrap());
        let loaded = small().build().load(folder.path()).unwrap();
        assert_eq!(predict_bits(&world, &*balanced.model), predict_bits(&world, &*loaded));
    }
}

#[test]
fn training_windows_of_one_class_give_a_weight_of_one_and_a_warning() {
    for class in [0.0, 1.0] {
        let mut world = World::new(1, 60, 1);
        world.kind = LabelKind::Event;
        let same = world.train.with_samples(world.train.samples().to_vec(), vec![class; 60]).unwrap();
        world.train = same.into();
        let fit = |loss: LossConfig| {
            progress_texts(|progress| {
                let never = AtomicBool::new(false);
                world.fit_reporting(&small(), &config(loss, 2), None, &never, progress).unwrap()
            })
        };
        let (balanced, texts) = fit(weighted(PositiveWeight::Balanced));
        assert!(texts.len() == 1 && texts[0].contains("`positive_weight: balanced` is 1"), "{texts:?}");
        let (one, texts) = fit(weighted(PositiveWeight::Times(1.0)));
        assert!(texts.is_empty(), "{texts:?}");
        assert_eq!(predict_bits(&world, &*balanced.model), predict_bits(&world, &*one.model));
        assert!(world.predict(&*balanced.model).iter().all(|risk| (0.0..=1.0).contains(risk)));
    }
}

#[test]
fn the_weighted_loss_is_read_as_it_is_written_and_refused_by_name() {
    let read = |text: &str| serde_saphyr::from_str::<TrainConfig>(text).unwrap().loss;
    assert_eq!(read("loss: {weighted_bce: {}}"), weighted(PositiveWeight::Balanced));
    assert_eq!(read("loss: {weighted_bce: {positive_weight: balanced}}"), weighted(PositiveWeight::Balanced));
    assert_eq!(read("loss: {weighted_bce: {positive_weight: 12}}"), weighted(PositiveWeight::Times(12.0)));
    assert_eq!(read("loss: {weighted_bce: {positive_weight: 0.5}}"), weighted(PositiveWeight::Times(0.5)));
    for loss in [weighted(PositiveWeight::Balanced), weighted(PositiveWeight::Times(2.5))] {
        let written = serde_json::to_string(&loss).unwrap();
        assert_eq!(serde_json::from_str::<LossConfig>(&written).unwrap(), loss);
    }
    let wrong = serde_saphyr::from_str::<TrainConfig>("loss: {weighted_bce: {positive_weight: equal}}");
    assert!(wrong.unwrap_err().to_string().contains("balanced"));
    let check = |loss: LossConfig, kind| TrainConfig { loss, ..TrainConfig::default() }.check(kind);
    for weight in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        let error = check(weighted(PositiveWeight::Times(weight)), LabelKind::Event).unwrap_err();
        assert!(error.contains("train.loss.weighted_bce.positive_weight"), "{error}");
    }
    for kind in [LabelKind::Class, LabelKind::Event] {
        check(weighted(PositiveWeight::Balanced), kind).unwrap();
    }
    for kind in [LabelKind::Return, LabelKind::Value] {
        let error = check(weighted(PositiveWeight::Balanced), kind).unwrap_err();
        assert!(error.contains("weighted_bce needs a target of 0 or 1"), "{error}");
    }
}

#[derive(serde::Deserialize)]
struct Reference {
    window: usize,
    train: usize,
    features: Vec<Vec<f64>>,
    targets: Vec<Vec<f32>>,
    cases: Vec<Case>,
}

#[derive(serde::Deserialize)]
struct Case {
    penalty: f64,
    picked: Vec<usize>,
    forecasts: Vec<Vec<f64>>,
}

impl Reference {
    /// Unscaled windows; the names of the features are those of their numbers.
    fn world(&self) -> World {
        let names = (0..self.features.len()).map(|index| format!("feature_{index}")).collect();
        let features = Features::new(names, vec![self.features.clone()]).unwrap();
        let rows = self.features[0].len();
        let first = self.window - 1;
        let samples = |range: std::ops::Range<usize>| -> Vec<Sample> {
            range.map(|row| Sample { symbol: 0, row: row as u32 }).collect()
        };
        let whole = TrainSamples::purged(samples(first..rows));
        let none = ScalerConfig { kind: ScalerKind::None, ..ScalerConfig::default() };
        let scaler = Scaler::fit(none, &features, &whole).unwrap();
        let windows = |range: std::ops::Range<usize>| {
            let targets = range.clone().flat_map(|row| self.targets.iter().map(move |target| target[row]));
            Windows::new(&features, &scaler, self.window, samples(range.clone()), targets.collect()).unwrap()
        };
        let train = Arc::new(windows(first..first + self.train));
        World {
            kind: LabelKind::Event,
            seed: Seed(5),
            validation: train.clone(),
            train,
            test: windows(first + self.train..rows),
        }
    }
}

#[test]
fn logistic_equals_scikit_learn() {
    // Reference: tests/reference/logistic.py, scikit-learn 1.9.1.
    let reference: Reference = serde_json::from_str(include_str!("reference/logistic.json")).unwrap();
    let world = reference.world();
    for case in &reference.cases {
        let features = case.picked.iter().map(|index| format!("feature_{index}")).collect();
        let settings = Logistic { window: reference.window, penalty: case.penalty, features };
        let model = ModelConfig::Logistic(settings);
        let fit = world.fit(&model, &TrainConfig::default()).unwrap();
        let inputs = reference.window * if case.picked.is_empty() { 2 } else { 1 };
        assert_eq!(fit.report.parameters, 2 * (inputs + 1));
        let found = world.predict(&*fit.model);
        for (horizon, wanted) in case.forecasts.iter().enumerate() {
            for (row, wanted) in wanted.iter().enumerate() {
                let found = found[row * 2 + horizon];
                let (penalty, picked) = (case.penalty, &case.picked);
                assert!(
                    (found - wanted).abs() < 1e-8,
                    "penalty {penalty}, {picked:?}, {row}: {found}, {wanted}"
                );
            }
        }
    }
}

#[test]
fn logistic_is_calibrated_and_finds_the_planted_chance() {
    let world = rare_events(4_000);
    let model = ModelConfig::Logistic(Logistic::default());
    let forecasts = world.predict(&*world.fit(&model, &TrainConfig::default()).unwrap().model);
    assert_calibrated(&world, &forecasts, "logistic");
    let wrong = |index: usize| (forecasts[index] - chance(world.test.unscaled(index, 0, 0))).abs();
    let largest = (0..world.test.len()).map(wrong).fold(0.0, f64::max);
    assert!(largest < 0.1, "{largest}");
}

#[test]
fn classes_that_a_plane_separates_stay_finite() {
    let column: Vec<f64> = (0..400).map(|row| f64::from(row % 40) - 19.5).collect();
    let targets: Vec<Vec<f32>> =
        column.iter().map(|value| vec![if *value > 0.0 { 1.0 } else { 0.0 }]).collect();
    let mut world = World::from_columns(1, 120, vec![column], &targets);
    world.kind = LabelKind::Class;
    for penalty in [1e-6, 1.0] {
        let model = ModelConfig::Logistic(Logistic { penalty, ..Logistic::default() });
        let forecasts = world.predict(&*world.fit(&model, &TrainConfig::default()).unwrap().model);
        for (forecast, target) in forecasts.iter().zip(world.test_targets()) {
            assert!(forecast.is_finite() && (forecast - target).abs() < 0.5, "{forecast} for {target}");
        }
    }
}

#[test]
fn logistic_on_windows_of_one_class_is_a_constant_and_says_so() {
    for (class, wanted) in [(0.0, 0.5 / 61.0), (1.0, 60.5 / 61.0)] {
        let mut world = World::new(1, 60, 1);
        world.kind = LabelKind::Event;
        let same = world.train.with_samples(world.train.samples().to_vec(), vec![class; 60]).unwrap();
        world.train = same.into();
        let model = ModelConfig::Logistic(Logistic::default());
        let (fit, texts) = progress_texts(|progress| {
            let (never, config) = (AtomicBool::new(false), TrainConfig::default());
            world.fit_reporting(&model, &config, None, &never, progress).unwrap()
        });
        assert!(texts.len() == 1 && texts[0].contains("all targets of horizon 1 are"), "{texts:?}");
        assert!(world.predict(&*fit.model).iter().all(|risk| (risk - wanted).abs() < 1e-12));
    }
}

#[test]
fn logistic_names_what_it_cannot_do() {
    let world = World::new(1, 100, 1).of_classes();
    let refused = |world: &World, features: &[&str]| {
        let features = features.iter().map(|name| (*name).to_owned()).collect();
        let model = ModelConfig::Logistic(Logistic { features, ..Logistic::default() });
        match world.fit(&model, &TrainConfig::default()) {
            Err(FitError::Settings(text)) => text,
            other => panic!("{:?}", other.map(|fit| fit.report)),
        }
    };
    let text = refused(&world, &["feature_0", "feature_7"]);
    assert!(text.contains("`feature_7`, which is not computed") && text.contains("did you mean"), "{text}");
    let text = refused(&world, &["blr"]);
    assert!(text.contains("there are feature_0, feature_1, feature_2"), "{text}");
    let text = refused(&World::new(1, 100, 1), &[]);
    assert!(text.contains("use `linear`"), "{text}");
}

/// The time of a large fit: `cargo test --release --test suite -- --ignored logistic_on_many --nocapture`.
#[test]
#[ignore = "a measurement"]
fn logistic_on_many_windows() {
    let mut stream = Seed(2).stream("many", 0);
    let rows = 50_400;
    let columns: Vec<Vec<f64>> = (0..6).map(|_| (0..rows).map(|_| stream.normal()).collect()).collect();
    let targets =
        (0..rows).map(|row| vec![if stream.uniform() < chance(columns[0][row]) { 1.0 } else { 0.0 }]);
    let targets: Vec<Vec<f32>> = targets.collect();
    let mut world = World::from_columns(50, 50_000, columns, &targets);
    world.kind = LabelKind::Event;
    let model = ModelConfig::Logistic(Logistic { window: 50, ..Logistic::default() });
    let fit = world.fit(&model, &TrainConfig::default()).unwrap();
    println!(
        "50,000 windows of 50 x 6: {:.1} s, {:.1} s of a core",
        fit.report.seconds, fit.report.cpu_seconds
    );
}
