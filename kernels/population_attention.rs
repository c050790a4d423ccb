//! Multi-head self-attention of a population's short sequences, forward and backward: the device's half of
//! [`attention`](super::attention), which has the formula.
//!
//! A block takes one window's head, or several heads where they are small. Queries, keys and values pass through shared
//! memory some rows at a time; the scores of the queries at hand stay there whole, so that a softmax is one pass. The softmax
//! weights are kept for the way back. How the work is cut depends on the shape of a window alone.

use super::attention::AttentionShape;
use super::gpu::{Address, Argument, Gpu, GpuError, Launch};
use super::precision::Precision;

/// Threads of a block; each has one tile of 4 x 4 numbers of a block's output.
const THREADS: usize = 128;

/// Most rows of queries or of keys at a time.
const MOST_ROWS: usize = 64;

/// Shared memory within which two blocks fit on a multiprocessor.
const WANTED_BYTES: usize = 112 << 10;

/// Shared memory up to which more heads share a block.
const SHARED_HEADS_BYTES: usize = 48 << 10;

/// Widest head: four rows of it are as many tiles as a block has threads.
pub const MOST_HEAD_WIDTH: usize = 4 * THREADS;

/// The windows of all members.
#[derive(Clone, Copy, Debug)]
pub struct PopulationAttention {
    /// P.
    pub population: usize,
    /// W: windows of a member.
    pub windows: usize,
    /// What is attended to.
    pub shape: AttentionShape,
}

/// What the backward pass reads and writes.
#[derive(Clone, Copy, Debug)]
pub struct AttentionGradients {
    /// `[P, W, T, 3D]`
    pub qkv: Address,
    /// `[P, W, heads, asking, T]`, as the forward pass left them.
    pub weights: Address,
    /// `[P, W, asking, D]`: the gradient of the output.
    pub of_output: Address,
    /// `[P, W, T, 3D]`: overwritten; 0 for queries of positions that did not ask.
    pub of_qkv: Address,
}

/// Which way.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Direction {
    Forward,
    Backward,
}

/// How a window's work is cut.
#[derive(Clone, Copy)]
struct Plan {
    /// Heads of a block.
    heads: usize,
    /// Rows of queries at a time, a multiple of 4.
    queries: usize,
    /// Rows of keys at a time, a multiple of 4.
    keys: usize,
}

impl Plan {
    /// For devices whose blocks may have so much shared memory.
    fn new(shape: AttentionShape, direction: Direction, shared_bytes: usize) -> Plan {
        let vectors = head_width(shape).div_ceil(4);
        let rows = |count: usize| count.next_multiple_of(4).min(MOST_ROWS);
        let queries = rows(shape.asking()).min(4 * (THREADS / vectors).max(1));
        let mut plan = Plan { heads: 1, queries, keys: rows(shape.length) };
        let halved = |rows: usize| (rows / 2).next_multiple_of(4);
        while plan.bytes(shape, direction) > WANTED_BYTES.min(shared_bytes) {
            match plan {
                Plan { queries, .. } if queries > 16 => plan.queries = halved(queries),
                Plan { keys, .. } if keys > 16 => plan.keys = halved(keys),
                Plan { queries, .. } if queries > 4 => plan.queries = halved(queries),
                Plan { keys, .. } if keys > 4 => plan.keys = halved(keys),
                _ => break,
            }
        }
        let fits = |heads: &usize| {
            let tiles = heads * plan.queries / 4 * vectors;
            tiles <= THREADS && Plan { heads: *heads, ..plan }.bytes(shape, direction) <= SHARED_HEADS_BYTES
        };
        let most = (1..=shape.heads).take_while(fits).last().unwrap_or(1);
        // As many heads in each block.
        plan.heads = shape.heads.div_ceil(shape.heads.div_ceil(most));
        plan
    }

    /// Shared memory of a block, as the kernels divide it.
    fn bytes(self, shape: AttentionShape, direction: Direction) -> usize {
        let pitch = |numbers: usize| 4 * (numbers.div_ceil(4) | 1);
        let rooms = if direction == Direction::Forward { 1 } else { 2 };
        let of_heads = (rooms * self.queries + self.keys) * pitch(head_width(shape));
        4 * self.heads * (of_heads + rooms * self.queries * pitch(shape.length))
    }
}

fn head_width(shape: AttentionShape) -> usize {
    shape.width / shape.heads
}

impl PopulationAttention {
    /// How many softmax weights a population keeps.
    pub fn weights(&self) -> usize {
        let AttentionShape { length, heads, .. } = self.shape;
        self.population * self.windows * heads * self.shape.asking() * length
    }

    /// Whether the kernels can run attention of this shape on a device.
    ///
    /// # Errors
    /// What is too large, and what to do.
    pub fn check(shape: AttentionShape, gpu: &Gpu) -> Result<(), String> {
        if head_width(shape) > MOST_HEAD_WIDTH {
            return Err(format!(
                "attention heads of {} numbers are too wide for CUDA devices, which take {MOST_HEAD_WIDTH}; use more heads, or `device: cpu`",
                head_width(shape)
            ));
        }
        let most = gpu.shared_bytes();
        let fits = |direction| Plan::new(shape, direction, most).bytes(shape, direction) <= most;
        if fits(Direction::Forward) && fits(Direction::Backward) {
            return Ok(());
        }
        Err(format!(
            "attention over {} positions is too long for this CUDA device; use a shorter window or longer patches, or `device: cpu`",
            shape.length
        ))
    }

    /// qkv `[P, W, T, 3D]` (queries, keys, values side by side, each split into heads) -> softmax weights
    /// `[P, W, heads, asking, T]` and output `[P, W, asking, D]`.
    ///
    /// # Errors
    /// A device that fails.
    ///
    /// # Panics
    /// When a head or a sequence is too long for a block's shared memory, or the windows too many: a fault of the caller.
    pub fn forward(
        &self,
        gpu: &Gpu,
        qkv: Address,
        weights: Address,
        output: Address,
    ) -> Result<(), GpuError> {
        let plan = Plan::new(self.shape, Direction::Forward, gpu.shared_bytes());
        let runs = self.shape.asking().div_ceil(plan.queries);
        let launch = self.launch("attention_forward", plan, Direction::Forward, runs);
        gpu.launch(launch, &self.arguments(plan, &[qkv, weights, output], &[qkv, output]))
    }

    /// The gradient of qkv.
    ///
    /// # Errors
    /// A device that fails.
    ///
    /// # Panics
    /// As [`PopulationAttention::forward`].
    pub fn backward(&self, gpu: &Gpu, places: &AttentionGradients) -> Result<(), GpuError> {
        let plan = Plan::new(self.shape, Direction::Backward, gpu.shared_bytes());
        let AttentionGradients { qkv, weights, of_output, of_qkv } = *places;
        let launch = self.launch("attention_backward", plan, Direction::Backward, 1);
        let vectors = [qkv, of_output, of_qkv];
        gpu.launch(launch, &self.arguments(plan, &[qkv, weights, of_output, of_qkv], &vectors))
    }

    fn launch(&self, name: &'static str, plan: Plan, direction: Direction, runs: usize) -> Launch {
        let AttentionShape { length, first, heads, width, .. } = self.shape;
        assert!(first < length && width.is_multiple_of(heads), "attention of {:?}", self.shape);
        let shared_bytes = plan.bytes(self.shape, direction);
        assert!(head_width(self.shape) <= MOST_HEAD_WIDTH, "heads of {:?} are too wide", self.shape);
        let blocks = self.windows * heads.div_ceil(plan.heads) * runs;
        assert!(blocks < 1 << 31, "the blocks of a member's windows are counted in 31 bits");
        let grid = [blocks, self.population, 1];
        Launch { kernel: ("population_attention", name), grid, threads: THREADS, shared_bytes }
    }

    /// `places`, then `Sizes` of the `.cu`; rows of `vectors` are read four numbers at a time where they allow it.
    fn arguments(&self, plan: Plan, places: &[Address], vectors: &[Address]) -> Vec<Argument> {
        let AttentionShape { length, first, heads, causal, precision, .. } = self.shape;
        let head_width = head_width(self.shape);
        let aligned = vectors.iter().all(|place| place.number().is_multiple_of(16));
        let flags = usize::from(causal)
            + 2 * usize::from(precision == Precision::Bf16)
            + 4 * usize::from(aligned && head_width.is_multiple_of(4));
        let sizes = [self.windows, length, first, heads, head_width];
        let sizes = sizes.into_iter().chain([plan.heads, plan.queries, plan.keys, flags]);
        places.iter().copied().map(Argument::from).chain(sizes.map(Argument::from)).collect()
    }
}
