//! AdamW on a device against its twin on the CPU.

use super::emulator::gpu;
use candle_core::{Device, Tensor, Var};
use candlewick::kernels::adamw::{AdamWStep, adamw, squared_norm};
use candlewick::kernels::population_adam::{PopulationAdam, numbers};
use candlewick::seed::Seed;

fn values(count: usize, name: &str, member: usize) -> Vec<f32> {
    let mut stream = Seed(5).stream(name, member as u64);
    (0..count).map(|_| stream.normal() as f32).collect()
}

fn settings(member: usize, step: u64) -> AdamWStep {
    AdamWStep {
        rate: 1e-3 * (member + 1) as f64,
        decay: 0.1 * member as f64,
        beta_1: 0.9,
        beta_2: 0.999,
        epsilon: 1e-8,
        step,
        gradient_factor: 1.0,
    }
}

/// Every second member clips, the third never moves; sizes around a warp and around a chunk.
#[test]
fn members_move_as_they_do_on_the_cpu() {
    let Some(gpu) = gpu() else { return };
    for (population, count) in [(1, 1), (1, 31), (2, 33), (3, 2048), (5, 2049), (3, 7000)] {
        let member_values = |name: &str| -> Vec<f32> {
            (0..population).flat_map(|member| values(count, name, member)).collect()
        };
        let (weights, gradients) = (member_values("weights"), member_values("gradients"));
        let device_weights = gpu.upload(&weights).unwrap();
        let device_moments = gpu.zeros::<f32>(2 * population * count).unwrap();
        let device_gradients = gpu.upload(&gradients).unwrap();
        let scratch = gpu.zeros::<f64>(PopulationAdam::scratch(population, count)).unwrap();
        let clip = |member: usize| member.is_multiple_of(2).then_some(0.5);
        let stands = |member: usize| member == 2;
        let table: Vec<f32> = (1..=3)
            .flat_map(|step| (0..population).map(move |member| (member, step)))
            .flat_map(|(member, step)| {
                numbers((!stands(member)).then_some(&settings(member, step)), clip(member))
            })
            .collect();
        let table = gpu.upload(&table).unwrap();
        let alive = gpu.upload(&vec![1_i32; population]).unwrap();
        for step in 0..3 {
            let step = gpu.upload(&[step]).unwrap();
            PopulationAdam {
                population,
                count,
                weights: device_weights.address(),
                moments: device_moments.address(),
                gradients: device_gradients.address(),
                scratch: scratch.address(),
                numbers: table.address(),
                step: step.address(),
                alive: alive.address(),
            }
            .launch(&gpu)
            .unwrap();
            gpu.wait().unwrap();
        }
        let found = gpu.read(&device_weights, 0, population * count).unwrap();
        for member in 0..population {
            let of = |values: &[f32]| values[member * count..][..count].to_vec();
            let (weight, gradient) = (of(&weights), of(&gradients));
            let own = &found[member * count..][..count];
            if stands(member) {
                assert_eq!(own, weight);
                continue;
            }
            let var = Var::from_tensor(&Tensor::from_vec(weight, count, &Device::Cpu).unwrap()).unwrap();
            let gradient = Tensor::from_vec(gradient, count, &Device::Cpu).unwrap();
            let mut moments = Tensor::zeros((2, count), candle_core::DType::F32, &Device::Cpu).unwrap();
            let norm = squared_norm(&gradient).unwrap().sqrt();
            for step in 1..=3 {
                let factor = clip(member).filter(|clip| norm > *clip).map_or(1.0, |clip| clip / norm);
                let step = AdamWStep { gradient_factor: factor, ..settings(member, step) };
                adamw(&[&var], &mut moments, std::slice::from_ref(&gradient), &step).unwrap();
            }
            for (found, expected) in own.iter().zip(var.to_vec1::<f32>().unwrap()) {
                assert!(
                    (found - expected).abs() <= 2e-6 * (1.0 + expected.abs()),
                    "{found} is not {expected}"
                );
            }
        }
    }
}
