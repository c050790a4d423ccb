//! Books of moving-average crosses: cut into chunks that share few means, which processors and CUDA devices share out among
//! them ([`Board`]).

use super::batch::{BatchOutcome, Devices, Place, Stage, rows_of};
use super::board::Board;
use super::config::FillTime;
use crate::domains::market::strategies::{Direction, TIE, sma_cross::SmaCross};
use crate::kernels::backtest_batch::{CrossBook, CrossPass, run_crosses};
use crate::kernels::backtest_device::{STRETCH_BYTES, run_crosses_on, runs};
use crate::kernels::batch_book::BatchBook;
use crate::kernels::exit_rules::ExitParameters;
use crate::kernels::gpu::{Gpu, GpuError};
use crate::progress::{Event, Progress};
use crate::table::{BookFigures, ReturnMatrix};
use rayon::prelude::*;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Lengths of one axis whose means stand in the cache together.
const BLOCK: usize = 25;

/// Books in a chunk at most; fewer where there would be less than a chunk for each thread.
const CHUNK: usize = 625;

/// Chunks for each thread where there are devices, so that work can change hands.
const CHUNKS_WITH_DEVICES: usize = 4;

/// Bars of all books below which no device is asked: what a core runs in a tenth of a second (`benches/README.md`), while a
/// device needs some hundredths to be given its work and to give it back.
const LEAST_FOR_DEVICES: u64 = 1 << 28;

/// Books that are run together.
struct Chunk<'a> {
    books: Vec<usize>,
    /// Where their figures and returns go, until somebody has run them.
    places: Mutex<Option<Vec<Place<'a>>>>,
}

impl<'a> Chunk<'a> {
    fn places(&self) -> std::sync::MutexGuard<'_, Option<Vec<Place<'a>>>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Books of some chunks, ready to be run.
struct Prepared {
    windows: Vec<usize>,
    books: Vec<CrossBook>,
    /// `[book]`, or empty where nothing can happen without an order.
    exits: Vec<ExitParameters>,
}

/// All chunks while they are run.
struct Work<'a, 'b> {
    stage: &'b Stage<'a>,
    pairs: &'b [SmaCross],
    chunks: Vec<Chunk<'b>>,
    board: Board,
    done: AtomicU64,
    on_devices: AtomicUsize,
    progress: &'b dyn Progress,
}

impl Stage<'_> {
    /// The books of some pairs; every one is checked by its strategy before.
    pub(super) fn crosses(&self, pairs: &[SmaCross], progress: &dyn Progress) -> BatchOutcome {
        progress.on(&Event::BooksDone { done: 0, total: pairs.len() as u64 });
        let Devices { gpus, first } = self.request.devices;
        let gpus = if first || self.bars_of(pairs.len()) >= LEAST_FOR_DEVICES { gpus } else { &[] };
        let threads = rayon::current_num_threads();
        let parts = if gpus.is_empty() { threads } else { CHUNKS_WITH_DEVICES * threads };
        let mut figures = vec![BookFigures::default(); pairs.len()];
        let mut returns = vec![0.0; pairs.len() * self.periods];
        let mut places: Vec<_> =
            figures.iter_mut().zip(rows_of(&mut returns, self.periods, pairs.len())).map(Some).collect();
        let chunk = |books: Vec<usize>| {
            let places = books.iter().filter_map(|book| places[*book].take()).collect();
            Chunk { books, places: Mutex::new(Some(places)) }
        };
        let chunks: Vec<Chunk> = chunks(pairs, parts).into_iter().map(chunk).collect();
        let sizes = chunks.iter().map(|chunk| chunk.books.len()).collect();
        let board = Board::new(sizes, gpus.len(), first);
        let (done, on_devices) = (AtomicU64::new(0), AtomicUsize::new(0));
        let work = Work { stage: self, pairs, chunks, board, done, on_devices, progress };
        std::thread::scope(|scope| {
            for (number, gpu) in gpus.iter().enumerate() {
                let work = &work;
                scope.spawn(move || work.on_device(number, gpu));
            }
            (0..threads).into_par_iter().for_each(|_| work.on_processor());
        });
        let on_devices = work.on_devices.into_inner();
        drop(work.chunks);
        BatchOutcome {
            figures,
            returns: ReturnMatrix::new(self.periods, returns).unwrap_or_default(),
            on_devices,
        }
    }

    /// Bars of all books together.
    fn bars_of(&self, books: usize) -> u64 {
        self.market.close.len() as u64 * books as u64
    }

    fn prepare<'p>(&self, pairs: &[SmaCross], books: impl Iterator<Item = &'p usize> + Clone) -> Prepared {
        let mut windows: Vec<usize> =
            books.clone().flat_map(|pair| [pairs[*pair].fast, pairs[*pair].slow]).collect();
        windows.sort_unstable();
        windows.dedup();
        let window = |length: usize| windows.partition_point(|other| *other < length);
        let cross = |pair: &usize| CrossBook {
            book: BatchBook::new(self.request.config.cash),
            fast: window(pairs[*pair].fast),
            slow: window(pairs[*pair].slow),
            short: pairs[*pair].direction == Direction::LongShort,
            level: 0.0,
        };
        let watched = books.clone().any(|book| self.watches(*book));
        Prepared {
            books: books.clone().map(cross).collect(),
            exits: books.filter(|_| watched).map(|book| self.exits(*book)).collect(),
            windows,
        }
    }

    fn pass<'p>(&'p self, prepared: &'p mut Prepared, samples: &'p mut [f64]) -> CrossPass<'p> {
        let at_open = self.request.config.fill == FillTime::NextOpen;
        CrossPass {
            market: &self.market,
            fill_prices: if at_open { self.market.open } else { self.market.close },
            history: self.request.bars.symbols()[self.request.symbol].close(),
            first_row: self.first_row,
            tie: TIE,
            lag: usize::from(at_open),
            windows: &prepared.windows,
            rules: &self.rules,
            exits: &prepared.exits,
            books: &mut prepared.books,
            samples,
        }
    }
}

impl Work<'_, '_> {
    /// Runs chunks on this thread until none is left.
    fn on_processor(&self) {
        while let Some(number) = self.board.for_processor() {
            let (stage, chunk) = (self.stage, &self.chunks[number]);
            let stride = stage.periods + 1;
            let mut prepared = stage.prepare(self.pairs, chunk.books.iter());
            let mut samples = vec![stage.request.config.cash; chunk.books.len() * stride];
            run_crosses(stage.pass(&mut prepared, &mut samples), stage.request.instructions);
            // A device may have been first.
            if let Some(places) = chunk.places().take() {
                let books = prepared.books.iter().zip(samples.chunks_exact(stride));
                for (place, (book, samples)) in places.into_iter().zip(books) {
                    *place.0 = stage.figures(&book.book);
                    stage.stretches(samples, place.1);
                }
                self.tell(chunk.books.len());
            }
            self.board.ran(number);
        }
    }

    /// Runs slices on a device until none is left, or until it fails.
    fn on_device(&self, number: usize, gpu: &Gpu) {
        loop {
            let chunks: Vec<&Chunk> =
                self.board.for_device(number).into_iter().map(|chunk| &self.chunks[chunk]).collect();
            if chunks.is_empty() {
                return;
            }
            // A slice that nobody ended would be waited for for ever.
            let slice = catch_unwind(AssertUnwindSafe(|| self.slice(number, gpu, &chunks)));
            let result = slice.unwrap_or_else(|panic| {
                self.board.ended(number, false);
                resume_unwind(panic)
            });
            self.board.ended(number, matches!(result, Ok(true)));
            if let Err(error) = result {
                let text = format!("{gpu:?} failed in the backtest ({error}); the processors run its books");
                self.progress.on(&Event::Warning { text });
            }
        }
    }

    /// Runs the books of some chunks on a device. Whether it came to the end.
    fn slice(&self, number: usize, gpu: &Gpu, chunks: &[&Chunk]) -> Result<bool, GpuError> {
        let stage = self.stage;
        let mut prepared = stage.prepare(self.pairs, chunks.iter().flat_map(|chunk| &chunk.books));
        let pass = stage.pass(&mut prepared, &mut []);
        if !runs(&pass) {
            return Ok(false);
        }
        let owners: Vec<(usize, usize)> = chunks
            .iter()
            .enumerate()
            .flat_map(|(chunk, books)| (0..books.books.len()).map(move |book| (chunk, book)))
            .collect();
        let mut keep = |book: usize, returns: &[f32]| {
            let (chunk, book) = owners[book];
            if let Some(places) = chunks[chunk].places().as_mut() {
                places[book].1.copy_from_slice(returns);
            }
        };
        if !run_crosses_on(gpu, pass, STRETCH_BYTES, &|| self.board.overtaken(number), &mut keep)? {
            return Ok(false);
        }
        let mut books = prepared.books.iter();
        for chunk in chunks {
            let own = books.by_ref().take(chunk.books.len());
            // Nothing is left where a processor was first.
            let Some(places) = chunk.places().take() else {
                own.for_each(drop);
                continue;
            };
            for (place, book) in places.into_iter().zip(own) {
                *place.0 = stage.figures(&book.book);
            }
            self.on_devices.fetch_add(chunk.books.len(), Ordering::Relaxed);
            self.tell(chunk.books.len());
        }
        Ok(true)
    }

    fn tell(&self, books: usize) {
        let done = self.done.fetch_add(books as u64, Ordering::Relaxed) + books as u64;
        self.progress.on(&Event::BooksDone { done, total: self.pairs.len() as u64 });
    }
}

/// Cuts the pairs into chunks that share few means. Which books share a chunk changes no bit.
fn chunks(pairs: &[SmaCross], parts: usize) -> Vec<Vec<usize>> {
    let block_of = |length: fn(&SmaCross) -> usize| {
        let mut lengths: Vec<usize> = pairs.iter().map(length).collect();
        lengths.sort_unstable();
        lengths.dedup();
        let blocks = lengths.len().div_ceil(BLOCK).max(1);
        let size = lengths.len().div_ceil(blocks).max(1);
        move |pair: &SmaCross| lengths.partition_point(|other| *other < length(pair)) / size
    };
    let (fast, slow) = (block_of(|pair| pair.fast), block_of(|pair| pair.slow));
    let mut order: Vec<usize> = (0..pairs.len()).collect();
    order.sort_by_cached_key(|pair| {
        let pair = &pairs[*pair];
        (fast(pair), slow(pair), pair.fast, pair.slow)
    });
    let size = pairs.len().div_ceil(parts.max(1)).clamp(1, CHUNK);
    order.chunks(size).map(<[usize]>::to_vec).collect()
}
