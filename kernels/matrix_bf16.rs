//! Matrix products on one thread whose factors are rounded to bfloat16 (8 significant bits, round to nearest even), while
//! sums stay f32.
//!
//! With AVX512-BF16 one instruction adds two products to each of 16 sums. Both factors are rounded and packed on the way:
//! two neighbours along the inner dimension share 32 bits (a *pair*); the right factor lies in panels of 32 columns, so
//! that a tile of 8 x 32 results stays in registers while a panel streams through the first cache. Elsewhere the rounding
//! is emulated and the product is one of f32: slower, but of the same meaning. (The instruction takes numbers below 2^-126
//! for zero; the emulation does not.)

use super::arena::{Arena, Buffer};
use super::instructions::Instructions;
use super::matrix::{self, Matrix, MatrixMut, Target};
use super::precision::round_to_bf16;

/// Columns of a panel: two vectors of results.
const PANEL: usize = 32;
/// Rows of a tile.
const TILE: usize = 8;
/// Pairs of one block of the inner dimension: a panel of 32 KiB and a tile's rows fit the first cache.
const BLOCK_PAIRS: usize = 256;
/// Rows that are packed at once, so that they stay in the second cache.
const BLOCK_ROWS: usize = 256;

/// A right factor `[k, n]`, rounded once for many products.
#[derive(Debug)]
pub struct RightFactor {
    buffer: Buffer,
    rows: usize,
    columns: usize,
    packed: bool,
}

impl RightFactor {
    /// Rounds (and, where the processor can use it, packs) a factor into a buffer of the arena.
    pub fn new(right: Matrix<f32>, arena: &Arena) -> RightFactor {
        if !Instructions::multiply_bf16() {
            return RightFactor::emulated(right, arena);
        }
        let (rows, columns) = (right.rows, right.columns);
        let mut buffer = arena.take(rows.div_ceil(2) * columns.next_multiple_of(PANEL));
        pack_right(right, &mut buffer);
        RightFactor { buffer, rows, columns, packed: true }
    }

    /// A factor for products of f32, as on a processor without the instructions.
    pub fn emulated(right: Matrix<f32>, arena: &Arena) -> RightFactor {
        let (rows, columns) = (right.rows, right.columns);
        let mut buffer = arena.take(rows * columns);
        round_into(right, &mut buffer);
        RightFactor { buffer, rows, columns, packed: false }
    }

    /// Gives the buffer back.
    pub fn give_back(self, arena: &Arena) {
        arena.give(self.buffer);
    }
}

/// `result = left * right`, or `result += left * right`, with both factors rounded.
///
/// # Panics
/// When the shapes do not fit: a fault of the calling kernel.
pub fn multiply(result: MatrixMut<f32>, left: Matrix<f32>, right: &RightFactor, mode: Target, arena: &Arena) {
    assert!(
        left.columns == right.rows && result.rows == left.rows && result.columns == right.columns,
        "shapes of a product must fit"
    );
    if right.packed {
        multiply_packed(result, left, right, mode, arena);
    } else {
        let mut rounded = arena.take(left.rows * left.columns);
        round_into(left, &mut rounded);
        matrix::multiply(
            result,
            Matrix::new(&rounded, left.rows, left.columns, left.columns),
            Matrix::new(&right.buffer, right.rows, right.columns, right.columns),
            mode,
        );
        arena.give(rounded);
    }
}

/// A copy of the matrix, row-major, every element rounded.
fn round_into(matrix: Matrix<f32>, copy: &mut [f32]) {
    for (row, copy) in copy.chunks_exact_mut(matrix.columns.max(1)).enumerate() {
        for (column, copy) in copy.iter_mut().enumerate() {
            *copy = round_to_bf16(matrix.data[row * matrix.row_stride + column * matrix.column_stride]);
        }
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn pack_right(_right: Matrix<f32>, _packed: &mut [f32]) {
    unreachable!("only x86-64 packs")
}

#[cfg(not(target_arch = "x86_64"))]
fn multiply_packed(_: MatrixMut<f32>, _: Matrix<f32>, _: &RightFactor, _: Target, _: &Arena) {
    unreachable!("only x86-64 packs")
}

#[cfg(target_arch = "x86_64")]
use vectors::{multiply_packed, pack_right};

/// The kernel for AVX512-BF16. Buffers of f32 hold pairs as plain 32-bit patterns; nothing computes with them as f32.
#[cfg(target_arch = "x86_64")]
mod vectors {
    use super::{Arena, BLOCK_PAIRS, BLOCK_ROWS, Matrix, MatrixMut, PANEL, RightFactor, TILE, Target};
    use std::arch::x86_64::*;

    /// Lanes below `count` of 16.
    fn lanes(count: usize) -> __mmask16 {
        if count >= 16 { 0xFFFF } else { (1 << count) - 1 }
    }

    /// Where a block of the inner dimension begins, and how many pairs it has.
    fn blocks(inner: usize) -> impl Iterator<Item = (usize, usize)> {
        let pairs = inner.div_ceil(2);
        (0..pairs).step_by(BLOCK_PAIRS).map(move |start| (start, BLOCK_PAIRS.min(pairs - start)))
    }

    /// Panels of `PANEL` columns, block by block: `[block][panel][pair][PANEL]`.
    pub(super) fn pack_right(right: Matrix<f32>, packed: &mut [f32]) {
        // A gather counts its 16 steps in 32 bits.
        assert!(
            right.column_stride < 1 << 26,
            "a right factor has fewer than 2^26 rows where it is transposed"
        );
        let wide = right.columns.next_multiple_of(PANEL);
        for (start, pairs) in blocks(right.rows) {
            for panel in (0..wide).step_by(PANEL) {
                let target = &mut packed[start * wide + panel * pairs..][..pairs * PANEL];
                for half in [0, 16] {
                    #[expect(unsafe_code, reason = "vector instructions on checked slices")]
                    // SAFETY: a right factor is packed only after its instructions were detected; `Matrix` lies inside
                    // its slice, and the slice above holds all pairs of the panel.
                    unsafe {
                        pack_columns(right, 2 * start, panel + half, &mut target[half..], pairs);
                    }
                }
            }
        }
    }

    /// 16 columns from `column` on, `pairs` pairs from row `row` on; one pair of all columns every `PANEL` numbers.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    #[expect(unsafe_code, reason = "loads and stores inside slices")]
    fn pack_columns(matrix: Matrix<f32>, row: usize, column: usize, target: &mut [f32], pairs: usize) {
        let count = matrix.columns.saturating_sub(column).min(16);
        for pair in 0..pairs {
            let first = row + 2 * pair;
            // SAFETY: `load_row` reads elements of the matrix alone; the last pair's 16 numbers end inside the slice.
            unsafe {
                let low = load_row(matrix, first, column, count);
                let high = load_row(matrix, first + 1, column, count);
                let target = target[pair * PANEL..][..16].as_mut_ptr();
                _mm512_storeu_si512(target.cast(), interleaved(low, high));
            }
        }
    }

    /// `count` neighbours of one row, zeros behind them; zeros where the row is none of the matrix.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    #[expect(unsafe_code, reason = "a load inside a slice")]
    unsafe fn load_row(matrix: Matrix<f32>, row: usize, column: usize, count: usize) -> __m512 {
        if row >= matrix.rows || count == 0 {
            return _mm512_setzero_ps();
        }
        let mask = lanes(count);
        // SAFETY: row and the columns under the mask are elements of the matrix, which lies inside its slice.
        unsafe {
            let start = matrix.data.as_ptr().add(row * matrix.row_stride + column * matrix.column_stride);
            if matrix.column_stride == 1 {
                return _mm512_maskz_loadu_ps(mask, start);
            }
            let steps = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
            let offsets = _mm512_mullo_epi32(steps, _mm512_set1_epi32(matrix.column_stride as i32));
            _mm512_mask_i32gather_ps::<4>(_mm512_setzero_ps(), mask, offsets, start)
        }
    }

    /// Pairs (low, high) of 16 lanes.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    fn interleaved(low: __m512, high: __m512) -> __m512i {
        let order = _mm512_setr_epi32(
            0x0010_0000,
            0x0011_0001,
            0x0012_0002,
            0x0013_0003,
            0x0014_0004,
            0x0015_0005,
            0x0016_0006,
            0x0017_0007,
            0x0018_0008,
            0x0019_0009,
            0x001A_000A,
            0x001B_000B,
            0x001C_000C,
            0x001D_000D,
            0x001E_000E,
            0x001F_000F,
        );
        _mm512_permutexvar_epi16(order, bits(_mm512_cvtne2ps_pbh(high, low)))
    }

    #[expect(unsafe_code, reason = "two names of 512 bits")]
    fn bits(halves: __m512bh) -> __m512i {
        // SAFETY: both are plain 512 bits.
        unsafe { std::mem::transmute(halves) }
    }

    /// How the rows of a left factor lie while they are multiplied: row-major where the matrix is, else in tiles.
    #[derive(Clone, Copy)]
    struct LeftLayout {
        /// Numbers between a row's pair and the next row's; 1 in tiles, at least 16 in rows.
        row_step: usize,
        /// Numbers between a tile and the next.
        tile_step: usize,
    }

    /// Packs up to `BLOCK_ROWS` rows of one block of the inner dimension.
    fn pack_left(
        left: Matrix<f32>,
        rows: (usize, usize),
        block: (usize, usize),
        packed: &mut [f32],
    ) -> LeftLayout {
        let ((row, count), (start, pairs)) = (rows, block);
        if left.column_stride == 1 {
            let row_step = pairs.next_multiple_of(16);
            for (index, target) in packed.chunks_exact_mut(row_step).take(count).enumerate() {
                let first = (row + index) * left.row_stride + 2 * start;
                let length = (left.columns - 2 * start).min(2 * pairs);
                #[expect(unsafe_code, reason = "vector instructions on checked slices")]
                // SAFETY: a left factor is packed only after its instructions were detected.
                unsafe {
                    round_row(&left.data[first..first + length], target);
                }
            }
            return LeftLayout { row_step, tile_step: TILE * row_step };
        }
        let across = left.transposed();
        for tiles in (0..count).step_by(16) {
            #[expect(unsafe_code, reason = "vector instructions on checked slices")]
            // SAFETY: as above; the buffer has whole pairs of tiles.
            unsafe {
                pack_tiles(across, 2 * start, row + tiles, &mut packed[tiles * pairs..], pairs);
            }
        }
        LeftLayout { row_step: 1, tile_step: TILE * pairs }
    }

    /// Rounds a row to pairs, with zeros behind its end.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    #[expect(unsafe_code, reason = "loads and stores inside slices")]
    fn round_row(row: &[f32], target: &mut [f32]) {
        for (index, target) in target.chunks_exact_mut(16).enumerate() {
            let part = &row[(32 * index).min(row.len())..];
            let rest = &part[16.min(part.len())..];
            // SAFETY: masks keep the loads inside the row; the target has 16 numbers.
            unsafe {
                let low = _mm512_maskz_loadu_ps(lanes(part.len()), part.as_ptr());
                let high = _mm512_maskz_loadu_ps(lanes(rest.len()), rest.as_ptr());
                _mm512_storeu_si512(target.as_mut_ptr().cast(), bits(_mm512_cvtne2ps_pbh(high, low)));
            }
        }
    }

    /// Two tiles of 8 rows of the left factor, given by its transpose: `[tile][pair][8]`.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    #[expect(unsafe_code, reason = "loads and stores inside slices")]
    fn pack_tiles(across: Matrix<f32>, inner: usize, row: usize, target: &mut [f32], pairs: usize) {
        let count = (across.columns - row).min(16);
        let (first, second) = target[..2 * TILE * pairs].split_at_mut(TILE * pairs);
        for (pair, (first, second)) in first.chunks_exact_mut(8).zip(second.chunks_exact_mut(8)).enumerate() {
            // SAFETY: `load_row` reads elements of the matrix alone; each target has 8 numbers.
            unsafe {
                let low = load_row(across, inner + 2 * pair, row, count);
                let high = load_row(across, inner + 2 * pair + 1, row, count);
                let both = interleaved(low, high);
                _mm256_storeu_si256(first.as_mut_ptr().cast(), _mm512_castsi512_si256(both));
                _mm256_storeu_si256(second.as_mut_ptr().cast(), _mm512_extracti64x4_epi64::<1>(both));
            }
        }
    }

    pub(super) fn multiply_packed(
        mut result: MatrixMut<f32>,
        left: Matrix<f32>,
        right: &RightFactor,
        mode: Target,
        arena: &Arena,
    ) {
        let wide = right.columns.next_multiple_of(PANEL);
        let mut packed = arena.take(BLOCK_ROWS * BLOCK_PAIRS);
        for block in blocks(right.rows) {
            let (start, pairs) = block;
            let panels = &right.buffer[start * wide..][..pairs * wide];
            let adds = mode == Target::Added || start > 0;
            for row in (0..left.rows).step_by(BLOCK_ROWS) {
                let rows = (row, BLOCK_ROWS.min(left.rows - row));
                let layout = pack_left(left, rows, block, &mut packed);
                multiply_rows(&mut result, rows, (&packed, layout), panels, adds);
            }
        }
        arena.give(packed);
    }

    /// One block of the inner dimension for some packed rows of the left factor and all panels of the right one.
    fn multiply_rows(
        result: &mut MatrixMut<f32>,
        (row, count): (usize, usize),
        (left, layout): (&[f32], LeftLayout),
        panels: &[f32],
        adds: bool,
    ) {
        let pairs = panels.len() / result.columns.next_multiple_of(PANEL);
        for (index, panel) in panels.chunks_exact(pairs * PANEL).enumerate() {
            let column = index * PANEL;
            let columns = PANEL.min(result.columns - column);
            for tile in (0..count).step_by(TILE) {
                let rows = TILE.min(count - tile);
                let first = (row + tile) * result.row_stride + column;
                let output = Output { stride: result.row_stride, rows, columns, adds };
                let target = &mut result.data[first..first + (rows - 1) * output.stride + columns];
                let left = &left[tile / TILE * layout.tile_step..];
                #[expect(unsafe_code, reason = "vector instructions on checked slices")]
                // SAFETY: a packed factor exists only where its instructions were detected. The buffer of the left factor
                // has room for whole tiles, the panel has whole pairs of 32 columns, and the slice of the result ends
                // with the last column of the last row.
                unsafe {
                    match layout.row_step {
                        1 => multiply_tile::<true>(left, 1, panel, target, output),
                        row_step => multiply_tile::<false>(left, row_step, panel, target, output),
                    }
                }
            }
        }
    }

    /// Where a tile goes.
    #[derive(Clone, Copy)]
    struct Output {
        stride: usize,
        rows: usize,
        columns: usize,
        adds: bool,
    }

    /// 8 x 32 results; rows and columns beyond the output are computed and dropped.
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16")]
    #[expect(unsafe_code, reason = "loads and stores that the caller keeps inside slices")]
    unsafe fn multiply_tile<const TILED: bool>(
        left: &[f32],
        row_step: usize,
        panel: &[f32],
        result: &mut [f32],
        output: Output,
    ) {
        let mut sums = [[_mm512_setzero_ps(); 2]; TILE];
        let masks = [lanes(output.columns), lanes(output.columns.saturating_sub(16))];
        // SAFETY: rows below `output.rows` with lanes under the masks lie inside the result.
        unsafe {
            if output.adds {
                for (row, sums) in sums.iter_mut().enumerate().take(output.rows) {
                    let start = result.as_ptr().wrapping_add(row * output.stride);
                    sums[0] = _mm512_maskz_loadu_ps(masks[0], start);
                    sums[1] = _mm512_maskz_loadu_ps(masks[1], start.wrapping_add(16));
                }
            }
            let (mut left, mut columns) = (left.as_ptr().cast::<i32>(), panel.as_ptr());
            for _ in 0..panel.len() / PANEL {
                let right = [_mm512_loadu_ps(columns), _mm512_loadu_ps(columns.add(16))].map(halves);
                for (row, sums) in sums.iter_mut().enumerate() {
                    let pair = *left.add(if TILED { row } else { row * row_step });
                    let pair = halves(_mm512_castsi512_ps(_mm512_set1_epi32(pair)));
                    sums[0] = _mm512_dpbf16_ps(sums[0], pair, right[0]);
                    sums[1] = _mm512_dpbf16_ps(sums[1], pair, right[1]);
                }
                left = left.add(if TILED { TILE } else { 1 });
                columns = columns.add(PANEL);
            }
            for (row, sums) in sums.iter().enumerate().take(output.rows) {
                let start = result.as_mut_ptr().wrapping_add(row * output.stride);
                _mm512_mask_storeu_ps(start, masks[0], sums[0]);
                _mm512_mask_storeu_ps(start.wrapping_add(16), masks[1], sums[1]);
            }
        }
    }

    #[expect(unsafe_code, reason = "two names of 512 bits")]
    fn halves(pairs: __m512) -> __m512bh {
        // SAFETY: both are plain 512 bits.
        unsafe { std::mem::transmute(pairs) }
    }
}
