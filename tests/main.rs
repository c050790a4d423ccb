//! The one test program: every suite is a module, so that the engine is linked once.

#![allow(clippy::unwrap_used, reason = "a test that fails to prepare has failed")]
#![allow(clippy::print_stdout, reason = "a skipped test says so")]

mod audit;
mod audit_corpus;
mod backtest;
mod backtest_exact;
mod backtest_exits;
mod backtest_margin;
mod backtest_properties;
mod backtest_sizing;
mod bad_input;
mod batch;
mod batch_edges;
mod causality;
mod cli;
mod config;
mod costs;
mod data;
mod datasets;
mod doubtful_data;
mod doubts;
mod exit_rules;
mod generate;
mod gradients;
mod grid;
mod grid_run;
mod house;
mod indicators;
mod labels;
mod look_ahead;
mod markets;
mod metric_figures;
mod metrics;
mod models;
mod peer_curves;
mod planted;
mod portfolios;
mod program;
mod rankings;
mod real_data;
mod report;
mod resume;
mod search;
mod search_reference;
mod selection;
mod significance;
mod split;
mod strategies;
mod stride;
mod sweep_config;
mod training;
mod verdict;
