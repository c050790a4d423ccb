//! Timing on a device, memory with random numbers, and tables.

use candlewick::kernels::dropout::Dropout;
use candlewick::kernels::gpu::{Gpu, GpuError, Memory};
use candlewick::kernels::population::{DropoutSite, Rows, dropout_bytes};
use candlewick::kernels::population_rows::PopulationRows;
use candlewick::seed::Seed;
use std::time::Instant;

/// Timed repeats, of which the median counts.
const ROUNDS: usize = 5;

/// A round lasts at least so many seconds, so that the clock's and the driver's own times do not count.
const ROUND_SECONDS: f64 = 4e-3;

/// Most launches of a round.
const MOST_LAUNCHES: usize = 200;

/// Random numbers that are made; longer memory holds them again and again.
const RANDOM_NUMBERS: usize = 1 << 20;

/// A device and how large the work is.
pub(crate) struct Bench {
    pub(crate) gpu: Gpu,
    /// Whether sizes are tiny.
    pub(crate) small: bool,
    /// Normal random numbers.
    numbers: Memory<f32>,
}

/// Dropout of one site for all members, on the device.
pub(crate) struct Masks {
    table: Memory<u8>,
    step: Memory<i32>,
}

impl Masks {
    pub(crate) fn site(&self) -> DropoutSite {
        DropoutSite { table: self.table.address(), step: self.step.address(), sites: 1, site: 0 }
    }
}

impl Bench {
    pub(crate) fn new(gpu: Gpu, small: bool) -> Bench {
        let mut stream = Seed(1).stream("device", 0);
        let numbers: Vec<f32> = (0..RANDOM_NUMBERS).map(|_| 0.1 * stream.normal() as f32).collect();
        Bench { numbers: gpu.upload(&numbers).unwrap(), gpu, small }
    }

    /// Normal random numbers of deviation 0.1: arithmetic on zeros draws less power than on data, and may run faster.
    pub(crate) fn random(&self, length: usize) -> Memory<f32> {
        let memory = self.gpu.zeros(length).unwrap();
        // Whole rows of numbers, then the rest.
        let (rows, rest) = (length / RANDOM_NUMBERS, length % RANDOM_NUMBERS);
        let numbers = Rows { address: self.numbers.address(), member: 0, row: 0 };
        for (start, rows, width) in [(0, rows, RANDOM_NUMBERS), (rows * RANDOM_NUMBERS, 1, rest)] {
            if rows * width > 0 {
                let copy = Rows::dense(memory.address().floats(start), rows, width);
                let steps = PopulationRows { population: 1, rows, width };
                steps.dropout(&self.gpu, DropoutSite::NONE, numbers, copy, false).unwrap();
            }
        }
        memory
    }

    /// Dropout of this rate for so many members.
    pub(crate) fn masks(&self, population: usize, rate: f64) -> Masks {
        let table: Vec<u8> =
            (0..population as u64).flat_map(|key| dropout_bytes(Some(Dropout::new(key + 1, rate)))).collect();
        Masks { table: self.gpu.upload(&table).unwrap(), step: self.gpu.zeros(1).unwrap() }
    }

    /// Seconds that `launch` takes on the device, once. Launches are recorded and played, as those of a training step are.
    pub(crate) fn seconds(&self, launch: impl Fn() -> Result<(), GpuError>) -> f64 {
        let gpu = &self.gpu;
        // The first launch loads the kernel, the second says how long it takes.
        launch().and_then(|()| gpu.wait()).unwrap();
        let once = timed(|| launch().and_then(|()| gpu.wait()).unwrap());
        let most = if self.small { 2 } else { MOST_LAUNCHES };
        let launches = ((ROUND_SECONDS / once) as usize).clamp(1, most);
        let recorded = gpu.record(|| (0..launches).try_for_each(|_| launch())).unwrap();
        let play = || recorded.play().and_then(|()| gpu.wait()).unwrap();
        play();
        median((0..ROUNDS).map(|_| timed(play)).collect()) / launches as f64
    }

    /// Seconds of work that waits for the device itself, after a warm-up: five times, or three where that takes long.
    pub(crate) fn seconds_of_work(&self, mut work: impl FnMut()) -> f64 {
        const LONG: f64 = 1.0;
        let warm_up = timed(&mut work);
        let rounds = if warm_up > LONG { 3 } else { ROUNDS };
        median((0..rounds).map(|_| timed(&mut work)).collect())
    }
}

pub(crate) fn timed(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// Prints the head of a section and of its table.
pub(crate) fn section(bench: &Bench, title: &str, note: &str, columns: &[&str]) {
    println!("\n## {}: {title}\n\n{note}\n", bench.gpu.name());
    println!("| {} |\n|{}", columns.join(" | "), "---|".repeat(columns.len()));
}

pub(crate) fn row(cells: &[String]) {
    println!("| {} |", cells.join(" | "));
}

/// Three or four digits of a number of any size.
pub(crate) fn digits(value: f64) -> String {
    match value {
        value if value >= 100.0 => format!("{value:.0}"),
        value if value >= 1.0 => format!("{value:.2}"),
        value => format!("{value:.4}"),
    }
}
