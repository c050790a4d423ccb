//! Device math: operations on tensors of candle for the CPU, each a `.rs` with its documentation and specification, and
//! kernels for CUDA devices, each a `.cu` with a `.rs` of the same stem that documents and launches it (`population_*` carry
//! all networks of a population, `backtest_device` all books of a grid). The twin on the CPU is the specification of a
//! kernel. This room knows numbers, no table, no configuration, no file.
//!
//! A kernel is added by its two files, a line below, and a table of cases in `tests/device/`; `common.cuh` has the conventions.

/// Is raised whenever a change of a kernel changes a bit of what any of them computes, so that results of before are not
/// mixed with results of after.
pub const NUMBERS_VERSION: u32 = 2;

pub mod adamw;
pub mod affine;
pub mod arena;
pub mod attention;
pub mod backtest_batch;
pub mod backtest_device;
mod backtest_rows;
pub mod backtest_step;
pub mod batch_book;
pub mod batch_exits;
pub mod batch_orders;
pub mod cross_words;
pub mod dropout;
pub mod ema_scan;
pub mod encoder;
pub mod encoder_backward;
pub mod encoder_layer;
pub mod exit_rules;
pub mod fill_costs;
pub mod gates;
pub mod gpu;
pub mod instructions;
pub mod inverted_dropout;
pub mod layer_norm;
mod lstm_backward;
mod lstm_forward;
mod lstm_gradient;
mod lstm_paths;
pub mod lstm_sequence;
mod lstm_vectors;
mod lstm_weights;
pub mod matrix;
pub mod matrix_bf16;
pub mod memory;
pub mod norm_rows;
pub mod population;
pub mod population_adam;
pub mod population_attention;
pub mod population_gather;
pub mod population_linear;
pub mod population_loss;
pub mod population_lstm;
pub mod population_norm;
pub mod population_rows;
pub mod precision;
pub mod product;
pub mod range_extremes;
pub mod rolling_moments;
pub mod row_steps;
pub mod running_sums;
mod small_product;
