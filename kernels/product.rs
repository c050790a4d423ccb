//! Products of f32 matrices in the precision of a pass.

use super::arena::Arena;
use super::matrix::{self, Matrix, MatrixMut, Target};
use super::matrix_bf16::{self, RightFactor};
use super::precision::Precision;

/// How products are computed, and where they find buffers.
#[derive(Clone, Copy, Debug)]
pub struct Products<'a> {
    /// The format of the factors.
    pub precision: Precision,
    /// For rounded copies of them.
    pub arena: &'a Arena,
}

/// A right factor, ready for many products.
#[derive(Debug)]
pub enum Right<'a> {
    /// As it lies.
    Plain(Matrix<'a, f32>),
    /// Rounded to bfloat16.
    Rounded(RightFactor),
}

impl<'a> Products<'a> {
    /// Prepares a right factor; give it back with [`Products::done`].
    pub fn right<'r>(self, right: Matrix<'r, f32>) -> Right<'r> {
        match self.precision {
            Precision::F32 => Right::Plain(right),
            Precision::Bf16 => Right::Rounded(RightFactor::new(right, self.arena)),
        }
    }

    /// `result = left * right`, or `result += left * right`.
    ///
    /// # Panics
    /// When the shapes do not fit: a fault of the calling kernel.
    pub fn multiply(self, result: MatrixMut<f32>, left: Matrix<f32>, right: &Right, mode: Target) {
        match right {
            Right::Plain(right) => matrix::multiply(result, left, *right, mode),
            Right::Rounded(right) => matrix_bf16::multiply(result, left, right, mode, self.arena),
        }
    }

    /// `result = left * right`, or `result += left * right`, for a right factor that is used once.
    ///
    /// # Panics
    /// As [`Products::multiply`].
    pub fn multiply_once(self, result: MatrixMut<f32>, left: Matrix<f32>, right: Matrix<f32>, mode: Target) {
        let right = self.right(right);
        self.multiply(result, left, &right, mode);
        self.done(right);
    }

    /// Gives the buffer of a right factor back.
    pub fn done(self, right: Right) {
        if let Right::Rounded(right) = right {
            right.give_back(self.arena);
        }
    }
}
