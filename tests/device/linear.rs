//! Matrix products of a population on a device against their twin on the CPU.

use super::emulator::gpu;
use candle_core::{Device, Tensor, Var};
use candlewick::kernels::affine::affine;
use candlewick::kernels::arena::Arena;
use candlewick::kernels::gpu::{Address, Gpu, Memory};
use candlewick::kernels::population::Rows;
use candlewick::kernels::population_linear::PopulationLinear;
use candlewick::kernels::precision::Precision;
use candlewick::kernels::row_steps::Activation;
use candlewick::seed::Seed;

const PRECISIONS: [Precision; 2] = [Precision::F32, Precision::Bf16];

/// Normal numbers, each member's its own.
pub(crate) fn normal(population: usize, count: usize, name: &str) -> Vec<Vec<f32>> {
    let member = |member| {
        let mut stream = Seed(7).stream(name, member as u64);
        (0..count).map(|_| stream.normal() as f32).collect()
    };
    (0..population).map(member).collect()
}

/// A matrix of every member on the device, with gaps of NaN before the first row, between rows and between members.
pub(crate) struct Laid {
    memory: Memory<f32>,
    population: usize,
    rows: usize,
    width: usize,
    gap: usize,
}

impl Laid {
    pub(crate) fn new(gpu: &Gpu, members: &[Vec<f32>], width: usize, gap: usize) -> Laid {
        let rows = members[0].len() / width;
        let mut values = vec![f32::NAN; gap];
        for member in members {
            for row in member.chunks_exact(width) {
                values.extend_from_slice(row);
                values.resize(values.len() + gap, f32::NAN);
            }
            values.resize(values.len() + gap, f32::NAN);
        }
        Laid { memory: gpu.upload(&values).unwrap(), population: members.len(), rows, width, gap }
    }

    /// A place for results.
    pub(crate) fn empty(gpu: &Gpu, population: usize, rows: usize, width: usize, gap: usize) -> Laid {
        Laid::new(gpu, &vec![vec![f32::NAN; rows * width]; population], width, gap)
    }

    fn row(&self) -> usize {
        self.width + self.gap
    }

    fn member(&self) -> usize {
        self.rows * self.row() + self.gap
    }

    pub(crate) fn rows(&self) -> Rows {
        Rows { address: self.memory.address().floats(self.gap), member: self.member(), row: self.row() }
    }

    /// The matrices of all members; the gaps must be as they were.
    pub(crate) fn read(&self, gpu: &Gpu) -> Vec<Vec<f32>> {
        let mut values = gpu.read(&self.memory, 0, self.memory.len()).unwrap();
        let mut members = Vec::new();
        for member in 0..self.population {
            let mut matrix = Vec::new();
            for row in 0..self.rows {
                let start = self.gap + member * self.member() + row * self.row();
                matrix.extend_from_slice(&values[start..start + self.width]);
                values[start..start + self.width].fill(f32::NAN);
            }
            members.push(matrix);
        }
        assert!(values.iter().all(|value| value.is_nan()), "a gap was written");
        members
    }
}

pub(crate) fn bits(members: &[Vec<f32>]) -> Vec<Vec<u32>> {
    members.iter().map(|member| member.iter().map(|value| value.to_bits()).collect()).collect()
}

/// Whether all are within the tolerance; NaN is within none.
pub(crate) fn assert_close(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    for (place, (found, expected)) in found.iter().zip(expected).enumerate() {
        let limit = tolerance * (1.0 + expected.abs());
        assert!((found - expected).abs() <= limit, "{what} {place}: {found} is not {expected}");
    }
}

/// What the CPU finds for one member: y and the gradients of x, weight and bias.
fn on_the_cpu(linear: &PopulationLinear, [x, weight, bias, of_y]: [&[f32]; 4]) -> [Vec<f32>; 4] {
    let var = |values: &[f32], shape: &[usize]| {
        Var::from_tensor(&Tensor::from_slice(values, shape, &Device::Cpu).unwrap()).unwrap()
    };
    let x = var(x, &[linear.rows, linear.inputs]);
    let weight = var(weight, &[linear.inputs, linear.outputs]);
    let bias = var(bias, &[linear.outputs]);
    let of_y = Tensor::from_slice(of_y, (linear.rows, linear.outputs), &Device::Cpu).unwrap();
    let y = affine([&x, &weight, &bias], linear.precision, &Arena::default()).unwrap();
    let gradients = (&y * of_y).unwrap().sum_all().unwrap().backward().unwrap();
    let flat = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let gradient = |of: &Var| flat(gradients.get(of).unwrap());
    [flat(&y), gradient(&x), gradient(&weight), gradient(&bias)]
}

/// Factors and what is there before a pass.
struct Given {
    x: Vec<Vec<f32>>,
    weight: Vec<Vec<f32>>,
    bias: Vec<Vec<f32>>,
    of_y: Vec<Vec<f32>>,
    of_x: Vec<Vec<f32>>,
    of_weight: Vec<Vec<f32>>,
    of_bias: Vec<Vec<f32>>,
}

impl Given {
    fn new(linear: &PopulationLinear) -> Given {
        let PopulationLinear { population, rows, inputs, outputs, .. } = *linear;
        Given {
            x: normal(population, rows * inputs, "x"),
            weight: normal(population, inputs * outputs, "weight"),
            bias: normal(population, outputs, "bias"),
            of_y: normal(population, rows * outputs, "of y"),
            of_x: normal(population, rows * inputs, "of x"),
            of_weight: normal(population, inputs * outputs, "of weight"),
            of_bias: normal(population, outputs, "of bias"),
        }
    }

    fn alone(&self, member: usize) -> Given {
        let of = |members: &[Vec<f32>]| vec![members[member].clone()];
        Given {
            x: of(&self.x),
            weight: of(&self.weight),
            bias: of(&self.bias),
            of_y: of(&self.of_y),
            of_x: of(&self.of_x),
            of_weight: of(&self.of_weight),
            of_bias: of(&self.of_bias),
        }
    }

    /// y, of_x replaced, of_x added, of_weight and of_bias, each of all members.
    fn pass(&self, gpu: &Gpu, linear: &PopulationLinear, gap: usize) -> [Vec<Vec<f32>>; 5] {
        let PopulationLinear { population, rows, inputs, outputs, .. } = *linear;
        let lay = |members: &[Vec<f32>], width| Laid::new(gpu, members, width, gap);
        let (x, weight, bias) = (lay(&self.x, inputs), lay(&self.weight, outputs), lay(&self.bias, outputs));
        let (of_y, added_of_x) = (lay(&self.of_y, outputs), lay(&self.of_x, inputs));
        let (of_weight, of_bias) = (lay(&self.of_weight, outputs), lay(&self.of_bias, outputs));
        let y = Laid::empty(gpu, population, rows, outputs, gap);
        let of_x = Laid::empty(gpu, population, rows, inputs, gap);
        // One number too many, so that a kernel that writes beyond its scratch is seen.
        let scratch = gpu.upload(&vec![f32::NAN; linear.scratch() + 1]).unwrap();
        linear.forward(gpu, x.rows(), weight.rows(), Some(bias.rows()), None, y.rows()).unwrap();
        linear.of_input(gpu, of_y.rows(), weight.rows(), of_x.rows(), false).unwrap();
        linear.of_input(gpu, of_y.rows(), weight.rows(), added_of_x.rows(), true).unwrap();
        let (to, to_bias) = (of_weight.rows(), Some(of_bias.rows()));
        linear.of_weight(gpu, x.rows(), of_y.rows(), to, to_bias, scratch.address()).unwrap();
        assert!(gpu.read(&scratch, linear.scratch(), 1).unwrap()[0].is_nan());
        [y, of_x, added_of_x, of_weight, of_bias].map(|laid| laid.read(gpu))
    }
}

fn linear([population, rows, inputs, outputs]: [usize; 4], precision: Precision) -> PopulationLinear {
    PopulationLinear { population, rows, inputs, outputs, precision }
}

fn plus(left: &[f32], right: &[f32]) -> Vec<f32> {
    left.iter().zip(right).map(|(left, right)| left + right).collect()
}

/// Population, rows, inputs, outputs and the gap. All three tiles for each of the three products, whole and ragged, in
/// vectors and not, gradients of weights in one chunk and in several.
const CASES: &[([usize; 4], usize)] = &[
    ([1, 1, 1, 1], 0),
    ([2, 31, 3, 33], 0),
    ([3, 33, 17, 1], 1),
    ([1, 32, 33, 31], 0),
    ([2, 65, 32, 65], 3),
    ([5, 2, 1, 40], 0),
    ([1, 130, 36, 64], 4),
    ([2, 129, 40, 128], 2),
    // The second member begins at a multiple of 16 bytes, its rows do not.
    ([2, 34, 36, 40], 1),
    ([1, 128, 128, 128], 4),
    ([1, 100, 200, 72], 0),
    ([3, 1100, 5, 3], 0),
    ([2, 1030, 12, 34], 1),
    ([1, 1025, 128, 100], 0),
];

#[test]
fn products_and_gradients_are_those_of_the_cpu() {
    let Some(gpu) = gpu() else { return };
    for (&(shape, gap), precision) in CASES.iter().flat_map(|case| PRECISIONS.map(|kind| (case, kind))) {
        let linear = linear(shape, precision);
        let given = Given::new(&linear);
        let [y, of_x, added_of_x, of_weight, of_bias] = given.pass(&gpu, &linear, gap);
        for member in 0..linear.population {
            let factors = [&given.x, &given.weight, &given.bias, &given.of_y].map(|of| &of[member][..]);
            let expected = on_the_cpu(&linear, factors);
            let check = |found: &[Vec<f32>], expected: &[f32], inner: usize, what: &str| {
                let tolerance = 5e-6 * (inner as f32).sqrt();
                assert_close(&found[member], expected, tolerance, &format!("{linear:?}: {what}"));
            };
            check(&y, &expected[0], linear.inputs, "y");
            check(&of_x, &expected[1], linear.outputs, "of x");
            check(&added_of_x, &plus(&expected[1], &given.of_x[member]), linear.outputs, "of x, added");
            check(&of_weight, &plus(&expected[2], &given.of_weight[member]), linear.rows, "of weight");
            check(&of_bias, &plus(&expected[3], &given.of_bias[member]), linear.rows, "of bias");
        }
    }
}

/// With an odd stride the members do not even lie alike, so that some are read in vectors and others are not.
#[test]
fn a_member_is_the_same_in_any_company() {
    let Some(gpu) = gpu() else { return };
    for ([rows, inputs, outputs], gap) in [([70, 33, 36], 0), ([1040, 8, 28], 1), ([130, 128, 65], 3)] {
        for precision in PRECISIONS {
            let together = linear([3, rows, inputs, outputs], precision);
            let given = Given::new(&together);
            let found = given.pass(&gpu, &together, gap).map(|members| bits(&members));
            for member in 0..3 {
                let one = linear([1, rows, inputs, outputs], precision);
                // Alone it begins elsewhere.
                let alone = given.alone(member).pass(&gpu, &one, 0).map(|members| bits(&members));
                for (found, alone) in found.iter().zip(&alone) {
                    assert_eq!(found[member], alone[0], "{one:?}");
                }
            }
        }
    }
}

/// Without a bias results begin with 0, and nobody's gradient is touched for it.
#[test]
fn a_bias_may_be_missing() {
    let Some(gpu) = gpu() else { return };
    for (rows, precision) in [(40, Precision::F32), (1030, Precision::F32), (1030, Precision::Bf16)] {
        let linear = linear([2, rows, 9, 5], precision);
        let given = Given::new(&linear);
        let (x, weight) = (Laid::new(&gpu, &given.x, 9, 0), Laid::new(&gpu, &given.weight, 5, 0));
        let (of_y, of_weight) = (Laid::new(&gpu, &given.of_y, 5, 0), Laid::new(&gpu, &given.of_weight, 5, 0));
        let y = Laid::empty(&gpu, 2, rows, 5, 0);
        let scratch = gpu.zeros::<f32>(linear.scratch()).unwrap();
        linear.forward(&gpu, x.rows(), weight.rows(), None, None, y.rows()).unwrap();
        linear.of_weight(&gpu, x.rows(), of_y.rows(), of_weight.rows(), None, scratch.address()).unwrap();
        let (y, of_weight) = (y.read(&gpu), of_weight.read(&gpu));
        for member in 0..2 {
            let factors = [&given.x[member], &given.weight[member], &vec![0.0; 5], &given.of_y[member]];
            let expected = on_the_cpu(&linear, factors.map(|values| &values[..]));
            assert_close(&y[member], &expected[0], 1e-5, "y");
            assert_close(
                &of_weight[member],
                &plus(&expected[2], &given.of_weight[member]),
                1e-4,
                "of weight",
            );
        }
    }
}

#[test]
fn members_may_share_their_rows() {
    let Some(gpu) = gpu() else { return };
    for precision in PRECISIONS {
        let linear = linear([3, 37, 6, 10], precision);
        let mut given = Given::new(&linear);
        let shared = given.x[0].clone();
        given.x = vec![shared.clone(); 3];
        let expected = given.pass(&gpu, &linear, 0);
        let x = gpu.upload(&shared).unwrap();
        let x = Rows { address: x.address(), member: 0, row: 6 };
        let lay = |members: &[Vec<f32>]| Laid::new(&gpu, members, 10, 0);
        let (weight, bias, of_y) = (lay(&given.weight), lay(&given.bias), lay(&given.of_y));
        let (of_weight, y) = (lay(&given.of_weight), Laid::empty(&gpu, 3, 37, 10, 0));
        linear.forward(&gpu, x, weight.rows(), Some(bias.rows()), None, y.rows()).unwrap();
        linear.of_weight(&gpu, x, of_y.rows(), of_weight.rows(), None, Address::NONE).unwrap();
        assert_eq!(bits(&y.read(&gpu)), bits(&expected[0]));
        assert_eq!(bits(&of_weight.read(&gpu)), bits(&expected[3]));
    }
}

/// Values far from 0 on both sides, too.
#[test]
fn activations_follow_the_product() {
    let Some(gpu) = gpu() else { return };
    for (rows, outputs, gap) in [(33, 3, 0), (64, 64, 0), (129, 128, 2)] {
        for (activation, precision) in
            [Activation::Relu, Activation::Gelu].iter().flat_map(|kind| PRECISIONS.map(|p| (*kind, p)))
        {
            let linear = linear([2, rows, 5, outputs], precision);
            let mut given = Given::new(&linear);
            given.x.iter_mut().flatten().for_each(|x| *x *= 3.0);
            let plain = given.pass(&gpu, &linear, gap)[0].clone();
            let (x, weight) =
                (Laid::new(&gpu, &given.x, 5, gap), Laid::new(&gpu, &given.weight, outputs, gap));
            let bias = Laid::new(&gpu, &given.bias, outputs, gap);
            let [y, kept] = [(); 2].map(|()| Laid::empty(&gpu, 2, rows, outputs, gap));
            let forward = |kept: &Laid| {
                let activation = Some((activation, kept.rows()));
                linear
                    .forward(&gpu, x.rows(), weight.rows(), Some(bias.rows()), activation, y.rows())
                    .unwrap();
                y.read(&gpu)
            };
            let found = forward(&kept);
            assert_eq!(bits(&kept.read(&gpu)), bits(&plain));
            for (found, plain) in found.iter().zip(&plain) {
                let (mut values, mut free) = (plain.clone(), vec![0.0; plain.len()]);
                assert_close(found, activation.forward(&mut values, &mut free), 2e-6, "activated");
                assert!(plain.iter().any(|value| *value < -3.0) && plain.iter().any(|value| *value > 3.0));
            }
            if activation == Activation::Relu {
                assert_eq!(bits(&forward(&y)), bits(&found), "in place");
            }
        }
    }
}

/// A NaN in a row of x, or in a column of a gradient, stays there.
#[test]
fn a_nan_stays_in_its_row_and_its_member() {
    let Some(gpu) = gpu() else { return };
    let nan_rows = |members: &[Vec<f32>], width: usize| -> Vec<(usize, usize)> {
        let rows = members.iter().enumerate();
        rows.flat_map(|(member, values)| {
            let rows = values.chunks(width).enumerate();
            rows.filter(|(_, row)| row.iter().any(|value| value.is_nan())).map(move |(row, _)| (member, row))
        })
        .collect()
    };
    for (rows, precision) in [(40, Precision::F32), (1030, Precision::F32), (40, Precision::Bf16)] {
        let linear = linear([3, rows, 7, 34], precision);
        let mut given = Given::new(&linear);
        given.x[1][20 * 7 + 3] = f32::NAN;
        given.of_y[2][21 * 34 + 5] = f32::NAN;
        let [y, of_x, _, of_weight, of_bias] = given.pass(&gpu, &linear, 0);
        assert_eq!(nan_rows(&y, 34), [(1, 20)]);
        assert!(y[1][20 * 34..21 * 34].iter().all(|value| value.is_nan()));
        assert_eq!(nan_rows(&of_x, 7), [(2, 21)]);
        // x's column 3 of member 1 is a row of the gradient; of_y's column 5 of member 2 a column, in every row.
        assert_eq!(nan_rows(&of_weight[..2], 34), [(1, 3)]);
        let columns: Vec<usize> = (0..7 * 34).filter(|place| of_weight[2][*place].is_nan()).collect();
        assert_eq!(columns, (0..7).map(|row| row * 34 + 5).collect::<Vec<_>>());
        assert_eq!(nan_rows(&of_bias, 1), [(2, 5)]);

        let (x, weight) = (Laid::new(&gpu, &given.x, 7, 0), Laid::new(&gpu, &given.weight, 34, 0));
        for activation in [Activation::Relu, Activation::Gelu] {
            let [y, kept] = [(); 2].map(|()| Laid::empty(&gpu, 3, rows, 34, 0));
            let activation = Some((activation, kept.rows()));
            linear.forward(&gpu, x.rows(), weight.rows(), None, activation, y.rows()).unwrap();
            assert_eq!(nan_rows(&y.read(&gpu), 34), [(1, 20)]);
            assert!(y.read(&gpu)[1][20 * 34..21 * 34].iter().all(|value| value.is_nan()));
        }
    }
}

#[test]
fn nothing_is_done_for_nobody() {
    let Some(gpu) = gpu() else { return };
    let before = vec![vec![1.5; 4]];
    let laid = Laid::new(&gpu, &before, 2, 0);
    let rows = laid.rows();
    for shape in [[0, 2, 2, 2], [1, 0, 2, 2], [1, 2, 0, 2], [1, 2, 2, 0]] {
        let linear = linear(shape, Precision::F32);
        assert_eq!(linear.scratch(), 0);
        linear.forward(&gpu, rows, rows, Some(rows), None, rows).unwrap();
        linear.of_input(&gpu, rows, rows, rows, false).unwrap();
        linear.of_weight(&gpu, rows, rows, rows, Some(rows), Address::NONE).unwrap();
    }
    assert_eq!(laid.read(&gpu), before);
}
