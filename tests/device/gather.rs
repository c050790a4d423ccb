//! Batches of a population on a device: gathered windows, their normalisation and their patches.

use super::emulator::gpu;
use candle_core::{DType, Device, Tensor};
use candlewick::kernels::gpu::{Address, Gpu, Memory};
use candlewick::kernels::population_gather::{PopulationGather, SeriesPlaces, WindowShape, scale_rows};
use candlewick::nn::Normalisation;
use candlewick::seed::Seed;

fn values(count: usize, name: &str, member: usize) -> Vec<f32> {
    let mut stream = Seed(6).stream(name, member as u64);
    (0..count).map(|_| stream.normal() as f32).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|value| value.to_bits()).collect()
}

/// A member's data, and where its batch of step 1 begins.
struct Member {
    series: Vec<f32>,
    starts: Vec<u64>,
    targets: Vec<f32>,
    order: Vec<u32>,
    offset: usize,
    count: usize,
}

impl Member {
    /// Members differ in everything but the sizes of a batch.
    fn new(member: usize, rows: usize, size: usize, horizons: usize) -> Member {
        let windows = 20 + 3 * member;
        let mut stream = Seed(7).stream("order", member as u64);
        let mut below = |count: usize| (stream.uniform() * count as f64) as u64;
        let series = values(size + 100 + member, "series", member);
        let starts = (0..windows).map(|_| below(series.len() - size + 1)).collect();
        let offset = 5 + 2 * member;
        let order = (0..offset + rows).map(|_| below(windows) as u32).collect();
        let targets = values(windows * horizons, "targets", member);
        // The second member's batch is whole; the third one has none.
        let count = [rows.div_ceil(2), rows, 0][member];
        Member { series, starts, targets, order, offset, count }
    }

    /// x, y of its batch.
    fn expected(&self, rows: usize, size: usize, horizons: usize) -> [Vec<f32>; 2] {
        let (mut x, mut y) = (vec![0.0; rows * size], vec![0.0; rows * horizons]);
        for row in 0..self.count {
            let window = self.order[self.offset + row] as usize;
            let start = self.starts[window] as usize;
            x[row * size..][..size].copy_from_slice(&self.series[start..start + size]);
            let target = &self.targets[window * horizons..][..horizons];
            y[row * horizons..][..horizons].copy_from_slice(target);
        }
        [x, y]
    }
}

/// x, y and active after step 1 of 2.
fn gathered(gpu: &Gpu, members: &[Member], [rows, size, horizons]: [usize; 3]) -> ([Vec<f32>; 2], Vec<i32>) {
    let population = members.len();
    let series: Vec<Memory<f32>> = members.iter().map(|member| gpu.upload(&member.series).unwrap()).collect();
    let starts: Vec<Memory<u64>> = members.iter().map(|member| gpu.upload(&member.starts).unwrap()).collect();
    let targets: Vec<Memory<f32>> =
        members.iter().map(|member| gpu.upload(&member.targets).unwrap()).collect();
    let order: Vec<Memory<u32>> = members.iter().map(|member| gpu.upload(&member.order).unwrap()).collect();
    let places = (0..population).flat_map(|member| {
        let places = SeriesPlaces {
            series: series[member].address(),
            starts: starts[member].address(),
            targets: targets[member].address(),
            order: order[member].address(),
        };
        places.numbers()
    });
    let places = gpu.upload(&places.collect::<Vec<u64>>()).unwrap();
    let of_step_1 = members.iter().map(|member| member.offset as u32);
    let offsets: Vec<u32> = std::iter::repeat_n(u32::MAX, population).chain(of_step_1).collect();
    let of_step_1 = members.iter().map(|member| member.count as i32);
    let counts: Vec<i32> = std::iter::repeat_n(i32::MAX, population).chain(of_step_1).collect();
    let (offsets, counts) = (gpu.upload(&offsets).unwrap(), gpu.upload(&counts).unwrap());
    let step = gpu.upload(&[1_i32]).unwrap();
    let x = gpu.upload(&vec![f32::NAN; population * rows * size]).unwrap();
    let y = gpu.upload(&vec![f32::NAN; population * rows * horizons]).unwrap();
    let active = gpu.upload(&vec![-1_i32; population]).unwrap();
    PopulationGather {
        population,
        rows,
        size,
        horizons,
        places: places.address(),
        offsets: offsets.address(),
        counts: counts.address(),
        step: step.address(),
        x: x.address(),
        y: y.address(),
        active: active.address(),
    }
    .launch(gpu)
    .unwrap();
    let read = |memory: &Memory<f32>| gpu.read(memory, 0, memory.len()).unwrap();
    ([read(&x), read(&y)], gpu.read(&active, 0, population).unwrap())
}

#[test]
fn batches_are_the_windows_of_their_members() {
    let Some(gpu) = gpu() else { return };
    for sizes in [[1, 1, 1], [2, 31, 3], [7, 33, 1], [5, 512, 2], [3, 1300, 40]] {
        let [rows, size, horizons] = sizes;
        let members: Vec<Member> = (0..3).map(|member| Member::new(member, rows, size, horizons)).collect();
        let ([x, y], active) = gathered(&gpu, &members, sizes);
        assert_eq!(active, members.iter().map(|member| member.count as i32).collect::<Vec<_>>());
        for (index, member) in members.iter().enumerate() {
            let expected = member.expected(rows, size, horizons);
            assert_eq!(bits(&x[index * rows * size..][..rows * size]), bits(&expected[0]));
            assert_eq!(bits(&y[index * rows * horizons..][..rows * horizons]), bits(&expected[1]));
            let alone = gathered(&gpu, std::slice::from_ref(member), sizes).0;
            assert_eq!(alone.map(|values| bits(&values)), expected.map(|values| bits(&values)));
        }
    }
}

/// Levels far from 0 whose windows are narrow, one of them constant and one with NaN.
fn levels(shape: WindowShape) -> Vec<f32> {
    let WindowShape { windows, length, features } = shape;
    let mut x = values(windows * length * features, "levels", 0);
    for (index, value) in x.iter_mut().enumerate() {
        *value = 2.0 + 0.5 * *value + (index % features) as f32;
    }
    let size = length * features;
    if windows > 2 {
        x[size..2 * size].fill(0.0);
        x[2 * size + length / 2 * features] = f32::NAN;
    }
    x
}

const SHAPES: [[usize; 3]; 8] =
    [[1, 1, 1], [4, 31, 1], [5, 96, 1], [3, 33, 3], [6, 40, 8], [3, 2000, 1], [4, 3, 50], [3, 5, 300]];

fn shapes() -> impl Iterator<Item = WindowShape> {
    SHAPES.into_iter().map(|[windows, length, features]| WindowShape { windows, length, features })
}

/// Equal within `tolerance`, NaN where NaN is expected.
fn assert_near(found: &[f32], expected: &[f32], tolerance: f32, what: &str) {
    assert_eq!(found.len(), expected.len());
    for (found, expected) in found.iter().zip(expected) {
        let near = (found - expected).abs() <= tolerance * (1.0 + expected.abs());
        assert!(near || found.is_nan() && expected.is_nan(), "{what}: {found} is not {expected}");
    }
}

#[test]
fn windows_are_normalised_as_on_the_cpu() {
    let Some(gpu) = gpu() else { return };
    for shape in shapes() {
        let WindowShape { windows, length, features } = shape;
        let values = levels(shape);
        let tensor = Tensor::from_slice(&values, (windows, length, features), &Device::Cpu).unwrap();
        // In f64, as on the device: windows are narrow beside their level.
        let tensor = tensor.to_dtype(DType::F64).unwrap();
        let flat = |tensor: &Tensor| -> Vec<f32> {
            tensor.flatten_all().unwrap().to_dtype(DType::F32).unwrap().to_vec1().unwrap()
        };
        let what = format!("{shape:?}");

        let x = gpu.upload(&values).unwrap();
        shape.subtract_last_values(&gpu, x.address()).unwrap();
        let found = gpu.read(&x, 0, x.len()).unwrap();
        let expected = flat(&Normalisation::LastValue.apply(&tensor).unwrap().x);
        assert_near(&found, &expected, 0.0, &what);

        let x = gpu.upload(&values).unwrap();
        let deviation = gpu.upload(&vec![7.0_f32; windows]).unwrap();
        let wanted = if features == 1 { deviation.address() } else { Address::NONE };
        shape.normalise_instances(&gpu, x.address(), wanted).unwrap();
        let found = gpu.read(&x, 0, x.len()).unwrap();
        let expected = Normalisation::Instance.apply(&tensor).unwrap();
        assert_near(&found, &flat(&expected.x), 1e-6, &what);
        let found = gpu.read(&deviation, 0, windows).unwrap();
        let deviations = expected.deviation.map_or(vec![7.0; windows], |deviation| flat(&deviation));
        assert_near(&found, &deviations, 1e-6, &what);
    }
}

/// NaN stays in the window of its feature, and a window's bits do not depend on its company.
#[test]
fn a_window_is_normalised_alone() {
    let Some(gpu) = gpu() else { return };
    for shape in shapes().filter(|shape| shape.windows > 2) {
        let WindowShape { windows, length, features } = shape;
        let normalised = |shape: WindowShape, values: &[f32]| {
            let x = gpu.upload(values).unwrap();
            shape.normalise_instances(&gpu, x.address(), Address::NONE).unwrap();
            gpu.read(&x, 0, x.len()).unwrap()
        };
        let (values, size) = (levels(shape), length * features);
        let all = normalised(shape, &values);
        for window in 0..windows {
            let alone = normalised(WindowShape { windows: 1, ..shape }, &values[window * size..][..size]);
            assert_eq!(bits(&alone), bits(&all[window * size..][..size]));
            for (place, value) in alone.iter().enumerate() {
                assert_eq!(value.is_nan(), window == 2 && place % features == 0);
            }
        }
    }
}

#[test]
fn rows_are_scaled() {
    let Some(gpu) = gpu() else { return };
    for (rows, columns) in [(1, 1), (33, 1), (31, 7), (300, 3)] {
        let (all, mut factors) = (values(rows * columns, "outputs", 0), values(rows, "factors", 0));
        factors[rows / 2] = f32::NAN;
        let on_device = gpu.upload(&all).unwrap();
        let device_factors = gpu.upload(&factors).unwrap();
        scale_rows(&gpu, on_device.address(), device_factors.address(), rows, columns).unwrap();
        let found = gpu.read(&on_device, 0, rows * columns).unwrap();
        let expected: Vec<f32> =
            all.iter().enumerate().map(|(index, value)| value * factors[index / columns]).collect();
        assert_near(&found, &expected, 0.0, "scaled rows");
    }
}

/// As the patch transformer cuts them: overlapping, with the last bar again behind the end.
#[test]
fn patches_are_cut_as_on_the_cpu() {
    let Some(gpu) = gpu() else { return };
    let cases = shapes().chain([WindowShape { windows: 2, length: 7000, features: 3 }]);
    for shape in cases.chain([WindowShape { windows: 1, length: 13_000, features: 2 }]) {
        let WindowShape { windows, length, features } = shape;
        let patch = length.min(8);
        let stride = patch.div_ceil(2);
        let patches = (length - patch) / stride + 2;
        let bars: Vec<u32> = (0..patches)
            .flat_map(|index| (0..patch).map(move |bar| (index * stride + bar).min(length - 1) as u32))
            .collect();
        let values = levels(shape);
        let (x, device_bars) = (gpu.upload(&values).unwrap(), gpu.upload(&bars).unwrap());
        let result = gpu.upload(&vec![7.0_f32; windows * features * bars.len()]).unwrap();
        shape.cut_patches(&gpu, x.address(), device_bars.address(), bars.len(), result.address()).unwrap();
        let found = gpu.read(&result, 0, result.len()).unwrap();
        let tensor = Tensor::from_slice(&values, (windows, length, features), &Device::Cpu).unwrap();
        let bars = Tensor::new(bars, &Device::Cpu).unwrap();
        let channels = tensor.transpose(1, 2).unwrap().contiguous().unwrap().index_select(&bars, 2).unwrap();
        let expected = channels.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_near(&found, &expected, 0.0, &format!("{shape:?}"));
    }
}
