//! Minutes of an order book's depth with crashes whose places are known.

use super::crash_process::{Course, CrashProcess, Kind, MINUTES};
use super::depth_book::{Book, rounded};
use super::metadata::{GeneratedMetadata, PlantedCrash, PlantedFalseStart, span_fits, write_metadata};
use super::{price_walk, sentinel};
use crate::data::depth::{DepthTable, depth_columns};
use crate::data::{BarDuration, DataConfig, DataError, load};
use crate::seed::Seed;
use crate::units::{Time, counted};
use std::path::Path;
use std::sync::Arc;

/// The symbol of the rows.
const SYMBOL: &str = "ETHUSDC";

/// Minutes of a day.
const DAY: f64 = 1440.0;

/// Which process makes the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum DepthProcess {
    /// Many crashes of varied length, depth and warning, and false starts; nothing else gives a crash away.
    Varied,
    /// For comparison: the generator of Aegis Protocol's ml-sentinel, healthy rows, then one crash in the last 100.
    Sentinel,
}

/// Settings of the depth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DepthCrashesGenerator {
    /// The process.
    pub process: DepthProcess,
    /// Number of rows, one a minute.
    pub rows: usize,
    /// Mean number of crashes a day of [`DepthProcess::Varied`], [`Self::CRASHES_PER_DAY`] if left out;
    /// [`DepthProcess::Sentinel`] refuses it.
    pub crashes_per_day: Option<f64>,
    /// From which every random number is drawn.
    pub seed: u64,
    /// Time of the first row.
    pub start: Time,
}

/// Columns and the truth about them.
pub(super) struct Made {
    pub(super) prices: Vec<f64>,
    pub(super) book: Book,
    pub(super) crashes: Vec<PlantedCrash>,
    pub(super) false_starts: Vec<PlantedFalseStart>,
    pub(super) planted: String,
}

impl DepthCrashesGenerator {
    /// Mean number of crashes a day where nothing is said.
    pub const CRASHES_PER_DAY: f64 = 2.0;

    /// Writes `timestamp, symbol, mid_price, buy_volume, sell_volume, blr` to `output`, a row a minute, and what made them
    /// beside it, with every crash and false start. Volumes are units within 2 % of the mid price. `command` is what the
    /// user has to type to get them again.
    ///
    /// # Errors
    /// A setting out of its range, or a file that cannot be written.
    pub fn write(&self, output: &Path, command: &str) -> Result<GeneratedMetadata, DataError> {
        if self.rows < sentinel::CRASH_ROWS * 2 {
            let found = counted(self.rows, "row");
            let remedy = format!("ask for at least {}", sentinel::CRASH_ROWS * 2);
            return Err(DataError::setting("rows", found, remedy));
        }
        span_fits("rows", self.rows, BarDuration::MINUTE, self.start)?;
        let time = |row: usize| Time(self.start.0 + row as i64 * BarDuration::MINUTE.nanoseconds());
        let times: Vec<Time> = (0..self.rows).map(time).collect();
        let made = match (self.process, self.crashes_per_day) {
            (DepthProcess::Varied, rate) => self.varied(rate.unwrap_or(Self::CRASHES_PER_DAY), &times)?,
            (DepthProcess::Sentinel, None) => sentinel::made(self.seed, SYMBOL, &times),
            (DepthProcess::Sentinel, Some(rate)) => {
                let found = format!("{rate}, but the process `sentinel` has one crash in all");
                let remedy = "leave --crashes-per-day out, or choose --process varied";
                return Err(DataError::setting("crashes-per-day", found, remedy));
            }
        };
        let table = DepthTable {
            symbol: vec![Arc::from(SYMBOL); self.rows],
            time: times,
            mid_price: made.prices,
            buy_volume: made.book.buy,
            sell_volume: made.book.sell,
            blr: made.book.blr,
        };
        table.write(output)?;
        let columns = depth_columns();
        let config = DataConfig { columns: columns.clone(), ..DataConfig::of(output.to_string_lossy()) };
        let metadata = GeneratedMetadata {
            columns: Some(columns),
            crashes: made.crashes,
            false_starts: made.false_starts,
            ..GeneratedMetadata::of(&load(&config)?.bars, self.seed, &made.planted, command)
        };
        write_metadata(&metadata, output)?;
        Ok(metadata)
    }

    fn varied(&self, crashes_per_day: f64, times: &[Time]) -> Result<Made, DataError> {
        let seed = Seed(self.seed);
        let process = CrashProcess::new(MINUTES, crashes_per_day / DAY, seed).map_err(|most| {
            let remedy = format!("choose a number above 0 and up to {:.1}", most * DAY);
            DataError::setting("crashes-per-day", crashes_per_day.to_string(), remedy)
        })?;
        let course = process.course(self.rows);
        let (crashes, false_starts) = truth(&course, SYMBOL, times);
        let warned = crashes.iter().filter(|crash| crash.warned).count();
        let planted = format!(
            "crashes: {warned} with and {} without a warning in the book; stress that came to nothing: {}; between falls \
             the price walks at random with a drift that pays for them on average",
            crashes.len() - warned,
            false_starts.len(),
        );
        Ok(Made {
            prices: price_walk::prices(&course, -process.mean_change(), seed),
            book: Book::of(&course.stress, seed),
            crashes,
            false_starts,
            planted,
        })
    }
}

/// What is planted in the rows of these times. An episode that the end of the data cuts off is left out.
pub(super) fn truth(
    course: &Course,
    symbol: &str,
    times: &[Time],
) -> (Vec<PlantedCrash>, Vec<PlantedFalseStart>) {
    let (mut crashes, mut false_starts) = (Vec::new(), Vec::new());
    let text = |row: usize| times[row].to_string();
    for episode in &course.episodes {
        let last = (episode.start + episode.fall_bars).saturating_sub(1).max(episode.start);
        if last >= times.len() {
            continue;
        }
        if episode.kind == Kind::FalseStart {
            let (start, peak) = (text(episode.warning), text(episode.start));
            false_starts.push(PlantedFalseStart { symbol: symbol.into(), start, peak });
            continue;
        }
        let warned = episode.kind == Kind::Warned;
        crashes.push(PlantedCrash {
            symbol: symbol.into(),
            warned,
            warning: warned.then(|| text(episode.warning)),
            lead_bars: episode.start - episode.warning,
            start: text(episode.start),
            bottom: text(last),
            fall_bars: episode.fall_bars,
            depth_percent: rounded(100.0 * (1.0 - (-episode.fall).exp()), 3),
            recovered_percent: rounded(100.0 * episode.recovered, 3),
        });
    }
    (crashes, false_starts)
}
