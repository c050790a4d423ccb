//! Thousands of books at once, of which only figures are kept.
//!
//! The batch gives the money of the ledger ([`super::run_book`]) to the bit: fills, fees, final equity, maximum drawdown
//! and every count. Mean and deviation of the returns come from sums in another order and agree within 1e-10. It is meant
//! for grids of parameters: memory is a few hundred bytes a book, and processor time a fraction of a nanosecond a bar.

use super::config::{BacktestConfig, Books};
use super::costs::lower;
use super::exits::Exits;
use super::sizing::Sizing;
use crate::domains::market::strategies::sma_cross::SmaCross;
use crate::kernels::batch_book::{BatchBook, BookRules, Market, Size};
use crate::kernels::batch_orders::{OrderBook, OrderColumn, OrderPass, list_orders, run_orders};
use crate::kernels::exit_rules::ExitParameters;
use crate::kernels::gpu::Gpu;
use crate::kernels::instructions::Instructions;
use crate::progress::{Event, Progress};
use crate::table::{Bars, BookFigures, Positions, ReturnMatrix};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// Books over one symbol, each with the whole starting cash.
#[derive(Clone, Debug)]
pub struct BatchRequest<'a> {
    /// The bars.
    pub bars: &'a Bars,
    /// Which symbol is traded.
    pub symbol: usize,
    /// How all books are run; see [`supports`].
    pub config: &'a BacktestConfig,
    /// Steps of the timeline on which the books run.
    pub span: Range<usize>,
    /// `[book]`: exits of each book; empty where all have those of the configuration.
    pub exits: &'a [Exits],
    /// `[row of the symbol]`: share of the position's worth that is paid at each close; empty for none.
    pub funding: &'a [f64],
    /// `[row of the symbol]`: share of a short position's worth that is paid at each close; empty for none.
    pub borrow: &'a [f64],
    /// Into how many equal stretches the span is cut for [`BatchOutcome::returns`]; never more than there are steps.
    pub periods: usize,
    /// The instructions to use, [`Instructions::widest`] where nobody compares. They change no bit.
    pub instructions: Instructions,
    /// Where else books may run. It changes no bit.
    pub devices: Devices<'a>,
}

/// CUDA devices for books.
#[derive(Clone, Copy, Debug, Default)]
pub struct Devices<'a> {
    /// The devices.
    pub gpus: &'a [Gpu],
    /// Whether all books that can run there do, be it slower. Otherwise devices and processors take what they are seen to do
    /// in the same time, and small work stays with the processors.
    pub first: bool,
}

/// What the books trade on.
#[derive(Clone, Copy)]
pub enum Signals<'a> {
    /// A book a pair of simple moving averages.
    SmaCross(&'a [SmaCross]),
    /// Books whose positions a function decides, one book at a time.
    Decided {
        /// Number of books.
        books: usize,
        /// The positions of a book.
        decide: &'a (dyn Fn(usize) -> Result<Positions, String> + Sync),
    },
}

/// What is kept of the books, in their order.
#[derive(Clone, Debug, Default)]
pub struct BatchOutcome {
    /// Figures of each.
    pub figures: Vec<BookFigures>,
    /// Returns of each over equal stretches of the span.
    pub returns: ReturnMatrix,
    /// How many of the books CUDA devices ran.
    pub on_devices: usize,
}

/// Whether the batch can run books of this configuration.
///
/// # Errors
/// Why not; then [`super::run_books`] can.
pub fn supports(bars: &Bars, config: &BacktestConfig) -> Result<(), String> {
    if bars.symbols().len() > 1 && config.books == Books::SharedCash {
        return Err(format!("{} symbols share the cash of a book", bars.symbols().len()));
    }
    rules(config).map(|_| ())
}

/// Sizes and costs in the numbers of the kernel.
fn rules(config: &BacktestConfig) -> Result<BookRules, String> {
    let size = match config.sizing {
        Sizing::AllIn {} => Size::Share(1.0),
        Sizing::Fraction { of_equity } => Size::Share(of_equity),
        Sizing::Fixed { quantity } => Size::Units(quantity),
        _ => return Err(format!("sizing by {} looks at more than the target", config.sizing)),
    };
    if config.leverage() > 1.0 {
        return Err(format!("a leverage of {} may be liquidated within a bar", config.leverage()));
    }
    let rates = lower(&config.costs)?;
    let linear = rates
        .linear()
        .ok_or_else(|| format!("{} is no cost in proportion", rates.beyond_linear.join(", ")))?;
    Ok(BookRules { costs: linear.taker, resting: linear.maker, size })
}

/// Runs every book over the span in the current pool of threads. The number of threads changes no bit.
///
/// # Errors
/// A configuration that [`supports`] refuses, or what `decide` failed with.
pub fn run_batch(
    request: &BatchRequest,
    signals: Signals,
    progress: &dyn Progress,
) -> Result<BatchOutcome, String> {
    let rules = rules(request.config)?;
    let stage = Stage::new(request, rules);
    match signals {
        Signals::SmaCross(pairs) => Ok(stage.crosses(pairs, progress)),
        Signals::Decided { books, decide } => stage.decided(books, decide, progress),
    }
}

/// What all books of a request share.
pub(super) struct Stage<'a> {
    pub(super) request: &'a BatchRequest<'a>,
    pub(super) rules: BookRules,
    pub(super) market: Market<'a>,
    /// The market's first row in the symbol's history.
    pub(super) first_row: usize,
    /// Steps of the span.
    bars: usize,
    pub(super) periods: usize,
}

impl<'a> Stage<'a> {
    fn new(request: &'a BatchRequest<'a>, rules: BookRules) -> Stage<'a> {
        let symbol = &request.bars.symbols()[request.symbol];
        let timeline = request.bars.timeline();
        let span = request.span.start..request.span.end.min(timeline.times().len()).max(request.span.start);
        let steps = timeline.steps(request.symbol);
        let row_at = |step: usize| steps.partition_point(|other| (*other as usize) < step);
        let rows = row_at(span.start)..row_at(span.end);
        let steps = &steps[rows.clone()];
        let contiguous =
            steps.len() == span.len() && steps.first().is_none_or(|first| *first as usize == span.start);
        let mut market = Market {
            open: &symbol.open()[rows.clone()],
            high: &symbol.high()[rows.clone()],
            low: &symbol.low()[rows.clone()],
            close: &symbol.close()[rows.clone()],
            steps: if contiguous { &[] } else { steps },
            end_step: span.end,
            sample_rows: Vec::new(),
            unlisted_samples: 0,
            funding: request.funding.get(rows.clone()).unwrap_or_default(),
            borrow: request.borrow.get(rows.clone()).unwrap_or_default(),
        };
        let (bars, periods) = (span.len(), request.periods.min(span.len()));
        // A stretch ends with the last row before the step at which the next begins; before the first row there is none.
        let ends = (1..=periods)
            .map(|period| span.start + (period as u128 * bars as u128 / periods as u128) as usize);
        let rows_before: Vec<usize> =
            ends.map(|end| steps.partition_point(|step| (*step as usize) < end)).collect();
        market.unlisted_samples = rows_before.partition_point(|rows| *rows == 0);
        market.sample_rows = rows_before.iter().map(|rows| rows.saturating_sub(1) as u32).collect();
        Stage { request, rules, market, first_row: rows.start, bars, periods }
    }

    /// The exits of a book.
    pub(super) fn exits(&self, book: usize) -> ExitParameters {
        let BatchRequest { config, exits, .. } = self.request;
        exits.get(book).unwrap_or(&config.exits).lower(config.fill)
    }

    /// Whether something may happen to a position without an order.
    pub(super) fn watches(&self, book: usize) -> bool {
        self.exits(book).any() || !self.market.funding.is_empty() || !self.market.borrow.is_empty()
    }

    /// Books whose orders a function decides.
    fn decided(
        &self,
        books: usize,
        decide: &(dyn Fn(usize) -> Result<Positions, String> + Sync),
        progress: &dyn Progress,
    ) -> Result<BatchOutcome, String> {
        let (done, total) = (AtomicU64::new(0), books as u64);
        progress.on(&Event::BooksDone { done: 0, total });
        let mut figures = vec![BookFigures::default(); books];
        let mut returns = vec![0.0; books * self.periods];
        let mut places: Vec<(usize, Place)> =
            figures.iter_mut().zip(rows_of(&mut returns, self.periods, books)).enumerate().collect();
        // Books of a group go through each tile together, so that the market comes from memory once for all of them.
        let group = books.div_ceil(rayon::current_num_threads()).clamp(1, GROUP);
        places.par_chunks_mut(group).try_for_each(|mut places| {
            while !places.is_empty() {
                let count = self.decided_group(decide, places)?;
                places = &mut places[count..];
                let done = done.fetch_add(count as u64, Ordering::Relaxed) + count as u64;
                progress.on(&Event::BooksDone { done, total });
            }
            Ok::<(), String>(())
        })?;
        let returns = ReturnMatrix::new(self.periods, returns).unwrap_or_default();
        Ok(BatchOutcome { figures, returns, on_devices: 0 })
    }

    /// Runs the first of some books, as many as their orders leave room for, and says how many.
    fn decided_group(
        &self,
        decide: &(dyn Fn(usize) -> Result<Positions, String> + Sync),
        places: &mut [(usize, Place)],
    ) -> Result<usize, String> {
        let BatchRequest { config, symbol, instructions, .. } = *self.request;
        let (cash, stride, rows) = (config.cash, self.periods + 1, self.market.close.len());
        let mut books = Vec::with_capacity(places.len());
        let mut listed = 0;
        for (book, _) in places.iter() {
            if listed > GROUP_ORDERS {
                break;
            }
            let (positions, exits) = (decide(*book)?, self.exits(*book));
            let lag = usize::from(exits.fills_at_open);
            let column =
                OrderColumn { targets: positions.targets(symbol), first_row: self.first_row, rows, lag };
            let orders = list_orders(column, instructions);
            listed += orders.len();
            books.push(OrderBook { book: BatchBook::new(cash), orders, exits });
        }
        let places = &mut places[..books.len()];
        let mut samples = vec![cash; books.len() * stride];
        let pass =
            OrderPass { market: &self.market, rules: &self.rules, books: &mut books, samples: &mut samples };
        run_orders(pass, instructions);
        for ((_, place), (book, samples)) in
            places.iter_mut().zip(books.iter().zip(samples.chunks_exact(stride)))
        {
            *place.0 = self.figures(&book.book);
            self.stretches(samples, place.1);
        }
        Ok(books.len())
    }

    /// What is kept of a book.
    pub(super) fn figures(&self, book: &BatchBook) -> BookFigures {
        let count = self.bars as f64;
        let mean = if self.bars > 0 { book.sum / count } else { 0.0 };
        let scatter = book.squares - count * mean * mean;
        // What is left of equal returns is the rounding of the two terms.
        let scattered = self.bars > 1 && scatter > 1e-13 * book.squares;
        BookFigures {
            bars: self.bars,
            starting_cash: self.request.config.cash,
            final_equity: book.equity(),
            mean_return: mean,
            return_deviation: if scattered { (scatter / (count - 1.0)).sqrt() } else { 0.0 },
            max_drawdown: book.max_drawdown(),
            fills: book.fills,
            trades: book.trades,
            winning_trades: book.winning_trades,
            fees: book.fees,
            slippage_cost: book.slippage_cost,
            held_bars: book.held_steps,
            bankrupt: book.bankrupt,
        }
    }

    /// Returns from sample to sample, the first against the starting cash; 0 once nothing is left.
    pub(super) fn stretches(&self, samples: &[f64], returns: &mut [f32]) {
        let mut before = self.request.config.cash;
        for (change, worth) in returns.iter_mut().zip(samples) {
            *change = if before > 0.0 { (worth / before - 1.0) as f32 } else { 0.0 };
            before = *worth;
        }
    }
}

/// Where the figures and the returns of a book go.
pub(super) type Place<'a> = (&'a mut BookFigures, &'a mut [f32]);

/// The rows of a matrix; empty ones where it has no columns.
pub(super) fn rows_of(values: &mut [f32], columns: usize, rows: usize) -> Vec<&mut [f32]> {
    if columns == 0 {
        return (0..rows).map(|_| <&mut [f32]>::default()).collect();
    }
    values.chunks_exact_mut(columns).collect()
}

/// Books of a group at most.
const GROUP: usize = 32;

/// After so many orders (32 MiB) no further book joins a group.
const GROUP_ORDERS: usize = 2 << 20;
