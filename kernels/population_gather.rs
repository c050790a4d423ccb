//! From series on the device to the batches of a population: windows and targets in the order of each member's epoch, and
//! what happens to windows before a network sees them.
//!
//! A window is a run of `T * F` numbers that follow each other within the series of its symbol.

use super::gpu::{Address, Argument, Gpu, GpuError, Launch};

/// Numbers of a window that one warp copies; the `.cu` has the same number.
const CHUNK: usize = 512;

/// Most numbers of a window that are turned in shared memory at once: several blocks then share a multiprocessor.
const TURNED: usize = 12_288;

/// Where a member finds its windows.
#[derive(Clone, Copy, Debug)]
pub struct SeriesPlaces {
    /// f32: the scaled series of all symbols, one after the other.
    pub series: Address,
    /// `[N]` u64: the first number of each window in `series`.
    pub starts: Address,
    /// `[N, H]` f32: the targets of each window as the loss wants them.
    pub targets: Address,
    /// u32: the numbers of the windows, batch after batch.
    pub order: Address,
}

impl SeriesPlaces {
    /// What the kernel is told of one member.
    pub fn numbers(self) -> [u64; 4] {
        [self.series, self.starts, self.targets, self.order].map(Address::number)
    }
}

/// Where everything lies on the device.
#[derive(Clone, Copy, Debug)]
pub struct PopulationGather {
    /// P.
    pub population: usize,
    /// B: rows of a batch.
    pub rows: usize,
    /// T * F.
    pub size: usize,
    /// H.
    pub horizons: usize,
    /// `[P, 4]` u64: each member's [`SeriesPlaces::numbers`].
    pub places: Address,
    /// `[steps, P]` u32: where in its order a member's batch begins.
    pub offsets: Address,
    /// `[steps, P]` i32: how many windows the batch has, at most B.
    pub counts: Address,
    /// i32: which of the steps this is.
    pub step: Address,
    /// `[P, B, T * F]`: overwritten; 0 in rows that the batch has not.
    pub x: Address,
    /// `[P, B, H]`: overwritten; 0 in rows that the batch has not.
    pub y: Address,
    /// `[P]` i32: overwritten by the counts of this step.
    pub active: Address,
}

fn launch(name: &'static str, grid: [usize; 3], threads: usize, shared_bytes: usize) -> Launch {
    Launch { kernel: ("population_gather", name), grid, threads, shared_bytes }
}

impl PopulationGather {
    /// Fills the batches of all members.
    ///
    /// # Errors
    /// A device that fails.
    ///
    /// # Panics
    /// When a member's batch has more than 2^30 parts: a fault of the caller.
    pub fn launch(&self, gpu: &Gpu) -> Result<(), GpuError> {
        let items = self.rows * self.size.div_ceil(CHUNK);
        assert!(items < 1 << 30, "the parts of a batch are counted in 30 bits");
        let places = [self.places, self.offsets, self.counts, self.step, self.x, self.y, self.active];
        let sizes = [self.rows, self.size, self.horizons];
        let arguments: Vec<Argument> =
            places.map(Into::into).into_iter().chain(sizes.map(Into::into)).collect();
        gpu.launch(launch("gather_windows", [items.div_ceil(4), self.population, 1], 128, 0), &arguments)
    }
}

/// Windows `[windows, T, F]`, of which a population has `P * B`.
#[derive(Clone, Copy, Debug)]
pub struct WindowShape {
    /// How many.
    pub windows: usize,
    /// T.
    pub length: usize,
    /// F.
    pub features: usize,
}

impl WindowShape {
    fn check(self) {
        assert!(self.length * self.features < 1 << 30, "a window's numbers are counted in 30 bits");
    }

    /// x minus each feature's last value, in place.
    ///
    /// # Errors
    /// A device that fails.
    ///
    /// # Panics
    /// When a window has more than 2^30 numbers: a fault of the caller.
    pub fn subtract_last_values(self, gpu: &Gpu, x: Address) -> Result<(), GpuError> {
        self.check();
        let arguments = [x.into(), self.length.into(), self.features.into()];
        let threads = (self.length * self.features).next_multiple_of(32).clamp(32, 256);
        gpu.launch(launch("subtract_last_values", self.grid(self.features), threads, 0), &arguments)
    }

    /// x to (x - mean) / sqrt(variance + 1e-5) over each feature's window, in place. `deviation` `[windows]` is what forecasts
    /// are multiplied by where there is one feature; [`Address::NONE`] where there are several.
    ///
    /// # Errors
    /// A device that fails.
    ///
    /// # Panics
    /// When a window has more than 2^30 numbers, or a deviation is wanted of several features: a fault of the caller.
    pub fn normalise_instances(self, gpu: &Gpu, x: Address, deviation: Address) -> Result<(), GpuError> {
        self.check();
        assert!(self.features == 1 || deviation == Address::NONE, "no feature's deviation is the target's");
        let threads = (self.length * self.features).div_ceil(4).next_multiple_of(32).clamp(32, 256);
        let slab = self.features.min(threads);
        let sizes = [self.length, self.features, slab].map(Argument::from);
        let arguments: Vec<Argument> = [x, deviation].map(Into::into).into_iter().chain(sizes).collect();
        gpu.launch(launch("normalise_instances", self.grid(slab), threads, 8 * threads), &arguments)
    }

    /// `result` `[windows, F, places]` = x `[windows, T, F]` at `bars` `[places]` u32, each below T: patches side by side.
    ///
    /// # Errors
    /// A device that fails.
    ///
    /// # Panics
    /// When a window's result has more than 2^30 numbers: a fault of the caller.
    pub fn cut_patches(
        self,
        gpu: &Gpu,
        x: Address,
        bars: Address,
        places: usize,
        result: Address,
    ) -> Result<(), GpuError> {
        self.check();
        assert!(self.features * places < 1 << 30, "a window's numbers are counted in 30 bits");
        // An odd number of numbers a feature spreads a bar's features over the banks. A single feature lies as it should.
        let pitch = self.length | 1;
        let (slab, pitch) = match self.features > 1 && pitch <= TURNED {
            true => (self.features.min(TURNED / pitch), pitch),
            false => (self.features, 0),
        };
        let sizes = [self.length, self.features, places, slab, pitch].map(Argument::from);
        let arguments: Vec<Argument> = [x, bars, result].map(Into::into).into_iter().chain(sizes).collect();
        gpu.launch(launch("cut_patches", self.grid(slab), 256, 4 * slab * pitch), &arguments)
    }

    /// A block a window and slab of features; none where there is nothing.
    fn grid(self, slab: usize) -> [usize; 3] {
        [self.windows * self.length.min(1), self.features.div_ceil(slab.max(1)), 1]
    }
}

/// `values` `[rows, columns]` times `factors` `[rows]`, in place: forecasts in the units of the target, and on the way back
/// their gradients.
///
/// # Errors
/// A device that fails.
pub fn scale_rows(
    gpu: &Gpu,
    values: Address,
    factors: Address,
    rows: usize,
    columns: usize,
) -> Result<(), GpuError> {
    let arguments = [values.into(), factors.into(), Argument::Long(rows as u64), columns.into()];
    gpu.launch(launch("scale_rows", [(rows * columns).div_ceil(256), 1, 1], 256, 0), &arguments)
}
