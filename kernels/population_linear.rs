//! Matrix products with a population axis: `y = x W + b` of every member with a weight of its own, an activation behind it,
//! and the gradients. The device's half of [`affine`](super::affine).
//!
//! A block computes one tile of one member's result, or, of a weight's gradient, one tile over a chunk of the rows; the
//! chunks' results are then added in order. Tiles and chunks follow from the shapes alone, so that a member's bits do not
//! depend on the population.

use super::gpu::{Address, Argument, Gpu, GpuError, Launch};
use super::population::Rows;
use super::precision::Precision;
use super::row_steps::Activation;

/// Rows of a tile's factors in shared memory, and the words by which they are longer than the tile is wide; the `.cu` has
/// the same numbers.
const WORD_ROWS: usize = 16;
const PADDING: usize = 8;

/// Blocks a member among which the rows of a weight's gradient are divided: enough for a device when the population is
/// small, and little scratch when it is large.
const BLOCKS: usize = 64;

/// Rows of a chunk are at least so many, so that writing and adding its results costs little beside its products.
const LEAST_ROWS: usize = 512;

/// Threads of the kernel that adds chunks.
const SUM_THREADS: usize = 256;

/// No matrix.
pub(super) const NOWHERE: Rows = Rows { address: Address::NONE, member: 0, row: 0 };

/// How an activation is numbered in `activations.cuh`.
pub(super) fn activation_number(activation: Option<Activation>) -> usize {
    match activation {
        None => 0,
        Some(Activation::Relu) => 1,
        Some(Activation::Gelu) => 2,
    }
}

/// What a block computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tile {
    /// 128 x 32
    Tall,
    /// 64 x 64
    Even,
    /// 128 x 128
    Large,
}

impl Tile {
    /// The one for a result of this size: the largest that does not reach far beyond it.
    fn of(rows: usize, columns: usize) -> Tile {
        let area = |side: usize| rows.next_multiple_of(side) * columns.next_multiple_of(side);
        if columns <= 32 {
            Tile::Tall
        } else if 8 * area(128) <= 9 * area(64) {
            Tile::Large
        } else {
            Tile::Even
        }
    }

    /// Its rows, its columns and its threads.
    fn size(self) -> (usize, usize, usize) {
        match self {
            Tile::Tall => (128, 32, 128),
            Tile::Even => (64, 64, 128),
            Tile::Large => (128, 128, 512),
        }
    }

    /// How many there are in a result.
    fn count(self, rows: usize, columns: usize) -> usize {
        let (tall, wide, _) = self.size();
        rows.div_ceil(tall) * columns.div_ceil(wide)
    }
}

/// The names of a product's kernels, in f32 and in bf16, each by [`Tile`].
type Names = [[&'static str; 3]; 2];

const FORWARD: Names = [
    ["linear_forward_f32_tall", "linear_forward_f32_even", "linear_forward_f32_large"],
    ["linear_forward_bf16_tall", "linear_forward_bf16_even", "linear_forward_bf16_large"],
];
const OF_INPUT: Names = [
    ["linear_of_input_f32_tall", "linear_of_input_f32_even", "linear_of_input_f32_large"],
    ["linear_of_input_bf16_tall", "linear_of_input_bf16_even", "linear_of_input_bf16_large"],
];
const OF_WEIGHT: Names = [
    ["linear_of_weight_f32_tall", "linear_of_weight_f32_even", "linear_of_weight_f32_large"],
    ["linear_of_weight_bf16_tall", "linear_of_weight_bf16_even", "linear_of_weight_bf16_large"],
];

/// `result [rows, columns] = left [rows, inner] right [inner, columns]`; see `struct Product` of the `.cu`.
struct Product {
    names: Names,
    shape: [usize; 3],
    left: Rows,
    right: Rows,
    bias: Rows,
    result: Rows,
    activation: Option<(Activation, Rows)>,
    scratch: Address,
    /// Numbers along `inner` of a block.
    chunk: usize,
    added: bool,
}

/// A linear map of every member.
#[derive(Clone, Copy, Debug)]
pub struct PopulationLinear {
    /// P.
    pub population: usize,
    /// R: rows of a member.
    pub rows: usize,
    /// I: numbers of a row of x.
    pub inputs: usize,
    /// O: numbers of a row of y.
    pub outputs: usize,
    /// The format of the factors.
    pub precision: Precision,
}

impl PopulationLinear {
    /// y `[R, O]` = x `[R, I]` weight `[I, O]` + bias `[O]`, then the activation; with one the values before it go to the
    /// matrix beside it, `[R, O]`, which the backward pass needs. For ReLU that may be y itself.
    ///
    /// # Errors
    /// A device that fails.
    pub fn forward(
        &self,
        gpu: &Gpu,
        x: Rows,
        weight: Rows,
        bias: Option<Rows>,
        activation: Option<(Activation, Rows)>,
        y: Rows,
    ) -> Result<(), GpuError> {
        let product = Product {
            names: FORWARD,
            shape: [self.rows, self.outputs, self.inputs],
            left: x,
            right: weight,
            bias: bias.unwrap_or(NOWHERE),
            result: y,
            activation,
            scratch: Address::NONE,
            chunk: self.inputs,
            added: false,
        };
        self.launch(gpu, &product)
    }

    /// of_x `[R, I]` = of_y `[R, O]` times the transposed weight, or, if `added`, that is added to what is there.
    ///
    /// # Errors
    /// A device that fails.
    pub fn of_input(
        &self,
        gpu: &Gpu,
        of_y: Rows,
        weight: Rows,
        of_x: Rows,
        added: bool,
    ) -> Result<(), GpuError> {
        let product = Product {
            names: OF_INPUT,
            shape: [self.rows, self.inputs, self.outputs],
            left: of_y,
            right: weight,
            bias: NOWHERE,
            result: of_x,
            activation: None,
            scratch: Address::NONE,
            chunk: self.outputs,
            added,
        };
        self.launch(gpu, &product)
    }

    /// of_weight `[I, O]` += the transposed x `[R, I]` times of_y `[R, O]`, of_bias `[O]` += the sum of of_y's rows, both
    /// added to what is there. `scratch` holds as many f32 as [`PopulationLinear::scratch`] says.
    ///
    /// # Errors
    /// A device that fails.
    pub fn of_weight(
        &self,
        gpu: &Gpu,
        x: Rows,
        of_y: Rows,
        of_weight: Rows,
        of_bias: Option<Rows>,
        scratch: Address,
    ) -> Result<(), GpuError> {
        let product = Product {
            names: OF_WEIGHT,
            shape: [self.inputs, self.outputs, self.rows],
            left: x,
            right: of_y,
            bias: of_bias.unwrap_or(NOWHERE),
            result: of_weight,
            activation: None,
            scratch,
            chunk: self.chunk(),
            added: true,
        };
        self.launch(gpu, &product)?;
        match self.chunks() {
            0 | 1 => Ok(()),
            chunks => self.sum_chunks(gpu, &product, chunks),
        }
    }

    /// How many f32 of scratch [`PopulationLinear::of_weight`] needs.
    pub fn scratch(&self) -> usize {
        match self.chunks() {
            0 | 1 => 0,
            chunks => self.population * chunks * (self.inputs + 1) * self.outputs,
        }
    }

    /// Rows of a chunk of a weight's gradient: the steps of a block are whole but the last one.
    fn chunk(&self) -> usize {
        let tiles = Tile::of(self.inputs, self.outputs).count(self.inputs, self.outputs);
        let chunks = (BLOCKS / tiles.max(1)).min(self.rows.div_ceil(LEAST_ROWS)).max(1);
        self.rows.div_ceil(chunks).next_multiple_of(2 * WORD_ROWS)
    }

    fn chunks(&self) -> usize {
        self.rows.div_ceil(self.chunk().max(1))
    }

    fn launch(&self, gpu: &Gpu, product: &Product) -> Result<(), GpuError> {
        let [rows, columns, inner] = product.shape;
        if [self.population, rows, columns, inner].contains(&0) {
            return Ok(());
        }
        let tile = Tile::of(rows, columns);
        let (tall, wide, threads) = tile.size();
        let blocks = self.population * inner.div_ceil(product.chunk) * tile.count(rows, columns);
        let names = match self.precision {
            Precision::F32 => product.names[0],
            Precision::Bf16 => product.names[1],
        };
        let launch = Launch {
            kernel: ("population_linear", names[tile as usize]),
            grid: [checked(blocks), 1, 1],
            threads,
            shared_bytes: 2 * WORD_ROWS * (tall + wide + 2 * PADDING) * size_of::<f32>(),
        };
        let kept = product.activation.map_or(NOWHERE, |(_, kept)| kept);
        let activation = activation_number(product.activation.map(|(activation, _)| activation));
        let matrices = [product.left, product.right, product.bias, product.result, kept];
        let numbers = [rows, columns, inner, product.chunk, activation, usize::from(product.added)];
        let arguments: Vec<Argument> = matrices
            .into_iter()
            .flat_map(Rows::arguments)
            .chain([product.scratch.into()])
            .chain(numbers.map(Into::into))
            .collect();
        gpu.launch(launch, &arguments)
    }

    fn sum_chunks(&self, gpu: &Gpu, product: &Product, chunks: usize) -> Result<(), GpuError> {
        let numbers = checked((self.inputs + 1) * self.outputs);
        let launch = Launch {
            kernel: ("population_linear", "linear_sum_chunks"),
            grid: [checked(self.population * numbers.div_ceil(SUM_THREADS)), 1, 1],
            threads: SUM_THREADS,
            shared_bytes: 0,
        };
        let arguments: Vec<Argument> = [product.result, product.bias]
            .into_iter()
            .flat_map(Rows::arguments)
            .chain([product.scratch.into(), self.inputs.into(), self.outputs.into(), chunks.into()])
            .collect();
        gpu.launch(launch, &arguments)
    }
}

/// A number of blocks or of a kernel's elements.
///
/// # Panics
/// Where a kernel could not count so far; no device has the memory for it.
pub(super) fn checked(count: usize) -> usize {
    assert!(i32::try_from(count).is_ok(), "{count} is more than a kernel can count");
    count
}
