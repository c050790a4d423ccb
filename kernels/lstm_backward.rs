//! One LSTM layer backward through time over a block of windows, and the gradient of its weights.

use super::dropout::Dropout;
use super::lstm_forward::{add_product, factors, tanh};
use super::lstm_gradient::{CHUNK, Chunk, panels_of, transpose_gates};
use super::lstm_vectors::{LANES, Lanes, Vectors};
use super::lstm_weights::{LayerShape, even_height};

/// What the forward pass kept of a block; see [`super::lstm_forward::Memory`].
#[derive(Clone, Copy)]
pub(super) struct Kept<'a> {
    /// `[T, H, 4]`
    pub(super) gates: &'a [Lanes],
    /// `[T + 1, H]`
    pub(super) cells: &'a [Lanes],
    /// `[T + 1, H]` rows of lanes as factors.
    pub(super) states: &'a [f32],
    /// `[T, I]` rows of lanes as factors.
    pub(super) inputs: &'a [f32],
}

/// A block's backward pass.
pub(super) struct BackwardBlock<'a> {
    pub(super) shape: LayerShape,
    /// Whether factors are f32 that hold bf16 numbers.
    pub(super) rounded: bool,
    /// From `pack_backward`.
    pub(super) weights: &'a [f32],
    pub(super) kept: Kept<'a>,
    /// Gradient of the output `[T, H]`, or `[1, H]` where it was the last step's alone.
    pub(super) of_output: &'a [Lanes],
    /// Of the output, whose first element has this number.
    pub(super) dropout: Option<(Dropout, u64)>,
    /// `[T, I]`, written; empty where nobody asks for it.
    pub(super) of_x: &'a mut [Lanes],
    /// `[1 + I + H, 4H]`, added to.
    pub(super) of_weight: &'a mut [f32],
    /// [`backward_room`] numbers.
    pub(super) room: &'a mut [Lanes],
}

/// Rows of lanes that a backward pass needs as room.
pub(super) fn backward_room(shape: LayerShape, paired: bool) -> usize {
    // Gates' gradients, the same as factors (rows and pairs), gradients of h and c, panels for the weights' gradient.
    let steps = if paired { LANES / 2 } else { LANES };
    14 * shape.hidden + panels_of(shape.columns()) * CHUNK * steps
}

/// All steps of one block, from the last to the first.
#[inline(always)]
pub(super) fn backward_block<S: Vectors, const ROWS: usize, const STEPS: usize>(s: S, block: BackwardBlock) {
    let LayerShape { steps, inputs, hidden, .. } = block.shape;
    let (gates, room) = block.room.split_at_mut(4 * hidden);
    let (rows, room) = room.split_at_mut(4 * hidden);
    let (pairs, room) = room.split_at_mut(4 * hidden);
    let (of_h, room) = room.split_at_mut(hidden);
    let (of_c, panels) = room.split_at_mut(hidden);
    of_h.fill([0.0; LANES]);
    of_c.fill([0.0; LANES]);
    let first_row = if block.of_x.is_empty() { inputs } else { 0 };
    let last_only = block.of_output.len() == hidden;
    for t in (0..steps).rev() {
        if !last_only || t + 1 == steps {
            let place = if last_only { 0 } else { t * hidden };
            let dropout = block.dropout.map(|(dropout, first)| (dropout, first + (place * LANES) as u64));
            add_from_above(s, &block.of_output[place..][..hidden], dropout, of_h);
        }
        let step = Step {
            gates: &block.kept.gates[t * 4 * hidden..][..4 * hidden],
            before: &block.kept.cells[t * hidden..][..hidden],
            cell: &block.kept.cells[(t + 1) * hidden..][..hidden],
        };
        step.run(s, of_h, of_c, (gates, rows.as_flattened_mut(), pairs));
        if block.rounded {
            factors(s, gates, rows.as_flattened_mut(), pairs);
        }
        let (as_rows, as_pairs): (&[f32], &[Lanes]) = match (S::PAIRED, block.rounded) {
            (true, _) => (rows.as_flattened(), &pairs[..2 * hidden]),
            (false, true) => (rows.as_flattened(), rows),
            (false, false) => (gates.as_flattened(), gates),
        };
        let chunk = t / CHUNK * CHUNK;
        transpose_gates::<S, STEPS>(s, hidden, &as_rows[..4 * hidden * STEPS], t - chunk, panels);
        if t > 0 || first_row == 0 {
            let of_x = block.of_x.get_mut(t * inputs..(t + 1) * inputs).unwrap_or_default();
            pass_back::<S, ROWS>(s, block.weights, as_pairs, of_x, of_h);
        }
        if t == chunk {
            let steps = CHUNK.min(steps - chunk);
            let chunk = Chunk { shape: block.shape, first: chunk, steps, panels, kept: block.kept };
            chunk.add::<S, ROWS, STEPS>(s, block.of_weight);
        }
    }
}

/// Adds the gradient from the layer above, back through dropout.
#[inline(always)]
fn add_from_above<S: Vectors>(s: S, above: &[Lanes], dropout: Option<(Dropout, u64)>, of_h: &mut [Lanes]) {
    let Some((dropout, mut element)) = dropout else {
        for (sum, above) in of_h.iter_mut().zip(above) {
            for lane in (0..LANES).step_by(S::WIDTH) {
                s.store(s.add(s.load(&sum[lane..]), s.load(&above[lane..])), &mut sum[lane..]);
            }
        }
        return;
    };
    let scale = s.splat(dropout.scale());
    for (sum, above) in of_h.iter_mut().zip(above) {
        let bits = s.keep_bits(dropout, element);
        for lane in (0..LANES).step_by(S::WIDTH) {
            let value = s.keep(s.multiply(s.load(&above[lane..]), scale), bits >> lane);
            s.store(s.add(s.load(&sum[lane..]), value), &mut sum[lane..]);
        }
        element += LANES as u64;
    }
}

struct Step<'a> {
    gates: &'a [Lanes],
    before: &'a [Lanes],
    cell: &'a [Lanes],
}

impl Step<'_> {
    /// Gradients of the gates before their activation, `[H, 4]`; `of_c` becomes that of the step before. Where factors are
    /// paired, also as rows and as pairs of them, while they are at hand.
    #[inline(always)]
    fn run<S: Vectors>(
        self,
        s: S,
        of_h: &[Lanes],
        of_c: &mut [Lanes],
        (result, rows, pairs): (&mut [Lanes], &mut [f32], &mut [Lanes]),
    ) {
        // tanh(c) stands for a moment where the output gate's gradient will.
        for (cells, results) in self.cell.chunks(4).zip(result.chunks_mut(16)) {
            for lane in (0..LANES).step_by(2 * S::WIDTH) {
                let mut c = [s.splat(0.0); 8];
                for (c, cell) in c.as_chunks_mut::<2>().0.iter_mut().zip(cells) {
                    *c = [s.load(&cell[lane..]), s.load(&cell[lane + S::WIDTH..])];
                }
                c = tanh(s, c);
                for (c, result) in c.as_chunks::<2>().0.iter().zip(results.chunks_exact_mut(4)) {
                    s.store(c[0], &mut result[3][lane..]);
                    s.store(c[1], &mut result[3][lane + S::WIDTH..]);
                }
            }
        }
        let units = self.gates.chunks_exact(4).zip(result.chunks_exact_mut(4));
        let mut of_factors = rows.chunks_exact_mut(2 * LANES).zip(pairs.chunks_exact_mut(2));
        for (((gates, result), before), (of_h, of_c)) in units.zip(self.before).zip(of_h.iter().zip(of_c)) {
            for lane in (0..LANES).step_by(S::WIDTH) {
                let (i, f) = (s.load(&gates[0][lane..]), s.load(&gates[1][lane..]));
                let (g, o) = (s.load(&gates[2][lane..]), s.load(&gates[3][lane..]));
                let (c, h) = (s.load(&result[3][lane..]), s.load(&of_h[lane..]));
                // of_c += of_h o (1 - tanh(c)^2)
                let through = s.multiply(h, o);
                let of_cell =
                    s.add(s.multiply_subtract(s.multiply(through, c), c, through), s.load(&of_c[lane..]));
                let of_input = s.multiply(s.multiply(of_cell, g), s.multiply_subtract(i, i, i));
                let of_forget =
                    s.multiply(s.multiply(of_cell, s.load(&before[lane..])), s.multiply_subtract(f, f, f));
                let of_candidate = s.multiply(of_cell, i);
                let of_candidate = s.multiply_subtract(s.multiply(of_candidate, g), g, of_candidate);
                let of_open = s.multiply(s.multiply(h, c), s.multiply_subtract(o, o, o));
                s.store(of_input, &mut result[0][lane..]);
                s.store(of_forget, &mut result[1][lane..]);
                s.store(of_candidate, &mut result[2][lane..]);
                s.store(of_open, &mut result[3][lane..]);
                s.store(s.multiply(of_cell, f), &mut of_c[lane..]);
            }
            if S::PAIRED
                && let Some((rows, pairs)) = of_factors.next()
            {
                factors(s, result, rows, pairs);
            }
        }
    }
}

/// `[of_x; of_h] = W^T gates`; of_x may be empty.
#[inline(always)]
fn pass_back<S: Vectors, const ROWS: usize>(
    s: S,
    weights: &[f32],
    gates: &[Lanes],
    of_x: &mut [Lanes],
    of_h: &mut [Lanes],
) {
    let rows = of_x.len() + of_h.len();
    let even = even_height(rows, ROWS);
    for (row, weights) in (0..rows).step_by(even).zip(weights.chunks(even * gates.len())) {
        let target = (row, &mut *of_x, &mut *of_h);
        macro_rules! of_width {
            ($($width:literal)+) => {
                match (rows - row).min(even) {
                    $($width if $width <= ROWS => panel_back::<S, $width>(s, weights, gates, target),)+
                    height => unreachable!("panels have no {height} rows"),
                }
            };
        }
        of_width!(1 2 3 4 5 6 7 8 9 10 11 12);
    }
}

#[inline(always)]
fn panel_back<S: Vectors, const ROWS: usize>(
    s: S,
    weights: &[f32],
    gates: &[Lanes],
    (first, of_x, of_h): (usize, &mut [Lanes], &mut [Lanes]),
) {
    let (weights, _) = weights.as_chunks::<ROWS>();
    for lane in (0..LANES).step_by(2 * S::WIDTH) {
        let mut sums = [[s.splat(0.0); 2]; ROWS];
        add_product(s, &mut sums, weights, gates, lane);
        for (row, sums) in (first..).zip(sums) {
            let target = if row < of_x.len() { &mut of_x[row] } else { &mut of_h[row - of_x.len()] };
            s.store(sums[0], &mut target[lane..]);
            s.store(sums[1], &mut target[lane + S::WIDTH..]);
        }
    }
}
