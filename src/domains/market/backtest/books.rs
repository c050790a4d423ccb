//! Many books in parallel.

use super::config::{BacktestConfig, Books};
use super::ledger::{Ledger, run_book};
use crate::progress::{Event, Progress};
use crate::table::{Bars, BookResult, CompactBook, Positions};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// The part of the span from a symbol's first bar to its last: a book of its own does not exist before, and figures over
/// years of waiting would say nothing.
pub fn listed(bars: &Bars, symbol: usize, span: &Range<usize>) -> Range<usize> {
    let steps = bars.timeline().steps(symbol);
    let (first, last) = (steps[0] as usize, steps[steps.len() - 1] as usize);
    let start = span.start.max(first);
    start..span.end.min(last + 1).max(start)
}

/// Runs one book over all symbols, or the book of one symbol over the part of the span in which it is listed.
pub fn run_one(
    bars: &Bars,
    (name, positions): (&str, &Positions),
    config: &BacktestConfig,
    span: Range<usize>,
    symbol: Option<usize>,
) -> BookResult {
    let Some(symbol) = symbol else {
        return run_book(bars, positions, name, config, span);
    };
    let name = format!("{name}@{}", bars.symbols()[symbol].symbol());
    let span = listed(bars, symbol, &span);
    Ledger::new(bars, positions, config, symbol..symbol + 1).run(&name, span)
}

/// The book of [`run_one`] without its curve, for who wants its figures alone: a fraction of the time and of the memory.
/// `None` where only the whole curve says it all: with several symbols, and where the symbol has no bar at some step.
pub fn run_compact<'a>(
    bars: &'a Bars,
    positions: &'a Positions,
    config: &'a BacktestConfig,
    span: Range<usize>,
    symbol: Option<usize>,
) -> Option<CompactBook<'a>> {
    let span = symbol.map_or_else(|| span.clone(), |symbol| listed(bars, symbol, &span));
    let symbols = symbol.map_or(0..bars.symbols().len(), |symbol| symbol..symbol + 1);
    let end = span.end.min(bars.timeline().times().len());
    Ledger::new(bars, positions, config, symbols).run_compact(span.start.min(end)..end)
}

/// Runs every book `(name, positions)` over the steps `span` of the timeline, in the current pool of threads. The order
/// of books is kept; with one book a symbol those of a strategy follow each other in the order of symbols, each over the part of the span in
/// which its symbol is listed. Books do not
/// know each other, so the number of threads changes no bit.
pub fn run_books(
    bars: &Bars,
    books: &[(String, Positions)],
    config: &BacktestConfig,
    span: Range<usize>,
    progress: &dyn Progress,
) -> Vec<BookResult> {
    let work: Vec<(usize, Option<usize>)> = match config.books {
        Books::SharedCash => (0..books.len()).map(|book| (book, None)).collect(),
        Books::PerSymbol => (0..books.len())
            .flat_map(|book| (0..bars.symbols().len()).map(move |symbol| (book, Some(symbol))))
            .collect(),
    };
    let (done, total) = (AtomicU64::new(0), work.len() as u64);
    progress.on(&Event::BooksDone { done: 0, total });
    work.par_iter()
        .map(|(book, symbol)| {
            let (name, positions) = &books[*book];
            let result = run_one(bars, (name, positions), config, span.clone(), *symbol);
            progress.on(&Event::BooksDone { done: done.fetch_add(1, Ordering::Relaxed) + 1, total });
            result
        })
        .collect()
}
