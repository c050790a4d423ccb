//! A network as a list of steps for a device: the same layers, told to kernels that carry a whole population.
//!
//! A step reads and writes slots. A slot holds so many rows of so many numbers for every window; on a device it lies once for
//! every window of a batch and every member of a population. Weights are named by their place in the one flat list of all
//! weights of a network, in the order of [`Parameters`]. Two networks with equal programs can train together, whatever
//! their rates, seeds, dropout rates and losses.

mod layout;
mod machine;
mod steps;

pub use layout::Layout;
pub use machine::{Batch, Machine, Numbers};

use super::Parameters;
use crate::kernels::row_steps::Activation;
use candle_core::{Result, Tensor, TensorId, Var, bail};
use std::collections::HashMap;

use super::Normalisation;

/// A place for `rows` rows of `width` numbers of each window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot {
    index: usize,
    /// Rows of a window.
    pub rows: usize,
    /// Numbers of a row.
    pub width: usize,
}

impl Slot {
    /// The same numbers as rows of another width.
    ///
    /// # Panics
    /// When the numbers of a window are no whole rows: a fault of the layer.
    #[must_use]
    pub fn reshaped(self, rows: usize, width: usize) -> Slot {
        assert!(rows * width == self.rows * self.width, "a slot keeps its numbers");
        Slot { rows, width, ..self }
    }

    /// All rows.
    pub fn view(self) -> View {
        View { slot: self, length: self.rows, first: 0 }
    }

    /// Of sequences of `length` rows the positions from `first` on: all, or the last one.
    ///
    /// # Panics
    /// Where it is neither: a fault of the layer.
    pub fn asking(self, length: usize, first: usize) -> View {
        assert!(first == 0 || first + 1 == length, "all positions ask, or the last one");
        View { slot: self, length, first }
    }
}

/// Rows of a slot: of each sequence of `length` rows those from `first` on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    slot: Slot,
    length: usize,
    first: usize,
}

impl View {
    /// Rows of a window.
    pub fn rows(self) -> usize {
        self.slot.rows / self.length * (self.length - self.first)
    }

    fn is_whole(self) -> bool {
        self.first == 0
    }
}

/// One step of a program. What is done in place keeps its slot.
#[derive(Clone, Debug, PartialEq)]
enum Step {
    /// Normalises windows in place.
    Normalise { x: Slot, kind: Normalisation, deviation: Option<Slot> },
    /// Multiplies outputs in place by the deviation of their window.
    Restore { outputs: Slot, deviation: Slot },
    /// Gathers bars of each feature into patches; the constant says which.
    Patches { x: Slot, y: Slot, bars: usize },
    /// `y = activation(x W + b)`; `kept` takes what stands before the activation.
    Linear { x: View, weight: usize, bias: usize, activation: Option<(Activation, Slot)>, y: Slot },
    /// An LSTM layer; the bias, the weights of the input and those of the recurrence follow each other.
    Lstm { x: Slot, weight: usize, gates: Slot, cells: Slot, before: Slot, y: Slot, site: usize },
    /// Normalises rows.
    Norm { x: View, scale: usize, shift: usize, y: Slot },
    /// Attention over sequences of `length` positions.
    Attention { qkv: Slot, length: usize, first: usize, heads: usize, causal: bool, weights: Slot, y: Slot },
    /// `sum = base + dropout(values)`.
    Residual { base: View, values: Slot, site: usize, sum: Slot },
    /// Drops in place.
    Dropout { x: Slot, site: usize },
    /// Adds a row to each position of sequences of `length`, in place.
    Positions { x: Slot, length: usize, source: PositionSource },
}

/// Where positions come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum PositionSource {
    /// A constant.
    Constant(usize),
    /// Weights.
    Learned(usize),
}

/// Numbers that all members share.
#[derive(Clone, Debug, PartialEq)]
enum Constant {
    Floats(Vec<f32>),
    Integers(Vec<u32>),
}

/// A network's steps.
#[derive(Clone, Debug, PartialEq)]
pub struct Program {
    /// `(rows, width)` of each slot's windows, and whether a gradient flows through it.
    slots: Vec<(usize, usize, bool)>,
    steps: Vec<Step>,
    constants: Vec<Constant>,
    /// Numbers that are trained.
    count: usize,
    input: Slot,
    output: Slot,
    /// Sites of dropout.
    sites: usize,
}

impl Program {
    /// Numbers that are trained.
    pub fn count(&self) -> usize {
        self.count
    }

    /// `[T, F]`
    pub fn input(&self) -> Slot {
        self.input
    }

    /// `[1, H * Q]`
    pub fn output(&self) -> Slot {
        self.output
    }

    /// How many sites of dropout there are.
    pub fn sites(&self) -> usize {
        self.sites
    }
}

/// A member's dropout: rate and name of each site, in the order of the program.
pub type Sites = Vec<(f64, String)>;

/// Collects the steps of a network.
pub struct ProgramBuilder {
    places: HashMap<TensorId, (usize, usize)>,
    program: Program,
    sites: Sites,
}

impl ProgramBuilder {
    /// Begins with windows `[T, F]` of a network with these weights.
    pub fn new(parameters: &Parameters, [length, features]: [usize; 2]) -> ProgramBuilder {
        let mut count = 0;
        let mut places = HashMap::new();
        for weight in parameters.weights() {
            places.insert(weight.var.id(), (count, weight.var.elem_count()));
            count += weight.var.elem_count();
        }
        let input = Slot { index: 0, rows: length, width: features };
        let program = Program {
            slots: vec![(length, features, false)],
            steps: Vec::new(),
            constants: Vec::new(),
            count,
            input,
            output: input,
            sites: 0,
        };
        ProgramBuilder { places, program, sites: Vec::new() }
    }

    /// The windows.
    pub fn input(&self) -> Slot {
        self.program.input
    }

    /// Ends with the outputs `[1, H * Q]` of a window.
    pub fn finish(mut self, output: Slot) -> (Program, Sites) {
        self.program.output = output;
        self.program.sites = self.sites.len();
        (self.program, self.sites)
    }

    /// Where a trained tensor begins among all weights.
    ///
    /// # Errors
    /// A tensor that is not trained.
    pub fn place(&self, var: &Var) -> Result<usize> {
        match self.places.get(&var.id()) {
            Some((start, _)) => Ok(*start),
            None => bail!("a layer names a weight that is not among the network's"),
        }
    }

    fn slot(&mut self, rows: usize, width: usize, gradient: bool) -> Slot {
        self.program.slots.push((rows, width, gradient));
        Slot { index: self.program.slots.len() - 1, rows, width }
    }

    fn site(&mut self, rate: f64, name: &str) -> usize {
        self.sites.push((rate, name.to_owned()));
        self.sites.len() - 1
    }

    fn constant(&mut self, constant: Constant) -> usize {
        self.program.constants.push(constant);
        self.program.constants.len() - 1
    }

    /// Normalises the windows in place; with a single feature and [`Normalisation::Instance`] the deviation of each window.
    pub fn normalise(&mut self, kind: Normalisation) -> Option<Slot> {
        let x = self.program.input;
        let wanted = kind == Normalisation::Instance && x.width == 1;
        let deviation = wanted.then(|| self.slot(1, 1, false));
        if kind != Normalisation::None {
            self.program.steps.push(Step::Normalise { x, kind, deviation });
        }
        deviation
    }

    /// Multiplies outputs by the deviation of their window, where there is one.
    pub fn restore(&mut self, outputs: Slot, deviation: Option<Slot>) -> Slot {
        if let Some(deviation) = deviation {
            self.program.steps.push(Step::Restore { outputs, deviation });
        }
        outputs
    }

    /// x `[T, F]` -> `[F * patches, bars of a patch]`: of each feature the bars with these numbers, patch after patch.
    pub fn patches(&mut self, x: Slot, bars: Vec<u32>, patches: usize) -> Slot {
        let width = bars.len() / patches;
        let bars = self.constant(Constant::Integers(bars));
        let y = self.slot(x.width * patches, width, false);
        self.program.steps.push(Step::Patches { x, y, bars });
        y
    }

    /// `activation(x W + b)`.
    pub fn linear(
        &mut self,
        x: View,
        [weight, bias]: [usize; 2],
        outputs: usize,
        activation: Option<Activation>,
    ) -> Slot {
        let y = self.slot(x.rows(), outputs, true);
        let activation = activation.map(|activation| (activation, self.slot(x.rows(), outputs, false)));
        self.program.steps.push(Step::Linear { x, weight, bias, activation, y });
        y
    }

    /// x `[T, I]` -> `[T, H]`, or `[1, H]` of the last step alone, dropped with this rate.
    pub fn lstm(
        &mut self,
        x: Slot,
        weight: usize,
        hidden: usize,
        every: bool,
        (rate, site): (f64, &str),
    ) -> Slot {
        let site = self.site(rate, site);
        let steps = x.rows;
        let gates = self.slot(steps, 4 * hidden, false);
        let (cells, before) = (self.slot(steps, hidden, false), self.slot(steps, hidden, false));
        let y = self.slot(if every { steps } else { 1 }, hidden, true);
        self.program.steps.push(Step::Lstm { x, weight, gates, cells, before, y, site });
        y
    }

    /// Normalises rows.
    pub fn norm(&mut self, x: View, [scale, shift]: [usize; 2]) -> Slot {
        let y = self.slot(x.rows(), x.slot.width, true);
        self.program.steps.push(Step::Norm { x, scale, shift, y });
        y
    }

    /// Attention over sequences of `length` positions: qkv `[.., 3D]` -> the positions from `first` on, `[.., D]`.
    pub fn attention(
        &mut self,
        qkv: Slot,
        [length, first]: [usize; 2],
        (heads, causal): (usize, bool),
    ) -> Slot {
        let rows = qkv.asking(length, first).rows();
        let weights = self.slot(rows * heads, length, false);
        let y = self.slot(rows, qkv.width / 3, true);
        self.program.steps.push(Step::Attention { qkv, length, first, heads, causal, weights, y });
        y
    }

    /// `base + dropout(values)`.
    pub fn residual(&mut self, base: View, values: Slot, (rate, site): (f64, &str)) -> Slot {
        let site = self.site(rate, site);
        let sum = self.slot(values.rows, values.width, true);
        self.program.steps.push(Step::Residual { base, values, site, sum });
        sum
    }

    /// Drops in place.
    pub fn dropout(&mut self, x: Slot, rate: f64, site: &str) -> Slot {
        let site = self.site(rate, site);
        self.program.steps.push(Step::Dropout { x, site });
        x
    }

    /// Adds constant positions `[length, width]` in place.
    ///
    /// # Errors
    /// A tensor that cannot be read.
    pub fn constant_positions(&mut self, x: Slot, positions: &Tensor) -> Result<Slot> {
        let constant = self.constant(Constant::Floats(positions.flatten_all()?.to_vec1()?));
        let (length, source) = (positions.dim(0)?, PositionSource::Constant(constant));
        self.program.steps.push(Step::Positions { x, length, source });
        Ok(x)
    }

    /// Adds learned positions `[length, width]` in place.
    ///
    /// # Errors
    /// A tensor that is not trained.
    pub fn learned_positions(&mut self, x: Slot, positions: &Var) -> Result<Slot> {
        let source = PositionSource::Learned(self.place(positions)?);
        self.program.steps.push(Step::Positions { x, length: positions.dim(0)?, source });
        Ok(x)
    }
}
