//! Normal equations: products of rows summed in one fixed order, and solved by Cholesky's factorisation.

use crate::kernels::matrix::{Matrix, MatrixMut, Target, multiply};

/// Rows that are added at once.
pub(super) const ROWS: usize = 256;

/// `gram w = cross` for each of H right sides.
pub(super) struct NormalEquations {
    inputs: usize,
    /// `[D, D]`
    gram: Vec<f64>,
    /// `[H, D]`
    cross: Vec<f64>,
}

impl NormalEquations {
    /// Zeros, for D inputs and H right sides.
    pub(super) fn new(inputs: usize, outputs: usize) -> Self {
        NormalEquations { inputs, gram: vec![0.0; inputs * inputs], cross: vec![0.0; outputs * inputs] }
    }

    /// Adds `left' x` to the gram and `y' x` to the right sides; left and x `[R, D]`, y `[R, H]`.
    pub(super) fn add(&mut self, left: &[f64], x: &[f64], y: &[f64]) {
        let inputs = self.inputs;
        let Some(outputs) = self.cross.len().checked_div(inputs) else { return };
        let rows = x.len() / inputs;
        let matrix = |values, columns| Matrix::new(values, rows, columns, columns);
        let gram = MatrixMut::new(&mut self.gram, inputs, inputs, inputs);
        multiply(gram, matrix(left, inputs).transposed(), matrix(x, inputs), Target::Added);
        let cross = MatrixMut::new(&mut self.cross, outputs, inputs, inputs);
        multiply(cross, matrix(y, outputs).transposed(), matrix(x, inputs), Target::Added);
    }

    /// Adds to one number of the gram's diagonal.
    pub(super) fn add_to_diagonal(&mut self, input: usize, value: f64) {
        self.gram[input * self.inputs + input] += value;
    }

    /// The right sides `[H, D]`.
    pub(super) fn cross(&mut self) -> &mut [f64] {
        &mut self.cross
    }

    /// Factors `gram = L L'` in place (lower triangle), then solves for every right side, `[H, D]`; `None` where a pivot
    /// vanishes or a number is not finite.
    pub(super) fn solve(mut self) -> Option<Vec<f64>> {
        let (gram, inputs) = (&mut self.gram, self.inputs);
        for row in 0..inputs {
            let (above, below) = gram.split_at_mut(row * inputs);
            let this = &mut below[..inputs];
            for column in 0..row {
                let other = &above[column * inputs..][..=column];
                this[column] = (this[column] - dot(&this[..column], &other[..column])) / other[column];
            }
            let pivot = this[row] - dot(&this[..row], &this[..row]);
            // Rounding leaves a vanished pivot at about 1e-16 of its diagonal element.
            if !(pivot > this[row] * 1e-12 && pivot.is_finite()) {
                return None;
            }
            this[row] = pivot.sqrt();
        }
        let mut solution = self.cross;
        for values in solution.chunks_exact_mut(inputs.max(1)) {
            for row in 0..inputs {
                let factors = &gram[row * inputs..][..=row];
                values[row] = (values[row] - dot(&factors[..row], &values[..row])) / factors[row];
            }
            for row in (0..inputs).rev() {
                let below: f64 = (row + 1..inputs).map(|k| gram[k * inputs + row] * values[k]).sum();
                values[row] = (values[row] - below) / gram[row * inputs + row];
            }
        }
        solution.iter().all(|value| value.is_finite()).then_some(solution)
    }
}

/// A sum in eight lanes: one fixed order that vectorises.
pub(super) fn dot(left: &[f64], right: &[f64]) -> f64 {
    let mut lanes = [0.0; 8];
    let (left, right) = (left.as_chunks::<8>(), right.as_chunks::<8>());
    for (left, right) in left.0.iter().zip(right.0) {
        for lane in 0..8 {
            lanes[lane] += left[lane] * right[lane];
        }
    }
    let rest: f64 = left.1.iter().zip(right.1).map(|(left, right)| left * right).sum();
    lanes.iter().sum::<f64>() + rest
}
