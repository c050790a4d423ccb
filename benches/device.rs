//! What a CUDA device does: its ceilings, every kernel beside them, whole training steps, and grids of books. `benches/device.md`
//! has what is expected, `benches/gpu.sh` the commands for a machine that has a device.
//!
//! Times are wall seconds between two waits for the device, after a warm-up, the median of five. Arguments pick sections:
//! `cargo bench --features cuda --bench device -- ceilings kernels training grid`. `CANDLEWICK_BENCH_SMALL=1` takes sizes so
//! small that an emulated device runs everything within a minute; such numbers say nothing but that the code works.

#![allow(clippy::print_stdout, reason = "a benchmark prints what it measured")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot prepare has nothing to measure")]

#[path = "device/ceilings.rs"]
mod ceilings;
#[path = "device/grid.rs"]
mod grid;
#[path = "device/kernels.rs"]
mod kernels;
#[path = "device/measure.rs"]
mod measure;
#[path = "device/networks.rs"]
mod networks;
#[path = "device/training.rs"]
mod training;

use candlewick::kernels::gpu::Gpu;
use measure::Bench;

fn main() {
    let picked: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with("--")).collect();
    let wanted = |section: &str| picked.is_empty() || picked.iter().any(|part| part == section);
    let gpu = match Gpu::open(0) {
        Ok(gpu) => gpu,
        Err(reason) => {
            println!("Nothing to measure: {reason}.");
            return;
        }
    };
    let small = std::env::var("CANDLEWICK_BENCH_SMALL").is_ok_and(|value| value == "1");
    println!("# {}", gpu.name());
    println!("\n{} multiprocessors, {} free bytes.", gpu.multiprocessors(), gpu.free_bytes().unwrap());
    if small {
        println!("Sizes are tiny: these numbers say only that the code works.");
    }
    let bench = Bench::new(gpu, small);
    if wanted("ceilings") || wanted("kernels") {
        let ceilings = ceilings::measure(&bench);
        if wanted("kernels") {
            kernels::families(&bench, &ceilings);
        }
    }
    if wanted("training") {
        training::steps(&bench);
    }
    if wanted("grid") {
        grid::books(&bench);
    }
}
