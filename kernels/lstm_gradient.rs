//! The gradient of an LSTM layer's weights: products over steps and windows, a chunk of steps at a time while their
//! gradients are still in the cache.

use super::lstm_backward::Kept;
use super::lstm_vectors::{LANES, Lanes, Vectors};
use super::lstm_weights::{LayerShape, even_height};

/// Steps of a chunk.
pub(super) const CHUNK: usize = 6;

/// Panels of [`LANES`] columns of the weight.
pub(super) fn panels_of(columns: usize) -> usize {
    columns.div_ceil(LANES)
}

/// Columns of the gates' gradients to rows: panel p, step, then cell k of a lane hold columns `32 p..` of the weight.
/// `gates` is `[H, 4]` rows of STEPS cells.
#[inline(always)]
pub(super) fn transpose_gates<S: Vectors, const STEPS: usize>(
    s: S,
    hidden: usize,
    gates: &[f32],
    step: usize,
    panels: &mut [Lanes],
) {
    let zero = [0.0; STEPS];
    let (gates, _) = gates.as_chunks::<STEPS>();
    let (mut gate, mut unit) = (0, 0);
    for panel in panels.chunks_exact_mut(CHUNK * STEPS) {
        let panel = &mut panel[step * STEPS..][..STEPS];
        for first in [0, 16] {
            if gate == 4 {
                break;
            }
            let mut rows = [&zero; 16];
            for row in &mut rows {
                if gate < 4 {
                    *row = &gates[4 * unit + gate];
                }
                unit += 1;
                if unit == hidden {
                    (gate, unit) = (gate + 1, 0);
                }
            }
            for cell in (0..STEPS).step_by(16) {
                let mut parts: [&[f32]; 16] = [&[]; 16];
                for k in 0..16 {
                    parts[k] = &rows[k][cell..cell + 16];
                }
                s.transpose(parts, &mut panel[cell..cell + 16], first);
            }
        }
    }
}

/// Steps whose gates' gradients lie transposed in panels.
pub(super) struct Chunk<'a> {
    pub(super) shape: LayerShape,
    pub(super) first: usize,
    pub(super) steps: usize,
    pub(super) panels: &'a [Lanes],
    pub(super) kept: Kept<'a>,
}

impl Chunk<'_> {
    /// Adds the chunk's part to the gradient `[1 + I + H, 4H]`.
    #[inline(always)]
    pub(super) fn add<S: Vectors, const ROWS: usize, const STEPS: usize>(&self, s: S, of_weight: &mut [f32]) {
        let LayerShape { inputs, hidden, .. } = self.shape;
        let columns = self.shape.columns();
        let (of_bias, of_weight) = of_weight.split_at_mut(columns);
        let (of_x, of_h) = of_weight.split_at_mut(inputs * columns);
        for (panel, gates) in self.panels.chunks_exact(CHUNK * STEPS).enumerate() {
            let (column, gates) = (panel * LANES, &gates[..self.steps * STEPS]);
            add_columns(s, gates, column, of_bias);
            for (kept, count, result) in
                [(self.kept.inputs, inputs, &mut *of_x), (self.kept.states, hidden, &mut *of_h)]
            {
                let even = even_height(count, ROWS);
                for (tile, result) in result.chunks_mut(even * columns).enumerate() {
                    let first = (self.first * count + tile * even) * STEPS;
                    let tile = Tile { rows: &kept[first..], stride: count * STEPS, gates, columns, column };
                    macro_rules! of_height {
                        ($($height:literal)+) => {
                            match result.len() / columns {
                                $($height if $height <= ROWS => tile.add_all::<S, $height, STEPS>(s, result),)+
                                height => unreachable!("tiles have no {height} rows"),
                            }
                        };
                    }
                    of_height!(1 2 3 4 5 6 7 8 9 10 11 12);
                }
            }
        }
    }
}

struct Tile<'a> {
    /// Rows of STEPS cells; those of the next step follow after `stride` cells.
    rows: &'a [f32],
    stride: usize,
    gates: &'a [Lanes],
    columns: usize,
    column: usize,
}

impl Tile<'_> {
    #[inline(always)]
    fn add_all<S: Vectors, const ROWS: usize, const STEPS: usize>(&self, s: S, result: &mut [f32]) {
        let wanted = (self.columns - self.column).min(LANES);
        for lane in (0..wanted).step_by(2 * S::WIDTH) {
            if wanted - lane > S::WIDTH {
                self.add::<S, ROWS, STEPS, 2>(s, lane, result);
            } else {
                self.add::<S, ROWS, STEPS, 1>(s, lane, result);
            }
        }
    }

    /// For so many vectors of columns from `lane` on.
    #[inline(always)]
    fn add<S: Vectors, const ROWS: usize, const STEPS: usize, const COUNT: usize>(
        &self,
        s: S,
        lane: usize,
        result: &mut [f32],
    ) {
        let mut sums = [[s.splat(0.0); COUNT]; ROWS];
        for (step, gates) in self.gates.chunks_exact(STEPS).enumerate() {
            let (rows, _) = self.rows[step * self.stride..].as_chunks::<STEPS>();
            let Some(rows) = rows.first_chunk::<ROWS>() else { return };
            for (k, gates) in gates.iter().enumerate().take(STEPS) {
                let mut vectors = [s.splat(0.0); COUNT];
                for count in 0..COUNT {
                    vectors[count] = s.load(&gates[lane + count * S::WIDTH..]);
                }
                for row in 0..ROWS {
                    let value = s.splat(rows[row][k]);
                    for count in 0..COUNT {
                        sums[row][count] = s.product(value, vectors[count], sums[row][count]);
                    }
                }
            }
        }
        for (result, sums) in result.chunks_exact_mut(self.columns).zip(sums) {
            add_to(s, sums, &mut result[self.column + lane..]);
        }
    }
}

/// Adds the sums of all cells to the gradient of the bias.
#[inline(always)]
fn add_columns<S: Vectors>(s: S, gates: &[Lanes], column: usize, result: &mut [f32]) {
    let one = s.splat(if S::PAIRED { f32::from_bits(0x3F80_3F80) } else { 1.0 });
    for lane in (0..LANES.min(result.len() - column)).step_by(S::WIDTH) {
        // Four sums, since one would wait for itself.
        let mut sums = [s.splat(0.0); 4];
        for gates in gates.as_chunks::<4>().0 {
            for k in 0..4 {
                sums[k] = s.product(one, s.load(&gates[k][lane..]), sums[k]);
            }
        }
        let sum = s.add(s.add(sums[0], sums[1]), s.add(sums[2], sums[3]));
        add_to(s, [sum], &mut result[column + lane..]);
    }
}

/// Adds vectors to numbers, of which there may be fewer.
#[inline(always)]
fn add_to<S: Vectors, const COUNT: usize>(s: S, sums: [S::Vector; COUNT], result: &mut [f32]) {
    for (result, sum) in result.chunks_mut(S::WIDTH).zip(sums) {
        if result.len() == S::WIDTH {
            s.store(s.add(s.load(result), sum), result);
        } else {
            let mut values = [0.0; LANES];
            s.store(sum, &mut values);
            for (result, value) in result.iter_mut().zip(values) {
                *result += value;
            }
        }
    }
}
