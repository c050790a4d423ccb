//! The market: bars in, features and labels, strategies, costs and the ledger of books.

pub mod backtest;
pub mod indicators;
pub mod labels;
pub mod range;
pub mod rolling;
pub mod strategies;
