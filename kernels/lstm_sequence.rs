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
//! Bias, input and state are stacked into one operand `z`, so a step is one matrix product, and the gradient of all
//! weights is one product over all steps and rows. Tensors are time-major, hence each step's rows are contiguous.
//!
//! [`composed`] is the same in ordinary tensor operations: the specification in the tests, and what runs on devices
//! that have no kernel yet.

use super::gates::{BackwardStep, ForwardStep, backward_step, forward_step};
use super::matrix::{Matrix, MatrixMut, Target, multiply};
use candle_core::{CpuStorage, CustomOp2, D, Device, Layout, Result, Shape, Tensor, bail};
use std::sync::{Arc, Mutex, PoisonError};

/// The buffers of one layer, kept from step to step so that training allocates them once.
#[derive(Clone, Debug, Default)]
pub struct Workspace(Arc<Mutex<Option<Buffers>>>);

/// What the backward pass needs of the forward pass.
#[derive(Debug, Default)]
struct Buffers {
    /// `[T, B, 1 + I + H]`
    stacked: Vec<f32>,
    /// `[T, B, 4H]`: activated gates; gradients of the pre-activations after the backward pass.
    gates: Vec<f32>,
    /// `[T + 1, B, H]`
    cells: Vec<f32>,
    /// `[T, B, H]`
    cell_tanh: Vec<f32>,
    /// `[1 + I + H, 4H]`: the weights with the cell gate doubled.
    doubled: Vec<f32>,
    /// `[4H, I + H]`: the weights without bias, transposed.
    transposed: Vec<f32>,
}

/// Runs one layer: x `[T, B, I]`, weight `[1 + I + H, 4H]`, result h `[T, B, H]`.
///
/// # Errors
/// Shapes that do not fit, or another type than f32.
pub fn lstm_sequence(x: &Tensor, weight: &Tensor, workspace: &Workspace) -> Result<Tensor> {
    let shape = SequenceShape::of(x, weight)?;
    if !matches!(x.device(), Device::Cpu) {
        return composed(x, weight);
    }
    let op = LstmSequence { shape, workspace: workspace.clone(), saved: Mutex::default() };
    x.contiguous()?.apply_op2(&weight.contiguous()?, op)
}

/// The specification of [`lstm_sequence`], step by step in ordinary tensor operations.
///
/// # Errors
/// As [`lstm_sequence`].
pub fn composed(x: &Tensor, weight: &Tensor) -> Result<Tensor> {
    let SequenceShape { steps, batch, inputs, hidden } = SequenceShape::of(x, weight)?;
    let bias = weight.narrow(0, 0, 1)?;
    let input_weight = weight.narrow(0, 1, inputs)?;
    let recurrent_weight = weight.narrow(0, 1 + inputs, hidden)?;
    let mut h = Tensor::zeros((batch, hidden), x.dtype(), x.device())?;
    let mut c = h.clone();
    let mut outputs = Vec::with_capacity(steps);
    for t in 0..steps {
        let product = (x.get(t)?.matmul(&input_weight)? + h.matmul(&recurrent_weight)?)?;
        let gates = product.broadcast_add(&bias)?.chunk(4, D::Minus1)?;
        let input = candle_nn::ops::sigmoid(&gates[0])?;
        let forget = candle_nn::ops::sigmoid(&gates[1])?;
        let open = candle_nn::ops::sigmoid(&gates[3])?;
        c = ((forget * c)? + (input * gates[2].tanh()?)?)?;
        h = (open * c.tanh()?)?;
        outputs.push(h.clone());
    }
    Tensor::stack(&outputs, 0)
}

#[derive(Clone, Copy, Debug)]
struct SequenceShape {
    steps: usize,
    batch: usize,
    inputs: usize,
    hidden: usize,
}

impl SequenceShape {
    fn of(x: &Tensor, weight: &Tensor) -> Result<Self> {
        let (steps, batch, inputs) = x.dims3()?;
        let (rows, columns) = weight.dims2()?;
        let hidden = columns / 4;
        if columns % 4 != 0 || hidden == 0 || rows != 1 + inputs + hidden || steps == 0 || batch == 0 {
            bail!(
                "LSTM weight {rows}x{columns} does not fit an input of {steps} steps, {batch} rows, {inputs} columns"
            );
        }
        Ok(SequenceShape { steps, batch, inputs, hidden })
    }

    /// 1 + I + H.
    fn stacked(self) -> usize {
        1 + self.inputs + self.hidden
    }
}

struct LstmSequence {
    shape: SequenceShape,
    workspace: Workspace,
    saved: Mutex<Option<Buffers>>,
}

/// A poisoned lock only means that another thread panicked while it held plain numbers that are overwritten next.
fn take(slot: &Mutex<Option<Buffers>>) -> Option<Buffers> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

fn put(slot: &Mutex<Option<Buffers>>, buffers: Buffers) {
    *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(buffers);
}

impl Drop for LstmSequence {
    fn drop(&mut self) {
        if let Some(buffers) = take(&self.saved) {
            put(&self.workspace.0, buffers);
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
        let SequenceShape { steps, batch, hidden, .. } = self.shape;
        let mut buffers = take(&self.workspace.0).unwrap_or_default();
        let mut output = vec![0.0; steps * batch * hidden];
        forward(self.shape, x, weight, &mut buffers, &mut output);
        put(&self.saved, buffers);
        Ok((CpuStorage::F32(output), (steps, batch, hidden).into()))
    }

    fn bwd(
        &self,
        x: &Tensor,
        weight: &Tensor,
        _output: &Tensor,
        gradient: &Tensor,
    ) -> Result<(Option<Tensor>, Option<Tensor>)> {
        let SequenceShape { steps, batch, inputs, hidden } = self.shape;
        let Some(mut buffers) = take(&self.saved) else {
            bail!("the LSTM layer can go backward once for each forward pass");
        };
        let mut of_weight = vec![0.0; self.shape.stacked() * 4 * hidden];
        let mut of_x = if x.track_op() { Some(vec![0.0; steps * batch * inputs]) } else { None };
        {
            let gradient = gradient.contiguous()?;
            let (gradient, gradient_layout) = gradient.storage_and_layout();
            let (weight, weight_layout) = weight.storage_and_layout();
            let (candle_core::Storage::Cpu(gradient), candle_core::Storage::Cpu(weight)) =
                (&*gradient, &*weight)
            else {
                bail!("the LSTM layer ran on the CPU but its gradient is elsewhere");
            };
            let (gradient, weight) = (floats(gradient, gradient_layout)?, floats(weight, weight_layout)?);
            backward(self.shape, weight, gradient, &mut buffers, (&mut of_weight, of_x.as_deref_mut()));
        }
        put(&self.workspace.0, buffers);
        let of_weight = Tensor::from_vec(of_weight, weight.shape(), weight.device())?;
        let of_x = of_x.map(|values| Tensor::from_vec(values, x.shape(), x.device())).transpose()?;
        Ok((of_x, Some(of_weight)))
    }
}

/// The numbers of a contiguous f32 tensor.
pub(super) fn floats<'a>(storage: &'a CpuStorage, layout: &Layout) -> Result<&'a [f32]> {
    match layout.contiguous_offsets() {
        Some((start, end)) => Ok(&storage.as_slice::<f32>()?[start..end]),
        None => bail!("a kernel was given a tensor that is not contiguous"),
    }
}

/// Brings a buffer to its size; every element is overwritten before it is read, so old numbers may stay.
fn resize(buffer: &mut Vec<f32>, length: usize) {
    if buffer.len() != length {
        buffer.clear();
        buffer.resize(length, 0.0);
    }
}

fn forward(shape: SequenceShape, x: &[f32], weight: &[f32], buffers: &mut Buffers, output: &mut [f32]) {
    let SequenceShape { steps, batch, inputs, hidden } = shape;
    let (stacked, state) = (shape.stacked(), batch * hidden);
    resize(&mut buffers.stacked, steps * batch * stacked);
    resize(&mut buffers.gates, steps * 4 * state);
    resize(&mut buffers.cells, (steps + 1) * state);
    resize(&mut buffers.cell_tanh, steps * state);
    buffers.cells[..state].fill(0.0);
    double_cell_gate(weight, hidden, &mut buffers.doubled);
    for (row, x) in buffers.stacked.chunks_exact_mut(stacked).zip(x.chunks_exact(inputs)) {
        row[0] = 1.0;
        row[1..=inputs].copy_from_slice(x);
    }
    for row in buffers.stacked[..batch * stacked].chunks_exact_mut(stacked) {
        row[1 + inputs..].fill(0.0);
    }
    let doubled = Matrix::new(&buffers.doubled, stacked, 4 * hidden, 4 * hidden);
    for t in 0..steps {
        let (now, later) = buffers.stacked[t * batch * stacked..].split_at_mut(batch * stacked);
        let gates = &mut buffers.gates[t * 4 * state..(t + 1) * 4 * state];
        multiply(
            MatrixMut::new(gates, batch, 4 * hidden, 4 * hidden),
            Matrix::new(now, batch, stacked, stacked),
            doubled,
            Target::Replaced,
        );
        let (cells_before, cells_after) = buffers.cells.split_at_mut((t + 1) * state);
        let output = &mut output[t * state..(t + 1) * state];
        forward_step(ForwardStep {
            hidden,
            gates,
            cell_before: &cells_before[t * state..],
            cell: &mut cells_after[..state],
            cell_tanh: &mut buffers.cell_tanh[t * state..(t + 1) * state],
            output,
        });
        // After the last step `later` is empty and nothing is copied.
        for (row, h) in later.chunks_exact_mut(stacked).zip(output.chunks_exact(hidden)) {
            row[1 + inputs..].copy_from_slice(h);
        }
    }
}

/// Doubling is exact, so tanh(x) = 2 sigmoid(2x) - 1 costs no rounding here.
fn double_cell_gate(weight: &[f32], hidden: usize, doubled: &mut Vec<f32>) {
    doubled.clear();
    doubled.extend_from_slice(weight);
    for row in doubled.chunks_exact_mut(4 * hidden) {
        for value in &mut row[2 * hidden..3 * hidden] {
            *value *= 2.0;
        }
    }
}

/// Writes the gradient of the weight, and that of x where it is asked for (the first layer's input needs none).
fn backward(
    shape: SequenceShape,
    weight: &[f32],
    gradient: &[f32],
    buffers: &mut Buffers,
    (of_weight, mut of_x): (&mut [f32], Option<&mut [f32]>),
) {
    let SequenceShape { steps, batch, inputs, hidden } = shape;
    let state = batch * hidden;
    // Rows of the weight that pass a gradient on: those of the state, and those of x where it wants one.
    let passed_inputs = if of_x.is_some() { inputs } else { 0 };
    let passed = passed_inputs + hidden;
    transpose(
        &weight[(shape.stacked() - passed) * 4 * hidden..],
        passed,
        4 * hidden,
        &mut buffers.transposed,
    );
    let transposed = Matrix::new(&buffers.transposed, 4 * hidden, passed, passed);
    let mut back = vec![0.0; batch * passed];
    let mut of_output = vec![0.0; state];
    let mut of_cell = vec![0.0; state];
    for t in (0..steps).rev() {
        let rows = of_output.chunks_exact_mut(hidden).zip(gradient[t * state..].chunks_exact(hidden));
        for ((sum, above), later) in rows.zip(back.chunks_exact(passed)) {
            for ((sum, above), later) in sum.iter_mut().zip(above).zip(&later[passed_inputs..]) {
                *sum = above + later;
            }
        }
        let gates = &mut buffers.gates[t * 4 * state..(t + 1) * 4 * state];
        backward_step(BackwardStep {
            hidden,
            gates,
            cell_before: &buffers.cells[t * state..(t + 1) * state],
            cell_tanh: &buffers.cell_tanh[t * state..(t + 1) * state],
            output_gradient: &of_output,
            cell_gradient: &mut of_cell,
        });
        if t == 0 && of_x.is_none() {
            break;
        }
        multiply(
            MatrixMut::new(&mut back, batch, passed, passed),
            Matrix::new(gates, batch, 4 * hidden, 4 * hidden),
            transposed,
            Target::Replaced,
        );
        if let Some(of_x) = &mut of_x {
            let rows = of_x[t * batch * inputs..(t + 1) * batch * inputs].chunks_exact_mut(inputs);
            for (row, back) in rows.zip(back.chunks_exact(passed)) {
                row.copy_from_slice(&back[..inputs]);
            }
        }
    }
    multiply(
        MatrixMut::new(of_weight, shape.stacked(), 4 * hidden, 4 * hidden),
        Matrix::new(&buffers.stacked, steps * batch, shape.stacked(), shape.stacked()).transposed(),
        Matrix::new(&buffers.gates, steps * batch, 4 * hidden, 4 * hidden),
        Target::Replaced,
    );
}

fn transpose(source: &[f32], rows: usize, columns: usize, result: &mut Vec<f32>) {
    resize(result, rows * columns);
    for (row, values) in source.chunks_exact(columns).take(rows).enumerate() {
        for (column, value) in values.iter().enumerate() {
            result[column * rows + row] = *value;
        }
    }
}
