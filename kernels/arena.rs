//! Buffers that kernels use again from step to step: one arena a core, shared by all networks that train there, so that
//! another network costs its weights and its optimiser's state alone.

use std::ops::{Deref, DerefMut};
use std::sync::{Arc, Mutex, PoisonError};

/// One cache line of the processors we know, so that a vector load never touches two.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C, align(64))]
struct Line([f32; 16]);

/// Numbers that begin at a cache line.
#[derive(Debug, Default)]
pub struct Buffer {
    lines: Vec<Line>,
    length: usize,
}

impl Buffer {
    fn resize(&mut self, length: usize) {
        self.lines.resize(length.div_ceil(16), Line::default());
        self.length = length;
    }
}

impl Deref for Buffer {
    type Target = [f32];

    fn deref(&self) -> &[f32] {
        &self.lines.as_flattened_floats()[..self.length]
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut [f32] {
        let length = self.length;
        &mut self.lines.as_flattened_floats_mut()[..length]
    }
}

/// A slice of lines as a slice of numbers.
trait Flattened {
    fn as_flattened_floats(&self) -> &[f32];
    fn as_flattened_floats_mut(&mut self) -> &mut [f32];
}

impl Flattened for Vec<Line> {
    fn as_flattened_floats(&self) -> &[f32] {
        #[expect(unsafe_code, reason = "a line is sixteen numbers and nothing else")]
        // SAFETY: `Line` is `repr(C)` with one field of 64 bytes and an alignment of 64, so it has no padding, and lines
        // lie one after the other; the length in numbers is 16 times that in lines.
        unsafe {
            std::slice::from_raw_parts(self.as_ptr().cast(), self.len() * 16)
        }
    }

    fn as_flattened_floats_mut(&mut self) -> &mut [f32] {
        #[expect(unsafe_code, reason = "a line is sixteen numbers and nothing else")]
        // SAFETY: as above; the mutable borrow of the vector is the only one.
        unsafe {
            std::slice::from_raw_parts_mut(self.as_mut_ptr().cast(), self.len() * 16)
        }
    }
}

/// Buffers that are not in use. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Arena(Arc<Mutex<Vec<Buffer>>>);

impl Arena {
    /// A buffer of so many numbers, with old numbers in it: the smallest that is large enough, else a new one.
    pub fn take(&self, length: usize) -> Buffer {
        // A poisoned lock only means that another thread panicked between two whole changes of the list.
        let mut free = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let fitting = free.iter().enumerate().filter(|(_, buffer)| buffer.lines.capacity() * 16 >= length);
        let best = fitting.min_by_key(|(_, buffer)| buffer.lines.capacity()).map(|(index, _)| index);
        let mut buffer = best.map(|index| free.swap_remove(index)).unwrap_or_default();
        drop(free);
        buffer.resize(length);
        buffer
    }

    /// Gives a buffer back.
    pub fn give(&self, buffer: Buffer) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(buffer);
    }
}
