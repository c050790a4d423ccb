//! The Transformer's kernels: values and gradients against their specifications, PyTorch and finite differences.

use crate::gradients::{assert_close, assert_differences, assert_same, random, values};
use candle_core::{Device, Tensor, Var};
use candlewick::kernels::arena::Arena;
use candlewick::kernels::attention::{self, AttentionShape, Recorded};
use candlewick::kernels::dropout::Dropout;
use candlewick::kernels::encoder::{EncoderSettings, EncoderShape, NormPlace};
use candlewick::kernels::encoder_layer::{composed, composed_attention, encoder_layer};
use candlewick::kernels::inverted_dropout;
use candlewick::kernels::matrix::{Matrix, MatrixMut, Target};
use candlewick::kernels::matrix_bf16::{RightFactor, multiply};
use candlewick::kernels::precision::{Precision, round_to_bf16};
use candlewick::kernels::row_steps::Activation;
use candlewick::model::{Model, PatchTransformer};
use candlewick::nn::Normalisation;

#[test]
fn dropout_of_slices_equals_that_of_elements() {
    for rate in [0.0, 0.1, 0.5, 0.999] {
        let dropout = Dropout::new(0x1234_5678_9ABC_DEF0, rate);
        for first in [0, 1, 2, 3, 4, 1021, u64::from(u32::MAX)] {
            for length in [0, 1, 3, 7, 31, 33, 1023, 1024, 1030, 2500] {
                let values: Vec<f32> = (0..length).map(|k| k as f32 - 7.5).collect();
                let base = vec![0.25; length];
                let factor = |k: usize| dropout.factor(first + k as u64);
                let mut applied = vec![f32::NAN; length];
                dropout.copy(first, &values, &mut applied);
                let expected: Vec<f32> = (0..length).map(|k| values[k] * factor(k)).collect();
                assert_eq!(applied, expected, "rate {rate}, {length} from {first}");
                let mut added = vec![f32::NAN; length];
                dropout.add(first, &values, &base, &mut added);
                for k in 0..length {
                    // A fused product is rounded once instead of twice.
                    let exact = f64::from(values[k]) * f64::from(factor(k)) + 0.25;
                    assert!((f64::from(added[k]) - exact).abs() <= 2e-7 * exact.abs().max(1.0));
                }
            }
        }
        let mut masks = [0; 9];
        dropout.masks(40, &mut masks);
        for (index, mask) in masks.iter().enumerate() {
            for lane in 0..16 {
                assert_eq!(mask >> lane & 1 == 1, dropout.keeps(40 + 16 * index as u64 + lane));
            }
        }
    }
}

#[test]
fn dropout_keeps_its_share_and_the_mean() {
    let dropout = Dropout::new(99, 0.3);
    let mut values = vec![f32::NAN; 1_000_000];
    dropout.copy(0, &vec![1.0; 1_000_000], &mut values);
    let kept = values.iter().filter(|value| **value != 0.0).count() as f64 / 1e6;
    // Four standard deviations of a share of a million draws.
    assert!((kept - 0.7).abs() < 4.0 * (0.3 * 0.7 / 1e6_f64).sqrt(), "{kept}");
    let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / 1e6;
    assert!((mean - 1.0).abs() < 3e-3, "{mean}");
}

#[test]
fn dropout_of_a_tensor_equals_its_specification() {
    for shape in [vec![7], vec![7, 31], vec![2, 33, 5]] {
        let x = random("x", &shape, 1.0);
        let dropout = Dropout::new(5, 0.4);
        assert_same(
            &format!("dropout {shape:?}"),
            &[&x],
            || inverted_dropout::inverted_dropout(x.as_tensor(), dropout),
            || inverted_dropout::composed(x.as_tensor(), dropout),
            0.0,
        );
    }
}

fn settings(norm: NormPlace, activation: Activation, causal: bool, precision: Precision) -> EncoderSettings {
    let shape = EncoderShape { width: 12, heads: 3, feed_forward: 31 };
    EncoderSettings { shape, norm, activation, causal, first: 0, dropout: [None; 2], precision }
}

/// Weights of a layer: products that keep the size of what passes, norms near one, biases that matter.
fn layer_weights(shape: EncoderShape) -> Var {
    let places = shape.places();
    let mut weights = values(&random("weights", &[shape.count()], 1.0));
    for place in [&places.queries_keys_values, &places.attention_output, &places.expand, &places.contract] {
        for weight in &mut weights[place.weight.clone()] {
            *weight /= (place.inputs as f32).sqrt();
        }
    }
    for place in [&places.attention_norm, &places.feed_forward_norm] {
        for scale in &mut weights[place.scale.clone()] {
            *scale = 1.0 + 0.2 * *scale;
        }
    }
    Var::from_tensor(&Tensor::from_vec(weights, shape.count(), &Device::Cpu).unwrap()).unwrap()
}

/// Kinds of layers whose gradient has no corners, of every norm and mask.
const SMOOTH: [(NormPlace, bool); 4] =
    [(NormPlace::First, true), (NormPlace::First, false), (NormPlace::Last, true), (NormPlace::Last, false)];

#[test]
fn an_encoder_layer_equals_its_specification() {
    let arena = Arena::default();
    for (batch, length, shape) in [
        (1, 1, EncoderShape { width: 4, heads: 1, feed_forward: 1 }),
        (3, 7, EncoderShape { width: 12, heads: 3, feed_forward: 31 }),
        (2, 33, EncoderShape { width: 20, heads: 2, feed_forward: 33 }),
        // Several chunks of windows, of which the last is not whole.
        (37, 31, EncoderShape { width: 10, heads: 2, feed_forward: 7 }),
        (5, 25, EncoderShape { width: 64, heads: 2, feed_forward: 128 }),
    ] {
        let x = random("x", &[batch, length, shape.width], 1.0);
        let weights = layer_weights(shape);
        for (norm, causal) in SMOOTH {
            for (activation, dropout, first) in [
                (Activation::Relu, [None; 2], 0),
                (Activation::Gelu, [Some(Dropout::new(1, 0.1)), Some(Dropout::new(2, 0.4))], 0),
                (Activation::Gelu, [Some(Dropout::new(3, 0.1)), None], length - 1),
                (Activation::Relu, [None, Some(Dropout::new(4, 0.2))], length / 2),
            ] {
                let precision = Precision::F32;
                let settings = EncoderSettings { shape, norm, activation, causal, first, dropout, precision };
                // f32: other orders of sums, exponentials within 3e-7, the error function within 2e-7.
                assert_same(
                    &format!("encoder {batch} {length} {settings:?}"),
                    &[&x, &weights],
                    || encoder_layer(x.as_tensor(), weights.as_tensor(), &settings, &arena),
                    || composed(x.as_tensor(), weights.as_tensor(), &settings),
                    5e-5,
                );
            }
        }
    }
}

#[test]
fn gradients_of_an_encoder_layer_equal_finite_differences() {
    let arena = Arena::default();
    let x = random("x", &[2, 5, 12], 1.0);
    for (norm, causal) in SMOOTH {
        let dropout = [Some(Dropout::new(8, 0.2)), Some(Dropout::new(9, 0.3))];
        let settings =
            EncoderSettings { dropout, ..settings(norm, Activation::Gelu, causal, Precision::F32) };
        let weights = layer_weights(settings.shape);
        let direction = random("direction", &[2, 5, 12], 1.0);
        let scalar = || {
            let y = encoder_layer(x.as_tensor(), weights.as_tensor(), &settings, &arena)?;
            (y * direction.as_detached_tensor())?.sum_all()
        };
        assert_differences(&format!("x of {settings:?}"), &x, scalar);
        assert_differences(&format!("weights of {settings:?}"), &weights, scalar);
    }
}

#[test]
fn an_encoder_layer_in_bf16_differs_by_rounding_alone() {
    let arena = Arena::default();
    for (norm, causal) in SMOOTH {
        let exact = settings(norm, Activation::Gelu, causal, Precision::F32);
        let rounded = EncoderSettings { precision: Precision::Bf16, ..exact };
        let (x, weights) = (random("x", &[4, 25, 12], 1.0), layer_weights(exact.shape));
        let run = |settings: &EncoderSettings| {
            let y = encoder_layer(x.as_tensor(), weights.as_tensor(), settings, &arena).unwrap();
            let gradients = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            [values(&y), values(gradients.get(&x).unwrap()), values(gradients.get(&weights).unwrap())]
        };
        for (part, (found, expected)) in run(&rounded).iter().zip(run(&exact)).enumerate() {
            // A factor is off by 2^-9 at most, a product of two by 2^-8; errors of a sum's terms cancel in part, and six
            // products follow each other: 2^-8 * sqrt(6) of the size of a tensor.
            assert_close(&format!("part {part} of {norm:?}"), found, &expected, 2e-2);
            assert!(found.iter().zip(&expected).any(|(found, expected)| (found - expected).abs() > 1e-5));
        }
        // Against the specification in the same precision only the order of sums differs, up to a rounding that falls to
        // the other side.
        let specification = composed(x.as_tensor(), weights.as_tensor(), &rounded).unwrap();
        assert_close("bf16", &run(&rounded)[0], &values(&specification), 4e-3);
    }
}

#[test]
fn products_in_bf16_equal_those_of_rounded_factors() {
    let arena = Arena::default();
    for (rows, inner, columns) in
        [(1, 1, 1), (7, 31, 33), (33, 7, 1), (8, 32, 32), (40, 1031, 70), (300, 64, 40)]
    {
        let (left, right) = (
            values(&random("left", &[rows * inner], 1.0)),
            values(&random("right", &[inner * columns], 1.0)),
        );
        let round = |values: &[f32]| values.iter().map(|value| round_to_bf16(*value)).collect::<Vec<f32>>();
        let across = |values: &[f32], rows: usize, columns: usize| -> Vec<f32> {
            (0..rows * columns).map(|k| values[k % rows * columns + k / rows]).collect()
        };
        let (turned_left, turned_right) = (across(&left, rows, inner), across(&right, inner, columns));
        let lefts = [
            Matrix::new(&left, rows, inner, inner),
            Matrix::new(&turned_left, inner, rows, rows).transposed(),
        ];
        let rights = [
            Matrix::new(&right, inner, columns, columns),
            Matrix::new(&turned_right, columns, inner, inner).transposed(),
        ];
        let (left, right) = (round(&left), round(&right));
        for (found_left, found_right) in lefts.into_iter().flat_map(|left| rights.map(|right| (left, right)))
        {
            let both =
                [Target::Replaced, Target::Added].into_iter().flat_map(|mode| [(mode, true), (mode, false)]);
            for (mode, emulated) in both {
                let mut found = vec![0.5; rows * columns];
                let factor = match emulated {
                    true => RightFactor::emulated(found_right, &arena),
                    false => RightFactor::new(found_right, &arena),
                };
                let result = MatrixMut::new(&mut found, rows, columns, columns);
                multiply(result, found_left, &factor, mode, &arena);
                factor.give_back(&arena);
                for (k, found) in found.iter().enumerate() {
                    let terms = (0..inner).map(|i| {
                        f64::from(left[k / columns * inner + i]) * f64::from(right[i * columns + k % columns])
                    });
                    let (sum, size) =
                        terms.fold((0.0, 0.0), |(sum, size), term| (sum + term, size + term.abs()));
                    let expected = sum + if mode == Target::Added { 0.5 } else { 0.0 };
                    // Sums in f32 of `inner` terms; products of two bfloat16 are exact.
                    assert!(
                        (f64::from(*found) - expected).abs() <= 1e-6 * (size + 1.0),
                        "{rows} {inner} {columns}"
                    );
                }
            }
        }
    }
}

#[test]
fn rounding_to_bf16_is_to_the_nearest_even() {
    for (value, expected) in [
        (1.0, 1.0),
        (1.0 + 1.0 / 256.0, 1.0),
        (1.0 + 3.0 / 256.0, 1.0 + 1.0 / 64.0),
        (1.0 + 1.1 / 256.0, 1.0 + 1.0 / 128.0),
        (-1.0 - 1.0 / 256.0, -1.0),
        (f32::MAX, f32::INFINITY),
        (f32::NEG_INFINITY, f32::NEG_INFINITY),
        (0.0, 0.0),
    ] {
        assert_eq!(round_to_bf16(value), expected, "{value}");
    }
    assert!(round_to_bf16(f32::NAN).is_nan());
}

/// What an arena holds from other passes never reaches a result, and a batch gives each window what it gets alone.
#[test]
fn buffers_of_other_passes_change_no_bit() {
    for precision in [Precision::F32, Precision::Bf16] {
        let settings = settings(NormPlace::Last, Activation::Gelu, true, precision);
        let (x, weights) = (random("x", &[33, 31, 12], 1.0), layer_weights(settings.shape));
        let run = |arena: &Arena| {
            let y = encoder_layer(x.as_tensor(), weights.as_tensor(), &settings, arena).unwrap();
            let gradients = y.sqr().unwrap().sum_all().unwrap().backward().unwrap();
            [values(&y), values(gradients.get(&x).unwrap()), values(gradients.get(&weights).unwrap())]
        };
        let fresh = run(&Arena::default());
        let used = Arena::default();
        for _ in 0..40 {
            let mut buffer = used.take(1_200_000);
            buffer.fill(f32::NAN);
            used.give(buffer);
        }
        let poisoned: Vec<_> = (0..24).map(|_| used.take(1_200_000)).collect();
        for mut buffer in poisoned {
            buffer.fill(f32::NAN);
            used.give(buffer);
        }
        assert_eq!(fresh, run(&used));
        assert_eq!(fresh, run(&used));
        // Without a gradient to come nothing is kept, and the values are the same.
        let still =
            encoder_layer(&x.as_detached_tensor(), &weights.as_detached_tensor(), &settings, &used).unwrap();
        assert_eq!(fresh[0], values(&still));
    }
}

#[test]
fn a_causal_layer_never_looks_ahead() {
    let arena = Arena::default();
    for precision in [Precision::F32, Precision::Bf16] {
        let settings = settings(NormPlace::First, Activation::Relu, true, precision);
        let (x, weights) = (random("x", &[1, 8, 12], 1.0), layer_weights(settings.shape));
        let run = |x: &Tensor| values(&encoder_layer(x, weights.as_tensor(), &settings, &arena).unwrap());
        let before = run(x.as_tensor());
        let mut poisoned = values(&x);
        for value in &mut poisoned[5 * 12..] {
            *value = 1e6;
        }
        let after = run(&Tensor::from_vec(poisoned, (1, 8, 12), &Device::Cpu).unwrap());
        assert_eq!(before[..5 * 12], after[..5 * 12]);
        assert_ne!(before[5 * 12..], after[5 * 12..]);
    }
}

#[test]
fn attention_equals_its_specification() {
    for (batch, length, width, heads) in
        [(1, 1, 4, 1), (2, 6, 32, 4), (3, 24, 20, 2), (2, 33, 66, 2), (1, 7, 31, 1)]
    {
        for (causal, first) in [(true, 0), (false, 0), (true, length - 1), (false, length / 2)] {
            let qkv = random("qkv", &[batch, length, 3 * width], 1.0);
            let shape = AttentionShape { length, first, heads, width, causal, precision: Precision::F32 };
            let name = format!("{batch} windows of {shape:?}");
            let expected = composed_attention(qkv.as_tensor(), heads, causal, Precision::F32).unwrap();
            let expected = expected.narrow(1, first, length - first).unwrap();
            let direction = random("direction", expected.dims(), 1.0);
            let loss = (&expected * direction.as_detached_tensor()).unwrap().sum_all().unwrap();
            let of_qkv = values(loss.backward().unwrap().get(&qkv).unwrap());
            let found = attend(shape, &values(&qkv), &values(&direction));
            assert_close(&name, &found[0], &values(&expected), 2e-5);
            assert_close(&format!("gradient, {name}"), &found[1], &of_qkv, 2e-5);
        }
    }
}

/// Output and gradient of attention.
fn attend(shape: AttentionShape, qkv: &[f32], direction: &[f32]) -> [Vec<f32>; 2] {
    let windows = qkv.len() / (3 * shape.length * shape.width);
    let mut output = vec![f32::NAN; direction.len()];
    let mut weights = vec![f32::NAN; windows * shape.weights()];
    let mut scratch = vec![f32::NAN; shape.scratch()];
    attention::forward(shape, qkv, &mut weights, &mut output, &mut scratch);
    let mut of_qkv = vec![f32::NAN; qkv.len()];
    scratch.fill(f32::NAN);
    let recorded = Recorded { qkv, weights: &weights, of_output: direction };
    attention::backward(shape, &recorded, &mut of_qkv, &mut scratch);
    [output, of_qkv]
}

/// Numbers of `tests/reference/torch_transformer.py` (torch 2.15.0, f64).
#[test]
fn encoder_layers_and_attention_equal_pytorch() {
    let reference: serde_json::Value =
        serde_json::from_str(include_str!("reference/torch_transformer.json")).unwrap();
    let sizes: Vec<usize> = serde_json::from_value(reference["shape"].clone()).unwrap();
    let [batch, length, width, heads, feed_forward] = sizes[..] else { panic!("five sizes") };
    let numbers = |value: &serde_json::Value| -> Vec<f32> { serde_json::from_value(value.clone()).unwrap() };
    let variable = |value: &serde_json::Value, shape: &[usize]| {
        Var::from_tensor(&Tensor::from_vec(numbers(value), shape, &Device::Cpu).unwrap()).unwrap()
    };
    let shape = EncoderShape { width, heads, feed_forward };
    for case in reference["encoder"].as_array().unwrap() {
        let settings = EncoderSettings {
            shape,
            norm: if case["norm_first"] == true { NormPlace::First } else { NormPlace::Last },
            activation: if case["activation"] == "relu" { Activation::Relu } else { Activation::Gelu },
            causal: case["causal"] == true,
            first: 0,
            dropout: [None; 2],
            precision: Precision::F32,
        };
        let (x, weights) =
            (variable(&case["x"], &[batch, length, width]), variable(&case["weights"], &[shape.count()]));
        let direction = variable(&case["direction"], &[batch, length, width]);
        let y = encoder_layer(x.as_tensor(), weights.as_tensor(), &settings, &Arena::default()).unwrap();
        let loss = (&y * direction.as_detached_tensor()).unwrap().sum_all().unwrap();
        let gradients = loss.backward().unwrap();
        // f32 against f64 through four products and two norms.
        let name = format!("{settings:?}");
        assert_close(&name, &values(&y), &numbers(&case["y"]), 5e-6);
        assert_close(&name, &values(gradients.get(&x).unwrap()), &numbers(&case["of_x"]), 5e-6);
        assert_close(&name, &values(gradients.get(&weights).unwrap()), &numbers(&case["of_weights"]), 5e-6);
    }
    for case in reference["attention"].as_array().unwrap() {
        let (causal, precision) = (case["causal"] == true, Precision::F32);
        let shape = AttentionShape { length, first: 0, heads, width, causal, precision };
        let found = attend(shape, &numbers(&case["qkv"]), &numbers(&case["direction"]));
        assert_close("attention", &found[0], &numbers(&case["y"]), 2e-6);
        assert_close("gradient of attention", &found[1], &numbers(&case["of_qkv"]), 2e-6);
    }
}

#[test]
fn every_weight_of_a_layer_has_a_gradient() {
    let arena = Arena::default();
    for (norm, causal) in SMOOTH {
        let settings = settings(norm, Activation::Gelu, causal, Precision::F32);
        let (x, weights) = (random("x", &[4, 7, 12], 1.0), layer_weights(settings.shape));
        let y = encoder_layer(x.as_tensor(), weights.as_tensor(), &settings, &arena).unwrap();
        let direction = random("direction", y.dims(), 1.0);
        let loss = (y * direction.as_detached_tensor()).unwrap().sum_all().unwrap();
        let gradient = values(loss.backward().unwrap().get(&weights).unwrap());
        // Softmax does not see what is added to all of a row's scores, so the bias of the keys has none.
        let bias = settings.shape.places().queries_keys_values.bias;
        let keys = bias.start + 12..bias.start + 24;
        for (k, value) in gradient.iter().enumerate() {
            assert!(keys.contains(&k) || *value != 0.0, "weight {k} of {settings:?} has no gradient");
        }
    }
}

#[test]
fn an_encoder_layer_refuses_what_does_not_fit() {
    let arena = Arena::default();
    let good = settings(NormPlace::First, Activation::Relu, true, Precision::F32);
    let (x, weights) = (random("x", &[2, 5, 12], 1.0), layer_weights(good.shape));
    let error = |x: &Tensor, settings: &EncoderSettings| {
        encoder_layer(x, weights.as_tensor(), settings, &arena).unwrap_err().to_string()
    };
    assert!(error(x.as_tensor(), &EncoderSettings { first: 5, ..good }).contains("windows of 5"));
    assert!(error(random("x", &[2, 5, 13], 1.0).as_tensor(), &good).contains("13 columns"));
    let shape = EncoderShape { feed_forward: 32, ..good.shape };
    assert!(error(x.as_tensor(), &EncoderSettings { shape, ..good }).contains("weights"));
}

#[test]
fn windows_are_normalised_by_their_own_numbers() {
    let x = random("x", &[3, 7, 2], 2.0).as_detached_tensor();
    let cells = x.to_vec3::<f32>().unwrap();
    for normalisation in [Normalisation::None, Normalisation::LastValue, Normalisation::Instance] {
        let windows = normalisation.apply(&x).unwrap();
        assert!(windows.deviation.is_none(), "two features have no deviation in common");
        for (window, found) in cells.iter().zip(windows.x.to_vec3::<f32>().unwrap()) {
            for feature in 0..2 {
                let column: Vec<f64> = window.iter().map(|row| f64::from(row[feature])).collect();
                let mean = column.iter().sum::<f64>() / 7.0;
                let variance = column.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 7.0;
                for (row, value) in found.iter().zip(&column) {
                    let expected = match normalisation {
                        Normalisation::None => *value,
                        Normalisation::LastValue => value - column[6],
                        Normalisation::Instance => (value - mean) / (variance + 1e-5).sqrt(),
                    };
                    assert!((f64::from(row[feature]) - expected).abs() < 1e-5, "{normalisation:?}");
                }
            }
        }
    }
    // A constant window is no division by zero, and a forecast of one feature has its deviation.
    let x = Tensor::new(&[[[5_f32], [5.0]], [[1.0], [5.0]]], &Device::Cpu).unwrap();
    let windows = Normalisation::Instance.apply(&x).unwrap();
    let outputs = windows.restore(Tensor::new(&[[1_f32, 3.0], [1.0, 3.0]], &Device::Cpu).unwrap()).unwrap();
    let expected = [1e-5_f32.sqrt(), 3.0 * 1e-5_f32.sqrt(), 2.0, 6.0];
    assert_close("restored", &values(&outputs), &expected, 1e-5);
    assert!(values(&windows.x).iter().all(|value| value.is_finite()));
}

#[test]
fn a_patch_transformer_says_what_does_not_fit() {
    let model = |change: fn(&mut PatchTransformer)| {
        let mut model = PatchTransformer::default();
        change(&mut model);
        model.check().unwrap_err()
    };
    assert!(PatchTransformer::default().check().is_ok());
    assert!(model(|model| model.stride_bars = 17).contains("17, 16, 96"));
    assert!(model(|model| model.patch_bars = 97).contains("8, 97, 96"));
    assert!(model(|model| model.heads = 5).contains("multiple"));
    assert!(model(|model| model.width = 0).contains("width"));
    assert!(model(|model| model.dropout = 1.0).contains("dropout"));
}
