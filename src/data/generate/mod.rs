//! Data made by a seed, of which the truth is known: what can be forecast is planted, and what made a file is written beside it.
//!
//! | generator | what it makes | what is known |
//! |---|---|---|
//! | [`MarketGenerator`] | bars of several assets | the information coefficient of the planted signal |
//! | [`SineTicksGenerator`] | a noisy sine wave in whole numbers | the error of the best possible forecast |
//! | [`DepthCrashesGenerator`] | minutes of an order book's depth | every crash, with and without a warning, every false start |
//! | [`CrashInjection`] | real bars with crashes put into them | the same |
//!
//! The same settings give the same file: random numbers come from named streams of one seed.

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
pub use market::MarketGenerator;
pub use metadata::{GeneratedMetadata, PlantedCrash, PlantedFalseStart};
pub use planted::PlantedSignal;
pub use sine_ticks::SineTicksGenerator;
