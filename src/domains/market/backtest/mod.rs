//! Backtest: from positions to fills and equity, with honest costs.
//!
//! [`run_book`] is the ledger: it records every fill of one book. [`run_books`] runs many in parallel. What a fill costs
//! and how large it is stands in [`crate::kernels::backtest_step`] and [`crate::kernels::fill_costs`].

mod books;
mod config;
mod cost_scenarios;
pub mod costs;
mod ledger;
mod optimism;
mod sizing;

pub use books::run_books;
pub use config::{BacktestConfig, Books, FillTime, periods_per_year};
pub use cost_scenarios::{break_even_multiple, cost_scenarios};
pub use costs::{Cost, CostConfig, carry_rates, lower};
pub use ledger::run_book;
pub use optimism::optimistic;
pub use sizing::Sizing;
