//! The row-wise steps of a population on a device against their twins on the CPU.

use super::emulator::gpu;
use super::linear::{Laid, assert_close, bits, normal};
use candlewick::kernels::dropout::Dropout;
use candlewick::kernels::gpu::{Gpu, Memory};
use candlewick::kernels::population::{DROPOUT_BYTES, DropoutSite, Rows, dropout_bytes};
use candlewick::kernels::population_rows::PopulationRows;
use candlewick::kernels::row_steps::{Activation, residual, residual_gradient};

/// Population, rows, width and the gap between rows.
const CASES: &[([usize; 3], usize)] = &[
    ([1, 1, 1], 0),
    ([2, 31, 33], 0),
    ([3, 33, 5], 1),
    ([1, 32, 32], 0),
    ([5, 7, 64], 4),
    ([2, 50, 3], 2),
    ([2, 40, 36], 0),
    ([3, 2, 1030], 3),
    // The second member begins at a multiple of 16 bytes, its rows do not.
    ([2, 2, 36], 1),
];

const SITES: usize = 3;
const SITE: usize = 1;
const STEPS: usize = 2;

/// A member's dropout in a step; the second member has none.
fn dropout_of(step: usize, member: usize) -> Option<Dropout> {
    let key = (1000 * step + member) as u64;
    (member != 1).then(|| Dropout::new(key.wrapping_mul(0x9E37_79B9_7F4A_7C15), 0.2 + 0.1 * member as f64))
}

/// The dropout of all members from number `first` on; at the other sites everything would be dropped.
struct Table {
    bytes: Memory<u8>,
    step: Memory<i32>,
}

impl Table {
    fn new(gpu: &Gpu, members: std::ops::Range<usize>, step: usize) -> Table {
        let other = Some(Dropout { key: 9, threshold: u16::MAX });
        let sites = |step, member| {
            (0..SITES).map(move |site| if site == SITE { dropout_of(step, member) } else { other })
        };
        let bytes: Vec<u8> = (0..STEPS)
            .flat_map(|step| members.clone().flat_map(move |member| sites(step, member)))
            .flat_map(dropout_bytes)
            .collect();
        assert_eq!(bytes.len(), STEPS * members.len() * SITES * DROPOUT_BYTES);
        Table { bytes: gpu.upload(&bytes).unwrap(), step: gpu.upload(&[step as i32]).unwrap() }
    }

    fn site(&self) -> DropoutSite {
        DropoutSite { table: self.bytes.address(), step: self.step.address(), sites: SITES, site: SITE }
    }
}

fn steps([population, rows, width]: [usize; 3]) -> PopulationRows {
    PopulationRows { population, rows, width }
}

#[test]
fn residuals_are_those_of_the_cpu() {
    let Some(gpu) = gpu() else { return };
    for &(shape @ [population, rows, width], gap) in CASES {
        let (values, base) =
            (normal(population, rows * width, "values"), normal(population, rows * width, "base"));
        for step in 0..STEPS {
            let table = Table::new(&gpu, 0..population, step);
            let [laid_values, laid_base] =
                [&values, &base].map(|members| Laid::new(&gpu, members, width, gap));
            let sum = Laid::empty(&gpu, population, rows, width, gap);
            let residual_into = |site, result: &Laid| {
                let (values, base) = (laid_values.rows(), laid_base.rows());
                steps(shape).residual(&gpu, site, values, base, result.rows()).unwrap();
                result.read(&gpu)
            };
            let found = residual_into(table.site(), &sum);
            let plain = residual_into(DropoutSite::NONE, &sum);
            let in_place = residual_into(table.site(), &laid_base);
            assert_eq!(bits(&in_place), bits(&found));
            for member in 0..population {
                let expected = |dropout| {
                    let mut result = vec![0.0; rows * width];
                    residual(dropout, 0, &values[member], &base[member], &mut result);
                    result
                };
                assert_close(&found[member], &expected(dropout_of(step, member)), 2e-7, "residual");
                assert_eq!(plain[member], expected(None));
            }
        }
    }
}

#[test]
fn dropout_replaces_and_adds() {
    let Some(gpu) = gpu() else { return };
    for &(shape @ [population, rows, width], gap) in CASES {
        let (values, before) = (normal(population, rows * width, "x"), normal(population, rows * width, "y"));
        let table = Table::new(&gpu, 0..population, 1);
        let [x, added] = [&values, &before].map(|members| Laid::new(&gpu, members, width, gap));
        let y = Laid::empty(&gpu, population, rows, width, gap);
        let steps = steps(shape);
        steps.dropout(&gpu, table.site(), x.rows(), y.rows(), false).unwrap();
        steps.dropout(&gpu, table.site(), x.rows(), added.rows(), true).unwrap();
        steps.dropout(&gpu, table.site(), x.rows(), x.rows(), false).unwrap();
        let found = y.read(&gpu);
        assert_eq!(bits(&x.read(&gpu)), bits(&found), "in place");
        for (member, added) in added.read(&gpu).iter().enumerate() {
            let mut expected = vec![0.0; rows * width];
            residual_gradient(dropout_of(1, member), 0, &values[member], &mut expected);
            assert_eq!(found[member], expected);
            let sum: Vec<f32> = expected.iter().zip(&before[member]).map(|(x, y)| x + y).collect();
            assert_close(added, &sum, 2e-7, "added");
        }
    }
}

/// Values far out, 0 and -0 are among them.
#[test]
fn gradients_of_activations_are_those_of_the_cpu() {
    let Some(gpu) = gpu() else { return };
    for &(shape @ [population, rows, width], gap) in CASES {
        let mut kept = normal(population, rows * width, "kept");
        for member in &mut kept {
            member.iter_mut().for_each(|value| *value *= 3.0);
            let special = [0.0, -0.0, 12.0, -12.0, 1e-30, 1e30, -1e30];
            member.iter_mut().zip(special).for_each(|(value, special)| *value = special);
        }
        let of_y = normal(population, rows * width, "of y");
        for activation in [Activation::Relu, Activation::Gelu] {
            let [laid_kept, laid_of_y] = [&kept, &of_y].map(|members| Laid::new(&gpu, members, width, gap));
            let of_z = Laid::empty(&gpu, population, rows, width, gap);
            let backward = |to: Rows| {
                let (kept, of_y) = (laid_kept.rows(), laid_of_y.rows());
                steps(shape).activation_backward(&gpu, activation, kept, of_y, to).unwrap();
            };
            backward(of_z.rows());
            backward(laid_of_y.rows());
            let found = of_z.read(&gpu);
            assert_eq!(bits(&laid_of_y.read(&gpu)), bits(&found), "in place");
            for member in 0..population {
                let mut expected = of_y[member].clone();
                activation.backward(&kept[member], &mut expected);
                assert_close(&found[member], &expected, 2e-6, "gradient");
            }
        }
    }
}

/// Population, series, times, width and the gap between rows.
const SERIES: &[([usize; 4], usize)] =
    &[([1, 1, 1, 1], 0), ([2, 3, 31, 5], 0), ([3, 4, 7, 32], 4), ([2, 17, 2, 33], 1), ([1, 33, 8, 40], 0)];

#[test]
fn positions_are_added_to_every_series() {
    let Some(gpu) = gpu() else { return };
    for &([population, series, times, width], gap) in SERIES {
        let rows = series * times;
        let steps = steps([population, rows, width]);
        let (values, own) =
            (normal(population, rows * width, "x"), normal(population, times * width, "positions"));
        let [x, positions] = [&values, &own].map(|members| Laid::new(&gpu, members, width, gap));
        let y = Laid::empty(&gpu, population, rows, width, gap);
        let shared = Rows { member: 0, ..positions.rows() };
        for (positions, is_shared) in [(positions.rows(), false), (shared, true)] {
            steps.positions(&gpu, times, x.rows(), positions, y.rows()).unwrap();
            for (member, found) in y.read(&gpu).iter().enumerate() {
                let own = &own[if is_shared { 0 } else { member }];
                let expected = values[member].iter().zip(own.iter().cycle()).map(|(x, own)| x + own);
                assert_eq!(*found, expected.collect::<Vec<f32>>());
            }
        }
        steps.positions(&gpu, times, x.rows(), shared, x.rows()).unwrap();
        assert_eq!(bits(&x.read(&gpu)), bits(&y.read(&gpu)), "in place");
    }
}

#[test]
fn gradients_of_positions_sum_over_series() {
    let Some(gpu) = gpu() else { return };
    for &([population, series, times, width], gap) in SERIES {
        let rows = series * times;
        let steps = steps([population, rows, width]);
        let (of_y, before) =
            (normal(population, rows * width, "of y"), normal(population, times * width, "before"));
        let [laid, of_positions] = [&of_y, &before].map(|members| Laid::new(&gpu, members, width, gap));
        steps.of_positions(&gpu, times, laid.rows(), of_positions.rows()).unwrap();
        for (member, found) in of_positions.read(&gpu).iter().enumerate() {
            let mut sums = vec![0.0; times * width];
            for one in of_y[member].chunks(times * width) {
                sums.iter_mut().zip(one).for_each(|(sum, value)| *sum += value);
            }
            let expected: Vec<f32> =
                sums.iter().zip(&before[member]).map(|(sum, before)| before + sum).collect();
            assert_eq!(*found, expected);
        }
    }
}

/// Members that lie at odd distances together, dense and alone.
#[test]
fn a_member_is_the_same_in_any_company() {
    let Some(gpu) = gpu() else { return };
    for ([rows, width], gap) in [([12, 32], 1), ([10, 33], 0), ([6, 6], 2)] {
        let times = 2;
        let (values, others) = (normal(3, rows * width, "x"), normal(3, rows * width, "y"));
        let own = normal(3, times * width, "positions");
        let pass = |members: std::ops::Range<usize>, gap: usize| {
            let lay = |of: &[Vec<f32>]| Laid::new(&gpu, &of[members.clone()], width, gap);
            let [x, y, sum, added, of_z] = [&values, &others, &values, &others, &others].map(|of| lay(of));
            let of_positions = lay(&own);
            let table = Table::new(&gpu, members.clone(), 1);
            let steps = steps([members.len(), rows, width]);
            steps.residual(&gpu, table.site(), x.rows(), y.rows(), sum.rows()).unwrap();
            steps.dropout(&gpu, table.site(), x.rows(), added.rows(), true).unwrap();
            steps.activation_backward(&gpu, Activation::Gelu, x.rows(), y.rows(), of_z.rows()).unwrap();
            steps.of_positions(&gpu, times, x.rows(), of_positions.rows()).unwrap();
            steps.positions(&gpu, times, x.rows(), of_positions.rows(), y.rows()).unwrap();
            [sum, added, of_z, of_positions, y].map(|laid| bits(&laid.read(&gpu)))
        };
        let together = pass(0..3, gap);
        for member in 0..3 {
            for (together, alone) in together.iter().zip(pass(member..member + 1, 0)) {
                assert_eq!(together[member], alone[0], "{rows} x {width}");
            }
        }
    }
}

/// Also where the element is dropped, or where the activation has no slope.
#[test]
fn a_nan_stays_where_it_is_and_is_not_lost() {
    let Some(gpu) = gpu() else { return };
    let (shape @ [population, rows, width], times) = ([3, 6, 8], 3);
    let steps = steps(shape);
    let mut values = normal(population, rows * width, "x");
    let nan_row = 4 * width..5 * width;
    values[2][nan_row.clone()].fill(f32::NAN);
    let others = vec![vec![1.0; rows * width]; population];
    let table = Table::new(&gpu, 0..population, 0);
    let [x, y] = [&values, &others].map(|members| Laid::new(&gpu, members, width, 0));
    let result = Laid::empty(&gpu, population, rows, width, 0);
    let check = |what: &str| {
        for (member, found) in result.read(&gpu).iter().enumerate() {
            for (place, value) in found.iter().enumerate() {
                assert_eq!(
                    value.is_nan(),
                    member == 2 && nan_row.contains(&place),
                    "{what}: {member} {place}"
                );
            }
        }
    };
    steps.residual(&gpu, table.site(), x.rows(), y.rows(), result.rows()).unwrap();
    check("values");
    steps.residual(&gpu, table.site(), y.rows(), x.rows(), result.rows()).unwrap();
    check("base");
    steps.dropout(&gpu, table.site(), x.rows(), result.rows(), false).unwrap();
    check("dropout");
    for activation in [Activation::Relu, Activation::Gelu] {
        steps.activation_backward(&gpu, activation, x.rows(), y.rows(), result.rows()).unwrap();
        check("kept");
        steps.activation_backward(&gpu, activation, y.rows(), x.rows(), result.rows()).unwrap();
        check("of y");
    }
    let zeros = Laid::new(&gpu, &vec![vec![0.0; times * width]; population], width, 0);
    steps.positions(&gpu, times, x.rows(), zeros.rows(), result.rows()).unwrap();
    check("positions");
    steps.of_positions(&gpu, times, x.rows(), zeros.rows()).unwrap();
    for (member, found) in zeros.read(&gpu).iter().enumerate() {
        let rows: Vec<bool> = found.chunks(width).map(|row| row.iter().all(|value| value.is_nan())).collect();
        assert_eq!(rows, [false, member == 2, false]);
    }
}

#[test]
fn nothing_is_done_for_nobody() {
    let Some(gpu) = gpu() else { return };
    let before = vec![vec![1.5; 4]];
    let laid = Laid::new(&gpu, &before, 2, 0);
    let rows = laid.rows();
    for shape in [[0, 2, 2], [1, 0, 2], [1, 2, 0]] {
        let steps = steps(shape);
        steps.dropout(&gpu, DropoutSite::NONE, rows, rows, false).unwrap();
        steps.activation_backward(&gpu, Activation::Relu, rows, rows, rows).unwrap();
        steps.positions(&gpu, 2, rows, rows, rows).unwrap();
        steps.of_positions(&gpu, 2, rows, rows).unwrap();
    }
    assert_eq!(laid.read(&gpu), before);
}
