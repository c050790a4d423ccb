//! The LSTM layer: every path against its specification, finite differences and PyTorch; bits that depend on no
//! neighbour and no thread.

use crate::gradients::{assert_close, assert_differences, random, values};
use candle_core::{Device, Tensor, Var};
use candlewick::kernels::arena::Arena;
use candlewick::kernels::dropout::Dropout;
use candlewick::kernels::instructions::Instructions;
use candlewick::kernels::lstm_sequence::{
    LANES, LstmSettings, Outputs, composed, lane_blocks, lstm_sequence,
};
use candlewick::kernels::precision::Precision;

const PATHS: [Instructions; 3] = [Instructions::Portable, Instructions::Avx2, Instructions::Avx512];

fn settings(batch: usize) -> LstmSettings {
    LstmSettings {
        batch,
        outputs: Outputs::Last,
        dropout: None,
        precision: Precision::F32,
        arena: Arena::default(),
        instructions: Instructions::widest(),
    }
}

/// x `[B, T, I]` and the weight `[1 + I + H, 4H]`, drawn as a network draws them.
fn variables(steps: usize, batch: usize, inputs: usize, hidden: usize) -> (Var, Var) {
    let x = random("x", &[batch, steps, inputs], 1.0);
    let weight = random("w", &[1 + inputs + hidden, 4 * hidden], 0.6 / (hidden as f64).sqrt());
    (x, weight)
}

type Layer = fn(&Tensor, &Tensor, &LstmSettings) -> candle_core::Result<Tensor>;

/// Output, gradient of x and gradient of the weight; the outputs are weighted so that no gradient is uniform, and outputs
/// in lanes without a window count nothing.
fn run(layer: Layer, x: &Var, weight: &Var, settings: &LstmSettings) -> [Vec<f32>; 3] {
    let output = layer(&lane_blocks(x.as_tensor()).unwrap(), weight.as_tensor(), settings).unwrap();
    let mut shares = values(&random("weight of the result", output.dims(), 1.0));
    let mut found = values(&output);
    if settings.outputs == Outputs::Every {
        let block = output.elem_count() / output.dims()[0];
        for (k, (share, value)) in shares.iter_mut().zip(&mut found).enumerate() {
            if k / block * LANES + k % LANES >= settings.batch {
                (*share, *value) = (0.0, 0.0);
            }
        }
    }
    let shares = Tensor::from_vec(shares, output.shape(), &Device::Cpu).unwrap();
    let gradients = (output * shares).unwrap().sum_all().unwrap().backward().unwrap();
    [found, values(gradients.get(x).unwrap()), values(gradients.get(weight).unwrap())]
}

fn assert_equal_layers(name: &str, found: [Vec<f32>; 3], expected: &[Vec<f32>; 3], tolerance: f32) {
    for ((part, found), expected) in ["output", "of x", "of weight"].iter().zip(&found).zip(expected) {
        assert_close(&format!("{name}: {part}"), found, expected, tolerance);
    }
}

/// T, B, I, H: sizes around a vector's width, a panel's height and a chunk's length.
const SIZES: [[usize; 4]; 10] = [
    [1, 1, 1, 1],
    [5, 3, 2, 4],
    [8, 16, 3, 3],
    [9, 31, 12, 12],
    [7, 33, 13, 32],
    [17, 32, 31, 13],
    [3, 100, 1, 31],
    [24, 32, 6, 50],
    [4, 2, 100, 33],
    [10, 33, 33, 100],
];

fn for_all_sizes(precision: Precision, tolerance: f32) {
    for [steps, batch, inputs, hidden] in SIZES {
        let (x, weight) = variables(steps, batch, inputs, hidden);
        for outputs in [Outputs::Every, Outputs::Last] {
            for dropout in [None, Some(Dropout::new(11, 0.3))] {
                let settings = LstmSettings { outputs, dropout, ..settings(batch) };
                let expected = run(composed, &x, &weight, &settings);
                for instructions in PATHS {
                    let settings = LstmSettings { precision, instructions, ..settings.clone() };
                    let name = format!(
                        "{steps} {batch} {inputs} {hidden} {outputs:?} {} {instructions:?} {precision:?}",
                        dropout.is_some()
                    );
                    assert_equal_layers(
                        &name,
                        run(lstm_sequence, &x, &weight, &settings),
                        &expected,
                        tolerance,
                    );
                }
            }
        }
    }
}

#[test]
fn every_path_equals_the_specification() {
    // Sums of at most 24 steps in f32, each gate within 3e-7, relative to the largest value of a tensor.
    for_all_sizes(Precision::F32, 1e-5);
}

#[test]
fn bf16_differs_by_the_rounding_of_its_factors() {
    // A factor is off by at most 2^-9 of itself, a product by 2^-8 = 0.4 %; those of a sum do not all err to one side, but
    // states carry their errors on, so the bound is 2^-6.
    for_all_sizes(Precision::Bf16, 0.016);
}

#[test]
fn all_paths_of_bf16_mean_the_same() {
    // The same rounded factors everywhere: what is left is the order of sums, and states that it pushes over the edge
    // between two bf16 numbers.
    let (x, weight) = variables(6, 20, 7, 24);
    let settings = LstmSettings { precision: Precision::Bf16, ..settings(20) };
    let [portable, avx2, avx512] = PATHS.map(|instructions| {
        run(lstm_sequence, &x, &weight, &LstmSettings { instructions, ..settings.clone() })
    });
    assert_equal_layers("AVX2", avx2, &portable, 2e-3);
    assert_equal_layers("AVX-512", avx512, &portable, 2e-3);
    let exact = run(composed, &x, &weight, &settings);
    let error = portable[0].iter().zip(&exact[0]).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
    assert!(error > 1e-5, "bf16 without a trace of rounding is f32: {error}");
}

#[test]
fn the_gradient_equals_finite_differences() {
    let (x, weight) = variables(6, 3, 2, 4);
    let dropout = Some(Dropout::new(3, 0.25));
    for settings in [settings(3), LstmSettings { dropout, ..settings(3) }] {
        let scalar =
            || lstm_sequence(&lane_blocks(x.as_tensor())?, weight.as_tensor(), &settings)?.sqr()?.sum_all();
        assert_differences("LSTM weight", &weight, scalar);
        assert_differences("LSTM input", &x, scalar);
    }
}

/// Two layers and all gradients from `tests/reference/torch_lstm.py` (torch 2.15.0, f64).
#[test]
fn values_and_gradients_equal_those_of_torch() {
    let reference: serde_json::Value =
        serde_json::from_str(include_str!("reference/torch_lstm.json")).unwrap();
    let numbers = |value: &serde_json::Value| -> Vec<f32> {
        value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32).collect()
    };
    let sizes: Vec<usize> = numbers(&reference["sizes"]).iter().map(|size| *size as usize).collect();
    let [batch, steps, inputs, middle, hidden] = sizes[..] else { panic!("{sizes:?}") };
    let var = |values: &serde_json::Value, shape: &[usize]| {
        Var::from_tensor(&Tensor::from_vec(numbers(values), shape, &Device::Cpu).unwrap()).unwrap()
    };
    let x = var(&reference["x"], &[batch, steps, inputs]);
    let weights = [
        var(&reference["weights"][0], &[1 + inputs + middle, 4 * middle]),
        var(&reference["weights"][1], &[1 + middle + hidden, 4 * hidden]),
    ];
    let shares = var(&reference["shares"], &[batch, hidden]);
    for layer in [lstm_sequence, composed] {
        for instructions in PATHS {
            let last = LstmSettings { instructions, ..settings(batch) };
            let every = LstmSettings { outputs: Outputs::Every, ..last.clone() };
            let sequence = lane_blocks(x.as_tensor()).unwrap();
            let sequence = layer(&sequence, weights[0].as_tensor(), &every).unwrap();
            let output = layer(&sequence, weights[1].as_tensor(), &last).unwrap();
            let gradients = (&output * shares.as_tensor()).unwrap().sum_all().unwrap().backward().unwrap();
            let found = |var: &Var| values(gradients.get(var).unwrap());
            // f32 against f64 over seven steps and two layers, relative to the largest value.
            assert_close("output", &values(&output), &numbers(&reference["output"]), 3e-6);
            assert_close("of x", &found(&x), &numbers(&reference["of_x"]), 3e-6);
            for (weight, expected) in weights.iter().zip(reference["of_weights"].as_array().unwrap()) {
                assert_close("of weight", &found(weight), &numbers(expected), 3e-6);
            }
        }
    }
}

/// Sigmoid and tanh over the whole range, seen through a layer of one unit whose other gates are open.
#[test]
fn gates_are_accurate_over_the_whole_range() {
    let inputs: Vec<f32> = (-40_000..=40_000).map(|k| k as f32 * 3e-3).collect();
    let count = inputs.len();
    let x = Tensor::from_vec(inputs.clone(), (count, 1, 1), &Device::Cpu).unwrap();
    // i, g and o of bias 100 are open: h = tanh(1). The gate that x drives has no bias.
    for (driven, tolerance) in [(0, 6e-7), (2, 6e-7), (3, 6e-7)] {
        let mut weight = [0.0_f32; 12];
        weight[..4].copy_from_slice(&[100.0, 100.0, 100.0, 100.0]);
        (weight[driven], weight[4 + driven]) = (0.0, 1.0);
        let weight = Tensor::from_slice(&weight, (3, 4), &Device::Cpu).unwrap();
        for instructions in PATHS {
            let settings = LstmSettings { instructions, ..settings(count) };
            let found = lstm_sequence(&lane_blocks(&x).unwrap(), &weight, &settings).unwrap();
            for (x, found) in inputs.iter().zip(values(&found)) {
                let sigmoid = 1.0 / (1.0 + (-f64::from(*x)).exp());
                let exact = match driven {
                    0 => sigmoid.tanh(),
                    2 => f64::from(*x).tanh().tanh(),
                    _ => sigmoid * 1_f64.tanh(),
                };
                let error = (f64::from(found) - exact).abs();
                assert!(
                    error <= tolerance,
                    "{instructions:?}, gate {driven}, {x}: {found} instead of {exact}"
                );
            }
        }
    }
}

#[test]
fn a_number_that_is_none_stays_none() {
    for instructions in PATHS {
        for precision in [Precision::F32, Precision::Bf16] {
            let (x, weight) = variables(3, 2, 2, 5);
            let mut poisoned = values(&x);
            poisoned[1] = f32::NAN;
            let x = Tensor::from_vec(poisoned, x.shape(), &Device::Cpu).unwrap();
            let settings = LstmSettings { instructions, precision, ..settings(2) };
            let found = values(&lstm_sequence(&lane_blocks(&x).unwrap(), &weight, &settings).unwrap());
            assert!(
                found[..5].iter().all(|value| value.is_nan()),
                "{instructions:?} {precision:?} {found:?}"
            );
            assert!(
                found[5..].iter().all(|value| value.is_finite()),
                "{instructions:?} {precision:?} {found:?}"
            );
        }
    }
}

#[test]
fn a_window_keeps_its_bits_in_any_company() {
    let (x, weight) = variables(7, 70, 5, 13);
    let part = |first: usize, count: usize, instructions, precision| {
        let x = x.as_detached_tensor().narrow(0, first, count).unwrap().contiguous().unwrap();
        let settings = LstmSettings { instructions, precision, ..settings(count) };
        values(&lstm_sequence(&lane_blocks(&x).unwrap(), &weight.as_detached_tensor(), &settings).unwrap())
    };
    for instructions in PATHS {
        for precision in [Precision::F32, Precision::Bf16] {
            let whole = part(0, 70, instructions, precision);
            for (first, count) in [(0, 1), (3, 31), (31, 33), (69, 1)] {
                assert_eq!(
                    part(first, count, instructions, precision),
                    whole[first * 13..(first + count) * 13],
                    "{instructions:?} {precision:?}"
                );
            }
        }
    }
}

#[test]
fn threads_and_used_buffers_change_no_bit() {
    let (x, weight) = variables(9, 40, 6, 17);
    let (other_x, other_weight) = variables(4, 70, 9, 30);
    for precision in [Precision::F32, Precision::Bf16] {
        let alone = run(lstm_sequence, &x, &weight, &LstmSettings { precision, ..settings(40) });
        let arena = Arena::default();
        std::thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..3 {
                        let other = LstmSettings { precision, arena: arena.clone(), ..settings(70) };
                        run(lstm_sequence, &other_x, &other_weight, &other);
                        let settings = LstmSettings { precision, arena: arena.clone(), ..settings(40) };
                        assert!(alone == run(lstm_sequence, &x, &weight, &settings));
                    }
                });
            }
        });
    }
}

#[test]
fn an_evaluation_gives_the_bits_of_training() {
    for instructions in PATHS {
        let (x, weight) = variables(11, 37, 6, 29);
        let settings = LstmSettings { instructions, ..settings(37) };
        let x = lane_blocks(&x.as_detached_tensor()).unwrap();
        let trained = lstm_sequence(&x, weight.as_tensor(), &settings).unwrap();
        let evaluated = lstm_sequence(&x, &weight.as_detached_tensor(), &settings).unwrap();
        assert_eq!(values(&trained), values(&evaluated));
    }
}

#[test]
fn shapes_that_do_not_fit_are_refused() {
    let x = lane_blocks(random("x", &[3, 2, 4], 1.0).as_tensor()).unwrap();
    let weight = random("w", &[8, 16], 1.0);
    let error = lstm_sequence(&x, weight.as_tensor(), &settings(3)).unwrap_err();
    assert!(error.to_string().contains("8x16"), "{error}");
    let weight = random("w", &[1 + 4 + 4, 16], 1.0);
    let error = lstm_sequence(&x, weight.as_tensor(), &settings(33)).unwrap_err();
    assert!(error.to_string().contains("33 windows"), "{error}");
}
