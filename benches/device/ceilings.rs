//! What the device does at best: copying, and large products of our own kernel.

use super::measure::{Bench, digits, row, section};
use candlewick::kernels::population::{DropoutSite, Rows};
use candlewick::kernels::population_linear::PopulationLinear;
use candlewick::kernels::population_rows::PopulationRows;
use candlewick::kernels::precision::Precision;

pub(crate) const PRECISIONS: [Precision; 2] = [Precision::F32, Precision::Bf16];

pub(crate) fn name_of(precision: Precision) -> &'static str {
    match precision {
        Precision::F32 => "f32",
        Precision::Bf16 => "bf16",
    }
}

/// What the device was seen to do at best, in a second.
pub(crate) struct Ceilings {
    pub(crate) bytes: f64,
    /// Operations in f32 and in bf16.
    pub(crate) operations: [f64; 2],
}

/// Measures copying and large products.
pub(crate) fn measure(bench: &Bench) -> Ceilings {
    let note =
        "Per cent are of an H200's data sheet: 4.8 TB/s, 67 TFLOP/s in f32, 990 TFLOP/s in bf16 (dense).";
    section(bench, "ceilings", note, &["what", "size", "measured", "per cent"]);
    let (rows, width) = if bench.small { (64, 64) } else { (1 << 18, 1 << 10) };
    let (x, y) = (bench.random(rows * width), bench.random(rows * width));
    let steps = PopulationRows { population: 1, rows, width };
    let [x, y] = [&x, &y].map(|memory| Rows::dense(memory.address(), rows, width));
    let seconds = bench.seconds(|| steps.dropout(&bench.gpu, DropoutSite::NONE, x, y, true));
    // Both matrices are read, one is written.
    let bytes = 12.0 * (rows * width) as f64 / seconds;
    print_ceiling("y += x", &format!("{rows} x {width}"), bytes / 1e12, "TB/s", 4.8);
    let operations = PRECISIONS.map(|precision| {
        let (rows, inputs, outputs) = if bench.small { (64, 64, 64) } else { (8192, 4096, 4096) };
        let linear = PopulationLinear { population: 1, rows, inputs, outputs, precision };
        let x = bench.random(rows * inputs);
        let weight = bench.random(inputs * outputs);
        let y = bench.random(rows * outputs);
        let [x, weight, y] = [(&x, rows, inputs), (&weight, inputs, outputs), (&y, rows, outputs)]
            .map(|(memory, rows, width)| Rows::dense(memory.address(), rows, width));
        let seconds = bench.seconds(|| linear.forward(&bench.gpu, x, weight, None, None, y));
        let operations = 2.0 * (rows * inputs * outputs) as f64 / seconds;
        let name = format!("y = x W, {}", name_of(precision));
        let sheet = if precision == Precision::F32 { 67.0 } else { 990.0 };
        let size = format!("{rows} x {inputs} x {outputs}");
        print_ceiling(&name, &size, operations / 1e12, "TFLOP/s", sheet);
        operations
    });
    Ceilings { bytes, operations }
}

fn print_ceiling(name: &str, size: &str, value: f64, unit: &str, sheet: f64) {
    let share = format!("{:.1}", 100.0 * value / sheet);
    row(&[name.into(), size.into(), format!("{} {unit}", digits(value)), share]);
}
