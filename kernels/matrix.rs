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

/// `result = left * right`, or `result += left * right`; `[m, n] = [m, k] * [k, n]`.
///
/// # Panics
/// When the shapes do not fit: a fault of the calling kernel.
pub fn multiply<T: Element>(result: MatrixMut<T>, left: Matrix<T>, right: Matrix<T>, mode: Target) {
    assert!(
        left.columns == right.rows && result.rows == left.rows && result.columns == right.columns,
        "shapes of a product must fit"
    );
    let stride = |value: usize| value.cast_signed();
    #[expect(
        unsafe_code,
        reason = "the constructors and the assertion above keep every access inside its slice"
    )]
    // SAFETY: each matrix lies inside its slice by its constructor, the shapes fit by the assertion, the result is
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
