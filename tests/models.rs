//! Conformance of every registered model, and exact checks of those with a formula.

use crate::planted::{World, predict_bits};
use candlewick::model::{
    FitError, Forecast, Linear, Logistic, Lstm, ModelConfig, Naive, PatchTransformer, Seasonal, Transformer,
};
use candlewick::nn::{LossConfig, PositiveWeight};
use candlewick::seed::Seed;
use candlewick::table::{LabelKind, Windows};
use candlewick::train::{OptimizerConfig, TrainConfig};

fn mean_squared_error(forecasts: &[f64], targets: &[f64]) -> f64 {
    assert_eq!(forecasts.len(), targets.len());
    forecasts.iter().zip(targets).map(|(forecast, target)| (forecast - target).powi(2)).sum::<f64>()
        / targets.len() as f64
}

/// Every registered model as its default, with networks made small enough for a test.
fn small_examples() -> Vec<ModelConfig> {
    ModelConfig::examples()
        .into_iter()
        .map(|model| match model {
            ModelConfig::Lstm(_) => {
                ModelConfig::Lstm(Lstm { window: 6, layers: vec![10, 6], dropout: 0.1, ..Lstm::default() })
            }
            ModelConfig::Transformer(settings) => {
                let settings = Transformer { window: 6, width: 8, heads: 2, patch_bars: 2, ..settings };
                ModelConfig::Transformer(settings)
            }
            ModelConfig::PatchTransformer(settings) => {
                let (window, patch_bars, stride_bars) = (6, 3, 2);
                let small =
                    PatchTransformer { window, patch_bars, stride_bars, width: 8, heads: 2, ..settings };
                ModelConfig::PatchTransformer(small)
            }
            other => other,
        })
        .collect()
}

/// Whether it looks at no features.
fn is_baseline(model: &ModelConfig) -> bool {
    matches!(model, ModelConfig::Naive(_) | ModelConfig::Seasonal(_))
}

fn quick() -> TrainConfig {
    let mut config = TrainConfig { epochs: 2, batch_size: 32, ..TrainConfig::default() };
    let OptimizerConfig::AdamW(adamw) = &mut config.optimizer;
    adamw.learning_rate = 1e-2;
    config
}

#[test]
fn the_same_seed_gives_the_same_bits_and_another_seed_another_network() {
    for model in small_examples() {
        let mut world = World::fitting(&model, model.build().window(), 120, 2);
        let first = predict_bits(&world, &*world.fit(&model, &quick()).unwrap().model);
        let second = predict_bits(&world, &*world.fit(&model, &quick()).unwrap().model);
        assert_eq!(first, second, "{}", model.name());
        assert_eq!(first.len(), world.test.len() * 2, "{}", model.name());
        world.seed = Seed(6);
        let other = world.fit(&model, &quick()).unwrap();
        let closed_form = other.report.samples == 0;
        assert_eq!(closed_form, predict_bits(&world, &*other.model) == first, "{}", model.name());
    }
}

#[test]
fn a_saved_model_forecasts_the_same_bits() {
    let quantile = LossConfig::Quantile { levels: vec![0.25, 0.5, 0.75] };
    for loss in [LossConfig::Mse, quantile] {
        for model in small_examples() {
            let world = World::fitting(&model, model.build().window(), 100, 2);
            let config = TrainConfig { loss: loss.clone(), ..quick() };
            let fit = world.fit(&model, &config).unwrap();
            let folder = tempfile::tempdir().unwrap();
            fit.model.save(folder.path()).unwrap();
            let loaded = model.build().load(folder.path()).unwrap();
            assert_eq!(predict_bits(&world, &*fit.model), predict_bits(&world, &*loaded), "{}", model.name());
            let expected = model.build().parameters(3, 2, &config);
            assert_eq!(fit.report.parameters, expected, "{}", model.name());
        }
    }
}

#[test]
fn a_saved_model_of_other_settings_or_with_damage_is_refused() {
    for model in small_examples() {
        let world = World::fitting(&model, model.build().window(), 100, 1);
        let folder = tempfile::tempdir().unwrap();
        world.fit(&model, &quick()).unwrap().model.save(folder.path()).unwrap();
        let other = match &model {
            ModelConfig::Naive(_) => ModelConfig::Naive(Naive { forecast: Forecast::Mean }),
            ModelConfig::Linear(_) => {
                ModelConfig::Linear(Linear { window: 1, penalty: 2.0, ..Linear::default() })
            }
            ModelConfig::Seasonal(_) => ModelConfig::Seasonal(Seasonal { period: 12, ..Seasonal::default() }),
            ModelConfig::Logistic(_) => {
                ModelConfig::Logistic(Logistic { penalty: 2.0, ..Logistic::default() })
            }
            ModelConfig::Lstm(settings) => ModelConfig::Lstm(Lstm { dropout: 0.3, ..settings.clone() }),
            ModelConfig::Transformer(settings) => {
                ModelConfig::Transformer(Transformer { heads: 4, ..settings.clone() })
            }
            ModelConfig::PatchTransformer(settings) => {
                ModelConfig::PatchTransformer(PatchTransformer { heads: 4, ..settings.clone() })
            }
        };
        let error = other.build().load(folder.path()).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("other settings"), "{error}");
        let weights = folder.path().join("model.safetensors");
        if weights.exists() {
            std::fs::write(&weights, b"short").unwrap();
            let error = model.build().load(folder.path()).map(|_| ()).unwrap_err();
            assert!(error.to_string().contains("damaged"), "{error}");
        }
        std::fs::write(folder.path().join("model.json"), b"{").unwrap();
        let error = model.build().load(folder.path()).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("damaged"), "{error}");
    }
}

#[test]
fn windows_that_do_not_fit_are_refused() {
    for model in small_examples() {
        let window = model.build().window();
        let wrong = World::fitting(&model, window + 1, 100, 1);
        let error = wrong.fit(&model, &quick()).map(|_| ()).unwrap_err();
        assert!(matches!(error, FitError::Shape { .. }), "{}: {error}", model.name());
        let right = World::fitting(&model, window, 100, 1);
        let fit = right.fit(&model, &quick()).unwrap();
        assert!(matches!(fit.model.predict(&wrong.test), Err(FitError::Shape { .. })));
        let narrow = World::with_features(window, 100, 1, 2, 0.5);
        assert!(matches!(fit.model.predict(&narrow.test), Err(FitError::Shape { .. })));
    }
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    let cases = [
        ("linear: {window: 0}", "linear.window"),
        ("linear: {penalty: -1.0}", "linear.penalty"),
        ("seasonal: {period: 0}", "seasonal.period"),
        ("logistic: {window: 0}", "logistic.window"),
        ("logistic: {penalty: 0.0}", "logistic.penalty"),
        ("logistic: {features: [a, b, a]}", "names `a` twice"),
        ("lstm: {window: 0}", "lstm.window"),
        ("lstm: {layers: []}", "lstm.layers"),
        ("lstm: {layers: [8, 0]}", "lstm.layers"),
        ("lstm: {dropout: 1.0}", "lstm.dropout"),
        ("transformer: {width: 64, heads: 3}", "transformer.heads 3"),
        ("transformer: {window: 10, patch_bars: 4}", "transformer.patch_bars 4"),
        ("transformer: {layers: 0}", "transformer.layers"),
        ("transformer: {feed_forward: 0}", "transformer.feed_forward"),
        ("transformer: {dropout: -0.1}", "transformer.dropout"),
        ("patch_transformer: {width: 64, heads: 3}", "patch_transformer.heads 3"),
        ("patch_transformer: {window: 10, patch_bars: 12}", "stride_bars <= patch_bars <= window"),
        ("patch_transformer: {stride_bars: 0}", "patch_transformer.stride_bars"),
    ];
    for (text, expected) in cases {
        let model: ModelConfig = serde_saphyr::from_str(text).unwrap();
        let error = model.build().check().unwrap_err();
        assert!(error.contains(expected), "{text}: {error}");
        assert_eq!(model.build().parameters(3, 1, &quick()), 0, "{text}");
    }
    for model in ModelConfig::examples() {
        model.build().check().unwrap();
    }
}

#[test]
fn every_model_with_weights_finds_a_planted_signal() {
    for model in small_examples() {
        if is_baseline(&model) {
            continue;
        }
        let world = World::fitting(&model, model.build().window(), 800, 2);
        let fit = world.fit(&model, &TrainConfig { epochs: 12, ..quick() }).unwrap();
        let targets = world.test_targets();
        let error = mean_squared_error(&world.predict(&*fit.model), &targets);
        // Signal variance 1.25 and noise variance 0.25: the best possible share of the error of a return of 0 is about a
        // sixth. Of classes it is about 0.4 of the error of a coin.
        let (ignorant, share) = if world.kind == LabelKind::Class { (0.5, 0.55) } else { (0.0, 0.4) };
        let blind = mean_squared_error(&vec![ignorant; targets.len()], &targets);
        assert!(error < share * blind, "{}: {error} against {blind}", model.name());
    }
}

#[test]
fn targets_and_features_that_never_change_give_numbers() {
    for model in small_examples().into_iter().filter(|model| model.build().fits(LabelKind::Return).is_ok()) {
        let window = model.build().window();
        let rows = 300;
        let mut stream = Seed(3).stream("features", 0);
        let columns = vec![vec![4.25; rows], (0..rows).map(|_| stream.normal()).collect()];
        let world = World::from_columns(window, 100, columns, &vec![vec![0.015]; rows]);
        let forecasts = world.predict(&*world.fit(&model, &quick()).unwrap().model);
        let expected = if matches!(model, ModelConfig::Naive(_)) { 0.0 } else { f64::from(0.015_f32) };
        assert!(
            forecasts.iter().all(|value| (value - expected).abs() < 1e-6),
            "{}: {forecasts:?}",
            model.name()
        );
    }
}

#[test]
fn one_training_window_is_enough_and_none_is_an_error() {
    for model in small_examples() {
        let world = World::fitting(&model, model.build().window(), 1, 1);
        let fit = world.fit(&model, &quick()).unwrap();
        assert!(world.predict(&*fit.model).iter().all(|value| value.is_finite()), "{}", model.name());
        let mut empty = World::fitting(&model, model.build().window(), 50, 1);
        empty.train = empty.train.with_samples(Vec::new(), Vec::new()).unwrap().into();
        let error = empty.fit(&model, &quick()).map(|_| ()).unwrap_err();
        assert!(matches!(error, FitError::NoWindows { part: "training", .. }), "{}: {error}", model.name());
        let mut blind = World::fitting(&model, model.build().window(), 50, 1);
        blind.validation = blind.validation.with_samples(Vec::new(), Vec::new()).unwrap().into();
        match blind.fit(&model, &quick()) {
            Ok(fit) => assert_eq!(fit.report.samples, 0, "{} must not train blindly", model.name()),
            Err(error) => assert!(matches!(error, FitError::NoWindows { part: "validation", .. }), "{error}"),
        }
    }
}

#[test]
fn forecasts_of_a_class_are_probabilities() {
    let weighted = LossConfig::WeightedBce { positive_weight: PositiveWeight::Balanced };
    for loss in [LossConfig::Bce, weighted, LossConfig::Mse] {
        for model in small_examples() {
            let world = World::new(model.build().window(), 400, 1).of_classes();
            let config = TrainConfig { loss: loss.clone(), epochs: 10, ..quick() };
            let forecasts = world.predict(&*world.fit(&model, &config).unwrap().model);
            assert!(forecasts.iter().all(|value| (0.0..=1.0).contains(value)), "{}", model.name());
            if matches!(model, ModelConfig::Naive(_)) {
                assert!(forecasts.iter().all(|value| *value == 0.5));
            } else if !is_baseline(&model) {
                let error = mean_squared_error(&forecasts, &world.test_targets());
                assert!(error < 0.18, "{} with {loss:?}: {error}, against 0.25 of a coin", model.name());
            }
        }
    }
}

#[test]
fn every_trained_weight_has_a_gradient() {
    // The optimiser refuses a weight without a gradient; here all weights must have moved by more than their decay.
    let quantile = LossConfig::Quantile { levels: vec![0.1, 0.5, 0.9] };
    for loss in [LossConfig::Mse, LossConfig::Huber { delta: 1.0 }, quantile, LossConfig::Bce] {
        for model in small_examples().into_iter().filter(|model| !model.build().is_closed_form()) {
            let mut world = World::new(model.build().window(), 32, 1);
            world.kind = if loss == LossConfig::Bce { LabelKind::Class } else { LabelKind::Return };
            let mut config = TrainConfig { loss: loss.clone(), epochs: 1, early_stopping: None, ..quick() };
            let OptimizerConfig::AdamW(adamw) = &mut config.optimizer;
            adamw.weight_decay = 0.0;
            let weights = |learning_rate: f64| {
                let mut config = config.clone();
                let OptimizerConfig::AdamW(adamw) = &mut config.optimizer;
                adamw.learning_rate = learning_rate;
                let folder = tempfile::tempdir().unwrap();
                world.fit(&model, &config).unwrap().model.save(folder.path()).unwrap();
                std::fs::read(folder.path().join("model.safetensors")).unwrap()
            };
            // A rate that moves no f32 against one that does: one step, all 32 windows in it.
            let (before, after) = (weights(1e-30), weights(1e-2));
            let before = safetensors::SafeTensors::deserialize(&before).unwrap();
            let after = safetensors::SafeTensors::deserialize(&after).unwrap();
            assert!(before.len() >= 4, "{}", model.name());
            for (name, tensor) in before.tensors() {
                let moved = after.tensor(&name).unwrap();
                assert_ne!(
                    tensor.data(),
                    moved.data(),
                    "{} with {loss:?}: {name} has no gradient",
                    model.name()
                );
            }
        }
    }
}

#[test]
fn naive_forecasts_equal_their_definitions() {
    let world = World::new(1, 200, 2);
    let fit = |forecast: Forecast| {
        world.predict(&*world.fit(&ModelConfig::Naive(Naive { forecast }), &quick()).unwrap().model)
    };
    assert!(fit(Forecast::Zero).iter().all(|value| *value == 0.0));
    for (kind, neutral) in [(LabelKind::Class, 0.5), (LabelKind::Event, 0.0), (LabelKind::Value, 0.0)] {
        let mut other = World::new(1, 20, 1);
        other.kind = kind;
        let zero = ModelConfig::Naive(Naive { forecast: Forecast::Zero });
        let forecasts = other.predict(&*other.fit(&zero, &quick()).unwrap().model);
        assert!(forecasts.iter().all(|value| *value == neutral), "{kind:?}");
    }
    let statistics: Vec<(f64, f64)> = (0..2)
        .map(|horizon| {
            let column: Vec<f64> =
                (0..200).map(|index| f64::from(world.train.target(index)[horizon])).collect();
            let mean = column.iter().sum::<f64>() / 200.0;
            (mean, (column.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 200.0).sqrt())
        })
        .collect();
    let means = fit(Forecast::Mean);
    let lasts = fit(Forecast::Last);
    for index in 0..world.test.len() {
        for horizon in 0..2 {
            assert!((means[index * 2 + horizon] - statistics[horizon].0).abs() < 1e-12);
            // The scaler already gave the first feature mean 0 and deviation 1 over these very rows.
            let expected =
                statistics[horizon].0 + statistics[horizon].1 * f64::from(world.test.window(index)[0]);
            assert!((lasts[index * 2 + horizon] - expected).abs() < 1e-7);
        }
    }
}

/// The normal equations with an explicit column of ones, solved by Gauss elimination: obviously right, slow.
#[test]
fn linear_equals_the_plain_normal_equations() {
    for (window, penalty) in [(1, 0.0), (1, 1.0), (5, 10.0), (9, 0.0)] {
        let world = World::new(window, 600, 2);
        let inputs = window * 3;
        let size = inputs + 1;
        let row = |windows: &Windows, index: usize| -> Vec<f64> {
            windows.window(index).iter().map(|value| f64::from(*value)).chain([1.0]).collect()
        };
        let model = ModelConfig::Linear(Linear { window, penalty, ..Linear::default() });
        let found = world.predict(&*world.fit(&model, &quick()).unwrap().model);
        for horizon in 0..2 {
            let mut system = vec![vec![0.0; size + 1]; size];
            for index in 0..world.train.len() {
                let x = row(&world.train, index);
                for k in 0..size {
                    for l in 0..size {
                        system[k][l] += x[k] * x[l];
                    }
                    system[k][size] += x[k] * f64::from(world.train.target(index)[horizon]);
                }
            }
            for (k, equation) in system.iter_mut().enumerate().take(inputs) {
                equation[k] += penalty;
            }
            let weights = eliminate(system);
            for index in 0..world.test.len() {
                let expected: f64 = row(&world.test, index).iter().zip(&weights).map(|(x, w)| x * w).sum();
                assert!(
                    (found[index * 2 + horizon] - expected).abs() < 1e-10,
                    "window {window}, penalty {penalty}"
                );
            }
        }
    }
}

fn eliminate(mut system: Vec<Vec<f64>>) -> Vec<f64> {
    let size = system.len();
    for pivot in 0..size {
        let best =
            (pivot..size).max_by(|a, b| system[*a][pivot].abs().total_cmp(&system[*b][pivot].abs())).unwrap();
        system.swap(pivot, best);
        for row in 0..size {
            if row != pivot {
                let factor = system[row][pivot] / system[pivot][pivot];
                let above = system[pivot].clone();
                for (value, above) in system[row].iter_mut().zip(&above) {
                    *value -= factor * above;
                }
            }
        }
    }
    (0..size).map(|row| system[row][size] / system[row][row]).collect()
}

#[test]
fn linear_without_penalty_names_features_that_depend_on_each_other() {
    let mut stream = Seed(3).stream("features", 0);
    let column: Vec<f64> = (0..300).map(|_| stream.normal()).collect();
    let world = World::from_columns(1, 100, vec![column.clone(), column], &vec![vec![0.5]; 300]);
    let fit = |penalty: f64| {
        world.fit(&ModelConfig::Linear(Linear { window: 1, penalty, ..Linear::default() }), &quick())
    };
    let error = fit(0.0).map(|_| ()).unwrap_err();
    assert!(matches!(error, FitError::Singular { .. }), "{error}");
    assert!(error.to_string().contains("penalty"), "{error}");
    fit(1.0).unwrap();
}
