//! What a network is to the loop that trains it, and its evaluation.

use super::task::FitError;
use crate::kernels::arena::Arena;
use crate::nn::program::{ProgramBuilder, Slot};
use crate::nn::{Parameters, Pass};
use crate::onnx::{GraphBuilder, Value};
use crate::table::Windows;
use candle_core::Tensor;

/// Something whose weights can be trained.
pub trait Network: Send + Sync {
    /// Its weights.
    fn parameters(&self) -> &Parameters;

    /// x `[B, T, F]` -> outputs `[B, H * Q]`.
    ///
    /// # Errors
    /// A shape that does not fit.
    fn forward(&self, x: &Tensor, pass: &Pass) -> candle_core::Result<Tensor>;

    /// The same as steps for a device; the outputs `[1, H * Q]` of a window.
    ///
    /// # Errors
    /// A layer of another network.
    fn program(&self, program: &mut ProgramBuilder) -> candle_core::Result<Slot>;

    /// The forward pass of an evaluation in a graph: x `[B, T, F]` -> outputs `[B, H * Q]`, both f32; `shape` is `[T, F]`.
    ///
    /// # Errors
    /// A device that fails.
    fn graph(&self, graph: &mut GraphBuilder, x: &Value, shape: [usize; 2]) -> candle_core::Result<Value>;
}

/// Windows evaluated at once, always in the same chunks, so that a forecast never depends on memory or threads.
const EVALUATION_ROWS: usize = 512;

/// Outputs of all windows in order, chunk by chunk.
///
/// # Errors
/// Windows that do not fit, or what `take` returns.
pub fn evaluate(
    network: &dyn Network,
    windows: &Windows,
    arena: &Arena,
    mut take: impl FnMut(&[usize], Tensor) -> Result<(), FitError>,
) -> Result<(), FitError> {
    let pass = Pass::evaluation(arena);
    let all: Vec<usize> = (0..windows.len()).collect();
    for chunk in all.chunks(EVALUATION_ROWS) {
        take(chunk, network.forward(&windows.gather(chunk)?, &pass)?)?;
    }
    Ok(())
}
