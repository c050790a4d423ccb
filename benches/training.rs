//! Training steps of the benchmark models on generated windows, through the engine: gathering, forward, loss, backward,
//! clipping, AdamW. Windows per CPU second of one thread, the median of seven blocks. `benches/README.md` has the commands
//! and what was measured.
//!
//! Arguments pick rows by a part of their names. The program itself keeps candle on one thread; here the command does:
//! `CANDLE_NUM_THREADS=1 RAYON_NUM_THREADS=1 cargo bench --bench training -- "A bf16"`.

#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot prepare has nothing to measure")]

use candlewick::kernels::arena::Arena;
use candlewick::model::{FitTask, Lstm, ModelConfig, Started};
use candlewick::progress::Silent;
use candlewick::seed::Seed;
use candlewick::table::{Features, LabelKind, Sample, Scaler, ScalerConfig, TrainSamples, Windows};
use candlewick::train::{PrecisionConfig, TrainConfig};
use rustix::time::{ClockId, clock_gettime};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

/// Windows to learn from; one block of steps is one pass over them.
const WINDOWS: usize = 4096;

fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

fn windows(length: usize, features: usize, outputs: usize, count: usize) -> Arc<Windows> {
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

fn measure(
    name: &str,
    model: &ModelConfig,
    sizes: [usize; 3],
    batch_size: usize,
    precision: PrecisionConfig,
) {
    let [length, features, outputs] = sizes;
    let config = TrainConfig {
        batch_size,
        precision,
        epochs: u64::MAX,
        early_stopping: None,
        ..TrainConfig::default()
    };
    let stop = AtomicBool::new(false);
    let task = FitTask {
        label: name.to_owned(),
        train: windows(length, features, outputs, WINDOWS),
        validation: windows(length, features, outputs, 1),
        kind: LabelKind::Return,
        horizons: (1..=outputs as u32).collect(),
        config: config.into(),
        seed: Seed(3),
        cuda: false,
        checkpoint: None,
        stop: &stop,
        progress: &Silent,
    };
    let Started::Member(mut member) = model.build().start(task).unwrap() else { return };
    let arena = Arena::default();
    let mut rates = [0.0; 7];
    // The first block warms up and counts nothing.
    for rate in std::iter::once(&mut 0.0).chain(&mut rates) {
        let (start, mut passes) = (cpu_seconds(), 0);
        while cpu_seconds() - start < 0.3 {
            member.advance(u64::MAX, &arena).unwrap();
            passes += 1;
        }
        *rate = (passes * WINDOWS) as f64 / (cpu_seconds() - start);
    }
    rates.sort_by(f64::total_cmp);
    println!(
        "{name}: {:.0} windows per CPU second ({:.0} to {:.0}), {} parameters",
        rates[3],
        rates[0],
        rates[6],
        member.parameters()
    );
}

fn lstm(window: usize, layers: &[usize]) -> ModelConfig {
    ModelConfig::Lstm(Lstm { window, layers: layers.to_vec(), dropout: 0.2, ..Lstm::default() })
}

fn main() {
    let picked: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let models = [
        ("A", lstm(60, &[100, 50]), [60, 6, 5]),
        ("B", lstm(50, &[50]), [50, 4, 1]),
        ("C", lstm(60, &[128, 64]), [60, 10, 4]),
    ];
    for (name, model, sizes) in models {
        for (precision_name, precision) in [("f32", PrecisionConfig::F32), ("bf16", PrecisionConfig::Bf16)] {
            let name = format!("{name} {precision_name}");
            if picked.is_empty() || picked.iter().any(|part| name.contains(part.as_str())) {
                measure(&name, &model, sizes, 32, precision);
            }
        }
    }
}
