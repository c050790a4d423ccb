//! What luck could have done: intervals and tests of one book, of two, and of the best of many.

mod bootstrap;
mod headline;
mod overfitting;
mod selection;
mod sharpe_ratio;
mod sharpe_test;
mod superior_ability;

pub use bootstrap::{RESAMPLES, StationaryBlocks, expected_block_length, sharpe_difference, sharpe_interval};
pub use headline::{HEADLINE_RESAMPLES, Headline, headline_intervals};
pub use overfitting::overfitting_probability;
pub use selection::{SelectionFigures, selection_figures, trial_variance};
pub use sharpe_ratio::{SharpeEstimate, deflated_sharpe, expected_maximum_sharpe, probabilistic_sharpe};
pub use sharpe_test::sharpe_difference_test;
pub use superior_ability::{SuperiorAbility, superior_ability};
