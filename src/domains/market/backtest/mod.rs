//! Backtest: from positions to fills and equity, with honest costs.
//!
//! [`run_book`] is the ledger: it records every fill of one book. [`run_books`] runs many in parallel. What a fill costs
//! and how large it is stands in [`crate::kernels::backtest_step`] and [`crate::kernels::fill_costs`], what closes a position within a bar in
//! [`crate::kernels::exit_rules`].

mod batch;
mod batch_crosses;
pub mod board;
mod books;
mod config;
mod cost_scenarios;
pub mod costs;
mod exits;
mod frozen;
mod holding;
mod ledger;
mod margin;
mod optimism;
mod sizing;
mod trading;

pub use batch::{BatchOutcome, BatchRequest, Devices, Signals, run_batch, supports};
pub use books::{listed, run_books, run_compact, run_one};
pub(super) use config::bars_a_year;
pub use config::{BacktestConfig, Books, FillTime, periods_per_year};
pub use cost_scenarios::{break_even_multiple, cost_scenarios};
pub use costs::{Cost, CostConfig, carry_rates, check_columns, lower};
pub use exits::{Exits, Intrabar};
pub use frozen::frozen_holdings;
pub use ledger::run_book;
pub use margin::Margin;
pub use optimism::{most_optimistic, optimistic, sells_short};
pub use sizing::Sizing;
