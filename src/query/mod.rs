//! Rows of a run's tables, and all that a model saw for one forecast. Reads run directories only.

mod answer;
mod condition;
mod error;
mod window;

pub use answer::{Answer, Outline, Question, ask, tables};
pub use condition::Condition;
pub use error::QueryError;
pub use window::{Window, window};
