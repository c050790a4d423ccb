//! Targets in the units in which a network learns them.

use crate::onnx::{ElementType, GraphBuilder, TensorData, Value};
use crate::table::{LabelKind, Windows};
use candle_core::{Device, Result, Tensor};
use serde::{Deserialize, Serialize};

/// Targets of 0 over targets of 1, among all windows and horizons; `None` where one of them is missing.
pub fn balance(windows: &Windows) -> Option<f64> {
    let (mut zeros, mut ones) = (0_u64, 0_u64);
    for target in (0..windows.len()).flat_map(|index| windows.target(index)) {
        if *target > 0.5 { ones += 1 } else { zeros += 1 }
    }
    (zeros > 0 && ones > 0).then(|| zeros as f64 / ones as f64)
}

/// Mean and population standard deviation of each horizon's targets over the training windows, by which they are
/// standardised; classes stay as they are. Changes share one deviation, that of all horizons together: they are judged by
/// the mean over horizons of what they miss by, and so they are learned. A target that never changes becomes 0, and its forecast the mean.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TargetScaling {
    /// `[H]`
    mean: Vec<f64>,
    /// `[H]`; 0 where the target never changes.
    deviation: Vec<f64>,
}

impl TargetScaling {
    /// Fits on all training windows, in order.
    pub fn fit(windows: &Windows, kind: LabelKind) -> Self {
        let outputs = windows.outputs();
        let count = windows.len() as f64;
        if kind.is_probability() || windows.is_empty() {
            return TargetScaling { mean: vec![0.0; outputs], deviation: vec![1.0; outputs] };
        }
        let average = |value: &dyn Fn(usize, f64) -> f64| -> Vec<f64> {
            let mut sums = vec![0.0; outputs];
            for window in 0..windows.len() {
                for (horizon, target) in windows.target(window).iter().enumerate() {
                    sums[horizon] += value(horizon, f64::from(*target));
                }
            }
            sums.iter().map(|sum| sum / count).collect()
        };
        let mean = average(&|_, target| target);
        let mut variance = average(&|horizon, target| (target - mean[horizon]).powi(2));
        if kind == LabelKind::Change {
            let common = variance.iter().sum::<f64>() / outputs.max(1) as f64;
            variance.fill(common);
        }
        // Rounding leaves a constant with a deviation of a few units in the last place of its mean.
        let deviation = variance
            .iter()
            .zip(&mean)
            .map(|(variance, mean)| if variance.sqrt() <= mean.abs() * 1e-9 { 0.0 } else { variance.sqrt() })
            .collect();
        TargetScaling { mean, deviation }
    }

    /// The mean of each horizon.
    pub fn mean(&self) -> &[f64] {
        &self.mean
    }

    /// The standard deviation of each horizon.
    pub fn deviation(&self) -> &[f64] {
        &self.deviation
    }

    /// H.
    pub fn outputs(&self) -> usize {
        self.mean.len()
    }

    /// Standardised targets of these windows, `[B, H]`.
    ///
    /// # Errors
    /// Windows that are not there.
    pub fn gather(&self, windows: &Windows, indices: &[usize]) -> Result<Tensor> {
        let values = self.values(windows, indices.iter().copied());
        Tensor::from_vec(values, (indices.len(), self.outputs()), &Device::Cpu)
    }

    /// The same as plain numbers, `[B, H]` row-major.
    pub(super) fn values(
        &self,
        windows: &Windows,
        indices: impl ExactSizeIterator<Item = usize>,
    ) -> Vec<f32> {
        let mut values = Vec::with_capacity(indices.len() * self.outputs());
        for index in indices {
            let targets = windows.target(index).iter().enumerate();
            values.extend(targets.map(|(horizon, target)| self.standardise(horizon, f64::from(*target))));
        }
        values
    }

    /// What a target of 0 becomes, `[H]`.
    pub fn zero(&self) -> Vec<f32> {
        (0..self.outputs()).map(|horizon| self.standardise(horizon, 0.0)).collect()
    }

    fn standardise(&self, horizon: usize, target: f64) -> f32 {
        let deviation = self.deviation[horizon];
        let factor = if deviation > 0.0 { deviation.recip() } else { 0.0 };
        ((target - self.mean[horizon]) * factor) as f32
    }

    /// A forecast of this horizon back in units of the label.
    pub fn restore(&self, horizon: usize, value: f64) -> f64 {
        self.mean[horizon] + self.deviation[horizon] * value
    }

    /// The same as [`TargetScaling::restore`] in a graph: forecasts `[B, H]` in f32 -> the same in f64.
    pub fn graph(&self, graph: &mut GraphBuilder, forecasts: &Value) -> Value {
        let forecasts = graph.cast(forecasts, ElementType::Double);
        let deviation =
            graph.constant("deviation", &[self.outputs()], TensorData::Doubles(self.deviation.clone()));
        let mean = graph.constant("mean", &[self.outputs()], TensorData::Doubles(self.mean.clone()));
        let spread = graph.multiply(&forecasts, &deviation);
        graph.add(&spread, &mean)
    }
}
