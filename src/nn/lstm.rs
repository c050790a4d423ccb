//! LSTM layers on top of each other.

use super::program::{ProgramBuilder, Slot};
use super::{Parameters, Pass};
use crate::kernels::instructions::Instructions;
use crate::kernels::lstm_sequence::{LstmSettings, Outputs, lane_blocks, lstm_sequence};
use crate::onnx::{AttributeProto, GraphBuilder, TensorData, Value};
use candle_core::{Result, Tensor, Var};

/// Layers of an LSTM; each reads the outputs of the one below at every step. See [`crate::kernels::lstm_sequence`] for
/// the formula and the order of the gates.
#[derive(Debug)]
pub struct LstmStack {
    layers: Vec<Layer>,
    dropout: f64,
}

#[derive(Debug)]
struct Layer {
    /// `[1 + I + H, 4H]`
    weight: Var,
    site: String,
}

impl LstmStack {
    /// How many numbers are trained.
    pub fn count(inputs: usize, hidden: &[usize]) -> usize {
        let inputs = std::iter::once(inputs).chain(hidden.iter().copied());
        let layer = |(inputs, units): (usize, &usize)| {
            inputs.saturating_add(*units).saturating_add(1).saturating_mul(units.saturating_mul(4))
        };
        inputs.zip(hidden).map(layer).fold(0, usize::saturating_add)
    }

    /// `hidden` holds the units of each layer. Weights and biases are uniform within 1 / sqrt(hidden), as in PyTorch,
    /// but the bias of the forget gate starts at 1, so that a new network remembers (Jozefowicz et al. 2015).
    /// `dropout` acts on the outputs of every layer, the last one's included.
    ///
    /// # Errors
    /// A device that cannot hold it.
    pub fn new(
        parameters: &mut Parameters,
        name: &str,
        inputs: usize,
        hidden: &[usize],
        dropout: f64,
    ) -> Result<Self> {
        let mut layers = Vec::with_capacity(hidden.len());
        let mut inputs = inputs;
        for (index, units) in hidden.iter().copied().enumerate() {
            let bound = 1.0 / (units as f64).sqrt();
            let forget_bias = units..2 * units;
            let weight = parameters.add(
                &format!("{name}.{index}.weight"),
                (1 + inputs + units, 4 * units),
                |k, u| {
                    // Row 0 holds the bias, so its elements are numbered by their column.
                    if forget_bias.contains(&k) { 1.0 } else { bound * u }
                },
            )?;
            let site = format!("dropout after {name}.{index}");
            layers.push(Layer { weight, site });
            inputs = units;
        }
        Ok(LstmStack { layers, dropout })
    }

    /// x `[B, T, F]` -> the last layer's output at the last step, `[B, H]`.
    ///
    /// # Errors
    /// A shape that does not fit.
    pub fn forward(&self, x: &Tensor, pass: &Pass) -> Result<Tensor> {
        let mut sequence = lane_blocks(x)?;
        for (index, layer) in self.layers.iter().enumerate() {
            let last = index + 1 == self.layers.len();
            let settings = LstmSettings {
                batch: x.dim(0)?,
                outputs: if last { Outputs::Last } else { Outputs::Every },
                dropout: pass.dropout_at(self.dropout, &layer.site),
                precision: pass.precision(),
                arena: pass.arena().clone(),
                instructions: Instructions::widest(),
            };
            sequence = lstm_sequence(&sequence, &pass.weight(&layer.weight), &settings)?;
        }
        Ok(sequence)
    }

    /// The same for a device.
    ///
    /// # Errors
    /// A layer of another network.
    pub fn program(&self, program: &mut ProgramBuilder, x: Slot) -> Result<Slot> {
        let mut sequence = x;
        for (index, layer) in self.layers.iter().enumerate() {
            let (every, hidden) = (index + 1 < self.layers.len(), layer.weight.dim(1)? / 4);
            let place = program.place(&layer.weight)?;
            sequence = program.lstm(sequence, place, hidden, every, (self.dropout, &layer.site));
        }
        Ok(sequence)
    }

    /// The same in a graph, one `LSTM` a layer.
    ///
    /// # Errors
    /// A device that fails.
    pub fn graph(&self, graph: &mut GraphBuilder, x: &Value) -> Result<Value> {
        let mut sequence = graph.transpose(x, &[1, 0, 2]);
        for (index, layer) in self.layers.iter().enumerate() {
            let last = index + 1 == self.layers.len();
            sequence = graph.within(&format!("lstm.{index}"), |graph| layer.graph(graph, &sequence, last))?;
        }
        Ok(sequence)
    }
}

impl Layer {
    /// x `[T, B, I]` -> `[T, B, H]`, or of the last step alone `[B, H]`.
    fn graph(&self, graph: &mut GraphBuilder, x: &Value, last: bool) -> Result<Value> {
        let (rows, columns) = self.weight.dims2()?;
        let (units, inputs) = (columns / 4, rows - 1 - columns / 4);
        let weight = self.weight.flatten_all()?.to_vec1::<f32>()?;
        let (bias, weight) = weight.split_at(columns);
        let (of_inputs, recurrent) = weight.split_at(inputs * columns);
        // ONNX adds a second bias, to the recurrent product.
        let mut biases = gates_first(bias, units);
        biases.resize(2 * columns, 0.0);
        let mut constant =
            |name, shape: &[usize], values| graph.constant(name, shape, TensorData::Floats(values));
        let w = constant("W", &[1, columns, inputs], gates_first(of_inputs, units));
        let r = constant("R", &[1, columns, units], gates_first(recurrent, units));
        let b = constant("B", &[1, 2 * columns], biases);
        let attributes = vec![AttributeProto::integer("hidden_size", units as i64)];
        // The outputs are `[T, directions, B, H]` of all steps and `[directions, B, H]` of the last one.
        let (output, directions) = if last { (1, 0) } else { (0, 1) };
        let outputs = graph.node_output("LSTM", &[x, &w, &r, &b], attributes, output);
        Ok(graph.squeeze(&outputs, directions))
    }
}

/// Rows `[rows, 4H]` whose columns are the gates i f g o, as ONNX has them: `[4H, rows]` with the gates i o f c.
fn gates_first(rows: &[f32], units: usize) -> Vec<f32> {
    let columns = [0, 3, 1, 2].into_iter().flat_map(|gate| gate * units..(gate + 1) * units);
    columns.flat_map(|column| rows.iter().skip(column).step_by(4 * units).copied()).collect()
}
