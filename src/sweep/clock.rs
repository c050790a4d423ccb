//! The clock of a sweep, which goes on where an earlier sitting stopped.

use rustix::time::{ClockId, clock_gettime};
use std::time::Instant;

/// Counts the seconds of all sittings.
#[derive(Debug)]
pub struct SweepClock {
    offset: f64,
    start: Instant,
    processor: f64,
}

impl SweepClock {
    /// Starts after so many seconds of earlier sittings.
    pub fn start(offset: f64) -> SweepClock {
        SweepClock { offset, start: Instant::now(), processor: process_seconds() }
    }

    /// Seconds since the sweep began, times between sittings left out.
    pub fn seconds(&self) -> f64 {
        self.offset + self.start.elapsed().as_secs_f64()
    }

    /// Processor time of the whole process in this sitting.
    pub fn cpu_seconds(&self) -> f64 {
        process_seconds() - self.processor
    }
}

fn process_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Processor time of this thread.
pub(super) fn thread_seconds() -> f64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}
