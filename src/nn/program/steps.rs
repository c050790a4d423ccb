//! A program's steps as launches, forward in their order and backward against it.

use super::machine::{Batch, Machine};
use super::{Layout, PositionSource, Slot, Step, View};
use crate::kernels::attention::AttentionShape;
use crate::kernels::gpu::{Address, GpuError};
use crate::kernels::lstm_sequence::Outputs;
use crate::kernels::population::{DropoutSite, Rows};
use crate::kernels::population_attention::{AttentionGradients, PopulationAttention};
use crate::kernels::population_gather::{WindowShape, scale_rows};
use crate::kernels::population_linear::PopulationLinear;
use crate::kernels::population_lstm::{LstmBuffers, LstmPath, PopulationLstm};
use crate::kernels::population_norm::{NormGradients, PopulationNorm};
use crate::kernels::population_rows::PopulationRows;
use crate::nn::Normalisation;

type Result<T> = std::result::Result<T, GpuError>;

/// One pass over a batch.
struct Walk<'m> {
    machine: &'m Machine,
    layout: &'m Layout,
    batch: &'m Batch,
    /// `[slot]`: whether its gradient holds a part of the sum already.
    written: Vec<bool>,
}

impl Machine {
    /// Runs all steps on the windows in the first slot; `keep` says whether a backward pass may follow.
    ///
    /// # Errors
    /// A device that fails.
    pub fn forward(&self, layout: &Layout, batch: &Batch, keep: bool) -> Result<()> {
        let walk = Walk { machine: self, layout, batch, written: Vec::new() };
        self.program.steps.iter().try_for_each(|step| walk.forward(step, keep))
    }

    /// Runs all steps backward from the gradient of the output, after a forward pass that kept; adds to the gradients of the
    /// weights.
    ///
    /// # Errors
    /// A device that fails.
    pub fn backward(&self, layout: &Layout, batch: &Batch) -> Result<()> {
        let mut written = vec![false; self.program.slots.len()];
        written[self.program.output.index] = true;
        let mut walk = Walk { machine: self, layout, batch, written };
        self.program.steps.iter().rev().try_for_each(|step| walk.backward(step))
    }
}

impl Walk<'_> {
    fn place(&self, slot: Slot) -> Address {
        self.machine.address(self.layout, slot)
    }

    fn gradient(&self, slot: Slot) -> Address {
        self.machine.gradient_address(self.layout, slot)
    }

    fn has_gradient(&self, slot: Slot) -> bool {
        self.gradient(slot) != Address::NONE
    }

    fn rows(&self, view: View) -> Rows {
        self.layout.rows(self.place(view.slot), view)
    }

    fn gradient_rows(&self, view: View) -> Rows {
        self.layout.rows(self.gradient(view.slot), view)
    }

    /// Whether what is about to be written to the gradient of these rows must be added to what is there. Rows of a slot that
    /// nobody writes get a gradient of 0.
    fn adds(&mut self, view: View) -> Result<bool> {
        let before = std::mem::replace(&mut self.written[view.slot.index], true);
        if before || view.is_whole() {
            return Ok(before);
        }
        self.machine.gpu.clear(self.gradient(view.slot), self.layout.size(view.slot))?;
        Ok(true)
    }

    /// Rows of a member in a view.
    fn count(&self, view: View) -> usize {
        self.layout.windows * view.rows()
    }

    fn linear(&self, rows: usize, inputs: usize, outputs: usize) -> PopulationLinear {
        let (population, precision) = (self.layout.population, self.batch.precision);
        PopulationLinear { population, rows, inputs, outputs, precision }
    }

    fn row_steps(&self, rows: usize, width: usize) -> PopulationRows {
        PopulationRows { population: self.layout.population, rows, width }
    }

    fn norm(&self, y: Slot, [scale, shift]: [usize; 2]) -> PopulationNorm {
        PopulationNorm {
            population: self.layout.population,
            rows: self.count(y.view()),
            width: y.width,
            scale: self.machine.weight(scale, y.width),
            shift: self.machine.weight(shift, y.width),
        }
    }

    fn site(&self, site: usize) -> DropoutSite {
        self.machine.site(self.batch, site)
    }

    fn lstm(&self, cells: Slot, y: Slot, site: usize) -> PopulationLstm {
        PopulationLstm {
            population: self.layout.population,
            windows: self.layout.windows,
            steps: cells.rows,
            hidden: cells.width,
            outputs: if y.rows == cells.rows && cells.rows > 1 { Outputs::Every } else { Outputs::Last },
            precision: self.batch.precision,
            dropout: self.site(site),
            path: LstmPath::Chosen,
        }
    }

    fn lstm_buffers(&self, weight: usize, slots: [Slot; 4], inputs: usize) -> LstmBuffers {
        let [gates, cells, before, y] = slots;
        LstmBuffers {
            gates: self.place(gates),
            recurrent: self.machine.weight(weight + (1 + inputs) * gates.width, gates.width),
            cells: self.place(cells),
            before: self.place(before),
            output: self.place(y),
        }
    }

    fn attention(&self, step: &Step) -> Option<PopulationAttention> {
        let Step::Attention { qkv, length, first, heads, causal, y, .. } = step else { return None };
        let (length, first, heads, causal) = (*length, *first, *heads, *causal);
        let precision = self.batch.precision;
        let shape = AttentionShape { length, first, heads, width: y.width, causal, precision };
        let windows = self.layout.windows * (qkv.rows / length);
        Some(PopulationAttention { population: self.layout.population, windows, shape })
    }

    fn forward(&self, step: &Step, keep: bool) -> Result<()> {
        let (gpu, machine) = (&self.machine.gpu, self.machine);
        match step {
            Step::Normalise { x, kind, deviation } => self.normalise(*x, *kind, *deviation),
            Step::Restore { outputs, deviation } => self.restore(self.place(*outputs), *outputs, *deviation),
            Step::Patches { x, y, bars } => {
                let places = y.rows / x.width * y.width;
                self.window_shape(*x).cut_patches(
                    gpu,
                    self.place(*x),
                    machine.constant(*bars),
                    places,
                    self.place(*y),
                )
            }
            Step::Linear { x, weight, bias, activation, y } => {
                let linear = self.linear(self.count(*x), x.slot.width, y.width);
                let activation = activation.map(|(activation, kept)| (activation, self.rows(kept.view())));
                let (weight, bias) = (machine.weight(*weight, y.width), machine.weight(*bias, y.width));
                linear.forward(gpu, self.rows(*x), weight, Some(bias), activation, self.rows(y.view()))
            }
            Step::Lstm { x, weight, gates, cells, before, y, site } => {
                let linear = self.linear(self.count(x.view()), x.width, gates.width);
                let bias = machine.weight(*weight, gates.width);
                let of_input = machine.weight(weight + gates.width, gates.width);
                let (x_rows, gate_rows) = (self.rows(x.view()), self.rows(gates.view()));
                linear.forward(gpu, x_rows, of_input, Some(bias), None, gate_rows)?;
                let buffers = self.lstm_buffers(*weight, [*gates, *cells, *before, *y], x.width);
                self.lstm(*cells, *y, *site).forward(gpu, &buffers, keep)
            }
            Step::Norm { x, scale, shift, y } => {
                self.norm(*y, [*scale, *shift]).forward(gpu, self.rows(*x), self.rows(y.view()))
            }
            Step::Attention { qkv, weights, y, .. } => self.attention(step).map_or(Ok(()), |attention| {
                attention.forward(gpu, self.place(*qkv), self.place(*weights), self.place(*y))
            }),
            Step::Residual { base, values, site, sum } => {
                let rows = self.row_steps(self.count(*base), sum.width);
                let (values, sum) = (self.rows(values.view()), self.rows(sum.view()));
                rows.residual(gpu, self.site(*site), values, self.rows(*base), sum)
            }
            Step::Dropout { x, site } => {
                let rows = self.rows(x.view());
                self.row_steps(self.count(x.view()), x.width).dropout(
                    gpu,
                    self.site(*site),
                    rows,
                    rows,
                    false,
                )
            }
            Step::Positions { x, length, source } => {
                let rows = self.rows(x.view());
                let positions = self.positions(*source, x.width);
                self.row_steps(self.count(x.view()), x.width).positions(gpu, *length, rows, positions, rows)
            }
        }
    }

    fn positions(&self, source: PositionSource, width: usize) -> Rows {
        match source {
            PositionSource::Constant(constant) => {
                Rows { address: self.machine.constant(constant), member: 0, row: width }
            }
            PositionSource::Learned(place) => self.machine.weight(place, width),
        }
    }

    fn window_shape(&self, x: Slot) -> WindowShape {
        let windows = self.layout.population * self.layout.windows;
        WindowShape { windows, length: x.rows, features: x.width }
    }

    fn normalise(&self, x: Slot, kind: Normalisation, deviation: Option<Slot>) -> Result<()> {
        let (gpu, shape, place) = (&self.machine.gpu, self.window_shape(x), self.place(x));
        match kind {
            Normalisation::None => Ok(()),
            Normalisation::LastValue => shape.subtract_last_values(gpu, place),
            Normalisation::Instance => {
                let deviation = deviation.map_or(Address::NONE, |deviation| self.place(deviation));
                shape.normalise_instances(gpu, place, deviation)
            }
        }
    }

    fn restore(&self, values: Address, outputs: Slot, deviation: Slot) -> Result<()> {
        let rows = self.layout.population * self.layout.windows;
        scale_rows(&self.machine.gpu, values, self.place(deviation), rows, outputs.width)
    }

    fn backward(&mut self, step: &Step) -> Result<()> {
        let (gpu, machine) = (&self.machine.gpu, self.machine);
        match step {
            Step::Normalise { .. } | Step::Patches { .. } => Ok(()),
            Step::Restore { outputs, deviation } => {
                self.restore(self.gradient(*outputs), *outputs, *deviation)
            }
            Step::Linear { x, weight, bias, activation, y } => {
                let of_y = self.gradient_rows(y.view());
                if let Some((activation, kept)) = activation {
                    let rows = self.row_steps(self.count(*x), y.width);
                    rows.activation_backward(gpu, *activation, self.rows(kept.view()), of_y, of_y)?;
                }
                self.linear_backward(*x, [*weight, *bias], y.width, of_y)
            }
            Step::Lstm { .. } => self.lstm_backward(step),
            Step::Norm { x, scale, shift, y } => {
                let added = self.adds(*x)?;
                let gradients = NormGradients {
                    x: self.rows(*x),
                    of_y: self.gradient_rows(y.view()),
                    of_x: self.gradient_rows(*x),
                    adds: added,
                    of_scale: machine.weight_gradient(*scale, y.width),
                    of_shift: machine.weight_gradient(*shift, y.width),
                    scratch: machine.scratch(self.layout),
                };
                self.norm(*y, [*scale, *shift]).backward(gpu, &gradients)
            }
            Step::Attention { qkv, weights, y, .. } => {
                self.written[qkv.index] = true;
                let gradients = AttentionGradients {
                    qkv: self.place(*qkv),
                    weights: self.place(*weights),
                    of_output: self.gradient(*y),
                    of_qkv: self.gradient(*qkv),
                };
                self.attention(step).map_or(Ok(()), |attention| attention.backward(gpu, &gradients))
            }
            Step::Residual { base, values, site, sum } => {
                let rows = self.row_steps(self.count(*base), sum.width);
                let of_sum = self.gradient_rows(sum.view());
                let added = self.adds(values.view())?;
                rows.dropout(gpu, self.site(*site), of_sum, self.gradient_rows(values.view()), added)?;
                let added = self.adds(*base)?;
                rows.dropout(gpu, DropoutSite::NONE, of_sum, self.gradient_rows(*base), added)
            }
            Step::Dropout { x, site } => {
                let of_x = self.gradient_rows(x.view());
                self.row_steps(self.count(x.view()), x.width).dropout(
                    gpu,
                    self.site(*site),
                    of_x,
                    of_x,
                    false,
                )
            }
            Step::Positions { x, length, source } => match source {
                PositionSource::Constant(_) => Ok(()),
                PositionSource::Learned(place) => {
                    let of_positions = machine.weight_gradient(*place, x.width);
                    let rows = self.row_steps(self.count(x.view()), x.width);
                    rows.of_positions(gpu, *length, self.gradient_rows(x.view()), of_positions)
                }
            },
        }
    }

    fn lstm_backward(&mut self, step: &Step) -> Result<()> {
        let Step::Lstm { x, weight, gates, cells, before, y, site } = step else { return Ok(()) };
        let (gpu, machine) = (&self.machine.gpu, self.machine);
        let buffers = self.lstm_buffers(*weight, [*gates, *cells, *before, *y], x.width);
        self.lstm(*cells, *y, *site).backward(gpu, &buffers, self.gradient(*y))?;
        let (rows, width) = (self.count(x.view()), gates.width);
        let of_gates = self.rows(gates.view());
        let of_recurrent = machine.weight_gradient(weight + (1 + x.width) * width, width);
        let recurrence = self.linear(rows, cells.width, width);
        let scratch = machine.scratch(self.layout);
        recurrence.of_weight(gpu, self.rows(before.view()), of_gates, of_recurrent, None, scratch)?;
        self.linear_backward(x.view(), [weight + width, *weight], width, of_gates)
    }

    fn linear_backward(
        &mut self,
        x: View,
        [weight, bias]: [usize; 2],
        outputs: usize,
        of_y: Rows,
    ) -> Result<()> {
        let (gpu, machine) = (&self.machine.gpu, self.machine);
        let linear = self.linear(self.count(x), x.slot.width, outputs);
        let [of_weight, of_bias] = [weight, bias].map(|place| machine.weight_gradient(place, outputs));
        linear.of_weight(gpu, self.rows(x), of_y, of_weight, Some(of_bias), machine.scratch(self.layout))?;
        if !self.has_gradient(x.slot) {
            return Ok(());
        }
        let added = self.adds(x)?;
        linear.of_input(gpu, of_y, machine.weight(weight, outputs), self.gradient_rows(x), added)
    }
}
