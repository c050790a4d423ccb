//! Matrix products on one thread of the CPU: a checked door to the `gemm` crate.
//!
//! One thread, because the engine spreads whole models over the cores; and because a sum over one thread has one order.

/// A matrix inside a slice: element (r, c) is `data[r * row_stride + c * column_stride]`.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a, T> {
    pub(super) data: &'a [T],
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) row_stride: usize,
    pub(super) column_stride: usize,
}

impl<'a, T> Matrix<'a, T> {
    /// Rows one after the other, `row_stride` elements apart.
    ///
    /// # Panics
    /// When the slice is too short: a fault of the calling kernel, caught before memory is touched.
    pub fn new(data: &'a [T], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert!(fits(data.len(), rows, columns, row_stride), "a matrix must lie inside its slice");
        Matrix { data, rows, columns, row_stride, column_stride: 1 }
    }

    /// Rows and columns exchanged, without moving an element.
    pub fn transposed(self) -> Self {
        Matrix {
            rows: self.columns,
            columns: self.rows,
            row_stride: self.column_stride,
            column_stride: self.row_stride,
            ..self
        }
    }
}

/// A matrix that is written, rows one after the other.
#[derive(Debug)]
pub struct MatrixMut<'a, T> {
    pub(super) data: &'a mut [T],
    pub(super) rows: usize,
    pub(super) columns: usize,
    pub(super) row_stride: usize,
}

impl<'a, T> MatrixMut<'a, T> {
    /// As [`Matrix::new`]; rows must not overlap.
    ///
    /// # Panics
    /// When the slice is too short or rows overlap.
    pub fn new(data: &'a mut [T], rows: usize, columns: usize, row_stride: usize) -> Self {
        assert!(fits(data.len(), rows, columns, row_stride), "a matrix must lie inside its slice");
        assert!(row_stride >= columns, "rows that are written must not overlap");
        MatrixMut { data, rows, columns, row_stride }
    }
}

fn fits(length: usize, rows: usize, columns: usize, row_stride: usize) -> bool {
    rows == 0 || columns == 0 || (rows - 1) * row_stride + columns <= length
}

/// What a product does with the numbers that stand in its result already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    /// They are overwritten.
    Replaced,
    /// The product is added to them.
    Added,
}

/// f32 and f64: what the `gemm` crate can multiply here.
pub trait Element: Copy + 'static + private::Sealed {
    /// 1.
    const ONE: Self;
}

mod private {
    pub trait Sealed {}
    impl Sealed for f32 {}
    impl Sealed for f64 {}
}

impl Element for f32 {
    const ONE: Self = 1.0;
}

impl Element for f64 {
    const ONE: Self = 1.0;
}

/// Longest sum that is computed in one go.
const INNER: usize = 512;

/// `result = left * right`, or `result += left * right`; `[m, n] = [m, k] * [k, n]`.
///
/// A row of the result depends on its row of `left` alone, in no bit on how many others there are: a window that is
/// forecast alone gets the forecast that it has in a batch. The library below has ways of its own for a single row or
/// column and cuts long sums where the shape of the whole suggests; so a lone row or column is given company here, and
/// sums are cut at every 512th item. (A right factor that lies in columns, as gradients have it, is not under this
/// promise.)
///
/// # Panics
/// When the shapes do not fit: a fault of the calling kernel.
pub fn multiply<T: Element>(result: MatrixMut<T>, left: Matrix<T>, right: Matrix<T>, mode: Target) {
    assert!(
        left.columns == right.rows && result.rows == left.rows && result.columns == right.columns,
        "shapes of a product must fit"
    );
    if result.rows == 0 || result.columns == 0 {
        return;
    }
    if left.columns > INNER {
        return in_parts(result, left, right, mode);
    }
    if result.rows == 1 || result.columns == 1 {
        return in_company(result, left, right, mode);
    }
    run(result, left, right, mode);
}

/// The sums part by part.
fn in_parts<T: Element>(result: MatrixMut<T>, left: Matrix<T>, right: Matrix<T>, mode: Target) {
    let MatrixMut { data, rows, columns, row_stride } = result;
    for start in (0..left.columns).step_by(INNER) {
        let count = INNER.min(left.columns - start);
        let left = Matrix { data: &left.data[start * left.column_stride..], columns: count, ..left };
        let right = Matrix { data: &right.data[start * right.row_stride..], rows: count, ..right };
        let part = MatrixMut { data: &mut *data, rows, columns, row_stride };
        multiply(part, left, right, if start == 0 { mode } else { Target::Added });
    }
}

/// A product whose result is a single row or column, as one of two equal ones.
fn in_company<T: Element>(result: MatrixMut<T>, left: Matrix<T>, right: Matrix<T>, mode: Target) {
    let rows = result.rows.max(2);
    let columns = result.columns.max(2);
    let doubled_left = if left.rows == 1 { copied(left, rows, left.columns) } else { Vec::new() };
    let left = match left.rows {
        1 => Matrix::new(&doubled_left, rows, left.columns, left.columns),
        _ => left,
    };
    let doubled_right = if right.columns == 1 { copied(right, right.rows, columns) } else { Vec::new() };
    let right = match right.columns {
        1 => Matrix::new(&doubled_right, right.rows, columns, columns),
        _ => right,
    };
    let own = Matrix::new(&*result.data, result.rows, result.columns, result.row_stride);
    let mut wide = copied(own, rows, columns);
    run(MatrixMut::new(&mut wide, rows, columns, columns), left, right, mode);
    for row in 0..result.rows {
        result.data[row * result.row_stride..][..result.columns]
            .copy_from_slice(&wide[row * columns..][..result.columns]);
    }
}

/// `[rows, columns]` of a smaller matrix, its last row and column repeated.
fn copied<T: Element>(matrix: Matrix<T>, rows: usize, columns: usize) -> Vec<T> {
    let element = |row: usize, column: usize| {
        let (row, column) = (row.min(matrix.rows - 1), column.min(matrix.columns - 1));
        matrix.data[row * matrix.row_stride + column * matrix.column_stride]
    };
    (0..rows).flat_map(|row| (0..columns).map(move |column| element(row, column))).collect()
}

fn run<T: Element>(result: MatrixMut<T>, left: Matrix<T>, right: Matrix<T>, mode: Target) {
    let stride = |value: usize| value.cast_signed();
    #[expect(
        unsafe_code,
        reason = "the constructors and the assertion of `multiply` keep every access inside its slice"
    )]
    // SAFETY: each matrix lies inside its slice by its constructor, the shapes fit by the assertion of `multiply`, the result is
    // borrowed mutably and hence aliases neither operand, and its rows do not overlap.
    unsafe {
        gemm::gemm(
            result.rows,
            result.columns,
            left.columns,
            result.data.as_mut_ptr(),
            1,
            stride(result.row_stride),
            mode == Target::Added,
            left.data.as_ptr(),
            stride(left.column_stride),
            stride(left.row_stride),
            right.data.as_ptr(),
            stride(right.column_stride),
            stride(right.row_stride),
            T::ONE,
            T::ONE,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}
