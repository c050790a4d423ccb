//! One of many books: its state, its fills, and how a stretch of bars without a fill is taken in at once.
//!
//! Cash, quantities, equity, drawdown and the counts have the bits of the ledger, because every one of them comes from
//! the same operations in the same order: equity at a close is `cash + quantity x close`, which never falls where the
//! close rises (or the other way round for a short), so that the highest and lowest close of a stretch give the exact
//! highest and lowest equity. Sums of returns are the one thing that is computed in another way; see
//! [`BatchBook::hold`].

use super::backtest_step::{
    CostParameters, Execution, Order, execute, fitting_share, order_for_quantity, order_for_value,
};
use super::exit_rules::OpenPosition;
use super::range_extremes::{extremes, larger, smaller};

/// A change of a position by less than this share of the book's equity is rounding, not an order.
pub const SMALLEST_TRADE: f64 = 1e-9;

/// Cash below this share of the equity is what an all-in purchase could not spend for rounding: the book's returns are
/// those of the price.
const RESIDUE: f64 = 1e-13;

/// How a target becomes a quantity.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Size {
    /// A share of the book's equity at a target of 1.
    Share(f64),
    /// Units of the asset at a target of 1.
    Units(f64),
}

/// What all fills of a book obey.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BookRules {
    /// Fees and slippage of a market order.
    pub costs: CostParameters,
    /// The same of a resting limit order.
    pub resting: CostParameters,
    /// Size of a position.
    pub size: Size,
}

/// The rows of one symbol in the span of the books, with what every book reads of them. Row 0 is the first in the span.
#[derive(Clone, Debug)]
pub struct Market<'a> {
    /// `[row]`
    pub open: &'a [f64],
    /// `[row]`
    pub high: &'a [f64],
    /// `[row]`
    pub low: &'a [f64],
    /// `[row]`
    pub close: &'a [f64],
    /// `[row]`: steps of the timeline; empty where the rows follow each other without a gap.
    pub steps: &'a [u32],
    /// The step after the span.
    pub end_step: usize,
    /// `[sample]`: the row at whose close a sample of the equity is taken; rising.
    pub sample_rows: Vec<u32>,
    /// Samples that are taken before the first row.
    pub unlisted_samples: usize,
    /// `[row]`: share of the position's worth that a holder pays at the close, 0 for nothing; empty where it is never paid.
    pub funding: &'a [f64],
    /// `[row]`: share of a short position's worth that is paid at the close; empty where it is never paid.
    pub borrow: &'a [f64],
}

impl Market<'_> {
    /// Steps of the timeline from row `start` up to row `end`.
    #[inline(always)]
    fn steps_between(&self, start: usize, end: usize) -> usize {
        if self.steps.is_empty() {
            return end - start;
        }
        let after = self.steps.get(end).map_or(self.end_step, |step| *step as usize);
        after - self.steps[start] as usize
    }
}

/// Rows of a tile. The means of fifty windows fit into a second-level cache of one MiB, and sums within a tile lose
/// nothing that matters to their rounding.
pub const TILE: usize = 1024;

/// What every book reads of the rows of a tile, added up once.
#[derive(Clone, Debug)]
pub struct TileSums {
    /// The tile's first row.
    pub start: usize,
    /// Its rows, at most [`TILE`].
    pub rows: usize,
    /// `[i]`: sum of the simple returns of the close of the tile's first i rows.
    returns: [f64; TILE + 1],
    /// `[i]`: sum of their squares.
    squares: [f64; TILE + 1],
    /// `[i]`: samples taken before row i.
    samples_before: [u32; TILE + 1],
    /// `[i]`: the first row from row i of the tile on at which funding is paid, or the tile's rows.
    next_paid: [u16; TILE],
}

impl TileSums {
    /// No rows yet.
    pub fn empty() -> TileSums {
        TileSums {
            start: 0,
            rows: 0,
            returns: [0.0; TILE + 1],
            squares: [0.0; TILE + 1],
            samples_before: [0; TILE + 1],
            next_paid: [0; TILE],
        }
    }

    /// Takes in the rows from `start` on, as many as fit.
    #[inline(always)]
    pub fn fill(&mut self, market: &Market, start: usize) {
        let close = &market.close[start..market.close.len().min(start + TILE)];
        (self.start, self.rows) = (start, close.len());
        let mut changes = [0.0; TILE];
        let before = if start == 0 { close[0] } else { market.close[start - 1] };
        changes[0] = close[0] / before - 1.0;
        for (change, pair) in changes[1..].iter_mut().zip(close.windows(2)) {
            *change = pair[1] / pair[0] - 1.0;
        }
        let (mut sum, mut squares) = (0.0, 0.0);
        for (row, change) in changes[..close.len()].iter().enumerate() {
            sum += change;
            squares += change * change;
            (self.returns[row + 1], self.squares[row + 1]) = (sum, squares);
        }
        let taken = market.sample_rows.partition_point(|row| (*row as usize) < start);
        let mut sample = taken.max(market.unlisted_samples);
        for (row, count) in self.samples_before[..=close.len()].iter_mut().enumerate() {
            while market.sample_rows.get(sample).is_some_and(|next| (*next as usize) < start + row) {
                sample += 1;
            }
            *count = sample as u32;
        }
        let mut next = close.len() as u16;
        for (row, rate) in market.funding.iter().skip(start).take(close.len()).enumerate().rev() {
            next = if *rate == 0.0 { next } else { row as u16 };
            self.next_paid[row] = next;
        }
    }

    /// The first row of the market from `row` on at which funding is paid, or the end of the tile. Not to be asked where
    /// funding is never paid.
    #[inline(always)]
    pub fn next_paid(&self, row: usize) -> usize {
        self.start + self.next_paid[row - self.start] as usize
    }
}

/// What a book reads while it is held.
#[derive(Clone, Copy)]
pub struct View<'a> {
    /// The rows.
    pub market: &'a Market<'a>,
    /// The tile in which the rows lie.
    pub sums: &'a TileSums,
    /// What fills obey.
    pub rules: &'a BookRules,
}

/// The state of one book.
#[derive(Clone, Debug)]
pub struct BatchBook {
    /// Cash.
    pub cash: f64,
    /// Units held.
    pub quantity: f64,
    /// Rows that are taken in; the next one is this.
    pub marked: usize,
    /// Whether the equity was used up.
    pub bankrupt: bool,
    /// What the exits must know of the position.
    pub position: OpenPosition,
    /// Fills.
    pub fills: usize,
    /// Closed round trips.
    pub trades: usize,
    /// Those with a profit.
    pub winning_trades: usize,
    /// Fees.
    pub fees: f64,
    /// Slippage.
    pub slippage_cost: f64,
    /// Change of quantity of the last fill.
    pub last_change: f64,
    /// Steps with a position at their close.
    pub held_steps: usize,
    /// Sum of the returns.
    pub sum: f64,
    /// Sum of their squares.
    pub squares: f64,
    /// Equity at the last row that is taken in.
    pub(super) before: f64,
    /// Highest equity.
    pub(super) high: f64,
    /// Lowest equity since then.
    pub(super) trough: f64,
    /// Deepest drawdown under earlier highs.
    pub(super) deepest: f64,
    /// Profit of the round trip that is open.
    pub(super) profit: f64,
}

impl BatchBook {
    /// A book with nothing but cash.
    pub fn new(cash: f64) -> BatchBook {
        BatchBook {
            cash,
            quantity: 0.0,
            marked: 0,
            bankrupt: false,
            position: OpenPosition::FLAT,
            fills: 0,
            trades: 0,
            winning_trades: 0,
            fees: 0.0,
            slippage_cost: 0.0,
            last_change: 0.0,
            held_steps: 0,
            sum: 0.0,
            squares: 0.0,
            before: cash,
            high: cash,
            trough: cash,
            deepest: 0.0,
            profit: 0.0,
        }
    }

    /// Equity at the last close that was taken in.
    pub fn equity(&self) -> f64 {
        self.before
    }

    /// Lowest equity over highest equity before it, minus 1.
    pub fn max_drawdown(&self) -> f64 {
        let last = self.trough / self.high - 1.0;
        if self.trough < self.high { smaller(last, self.deepest) } else { self.deepest }
    }

    /// Trades to `target` at `reference`, as a ledger of one symbol does; see `domains::market::backtest`. `None` where
    /// there is nothing to trade.
    #[inline(always)]
    pub fn trade(&mut self, target: f64, reference: f64, rules: &BookRules) -> Option<Execution> {
        let (held, costs) = (self.quantity, &rules.costs);
        let equity = (self.cash + held * reference).max(0.0);
        let order = match rules.size {
            _ if target == 0.0 => order_for_quantity(held, 0.0),
            Size::Units(units) => order_for_quantity(held, target * units),
            Size::Share(share) => {
                let slot = if held == 0.0 { self.cash.max(0.0).min(equity) } else { equity };
                order_for_value(held, target * share * slot, reference, costs)
            }
        };
        let change = self.fitting(&order, reference, equity, costs);
        (change != 0.0).then(|| self.fill(change, reference, costs))
    }

    /// How much of an order is executed: what brings the position nearer to zero always, the rest as far as equity and
    /// cash go; nothing that is rounding.
    #[inline(always)]
    fn fitting(&self, order: &Order, reference: f64, equity: f64, costs: &CostParameters) -> f64 {
        let kept = (self.quantity * reference).abs() - order.reduction.abs() * reference;
        let mut share = fitting_share(equity - kept, order.increase.abs() * reference);
        if !order.sells() {
            let price = reference * costs.gross_up(1.0);
            let affordable = fitting_share(self.cash - order.reduction * price, order.increase * price);
            share = share.min(affordable);
        }
        let smallest = SMALLEST_TRADE * equity;
        let closes = order.reduction == -self.quantity;
        let counts = |change: f64, always: bool| {
            if always || change.abs() * reference > smallest { change } else { 0.0 }
        };
        counts(order.reduction, closes) + counts(order.increase * share, closes && share > SMALLEST_TRADE)
    }

    /// Books a change of quantity, and the round trip that it belongs to.
    #[inline(always)]
    pub fn fill(&mut self, change: f64, reference: f64, costs: &CostParameters) -> Execution {
        let held = self.quantity;
        let execution = execute(&mut self.cash, &mut self.quantity, change, reference, costs);
        let Execution { price, fee } = execution;
        self.fills += 1;
        self.last_change = change;
        self.fees += fee;
        self.slippage_cost += change.abs() * (price - reference).abs();
        let after = self.quantity;
        if held * after < 0.0 {
            self.profit -= -held * price + fee * (held.abs() / change.abs());
            self.close_trip();
            self.profit -= after * price + fee * (after.abs() / change.abs());
        } else {
            self.profit -= change * price + fee;
            if after == 0.0 {
                self.close_trip();
            }
        }
        execution
    }

    #[inline(always)]
    fn close_trip(&mut self) {
        self.trades += 1;
        self.winning_trades += usize::from(self.profit > 0.0);
        self.profit = 0.0;
    }

    /// Takes in the rows up to `end` (excluded), in which neither cash nor quantity changes. `range` gives the highest and
    /// the lowest close of these rows; `samples` takes the equity where the market wants it.
    ///
    /// The first row's return is against the last row before. The others are the price's own where all is invested (from
    /// sums of all bars, within 1e-13 of their size), and are computed bar by bar otherwise, in eight sums.
    #[inline(always)]
    pub fn hold(&mut self, view: View, end: usize, range: impl FnOnce() -> (f64, f64), samples: &mut [f64]) {
        let View { market, sums, .. } = view;
        let (start, cash, quantity) = (self.marked, self.cash, self.quantity);
        let first = cash + quantity * market.close[start];
        let (mut top, mut bottom) = (first, first);
        if quantity != 0.0 {
            let (highest, lowest) = range();
            (top, bottom) = (cash + quantity * highest, cash + quantity * lowest);
            if quantity < 0.0 {
                (top, bottom) = (bottom, top);
            }
        }
        if bottom <= 0.0 && !self.bankrupt {
            return self.ruin(view, end, samples);
        }
        self.earn(first);
        if quantity != 0.0 {
            if quantity > 0.0 && cash.abs() <= RESIDUE * first {
                let (from, to) = (start + 1 - sums.start, end - sums.start);
                self.sum += sums.returns[to] - sums.returns[from];
                self.squares += sums.squares[to] - sums.squares[from];
            } else {
                let (sum, squares) = sums_of_returns(&market.close[start..end], cash, quantity);
                self.sum += sum;
                self.squares += squares;
            }
            self.held_steps += market.steps_between(start, end);
        }
        if top > self.high {
            self.climb(&market.close[start..end]);
        } else {
            self.trough = smaller(bottom, self.trough);
        }
        self.sample(view, end, samples);
        self.before = cash + quantity * market.close[end - 1];
        self.marked = end;
    }

    /// Adds the return to an equity of `worth`.
    #[inline(always)]
    fn earn(&mut self, worth: f64) {
        let change = if self.before > 0.0 { worth / self.before - 1.0 } else { 0.0 };
        self.sum += change;
        self.squares += change * change;
    }

    /// Writes the samples of the rows from `self.marked` up to `end`.
    #[inline(always)]
    fn sample(&self, view: View, end: usize, samples: &mut [f64]) {
        let View { market, sums, .. } = view;
        let first = sums.samples_before[self.marked - sums.start] as usize;
        let last = sums.samples_before[end - sums.start] as usize;
        let worth = |sample: usize| {
            let row = market.sample_rows.get(sample).map_or(0, |row| *row as usize);
            self.cash + self.quantity * market.close[row]
        };
        // Whether this stretch holds a sample at all is a coin toss, and a wrong guess costs more than a store: the next
        // sample is written in any case, and again by the stretch to which it belongs.
        samples[first] = worth(first);
        let mut sample = first + 1;
        while sample < last {
            samples[sample] = worth(sample);
            sample += 1;
        }
    }

    /// Follows the equity to new highs: as `metrics::drawdowns`, with a division only where a low may be the deepest.
    #[inline(always)]
    fn climb(&mut self, close: &[f64]) {
        let (cash, quantity) = (self.cash, self.quantity);
        for piece in close.chunks(64) {
            let (highest, lowest) = extremes(piece);
            let (a, b) = (cash + quantity * highest, cash + quantity * lowest);
            if larger(a, b) <= self.high {
                self.trough = smaller(smaller(a, b), self.trough);
                continue;
            }
            for close in piece {
                let worth = cash + quantity * close;
                if worth >= self.high {
                    self.settle();
                    (self.high, self.trough) = (worth, worth);
                } else {
                    self.trough = smaller(worth, self.trough);
                }
            }
        }
    }

    /// Compares the low under the high that ends with the deepest one.
    #[inline(always)]
    fn settle(&mut self) {
        // Whoever is above this by more than rounding is not the deepest.
        if self.high - self.trough >= self.high * (-self.deepest - 1e-15) {
            self.deepest = smaller(self.trough / self.high - 1.0, self.deepest);
        }
    }

    /// The equity is used up somewhere before `end`: the book is closed at that close and stays flat.
    #[cold]
    #[inline(never)]
    fn ruin(&mut self, view: View, end: usize, samples: &mut [f64]) {
        let (cash, quantity, close) = (self.cash, self.quantity, view.market.close);
        let used_up = |row: &usize| cash + quantity * close[*row] <= 0.0;
        let row = (self.marked..end).find(used_up).unwrap_or(end - 1);
        if row > self.marked {
            let range = extremes(&close[self.marked..row]);
            self.hold(view, row, || range, samples);
        }
        self.bankrupt = true;
        if quantity != 0.0 {
            self.fill(-quantity, close[row], &view.rules.costs);
        }
        self.position = OpenPosition::FLAT;
        // Flat, so that no range is asked for.
        self.hold(view, end, || (0.0, 0.0), samples);
    }
}

/// Sums of the returns of `cash + quantity x close`, and of their squares, from the second close on. Row i + 1 adds to lane
/// i mod 8, so that every width of vectors adds in the same order.
#[inline(always)]
fn sums_of_returns(close: &[f64], cash: f64, quantity: f64) -> (f64, f64) {
    let (mut sums, mut squares) = ([0.0_f64; 8], [0.0_f64; 8]);
    let (before, last) = close[..close.len() - 1].as_chunks::<8>();
    let (now, last_now) = close[1..].as_chunks::<8>();
    for (before, now) in before.iter().zip(now) {
        let before = before.map(|close| cash + quantity * close);
        let now = now.map(|close| cash + quantity * close);
        for lane in 0..8 {
            let change = now[lane] / before[lane] - 1.0;
            sums[lane] += change;
            squares[lane] += change * change;
        }
    }
    for (lane, (before, now)) in last.iter().zip(last_now).enumerate() {
        let change = (cash + quantity * now) / (cash + quantity * before) - 1.0;
        sums[lane] += change;
        squares[lane] += change * change;
    }
    let total = |lanes: [f64; 8]| lanes.iter().sum::<f64>();
    (total(sums), total(squares))
}
