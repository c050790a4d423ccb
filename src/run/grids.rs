//! Grids of parameters: thousands of books of which only figures are kept, and the best of each, which is shown.

use super::RunError;
use super::books::{Backtested, Decided, Market, ShownBook, decide_book, settings_of, symbols};
use crate::domains::market::backtest::{
    self, BacktestConfig, BatchOutcome, BatchRequest, Devices, Exits, Signals, carry_rates, run_batch,
    supports,
};
use crate::domains::market::strategies::{BookConfig, StrategyConfig, StrategyEntry, sma_cross::SmaCross};
use crate::kernels::instructions::Instructions;
use crate::metrics::{book_figures, stretch_returns};
use crate::progress::Event;
use crate::table::{BookFigures, Positions, ReturnMatrix};
use crate::units::counted;
use rayon::prelude::*;
use std::sync::atomic::{AtomicU64, Ordering};

/// Stretches into which the test bars are cut for statistics over all books of a grid.
const STRETCHES: usize = 512;

/// Returns that are kept of a grid, all books together: 128 MiB. Larger grids are cut into fewer stretches.
const MOST_RETURNS: usize = 1 << 25;

/// Fewest stretches: what the cross-validation of overfitting needs.
const FEWEST_STRETCHES: usize = 32;

/// Books whose settings are in memory at the same time.
const CHUNK: usize = 65_536;

/// A grid of one strategy, or of one strategy and symbol, after its backtest.
pub(super) struct GridRun<'a> {
    /// The strategy's name, with a book a symbol `sma@ALPHA`.
    pub name: String,
    pub entry: &'a StrategyEntry,
    strategy: &'a str,
    symbol: Option<usize>,
    /// Whether the batch ran it, or the ledger.
    pub batch: bool,
    /// How many of its books CUDA devices ran.
    on_devices: usize,
    /// Figures of each book.
    pub figures: Vec<BookFigures>,
    /// Returns of each book over equal stretches of the test bars.
    pub returns: ReturnMatrix,
    /// Bars a year of the books.
    pub periods_per_year: f64,
}

impl GridRun<'_> {
    /// The Sharpe ratio of every book; one without counts as 0.
    pub(super) fn sharpes(&self) -> Vec<f64> {
        self.figures.iter().map(|book| book.sharpe(self.periods_per_year).unwrap_or(0.0)).collect()
    }

    /// The book with the best Sharpe ratio, the first of equals.
    pub(super) fn best(&self) -> usize {
        let sharpes = self.sharpes();
        (0..sharpes.len()).fold(0, |best, book| if sharpes[book] > sharpes[best] { book } else { best })
    }

    /// The name under which a book is shown: `sma[fast=10,slow=60]`, with a book a symbol `sma[...]@ALPHA`.
    fn book_name(&self, book: usize) -> String {
        format!("{}[{}]", self.strategy, self.entry.label(book))
    }

    /// The name of the best book among the shown ones.
    pub(super) fn best_name(&self) -> String {
        let symbol = self.name.strip_prefix(self.strategy).unwrap_or_default();
        format!("{}{symbol}", self.book_name(self.best()))
    }
}

/// Into how many stretches the test bars are cut for a grid of so many books.
pub(super) fn stretches(books: usize) -> usize {
    STRETCHES.min((MOST_RETURNS / books.max(1)).max(FEWEST_STRETCHES))
}

/// Runs every grid over the test bars.
pub(super) fn run_grids<'a>(market: &Market<'a>) -> Result<Vec<GridRun<'a>>, RunError> {
    let mut grids = Vec::new();
    for (name, entry) in market.plan.experiment.strategies.iter().filter(|(_, entry)| entry.is_grid()) {
        for symbol in symbols(market, &market.plan.experiment.backtest) {
            grids.push(run_grid(market, name, entry, symbol)?);
        }
    }
    Ok(grids)
}

fn run_grid<'a>(
    market: &Market<'a>,
    strategy: &'a str,
    entry: &'a StrategyEntry,
    symbol: Option<usize>,
) -> Result<GridRun<'a>, RunError> {
    let span = symbol.map_or_else(
        || market.fitted.span.clone(),
        |symbol| backtest::listed(market.bars, symbol, &market.fitted.span),
    );
    let name = match symbol {
        Some(symbol) => format!("{strategy}@{}", market.bars.symbols()[symbol].symbol()),
        None => strategy.to_owned(),
    };
    let stretches = stretches(entry.len()).min(span.len());
    let work = GridWork { market, strategy, symbol, span: span.clone(), stretches };
    let (mut batch, mut on_devices, mut figures, mut values) = (true, 0, Vec::new(), Vec::new());
    for start in (0..entry.len()).step_by(CHUNK) {
        let books: Vec<BookConfig> =
            (start..entry.len().min(start + CHUNK)).map(|book| entry.config(book)).collect();
        let (first, periods) = (figures.len(), stretches);
        figures.resize(first + books.len(), BookFigures::default());
        values.resize((first + books.len()) * periods, 0.0);
        for (settings, members) in by_settings(market, &books) {
            let alike: Vec<BookConfig> = members.iter().map(|book| books[*book].clone()).collect();
            let (outcome, by_batch) = work.run(&settings, &alike)?;
            for (place, book) in members.into_iter().enumerate() {
                figures[first + book] = outcome.figures[place];
                let row = (first + book) * periods;
                values[row..row + periods].copy_from_slice(outcome.returns.book(place));
            }
            batch &= by_batch;
            on_devices += outcome.on_devices;
        }
    }
    let times = market.bars.timeline().times().get(span).unwrap_or_default();
    Ok(GridRun {
        name,
        entry,
        strategy,
        symbol,
        batch,
        on_devices,
        figures,
        returns: ReturnMatrix::new(stretches, values).unwrap_or_default(),
        periods_per_year: market.plan.experiment.backtest.annual_periods(times),
    })
}

/// The books that are sized alike, each group with its settings. Their exits may differ.
fn by_settings(market: &Market, books: &[BookConfig]) -> Vec<(BacktestConfig, Vec<usize>)> {
    let mut groups: Vec<(BacktestConfig, Vec<usize>)> = Vec::new();
    for (index, book) in books.iter().enumerate() {
        let alike = groups.iter_mut().find(|(_, members)| books[members[0]].sizing == book.sizing);
        match alike {
            Some((_, members)) => members.push(index),
            None => groups.push((settings_of(market, book), vec![index])),
        }
    }
    groups
}

/// A grid while it is run.
struct GridWork<'a, 'b> {
    market: &'b Market<'a>,
    strategy: &'a str,
    symbol: Option<usize>,
    span: std::ops::Range<usize>,
    stretches: usize,
}

impl GridWork<'_, '_> {
    /// Runs books of equal settings, in the batch where it can.
    fn run(&self, settings: &BacktestConfig, books: &[BookConfig]) -> Result<(BatchOutcome, bool), RunError> {
        if supports(self.market.bars, settings).is_err() {
            return Ok((self.run_in_ledger(books)?, false));
        }
        let fail = |reason| RunError::Strategy { strategy: self.strategy.to_owned(), reason };
        let symbol = self.symbol.unwrap_or(0);
        let traded = &self.market.bars.symbols()[symbol];
        let carry = carry_rates(&settings.costs, traded, settings.periods_per_year).map_err(fail)?;
        let exits: Vec<Exits> =
            books.iter().map(|book| book.exits.clone().unwrap_or_else(|| settings.exits.clone())).collect();
        let request = BatchRequest {
            bars: self.market.bars,
            symbol,
            config: settings,
            span: self.span.clone(),
            exits: &exits,
            funding: &carry.funding,
            borrow: &carry.borrow,
            periods: self.stretches,
            instructions: Instructions::widest(),
            devices: Devices { gpus: self.market.gpus, first: false },
        };
        let crosses: Vec<SmaCross> = books
            .iter()
            .filter_map(|book| match &book.strategy {
                StrategyConfig::SmaCross(cross) => Some(cross.clone()),
                _ => None,
            })
            .collect();
        let decide = |book: usize| self.decide(&books[book]).map_err(|error| error.to_string());
        let signals = if crosses.len() == books.len() {
            Signals::SmaCross(&crosses)
        } else {
            Signals::Decided { books: books.len(), decide: &decide }
        };
        let outcome = run_batch(&request, signals, self.market.progress);
        Ok((outcome.map_err(fail)?, true))
    }

    fn decide(&self, book: &BookConfig) -> Result<Positions, RunError> {
        let place = (&self.market.fitted.span, None, 0);
        decide_book(self.market, self.strategy, &book.strategy, &self.market.fitted.predictions, place)
    }

    /// One book after the other; of each only figures are kept.
    fn run_in_ledger(&self, books: &[BookConfig]) -> Result<BatchOutcome, RunError> {
        let (done, total) = (AtomicU64::new(0), books.len() as u64);
        self.market.progress.on(&Event::BooksDone { done: 0, total });
        let found: Vec<(BookFigures, Vec<f32>)> = books
            .par_iter()
            .map(|book| {
                let (positions, settings) = (self.decide(book)?, settings_of(self.market, book));
                let result = backtest::run_one(
                    self.market.bars,
                    ("", &positions),
                    &settings,
                    self.span.clone(),
                    self.symbol,
                );
                let done = done.fetch_add(1, Ordering::Relaxed) + 1;
                self.market.progress.on(&Event::BooksDone { done, total });
                Ok((book_figures(&result), stretch_returns(&result, self.stretches)))
            })
            .collect::<Result<_, RunError>>()?;
        let (figures, returns): (Vec<BookFigures>, Vec<Vec<f32>>) = found.into_iter().unzip();
        let returns = ReturnMatrix::new(self.stretches, returns.concat()).unwrap_or_default();
        Ok(BatchOutcome { figures, returns, on_devices: 0 })
    }
}

/// The best book of each grid, run again with its whole curve.
pub(super) fn best_books(market: &Market, grids: &[GridRun]) -> Result<Vec<Backtested>, RunError> {
    grids.iter().map(|grid| best_book(market, grid)).collect()
}

fn best_book(market: &Market, grid: &GridRun) -> Result<Backtested, RunError> {
    let book = grid.entry.config(grid.best());
    let settings = settings_of(market, &book);
    let place = (&market.fitted.span, None, 0);
    let positions = decide_book(market, grid.strategy, &book.strategy, &market.fitted.predictions, place)?;
    let name = grid.book_name(grid.best());
    let span = market.fitted.span.clone();
    let result = backtest::run_one(market.bars, (&name, &positions), &settings, span, grid.symbol);
    let shown = ShownBook { result, symbol: grid.symbol, spread: None, grid: Some(grid.name.clone()) };
    let model = market.model_of(&book).map(|(model, _)| model.to_owned());
    let decided = Decided {
        name: grid.best_name(),
        config: book.strategy,
        model,
        settings,
        positions,
        reference: None,
    };
    Ok(Backtested { decided, shown: vec![shown] })
}

pub(super) fn describe(grids: &[GridRun]) -> String {
    let books: usize = grids.iter().map(|grid| grid.figures.len()).sum();
    let on_devices: usize = grids.iter().map(|grid| grid.on_devices).sum();
    let place = if on_devices > 0 { format!(", {on_devices} of them on CUDA") } else { String::new() };
    format!("{} of {}{place}", counted(books, "book"), counted(grids.len(), "grid"))
}
