//! From portfolio weights at some moments to the orders of a book.

use crate::table::{Bars, NULL, Positions};

/// The weights that a portfolio shall have from one moment on.
pub(super) struct Allocation {
    /// The step of the timeline at whose close it is decided.
    pub(super) step: usize,
    /// `[symbol]`: share of the book's equity.
    pub(super) weights: Vec<f64>,
}

/// Orders every allocation, in order of time. A symbol without a bar at that moment is ordered at its next bar, unless
/// a later allocation has come by then. A weight of 0 where nothing is held is no order.
pub(super) fn orders(bars: &Bars, allocations: &[Allocation]) -> Result<Positions, String> {
    let sums: Vec<f64> =
        allocations.iter().map(|one| one.weights.iter().map(|weight| weight.abs()).sum()).collect();
    let columns = (0..bars.symbols().len()).map(|symbol| {
        let (mut done, mut held) = (0, 0.0);
        let orders = bars.timeline().steps(symbol).iter().map(|step| {
            let known = done
                + allocations[done..]
                    .iter()
                    .take_while(|allocation| allocation.step <= *step as usize)
                    .count();
            if known == done {
                return (NULL, NULL);
            }
            done = known;
            let weight = allocations[known - 1].weights[symbol];
            let idle = weight == 0.0 && held == 0.0;
            held = weight;
            (if idle { NULL } else { weight }, sums[known - 1])
        });
        orders.unzip()
    });
    let (weights, gross) = columns.unzip();
    Positions::allocated(bars, weights, gross)
}
