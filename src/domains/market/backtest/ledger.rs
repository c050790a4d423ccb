//! The ledger: one book, bar by bar, every fill recorded.

use super::config::{BacktestConfig, FillTime};
use super::costs::PreparedCosts;
use super::holding::Holding;
use super::margin::MarginParameters;
use crate::kernels::backtest_step::Order;
use crate::kernels::exit_rules::ExitParameters;
use crate::table::{Balance, Bars, Basis, BookResult, Carried, CompactBook, Equity, Fill, Positions};
use crate::units::Time;
use std::ops::Range;

/// Runs one book over all symbols with shared cash, over the steps `span` of the timeline.
///
/// - An order decided at the close of a row is filled at the open of the symbol's next bar, or at the same close.
/// - At the start of the span each symbol's last order before it, if there is one, is filled at the symbol's first bar,
///   so that a strategy that is warm starts in position.
/// - The targets of all fills of one moment are computed from the equity before any of them, marked at the prices of
///   that moment. Sales come before purchases, then the order of symbols.
/// - A slot is 1/A of the book's equity. Where nothing is borrowed, a symbol that is flat has at most its equal part of the
///   cash among all that are flat, so that a symbol that is listed late finds its part unspent. Portfolio weights ([`Basis::Book`]) are shares of
///   the whole equity.
/// - What takes a position away from zero is scaled down, all of it together, so that gross exposure is at most the
///   equity (times the largest leverage) and purchases at most the cash that is there. What brings a position
///   nearer to zero is never limited.
/// - An allocation of portfolio weights whose absolute values add up to more than the largest leverage is scaled down as
///   a whole when it is decided (sizing `all_in` and `fraction`), so that a hedge keeps its ratio also where its sides
///   trade at different hours.
/// - Exits close positions by the rule of [`crate::kernels::exit_rules`]; the symbol is then flat until its next order.
/// - A book that borrows is liquidated as [`super::Margin`] says.
/// - Holdings are marked at the last known close, those of a symbol that has ended for ever
///   ([`super::frozen_holdings`] tells). An order on the last bar is not filled at a later open that nobody
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

/// The state of one book.
pub(super) struct Ledger<'a> {
    pub(super) config: &'a BacktestConfig,
    pub(super) costs: PreparedCosts,
    pub(super) exits: ExitParameters,
    /// Absent where the book cannot borrow.
    pub(super) margin: Option<MarginParameters>,
    /// Largest gross exposure over equity.
    pub(super) leverage: f64,
    /// Of what targets are shares.
    pub(super) basis: Basis,
    pub(super) times: &'a [Time],
    pub(super) holdings: Vec<Holding<'a>>,
    pub(super) cash: f64,
    pub(super) carried: Carried,
    pub(super) fills: Vec<Fill>,
    /// Orders of the current moment, kept for its memory.
    pub(super) orders: Vec<(usize, Order)>,
    /// Whether a position must be looked at in every bar.
    watches: bool,
    curve: Equity,
    /// Instead of the curve what changed, for a book of one symbol without gaps.
    balances: Option<Vec<Balance>>,
    /// First step of the span.
    first_step: usize,
    bankrupt_at: Option<Time>,
}

impl<'a> Ledger<'a> {
    /// A book over some of the symbols.
    pub(super) fn new(
        bars: &'a Bars,
        positions: &'a Positions,
        config: &'a BacktestConfig,
        symbols: Range<usize>,
    ) -> Ledger<'a> {
        let leverage = config.leverage();
        let exits = config.exits.lower(config.fill);
        // Costs that a check would have refused give no equity at all, rather than free trades.
        let (costs, cash) =
            match PreparedCosts::new(&config.costs, bars, symbols.clone(), config.periods_per_year) {
                Ok(costs) => (costs, config.cash),
                Err(_) => (PreparedCosts::none(symbols.len()), f64::NAN),
            };
        // A book over some of the symbols has no hedge to keep.
        let whole = symbols.len() == bars.symbols().len();
        let steady_share = config.sizing.steady_share().filter(|_| whole);
        let most_gross = steady_share.map_or(f64::INFINITY, |share| leverage / share);
        let mut holdings: Vec<Holding> =
            symbols.map(|symbol| Holding::new(bars, positions, symbol, most_gross)).collect();
        for (index, holding) in holdings.iter_mut().enumerate() {
            holding.costs = costs.fill_costs(index, 0);
        }
        Ledger {
            config,
            costs,
            exits,
            margin: (leverage > 1.0).then(|| MarginParameters::of(&config.margin)),
            leverage,
            basis: positions.basis(),
            times: bars.timeline().times(),
            holdings,
            cash,
            carried: Carried::default(),
            fills: Vec::new(),
            orders: Vec::new(),
            watches: exits.any() || leverage > 1.0,
            curve: Equity::default(),
            balances: None,
            first_step: 0,
            bankrupt_at: None,
        }
    }

    /// Runs the book over `span`.
    pub(super) fn run(mut self, strategy: &str, span: Range<usize>) -> BookResult {
        let span = span.start..span.end.min(self.times.len());
        for column in [&mut self.curve.equity, &mut self.curve.cash, &mut self.curve.exposure] {
            column.reserve_exact(span.len());
        }
        self.curve.time = self.times.get(span.clone()).unwrap_or_default().to_vec();
        self.walk(span);
        BookResult {
            strategy: strategy.to_owned(),
            starting_cash: self.config.cash,
            fills: self.fills,
            equity: self.curve,
            carried: self.carried,
            bankrupt_at: self.bankrupt_at,
        }
    }

    /// Runs the book over `span` without its curve; `None` where the book has several symbols, or its symbol has no bar at
    /// some step.
    pub(super) fn run_compact(mut self, span: Range<usize>) -> Option<CompactBook<'a>> {
        let [Holding { steps, close, .. }] = *self.holdings.as_slice() else { return None };
        let first = steps.partition_point(|step| (*step as usize) < span.start);
        let end = steps.partition_point(|step| (*step as usize) < span.end);
        if end - first != span.len() {
            return None;
        }
        self.balances = Some(Vec::new());
        self.walk(span);
        Some(CompactBook {
            starting_cash: self.config.cash,
            fills: self.fills,
            close: &close[first..end],
            balances: self.balances.unwrap_or_default(),
            carried: self.carried,
            bankrupt_at: self.bankrupt_at,
        })
    }

    fn walk(&mut self, span: Range<usize>) {
        self.first_step = span.start;
        for holding in &mut self.holdings {
            holding.enter(span.start);
        }
        let mut step = span.start;
        while step < span.end {
            let quiet = self.quiet_steps(step, span.end);
            if quiet > 0 {
                self.wait(step, quiet);
                step += quiet;
                continue;
            }
            self.step(step);
            self.close_step(step);
            step += 1;
        }
    }

    /// Writes down what the book has from the close of a step on; `false` where the whole curve is kept.
    fn note_balance(&mut self, step: usize) -> bool {
        let (Some(balances), [holding]) = (&mut self.balances, self.holdings.as_slice()) else {
            return false;
        };
        let (cash, quantity) = (self.cash, holding.quantity);
        if balances.last().is_none_or(|last| last.cash != cash || last.quantity != quantity) {
            balances.push(Balance { row: (step - self.first_step) as u32, cash, quantity });
        }
        true
    }

    /// How many steps from this one on bring nothing but new marks, as far as that is cheap to tell: for a book of one
    /// symbol, and for one that is closed for good.
    fn quiet_steps(&self, step: usize, end: usize) -> usize {
        if self.bankrupt_at.is_some() {
            return end - step;
        }
        let [holding] = self.holdings.as_slice() else { return 0 };
        let flat = holding.quantity == 0.0;
        if !holding.pending.is_nan() || ((self.watches || self.costs.carries()) && !flat) {
            return 0;
        }
        let rows = holding.quiet_rows(step, end);
        if flat || (holding.quantity > 0.0 && self.cash >= 0.0) {
            return rows;
        }
        // A short can use the equity up.
        let marks = &holding.close[holding.row..holding.row + rows];
        let lost = |mark: &f64| self.cash + holding.quantity * mark <= 0.0;
        let blocks = marks.chunks(64);
        let kept = blocks.take_while(|block| !block.iter().fold(false, |any, mark| any | lost(mark))).count();
        let passed = (64 * kept).min(rows);
        marks[passed..].iter().take(64).position(lost).map_or(rows, |more| passed + more)
    }

    /// Passes over steps that bring nothing but new marks.
    fn wait(&mut self, step: usize, steps: usize) {
        if self.note_balance(step) {
            let holding = &mut self.holdings[0];
            holding.row += steps;
            holding.mark = holding.close[holding.row - 1];
            return;
        }
        let curve = &mut self.curve;
        curve.cash.extend(std::iter::repeat_n(self.cash, steps));
        match self.holdings.as_mut_slice() {
            [holding] if holding.quantity != 0.0 => {
                let marks = &holding.close[holding.row..holding.row + steps];
                let (cash, quantity) = (self.cash, holding.quantity);
                curve.equity.extend(marks.iter().map(|mark| cash + quantity * mark));
                let exposure = |mark: &f64| (quantity * mark).abs() / (cash + quantity * mark);
                curve.exposure.extend(marks.iter().map(exposure));
                holding.mark = marks[steps - 1];
                holding.row += steps;
            }
            holdings => {
                curve.equity.extend(std::iter::repeat_n(self.cash, steps));
                curve.exposure.extend(std::iter::repeat_n(0.0, steps));
                if let [holding] = holdings {
                    holding.row += steps;
                }
            }
        }
    }

    /// One step of the timeline: fills at the open, exits, marks at the close, decisions, fills at the close.
    fn step(&mut self, step: usize) {
        let mut waiting = false;
        let mut held = false;
        for holding in &mut self.holdings {
            holding.present = holding.steps.get(holding.row).is_some_and(|next| *next as usize == step);
            holding.traded = false;
            waiting |= holding.present && !holding.pending.is_nan();
            held |= holding.present && holding.quantity != 0.0;
        }
        self.costs.begin(self.times[step]);
        self.price_fills(0);
        waiting &= self.config.fill == FillTime::NextOpen;
        let watched = self.watches && (held || waiting);
        if waiting || watched {
            for holding in self.holdings.iter_mut().filter(|holding| holding.present) {
                holding.mark = holding.open[holding.row];
            }
        }
        if waiting {
            self.trade(step, 0);
        }
        if watched {
            self.endure_bar(step);
        }
        self.decide(step, watched);
    }

    /// The close of a step: marks, funding and borrowing, exits by time, decisions, and with `same_close` their fills.
    fn decide(&mut self, step: usize, watched: bool) {
        let mut waiting = false;
        for holding in self.holdings.iter_mut().filter(|holding| holding.present) {
            holding.mark = holding.close[holding.row];
            let target = holding.order(holding.row);
            if !target.is_nan() {
                holding.pending = target;
            }
            waiting |= !holding.pending.is_nan();
        }
        self.price_fills(1);
        self.carry();
        if watched {
            self.time_out(step);
        }
        if waiting && self.config.fill == FillTime::SameClose {
            self.trade(step, 1);
        }
        for holding in self.holdings.iter_mut().filter(|holding| holding.present) {
            holding.row += 1;
        }
    }

    /// Records what the book is worth at the close of a step, and closes it for good where that is nothing.
    fn close_step(&mut self, step: usize) {
        if self.equity() <= 0.0 {
            self.liquidate(step);
            self.bankrupt_at = Some(self.times[step]);
        }
        if self.note_balance(step) {
            return;
        }
        let (worth, gross) = (self.equity(), self.gross());
        self.curve.equity.push(worth);
        self.curve.cash.push(self.cash);
        self.curve.exposure.push(if gross == 0.0 { 0.0 } else { gross / worth });
    }

    pub(super) fn equity(&self) -> f64 {
        self.holdings.iter().fold(self.cash, |sum, holding| sum + holding.quantity * holding.mark)
    }

    pub(super) fn gross(&self) -> f64 {
        self.holdings.iter().fold(0.0, |sum, holding| sum + (holding.quantity * holding.mark).abs())
    }
}
