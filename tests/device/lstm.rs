//! The recurrence of an LSTM layer on a device against the layer on the CPU, output and all gradients; its paths against each
//! other, and bits that depend on no neighbour.

use super::emulator::gpu;
use candle_core::{Device, Tensor, Var};
use candlewick::kernels::arena::Arena;
use candlewick::kernels::dropout::Dropout;
use candlewick::kernels::gpu::{Gpu, Memory};
use candlewick::kernels::instructions::Instructions;
use candlewick::kernels::lstm_sequence::{LANES, LstmSettings, Outputs, lane_blocks, lstm_sequence};
use candlewick::kernels::population::{DropoutSite, Rows, dropout_bytes};
use candlewick::kernels::population_lstm::{LstmBuffers, LstmPath, PopulationLstm};
use candlewick::kernels::precision::{Precision, round_to_bf16};
use candlewick::seed::Seed;

const INPUTS: usize = 3;

/// Numbers before a member's weight and behind it, so that matrices lie as in a network: aligned to 4 bytes alone.
const MARGIN: usize = 3;

#[derive(Clone, Copy, Debug)]
struct Case {
    windows: usize,
    steps: usize,
    hidden: usize,
    outputs: Outputs,
    precision: Precision,
    dropout: bool,
}

impl Case {
    fn columns(self) -> usize {
        4 * self.hidden
    }

    fn weights(self) -> usize {
        (1 + INPUTS + self.hidden) * self.columns()
    }

    fn given(self) -> usize {
        let steps = if self.outputs == Outputs::Every { self.steps } else { 1 };
        self.windows * steps * self.hidden
    }

    fn dropout(self, member: usize) -> Option<Dropout> {
        self.dropout.then(|| Dropout::new(11 + member as u64, 0.3))
    }

    /// As a factor of a product.
    fn factor(self, value: f32) -> f64 {
        f64::from(if self.precision == Precision::Bf16 { round_to_bf16(value) } else { value })
    }
}

/// What a member is given.
#[derive(Clone)]
struct Member {
    number: usize,
    /// `[B, T, I]`
    x: Vec<f32>,
    /// `[1 + I + H, 4H]`
    weight: Vec<f32>,
    /// As the output, windows first.
    of_output: Vec<f32>,
}

fn member(case: Case, number: usize) -> Member {
    let random = |name: &str, count: usize, scale: f64| -> Vec<f32> {
        let mut stream = Seed(9).stream(name, number as u64);
        (0..count).map(|_| (stream.normal() * scale) as f32).collect()
    };
    Member {
        number,
        x: random("x", case.windows * case.steps * INPUTS, 1.0),
        weight: random("weight", case.weights(), 0.8 / (case.hidden as f64).sqrt()),
        of_output: random("of output", case.given(), 1.0),
    }
}

/// Output, gradient of x and gradient of the weight.
struct Numbers {
    output: Vec<f32>,
    of_x: Vec<f32>,
    of_weight: Vec<f32>,
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// On the CPU.
fn expected(case: Case, member: &Member) -> Numbers {
    let Case { windows, steps, hidden, .. } = case;
    let var = |values: &[f32], shape: &[usize]| {
        Var::from_tensor(&Tensor::from_vec(values.to_vec(), shape, &Device::Cpu).unwrap()).unwrap()
    };
    let x = var(&member.x, &[windows, steps, INPUTS]);
    let weight = var(&member.weight, &[1 + INPUTS + hidden, case.columns()]);
    let settings = LstmSettings {
        batch: windows,
        outputs: case.outputs,
        dropout: case.dropout(member.number),
        precision: case.precision,
        arena: Arena::default(),
        instructions: Instructions::Portable,
    };
    let mut output =
        lstm_sequence(&lane_blocks(x.as_tensor()).unwrap(), weight.as_tensor(), &settings).unwrap();
    let mut shape = vec![windows, hidden];
    if case.outputs == Outputs::Every {
        shape.insert(1, steps);
        let blocks = windows.div_ceil(LANES);
        let windows_first = output.permute((0, 3, 1, 2)).unwrap().contiguous().unwrap();
        output =
            windows_first.reshape((blocks * LANES, steps, hidden)).unwrap().narrow(0, 0, windows).unwrap();
    }
    let of_output = Tensor::from_vec(member.of_output.clone(), shape, &Device::Cpu).unwrap();
    let gradients = (&output * of_output).unwrap().sum_all().unwrap().backward().unwrap();
    Numbers {
        output: values(&output),
        of_x: values(gradients.get(&x).unwrap()),
        of_weight: values(gradients.get(&weight).unwrap()),
    }
}

/// `[B, T, 4H]`: what the recurrence is given.
fn inputs(case: Case, member: &Member) -> Vec<f32> {
    let columns = case.columns();
    let rows = member.x.chunks(INPUTS).flat_map(|x| {
        (0..columns).map(move |column| {
            let products = x.iter().enumerate().map(|(input, x)| {
                case.factor(*x) * case.factor(member.weight[(1 + input) * columns + column])
            });
            (f64::from(member.weight[column]) + products.sum::<f64>()) as f32
        })
    });
    rows.collect()
}

/// What the device leaves behind, all members one after another.
#[derive(Debug, PartialEq)]
struct Left {
    output: Vec<f32>,
    /// Of the gates before their activation; empty where nothing went backward.
    of_gates: Vec<f32>,
    cells: Vec<f32>,
    before: Vec<f32>,
}

impl Left {
    fn bits(&self) -> Vec<u32> {
        [&self.output, &self.of_gates, &self.before]
            .into_iter()
            .flatten()
            .map(|value| value.to_bits())
            .collect()
    }

    /// The parts of one of several members.
    fn of(&self, population: usize, number: usize) -> Left {
        let part = |values: &[f32]| {
            let size = values.len() / population;
            values[number * size..][..size].to_vec()
        };
        Left {
            output: part(&self.output),
            of_gates: part(&self.of_gates),
            cells: part(&self.cells),
            before: part(&self.before),
        }
    }
}

/// Runs all members; `inputs` as [`inputs`] gives them. Cells and states before hold 7 where nothing is written.
fn run_inputs(gpu: &Gpu, case: Case, members: &[Member], path: LstmPath, keep: bool, inputs: &[f32]) -> Left {
    let Case { windows, steps, hidden, .. } = case;
    let population = members.len();
    let joined = |of: fn(&Member) -> &[f32]| -> Vec<f32> {
        members.iter().flat_map(|member| of(member).iter().copied()).collect()
    };
    let gates = gpu.upload(inputs).unwrap();
    let margin = [f32::NAN; MARGIN];
    let weights: Vec<f32> =
        members.iter().flat_map(|member| [&margin, member.weight.as_slice()].concat()).collect();
    let weights = gpu.upload(&weights).unwrap();
    let count = population * windows * steps * hidden;
    let (cells, before) =
        (gpu.upload(&vec![7.0_f32; count]).unwrap(), gpu.upload(&vec![7.0_f32; count]).unwrap());
    let output = gpu.upload(&vec![f32::NAN; population * case.given()]).unwrap();
    let of_output = gpu.upload(&joined(|member| &member.of_output)).unwrap();
    // Two steps, three sites: it is the last site in the second step.
    let table: Vec<u8> = (0..2)
        .flat_map(|step| members.iter().flat_map(move |member| (0..3).map(move |site| (step, member, site))))
        .flat_map(|(step, member, site)| {
            dropout_bytes(if (step, site) == (1, 2) {
                case.dropout(member.number)
            } else {
                Some(Dropout::new(1, 0.9))
            })
        })
        .collect();
    let (table, step) = (gpu.upload(&table).unwrap(), gpu.upload(&[1_i32]).unwrap());
    let dropout = DropoutSite { table: table.address(), step: step.address(), sites: 3, site: 2 };
    let layer = PopulationLstm {
        population,
        windows,
        steps,
        hidden,
        outputs: case.outputs,
        precision: case.precision,
        dropout: if case.dropout { dropout } else { DropoutSite::NONE },
        path,
    };
    let recurrent = weights.address().floats(MARGIN + (1 + INPUTS) * case.columns());
    let buffers = LstmBuffers {
        gates: gates.address(),
        recurrent: Rows { address: recurrent, member: MARGIN + case.weights(), row: case.columns() },
        cells: cells.address(),
        before: before.address(),
        output: output.address(),
    };
    let read = |memory: &Memory<f32>| gpu.read(memory, 0, memory.len()).unwrap();
    layer.forward(gpu, &buffers, keep).unwrap();
    let kept_cells = read(&cells);
    if keep {
        layer.backward(gpu, &buffers, of_output.address()).unwrap();
    }
    Left {
        output: read(&output),
        of_gates: if keep { read(&gates) } else { Vec::new() },
        cells: kept_cells,
        before: read(&before),
    }
}

fn run(gpu: &Gpu, case: Case, members: &[Member], path: LstmPath, keep: bool) -> Left {
    let inputs: Vec<f32> = members.iter().flat_map(|member| inputs(case, member)).collect();
    run_inputs(gpu, case, members, path, keep, &inputs)
}

/// The gradients that a caller makes of what the device left of a member, and the output.
fn completed(case: Case, member: &Member, left: &Left) -> Numbers {
    let (columns, hidden) = (case.columns(), case.hidden);
    let mut of_x = Vec::new();
    let mut of_weight = vec![0.0_f64; case.weights()];
    let rows = left.of_gates.chunks(columns).zip(left.before.chunks(hidden)).zip(member.x.chunks(INPUTS));
    for ((of_gates, before), x) in rows {
        let of_gates: Vec<f64> = of_gates.iter().map(|value| case.factor(*value)).collect();
        for input in 0..INPUTS {
            let weights = &member.weight[(1 + input) * columns..][..columns];
            let products = weights.iter().zip(&of_gates).map(|(weight, value)| case.factor(*weight) * value);
            of_x.push(products.sum::<f64>() as f32);
        }
        let factors = std::iter::once(&1.0).chain(x).chain(before);
        for (of_weight, factor) in of_weight.chunks_mut(columns).zip(factors) {
            for (sum, value) in of_weight.iter_mut().zip(&of_gates) {
                *sum += case.factor(*factor) * value;
            }
        }
    }
    let of_weight = of_weight.into_iter().map(|sum| sum as f32).collect();
    Numbers { output: left.output.clone(), of_x, of_weight }
}

/// All values, and all together, relative to the largest one.
fn assert_close(name: &str, found: &[f32], expected: &[f32], (most, mean): (f32, f64)) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let size = expected.iter().fold(1e-3_f32, |size, value| size.max(value.abs()));
    let mut squares = 0.0;
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (found - expected).abs() / size;
        // Not a number is not close.
        assert!(error <= most, "{name}[{index}]: {found} instead of {expected}, of at most {size}");
        squares += f64::from(error).powi(2);
    }
    let error = (squares / found.len() as f64).sqrt();
    assert!(error <= mean, "{name}: off by {error} in the mean");
}

fn assert_same_as_cpu(gpu: &Gpu, case: Case, population: usize, paths: &[LstmPath]) {
    let members: Vec<Member> = (0..population).map(|number| member(case, number)).collect();
    let expected: Vec<Numbers> = members.iter().map(|member| expected(case, member)).collect();
    // In f32 sums differ by their order. In bf16 such a difference moves a factor over the edge between two bf16 numbers now
    // and then, by 2^-8 of it; where a path forgot to round, all would be off and the mean far larger.
    let tolerance = if case.precision == Precision::Bf16 { (4e-3, 1.5e-4) } else { (1e-5, 2e-6) };
    for path in paths {
        let left = run(gpu, case, &members, *path, true);
        for (member, expected) in members.iter().zip(&expected) {
            let found = completed(case, member, &left.of(population, member.number));
            let name = |part: &str| format!("{case:?} {path:?}, member {}: {part}", member.number);
            assert_close(&name("output"), &found.output, &expected.output, tolerance);
            assert_close(&name("of x"), &found.of_x, &expected.of_x, tolerance);
            assert_close(&name("of weight"), &found.of_weight, &expected.of_weight, tolerance);
        }
    }
}

/// All weights on the multiprocessor, none of them, and a part, whatever the hidden size.
const PATHS: [LstmPath; 7] = [
    LstmPath::Chosen,
    LstmPath::Stepwise,
    LstmPath::Persistent { tile: 8, weight_bytes: usize::MAX },
    LstmPath::Persistent { tile: 8, weight_bytes: 0 },
    LstmPath::Persistent { tile: 16, weight_bytes: 9_000 },
    LstmPath::Persistent { tile: 32, weight_bytes: usize::MAX },
    LstmPath::Persistent { tile: 32, weight_bytes: 9_000 },
];

/// Every hidden size with every number of windows; the rest takes turns.
fn for_all_sizes(precision: Precision) {
    let Some(gpu) = gpu() else { return };
    let mut turn = 0;
    for hidden in [1, 7, 8, 33, 50] {
        for windows in [1, 5, 31, 33, 40] {
            for outputs in [Outputs::Every, Outputs::Last] {
                for dropout in [false, true] {
                    turn += 1;
                    let (steps, population) = ([1, 2, 9, 2, 9][turn % 5], [1, 3, 1][turn % 3]);
                    let case = Case { windows, steps, hidden, outputs, precision, dropout };
                    assert_same_as_cpu(&gpu, case, population, &[PATHS[turn % PATHS.len()]]);
                }
            }
        }
    }
}

#[test]
fn f32_layers_are_those_of_the_cpu() {
    for_all_sizes(Precision::F32);
}

#[test]
fn bf16_layers_are_those_of_the_cpu() {
    for_all_sizes(Precision::Bf16);
}

#[test]
fn every_path_is_that_of_the_cpu() {
    let Some(gpu) = gpu() else { return };
    for precision in [Precision::F32, Precision::Bf16] {
        let case =
            Case { windows: 33, steps: 5, hidden: 50, outputs: Outputs::Every, precision, dropout: true };
        assert_same_as_cpu(&gpu, case, 2, &PATHS);
    }
}

/// Hidden sizes of which a part, and then nothing, stays on the multiprocessor; warps with more than 8 units.
#[test]
fn large_layers_are_those_of_the_cpu() {
    let Some(gpu) = gpu() else { return };
    for (precision, hidden, windows) in [
        (Precision::F32, 130, 17),
        (Precision::F32, 290, 3),
        (Precision::Bf16, 170, 9),
        (Precision::Bf16, 290, 9),
    ] {
        let case = Case { windows, steps: 3, hidden, outputs: Outputs::Every, precision, dropout: false };
        assert_same_as_cpu(&gpu, case, 1, &[LstmPath::Chosen, LstmPath::Stepwise]);
    }
    let case = Case {
        windows: 3,
        steps: 2,
        hidden: 300,
        outputs: Outputs::Last,
        precision: Precision::Bf16,
        dropout: true,
    };
    assert_same_as_cpu(&gpu, case, 1, &[LstmPath::Persistent { tile: 8, weight_bytes: usize::MAX }]);
}

fn small(outputs: Outputs, precision: Precision) -> Case {
    Case { windows: 35, steps: 4, hidden: 19, outputs, precision, dropout: true }
}

/// Neither on the other members nor on how windows are cut into tiles, nor on where weights are read.
#[test]
fn bits_depend_on_the_member_alone() {
    let Some(gpu) = gpu() else { return };
    for precision in [Precision::F32, Precision::Bf16] {
        let case = small(Outputs::Every, precision);
        let mut members: Vec<Member> = (0..3).map(|number| member(case, number)).collect();
        members[0].weight.fill(f32::NAN);
        let persistent: Vec<Left> = PATHS.iter().map(|path| run(&gpu, case, &members, *path, true)).collect();
        for (path, left) in PATHS.iter().zip(&persistent) {
            for number in [1, 2] {
                let alone = run(&gpu, case, &members[number..=number], *path, true);
                assert_eq!(left.of(3, number).bits(), alone.bits(), "{precision:?} {path:?}");
            }
            if *path != LstmPath::Stepwise {
                assert_eq!(left.of(3, 1).bits(), persistent[0].of(3, 1).bits(), "{precision:?} {path:?}");
            }
        }
        assert!(persistent[0].of(3, 0).output.iter().all(|value| value.is_nan() || *value == 0.0));
    }
}

#[test]
fn without_keeping_only_the_output_is_written() {
    let Some(gpu) = gpu() else { return };
    for precision in [Precision::F32, Precision::Bf16] {
        for outputs in [Outputs::Every, Outputs::Last] {
            let case = small(outputs, precision);
            let members: Vec<Member> = (0..2).map(|number| member(case, number)).collect();
            for path in PATHS {
                let (kept, left) =
                    (run(&gpu, case, &members, path, true), run(&gpu, case, &members, path, false));
                assert_eq!(left.output, kept.output, "{case:?} {path:?}");
                assert!(
                    left.cells.iter().chain(&left.before).all(|value| *value == 7.0),
                    "{case:?} {path:?}"
                );
                assert!(
                    kept.cells.iter().chain(&kept.before).all(|value| *value != 7.0),
                    "{case:?} {path:?}"
                );
            }
        }
    }
}

/// From the step on in which it comes, and in no other window.
#[test]
fn what_is_not_a_number_stays_in_its_window() {
    let Some(gpu) = gpu() else { return };
    for precision in [Precision::F32, Precision::Bf16] {
        let case = Case { dropout: false, ..small(Outputs::Every, precision) };
        let Case { windows, steps, hidden, .. } = case;
        let members = [member(case, 0), member(case, 1)];
        let plain: Vec<f32> = members.iter().flat_map(|member| inputs(case, member)).collect();
        let (window, step) = (windows + 9, 2);
        let mut marked = plain.clone();
        marked[(window * steps + step) * case.columns() + 5] = f32::NAN;
        for path in PATHS {
            let run = |inputs: &[f32]| run_inputs(&gpu, case, &members, path, true, inputs);
            let (left, other) = (run(&marked), run(&plain));
            let rows = left.output.chunks(hidden).zip(other.output.chunks(hidden));
            for (row, (found, plain)) in rows.enumerate() {
                let (own, t) = (row / steps == window, row % steps);
                let expected = |unit: usize| own && (t > step || t == step && unit == 5);
                for (unit, (found, plain)) in found.iter().zip(plain).enumerate() {
                    assert!(
                        found.to_bits() == plain.to_bits() || found.is_nan() && expected(unit),
                        "{path:?}"
                    );
                    assert_eq!(found.is_nan(), expected(unit), "{path:?} row {row} unit {unit}");
                }
            }
            let size = steps * case.columns();
            for (number, (found, plain)) in
                left.of_gates.chunks(size).zip(other.of_gates.chunks(size)).enumerate()
            {
                assert!(number == window || found == plain, "{precision:?} {path:?} window {number}");
                assert_eq!(found.iter().all(|value| value.is_nan()), number == window, "{path:?}");
            }
        }
    }
}
