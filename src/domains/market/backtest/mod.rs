//! Backtest: from positions to fills and equity, with honest costs.
//!
//! [`run_book`] is the ledger: it records every fill of one book. [`run_books`] runs many in parallel. What a fill costs
//! and how large it is stands in [`crate::kernels::backtest_step`], what closes a position within a bar in
//! [`crate::kernels::exit_rules`].

mod books;
mod config;
mod costs;
mod exits;
mod holding;
mod ledger;
mod margin;
mod sizing;
mod trading;

pub use books::run_books;
pub use config::{BacktestConfig, Books, FillTime, periods_per_year};
pub use costs::{Cost, lower};
pub use exits::{Exits, Intrabar};
pub use ledger::run_book;
pub use margin::Margin;
pub use sizing::Sizing;
