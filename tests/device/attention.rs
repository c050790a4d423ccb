//! Attention of a population on a device against its twin on the CPU.

use super::emulator::gpu;
use candlewick::kernels::attention::{AttentionShape, Recorded, backward, forward};
use candlewick::kernels::gpu::Gpu;
use candlewick::kernels::population_attention::{AttentionGradients, PopulationAttention};
use candlewick::kernels::precision::Precision;
use candlewick::seed::Seed;

fn values(count: usize, name: &str, member: usize) -> Vec<f32> {
    let mut stream = Seed(8).stream(name, member as u64);
    (0..count).map(|_| stream.normal() as f32).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// What attention computes of some windows.
struct Attended {
    /// `[W, heads, asking, T]`
    weights: Vec<f32>,
    /// `[W, asking, D]`
    output: Vec<f32>,
    /// `[W, T, 3D]`
    of_qkv: Vec<f32>,
}

impl Attended {
    fn parts(&self) -> [(&'static str, &[f32]); 3] {
        [("weights", &self.weights), ("output", &self.output), ("gradient", &self.of_qkv)]
    }
}

/// On the CPU, whose rows of softmax weights are padded.
fn on_cpu(shape: AttentionShape, windows: usize, qkv: &[f32], of_output: &[f32]) -> Attended {
    let mut weights = vec![0.0; windows * shape.weights()];
    let mut output = vec![0.0; of_output.len()];
    let mut of_qkv = vec![0.0; qkv.len()];
    let mut scratch = vec![0.0; shape.scratch()];
    forward(shape, qkv, &mut weights, &mut output, &mut scratch);
    backward(shape, &Recorded { qkv, weights: &weights, of_output }, &mut of_qkv, &mut scratch);
    let padded = shape.length.next_multiple_of(16);
    let weights = weights.chunks(padded).flat_map(|row| row[..shape.length].to_vec()).collect();
    Attended { weights, output, of_qkv }
}

/// Of `population` members with `windows` windows each. `offset` numbers stand before each matrix, to move it from a whole
/// vector.
fn on_device(
    gpu: &Gpu,
    attention: &PopulationAttention,
    qkv: &[f32],
    of_output: &[f32],
    offset: usize,
) -> Attended {
    let moved = |values: &[f32]| gpu.upload(&[&vec![7.0; offset], values].concat()).unwrap();
    let blank = |count: usize| moved(&vec![7.0; count]);
    let (device_qkv, device_of_output) = (moved(qkv), moved(of_output));
    let (weights, output, of_qkv) = (blank(attention.weights()), blank(of_output.len()), blank(qkv.len()));
    let [qkv_place, weights_place, output_place, of_output_place, of_qkv_place] =
        [&device_qkv, &weights, &output, &device_of_output, &of_qkv]
            .map(|memory| memory.address().floats(offset));
    attention.forward(gpu, qkv_place, weights_place, output_place).unwrap();
    let places = AttentionGradients {
        qkv: qkv_place,
        weights: weights_place,
        of_output: of_output_place,
        of_qkv: of_qkv_place,
    };
    attention.backward(gpu, &places).unwrap();
    let [weights, output, of_qkv] = [weights, output, of_qkv].map(|memory| {
        let values = gpu.read(&memory, 0, memory.len()).unwrap();
        assert!(values[..offset].iter().all(|value| *value == 7.0));
        values[offset..].to_vec()
    });
    Attended { weights, output, of_qkv }
}

/// `(length, first, heads, width)`: sequences around a vector, a warp and a tile; heads that share a block, with a block of
/// fewer at the end, and heads that are no whole vectors; more queries and more keys than a block takes at a time.
const SHAPES: [[usize; 4]; 16] = [
    [1, 0, 1, 1],
    [2, 1, 2, 6],
    [7, 0, 3, 15],
    [12, 0, 4, 64],
    [12, 11, 4, 32],
    [13, 5, 16, 64],
    [31, 0, 5, 40],
    [32, 0, 1, 16],
    [33, 32, 1, 33],
    [64, 0, 2, 32],
    [65, 3, 1, 8],
    [70, 0, 1, 64],
    [90, 0, 1, 128],
    [130, 128, 2, 8],
    [150, 1, 1, 5],
    [9, 0, 1, 512],
];

fn shapes() -> impl Iterator<Item = AttentionShape> {
    let kinds = [Precision::F32, Precision::Bf16].map(|precision| [false, true].map(|c| (precision, c)));
    SHAPES.into_iter().flat_map(move |[length, first, heads, width]| {
        let of = move |(precision, causal)| AttentionShape { length, first, heads, width, causal, precision };
        kinds.into_iter().flatten().map(of)
    })
}

/// Windows of a member, and the gradients of their outputs.
fn inputs(shape: AttentionShape, windows: usize, member: usize) -> [Vec<f32>; 2] {
    let count = windows * shape.length * 3 * shape.width;
    [values(count, "qkv", member), values(windows * shape.asking() * shape.width, "of output", member)]
}

fn assert_near(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len());
    let largest = expected.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let near = (found - expected).abs() <= tolerance * largest;
        assert!(near, "{what} number {index}: {found} is not {expected}, with {largest} the largest");
    }
}

#[test]
fn attention_is_that_of_the_cpu() {
    let Some(gpu) = gpu() else { return };
    for (case, shape) in shapes().enumerate() {
        let (windows, offset) = (1 + case % 2, case / 4 % 2);
        let [qkv, of_output] = inputs(shape, windows, 0);
        let attention = PopulationAttention { population: 1, windows, shape };
        let found = on_device(&gpu, &attention, &qkv, &of_output, offset);
        let expected = on_cpu(shape, windows, &qkv, &of_output);
        // A weight on the edge between two bfloat16 numbers may fall to the other one: 2^-8 of one of many terms.
        let tolerance = if shape.precision == Precision::F32 { 1e-5 } else { 2e-3 };
        for ((name, found), (_, expected)) in found.parts().into_iter().zip(expected.parts()) {
            assert_near(found, expected, tolerance, &format!("{shape:?}: {name}"));
        }
    }
}

/// Bfloat16 is rounded where the CPU rounds, which the tolerance above would not see: all in all the two differ far less than
/// either does from f32.
#[test]
fn bfloat16_is_rounded_where_the_cpu_rounds_it() {
    let Some(gpu) = gpu() else { return };
    for shape in shapes().filter(|shape| shape.precision == Precision::Bf16 && shape.length > 30) {
        let [qkv, of_output] = inputs(shape, 2, 0);
        let attention = PopulationAttention { population: 1, windows: 2, shape };
        let found = on_device(&gpu, &attention, &qkv, &of_output, 0);
        let expected = on_cpu(shape, 2, &qkv, &of_output);
        let exact = on_cpu(AttentionShape { precision: Precision::F32, ..shape }, 2, &qkv, &of_output);
        let distance = |from: &[f32], to: &[f32]| -> f64 {
            from.iter().zip(to).map(|(from, to)| f64::from((from - to).abs())).sum()
        };
        let parts = found.parts().into_iter().zip(expected.parts()).zip(exact.parts());
        for (((name, found), (_, expected)), (_, exact)) in parts {
            let (apart, rounding) = (distance(found, expected), distance(expected, exact));
            assert!(apart <= 0.02 * rounding, "{shape:?}: {name} {apart} beside {rounding}");
        }
    }
}

/// NaN in one window stays there; a member's bits do not depend on the others.
#[test]
fn members_and_windows_are_alone() {
    let Some(gpu) = gpu() else { return };
    for shape in shapes().filter(|shape| [7, 12, 70].contains(&shape.length)) {
        let inputs: Vec<[Vec<f32>; 2]> = (0..3)
            .map(|member| {
                let mut inputs = inputs(shape, 2, member);
                if member == 1 {
                    // A value of the second window's last position, which the last query sees.
                    let end = inputs[0].len();
                    inputs[0][end - 1] = f32::NAN;
                }
                inputs
            })
            .collect();
        let all = |part: usize| inputs.iter().flat_map(|inputs| inputs[part].clone()).collect::<Vec<f32>>();
        let attention = PopulationAttention { population: 3, windows: 2, shape };
        let together = on_device(&gpu, &attention, &all(0), &all(1), 0);
        for (member, [qkv, of_output]) in inputs.iter().enumerate() {
            let attention = PopulationAttention { population: 1, ..attention };
            let alone = on_device(&gpu, &attention, qkv, of_output, 0);
            for ((name, alone), (_, together)) in alone.parts().into_iter().zip(together.parts()) {
                assert_eq!(bits(alone), bits(&together[member * alone.len()..][..alone.len()]), "{name}");
            }
            let [first, second] = [0, 1].map(|window| {
                let size = alone.output.len() / 2;
                alone.output[window * size..][..size].iter().any(|value| value.is_nan())
            });
            assert_eq!([first, second], [false, member == 1]);
            let size = alone.of_qkv.len() / 2;
            assert!(alone.of_qkv[..size].iter().all(|value| value.is_finite()));
        }
    }
}

/// NaN in a query reaches its own row of weights and output, and no other.
#[test]
fn nan_in_a_query_ends_its_row() {
    let Some(gpu) = gpu() else { return };
    let shape =
        AttentionShape { length: 40, first: 0, heads: 1, width: 8, causal: false, precision: Precision::F32 };
    let [mut qkv, of_output] = inputs(shape, 1, 0);
    qkv[5 * 24] = f32::NAN;
    let attention = PopulationAttention { population: 1, windows: 1, shape };
    let found = on_device(&gpu, &attention, &qkv, &of_output, 0);
    for (index, row) in found.weights.chunks(40).enumerate() {
        assert!(row.iter().all(|value| value.is_nan() == (index == 5)));
    }
    for (index, row) in found.output.chunks(8).enumerate() {
        assert!(row.iter().all(|value| value.is_nan() == (index == 5)));
    }
}
