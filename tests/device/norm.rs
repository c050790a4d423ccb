//! Layer normalisation of a population on a device against its twin on the CPU.

use super::emulator::gpu;
use candlewick::kernels::gpu::{Gpu, Memory};
use candlewick::kernels::norm_rows::{NormBackward, NormForward, norm_backward, norm_forward};
use candlewick::kernels::population::Rows;
use candlewick::kernels::population_norm::{NormGradients, PopulationNorm};
use candlewick::seed::Seed;

fn values(count: usize, name: &str, member: usize) -> Vec<f32> {
    let mut stream = Seed(10).stream(name, member as u64);
    (0..count).map(|_| stream.normal() as f32).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// A member's rows `[R, D]`, and rows `[D]`.
#[derive(Clone)]
struct Member {
    x: Vec<f32>,
    of_y: Vec<f32>,
    of_x: Vec<f32>,
    scale: Vec<f32>,
    shift: Vec<f32>,
    of_scale: Vec<f32>,
    of_shift: Vec<f32>,
}

/// What a norm computes of a member.
struct Normed {
    y: Vec<f32>,
    of_x: Vec<f32>,
    of_scale: Vec<f32>,
    of_shift: Vec<f32>,
}

impl Normed {
    fn parts(&self) -> [&[f32]; 4] {
        [&self.y, &self.of_x, &self.of_scale, &self.of_shift]
    }
}

impl Member {
    fn new(member: usize, rows: usize, width: usize) -> Member {
        let of_rows = |name| values(rows * width, name, member);
        let of_columns = |name| values(width, name, member);
        let mut x = of_rows("x");
        for (index, value) in x.iter_mut().enumerate() {
            // Rows of different level and size, every fifth one constant; levels whose means are exact.
            let row = index / width;
            *value = (row % 4) as f32 * 0.25 + *value * [1.0, 0.1, 5.0, 2.0, 0.0][row % 5];
        }
        Member {
            x,
            of_y: of_rows("of y"),
            of_x: of_rows("of x"),
            scale: of_columns("scale"),
            shift: of_columns("shift"),
            of_scale: of_columns("of scale"),
            of_shift: of_columns("of shift"),
        }
    }

    fn on_cpu(&self, adds: bool) -> Normed {
        let Member { x, of_y, scale, shift, .. } = self;
        let (mut y, mut of_x) = (vec![0.0; x.len()], vec![0.0; x.len()]);
        let (mut of_scale, mut of_shift) = (self.of_scale.clone(), self.of_shift.clone());
        norm_forward(NormForward { x, scale, shift, y: &mut y });
        norm_backward(NormBackward {
            x,
            scale,
            of_y,
            of_x: &mut of_x,
            of_scale: &mut of_scale,
            of_shift: &mut of_shift,
        });
        if adds {
            of_x.iter_mut().zip(&self.of_x).for_each(|(sum, before)| *sum += before);
        }
        Normed { y, of_x, of_scale, of_shift }
    }
}

/// Rows of all members, `gap` numbers apart and as many again between members.
struct Spread {
    memory: Memory<f32>,
    width: usize,
    gap: usize,
}

impl Spread {
    fn new(gpu: &Gpu, members: &[Member], of: fn(&Member) -> &Vec<f32>, width: usize, gap: usize) -> Spread {
        let between = vec![7.0; gap];
        let mut all = Vec::new();
        for member in members {
            of(member).chunks(width).for_each(|row| all.extend([row, &between].concat()));
            all.extend(&between);
        }
        Spread { memory: gpu.upload(&all).unwrap(), width, gap }
    }

    fn rows(&self, population: usize) -> Rows {
        let member = self.memory.len() / population;
        Rows { address: self.memory.address(), member, row: self.width + self.gap }
    }

    /// Of one member, without the gaps, which must be as they were.
    fn read(&self, gpu: &Gpu, population: usize, member: usize) -> Vec<f32> {
        let size = self.memory.len() / population;
        let all = gpu.read(&self.memory, member * size, size).unwrap();
        let (rows, rest) = all.split_at(size - self.gap);
        assert!(rest.iter().all(|value| *value == 7.0));
        let rows = rows.chunks(self.width + self.gap).map(|row| row.split_at(self.width));
        rows.flat_map(|(row, gap)| {
            assert!(gap.iter().all(|value| *value == 7.0));
            row.to_vec()
        })
        .collect()
    }
}

fn on_device(gpu: &Gpu, members: &[Member], width: usize, adds: bool, gap: usize) -> Vec<Normed> {
    let (population, rows) = (members.len(), members[0].x.len() / width);
    let spread = |of: fn(&Member) -> &Vec<f32>| Spread::new(gpu, members, of, width, gap);
    let (x, of_y, of_x, y) =
        (spread(|m| &m.x), spread(|m| &m.of_y), spread(|m| &m.of_x), spread(|m| &m.of_x));
    let (scale, shift) = (spread(|m| &m.scale), spread(|m| &m.shift));
    let (of_scale, of_shift) = (spread(|m| &m.of_scale), spread(|m| &m.of_shift));
    let scratch = PopulationNorm::scratch(population, rows, width);
    let scratch = gpu.upload(&vec![f32::NAN; scratch]).unwrap();
    let norm = PopulationNorm {
        population,
        rows,
        width,
        scale: scale.rows(population),
        shift: shift.rows(population),
    };
    norm.forward(gpu, x.rows(population), y.rows(population)).unwrap();
    let places = NormGradients {
        x: x.rows(population),
        of_y: of_y.rows(population),
        of_x: of_x.rows(population),
        adds,
        of_scale: of_scale.rows(population),
        of_shift: of_shift.rows(population),
        scratch: scratch.address(),
    };
    norm.backward(gpu, &places).unwrap();
    let of_member = |member| {
        let [y, of_x, of_scale, of_shift] =
            [&y, &of_x, &of_scale, &of_shift].map(|spread| spread.read(gpu, population, member));
        Normed { y, of_x, of_scale, of_shift }
    };
    (0..population).map(of_member).collect()
}

/// Equal within `tolerance` of the largest number of its row, NaN where NaN is expected.
fn assert_near(found: &[f32], expected: &[f32], width: usize, tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.chunks(width).zip(expected.chunks(width)) {
        let largest = expected.iter().fold(0.0_f32, |largest, value| largest.max(value.abs()));
        for (found, expected) in found.iter().zip(expected) {
            let near = (found - expected).abs() <= tolerance * (1.0 + largest);
            assert!(near || found.is_nan() && expected.is_nan(), "{what}: {found} is not {expected}");
        }
    }
}

/// `(rows, width)`: around a warp, a block and a run of rows; rows that fill the shared memory of 4, 2 and 1 warps.
const CASES: [[usize; 2]; 11] = [
    [1, 1],
    [9, 2],
    [31, 31],
    [32, 32],
    [33, 33],
    [100, 64],
    [70, 130],
    [5, 2000],
    [3, 4000],
    [2, 8000],
    [2100, 3],
];

#[test]
fn rows_are_normalised_as_on_the_cpu() {
    let Some(gpu) = gpu() else { return };
    for (case, [rows, width]) in CASES.into_iter().enumerate() {
        let members: Vec<Member> = (0..3).map(|member| Member::new(member, rows, width)).collect();
        let (adds, gap) = (case % 2 == 1, [0, 3, 4][case % 3]);
        let found = on_device(&gpu, &members, width, adds, gap);
        for (member, found) in members.iter().zip(&found) {
            let what = format!("{rows} rows of {width}");
            let expected = member.on_cpu(adds);
            for (found, expected) in found.parts().into_iter().zip(expected.parts()) {
                assert_near(found, expected, width, 2e-5, &what);
            }
            let alone = on_device(&gpu, std::slice::from_ref(member), width, adds, gap).remove(0);
            for (found, alone) in found.parts().into_iter().zip(alone.parts()) {
                assert_eq!(bits(found), bits(alone), "{what}");
            }
        }
    }
}

/// NaN ends its row, and its member's gradients of scale and shift; no other number changes a bit.
#[test]
fn nan_stays_in_its_row_and_member() {
    let Some(gpu) = gpu() else { return };
    let (rows, width) = (40, 33);
    let mut members: Vec<Member> = (0..3).map(|member| Member::new(member, rows, width)).collect();
    let sound = on_device(&gpu, &members, width, false, 1);
    members[1].x[5 * width + 7] = f32::NAN;
    let found = on_device(&gpu, &members, width, false, 1);
    for (member, (found, sound)) in found.iter().zip(&sound).enumerate() {
        for (part, (found, sound)) in found.parts().into_iter().zip(sound.parts()).enumerate() {
            for (index, (found, sound)) in found.iter().zip(sound).enumerate() {
                let ends = match part {
                    0 | 1 => index / width == 5,
                    // The gradient of the shift does not depend on x.
                    part => part == 2,
                };
                match member == 1 && ends {
                    true => assert!(found.is_nan()),
                    false => assert_eq!(found.to_bits(), sound.to_bits()),
                }
            }
        }
    }
}

/// The gradient of x may take the place of the gradient of the result, and the result that of x.
#[test]
fn results_may_take_the_place_of_what_they_are_of() {
    let Some(gpu) = gpu() else { return };
    let (rows, width) = (35, 70);
    let member = [Member::new(0, rows, width)];
    let expected = on_device(&gpu, &member, width, false, 0).remove(0);
    let spread = |of: fn(&Member) -> &Vec<f32>| Spread::new(&gpu, &member, of, width, 0);
    let (x, of_y, of_scale, of_shift) =
        (spread(|m| &m.x), spread(|m| &m.of_y), spread(|m| &m.of_scale), spread(|m| &m.of_shift));
    let (scale, shift) = (spread(|m| &m.scale), spread(|m| &m.shift));
    let scratch = gpu.zeros::<f32>(PopulationNorm::scratch(1, rows, width)).unwrap();
    let norm = PopulationNorm { population: 1, rows, width, scale: scale.rows(1), shift: shift.rows(1) };
    let places = NormGradients {
        x: x.rows(1),
        of_y: of_y.rows(1),
        of_x: of_y.rows(1),
        adds: false,
        of_scale: of_scale.rows(1),
        of_shift: of_shift.rows(1),
        scratch: scratch.address(),
    };
    norm.backward(&gpu, &places).unwrap();
    norm.forward(&gpu, x.rows(1), x.rows(1)).unwrap();
    assert_eq!(bits(&of_y.read(&gpu, 1, 0)), bits(&expected.of_x));
    assert_eq!(bits(&x.read(&gpu, 1, 0)), bits(&expected.y));
}
