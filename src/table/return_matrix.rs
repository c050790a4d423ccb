//! The returns of many books over the same periods, side by side.

/// Returns of many books, coarse enough to be kept for ten thousand of them: statistics over trials (overfitting, reality
/// check) need every book's course, but not every bar of it.
#[derive(Clone, Debug, Default)]
pub struct ReturnMatrix {
    periods: usize,
    /// `[book][period]`: simple returns, single precision.
    values: Vec<f32>,
}

impl ReturnMatrix {
    /// Takes `[book][period]` returns, row after row. `None` where they do not fill whole rows.
    pub fn new(periods: usize, values: Vec<f32>) -> Option<ReturnMatrix> {
        let whole = if periods == 0 { values.is_empty() } else { values.len().is_multiple_of(periods) };
        whole.then_some(ReturnMatrix { periods, values })
    }

    /// Number of books.
    pub fn books(&self) -> usize {
        self.values.len().checked_div(self.periods).unwrap_or(0)
    }

    /// Returns of each book.
    pub fn periods(&self) -> usize {
        self.periods
    }

    /// The returns of one book, in the order of time.
    pub fn book(&self, book: usize) -> &[f32] {
        &self.values[book * self.periods..(book + 1) * self.periods]
    }

    /// All returns, `[book][period]`.
    pub fn values(&self) -> &[f32] {
        &self.values
    }
}
