//! Layer normalisation of the rows of a population, forward and backward: the device's half of
//! [`norm_rows`](super::norm_rows), which has the formula.
//!
//! Backward recomputes each row's mean and deviation from x, as the CPU does. The gradients of scale and shift are sums over
//! all rows of a member: blocks of rows write their parts, whose sum has an order that depends on the number of rows alone.

use super::gpu::{Address, Argument, Gpu, GpuError, Launch};
use super::population::Rows;

/// Most parts that a member's gradients of scale and shift are summed of.
const MOST_PARTS: usize = 1024;

/// Fewest rows of such a part.
const SHORTEST_RUN: usize = 32;

/// Shared memory within which two blocks fit on a multiprocessor.
const SHARED_BYTES: usize = 96 << 10;

/// Longest row: its gradients of scale and shift must fit into the shared memory of a block.
pub const MOST_COLUMNS: usize = 12_288;

/// The rows of all members.
#[derive(Clone, Copy, Debug)]
pub struct PopulationNorm {
    /// P.
    pub population: usize,
    /// R: rows of a member.
    pub rows: usize,
    /// D: numbers of a row.
    pub width: usize,
    /// One row `[D]` a member.
    pub scale: Rows,
    /// One row `[D]` a member.
    pub shift: Rows,
}

/// What the backward pass reads and writes.
#[derive(Clone, Copy, Debug)]
pub struct NormGradients {
    /// `[R, D]` a member: the rows that were normalised.
    pub x: Rows,
    /// `[R, D]` a member: the gradient of the result.
    pub of_y: Rows,
    /// `[R, D]` a member: the gradient of x. It may be the place of `of_y`.
    pub of_x: Rows,
    /// Whether it is added to what `of_x` holds, or takes its place.
    pub adds: bool,
    /// One row `[D]` a member: the gradient of the scale is added to it.
    pub of_scale: Rows,
    /// One row `[D]` a member: the gradient of the shift is added to it.
    pub of_shift: Rows,
    /// As many f32 as [`PopulationNorm::scratch`] says.
    pub scratch: Address,
}

/// How the backward pass is cut.
struct Cut {
    /// Rows of a block.
    run: usize,
    blocks: usize,
    warps: usize,
}

/// A block's rows and warps; of shapes alone, since the order of sums follows from them.
fn cut(rows: usize, width: usize) -> Cut {
    let run = rows.div_ceil(MOST_PARTS).max(SHORTEST_RUN);
    let fits = |warps: &usize| warps * 8 * width <= SHARED_BYTES;
    Cut { run, blocks: rows.div_ceil(run), warps: [8, 4, 2].into_iter().find(fits).unwrap_or(1) }
}

fn launch(name: &'static str, grid: [usize; 3], warps: usize, shared_bytes: usize) -> Launch {
    Launch { kernel: ("population_norm", name), grid, threads: 32 * warps, shared_bytes }
}

/// Address and member's step of a matrix of one row.
fn one_row(row: Rows) -> [Argument; 2] {
    let [address, member, _] = row.arguments();
    [address, member]
}

impl PopulationNorm {
    /// How many f32 of scratch the backward pass of a population needs.
    pub fn scratch(population: usize, rows: usize, width: usize) -> usize {
        population * cut(rows, width).blocks * 2 * width
    }

    /// y `[R, D]` a member from x `[R, D]` a member; y may be the place of x.
    ///
    /// # Errors
    /// A device that fails.
    pub fn forward(&self, gpu: &Gpu, x: Rows, y: Rows) -> Result<(), GpuError> {
        let mut arguments = [x.arguments(), y.arguments()].concat();
        arguments.extend([one_row(self.scale), one_row(self.shift)].concat());
        arguments.extend([self.rows, self.width].map(Argument::from));
        gpu.launch(launch("norm_forward", self.grid(self.rows.div_ceil(8)), 8, 0), &arguments)
    }

    /// All gradients.
    ///
    /// # Errors
    /// A device that fails.
    ///
    /// # Panics
    /// When a row is longer than [`MOST_COLUMNS`]: a fault of the caller.
    pub fn backward(&self, gpu: &Gpu, places: &NormGradients) -> Result<(), GpuError> {
        assert!(self.width <= MOST_COLUMNS, "a row of {} numbers is too long for the kernel", self.width);
        let Cut { run, blocks, warps } = cut(self.rows, self.width);
        let scratch = places.scratch.into();
        let mut arguments = [places.x, places.of_y, places.of_x].map(Rows::arguments).concat();
        arguments.extend(one_row(self.scale));
        arguments.push(scratch);
        arguments.extend([self.rows, self.width, run, usize::from(places.adds)].map(Argument::from));
        let shared_bytes = warps * 8 * self.width;
        gpu.launch(launch("norm_backward", self.grid(blocks), warps, shared_bytes), &arguments)?;
        let mut arguments = vec![scratch];
        arguments.extend([one_row(places.of_scale), one_row(places.of_shift)].concat());
        arguments.extend([blocks, self.width].map(Argument::from));
        // No rows, no parts: nothing is added.
        let columns = (2 * self.width).div_ceil(32) * blocks.min(1);
        gpu.launch(launch("norm_sums", self.grid(columns), 8, 8 * 32 * 4), &arguments)
    }

    /// None where there is nothing.
    fn grid(&self, blocks: usize) -> [usize; 3] {
        [blocks * self.width.min(1), self.population, 1]
    }
}
