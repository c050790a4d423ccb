//! The trained weights of a network: named, ordered, drawn from named random streams.

use crate::onnx::{GraphBuilder, TensorData, Value};
use crate::seed::Seed;
use candle_core::{Device, Result, Shape, Tensor, Var, bail};

/// One trained tensor.
#[derive(Clone, Debug)]
pub struct Weight {
    /// As in the saved file: `lstm.0.weight`.
    pub name: String,
    /// Its value, trained in place.
    pub var: Var,
}

/// A trained tensor as a constant of a graph.
///
/// # Errors
/// A device that fails.
pub(super) fn constant(graph: &mut GraphBuilder, name: &str, var: &Var) -> Result<Value> {
    let values = var.flatten_all()?.to_vec1::<f32>()?;
    Ok(graph.constant(name, var.dims(), TensorData::Floats(values)))
}

/// All trained tensors of a network, in the order in which it was built. Each is drawn from a stream of its own name, so
/// adding a layer changes no other layer's first weights.
#[derive(Debug)]
pub struct Parameters {
    seed: Seed,
    weights: Vec<Weight>,
}

impl Parameters {
    /// An empty list; weights to come are drawn from streams of `seed`.
    pub fn new(seed: Seed) -> Self {
        Parameters { seed, weights: Vec::new() }
    }

    /// Adds a tensor whose element number k is `value(k, u)`, with u uniform in [-1, 1).
    ///
    /// # Errors
    /// A device that cannot hold it.
    pub fn add(
        &mut self,
        name: &str,
        shape: impl Into<Shape>,
        value: impl Fn(usize, f64) -> f64,
    ) -> Result<Var> {
        let shape = shape.into();
        let mut stream = self.seed.stream(&format!("initial weights of {name}"), 0);
        let values: Vec<f32> = (0..shape.elem_count())
            .map(|element| value(element, 2.0 * stream.uniform() - 1.0) as f32)
            .collect();
        let var = Var::from_tensor(&Tensor::from_vec(values, shape, &Device::Cpu)?)?;
        self.weights.push(Weight { name: name.to_owned(), var: var.clone() });
        Ok(var)
    }

    /// The weights, in order.
    pub fn weights(&self) -> &[Weight] {
        &self.weights
    }

    /// How many numbers are trained.
    pub fn count(&self) -> usize {
        self.weights.iter().map(|weight| weight.var.elem_count()).sum()
    }

    /// Whether the other list has the same tensors by name and shape, in the same order.
    pub fn same_shapes(&self, other: &Parameters) -> bool {
        let of = |weight: &Weight| (weight.name.clone(), weight.var.dims().to_vec());
        self.weights.iter().map(of).eq(other.weights.iter().map(of))
    }

    /// A copy of all values, each row-major, in order.
    ///
    /// # Errors
    /// A device that fails.
    pub fn values(&self) -> Result<Vec<Vec<f32>>> {
        self.weights.iter().map(|weight| weight.var.flatten_all()?.to_vec1::<f32>()).collect()
    }

    /// Sets all values, as [`Parameters::values`] gave them.
    ///
    /// # Errors
    /// Values of another network.
    pub fn set(&self, values: &[Vec<f32>]) -> Result<()> {
        if values.len() != self.weights.len() {
            bail!("{} tensors were given for {} weights", values.len(), self.weights.len());
        }
        for (weight, values) in self.weights.iter().zip(values) {
            if values.len() != weight.var.elem_count() {
                bail!("{} holds {} numbers, not {}", weight.name, weight.var.elem_count(), values.len());
            }
            weight.var.set(&Tensor::from_slice(values, weight.var.shape(), &Device::Cpu)?)?;
        }
        Ok(())
    }
}
