//! The LSTM's loops over all blocks of a batch, compiled for each kind of processor and chosen at run time.

use super::arena::{Arena, Buffer};
use super::dropout::Dropout;
use super::instructions::Instructions;
use super::lstm_backward::{BackwardBlock, Kept, backward_block, backward_room};
use super::lstm_forward::{ForwardBlock, Memory, forward_block};
#[cfg(target_arch = "x86_64")]
use super::lstm_vectors::{Avx2, Avx512};
use super::lstm_vectors::{LANES, Lanes, Portable, Vectors};
use super::lstm_weights::{LayerShape, backward_length, forward_length, pack_backward, pack_forward};
use super::precision::{Precision, round_to_bf16};

/// How a layer is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Path {
    instructions: Instructions,
    /// Factors are two bf16 numbers in each cell.
    paired: bool,
    /// Factors are f32 numbers that were rounded to bf16, since the processor has no products of bf16.
    rounded: bool,
}

impl Path {
    pub(super) fn new(instructions: Instructions, precision: Precision) -> Self {
        let instructions = instructions.available();
        let bf16 = precision == Precision::Bf16;
        let paired = bf16 && instructions == Instructions::Avx512 && Instructions::multiply_bf16();
        Path { instructions, paired, rounded: bf16 && !paired }
    }

    /// Cells of a row of lanes.
    fn row(self) -> usize {
        if self.paired { LANES / 2 } else { LANES }
    }
}

/// What a layer keeps of its forward pass for the backward pass; see [`Memory`].
#[derive(Debug)]
pub(super) struct KeptBuffers {
    gates: Buffer,
    cells: Buffer,
    states: Buffer,
    inputs: Buffer,
}

impl KeptBuffers {
    pub(super) fn give_back(self, arena: &Arena) {
        for buffer in [self.gates, self.cells, self.states, self.inputs] {
            arena.give(buffer);
        }
    }
}

/// A layer's forward pass over a batch.
pub(super) struct ForwardWork<'a> {
    pub(super) path: Path,
    pub(super) shape: LayerShape,
    /// `[1 + I + H, 4H]`
    pub(super) weight: &'a [f32],
    /// `[blocks, T, I, 32]`
    pub(super) x: &'a [f32],
    /// `[blocks, T, H, 32]`, or `[blocks, H, 32]` of the last step alone.
    pub(super) output: &'a mut [f32],
    pub(super) dropout: Option<Dropout>,
    pub(super) arena: &'a Arena,
}

/// Runs a layer and keeps what `backward` needs where that is wished.
pub(super) fn forward(work: ForwardWork, keep: bool) -> Option<KeptBuffers> {
    let ForwardWork { path, shape, arena, .. } = work;
    let LayerShape { steps, inputs, hidden, .. } = shape;
    let (history, blocks) = if keep { (steps, shape.blocks()) } else { (1, 1) };
    let converted = path.paired || path.rounded;
    let mut kept = KeptBuffers {
        gates: arena.take(blocks * history * 4 * hidden * LANES),
        cells: arena.take(blocks * (history + 1) * hidden * LANES),
        states: arena.take(blocks * (history + 1) * hidden * path.row()),
        inputs: arena.take(if converted { blocks * history * inputs * path.row() } else { 0 }),
    };
    let job = ForwardJob { work, kept: &mut kept, blocks, history };
    match path {
        #[cfg(target_arch = "x86_64")]
        Path { instructions: Instructions::Avx512, paired: true, .. } => forward_avx512_bf16(job),
        #[cfg(target_arch = "x86_64")]
        Path { instructions: Instructions::Avx512, .. } => forward_avx512(job),
        #[cfg(target_arch = "x86_64")]
        Path { instructions: Instructions::Avx2, .. } => forward_avx2(job),
        _ => forward_all::<Portable, 4, false>(Portable, job),
    }
    if keep {
        return Some(kept);
    }
    kept.give_back(arena);
    None
}

/// A layer's backward pass over a batch.
pub(super) struct BackwardWork<'a> {
    pub(super) path: Path,
    pub(super) shape: LayerShape,
    /// `[1 + I + H, 4H]`
    pub(super) weight: &'a [f32],
    /// `[blocks, T, I, 32]`
    pub(super) x: &'a [f32],
    /// As the output.
    pub(super) of_output: &'a [f32],
    pub(super) kept: &'a KeptBuffers,
    /// As x, written; empty where nobody asks for it.
    pub(super) of_x: &'a mut [f32],
    /// As the weight, added to.
    pub(super) of_weight: &'a mut [f32],
    pub(super) dropout: Option<Dropout>,
    pub(super) arena: &'a Arena,
}

/// Runs a layer backward.
pub(super) fn backward(work: BackwardWork) {
    match work.path {
        #[cfg(target_arch = "x86_64")]
        Path { instructions: Instructions::Avx512, paired: true, .. } => backward_avx512_bf16(work),
        #[cfg(target_arch = "x86_64")]
        Path { instructions: Instructions::Avx512, .. } => backward_avx512(work),
        #[cfg(target_arch = "x86_64")]
        Path { instructions: Instructions::Avx2, .. } => backward_avx2(work),
        _ => backward_all::<Portable, 4, 32, false>(Portable, work),
    }
}

/// Compiles both passes for a kind of processor.
#[cfg(target_arch = "x86_64")]
macro_rules! compiled {
    ($forward:ident, $backward:ident, $proof:ty, $rows:literal, $steps:literal, $paired:literal, $features:literal) => {
        fn $forward(job: ForwardJob) {
            #[target_feature(enable = $features)]
            fn run(proof: $proof, job: ForwardJob) {
                forward_all::<$proof, $rows, $paired>(proof, job);
            }
            let Some(proof) = <$proof>::found() else {
                unreachable!("`Path` asks for what the processor has")
            };
            {
                #[expect(unsafe_code, reason = "the proof says that the processor knows these instructions")]
                // SAFETY: `found` gives a proof only where every feature enabled above was detected.
                unsafe {
                    run(proof, job);
                }
            }
        }

        fn $backward(work: BackwardWork) {
            #[target_feature(enable = $features)]
            fn run(proof: $proof, work: BackwardWork) {
                backward_all::<$proof, $rows, $steps, $paired>(proof, work);
            }
            let Some(proof) = <$proof>::found() else {
                unreachable!("`Path` asks for what the processor has")
            };
            {
                #[expect(unsafe_code, reason = "the proof says that the processor knows these instructions")]
                // SAFETY: as above.
                unsafe {
                    run(proof, work);
                }
            }
        }
    };
}

#[cfg(target_arch = "x86_64")]
compiled!(forward_avx2, backward_avx2, Avx2, 4, 32, false, "avx2,fma,bmi1,bmi2,lzcnt,popcnt");
#[cfg(target_arch = "x86_64")]
compiled!(
    forward_avx512,
    backward_avx512,
    Avx512<false>,
    12,
    32,
    false,
    "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi1,bmi2,lzcnt,popcnt"
);
#[cfg(target_arch = "x86_64")]
compiled!(
    forward_avx512_bf16,
    backward_avx512_bf16,
    Avx512<true>,
    12,
    16,
    true,
    "avx512bf16,avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,bmi1,bmi2,lzcnt,popcnt"
);

struct ForwardJob<'a, 'b> {
    work: ForwardWork<'a>,
    kept: &'b mut KeptBuffers,
    blocks: usize,
    history: usize,
}

fn lanes(values: &[f32]) -> &[Lanes] {
    values.as_chunks().0
}

fn lanes_mut(values: &mut [f32]) -> &mut [Lanes] {
    values.as_chunks_mut().0
}

/// Part number `index` of a buffer of so many equal parts.
fn part<T>(values: &[T], index: usize, parts: usize) -> &[T] {
    let size = values.len() / parts;
    &values[index * size..][..size]
}

fn part_mut<T>(values: &mut [T], index: usize, parts: usize) -> &mut [T] {
    let size = values.len() / parts;
    &mut values[index * size..][..size]
}

/// The weights with all factors rounded to bf16; the bias is none.
#[inline(always)]
fn rounded(shape: LayerShape, weight: &[f32], arena: &Arena) -> Buffer {
    let mut result = arena.take(weight.len());
    result.copy_from_slice(weight);
    for value in &mut result[shape.columns()..] {
        *value = round_to_bf16(*value);
    }
    result
}

#[inline(always)]
fn forward_all<S: Vectors, const ROWS: usize, const PAIRED: bool>(s: S, job: ForwardJob) {
    let ForwardJob { work, kept, blocks: kept_blocks, history } = job;
    let ForwardWork { path, shape, arena, .. } = work;
    let blocks = shape.blocks();
    let mut packed = arena.take(forward_length(shape, PAIRED, ROWS));
    if path.rounded || PAIRED {
        let weight = rounded(shape, work.weight, arena);
        pack_forward::<ROWS, PAIRED>(shape, &weight, &mut packed);
        arena.give(weight);
    } else {
        pack_forward::<ROWS, PAIRED>(shape, work.weight, &mut packed);
    }
    let mut room = arena.take((2 * shape.hidden + shape.inputs + 2) * LANES);
    let size = work.output.len() / blocks;
    for (block, output) in work.output.chunks_exact_mut(size).enumerate() {
        let place = block.min(kept_blocks - 1);
        let memory = Memory {
            history,
            gates: part_mut(lanes_mut(&mut kept.gates), place, kept_blocks),
            cells: part_mut(lanes_mut(&mut kept.cells), place, kept_blocks),
            states: part_mut(&mut kept.states, place, kept_blocks),
            inputs: part_mut(&mut kept.inputs, place, kept_blocks),
        };
        let block = ForwardBlock {
            shape,
            rounded: path.rounded,
            weights: &packed,
            x: part(lanes(work.x), block, blocks),
            memory,
            output: lanes_mut(output),
            dropout: work.dropout.map(|dropout| (dropout, (block * size) as u64)),
            narrow: history == 1 && shape.batch - block * LANES <= S::WIDTH,
            room: lanes_mut(&mut room),
        };
        forward_block::<S, ROWS>(s, block);
    }
    arena.give(packed);
    arena.give(room);
}

#[inline(always)]
fn backward_all<S: Vectors, const ROWS: usize, const STEPS: usize, const PAIRED: bool>(
    s: S,
    work: BackwardWork,
) {
    let BackwardWork { path, shape, arena, .. } = work;
    let blocks = shape.blocks();
    let first = if work.of_x.is_empty() { shape.inputs } else { 0 };
    let mut packed = arena.take(backward_length(shape, PAIRED));
    if path.rounded || PAIRED {
        let weight = rounded(shape, work.weight, arena);
        pack_backward::<ROWS, PAIRED>(shape, first, &weight, &mut packed);
        arena.give(weight);
    } else {
        pack_backward::<ROWS, PAIRED>(shape, first, work.weight, &mut packed);
    }
    let mut room = arena.take(backward_room(shape, PAIRED) * LANES);
    let size = work.of_output.len() / blocks;
    let converted = path.paired || path.rounded;
    for block in 0..blocks {
        let inputs = if converted { &work.kept.inputs[..] } else { work.x };
        let kept = Kept {
            gates: part(lanes(&work.kept.gates), block, blocks),
            cells: part(lanes(&work.kept.cells), block, blocks),
            states: part(&work.kept.states, block, blocks),
            inputs: part(inputs, block, blocks),
        };
        let block = BackwardBlock {
            shape,
            rounded: path.rounded,
            weights: &packed,
            kept,
            of_output: part(lanes(work.of_output), block, blocks),
            dropout: work.dropout.map(|dropout| (dropout, (block * size) as u64)),
            of_x: part_mut(lanes_mut(work.of_x), block, blocks),
            of_weight: work.of_weight,
            room: lanes_mut(&mut room),
        };
        backward_block::<S, ROWS, STEPS>(s, block);
    }
    arena.give(packed);
    arena.give(room);
}
