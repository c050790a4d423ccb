//! One LSTM layer over a whole sequence, forward and backward.
//!
//! With `i f g o` the input, forget, cell and output gate, in this order along `4H`, and h and c zero before the first
//! step (Hochreiter and Schmidhuber 1997; Gers, Schmidhuber and Cummins 2000):
//!
//! ```text
//! [i f g o] = [1, x(t), h(t-1)] W          W [1 + I + H, 4H]: bias, input weights, recurrent weights
//! c(t) = sigmoid(f) c(t-1) + sigmoid(i) tanh(g)
//! h(t) = sigmoid(o) tanh(c(t))
//! ```
//!
//! Windows lie side by side in the lanes of vectors: a sequence is `[blocks, T, features, 32]`, window b in lane b % 32 of
//! block b / 32, and [`lane_blocks`] brings a batch there. Lanes without a window hold zeros in the input; what they hold
//! behind a layer means nothing, and the gradient that comes for them must be zero, as it is behind these operations. A
//! window's output depends on no other window, in no bit.
//!
//! With [`Precision::Bf16`] the factors of all matrix products, those of the gradients included, are rounded to bf16 and
//! summed in f32; everything else is f32. [`composed`] is the f32 layer in ordinary tensor operations: the
//! specification.

use super::arena::Arena;
use super::dropout::Dropout;
use super::instructions::Instructions;
use super::lstm_paths::{BackwardWork, ForwardWork, KeptBuffers, Path, backward, forward};
pub use super::lstm_vectors::LANES;
use super::lstm_weights::LayerShape;
use super::precision::Precision;
use candle_core::{CpuStorage, CustomOp1, CustomOp2, D, Layout, Result, Shape, Storage, Tensor, bail};
use std::sync::{Mutex, PoisonError};

/// Which steps' outputs a layer gives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outputs {
    /// All, as `[blocks, T, H, 32]`: for the next layer.
    Every,
    /// The last step's, as `[B, H]`.
    Last,
}

/// What a layer is told besides its tensors.
#[derive(Clone, Debug)]
pub struct LstmSettings {
    /// Windows in the batch, padding lanes not counted.
    pub batch: usize,
    /// Which outputs are wanted.
    pub outputs: Outputs,
    /// Of the outputs that are given; the next step sees the others. An element's number is its position in the output
    /// `[blocks, T, H, 32]`, or `[blocks, H, 32]` of the last step alone.
    pub dropout: Option<Dropout>,
    /// Of the products' factors.
    pub precision: Precision,
    /// Where buffers come from.
    pub arena: Arena,
    /// The instructions to use, where the processor knows them.
    pub instructions: Instructions,
}

/// x `[B, T, F]` -> `[blocks, T, F, 32]`.
///
/// # Errors
/// Another shape or type.
pub fn lane_blocks(x: &Tensor) -> Result<Tensor> {
    x.dims3()?;
    x.contiguous()?.apply_op1(LaneBlocks)
}

/// Runs one layer: x `[blocks, T, I, 32]`, weight `[1 + I + H, 4H]`, result as the settings say.
///
/// # Errors
/// Shapes that do not fit, another type than f32.
pub fn lstm_sequence(x: &Tensor, weight: &Tensor, settings: &LstmSettings) -> Result<Tensor> {
    let shape = layer_shape(x, weight, settings)?;
    let goes_back = x.track_op() || weight.track_op();
    let op = LstmSequence { shape, settings: settings.clone(), goes_back, kept: Mutex::default() };
    x.contiguous()?.apply_op2(&weight.contiguous()?, op)
}

/// The specification of [`lstm_sequence`] in f32, step by step in ordinary tensor operations.
///
/// # Errors
/// As [`lstm_sequence`].
pub fn composed(x: &Tensor, weight: &Tensor, settings: &LstmSettings) -> Result<Tensor> {
    let shape = layer_shape(x, weight, settings)?;
    let LayerShape { steps, batch, inputs, hidden } = shape;
    let rows = shape.blocks() * LANES;
    let bias = weight.narrow(0, 0, 1)?;
    let input_weight = weight.narrow(0, 1, inputs)?;
    let recurrent_weight = weight.narrow(0, 1 + inputs, hidden)?;
    let mut h = Tensor::zeros((rows, hidden), x.dtype(), x.device())?;
    let mut c = h.clone();
    let mut outputs = Vec::with_capacity(steps);
    for t in 0..steps {
        let now = x.narrow(1, t, 1)?.squeeze(1)?.transpose(1, 2)?.reshape((rows, inputs))?;
        let product = (now.matmul(&input_weight)? + h.matmul(&recurrent_weight)?)?;
        let gates = product.broadcast_add(&bias)?.chunk(4, D::Minus1)?;
        let input = candle_nn::ops::sigmoid(&gates[0])?;
        let forget = candle_nn::ops::sigmoid(&gates[1])?;
        let open = candle_nn::ops::sigmoid(&gates[3])?;
        c = ((forget * c)? + (input * gates[2].tanh()?)?)?;
        h = (open * c.tanh()?)?;
        outputs.push(h.reshape((shape.blocks(), LANES, hidden))?.transpose(1, 2)?);
    }
    let output = match settings.outputs {
        Outputs::Every => Tensor::stack(&outputs, 1)?,
        Outputs::Last => outputs.swap_remove(steps - 1).contiguous()?,
    };
    let output = match settings.dropout {
        None => output,
        Some(dropout) => {
            let keeps = |element| if dropout.keeps(element) { dropout.scale() } else { 0.0 };
            let mask: Vec<f32> = (0..output.elem_count() as u64).map(keeps).collect();
            (&output * Tensor::from_vec(mask, output.shape(), output.device())?)?
        }
    };
    match settings.outputs {
        Outputs::Every => Ok(output),
        Outputs::Last => output.transpose(1, 2)?.reshape((rows, hidden))?.narrow(0, 0, batch),
    }
}

fn layer_shape(x: &Tensor, weight: &Tensor, settings: &LstmSettings) -> Result<LayerShape> {
    let (blocks, steps, inputs, lanes) = x.dims4()?;
    let (rows, columns) = weight.dims2()?;
    let (hidden, batch) = (columns / 4, settings.batch);
    if columns % 4 != 0 || hidden == 0 || rows != 1 + inputs + hidden || steps == 0 || inputs == 0 {
        bail!("LSTM weight {rows}x{columns} does not fit an input of {steps} steps, {inputs} columns");
    }
    if lanes != LANES || batch == 0 || blocks != batch.div_ceil(LANES) {
        bail!("{batch} windows are not {blocks} blocks of {lanes} lanes");
    }
    Ok(LayerShape { steps, batch, inputs, hidden })
}

/// The numbers of a contiguous f32 tensor.
pub(super) fn floats<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => bail!("a kernel was given a tensor that is not contiguous"),
    }
}

/// `[B, width]` -> `[blocks, width, 32]`, zeros in lanes without a row.
fn into_lanes(rows: &[f32], width: usize) -> Vec<f32> {
    let batch = rows.len() / width;
    let mut result = vec![0.0; batch.div_ceil(LANES) * LANES * width];
    for (rows, block) in rows.chunks(LANES * width).zip(result.chunks_exact_mut(LANES * width)) {
        for (lane, row) in rows.chunks_exact(width).enumerate() {
            for (lanes, value) in block.chunks_exact_mut(LANES).zip(row) {
                lanes[lane] = *value;
            }
        }
    }
    result
}

/// `[blocks, width, 32]` -> `[B, width]`.
fn from_lanes(blocks: &[f32], width: usize, batch: usize) -> Vec<f32> {
    let mut result = vec![0.0; batch * width];
    for (rows, block) in result.chunks_mut(LANES * width).zip(blocks.chunks_exact(LANES * width)) {
        for (lane, row) in rows.chunks_exact_mut(width).enumerate() {
            for (value, lanes) in row.iter_mut().zip(block.chunks_exact(LANES)) {
                *value = lanes[lane];
            }
        }
    }
    result
}

struct LaneBlocks;

impl CustomOp1 for LaneBlocks {
    fn name(&self) -> &'static str {
        "lane-blocks"
    }

    fn cpu_fwd(&self, x: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let (batch, steps, features) = layout.shape().dims3()?;
        let blocks = into_lanes(floats(x, layout)?, steps * features);
        Ok((CpuStorage::F32(blocks), (batch.div_ceil(LANES), steps, features, LANES).into()))
    }

    fn bwd(&self, x: &Tensor, _blocks: &Tensor, gradient: &Tensor) -> Result<Option<Tensor>> {
        let (batch, steps, features) = x.dims3()?;
        let gradient = gradient.contiguous()?;
        let (storage, layout) = gradient.storage_and_layout();
        let Storage::Cpu(storage) = &*storage else {
            bail!("a batch was on the CPU but its gradient is elsewhere")
        };
        let rows = from_lanes(floats(storage, layout)?, steps * features, batch);
        Tensor::from_vec(rows, x.shape(), x.device()).map(Some)
    }
}

struct LstmSequence {
    shape: LayerShape,
    settings: LstmSettings,
    /// Whether a backward pass may come.
    goes_back: bool,
    /// From the forward to the backward pass.
    kept: Mutex<Option<KeptBuffers>>,
}

impl LstmSequence {
    fn path(&self) -> Path {
        Path::new(self.settings.instructions, self.settings.precision)
    }

    /// A poisoned lock only means that another thread panicked while it held plain numbers.
    fn take_kept(&self) -> Option<KeptBuffers> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

impl Drop for LstmSequence {
    fn drop(&mut self) {
        if let Some(kept) = self.take_kept() {
            kept.give_back(&self.settings.arena);
        }
    }
}

impl CustomOp2 for LstmSequence {
    fn name(&self) -> &'static str {
        "lstm-sequence"
    }

    fn cpu_fwd(
        &self,
        x: &CpuStorage,
        x_layout: &Layout,
        weight: &CpuStorage,
        weight_layout: &Layout,
    ) -> Result<(CpuStorage, Shape)> {
        let (x, weight) = (floats(x, x_layout)?, floats(weight, weight_layout)?);
        let LayerShape { steps, batch, hidden, .. } = self.shape;
        let LstmSettings { outputs, dropout, arena, .. } = &self.settings;
        let steps_out = if *outputs == Outputs::Every { steps } else { 1 };
        let mut output = vec![0.0; self.shape.blocks() * steps_out * hidden * LANES];
        let work = ForwardWork {
            path: self.path(),
            shape: self.shape,
            weight,
            x,
            output: &mut output,
            dropout: *dropout,
            arena,
        };
        let kept = forward(work, self.goes_back);
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = kept;
        Ok(match outputs {
            Outputs::Every => (CpuStorage::F32(output), (self.shape.blocks(), steps, hidden, LANES).into()),
            Outputs::Last => (CpuStorage::F32(from_lanes(&output, hidden, batch)), (batch, hidden).into()),
        })
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let Some(kept) = self.take_kept() else {
            bail!("the LSTM layer can go backward once for each forward pass");
        };
        let LstmSettings { outputs, dropout, arena, .. } = &self.settings;
        let mut of_weight = vec![0.0; self.shape.weights()];
        let mut of_x = if x.track_op() { vec![0.0; x.elem_count()] } else { Vec::new() };
        {
            let gradient = gradient.contiguous()?;
            let (gradient, gradient_layout) = gradient.storage_and_layout();
            let (weight, weight_layout) = weight.storage_and_layout();
            let (x, x_layout) = x.storage_and_layout();
            let (Storage::Cpu(gradient), Storage::Cpu(weight), Storage::Cpu(x)) = (&*gradient, &*weight, &*x)
            else {
                bail!("the LSTM layer ran on the CPU but its gradient is elsewhere");
            };
            let gradient = floats(gradient, gradient_layout)?;
            let blocked = (*outputs == Outputs::Last).then(|| into_lanes(gradient, self.shape.hidden));
            backward(BackwardWork {
                path: self.path(),
                shape: self.shape,
                weight: floats(weight, weight_layout)?,
                x: floats(x, x_layout)?,
                of_output: blocked.as_deref().unwrap_or(gradient),
                kept: &kept,
                of_x: &mut of_x,
                of_weight: &mut of_weight,
                dropout: *dropout,
                arena,
            });
        }
        kept.give_back(arena);
        let of_weight = Tensor::from_vec(of_weight, weight.shape(), weight.device())?;
        let of_x = if x.track_op() { Some(Tensor::from_vec(of_x, x.shape(), x.device())?) } else { None };
        Ok((of_x, Some(of_weight)))
    }
}
