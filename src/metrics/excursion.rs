//! How far trades went against and for their holder while they were open.

use crate::table::{Bars, Fill, Side, SymbolBars};
use std::collections::BTreeMap;

/// The excursions of one round trip, as ratios of the average entry price, fees not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Excursion {
    /// Maximum adverse excursion: the worst price against the average entry price, 0 or negative (Sweeney 1996).
    pub adverse: f64,
    /// Maximum favourable excursion: the best price against the average entry price, 0 or positive.
    pub favourable: f64,
}

/// A position that is not yet closed.
#[derive(Default)]
struct Open {
    quantity: f64,
    average: f64,
    excursion: Excursion,
    /// The first row whose high and low come after the last fill.
    row: usize,
}

impl Open {
    fn sees(&mut self, price: f64) {
        let move_for_holder = (price / self.average - 1.0) * self.quantity.signum();
        self.excursion.adverse = self.excursion.adverse.min(move_for_holder);
        self.excursion.favourable = self.excursion.favourable.max(move_for_holder);
    }

    fn sees_bars(&mut self, bars: &SymbolBars, end: usize) {
        for row in self.row..end {
            self.sees(bars.low()[row]);
            self.sees(bars.high()[row]);
        }
    }
}

/// An excursion for each round trip, in the order of [`round_trips`](super::round_trips).
///
/// A bar's high and low count while the position was held over the whole bar. Of the bar of a fill they come after a
/// fill at its open and before a fill at its close; of a fill within the bar (a stop, a target) the price of the fill
/// alone is known to have been seen. Whether a fill was at the open or at the close is read from its reference price.
/// The price of the fill that closes counts as well. A fill at a step at which its symbol has no bar (a liquidation after
/// its last one, or in a gap) is at the last close before it.
pub fn excursions(fills: &[Fill], bars: &Bars) -> Vec<Excursion> {
    let mut open: BTreeMap<u32, Open> = BTreeMap::new();
    let mut closed = Vec::new();
    for fill in fills {
        let symbol = fill.symbol as usize;
        let prices = &bars.symbols()[symbol];
        let steps = bars.timeline().steps(symbol);
        let row = steps.partition_point(|step| *step < fill.step);
        let has_bar = steps.get(row) == Some(&fill.step);
        let held = open.entry(fill.symbol).or_default();
        let at_open = has_bar && fill.reference_price == prices.open()[row];
        let at_close = has_bar && !at_open && fill.reference_price == prices.close()[row];
        if held.quantity != 0.0 {
            held.sees_bars(prices, if at_close { row + 1 } else { row });
        }
        held.row = if at_open || !has_bar { row } else { row + 1 };
        let change = if fill.side == Side::Buy { fill.quantity } else { -fill.quantity };
        let after = held.quantity + change;
        let turns = held.quantity * after < 0.0;
        if held.quantity * change < 0.0 {
            held.sees(fill.price);
        }
        if held.quantity != 0.0 && (turns || after == 0.0) {
            closed.push(held.excursion);
        }
        if turns || held.quantity == 0.0 {
            (held.average, held.excursion) = (fill.price, Excursion::default());
        } else if held.quantity * change > 0.0 {
            held.average = (held.average * held.quantity + fill.price * change) / after;
        }
        held.quantity = after;
    }
    closed
}
