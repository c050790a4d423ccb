//! One symbol of a book: its columns and what the book holds of it.

use super::config::bars_a_year;
use crate::kernels::exit_rules::{Exit, OpenPosition};
use crate::kernels::fill_costs::FillCosts;
use crate::table::{Bars, NULL, Positions};
use crate::units::Time;

/// One symbol of a book.
pub(super) struct Holding<'a> {
    pub(super) symbol: usize,
    pub(super) open: &'a [f64],
    pub(super) high: &'a [f64],
    pub(super) low: &'a [f64],
    pub(super) close: &'a [f64],
    /// `[row]`: the step of each bar.
    pub(super) steps: &'a [u32],
    /// `[row]`: orders, null where there is none.
    pub(super) targets: &'a [f64],
    /// `[row]`: gross weight of the allocation of each order; empty where targets are no weights.
    gross: &'a [f64],
    /// Largest gross weight that an allocation may have.
    most_gross: f64,
    /// The next row.
    pub(super) row: usize,
    /// Whether the symbol has a bar at the current step.
    pub(super) present: bool,
    /// Whether an order was filled in the current bar.
    pub(super) traded: bool,
    /// The order that waits for its fill, or null.
    pub(super) pending: f64,
    /// Units held.
    pub(super) quantity: f64,
    /// What a market order costs now.
    pub(super) costs: FillCosts,
    /// What the exits must know of the position.
    pub(super) position: OpenPosition,
    /// The exit that was found at the current moment.
    pub(super) exit: Option<Exit>,
    /// The price at which the position is valued now.
    pub(super) mark: f64,
}

impl<'a> Holding<'a> {
    pub(super) fn new(
        bars: &'a Bars,
        positions: &'a Positions,
        symbol: usize,
        most_gross: f64,
    ) -> Holding<'a> {
        let columns = &bars.symbols()[symbol];
        Holding {
            symbol,
            open: columns.open(),
            high: columns.high(),
            low: columns.low(),
            close: columns.close(),
            steps: bars.timeline().steps(symbol),
            targets: positions.targets(symbol),
            gross: positions.gross(symbol),
            most_gross,
            row: 0,
            present: false,
            traded: false,
            pending: NULL,
            quantity: 0.0,
            costs: FillCosts::default(),
            position: OpenPosition::FLAT,
            exit: None,
            mark: 0.0,
        }
    }

    /// Moves to the first bar that is not before the step `start`, the last order before it in hand.
    pub(super) fn enter(&mut self, start: usize) {
        self.row = self.steps.partition_point(|step| (*step as usize) < start);
        let last = self.targets[..self.row].iter().rposition(|target| !target.is_nan());
        self.pending = last.map_or(NULL, |row| self.order(row));
    }

    /// The order of a row, or null. Of an allocation that is more than the book may hold every symbol gets the same share,
    /// whenever each of them trades: a hedge that was cut only on the side that trades last would be none.
    pub(super) fn order(&self, row: usize) -> f64 {
        let target = self.targets[row];
        match self.gross.get(row) {
            Some(gross) if *gross > self.most_gross => target * (self.most_gross / gross),
            _ => target,
        }
    }

    /// Bars a year of this symbol by the first `known` bars; never by later ones. Unknown with fewer than two.
    pub(super) fn bars_a_year(&self, times: &[Time], known: usize) -> f64 {
        match &self.steps[..known] {
            [first, .., last] => bars_a_year(known, times[*first as usize], times[*last as usize]),
            _ => NULL,
        }
    }

    /// How many rows from the next one on have no order, lie on consecutive steps from `step` on, and end before `end`.
    pub(super) fn quiet_rows(&self, step: usize, end: usize) -> usize {
        let (row, most) = (self.row, end - step);
        let steps = &self.steps[row..self.steps.len().min(row + most)];
        let orders = first_number(&self.targets[row..row + steps.len()]);
        let (mut low, mut high) = (0, orders.unwrap_or(steps.len()));
        if high == 0 || steps[high - 1] as usize == step + high - 1 {
            return high;
        }
        // Steps rise strictly, so what they are ahead of the rows never falls.
        while low < high {
            let middle = (low + high) / 2;
            if steps[middle] as usize == step + middle { low = middle + 1 } else { high = middle }
        }
        low
    }
}

/// The first element that is not null. The first few are looked at one by one, since orders often follow each other; the
/// rest in blocks, which the compiler turns into wide comparisons.
fn first_number(values: &[f64]) -> Option<usize> {
    const FEW: usize = 8;
    const BLOCK: usize = 64;
    let (few, rest) = values.split_at(values.len().min(FEW));
    let number = |values: &[f64]| values.iter().position(|value| !value.is_nan());
    if let Some(place) = number(few) {
        return Some(place);
    }
    let blocks = rest.chunks(BLOCK);
    let quiet = blocks.take_while(|block| !block.iter().fold(false, |any, value| any | !value.is_nan()));
    let start = quiet.map(<[f64]>::len).sum::<usize>();
    number(&rest[start..rest.len().min(start + BLOCK)]).map(|place| few.len() + start + place)
}
