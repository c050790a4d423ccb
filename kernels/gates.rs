//! The elementwise part of an LSTM step, and the vector loops it is made of.
//!
//! Plain loops over contiguous slices that the compiler turns into vector code; on x86-64 they are compiled three times
//! (AVX-512, AVX2 with FMA, baseline) and the widest that the processor knows runs. Results of two processors of
//! different width may differ in the last bit, as they do for any BLAS.
//!
//! Accuracy: [`sigmoid`] and tanh are within 3e-7 absolute of the exact value for every finite f32; NaN stays NaN.

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

#[inline(always)]
fn sigmoid_of<const FUSED: bool>(x: f32) -> f32 {
    1.0 / (1.0 + exponential::<FUSED>(-x))
}

#[inline(always)]
fn sigmoid_body<const FUSED: bool>(values: &mut [f32]) {
    for value in values {
        *value = sigmoid_of::<FUSED>(*value);
    }
}

vectorised! {
    /// Replaces each x by 1 / (1 + e^-x).
    pub fn sigmoid(values: &mut [f32]) = sigmoid_body;
}

/// One step's elementwise work; every slice holds `[B, ...]` row-major.
pub struct ForwardStep<'a> {
    /// H.
    pub hidden: usize,
    /// `[B, 4H]`: comes as pre-activations in the order input, forget, cell, output, with those of the cell gate
    /// doubled; leaves as the activated gates.
    pub gates: &'a mut [f32],
    /// `[B, H]`: the cell state before this step.
    pub cell_before: &'a [f32],
    /// `[B, H]`: the cell state after it.
    pub cell: &'a mut [f32],
    /// `[B, H]`: its tanh.
    pub cell_tanh: &'a mut [f32],
    /// `[B, H]`: the output of the step.
    pub output: &'a mut [f32],
}

#[inline(always)]
fn forward_body<const FUSED: bool>(step: ForwardStep) {
    let hidden = step.hidden;
    // tanh(x) = 2 sigmoid(2x) - 1: with the cell gate doubled, one loop without remainders does all four gates.
    sigmoid_body::<FUSED>(step.gates);
    let rows = step.gates.chunks_exact_mut(4 * hidden).zip(step.cell_before.chunks_exact(hidden));
    for ((gates, before), cell) in rows.zip(step.cell.chunks_exact_mut(hidden)) {
        let (input, rest) = gates.split_at_mut(hidden);
        let (forget, rest) = rest.split_at_mut(hidden);
        let candidate = &mut rest[..hidden];
        for k in 0..hidden {
            candidate[k] = 2.0 * candidate[k] - 1.0;
            cell[k] = multiply_add::<FUSED>(forget[k], before[k], input[k] * candidate[k]);
        }
    }
    for (tanh, cell) in step.cell_tanh.iter_mut().zip(step.cell.iter()) {
        *tanh = 2.0 * sigmoid_of::<FUSED>(2.0 * *cell) - 1.0;
    }
    let rows = step.gates.chunks_exact(4 * hidden).zip(step.cell_tanh.chunks_exact(hidden));
    for ((gates, tanh), output) in rows.zip(step.output.chunks_exact_mut(hidden)) {
        let open = &gates[3 * hidden..];
        for k in 0..hidden {
            output[k] = open[k] * tanh[k];
        }
    }
}

vectorised! {
    /// Activates the gates and moves the cell on: c = f * c_before + i * g, h = o * tanh(c).
    pub fn forward_step(step: ForwardStep) = forward_body;
}

/// The same step backwards; every slice holds `[B, ...]` row-major.
pub struct BackwardStep<'a> {
    /// H.
    pub hidden: usize,
    /// `[B, 4H]`: comes as the activated gates, leaves as the gradients of their pre-activations.
    pub gates: &'a mut [f32],
    /// `[B, H]`: the cell state before the step.
    pub cell_before: &'a [f32],
    /// `[B, H]`: tanh of the cell state after it.
    pub cell_tanh: &'a [f32],
    /// `[B, H]`: the gradient of the step's output.
    pub output_gradient: &'a [f32],
    /// `[B, H]`: the gradient of the cell state after the step; leaves as that of the state before it.
    pub cell_gradient: &'a mut [f32],
}

#[inline(always)]
fn backward_body<const FUSED: bool>(step: BackwardStep) {
    let hidden = step.hidden;
    let rows = step.gates.chunks_exact_mut(4 * hidden).zip(step.cell_gradient.chunks_exact_mut(hidden));
    for (row, (gates, cell_gradient)) in rows.enumerate() {
        let span = row * hidden..(row + 1) * hidden;
        let (before, tanh) = (&step.cell_before[span.clone()], &step.cell_tanh[span.clone()]);
        let output_gradient = &step.output_gradient[span];
        let (input, rest) = gates.split_at_mut(hidden);
        let (forget, rest) = rest.split_at_mut(hidden);
        let (candidate, open) = rest.split_at_mut(hidden);
        let (cell_gradient, open) = (&mut cell_gradient[..hidden], &mut open[..hidden]);
        for k in 0..hidden {
            let (i, f, g, o, c) = (input[k], forget[k], candidate[k], open[k], tanh[k]);
            let of_cell = multiply_add::<FUSED>(output_gradient[k] * o, 1.0 - c * c, cell_gradient[k]);
            open[k] = output_gradient[k] * c * o * (1.0 - o);
            input[k] = of_cell * g * i * (1.0 - i);
            forget[k] = of_cell * before[k] * f * (1.0 - f);
            candidate[k] = of_cell * i * (1.0 - g * g);
            cell_gradient[k] = of_cell * f;
        }
    }
}

vectorised! {
    /// The gradients of one step's gates and cell state.
    pub fn backward_step(step: BackwardStep) = backward_body;
}
