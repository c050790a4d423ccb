//! Exponential means of many series at once on a CUDA device.
//!
//! The twin on the CPU is `exponential_mean` of `domains::market::indicators::ema`, and every number has its bits. A scan that
//! cuts the rows among threads would round in another order; hence a thread walks all rows of its series. It is fast for
//! panels of thousands of series and slower than a processor for a few.
//!
//! The feature stage does not use it: columns would be copied from the host's memory and back, and be turned round to
//! `[row][series]`, which takes as long as the three operations a row of a processor. It is for panels that are on the device
//! already.

use super::gpu::{Address, Gpu, GpuError, Launch};

/// Series of a block.
const THREADS: usize = 64;

/// Where everything lies on the device; all numbers are f64.
#[derive(Clone, Copy, Debug)]
pub struct EmaScan {
    /// Rows of each series.
    pub rows: usize,
    /// Series.
    pub series: usize,
    /// Rows that set the weight of the newest value, 2 / (period + 1), and whose plain mean begins; at least 1.
    pub period: usize,
    /// `[rows, series]`
    pub values: Address,
    /// `[rows, series]`: written; NaN in the first `period - 1` rows.
    pub means: Address,
}

impl EmaScan {
    /// Computes all means.
    ///
    /// # Errors
    /// A device that fails.
    pub fn launch(&self, gpu: &Gpu) -> Result<(), GpuError> {
        let launch = Launch {
            kernel: ("ema_scan", "exponential_means"),
            grid: [self.series.div_ceil(THREADS), 1, 1],
            threads: THREADS,
            shared_bytes: 0,
        };
        let weight = 2.0 / (self.period as f64 + 1.0);
        // No mean begins within the series where the period is longer.
        let period = self.period.clamp(1, self.rows + 1);
        let (rows, series) = (self.rows.into(), self.series.into());
        gpu.launch(
            launch,
            &[self.values.into(), self.means.into(), rows, series, period.into(), weight.into()],
        )
    }
}
