//! Which of 64 rows satisfy a comparison, as the bits of one word.

use super::instructions::Instructions;

/// Rows in a word.
pub const WORD: usize = 64;

/// Bit i: whether `left[i] - right[i] > least[i]`. A comparison with NaN is false.
#[inline(always)]
pub fn exceeding<const KIND: u8>(left: &[f64; WORD], right: &[f64; WORD], least: &[f64; WORD]) -> u64 {
    #[cfg(target_arch = "x86_64")]
    {
        if KIND == Instructions::Avx512 as u8 {
            #[expect(
                unsafe_code,
                reason = "a body of this kind is compiled for, and only run with, AVX-512"
            )]
            // SAFETY: `for_each_instructions` runs a body of this kind only where the processor knows AVX-512.
            return unsafe { wide::exceeding(left, right, least) };
        }
        if KIND == Instructions::Avx2 as u8 {
            #[expect(unsafe_code, reason = "a body of this kind is compiled for, and only run with, AVX2")]
            // SAFETY: as above, with AVX2.
            return unsafe { narrow::exceeding(left, right, least) };
        }
    }
    let mut word = 0;
    for row in 0..WORD {
        word |= u64::from(left[row] - right[row] > least[row]) << row;
    }
    word
}

/// Bit i: whether `values[i]` is a number.
#[inline(always)]
pub fn numbers<const KIND: u8>(values: &[f64; WORD]) -> u64 {
    const ZERO: [f64; WORD] = [0.0; WORD];
    const BELOW_ALL: [f64; WORD] = [f64::NEG_INFINITY; WORD];
    exceeding::<KIND>(values, &ZERO, &BELOW_ALL)
}

#[cfg(target_arch = "x86_64")]
mod wide {
    use super::WORD;
    use std::arch::x86_64::{_CMP_GT_OQ, _mm512_cmp_pd_mask, _mm512_loadu_pd, _mm512_sub_pd};

    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn exceeding(left: &[f64; WORD], right: &[f64; WORD], least: &[f64; WORD]) -> u64 {
        let mut word = 0;
        for group in 0..WORD / 8 {
            let at = 8 * group;
            #[expect(unsafe_code, reason = "a load of eight numbers from an array of 64")]
            // SAFETY: `at + 8` is at most 64, and the load needs no alignment.
            let [left, right, least] =
                unsafe { [left, right, least].map(|values| _mm512_loadu_pd(values.as_ptr().add(at))) };
            let mask = _mm512_cmp_pd_mask::<_CMP_GT_OQ>(_mm512_sub_pd(left, right), least);
            word |= u64::from(mask) << at;
        }
        word
    }
}

#[cfg(target_arch = "x86_64")]
mod narrow {
    use super::WORD;
    use std::arch::x86_64::{_CMP_GT_OQ, _mm256_cmp_pd, _mm256_loadu_pd, _mm256_movemask_pd, _mm256_sub_pd};

    #[target_feature(enable = "avx2")]
    #[inline]
    pub(super) fn exceeding(left: &[f64; WORD], right: &[f64; WORD], least: &[f64; WORD]) -> u64 {
        let mut word = 0;
        for group in 0..WORD / 4 {
            let at = 4 * group;
            #[expect(unsafe_code, reason = "a load of four numbers from an array of 64")]
            // SAFETY: `at + 4` is at most 64, and the load needs no alignment.
            let [left, right, least] =
                unsafe { [left, right, least].map(|values| _mm256_loadu_pd(values.as_ptr().add(at))) };
            let mask = _mm256_movemask_pd(_mm256_cmp_pd::<_CMP_GT_OQ>(_mm256_sub_pd(left, right), least));
            word |= u64::from(mask.cast_unsigned() & 15) << at;
        }
        word
    }
}
