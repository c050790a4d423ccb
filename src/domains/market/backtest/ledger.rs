//! The ledger: one book, bar by bar, every fill recorded.

use super::config::{BacktestConfig, FillTime};
use super::costs::{CarryRates, PreparedCosts, carry_rates};
use super::sizing::Slot;
use crate::kernels::backtest_step::{Order, fitting_share};
use crate::kernels::fill_costs::{FillCosts, execute, largest_share};
use crate::table::{Bars, BookResult, Carried, Equity, Fill, NULL, Positions, Side};
use crate::units::{Time, YEAR_NANOSECONDS};
use std::ops::Range;

/// A change of a position by less than this share of the book's equity is rounding, not an order.
const SMALLEST_TRADE: f64 = 1e-9;

/// Runs one book over all symbols with shared cash, over the steps `span` of the timeline.
///
/// - An order decided at the close of a row is filled at the open of the symbol's next bar, or at the same close.
/// - At the start of the span each symbol's last order before it, if there is one, is filled at the symbol's first bar,
///   so that a strategy that is warm starts in position.
/// - The targets of all fills of one moment are computed from the equity before any of them, marked at the prices of
///   that moment. Sales come before purchases, then the order of symbols.
/// - A slot is 1/A of the book's equity. A symbol that is flat has at most its equal part of the cash among all that are
///   flat, so that a symbol that is listed late finds its part unspent.
/// - What takes a position away from zero is scaled down, all of it together, so that gross exposure is at most the
///   equity (times the leverage of the sizing) and purchases at most the cash that is there. What brings a position
///   nearer to zero is never limited.
/// - Holdings are marked at the last known close. An order on the last bar is not filled at a later open that nobody
///   knows, and a position that is open at the end is marked, not closed.
/// - A book whose equity is used up at a close is closed there and stays flat.
///
/// `config` must have passed [`BacktestConfig::check`], and `positions` belong to `bars`.
pub fn run_book(
    bars: &Bars,
    positions: &Positions,
    strategy: &str,
    config: &BacktestConfig,
    span: Range<usize>,
) -> BookResult {
    Ledger::new(bars, positions, config, 0..bars.symbols().len()).run(strategy, span)
}

/// One symbol of a book.
struct Holding<'a> {
    symbol: usize,
    open: &'a [f64],
    close: &'a [f64],
    /// `[row]`: the step of each bar.
    steps: &'a [u32],
    /// `[row]`: orders, null where there is none.
    targets: &'a [f64],
    /// The next row.
    row: usize,
    /// Whether the symbol has a bar at the current step.
    present: bool,
    /// The order that waits for its fill, or null.
    pending: f64,
    /// Units held.
    quantity: f64,
    /// What a fill costs now.
    costs: FillCosts,
    carry: CarryRates,
    /// The price at which the position is valued now.
    mark: f64,
}

impl Holding<'_> {
    /// Bars a year of this symbol by the bars that are known now; never by later ones. Unknown with fewer than two.
    fn bars_a_year(&self, times: &[Time], closed: usize) -> f64 {
        let known = &self.steps[..self.row + closed];
        match known {
            [first, .., last] => {
                let distance = (times[*last as usize].0 - times[*first as usize].0) as f64;
                (known.len() - 1) as f64 * (YEAR_NANOSECONDS as f64 / distance)
            }
            _ => NULL,
        }
    }
}

/// The state of one book.
pub(super) struct Ledger<'a> {
    config: &'a BacktestConfig,
    costs: PreparedCosts,
    times: &'a [Time],
    holdings: Vec<Holding<'a>>,
    cash: f64,
    carried: Carried,
    fills: Vec<Fill>,
    /// Orders of the current moment, kept for its memory.
    orders: Vec<(usize, Order)>,
}

impl<'a> Ledger<'a> {
    /// A book over some of the symbols.
    pub(super) fn new(
        bars: &'a Bars,
        positions: &'a Positions,
        config: &'a BacktestConfig,
        symbols: Range<usize>,
    ) -> Ledger<'a> {
        // Costs that a check would have refused give no equity at all, rather than free trades.
        let costs = PreparedCosts::new(&config.costs, bars, symbols.clone())
            .unwrap_or_else(|_| PreparedCosts::unknown(symbols.len()));
        let carry = |symbol: usize| {
            carry_rates(&config.costs, &bars.symbols()[symbol], config.periods_per_year).unwrap_or_default()
        };
        let first = symbols.start;
        let holding = |symbol: usize| Holding {
            symbol,
            open: bars.symbols()[symbol].open(),
            close: bars.symbols()[symbol].close(),
            steps: bars.timeline().steps(symbol),
            targets: positions.targets(symbol),
            row: 0,
            present: false,
            pending: NULL,
            quantity: 0.0,
            costs: costs.fill_costs(symbol - first, 0),
            carry: carry(symbol),
            mark: 0.0,
        };
        let holdings = symbols.map(holding).collect();
        Ledger {
            config,
            costs,
            times: bars.timeline().times(),
            holdings,
            cash: config.cash,
            carried: Carried::default(),
            fills: Vec::new(),
            orders: Vec::new(),
        }
    }

    /// Runs the book over `span`.
    pub(super) fn run(mut self, strategy: &str, span: Range<usize>) -> BookResult {
        let span = span.start..span.end.min(self.times.len());
        self.enter(span.start);
        let mut equity = Equity::default();
        for column in [&mut equity.equity, &mut equity.cash, &mut equity.exposure] {
            column.reserve_exact(span.len());
        }
        equity.time = self.times.get(span.clone()).unwrap_or_default().to_vec();
        let mut bankrupt_at = None;
        for step in span {
            self.step(step, bankrupt_at.is_none());
            if bankrupt_at.is_none() && self.equity() <= 0.0 {
                self.liquidate(step);
                bankrupt_at = Some(self.times[step]);
            }
            let (worth, gross) = (self.equity(), self.gross());
            equity.equity.push(worth);
            equity.cash.push(self.cash);
            equity.exposure.push(if gross == 0.0 { 0.0 } else { gross / worth });
        }
        BookResult {
            strategy: strategy.to_owned(),
            starting_cash: self.config.cash,
            fills: self.fills,
            equity,
            carried: self.carried,
            bankrupt_at,
        }
    }

    /// Moves every symbol to its first bar of the span, its last order before it in hand.
    fn enter(&mut self, start: usize) {
        for holding in &mut self.holdings {
            holding.row = holding.steps.partition_point(|step| (*step as usize) < start);
            let before = &holding.targets[..holding.row];
            holding.pending = before.iter().rev().copied().find(|target| !target.is_nan()).unwrap_or(NULL);
        }
    }

    /// One step of the timeline: fills at the open, marks at the close, decisions, fills at the close.
    fn step(&mut self, step: usize, trades: bool) {
        let mut waiting = false;
        for holding in &mut self.holdings {
            holding.present = holding.steps.get(holding.row).is_some_and(|next| *next as usize == step);
            waiting |= holding.present && !holding.pending.is_nan();
        }
        self.costs.begin(self.times[step]);
        self.price_fills(0);
        if trades && waiting && self.config.fill == FillTime::NextOpen {
            for holding in self.holdings.iter_mut().filter(|holding| holding.present) {
                holding.mark = holding.open[holding.row];
            }
            self.trade(step, 0);
        }
        for holding in self.holdings.iter_mut().filter(|holding| holding.present) {
            holding.mark = holding.close[holding.row];
            let target = holding.targets[holding.row];
            if !target.is_nan() {
                holding.pending = target;
                waiting = true;
            }
        }
        self.carry();
        self.price_fills(1);
        if trades && waiting && self.config.fill == FillTime::SameClose {
            self.trade(step, 1);
        }
        for holding in self.holdings.iter_mut().filter(|holding| holding.present) {
            holding.row += 1;
        }
    }

    /// Looks up what fills of the symbols with a bar cost from now on. `closed` is 1 where that bar is closed, 0 before.
    fn price_fills(&mut self, closed: usize) {
        if !self.costs.varies() {
            return;
        }
        for (index, holding) in self.holdings.iter_mut().enumerate().filter(|(_, holding)| holding.present) {
            // Nothing can be filled before a first bar is closed.
            holding.costs = self.costs.fill_costs(index, (holding.row + closed).saturating_sub(1));
        }
    }

    /// Pays funding and borrowing for what is held at the close.
    fn carry(&mut self) {
        for holding in self.holdings.iter().filter(|holding| holding.present && holding.quantity != 0.0) {
            let worth = holding.quantity * holding.mark;
            if let Some(rate) = holding.carry.funding.get(holding.row) {
                self.cash -= worth * rate;
                self.carried.funding += worth * rate;
            }
            if let Some(rate) = holding.carry.borrow.get(holding.row)
                && holding.quantity < 0.0
            {
                self.cash -= worth.abs() * rate;
                self.carried.borrow += worth.abs() * rate;
            }
        }
    }

    /// Fills what is pending at the marks. `closed` is 1 where the current bar's close is known, 0 before.
    fn trade(&mut self, step: usize, closed: usize) {
        let equity = self.equity().max(0.0);
        self.collect_orders(equity, closed);
        let mut kept = self.gross();
        let mut wanted = 0.0;
        for (index, order) in &self.orders {
            kept -= order.reduction.abs() * self.holdings[*index].mark;
            wanted += order.increase.abs() * self.holdings[*index].mark;
        }
        let leverage = self.config.sizing.leverage();
        let share = fitting_share(leverage * equity - kept, wanted);
        self.fill_side(step, true, share, equity);
        // With leverage the rest is borrowed.
        let affordable = if leverage > 1.0 { 1.0 } else { self.affordable_share() };
        self.fill_side(step, false, share.min(affordable), equity);
    }

    /// Sizes every pending order that can be filled now.
    fn collect_orders(&mut self, equity: f64, closed: usize) {
        self.orders.clear();
        let slot_equity = equity / self.holdings.len() as f64;
        // What is still flat has a claim on the cash, listed yet or not: the first symbols must not spend the part of
        // the later ones, also when their own parts have grown.
        let flat = self.holdings.iter().filter(|holding| holding.quantity == 0.0).count();
        let claim = (self.cash / flat.max(1) as f64).max(0.0).min(slot_equity);
        for (index, holding) in self.holdings.iter_mut().enumerate() {
            if !holding.present || holding.pending.is_nan() {
                continue;
            }
            let slot = Slot {
                equity: if holding.quantity == 0.0 { claim } else { slot_equity },
                held: holding.quantity,
                reference: holding.mark,
                closes: &holding.close[..holding.row + closed],
                periods_per_year: self
                    .config
                    .periods_per_year
                    .unwrap_or_else(|| holding.bars_a_year(self.times, closed)),
            };
            if let Some(order) = self.config.sizing.order(holding.pending, &slot, &holding.costs) {
                holding.pending = NULL;
                self.orders.push((index, order));
            }
        }
    }

    /// Which share of all increasing purchases the cash pays for, once every short that is to be covered is paid.
    fn affordable_share(&self) -> f64 {
        let purchases = || self.orders.iter().filter(|(_, order)| !order.sells());
        let in_proportion = |costs: &FillCosts| costs.in_proportion() && costs.fixed_fee + costs.gas == 0.0;
        if !purchases().all(|(index, _)| in_proportion(&self.holdings[*index].costs)) {
            return largest_share(|share| {
                let spent = purchases().map(|(index, order)| {
                    let holding = &self.holdings[*index];
                    holding.costs.outlay(order.reduction + order.increase * share, false, holding.mark)
                });
                spent.sum::<f64>() <= self.cash
            });
        }
        let (mut cash, mut wanted) = (self.cash, 0.0);
        for (index, order) in purchases() {
            let holding = &self.holdings[*index];
            let price = holding.mark * holding.costs.rates.gross_up(1.0);
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
            self.fill(index, step, change);
        }
    }

    /// Books a change of quantity at the mark.
    fn fill(&mut self, index: usize, step: usize, change: f64) {
        if change == 0.0 {
            return;
        }
        let holding = &mut self.holdings[index];
        let charge = execute(&mut self.cash, &mut holding.quantity, change, holding.mark, &holding.costs);
        self.costs.trade(change.abs() * charge.price);
        self.fills.push(Fill {
            symbol: holding.symbol as u32,
            step: step as u32,
            time: self.times[step],
            side: if change > 0.0 { Side::Buy } else { Side::Sell },
            quantity: change.abs(),
            price: charge.price,
            reference_price: holding.mark,
            fee: charge.fee,
            gas: charge.gas,
            spread: charge.spread,
            slippage: charge.slippage,
            impact: charge.impact,
        });
    }

    /// Closes everything at the last known closes, sales first.
    fn liquidate(&mut self, step: usize) {
        for sells in [true, false] {
            for index in 0..self.holdings.len() {
                let quantity = self.holdings[index].quantity;
                if (quantity > 0.0) == sells {
                    self.fill(index, step, -quantity);
                }
            }
        }
    }

    fn equity(&self) -> f64 {
        self.holdings.iter().fold(self.cash, |sum, holding| sum + holding.quantity * holding.mark)
    }

    fn gross(&self) -> f64 {
        self.holdings.iter().fold(0.0, |sum, holding| sum + (holding.quantity * holding.mark).abs())
    }
}
