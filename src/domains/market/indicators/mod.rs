//! Indicators: features computed from bars. One file each; see `registry.rs` for how one joins.

use crate::table::{Bars, Features};

pub mod log_return;

/// A feature, or several that are computed together, from the bars up to and including each row.
pub trait Indicator: Send + Sync {
    /// Names of its columns, settings included, so that two of a kind differ: `rsi_14`.
    fn names(&self) -> Vec<String>;

    /// Rows at the start of a symbol that are null.
    fn warm_up(&self) -> usize;

    /// `[symbol][name][row]`; null ([`crate::table::NULL`]) in the warm-up. Row t uses nothing after the close of t.
    fn compute(&self, bars: &Bars) -> Vec<Vec<Vec<f64>>>;
}

crate::registry! {
    /// A feature by name.
    IndicatorConfig => dyn Indicator;
    /// Logarithmic return of the close over a number of bars.
    log_return: LogReturn,
}

/// Computes all configured features, in their order.
///
/// # Errors
/// Two features of one name.
pub fn compute(configured: &[IndicatorConfig], bars: &Bars) -> Result<Features, String> {
    let mut names = Vec::new();
    let mut columns = vec![Vec::new(); bars.symbols().len()];
    for indicator in configured.iter().map(IndicatorConfig::build) {
        names.extend(indicator.names());
        for (all, new) in columns.iter_mut().zip(indicator.compute(bars)) {
            all.extend(new);
        }
    }
    Features::new(names, columns)
}
