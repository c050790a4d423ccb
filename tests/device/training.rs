//! Networks trained together on a device against the same networks on the CPU.

use super::emulator::gpu;
use super::planted::{World, predict_bits};
use candlewick::kernels::gpu::Gpu;
use candlewick::model::{
    Fit, Lstm, Member, ModelConfig, PatchTransformer, Started, StopReason, Transformer, train_together,
};
use candlewick::nn::{Head, LossConfig, Normalisation};
use candlewick::progress::Silent;
use candlewick::seed::Seed;
use candlewick::train::{
    AdamWConfig, EarlyStopping, OptimizerConfig, PrecisionConfig, ScheduleConfig, TrainConfig,
};
use std::path::Path;
use std::sync::atomic::AtomicBool;

static NEVER: AtomicBool = AtomicBool::new(false);

pub(super) fn lstm(dropout: f64) -> ModelConfig {
    ModelConfig::Lstm(Lstm { window: 6, layers: vec![8, 5], dropout, ..Lstm::default() })
}

pub(super) fn transformer() -> ModelConfig {
    let settings =
        Transformer { window: 6, width: 8, heads: 2, layers: 2, patch_bars: 2, ..Transformer::default() };
    ModelConfig::Transformer(settings)
}

pub(super) fn patch_transformer() -> ModelConfig {
    ModelConfig::PatchTransformer(PatchTransformer {
        window: 6,
        patch_bars: 3,
        stride_bars: 2,
        width: 8,
        heads: 2,
        layers: 2,
        normalisation: Normalisation::LastValue,
        ..PatchTransformer::default()
    })
}

pub(super) fn config() -> TrainConfig {
    TrainConfig {
        epochs: 3,
        batch_size: 32,
        optimizer: OptimizerConfig::AdamW(AdamWConfig { learning_rate: 3e-3, ..AdamWConfig::default() }),
        schedule: ScheduleConfig::Cosine { warm_up_steps: 3 },
        early_stopping: Some(EarlyStopping { patience: 2, min_delta: 0.0 }),
        ..TrainConfig::default()
    }
}

/// A world with its own random streams.
pub(super) fn world(seed: u64, train: usize) -> World {
    let mut world = World::new(6, train, 2);
    world.seed = Seed(seed);
    world
}

fn start<'a>(
    world: &World,
    model: &ModelConfig,
    config: &TrainConfig,
    checkpoint: Option<&Path>,
    stop: &'a AtomicBool,
) -> Member<'a> {
    let mut task = world.task(model, config, checkpoint, stop, &Silent);
    task.cuda = true;
    match model.build().start(task).unwrap() {
        Started::Member(member) => member,
        Started::Done(_) => panic!("{} has no training", model.name()),
    }
}

/// Fits all of these together.
pub(super) fn together(gpu: &Gpu, cases: &[(World, ModelConfig, TrainConfig)]) -> Vec<Fit> {
    let mut members: Vec<Member> =
        cases.iter().map(|(world, model, config)| start(world, model, config, None, &NEVER)).collect();
    let key = members[0].population_key().unwrap();
    assert!(members.iter().all(|member| member.population_key().unwrap() == key), "they can train together");
    let results = train_together(gpu, members.iter_mut().map(|member| (member, u64::MAX)).collect());
    results.into_iter().for_each(|result| result.unwrap());
    members.into_iter().map(|member| member.finish().unwrap()).collect()
}

/// Losses of every epoch, and the forecasts.
pub(super) fn close(world: &World, found: &Fit, expected: &Fit, tolerance: f64, name: &str) {
    assert_eq!(found.report.epochs.len(), expected.report.epochs.len(), "{name}");
    assert_eq!(found.report.samples, expected.report.samples, "{name}");
    for (found, expected) in found.report.epochs.iter().zip(&expected.report.epochs) {
        for (found, expected) in [
            (found.training_loss, expected.training_loss),
            (found.validation_loss, expected.validation_loss),
            (found.learning_rate, expected.learning_rate),
        ] {
            assert!(
                (found - expected).abs() <= tolerance * expected.abs(),
                "{name}: {found} is not {expected}"
            );
        }
    }
    let (found, expected) = (world.predict(&*found.model), world.predict(&*expected.model));
    let size = (expected.iter().map(|value| value * value).sum::<f64>() / expected.len() as f64).sqrt();
    for (found, expected) in found.iter().zip(&expected) {
        assert!((found - expected).abs() <= 30.0 * tolerance * size, "{name}: {found} is not {expected}");
    }
}

fn losses() -> Vec<LossConfig> {
    let head = |loss, weight| Head { loss, weight };
    let levels = vec![0.1, 0.5, 0.9];
    vec![
        LossConfig::Mse,
        LossConfig::Huber { delta: 0.5 },
        LossConfig::Quantile { levels: levels.clone() },
        LossConfig::Mixed {
            heads: vec![head(LossConfig::Quantile { levels }, 1.0), head(LossConfig::Direction, 0.3)],
        },
    ]
}

/// The same windows, masks, steps and stops: only rounding differs.
#[test]
fn a_network_learns_on_a_device_what_it_learns_on_the_cpu() {
    let Some(gpu) = gpu() else { return };
    let models = [lstm(0.0), lstm(0.2), transformer(), patch_transformer()];
    for (number, model) in models.iter().enumerate() {
        for (loss_number, loss) in losses().into_iter().enumerate() {
            // Every model with one loss, and one model with all.
            if number > 1 && loss_number > 0 {
                continue;
            }
            let name = format!("{} with {loss:?}", model.name());
            let (world, config) = (world(3 + number as u64, 150), TrainConfig { loss, ..config() });
            let expected = world.fit(model, &config).unwrap();
            let cases = [(world, model.clone(), config)];
            let found = together(&gpu, &cases);
            close(&cases[0].0, &found[0], &expected, 2e-4, &name);
        }
    }
}

#[test]
fn products_of_bf16_numbers_learn_what_they_learn_on_the_cpu() {
    let Some(gpu) = gpu() else { return };
    for model in [lstm(0.2), transformer()] {
        let config = TrainConfig { precision: PrecisionConfig::Bf16, ..config() };
        let world = world(5, 150);
        let expected = world.fit(&model, &config).unwrap();
        let cases = [(world, model, config)];
        let found = together(&gpu, &cases);
        close(&cases[0].0, &found[0], &expected, 1e-2, cases[0].1.name());
    }
}

#[test]
fn micro_batches_add_up_as_on_the_cpu() {
    let Some(gpu) = gpu() else { return };
    let config = TrainConfig { micro_batch: Some(13), ..config() };
    let world = world(9, 150);
    let expected = world.fit(&lstm(0.3), &config).unwrap();
    let cases = [(world, lstm(0.3), config)];
    close(&cases[0].0, &together(&gpu, &cases)[0], &expected, 2e-4, "micro-batches");
}

/// Members that differ in all that may differ: windows and how many, seed, rates, dropout, loss settings, clipping, patience.
fn company() -> Vec<(World, ModelConfig, TrainConfig)> {
    let member = |number: usize| {
        let rate = 1e-3 * (number + 1) as f64;
        let config = TrainConfig {
            epochs: 2 + number as u64,
            optimizer: OptimizerConfig::AdamW(AdamWConfig {
                learning_rate: rate,
                weight_decay: 0.01 * number as f64,
                ..AdamWConfig::default()
            }),
            loss: LossConfig::Huber { delta: 0.5 + number as f64 },
            gradient_clip: (number != 1).then_some(0.5),
            early_stopping: (number != 2)
                .then_some(EarlyStopping { patience: 1 + number as u64, min_delta: 0.0 }),
            ..config()
        };
        (world(20 + number as u64, 100 + 31 * number), lstm(0.1 * number as f64), config)
    };
    (0..5).map(member).collect()
}

#[test]
fn a_member_has_the_same_bits_alone_and_in_company() {
    let Some(gpu) = gpu() else { return };
    let cases = company();
    let all = together(&gpu, &cases);
    for (case, fit) in cases.into_iter().zip(all) {
        let case = [case];
        let alone = together(&gpu, &case).swap_remove(0);
        assert_eq!(format!("{:?}", alone.report.epochs), format!("{:?}", fit.report.epochs));
        assert_eq!(predict_bits(&case[0].0, &*alone.model), predict_bits(&case[0].0, &*fit.model));
        assert_eq!(alone.report.stop_reason, fit.report.stop_reason);
    }
}

#[test]
fn a_fit_that_was_stopped_ends_with_the_same_bits() {
    let Some(gpu) = gpu() else { return };
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("checkpoint.safetensors");
    let (world, model) = (world(31, 120), lstm(0.2));
    let config = TrainConfig { epochs: 4, ..config() };
    let cases = [(world, model.clone(), config.clone())];
    let whole = together(&gpu, &cases).swap_remove(0);
    let world = &cases[0].0;

    let mut first = start(world, &model, &config, Some(&file), &NEVER);
    train_together(&gpu, vec![(&mut first, 2)]).swap_remove(0).unwrap();
    drop(first);
    let mut second = start(world, &model, &config, Some(&file), &NEVER);
    assert_eq!(second.epoch(), 2);
    train_together(&gpu, vec![(&mut second, u64::MAX)]).swap_remove(0).unwrap();
    let second = second.finish().unwrap();
    assert_eq!(format!("{:?}", whole.report.epochs), format!("{:?}", second.report.epochs));
    assert_eq!(predict_bits(world, &*whole.model), predict_bits(world, &*second.model));

    let stop = AtomicBool::new(true);
    let mut stopped = start(world, &model, &config, None, &stop);
    let result = train_together(&gpu, vec![(&mut stopped, u64::MAX)]).swap_remove(0);
    assert!(result.unwrap_err().to_string().contains("interrupted"));
}

/// One that diverges at once, one that learns: the first fails as on the CPU, the second does not notice.
#[test]
fn a_member_that_diverges_stops_alone() {
    let Some(gpu) = gpu() else { return };
    let wild = OptimizerConfig::AdamW(AdamWConfig { learning_rate: 1e30, ..AdamWConfig::default() });
    let worlds = [world(40, 100), world(41, 100)];
    let configs = [TrainConfig { optimizer: wild, ..config() }, config()];
    let mut members: Vec<Member> = worlds
        .iter()
        .zip(&configs)
        .map(|(world, config)| start(world, &lstm(0.0), config, None, &NEVER))
        .collect();
    let results = train_together(&gpu, members.iter_mut().map(|member| (member, u64::MAX)).collect());
    let expected = worlds[0].fit(&lstm(0.0), &configs[0]).err().unwrap().to_string();
    let found = results[0].as_ref().unwrap_err().to_string();
    assert_eq!(found, expected);
    assert!(results[1].is_ok());
    let good = members.swap_remove(1).finish().unwrap();
    assert_ne!(good.report.stop_reason, StopReason::Diverged);
    let [_, world] = worlds;
    let cases = [(world, lstm(0.0), config())];
    let alone = together(&gpu, &cases).swap_remove(0);
    assert_eq!(predict_bits(&cases[0].0, &*alone.model), predict_bits(&cases[0].0, &*good.model));
}
