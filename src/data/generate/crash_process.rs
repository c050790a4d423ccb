//! When crashes come, how far prices fall, and how much stress the book shows: pure arithmetic on numbers of bars.
//!
//! Time is a sequence of episodes, each drawn from its own stream of random numbers, so no episode depends on how long the
//! data are or on what prices do. A pause of random length comes first. Then the stress rises, slowly and with a random
//! shape, for a random lead; after that either the price falls (a crash with a warning) or nothing happens (a false
//! start), and the stress fades. Some crashes come without a warning: their stress rises with the fall itself. A fall
//! begins and ends gently, so that no single bar betrays its start, and some falls are partly recovered.

use crate::metrics::normal_quantile;
use crate::seed::{Seed, Stream};
use std::f64::consts::PI;

/// Of all crashes, those that the book announces.
const WARNED_SHARE: f64 = 0.8;

/// False starts for each crash.
const FALSE_STARTS: f64 = 0.7;

/// Of all falls, those that are partly recovered; and the recovered part of the fall's logarithm, from and to.
const RECOVERED_SHARE: f64 = 0.4;
const RECOVERED_PART: [f64; 2] = [0.2, 0.8];

/// Length of a recovery in lengths of the fall, from and to.
const RECOVERY_LENGTHS: [f64; 2] = [1.0, 3.0];

/// Peak of the stress before a crash, of a false start, and at the bottom of a fall; each from and to.
const CRASH_PEAK: [f64; 2] = [0.4, 0.9];
const FALSE_PEAK: [f64; 2] = [0.25, 0.8];
const BOTTOM_PEAK: [f64; 2] = [0.6, 1.0];

/// The power with which stress rises over the lead, from and to: early and slow, or late and sudden.
const RISE_POWER: [f64; 2] = [0.7, 2.5];

/// Mean time in which stress fades to 1/e, as a share of the mean lead, from and to.
const FADE: [f64; 2] = [0.2, 1.0];

/// Stress below this is none.
const NO_STRESS: f64 = 1e-4;

/// Lengths in bars and depths of the episodes of one kind of data.
#[derive(Clone, Copy, Debug)]
pub(super) struct CrashShape {
    /// Bars without any episode after each, at least.
    pub(super) rest: usize,
    /// Lead of the stress: shortest and longest; short ones are more frequent (the square of a uniform number).
    pub(super) lead: [usize; 2],
    /// Length of a fall: shortest and longest, uniform in the logarithm.
    pub(super) fall: [usize; 2],
    /// Median share of the price that is lost, spread of its logarithm (normal), smallest and largest share.
    pub(super) depth: f64,
    pub(super) spread: f64,
    pub(super) depths: [f64; 2],
}

/// Crashes of minutes: they take 12 to 45 bars.
pub(super) const MINUTES: CrashShape =
    CrashShape { rest: 60, lead: [10, 75], fall: [12, 45], depth: 0.095, spread: 0.3, depths: [0.06, 0.25] };

/// Crashes that are put into bars of hours or days, whose own moves are larger: 10 to 36 bars, deeper.
pub(super) const BARS: CrashShape =
    CrashShape { rest: 48, lead: [6, 48], fall: [10, 36], depth: 0.22, spread: 0.35, depths: [0.12, 0.5] };

/// What becomes of a stress.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// The price falls after a warning.
    Warned,
    /// The price falls without any.
    Unwarned,
    /// The stress passes.
    FalseStart,
}

/// One stress of the book and what came of it, in rows.
#[derive(Clone, Debug)]
pub(super) struct Episode {
    pub(super) kind: Kind,
    /// First row of stress.
    pub(super) warning: usize,
    /// First row of the fall; of a false start, the row from which the stress fades.
    pub(super) start: usize,
    /// Rows of the fall, 0 of a false start.
    pub(super) fall_bars: usize,
    /// Logarithm of the price's fall, positive.
    pub(super) fall: f64,
    /// Part of `fall` that comes back.
    pub(super) recovered: f64,
    recovery_bars: usize,
    /// Stress at `start`, at the bottom, the power of its rise, and the rows in which it fades to 1/e.
    peak: f64,
    bottom_peak: f64,
    power: f64,
    fade: f64,
}

/// The process with its rate and its seed.
#[derive(Clone, Debug)]
pub(super) struct CrashProcess {
    shape: CrashShape,
    seed: Seed,
    /// Mean length of the pause beyond `shape.rest`.
    pause: f64,
    crashes_per_bar: f64,
}

/// What the process does to each bar.
#[derive(Clone, Debug)]
pub(super) struct Course {
    /// Episodes that begin in the data, in order of time.
    pub(super) episodes: Vec<Episode>,
    /// Logarithm of the factor on the price at the close of each bar.
    pub(super) log_factor: Vec<f64>,
    /// Stress of the book at the close of each bar: 0 none, about 1 the worst.
    pub(super) stress: Vec<f64>,
}

impl CrashProcess {
    /// Episodes of this shape with so many crashes a bar on average; an error names the highest rate there can be.
    pub(super) fn new(shape: CrashShape, crashes_per_bar: f64, seed: Seed) -> Result<CrashProcess, f64> {
        let crash_share = 1.0 / (1.0 + FALSE_STARTS);
        let mean = |[low, high]: [f64; 2]| 0.5 * (low + high);
        let [shortest, longest] = shape.lead.map(|bars| bars as f64);
        let lead = shortest + (longest - shortest) / 3.0;
        let [shortest, longest] = shape.fall.map(|bars| bars as f64);
        let fall = (longest - shortest) / (longest / shortest).ln();
        let leads = (1.0 - crash_share * (1.0 - WARNED_SHARE)) * lead;
        let falls = crash_share * fall * (1.0 + RECOVERED_SHARE * mean(RECOVERY_LENGTHS));
        let busy = shape.rest as f64 + leads + falls;
        let pause = crash_share / crashes_per_bar - busy;
        // Pauses must leave time in which nothing happens.
        if crashes_per_bar.is_finite() && crashes_per_bar > 0.0 && pause >= busy {
            return Ok(CrashProcess { shape, seed, pause, crashes_per_bar });
        }
        Err(crash_share / (2.0 * busy))
    }

    /// Mean change of the logarithm of the price a bar by all falls and recoveries; negative.
    pub(super) fn mean_change(&self) -> f64 {
        const POINTS: usize = 1000;
        let quantile = |point: usize| (point as f64 + 0.5) / POINTS as f64;
        let falls = (0..POINTS).map(|point| self.shape.log_fall(normal_quantile(quantile(point))));
        let lost = 1.0 - RECOVERED_SHARE * 0.5 * (RECOVERED_PART[0] + RECOVERED_PART[1]);
        -self.crashes_per_bar * lost * falls.sum::<f64>() / POINTS as f64
    }

    /// The first `bars` bars.
    pub(super) fn course(&self, bars: usize) -> Course {
        let mut course =
            Course { episodes: Vec::new(), log_factor: vec![0.0; bars], stress: vec![0.0; bars] };
        let mut free = 0;
        for number in 0.. {
            let mut stream = self.seed.stream("crash episode", number);
            let episode = self.episode(free, &mut stream);
            if episode.warning >= bars {
                break;
            }
            let [fall, recovery] =
                [episode.fall_bars, episode.recovery_bars].map(|bars| bell(bars, &mut stream));
            let bottom = episode.start + episode.fall_bars;
            change(&mut course.log_factor, episode.start, &fall, -episode.fall);
            change(&mut course.log_factor, bottom, &recovery, episode.recovered * episode.fall);
            episode.stress(&fall, &mut course.stress);
            free = bottom + episode.recovery_bars;
            course.episodes.push(episode);
        }
        // So far each bar holds its own change.
        let mut sum = 0.0;
        for factor in &mut course.log_factor {
            sum += *factor;
            *factor = sum;
        }
        course
    }

    /// The next episode when bars from `free` on are not taken.
    fn episode(&self, free: usize, stream: &mut Stream) -> Episode {
        let shape = self.shape;
        let pause = -self.pause * (1.0 - stream.uniform()).ln();
        let warning = free + shape.rest + pause.round() as usize;
        let crash = stream.uniform() < 1.0 / (1.0 + FALSE_STARTS);
        let kind = match (crash, stream.uniform() < WARNED_SHARE) {
            (true, true) => Kind::Warned,
            (true, false) => Kind::Unwarned,
            (false, _) => Kind::FalseStart,
        };
        let [shortest, longest] = shape.lead.map(|bars| bars as f64);
        let lead = shortest + (longest - shortest) * stream.uniform().powi(2);
        let lead = if kind == Kind::Unwarned { 0 } else { lead.round() as usize };
        let [shortest, longest] = shape.fall.map(|bars| bars as f64);
        let fall_bars = shortest * (longest / shortest).powf(stream.uniform());
        let fall = shape.log_fall(stream.normal());
        let recovers = stream.uniform() < RECOVERED_SHARE;
        let recovered = between(RECOVERED_PART, stream);
        let recovery_bars = fall_bars * between(RECOVERY_LENGTHS, stream);
        let peak = between(if crash { CRASH_PEAK } else { FALSE_PEAK }, stream);
        let bottom_peak = between(BOTTOM_PEAK, stream).max(peak);
        let power = between(RISE_POWER, stream);
        let mean_lead = shape.lead[0] as f64 + (shape.lead[1] - shape.lead[0]) as f64 / 3.0;
        let fade = mean_lead * between(FADE, stream);
        Episode {
            kind,
            warning,
            start: warning + lead,
            fall_bars: if crash { fall_bars.round() as usize } else { 0 },
            fall: if crash { fall } else { 0.0 },
            recovered: if crash && recovers { recovered } else { 0.0 },
            recovery_bars: if crash && recovers { recovery_bars.round() as usize } else { 0 },
            peak: if kind == Kind::Unwarned { 0.0 } else { peak },
            bottom_peak: if crash { bottom_peak } else { peak },
            power,
            fade,
        }
    }
}

impl CrashShape {
    /// The logarithm of a fall whose depth is this many deviations from the median.
    fn log_fall(&self, deviations: f64) -> f64 {
        let depth = self.depth * (self.spread * deviations).exp();
        -(1.0 - depth.clamp(self.depths[0], self.depths[1])).ln()
    }
}

impl Episode {
    /// Adds the stress of this episode; `fall` is the share of the fall in each of its bars. Where the stress of the
    /// episode before has not faded yet, the larger one counts.
    fn stress(&self, fall: &[f64], stress: &mut [f64]) {
        let mut add = |row: usize, value: f64| {
            if let Some(stress) = stress.get_mut(row) {
                *stress = stress.max(value);
            }
        };
        let lead = self.start - self.warning;
        for step in 0..lead {
            let part = (step + 1) as f64 / lead as f64;
            add(self.warning + step, self.peak * part.powf(self.power));
        }
        let mut fallen = 0.0;
        for (step, share) in fall.iter().enumerate() {
            fallen += share;
            add(self.start + step, self.peak + (self.bottom_peak - self.peak) * fallen);
        }
        let bottom = self.start + fall.len();
        for step in 0.. {
            let value = self.bottom_peak * (-((step + 1) as f64) / self.fade).exp();
            if value < NO_STRESS {
                break;
            }
            add(bottom + step, value);
        }
    }
}

fn between([low, high]: [f64; 2], stream: &mut Stream) -> f64 {
    low + (high - low) * stream.uniform()
}

/// Shares of a move over its bars, together 1: a squared sine, which begins and ends gently, times noise.
fn bell(bars: usize, stream: &mut Stream) -> Vec<f64> {
    let weight = |step: usize| (PI * (step as f64 + 0.5) / bars as f64).sin().powi(2);
    let weights: Vec<f64> = (0..bars).map(|step| weight(step) * (0.5 * stream.normal()).exp()).collect();
    let sum: f64 = weights.iter().sum();
    weights.into_iter().map(|weight| weight / sum).collect()
}

fn change(changes: &mut [f64], start: usize, shares: &[f64], total: f64) {
    for (step, share) in shares.iter().enumerate() {
        if let Some(change) = changes.get_mut(start + step) {
            *change += total * share;
        }
    }
}
