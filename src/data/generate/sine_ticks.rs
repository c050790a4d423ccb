//! A series of which the best possible forecast is known: a sine wave with normal noise, rounded to whole numbers.
//!
//! `value[k] = clip(round(8 sin(2 pi k / 10) + e[k]), -10, 10)` with independent `e[k]` of mean 0 and standard deviation 1.5.
//! Nothing in the past says more about a tick than its phase `k mod 10`, so the distribution of the value given the phase
//! bounds what any model can reach: see [`NoiseFloor`].

use super::metadata::{GeneratedMetadata, span_fits, write_metadata};
use crate::data::{BarDuration, ColumnsConfig, DataConfig, DataError, load};
use crate::metrics::{NoiseFloor, normal_cumulative};
use crate::rundir::{Column, TableFile};
use crate::seed::Seed;
use crate::units::Time;
use std::f64::consts::TAU;
use std::path::Path;

/// Height of the wave.
const AMPLITUDE: f64 = 8.0;

/// Ticks of one wave.
const PERIOD: usize = 10;

/// Standard deviation of the noise.
const DEVIATION: f64 = 1.5;

/// Values lie from minus to plus this.
const BOUND: i32 = 10;

/// Name of the column of values, and of the symbol that it becomes.
const SERIES: &str = "price";

/// Settings of the ticks.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SineTicksGenerator {
    /// Number of ticks, one a second.
    pub ticks: usize,
    /// From which the noise is drawn.
    pub seed: u64,
    /// Time of the first tick, whose phase is 0.
    pub start: Time,
}

impl SineTicksGenerator {
    /// The bounds of the process, from the exact distribution of the clipped and rounded value in each phase: a whole
    /// number `v` has the probability that normal noise lands between `v - 0.5` and `v + 0.5`, and the two ends have all
    /// that lies beyond them. The conditional mean has the lowest squared error, the median the lowest absolute one, the most
    /// probable value the highest accuracy. Averages run over the phases.
    pub fn noise_floor() -> NoiseFloor {
        let [mut mse, mut mae, mut accuracy] = [0.0; 3];
        for phase in 0..PERIOD {
            let chances = chances(level(phase));
            let moment = |power: fn(f64) -> f64| -> f64 {
                chances.iter().map(|(value, chance)| chance * power(*value)).sum()
            };
            let mean = moment(|value| value);
            let mut below = 0.0;
            let median = chances.iter().find(|(_, chance)| {
                below += chance;
                below >= 0.5
            });
            let median = median.map_or(mean, |(value, _)| *value);
            mse += moment(|value| value * value) - mean * mean;
            mae += chances.iter().map(|(value, chance)| chance * (value - median).abs()).sum::<f64>();
            accuracy += chances.iter().map(|(_, chance)| *chance).fold(0.0, f64::max);
        }
        let mean = |sum: f64| Some(sum / PERIOD as f64);
        NoiseFloor { mse: mean(mse), mae: mean(mae), accuracy: mean(accuracy) }
    }

    /// The values, a tick each: whole numbers from -10 to 10.
    pub fn values(&self) -> Vec<f64> {
        let mut noise = Seed(self.seed).stream("sine ticks", 0);
        let bound = f64::from(BOUND);
        (0..self.ticks)
            .map(|tick| (level(tick % PERIOD) + DEVIATION * noise.normal()).round().clamp(-bound, bound))
            .collect()
    }

    /// Writes `timestamp` and `price` to `output`, one tick a second, and what made them beside it. `command` is what the
    /// user has to type to get them again.
    ///
    /// # Errors
    /// No tick at all, or a file that cannot be written.
    pub fn write(&self, output: &Path, command: &str) -> Result<GeneratedMetadata, DataError> {
        if self.ticks < 2 {
            let found = crate::units::counted(self.ticks, "tick");
            return Err(DataError::setting("ticks", found, "ask for at least 2"));
        }
        span_fits("ticks", self.ticks, BarDuration::SECOND, self.start)?;
        let time = |tick: usize| Time(self.start.0 + tick as i64 * BarDuration::SECOND.nanoseconds());
        TableFile::default()
            .with("timestamp", Column::Time((0..self.ticks).map(time).collect()))
            .with(SERIES, Column::Float(self.values()))
            .write(output)?;
        let columns = ColumnsConfig { series: vec![SERIES.into()], ..ColumnsConfig::default() };
        let loaded =
            load(&DataConfig { columns: columns.clone(), ..DataConfig::of(output.to_string_lossy()) })?;
        let planted = "value = clip(round(8 sin(2 pi k / 10) + N(0, 1.5^2)), -10, 10): only the phase k mod 10 says \
                       anything about a value";
        let metadata = GeneratedMetadata {
            columns: Some(columns),
            noise_floor: Some(SineTicksGenerator::noise_floor()),
            ..GeneratedMetadata::of(&loaded.bars, self.seed, planted, command)
        };
        write_metadata(&metadata, output)?;
        Ok(metadata)
    }
}

/// The wave in a phase. By the phase, not by the tick: the sine of a large angle would drift.
fn level(phase: usize) -> f64 {
    AMPLITUDE * (TAU * phase as f64 / PERIOD as f64).sin()
}

/// Each value that a tick can have with its probability, where the wave stands at `level`.
fn chances(level: f64) -> Vec<(f64, f64)> {
    let up_to = |limit: f64| normal_cumulative((limit - level) / DEVIATION);
    (-BOUND..=BOUND)
        .map(|value| {
            let low = if value == -BOUND { 0.0 } else { up_to(f64::from(value) - 0.5) };
            let high = if value == BOUND { 1.0 } else { up_to(f64::from(value) + 0.5) };
            (f64::from(value), high - low)
        })
        .collect()
}
