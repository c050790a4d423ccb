//! Mean and standard deviation of every window of rows, for many series at once on a CUDA device.
//!
//! The twin on the CPU is `moments` of `domains::market::rolling`, and every number has its bits: windows are put together
//! from the end of one block of rows and the beginning of the next, and joined by the same operations in the same order. A
//! null (NaN) makes every window that holds it null.
//!
//! The feature stage does not use it: its columns come from the host's memory and go back there, 8 bytes up and 16 down a
//! value, and must be turned round to `[row][series]` on the way. That alone takes about as long as the processors of a host
//! need for the windows themselves. It is for panels that are on the device already.

use super::gpu::{Address, Argument, Gpu, GpuError, Launch};

/// Series of a block.
const THREADS: usize = 128;

/// Where everything lies on the device; all numbers are f64.
#[derive(Clone, Copy, Debug)]
pub struct RollingMoments {
    /// Rows of each series.
    pub rows: usize,
    /// Series; at most 8,388,480.
    pub series: usize,
    /// Rows of a window, at least 1.
    pub period: usize,
    /// Whether the divisor of the deviation is the number of values less one, not their number.
    pub sample: bool,
    /// `[rows, series]`
    pub values: Address,
    /// As many as [`RollingMoments::scratch`] says.
    pub scratch: Address,
    /// `[rows, series]`: written; NaN in the first `period - 1` rows.
    pub means: Address,
    /// `[rows, series]`: written; NaN in the first `period - 1` rows.
    pub deviations: Address,
}

impl RollingMoments {
    /// How many f64 of scratch so many series need.
    pub fn scratch(rows: usize, series: usize) -> usize {
        2 * rows * series
    }

    /// Computes all windows.
    ///
    /// # Errors
    /// A device that fails.
    pub fn launch(&self, gpu: &Gpu) -> Result<(), GpuError> {
        if self.rows == 0 {
            return Ok(());
        }
        // A window that is longer than the series is as good as one that is one row longer.
        let period = self.period.clamp(1, self.rows + 1);
        let of = |name| Launch {
            kernel: ("rolling_moments", name),
            grid: [self.rows.div_ceil(period), self.series.div_ceil(THREADS), 1],
            threads: THREADS,
            shared_bytes: 0,
        };
        let sizes: [Argument; 3] = [self.rows.into(), self.series.into(), period.into()];
        let suffixes = [self.values.into(), self.scratch.into()];
        gpu.launch(of("moments_suffixes"), &[&suffixes[..], &sizes].concat())?;
        let places = [self.values, self.scratch, self.means, self.deviations].map(Argument::from);
        let rest = [usize::from(self.sample).into()];
        gpu.launch(of("moments_windows"), &[&places[..], &sizes, &rest].concat())
    }
}
