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

use super::metadata::{GeneratedMetadata, span_fits, write_metadata};
use super::planted::PlantedSignal;
use super::shocks::{Shock, garch};
use crate::data::{BarDuration, DataError, write_bars};
use crate::seed::{Seed, Stream};
use crate::table::{BarColumns, BarError, Bars, SymbolBars};
use crate::units::{Time, YEAR_NANOSECONDS, counted};
use std::path::Path;

/// Volatility of the common part of returns, a year.
const MARKET_VOLATILITY: f64 = 0.45;

/// Hidden regimes: factor of volatility, mean length in bars. Calm, normal, stressed.
const REGIMES: [(f64, f64); 3] = [(0.6, 600.0), (1.0, 400.0), (1.8, 150.0)];

/// Points of the price path within a bar, the last being the close.
const PATH_POINTS: usize = 12;

/// Share of a bar's time that passes before its first trade.
const FIRST_TRADE: f64 = 0.01;

/// Mean number of bars in a gap.
const GAP_LENGTH: f64 = 3.0;

/// Names of the first assets.
const GREEK: [&str; 24] = [
    "ALPHA", "BETA", "GAMMA", "DELTA", "EPSILON", "ZETA", "ETA", "THETA", "IOTA", "KAPPA", "LAMBDA", "MU",
    "NU", "XI", "OMICRON", "PI", "RHO", "SIGMA", "TAU", "UPSILON", "PHI", "CHI", "PSI", "OMEGA",
];

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

impl MarketGenerator {
    /// The bars.
    ///
    /// # Errors
    /// A setting out of its range.
    pub fn generate(&self) -> Result<Bars, DataError> {
        self.check()?;
        let planted = PlantedSignal::solve(self.information_coefficient, self.horizon_bars)?;
        let fail = |error: BarError| DataError::setting("generate", error.to_string(), "please report it");
        let mut assets = simulate(self, planted.coefficient()).map_err(fail)?;
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

/// What all assets share in one bar.
#[derive(Clone, Copy)]
struct Common {
    /// Factor of every volatility.
    regime: f64,
    /// The common shock.
    shock: Shock,
}

/// One asset's character.
struct Asset {
    beta: f64,
    own_volatility: f64,
    price: f64,
    /// 10^decimals ticks are one unit of price.
    ticks: f64,
    volume: f64,
}

/// The bars of all assets: common shocks first, then asset by asset, each from its own stream of random numbers.
fn simulate(settings: &MarketGenerator, coefficient: f64) -> Result<Vec<SymbolBars>, BarError> {
    let seed = Seed(settings.seed);
    let common = common(settings, seed);
    (0..settings.symbols)
        .map(|index| {
            let columns = asset_bars(
                settings,
                coefficient,
                seed.child("asset", index as u64),
                &common[index * settings.listing_delay_bars..],
            );
            let columns = shift(columns, settings, index);
            let columns = with_gaps(columns, settings.gaps, &mut seed.stream("gaps", index as u64));
            SymbolBars::new(name(index), columns)
        })
        .collect()
}

fn common(settings: &MarketGenerator, seed: Seed) -> Vec<Common> {
    let mut regimes = seed.stream("regime", 0);
    let mut shocks = seed.stream("market", 0);
    let (mut regime, mut variance) = (1, 1.0);
    (0..settings.bars)
        .map(|_| {
            if regimes.uniform() < 1.0 / REGIMES[regime].1 {
                regime = (regime + 1 + regimes.below(2)) % REGIMES.len();
            }
            Common { regime: REGIMES[regime].0, shock: garch(&mut variance, &mut shocks) }
        })
        .collect()
}

fn character(stream: &mut Stream) -> Asset {
    let beta = 0.7 + 0.6 * stream.uniform();
    let own_volatility = 0.3 + 0.4 * stream.uniform();
    let price = (10.0_f64.powf(1.0 + 2.0 * stream.uniform()) * 100.0).round() / 100.0;
    // Ticks of at most a ten-thousandth of the first price, so that rounding adds no reversal of its own.
    let decimals = 4.0 - price.log10().floor();
    let volume = 4e6 * (1.0 + stream.uniform()) / price;
    Asset { beta, own_volatility, price, ticks: 10.0_f64.powf(decimals), volume }
}

fn asset_bars(settings: &MarketGenerator, coefficient: f64, seed: Seed, common: &[Common]) -> BarColumns {
    let asset = character(&mut seed.stream("character", 0));
    let (mut shocks, mut path) = (seed.stream("own shock", 0), seed.stream("path", 0));
    let mut volumes = seed.stream("volume", 0);
    let bars_a_year = YEAR_NANOSECONDS as f64 / settings.interval.nanoseconds() as f64;
    let market_scale = asset.beta * MARKET_VOLATILITY / bars_a_year.sqrt();
    let own_scale = asset.own_volatility / bars_a_year.sqrt();
    let usual_deviation = market_scale.hypot(own_scale);
    let mut columns = BarColumns::default();
    let (mut variance, mut mood, mut log_price) = (1.0, 0.0, asset.price.ln());
    let mut closes = vec![log_price];
    for step in common {
        let own = garch(&mut variance, &mut shocks);
        let deviation = step.regime * (market_scale * step.shock.deviation).hypot(own_scale * own.deviation);
        let surprise = step.regime * (market_scale * step.shock.value + own_scale * own.value);
        let past = closes[closes.len().saturating_sub(settings.horizon_bars + 1)];
        let total = coefficient * (past - log_price) + surprise - 0.5 * deviation * deviation;
        let round = |log: f64| ((log.exp() * asset.ticks).round() / asset.ticks).max(1.0 / asset.ticks);
        let [open, high, low, close] =
            bar_path(total, deviation, &mut path).map(|part| round(log_price + part));
        columns.open.push(open);
        columns.high.push(high);
        columns.low.push(low);
        columns.close.push(close);
        // Volume follows volatility and the size of the move, and keeps a mood of its own.
        mood = 0.9 * mood + 0.15 * volumes.normal();
        let activity = 0.8 * (deviation / usual_deviation).ln() + 0.25 * (surprise / deviation).abs() + mood;
        columns.volume.push((asset.volume * activity.exp()).round().max(1.0));
        log_price += total;
        closes.push(log_price);
    }
    columns
}

/// Open, high, low and close of a Brownian bridge from 0 to `total`, relative to the last close, in logarithms. The open is a
/// point of the path like any other: it knows nothing about the rest of the bar.
fn bar_path(total: f64, deviation: f64, stream: &mut Stream) -> [f64; 4] {
    let times: [f64; PATH_POINTS] = std::array::from_fn(|point| {
        FIRST_TRADE + (1.0 - FIRST_TRADE) * point as f64 / (PATH_POINTS - 1) as f64
    });
    let mut walk = [0.0; PATH_POINTS];
    let (mut position, mut before) = (0.0, 0.0);
    for (point, time) in times.iter().enumerate() {
        position += (time - before).sqrt() * stream.normal();
        (walk[point], before) = (position, *time);
    }
    let mut bar = [0.0, f64::NEG_INFINITY, f64::INFINITY, total];
    for (point, time) in times.iter().enumerate() {
        let last = point == PATH_POINTS - 1;
        let here = if last { total } else { time * total + deviation * (walk[point] - time * position) };
        if point == 0 {
            bar[0] = here;
        }
        bar[1] = bar[1].max(here);
        bar[2] = bar[2].min(here);
    }
    bar
}

fn shift(mut columns: BarColumns, settings: &MarketGenerator, index: usize) -> BarColumns {
    let first = index * settings.listing_delay_bars;
    let length = settings.interval.nanoseconds();
    columns.time =
        (0..columns.close.len()).map(|row| Time(settings.start.0 + (first + row) as i64 * length)).collect();
    columns
}

/// Takes runs of bars out; the price moves on meanwhile. The first and the last bar stay.
fn with_gaps(columns: BarColumns, share: f64, stream: &mut Stream) -> BarColumns {
    if share == 0.0 {
        return columns;
    }
    let rows = columns.time.len();
    let (mut keep, mut missing) = (vec![true; rows], false);
    // A gap ends with probability 1/length a bar; it begins so often that the share of missing bars comes out.
    let begins = share / (1.0 - share) / GAP_LENGTH;
    for kept in &mut keep[1..rows - 1] {
        let draw = stream.uniform();
        missing = if missing { draw >= 1.0 / GAP_LENGTH } else { draw < begins };
        *kept = !missing;
    }
    let cut = |values: &[f64]| {
        values.iter().zip(&keep).filter(|(_, kept)| **kept).map(|(value, _)| *value).collect()
    };
    BarColumns {
        time: columns.time.iter().zip(&keep).filter(|(_, kept)| **kept).map(|(time, _)| *time).collect(),
        open: cut(&columns.open),
        high: cut(&columns.high),
        low: cut(&columns.low),
        close: cut(&columns.close),
        volume: cut(&columns.volume),
    }
}
