//! Time as a stream sees it: how fast ticks come, and how long each may take.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// A clock that can be waited on. Tests bring one that needs no time.
pub trait Clock {
    /// Time since the clock was made.
    fn now(&self) -> Duration;

    /// Returns when that time has come, or somewhat earlier where somebody wants to stop.
    fn wait_until(&self, moment: Duration);
}

/// The clock on the wall.
#[derive(Debug)]
pub struct WallClock {
    start: Instant,
    stop: Arc<AtomicBool>,
}

/// How long a wish to stop may go unnoticed.
const NAP: Duration = Duration::from_millis(50);

impl WallClock {
    /// A clock that starts now and ends a wait when `stop` is set.
    pub fn start(stop: Arc<AtomicBool>) -> WallClock {
        WallClock { start: Instant::now(), stop }
    }
}

impl Clock for WallClock {
    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn wait_until(&self, moment: Duration) {
        while let Some(rest) = moment.checked_sub(self.now()).filter(|rest| !rest.is_zero()) {
            if self.stop.load(Ordering::Relaxed) {
                return;
            }
            std::thread::sleep(rest.min(NAP));
        }
    }
}

/// How many times faster than in reality ticks come.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// A finite number of times, above 0.
    Times(f64),
    /// Each tick as soon as the one before is done.
    Max,
}

impl Speed {
    /// Time between two ticks that lie `nanoseconds` apart.
    pub fn pause(self, nanoseconds: i64) -> Duration {
        match self {
            // A pause of more than a century saturates.
            Speed::Times(times) => {
                Duration::try_from_secs_f64(nanoseconds as f64 * 1e-9 / times).unwrap_or(Duration::MAX)
            }
            Speed::Max => Duration::ZERO,
        }
    }
}

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Speed, String> {
        if text == "max" {
            return Ok(Speed::Max);
        }
        let times = text.strip_suffix('x').unwrap_or(text).parse::<f64>().ok();
        let usable = times.filter(|times| times.is_finite() && *times > 0.0);
        usable.map(Speed::Times).ok_or_else(|| format!("`{text}` is no speed; write 1x, 1000x or max"))
    }
}

impl fmt::Display for Speed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Speed::Times(times) => write!(f, "{times}x"),
            Speed::Max => f.write_str("max"),
        }
    }
}

/// The distribution of the time that ticks take, in the same memory for any number of them: counts in buckets whose bounds
/// lie 2 % apart.
#[derive(Clone, Debug)]
pub struct Latencies {
    counts: Vec<u64>,
    total: u64,
}

/// Buckets that double their bound.
const OCTAVE: f64 = 35.0;

/// From a nanosecond to half an hour.
const BUCKETS: usize = 41 * OCTAVE as usize;

impl Default for Latencies {
    fn default() -> Self {
        Latencies { counts: vec![0; BUCKETS], total: 0 }
    }
}

impl Latencies {
    /// Counts a time.
    pub fn add(&mut self, time: Duration) {
        let bucket = ((time.as_nanos() as f64).max(1.0).log2() * OCTAVE) as usize;
        self.counts[bucket.min(BUCKETS - 1)] += 1;
        self.total += 1;
    }

    /// The time in microseconds that this share of the ticks did not exceed, to 2 %; none where there was no tick.
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let wanted = (share * self.total as f64).ceil().max(1.0) as u64;
        let mut seen = 0;
        let bucket = self.counts.iter().position(|count| {
            seen += count;
            seen >= wanted
        })?;
        Some(((bucket as f64 + 0.5) / OCTAVE).exp2() * 1e-3)
    }
}
