//! The device's test program: every kernel against its twin on the CPU, over tables of cases, and what is built of them.
//!
//! Where there is no CUDA device, the kernels' own sources run on the host behind the interface of the CUDA driver (see
//! `emulator.rs`). With `CANDLEWICK_DEVICE_TESTS=real` the same tests run on the real device.

#![allow(clippy::unwrap_used, reason = "a test that fails to prepare has failed")]
#![allow(clippy::print_stdout, reason = "a skipped test says so")]
#![allow(unsafe_code, reason = "the emulated device is a library that is loaded by hand")]

mod adam;
mod backtest;
mod board;
mod emulator;
mod features;
mod grid;
