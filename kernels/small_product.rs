//! Products of small matrices of f32, where a general product would spend its time on preparation: the heads of an
//! attention over a few tens of positions.

use super::gates::vectorised;

/// `result [rows, columns] = left [rows, inner] * right [inner, columns]`.
pub(super) struct SmallProduct<'a> {
    pub(super) rows: usize,
    pub(super) inner: usize,
    pub(super) columns: usize,
    pub(super) left: &'a [f32],
    /// Numbers between two rows of the left factor, and between two of its columns.
    pub(super) left_steps: [usize; 2],
    pub(super) right: &'a [f32],
    /// Numbers between two rows.
    pub(super) right_step: usize,
    pub(super) result: &'a mut [f32],
    /// Numbers between two rows.
    pub(super) result_step: usize,
}

impl SmallProduct<'_> {
    /// Computes it.
    ///
    /// # Panics
    /// When a slice is too short: a fault of the calling kernel.
    pub(super) fn run(mut self) {
        if self.rows == 0 || self.columns == 0 {
            return;
        }
        let rows = self.rows - 1;
        let inner = self.inner.saturating_sub(1);
        let left = rows * self.left_steps[0] + inner * self.left_steps[1];
        assert!(self.inner == 0 || left < self.left.len(), "the left factor must lie inside its slice");
        let right = inner * self.right_step + self.columns;
        assert!(self.inner == 0 || right <= self.right.len(), "the right factor must lie inside its slice");
        let result = rows * self.result_step + self.columns;
        assert!(result <= self.result.len(), "the result must lie inside its slice");
        #[cfg(target_arch = "x86_64")]
        if is_x86_feature_detected!("avx512f") {
            #[expect(unsafe_code, reason = "the processor was asked for these instructions")]
            // SAFETY: the feature was detected, and the assertions above keep every access inside its slice.
            return unsafe { vectors::run(&mut self) };
        }
        plain(self);
    }
}

#[inline(always)]
fn plain_body<const FUSED: bool>(product: SmallProduct) {
    let SmallProduct { inner, columns, left, left_steps, right, right_step, result, result_step, rows } =
        product;
    for row in 0..rows {
        let result = &mut result[row * result_step..][..columns];
        result.fill(0.0);
        for k in 0..inner {
            let factor = left[row * left_steps[0] + k * left_steps[1]];
            for (sum, value) in result.iter_mut().zip(&right[k * right_step..][..columns]) {
                *sum = super::gates::multiply_add::<FUSED>(factor, *value, *sum);
            }
        }
    }
}

vectorised! {
    fn plain(product: SmallProduct) = plain_body;
}

/// Tiles of 8 x 32 results in registers.
#[cfg(target_arch = "x86_64")]
mod vectors {
    use super::SmallProduct;
    use std::arch::x86_64::*;

    #[target_feature(enable = "avx512f")]
    #[expect(unsafe_code, reason = "loads and stores that the caller keeps inside slices")]
    pub(super) unsafe fn run(product: &mut SmallProduct) {
        for column in (0..product.columns).step_by(32) {
            let mut row = 0;
            while row < product.rows {
                // SAFETY: rows from `row` on are rows of the product.
                unsafe {
                    row += match product.rows - row {
                        8.. => tile::<8>(product, row, column),
                        4..8 => tile::<4>(product, row, column),
                        2..4 => tile::<2>(product, row, column),
                        _ => tile::<1>(product, row, column),
                    };
                }
            }
        }
    }

    /// Computes `ROWS` rows of up to 32 columns and returns `ROWS`.
    #[target_feature(enable = "avx512f")]
    #[expect(unsafe_code, reason = "loads and stores that the caller keeps inside slices")]
    unsafe fn tile<const ROWS: usize>(product: &mut SmallProduct, row: usize, column: usize) -> usize {
        let lanes = |count: usize| if count >= 16 { 0xFFFF } else { (1_u16 << count) - 1 };
        let columns = product.columns - column;
        let masks = [lanes(columns), lanes(columns.saturating_sub(16))];
        let mut sums = [[_mm512_setzero_ps(); 2]; ROWS];
        let [row_step, inner_step] = product.left_steps;
        // SAFETY: rows `row..row + ROWS`, columns under the masks and every k below `inner` are inside by the checks of
        // `SmallProduct::run`; pointers beyond are formed by wrapping arithmetic and read by no lane.
        unsafe {
            let left = product.left.as_ptr().add(row * row_step);
            let right = product.right.as_ptr().wrapping_add(column);
            for k in 0..product.inner {
                let start = right.wrapping_add(k * product.right_step);
                let values = [
                    _mm512_maskz_loadu_ps(masks[0], start),
                    _mm512_maskz_loadu_ps(masks[1], start.wrapping_add(16)),
                ];
                for (index, sums) in sums.iter_mut().enumerate() {
                    let factor = _mm512_set1_ps(*left.add(index * row_step + k * inner_step));
                    sums[0] = _mm512_fmadd_ps(factor, values[0], sums[0]);
                    sums[1] = _mm512_fmadd_ps(factor, values[1], sums[1]);
                }
            }
            for (index, sums) in sums.iter().enumerate() {
                let start = (row + index) * product.result_step + column;
                let start = product.result.as_mut_ptr().wrapping_add(start);
                _mm512_mask_storeu_ps(start, masks[0], sums[0]);
                _mm512_mask_storeu_ps(start.wrapping_add(16), masks[1], sums[1]);
            }
        }
        ROWS
    }
}
