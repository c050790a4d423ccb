//! Layers for the tests of the recurrence: what a member is given, what the CPU makes of it, and what the device does.

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

pub(super) const INPUTS: usize = 3;

/// Numbers before a member's weight, so that matrices lie as in a network: aligned to 4 bytes alone.
const MARGIN: usize = 3;

#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) windows: usize,
    pub(super) steps: usize,
    pub(super) hidden: usize,
    pub(super) outputs: Outputs,
    pub(super) precision: Precision,
    pub(super) dropout: bool,
}

impl Case {
    pub(super) fn columns(self) -> usize {
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
pub(super) struct Member {
    pub(super) number: usize,
    /// `[B, T, I]`
    pub(super) x: Vec<f32>,
    /// `[1 + I + H, 4H]`
    pub(super) weight: Vec<f32>,
    /// As the output, windows first.
    pub(super) of_output: Vec<f32>,
}

pub(super) fn member(case: Case, number: usize) -> Member {
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
pub(super) struct Numbers {
    pub(super) output: Vec<f32>,
    pub(super) of_x: Vec<f32>,
    pub(super) of_weight: Vec<f32>,
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

/// On the CPU.
pub(super) fn expected(case: Case, member: &Member) -> Numbers {
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
pub(super) fn inputs(case: Case, member: &Member) -> Vec<f32> {
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
pub(super) struct Left {
    pub(super) output: Vec<f32>,
    /// Of the gates before their activation; empty where nothing went backward.
    pub(super) of_gates: Vec<f32>,
    pub(super) cells: Vec<f32>,
    pub(super) before: Vec<f32>,
}

impl Left {
    pub(super) fn bits(&self) -> Vec<u32> {
        [&self.output, &self.of_gates, &self.before]
            .into_iter()
            .flatten()
            .map(|value| value.to_bits())
            .collect()
    }

    /// The parts of one of several members.
    pub(super) fn of(&self, population: usize, number: usize) -> Left {
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
pub(super) fn run_inputs(
    gpu: &Gpu,
    case: Case,
    members: &[Member],
    path: LstmPath,
    keep: bool,
    inputs: &[f32],
) -> Left {
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

pub(super) fn run(gpu: &Gpu, case: Case, members: &[Member], path: LstmPath, keep: bool) -> Left {
    let inputs: Vec<f32> = members.iter().flat_map(|member| inputs(case, member)).collect();
    run_inputs(gpu, case, members, path, keep, &inputs)
}

/// The gradients that a caller makes of what the device left of a member, and the output.
pub(super) fn completed(case: Case, member: &Member, left: &Left) -> Numbers {
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
