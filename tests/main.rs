//! The one test program: every suite is a module, so that the engine is linked once.

mod backtest;
mod markets;
mod metrics;
mod significance;
mod strategies;
