//! In which numbers the products of a training step are computed.

/// The format of the factors of a training step's matrix products. Weights, optimiser, cell states and sums are f32 with
/// both, and forecasts are computed in f32 with both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Precision {
    /// 24 significant bits.
    #[default]
    F32,
    /// 8 significant bits (bfloat16), products summed in f32.
    Bf16,
}

/// The upper half of an f32 after rounding to the nearest bfloat16, ties to even. NaN stays NaN.
#[inline(always)]
pub(super) fn bf16_bits(value: f32) -> u32 {
    let bits = value.to_bits();
    if value.is_nan() { bits >> 16 | 0x40 } else { (bits + 0x7FFF + (bits >> 16 & 1)) >> 16 }
}

/// The nearest bfloat16, the even one of two: the specification of the rounding.
#[inline(always)]
pub fn round_to_bf16(value: f32) -> f32 {
    f32::from_bits(bf16_bits(value) << 16)
}
