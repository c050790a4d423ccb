//! A set of rows, made for the question which row comes next.

use std::ops::Range;

/// Bits of a word.
const WORD: usize = u64::BITS as usize;

/// A set of rows below a fixed number: those at or above their threshold.
#[derive(Clone, Debug)]
pub struct Reached {
    words: Vec<u64>,
}

impl Reached {
    /// No row of `rows`.
    pub(super) fn empty(rows: usize) -> Reached {
        Reached { words: vec![0; rows.div_ceil(WORD)] }
    }

    /// The rows that are true.
    pub(super) fn of(rows: &[bool]) -> Reached {
        let mut set = Reached::empty(rows.len());
        rows.iter().enumerate().filter(|(_, inside)| **inside).for_each(|(row, _)| set.insert(row));
        set
    }

    /// Adds a row.
    pub(super) fn insert(&mut self, row: usize) {
        self.words[row / WORD] |= 1 << (row % WORD);
    }

    /// How many rows.
    pub(super) fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// The first row of the set in the range.
    pub(super) fn first_in(&self, range: Range<usize>) -> Option<usize> {
        first(range, |word| self.words[word])
    }

    /// Whether both sets hold a same row of the range.
    pub(super) fn meets(&self, other: &Reached, range: Range<usize>) -> bool {
        first(range, |word| self.words[word] & other.words[word]).is_some()
    }
}

/// The first bit of the range that is set in the words.
fn first(range: Range<usize>, word_at: impl Fn(usize) -> u64) -> Option<usize> {
    if range.is_empty() {
        return None;
    }
    let before = !0 << (range.start % WORD);
    let mut words = (range.start / WORD..=(range.end - 1) / WORD).map(|word| {
        let bits = word_at(word);
        (word, if word == range.start / WORD { bits & before } else { bits })
    });
    let (word, bits) = words.find(|(_, bits)| *bits != 0)?;
    Some(word * WORD + bits.trailing_zeros() as usize).filter(|row| *row < range.end)
}
