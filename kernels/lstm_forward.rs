//! One LSTM layer forward over a block of windows: gates from registers right after their products.

use super::dropout::Dropout;
use super::lstm_vectors::{LANES, Lanes, Vectors};
use super::lstm_weights::{LayerShape, cells};
use super::precision::round_to_bf16;
use std::f32::consts::LOG2_E;

/// One block's memory of a layer. Where nothing goes backward, `history` is 1 and steps share their places.
pub(super) struct Memory<'a> {
    /// Steps that are kept.
    pub(super) history: usize,
    /// `[history, H, 4]`: activated gates.
    pub(super) gates: &'a mut [Lanes],
    /// `[history + 1, H]`: cell states; step t reads place t and writes place t + 1.
    pub(super) cells: &'a mut [Lanes],
    /// `[history + 1, H]` rows of lanes as factors: outputs before dropout, placed as the cell states.
    pub(super) states: &'a mut [f32],
    /// `[history, I]` rows of lanes as factors; empty where x itself serves.
    pub(super) inputs: &'a mut [f32],
}

/// A block's forward pass.
pub(super) struct ForwardBlock<'a> {
    pub(super) shape: LayerShape,
    /// Whether factors are f32 that hold bf16 numbers.
    pub(super) rounded: bool,
    /// From `pack_forward`.
    pub(super) weights: &'a [f32],
    /// `[T, I]`
    pub(super) x: &'a [Lanes],
    pub(super) memory: Memory<'a>,
    /// `[T, H]`, or `[1, H]` where only the last step's output is wanted.
    pub(super) output: &'a mut [Lanes],
    /// Of the output, whose first element has this number.
    pub(super) dropout: Option<(Dropout, u64)>,
    /// Whether all windows stand in the first vector of lanes and nothing goes backward: the other lanes are then left out,
    /// so that a window that is forecast alone, as live, takes half the time. Lanes know nothing of each other, so those
    /// that are left keep their bits.
    pub(super) narrow: bool,
    /// `[2 H + I + 2]`: room for the step.
    pub(super) room: &'a mut [Lanes],
}

/// All steps of one block.
#[inline(always)]
pub(super) fn forward_block<S: Vectors, const ROWS: usize>(s: S, block: ForwardBlock) {
    let LayerShape { steps, inputs, hidden, .. } = block.shape;
    let history = block.memory.history;
    let row = if S::PAIRED { LANES / 2 } else { LANES };
    block.memory.cells[..hidden].fill([0.0; LANES]);
    block.memory.states[..hidden * row].fill(0.0);
    let (state, room) = block.room.split_at_mut(hidden);
    let (x_pairs, h_pairs) = room.split_at_mut(cells(S::PAIRED, inputs));
    let convert = S::PAIRED || block.rounded;
    state.fill([0.0; LANES]);
    for t in 0..steps {
        let x = &block.x[t * inputs..][..inputs];
        let (before, after) = (t % (history + 1), (t + 1) % (history + 1));
        let kept_x = t % history * inputs * row;
        let gates = &mut block.memory.gates[t % history * 4 * hidden..][..4 * hidden];
        let (cell_before, cell) = places(block.memory.cells, hidden, before, after);
        if convert {
            factors(s, x, &mut block.memory.inputs[kept_x..][..inputs * row], x_pairs);
        }
        let (h, after_h) = places(block.memory.states, hidden * row, before, after);
        let step = Step { hidden, narrow: block.narrow, cell_before, cell, gates };
        let weights = block.weights;
        if S::PAIRED {
            let h = if t > 0 { &h_pairs[..hidden.div_ceil(2)] } else { &[] };
            step.run::<S, ROWS>(s, (weights, cells(true, hidden)), [x_pairs, h], state);
        } else {
            let h = if t > 0 { h.as_chunks().0 } else { &[] };
            let kept = block.memory.inputs.get(kept_x..kept_x + inputs * row);
            let x = kept.map_or(x, |x| x.as_chunks().0);
            step.run::<S, ROWS>(s, (weights, hidden), [x, h], state);
        }
        if convert {
            factors(s, state, after_h, h_pairs);
        } else {
            after_h.copy_from_slice(state.as_flattened());
        }
        let place =
            if block.output.len() == hidden { (t + 1 == steps).then_some(0) } else { Some(t * hidden) };
        if let Some(place) = place {
            let dropout = block.dropout.map(|(dropout, first)| (dropout, first + (place * LANES) as u64));
            emit(s, state, dropout, &mut block.output[place..][..hidden]);
        }
    }
}

/// Two different places of a buffer.
#[inline(always)]
fn places<T>(buffer: &mut [T], size: usize, before: usize, after: usize) -> (&[T], &mut [T]) {
    if before < after {
        let (low, high) = buffer.split_at_mut(after * size);
        (&low[before * size..][..size], &mut high[..size])
    } else {
        let (low, high) = buffer.split_at_mut(before * size);
        (&high[..size], &mut low[after * size..][..size])
    }
}

/// Rows of lanes as factors: `rows` for the gradient of the weights, and `pairs` of rows for the products of the step.
#[inline(always)]
pub(super) fn factors<S: Vectors>(s: S, values: &[Lanes], rows: &mut [f32], pairs: &mut [Lanes]) {
    if !S::PAIRED {
        for (row, value) in rows.iter_mut().zip(values.as_flattened()) {
            *row = round_to_bf16(*value);
        }
        return;
    }
    let zero = [0.0; LANES];
    let (rows, _) = rows.as_chunks_mut::<{ LANES / 2 }>();
    for ((values, rows), pairs) in values.chunks(2).zip(rows.chunks_mut(2)).zip(pairs) {
        let packed = s.pair(&values[0], values.get(1).unwrap_or(&zero));
        *pairs = packed.1;
        rows.copy_from_slice(&packed.0[..rows.len()]);
    }
}

/// Outputs through dropout.
#[inline(always)]
fn emit<S: Vectors>(s: S, state: &[Lanes], dropout: Option<(Dropout, u64)>, output: &mut [Lanes]) {
    let Some((dropout, mut element)) = dropout else { return output.copy_from_slice(state) };
    let scale = s.splat(dropout.scale());
    for (output, state) in output.iter_mut().zip(state) {
        let bits = s.keep_bits(dropout, element);
        for lane in (0..LANES).step_by(S::WIDTH) {
            let value = s.multiply(s.load(&state[lane..]), scale);
            s.store(s.keep(value, bits >> lane), &mut output[lane..]);
        }
        element += LANES as u64;
    }
}

/// Adds `weights * z` to the sums of a panel's rows, for the lanes from `lane` on.
#[inline(always)]
pub(super) fn add_product<S: Vectors, const ROWS: usize>(
    s: S,
    sums: &mut [[S::Vector; 2]; ROWS],
    weights: &[[f32; ROWS]],
    z: &[Lanes],
    lane: usize,
) {
    for (weights, z) in weights.iter().zip(z) {
        let z = [s.load(&z[lane..]), s.load(&z[lane + S::WIDTH..])];
        for row in 0..ROWS {
            let weight = s.splat(weights[row]);
            sums[row][0] = s.product(weight, z[0], sums[row][0]);
            sums[row][1] = s.product(weight, z[1], sums[row][1]);
        }
    }
}

/// The same for the first of the two vectors of lanes.
#[inline(always)]
fn add_first<S: Vectors, const ROWS: usize>(
    s: S,
    sums: &mut [[S::Vector; 2]; ROWS],
    weights: &[[f32; ROWS]],
    z: &[Lanes],
) {
    for (weights, z) in weights.iter().zip(z) {
        let z = s.load(&z[..]);
        for row in 0..ROWS {
            sums[row][0] = s.product(s.splat(weights[row]), z, sums[row][0]);
        }
    }
}

struct Step<'a> {
    hidden: usize,
    narrow: bool,
    cell_before: &'a [Lanes],
    cell: &'a mut [Lanes],
    gates: &'a mut [Lanes],
}

impl Step<'_> {
    /// Products of all panels (whose last part holds so many cells of h), gates, cell states and outputs.
    #[inline(always)]
    fn run<S: Vectors, const ROWS: usize>(
        mut self,
        s: S,
        (weights, cells_of_h): (&[f32], usize),
        [x, h]: [&[Lanes]; 2],
        state: &mut [Lanes],
    ) {
        let (panels, _) = weights.as_chunks::<ROWS>();
        for (panel, weights) in panels.chunks_exact(1 + x.len() + cells_of_h).enumerate() {
            let (bias, weights) = weights.split_at(1);
            let (of_x, of_h) = weights.split_at(x.len());
            for lane in (0..LANES).step_by(2 * S::WIDTH) {
                let mut sums = [[s.splat(0.0); 2]; ROWS];
                for row in 0..ROWS {
                    sums[row] = [s.splat(bias[0][row]); 2];
                }
                if self.narrow {
                    add_first(s, &mut sums, of_x, x);
                    add_first(s, &mut sums, of_h, h);
                } else {
                    add_product(s, &mut sums, of_x, x, lane);
                    add_product(s, &mut sums, of_h, h, lane);
                }
                self.activate::<S, ROWS>(s, &sums, panel * (ROWS / 4), lane, state);
                if self.narrow {
                    break;
                }
            }
        }
    }

    /// Gates, cell states and outputs of a panel's units, the first of which is `first`, from their sums.
    #[inline(always)]
    fn activate<S: Vectors, const ROWS: usize>(
        &mut self,
        s: S,
        sums: &[[S::Vector; 2]; ROWS],
        first: usize,
        lane: usize,
        state: &mut [Lanes],
    ) {
        let units = (ROWS / 4).min(self.hidden - first);
        let mut open = [s.splat(0.0); 6];
        let mut cell = open;
        // Written out, since sums that a loop counts through would leave their registers.
        macro_rules! of_units {
            ($($unit:literal)+) => {$(
                if 4 * $unit < ROWS && $unit < units {
                    let row = 4 * $unit % ROWS;
                    let sums = [sums[row], sums[row + 1], sums[row + 2], sums[row + 3]];
                    let (o, c) = self.open_gates(s, sums, first + $unit, lane);
                    (open[2 * $unit], open[2 * $unit + 1]) = (o[0], o[1]);
                    (cell[2 * $unit], cell[2 * $unit + 1]) = (c[0], c[1]);
                }
            )+};
        }
        of_units!(0 1 2);
        let cell = if ROWS == 4 {
            let [a, b] = tanh(s, [cell[0], cell[1]]);
            [a, b, a, b, a, b]
        } else {
            tanh(s, cell)
        };
        for unit in 0..3 {
            if unit < units {
                let state = &mut state[first + unit];
                s.store(s.multiply(open[2 * unit], cell[2 * unit]), &mut state[lane..]);
                s.store(s.multiply(open[2 * unit + 1], cell[2 * unit + 1]), &mut state[lane + S::WIDTH..]);
            }
        }
    }

    /// One unit's gates and cell state from its sums; gives back the output gate and the cell state.
    #[inline(always)]
    fn open_gates<S: Vectors>(
        &mut self,
        s: S,
        sums: [[S::Vector; 2]; 4],
        unit: usize,
        lane: usize,
    ) -> ([S::Vector; 2], [S::Vector; 2]) {
        let gates = &mut self.gates[4 * unit..4 * unit + 4];
        let (before, cell) = (&self.cell_before[unit], &mut self.cell[unit]);
        let (whole, double) = (s.splat(-LOG2_E), s.splat(-2.0 * LOG2_E));
        let scaled = [whole, whole, double, whole];
        let mut z = [s.splat(0.0); 8];
        for gate in 0..4 {
            for half in [0, 1] {
                z[2 * gate + half] = s.multiply(sums[gate][half], scaled[gate]);
            }
        }
        let z = s.logistic(z);
        let mut c = [z[0]; 2];
        for half in [0, 1] {
            let lane = lane + half * S::WIDTH;
            let (i, f, o) = (z[half], z[2 + half], z[6 + half]);
            let g = s.multiply_add(s.splat(2.0), z[4 + half], s.splat(-1.0));
            c[half] = s.multiply_add(f, s.load(&before[lane..]), s.multiply(i, g));
            s.store(c[half], &mut cell[lane..]);
            for (gate, value) in gates.iter_mut().zip([i, f, g, o]) {
                s.store(value, &mut gate[lane..]);
            }
        }
        ([z[6], z[7]], c)
    }
}

/// tanh(x) = 2 sigmoid(2 x) - 1
#[inline(always)]
pub(super) fn tanh<S: Vectors, const COUNT: usize>(s: S, mut x: [S::Vector; COUNT]) -> [S::Vector; COUNT] {
    for x in &mut x {
        *x = s.multiply(*x, s.splat(-2.0 * LOG2_E));
    }
    x = s.logistic(x);
    for x in &mut x {
        *x = s.multiply_add(s.splat(2.0), *x, s.splat(-1.0));
    }
    x
}
