//! Dropout by counters: whether element number k of a site falls depends on `(key, k)` alone, so that it needs no state,
//! no order and no memory, and a CUDA thread can ask for its own element.

use crate::seed::at;

/// One site's dropout in one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// Of a stream that is this step's and this site's own.
    pub key: u64,
    /// Elements whose 16 random bits are below fall.
    pub threshold: u16,
}

impl Dropout {
    /// Drops each element with probability `rate` in [0, 1), to the next 2^-16.
    pub fn new(key: u64, rate: f64) -> Self {
        Dropout { key, threshold: (rate * 65_536.0).round().min(65_535.0) as u16 }
    }

    /// What a kept element is multiplied by, so that the mean stays: 1 / (1 - rate) of the rate that is really used.
    pub fn scale(self) -> f32 {
        (65_536.0 / (65_536.0 - f64::from(self.threshold))) as f32
    }

    /// Whether element number k stays: the specification. Four neighbours share one 64-bit number, 16 bits each.
    pub fn keeps(self, element: u64) -> bool {
        (at(self.key, element / 4) >> (16 * (element % 4))) as u16 >= self.threshold
    }
}
