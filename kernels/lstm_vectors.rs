//! The vector arithmetic under the LSTM's loops: one interface over AVX-512, AVX2 and plain Rust.
//!
//! A value of a type that implements [`Vectors`] proves that the processor knows the instructions, so its methods are
//! safe to call. Loops over it are written once and compiled for each (`lstm_paths.rs`).
//!
//! Accuracy of the gates: sigmoid and tanh are within 3e-7 absolute of the exact value for every finite x; NaN stays NaN.

use super::dropout::Dropout;
use super::precision::bf16_bits;

/// Windows of a batch that are computed side by side: a block.
pub const LANES: usize = 32;

/// One number for each window of a block.
pub(super) type Lanes = [f32; LANES];

/// Coefficients of 2^r for r in [-1/2, 1/2], highest power first: a least-maximum fit of the relative error, 1.6e-7 with
/// the last one set to 1.
const POWERS_OF_TWO: [f32; 6] =
    [0.001_327_647_2, 0.009_675_541, 0.055_507_13, 0.240_221_2, 0.693_146_94, 1.0];

/// Exponents beyond this bound change no sigmoid in f32.
const EXPONENT_BOUND: f32 = 126.0;

/// Arithmetic on [`Vectors::WIDTH`] numbers at once.
pub(super) trait Vectors: Copy {
    /// So many f32.
    type Vector: Copy;
    /// How many.
    const WIDTH: usize;
    /// Whether a cell of a product's operands holds two bf16 numbers instead of one f32.
    const PAIRED: bool;

    fn splat(self, value: f32) -> Self::Vector;
    /// The first numbers of a slice that holds enough of them.
    fn load(self, from: &[f32]) -> Self::Vector;
    fn store(self, value: Self::Vector, to: &mut [f32]);
    fn add(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    fn multiply(self, a: Self::Vector, b: Self::Vector) -> Self::Vector;
    /// a b + c
    fn multiply_add(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// c - a b
    fn multiply_subtract(self, a: Self::Vector, b: Self::Vector, c: Self::Vector) -> Self::Vector;
    /// sum + a b, where a and b hold cells.
    fn product(self, a: Self::Vector, b: Self::Vector, sum: Self::Vector) -> Self::Vector;
    /// 1 / (1 + 2^z) of several vectors, step by step side by side: one alone would wait for itself at every step.
    fn logistic<const COUNT: usize>(self, z: [Self::Vector; COUNT]) -> [Self::Vector; COUNT];
    /// The value where the bit of its lane is set, 0 elsewhere.
    fn keep(self, value: Self::Vector, bits: u32) -> Self::Vector;

    /// Bit k tells whether element `first + k` stays; `first` is a multiple of 4.
    #[inline(always)]
    fn keep_bits(self, dropout: Dropout, first: u64) -> u32 {
        let mut bits = 0;
        for lane in 0..LANES as u64 {
            bits |= u32::from(dropout.keeps(first + lane)) << lane;
        }
        bits
    }

    /// Two rows of lanes rounded to bf16: each row for itself, neighbouring lanes in a cell, and both rows together, a cell
    /// for each lane with the even row below.
    #[inline(always)]
    fn pair(self, even: &Lanes, odd: &Lanes) -> ([[f32; LANES / 2]; 2], Lanes) {
        let cell = |low: f32, high: f32| f32::from_bits(bf16_bits(low) | bf16_bits(high) << 16);
        let mut rows = [[0.0; LANES / 2]; 2];
        let mut both = [0.0; LANES];
        for (k, (low, high)) in even.iter().zip(odd).enumerate() {
            both[k] = cell(*low, *high);
        }
        for k in 0..LANES / 2 {
            rows[0][k] = cell(even[2 * k], even[2 * k + 1]);
            rows[1][k] = cell(odd[2 * k], odd[2 * k + 1]);
        }
        (rows, both)
    }

    /// Sixteen rows of sixteen numbers; column k becomes `to[k][first..first + 16]`.
    #[inline(always)]
    fn transpose(self, rows: [&[f32]; 16], to: &mut [Lanes], first: usize) {
        for (k, to) in to[..16].iter_mut().enumerate() {
            for (to, row) in to[first..first + 16].iter_mut().zip(rows) {
                *to = row[k];
            }
        }
    }
}

/// Plain Rust, for every processor.
#[derive(Clone, Copy)]
pub(super) struct Portable;

impl Vectors for Portable {
    type Vector = [f32; 4];
    const WIDTH: usize = 4;
    const PAIRED: bool = false;

    #[inline(always)]
    fn splat(self, value: f32) -> [f32; 4] {
        [value; 4]
    }
    #[inline(always)]
    fn load(self, from: &[f32]) -> [f32; 4] {
        [from[0], from[1], from[2], from[3]]
    }
    #[inline(always)]
    fn store(self, value: [f32; 4], to: &mut [f32]) {
        to[..4].copy_from_slice(&value);
    }
    #[inline(always)]
    fn add(self, a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        [a[0] + b[0], a[1] + b[1], a[2] + b[2], a[3] + b[3]]
    }
    #[inline(always)]
    fn multiply(self, a: [f32; 4], b: [f32; 4]) -> [f32; 4] {
        [a[0] * b[0], a[1] * b[1], a[2] * b[2], a[3] * b[3]]
    }
    #[inline(always)]
    fn multiply_add(self, a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        self.add(self.multiply(a, b), c)
    }
    #[inline(always)]
    fn multiply_subtract(self, a: [f32; 4], b: [f32; 4], c: [f32; 4]) -> [f32; 4] {
        let product = self.multiply(a, b);
        [c[0] - product[0], c[1] - product[1], c[2] - product[2], c[3] - product[3]]
    }
    #[inline(always)]
    fn product(self, a: [f32; 4], b: [f32; 4], sum: [f32; 4]) -> [f32; 4] {
        self.multiply_add(a, b, sum)
    }
    #[inline(always)]
    fn logistic<const COUNT: usize>(self, mut z: [[f32; 4]; COUNT]) -> [[f32; 4]; COUNT] {
        for z in z.as_flattened_mut() {
            *z = logistic(*z);
        }
        z
    }
    #[inline(always)]
    fn keep(self, value: [f32; 4], bits: u32) -> [f32; 4] {
        let mut result = [0.0; 4];
        for (lane, (result, value)) in result.iter_mut().zip(value).enumerate() {
            *result = if bits >> lane & 1 == 1 { value } else { 0.0 };
        }
        result
    }
}

/// 1 / (1 + 2^z) of one number.
#[inline(always)]
fn logistic(z: f32) -> f32 {
    /// 1.5 * 2^23: adding it rounds to an integer, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    let z = z.clamp(-EXPONENT_BOUND, EXPONENT_BOUND);
    let shifted = z + ROUND;
    let r = z - (shifted - ROUND);
    let mut series = POWERS_OF_TWO[0];
    for coefficient in &POWERS_OF_TWO[1..] {
        series = series * r + coefficient;
    }
    1.0 / (1.0 + series * f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23)))
}

#[cfg(target_arch = "x86_64")]
pub(super) use x86::{Avx2, Avx512};

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::{Dropout, EXPONENT_BOUND, LANES, Lanes, POWERS_OF_TWO, Vectors};
    use crate::kernels::instructions::Instructions;
    use std::arch::x86_64::*;

    /// Runs intrinsics in a method of a proof.
    macro_rules! proven {
        ($($body:tt)*) => {{
            // SAFETY: `self` is only made where the processor was found to know these instructions, and every address
            // comes from a slice whose length was checked.
            unsafe { $($body)* }
        }};
    }

    /// AVX2 with FMA.
    #[derive(Clone, Copy)]
    pub(in super::super) struct Avx2(());

    impl Avx2 {
        /// A proof that the processor knows these instructions.
        pub(in super::super) fn found() -> Option<Self> {
            (Instructions::widest() >= Instructions::Avx2).then_some(Avx2(()))
        }
    }

    #[expect(unsafe_code, reason = "intrinsics; `proven` says why they may run")]
    impl Vectors for Avx2 {
        type Vector = __m256;
        const WIDTH: usize = 8;
        const PAIRED: bool = false;

        #[inline(always)]
        fn splat(self, value: f32) -> __m256 {
            proven! { _mm256_set1_ps(value) }
        }
        #[inline(always)]
        fn load(self, from: &[f32]) -> __m256 {
            let from = &from[..8];
            proven! { _mm256_loadu_ps(from.as_ptr()) }
        }
        #[inline(always)]
        fn store(self, value: __m256, to: &mut [f32]) {
            let to = &mut to[..8];
            proven! { _mm256_storeu_ps(to.as_mut_ptr(), value) }
        }
        #[inline(always)]
        fn add(self, a: __m256, b: __m256) -> __m256 {
            proven! { _mm256_add_ps(a, b) }
        }
        #[inline(always)]
        fn multiply(self, a: __m256, b: __m256) -> __m256 {
            proven! { _mm256_mul_ps(a, b) }
        }
        #[inline(always)]
        fn multiply_add(self, a: __m256, b: __m256, c: __m256) -> __m256 {
            proven! { _mm256_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        fn multiply_subtract(self, a: __m256, b: __m256, c: __m256) -> __m256 {
            proven! { _mm256_fnmadd_ps(a, b, c) }
        }
        #[inline(always)]
        fn product(self, a: __m256, b: __m256, sum: __m256) -> __m256 {
            self.multiply_add(a, b, sum)
        }
        #[inline(always)]
        fn logistic<const COUNT: usize>(self, mut z: [__m256; COUNT]) -> [__m256; COUNT] {
            let mut whole = z;
            for k in 0..COUNT {
                // Minimum and maximum give their second operand where one is no number, so NaN passes.
                z[k] = proven! {
                    _mm256_max_ps(self.splat(-EXPONENT_BOUND), _mm256_min_ps(self.splat(EXPONENT_BOUND), z[k]))
                };
                whole[k] =
                    proven! { _mm256_round_ps::<{ _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC }>(z[k]) };
                z[k] = proven! { _mm256_sub_ps(z[k], whole[k]) };
            }
            let mut series = [self.splat(POWERS_OF_TWO[0]); COUNT];
            for coefficient in &POWERS_OF_TWO[1..] {
                for k in 0..COUNT {
                    series[k] = self.multiply_add(series[k], z[k], self.splat(*coefficient));
                }
            }
            for k in 0..COUNT {
                series[k] = proven! {
                    let exponent = _mm256_add_epi32(_mm256_cvtps_epi32(whole[k]), _mm256_set1_epi32(127));
                    let power = _mm256_castsi256_ps(_mm256_slli_epi32::<23>(exponent));
                    let one = _mm256_set1_ps(1.0);
                    _mm256_div_ps(one, _mm256_fmadd_ps(series[k], power, one))
                };
            }
            series
        }
        #[inline(always)]
        fn keep(self, value: __m256, bits: u32) -> __m256 {
            proven! {
                let lanes = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
                let kept = _mm256_and_si256(_mm256_set1_epi32(bits.cast_signed()), lanes);
                _mm256_and_ps(value, _mm256_castsi256_ps(_mm256_cmpeq_epi32(kept, lanes)))
            }
        }
    }

    /// AVX-512; with `PAIRED` products are those of AVX512-BF16.
    #[derive(Clone, Copy)]
    pub(in super::super) struct Avx512<const PAIRED: bool>(());

    impl Avx512<false> {
        /// A proof that the processor knows these instructions.
        pub(in super::super) fn found() -> Option<Self> {
            (Instructions::widest() == Instructions::Avx512).then_some(Avx512(()))
        }
    }

    impl Avx512<true> {
        /// A proof that the processor knows these instructions.
        pub(in super::super) fn found() -> Option<Self> {
            Instructions::multiply_bf16().then_some(Avx512(()))
        }
    }

    #[expect(unsafe_code, reason = "intrinsics; `proven` says why they may run")]
    impl<const PAIRED: bool> Vectors for Avx512<PAIRED> {
        type Vector = __m512;
        const WIDTH: usize = 16;
        const PAIRED: bool = PAIRED;

        #[inline(always)]
        fn splat(self, value: f32) -> __m512 {
            proven! { _mm512_set1_ps(value) }
        }
        #[inline(always)]
        fn load(self, from: &[f32]) -> __m512 {
            let from = &from[..16];
            proven! { _mm512_loadu_ps(from.as_ptr()) }
        }
        #[inline(always)]
        fn store(self, value: __m512, to: &mut [f32]) {
            let to = &mut to[..16];
            proven! { _mm512_storeu_ps(to.as_mut_ptr(), value) }
        }
        #[inline(always)]
        fn add(self, a: __m512, b: __m512) -> __m512 {
            proven! { _mm512_add_ps(a, b) }
        }
        #[inline(always)]
        fn multiply(self, a: __m512, b: __m512) -> __m512 {
            proven! { _mm512_mul_ps(a, b) }
        }
        #[inline(always)]
        fn multiply_add(self, a: __m512, b: __m512, c: __m512) -> __m512 {
            proven! { _mm512_fmadd_ps(a, b, c) }
        }
        #[inline(always)]
        fn multiply_subtract(self, a: __m512, b: __m512, c: __m512) -> __m512 {
            proven! { _mm512_fnmadd_ps(a, b, c) }
        }
        #[inline(always)]
        fn product(self, a: __m512, b: __m512, sum: __m512) -> __m512 {
            if !PAIRED {
                return self.multiply_add(a, b, sum);
            }
            proven! {
                let cells = |value: __m512| std::mem::transmute::<__m512, __m512bh>(value);
                _mm512_dpbf16_ps(sum, cells(a), cells(b))
            }
        }
        #[inline(always)]
        fn logistic<const COUNT: usize>(self, mut z: [__m512; COUNT]) -> [__m512; COUNT] {
            let mut whole = z;
            for k in 0..COUNT {
                // Both give their second operand where one is no number, so NaN passes.
                z[k] = proven! { _mm512_min_ps(self.splat(EXPONENT_BOUND), z[k]) };
                z[k] = proven! { _mm512_max_ps(self.splat(-EXPONENT_BOUND), z[k]) };
                whole[k] = proven! { _mm512_roundscale_ps::<0>(z[k]) };
                z[k] = proven! { _mm512_sub_ps(z[k], whole[k]) };
            }
            let mut series = [self.splat(POWERS_OF_TWO[0]); COUNT];
            for coefficient in &POWERS_OF_TWO[1..] {
                for k in 0..COUNT {
                    series[k] = self.multiply_add(series[k], z[k], self.splat(*coefficient));
                }
            }
            for k in 0..COUNT {
                series[k] = proven! { _mm512_scalef_ps(series[k], whole[k]) };
                series[k] = self.add(self.splat(1.0), series[k]);
                // One step of Newton's method from 14 bits.
                whole[k] = proven! { _mm512_rcp14_ps(series[k]) };
            }
            for k in 0..COUNT {
                series[k] = self.multiply_subtract(series[k], whole[k], self.splat(2.0));
                series[k] = self.multiply(whole[k], series[k]);
            }
            series
        }
        #[inline(always)]
        fn keep(self, value: __m512, bits: u32) -> __m512 {
            proven! { _mm512_maskz_mov_ps((bits & 0xFFFF) as u16, value) }
        }
        #[inline(always)]
        fn keep_bits(self, dropout: Dropout, first: u64) -> u32 {
            // `seed::at` for eight counters, each good for four lanes of 16 bits.
            const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
            proven! {
                let constant = |value: u64| _mm512_set1_epi64(value.cast_signed());
                let counter = _mm512_add_epi64(constant(first / 4), _mm512_setr_epi64(0, 1, 2, 3, 4, 5, 6, 7));
                let bits = _mm512_mullo_epi64(counter, constant(GOLDEN));
                let bits = _mm512_add_epi64(bits, constant(dropout.key));
                let bits = _mm512_xor_si512(bits, _mm512_srli_epi64::<30>(bits));
                let bits = _mm512_mullo_epi64(bits, constant(0xBF58_476D_1CE4_E5B9));
                let bits = _mm512_xor_si512(bits, _mm512_srli_epi64::<27>(bits));
                let bits = _mm512_mullo_epi64(bits, constant(0x94D0_49BB_1331_11EB));
                let bits = _mm512_xor_si512(bits, _mm512_srli_epi64::<31>(bits));
                let threshold = _mm512_set1_epi16(dropout.threshold.cast_signed());
                _mm512_cmpge_epu16_mask(bits, threshold)
            }
        }
        #[inline(always)]
        fn transpose(self, rows: [&[f32]; 16], to: &mut [Lanes], first: usize) {
            let mut r = [self.splat(0.0); 16];
            for k in 0..16 {
                r[k] = self.load(rows[k]);
            }
            let to = &mut to[..16];
            proven! {
                // Pairs of rows, then pairs of pairs: quarters hold 4 by 4 transposed parts.
                let mut s = [_mm512_setzero_ps(); 16];
                for k in 0..8 {
                    s[2 * k] = _mm512_unpacklo_ps(r[2 * k], r[2 * k + 1]);
                    s[2 * k + 1] = _mm512_unpackhi_ps(r[2 * k], r[2 * k + 1]);
                }
                let wide = |value: __m512| _mm512_castps_pd(value);
                for k in 0..4 {
                    let (a, b, c, d) =
                        (wide(s[4 * k]), wide(s[4 * k + 1]), wide(s[4 * k + 2]), wide(s[4 * k + 3]));
                    r[4 * k] = _mm512_castpd_ps(_mm512_unpacklo_pd(a, c));
                    r[4 * k + 1] = _mm512_castpd_ps(_mm512_unpackhi_pd(a, c));
                    r[4 * k + 2] = _mm512_castpd_ps(_mm512_unpacklo_pd(b, d));
                    r[4 * k + 3] = _mm512_castpd_ps(_mm512_unpackhi_pd(b, d));
                }
                for k in 0..4 {
                    let (low, high) = (
                        _mm512_shuffle_f32x4::<0x88>(r[k], r[4 + k]),
                        _mm512_shuffle_f32x4::<0xDD>(r[k], r[4 + k]),
                    );
                    let (low_2, high_2) = (
                        _mm512_shuffle_f32x4::<0x88>(r[8 + k], r[12 + k]),
                        _mm512_shuffle_f32x4::<0xDD>(r[8 + k], r[12 + k]),
                    );
                    self.store(_mm512_shuffle_f32x4::<0x88>(low, low_2), &mut to[k][first..]);
                    self.store(_mm512_shuffle_f32x4::<0x88>(high, high_2), &mut to[4 + k][first..]);
                    self.store(_mm512_shuffle_f32x4::<0xDD>(low, low_2), &mut to[8 + k][first..]);
                    self.store(_mm512_shuffle_f32x4::<0xDD>(high, high_2), &mut to[12 + k][first..]);
                }
            }
        }
        #[inline(always)]
        fn pair(self, even: &Lanes, odd: &Lanes) -> ([[f32; LANES / 2]; 2], Lanes) {
            /// Which of 64 numbers go where, so that neighbours come from the two rows in turn.
            const fn order(first: u16) -> [u16; 32] {
                let mut order = [0; 32];
                let mut k = 0;
                while k < 16 {
                    (order[2 * k], order[2 * k + 1]) = (first + k as u16, 32 + first + k as u16);
                    k += 1;
                }
                order
            }
            const LOW: [u16; 32] = order(0);
            const HIGH: [u16; 32] = order(16);
            let (mut rows, mut both) = ([[0.0; LANES / 2]; 2], [0.0; LANES]);
            proven! {
                let bits = |value: __m512bh| std::mem::transmute::<__m512bh, __m512i>(value);
                let row = |row: &Lanes| bits(_mm512_cvtne2ps_pbh(self.load(&row[16..]), self.load(row)));
                let (a, b) = (row(even), row(odd));
                let (low, high) = (_mm512_loadu_epi16(LOW.as_ptr().cast()), _mm512_loadu_epi16(HIGH.as_ptr().cast()));
                self.store(_mm512_castsi512_ps(a), &mut rows[0]);
                self.store(_mm512_castsi512_ps(b), &mut rows[1]);
                self.store(_mm512_castsi512_ps(_mm512_permutex2var_epi16(a, low, b)), &mut both);
                self.store(_mm512_castsi512_ps(_mm512_permutex2var_epi16(a, high, b)), &mut both[16..]);
            }
            (rows, both)
        }
    }
}
