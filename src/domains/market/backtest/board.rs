//! Who runs which chunk of a batch: the processors take chunks from the front, CUDA devices take slices of several from the
//! back, each as large as what it was seen to do. A slice that takes a device longer than the processors would have needed is
//! taken over by them, and whoever ends first is heard, so that a slow device costs little more than what it was handed.
//! Who runs a chunk changes no bit.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The chunks of a batch and who has them; chunks and devices are known by their numbers.
pub struct Board {
    state: Mutex<State>,
    changed: Condvar,
    start: Instant,
    /// Whether processors only run what devices cannot.
    devices_first: bool,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Owner {
    Nobody,
    Processor,
    Device,
    Done,
}

/// Chunks that a device has in work.
struct Slice {
    chunks: Vec<usize>,
    books: usize,
    since: Instant,
}

struct State {
    /// `[chunk]`
    owners: Vec<Owner>,
    /// `[chunk]`: its books.
    sizes: Vec<usize>,
    /// `[device]`
    slices: Vec<Option<Slice>>,
    /// `[device]`: books a second, 0 for one that failed; `None` for one that has not run yet.
    rates: Vec<Option<f64>>,
    /// Books that the processors ran, and when they had run them.
    ran: usize,
    seconds: f64,
}

impl Board {
    /// Chunks of these sizes, for the processors and so many devices.
    pub fn new(sizes: Vec<usize>, devices: usize, devices_first: bool) -> Board {
        let state = State {
            owners: vec![Owner::Nobody; sizes.len()],
            sizes,
            slices: (0..devices).map(|_| None).collect(),
            rates: vec![None; devices],
            ran: 0,
            seconds: 0.0,
        };
        Board { state: Mutex::new(state), changed: Condvar::new(), start: Instant::now(), devices_first }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next chunk for a processor; waits as long as a device may leave one. `None` once nothing is left to do.
    pub fn for_processor(&self) -> Option<usize> {
        let mut state = self.lock();
        loop {
            let waits = self.devices_first && state.rates.iter().any(|rate| *rate != Some(0.0));
            let free = state.owners.iter().position(|owner| *owner == Owner::Nobody);
            if let Some(chunk) = free.filter(|_| !waits).or_else(|| state.late(self.devices_first)) {
                state.owners[chunk] = Owner::Processor;
                return Some(chunk);
            }
            if free.is_none() && !state.owners.contains(&Owner::Device) {
                return None;
            }
            // Woken when anything changes; a slice becomes late by itself.
            let waited = self.changed.wait_timeout(state, Duration::from_millis(5));
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// The next chunks for a device; none once it is not needed any more.
    pub fn for_device(&self, device: usize) -> Vec<usize> {
        let mut state = self.lock();
        let share = state.share(device, self.devices_first);
        let free: Vec<usize> =
            (0..state.owners.len()).filter(|chunk| state.owners[*chunk] == Owner::Nobody).collect();
        let wanted = share * free.iter().map(|chunk| state.sizes[*chunk]).sum::<usize>() as f64;
        let (mut chunks, mut books) = (Vec::new(), 0);
        let alone = free.len() == 1;
        for chunk in free.into_iter().rev() {
            // The first slice is one chunk at least, but leaves the processors one by which to see what they can do.
            let next = (books + state.sizes[chunk]) as f64;
            let measured = state.rates[device].is_some() || self.devices_first;
            if books as f64 >= wanted || (next > wanted && !measured && (alone || !chunks.is_empty())) {
                break;
            }
            chunks.push(chunk);
            books += state.sizes[chunk];
            state.owners[chunk] = Owner::Device;
        }
        chunks.reverse();
        if chunks.is_empty() {
            // It will not come back.
            state.rates[device] = Some(0.0);
        } else {
            state.slices[device] = Some(Slice { chunks: chunks.clone(), books, since: Instant::now() });
        }
        self.changed.notify_all();
        chunks
    }

    /// Whether others have run all that a device has in work.
    pub fn overtaken(&self, device: usize) -> bool {
        let state = self.lock();
        let done = |slice: &Slice| slice.chunks.iter().all(|chunk| state.owners[*chunk] == Owner::Done);
        state.slices[device].as_ref().is_some_and(done)
    }

    /// A processor has run a chunk.
    pub fn ran(&self, chunk: usize) {
        let mut state = self.lock();
        state.ran += state.sizes[chunk];
        state.seconds = self.start.elapsed().as_secs_f64();
        state.owners[chunk] = Owner::Done;
        self.changed.notify_all();
    }

    /// A device has run its slice, or failed: then others run it.
    pub fn ended(&self, device: usize, well: bool) {
        let mut state = self.lock();
        let Some(slice) = state.slices[device].take() else { return };
        let rate = slice.books as f64 / slice.since.elapsed().as_secs_f64().max(1e-9);
        state.rates[device] = Some(if well { rate } else { 0.0 });
        for chunk in slice.chunks {
            if well {
                state.owners[chunk] = Owner::Done;
            } else if state.owners[chunk] == Owner::Device {
                state.owners[chunk] = Owner::Nobody;
            }
        }
        self.changed.notify_all();
    }
}

impl State {
    /// A chunk of a slice for which its device has had more time than the processors would have needed.
    fn late(&self, devices_first: bool) -> Option<usize> {
        if devices_first || self.ran == 0 {
            return None;
        }
        let rate = self.ran as f64 / self.seconds.max(1e-9);
        let late = self
            .slices
            .iter()
            .flatten()
            .filter(|slice| slice.since.elapsed().as_secs_f64() * rate > slice.books as f64);
        late.flat_map(|slice| &slice.chunks).copied().find(|chunk| self.owners[*chunk] == Owner::Device)
    }

    /// The share of the books that nobody has yet for a device: what it was seen to do of what all are seen to do.
    fn share(&self, device: usize, devices_first: bool) -> f64 {
        let processors = if devices_first { 0.0 } else { self.ran as f64 / self.seconds.max(1e-9) };
        match self.rates[device] {
            Some(own) if own > 0.0 => {
                own / (processors + self.rates.iter().map(|rate| rate.unwrap_or(own)).sum::<f64>())
            }
            Some(_) => 0.0,
            // One equal part for each device that has none yet, and one for the processors.
            None => {
                let devices = self.rates.iter().zip(&self.slices);
                let waiting = devices.filter(|(rate, slice)| rate.is_none() && slice.is_none()).count();
                1.0 / (waiting + usize::from(!devices_first)) as f64
            }
        }
    }
}
