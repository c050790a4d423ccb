//! The numbers of a model that is linear in its inputs, and their file.

use super::normal_equations::dot;
use super::{WEIGHTS_FILE, damaged, fault};
use crate::onnx::{GraphBuilder, TensorData, Value};
use crate::rundir::{RunDirError, write_atomic};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};
use std::path::Path;

/// `intercept + weights . x` of every horizon.
pub(super) struct Coefficients {
    /// D
    inputs: usize,
    /// `[H, D]`
    weights: Vec<f64>,
    /// `[H]`
    intercept: Vec<f64>,
}

impl Coefficients {
    /// Takes weights `[H, D]` and the intercept of each horizon.
    pub(super) fn new(inputs: usize, weights: Vec<f64>, intercept: Vec<f64>) -> Self {
        Coefficients { inputs, weights, intercept }
    }

    /// The value of each horizon for inputs x `[D]`.
    pub(super) fn of<'a>(&'a self, x: &'a [f64]) -> impl Iterator<Item = f64> + 'a {
        let horizons = self.intercept.iter().enumerate();
        horizons.map(|(horizon, intercept)| {
            intercept + dot(&self.weights[horizon * self.inputs..][..self.inputs], x)
        })
    }

    /// The same in a graph: `[B, D]` in f64 -> `[B, H]`.
    pub(super) fn graph(&self, graph: &mut GraphBuilder, flat: &Value) -> Value {
        let (inputs, horizons) = (self.inputs, self.intercept.len());
        let transposed =
            (0..inputs).flat_map(|input| self.weights.iter().skip(input).step_by(inputs).copied());
        let weights = TensorData::Doubles(transposed.collect());
        let weights = graph.constant("coefficients", &[inputs, horizons], weights);
        let intercept = graph.constant("intercept", &[horizons], TensorData::Doubles(self.intercept.clone()));
        graph.linear(flat, [&weights, &intercept])
    }

    /// Writes them into a model's folder.
    pub(super) fn save(&self, folder: &Path) -> Result<(), RunDirError> {
        let path = folder.join(WEIGHTS_FILE);
        let bytes = |values: &[f64]| values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<u8>>();
        let (weights, intercept) = (bytes(&self.weights), bytes(&self.intercept));
        let view =
            |shape, data| TensorView::new(Dtype::F64, shape, data).map_err(|error| fault(&path, &error));
        let tensors = [
            ("coefficients", view(vec![self.intercept.len(), self.inputs], &weights)?),
            ("intercept", view(vec![self.intercept.len()], &intercept)?),
        ];
        let file = safetensors::serialize(tensors, None).map_err(|error| fault(&path, &error))?;
        write_atomic(&path, &file)
    }

    /// Reads what [`Coefficients::save`] wrote.
    pub(super) fn load(folder: &Path, inputs: usize, horizons: usize) -> Result<Self, RunDirError> {
        let path = folder.join(WEIGHTS_FILE);
        let file = std::fs::read(&path).map_err(|source| RunDirError::Read { path: path.clone(), source })?;
        let tensors = SafeTensors::deserialize(&file).map_err(|error| damaged(&path, error))?;
        let read = |name: &str, count: usize| -> Result<Vec<f64>, RunDirError> {
            let tensor = tensors.tensor(name).map_err(|error| damaged(&path, error))?;
            if tensor.dtype() != Dtype::F64 || tensor.data().len() != 8 * count {
                return Err(damaged(&path, format!("{name} does not hold {count} numbers")));
            }
            Ok(tensor.data().as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect())
        };
        Ok(Coefficients::new(inputs, read("coefficients", horizons * inputs)?, read("intercept", horizons)?))
    }
}
