//! Device math. Each kernel is a `.rs` with its documentation, parameters and CPU half, and later a `.cu` beside it with
//! the CUDA half. This room knows tensors and numbers, no table, no configuration, no file.

pub mod adamw;
pub mod affine;
pub mod attention;
pub mod backtest_step;
pub mod fill_costs;
pub mod gates;
pub mod layer_norm;
pub mod lstm_sequence;
pub mod matrix;
pub mod memory;
