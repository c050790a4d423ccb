//! How much time work took, and how long the process has lived.

use rustix::time::{ClockId, clock_gettime};
use std::time::Instant;

/// Wall and CPU seconds of the calling thread.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant, f64);

impl Clock {
    /// Begins to measure; must be asked on the thread that began.
    pub(crate) fn start() -> Self {
        Clock(Instant::now(), seconds(ClockId::ThreadCPUTime))
    }

    /// Wall seconds and seconds of this thread on a core since the start.
    pub(crate) fn elapsed(&self) -> (f64, f64) {
        (self.0.elapsed().as_secs_f64(), seconds(ClockId::ThreadCPUTime) - self.1)
    }
}

fn seconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 * 1e-9
}

/// Seconds since the system started this process, up to 10 ms too many; none where the system does not tell.
pub(crate) fn process_age() -> Option<f64> {
    /// Field 22 of the file, of which two stand before the end of the process's name, which may hold spaces.
    const START_AFTER_NAME: usize = 19;
    /// Of a second; the kernel shows this clock to programs in hundredths on every architecture.
    const TICKS: f64 = 100.0;
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    let (_, after_name) = text.rsplit_once(')')?;
    let start: f64 = after_name.split_whitespace().nth(START_AFTER_NAME)?.parse().ok()?;
    Some(seconds(ClockId::Boottime) - start / TICKS)
}
