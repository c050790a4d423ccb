//! A fully connected layer.

use super::parameters::constant;
use super::program::{ProgramBuilder, Slot, View};
use super::{Parameters, Pass};
use crate::kernels::affine::affine;
use crate::onnx::{GraphBuilder, Value};
use candle_core::{Result, Tensor, Var};

/// `y = x W + b`, W `[inputs, outputs]`, b `[outputs]`.
#[derive(Clone, Debug)]
pub struct Linear {
    weight: Var,
    bias: Var,
}

impl Linear {
    /// How many numbers are trained.
    pub fn count(inputs: usize, outputs: usize) -> usize {
        inputs.saturating_add(1).saturating_mul(outputs)
    }

    /// Weights and bias uniform within 1 / sqrt(inputs), as in PyTorch.
    ///
    /// # Errors
    /// A device that cannot hold it.
    pub fn new(parameters: &mut Parameters, name: &str, inputs: usize, outputs: usize) -> Result<Self> {
        let bound = 1.0 / (inputs.max(1) as f64).sqrt();
        Ok(Linear {
            weight: parameters.add(&format!("{name}.weight"), (inputs, outputs), |_, u| bound * u)?,
            bias: parameters.add(&format!("{name}.bias"), outputs, |_, u| bound * u)?,
        })
    }

    /// x `[.., inputs]` -> `[.., outputs]`. All leading dimensions become rows of one product.
    ///
    /// # Errors
    /// A shape that does not fit.
    pub fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let mut shape = x.dims().to_vec();
        let inputs = shape.pop().unwrap_or_default();
        let rows: usize = shape.iter().product();
        let weight = pass.weight(&self.weight);
        shape.push(weight.dim(1)?);
        let x = x.reshape((rows, inputs))?;
        affine([&x, &weight, &pass.weight(&self.bias)], pass.precision(), pass.arena())?.reshape(shape)
    }

    /// The same for a device.
    ///
    /// # Errors
    /// A layer of another network.
    pub fn program(&self, program: &mut ProgramBuilder, x: View) -> Result<Slot> {
        let places = [program.place(&self.weight)?, program.place(&self.bias)?];
        Ok(program.linear(x, places, self.weight.dim(1)?, None))
    }

    /// The same in a graph.
    ///
    /// # Errors
    /// A device that fails.
    pub fn graph(&self, graph: &mut GraphBuilder, x: &Value) -> Result<Value> {
        let weight = constant(graph, "weight", &self.weight)?;
        let bias = constant(graph, "bias", &self.bias)?;
        Ok(graph.linear(x, [&weight, &bias]))
    }
}
