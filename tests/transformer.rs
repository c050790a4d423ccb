//! The Transformer's kernels: values and gradients against their specifications, PyTorch and finite differences.

use candlewick::kernels::dropout::Dropout;
use candlewick::kernels::inverted_dropout;

use crate::gradients::{assert_same, random};

#[test]
fn dropout_of_slices_equals_that_of_elements() {
    for rate in [0.0, 0.1, 0.5, 0.999] {
        let dropout = Dropout::new(0x1234_5678_9ABC_DEF0, rate);
        for first in [0, 1, 2, 3, 4, 1021, u64::from(u32::MAX)] {
            for length in [0, 1, 3, 7, 31, 33, 1023, 1024, 1030, 2500] {
                let values: Vec<f32> = (0..length).map(|k| k as f32 - 7.5).collect();
                let base = vec![0.25; length];
                let factor = |k: usize| dropout.factor(first + k as u64);
                let mut applied = values.clone();
                dropout.apply(first, &mut applied);
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
    let mut values = vec![1.0; 1_000_000];
    dropout.apply(0, &mut values);
    let kept = values.iter().filter(|value| **value != 0.0).count() as f64 / 1e6;
    // Four standard deviations of a share of a million draws.
    assert!((kept - 0.7).abs() < 4.0 * (0.3 * 0.7 / 1e6_f64).sqrt(), "{kept}");
    let mean = values.iter().map(|value| f64::from(*value)).sum::<f64>() / 1e6;
    assert!((mean - 1.0).abs() < 3e-3, "{mean}");
}

#[test]
fn dropout_of_a_tensor_equals_its_specification() {
    for shape in [vec![1], vec![7, 31], vec![2, 33, 5]] {
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
