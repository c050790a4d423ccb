//! The one test program: every suite is a module, so that the engine is linked once.

mod backtest;
mod causality;
mod cli;
mod config;
mod gradients;
mod house;
mod indicators;
mod labels;
mod markets;
mod metrics;
mod models;
mod program;
mod real_data;
mod report;
mod resume;
mod significance;
mod strategies;
mod planted;
mod training;
mod verdict;
#![allow(clippy::unwrap_used, reason = "a test that fails to prepare has failed")]

mod bad_input;
mod data;
mod datasets;
mod generate;
mod split;
