//! LSTM layers on top of each other.

use super::{Parameters, Pass};
use crate::kernels::instructions::Instructions;
use crate::kernels::lstm_sequence::{LstmSettings, Outputs, lane_blocks, lstm_sequence};
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
}
