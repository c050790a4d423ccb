//! Whole training steps: gathering, forward, loss, backward, AdamW, and what the host does between them.

use super::measure::{Bench, digits, row, section, timed};
use super::networks::{lstms, transformer};
use candlewick::model::{FitTask, Member, ModelConfig, Started, train_together};
use candlewick::progress::Silent;
use candlewick::seed::Seed;
use candlewick::table::{Features, LabelKind, Sample, Scaler, ScalerConfig, TrainSamples, Windows};
use candlewick::train::{PrecisionConfig, TrainConfig};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

const POPULATIONS: [usize; 4] = [1, 16, 64, 256];

/// Windows of an epoch: as many as in `configs/benchmarks/` and `torch_device.py`.
const LSTM_WINDOWS: usize = 7_968;
const TRANSFORMER_WINDOWS: usize = 4_096;

/// A network with its data.
struct Case {
    name: &'static str,
    model: ModelConfig,
    /// Bars, features and outputs of a window.
    sizes: [usize; 3],
    windows: usize,
    batch: usize,
    /// How many weights it should have.
    weights: usize,
}

/// Prints the table of all networks.
pub(crate) fn steps(bench: &Bench) {
    let note = "P members train together, 1 and more epochs a call of `train_together`; epochs end with a validation on one \
                window and the weights' way to the host. The time that a call needs to bring members to the device and \
                back stands in the last column and is not in the others.";
    let columns = ["network", "precision", "P", "us a step", "model-steps/s", "windows/s", "set-up, ms"];
    section(bench, "training steps", note, &columns);
    for case in cases(bench.small) {
        for (name, precision) in [("f32", PrecisionConfig::F32), ("bf16", PrecisionConfig::Bf16)] {
            let populations = match (bench.small, case.name) {
                (true, _) => &POPULATIONS[..2],
                (false, "D") => &POPULATIONS[..1],
                (false, _) => &POPULATIONS[..],
            };
            for population in populations {
                measure(bench, &case, (name, precision), *population);
            }
        }
    }
}

fn cases(small: bool) -> Vec<Case> {
    let mut cases: Vec<Case> = lstms(small)
        .iter()
        .map(|shape| Case {
            name: shape.name,
            model: shape.model(),
            sizes: [shape.steps, shape.features, shape.outputs],
            windows: if small { 40 } else { LSTM_WINDOWS },
            batch: shape.batch,
            weights: shape.weights(),
        })
        .collect();
    let shape = transformer(small);
    cases.push(Case {
        name: "D",
        model: shape.model(),
        sizes: [shape.steps, shape.features, shape.outputs],
        windows: if small { 40 } else { TRANSFORMER_WINDOWS },
        batch: shape.batch,
        weights: shape.weights(),
    });
    cases
}

fn measure(
    bench: &Bench,
    case: &Case,
    (precision_name, precision): (&str, PrecisionConfig),
    population: usize,
) {
    let config: Arc<TrainConfig> = TrainConfig {
        batch_size: case.batch,
        precision,
        epochs: u64::MAX,
        early_stopping: None,
        gradient_clip: None,
        ..TrainConfig::default()
    }
    .into();
    let data = [case.windows, 1].map(|count| windows(case.sizes, count));
    let stop = AtomicBool::new(false);
    let mut members: Vec<Member> = (0..population)
        .map(|number| {
            let task = FitTask {
                label: format!("{} {number}", case.name),
                train: data[0].clone(),
                validation: data[1].clone(),
                kind: LabelKind::Return,
                horizons: (1..=case.sizes[2] as u32).collect(),
                config: config.clone(),
                seed: Seed(number as u64),
                cuda: true,
                checkpoint: None,
                stop: &stop,
                progress: &Silent,
            };
            match case.model.build().start(task).unwrap() {
                Started::Member(member) => member,
                Started::Done(_) => panic!("{} has no training", case.name),
            }
        })
        .collect();
    assert_eq!(members[0].parameters(), case.weights, "the kernels' section counts another network");
    let mut epochs = 0;
    let mut advance = |more: u64| {
        epochs += more;
        let all = members.iter_mut().map(|member| (member, epochs)).collect();
        train_together(&bench.gpu, all).into_iter().for_each(|result| result.unwrap());
    };
    // The first call loads the kernels.
    advance(1);
    let set_up = bench.seconds_of_work(|| advance(0));
    let one = (timed(|| advance(1)) - set_up).max(1e-4);
    let more = if bench.small { 1 } else { ((0.25 / one) as u64).max(1) };
    let seconds = bench.seconds_of_work(|| advance(more)) - set_up;
    let steps = case.windows.div_ceil(case.batch) as u64 * more;
    let per_second = (population as u64 * steps) as f64 / seconds;
    row(&[
        case.name.into(),
        precision_name.into(),
        population.to_string(),
        digits(1e6 * seconds / steps as f64),
        digits(per_second),
        digits(per_second * case.windows as f64 / case.windows.div_ceil(case.batch) as f64),
        digits(1e3 * set_up),
    ]);
}

/// Windows of random numbers.
fn windows([length, features, outputs]: [usize; 3], count: usize) -> Arc<Windows> {
    let mut stream = Seed(1).stream("windows", count as u64);
    let rows = count + length - 1;
    let columns = (0..features).map(|_| (0..rows).map(|_| stream.normal()).collect()).collect();
    let names = (0..features).map(|index| format!("feature_{index}")).collect();
    let features = Features::new(names, vec![columns]).unwrap();
    let samples: Vec<Sample> = (length - 1..rows).map(|row| Sample { symbol: 0, row: row as u32 }).collect();
    let purged = TrainSamples::purged(samples.clone());
    let scaler = Scaler::fit(ScalerConfig::default(), &features, &purged).unwrap();
    let targets = (0..count * outputs).map(|_| stream.normal() as f32).collect();
    Windows::new(&features, &scaler, length, samples, targets).unwrap().into()
}
