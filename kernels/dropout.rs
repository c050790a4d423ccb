//! Dropout by counters: whether element number k of a site falls depends on `(key, k)` alone, so that it needs no state,
//! no order and no memory, and a CUDA thread can ask for its own element.

use super::gates::vectorised;
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

    /// 0 or [`Dropout::scale`] for element number k.
    pub fn factor(self, element: u64) -> f32 {
        if self.keeps(element) { self.scale() } else { 0.0 }
    }

    /// `result = factor * values`; the first value is element number `first`.
    ///
    /// # Panics
    /// When the slices differ in length: a fault of the calling kernel.
    pub fn copy(self, first: u64, values: &[f32], result: &mut [f32]) {
        assert!(values.len() == result.len(), "slices must be of one length");
        copy(self, first, values, result);
    }

    /// `result = base + factor * values`; the first value is element number `first`.
    ///
    /// # Panics
    /// When the slices differ in length: a fault of the calling kernel.
    pub fn add(self, first: u64, values: &[f32], base: &[f32], result: &mut [f32]) {
        assert!(values.len() == result.len() && base.len() == result.len(), "slices must be of one length");
        add(self, first, values, base, result);
    }

    /// One mask for every 16 elements from element number `first` on, which 4 must divide: bit i of a mask is set where
    /// the i-th of its elements stays.
    ///
    /// # Panics
    /// When 4 does not divide `first`: a fault of the calling kernel.
    pub fn masks(self, first: u64, masks: &mut [u16]) {
        assert!(first.is_multiple_of(4), "masks must begin with a whole random number");
        fill_masks(self, first / 4, masks);
    }
}

/// The mask of the 16 elements whose random numbers begin with number `counter`.
#[inline(always)]
fn mask(dropout: Dropout, counter: u64) -> u16 {
    let mut lanes = [0_u16; 16];
    for (word, lanes) in lanes.chunks_exact_mut(4).enumerate() {
        let bits = at(dropout.key, counter.wrapping_add(word as u64));
        for (lane, value) in lanes.iter_mut().enumerate() {
            *value = (bits >> (16 * lane)) as u16;
        }
    }
    let mut mask = 0;
    for (lane, value) in lanes.into_iter().enumerate() {
        mask |= u16::from(value >= dropout.threshold) << lane;
    }
    mask
}

#[inline(always)]
fn fill_masks_body<const FUSED: bool>(dropout: Dropout, counter: u64, masks: &mut [u16]) {
    for (index, found) in masks.iter_mut().enumerate() {
        *found = mask(dropout, counter.wrapping_add(4 * index as u64));
    }
}

vectorised! {
    /// Fills all masks.
    fn fill_masks(dropout: Dropout, counter: u64, masks: &mut [u16]) = fill_masks_body;
}

/// Elements whose random bits are made at once: one plain loop makes bits, another uses them, and both vectorise.
const STRETCH: usize = 1024;

/// The 16 random bits of each of 1024 neighbours, the first of which has a number that 4 divides.
struct Bits([u64; STRETCH / 4]);

impl Bits {
    #[inline(always)]
    fn of(key: u64, counter: u64) -> Bits {
        let mut words = [0; STRETCH / 4];
        for (index, word) in words.iter_mut().enumerate() {
            *word = at(key, counter.wrapping_add(index as u64)).to_le();
        }
        Bits(words)
    }

    #[inline(always)]
    fn lanes(&self) -> &[u16; STRETCH] {
        #[expect(unsafe_code, reason = "a number of 64 bits is four of 16 bits")]
        // SAFETY: both arrays have the same size, the alignment of u16 is smaller, and every bit pattern is a u16. The
        // little-endian order made above puts the lowest bits of a word first, as the specification counts them.
        unsafe {
            &*(&raw const self.0).cast()
        }
    }
}

/// How many elements stand before the first whose number 4 divides.
#[inline(always)]
fn ragged(first: u64, length: usize) -> usize {
    ((4 - first % 4) as usize % 4).min(length)
}

#[inline(always)]
fn add_body<const FUSED: bool>(
    dropout: Dropout,
    first: u64,
    values: &[f32],
    base: &[f32],
    result: &mut [f32],
) {
    let scale = dropout.scale();
    let head = ragged(first, values.len());
    for k in 0..head {
        result[k] = base[k] + dropout.factor(first + k as u64) * values[k];
    }
    let mut counter = (first + head as u64) / 4;
    let stretches = values[head..].chunks(STRETCH).zip(base[head..].chunks(STRETCH));
    for ((values, base), result) in stretches.zip(result[head..].chunks_mut(STRETCH)) {
        let bits = Bits::of(dropout.key, counter);
        for (((result, base), value), bits) in result.iter_mut().zip(base).zip(values).zip(bits.lanes()) {
            let factor = if u16::from_le(*bits) >= dropout.threshold { scale } else { 0.0 };
            *result = base + factor * value;
        }
        counter += STRETCH as u64 / 4;
    }
}

vectorised! {
    /// Adds the values that stay.
    fn add(dropout: Dropout, first: u64, values: &[f32], base: &[f32], result: &mut [f32]) = add_body;
}

#[inline(always)]
fn copy_body<const FUSED: bool>(dropout: Dropout, first: u64, values: &[f32], result: &mut [f32]) {
    let scale = dropout.scale();
    let head = ragged(first, values.len());
    for k in 0..head {
        result[k] = dropout.factor(first + k as u64) * values[k];
    }
    let mut counter = (first + head as u64) / 4;
    for (values, result) in values[head..].chunks(STRETCH).zip(result[head..].chunks_mut(STRETCH)) {
        let bits = Bits::of(dropout.key, counter);
        for ((result, value), bits) in result.iter_mut().zip(values).zip(bits.lanes()) {
            *result = if u16::from_le(*bits) >= dropout.threshold { scale } else { 0.0 } * value;
        }
        counter += STRETCH as u64 / 4;
    }
}

vectorised! {
    /// Copies the values that stay.
    fn copy(dropout: Dropout, first: u64, values: &[f32], result: &mut [f32]) = copy_body;
}
