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
