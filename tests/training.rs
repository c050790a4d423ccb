//! The gradient loop: resume, determinism, refusals, schedules; and how fast it is.

use crate::planted::{World, predict_bits, progress_texts};
use candle_core::{Device, Tensor};
use candlewick::kernels::{arena::Arena, precision::Precision};
use candlewick::model::{Fit, FitError, Lstm, ModelConfig, StopReason, Transformer};
use candlewick::nn::{Head, LossConfig, Pass};
use candlewick::seed::Seed;
use candlewick::train::{EarlyStopping, PrecisionConfig, ScheduleConfig, TrainConfig};
use std::sync::atomic::{AtomicBool, Ordering};

fn small_lstm() -> ModelConfig {
    ModelConfig::Lstm(Lstm { window: 6, layers: vec![8, 5], dropout: 0.2, ..Lstm::default() })
}

fn small_transformer() -> ModelConfig {
    let settings =
        Transformer { window: 6, width: 8, heads: 2, layers: 2, patch_bars: 2, ..Transformer::default() };
    ModelConfig::Transformer(settings)
}

fn config() -> TrainConfig {
    TrainConfig {
        epochs: 5,
        batch_size: 32,
        schedule: ScheduleConfig::Cosine { warm_up_steps: 3 },
        early_stopping: Some(EarlyStopping { patience: 2, min_delta: 0.0 }),
        ..TrainConfig::default()
    }
}

/// Everything of a fit that must not depend on how it came about.
fn outcome(world: &World, fit: &Fit) -> (Vec<u64>, String, Option<u64>, u64) {
    let report = &fit.report;
    (predict_bits(world, &*fit.model), format!("{:?}", report.epochs), report.best_epoch, report.samples)
}

#[test]
fn a_fit_that_was_stopped_after_any_epoch_ends_with_the_same_bits() {
    for (model, schedule) in [
        (small_lstm(), ScheduleConfig::Cosine { warm_up_steps: 3 }),
        (small_transformer(), ScheduleConfig::Plateau { factor: 0.5, patience: 0 }),
    ] {
        let world = World::new(6, 150, 2);
        let config = TrainConfig { schedule, ..config() };
        let whole = world.fit(&model, &config).unwrap();
        assert!(whole.report.epochs.len() >= 3, "the case must be long enough to be cut");
        for cut in 1..whole.report.epochs.len() as u64 {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("checkpoint.safetensors");
            let stop = AtomicBool::new(false);
            let after = |epoch: u64| stop.store(epoch >= cut, Ordering::Relaxed);
            let error = world.fit_with(&model, &config, Some(&file), &stop, &after).map(|_| ()).unwrap_err();
            assert!(matches!(error, FitError::Interrupted), "{error}");
            let resumed =
                world.fit_with(&model, &config, Some(&file), &AtomicBool::new(false), &|_| {}).unwrap();
            assert_eq!(
                outcome(&world, &whole),
                outcome(&world, &resumed),
                "{} cut after {cut}",
                model.name()
            );
            // Once more, from the finished checkpoint: nothing is left to do and nothing changes.
            let again =
                world.fit_with(&model, &config, Some(&file), &AtomicBool::new(false), &|_| {}).unwrap();
            assert_eq!(outcome(&world, &whole), outcome(&world, &again));
        }
    }
}

#[test]
fn a_checkpoint_that_does_not_fit_is_ignored_with_a_warning() {
    let world = World::new(6, 120, 1);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("checkpoint.safetensors");
    let never = AtomicBool::new(false);
    let whole = world.fit_with(&small_lstm(), &config(), Some(&file), &never, &|_| {}).unwrap();
    let good = std::fs::read(&file).unwrap();

    let mut flipped = good.clone();
    let middle = flipped.len() - 100;
    flipped[middle] ^= 1;
    for (bytes, expected) in
        [(&flipped[..], "checksum"), (&good[..good.len() / 2], "damaged"), (&b"{}"[..], "damaged")]
    {
        std::fs::write(&file, bytes).unwrap();
        let (fit, texts) = progress_texts(|progress| {
            world.fit_reporting(&small_lstm(), &config(), Some(&file), &never, progress)
        });
        assert!(texts.iter().any(|text| text.contains(expected) && text.contains("anew")), "{texts:?}");
        assert_eq!(outcome(&world, &whole), outcome(&world, &fit.unwrap()));
    }
    std::fs::write(&file, &good).unwrap();
    let other = TrainConfig { epochs: 6, ..config() };
    let (fit, texts) =
        progress_texts(|progress| world.fit_reporting(&small_lstm(), &other, Some(&file), &never, progress));
    assert!(texts.iter().any(|text| text.contains("another plan")), "{texts:?}");
    fit.unwrap();
}

#[test]
fn company_changes_no_bit() {
    let world = World::new(6, 150, 2);
    let alone = outcome(&world, &world.fit(&small_lstm(), &config()).unwrap());
    std::thread::scope(|scope| {
        let fits: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| outcome(&world, &world.fit(&small_lstm(), &config()).unwrap())))
            .collect();
        for fit in fits {
            assert_eq!(alone, fit.join().unwrap());
        }
    });
}

#[test]
fn a_loss_that_is_no_number_is_an_error_with_its_step() {
    let mut config = config();
    let candlewick::train::OptimizerConfig::AdamW(adamw) = &mut config.optimizer;
    adamw.learning_rate = 1e30;
    config.gradient_clip = None;
    let world = World::new(6, 150, 1);
    let error = world.fit(&small_transformer(), &config).map(|_| ()).unwrap_err();
    let FitError::Diverged { epoch: 1, step, .. } = &error else { panic!("{error}") };
    assert!(*step >= 2, "{error}");
    assert!(error.to_string().contains("learning rate"), "{error}");
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    let cases: [(&str, &str); 14] = [
        ("epochs: 0", "train.epochs"),
        ("batch_size: 0", "train.batch_size"),
        ("stride_bars: 0", "train.stride_bars"),
        ("gradient_clip: -1.0", "train.gradient_clip"),
        ("loss: bce", "bce"),
        ("seeds: 0", "train.seeds"),
        ("micro_batch: 0", "train.micro_batch"),
        ("loss: direction", "train.loss.direction"),
        ("loss: {mixed: {heads: []}}", "train.loss.mixed.heads"),
        ("loss: {mixed: {heads: [{loss: mse}, {loss: bce}]}}", "bce"),
        ("loss: {huber: {delta: 0.0}}", "train.loss.huber.delta"),
        ("loss: {quantile: {levels: [0.9, 0.5]}}", "train.loss.quantile.levels"),
        ("optimizer: {adamw: {beta_2: 1.0}}", "beta_2"),
        ("schedule: {plateau: {factor: 1.5, patience: 1}}", "train.schedule.plateau.factor"),
    ];
    let world = World::new(6, 60, 1);
    for (text, expected) in cases {
        let config: TrainConfig = serde_saphyr::from_str(text).unwrap();
        let error = world.fit(&small_lstm(), &config).map(|_| ()).unwrap_err();
        assert!(matches!(&error, FitError::Settings(text) if text.contains(expected)), "{text}: {error}");
    }
    let error = serde_saphyr::from_str::<TrainConfig>("epoch: 3").unwrap_err();
    assert!(error.to_string().contains("epoch"), "{error}");
}

#[test]
fn settings_are_read_as_the_design_writes_them() {
    let text = "{epochs: 20, batch_size: 128, optimizer: {adamw: {learning_rate: 1e-3}}, early_stopping: {patience: 5}}";
    assert_eq!(serde_saphyr::from_str::<TrainConfig>(text).unwrap(), TrainConfig::default());
    let text = "{loss: {quantile: {levels: [0.1, 0.5]}}, schedule: {cosine: {}}, early_stopping: null, gradient_clip: null}";
    let config: TrainConfig = serde_saphyr::from_str(text).unwrap();
    assert_eq!(config.schedule, ScheduleConfig::Cosine { warm_up_steps: 0 });
    assert_eq!((config.early_stopping, config.gradient_clip), (None, None));
    let text = "{precision: auto, micro_batch: 8, seeds: 3, loss: {mixed: {heads: [{loss: mse}, {loss: direction, weight: 0.2}]}}}";
    let mixed: TrainConfig = serde_saphyr::from_str(text).unwrap();
    assert_eq!((mixed.precision, mixed.micro_batch, mixed.seeds), (PrecisionConfig::Auto, Some(8), 3));
    let heads = [(LossConfig::Mse, 1.0), (LossConfig::Direction, 0.2)];
    let heads = heads.into_iter().map(|(loss, weight)| Head { loss, weight }).collect();
    assert_eq!(mixed.loss, LossConfig::Mixed { heads });
    let written = serde_json::to_string(&config).unwrap();
    assert_eq!(serde_json::from_str::<TrainConfig>(&written).unwrap(), config);
}

#[test]
fn clipping_shortens_the_gradient_of_all_weights_together() {
    // AdamW hides a common factor of all gradients but for its epsilon, which is therefore large here.
    let world = World::new(6, 64, 1);
    let spread = |clip: Option<f64>| {
        let mut config = TrainConfig { epochs: 1, gradient_clip: clip, early_stopping: None, ..config() };
        config.schedule = ScheduleConfig::Constant;
        let candlewick::train::OptimizerConfig::AdamW(adamw) = &mut config.optimizer;
        (adamw.epsilon, adamw.learning_rate, adamw.weight_decay) = (1.0, 1.0, 0.0);
        predict_bits(&world, &*world.fit(&small_lstm(), &config).unwrap().model)
    };
    assert_eq!(spread(None), spread(Some(1e6)), "a clip that is never reached changes nothing");
    assert_ne!(spread(None), spread(Some(1e-3)));
}

#[test]
fn schedules_follow_their_formulas() {
    let cosine = ScheduleConfig::Cosine { warm_up_steps: 4 };
    assert_eq!([1, 2, 4, 5].map(|step| cosine.share(step, 104, 0)), [0.25, 0.5, 1.0, 1.0]);
    assert!((cosine.share(55, 104, 0) - 0.5).abs() < 1e-12);
    assert!(cosine.share(104, 104, 0) < 1e-3);
    assert_eq!(ScheduleConfig::Constant.share(9, 10, 3), 1.0);
    assert_eq!(ScheduleConfig::Plateau { factor: 0.5, patience: 1 }.share(9, 10, 3), 0.125);
}

#[test]
fn early_stopping_keeps_the_best_weights() {
    // No signal, so that the validation loss soon rises.
    let world = World::noise(6, 80, 1);
    let stopping = Some(EarlyStopping { patience: 3, min_delta: 0.0 });
    let mut config = TrainConfig { epochs: 200, early_stopping: stopping, ..config() };
    let candlewick::train::OptimizerConfig::AdamW(adamw) = &mut config.optimizer;
    adamw.learning_rate = 1e-2;
    config.schedule = ScheduleConfig::Constant;
    let fit = world.fit(&small_lstm(), &config).unwrap();
    let report = &fit.report;
    assert_eq!(report.stop_reason, StopReason::EarlyStopping);
    let best = report.best_epoch.unwrap();
    assert_eq!(report.epochs.len() as u64, best + 3);
    let lowest = report.epochs.iter().min_by(|a, b| a.validation_loss.total_cmp(&b.validation_loss)).unwrap();
    assert_eq!(lowest.epoch, best);
    // The kept weights are those of the best epoch: training for exactly that many epochs gives the same forecasts.
    let short = TrainConfig { epochs: best, early_stopping: None, ..config.clone() };
    assert_eq!(
        predict_bits(&world, &*fit.model),
        predict_bits(&world, &*world.fit(&small_lstm(), &short).unwrap().model)
    );
}

#[test]
fn dropout_is_a_function_of_the_step_alone() {
    let x = Tensor::ones((64, 100), candle_core::DType::F32, &Device::Cpu).unwrap();
    let drop = |seed: u64| -> Vec<f32> {
        let pass = Pass::training(Seed(seed), Precision::F32, &Arena::default());
        pass.dropout(&x, 0.3, "here").unwrap().flatten_all().unwrap().to_vec1().unwrap()
    };
    assert_eq!(drop(1), drop(1));
    assert_ne!(drop(1), drop(2));
    let dropped = drop(1).iter().filter(|value| **value == 0.0).count() as f64 / 6400.0;
    // Four standard deviations of a share of 6,400 draws.
    assert!((dropped - 0.3).abs() < 4.0 * (0.3_f64 * 0.7 / 6400.0).sqrt(), "{dropped}");
    // The rate is one of 65,536 steps; what stays is scaled by the rate that is really used.
    let scale = (65_536.0 / (65_536.0 - 19_661.0)) as f32;
    assert!(drop(1).iter().all(|value| *value == 0.0 || *value == scale));
    assert_eq!(
        Pass::evaluation(&Arena::default())
            .dropout(&x, 0.3, "here")
            .unwrap()
            .sum_all()
            .unwrap()
            .to_scalar::<f32>()
            .unwrap(),
        6400.0
    );
}

#[test]
fn the_precision_is_chosen_with_a_reason_and_never_in_silence() {
    let choose = |config: PrecisionConfig, kind: &str| config.choose(kind, &["proven"], false);
    let (precision, why) = choose(PrecisionConfig::F32, "proven");
    assert_eq!((precision, why.name.as_str()), (Precision::F32, "f32"));
    let (precision, why) = choose(PrecisionConfig::Bf16, "other");
    assert_eq!((precision, why.name.as_str()), (Precision::Bf16, "bf16"));
    let (precision, why) = choose(PrecisionConfig::Auto, "other");
    assert_eq!(precision, Precision::F32);
    assert_eq!(why.reason, "auto: bf16 is not proven for other");
    let (precision, why) = choose(PrecisionConfig::Auto, "proven");
    let expected = if why.reason.contains("no AVX512-BF16") { Precision::F32 } else { Precision::Bf16 };
    assert_eq!(precision, expected, "{}", why.reason);
    let (precision, why) = PrecisionConfig::Auto.choose("proven", &["proven"], true);
    assert_eq!((precision, why.name.as_str()), (Precision::Bf16, "bf16"));
    assert!(why.reason.contains("tensor cores"), "{}", why.reason);
    let report = World::new(6, 60, 1).fit(&small_lstm(), &config()).unwrap().report;
    assert_eq!(report.precision.unwrap().reason, "asked for by the configuration");
}

#[test]
fn bf16_is_really_used_and_learns_the_same() {
    for model in [small_lstm(), small_transformer()] {
        let world = World::new(6, 300, 1);
        let fit = |precision: PrecisionConfig| {
            let mut config = TrainConfig { precision, epochs: 10, early_stopping: None, ..config() };
            let candlewick::train::OptimizerConfig::AdamW(adamw) = &mut config.optimizer;
            adamw.learning_rate = 1e-2;
            world.fit(&model, &config).unwrap()
        };
        let (exact, rounded) = (fit(PrecisionConfig::F32), fit(PrecisionConfig::Bf16));
        assert_eq!(rounded.report.precision.unwrap().name, "bf16");
        assert_ne!(
            predict_bits(&world, &*exact.model),
            predict_bits(&world, &*rounded.model),
            "{}",
            model.name()
        );
        let losses = [&exact.report.epochs, &rounded.report.epochs]
            .map(|epochs| (epochs[0].validation_loss, epochs.last().unwrap().validation_loss));
        // The first epochs agree to the 8 bits of the factors; what both learn is the same signal.
        assert!((losses[0].0 - losses[1].0).abs() < 0.02 * losses[0].0, "{}: {losses:?}", model.name());
        assert!(losses[1].1 < 0.9 * losses[1].0, "{}: {losses:?}", model.name());
    }
}

#[test]
fn every_loss_trains() {
    let quantile = LossConfig::Quantile { levels: vec![0.2, 0.5, 0.8] };
    let heads = [(LossConfig::Mse, 1.0), (quantile.clone(), 0.5), (LossConfig::Direction, 0.2)];
    let heads = heads.into_iter().map(|(loss, weight)| Head { loss, weight }).collect();
    for loss in [LossConfig::Mse, LossConfig::Huber { delta: 1.0 }, quantile, LossConfig::Mixed { heads }] {
        let world = World::new(6, 300, 2);
        let mut config = TrainConfig { loss, epochs: 15, early_stopping: None, ..config() };
        let candlewick::train::OptimizerConfig::AdamW(adamw) = &mut config.optimizer;
        adamw.learning_rate = 1e-2;
        let fit = world.fit(&small_transformer(), &config).unwrap();
        let (first, last) = (&fit.report.epochs[0], fit.report.epochs.last().unwrap());
        assert!(
            last.validation_loss < 0.8 * first.validation_loss,
            "{:?}: {last:?} after {first:?}",
            config.loss
        );
    }
}

/// Windows per CPU second of whole training steps; run with `--ignored --nocapture` on a quiet machine.
#[test]
#[ignore = "measures speed"]
fn throughput() {
    let cases = [
        ("lstm 100-50, T 60, F 6, batch 32", lstm(60, &[100, 50], 0.2), 6, 32),
        ("lstm 100-50, T 60, F 6, batch 128", lstm(60, &[100, 50], 0.2), 6, 128),
        ("lstm 32, T 24, F 12, batch 32", lstm(24, &[32], 0.1), 12, 32),
        ("lstm 32, T 24, F 12, batch 128", lstm(24, &[32], 0.1), 12, 128),
        ("transformer 32x2, T 24 by 4, F 12, batch 32", small_speed_transformer(), 12, 32),
        ("transformer 32x2, T 24 by 4, F 12, batch 128", small_speed_transformer(), 12, 128),
        ("transformer 32x2, T 24 by 4, F 12, batch 512", small_speed_transformer(), 12, 512),
        (
            "transformer 64x2, T 60, F 12, batch 128",
            ModelConfig::Transformer(Transformer::default()),
            12,
            128,
        ),
    ];
    for (name, model, features, batch_size) in cases {
        let world = World::with_features(model.build().window(), 4096, 5, features, 0.5);
        let config = TrainConfig { epochs: 2, batch_size, early_stopping: None, ..TrainConfig::default() };
        let report = world.fit(&model, &config).unwrap().report;
        println!(
            "{name}: {:.0} windows per CPU second, {} parameters",
            report.samples as f64 / report.cpu_seconds,
            report.parameters
        );
    }
}

fn small_speed_transformer() -> ModelConfig {
    let settings =
        Transformer { window: 24, width: 32, heads: 4, layers: 2, patch_bars: 4, ..Transformer::default() };
    ModelConfig::Transformer(settings)
}

fn lstm(window: usize, layers: &[usize], dropout: f64) -> ModelConfig {
    ModelConfig::Lstm(Lstm { window, layers: layers.to_vec(), dropout, ..Lstm::default() })
}
