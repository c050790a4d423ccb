//! Loops that become vector code, and the exponential function inside them.
//!
//! Plain loops over contiguous slices that the compiler turns into vector code; on x86-64 they are compiled three times
//! (AVX-512, AVX2 with FMA, baseline) and the widest that the processor knows runs. Results of two processors of
//! different width may differ in the last bit, as they do for any BLAS.

/// Compiles a loop for several vector widths under one name.
macro_rules! vectorised {
    ($(#[$meta:meta])* $access:vis fn $name:ident($($argument:ident: $type:ty),+ $(,)?) = $body:ident;) => {
        $(#[$meta])*
        $access fn $name($($argument: $type),+) {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx512f,avx512dq,avx512vl,avx2,fma")]
                fn widest($($argument: $type),+) {
                    $body::<true>($($argument),+);
                }
                #[target_feature(enable = "avx2,fma")]
                fn wide($($argument: $type),+) {
                    $body::<true>($($argument),+);
                }
                let fused = is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma");
                if fused && is_x86_feature_detected!("avx512dq") && is_x86_feature_detected!("avx512vl") {
                    #[expect(unsafe_code, reason = "the processor was asked for these instructions above")]
                    // SAFETY: every enabled feature was detected; AVX-512 DQ and VL both include F.
                    return unsafe { widest($($argument),+) };
                }
                if fused {
                    #[expect(unsafe_code, reason = "the processor was asked for these instructions above")]
                    // SAFETY: both enabled features were detected.
                    return unsafe { wide($($argument),+) };
                }
            }
            $body::<false>($($argument),+);
        }
    };
}
pub(crate) use vectorised;

/// a * b + c, with one rounding where the instruction is there; the library's emulation would cost hundreds of cycles.
#[inline(always)]
pub(super) fn multiply_add<const FUSED: bool>(a: f32, b: f32, c: f32) -> f32 {
    if FUSED { a.mul_add(b, c) } else { a * b + c }
}

/// e^x for x in [-87, 88], held at the ends outside; relative error below 3e-7.
///
/// x = n ln 2 + r with |r| <= ln(2) / 2 (Cody and Waite: ln 2 in two parts), e^r by its Taylor polynomial of degree 6
/// (its remainder is below 1.2e-7), times 2^n put into the exponent bits.
#[inline(always)]
pub(super) fn exponential<const FUSED: bool>(x: f32) -> f32 {
    /// 1.5 * 2^23: adding it rounds to an integer, which then stands in the low bits.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_145_75;
    const LN_2_LOW: f32 = 1.428_606_8e-6;
    let x = x.clamp(-87.0, 88.0);
    let shifted = multiply_add::<FUSED>(x, std::f32::consts::LOG2_E, ROUND);
    let n = shifted - ROUND;
    let r = multiply_add::<FUSED>(n, -LN_2_LOW, multiply_add::<FUSED>(n, -LN_2_HIGH, x));
    let mut series = 1.0 / 720.0;
    for coefficient in [1.0 / 120.0, 1.0 / 24.0, 1.0 / 6.0, 0.5, 1.0, 1.0] {
        series = multiply_add::<FUSED>(series, r, coefficient);
    }
    series * f32::from_bits((shifted.to_bits() << 23).wrapping_add(127 << 23))
}
