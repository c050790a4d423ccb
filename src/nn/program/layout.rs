//! Where the slots of a program lie in a device's memory for so many members and windows.

use super::{Program, Slot, Step, View};
use crate::kernels::attention::AttentionShape;
use crate::kernels::gpu::{Address, Gpu};
use crate::kernels::population::Rows;
use crate::kernels::population_attention::PopulationAttention;
use crate::kernels::population_linear::PopulationLinear;
use crate::kernels::population_norm::{MOST_COLUMNS, PopulationNorm};
use crate::kernels::precision::Precision;

/// Slots begin at multiples of so many numbers, so that rows may be read four numbers at a time.
const ALIGNMENT: usize = 64;

/// Places of all slots, as numbers from the beginning of the memory for them.
#[derive(Clone, Debug)]
pub struct Layout {
    /// P
    pub(super) population: usize,
    /// B: windows of a member.
    pub(super) windows: usize,
    /// `[slot]`
    slots: Vec<usize>,
    /// `[slot]`: of its gradient, where one flows through it and wanted.
    gradients: Vec<Option<usize>>,
    scratch: usize,
    total: usize,
}

impl Layout {
    /// For forward and backward passes.
    pub fn training(program: &Program, population: usize, windows: usize) -> Layout {
        Layout::new(program, population, windows, true)
    }

    /// For forward passes alone.
    pub fn evaluation(program: &Program, population: usize, windows: usize) -> Layout {
        Layout::new(program, population, windows, false)
    }

    fn new(program: &Program, population: usize, windows: usize, backward: bool) -> Layout {
        let mut total = 0_usize;
        let mut take = |count: usize| {
            total = total.saturating_add(count.next_multiple_of(ALIGNMENT));
            total - count.next_multiple_of(ALIGNMENT)
        };
        let size = |(rows, width, _): &(usize, usize, bool)| {
            population.saturating_mul(windows).saturating_mul(rows * width)
        };
        let slots = program.slots.iter().map(|slot| take(size(slot))).collect();
        let of_gradient = |slot: &(usize, usize, bool)| (backward && slot.2).then(|| size(slot));
        let gradients = program.slots.iter().map(|slot| of_gradient(slot).map(&mut take)).collect();
        let wanted = if backward { program.scratch(population, windows) } else { 0 };
        let scratch = take(wanted);
        Layout { population, windows, slots, gradients, scratch, total }
    }

    /// f32 numbers of all slots together.
    pub fn total(&self) -> usize {
        self.total
    }

    /// B.
    pub fn windows(&self) -> usize {
        self.windows
    }

    /// Where a slot begins.
    pub(super) fn place(&self, start: Address, slot: Slot) -> Address {
        start.floats(self.slots[slot.index])
    }

    /// Where its gradient begins, if it has one.
    pub(super) fn gradient(&self, start: Address, slot: Slot) -> Option<Address> {
        self.gradients[slot.index].map(|place| start.floats(place))
    }

    pub(super) fn scratch(&self, start: Address) -> Address {
        start.floats(self.scratch)
    }

    /// The rows of a slot that begin at this address: its own, or its gradient's.
    pub(super) fn rows(&self, address: Address, view: View) -> Rows {
        let View { slot, length, first } = view;
        let member = self.windows * slot.rows * slot.width;
        if view.is_whole() {
            return Rows { address, member, row: slot.width };
        }
        // One row of each sequence.
        Rows { address: address.floats(first * slot.width), member, row: length * slot.width }
    }

    /// f32 numbers of a slot over all windows and members.
    pub(super) fn size(&self, slot: Slot) -> usize {
        self.population * self.windows * slot.rows * slot.width
    }
}

/// Kernels count the numbers of a member's slot in 30 bits.
const MOST_NUMBERS: usize = 1 << 30;

impl Program {
    /// Whether kernels can count what so many windows of a member hold.
    pub(super) fn counts(&self, windows: usize) -> bool {
        let fits = |(rows, width, _): &(usize, usize, bool)| {
            rows.saturating_mul(*width).saturating_mul(windows) < MOST_NUMBERS
        };
        self.slots.iter().all(fits)
    }

    /// Whether the kernels can run all steps on a device.
    ///
    /// # Errors
    /// What is too large, and what to do.
    pub fn check(&self, gpu: &Gpu) -> Result<(), String> {
        for step in &self.steps {
            match step {
                Step::Attention { length, first, heads, causal, y, .. } => {
                    let (length, first, heads, causal) = (*length, *first, *heads, *causal);
                    let precision = Precision::F32;
                    let width = y.width;
                    let shape = AttentionShape { length, first, heads, width, causal, precision };
                    PopulationAttention::check(shape, gpu)?;
                }
                Step::Norm { y, .. } if y.width > MOST_COLUMNS => {
                    return Err(format!(
                        "a width of {} is too large for CUDA devices, which take {MOST_COLUMNS}; use a smaller one, or `device: cpu`",
                        y.width
                    ));
                }
                _ => {}
            }
        }
        match self.counts(1) {
            true => Ok(()),
            false => Err("a window is too large for CUDA devices; use `device: cpu`".into()),
        }
    }

    /// f32 numbers of scratch that the largest step of a backward pass needs.
    fn scratch(&self, population: usize, windows: usize) -> usize {
        let linear = |rows: usize, inputs: usize, outputs: usize| {
            let precision = Precision::F32;
            PopulationLinear { population, rows, inputs, outputs, precision }.scratch()
        };
        let of_step = |step: &Step| match step {
            Step::Linear { x, y, .. } => linear(windows * y.rows, x.slot.width, y.width),
            Step::Lstm { x, cells, .. } => {
                let (rows, outputs) = (windows * x.rows, 4 * cells.width);
                linear(rows, x.width, outputs).max(linear(rows, cells.width, outputs))
            }
            Step::Norm { y, .. } => PopulationNorm::scratch(population, windows * y.rows, y.width),
            _ => 0,
        };
        self.steps.iter().map(of_step).max().unwrap_or(0)
    }
}
