//! A little ledger of one symbol whose every rule can be bent.

use candlewick::audit::RunBooks;
use candlewick::table::{Bars, BookResult, Carried, Equity, Fill, FillReason, Positions, Side, SymbolBars};
use std::ops::Range;

/// How orders are filled. Rows are those of the first symbol.
#[derive(Clone, Copy)]
pub(crate) struct Rules {
    /// The row whose order is filled in a row.
    pub(crate) decided: fn(usize) -> Option<usize>,
    /// The price of a buy (`true`) or a sale in a row.
    pub(crate) price: fn(&SymbolBars, usize, bool) -> f64,
    /// Units at a target of 1, for a fill in a row.
    pub(crate) size: fn(&SymbolBars, usize) -> f64,
    /// Whether a long position is stopped at the close of a row.
    pub(crate) stopped: fn(&SymbolBars, usize) -> bool,
}

/// Orders of the row before, filled at the open, one unit, no stop.
pub(crate) const HONEST: Rules = Rules {
    decided: |row| row.checked_sub(1),
    price: |bars, row, _| bars.open()[row],
    size: |_, _| 1.0,
    stopped: |_, _| false,
};

pub(crate) fn by(rules: Rules) -> RunBooks<'static> {
    Box::new(move |bars: &Bars, positions: &Positions, span: Range<usize>| {
        vec![Book::new(&rules, bars).run(positions.targets(0), span)]
    })
}

struct Book<'a> {
    rules: &'a Rules,
    bars: &'a Bars,
    cash: f64,
    held: f64,
    fills: Vec<Fill>,
}

impl<'a> Book<'a> {
    fn new(rules: &'a Rules, bars: &'a Bars) -> Book<'a> {
        Book { rules, bars, cash: 1e6, held: 0.0, fills: Vec::new() }
    }

    fn run(mut self, targets: &[f64], span: Range<usize>) -> BookResult {
        let symbol = &self.bars.symbols()[0];
        let mut equity = Equity::default();
        for row in 0..symbol.len() {
            let step = self.bars.timeline().steps(0)[row] as usize;
            if !span.contains(&step) {
                continue;
            }
            let order = (self.rules.decided)(row).map_or(f64::NAN, |decided| targets[decided]);
            if !order.is_nan() {
                self.trade(row, order * (self.rules.size)(symbol, row) - self.held);
            }
            if self.held > 0.0 && (self.rules.stopped)(symbol, row) {
                self.trade(row, -self.held);
            }
            equity.time.push(symbol.time()[row]);
            equity.cash.push(self.cash);
            equity.equity.push(self.cash + self.held * symbol.close()[row]);
            equity.exposure.push(0.0);
        }
        BookResult {
            strategy: "bent".into(),
            starting_cash: 1e6,
            fills: self.fills,
            equity,
            carried: Carried::default(),
            bankrupt_at: None,
        }
    }

    fn trade(&mut self, row: usize, change: f64) {
        if change == 0.0 {
            return;
        }
        let symbol = &self.bars.symbols()[0];
        let price = (self.rules.price)(symbol, row, change > 0.0);
        self.cash -= change * price;
        self.held += change;
        self.fills.push(Fill {
            symbol: 0,
            step: self.bars.timeline().steps(0)[row],
            time: symbol.time()[row],
            side: if change > 0.0 { Side::Buy } else { Side::Sell },
            quantity: change.abs(),
            price,
            reference_price: price,
            fee: 0.0,
            gas: 0.0,
            spread: 0.0,
            slippage: 0.0,
            impact: 0.0,
            reason: FillReason::Signal,
        });
    }
}
