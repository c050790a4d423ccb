//! The recurrence of an LSTM layer over whole sequences, forward and backward, for all members of a population at once: the
//! device's half of [`lstm_sequence`](super::lstm_sequence), which has the formula.
//!
//! The products over all steps are not its work: the caller brings `x(t) W + bias` of every window and step, and finds, from
//! the gradients of the gates before their activation that are left behind, the gradients of x (`gates` times the input
//! weight's transpose), of the recurrent weight (`before`' times `gates`), of the input weight and of the bias. With
//! [`Precision::Bf16`] the factors of the products, h and the gates' gradients among them, are rounded to bf16 where they are
//! multiplied; what lies in memory is f32.
//!
//! Two ways lead there. Persistent: one launch, in which a block keeps a tile of windows and, as far as they fit, the recurrent
//! weights on its multiprocessor through all steps. Stepwise: one launch a step, for hidden sizes whose weights would have to
//! be read anew at each step, so that all multiprocessors share the reading. Which one depends on shapes and the device, never
//! on the population; nor do the bits of a persistent pass depend on the tile.

use super::gpu::{Address, Argument, Gpu, GpuError, Launch};
pub use super::lstm_sequence::Outputs;
use super::population::{DropoutSite, Rows};
use super::precision::Precision;

/// Most warps of a block; the `.cu` allows as many.
const MOST_WARPS: usize = 16;

/// Windows of a block.
const TILES: [usize; 3] = [32, 16, 8];

/// Of a block of a stepwise kernel; the `.cu` has the same numbers.
const STEP_WARPS: usize = 8;
const STEP_WINDOWS: usize = 8;
const STEP_UNITS: usize = 32;

/// Which kernels run. The choice is for tests and measurements.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LstmPath {
    /// What the shapes ask for.
    #[default]
    Chosen,
    /// A launch for all steps.
    Persistent {
        /// Windows of a block: 8, 16 or 32.
        tile: usize,
        /// At most so many bytes of recurrent weights are kept on the multiprocessor; the others are read at each step.
        weight_bytes: usize,
    },
    /// A launch a step.
    Stepwise,
}

/// A layer's recurrence. Where one of its sizes is 0 nothing is done.
#[derive(Clone, Copy, Debug)]
pub struct PopulationLstm {
    /// P
    pub population: usize,
    /// B: windows of a member.
    pub windows: usize,
    /// T
    pub steps: usize,
    /// H
    pub hidden: usize,
    /// Which outputs are given: all steps' or the last one's.
    pub outputs: Outputs,
    /// Of the product with the recurrent weight.
    pub precision: Precision,
    /// Of the output. An element's number is that of [`LstmSettings`](super::lstm_sequence::LstmSettings): its position in
    /// `[blocks, T, H, 32]`, or `[blocks, H, 32]` of the last step, window b being lane b % 32 of block b / 32.
    pub dropout: DropoutSite,
    /// Which kernels run.
    pub path: LstmPath,
}

/// Where everything lies on the device: f32, dense.
#[derive(Clone, Copy, Debug)]
pub struct LstmBuffers {
    /// `[P, B, T, 4H]`: comes as `x(t) W + bias` of i, f, g and o; forward leaves the activated gates there, backward the
    /// gradients of the gates before their activation. A forward pass that keeps nothing leaves numbers without a meaning.
    pub gates: Address,
    /// `[H, 4H]` a member: the recurrent weight.
    pub recurrent: Rows,
    /// `[P, B, T, H]`: c after each step. Backward may leave other numbers there. Not touched where nothing is kept.
    pub cells: Address,
    /// `[P, B, T, H]`: h before each step, zero before the first; backward leaves it. Not touched where nothing is kept.
    pub before: Address,
    /// `[P, B, T, H]`, or `[P, B, H]` of the last step alone: written by forward; what backward is given is its gradient.
    pub output: Address,
}

/// A direction in time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Direction {
    Forward,
    Backward,
}

/// How a persistent kernel is launched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Plan {
    /// Windows of a block.
    tile: usize,
    /// Tiles of the contraction whose weights are kept in shared memory.
    resident: usize,
    /// Whether they are at least half of all.
    worthwhile: bool,
    /// Of a block.
    shared_bytes: usize,
}

/// Bytes of shared memory that a block needs.
struct Footprint {
    /// Tiles of the contraction.
    depth: usize,
    /// Weights of one of them.
    weights: usize,
    /// All else.
    rest: usize,
}

impl PopulationLstm {
    /// All steps; what backward needs is written where `keep` says so.
    ///
    /// # Errors
    /// A device that fails.
    ///
    /// # Panics
    /// When the path names a tile of another size: a fault of the caller.
    pub fn forward(&self, gpu: &Gpu, buffers: &LstmBuffers, keep: bool) -> Result<(), GpuError> {
        self.launch(gpu, Direction::Forward, buffers, buffers.output, keep)
    }

    /// All steps backward, after a forward pass that kept what it found; `of_output` is shaped as the output.
    ///
    /// # Errors
    /// A device that fails.
    ///
    /// # Panics
    /// When the path names a tile of another size: a fault of the caller.
    pub fn backward(&self, gpu: &Gpu, buffers: &LstmBuffers, of_output: Address) -> Result<(), GpuError> {
        self.launch(gpu, Direction::Backward, buffers, of_output, true)
    }

    fn launch(
        &self,
        gpu: &Gpu,
        direction: Direction,
        buffers: &LstmBuffers,
        output: Address,
        keep: bool,
    ) -> Result<(), GpuError> {
        if self.population * self.windows * self.steps * self.hidden == 0 {
            return Ok(());
        }
        let mut arguments = self.arguments(buffers, output, keep);
        let Some(plan) = self.plan(direction, gpu) else {
            let launch = self.step_launch(direction);
            for step in 0..self.steps {
                let t = if direction == Direction::Forward { step } else { self.steps - 1 - step };
                arguments.push(t.into());
                gpu.launch(launch, &arguments)?;
                arguments.pop();
            }
            return Ok(());
        };
        arguments.push(plan.resident.into());
        let launch = Launch {
            kernel: ("population_lstm", self.kernel(direction, plan.tile)),
            grid: [self.windows.div_ceil(plan.tile), self.population, 1],
            threads: 32 * self.hidden.div_ceil(8).min(MOST_WARPS),
            shared_bytes: plan.shared_bytes,
        };
        gpu.launch(launch, &arguments)
    }

    /// `LAYER_PARAMETERS` of the `.cu`.
    fn arguments(&self, buffers: &LstmBuffers, output: Address, keep: bool) -> Vec<Argument> {
        let last_only = usize::from(self.outputs == Outputs::Last);
        let mut arguments = vec![buffers.gates.into()];
        arguments.extend(buffers.recurrent.arguments());
        arguments.extend([buffers.cells, buffers.before, output].map(Argument::from));
        let sizes = [self.windows, self.steps, self.hidden, last_only, usize::from(keep)];
        arguments.extend(sizes.map(Argument::from));
        arguments.extend(self.dropout.arguments());
        arguments
    }

    /// How the persistent kernel runs, or `None` for a launch a step.
    fn plan(&self, direction: Direction, gpu: &Gpu) -> Option<Plan> {
        let shared_bytes = gpu.shared_bytes();
        match self.path {
            LstmPath::Stepwise => None,
            LstmPath::Persistent { tile, weight_bytes } => {
                self.plan_of(direction, tile, shared_bytes, weight_bytes)
            }
            LstmPath::Chosen => {
                let wide_enough = |tile: &usize| *tile == TILES[2] || tile / 2 < self.windows;
                let plans = TILES
                    .into_iter()
                    .filter(wide_enough)
                    .filter_map(|tile| self.plan_of(direction, tile, shared_bytes, usize::MAX))
                    .filter(|plan| plan.worthwhile);
                // The widest tile that keeps every multiprocessor busy, else the narrowest: all give the same bits.
                let busy =
                    |plan: &Plan| self.population * self.windows.div_ceil(plan.tile) >= gpu.multiprocessors();
                plans.clone().find(busy).or(plans.clone().next_back())
            }
        }
    }

    /// With tiles of so many windows; `None` where not even a tile's own numbers have room.
    fn plan_of(
        &self,
        direction: Direction,
        tile: usize,
        shared_bytes: usize,
        weight_bytes: usize,
    ) -> Option<Plan> {
        let Footprint { depth, weights, rest } = self.footprint(direction, tile);
        let room = shared_bytes.checked_sub(rest)?.min(weight_bytes);
        let resident = (room / weights).min(depth);
        let shared_bytes = rest + resident * weights;
        Some(Plan { tile, resident, worthwhile: 2 * resident >= depth, shared_bytes })
    }

    /// The sums that `forward` and `backward` of the `.cu` make.
    fn footprint(&self, direction: Direction, tile: usize) -> Footprint {
        let hidden = self.hidden;
        let (by_8, by_16) = (hidden.div_ceil(8), hidden.div_ceil(16));
        // Gradients of h and of c.
        let of_states = 2 * tile * (16 * by_16 + 4);
        let (depth, weights, rest) = match (direction, self.precision) {
            (Direction::Forward, Precision::F32) => {
                (hidden, 32 * by_8, 2 * hidden * (tile + 8) + 8 * by_8 * tile)
            }
            (Direction::Forward, Precision::Bf16) => (by_16, 256 * by_8, 16 * by_16 * tile + 8 * by_8 * tile),
            (Direction::Backward, Precision::F32) => {
                (hidden, 64 * by_16, 4 * hidden * (tile + 4) + of_states)
            }
            (Direction::Backward, Precision::Bf16) => {
                let depth = hidden.div_ceil(4);
                (depth, 128 * by_16, 8 * depth * tile + of_states)
            }
        };
        Footprint { depth, weights: 4 * weights, rest: 4 * rest }
    }

    fn kernel(&self, direction: Direction, tile: usize) -> &'static str {
        let names = match (direction, self.precision) {
            (Direction::Forward, Precision::F32) => {
                ["lstm_forward_f32_32", "lstm_forward_f32_16", "lstm_forward_f32_8"]
            }
            (Direction::Forward, Precision::Bf16) => {
                ["lstm_forward_bf16_32", "lstm_forward_bf16_16", "lstm_forward_bf16_8"]
            }
            (Direction::Backward, Precision::F32) => {
                ["lstm_backward_f32_32", "lstm_backward_f32_16", "lstm_backward_f32_8"]
            }
            (Direction::Backward, Precision::Bf16) => {
                ["lstm_backward_bf16_32", "lstm_backward_bf16_16", "lstm_backward_bf16_8"]
            }
        };
        names[TILES.iter().position(|size| *size == tile).expect("tiles have 8, 16 or 32 windows")]
    }

    fn step_launch(&self, direction: Direction) -> Launch {
        let contraction = STEP_WARPS * 32;
        let (name, floats) = match (direction, self.precision) {
            (Direction::Forward, precision) => (
                if precision == Precision::F32 { "lstm_forward_step_f32" } else { "lstm_forward_step_bf16" },
                contraction * STEP_WINDOWS + STEP_WARPS * 4 * STEP_WINDOWS * STEP_UNITS,
            ),
            (Direction::Backward, precision) => (
                if precision == Precision::F32 {
                    "lstm_backward_step_f32"
                } else {
                    "lstm_backward_step_bf16"
                },
                contraction * (STEP_UNITS + 1 + STEP_WINDOWS) + STEP_WARPS * STEP_WINDOWS * STEP_UNITS,
            ),
        };
        let blocks = self.hidden.div_ceil(STEP_UNITS) * self.windows.div_ceil(STEP_WINDOWS);
        Launch {
            kernel: ("population_lstm", name),
            grid: [blocks, self.population, 1],
            threads: 32 * STEP_WARPS,
            shared_bytes: 4 * floats,
        }
    }
}
