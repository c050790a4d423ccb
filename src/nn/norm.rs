//! Layer normalisation.

use super::parameters::constant;
use super::program::{ProgramBuilder, Slot, View};
use super::{Parameters, Pass};
use crate::kernels::layer_norm::layer_norm;
use crate::kernels::norm_rows::EPSILON;
use crate::onnx::{GraphBuilder, Value};
use candle_core::{Result, Tensor, Var};

/// Normalises the last dimension, then scales and shifts it by learned numbers.
#[derive(Clone, Debug)]
pub struct LayerNorm {
    scale: Var,
    shift: Var,
}

impl LayerNorm {
    /// How many numbers are trained.
    pub fn count(width: usize) -> usize {
        width.saturating_mul(2)
    }

    /// Starts with scale 1 and shift 0.
    ///
    /// # Errors
    /// A device that cannot hold it.
    pub fn new(parameters: &mut Parameters, name: &str, width: usize) -> Result<Self> {
        Ok(LayerNorm {
            scale: parameters.add(&format!("{name}.scale"), width, |_, _| 1.0)?,
            shift: parameters.add(&format!("{name}.shift"), width, |_, _| 0.0)?,
        })
    }

    /// x `[.., width]` -> the same shape.
    ///
    /// # Errors
    /// A shape that does not fit.
    pub fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        layer_norm(x, &pass.weight(&self.scale), &pass.weight(&self.shift))
    }

    /// The same for a device.
    ///
    /// # Errors
    /// A layer of another network.
    pub fn program(&self, program: &mut ProgramBuilder, x: View) -> Result<Slot> {
        let places = [program.place(&self.scale)?, program.place(&self.shift)?];
        Ok(program.norm(x, places))
    }

    /// The same in a graph.
    ///
    /// # Errors
    /// A device that fails.
    pub fn graph(&self, graph: &mut GraphBuilder, x: &Value) -> Result<Value> {
        let scale = constant(graph, "scale", &self.scale)?;
        let shift = constant(graph, "shift", &self.shift)?;
        Ok(graph.layer_norm(x, [&scale, &shift], EPSILON))
    }
}
