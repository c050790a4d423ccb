//! The depth of an order book: how much is wanted and for sale close to the price.

mod table;

pub use table::depth_columns;
pub(super) use table::{DepthTable, book_columns};
