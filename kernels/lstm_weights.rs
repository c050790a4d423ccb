//! An LSTM layer's sizes, and its weights in the order in which the loops read them.

use super::lstm_vectors::LANES;

/// The sizes of one layer's work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct LayerShape {
    /// T
    pub(super) steps: usize,
    /// B
    pub(super) batch: usize,
    /// I
    pub(super) inputs: usize,
    /// H
    pub(super) hidden: usize,
}

impl LayerShape {
    /// Blocks of [`LANES`] windows; the last one may be part empty.
    pub(super) fn blocks(self) -> usize {
        self.batch.div_ceil(LANES)
    }

    /// 4H
    pub(super) fn columns(self) -> usize {
        4 * self.hidden
    }

    /// Numbers of the weight `[1 + I + H, 4H]`.
    pub(super) fn weights(self) -> usize {
        (1 + self.inputs + self.hidden) * self.columns()
    }
}

/// Cells of a contraction over so many rows: one number a cell, or two of them as bf16.
#[inline(always)]
pub(super) fn cells(paired: bool, rows: usize) -> usize {
    if paired { rows.div_ceil(2) } else { rows }
}

/// One number, or two neighbours of a contraction that hold bf16 numbers already.
#[inline(always)]
fn cell<const PAIRED: bool>(first: f32, second: f32) -> f32 {
    if PAIRED { f32::from_bits(first.to_bits() >> 16 | second.to_bits()) } else { first }
}

/// The height of all panels but the last when so many rows are cut into as few of at most `most` rows as can be: nearly
/// equal heights, since a low panel waits for its sums.
#[inline(always)]
pub(super) fn even_height(rows: usize, most: usize) -> usize {
    rows.div_ceil(rows.div_ceil(most))
}

/// Numbers of the packed weights of the forward products with panels of `rows` rows.
pub(super) fn forward_length(shape: LayerShape, paired: bool, rows: usize) -> usize {
    let cells = 1 + cells(paired, shape.inputs) + cells(paired, shape.hidden);
    shape.hidden.div_ceil(rows / 4) * cells * rows
}

/// Numbers of the packed weights of the backward products.
pub(super) fn backward_length(shape: LayerShape, paired: bool) -> usize {
    (shape.inputs + shape.hidden) * cells(paired, shape.columns())
}

/// Packs for `gates = W [x; h]`: `ROWS / 4` units a panel, each panel `[1 + cells of x + cells of h, ROWS]` with row
/// `4 u + gate`, its bias (always f32) first. Units that are not there have zero weights. Where cells are paired the weights
/// hold bf16 numbers.
#[inline(always)]
pub(super) fn pack_forward<const ROWS: usize, const PAIRED: bool>(
    shape: LayerShape,
    weight: &[f32],
    packed: &mut [f32],
) {
    let LayerShape { inputs, hidden, .. } = shape;
    let (columns, units) = (shape.columns(), ROWS / 4);
    let (packed, _) = packed.as_chunks_mut::<ROWS>();
    let (bias, weight) = weight.split_at(columns);
    let (of_x, of_h) = weight.split_at(inputs * columns);
    for (panel, packed) in
        packed.chunks_exact_mut(1 + cells(PAIRED, inputs) + cells(PAIRED, hidden)).enumerate()
    {
        let (first, there) = (panel * units, units.min(hidden - panel * units));
        let span = UnitSpan { hidden, first, there };
        span.pack::<ROWS, false>(bias, &[], &mut packed[0]);
        let (packed_x, packed_h) = packed[1..].split_at_mut(cells(PAIRED, inputs));
        for (rows, packed) in [(of_x, packed_x), (of_h, packed_h)] {
            let rows = rows.chunks(if PAIRED { 2 * columns } else { columns });
            for (row, packed) in rows.zip(packed) {
                let (row, next) = row.split_at(columns);
                span.pack::<ROWS, PAIRED>(row, next, packed);
            }
        }
    }
}

/// Neighbouring units of a panel.
#[derive(Clone, Copy)]
struct UnitSpan {
    hidden: usize,
    first: usize,
    there: usize,
}

impl UnitSpan {
    /// One row of a panel from one row `[4H]` of the weight, or from two; an empty second one counts as zero.
    #[inline(always)]
    fn pack<const ROWS: usize, const PAIRED: bool>(
        self,
        row: &[f32],
        next: &[f32],
        packed: &mut [f32; ROWS],
    ) {
        let UnitSpan { hidden, first, there } = self;
        *packed = [0.0; ROWS];
        for gate in 0..4 {
            let span = gate * hidden + first..gate * hidden + first + there;
            let (row, next) = (&row[span.clone()], if next.is_empty() { &[] } else { &next[span] });
            for (u, value) in row.iter().enumerate().take(ROWS / 4) {
                packed[4 * u + gate] = cell::<PAIRED>(*value, next.get(u).copied().unwrap_or(0.0));
            }
        }
    }
}

/// Packs for `[dx; dh] = W^T dgates`, the rows of the contraction being `4 u + gate`: panels of at most `ROWS` rows from
/// row `first` of `[x; h]` on, each `[cells of 4H, rows]`; the last one has fewer rows. A panel of row r begins at
/// `(r - first) * cells`.
#[inline(always)]
pub(super) fn pack_backward<const ROWS: usize, const PAIRED: bool>(
    shape: LayerShape,
    first: usize,
    weight: &[f32],
    packed: &mut [f32],
) {
    let LayerShape { hidden, .. } = shape;
    let columns = shape.columns();
    let height = cells(PAIRED, columns);
    let weight = &weight[(1 + first) * columns..];
    let even = even_height(weight.len() / columns, ROWS);
    for (rows, packed) in weight.chunks(even * columns).zip(packed.chunks_mut(even * height)) {
        let width = rows.len() / columns;
        for (q, row) in rows.chunks_exact(columns).enumerate() {
            let (row_if, row_go) = row.split_at(2 * hidden);
            let ((i, f), (g, o)) = (row_if.split_at(hidden), row_go.split_at(hidden));
            let gates = i.iter().zip(f).zip(g.iter().zip(o));
            for (packed, ((i, f), (g, o))) in packed.chunks_exact_mut(height / hidden * width).zip(gates) {
                if PAIRED {
                    packed[q] = cell::<true>(*i, *f);
                    packed[width + q] = cell::<true>(*g, *o);
                } else {
                    for (k, value) in [i, f, g, o].into_iter().enumerate() {
                        packed[k * width + q] = *value;
                    }
                }
            }
        }
    }
}
