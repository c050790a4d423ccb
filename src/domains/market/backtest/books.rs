//! Many books in parallel.

use super::config::{BacktestConfig, Books};
use super::ledger::{Ledger, run_book};
use crate::progress::{Event, Progress};
use crate::table::{Bars, BookResult, Positions};
use rayon::prelude::*;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};

/// Runs every book `(name, positions)` over the steps `span` of the timeline, in the current pool of threads. The order
/// of books is kept; with one book a symbol those of a strategy follow each other in the order of symbols. Books do not
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
            let result = match symbol {
                None => run_book(bars, positions, name, config, span.clone()),
                Some(symbol) => {
                    let name = format!("{name}@{}", bars.symbols()[*symbol].symbol());
                    Ledger::new(bars, positions, config, *symbol..*symbol + 1).run(&name, span.clone())
                }
            };
            progress.on(&Event::BooksDone { done: done.fetch_add(1, Ordering::Relaxed) + 1, total });
            result
        })
        .collect()
}
