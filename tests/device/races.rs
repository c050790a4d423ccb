//! What the continuous integration runs under ThreadSanitizer (`CANDLEWICK_DEVICE=threads`), every thread of a block being a
//! thread of the system: small, but through every kernel of a training step.

use super::backtest::a_few_books;
use super::emulator::gpu;
use super::training::{close, config, lstm, patch_transformer, together, transformer, world};
use candlewick::model::ModelConfig;
use candlewick::train::{PrecisionConfig, TrainConfig};

#[test]
fn a_step_of_every_network_races_with_nobody() {
    let Some(gpu) = gpu() else { return };
    let models: [ModelConfig; 3] = [lstm(0.2), transformer(), patch_transformer()];
    for model in models {
        for precision in [PrecisionConfig::F32, PrecisionConfig::Bf16] {
            let config = TrainConfig { epochs: 1, batch_size: 12, precision, ..config() };
            let world = world(50, 12);
            let expected = world.fit(&model, &config).unwrap();
            let cases = [(world, model.clone(), config)];
            close(&cases[0].0, &together(&gpu, &cases)[0], &expected, 1e-2, model.name());
        }
    }
}

#[test]
fn books_race_with_nobody() {
    if let Some(gpu) = gpu() {
        a_few_books(&gpu);
    }
}
