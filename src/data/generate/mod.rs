//! Markets made by a seed: realistic in what makes forecasting hard, and with a predictable part that is exactly known.
//!
//! The log return of asset i over bar t is
//! `r[i,t] = c * s[i,t-1] + e[i,t] - var(e[i,t]) / 2` with `e[i,t] = beta[i] * market[t] + own[i,t]`.
//!
//! - `s[i,t] = -ln(close[i,t] / close[i,t-h])` is the planted signal, short-term reversal over the horizon of `h` bars. `c` is
//!   chosen so that its correlation with the return of the next `h` bars is the asked information coefficient
//!   ([`PlantedSignal`]). No forecast from these bars can do better than this signal does.
//! - `market` and `own` are martingale differences: Student t with 6 degrees of freedom times a GARCH(1,1) volatility times
//!   that of a hidden regime (calm, normal, stressed), a Markov chain. Their size is forecastable, their sign is not.
//! - `- var / 2` makes the price itself a martingale. Without it a plain holder would earn half a variance a bar.
//!   For the same reason regimes differ in volatility and have no drift, bull or bear: a drift that lasts is a return that
//!   can be forecast, and a market of noise must not let anything be proven. With an information coefficient of 0 no strategy
//!   has an expected profit before costs.

mod crash_process;
mod depth_book;
mod depth_crashes;
mod injection;
mod market;
mod metadata;
mod planted;
mod price_walk;
mod sentinel;
mod shocks;
mod sine_ticks;

pub use depth_crashes::{DepthCrashesGenerator, DepthProcess};
pub use injection::CrashInjection;
pub use metadata::{GeneratedMetadata, PlantedCrash, PlantedFalseStart};
pub use planted::PlantedSignal;
pub use sine_ticks::{NoiseFloor, SineTicksGenerator};

use super::{BarDuration, DataError, write_bars};
use crate::table::{BarError, Bars};
use crate::units::Time;
use crate::units::counted;
use metadata::{span_fits, write_metadata};
use std::path::Path;

/// Settings of a market.
#[derive(Clone, Debug, PartialEq)]
pub struct MarketGenerator {
    /// Number of assets, at least 1.
    pub symbols: usize,
    /// Bars of the first asset.
    pub bars: usize,
    /// Length of a bar.
    pub interval: BarDuration,
    /// From which every random number is drawn.
    pub seed: u64,
    /// Correlation of the planted signal with the return over the next `horizon_bars`; negative plants momentum, 0 nothing.
    pub information_coefficient: f64,
    /// Window of the signal and horizon of the return, in bars.
    pub horizon_bars: usize,
    /// Start of the first bar.
    pub start: Time,
    /// Share of bars that are missing, in runs of 3 on average; from 0 to 0.5.
    pub gaps: f64,
    /// Each asset is listed so many bars after the one before it.
    pub listing_delay_bars: usize,
}

const GREEK: [&str; 24] = [
    "ALPHA", "BETA", "GAMMA", "DELTA", "EPSILON", "ZETA", "ETA", "THETA", "IOTA", "KAPPA", "LAMBDA", "MU",
    "NU", "XI", "OMICRON", "PI", "RHO", "SIGMA", "TAU", "UPSILON", "PHI", "CHI", "PSI", "OMEGA",
];

impl MarketGenerator {
    /// The bars.
    ///
    /// # Errors
    /// A setting out of its range.
    pub fn generate(&self) -> Result<Bars, DataError> {
        self.check()?;
        let planted = PlantedSignal::solve(self.information_coefficient, self.horizon_bars)?;
        let fail = |error: BarError| DataError::setting("generate", error.to_string(), "please report it");
        let mut assets = market::simulate(self, planted.coefficient()).map_err(fail)?;
        // The order in which they are loaded.
        assets.sort_by(|left, right| left.symbol().cmp(right.symbol()));
        Bars::new(assets).map_err(fail)
    }

    /// Writes the bars to `output` and what made them to the same name with the ending `.metadata.json`. `command` is what
    /// the user has to type to get them again.
    ///
    /// # Errors
    /// A setting out of its range, or a file that cannot be written.
    pub fn write(&self, output: &Path, command: &str) -> Result<GeneratedMetadata, DataError> {
        let bars = self.generate()?;
        write_bars(&bars, output)?;
        let metadata = self.metadata(&bars, command)?;
        write_metadata(&metadata, output)?;
        Ok(metadata)
    }

    fn metadata(&self, bars: &Bars, command: &str) -> Result<GeneratedMetadata, DataError> {
        let horizon = self.horizon_bars;
        let coefficient = PlantedSignal::solve(self.information_coefficient, horizon)?.coefficient();
        let planted = match self.information_coefficient == 0.0 {
            true => "nothing: the price is a martingale".to_owned(),
            false => format!(
                "the signal -ln(close[t] / close[t-{horizon}]) has the correlation {} with ln(close[t+{horizon}] / close[t])",
                self.information_coefficient
            ),
        };
        Ok(GeneratedMetadata {
            information_coefficient: Some(self.information_coefficient),
            coefficient: Some(coefficient),
            ..GeneratedMetadata::of(bars, self.seed, &planted, command)
        })
    }

    fn check(&self) -> Result<(), DataError> {
        let fail =
            |setting: &str, found: String, remedy: &str| Err(DataError::setting(setting, found, remedy));
        if self.symbols == 0 || self.symbols > 1000 {
            return fail("symbols", format!("{} symbols", self.symbols), "choose 1 to 1000");
        }
        if !(0.0..=0.5).contains(&self.gaps) {
            return fail("gaps", format!("{} of the bars", self.gaps), "choose a share from 0 to 0.5");
        }
        let listed_last = self.listing_delay_bars.saturating_mul(self.symbols - 1);
        if self.bars.saturating_sub(listed_last) < self.horizon_bars.saturating_add(2) {
            let found =
                format!("{}, of which the last symbol misses {listed_last}", counted(self.bars, "bar"));
            return fail("bars", found, "ask for more bars or a shorter listing delay");
        }
        span_fits("bars", self.bars, self.interval, self.start)
    }
}

/// The name of an asset: Greek letters, then numbers.
fn name(index: usize) -> String {
    GREEK.get(index).map_or_else(|| format!("ASSET{}", index + 1), |name| (*name).to_owned())
}
