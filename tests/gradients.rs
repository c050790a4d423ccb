//! Kernels and losses: values and gradients against plain tensor operations and finite differences.

use candle_core::{Device, Result, Tensor, Var};
use candlewick::kernels::arena::Arena;
use candlewick::kernels::precision::Precision;
use candlewick::kernels::{adamw, affine, layer_norm};
use candlewick::nn::{Head, LossConfig, PositiveWeight};
use candlewick::seed::Seed;

pub(crate) fn random(purpose: &str, shape: &[usize], scale: f64) -> Var {
    let mut stream = Seed(7).stream(purpose, 0);
    let count = shape.iter().product();
    let values: Vec<f32> = (0..count).map(|_| (stream.normal() * scale) as f32).collect();
    Var::from_tensor(&Tensor::from_vec(values, shape, &Device::Cpu).unwrap()).unwrap()
}

pub(crate) fn values(tensor: &Tensor) -> Vec<f32> {
    tensor.flatten_all().unwrap().to_vec1().unwrap()
}

pub(crate) fn assert_close(name: &str, found: &[f32], expected: &[f32], tolerance: f32) {
    assert_eq!(found.len(), expected.len(), "{name}");
    let size = expected.iter().fold(1e-3_f32, |size, value| size.max(value.abs()));
    for (index, (found, expected)) in found.iter().zip(expected).enumerate() {
        let error = (found - expected).abs();
        assert!(error <= tolerance * size, "{name}[{index}]: {found} instead of {expected}");
    }
}

/// Values and all gradients of two functions of the same variables, the result weighted so that no gradient is uniform.
pub(crate) fn assert_same(
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
pub(crate) fn assert_differences(name: &str, variable: &Var, scalar: impl Fn() -> Result<Tensor>) {
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
fn affine_equals_its_specification() {
    let arena = Arena::default();
    for (rows, inputs, outputs) in [(1, 1, 1), (3, 5, 2), (64, 32, 96), (33, 100, 17)] {
        let (x, weight, bias) = (
            random("x", &[rows, inputs], 1.0),
            random("w", &[inputs, outputs], 1.0),
            random("b", &[outputs], 1.0),
        );
        let operands = [x.as_tensor(), weight.as_tensor(), bias.as_tensor()];
        // f32: another order of up to 100 sums. bf16: the gradients' factors are rounded too, by 2^-9 each.
        for (precision, tolerance) in [(Precision::F32, 1e-5), (Precision::Bf16, 1e-2)] {
            assert_same(
                &format!("affine {rows} {inputs} {outputs} {precision:?}"),
                &[&x, &weight, &bias],
                || affine::affine(operands, precision, &arena),
                || affine::composed(operands, precision),
                tolerance,
            );
        }
    }
    let (x, weight, bias) = (random("x", &[2, 3], 1.0), random("w", &[4, 3], 1.0), random("b", &[3], 1.0));
    let operands = [x.as_tensor(), weight.as_tensor(), bias.as_tensor()];
    let error = affine::affine(operands, Precision::F32, &arena).unwrap_err();
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
fn losses_equal_their_formulas_and_finite_differences() {
    let targets = random("targets", &[5, 2], 1.0).as_detached_tensor();
    let classes = targets.ge(0.0).unwrap().to_dtype(candle_core::DType::F32).unwrap();
    let levels = [0.1, 0.5, 0.8];
    let quantile = LossConfig::Quantile { levels: levels.to_vec() };
    let weighted = LossConfig::WeightedBce { positive_weight: PositiveWeight::Times(7.5) };
    for loss in
        [LossConfig::Mse, LossConfig::Huber { delta: 0.7 }, quantile, LossConfig::Bce, weighted.clone()]
    {
        let per_horizon = loss.outputs_per_horizon();
        let outputs = random("outputs", &[5, 2 * per_horizon], 1.5);
        let of_class = [LossConfig::Bce, weighted.clone()].contains(&loss);
        let targets = if of_class { &classes } else { &targets };
        let found = loss.of(outputs.as_tensor(), targets, &[0.0; 2]).unwrap().to_scalar::<f32>().unwrap();
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
                    LossConfig::WeightedBce { .. } => {
                        let probability = 1.0 / (1.0 + (-x).exp());
                        -(7.5 * y * probability.ln() + (1.0 - y) * (1.0 - probability).ln())
                    }
                    LossConfig::Direction | LossConfig::Mixed { .. } => unreachable!("tested below"),
                }
            })
            .collect();
        let expected = terms.iter().sum::<f64>() / terms.len() as f64;
        assert!((f64::from(found) - expected).abs() < 1e-5, "{loss:?}: {found} instead of {expected}");
        assert_differences(&format!("{loss:?}"), &outputs, || {
            loss.of(outputs.as_tensor(), targets, &[0.0; 2])
        });
    }
    let extreme = Tensor::new(&[[1e4_f32, -1e4]], &Device::Cpu).unwrap();
    for loss in [LossConfig::Bce, weighted] {
        let of = |classes: [f32; 2]| {
            let classes = Tensor::new(&[classes], &Device::Cpu).unwrap();
            loss.of(&extreme, &classes, &[0.0; 2]).unwrap().to_scalar::<f32>().unwrap()
        };
        assert_eq!(of([1.0, 0.0]), 0.0);
        let weight = if loss == LossConfig::Bce { 1.0 } else { 7.5 };
        assert_eq!(of([0.0, 1.0]), 1e4 * (1.0 + weight) / 2.0);
    }
}

/// Two heads and the direction over two horizons, each term written out.
#[test]
fn a_mixed_loss_is_the_weighted_sum_of_its_heads() {
    let (rows, zero) = (7, [0.25_f32, -0.5]);
    let outputs = random("outputs of all heads", &[rows, 2 * (1 + 3 + 1)], 1.0);
    let mut y = values(&random("targets of all heads", &[rows, 2], 1.0));
    // A target of exactly 0 points nowhere.
    y[3] = zero[1];
    let targets = Tensor::from_vec(y.clone(), (rows, 2), &Device::Cpu).unwrap();
    let levels = vec![0.2, 0.5, 0.7];
    let head = |loss: LossConfig, weight: f64| Head { loss, weight };
    let loss = LossConfig::Mixed {
        heads: vec![
            head(LossConfig::Mse, 1.5),
            head(LossConfig::Quantile { levels: levels.clone() }, 0.5),
            head(LossConfig::Direction, 0.25),
        ],
    };
    assert_eq!(loss.outputs_per_horizon(), 5);
    let found = loss.of(outputs.as_tensor(), &targets, &zero).unwrap().to_scalar::<f32>().unwrap();
    let x = values(&outputs);
    let mut expected = 0.0;
    for row in 0..rows {
        for horizon in 0..2 {
            let x = |column: usize| f64::from(x[row * 10 + column]);
            let y = f64::from(y[row * 2 + horizon]);
            expected += 1.5 * (y - x(horizon)).powi(2);
            for (k, level) in levels.iter().enumerate() {
                let error = y - x(2 + 3 * horizon + k);
                expected += 0.5 * (level * error).max((level - 1.0) * error) / 3.0;
            }
            let up = match y.total_cmp(&f64::from(zero[horizon])) {
                std::cmp::Ordering::Less => 0.0,
                std::cmp::Ordering::Equal => 0.5,
                std::cmp::Ordering::Greater => 1.0,
            };
            let probability = 1.0 / (1.0 + (-x(8 + horizon)).exp());
            expected -= 0.25 * (up * probability.ln() + (1.0 - up) * (1.0 - probability).ln());
        }
    }
    expected /= 2.0 * rows as f64;
    assert!((f64::from(found) - expected).abs() < 1e-5, "{found} instead of {expected}");
    assert_differences("mixed", &outputs, || loss.of(outputs.as_tensor(), &targets, &zero));
    let forecast = values(&loss.forecast(outputs.as_tensor()).unwrap());
    let first_head: Vec<f32> = (0..rows).flat_map(|row| [x[row * 10], x[row * 10 + 1]]).collect();
    assert_eq!(forecast, first_head);

    for (heads, expected) in [
        (vec![], "at least one head"),
        (vec![head(LossConfig::Direction, 1.0)], "forecasts no size"),
        (vec![head(LossConfig::Mse, 0.0)], "heads[0].weight"),
        (
            vec![head(LossConfig::Mse, 1.0), head(LossConfig::Mixed { heads: vec![] }, 1.0)],
            "heads[1] is mixed",
        ),
        (vec![head(LossConfig::Huber { delta: 0.0 }, 1.0)], "huber.delta"),
    ] {
        let error = LossConfig::Mixed { heads }.check().unwrap_err();
        assert!(error.contains(expected), "{error}");
    }
}

#[test]
fn the_forecast_of_quantiles_is_the_median() {
    let loss = LossConfig::Quantile { levels: vec![0.1, 0.5, 0.9] };
    let outputs = Tensor::new(&[[1_f32, 2.0, 3.0, 4.0, 5.0, 6.0]], &Device::Cpu).unwrap();
    assert_eq!(values(&loss.forecast(&outputs).unwrap()), [2.0, 5.0]);
    let error = LossConfig::Quantile { levels: vec![0.1, 0.9] }.check().unwrap_err();
    assert!(error.contains("0.5"), "{error}");
}

/// Twelve clipped steps of three tensors from `tests/reference/torch_adamw.py` (torch 2.15.0, f64).
#[test]
fn adamw_equals_torch_over_a_whole_network() {
    let reference: serde_json::Value =
        serde_json::from_str(include_str!("reference/torch_adamw.json")).unwrap();
    let numbers = |value: &serde_json::Value| -> Vec<f32> {
        value.as_array().unwrap().iter().map(|number| number.as_f64().unwrap() as f32).collect()
    };
    let tensors = |of: &serde_json::Value| -> Vec<Tensor> {
        let shapes = reference["shapes"].as_array().unwrap().iter();
        let shapes = shapes.map(|shape| numbers(shape).iter().map(|side| *side as usize).collect::<Vec<_>>());
        let pairs = of.as_array().unwrap().iter().zip(shapes);
        pairs.map(|(values, shape)| Tensor::from_vec(numbers(values), shape, &Device::Cpu).unwrap()).collect()
    };
    let setting = |name: &str| reference["settings"][name].as_f64().unwrap();
    for composed in [false, true] {
        let weights: Vec<Var> =
            tensors(&reference["start"]).iter().map(|tensor| Var::from_tensor(tensor).unwrap()).collect();
        let weights: Vec<&Var> = weights.iter().collect();
        let count = weights.iter().map(|weight| weight.elem_count()).sum::<usize>();
        let mut moments = Tensor::zeros((2, count), candle_core::DType::F32, &Device::Cpu).unwrap();
        for (index, row) in reference["steps"].as_array().unwrap().iter().enumerate() {
            let gradients = tensors(&row["gradients"]);
            let norm = gradients.iter().map(|one| adamw::squared_norm(one).unwrap()).sum::<f64>().sqrt();
            assert!((norm - row["norm"].as_f64().unwrap()).abs() < 1e-6 * norm, "norm of step {index}");
            let step = adamw::AdamWStep {
                rate: setting("learning_rate"),
                decay: setting("weight_decay"),
                beta_1: setting("beta_1"),
                beta_2: setting("beta_2"),
                epsilon: setting("epsilon"),
                step: index as u64 + 1,
                gradient_factor: (setting("clip") / norm).min(1.0),
            };
            let update = if composed { adamw::composed } else { adamw::adamw };
            update(&weights, &mut moments, &gradients, &step).unwrap();
            for (weight, expected) in weights.iter().zip(row["weights"].as_array().unwrap()) {
                // Twelve steps in f32 against f64, and torch's 1e-6 beside the norm.
                assert_close(&format!("AdamW, step {index}"), &values(weight), &numbers(expected), 2e-6);
            }
        }
    }
}

#[test]
fn adamw_refuses_what_does_not_fit() {
    let weight = Var::zeros((2, 3), candle_core::DType::F32, &Device::Cpu).unwrap();
    let zeros = |shape: (usize, usize)| Tensor::zeros(shape, candle_core::DType::F32, &Device::Cpu).unwrap();
    let step = adamw::AdamWStep {
        rate: 0.1,
        decay: 0.0,
        beta_1: 0.9,
        beta_2: 0.999,
        epsilon: 1e-8,
        step: 1,
        gradient_factor: 1.0,
    };
    for (moments, gradients) in
        [((2, 5), vec![zeros((2, 3))]), ((2, 6), vec![zeros((3, 2))]), ((2, 6), Vec::new())]
    {
        let error = adamw::adamw(&[&weight], &mut zeros(moments), &gradients, &step).unwrap_err();
        assert!(error.to_string().contains("fit"), "{error}");
    }
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
