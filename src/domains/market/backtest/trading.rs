//! From pending orders to fills: the only place where the ledger asks what trading costs.

use super::ledger::Ledger;
use super::sizing::Slot;
use crate::kernels::backtest_step::{CostParameters, execute, fitting_share};
use crate::table::{Basis, Fill, FillReason, NULL, Side};

/// A change of a position by less than this share of the book's equity is rounding, not an order.
const SMALLEST_TRADE: f64 = 1e-9;

impl Ledger<'_> {
    /// Fills what is pending at the marks. `closed` is 1 where the current bar's close is known, 0 before.
    pub(super) fn trade(&mut self, step: usize, closed: usize) {
        let equity = self.equity().max(0.0);
        self.collect_orders(equity, closed);
        let mut kept = self.gross();
        let mut wanted = 0.0;
        for (index, order) in &self.orders {
            kept -= order.reduction.abs() * self.holdings[*index].mark;
            wanted += order.increase.abs() * self.holdings[*index].mark;
        }
        let share = fitting_share(self.leverage * equity - kept, wanted);
        self.fill_side(step, true, share, equity);
        // With leverage the rest is borrowed.
        let affordable = if self.leverage > 1.0 { 1.0 } else { self.affordable_share() };
        self.fill_side(step, false, share.min(affordable), equity);
    }

    /// Sizes every pending order that can be filled now.
    fn collect_orders(&mut self, equity: f64, closed: usize) {
        self.orders.clear();
        let slot_equity = equity / self.holdings.len() as f64;
        // What is still flat has a claim on the cash, listed yet or not: the first symbols must not spend the part of
        // the later ones, also when their own parts have grown. Who may borrow does not live on the cash.
        let flat = self.holdings.iter().filter(|holding| holding.quantity == 0.0).count();
        let spare = if self.leverage > 1.0 { slot_equity } else { self.cash / flat.max(1) as f64 };
        let claim = spare.max(0.0).min(slot_equity);
        for (index, holding) in self.holdings.iter_mut().enumerate() {
            if !holding.present || holding.pending.is_nan() {
                continue;
            }
            let known = holding.row + closed;
            let (equity, multiple) = match self.basis {
                Basis::Slot if holding.quantity == 0.0 => (claim, self.config.margin.max_leverage),
                Basis::Slot => (slot_equity, self.config.margin.max_leverage),
                Basis::Book => (equity, 1.0),
            };
            let slot = Slot {
                equity,
                multiple,
                leverage: self.leverage,
                held: holding.quantity,
                reference: holding.mark,
                closes: &holding.close[..known],
                targets: &holding.targets[..known],
                periods_per_year: self
                    .config
                    .periods_per_year
                    .unwrap_or_else(|| holding.bars_a_year(self.times, known)),
                exits: &self.exits,
            };
            if let Some(order) = self.config.sizing.order(holding.pending, &slot, &self.costs) {
                holding.pending = NULL;
                self.orders.push((index, order));
            }
        }
    }

    /// Which share of all increasing purchases the cash pays for, once every short that is to be covered is paid.
    fn affordable_share(&self) -> f64 {
        let (mut cash, mut wanted) = (self.cash, 0.0);
        for (index, order) in self.orders.iter().filter(|(_, order)| !order.sells()) {
            let price = self.holdings[*index].mark * self.costs.gross_up(1.0);
            cash -= order.reduction * price;
            wanted += order.increase * price;
        }
        fitting_share(cash, wanted)
    }

    fn fill_side(&mut self, step: usize, sells: bool, share: f64, equity: f64) {
        for number in 0..self.orders.len() {
            let (index, order) = self.orders[number];
            if order.sells() != sells {
                continue;
            }
            let holding = &self.holdings[index];
            let smallest = SMALLEST_TRADE * equity;
            let closes = order.reduction == -holding.quantity;
            let kept = |change: f64, always: bool| {
                if always || change.abs() * holding.mark > smallest { change } else { 0.0 }
            };
            let change = kept(order.reduction, closes)
                + kept(order.increase * share, closes && share > SMALLEST_TRADE);
            let mark = holding.mark;
            self.fill(index, step, change, mark, FillReason::Signal);
        }
    }

    /// Books a change of quantity at a reference price.
    pub(super) fn fill(
        &mut self,
        index: usize,
        step: usize,
        change: f64,
        reference: f64,
        reason: FillReason,
    ) {
        if change == 0.0 {
            return;
        }
        let holding = &mut self.holdings[index];
        let held = holding.quantity;
        let costs = match reason {
            FillReason::Target => CostParameters { slippage_rate: 0.0, ..self.costs },
            _ => self.costs,
        };
        let execution = execute(&mut self.cash, &mut holding.quantity, change, reference, &costs);
        let row = holding.row as u32;
        holding.position = holding.position.after_fill(held, change, execution.price, reference, row);
        holding.traded |= reason == FillReason::Signal;
        self.fills.push(Fill {
            symbol: holding.symbol as u32,
            step: step as u32,
            time: self.times[step],
            side: if change > 0.0 { Side::Buy } else { Side::Sell },
            quantity: change.abs(),
            price: execution.price,
            reference_price: reference,
            fee: execution.fee,
            reason,
        });
    }
}
