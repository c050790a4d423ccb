//! The row-wise steps between the products of a population: residual paths, dropout, the gradients of activations, and
//! positions. The device's half of [`row_steps`](super::row_steps) and [`inverted_dropout`](super::inverted_dropout).
//!
//! Every result may lie where one of the matrices it is made of lies, element on element.

use super::gpu::{Argument, Gpu, GpuError, Launch};
use super::population::{DropoutSite, Rows};
use super::population_linear::{NOWHERE, activation_number, checked};
use super::row_steps::Activation;

const THREADS: usize = 256;

/// Matrices `[R, W]` of every member.
#[derive(Clone, Copy, Debug)]
pub struct PopulationRows {
    /// P.
    pub population: usize,
    /// R: rows of a member.
    pub rows: usize,
    /// W: numbers of a row.
    pub width: usize,
}

impl PopulationRows {
    /// sum `[R, W]` = base `[R, W]` + what dropout leaves of values `[R, W]`. A value's number within its member is
    /// `row * W + column`, however the rows lie.
    ///
    /// # Errors
    /// A device that fails.
    pub fn residual(
        &self,
        gpu: &Gpu,
        dropout: DropoutSite,
        values: Rows,
        base: Rows,
        sum: Rows,
    ) -> Result<(), GpuError> {
        let mut arguments = arguments(&[values, base, sum]);
        arguments.extend(dropout.arguments());
        arguments.extend([self.population, self.rows, self.width].map(Argument::from));
        self.launch(gpu, "rows_sum", &arguments)
    }

    /// y `[R, W]` = what dropout leaves of x `[R, W]`, or, if `added`, that is added to what is there. The backward pass is
    /// the same: of_x is what dropout leaves of of_y.
    ///
    /// # Errors
    /// A device that fails.
    pub fn dropout(
        &self,
        gpu: &Gpu,
        dropout: DropoutSite,
        x: Rows,
        y: Rows,
        added: bool,
    ) -> Result<(), GpuError> {
        self.residual(gpu, dropout, x, if added { y } else { NOWHERE }, y)
    }

    /// of_z `[R, W]` = of_y `[R, W]` times the activation's slope at kept `[R, W]`: the values before it, or, with ReLU, those
    /// behind it.
    ///
    /// # Errors
    /// A device that fails.
    pub fn activation_backward(
        &self,
        gpu: &Gpu,
        activation: Activation,
        kept: Rows,
        of_y: Rows,
        of_z: Rows,
    ) -> Result<(), GpuError> {
        let mut arguments = arguments(&[kept, of_y, of_z]);
        arguments.extend([activation_number(Some(activation)), self.rows, self.width].map(Argument::from));
        self.launch(gpu, "rows_activation_gradient", &arguments)
    }

    /// y `[B, T, W]` = x `[B, T, W]` + positions `[T, W]`, where R = B T.
    ///
    /// # Errors
    /// A device that fails.
    ///
    /// # Panics
    /// When T does not divide R: a fault of the caller.
    pub fn positions(
        &self,
        gpu: &Gpu,
        times: usize,
        x: Rows,
        positions: Rows,
        y: Rows,
    ) -> Result<(), GpuError> {
        self.repeats(times);
        let mut arguments = arguments(&[x, positions, y]);
        arguments.extend([times, self.rows, self.width].map(Argument::from));
        self.launch(gpu, "rows_add_positions", &arguments)
    }

    /// of_positions `[T, W]` += the sum of of_y `[B, T, W]` over B, in order.
    ///
    /// # Errors
    /// A device that fails.
    ///
    /// # Panics
    /// As [`PopulationRows::positions`].
    pub fn of_positions(
        &self,
        gpu: &Gpu,
        times: usize,
        of_y: Rows,
        of_positions: Rows,
    ) -> Result<(), GpuError> {
        let repeats = self.repeats(times);
        if repeats == 0 {
            return Ok(());
        }
        let mut arguments = arguments(&[of_y, of_positions]);
        arguments.extend([times, repeats, self.width].map(Argument::from));
        self.start(gpu, "rows_positions_gradient", checked(times * self.width), &arguments)
    }

    /// B of T.
    fn repeats(&self, times: usize) -> usize {
        assert!(
            self.rows == 0 || (times > 0 && self.rows.is_multiple_of(times)),
            "{} rows are not whole series of {times}",
            self.rows
        );
        self.rows / times.max(1)
    }

    /// Starts a kernel whose threads have four elements each.
    fn launch(&self, gpu: &Gpu, name: &'static str, arguments: &[Argument]) -> Result<(), GpuError> {
        self.start(gpu, name, checked(self.rows * self.width).div_ceil(4), arguments)
    }

    fn start(
        &self,
        gpu: &Gpu,
        name: &'static str,
        threads: usize,
        arguments: &[Argument],
    ) -> Result<(), GpuError> {
        let launch = Launch {
            kernel: ("population_rows", name),
            grid: [checked(self.population * threads.div_ceil(THREADS)), 1, 1],
            threads: THREADS,
            shared_bytes: 0,
        };
        gpu.launch(launch, arguments)
    }
}

fn arguments(matrices: &[Rows]) -> Vec<Argument> {
    matrices.iter().flat_map(|rows| rows.arguments()).collect()
}
