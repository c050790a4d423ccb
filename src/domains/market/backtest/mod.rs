//! Backtest: from positions to fills and equity, with honest costs.
//!
//! [`run_book`] is the ledger: it records every fill of one book. [`run_books`] runs many in parallel. What a fill costs
//! and how large it is stands in [`crate::kernels::backtest_step`].

mod batch;
mod books;
mod config;
mod costs;
mod ledger;
mod sizing;

pub use batch::{BatchOutcome, BatchRequest, Signals, run_batch, supports};
pub use books::run_books;
pub use config::{BacktestConfig, Books, FillTime, periods_per_year};
pub use costs::{Cost, lower};
pub use ledger::run_book;
pub use sizing::Sizing;
