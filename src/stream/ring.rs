//! The window of a model as a ring: the newest row takes the place of the oldest.

/// The last rows of one symbol's features, never more than a window.
#[derive(Clone, Debug)]
pub struct RingBuffer {
    length: usize,
    features: usize,
    /// Rows one after the other, `[length, features]`; the oldest stands at `next` once all places are taken.
    values: Vec<f64>,
    /// Where the next row goes.
    next: usize,
    /// The newest rows that are without a null.
    known: usize,
}

impl RingBuffer {
    /// An empty ring for `length` rows of `features` values; both at least 1.
    pub fn new(length: usize, features: usize) -> RingBuffer {
        RingBuffer { length, features, values: vec![f64::NAN; length * features], next: 0, known: 0 }
    }

    /// Takes the next row; further values than the ring's features are left out.
    pub fn push(&mut self, row: &[f64]) {
        let place = &mut self.values[self.next * self.features..][..self.features];
        place.iter_mut().zip(row).for_each(|(place, value)| *place = *value);
        self.next = (self.next + 1) % self.length;
        self.known =
            if row.iter().any(|value| value.is_nan()) { 0 } else { (self.known + 1).min(self.length) };
    }

    /// Whether every feature of every row of the window is known.
    pub fn is_complete(&self) -> bool {
        self.known == self.length
    }

    /// One feature from the oldest row to the newest.
    pub fn column(&self, feature: usize) -> Vec<f64> {
        (0..self.length)
            .map(|row| self.values[(self.next + row) % self.length * self.features + feature])
            .collect()
    }
}
