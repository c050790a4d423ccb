//! Kernels and losses: values and gradients against plain tensor operations and finite differences.

use candle_core::{Device, Result, Tensor, Var};
use candlewick::kernels::{adamw, affine, attention, gates, layer_norm, lstm_sequence};
use candlewick::nn::LossConfig;
use candlewick::seed::Seed;

fn random(purpose: &str, shape: &[usize], scale: f64) -> Var {
    let mut stream = Seed(7).stream(purpose, 0);
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|_| (stream.normal() * scale) as f32).collect();
    Var::from_tensor(&Tensor::from_vec(values, shape, &Device::Cpu).unwrap()).unwrap()
}

fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

fn assert_close(name: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let size = expected.iter().fold(1e-3_f32, |size, value| size.max(value.abs()));
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (found - expected).abs();
        assert!(error <= tolerance * size, "{name}[{index}]: {found} instead of {expected}");
    }
}

/// Values and all gradients of two functions of the same variables, the result weighted so that no gradient is uniform.
fn assert_same(
    name: &str,
    variables: &[&Var],
    found: impl Fn() -> Result<Tensor>,
    expected: impl Fn() -> Result<Tensor>,
    tolerance: f32,
) {
    let (found, expected) = (found().unwrap(), expected().unwrap());
    assert_eq!(found.dims(), expected.dims(), "{name}");
    assert_close(name, &values(&found), &values(&expected), tolerance);
    let weight = random("weight of the result", found.dims(), 1.0);
    let gradients = |result: &Tensor| {
        (result * weight.as_detached_tensor()).unwrap().sum_all().unwrap().backward().unwrap()
    };
    let (found, expected) = (gradients(&found), gradients(&expected));
    for (index, variable) in variables.iter().enumerate() {
        let found = found.get(variable).unwrap_or_else(|| panic!("{name}: variable {index} has no gradient"));
        let expected = values(expected.get(variable).unwrap());
        assert!(expected.iter().any(|value| *value != 0.0), "{name}: the specification has no gradient");
        assert_close(&format!("{name}, gradient {index}"), &values(found), &expected, tolerance);
    }
}

/// Central differences of a scalar function, in f64 from f32 values: good to about 1e-2 of the largest gradient, which
/// still tells a wrong formula from a right one.
fn assert_differences(name: &str, variable: &Var, scalar: impl Fn() -> Result<Tensor>) {
    let gradients = scalar().unwrap().backward().unwrap();
    let gradient = values(gradients.get(variable).unwrap());
    let start = values(variable);
    let value = |shifted: Vec<f32>| {
        variable.set(&Tensor::from_vec(shifted, variable.shape(), &Device::Cpu).unwrap()).unwrap();
        f64::from(scalar().unwrap().to_scalar::<f32>().unwrap())
    };
    let size = gradient.iter().fold(1e-3_f32, |size, value| size.max(value.abs()));
    for index in (0..start.len()).step_by(start.len().div_ceil(24)) {
        let step = 1e-2_f32;
        let (mut up, mut down) = (start.clone(), start.clone());
        up[index] += step;
        down[index] -= step;
        let width = f64::from(up[index] - down[index]);
        let slope = ((value(up) - value(down)) / width) as f32;
        assert!(
            (slope - gradient[index]).abs() <= 2e-2 * size,
            "{name}[{index}]: {} instead of {slope}",
            gradient[index]
        );
    }
    value(start);
}

#[test]
fn gates_are_accurate_over_the_whole_range() {
    let inputs: Vec<f32> = (-120_000..=120_000).map(|k| k as f32 * 1e-3).collect();
    let mut found = inputs.clone();
    gates::sigmoid(&mut found);
    for (x, y) in inputs.iter().zip(&found) {
        let exact = 1.0 / (1.0 + (-f64::from(*x)).exp());
        assert!((f64::from(*y) - exact).abs() <= 3e-7, "sigmoid({x}) = {y} instead of {exact}");
    }
    let mut special = [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, 1e-40];
    gates::sigmoid(&mut special);
    assert!(special[0].is_nan());
    assert_eq!((special[1], special[3]), (1.0, 0.5));
    assert!(special[2] < 1e-37);
}

#[test]
fn lstm_equals_its_specification() {
    // Tolerance: f32 sums of up to 60 steps, each gate within 3e-7, relative to the largest value of a tensor.
    for (steps, batch, inputs, hidden) in
        [(1, 1, 1, 1), (5, 3, 2, 4), (7, 33, 12, 32), (60, 32, 6, 50), (3, 2, 100, 17)]
    {
        let x = random("x", &[steps, batch, inputs], 1.0);
        let weight = random("w", &[1 + inputs + hidden, 4 * hidden], 1.0 / (hidden as f64).sqrt());
        let workspace = lstm_sequence::Workspace::default();
        assert_same(
            &format!("LSTM {steps} {batch} {inputs} {hidden}"),
            &[&x, &weight],
            || lstm_sequence::lstm_sequence(x.as_tensor(), weight.as_tensor(), &workspace),
            || lstm_sequence::composed(x.as_tensor(), weight.as_tensor()),
            2e-5,
        );
        // Without a gradient for x the weight's gradient keeps its value.
        assert_same(
            "LSTM on data",
            &[&weight],
            || lstm_sequence::lstm_sequence(&x.as_detached_tensor(), weight.as_tensor(), &workspace),
            || lstm_sequence::composed(&x.as_detached_tensor(), weight.as_tensor()),
            2e-5,
        );
    }
}

#[test]
fn lstm_gradient_equals_finite_differences() {
    let x = random("x", &[6, 3, 2], 1.0);
    let weight = random("w", &[1 + 2 + 4, 16], 0.5);
    let workspace = lstm_sequence::Workspace::default();
    let scalar =
        || lstm_sequence::lstm_sequence(x.as_tensor(), weight.as_tensor(), &workspace)?.sqr()?.sum_all();
    assert_differences("LSTM weight", &weight, scalar);
    assert_differences("LSTM input", &x, scalar);
}

#[test]
fn lstm_refuses_shapes_that_do_not_fit() {
    let x = random("x", &[2, 3, 4], 1.0);
    let weight = random("w", &[8, 16], 1.0);
    let workspace = lstm_sequence::Workspace::default();
    let error = lstm_sequence::lstm_sequence(x.as_tensor(), weight.as_tensor(), &workspace).unwrap_err();
    assert!(error.to_string().contains("8x16"), "{error}");
}

#[test]
fn workspaces_do_not_leak_between_passes() {
    let workspace = lstm_sequence::Workspace::default();
    let weight = random("w", &[1 + 2 + 4, 16], 0.5);
    let run = |batch: usize, workspace: &lstm_sequence::Workspace| {
        let x = random("x", &[5, batch, 2], 1.0);
        let y = lstm_sequence::lstm_sequence(&x.as_detached_tensor(), weight.as_tensor(), workspace).unwrap();
        let gradients = y.sum_all().unwrap().backward().unwrap();
        (values(&y), values(gradients.get(&weight).unwrap()))
    };
    let fresh: Vec<_> = [4, 9, 1].map(|batch| run(batch, &lstm_sequence::Workspace::default())).into();
    let reused: Vec<_> = [4, 9, 1].map(|batch| run(batch, &workspace)).into();
    assert_eq!(fresh, reused);
}

#[test]
fn affine_equals_its_specification() {
    for (rows, inputs, outputs) in [(1, 1, 1), (3, 5, 2), (64, 32, 96), (33, 100, 17)] {
        let (x, weight, bias) = (
            random("x", &[rows, inputs], 1.0),
            random("w", &[inputs, outputs], 1.0),
            random("b", &[outputs], 1.0),
        );
        assert_same(
            &format!("affine {rows} {inputs} {outputs}"),
            &[&x, &weight, &bias],
            || affine::affine(x.as_tensor(), weight.as_tensor(), bias.as_tensor()),
            || affine::composed(x.as_tensor(), weight.as_tensor(), bias.as_tensor()),
            1e-5,
        );
    }
    let (x, weight, bias) = (random("x", &[2, 3], 1.0), random("w", &[4, 3], 1.0), random("b", &[3], 1.0));
    let error = affine::affine(x.as_tensor(), weight.as_tensor(), bias.as_tensor()).unwrap_err();
    assert!(error.to_string().contains("4x3"), "{error}");
}

#[test]
fn layer_norm_equals_its_specification() {
    for shape in [vec![1, 1], vec![3, 5], vec![2, 6, 32], vec![4, 3, 100]] {
        let width = *shape.last().unwrap();
        let (x, scale, shift) =
            (random("x", &shape, 2.0), random("scale", &[width], 1.0), random("shift", &[width], 1.0));
        // One column has variance 0: its gradient is exactly 0 in both and is checked for values alone.
        let variables: Vec<&Var> = if width == 1 { vec![&shift] } else { vec![&x, &scale, &shift] };
        assert_same(
            &format!("layer norm {shape:?}"),
            &variables,
            || layer_norm::layer_norm(x.as_tensor(), scale.as_tensor(), shift.as_tensor()),
            || layer_norm::composed(x.as_tensor(), scale.as_tensor(), shift.as_tensor()),
            2e-5,
        );
    }
    let (x, scale, shift) =
        (random("x", &[3, 8], 1.0), random("scale", &[8], 1.0), random("shift", &[8], 1.0));
    assert_differences("layer norm", &x, || {
        layer_norm::layer_norm(x.as_tensor(), scale.as_tensor(), shift.as_tensor())?.sqr()?.sum_all()
    });
}

#[test]
fn attention_equals_its_specification() {
    for (batch, length, width, heads) in [(1, 1, 4, 1), (2, 6, 32, 4), (3, 24, 20, 2), (2, 17, 64, 2)] {
        let qkv = random("qkv", &[batch, length, 3 * width], 1.0);
        assert_same(
            &format!("attention {batch} {length} {width} {heads}"),
            &[&qkv],
            || attention::causal_attention(qkv.as_tensor(), heads),
            || attention::composed(qkv.as_tensor(), heads),
            2e-5,
        );
    }
    let qkv = random("qkv", &[2, 4, 12], 0.7);
    assert_differences("attention", &qkv, || {
        attention::causal_attention(qkv.as_tensor(), 2)?.sqr()?.sum_all()
    });
}

#[test]
fn attention_never_looks_ahead() {
    let qkv = random("qkv", &[1, 8, 24], 1.0);
    let before = values(&attention::causal_attention(qkv.as_tensor(), 2).unwrap());
    let mut poisoned = values(&qkv);
    for value in &mut poisoned[5 * 24..] {
        *value = 1e6;
    }
    let poisoned = Tensor::from_vec(poisoned, (1, 8, 24), &Device::Cpu).unwrap();
    let after = values(&attention::causal_attention(&poisoned, 2).unwrap());
    assert_eq!(before[..5 * 8], after[..5 * 8]);
    assert_ne!(before[5 * 8..], after[5 * 8..]);
}

#[test]
fn losses_equal_their_formulas_and_finite_differences() {
    let targets = random("targets", &[5, 2], 1.0).as_detached_tensor();
    let classes = targets.ge(0.0).unwrap().to_dtype(candle_core::DType::F32).unwrap();
    let levels = [0.1, 0.5, 0.8];
    let quantile = LossConfig::Quantile { levels: levels.to_vec() };
    for loss in [LossConfig::Mse, LossConfig::Huber { delta: 0.7 }, quantile, LossConfig::Bce] {
        let per_horizon = loss.outputs_per_horizon();
        let outputs = random("outputs", &[5, 2 * per_horizon], 1.5);
        let targets = if loss == LossConfig::Bce { &classes } else { &targets };
        let found = loss.of(outputs.as_tensor(), targets).unwrap().to_scalar::<f32>().unwrap();
        let (x, y) = (values(&outputs), values(targets));
        let terms: Vec<f64> = (0..x.len())
            .map(|k| {
                let (x, y) = (f64::from(x[k]), f64::from(y[k / per_horizon]));
                let error = y - x;
                match &loss {
                    LossConfig::Mse => error * error,
                    LossConfig::Huber { delta } if error.abs() <= *delta => 0.5 * error * error,
                    LossConfig::Huber { delta } => delta * (error.abs() - 0.5 * delta),
                    LossConfig::Quantile { levels } => {
                        let level = levels[k % per_horizon];
                        (level * error).max((level - 1.0) * error)
                    }
                    LossConfig::Bce => {
                        let probability = 1.0 / (1.0 + (-x).exp());
                        -(y * probability.ln() + (1.0 - y) * (1.0 - probability).ln())
                    }
                }
            })
            .collect();
        let expected = terms.iter().sum::<f64>() / terms.len() as f64;
        assert!((f64::from(found) - expected).abs() < 1e-5, "{loss:?}: {found} instead of {expected}");
        assert_differences(&format!("{loss:?}"), &outputs, || loss.of(outputs.as_tensor(), targets));
    }
    let extreme = Tensor::new(&[[1e4_f32, -1e4]], &Device::Cpu).unwrap();
    let loss = LossConfig::Bce.of(&extreme, &Tensor::new(&[[1_f32, 0.0]], &Device::Cpu).unwrap()).unwrap();
    assert_eq!(loss.to_scalar::<f32>().unwrap(), 0.0);
}

#[test]
fn the_forecast_of_quantiles_is_the_median() {
    let loss = LossConfig::Quantile { levels: vec![0.1, 0.5, 0.9] };
    let outputs = Tensor::new(&[[1_f32, 2.0, 3.0, 4.0, 5.0, 6.0]], &Device::Cpu).unwrap();
    assert_eq!(values(&loss.forecast(&outputs).unwrap()), [2.0, 5.0]);
    let error = LossConfig::Quantile { levels: vec![0.1, 0.9] }.check().unwrap_err();
    assert!(error.contains("0.5"), "{error}");
}

/// Three steps from `tests/reference/adamw.py` (numpy, f64), which states the published algorithm line by line.
#[test]
fn adamw_equals_the_published_algorithm() {
    let expected = include!("reference/adamw.in");
    for composed in [false, true] {
        let weight = Var::new(&[0.5_f32, -1.0, 2.0], &Device::Cpu).unwrap();
        let mut moments = Tensor::zeros((2, 3), candle_core::DType::F32, &Device::Cpu).unwrap();
        let gradients = [[0.1_f32, -0.2, 0.0], [0.3, 0.1, -0.5], [-0.2, 0.4, 1e-4]];
        for (index, gradient) in gradients.iter().enumerate() {
            let step = adamw::AdamWStep {
                rate: 0.1,
                decay: 0.05,
                beta_1: 0.9,
                beta_2: 0.999,
                epsilon: 1e-8,
                step: index as u64 + 1,
                gradient_factor: 0.5,
            };
            let gradient = Tensor::new(gradient, &Device::Cpu).unwrap();
            let update = if composed { adamw::composed } else { adamw::adamw };
            update(&[&weight], &mut moments, &[gradient], &step).unwrap();
            let expected: Vec<f32> = expected[index].iter().map(|value: &f64| *value as f32).collect();
            assert_close(&format!("AdamW, step {index}"), &values(&weight), &expected, 1e-6);
        }
    }
}
