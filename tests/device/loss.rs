//! Losses of a population on a device against those of training on the CPU, with candle's gradients.

use super::emulator::gpu;
use candle_core::{Device, Tensor, Var};
use candlewick::kernels::gpu::{Address, Gpu};
use candlewick::kernels::population_loss::{LossKind, LossPart, PopulationLoss, loss_table, outputs};
use candlewick::nn::{Head, LossConfig, PositiveWeight};
use candlewick::seed::Seed;

/// The heads of a loss as the kernel is told of them.
fn parts(loss: &LossConfig) -> Vec<LossPart> {
    let part = |kind, parameter: f64, levels: &[f64]| {
        let levels = levels.iter().map(|level| *level as f32).collect();
        vec![LossPart { kind, weight: 1.0, parameter: parameter as f32, levels }]
    };
    match loss {
        LossConfig::Mse => part(LossKind::Mse, 0.0, &[]),
        LossConfig::Huber { delta } => part(LossKind::Huber, *delta, &[]),
        LossConfig::Quantile { levels } => part(LossKind::Pinball, 0.0, levels),
        LossConfig::Bce => part(LossKind::CrossEntropy, 0.0, &[]),
        LossConfig::WeightedBce { positive_weight } => {
            part(LossKind::WeightedCrossEntropy, positive_weight.times().unwrap(), &[])
        }
        LossConfig::Direction => part(LossKind::Direction, 0.0, &[]),
        LossConfig::Mixed { heads } => heads
            .iter()
            .flat_map(|head| parts(&head.loss).into_iter().map(|part| (part, head.weight)))
            .map(|(part, weight)| LossPart { weight: weight as f32, ..part })
            .collect(),
    }
}

/// Every loss, with settings that differ from member to member.
fn losses(member: usize) -> Vec<LossConfig> {
    let own = 1.0 + 0.25 * member as f64;
    let huber = LossConfig::Huber { delta: 0.5 * own };
    let quantile = LossConfig::Quantile { levels: vec![0.1 * own, 0.5, 0.9] };
    let weighted = LossConfig::WeightedBce { positive_weight: PositiveWeight::Times(3.0 * own) };
    let heads = [quantile.clone(), LossConfig::Direction, huber.clone(), weighted.clone()];
    let heads = heads.into_iter().enumerate();
    let heads = heads.map(|(index, loss)| Head { loss, weight: own + index as f64 }).collect();
    let mixed = LossConfig::Mixed { heads };
    vec![LossConfig::Mse, huber, quantile, LossConfig::Bce, weighted, LossConfig::Direction, mixed]
}

fn is_class(loss: &LossConfig) -> bool {
    loss.uses(|loss| matches!(loss, LossConfig::Bce | LossConfig::WeightedBce { .. }))
}

/// A batch of one member.
#[derive(Clone)]
struct Batch {
    loss: LossConfig,
    zero: Vec<f32>,
    outputs: Vec<f32>,
    targets: Vec<f32>,
    active: usize,
    share: f32,
}

impl Batch {
    fn new(loss: LossConfig, member: usize, rows: usize, horizons: usize, active: usize) -> Batch {
        let columns = loss.outputs_per_horizon() * horizons;
        let mut stream = Seed(9).stream("loss", member as u64);
        let zero: Vec<f32> = (0..horizons).map(|_| 0.2 * stream.normal() as f32).collect();
        let outputs = (0..rows * columns).map(|_| 3.0 * stream.normal() as f32).collect();
        let target = |index: usize| match is_class(&loss) {
            true => f32::from(u8::from(stream.normal() > 0.5)),
            // Every fifth one has no direction.
            false if index.is_multiple_of(5) => zero[index % horizons],
            false => stream.normal() as f32,
        };
        let targets = (0..rows * horizons).map(target).collect();
        Batch { loss, zero, outputs, targets, active, share: 1.0 / (member + 1) as f32 }
    }

    /// Loss and gradient of the rows that count, on the CPU.
    fn expected(&self) -> (f64, Vec<f32>) {
        let (horizons, rows) = (self.zero.len(), self.active);
        let columns = self.loss.outputs_per_horizon() * horizons;
        let tensor = |values: &[f32], width: usize| {
            Tensor::from_slice(&values[..rows * width], (rows, width), &Device::Cpu).unwrap()
        };
        let outputs = Var::from_tensor(&tensor(&self.outputs, columns)).unwrap();
        let loss = self.loss.of(&outputs, &tensor(&self.targets, horizons), &self.zero).unwrap();
        let loss = (loss * f64::from(self.share)).unwrap();
        let gradients = loss.backward().unwrap();
        let gradient = gradients.get(&outputs).unwrap().flatten_all().unwrap().to_vec1().unwrap();
        (f64::from(loss.to_scalar::<f32>().unwrap()), gradient)
    }
}

/// Losses `[P]`, who is alive `[P]` and gradients `[P, B, O]` after this step; `before` is what the loss was.
fn run(gpu: &Gpu, batches: &[Batch], before: f64) -> (Vec<f64>, Vec<i32>, Vec<f32>) {
    let population = batches.len();
    let all = |of: fn(&Batch) -> Vec<f32>| -> Vec<f32> { batches.iter().flat_map(of).collect() };
    let (values, horizons) = (all(|batch| batch.outputs.clone()), batches[0].zero.len());
    let targets = gpu.upload(&all(|batch| batch.targets.clone())).unwrap();
    let table = gpu.upload(&all(|batch| loss_table(&parts(&batch.loss), &batch.zero))).unwrap();
    let active: Vec<i32> = batches.iter().map(|batch| batch.active as i32).collect();
    let [active, alive] = [&active, &vec![1; population]].map(|values| gpu.upload(values).unwrap());
    // The third of three passes.
    let unused = vec![f32::NAN; 2 * population];
    let shares = gpu.upload(&[unused, all(|batch| vec![batch.share])].concat()).unwrap();
    let pass = gpu.upload(&[2_i32]).unwrap();
    // The second of three steps.
    let step = gpu.upload(&[1_i32]).unwrap();
    let loss = gpu.upload(&vec![before; 3 * population]).unwrap();
    let outputs_on_device = gpu.upload(&values).unwrap();
    let of_outputs = gpu.upload(&vec![7.0_f32; values.len()]).unwrap();
    PopulationLoss {
        population,
        rows: batches[0].targets.len() / horizons,
        horizons,
        columns: outputs(&parts(&batches[0].loss), horizons),
        outputs: outputs_on_device.address(),
        targets: targets.address(),
        table: table.address(),
        active: active.address(),
        shares: shares.address(),
        pass: pass.address(),
        step: step.address(),
        loss: loss.address(),
        alive: alive.address(),
        of_outputs: of_outputs.address(),
    }
    .launch(gpu)
    .unwrap();
    let losses = gpu.read(&loss, 0, 3 * population).unwrap();
    let other_steps = losses[..population].iter().chain(&losses[2 * population..]);
    assert!(other_steps.copied().all(|loss| loss == before), "another step's loss changed");
    let alive = gpu.read(&alive, 0, population).unwrap();
    (losses[population..2 * population].to_vec(), alive, gpu.read(&of_outputs, 0, values.len()).unwrap())
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

fn assert_near(found: f64, expected: f64, what: &str) {
    assert!((found - expected).abs() <= 2e-6 * (1.0 + expected.abs()), "{what}: {found} is not {expected}");
}

/// Members with settings and numbers of rows of their own; rows that do not count get gradient 0.
#[test]
fn losses_and_gradients_are_those_of_training() {
    let Some(gpu) = gpu() else { return };
    for kind in 0..losses(0).len() {
        for (rows, horizons) in [(1, 1), (31, 1), (33, 3), (32, 24), (130, 2)] {
            let active = |member: usize| rows - member.min(rows - 1);
            let batch = |member: usize| {
                Batch::new(losses(member).swap_remove(kind), member, rows, horizons, active(member))
            };
            let batches: Vec<Batch> = (0..3).map(batch).collect();
            let (losses, alive, gradients) = run(&gpu, &batches, 0.25);
            assert_eq!(alive, [1, 1, 1]);
            let size = gradients.len() / 3;
            for (member, batch) in batches.iter().enumerate() {
                let (loss, expected) = batch.expected();
                let what = format!("{:?} with {rows} rows and {horizons} horizons", batch.loss);
                assert_near(losses[member] - 0.25, loss, &what);
                let gradient = &gradients[member * size..][..size];
                let largest = expected.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
                assert!(largest > 0.0);
                for (found, expected) in gradient.iter().zip(&expected) {
                    assert!(
                        (found - expected).abs() <= 3e-6 * largest,
                        "{what}: gradient {found} is not {expected}"
                    );
                }
                assert!(gradient[expected.len()..].iter().all(|value| value.to_bits() == 0));
                let alone = run(&gpu, std::slice::from_ref(batch), 0.25);
                assert_eq!(alone.0[0].to_bits(), losses[member].to_bits());
                assert_eq!(bits(&alone.2), bits(gradient));
            }
        }
    }
}

/// NaN in any output or target that counts ends its member and no other, whatever the loss; in other rows it is not read.
#[test]
fn a_member_whose_loss_is_not_finite_dies_alone() {
    let Some(gpu) = gpu() else { return };
    for kind in 0..losses(0).len() {
        for (of_outputs, place, dies) in [(true, 7, true), (false, 2, true), (true, 140, false)] {
            let batch = |member: usize| Batch::new(losses(member).swap_remove(kind), member, 40, 4, 35);
            let mut batches: Vec<Batch> = (0..3).map(batch).collect();
            let (_, _, sound) = run(&gpu, &batches, 0.0);
            let per_horizon = batches[1].loss.outputs_per_horizon();
            match of_outputs {
                true => batches[1].outputs[place * per_horizon] = f32::NAN,
                false => batches[1].targets[place] = f32::NAN,
            }
            let (losses, alive, gradients) = run(&gpu, &batches, 0.0);
            assert_eq!(alive, [1, i32::from(!dies), 1], "{:?}", batches[1].loss);
            assert_eq!(losses.iter().map(|loss| loss.is_nan()).collect::<Vec<_>>(), [false, dies, false]);
            let size = gradients.len() / 3;
            let mut expected = sound;
            if dies {
                expected[size..2 * size].fill(0.0);
            }
            assert_eq!(bits(&gradients), bits(&expected));
        }
    }
    // A loss so far that is not finite is enough.
    let (_, alive, gradients) = run(&gpu, &[Batch::new(LossConfig::Mse, 0, 3, 1, 3)], f64::INFINITY);
    assert_eq!((alive, gradients), (vec![0], vec![0.0; 3]));
}

/// Chunks weighted by their rows add up to the mean over all; no one dies and no gradient is wanted; a chunk without rows adds
/// nothing.
#[test]
fn chunks_of_an_evaluation_add_up() {
    let Some(gpu) = gpu() else { return };
    let whole = Batch::new(LossConfig::Mse, 0, 70, 2, 70);
    let (expected, _) = whole.expected();
    let loss = gpu.zeros::<f64>(1).unwrap();
    let step = gpu.zeros::<i32>(1).unwrap();
    let table = gpu.upload(&loss_table(&parts(&whole.loss), &whole.zero)).unwrap();
    for start in [0, 32, 64, 70] {
        let count = (70 - start).min(32);
        // What lies behind the end must not be read.
        let rows = |values: &[f32]| [&values[2 * start..2 * (start + count)], &[f32::NAN; 64]].concat();
        let [outputs, targets] =
            [&whole.outputs, &whole.targets].map(|values| gpu.upload(&rows(values)).unwrap());
        let active = gpu.upload(&[count as i32]).unwrap();
        let shares = gpu.upload(&[count as f32 / 70.0]).unwrap();
        PopulationLoss {
            population: 1,
            rows: 32,
            horizons: 2,
            columns: 2,
            outputs: outputs.address(),
            targets: targets.address(),
            table: table.address(),
            active: active.address(),
            shares: shares.address(),
            pass: step.address(),
            step: step.address(),
            loss: loss.address(),
            alive: Address::NONE,
            of_outputs: Address::NONE,
        }
        .launch(&gpu)
        .unwrap();
        gpu.wait().unwrap();
    }
    assert_near(gpu.read(&loss, 0, 1).unwrap()[0], expected, "chunks");
}
