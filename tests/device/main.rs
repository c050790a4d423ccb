//! The device's test program: every kernel against its twin on the CPU, over tables of cases, and what is built of them.
//!
//! Where there is no CUDA device, the kernels' own sources run on the host behind the interface of the CUDA driver (see
//! `emulator.rs`). With `CANDLEWICK_DEVICE=real` the same tests run on the real device.

#![allow(clippy::unwrap_used, reason = "a test that fails to prepare has failed")]
#![allow(clippy::print_stdout, reason = "a skipped test says so")]
#![allow(unsafe_code, reason = "the emulated device is a library that is loaded by hand")]

mod adam;
mod attention;
mod backtest;
mod board;
mod cli;
mod emulator;
mod features;
mod gather;
mod grid;
mod linear;
mod loss;
mod lstm;
mod lstm_layer;
mod norm;
#[allow(dead_code, reason = "the other test program uses the rest")]
#[path = "../planted.rs"]
mod planted;
#[allow(dead_code, reason = "the other test program uses the rest")]
#[path = "../program.rs"]
mod program;
mod races;
mod rows;
mod training;
